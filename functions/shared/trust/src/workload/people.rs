//! People of a company, who sign in at its issuer of `OpenID` Connect.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{ClaimValue, Mismatch, Pin, Plain, Rules};
use crate::{Claims, IssuerUrl};

/// The people whose tokens have all of these claims. Their tokens are for the client alone,
/// which is the audience of the trust.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct People {
    /// The id of the client at the issuer, by which they sign in.
    pub client_id: Plain,
    /// The claims; with none, all people that the issuer knows.
    pub claims: Vec<ClaimValue>,
}

impl People {
    /// The first claim that a token does not have. A list has each of its texts: groups come
    /// as one.
    pub(super) fn lacking(&self, claims: &Claims) -> Option<&str> {
        let has = |wanted: &&ClaimValue| match claims.get(wanted.name.as_str()) {
            Some(Value::Array(several)) => several.iter().any(|one| one == wanted.value.as_str()),
            Some(one) => one == wanted.value.as_str(),
            None => false,
        };
        self.claims.iter().find(|wanted| !has(wanted)).map(|wanted| wanted.name.as_str())
    }
}

impl Rules for People {
    fn logged(&self) -> Vec<&str> {
        vec!["sub", "email", "preferred_username"]
    }

    fn pins(&self) -> Vec<Pin<'_>> {
        Vec::new()
    }

    fn check(&self, _: &IssuerUrl, _: &Claims) -> Result<(), Mismatch> {
        Ok(())
    }
}
