//! AWS: the tokens of `sts:GetWebIdentityToken`, of which every account is an issuer.
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_providers_outbound.html>

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{ArnOfRole, Mismatch, Pin, Rules};
use crate::{Claims, IssuerUrl};

/// A role of an AWS account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AwsRole {
    /// Its ARN.
    pub role: ArnOfRole,
}

impl AwsRole {
    /// Whether the token is of the role's account. The claims of AWS itself are nested, beside
    /// tags that callers choose.
    pub(super) fn is_account_of(&self, claims: &Claims) -> bool {
        let of_aws = claims.get("https://sts.amazonaws.com/");
        let account = of_aws.and_then(|of_aws| of_aws.get("aws_account")).and_then(Value::as_str);
        account == Some(self.role.account())
    }
}

impl Rules for AwsRole {
    fn logged(&self) -> Vec<&str> {
        vec!["sub"]
    }

    fn pins(&self) -> Vec<Pin<'_>> {
        vec![Pin::new("sub", self.role.as_str())]
    }

    fn check(&self, _: &IssuerUrl, _: &Claims) -> Result<(), Mismatch> {
        Ok(())
    }
}
