//! The options of `nuthatch trust`.

use std::path::PathBuf;

use access::IdGlob;
use clap::{ArgGroup, Args, Subcommand};
use trust::{
    AccountId, Algorithm, ArnOfRole, ClaimValue, Event, File, GrantScope, IssuerUrl, KeyLifetime,
    NumericId, Plain, PrincipalId, RefGlob, ReusableWorkflow, SecureUrl, TrustName, Uuid,
    WorkflowFile,
};

use super::Place;

/// The actions on trusts.
#[derive(Debug, Subcommand)]
pub enum TrustAction {
    /// Trust a workload: it gets short-lived keys for its identity token
    #[command(subcommand)]
    Add(Box<NewTrust>),
    /// List the trusts
    List {
        /// Where the feed is.
        #[command(flatten)]
        place: Place,
    },
    /// Show a trust with everything that it wants of a workload
    Show {
        /// The trust's name
        name: TrustName,
        /// Where the feed is.
        #[command(flatten)]
        place: Place,
    },
    /// Show what got keys by a trust: each run, with the name of its key
    Log {
        /// The trust's name
        name: TrustName,
        /// Where the feed is.
        #[command(flatten)]
        place: Place,
    },
    /// Remove a trust, and revoke the keys that came of it
    Remove {
        /// The trust's name
        name: TrustName,
        /// Where the feed is.
        #[command(flatten)]
        place: Place,
    },
    /// Read the configuration and the keys of all issuers again, and say what is wrong
    Check {
        /// Where the feed is.
        #[command(flatten)]
        place: Place,
    },
    /// Judge the identity token on standard input, without spending it
    Try {
        /// The trust's name
        name: TrustName,
        /// The feed's address, which the token must be for [default: not checked]
        #[arg(long, value_name = "URL")]
        audience: Option<String>,
        /// Where the feed is.
        #[command(flatten)]
        place: Place,
    },
}

/// A workload to trust.
#[derive(Debug, Subcommand)]
pub enum NewTrust {
    /// A workflow of GitHub Actions
    Github(GithubOptions),
    /// A project of GitLab
    Gitlab(GitlabOptions),
    /// A pipeline of Buildkite
    Buildkite(BuildkiteOptions),
    /// A project of `CircleCI`.
    #[command(about = "A project of CircleCI")]
    Circleci(CircleciOptions),
    /// An application or managed identity of Microsoft Entra, as in Azure Pipelines
    Entra(EntraOptions),
    /// A role of an AWS account, by its web identity token
    Aws(AwsOptions),
    /// A role or user of an AWS account, by its signature: for accounts that issue no web
    /// identity tokens
    AwsIam(AwsIamOptions),
    /// A workload of any other issuer of `OpenID` Connect tokens.
    #[command(about = "A workload of any other issuer of OpenID Connect tokens")]
    Oidc(OidcOptions),
    /// The people of a company, who sign in with 'nuthatch login'; one trust of this kind at a
    /// time is offered to them, the last one that was added
    People(PeopleOptions),
}

/// The options that all trusts have.
#[derive(Debug, Args)]
pub struct TrustOptions {
    /// The name of the trust, which the workload gives as its user
    #[arg(long)]
    pub name: TrustName,
    /// The package ids that its keys are for; '*' matches any text (repeat for more)
    #[arg(long = "id", value_name = "GLOB", required = true)]
    pub ids: Vec<IdGlob>,
    /// Scope of its keys: push, unlist or read (repeat for more) [default: push, and read for
    /// people]
    #[arg(long = "scope", value_name = "SCOPE")]
    pub scopes: Vec<GrantScope>,
    /// How long its keys live: 5m to 1h; up to 12h if they only read [default: 15m, and 12h for
    /// people]
    #[arg(long)]
    pub lifetime: Option<KeyLifetime>,
    /// The audience that its tokens are for [default: the feed's address]
    #[arg(long)]
    pub audience: Option<String>,
    /// Where the feed is.
    #[command(flatten)]
    pub place: Place,
}

