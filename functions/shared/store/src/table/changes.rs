//! The log of changes, and how search follows it.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::types::TransactWriteItem;
use nupkg::{PackageId, Version};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use ulid::Ulid;
use usage::Change;

use super::rows::{SETTLING_TIME, rfc3339, time_of};
use super::writes::put;
use super::{Item, Table, TableError, end_of, from_item, text, to_item, unavailable, unreadable};
use access::{KeyName, QuotaName};

/// Before this month there was no feed.
pub(super) const FIRST_MONTH: OffsetDateTime = time::macros::datetime!(2026-11-01 0:00 UTC);

/// A change, in the log. Stored at `CHANGES#<yyyy-mm>`, `<ULID>`, both with the time when it
/// was asked for.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct ChangeRow {
    pub(super) id: String,
    pub(super) version: String,
    pub(super) change: Change,
    pub(super) by: KeyName,
    pub(super) at: String,
    /// The bytes that came with it. Changes were logged without them at first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) bytes: Option<u64>,
    /// The bytes that went with it, by the keys that had pushed them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) freed: BTreeMap<KeyName, u64>,
    /// The bytes that it added to quotas or, below 0, gave back.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) quotas: BTreeMap<QuotaName, i64>,
}

impl ChangeRow {
    /// The change called `ulid`, with no bytes yet.
    pub(super) fn new(
        ulid: Ulid,
        (id, version): (&PackageId, &Version),
        change: Change,
        by: &KeyName,
    ) -> Self {
        Self {
            id: id.key(),
            version: version.key(),
            change,
            by: by.clone(),
            at: rfc3339(time_of(ulid)),
            bytes: None,
            freed: BTreeMap::new(),
            quotas: BTreeMap::new(),
        }
    }

    /// `bytes` go with it, which the key `pushed_by` had pushed.
    pub(super) fn free(&mut self, pushed_by: &KeyName, bytes: u64) {
        *self.freed.entry(pushed_by.clone()).or_default() += bytes;
    }
}

/// The partition that holds the changes of `time`'s month.
pub(super) fn changes_key(time: OffsetDateTime) -> String {
    format!("CHANGES#{}", usage::Month::of(time))
}

/// A change that the log holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoggedChange {
    /// Its name in the log, with the time when it was asked for.
    pub ulid: Ulid,
    /// The package.
    pub id: PackageId,
    /// The version that was changed.
    pub version: Version,
}

/// Changes in the order of their names.
#[derive(Debug, Clone, Default)]
pub struct Changes {
    /// The changes.
    pub changes: Vec<LoggedChange>,
    /// Where to read on; none where these are all.
    pub next: Option<Ulid>,
}

impl Changes {
    /// Where the log begins.
    #[must_use]
    pub fn beginning() -> Ulid {
        first_ulid_of(FIRST_MONTH)
    }

    /// Where to continue reading, if everything up to `cursor`, the youngest change at that
    /// time, was read at `read_at`: far enough before the cursor that no late change is
    /// missed, or at the cursor itself if enough time had passed by then.
    #[must_use]
    pub fn after(cursor: Ulid, read_at: OffsetDateTime) -> Ulid {
        if Self::was_settled(cursor, read_at) {
            cursor
        } else {
            first_ulid_of(time_of(cursor) - SETTLING_TIME)
        }
    }

    /// Whether the change called `ulid` is of a time before `now`.
    #[must_use]
    pub fn is_past(ulid: Ulid, now: OffsetDateTime) -> bool {
        time_of(ulid) <= now
    }

    /// Whether all that the change called `ulid` changed could be read at
    /// `read_at`.
    #[must_use]
    pub fn was_settled(ulid: Ulid, read_at: OffsetDateTime) -> bool {
        time_of(ulid) + SETTLING_TIME < read_at
    }
}

impl Table {
    /// The write of a row of the log.
    pub(super) fn logged(
        &self,
        ulid: Ulid,
        change: &ChangeRow,
    ) -> Result<TransactWriteItem, TableError> {
        let key = (changes_key(time_of(ulid)), ulid.to_string());
        put(self.put(to_item(key, change)?))
    }

    /// The changes from `first` on, about 1 MB of them at most. One call, and one
    /// more for every turn of a month since `first`.
    ///
    /// # Errors
    /// The table does not answer, or a row cannot be read.
    pub async fn changes(&self, first: Ulid) -> Result<Changes, TableError> {
        // A writer's clock may be in the next month already.
        let last_month = changes_key(self.clock.now() + SETTLING_TIME);
        let range = (first.to_string(), end_of(""));
        let mut changes = Vec::new();
        let mut month = time_of(first);
        loop {
            let pk = changes_key(month);
            let page = self
                .range(&pk, (&range.0, &range.1), &["sk", "id", "version"])
                .send()
                .await
                .map_err(|error| unavailable("list changes", error))?;
            for item in page.items.unwrap_or_default() {
                changes.push(LoggedChange::read(item)?);
            }
            if page.last_evaluated_key.is_some_and(|key| !key.is_empty()) {
                let next = changes.last().and_then(|last| last.ulid.increment());
                return Ok(Changes { changes, next });
            }
            if pk >= last_month {
                return Ok(Changes { changes, next: None });
            }
            month = next_month(month);
        }
    }
}

/// A change as search reads it.
#[derive(serde::Deserialize)]
struct Changed {
    id: String,
    version: String,
}

impl LoggedChange {
    fn read(item: Item) -> Result<Self, TableError> {
        let ulid = Ulid::from_string(&text(&item, "sk")?).map_err(unreadable)?;
        let row: Changed = from_item(item)?;
        Ok(Self {
            ulid,
            id: PackageId::parse(&row.id).map_err(unreadable)?,
            version: row.version.parse().map_err(unreadable)?,
        })
    }
}

/// The lowest possible name of a change that was asked for at `time`.
pub(crate) fn first_ulid_of(time: OffsetDateTime) -> Ulid {
    let milliseconds = time.unix_timestamp_nanos() / 1_000_000;
    Ulid::from_parts(milliseconds.try_into().unwrap_or_default(), 0)
}

pub(super) fn next_month(time: OffsetDateTime) -> OffsetDateTime {
    let first = time.replace_day(1).unwrap_or(time);
    // No month has more than 31 days, and any two have more.
    first + time::Duration::days(31)
}

#[cfg(test)]
mod tests {
    use time::{Date, Month};

    use super::*;

    #[test]
    fn a_young_change_is_read_again_with_all_within_its_minute() {
        let milliseconds = 1_800_000_000_000;
        let cursor = Ulid::from_parts(milliseconds, 7);
        let minute_later = time_of(cursor) + SETTLING_TIME;
        assert!(!Changes::was_settled(cursor, minute_later));
        let first = Ulid::from_parts(milliseconds - 60_000, 0);
        assert_eq!(Changes::after(cursor, minute_later), first);
        let then = minute_later + time::Duration::milliseconds(1);
        assert!(Changes::was_settled(cursor, then));
        assert_eq!(Changes::after(cursor, then), cursor);
    }

    #[test]
    fn every_month_has_a_next_one() {
        let next = |year, month, day| {
            let day = Date::from_calendar_date(year, month, day).unwrap();
            changes_key(next_month(day.midnight().assume_utc()))
        };
        assert_eq!(next(2026, Month::January, 31), "CHANGES#2026-02");
        assert_eq!(next(2026, Month::February, 1), "CHANGES#2026-03");
        assert_eq!(next(2026, Month::December, 31), "CHANGES#2027-01");
    }
}
