//! Months, and hours in them. All are of UTC.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use time::{Date, Duration, OffsetDateTime};

/// A month, like `2026-11`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Month {
    year: i32,
    month: u8,
}

/// The text is not a month.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not a month; write it like 2026-11")]
pub struct MonthError(String);

/// The number of full hours from 1970 to `time`.
#[must_use]
pub fn hour_of(time: OffsetDateTime) -> i64 {
    time.unix_timestamp().div_euclid(3_600)
}

impl Month {
    /// The month of a time.
    #[must_use]
    pub fn of(time: OffsetDateTime) -> Self {
        let time = time.to_offset(time::UtcOffset::UTC);
        Self { year: time.year(), month: time.month().into() }
    }

    /// The month of a day.
    #[must_use]
    pub fn of_day(day: Date) -> Self {
        Self { year: day.year(), month: day.month().into() }
    }

    /// Its first moment.
    #[must_use]
    pub fn start(self) -> OffsetDateTime {
        self.first_day().midnight().assume_utc()
    }

    /// The first moment after it.
    #[must_use]
    pub fn end(self) -> OffsetDateTime {
        self.next().start()
    }

    /// Its first day.
    #[must_use]
    pub fn first_day(self) -> Date {
        // Both were checked.
        let month = time::Month::try_from(self.month).unwrap_or(time::Month::January);
        Date::from_calendar_date(self.year, month, 1).unwrap_or(Date::MIN)
    }

    /// Its last day.
    #[must_use]
    pub fn last_day(self) -> Date {
        self.next().first_day().previous_day().unwrap_or(Date::MIN)
    }

    /// The hours in it.
    #[must_use]
    pub fn hours(self) -> i64 {
        (self.end() - self.start()).whole_hours()
    }

    /// The month after it.
    #[must_use]
    pub fn next(self) -> Self {
        // No month has more than 31 days, and any two have more.
        Self::of_day(self.first_day().saturating_add(Duration::days(31)))
    }

    /// The month before it.
    #[must_use]
    pub fn previous(self) -> Self {
        Self::of_day(self.first_day().saturating_sub(Duration::days(1)))
    }
}

impl FromStr for Month {
    type Err = MonthError;

    fn from_str(text: &str) -> Result<Self, MonthError> {
        let error = || MonthError(text.to_owned());
        let (year, month) = text.split_once('-').ok_or_else(error)?;
        let digits = |text: &str, length| {
            text.len() == length && text.bytes().all(|byte| byte.is_ascii_digit())
        };
        if !digits(year, 4) || !digits(month, 2) {
            return Err(error());
        }
        let (year, month) =
            (year.parse().map_err(|_| error())?, month.parse().map_err(|_| error())?);
        if (1..=12).contains(&month) { Ok(Self { year, month }) } else { Err(error()) }
    }
}

impl TryFrom<String> for Month {
    type Error = MonthError;

    fn try_from(text: String) -> Result<Self, MonthError> {
        text.parse()
    }
}

impl From<Month> for String {
    fn from(month: Month) -> Self {
        month.to_string()
    }
}

impl fmt::Display for Month {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}", self.year, self.month)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_month_has_neighbours_and_hours() {
        for (month, previous, next, hours, last) in [
            ("2026-11", "2026-10", "2026-12", 720, "2026-11-30"),
            ("2026-12", "2026-11", "2027-01", 744, "2026-12-31"),
            ("2028-02", "2028-01", "2028-03", 696, "2028-02-29"),
            ("2027-01", "2026-12", "2027-02", 744, "2027-01-31"),
        ] {
            let month: Month = month.parse().unwrap();
            assert_eq!(month.previous().to_string(), previous);
            assert_eq!(month.next().to_string(), next);
            assert_eq!(month.hours(), hours);
            assert_eq!(month.last_day().to_string(), last);
            assert_eq!(Month::of(month.start()), month);
            assert_eq!(Month::of(month.end()), month.next());
        }
    }

    #[test]
    fn a_month_is_four_digits_and_two() {
        for text in ["", "2026", "2026-13", "2026-00", "2026-1", "26-11", "2026-11-01", "+026-11"] {
            assert!(text.parse::<Month>().is_err(), "{text}");
        }
    }
}
