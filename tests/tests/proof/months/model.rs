//! The model of a feed's usage: all changes and downloads, summed hour by hour.

use std::collections::{BTreeMap, BTreeSet};

use time::{Date, Duration, OffsetDateTime};

use super::{IDS, VERSIONS};

/// Bytes that came or went.
#[derive(Debug, Clone)]
pub(super) struct Moved {
    pub(super) at: OffsetDateTime,
    pub(super) id: &'static str,
    pub(super) version: &'static str,
    pub(super) change: &'static str,
    pub(super) by: String,
    pub(super) taken: i64,
    /// By key.
    pub(super) freed: Vec<(String, i64)>,
}

/// A version of the model.
#[derive(Debug, Clone)]
pub(super) struct Known {
    pub(super) content: usize,
    pub(super) session: usize,
    pub(super) key: String,
    pub(super) size: i64,
    pub(super) deleted: bool,
    pub(super) symbols: Option<(String, i64)>,
}

/// The model: all changes, and all downloads by the day.
#[derive(Debug, Default)]
pub(super) struct Model {
    pub(super) versions: BTreeMap<usize, Known>,
    pub(super) changes: Vec<Moved>,
    /// By version and day; with the key that had pushed it, and its size.
    pub(super) downloads: Vec<(usize, Date, String, i64)>,
    /// How many of them are written down, and for which day.
    pub(super) written: Vec<(Date, usize)>,
    pub(super) through: Option<Date>,
}

impl Model {
    /// The bytes that the quota of all packages of the team counts.
    pub(super) fn counted(&self) -> i64 {
        let team = self.versions.iter().filter(|(number, _)| name(**number).0 == IDS[0]);
        let visible = team.filter(|(_, known)| !known.deleted);
        visible.map(|(_, known)| known.size + known.symbols.as_ref().map_or(0, |of| of.1)).sum()
    }

    pub(super) fn moved(
        &mut self,
        at: OffsetDateTime,
        number: usize,
        change: &'static str,
        by: &str,
        taken: i64,
        freed: Vec<(String, i64)>,
    ) {
        let (id, version) = name(number);
        self.changes.push(Moved { at, id, version, change, by: by.to_owned(), taken, freed });
    }

    /// The byte-hours of a month by key, summed hour by hour.
    pub(super) fn byte_hours(
        &self,
        month: (OffsetDateTime, OffsetDateTime),
    ) -> BTreeMap<String, i64> {
        let hour = |at: OffsetDateTime| at.unix_timestamp() / 3_600;
        let mut sums = BTreeMap::new();
        for now in hour(month.0)..hour(month.1) {
            for moved in self.changes.iter().filter(|moved| hour(moved.at) <= now) {
                *sums.entry(moved.by.clone()).or_default() += moved.taken;
                for (key, bytes) in &moved.freed {
                    *sums.entry(key.clone()).or_default() -= bytes;
                }
            }
        }
        sums.retain(|_, sum| *sum != 0);
        sums
    }

    /// The scheduled run: all downloads until yesterday that are not written down yet.
    pub(super) fn write_down(&mut self, now: OffsetDateTime) {
        let yesterday = (now - Duration::minutes(1)).date().previous_day().unwrap();
        if self.through >= Some(yesterday) {
            return;
        }
        self.through = Some(yesterday);
        let done: BTreeSet<usize> = self.written.iter().map(|(_, number)| *number).collect();
        for (number, (_, day, ..)) in self.downloads.iter().enumerate() {
            if *day <= yesterday && !done.contains(&number) {
                self.written.push((yesterday, number));
            }
        }
    }
}

/// The package and version of this number.
pub(super) fn name(number: usize) -> (&'static str, &'static str) {
    (IDS[number / 2], VERSIONS[number % 2])
}
