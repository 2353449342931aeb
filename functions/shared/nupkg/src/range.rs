//! Version ranges: the versions that a dependency accepts.

use std::fmt;
use std::str::FromStr;

use crate::Version;

/// A range of versions, as in a nuspec's `<dependency version="…"/>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VersionRange {
    min: Option<Bound>,
    max: Option<Bound>,
    /// The floating pattern in the minimum's place (`1.*`), as written.
    floating: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Bound {
    version: Version,
    inclusive: bool,
}

/// The text is not a version range.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not a version range; write it like 1.0 or [1.0, 2.0)")]
pub struct VersionRangeError(pub String);

impl VersionRange {
    /// Whether the range names a pattern (`1.*`) that every restore resolves
    /// anew.
    #[must_use]
    pub fn is_floating(&self) -> bool {
        self.floating.is_some()
    }

    /// The bounds that are versions, lowest first.
    pub fn versions(&self) -> impl Iterator<Item = &Version> {
        [&self.min, &self.max].into_iter().flatten().map(|bound| &bound.version)
    }
}

impl FromStr for VersionRange {
    type Err = VersionRangeError;

    /// The range in `text`, as `VersionRange.Parse` of NuGet 6 reads it.
    fn from_str(text: &str) -> Result<Self, VersionRangeError> {
        parse(text.trim()).ok_or_else(|| VersionRangeError(text.to_owned()))
    }
}

fn parse(text: &str) -> Option<VersionRange> {
    let (min_inclusive, inner) = match text.chars().next()? {
        '[' => (true, text.strip_prefix('[')?),
        '(' => (false, text.strip_prefix('(')?),
        _ => return parse_minimum(text),
    };
    let (inner, max_inclusive) = match inner.strip_suffix(']') {
        Some(inner) => (inner, true),
        None => (inner.strip_suffix(')')?, false),
    };
    match inner.split_once(',') {
        None => parse_exact(inner, min_inclusive && max_inclusive),
        // A range open on both sides must be written with white space between.
        Some(("", "")) => None,
        Some((min, max)) => parse_bounds((min.trim(), min_inclusive), (max.trim(), max_inclusive)),
    }
}

/// `1.0`: this version or higher.
fn parse_minimum(text: &str) -> Option<VersionRange> {
    let (version, floating) = parse_floor(text)?;
    Some(VersionRange {
        min: version.map(|version| Bound { version, inclusive: true }),
        max: None,
        floating,
    })
}

/// `[1.0]`: this version alone.
fn parse_exact(inner: &str, inclusive: bool) -> Option<VersionRange> {
    if !inclusive {
        return None;
    }
    let bound = Bound { version: inner.trim().parse().ok()?, inclusive };
    Some(VersionRange { min: Some(bound.clone()), max: Some(bound), floating: None })
}

fn parse_bounds(min: (&str, bool), max: (&str, bool)) -> Option<VersionRange> {
    let (version, floating) = match min.0 {
        "" => (None, None),
        text => parse_floor(text)?,
    };
    let min = version.map(|version| Bound { version, inclusive: min.1 });
    let max = match max.0 {
        "" => None,
        text => Some(Bound { version: text.parse().ok()?, inclusive: max.1 }),
    };
    if let (Some(min), Some(max)) = (&min, &max) {
        let order = min.version.precedence(&max.version);
        // `(1.0, 1.0)` is empty but parses; one closed side of it does not.
        if order.is_gt() || (order.is_eq() && min.inclusive != max.inclusive) {
            return None;
        }
    }
    Some(VersionRange { min, max, floating })
}

/// A lower bound: a version, or a floating pattern with the version that it
/// starts from.
fn parse_floor(text: &str) -> Option<(Option<Version>, Option<String>)> {
    if !text.contains('*') {
        return Some((Some(text.parse().ok()?), None));
    }
    let (numbers, release) = match text.split_once('-') {
        Some((numbers, release)) => (numbers, Some(release)),
        None => (text, None),
    };
    if !is_floating_numbers(numbers, release.is_some()) || !release.is_none_or(is_floating_label) {
        return None;
    }
    Some((None, Some(text.to_owned())))
}

