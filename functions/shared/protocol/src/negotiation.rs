//! The shape that a request's headers ask for: only the head, no content if the client
//! already has it, or fewer bytes.

use std::io::Write;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::header::{
    ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, ETAG,
    HeaderValue, IF_NONE_MATCH, VARY,
};
use http::{HeaderMap, Method, StatusCode};
use http_body::Body as _;
use http_body_util::BodyExt;

use crate::{Body, Reply, Request, Words, status};

/// The shape that a request's headers ask of its reply.
#[derive(Debug, Clone)]
pub struct RequestedShape {
    is_read: bool,
    method: Method,
    head_alone: bool,
    gzip: bool,
    known: Vec<String>,
}

impl RequestedShape {
    /// The shape that `request` asks for.
    #[must_use]
    pub fn of(request: &Request) -> Self {
        let list = |name| -> Vec<String> {
            let values = request.headers().get_all(name).into_iter();
            let values = values.filter_map(|value| value.to_str().ok());
            values.flat_map(|value| value.split(',')).map(|value| value.trim().to_owned()).collect()
        };
        let head_alone = request.method() == Method::HEAD;
        Self {
            is_read: head_alone || request.method() == Method::GET,
            method: request.method().clone(),
            head_alone,
            gzip: list(ACCEPT_ENCODING).iter().any(|coding| takes_gzip(coding)),
            known: list(IF_NONE_MATCH),
        }
    }

    /// `reply` in the requested shape.
    pub async fn shape(self, mut reply: Reply) -> Reply {
        Words::warn(&self.method, &mut reply);
        let is_whole_or_part =
            [StatusCode::OK, StatusCode::PARTIAL_CONTENT].contains(&reply.status());
        if self.is_read && is_whole_or_part && self.knows(reply.headers()) {
            return not_modified(reply.headers());
        }
        let reply = if self.is_read { self.encode(reply).await } else { reply };
        if self.head_alone { without_body(reply) } else { reply }
    }

    fn knows(&self, headers: &HeaderMap) -> bool {
        let Some(tag) = headers.get(ETAG).and_then(|tag| tag.to_str().ok()) else { return false };
        let opaque = |tag: &str| tag.strip_prefix("W/").unwrap_or(tag).to_owned();
        self.known.iter().any(|known| known == "*" || opaque(known) == opaque(tag))
    }

    async fn encode(&self, mut reply: Reply) -> Reply {
        // Below it, the answer is one packet in any case.
        const LEAST: u64 = 1_024;
        if !is_text(reply.headers()) || reply.headers().contains_key(CONTENT_ENCODING) {
            return reply;
        }
        reply.headers_mut().insert(VARY, HeaderValue::from_static("accept-encoding"));
        if !self.gzip || reply.body().size_hint().exact().is_none_or(|size| size < LEAST) {
            return reply;
        }
        let (mut parts, body) = reply.into_parts();
        match body.collect().await.map(|body| gzip(&body.to_bytes())) {
            Ok(Ok(bytes)) => {
                parts.headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
                Reply::from_parts(parts, Body::from(bytes))
            }
            Ok(Err(error)) => crate::Refusal::Broken(error.into()).into(),
            Err(error) => crate::Refusal::Unavailable(error).into(),
        }
    }
}

/// Whether an item of `Accept-Encoding` takes gzip.
fn takes_gzip(item: &str) -> bool {
    let (coding, parameters) = item.split_once(';').unwrap_or((item, ""));
    let refused = parameters
        .trim()
        .strip_prefix("q=")
        .is_some_and(|weight| weight.trim().parse::<f32>().is_ok_and(|weight| weight == 0.0));
    (coding.trim().eq_ignore_ascii_case("gzip") || coding.trim() == "*") && !refused
}

fn is_text(headers: &HeaderMap) -> bool {
    let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    content_type.is_some_and(|content_type| {
        content_type.starts_with("application/json") || content_type.starts_with("text/")
    })
}

fn gzip(bytes: &[u8]) -> std::io::Result<Bytes> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(bytes.len() / 4), Compression::fast());
    encoder.write_all(bytes)?;
    Ok(encoder.finish()?.into())
}

fn not_modified(headers: &HeaderMap) -> Reply {
    let mut reply = status(StatusCode::NOT_MODIFIED);
    for name in [ETAG, CACHE_CONTROL, VARY] {
        if let Some(value) = headers.get(&name) {
            reply.headers_mut().insert(name, value.clone());
        }
    }
    reply
}

