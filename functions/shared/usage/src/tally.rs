//! The figures of a month.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use time::{Date, Duration, OffsetDateTime};

use crate::movement::signed;
use crate::{Change, DayDownloads, Month, Movement, Owner, Stock, hour_of};

/// The figures of a group, or of all.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Figures {
    /// Packages that were pushed.
    pub pushes: u64,
    /// Symbols packages that were pushed.
    pub symbols: u64,
    /// Versions that were unlisted.
    pub unlists: u64,
    /// Versions that were listed again.
    pub relists: u64,
    /// Versions that were deleted.
    pub deletes: u64,
    /// The bytes of all pushes.
    pub bytes_taken: u64,
    /// Each byte that was stored, times the hours: from the hour of its push until the hour of
    /// its deletion.
    pub byte_hours: i64,
    /// Packages that were downloaded.
    pub downloads: u64,
    /// The bytes of all downloads.
    pub bytes_sent: u64,
}

impl Figures {
    pub(crate) fn add(&mut self, other: &Self) {
        self.pushes += other.pushes;
        self.symbols += other.symbols;
        self.unlists += other.unlists;
        self.relists += other.relists;
        self.deletes += other.deletes;
        self.bytes_taken = self.bytes_taken.saturating_add(other.bytes_taken);
        self.byte_hours = self.byte_hours.saturating_add(other.byte_hours);
        self.downloads += other.downloads;
        self.bytes_sent = self.bytes_sent.saturating_add(other.bytes_sent);
    }

    /// Those of one change.
    fn of(movement: &Movement) -> Self {
        let mut figures = Self { bytes_taken: movement.taken, ..Self::default() };
        match movement.change {
            Change::Pushed => figures.pushes = 1,
            Change::Symbols => figures.symbols = 1,
            Change::Unlisted => figures.unlists = 1,
            Change::Relisted => figures.relists = 1,
            Change::Deleted => figures.deletes = 1,
        }
        figures
    }
}

/// The groups of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Grouping {
    /// The key that made a change; the key that pushed what is stored or downloaded.
    Key,
    /// The first part of the package's id, before the first dot.
    #[default]
    IdPrefix,
    /// The package.
    Id,
    /// The day.
    Day,
    /// The kind of request.
    Verb,
}

/// The text is not a grouping.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not a grouping; use key, id-prefix, id, day or verb")]
pub struct GroupingError(String);

impl FromStr for Grouping {
    type Err = GroupingError;

    fn from_str(text: &str) -> Result<Self, GroupingError> {
        match text {
            "key" => Ok(Self::Key),
            "id-prefix" => Ok(Self::IdPrefix),
            "id" => Ok(Self::Id),
            "day" => Ok(Self::Day),
            "verb" => Ok(Self::Verb),
            _ => Err(GroupingError(text.to_owned())),
        }
    }
}

impl fmt::Display for Grouping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Key => "key",
            Self::IdPrefix => "id-prefix",
            Self::Id => "id",
            Self::Day => "day",
            Self::Verb => "verb",
        })
    }
}

/// Takes the stock and the movements of a month, and counts.
#[derive(Debug, Clone)]
pub struct Tally {
    pub(crate) month: Month,
    pub(crate) by: Grouping,
    /// The hour at which it ends, since 1970.
    until: i64,
    pub(crate) groups: BTreeMap<String, Figures>,
}

impl Tally {
    /// A tally of `month`, or of as much of it as has passed at `now`.
    #[must_use]
    pub fn new(month: Month, now: OffsetDateTime, by: Grouping) -> Self {
        let (start, end) = (hour_of(month.start()), hour_of(month.end()));
        // The hour that has begun counts whole, as it does for every push in it.
        let until = hour_of(now).saturating_add(1).clamp(start, end);
        Self { month, by, until, groups: BTreeMap::new() }
    }

    /// When it ends.
    #[must_use]
    pub fn until(&self) -> OffsetDateTime {
        OffsetDateTime::from_unix_timestamp(self.until * 3_600).unwrap_or(self.month.end())
    }

