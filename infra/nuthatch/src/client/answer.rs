//! A feed's answer, with everything in it that a NuGet client uses.

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderName, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderMap, StatusCode};
use hyper::ext::ReasonPhrase;
use protocol::{Body, Reply};
use serde_json::Value;

/// The header that NuGet clients print.
const WARNING: HeaderName = HeaderName::from_static("x-nuget-warning");

/// An answer that has arrived whole.
#[derive(Debug, Clone)]
pub struct Answer {
    /// Its status.
    pub status: StatusCode,
    reason: Option<ReasonPhrase>,
    headers: HeaderMap,
    body: Bytes,
}

impl Answer {
    pub(super) async fn of(response: reqwest::Response) -> Result<Self, reqwest::Error> {
        let (status, headers) = (response.status(), response.headers().clone());
        let reason = response.extensions().get().cloned();
        Ok(Self { status, reason, headers, body: response.bytes().await? })
    }

    /// The feed's message: the warning for the client, or the detail in the document.
    #[must_use]
    pub fn said(&self) -> Option<String> {
        let warning = self.headers.get(WARNING).and_then(|warning| warning.to_str().ok());
        let detail = || Some(self.json()?.get("detail")?.as_str()?.to_owned());
        // On one line and without control characters: the message is printed to terminals and
        // CI logs, which interpret some output as commands.
        warning.map(str::to_owned).or_else(detail).map(|said| protocol::one_line(&said))
    }

    /// The document that it holds.
    #[must_use]
    pub fn json(&self) -> Option<Value> {
        serde_json::from_slice(&self.body).ok()
    }

    /// The answer as it is passed on.
    #[must_use]
    pub fn into_reply(self) -> Reply {
        let mut reply = Reply::new(Body::from(self.body));
        *reply.status_mut() = self.status;
        if let Some(reason) = self.reason {
            reply.extensions_mut().insert(reason);
        }
        for name in [WARNING, WWW_AUTHENTICATE, RETRY_AFTER, CONTENT_TYPE] {
            if let Some(value) = self.headers.get(&name) {
                reply.headers_mut().insert(name, value.clone());
            }
        }
        reply
    }
}
