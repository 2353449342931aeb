//! Quotas: how much the holders of keys may push.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::keys::is_plain_name;
use crate::{IdGlob, KeyName};

/// The name of a quota: 1 to 64 letters, digits, `.`, `_` and `-`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct QuotaName(String);

/// The text is no name of a quota.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not a name for a quota; use 1 to 64 letters, digits, '.', '_' and '-'")]
pub struct QuotaNameError(String);

impl QuotaName {
    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for QuotaName {
    type Err = QuotaNameError;

    fn from_str(text: &str) -> Result<Self, QuotaNameError> {
        let is_name = is_plain_name(text, 64);
        is_name.then(|| Self(text.to_owned())).ok_or_else(|| QuotaNameError(text.to_owned()))
    }
}

impl fmt::Display for QuotaName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// A quota, and how much of it is taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quota {
    /// Its name.
    pub name: QuotaName,
    /// The packages that it is for; those of its keys, if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<IdGlob>,
    /// The keys that it is for: one and its successors; none where it is for packages.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub keys: Vec<KeyName>,
    /// Its limits.
    pub limits: QuotaLimits,
    /// The bytes that are stored.
    pub stored: i64,
    /// The packages that were pushed on a day.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pushed: Option<QuotaCount>,
    /// When it was removed, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub removed: Option<String>,
}

/// The limits of a quota.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuotaLimits {
    /// The bytes that may be stored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    /// The packages that may be pushed on a day (UTC).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pushes_per_day: Option<u32>,
    /// The bytes of the largest package, and of the largest symbols package.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub package_bytes: Option<u64>,
}

/// The packages that were pushed on a day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuotaCount {
    /// The day in UTC, like `2026-12-31`.
    pub day: String,
    /// How many.
    pub pushes: u32,
}

/// The part of a push in a quota.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct QuotaPart {
    /// Its bytes.
    pub bytes: u64,
    /// The bytes that it replaces, and that were counted in the quota.
    pub freed: u64,
    /// The packages in it: none for symbols.
    pub pushes: u32,
}

/// The reason why a quota refuses a push.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QuotaProblem {
    /// There is no room for its bytes.
    Full {
        /// The bytes that may be stored.
        limit: u64,
        /// Those that are.
        stored: i64,
        /// Those of the push.
        bytes: u64,
    },
    /// The package is larger than any may be.
    PackageTooLarge {
        /// The bytes of the largest.
        limit: u64,
        /// Its own.
        bytes: u64,
    },
    /// As many packages were pushed today as may be.
    TooManyPushes {
        /// How many may be.
        limit: u32,
        /// The seconds until the next day.
        seconds: u32,
    },
}

impl Quota {
    /// A quota with these limits, of which nothing is taken.
    #[must_use]
    pub fn new(name: QuotaName, limits: QuotaLimits) -> Self {
        Self { name, id: None, keys: Vec::new(), limits, stored: 0, pushed: None, removed: None }
    }

    /// Whether it is for the same packages, or the same key, as another.
    #[must_use]
    pub fn is_for_same(&self, other: &Self) -> bool {
        self.id == other.id && self.keys.first() == other.keys.first()
    }

    /// Whether it is for what `key` pushes to the package `id`, in lower case.
    #[must_use]
    pub fn covers(&self, id: &str, key: &str) -> bool {
        match &self.id {
            Some(glob) => glob.matches_key(id),
            None => self.keys.iter().any(|known| known.as_str() == key),
        }
    }

    /// Whether what is pushed has to be counted in the push itself.
    #[must_use]
    pub fn counts(&self) -> bool {
        self.limits.bytes.is_some() || self.limits.pushes_per_day.is_some()
    }

    /// The count that stands at `now`: that of its day, or of the next one where another clock
    /// is ahead. One of any other day is over.
    #[must_use]
    pub fn count_at(&self, now: OffsetDateTime) -> Option<&QuotaCount> {
        let days =
            [Some(now.date()), now.date().next_day()].map(|day| day.map(|it| it.to_string()));
        self.pushed.as_ref().filter(|pushed| days.contains(&Some(pushed.day.clone())))
    }

    /// The packages that were pushed on the day of `now`.
    #[must_use]
    pub fn pushes_at(&self, now: OffsetDateTime) -> u32 {
        self.count_at(now).map_or(0, |pushed| pushed.pushes)
    }

