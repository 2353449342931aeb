//! `nuthatch quota`: limits of how much may be pushed.

use std::io::{self, Write};

use access::{KeyName, Quota, QuotaLimits, QuotaName};
use protocol::with_causes;
use store::{LedgerError, QuotaSet, TableError};
use time::OffsetDateTime;
use usage::ByteSize;

use crate::columns::{columns, listed};
use crate::command::{QuotaAction, QuotaOptions};
use crate::place::PlaceError;

/// A quota command failed.
#[derive(Debug, thiserror::Error)]
pub enum QuotaError {
    /// There is no feed in the place that was named.
    #[error(transparent)]
    Place(#[from] PlaceError),
    /// The table does not answer.
    #[error("{}", with_causes(.0))]
    Table(#[from] TableError),
    /// The table or the bucket does not answer.
    #[error("{}", with_causes(.0))]
    Ledger(#[from] LedgerError),
    /// There is no such key.
    #[error("there is no key '{0}'; see 'nuthatch key list'")]
    NoSuchKey(KeyName),
    /// There is no such quota.
    #[error("there is no quota '{0}'; see 'nuthatch quota list'")]
    NoSuchQuota(QuotaName),
    /// The name was given to a quota of something else.
    #[error("the quota '{name}' is for {subject}, and a name is never used again; choose another")]
    NameTaken {
        /// The name.
        name: QuotaName,
        /// The keys or packages.
        subject: String,
    },
    /// The output cannot be written.
    #[error("cannot write the output: {0}")]
    Output(#[from] io::Error),
}

/// Runs a quota command.
///
/// # Errors
/// The command failed.
pub async fn run(action: QuotaAction) -> Result<(), QuotaError> {
    match action {
        QuotaAction::Set(options) => set(options).await,
        QuotaAction::List { place } => {
            let table = place.existing_table().await?;
            let mut quotas = table.quotas(&table.quota_index().await?.names()).await?;
            quotas.sort_by(|left, right| left.name.cmp(&right.name));
            write!(io::stdout(), "{}", listing(&quotas, OffsetDateTime::now_utc()))?;
            Ok(())
        }
        QuotaAction::Remove { name, place } => {
            let by = place.operator().await;
            if !place.existing_table().await?.remove_quota(&name, &by).await? {
                return Err(QuotaError::NoSuchQuota(name));
            }
            writeln!(io::stderr(), "Removed the quota '{name}'. Keys notice within a minute.")?;
            Ok(())
        }
    }
}

async fn set(options: QuotaOptions) -> Result<(), QuotaError> {
    let QuotaOptions { name, key, id, bytes, pushes_per_day, package_bytes, place, bucket } =
        options;
    let ledger = place.ledger(bucket.as_ref()).await?;
    let limits = QuotaLimits {
        bytes: bytes.map(|ByteSize(bytes)| bytes),
        pushes_per_day,
        package_bytes: package_bytes.map(|ByteSize(bytes)| bytes),
    };
    let mut quota = Quota { id, ..Quota::new(name.clone(), limits) };
    if let Some(key) = key {
        quota.keys = ledger.table.with_successors(&key).await?;
        if quota.keys.is_empty() {
            return Err(QuotaError::NoSuchKey(key));
        }
    }
    match ledger.set_quota(quota, &place.operator().await).await? {
        QuotaSet::Done => {
            let quotas = ledger.table.quotas(&[name]).await?;
            write!(io::stdout(), "{}", listing(&quotas, OffsetDateTime::now_utc()))?;
            writeln!(
                io::stderr(),
                "Keys notice within a minute; those of trusts, with their next exchange. Until \
                 then pushes are not refused, and they are counted afterwards."
            )?;
            Ok(())
        }
        QuotaSet::OtherSubject(known) => {
            Err(QuotaError::NameTaken { name, subject: subject(&known) })
        }
    }
}

fn listing(quotas: &[Quota], now: OffsetDateTime) -> String {
    let names = ["NAME", "FOR", "STORED", "PUSHES TODAY", "LARGEST PACKAGE"];
    let mut rows = vec![names.map(str::to_owned)];
    rows.extend(quotas.iter().map(|quota| {
        let QuotaLimits { bytes, pushes_per_day, package_bytes } = quota.limits;
        let size = |bytes: u64| ByteSize(bytes).to_string();
        let of = |taken: String, limit: Option<String>| match limit {
            Some(limit) => format!("{taken} of {limit}"),
            None => taken,
        };
        let stored = size(u64::try_from(quota.stored).unwrap_or_default());
        let pushes = pushes_per_day.map_or_else(
            || "-".to_owned(),
            |limit| of(quota.pushes_at(now).to_string(), Some(limit.to_string())),
        );
        [
            quota.name.to_string(),
            subject(quota),
            of(stored, bytes.map(size)),
            pushes,
            package_bytes.map_or_else(|| "-".to_owned(), size),
        ]
    }));
    columns(&rows)
}

/// The keys or packages that a quota is for.
fn subject(quota: &Quota) -> String {
    match &quota.id {
        Some(glob) => format!("packages {glob}"),
        None => format!("key {}", listed(&quota.keys)),
    }
}