/// Where the tokens come from, if that is not the usual place.
#[derive(Debug, Args)]
pub struct IssuerOptions {
    /// The issuer may be in a private network
    #[arg(long)]
    pub private_issuer: bool,
    /// The address of its keys, if its configuration does not name it
    #[arg(long, value_name = "URL", conflicts_with = "jwks_file")]
    pub jwks_uri: Option<SecureUrl>,
    /// A file with its keys; nothing is fetched then
    #[arg(long, value_name = "FILE")]
    pub jwks_file: Option<PathBuf>,
    /// An algorithm that it signs with: RS256, ES256 or ES384 (repeat for more)
    /// [default: RS256]
    #[arg(long = "algorithm", value_name = "NAME")]
    pub algorithms: Vec<Algorithm>,
}

/// A workflow of GitHub Actions.
#[derive(Debug, Args)]
pub struct GithubOptions {
    /// The repository, like acme/core
    #[arg(long)]
    pub repository: Plain,
    /// Its workflow, by the name of its file in .github/workflows
    #[arg(long, value_name = "FILE")]
    pub workflow: WorkflowFile,
    /// The environment of its job; give that reviewers or branch rules
    #[arg(long)]
    pub environment: Option<Plain>,
    /// The git refs that it may run on; '*' matches any text
    #[arg(long = "ref", value_name = "GLOB")]
    pub reference: Option<RefGlob>,
    /// An event that may run it.
    #[arg(
        long = "event",
        value_name = "EVENT",
        help = "An event that may run it (repeat for more) \
                [default: push, release, workflow_dispatch and schedule]"
    )]
    pub events: Vec<Event>,
    /// The workflow that it calls to publish: owner/repository/.github/workflows/file@ref
    #[arg(long, value_name = "WORKFLOW")]
    pub reusable: Option<ReusableWorkflow>,
    /// It must run on machines of GitHub's.
    #[arg(long, help = "It must run on machines of GitHub")]
    pub hosted: bool,
    /// The repository's id [default: looked up]
    #[arg(long, value_name = "N", requires = "owner_id")]
    pub repository_id: Option<NumericId>,
    /// The id of its owner [default: looked up]
    #[arg(long, value_name = "N", requires = "repository_id")]
    pub owner_id: Option<NumericId>,
    /// The issuer of an enterprise or of a GitHub server [default: that of github.com]
    #[arg(long, value_name = "URL")]
    pub issuer: Option<IssuerUrl>,
    /// Where the tokens come from.
    #[command(flatten)]
    pub source: IssuerOptions,
    /// The options of all trusts.
    #[command(flatten)]
    pub trust: TrustOptions,
}

/// A project of GitLab.
#[derive(Debug, Args)]
pub struct GitlabOptions {
    /// The project, like acme/core
    #[arg(long)]
    pub project: Plain,
    /// The git refs that it may run on; '*' matches any text
    #[arg(long = "ref", value_name = "GLOB")]
    pub reference: Option<RefGlob>,
    /// The file that its pipeline begins with, such as .gitlab-ci.yml
    #[arg(long)]
    pub file: Option<File>,
    /// The environment of its job
    #[arg(long)]
    pub environment: Option<Plain>,
    /// It may run on refs that are not protected
    #[arg(long)]
    pub unprotected: bool,
    /// The project's id [default: looked up]
    #[arg(long, value_name = "N", requires = "namespace_id")]
    pub project_id: Option<NumericId>,
    /// The id of its namespace [default: looked up]
    #[arg(long, value_name = "N", requires = "project_id")]
    pub namespace_id: Option<NumericId>,
    /// The address of a GitLab server [default: that of gitlab.com]
    #[arg(long, value_name = "URL")]
    pub issuer: Option<IssuerUrl>,
    /// Where the tokens come from.
    #[command(flatten)]
    pub source: IssuerOptions,
    /// The options of all trusts.
    #[command(flatten)]
    pub trust: TrustOptions,
}

