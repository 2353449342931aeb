//! A trust: the workload that it is for, and the key that it gets.

use serde::{Deserialize, Serialize};
use ulid::Ulid;

use crate::denial::NotTrusted;
use crate::{Claims, Denial, Grant, IssuerUrl, Run, TrustName, Workload};

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
    /// The person who made it, as far as the command knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_by: Option<String>,
    /// When it was removed, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub removed: Option<String>,
    /// The person who removed it, as far as the command knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub removed_by: Option<String>,
}

impl Trust {
    /// Whether it is there, and for tokens of this issuer.
    #[must_use]
    pub fn is_for_tokens_of(&self, iss: &IssuerUrl) -> bool {
        self.removed.is_none() && self.iss == *iss
    }

    /// The run of the workload with these `claims` of `iss`, if the trust called `name` is for
    /// it. The claims must have been proven.
    ///
    /// # Errors
    /// There is no such trust, or it is not for this workload.
    pub fn admit(
        trust: Option<Self>,
        name: &TrustName,
        iss: &IssuerUrl,
        claims: &Claims,
    ) -> Result<(Self, Run), Denial> {
        let denied = |reason| Self::denied(name, reason);
        let trust = trust.ok_or_else(|| denied(NotTrusted::NoSuchTrust))?;
        if trust.removed.is_some() {
            return Err(denied(NotTrusted::Removed));
        }
        if trust.iss != *iss {
            return Err(denied(NotTrusted::OtherIssuer));
        }
        let other = trust.workload.other_identity(claims);
        if let Some(claim) = other {
            return Err(denied(NotTrusted::OtherIdentity(claim)));
        }
        let checked = trust.workload.check(&trust.iss, claims);
        checked.map_err(|mismatch| Denial::Mismatch { name: name.clone(), mismatch })?;
        let run = trust.workload.run(claims);
        Ok((trust, run))
    }

    /// The denial of an identity that the trust called `name` is not for.
    #[must_use]
    pub fn denied(name: &TrustName, reason: NotTrusted) -> Denial {
        Denial::NotTrusted { name: name.clone(), reason }
    }
}
