//! The request for a key: the form in which `NuGet/login` sends it, and no other.

use http::HeaderMap;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use protocol::{Request, ShortBodyError};
use serde::Deserialize;
use trust::TrustName;

use crate::ExchangeError;

/// A request for a key.
pub(crate) struct Asked {
    /// The trust that is to grant it.
    pub(crate) trust: TrustName,
    /// The identity token, as it was sent.
    pub(crate) token: String,
}

/// The body. Members that are not known are ignored.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    username: String,
    token_type: String,
}

impl Asked {
    pub(crate) async fn read(request: Request) -> Result<Self, ExchangeError> {
        let (parts, body) = request.into_parts();
        if !is_json(&parts.headers) {
            return Err(ExchangeError::ContentType);
        }
        let body = body.short().await.map_err(|error| match error {
            ShortBodyError::TooLong => ExchangeError::Body,
            ShortBodyError::CutOff(_) | ShortBodyError::TooSlow(_) => ExchangeError::Incomplete,
        })?;
        let trust = trust(&body).ok_or(ExchangeError::Body)?;
        let token = token(&parts.headers).ok_or(ExchangeError::NoToken)?;
        Ok(Self { trust, token })
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let essence = kind.split(';').next().unwrap_or_default();
    essence.trim().eq_ignore_ascii_case("application/json")
}

fn trust(body: &[u8]) -> Option<TrustName> {
    let document: Document = serde_json::from_slice(body).ok()?;
    let name = document.username.parse().ok()?;
    (document.token_type == "ApiKey").then_some(name)
}

/// The token in the one header of its kind.
fn token(headers: &HeaderMap) -> Option<String> {
    let mut credentials = headers.get_all(AUTHORIZATION).iter();
    let (Some(one), None) = (credentials.next(), credentials.next()) else { return None };
    let (scheme, token) = one.to_str().ok()?.split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then(|| token.to_owned())
}