    /// The reason why a push may not take its part at `now`; `None` if it may.
    #[must_use]
    pub fn problem(&self, part: QuotaPart, now: OffsetDateTime) -> Option<QuotaProblem> {
        let QuotaPart { bytes, freed, pushes } = part;
        let QuotaLimits { bytes: room, pushes_per_day, package_bytes } = self.limits;
        if self.removed.is_some() {
            return None;
        }
        if let Some(limit) = package_bytes.filter(|limit| bytes > *limit) {
            return Some(QuotaProblem::PackageTooLarge { limit, bytes });
        }
        let more = bytes.saturating_sub(freed);
        let after = i128::from(self.stored) + i128::from(more);
        if let Some(limit) = room.filter(|limit| more > 0 && after > i128::from(*limit)) {
            return Some(QuotaProblem::Full { limit, stored: self.stored, bytes: more });
        }
        let today = now.date();
        let others = self.pushes_at(now);
        let limit = pushes_per_day.filter(|limit| pushes > 0 && others + pushes > *limit)?;
        let next = today.next_day().unwrap_or(today).midnight().assume_utc();
        let seconds = u32::try_from((next - now).whole_seconds() + 1).unwrap_or(1);
        Some(QuotaProblem::TooManyPushes { limit, seconds })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(bytes: u64, pushes: u32) -> QuotaPart {
        QuotaPart { bytes, freed: 0, pushes }
    }

    fn quota(limits: QuotaLimits) -> Quota {
        Quota::new("team".parse().unwrap(), limits)
    }

    #[test]
    fn a_quota_is_full_where_a_push_has_no_room() {
        let limits = QuotaLimits { bytes: Some(100), ..QuotaLimits::default() };
        let quota = Quota { stored: 60, ..quota(limits) };
        let now = OffsetDateTime::UNIX_EPOCH;
        assert_eq!(quota.problem(part(40, 1), now), None);
        let full = QuotaProblem::Full { limit: 100, stored: 60, bytes: 41 };
        assert_eq!(quota.problem(part(41, 1), now), Some(full));
        let replaces = QuotaPart { freed: 1, ..part(41, 0) };
        assert_eq!(quota.problem(replaces, now), None, "40 more");
        let removed = Quota { removed: Some(String::new()), ..quota };
        assert_eq!(removed.problem(part(41, 1), now), None);
    }

    #[test]
    fn a_day_has_so_many_pushes_and_the_next_day_has_them_again() {
        let limits = QuotaLimits { pushes_per_day: Some(2), ..QuotaLimits::default() };
        let pushed = Some(QuotaCount { day: "1970-01-01".to_owned(), pushes: 2 });
        let quota = Quota { pushed, ..quota(limits) };
        let at = |seconds| OffsetDateTime::from_unix_timestamp(seconds).unwrap();
        let seconds = |problem| match problem {
            Some(QuotaProblem::TooManyPushes { limit: 2, seconds }) => seconds,
            other => panic!("{other:?}"),
        };
        assert_eq!(seconds(quota.problem(part(1, 1), at(86_390))), 11);
        assert_eq!(quota.problem(part(1, 0), at(86_390)), None, "symbols are no push");
        assert_eq!(quota.problem(part(1, 1), at(86_400)), None);
    }

    #[test]
    fn a_package_may_be_too_large_for_an_empty_quota() {
        let limits = QuotaLimits { package_bytes: Some(10), ..QuotaLimits::default() };
        let quota = quota(limits);
        let now = OffsetDateTime::UNIX_EPOCH;
        assert_eq!(quota.problem(part(10, 1), now), None);
        let large = QuotaProblem::PackageTooLarge { limit: 10, bytes: 11 };
        assert_eq!(quota.problem(part(11, 1), now), Some(large));
        assert!(!quota.counts());
    }

    #[test]
    fn a_quota_is_for_ids_or_for_keys() {
        let (ci, other) = ("ci", "other");
        let by_key = Quota { keys: vec![ci.parse().unwrap()], ..quota(QuotaLimits::default()) };
        assert!(by_key.covers("acme", ci) && !by_key.covers("acme", other));
        let id = Some("Acme.*".parse().unwrap());
        let by_id = Quota { id, ..quota(QuotaLimits::default()) };
        assert!(by_id.covers("acme.core", other) && !by_id.covers("acme", ci));
    }
}
