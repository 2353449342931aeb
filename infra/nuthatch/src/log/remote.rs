//! The log of a feed that is asked by its address.

use std::io::{self, Write};

use protocol::{one_line, paths};
use serde::Deserialize;
use store::LogEntry;
use time::OffsetDateTime;
use ulid::Ulid;

use super::{LogError, PAUSE, write_entry};
use crate::command::LogOptions;
use crate::remote::{RemoteError, RemoteFeed};

/// A page of the feed's log.
#[derive(Deserialize)]
struct Page {
    items: Vec<Item>,
    next: Option<Ulid>,
    through: Option<Ulid>,
}

/// A change, as the feed tells it.
#[derive(Deserialize)]
struct Item {
    ulid: Ulid,
    id: String,
    version: String,
    change: String,
    at: String,
    #[serde(default)]
    by: String,
}

/// Prints the changes that the options ask for, as the feed tells them: those of the last minute
/// come later.
pub(super) async fn print(feed: &RemoteFeed, options: &LogOptions) -> Result<(), LogError> {
    let now = OffsetDateTime::now_utc();
    let until = options.until.map(|until| until.before(now));
    let mut after = before(options.since.before(now));
    loop {
        let path = format!("{}?after={after}", paths::LOG);
        let Page { items, next, through } = feed.document(&path).await?;
        let mut stdout = io::stdout().lock();
        for item in items {
            let at = OffsetDateTime::from(item.ulid.datetime());
            if until.is_some_and(|until| at > until) {
                return Ok(stdout.flush()?);
            }
            let entry = item.entry()?;
            if options.wants(&entry) {
                write_entry(&mut stdout, options, &entry)?;
            }
        }
        stdout.flush()?;
        drop(stdout);
        after = next.or(through).unwrap_or(after);
        if next.is_none() && !options.follow {
            return Ok(());
        }
        if next.is_none() {
            tokio::time::sleep(PAUSE).await;
        }
    }
}

/// The last name of a change before `time`.
fn before(time: OffsetDateTime) -> Ulid {
    let milliseconds = time.unix_timestamp_nanos() / 1_000_000;
    let first = Ulid::from_parts(u64::try_from(milliseconds).unwrap_or_default(), 0);
    Ulid(first.0.saturating_sub(1))
}

impl Item {
    fn entry(self) -> Result<LogEntry, RemoteError> {
        let Self { ulid, id, version, change, at, by } = self;
        let kind = change
            .parse()
            .map_err(|_| RemoteError::Unreadable(format!("a change '{}'", one_line(&change))))?;
        // They are printed to terminals, which interpret some text as commands.
        let [at, subject, version, by] = [at, id, version, by].map(|text| one_line(&text));
        Ok(LogEntry { ulid, at, kind, subject, version: Some(version), by })
    }
}
