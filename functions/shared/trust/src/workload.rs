//! Workloads: how each platform says in a token who is running.
//!
//! Ids that never change are pinned, and decide whether a token is for the workload at all.
//! Names are for people: a repository that is renamed stays the same, and another one that
//! takes its name does not become it. Further details are checked after the ids, and only
//! then said to the caller.

mod aws;
mod aws_iam;
mod buildkite;
mod circleci;
mod entra;
mod github;
mod gitlab;
mod oidc;
mod people;
mod texts;

use serde::{Deserialize, Serialize};

use crate::claims::printable;
use crate::{Algorithm, Claims, IssuerUrl, Run};

pub use aws::AwsRole;
pub use aws_iam::AwsPrincipal;
pub use buildkite::{Buildkite, BuiltRef};
pub use circleci::CircleCi;
pub use entra::EntraApp;
pub use github::GitHub;
pub use gitlab::GitLab;
pub use oidc::{ClaimValue, Oidc, OidcError};
pub use people::People;
pub use texts::{
    AccountId, ArnOfRole, Event, File, NumericId, Plain, PrincipalId, ReusableWorkflow, TextError,
    Uuid, WorkflowFile,
};

/// A workload that keys are given to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum Workload {
    /// A workflow of GitHub Actions.
    GitHub(GitHub),
    /// A pipeline of GitLab.
    GitLab(GitLab),
    /// A pipeline of Buildkite.
    Buildkite(Buildkite),
    /// A project of `CircleCI`.
    CircleCi(CircleCi),
    /// An application or managed identity of Microsoft Entra, as in Azure Pipelines.
    Entra(EntraApp),
    /// A role of an AWS account, by its tokens.
    Aws(AwsRole),
    /// A role or user of an AWS account, by its signature.
    #[serde(rename = "aws-iam")]
    AwsIam(AwsPrincipal),
    /// A workload of any other issuer.
    Oidc(Oidc),
    /// People who sign in.
    People(People),
}

/// The rules of one platform.
trait Rules {
    /// The claims to keep in the log.
    fn logged(&self) -> Vec<&str>;

    /// The claims whose values are pinned.
    fn pins(&self) -> Vec<Pin<'_>>;

    /// Checks the claims that are not pinned.
    fn check(&self, iss: &IssuerUrl, claims: &Claims) -> Result<(), Mismatch>;
}

/// A claim and the value that it must have.
struct Pin<'a> {
    claim: &'a str,
    value: &'a str,
}

impl<'a> Pin<'a> {
    fn new(claim: &'a str, value: &'a str) -> Self {
        Self { claim, value }
    }
}

/// A difference between a token and the trust that it was presented to. Displayed, it follows
/// the words "the trust wants".
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{wanted}, the token has {}", shown(.found.as_deref()))]
pub struct Mismatch {
    wanted: String,
    found: Option<String>,
}

impl Mismatch {
    /// `kind` is the kind of thing that is wanted, such as "environment".
    fn new(kind: &str, wanted: &str, found: Option<&str>) -> Self {
        Self::said(format!("{kind} '{wanted}'"), found)
    }

    fn said(wanted: String, found: Option<&str>) -> Self {
        Self { wanted, found: found.map(printable) }
    }
}

fn shown(found: Option<&str>) -> String {
    found.map_or_else(|| "none".to_owned(), |found| format!("'{found}'"))
}

impl Workload {
    /// The name of its kind, as in the command `nuthatch trust add`.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::GitHub(_) => "github",
            Self::GitLab(_) => "gitlab",
            Self::Buildkite(_) => "buildkite",
            Self::CircleCi(_) => "circleci",
            Self::Entra(_) => "entra",
            Self::Aws(_) => "aws",
            Self::AwsIam(_) => "aws-iam",
            Self::Oidc(_) => "oidc",
            Self::People(_) => "people",
        }
    }

    /// The algorithms that tokens of its platform are signed with.
    #[must_use]
    pub fn algorithms(&self) -> &'static [Algorithm] {
        match self {
            Self::Aws(_) => &[Algorithm::Rs256, Algorithm::Es384],
            _ => &[Algorithm::Rs256],
        }
    }

    /// The pinned claim that is not the token's; `None` if the token is for this workload.
    #[must_use]
    pub fn other_identity(&self, claims: &Claims) -> Option<String> {
        if let Self::Aws(role) = self
            && !role.is_account_of(claims)
        {
            return Some("aws_account".to_owned());
        }
        if let Self::People(people) = self {
            return people.lacking(claims).map(str::to_owned);
        }
        let mut pins = self.rules().pins().into_iter();
        let other = pins.find(|pin| !claims.is(pin.claim, pin.value));
        other.map(|pin| pin.claim.to_owned())
    }

    /// Checks the details of a token that is for this workload.
    ///
    /// # Errors
    /// One is not as the trust wants it.
    pub fn check(&self, iss: &IssuerUrl, claims: &Claims) -> Result<(), Mismatch> {
        self.rules().check(iss, claims)
    }

    /// The run that a token is for.
    #[must_use]
    pub fn run(&self, claims: &Claims) -> Run {
        claims.run(self.rules().logged())
    }

    /// The kind of trust that tokens of the issuer `iss` have rules of their own in.
    #[must_use]
    pub fn kind_of_issuer(iss: &IssuerUrl) -> Option<&'static str> {
        match iss.host() {
            "token.actions.githubusercontent.com" => Some("github"),
            "gitlab.com" => Some("gitlab"),
            "agent.buildkite.com" => Some("buildkite"),
            "oidc.circleci.com" => Some("circleci"),
            // The tokens of Azure Pipelines themselves, which the last one issues, are for one
            // audience alone, and that is not the feed.
            "login.microsoftonline.com" | "sts.windows.net" | "vstoken.dev.azure.com" => {
                Some("entra")
            }
            "sts.amazonaws.com" => Some("aws-iam"),
            host if host.ends_with(".tokens.sts.global.api.aws") => Some("aws"),
            _ => None,
        }
    }

    fn rules(&self) -> &dyn Rules {
        match self {
            Self::GitHub(rules) => rules,
            Self::GitLab(rules) => rules,
            Self::Buildkite(rules) => rules,
            Self::CircleCi(rules) => rules,
            Self::Entra(rules) => rules,
            Self::Aws(rules) => rules,
            Self::AwsIam(rules) => rules,
            Self::Oidc(rules) => rules,
            Self::People(rules) => rules,
        }
    }
}
