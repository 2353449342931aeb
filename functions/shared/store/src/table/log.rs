//! The log for people: the changes of versions, and the acts on keys, trusts and quotas.
//!
//! | item | partition key | sort key |
//! |---|---|---|
//! | change of a version | `CHANGES#<yyyy-mm>` | `<ULID>` |
//! | act on a key, trust or quota | `ACTIONS#<yyyy-mm>` | `<ULID>` |
//!
//! Acts are apart from the changes, as search follows those.

use std::fmt;
use std::str::FromStr;

use aws_sdk_dynamodb::types::TransactWriteItem;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use ulid::Ulid;
use usage::Month;

use super::changes::{FIRST_MONTH, changes_key, first_ulid_of, next_month};
use super::rows::{SETTLING_TIME, rfc3339, time_of};
use super::writes::put;
use super::{
    Item, MOST_ROWS, Table, TableError, from_item, text, to_item, unavailable, unreadable,
};

/// An act on a key, trust or quota.
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
    /// A quota was set.
    QuotaSet,
    /// A quota was removed.
    QuotaRemoved,
}

impl Act {
    fn as_str(self) -> &'static str {
        match self {
            Self::KeyCreated => "key-created",
            Self::KeyRotated => "key-rotated",
            Self::KeyRevoked => "key-revoked",
            Self::TrustAdded => "trust-added",
            Self::TrustRemoved => "trust-removed",
            Self::QuotaSet => "quota-set",
            Self::QuotaRemoved => "quota-removed",
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
    const ALL: [&str; 12] = [
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
        "quota-set",
        "quota-removed",
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
    /// The package in lower case, or the name of the key, trust or quota.
    pub subject: String,
    /// The version, if it is about one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// The key by which it was done, or the person who ran the command; empty where it is not
    /// told.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub by: String,
}

/// A page of the log of changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogPage {
    /// The changes.
    pub entries: Vec<LogEntry>,
    /// The place in the log up to which they are all: the next page begins after it.
    pub through: Option<Ulid>,
    /// Whether there are no more so far.
    pub is_last: bool,
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
        let now = self.clock.now();
        let key = (actions_key(now), self.clock.ulid().to_string());
        let row = LogRow {
            act: act.as_str().to_owned(),
            subject: subject.to_string(),
            version: None,
            by: by.to_owned(),
            at: rfc3339(now),
        };
        put(self.put(to_item(key, &row)?))
    }

    /// The changes after the one called `after`, or from the first one on: at most `take`, in
    /// their order, and only those that no late one can come before. One call, and one more for
    /// each month after the first; months without changes end a page after a year of them.
    ///
    /// # Errors
    /// The table does not answer, or a row cannot be read.
    pub async fn log_page(&self, after: Option<Ulid>, take: usize) -> Result<LogPage, TableError> {
        const MOST_MONTHS: usize = 12;
        let first = first_ulid_of(FIRST_MONTH);
        let next = after.map_or(first, |after| Ulid(after.0.saturating_add(1)).max(first));
        let mut page = LogPage { entries: Vec::new(), through: after, is_last: false };
        // The last one that nothing can come before any more.
        let last = Ulid(first_ulid_of(self.clock.now() - SETTLING_TIME).0.saturating_sub(1));
        let mut month = Month::of(time_of(next));
        for _ in 0..MOST_MONTHS {
            let begin = next.max(first_ulid_of(month.start()));
            let end = Ulid(first_ulid_of(month.end()).0.saturating_sub(1)).min(last);
            if begin > end {
                page.is_last = true;
                return Ok(page);
            }
            let range = (begin.to_string(), end.to_string());
            let wanted = take - page.entries.len();
            let limit = i32::try_from(wanted + 1).unwrap_or(i32::MAX).min(MOST_ROWS);
            let asked = self.range(&changes_key(month.start()), (&range.0, &range.1), &[]);
            let answer = asked.limit(limit).send().await;
            let answer = answer.map_err(|error| unavailable("read the log", error))?;
            let is_cut = answer.last_evaluated_key.is_some_and(|key| !key.is_empty());
            let mut items = answer.items.unwrap_or_default();
            let is_more = items.len() > wanted || is_cut;
            items.truncate(wanted);
            for item in items {
                page.entries.push(LogEntry::read(item)?);
            }
            if is_more {
                page.through = page.entries.last().map_or(page.through, |last| Some(last.ulid));
                return Ok(page);
            }
            page.through = Some(end);
            month = month.next();
        }
        Ok(page)
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
        let last = changes_key(until.min(self.clock.now() + SETTLING_TIME));
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
        for act in [
            Act::KeyCreated,
            Act::KeyRotated,
            Act::KeyRevoked,
            Act::TrustAdded,
            Act::TrustRemoved,
            Act::QuotaSet,
            Act::QuotaRemoved,
        ] {
            assert!(act.as_str().parse::<LogKind>().is_ok());
        }
    }
}
