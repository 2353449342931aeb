//! Replies: the few shapes that all verbs answer in.

use std::error::Error;

use http::header::{
    CACHE_CONTROL, CONTENT_TYPE, HeaderName, HeaderValue, LOCATION, RETRY_AFTER,
    X_CONTENT_TYPE_OPTIONS,
};
use http::{Response, StatusCode};
use serde_json::json;

use crate::{Body, Refusal, one_line};

/// A reply of a verb.
pub type Reply = Response<Body>;

/// What NuGet clients print of any answer; they show no bodies.
const WARNING: HeaderName = HeaderName::from_static("x-nuget-warning");

/// Seconds after which a client may try again.
const RETRY_SECONDS: u16 = 2;

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

/// 200 with a JSON document that only its client may keep, and must ask about
/// again.
#[must_use]
pub fn json(document: &serde_json::Value) -> Reply {
    with_type(Body::from(document.to_string()), "application/json")
}

/// 200 with a body of the given type.
#[must_use]
pub fn stream(body: Body, content_type: &'static str) -> Reply {
    with_type(body, content_type)
}

fn with_type(body: Body, content_type: &'static str) -> Reply {
    let mut reply = Response::new(body);
    let headers = reply.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    reply
}

/// 302 to `address`, which nobody may keep.
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
    /// A problem document (RFC 9457), and the same words in a header. Logs what
    /// the client is not told.
    fn from(refusal: Refusal) -> Self {
        let status = refusal.status();
        log(&refusal, status);
        let detail = one_line(&refusal.to_string());
        let problem = json!({
            "type": "about:blank",
            "title": status.canonical_reason(),
            "status": status.as_u16(),
            "detail": detail,
        });
        let mut reply = with_type(Body::from(problem.to_string()), "application/problem+json");
        *reply.status_mut() = status;
        if status == StatusCode::SERVICE_UNAVAILABLE {
            reply.headers_mut().insert(RETRY_AFTER, RETRY_SECONDS.into());
        }
        // A restore asks every feed for every id: that one has no such package
        // is an answer, and no warning.
        if !matches!(refusal, Refusal::NoSuchPackage(_))
            && let Ok(warning) = HeaderValue::from_str(&detail)
        {
            reply.headers_mut().insert(WARNING, warning);
        }
        reply
    }
}

fn log(refusal: &Refusal, status: StatusCode) {
    let status = status.as_u16();
    if status < 500 {
        tracing::info!(http.status = status, "refused: {}", one_line(&refusal.to_string()));
        return;
    }
    let mut causes = String::new();
    let mut cause: Option<&dyn Error> = refusal.source();
    while let Some(error) = cause {
        causes.push_str(": ");
        causes.push_str(&error.to_string());
        cause = error.source();
    }
    tracing::error!(http.status = status, "failed{causes}");
}