    /// Takes in the bytes that were stored when the month began.
    pub fn open(&mut self, stock: &Stock, covers: impl Fn(&str) -> bool) {
        for (owner, bytes) in stock.iter().filter(|(owner, _)| covers(&owner.id)) {
            self.hold(owner, bytes, hour_of(self.month.start()));
        }
    }

    /// Takes in a change of the month.
    pub fn take(&mut self, movement: &Movement) {
        let figures = Figures::of(movement);
        let group = match self.by {
            Grouping::Verb => verb(movement.change).to_owned(),
            Grouping::Day => movement.at.date().to_string(),
            Grouping::Key | Grouping::IdPrefix | Grouping::Id => {
                self.group_of(&movement.id, &movement.by)
            }
        };
        self.group(group).add(&figures);
        for (owner, bytes) in movement.changes() {
            self.hold(&owner, bytes, hour_of(movement.at));
        }
    }

    /// Takes in the downloads of a day.
    pub fn take_downloads(&mut self, downloads: &DayDownloads) {
        let figures = Figures {
            downloads: downloads.downloads,
            bytes_sent: downloads.bytes,
            ..Figures::default()
        };
        let group = match self.by {
            Grouping::Verb => "download".to_owned(),
            Grouping::Day => {
                let first = self.month.first_day();
                first.saturating_add(Duration::days(i64::from(downloads.day) - 1)).to_string()
            }
            Grouping::Key | Grouping::IdPrefix | Grouping::Id => {
                self.group_of(&downloads.id, &downloads.key)
            }
        };
        self.group(group).add(&figures);
    }

    /// `bytes` more of `owner` are stored, or fewer, from `hour` on.
    fn hold(&mut self, owner: &Owner, bytes: i64, hour: i64) {
        const HOURS: i64 = 24;
        if self.by != Grouping::Day {
            let group = match self.by {
                Grouping::Verb => "store".to_owned(),
                _ => self.group_of(&owner.id, &owner.key),
            };
            let hours = (self.until - hour).max(0);
            self.group(group).add(&byte_hours(bytes, hours));
            return;
        }
        let mut hour = hour;
        while hour < self.until {
            let day = hour.div_euclid(HOURS);
            let end = ((day + 1) * HOURS).min(self.until);
            self.group(day_of(day)).add(&byte_hours(bytes, end - hour));
            hour = end;
        }
    }

    fn group(&mut self, name: String) -> &mut Figures {
        self.groups.entry(name).or_default()
    }

    fn group_of(&self, id: &str, key: &str) -> String {
        match self.by {
            Grouping::Key => key,
            Grouping::IdPrefix => id.split('.').next().unwrap_or(id),
            Grouping::Id | Grouping::Day | Grouping::Verb => id,
        }
        .to_owned()
    }
}

fn byte_hours(bytes: i64, hours: i64) -> Figures {
    Figures { byte_hours: bytes.saturating_mul(hours), ..Figures::default() }
}

/// A day by its number since 1970.
fn day_of(number: i64) -> String {
    let first = OffsetDateTime::UNIX_EPOCH.date();
    first.checked_add(Duration::days(number)).unwrap_or(Date::MAX).to_string()
}

fn verb(change: Change) -> &'static str {
    match change {
        Change::Pushed => "push",
        Change::Symbols => "push-symbols",
        Change::Unlisted => "unlist",
        Change::Relisted => "relist",
        Change::Deleted => "delete",
    }
}

impl Figures {
    /// The figures, each with its name in columns.
    #[must_use]
    pub fn named(&self) -> [(&'static str, i64); 9] {
        [
            ("pushes", signed(self.pushes)),
            ("symbols", signed(self.symbols)),
            ("unlists", signed(self.unlists)),
            ("relists", signed(self.relists)),
            ("deletes", signed(self.deletes)),
            ("bytesTaken", signed(self.bytes_taken)),
            ("byteHours", self.byte_hours),
            ("downloads", signed(self.downloads)),
            ("bytesSent", signed(self.bytes_sent)),
        ]
    }
}
