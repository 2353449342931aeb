//! The log for people: the changes of versions, and the acts on keys and trusts.
//!
//! | item | partition key | sort key |
//! |---|---|---|
//! | change of a version | `CHANGES#<yyyy-mm>` | `<ULID>` |
//! | act on a key or a trust | `ACTIONS#<yyyy-mm>` | `<ULID>` |
//!
//! Acts are apart from the changes, as search follows those.

use std::fmt;
use std::str::FromStr;

use aws_sdk_dynamodb::types::TransactWriteItem;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use ulid::Ulid;

use super::changes::{FIRST_MONTH, first_ulid_of, next_month};
use super::rows::{SETTLING_TIME, changes_key, timestamp};
use super::versions::put;
use super::{Item, Table, TableError, from_item, text, to_item, unreadable};

/// An act on a key or a trust.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Act {
    /// A key was made.
    KeyCreated,
    /// A key got a successor.
    KeyRotated,
    /// A key was revoked.
    KeyRevoked,
    /// A trust was added.
    TrustAdded,
    /// A trust was removed.
    TrustRemoved,
}

impl Act {
    fn as_str(self) -> &'static str {
        match self {
            Self::KeyCreated => "key-created",
            Self::KeyRotated => "key-rotated",
            Self::KeyRevoked => "key-revoked",
            Self::TrustAdded => "trust-added",
            Self::TrustRemoved => "trust-removed",
        }
    }
}

/// The kind of an entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct LogKind(String);

/// The text is not a kind of entries.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not a kind of entries; use one of {kinds}", kinds = LogKind::ALL.join(", "))]
pub struct LogKindError(String);

impl LogKind {
    /// All kinds: those of changes, and those of acts.
    const ALL: [&str; 10] = [
        "pushed",
        "unlisted",
        "relisted",
        "deleted",
        "symbols",
        "key-created",
        "key-rotated",
        "key-revoked",
        "trust-added",
        "trust-removed",
    ];
}

impl FromStr for LogKind {
    type Err = LogKindError;

    fn from_str(text: &str) -> Result<Self, LogKindError> {
        let known = Self::ALL.contains(&text);
        known.then(|| Self(text.to_owned())).ok_or_else(|| LogKindError(text.to_owned()))
    }
}

impl fmt::Display for LogKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// An entry of the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LogEntry {
    /// Its place in the log, which names it.
    pub ulid: Ulid,
    /// When it was asked for, RFC 3339.
    pub at: String,
    /// Its kind.
    pub kind: LogKind,
    /// The package in lower case, or the name of the key or trust.
    pub subject: String,
    /// The version, if it is about one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// The key by which it was done, or the person who ran the command.
    pub by: String,
}

/// A row of the log, of either partition.
#[derive(Debug, Serialize, Deserialize)]
struct LogRow {
    #[serde(alias = "change")]
    act: String,
    #[serde(alias = "id")]
    subject: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    version: Option<String>,
    by: String,
    at: String,
}

impl LogEntry {
    fn read(item: Item) -> Result<Self, TableError> {
        let ulid = Ulid::from_string(&text(&item, "sk")?).map_err(unreadable)?;
        let LogRow { act, subject, version, by, at } = from_item(item)?;
        Ok(Self { ulid, at, kind: LogKind(act), subject, version, by })
    }
}

/// The partition that holds the acts of `time`'s month.
fn actions_key(time: OffsetDateTime) -> String {
    changes_key(time).replacen("CHANGES", "ACTIONS", 1)
}

impl Table {
    /// The write of an act, which is to be in the act's own transaction.
    pub(super) fn act(
        &self,
        act: Act,
        subject: &dyn fmt::Display,
        by: &str,
    ) -> Result<TransactWriteItem, TableError> {
        let key = (actions_key(OffsetDateTime::now_utc()), Ulid::new().to_string());
        let row = LogRow {
            act: act.as_str().to_owned(),
            subject: subject.to_string(),
            version: None,
            by: by.to_owned(),
            at: timestamp(),
        };
        put(self.put(to_item(key, &row)?))
    }

    /// Gives `take` the entries from `since` until `until`, both included, in their order. A
    /// call per MB of entries, and two at least for each month.
    ///
    /// # Errors
    /// The table does not answer, or a row cannot be read.
    pub async fn each_log_entry(
        &self,
        since: OffsetDateTime,
        until: OffsetDateTime,
        mut take: impl FnMut(LogEntry),
    ) -> Result<(), TableError> {
        // No call for months in which there was no feed.
        let since = since.max(FIRST_MONTH);
        let range = (first_ulid_of(since).to_string(), first_ulid_of(until).to_string());
        // A writer's clock may be ahead, and in the next month already.
        let last = changes_key(until.min(OffsetDateTime::now_utc() + SETTLING_TIME));
        // DynamoDB takes no range whose end is before its beginning.
        if range.0 > range.1 {
            return Ok(());
        }
        let mut month = since;
        loop {
            let mut entries = Vec::new();
            for pk in [changes_key(month), actions_key(month)] {
                let range = (range.0.as_str(), range.1.as_str());
                let keep = |item| {
                    entries.push(LogEntry::read(item)?);
                    Ok(())
                };
                self.each_item("read the log", &pk, range, &[], keep).await?;
            }
            entries.sort_by_key(|entry| entry.ulid);
            entries.into_iter().for_each(&mut take);
            if changes_key(month) >= last {
                return Ok(());
            }
            month = next_month(month);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_is_one_that_is_written() {
        for kind in LogKind::ALL {
            assert_eq!(kind.parse::<LogKind>().unwrap().to_string(), kind);
        }
        let error = "pushes".parse::<LogKind>().unwrap_err();
        assert!(error.to_string().contains("use one of pushed, unlisted"), "{error}");
        for act in
            [Act::KeyCreated, Act::KeyRotated, Act::KeyRevoked, Act::TrustAdded, Act::TrustRemoved]
        {
            assert!(act.as_str().parse::<LogKind>().is_ok());
        }
    }
}
