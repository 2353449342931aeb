//! AWS: a role or user that signs a request to STS, where an account issues no tokens.

use serde::{Deserialize, Serialize};

use super::{AccountId, Mismatch, Pin, PrincipalId, Rules};
use crate::{Claims, IssuerUrl};

/// A role or user of an AWS account. The ARN is not compared: it lacks the path of a role, and
/// a role that was made anew has the old one's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AwsPrincipal {
    /// The account.
    pub account: AccountId,
    /// The id that AWS gave it once for all.
    pub principal_id: PrincipalId,
}

impl AwsPrincipal {
    /// The name that STS has here in place of an issuer's address.
    pub const ISSUER: &str = "https://sts.amazonaws.com";
}

impl Rules for AwsPrincipal {
    fn logged(&self) -> Vec<&str> {
        vec!["arn"]
    }

    fn pins(&self) -> Vec<Pin<'_>> {
        vec![
            Pin::new("account", self.account.as_str()),
            Pin::new("principal_id", self.principal_id.as_str()),
        ]
    }

    fn check(&self, _: &IssuerUrl, _: &Claims) -> Result<(), Mismatch> {
        Ok(())
    }
}
