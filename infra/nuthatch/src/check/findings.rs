//! The findings of a check, for people and for scripts.

use std::fmt;

use indicatif::HumanBytes;
use serde::Serialize;
use time::Duration;

/// A fault that a healthy feed does not have.
#[derive(Debug, Clone, Serialize, PartialEq, Eq, thiserror::Error)]
#[serde(tag = "problem", rename_all = "kebab-case")]
pub(crate) enum Problem {
    #[error("the row {pk}, {sk} cannot be read: {reason}")]
    UnreadableRow { pk: String, sk: String, reason: String },
    #[error("{package}: its object {object} is missing")]
    MissingObject { package: String, object: String },
    #[error("{package}: its object {object} has {found} bytes and not {expected}")]
    WrongSize { package: String, object: String, expected: u64, found: u64 },
    #[error("{package}: its object {object} lies under another id, version or name")]
    OtherObject { package: String, object: String },
    #[error("{package}: its object {object} has another SHA-256 than its row")]
    WrongHash { package: String, object: String },
    #[error("{package}: its {row} row is missing")]
    MissingRow { package: String, row: &'static str },
    #[error("{package}: a {row} row of a version that is not there")]
    StrayRow { package: String, row: &'static str },
    #[error("{package}: its last change, {change}, is not in the log")]
    GapInLog { package: String, change: String },
    #[error("{package}: the row of its PDB {guid} is missing")]
    MissingPdb { package: String, guid: String },
    #[error("the key '{name}' points to no key")]
    MissingKey { name: String },
    #[error("the trust '{name}' is not in the list, or is only there")]
    MissingTrust { name: String },
    #[error("{object} cannot be brought back: {reason}")]
    NotRebuilt { object: String, reason: String },
}

/// An object that nothing points to, left by a push that crashed or lost a race. It does no
/// harm.
#[derive(Debug, Clone, Serialize, PartialEq, Eq)]
pub(crate) struct Orphan {
    pub(crate) object: String,
    pub(crate) bytes: u64,
    pub(crate) age_seconds: i64,
    pub(crate) removed: bool,
}

/// The row of a PDB that no version has, left by a push of symbols that crashed, or by one
/// that was replaced. It is of no effect.
#[derive(Debug, Clone, Serialize, PartialEq, Eq)]
pub(crate) struct StrayPdb {
    pub(crate) guid: String,
    pub(crate) package: String,
    pub(crate) age_seconds: i64,
    pub(crate) removed: bool,
}

/// A version that a rebuild would leave out: its push crashed between the commit and its
/// mark, or was made before marks existed.
#[derive(Debug, Clone, Serialize, PartialEq, Eq)]
pub(crate) struct Unmarked {
    pub(crate) package: String,
    pub(crate) marked: bool,
}

/// All that was found.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Findings {
    pub(crate) versions: u64,
    pub(crate) deleted: u64,
    pub(crate) symbols: u64,
    pub(crate) objects: u64,
    pub(crate) changes: u64,
    pub(crate) keys: u64,
    pub(crate) problems: Vec<Problem>,
    pub(crate) orphans: Vec<Orphan>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) stray_pdbs: Vec<StrayPdb>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) unmarked: Vec<Unmarked>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) rebuilt: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) unknown: Vec<String>,
}

impl Findings {
    pub(crate) fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).unwrap_or_default()
    }
}

impl fmt::Display for Findings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for package in &self.rebuilt {
            writeln!(f, "brought back {package}")?;
        }
        for line in &self.unknown {
            writeln!(f, "cannot be known: {line}")?;
        }
        for Unmarked { package, marked } in &self.unmarked {
            let state = if *marked { "marked" } else { "not marked" };
            writeln!(f, "{state} as committed: {package}")?;
        }
        if self.unmarked.iter().any(|found| !found.marked) {
            writeln!(f, "What is not marked, a rebuild would leave out; --repair marks it.")?;
        }
        for orphan in &self.orphans {
            let Orphan { object, bytes, age_seconds, removed } = orphan;
            let age = Duration::seconds(*age_seconds);
            let state = if *removed { "removed" } else { "nothing points to" };
            writeln!(
                f,
                "{state} {object}, {}, {} hours old",
                HumanBytes(*bytes),
                age.whole_hours()
            )?;
        }
        for StrayPdb { guid, package, age_seconds, removed } in &self.stray_pdbs {
            let hours = Duration::seconds(*age_seconds).whole_hours();
            let state = if *removed { "removed" } else { "nothing uses" };
            writeln!(f, "{state} the row of the PDB {guid} of {package}, {hours} hours old")?;
        }
        for problem in &self.problems {
            writeln!(f, "PROBLEM {problem}")?;
        }
        writeln!(
            f,
            "{} versions, {} deleted, {} with symbols, {} objects, {} changes, {} keys: {} problems, {} orphans",
            self.versions,
            self.deleted,
            self.symbols,
            self.objects,
            self.changes,
            self.keys,
            self.problems.len(),
            self.orphans.len() + self.stray_pdbs.len()
        )
    }
}
