//! GitHub Actions.
//! <https://docs.github.com/en/actions/reference/security/oidc>

use serde::{Deserialize, Serialize};

use super::{Event, Mismatch, NumericId, Pin, Plain, ReusableWorkflow, Rules, WorkflowFile};
use crate::{Claims, IssuerUrl, RefGlob};

/// A workflow of a repository on GitHub. `sub` is not looked at: its form differs from
/// repository to repository, and over time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GitHub {
    /// The repository's name when the trust was made.
    pub repository: Plain,
    /// The repository's id.
    pub repository_id: NumericId,
    /// The id of its owner: a repository that is transferred is no longer trusted.
    pub owner_id: NumericId,
    /// The workflow whose run publishes.
    pub workflow: WorkflowFile,
    /// The environment that its job names.
    pub environment: Option<Plain>,
    /// The refs that it may run on.
    #[serde(rename = "ref")]
    pub reference: Option<RefGlob>,
    /// The events that may run it.
    pub events: Vec<Event>,
    /// The workflow that it may call to publish, in place of publishing itself.
    pub reusable: Option<ReusableWorkflow>,
    /// Whether it must run on a machine of GitHub's.
    pub hosted: bool,
}

impl GitHub {
    /// The issuer of github.com.
    #[must_use]
    pub fn issuer() -> IssuerUrl {
        IssuerUrl::known("https://token.actions.githubusercontent.com".to_owned())
    }

    /// The events that run the code of the repository itself.
    pub const EVENTS: [&'static str; 4] = ["push", "release", "workflow_dispatch", "schedule"];

    /// The workflow that was triggered, and the one that the job is in. They differ if one
    /// calls the other: the first alone would give the identity to every workflow that it
    /// calls, the second alone to every workflow that calls it.
    fn check_workflow(&self, claims: &Claims) -> Result<(), Mismatch> {
        let triggered = claims.text("workflow_ref");
        let folder =
            format!("{}/.github/workflows/", claims.text("repository").unwrap_or_default());
        // Rebuilt from the claims, as neither a file nor a ref is free of '@'.
        let is_at = |claim: &str| {
            let at = claims.text(claim).filter(|at| !at.is_empty());
            at.is_some_and(|at| {
                triggered == Some(format!("{folder}{}@{at}", self.workflow).as_str())
            })
        };
        let has_no_ref = claims.text("ref").is_none_or(str::is_empty);
        if !(is_at("ref") || has_no_ref && is_at("sha")) {
            let file = triggered.map(|path| file_of(path, &folder, claims.text("ref")));
            return Err(Mismatch::new("workflow", self.workflow.as_str(), file));
        }
        let running = claims.text("job_workflow_ref");
        let wanted = self.reusable.as_ref().map(ReusableWorkflow::as_str).or(triggered);
        if running == wanted {
            return Ok(());
        }
        let wanted = self.reusable.as_ref().map_or(self.workflow.as_str(), |path| path.as_str());
        Err(Mismatch::new("its job in workflow", wanted, running))
    }
}

/// The name of a workflow's file where `path` is of the usual form; the whole path otherwise.
fn file_of<'a>(path: &'a str, folder: &str, reference: Option<&str>) -> &'a str {
    let file = path.strip_prefix(folder).and_then(|rest| {
        let rest = rest.strip_suffix(reference?)?;
        rest.strip_suffix('@')
    });
    file.unwrap_or(path)
}

impl Rules for GitHub {
    fn logged(&self) -> Vec<&str> {
        vec![
            "repository",
            "ref",
            "sha",
            "run_id",
            "run_attempt",
            "actor",
            "environment",
            "event_name",
            "workflow_ref",
        ]
    }

    fn pins(&self) -> Vec<Pin<'_>> {
        vec![
            Pin::new("repository_id", self.repository_id.as_str()),
            Pin::new("repository_owner_id", self.owner_id.as_str()),
        ]
    }

    fn check(&self, _: &IssuerUrl, claims: &Claims) -> Result<(), Mismatch> {
        self.check_workflow(claims)?;
        if let Some(wanted) = &self.environment {
            let found = claims.text("environment");
            if !found.is_some_and(|found| found.eq_ignore_ascii_case(wanted.as_str())) {
                return Err(Mismatch::new("environment", wanted.as_str(), found));
            }
        }
        if let Some(wanted) = &self.reference {
            let found = claims.text("ref");
            if !found.is_some_and(|found| wanted.matches(found)) {
                return Err(Mismatch::new("ref", &wanted.to_string(), found));
            }
        }
        let event = claims.text("event_name");
        if !self.events.iter().any(|allowed| Some(allowed.as_str()) == event) {
            let allowed: Vec<&str> = self.events.iter().map(Event::as_str).collect();
            return Err(Mismatch::new("event", &allowed.join("' or '"), event));
        }
        let runner = claims.text("runner_environment");
        if self.hosted && runner != Some("github-hosted") {
            return Err(Mismatch::new("runner", "github-hosted", runner));
        }
        Ok(())
    }
}
