//! `nuthatch log`: the changes of packages, and the acts on keys and trusts.

mod remote;

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::time::Duration;

use nupkg::{PackageId, Version};
use protocol::with_causes;
use store::{LogEntry, Table, TableError};
use time::OffsetDateTime;
use ulid::Ulid;

use crate::command::LogOptions;
use crate::place::PlaceError;
use crate::remote::{RemoteError, RemoteFeed};

/// How often the log is looked at for new entries.
const PAUSE: Duration = Duration::from_secs(2);
/// For how long an entry may come late: its writer's clock was behind, or its transaction took
/// long.
const LATE: time::Duration = time::Duration::minutes(1);

/// The log cannot be shown.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// There is no feed in the place that was named.
    #[error(transparent)]
    Place(#[from] PlaceError),
    /// The feed does not tell.
    #[error(transparent)]
    Remote(#[from] RemoteError),
    /// The table does not answer.
    #[error("{}", with_causes(.0))]
    Table(#[from] TableError),
    /// The output cannot be written.
    #[error("cannot write the output: {0}")]
    Output(#[from] io::Error),
}

/// Prints the entries that the options ask for, the oldest first; with `--follow` also those that
/// come, until the process is ended.
///
/// # Errors
/// The log cannot be read or written.
pub async fn run(options: LogOptions) -> Result<(), LogError> {
    if let Some(feed) = RemoteFeed::of(&options.remote).await? {
        return remote::print(&feed, &options).await;
    }
    let table = options.place.existing_table().await?;
    let now = OffsetDateTime::now_utc();
    let since = options.since.before(now);
    let until = options.until.map_or(now + LATE, |until| until.before(now));
    let mut shown = BTreeSet::new();
    let mut from = since;
    loop {
        let until = if options.follow { OffsetDateTime::now_utc() + LATE } else { until };
        print(&table, &options, (from, until), &mut shown).await?;
        if !options.follow {
            return Ok(());
        }
        tokio::time::sleep(PAUSE).await;
        // Entries that come late are before those that were shown.
        from = (OffsetDateTime::now_utc() - LATE - LATE).max(since);
        let first = Ulid::from_parts(u64::try_from(from.unix_timestamp() * 1_000).unwrap_or(0), 0);
        shown = shown.split_off(&first);
    }
}

async fn print(
    table: &Table,
    options: &LogOptions,
    (from, until): (OffsetDateTime, OffsetDateTime),
    shown: &mut BTreeSet<Ulid>,
) -> Result<(), LogError> {
    let mut stdout = io::stdout().lock();
    let mut written = Ok(());
    let take = |entry: LogEntry| {
        let is_new = !options.follow || shown.insert(entry.ulid);
        if written.is_ok() && is_new && options.wants(&entry) {
            written = write_entry(&mut stdout, options, &entry);
        }
    };
    table.each_log_entry(from, until, take).await?;
    written?;
    Ok(stdout.flush()?)
}

fn write_entry(to: &mut impl Write, options: &LogOptions, entry: &LogEntry) -> io::Result<()> {
    if options.json {
        serde_json::to_writer(&mut *to, entry)?;
        return writeln!(to);
    }
    writeln!(to, "{}", line(entry))
}

impl LogOptions {
    fn wants(&self, entry: &LogEntry) -> bool {
        let Self { package, version, key, kind, .. } = self;
        let is_of = |wanted: &Option<String>, found: Option<&str>| {
            wanted.as_ref().is_none_or(|wanted| found == Some(wanted))
        };
        let package = package.as_ref().map(PackageId::key);
        let version = version.as_ref().map(Version::key);
        // Acts are on no package.
        let is_of_package = package.is_none() || entry.version.is_some();
        is_of_package
            && is_of(&package, Some(&entry.subject))
            && is_of(&version, entry.version.as_deref())
            && key.as_ref().is_none_or(|key| entry.by == key.as_str())
            && kind.as_ref().is_none_or(|kind| entry.kind == *kind)
    }
}

/// An entry for people: when, what kind, on what, by whom.
fn line(entry: &LogEntry) -> String {
    let at = entry.at.get(.."yyyy-mm-ddThh:mm:ss".len()).unwrap_or(&entry.at).replace('T', " ");
    let version = entry.version.as_deref().map(|version| format!(" {version}"));
    let version = version.unwrap_or_default();
    let LogEntry { kind, subject, by, .. } = entry;
    let by = if by.is_empty() { String::new() } else { format!("  by {by}") };
    format!("{at}  {kind:<13}  {subject}{version}{by}")
}
