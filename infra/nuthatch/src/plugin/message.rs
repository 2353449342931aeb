//! The messages of NuGet's plugin protocol: one JSON object a line.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use ulid::Ulid;

/// A message.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Message {
    /// A GUID, which the answers to a request repeat.
    pub(super) request_id: String,
    /// Its kind.
    #[serde(rename = "Type")]
    pub(super) kind: Kind,
    /// The method of the request.
    pub(super) method: String,
    /// Its content.
    #[serde(default)]
    pub(super) payload: Value,
}

/// The kind of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Kind {
    /// A request.
    Request,
    /// The last answer to one.
    Response,
    /// A sign that an answer will come.
    Progress,
    /// A fault of the other side.
    Fault,
    /// A request is given up.
    Cancel,
}

impl Message {
    pub(super) fn new(request_id: String, kind: Kind, method: &str, payload: Value) -> Self {
        Self { request_id, kind, method: method.to_owned(), payload }
    }

    /// A request of the plugin's own.
    pub(super) fn request(method: &str, payload: Value) -> Self {
        Self::new(guid(), Kind::Request, method, payload)
    }

    /// The answer to this request.
    pub(super) fn response(self, payload: Value) -> Self {
        Self { kind: Kind::Response, payload, ..self }
    }
}

/// A new GUID.
fn guid() -> String {
    let digits = format!("{:032x}", Ulid::new().0);
    let part = |from: usize, to: usize| digits.get(from..to).unwrap_or_default();
    [part(0, 8), part(8, 12), part(12, 16), part(16, 20), part(20, 32)].join("-")
}
