//! `nuthatch trust add`: pins a workload by ids that never change.

use std::io::{self, Write};

use store::{TrustAdded, timestamp};
use trust::{
    Algorithm, AwsPrincipal, AwsRole, Buildkite, BuiltRef, CircleCi, EntraApp, GitHub, GitLab,
    Grant, GrantScope, Issuer, IssuerUrl, KeyLifetime, KeySource, Oidc, People, SecureUrl, Trust,
    Workload,
};
use ulid::Ulid;

use super::{TrustError, forge, issuer_client};
use crate::columns::listed;
use crate::command::{
    AwsIamOptions, AwsOptions, BuildkiteOptions, CircleciOptions, EntraOptions, GithubOptions,
    GitlabOptions, IssuerOptions, NewTrust, OidcOptions, PeopleOptions, TrustOptions,
};

/// A workload with all that a trust in it needs.
struct Wanted {
    workload: Workload,
    iss: IssuerUrl,
    source: IssuerOptions,
    options: TrustOptions,
}

pub(super) async fn run(new: NewTrust) -> Result<(), TrustError> {
    let wanted = match new {
        NewTrust::Github(options) => github(options).await?,
        NewTrust::Gitlab(options) => gitlab(options).await?,
        NewTrust::Buildkite(options) => buildkite(options),
        NewTrust::Circleci(options) => circleci(options),
        NewTrust::Entra(options) => entra(options)?,
        NewTrust::Aws(options) => aws(options)?,
        NewTrust::AwsIam(options) => aws_iam(options)?,
        NewTrust::Oidc(options) => oidc(options)?,
        NewTrust::People(options) => people(options)?,
    };
    let issuer = issuer(&wanted).await?;
    let Wanted { workload, iss, options, .. } = wanted;
    let TrustOptions { name, ids, scopes, lifetime, audience, place } = options;
    let table = place.existing_table().await?;
    let trust = Trust {
        grant: Grant::new(scopes, ids, lifetime.unwrap_or_default())?,
        name,
        iss,
        audience,
        workload,
        revision: Ulid::new(),
        created: timestamp(),
        created_by: Some(place.operator().await),
        removed: None,
        removed_by: None,
    };
    match table.add_trust(&trust, &issuer).await? {
        TrustAdded::Done => tell(&trust)?,
        TrustAdded::NameTaken => return Err(TrustError::NameTaken(trust.name)),
        TrustAdded::IssuerDiffers => return Err(TrustError::IssuerDiffers(trust.iss)),
    }
    Ok(())
}

fn tell(trust: &Trust) -> io::Result<()> {
    let grant = &trust.grant;
    let mut stderr = io::stderr();
    writeln!(
        stderr,
        "Trusts {}: it gets keys for {} ({}) that live {}.",
        described(&trust.workload),
        listed(grant.ids()),
        listed(grant.scopes()),
        grant.lifetime()
    )?;
    if let Workload::People(_) = trust.workload {
        writeln!(stderr, "They run 'nuthatch login FEED'; see docs/sign-in.md.")?;
    } else {
        let name = &trust.name;
        writeln!(stderr, "It gives '{name}' as its user; see docs/trusted-publishing.md.")?;
    }
    if let Some(warning) = warning(&trust.workload) {
        writeln!(stderr, "Warning: {warning}")?;
    }
    Ok(())
}

fn described(workload: &Workload) -> String {
    match workload {
        Workload::GitHub(of) => format!(
            "the workflow {} of {} (repository {}, owner {})",
            of.workflow, of.repository, of.repository_id, of.owner_id
        ),
        Workload::GitLab(of) => format!(
            "pipelines of {} (project {}, namespace {})",
            of.project, of.project_id, of.namespace_id
        ),
        Workload::Buildkite(of) => format!("the pipeline {}", of.pipeline_id),
        Workload::CircleCi(of) => format!("the project {}", of.project_id),
        Workload::Entra(of) => format!("the service principal {}", of.object_id),
        Workload::Aws(of) => format!("the role {}", of.role),
        Workload::AwsIam(of) => format!("{} of the account {}", of.principal_id, of.account),
        Workload::People(of) => format!("people who sign in as the client {}", of.client_id),
        Workload::Oidc(_) => "the workload with these claims".to_owned(),
    }
}

