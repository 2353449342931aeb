//! Numbers of bytes as people write them.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A number of bytes, written like `50GB`, `200 MB`, `1GiB` or `4096`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ByteSize(pub u64);

/// The text is not a number of bytes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not a number of bytes; write it like 50GB, 200MB or 1GiB")]
pub struct ByteSizeError(String);

/// The units, the largest of each kind first.
const UNITS: [(&str, u64); 8] = [
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("TB", 1_000_000_000_000),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("KB", 1_000),
];

impl FromStr for ByteSize {
    type Err = ByteSizeError;

    fn from_str(text: &str) -> Result<Self, ByteSizeError> {
        let error = || ByteSizeError(text.to_owned());
        let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let (number, unit) = text.split_at_checked(end).ok_or_else(error)?;
        let number: u64 = number.parse().map_err(|_| error())?;
        let unit = unit.trim_start();
        let bytes = match UNITS.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit)) {
            Some((_, bytes)) => *bytes,
            None if unit.is_empty() || unit.eq_ignore_ascii_case("B") => 1,
            None => return Err(error()),
        };
        number.checked_mul(bytes).map(Self).ok_or_else(error)
    }
}

impl fmt::Display for ByteSize {
    /// Exactly where a unit divides it, or else to a tenth of the largest decimal unit.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(bytes) = *self;
        let whole = UNITS.iter().filter(|(_, unit)| bytes >= *unit && bytes.is_multiple_of(*unit));
        let shortest = whole.max_by_key(|(_, unit)| *unit);
        if let Some((name, unit)) = shortest.filter(|(_, unit)| bytes / unit < 10_000) {
            return write!(f, "{} {name}", bytes / unit);
        }
        match UNITS.iter().skip(4).find(|(_, unit)| bytes >= *unit) {
            Some((name, unit)) => {
                let tenths = bytes / (unit / 10);
                write!(f, "{}.{} {name}", tenths / 10, tenths % 10)
            }
            None => write!(f, "{bytes} B"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_read_in_any_unit_and_shown_in_one() {
        for (text, bytes, shown) in [
            ("50GB", 50_000_000_000, "50 GB"),
            ("200 mb", 200_000_000, "200 MB"),
            ("1GiB", 1 << 30, "1 GiB"),
            ("0", 0, "0 B"),
            ("999", 999, "999 B"),
            ("1234567B", 1_234_567, "1.2 MB"),
            ("1048577", 1_048_577, "1.0 MB"),
        ] {
            let size: ByteSize = text.parse().unwrap();
            assert_eq!(size, ByteSize(bytes), "{text}");
            assert_eq!(size.to_string(), shown);
        }
        for text in ["", "GB", "-1", "1.5GB", "1 PB", "99999999TB", "1GB2"] {
            assert!(text.parse::<ByteSize>().is_err(), "{text}");
        }
    }
}
