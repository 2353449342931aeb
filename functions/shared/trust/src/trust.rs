//! A trust: the workload that it is for, and the key that it gets.

use serde::{Deserialize, Serialize};
use ulid::Ulid;

use crate::denial::NotTrusted;
use crate::{Denial, Grant, IdentityToken, IssuerUrl, Run, TrustName, Workload};

/// A trust in a workload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trust {
    /// Its name, which a workload gives as its user.
    pub name: TrustName,
    /// The issuer of the workload's tokens.
    pub iss: IssuerUrl,
    /// The audience that its tokens must be for; the feed's own if there is none here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audience: Option<String>,
    /// The workload.
    pub workload: Workload,
    /// The key that it gets.
    pub grant: Grant,
    /// The write that made it what it is.
    pub revision: Ulid,
    /// When it was made, RFC 3339.
    pub created: String,
    /// When it was removed, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub removed: Option<String>,
}

impl Trust {
    /// Whether it is there, and for tokens of this issuer.
    #[must_use]
    pub fn is_for_tokens_of(&self, iss: &IssuerUrl) -> bool {
        self.removed.is_none() && self.iss == *iss
    }

    /// The run of the workload that `token` is for, if the trust called `name` is for it. The
    /// token's signature must have been checked.
    ///
    /// # Errors
    /// There is no such trust, or it is not for this workload.
    pub fn admit(
        trust: Option<Self>,
        name: &TrustName,
        token: &IdentityToken,
    ) -> Result<(Self, Run), Denial> {
        let denied = |reason| Denial::NotTrusted { name: name.clone(), reason };
        let trust = trust.ok_or_else(|| denied(NotTrusted::NoSuchTrust))?;
        if trust.removed.is_some() {
            return Err(denied(NotTrusted::Removed));
        }
        if trust.iss.as_str() != token.iss {
            return Err(denied(NotTrusted::OtherIssuer));
        }
        let other = trust.workload.other_identity(&token.claims);
        if let Some(claim) = other {
            return Err(denied(NotTrusted::OtherIdentity(claim)));
        }
        let checked = trust.workload.check(&trust.iss, &token.claims);
        checked.map_err(|mismatch| Denial::Mismatch { name: name.clone(), mismatch })?;
        let run = trust.workload.run(&token.claims);
        Ok((trust, run))
    }

    /// The denial of an exchange during which the trust changed.
    #[must_use]
    pub fn changed(name: &TrustName) -> Denial {
        Denial::NotTrusted { name: name.clone(), reason: NotTrusted::Changed }
    }
}
