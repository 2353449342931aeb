//! The log of changes, as search follows it.

use nupkg::{PackageId, Version};
use time::OffsetDateTime;
use ulid::Ulid;

use super::rows::{SETTLING_TIME, changes_key, time_of};
use super::{Item, Table, TableError, end_of, from_item, text, unavailable, unreadable};

/// Before this month there was no feed.
pub(super) const FIRST_MONTH: OffsetDateTime = time::macros::datetime!(2026-11-01 0:00 UTC);

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
    /// The changes from `first` on, about 1 MB of them at most. One call, and one
    /// more for every turn of a month since `first`.
    ///
    /// # Errors
    /// The table does not answer, or a row cannot be read.
    pub async fn changes(&self, first: Ulid) -> Result<Changes, TableError> {
        // A writer's clock may be in the next month already.
        let last_month = changes_key(OffsetDateTime::now_utc() + SETTLING_TIME);
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
pub(super) fn first_ulid_of(time: OffsetDateTime) -> Ulid {
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