/// `*`, `1.*`, `1.2.*`, `1.2.3.*`; a whole version before a floating label.
fn is_floating_numbers(numbers: &str, before_release: bool) -> bool {
    let stem = match numbers.strip_suffix('*') {
        Some("") => return true,
        Some(stem) => match stem.strip_suffix('.') {
            Some(stem) if stem.split('.').count() < 4 => stem,
            _ => return false,
        },
        None if before_release => numbers,
        None => return false,
    };
    stem.parse::<Version>().is_ok_and(|version| !version.is_prerelease())
}

fn is_floating_label(label: &str) -> bool {
    label.strip_suffix('*').is_some_and(|stem| {
        stem.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'.')
    })
}

impl fmt::Display for VersionRange {
    /// NuGet's normalized form: `[1.0.0, )`, `(, 2.0.0]`, `(, )`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.floating, &self.min) {
            (Some(pattern), _) => write!(f, "[{pattern}, ")?,
            (None, Some(Bound { version, inclusive: true })) => write!(f, "[{version}, ")?,
            (None, Some(Bound { version, inclusive: false })) => write!(f, "({version}, ")?,
            (None, None) => f.write_str("(, ")?,
        }
        match &self.max {
            Some(Bound { version, inclusive: true }) => write!(f, "{version}]"),
            Some(Bound { version, inclusive: false }) => write!(f, "{version})"),
            None => f.write_str(")"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_of_the_reference_table_print_normalized() {
        for (input, normalized) in [
            ("1", "[1.0.0, )"),
            ("02", "[2.0.0, )"),
            ("1.0", "[1.0.0, )"),
            ("[1.0]", "[1.0.0, 1.0.0]"),
            ("[1.0,1.0]", "[1.0.0, 1.0.0]"),
            ("[1.0.0.0]", "[1.0.0, 1.0.0]"),
            ("(1.0,)", "(1.0.0, )"),
            ("[1.0, ]", "[1.0.0, )"),
            ("[1.0,)", "[1.0.0, )"),
            ("(,1.0]", "(, 1.0.0]"),
            ("[,1.0]", "(, 1.0.0]"),
            ("[,1.0)", "(, 1.0.0)"),
            ("(1.0,2.0)", "(1.0.0, 2.0.0)"),
            ("[ 1.0 , 2.0 ]", "[1.0.0, 2.0.0]"),
            ("[1.0.0+a,2.0.0+b]", "[1.0.0, 2.0.0]"),
            ("1.0.0-RC1", "[1.0.0-RC1, )"),
            ("1.0.0.5", "[1.0.0.5, )"),
            ("(, )", "(, )"),
            ("[ , ]", "(, )"),
            ("1 . 2", "[1.2.0, )"),
            ("(1.0,1.0)", "(1.0.0, 1.0.0)"),
            ("1.*", "[1.*, )"),
            ("*", "[*, )"),
            ("1.0.0-beta*", "[1.0.0-beta*, )"),
            ("*-*", "[*-*, )"),
        ] {
            let range: VersionRange = input.parse().expect(input);
            assert_eq!(range.to_string(), normalized, "{input}");
        }
    }

    #[test]
    fn texts_that_the_reference_calls_invalid_are_no_ranges() {
        for input in [
            "(,)",
            "[,]",
            "[]",
            "()",
            "(1.0)",
            "[1.0)",
            "(1.0]",
            "[2.0,1.0]",
            "[1.0,1.0)",
            "(1.0,1.0]",
            "(1.0.0-a,1.0.0-A]",
            "1.0,",
            "[1.0",
            "1.0]",
            "[1.0,2.0,3.0]",
            "[1.0,2.*]",
            "abc",
            "",
        ] {
            assert!(input.parse::<VersionRange>().is_err(), "{input}");
        }
    }

    #[test]
    fn a_floating_range_is_recognized() {
        assert!("1.*".parse::<VersionRange>().unwrap().is_floating());
        assert!(!"[1.0,2.0]".parse::<VersionRange>().unwrap().is_floating());
    }
}
