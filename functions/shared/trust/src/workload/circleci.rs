//! `CircleCI`.
//! <https://circleci.com/docs/openid-connect-tokens/>

use serde::{Deserialize, Serialize};

use super::{Mismatch, Pin, Plain, Rules, Uuid};
use crate::{Claims, IssuerUrl};

/// A project of `CircleCI`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CircleCi {
    /// The project's id. The organization's is in the issuer.
    pub project_id: Uuid,
    /// The repository whose code it must run, and not a fork's: `github.com/acme/core`.
    pub vcs_origin: Plain,
    /// The ref that it must run on.
    pub vcs_ref: Option<Plain>,
}

impl CircleCi {
    /// The issuer of an organization.
    #[must_use]
    pub fn issuer(organization: &Uuid) -> IssuerUrl {
        IssuerUrl::known(format!("https://oidc.circleci.com/org/{organization}"))
    }
}

const PROJECT: &str = "oidc.circleci.com/project-id";
const ORIGIN: &str = "oidc.circleci.com/vcs-origin";
const REF: &str = "oidc.circleci.com/vcs-ref";
const RERUN: &str = "oidc.circleci.com/ssh-rerun";

impl Rules for CircleCi {
    fn logged(&self) -> Vec<&str> {
        vec![ORIGIN, REF, "oidc.circleci.com/workflow-id", "oidc.circleci.com/job-id"]
    }

    fn pins(&self) -> Vec<Pin<'_>> {
        vec![Pin::new(PROJECT, self.project_id.as_str())]
    }

    fn check(&self, _: &IssuerUrl, claims: &Claims) -> Result<(), Mismatch> {
        if !claims.is(ORIGIN, self.vcs_origin.as_str()) {
            let found = claims.text(ORIGIN);
            return Err(Mismatch::new("vcs-origin", self.vcs_origin.as_str(), found));
        }
        if let Some(wanted) = &self.vcs_ref
            && !claims.is(REF, wanted.as_str())
        {
            return Err(Mismatch::new("vcs-ref", wanted.as_str(), claims.text(REF)));
        }
        // Somebody may be logged in to the machine.
        let rerun = claims.get(RERUN);
        if rerun.and_then(serde_json::Value::as_bool) == Some(false) {
            return Ok(());
        }
        let found = rerun.map(ToString::to_string);
        Err(Mismatch::new("ssh-rerun", "false", found.as_deref()))
    }
}
