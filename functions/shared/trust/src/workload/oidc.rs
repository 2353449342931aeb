//! Any other issuer of `OpenID` Connect.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{Mismatch, Pin, Plain, Rules};
use crate::{Claims, IssuerUrl};

/// A workload of an issuer whose claims have no rules here: it is the one whose tokens have
/// all of these. Which of them are ids is not known, so none is told to callers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Stored")]
pub struct Oidc {
    claims: Vec<ClaimValue>,
}

/// A claim and its value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClaimValue {
    pub(super) name: Plain,
    pub(super) value: Plain,
}

#[derive(Deserialize)]
struct Stored {
    claims: Vec<ClaimValue>,
}

/// The claims do not make a workload.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OidcError {
    /// The text is not a claim with its value.
    #[error("'{0}' is not a claim with its value; write it like project_id=74")]
    NotAClaim(String),
    /// There is only one that every token has.
    #[error(
        "name a claim besides iss, sub and aud that stays the same, such as --claim project_id=74"
    )]
    TooFew,
}

impl Oidc {
    /// The workload whose tokens have these claims.
    ///
    /// # Errors
    /// There are only those that say too little.
    pub fn new(claims: Vec<ClaimValue>) -> Result<Self, OidcError> {
        let says_little = |claim: &ClaimValue| ["iss", "sub", "aud"].contains(&claim.name.as_str());
        if claims.iter().all(says_little) { Err(OidcError::TooFew) } else { Ok(Self { claims }) }
    }
}

impl TryFrom<Stored> for Oidc {
    type Error = OidcError;

    fn try_from(stored: Stored) -> Result<Self, OidcError> {
        Self::new(stored.claims)
    }
}

impl FromStr for ClaimValue {
    type Err = OidcError;

    fn from_str(text: &str) -> Result<Self, OidcError> {
        let parsed = text.split_once('=').and_then(|(name, value)| {
            Some(Self { name: name.parse().ok()?, value: value.parse().ok()? })
        });
        parsed.ok_or_else(|| OidcError::NotAClaim(text.chars().take(100).collect()))
    }
}

impl Rules for Oidc {
    fn logged(&self) -> Vec<&str> {
        let pinned = self.claims.iter().map(|claim| claim.name.as_str());
        std::iter::once("sub").chain(pinned).collect()
    }

    fn pins(&self) -> Vec<Pin<'_>> {
        let claims = self.claims.iter();
        claims.map(|claim| Pin::new(claim.name.as_str(), claim.value.as_str())).collect()
    }

    fn check(&self, _: &IssuerUrl, _: &Claims) -> Result<(), Mismatch> {
        Ok(())
    }
}