/// A pipeline of Buildkite.
#[derive(Debug, Args)]
pub struct BuildkiteOptions {
    /// The organization's id
    #[arg(long, value_name = "UUID")]
    pub organization_id: Uuid,
    /// The pipeline's id
    #[arg(long, value_name = "UUID")]
    pub pipeline_id: Uuid,
    /// The branch that it must build
    #[arg(long, conflicts_with = "tag")]
    pub branch: Option<Plain>,
    /// The tag that it must build
    #[arg(long)]
    pub tag: Option<Plain>,
    /// The options of all trusts.
    #[command(flatten)]
    pub trust: TrustOptions,
}

/// A project of `CircleCI`.
#[derive(Debug, Args)]
pub struct CircleciOptions {
    /// The organization's id
    #[arg(long, value_name = "UUID")]
    pub organization_id: Uuid,
    /// The project's id
    #[arg(long, value_name = "UUID")]
    pub project_id: Uuid,
    /// The repository whose code it runs, like github.com/acme/core
    #[arg(long, value_name = "REPOSITORY")]
    pub vcs_origin: Plain,
    /// The git ref that it must run on
    #[arg(long, value_name = "REF")]
    pub vcs_ref: Option<Plain>,
    /// The options of all trusts.
    #[command(flatten)]
    pub trust: TrustOptions,
}

/// An application or managed identity of Microsoft Entra. Its tokens are for an application
/// of the feed.
#[derive(Debug, Args)]
pub struct EntraOptions {
    /// The tenant's id
    #[arg(long, value_name = "UUID")]
    pub tenant: Uuid,
    /// The object id of its service principal
    #[arg(long, value_name = "UUID")]
    pub object_id: Uuid,
    /// The options of all trusts.
    #[command(flatten)]
    pub trust: TrustOptions,
}

/// A role of an AWS account.
#[derive(Debug, Args)]
pub struct AwsOptions {
    /// The account's issuer.
    #[arg(
        long,
        value_name = "URL",
        help = "The account's issuer: https://ID.tokens.sts.global.api.aws"
    )]
    pub issuer: IssuerUrl,
    /// The role
    #[arg(long, value_name = "ARN")]
    pub role: ArnOfRole,
    /// The options of all trusts.
    #[command(flatten)]
    pub trust: TrustOptions,
}

/// A role or user of an AWS account.
#[derive(Debug, Args)]
pub struct AwsIamOptions {
    /// The number of the account
    #[arg(long, value_name = "NUMBER")]
    pub account: AccountId,
    /// The id of the role (AROA…) or user (AIDA…), which is not its name
    #[arg(long, value_name = "ID")]
    pub principal_id: PrincipalId,
    /// The options of all trusts.
    #[command(flatten)]
    pub trust: TrustOptions,
}

/// A workload of any other issuer.
#[derive(Debug, Args)]
pub struct OidcOptions {
    /// The issuer
    #[arg(long, value_name = "URL")]
    pub issuer: IssuerUrl,
    /// A claim of the workload's tokens.
    #[arg(
        long = "claim",
        value_name = "NAME=VALUE",
        required = true,
        help = "A claim of the workload's tokens, like project_id=74 (repeat for more)"
    )]
    pub claims: Vec<ClaimValue>,
    /// Where the tokens come from.
    #[command(flatten)]
    pub source: IssuerOptions,
    /// The options of all trusts.
    #[command(flatten)]
    pub trust: TrustOptions,
}

/// The people of a company.
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("which").required(true).args(["claims", "everyone"])))]
pub struct PeopleOptions {
    /// The issuer
    #[arg(long, value_name = "URL")]
    pub issuer: IssuerUrl,
    /// The id of the client that the issuer has for this: a public one, with the device flow
    #[arg(long, value_name = "ID")]
    pub client_id: Plain,
    /// A claim of their tokens.
    #[arg(
        long = "claim",
        value_name = "NAME=VALUE",
        help = "A claim of their tokens, like groups=developers (repeat for more)"
    )]
    pub claims: Vec<ClaimValue>,
    /// Everyone whom the issuer knows
    #[arg(long)]
    pub everyone: bool,
    /// Where the tokens come from.
    #[command(flatten)]
    pub source: IssuerOptions,
    /// The options of all trusts.
    #[command(flatten)]
    pub trust: TrustOptions,
}
