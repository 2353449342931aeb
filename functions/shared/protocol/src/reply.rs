//! Replies: the few kinds that all verbs use.

use std::fmt::Display;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, HeaderName, HeaderValue, LOCATION,
    RETRY_AFTER, X_CONTENT_TYPE_OPTIONS,
};
use http::{Method, Response, StatusCode};
use serde::Serialize;
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::{Body, Refusal, one_line};

/// A reply of a verb.
pub type Reply = Response<Body>;

/// NuGet clients print this header of every answer; they do not show bodies.
const WARNING: HeaderName = HeaderName::from_static("x-nuget-warning");

/// The words of a refusal, for the places where clients look for them.
#[derive(Debug, Clone)]
pub struct Words {
    /// In full, as one line.
    pub(crate) detail: String,
    /// As the reason phrase of the status line.
    pub reason: &'static str,
}

impl Words {
    /// The words of the refusal in `reply`.
    #[must_use]
    pub fn of(reply: &Reply) -> Option<&Self> {
        reply.extensions().get()
    }

    /// Makes a client that asked with `method` print them, but only if the answer ends the
    /// operation: clients print the header of every answer, even of one after which they
    /// try again and succeed, and `-warnaserror` turns that into a failed build (seen with
    /// SDK 10). So it is not added to a read, nor to a write that is tried again: with
    /// credentials after 401, and unchanged after 408, 429 and failures.
    pub fn warn(method: &Method, reply: &mut Reply) {
        let is_write = [Method::PUT, Method::POST, Method::DELETE].contains(method);
        let is_tried_again =
            [StatusCode::UNAUTHORIZED, StatusCode::REQUEST_TIMEOUT, StatusCode::TOO_MANY_REQUESTS]
                .contains(&reply.status());
        if !is_write || is_tried_again || !reply.status().is_client_error() {
            return;
        }
        let warning = Self::of(reply).and_then(|words| HeaderValue::from_str(&words.detail).ok());
        if let Some(warning) = warning {
            reply.headers_mut().insert(WARNING, warning);
        }
    }
}

/// An empty reply.
#[must_use]
pub fn status(status: StatusCode) -> Reply {
    let mut reply = Response::new(Body::empty());
    *reply.status_mut() = status;
    reply
}

/// 204.
#[must_use]
pub fn no_content() -> Reply {
    status(StatusCode::NO_CONTENT)
}

/// How long a client may cache a reply, privately: a reply to one key is not for anybody
/// else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lifetime {
    /// The client must ask again before every use.
    Checked,
    /// For a day: the content at this address never changes.
    Unchanging,
}

/// 200 with a JSON document, which the client has to check before every use.
#[must_use]
pub fn json(document: &impl Serialize) -> Reply {
    match serde_json::to_vec(document) {
        Ok(bytes) => stream(Body::from(bytes), "application/json"),
        Err(error) => Refusal::Broken(error.into()).into(),
    }
}

/// 200 with a JSON document, tagged by its content: the tag changes when the answer does,
/// and reveals nothing else.
#[must_use]
pub fn json_tagged(document: &impl Serialize) -> Reply {
    match serde_json::to_vec(document) {
        Ok(bytes) => stream_tagged(bytes.into(), "application/json"),
        Err(error) => Refusal::Broken(error.into()).into(),
    }
}

/// 200 with `bytes` of the given type, tagged by their content.
#[must_use]
pub fn stream_tagged(bytes: Bytes, content_type: &'static str) -> Reply {
    let tag = BASE64_STANDARD.encode(Sha256::digest(&bytes));
    tagged(stream(Body::from(bytes), content_type), &tag, Lifetime::Checked)
}

/// Marks an answer that was made before all changes were read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Behind;

/// `reply`, marked as not holding the newest changes yet, for clients that wait for one.
#[must_use]
pub fn behind(mut reply: Reply) -> Reply {
    let value = HeaderValue::from_static("behind");
    reply.headers_mut().insert(HeaderName::from_static("x-nuthatch-index"), value);
    reply.extensions_mut().insert(Behind);
    reply
}

/// 200 with a body of the given type, which the client has to check before every use.
#[must_use]
pub fn stream(body: Body, content_type: &'static str) -> Reply {
    let mut reply = Response::new(body);
    let headers = reply.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    reply
}

/// `reply` with a tag that changes whenever the content at its address does.
#[must_use]
pub fn tagged(mut reply: Reply, tag: &impl Display, lifetime: Lifetime) -> Reply {
    // A weak tag, because the same document is sent with and without gzip. It includes the
    // version of the feed, because the next one may write the document differently.
    let tag = format!("W/\"{tag}-{}\"", env!("CARGO_PKG_VERSION"));
    if let Ok(tag) = HeaderValue::try_from(tag) {
        reply.headers_mut().insert(ETAG, tag);
    }
    if lifetime == Lifetime::Unchanging {
        let kept = HeaderValue::from_static("private, max-age=86400, immutable");
        reply.headers_mut().insert(CACHE_CONTROL, kept);
    }
    reply
}

/// `reply` with bytes from a package: whatever they are, a browser that opens them does not
/// run, load or frame anything.
#[must_use]
pub fn contained(mut reply: Reply) -> Reply {
    const NOTHING: &str = "default-src 'none'; sandbox; frame-ancestors 'none'";
    let policy = HeaderValue::from_static(NOTHING);
    reply.headers_mut().insert(CONTENT_SECURITY_POLICY, policy);
    reply
}

/// `reply` with words that NuGet clients print, if it has none.
#[must_use]
pub fn warned(mut reply: Reply, warning: &str) -> Reply {
    if let Ok(warning) = HeaderValue::from_str(warning) {
        reply.headers_mut().entry(WARNING).or_insert(warning);
    }
    reply
}

/// 302 to `address`, which nobody may cache.
#[must_use]
pub fn redirect(address: &str) -> Reply {
    let mut reply = status(StatusCode::FOUND);
    let Ok(location) = HeaderValue::from_str(address) else {
        return Refusal::Broken("the address is not one for a header".into()).into();
    };
    reply.headers_mut().insert(LOCATION, location);
    reply.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    reply
}

impl From<Refusal> for Reply {
    /// A problem document (RFC 9457), with the same words attached to the reply. Logs the
    /// details that the client does not get.
    fn from(refusal: Refusal) -> Self {
        let status = refusal.status();
        refusal.log();
        let detail = one_line(&refusal.to_string());
        let problem = json!({
            "type": "about:blank",
            "title": status.canonical_reason(),
            "status": status.as_u16(),
            "detail": detail,
        });
        let mut reply = stream(Body::from(problem.to_string()), "application/problem+json");
        *reply.status_mut() = status;
        if let Some(seconds) = refusal.retry_after() {
            reply.headers_mut().insert(RETRY_AFTER, seconds.into());
        }
        reply.extensions_mut().insert(Words { detail, reason: refusal.reason() });
        reply
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_never_changes_is_kept_for_a_day() {
        let kept = |lifetime| {
            let reply = stream(Body::empty(), "text/plain");
            tagged(reply, &"a", lifetime).headers()[CACHE_CONTROL].clone()
        };
        assert_eq!(kept(Lifetime::Unchanging), "private, max-age=86400, immutable");
        assert_eq!(kept(Lifetime::Checked), "private, no-cache");
    }
}
