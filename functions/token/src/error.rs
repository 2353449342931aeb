//! Why no key is given, with the words for the caller and the status.

use http::StatusCode;
use http::header::{CACHE_CONTROL, HeaderValue, WWW_AUTHENTICATE};
use protocol::{Body, Refusal, Reply};
use store::TableError;
use trust::{Denial, NotTrusted};

/// The reason why no key is given. Displayed, it is the message to the caller, which
/// `NuGet/login` shows.
#[derive(Debug, thiserror::Error)]
pub enum ExchangeError {
    /// Token and key would travel in the open.
    #[error(
        "this feed is reached without TLS, and would send the key in the open; serve it at an https address (--url)"
    )]
    NotEncrypted,
    /// The request is of another type.
    #[error("send Content-Type: application/json")]
    ContentType,
    /// The body is not the one that is wanted.
    #[error(r#"the body must be {{"username":"NAME OF A TRUST","tokenType":"ApiKey"}}"#)]
    Body,
    /// The body did not arrive whole.
    #[error("the request did not arrive whole; send it again")]
    Incomplete,
    /// The request has not exactly one token.
    #[error("send the identity token as 'Authorization: Bearer TOKEN'")]
    NoToken,
    /// No trust in people is there.
    #[error(
        "nobody signs in to this feed; its owner can change that with 'nuthatch trust add people'"
    )]
    NoSignIn,
    /// The audience is among the signed headers, and it is not known.
    #[error("the request was signed for one feed; name its address with --audience")]
    NoAudience,
    /// The token is not exchanged.
    #[error(transparent)]
    Denied(#[from] Denial),
    /// The feed cannot answer.
    #[error(transparent)]
    Feed(#[from] Refusal),
}

impl From<TableError> for ExchangeError {
    fn from(error: TableError) -> Self {
        Self::Feed(error.into())
    }
}

impl ExchangeError {
    /// The status of the answer. It is decided only here.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        match self {
            Self::NotEncrypted => StatusCode::FORBIDDEN,
            Self::ContentType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Body | Self::NoAudience => StatusCode::BAD_REQUEST,
            Self::Incomplete => StatusCode::REQUEST_TIMEOUT,
            Self::NoSignIn => StatusCode::NOT_FOUND,
            Self::Denied(Denial::NoKeys | Denial::AwsSilent) => StatusCode::SERVICE_UNAVAILABLE,
            Self::NoToken | Self::Denied(_) => StatusCode::UNAUTHORIZED,
            Self::Feed(refusal) => refusal.status(),
        }
    }

    /// The number of the check that failed, in their order; 0 if it was none.
    #[must_use]
    pub fn check(&self) -> u8 {
        match self {
            Self::NotEncrypted | Self::NoSignIn | Self::Feed(_) => 0,
            Self::ContentType => 1,
            Self::Body | Self::Incomplete => 2,
            Self::NoToken => 3,
            Self::NoAudience => 6,
            Self::Denied(denial) => denial.check(),
        }
    }

    /// The reason that only log and owner get, as a part of a sentence; empty if there is none.
    #[must_use]
    pub fn hidden_words(&self) -> String {
        self.hidden().map(|reason| format!(" ({reason})")).unwrap_or_default()
    }

    /// The reason that only the log gets.
    pub(crate) fn hidden(&self) -> Option<&NotTrusted> {
        match self {
            Self::Denied(Denial::NotTrusted { reason, .. }) => Some(reason),
            _ => None,
        }
    }

    /// The answer: `{"error":"…"}`, which is the member that `NuGet/login` reads.
    pub(crate) fn into_reply(self) -> Reply {
        let status = self.status();
        let document = serde_json::json!({ "error": protocol::one_line(&self.to_string()) });
        let mut reply = match self {
            Self::Feed(refusal) => Reply::from(refusal),
            _ => protocol::status(status),
        };
        let json = protocol::stream(Body::from(document.to_string()), "application/json");
        let (json, body) = json.into_parts();
        *reply.body_mut() = body;
        let headers = reply.headers_mut();
        headers.extend(json.headers);
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        reply
    }
}

#[cfg(test)]
mod tests {
    use trust::PresignedError;

    use super::*;

    #[test]
    fn every_reason_has_its_status_and_check() {
        let not_trusted =
            Denial::NotTrusted { name: "acme".parse().unwrap(), reason: NotTrusted::NoSuchTrust };
        for (error, status, check) in [
            (ExchangeError::NotEncrypted, 403, 0),
            (ExchangeError::NoSignIn, 404, 0),
            (ExchangeError::ContentType, 415, 1),
            (ExchangeError::Body, 400, 2),
            (ExchangeError::Incomplete, 408, 2),
            (ExchangeError::NoToken, 401, 3),
            (ExchangeError::NoAudience, 400, 6),
            (Denial::UnknownIssuer("i".to_owned()).into(), 401, 5),
            (Denial::Audience { found: None, wanted: "w".to_owned() }.into(), 401, 6),
            (Denial::Expired.into(), 401, 7),
            (Denial::NotYetValid.into(), 401, 7),
            (Denial::ValidForTooLong.into(), 401, 7),
            (Denial::UnknownKey.into(), 401, 8),
            (Denial::WrongSignature.into(), 401, 8),
            (Denial::NoKeys.into(), 503, 8),
            (Denial::AwsSilent.into(), 503, 8),
            (Denial::Presigned(PresignedError::Host).into(), 401, 4),
            (not_trusted.into(), 401, 9),
            (Denial::Replayed.into(), 401, 11),
            (Refusal::Unavailable("x".into()).into(), 503, 0),
        ] {
            assert_eq!((error.status().as_u16(), error.check()), (status, check), "{error}");
        }
    }
}
