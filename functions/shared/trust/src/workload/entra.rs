//! Microsoft Entra: an application, or a managed identity, as Azure Pipelines use one.
//! <https://learn.microsoft.com/en-us/entra/identity-platform/access-token-claims-reference>

use serde::{Deserialize, Serialize};

use super::{Mismatch, Pin, Rules, Uuid};
use crate::{Claims, IssuerUrl};

/// An application or managed identity of Microsoft Entra.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EntraApp {
    /// The tenant's id.
    pub tenant: Uuid,
    /// The object id of its service principal.
    pub object_id: Uuid,
}

impl EntraApp {
    /// The issuer of a tenant.
    #[must_use]
    pub fn issuer(tenant: &Uuid) -> IssuerUrl {
        IssuerUrl::known(format!("https://login.microsoftonline.com/{tenant}/v2.0"))
    }
}

impl Rules for EntraApp {
    fn logged(&self) -> Vec<&str> {
        vec!["tid", "oid", "azp"]
    }

    fn pins(&self) -> Vec<Pin<'_>> {
        vec![
            Pin::new("tid", self.tenant.as_str()),
            Pin::new("oid", self.object_id.as_str()),
            // The subject of a person's token is another one.
            Pin::new("sub", self.object_id.as_str()),
        ]
    }

    fn check(&self, _: &IssuerUrl, claims: &Claims) -> Result<(), Mismatch> {
        // A token for an application, of the form that these rules know, which was got
        // without a password.
        for (claim, wanted) in [("idtyp", "app"), ("ver", "2.0"), ("azpacr", "2")] {
            if !claims.is(claim, wanted) {
                return Err(Mismatch::new(claim, wanted, claims.text(claim)));
            }
        }
        Ok(())
    }
}
