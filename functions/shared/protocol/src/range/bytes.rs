//! The value of a Range header.

use std::ops::Range;

/// Which bytes a request asks for.
#[derive(Debug, PartialEq, Eq)]
pub enum AskedRange {
    /// All of them; or a kind of range that a server may ignore.
    Whole,
    /// These bytes.
    Part(Range<u64>),
    /// A range outside of the file.
    Nowhere,
}

impl AskedRange {
    /// The bytes that `range`, for example `bytes=0-99`, asks for in a file of `size`
    /// bytes.
    #[must_use]
    pub fn parse(range: &str, size: u64) -> Self {
        let bounds = range.trim().strip_prefix("bytes=").and_then(|range| range.split_once('-'));
        let Some((first, last)) = bounds else { return Self::Whole };
        let part = match (number(first), number(last)) {
            // The last `length` bytes.
            (None, Some(length)) if first.is_empty() => size.saturating_sub(length)..size,
            (Some(first), None) if last.is_empty() => first..size,
            (Some(first), Some(last)) if first <= last => first..size.min(last.saturating_add(1)),
            _ => return Self::Whole,
        };
        if part.is_empty() { Self::Nowhere } else { Self::Part(part) }
    }
}

fn number(text: &str) -> Option<u64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_read_as_the_rfc_has_it() {
        use AskedRange::{Nowhere, Part, Whole};
        for (range, asked) in [
            ("bytes=0-0", Part(0..1)),
            ("bytes=0-", Part(0..10)),
            ("bytes=2-4", Part(2..5)),
            ("bytes=2-99", Part(2..10)),
            ("bytes=-3", Part(7..10)),
            ("bytes=-99", Part(0..10)),
            ("bytes=10-", Nowhere),
            ("bytes=-0", Nowhere),
            ("bytes=4-2", Whole),
            ("bytes=0-1,3-4", Whole),
            ("bytes=-", Whole),
            ("bytes=+1-2", Whole),
            ("lines=0-1", Whole),
            ("bytes=0-18446744073709551615", Part(0..10)),
        ] {
            assert_eq!(AskedRange::parse(range, 10), asked, "{range}");
        }
    }
}
