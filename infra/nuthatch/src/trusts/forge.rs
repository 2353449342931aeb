//! The ids behind the names of repositories and projects, as the forges' APIs give them.

use serde_json::Value;
use trust::{IssuerUrl, NumericId, Plain};

use super::{TrustError, issuer_client};

/// The ids of a repository or project, and of its owner.
pub(super) struct Ids {
    pub(super) of: NumericId,
    pub(super) of_owner: NumericId,
}

/// The ids of a repository on GitHub.
/// <https://docs.github.com/en/rest/repos/repos#get-a-repository>
pub(super) async fn github(
    iss: &IssuerUrl,
    repository: &Plain,
    private: bool,
) -> Result<Ids, TrustError> {
    // A server of its own has its API below its address.
    let api = match iss.as_str().strip_suffix("/_services/token") {
        Some(server) => format!("{server}/api/v3"),
        None => "https://api.github.com".to_owned(),
    };
    let failed = |reason: String| TrustError::Lookup {
        subject: repository.to_string(),
        reason,
        remedy: format!(
            "give --repository-id and --owner-id, which this prints: gh api repos/{repository} --jq '.id,.owner.id'"
        ),
    };
    let document = issuer_client().document(&format!("{api}/repos/{repository}"), private).await;
    let document = document.map_err(|error| failed(error.to_string()))?;
    ids(&document, "owner").ok_or_else(|| failed("the answer has no ids".to_owned()))
}

/// The ids of a project on GitLab.
/// <https://docs.gitlab.com/api/projects/#get-a-single-project>
pub(super) async fn gitlab(
    iss: &IssuerUrl,
    project: &Plain,
    private: bool,
) -> Result<Ids, TrustError> {
    let path = project.as_str().replace('/', "%2F");
    let failed = |reason: String| TrustError::Lookup {
        subject: project.to_string(),
        reason,
        remedy: format!(
            "give --project-id and --namespace-id, which this prints: glab api projects/{path} | jq '.id,.namespace.id'"
        ),
    };
    let document =
        issuer_client().document(&format!("{iss}/api/v4/projects/{path}"), private).await;
    let document = document.map_err(|error| failed(error.to_string()))?;
    ids(&document, "namespace").ok_or_else(|| failed("the answer has no ids".to_owned()))
}

fn ids(document: &[u8], owner: &str) -> Option<Ids> {
    let document: Value = serde_json::from_slice(document).ok()?;
    let id = |of: &Value| of.get("id")?.as_u64()?.to_string().parse().ok();
    Some(Ids { of: id(&document)?, of_owner: id(document.get(owner)?)? })
}
