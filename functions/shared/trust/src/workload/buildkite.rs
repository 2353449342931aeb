//! Buildkite. Its tokens name ids only where they are asked for:
//! `buildkite-agent oidc request-token --claim organization_id,pipeline_id`.
//! <https://buildkite.com/docs/agent/cli/reference/oidc>

use serde::{Deserialize, Serialize};

use super::{Mismatch, Pin, Plain, Rules, Uuid};
use crate::{Claims, IssuerUrl};

/// A pipeline of Buildkite.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Buildkite {
    /// The organization's id.
    pub organization_id: Uuid,
    /// The pipeline's id.
    pub pipeline_id: Uuid,
    /// The branch or tag that it must build. Whoever may start a build chooses it.
    pub built: Option<BuiltRef>,
}

/// The branch or the tag that a build is of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BuiltRef {
    /// A branch.
    Branch(Plain),
    /// A tag.
    Tag(Plain),
}

impl Buildkite {
    /// The issuer of all organizations.
    #[must_use]
    pub fn issuer() -> IssuerUrl {
        IssuerUrl::known("https://agent.buildkite.com".to_owned())
    }
}

impl Rules for Buildkite {
    fn logged(&self) -> Vec<&str> {
        vec![
            "organization_slug",
            "pipeline_slug",
            "build_branch",
            "build_tag",
            "build_commit",
            "job_id",
        ]
    }

    fn pins(&self) -> Vec<Pin<'_>> {
        vec![
            Pin::new("organization_id", self.organization_id.as_str()),
            Pin::new("pipeline_id", self.pipeline_id.as_str()),
        ]
    }

    fn check(&self, _: &IssuerUrl, claims: &Claims) -> Result<(), Mismatch> {
        let (kind, claim, wanted) = match &self.built {
            None => return Ok(()),
            Some(BuiltRef::Branch(branch)) => ("branch", "build_branch", branch),
            Some(BuiltRef::Tag(tag)) => ("tag", "build_tag", tag),
        };
        if claims.is(claim, wanted.as_str()) {
            return Ok(());
        }
        Err(Mismatch::new(kind, wanted.as_str(), claims.text(claim)))
    }
}
