//! Package versions as NuGet's own library reads, prints and orders them.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;

/// The longest version that a feed keeps, in characters. It fits, together with an id, into
/// the keys of the table (1,024 bytes) and the bucket (1,024), and into the path of a
/// request.
pub const MAX_VERSION_LENGTH: usize = 256;

/// A package version: `major.minor.patch[.revision][-release][+metadata]`.
///
/// Two versions are equal when their [keys](Version::key) are: build metadata,
/// the case of the release labels and leading zeros never count.
#[derive(Debug, Clone)]
pub struct Version {
    numbers: [u32; 4],
    release: Option<String>,
    metadata: Option<String>,
}

/// The text is not a version.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not a version; write it like 1.2.3, 1.2.3-beta.1 or 1.2.3.4")]
pub struct VersionError(pub String);

impl Version {
    /// `major.minor.patch`, the revision where it is not zero, and the release
    /// labels in the case they were written in; no metadata.
    #[must_use]
    pub fn normalized(&self) -> String {
        let [major, minor, patch, revision] = self.numbers;
        let mut text = format!("{major}.{minor}.{patch}");
        if revision > 0 {
            text.push('.');
            text.push_str(&revision.to_string());
        }
        if let Some(release) = &self.release {
            text.push('-');
            text.push_str(release);
        }
        text
    }

    /// [`normalized`](Version::normalized) and the build metadata.
    #[must_use]
    pub fn full(&self) -> String {
        match &self.metadata {
            Some(metadata) => format!("{}+{metadata}", self.normalized()),
            None => self.normalized(),
        }
    }

    /// The normalized version lower-cased: what it is compared, stored and
    /// addressed by.
    #[must_use]
    pub fn key(&self) -> String {
        self.normalized().to_ascii_lowercase()
    }

    /// Whether the version has release labels.
    #[must_use]
    pub fn is_prerelease(&self) -> bool {
        self.release.is_some()
    }

    /// Whether clients older than NuGet 4.3 cannot read the version: more than
    /// one release label, or build metadata.
    #[must_use]
    pub fn is_semver2(&self) -> bool {
        self.metadata.is_some() || self.release.as_ref().is_some_and(|r| r.contains('.'))
    }

    /// Whether the version carries build metadata.
    #[must_use]
    pub fn has_metadata(&self) -> bool {
        self.metadata.is_some()
    }

    /// NuGet's own comparison. It treats a few versions as equal that are not (`1.0.0-0`
    /// and `1.0.0--0`); [`Ord`] tells those apart by their keys.
    #[must_use]
    pub fn precedence(&self, other: &Self) -> Ordering {
        self.numbers.cmp(&other.numbers).then_with(|| match (&self.release, &other.release) {
            (None, None) => Ordering::Equal,
            (None, Some(_)) => Ordering::Greater,
            (Some(_), None) => Ordering::Less,
            (Some(left), Some(right)) => compare_release(left, right),
        })
    }
}

impl FromStr for Version {
    type Err = VersionError;

    /// The version in `text`, as `NuGetVersion.Parse` reads it: one to four numbers, white
    /// space around them allowed.
    fn from_str(text: &str) -> Result<Self, VersionError> {
        parse(text.trim()).ok_or_else(|| VersionError(text.to_owned()))
    }
}

fn parse(text: &str) -> Option<Version> {
    let numbers_end = text.find(['-', '+']).unwrap_or(text.len());
    let (numbers, rest) = text.split_at(numbers_end);
    let (release, metadata) = match rest.split_once('+') {
        Some((release, metadata)) => (release, Some(metadata)),
        None => (rest, None),
    };
    let release = match release.strip_prefix('-') {
        Some(labels) => Some(labels),
        None if release.is_empty() => None,
        None => return None,
    };
    if !release.is_none_or(|labels| labels.split('.').all(is_release_label))
        || !metadata.is_none_or(|labels| labels.split('.').all(is_label))
    {
        return None;
    }
    Some(Version {
        numbers: parse_numbers(numbers)?,
        release: release.map(str::to_owned),
        metadata: metadata.map(str::to_owned),
    })
}

fn parse_numbers(text: &str) -> Option<[u32; 4]> {
    let mut numbers = [0; 4];
    let mut sections = text.split('.');
    for number in &mut numbers {
        let Some(section) = sections.next() else { break };
        let digits = section.trim();
        if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        // .NET's System.Version holds signed 32-bit numbers.
        *number = u32::try_from(digits.parse::<i32>().ok()?).ok()?;
    }
    sections.next().is_none().then_some(numbers)
}

fn is_label(label: &str) -> bool {
    !label.is_empty() && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

fn is_release_label(label: &str) -> bool {
    let leading_zero =
        label.len() > 1 && label.starts_with('0') && label.bytes().all(|b| b.is_ascii_digit());
    is_label(label) && !leading_zero
}

fn compare_release(left: &str, right: &str) -> Ordering {
    let (mut left, mut right) = (left.split('.'), right.split('.'));
    loop {
        match (left.next(), right.next()) {
            (None, None) => return Ordering::Equal,
            (None, Some(_)) => return Ordering::Less,
            (Some(_), None) => return Ordering::Greater,
            (Some(left), Some(right)) => match compare_label(left, right) {
                Ordering::Equal => {}
                unequal => return unequal,
            },
        }
    }
}

/// A label is numeric when .NET's `int.TryParse` takes it: a label above
/// 2147483647 is text, and `-1` is a number below zero.
fn compare_label(left: &str, right: &str) -> Ordering {
    match (left.parse::<i32>(), right.parse::<i32>()) {
        (Ok(left), Ok(right)) => left.cmp(&right),
        (Ok(_), Err(_)) => Ordering::Less,
        (Err(_), Ok(_)) => Ordering::Greater,
        // OrdinalIgnoreCase compares upper-cased text.
        (Err(_), Err(_)) => left
            .bytes()
            .map(|b| b.to_ascii_uppercase())
            .cmp(right.bytes().map(|b| b.to_ascii_uppercase())),
    }
}

impl fmt::Display for Version {
    /// The [normalized](Version::normalized) version.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.normalized())
    }
}

impl PartialEq for Version {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Version {}

impl Hash for Version {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.key().hash(state);
    }
}

impl PartialOrd for Version {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Version {
    fn cmp(&self, other: &Self) -> Ordering {
        self.precedence(other).then_with(|| self.key().cmp(&other.key()))
    }
}