fn without_body(reply: Reply) -> Reply {
    let (mut parts, body) = reply.into_parts();
    if let Some(size) = body.size_hint().exact().filter(|_| parts.status != StatusCode::NO_CONTENT)
    {
        parts.headers.insert(CONTENT_LENGTH, size.into());
    }
    Reply::from_parts(parts, Body::empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(method: Method, name: http::HeaderName, value: &'static str) -> RequestedShape {
        let mut request = Request::new(Body::empty());
        *request.method_mut() = method;
        request.headers_mut().insert(name, HeaderValue::from_static(value));
        RequestedShape::of(&request)
    }

    fn reply(content_type: &'static str, length: usize) -> Reply {
        let mut reply = Reply::new(Body::from(vec![b'a'; length]));
        reply.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        reply.headers_mut().insert(ETAG, HeaderValue::from_static("\"a\""));
        reply
    }

    #[tokio::test]
    async fn what_the_client_has_is_not_sent_again() {
        for (known, status) in [
            ("\"a\"", StatusCode::NOT_MODIFIED),
            ("\"b\", W/\"a\"", StatusCode::NOT_MODIFIED),
            ("*", StatusCode::NOT_MODIFIED),
            ("\"b\"", StatusCode::OK),
        ] {
            for method in [Method::GET, Method::HEAD] {
                let shaped =
                    asked(method, IF_NONE_MATCH, known).shape(reply("text/plain", 9)).await;
                assert_eq!(shaped.status(), status, "{known}");
                assert_eq!(shaped.headers()[ETAG], "\"a\"");
            }
            let post =
                asked(Method::POST, IF_NONE_MATCH, known).shape(reply("text/plain", 9)).await;
            assert_eq!(post.status(), StatusCode::OK);
        }
        let mut refused = reply("text/plain", 9);
        *refused.status_mut() = StatusCode::NOT_FOUND;
        let shaped = asked(Method::GET, IF_NONE_MATCH, "*").shape(refused).await;
        assert_eq!(shaped.status(), StatusCode::NOT_FOUND);
    }

    #[tokio::test]
    async fn long_texts_are_zipped_for_who_takes_it() {
        let shaped = async |method, coding, content_type, length| {
            let asked = asked(method, ACCEPT_ENCODING, coding);
            let (parts, body) = asked.shape(reply(content_type, length)).await.into_parts();
            let length = body.collect().await.unwrap().to_bytes().len();
            let header = |name| parts.headers.get(name).cloned();
            (header(CONTENT_ENCODING).is_some(), header(VARY).is_some(), length)
        };
        let json = "application/json; charset=utf-8";
        let zipped = gzip(&[b'a'; 1_024]).unwrap().len();
        assert_eq!(shaped(Method::GET, "br, gzip", json, 1_024).await, (true, true, zipped));
        assert_eq!(shaped(Method::GET, "gzip", "text/plain", 1_023).await, (false, true, 1_023));
        assert_eq!(shaped(Method::GET, "br", json, 2_000).await, (false, true, 2_000));
        assert_eq!(shaped(Method::GET, "gzip", "image/png", 2_000).await, (false, false, 2_000));
        assert_eq!(shaped(Method::POST, "gzip", json, 2_000).await, (false, false, 2_000));
        assert_eq!(shaped(Method::HEAD, "gzip", json, 2_000).await, (true, true, 0));
    }

    #[tokio::test]
    async fn a_head_is_told_the_length_and_sent_no_byte() {
        let shaped = asked(Method::HEAD, ACCEPT_ENCODING, "br").shape(reply("text/plain", 9)).await;
        assert_eq!(shaped.headers()[CONTENT_LENGTH], "9");
        assert_eq!(shaped.into_body().collect().await.unwrap().to_bytes().len(), 0);
        let nothing = asked(Method::HEAD, ACCEPT_ENCODING, "br");
        let nothing = nothing.shape(status(StatusCode::NO_CONTENT)).await;
        assert!(!nothing.headers().contains_key(CONTENT_LENGTH));
    }

    #[test]
    fn gzip_is_taken_as_the_client_says() {
        for item in ["gzip", "GZip", "gzip;q=0.5", "*", "gzip; q=1"] {
            assert!(takes_gzip(item), "{item}");
        }
        for item in ["br", "gzip;q=0", "gzip; q=0.0", "*;q=0", "identity", ""] {
            assert!(!takes_gzip(item), "{item}");
        }
    }
}
