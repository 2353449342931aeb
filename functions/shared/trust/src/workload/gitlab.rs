//! GitLab.
//! <https://docs.gitlab.com/ci/secrets/id_token_authentication/>

use serde::{Deserialize, Serialize};

use super::{File, Mismatch, NumericId, Pin, Plain, Rules};
use crate::{Claims, IssuerUrl, RefGlob};

/// A project of GitLab.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GitLab {
    /// The project's path when the trust was made.
    pub project: Plain,
    /// The project's id.
    pub project_id: NumericId,
    /// The id of its namespace.
    pub namespace_id: NumericId,
    /// The refs that it may run on.
    #[serde(rename = "ref")]
    pub reference: Option<RefGlob>,
    /// The file that its pipeline begins with.
    pub file: Option<File>,
    /// The environment that its job names.
    pub environment: Option<Plain>,
    /// Whether it may run on a ref that everybody may push to.
    pub unprotected: bool,
}

impl GitLab {
    /// The issuer of gitlab.com.
    #[must_use]
    pub fn issuer() -> IssuerUrl {
        IssuerUrl::known("https://gitlab.com".to_owned())
    }
}

/// The ref that a pipeline runs on, whole.
fn reference(claims: &Claims) -> Option<String> {
    if let Some(path) = claims.text("ref_path") {
        return Some(path.to_owned());
    }
    let name = claims.text("ref")?;
    match claims.text("ref_type")? {
        "branch" => Some(format!("refs/heads/{name}")),
        "tag" => Some(format!("refs/tags/{name}")),
        _ => None,
    }
}

impl Rules for GitLab {
    fn logged(&self) -> Vec<&str> {
        vec![
            "project_path",
            "ref",
            "ref_path",
            "sha",
            "pipeline_id",
            "job_id",
            "user_login",
            "environment",
            "pipeline_source",
        ]
    }

    fn pins(&self) -> Vec<Pin<'_>> {
        vec![
            Pin::new("project_id", self.project_id.as_str()),
            Pin::new("namespace_id", self.namespace_id.as_str()),
        ]
    }

    fn check(&self, iss: &IssuerUrl, claims: &Claims) -> Result<(), Mismatch> {
        // Pipelines of merge requests from forks run in the project, on the fork's code.
        let job_project = claims.text("job_project_id");
        if claims.get("job_project_id").is_some() && job_project != Some(self.project_id.as_str()) {
            return Err(Mismatch::new("its job in project", self.project_id.as_str(), job_project));
        }
        let source = claims.text("pipeline_source");
        if matches!(source, Some("merge_request_event" | "external_pull_request_event")) {
            return Err(Mismatch::said("a source other than merge requests".to_owned(), source));
        }
        let protected = claims.text("ref_protected");
        if !self.unprotected && protected != Some("true") {
            return Err(Mismatch::new("ref_protected", "true", protected));
        }
        let found = reference(claims);
        if let Some(wanted) = &self.reference
            && !found.as_deref().is_some_and(|found| wanted.matches(found))
        {
            return Err(Mismatch::new("ref", &wanted.to_string(), found.as_deref()));
        }
        if let Some(file) = &self.file {
            let project = claims.text("project_path").unwrap_or_default();
            let at = found.unwrap_or_default();
            let wanted = format!("{}/{project}//{file}@{at}", iss.authority());
            let found = claims.text("ci_config_ref_uri");
            if found != Some(wanted.as_str()) {
                return Err(Mismatch::new("file", file.as_str(), found));
            }
        }
        let environment = claims.text("environment");
        match &self.environment {
            Some(wanted) if environment != Some(wanted.as_str()) => {
                Err(Mismatch::new("environment", wanted.as_str(), environment))
            }
            _ => Ok(()),
        }
    }
}
