//! The book of a month: all that the log of changes cannot tell, or not quickly.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use time::Date;

use crate::{Month, Stock};

/// Downloads by package and version, both in lower case.
pub type Totals = BTreeMap<String, BTreeMap<String, u64>>;

/// The facts of a month besides its changes. It is written once a day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Book {
    /// The month.
    pub month: Month,
    /// The last day whose downloads are in it.
    #[serde(with = "day")]
    pub through: Date,
    /// The bytes that were stored when the month began.
    pub opening: Stock,
    /// The downloads of each day.
    pub downloads: Vec<DayDownloads>,
    /// All downloads of each version until the end of `through`.
    pub totals: Totals,
}

/// The downloads of a package on one day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DayDownloads {
    /// The day of the month.
    pub day: u8,
    /// The package, in lower case.
    pub id: String,
    /// The key that pushed the versions.
    pub key: String,
    /// How many.
    pub downloads: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// A day, like `2026-11-28`.
pub(crate) mod day {
    use serde::{Deserialize, Deserializer, Serializer, de};
    use time::Date;
    use time::macros::format_description;

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
    pub(crate) fn serialize<S: Serializer>(day: &Date, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(day)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Date, D::Error> {
        let text = String::deserialize(from)?;
        let format = format_description!("[year]-[month]-[day]");
        Date::parse(&text, format).map_err(de::Error::custom)
    }
}