fn warning(workload: &Workload) -> Option<&'static str> {
    match workload {
        Workload::GitHub(GitHub { environment: None, reference: None, .. }) => Some(
            "whoever may push a branch of the repository can publish; name an --environment that has reviewers, or a --ref that is protected",
        ),
        Workload::GitLab(GitLab { unprotected: true, reference: None, .. }) => Some(
            "whoever may push a branch of the project can publish; name a --ref that is protected",
        ),
        Workload::Buildkite(Buildkite { built: None, .. }) => {
            Some("whoever may start a build of the pipeline can publish, from any branch")
        }
        Workload::CircleCi(CircleCi { vcs_ref: None, .. }) => {
            Some("whoever may push a branch of the repository can publish; name a --vcs-ref")
        }
        _ => None,
    }
}

/// The issuer, with the place that its keys come from.
async fn issuer(wanted: &Wanted) -> Result<Issuer, TrustError> {
    let Wanted { workload, iss, source, .. } = wanted;
    let algorithms: Vec<Algorithm> = if source.algorithms.is_empty() {
        workload.algorithms().to_vec()
    } else {
        source.algorithms.clone()
    };
    let keys = match &source.jwks_file {
        // AWS is asked itself.
        _ if matches!(workload, Workload::AwsIam(_)) => KeySource::Given { keys: Vec::new() },
        Some(path) => {
            let wrong = |reason: String| TrustError::KeyFile { path: path.clone(), reason };
            let document = std::fs::read(path).map_err(|error| wrong(error.to_string()))?;
            let keys = trust::public_keys(&document);
            KeySource::Given { keys: keys.map_err(|error| wrong(error.to_string()))? }
        }
        None => published(iss, source).await?,
    };
    Ok(Issuer { iss: iss.clone(), algorithms, keys })
}

/// Finds the keys that an issuer publishes, and reads them once: a mistake shows here, and
/// not when a workload needs a key.
async fn published(iss: &IssuerUrl, source: &IssuerOptions) -> Result<KeySource, TrustError> {
    let (client, private) = (issuer_client(), source.private_issuer);
    let jwks_uri: SecureUrl = match &source.jwks_uri {
        Some(given) => given.clone(),
        None => client.jwks_uri(iss, private).await?,
    };
    client.keys(&jwks_uri, private).await?;
    Ok(KeySource::Published { jwks_uri, private })
}

async fn github(options: GithubOptions) -> Result<Wanted, TrustError> {
    let iss = options.issuer.unwrap_or_else(GitHub::issuer);
    of_kind(&iss, "github")?;
    let ids = match options.repository_id.zip(options.owner_id) {
        Some((of, of_owner)) => forge::Ids { of, of_owner },
        None => forge::github(&iss, &options.repository, options.source.private_issuer).await?,
    };
    let events = if options.events.is_empty() {
        GitHub::EVENTS.iter().filter_map(|event| event.parse().ok()).collect()
    } else {
        options.events
    };
    let workload = Workload::GitHub(GitHub {
        repository: options.repository,
        repository_id: ids.of,
        owner_id: ids.of_owner,
        workflow: options.workflow,
        environment: options.environment,
        reference: options.reference,
        events,
        reusable: options.reusable,
        hosted: options.hosted,
    });
    Ok(Wanted { workload, iss, source: options.source, options: options.trust })
}

async fn gitlab(options: GitlabOptions) -> Result<Wanted, TrustError> {
    let iss = options.issuer.unwrap_or_else(GitLab::issuer);
    of_kind(&iss, "gitlab")?;
    let ids = match options.project_id.zip(options.namespace_id) {
        Some((of, of_owner)) => forge::Ids { of, of_owner },
        None => forge::gitlab(&iss, &options.project, options.source.private_issuer).await?,
    };
    let workload = Workload::GitLab(GitLab {
        project: options.project,
        project_id: ids.of,
        namespace_id: ids.of_owner,
        reference: options.reference,
        file: options.file,
        environment: options.environment,
        unprotected: options.unprotected,
    });
    Ok(Wanted { workload, iss, source: options.source, options: options.trust })
}

