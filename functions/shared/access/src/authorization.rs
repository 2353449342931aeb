//! The scopes of keys, and the ids that they are good for.

use std::fmt;
use std::str::FromStr;

use nupkg::PackageId;
use serde::{Deserialize, Serialize};

/// A kind of request that a key may be good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// Push packages.
    Push,
    /// Unlist, relist and delete versions.
    Unlist,
    /// Read packages.
    Read,
    /// Everything.
    Admin,
}

/// The text is not a scope.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not a scope; use push, unlist, read or admin")]
pub struct ScopeError(String);

impl FromStr for Scope {
    type Err = ScopeError;

    fn from_str(text: &str) -> Result<Self, ScopeError> {
        match text {
            "push" => Ok(Self::Push),
            "unlist" => Ok(Self::Unlist),
            "read" => Ok(Self::Read),
            "admin" => Ok(Self::Admin),
            _ => Err(ScopeError(text.to_owned())),
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Push => "push",
            Self::Unlist => "unlist",
            Self::Read => "read",
            Self::Admin => "admin",
        })
    }
}

/// A pattern of package ids: `*` matches any run of characters. Case does not count.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdGlob(String);

/// The text is not a pattern of ids.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "'{0}' is not a pattern of package ids; use up to 100 letters, digits, '.', '_', '-' and '*'"
)]
pub struct IdGlobError(String);

impl IdGlob {
    /// The pattern that every id matches.
    #[must_use]
    pub fn any() -> Self {
        Self("*".to_owned())
    }

    /// The pattern as written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether `id` matches.
    #[must_use]
    pub fn matches(&self, id: &PackageId) -> bool {
        self.matches_key(&id.key())
    }

    /// Whether the id that is `key` in lower case matches.
    #[must_use]
    pub fn matches_key(&self, key: &str) -> bool {
        glob_matches(&self.0.to_ascii_lowercase(), key)
    }

    /// Whether some id may match both patterns.
    #[must_use]
    pub fn overlaps(&self, other: &Self) -> bool {
        let (left, right) = (self.0.to_ascii_lowercase(), other.0.to_ascii_lowercase());
        globs_overlap(left.as_bytes(), right.as_bytes())
    }
}

impl FromStr for IdGlob {
    type Err = IdGlobError;

    fn from_str(text: &str) -> Result<Self, IdGlobError> {
        let known = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '*');
        if (1..=nupkg::MAX_ID_LENGTH).contains(&text.len()) && text.chars().all(known) {
            Ok(Self(text.to_owned()))
        } else {
            Err(IdGlobError(text.to_owned()))
        }
    }
}

impl fmt::Display for IdGlob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whether `text` matches `pattern`, in which `*` stands for any run of characters.
#[must_use]
pub fn glob_matches(pattern: &str, text: &str) -> bool {
    let Some((prefix, rest)) = pattern.split_once('*') else { return pattern == text };
    let Some(mut text) = text.strip_prefix(prefix) else { return false };
    let mut pieces: Vec<&str> = rest.split('*').collect();
    let suffix = pieces.pop().unwrap_or_default();
    // The leftmost match of each piece leaves the most text for the next ones.
    for piece in pieces {
        match text.split_once(piece) {
            Some((_, after)) => text = after,
            None => return false,
        }
    }
    text.ends_with(suffix)
}

/// Whether some text matches both patterns.
fn globs_overlap(left: &[u8], right: &[u8]) -> bool {
    let mut reached = vec![false; right.len() + 1];
    // In a row for each beginning of `left`: whether it overlaps each beginning of `right`.
    for at in 0..=left.len() {
        let mut row = vec![false; right.len() + 1];
        for other in 0..=right.len() {
            let before = |pattern: &[u8], at: usize| {
                at.checked_sub(1).and_then(|before| pattern.get(before)).copied()
            };
            let get = |row: &[bool], at: usize| row.get(at).copied().unwrap_or_default();
            let (one, two) = (before(left, at), before(right, other));
            let overlaps = match (one, two) {
                (None, None) => true,
                (Some(b'*'), _) if get(&reached, other) => true,
                (_, Some(b'*')) if other > 0 && get(&row, other - 1) => true,
                (Some(b'*'), Some(_)) => get(&row, other - 1),
                (Some(_), Some(b'*')) => get(&reached, other),
                (Some(one), Some(two)) => one == two && get(&reached, other - 1),
                _ => false,
            };
            if let Some(cell) = row.get_mut(other) {
                *cell = overlaps;
            }
        }
        reached = row;
    }
    reached.last().copied().unwrap_or_default()
}

/// The reason why a key is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyProblem {
    /// None was sent.
    Missing,
    /// The feed has no such key.
    Unknown,
    /// It has expired, or was revoked.
    Ended,
    /// It is good for other kinds of requests.
    LacksScope,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_overlap_where_an_id_may_match_both() {
        for (one, other, overlap) in [
            ("*", "Team.*", true),
            ("Team.*", "team.core", true),
            ("Team.*", "Other.*", false),
            ("*.Core", "Team.*", true),
            ("*.Core", "Team.*.Tests", false),
            ("a*b", "ab", true),
            ("a*b", "a", false),
            ("a*c*e", "*b*d*", true),
            ("abc", "abc", true),
            ("abc", "abd", false),
            ("**", "x", true),
        ] {
            let (one, other): (IdGlob, IdGlob) = (one.parse().unwrap(), other.parse().unwrap());
            assert_eq!(one.overlaps(&other), overlap, "{one} {other}");
            assert_eq!(other.overlaps(&one), overlap, "{other} {one}");
        }
    }

    fn matches(glob: &str, id: &str) -> bool {
        glob.parse::<IdGlob>().unwrap().matches(&PackageId::parse(id).unwrap())
    }

    #[test]
    fn a_glob_matches_ids_whatever_their_case() {
        for (glob, id) in [
            ("*", "Acme"),
            ("Acme.*", "acme.core"),
            ("*.Core", "Acme.CORE"),
            ("acme", "Acme"),
            ("A*c*e", "abcde"),
            ("A**e", "abe"),
            ("*a*a*", "aa"),
            ("ab*ab", "abab"),
        ] {
            assert!(matches(glob, id), "{glob} {id}");
        }
        for (glob, id) in [
            ("Acme.*", "Acme"),
            ("Acme", "AcmeX"),
            ("*.Core", "Core"),
            ("A*c*e", "abde"),
            ("ab*ab", "ab"),
            ("Acme.*", "X.Acme.Core"),
        ] {
            assert!(!matches(glob, id), "{glob} {id}");
        }
    }

    #[test]
    fn a_scope_is_read_as_it_is_written() {
        for scope in [Scope::Push, Scope::Unlist, Scope::Read, Scope::Admin] {
            assert_eq!(scope.to_string().parse(), Ok(scope));
        }
        for text in ["", "Push", "all"] {
            assert_eq!(text.parse::<Scope>(), Err(ScopeError(text.to_owned())));
        }
    }

    #[test]
    fn a_glob_is_of_the_characters_of_ids_and_stars() {
        for text in ["*", "A.b_c-9*", &"a".repeat(100)] {
            assert_eq!(text.parse::<IdGlob>().unwrap().to_string(), text);
        }
        for text in ["", "a b", "a/b", "\u{e9}", &"a".repeat(101)] {
            assert_eq!(text.parse::<IdGlob>(), Err(IdGlobError(text.to_owned())));
        }
    }
}
