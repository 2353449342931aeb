//! Reasons not to exchange a token.

use crate::{Mismatch, PresignedError, TokenError, TrustName};

/// The reason why a token is not exchanged. Displayed, it is the message to the caller: the
/// fault and the remedy. Callers whose ids are not those of a trust learn nothing of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Denial {
    /// It is not a token.
    #[error("this is not a JSON web token that the feed can read: {0}")]
    Unreadable(#[from] TokenError),
    /// It is not a presigned request to AWS.
    #[error("this is not a presigned GetCallerIdentity that the feed passes on: {0}")]
    Presigned(#[from] PresignedError),
    /// Nobody named its issuer.
    #[error("the feed trusts no tokens of '{0}'; see 'nuthatch trust list'")]
    UnknownIssuer(String),
    /// It is for somebody else.
    #[error("{}", words_of_audience(.found.as_deref(), .wanted))]
    Audience {
        /// The one that it is for; none if there is not exactly one.
        found: Option<String>,
        /// The one that is wanted.
        wanted: String,
    },
    /// It has expired.
    #[error("the token has expired; request it right before the exchange")]
    Expired,
    /// It is valid later.
    #[error("the token is not valid yet; check the clocks")]
    NotYetValid,
    /// It is valid for more than a day.
    #[error("the token is valid for more than 24 hours; request one that ends earlier")]
    ValidForTooLong,
    /// Its issuer does not publish the key that it names.
    #[error("the token's key is not one that its issuer publishes")]
    UnknownKey,
    /// It is not signed with the key that it names.
    #[error("the token's signature is wrong")]
    WrongSignature,
    /// Its issuer's keys are not known.
    #[error("the issuer's keys cannot be read now; try again")]
    NoKeys,
    /// AWS does not name the signer.
    #[error("AWS cannot be asked for the identity now; try again")]
    AwsSilent,
    /// There is no such trust, or it is for somebody else. The log says which.
    #[error("{}", words_of_not_trusted(.name, .reason))]
    NotTrusted {
        /// The name that was asked for.
        name: TrustName,
        /// The reason, which the caller is not told.
        reason: NotTrusted,
    },
    /// The ids are those of the trust, and something else is not.
    #[error("the trust '{name}' wants {mismatch}")]
    Mismatch {
        /// The trust.
        name: TrustName,
        /// The difference.
        mismatch: Mismatch,
    },
    /// It was exchanged before.
    #[error("this token was exchanged before; request a new one")]
    Replayed,
}

/// The reason why a trust is not for an identity.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotTrusted {
    /// There is no trust of this name.
    #[error("there is no such trust")]
    NoSuchTrust,
    /// It was removed.
    #[error("the trust was removed")]
    Removed,
    /// It is for tokens of another issuer.
    #[error("the trust is for tokens of another issuer")]
    OtherIssuer,
    /// An id is not the pinned one.
    #[error("the claim '{0}' is not the pinned one")]
    OtherIdentity(String),
    /// AWS does not confirm the signature.
    #[error("AWS does not confirm the signature")]
    NotConfirmed,
    /// It changed during the exchange.
    #[error("the trust changed during the exchange")]
    Changed,
}

impl Denial {
    /// The number of the check that failed, in their order, for log and alarm. The first three
    /// are of the request around the token.
    #[must_use]
    pub fn check(&self) -> u8 {
        match self {
            Self::Unreadable(_) | Self::Presigned(_) => 4,
            Self::UnknownIssuer(_) => 5,
            Self::Audience { .. } => 6,
            Self::Expired | Self::NotYetValid | Self::ValidForTooLong => 7,
            Self::UnknownKey | Self::WrongSignature | Self::NoKeys | Self::AwsSilent => 8,
            Self::NotTrusted { .. } => 9,
            Self::Mismatch { .. } => 10,
            Self::Replayed => 11,
        }
    }
}

/// Nothing in them tells whether there is such a trust.
fn words_of_not_trusted(name: &TrustName, reason: &NotTrusted) -> String {
    if *reason == NotTrusted::NotConfirmed {
        return "AWS does not confirm the signature; sign for the feed's address as its owner writes it, with credentials that have not expired".to_owned();
    }
    format!(
        "no trust '{name}' is for this identity: the input user must be a name that 'nuthatch trust list' prints"
    )
}

fn words_of_audience(found: Option<&str>, wanted: &str) -> String {
    let found = match found {
        Some(found) => format!("for '{}'", crate::claims::printable(found)),
        None => "not for exactly one audience".to_owned(),
    };
    format!("the token is {found}; request it for '{wanted}' (input audience of NuGet/login)")
}