fn buildkite(options: BuildkiteOptions) -> Wanted {
    let BuildkiteOptions { organization_id, pipeline_id, branch, tag, trust } = options;
    let built = branch.map(BuiltRef::Branch).or(tag.map(BuiltRef::Tag));
    let workload = Workload::Buildkite(Buildkite { organization_id, pipeline_id, built });
    usual(workload, Buildkite::issuer(), trust)
}

fn circleci(options: CircleciOptions) -> Wanted {
    let CircleciOptions { organization_id, project_id, vcs_origin, vcs_ref, trust } = options;
    let iss = CircleCi::issuer(&organization_id);
    usual(Workload::CircleCi(CircleCi { project_id, vcs_origin, vcs_ref }), iss, trust)
}

fn entra(options: EntraOptions) -> Result<Wanted, TrustError> {
    let EntraOptions { tenant, object_id, trust } = options;
    if trust.audience.is_none() {
        return Err(TrustError::NoAudience);
    }
    let iss = EntraApp::issuer(&tenant);
    Ok(usual(Workload::Entra(EntraApp { tenant, object_id }), iss, trust))
}

fn aws(options: AwsOptions) -> Result<Wanted, TrustError> {
    let AwsOptions { issuer, role, trust } = options;
    if Workload::kind_of_issuer(&issuer) != Some("aws") {
        return Err(TrustError::NotOfKind { iss: issuer, kind: "aws" });
    }
    Ok(usual(Workload::Aws(AwsRole { role }), issuer, trust))
}

fn aws_iam(options: AwsIamOptions) -> Result<Wanted, TrustError> {
    let AwsIamOptions { account, principal_id, trust } = options;
    let workload = Workload::AwsIam(AwsPrincipal { account, principal_id });
    Ok(usual(workload, AwsPrincipal::ISSUER.parse()?, trust))
}

fn oidc(options: OidcOptions) -> Result<Wanted, TrustError> {
    let OidcOptions { issuer, claims, source, trust } = options;
    if let Some(kind) = Workload::kind_of_issuer(&issuer) {
        return Err(TrustError::HasRules { iss: issuer, kind });
    }
    let workload = Workload::Oidc(Oidc::new(claims)?);
    Ok(Wanted { workload, iss: issuer, source, options: trust })
}

fn people(options: PeopleOptions) -> Result<Wanted, TrustError> {
    let PeopleOptions { issuer, client_id, claims, source, mut trust, .. } = options;
    match Workload::kind_of_issuer(&issuer) {
        // Entra has people, too.
        None | Some("entra") => {}
        Some(kind) => return Err(TrustError::HasRules { iss: issuer, kind }),
    }
    if trust.scopes.is_empty() {
        trust.scopes.push(GrantScope::Read);
    }
    if trust.scopes == [GrantScope::Read] {
        trust.lifetime.get_or_insert_with(KeyLifetime::of_people);
    }
    if let Some(audience) = trust.audience.replace(client_id.to_string()) {
        return Err(TrustError::AudienceOfPeople { audience, client_id });
    }
    let workload = Workload::People(People { client_id, claims });
    Ok(Wanted { workload, iss: issuer, source, options: trust })
}

/// A workload of an issuer that is where it always is.
fn usual(workload: Workload, iss: IssuerUrl, options: TrustOptions) -> Wanted {
    let source = IssuerOptions {
        private_issuer: false,
        jwks_uri: None,
        jwks_file: None,
        algorithms: Vec::new(),
    };
    Wanted { workload, iss, source, options }
}

/// Refuses an issuer whose tokens are of another kind.
fn of_kind(iss: &IssuerUrl, kind: &'static str) -> Result<(), TrustError> {
    match Workload::kind_of_issuer(iss) {
        Some(other) if other != kind => Err(TrustError::NotOfKind { iss: iss.clone(), kind }),
        _ => Ok(()),
    }
}
