//! `nuthatch trust`: the workloads that get keys for their identity tokens.

mod add;
mod forge;

use std::io::{self, Read, Write};
use std::path::PathBuf;

use issuers::{FetchError, IssuerClient};
use protocol::with_causes;
use serde_json::Value;
use store::{Table, TableError, TrustUse};
use time::OffsetDateTime;
use token::{ExchangeError, Token};
use trust::{Issuer, IssuerUrl, KeySource, Plain, Trust, TrustName};

use crate::columns::{columns, day, listed};
use crate::command::TrustAction;
use crate::place::PlaceError;

/// A trust command failed.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// There is no feed in the place that was named.
    #[error(transparent)]
    Place(#[from] PlaceError),
    /// The table does not answer.
    #[error("{}", with_causes(.0))]
    Table(#[from] TableError),
    /// The name is taken.
    #[error("there is a trust '{0}' already; choose another name (a removed trust keeps its name)")]
    NameTaken(TrustName),
    /// There is no such trust.
    #[error("there is no trust '{0}'; see 'nuthatch trust list'")]
    NoSuchTrust(TrustName),
    /// The issuer is known, with other keys or algorithms.
    #[error(
        "the issuer {0} is known with other keys or algorithms; use the same options as in the trusts that it has, or run 'nuthatch trust check' if it has moved its keys"
    )]
    IssuerDiffers(IssuerUrl),
    /// The trust would grant too much, or nothing.
    #[error(transparent)]
    Grant(#[from] trust::GrantError),
    /// The claims do not make a workload.
    #[error(transparent)]
    Claims(#[from] trust::OidcError),
    /// The issuer has rules of its own.
    #[error("tokens of {iss} have rules of their own; use 'nuthatch trust add {kind}'")]
    HasRules {
        /// The issuer.
        iss: IssuerUrl,
        /// The kind of trust.
        kind: &'static str,
    },
    /// The issuer is not an address.
    #[error(transparent)]
    IssuerUrl(#[from] trust::IssuerUrlError),
    /// The issuer is not of that kind.
    #[error("{iss} does not issue the tokens of {kind}; check --issuer")]
    NotOfKind {
        /// The issuer.
        iss: IssuerUrl,
        /// The kind of trust.
        kind: &'static str,
    },
    /// An Entra token is for an application.
    #[error("the tokens of Entra are for an application of the feed; name its id with --audience")]
    NoAudience,
    /// The tokens of people are for their client.
    #[error(
        "the tokens of people are for the client '{client_id}'; leave out --audience '{audience}'"
    )]
    AudienceOfPeople {
        /// The audience.
        audience: String,
        /// The client.
        client_id: Plain,
    },
    /// A document of the issuer cannot be used.
    #[error(transparent)]
    Issuer(#[from] FetchError),
    /// The file of keys cannot be used.
    #[error("cannot use the keys in '{}': {reason}", .path.display())]
    KeyFile {
        /// The file.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
    /// An id cannot be looked up.
    #[error("cannot look up {subject} ({reason}); {remedy}")]
    Lookup {
        /// The repository or project.
        subject: String,
        /// Why not.
        reason: String,
        /// The options to give, and how to find their values.
        remedy: String,
    },
    /// The token is refused.
    #[error("check {check} fails: {error}{}", .error.hidden_words())]
    Refused {
        /// The number of the check.
        check: u8,
        /// The refusal.
        error: ExchangeError,
    },
    /// Issuers cannot be used.
    #[error("{0} issuers cannot be used as they are")]
    Issuers(usize),
    /// Input or output fails.
    #[error("cannot read the input or write the output: {0}")]
    Output(#[from] io::Error),
}

/// Runs a trust command.
///
/// # Errors
/// The command failed.
pub async fn run(action: TrustAction) -> Result<(), TrustError> {
    match action {
        TrustAction::Add(new) => add::run(*new).await?,
        TrustAction::List { place } => {
            let trusts = place.existing_table().await?.trusts().await?;
            write!(io::stdout(), "{}", listing(&trusts))?;
        }
        TrustAction::Show { name, place } => {
            let trust = found(&place.existing_table().await?, &name).await?;
            write!(io::stdout(), "{}", columns(&details(&trust)))?;
        }
        TrustAction::Log { name, place } => {
            let table = place.existing_table().await?;
            found(&table, &name).await?;
            write!(io::stdout(), "{}", log(&table.uses_of(&name).await?))?;
        }
        TrustAction::Remove { name, place } => {
            let now = OffsetDateTime::now_utc().unix_timestamp();
            let table = place.existing_table().await?;
            let by = place.operator().await;
            let revoked = table.remove_trust(&name, now, &by).await?;
            let revoked = revoked.ok_or_else(|| TrustError::NoSuchTrust(name.clone()))?;
            writeln!(
                io::stderr(),
                "Removed the trust '{name}', and revoked its keys that had not expired: {revoked}. \
                 They stop working within a minute."
            )?;
        }
        TrustAction::Check { place } => check(&place.existing_table().await?).await?,
        TrustAction::Try { name, audience, place } => {
            let mut token = String::new();
            io::stdin().take(64 * 1024).read_to_string(&mut token)?;
            let table = place.existing_table().await?;
            let token = token.trim().to_owned();
            try_token(table, &name, &token, audience.as_deref()).await?;
        }
    }
    Ok(())
}

async fn found(table: &Table, name: &TrustName) -> Result<Trust, TrustError> {
    let found = table.trust(name).await?;
    found.ok_or_else(|| TrustError::NoSuchTrust(name.clone()))
}

/// The client that reads documents of issuers. It trusts the authorities of the system, to
/// which `SSL_CERT_FILE` adds.
fn issuer_client() -> IssuerClient {
    IssuerClient::default()
}

async fn try_token(
    table: Table,
    name: &TrustName,
    token: &str,
    audience: Option<&str>,
) -> Result<(), TrustError> {
    let verb = Token { table, issuers: issuer_client(), audience: None };
    let judged = verb.judge(name, token, audience, OffsetDateTime::now_utc()).await;
    let judged = judged.map_err(|error| TrustError::Refused { check: error.check(), error })?;
    let grant = &judged.trust.grant;
    writeln!(
        io::stdout(),
        "The trust '{name}' would give a key for {} ({}) that lives {}.",
        listed(grant.ids()),
        listed(grant.scopes()),
        grant.lifetime()
    )?;
    Ok(())
}

/// Reads the configuration and the keys of all issuers again. Stores the address of keys that
/// were moved.
async fn check(table: &Table) -> Result<(), TrustError> {
    let mut names: Vec<IssuerUrl> = Vec::new();
    for trust in table.trusts().await?.into_iter().filter(|trust| trust.removed.is_none()) {
        if !names.contains(&trust.iss) {
            names.push(trust.iss);
        }
    }
    let mut failed = 0;
    for iss in names {
        let Some(issuer) = table.issuer(&iss).await? else { continue };
        match check_issuer(table, &issuer).await {
            Ok(said) => writeln!(io::stdout(), "{iss}: {said}")?,
            Err(TrustError::Issuer(error)) => {
                failed += 1;
                writeln!(io::stdout(), "{iss}: {error}")?;
            }
            Err(error) => return Err(error),
        }
    }
    if failed > 0 { Err(TrustError::Issuers(failed)) } else { Ok(()) }
}

async fn check_issuer(table: &Table, issuer: &Issuer) -> Result<String, TrustError> {
    let client = issuer_client();
    let (known, private) = match &issuer.keys {
        KeySource::Given { keys } if keys.is_empty() => {
            return Ok("AWS is asked at each exchange".to_owned());
        }
        KeySource::Given { keys } => return Ok(format!("{} keys were given", keys.len())),
        KeySource::Published { jwks_uri, private } => (jwks_uri, *private),
    };
    // Keys on another host were named by hand.
    let current = if known.host() == issuer.iss.host() {
        client.jwks_uri(&issuer.iss, private).await?
    } else {
        known.clone()
    };
    let keys = client.keys(&current, private).await?;
    if current == *known {
        return Ok(format!("{} keys at {known}", keys.len()));
    }
    let said = format!("{} keys, moved from {known} to {current}", keys.len());
    let keys = KeySource::Published { jwks_uri: current, private };
    table.replace_issuer(&Issuer { keys, ..issuer.clone() }).await?;
    Ok(said)
}

/// The trusts as a table to read.
fn listing(trusts: &[Trust]) -> String {
    let head = ["NAME", "KIND", "SCOPES", "IDS", "LIFETIME", "CREATED", "STATE"];
    let mut rows = vec![head.map(str::to_owned)];
    rows.extend(trusts.iter().map(|trust| {
        [
            trust.name.to_string(),
            trust.workload.kind().to_owned(),
            listed(trust.grant.scopes()),
            listed(trust.grant.ids()),
            trust.grant.lifetime().to_string(),
            trust.created.chars().take("yyyy-mm-dd".len()).collect(),
            if trust.removed.is_some() { "removed" } else { "valid" }.to_owned(),
        ]
    }));
    columns(&rows)
}

/// Everything about a trust, line by line.
fn details(trust: &Trust) -> Vec<[String; 2]> {
    let row = |name: &str, value: String| [name.to_owned(), value];
    let mut rows = vec![
        row("name", trust.name.to_string()),
        row("issuer", trust.iss.to_string()),
        row("audience", trust.audience.clone().unwrap_or_else(|| "the feed's address".to_owned())),
    ];
    let workload = serde_json::to_value(&trust.workload).unwrap_or_default();
    for (name, value) in workload.as_object().into_iter().flatten() {
        let value = match value {
            Value::Null => "any".to_owned(),
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        rows.push(row(&name.replace('_', "-"), value));
    }
    rows.extend([
        row("scopes", listed(trust.grant.scopes())),
        row("ids", listed(trust.grant.ids())),
        row("lifetime", trust.grant.lifetime().to_string()),
        row("created", trust.created.clone()),
    ]);
    let more = [
        ("created-by", &trust.created_by),
        ("removed", &trust.removed),
        ("removed-by", &trust.removed_by),
    ];
    rows.extend(more.iter().filter_map(|(name, value)| Some(row(name, (*value).clone()?))));
    rows
}

/// The uses of a trust as a table to read.
fn log(uses: &[TrustUse]) -> String {
    let mut rows = vec![["AT", "KEY", "EXPIRES", "FROM", "RUN"].map(str::to_owned)];
    rows.extend(uses.iter().map(|used| {
        [
            used.at.clone(),
            used.key.to_string(),
            day(used.expires),
            used.address.clone().unwrap_or_default(),
            used.run.to_string(),
        ]
    }));
    columns(&rows)
}
