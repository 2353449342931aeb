//! Patterns of git refs.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A pattern of git refs, such as `refs/tags/v*`: `*` matches any run of characters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct RefGlob(String);

/// The text is not a pattern of refs.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "'{0}' is not a pattern of git refs; write it whole, like refs/heads/main or 'refs/tags/v*'"
)]
pub struct RefGlobError(String);

impl RefGlob {
    /// Whether `text` matches.
    #[must_use]
    pub fn matches(&self, text: &str) -> bool {
        access::glob_matches(&self.0, text)
    }
}

impl FromStr for RefGlob {
    type Err = RefGlobError;

    fn from_str(text: &str) -> Result<Self, RefGlobError> {
        let is_whole = text.starts_with("refs/heads/") || text.starts_with("refs/tags/");
        if is_whole && text.len() <= 200 && text.chars().all(|c| c.is_ascii_graphic()) {
            Ok(Self(text.to_owned()))
        } else {
            Err(RefGlobError(text.to_owned()))
        }
    }
}

impl TryFrom<String> for RefGlob {
    type Error = RefGlobError;

    fn try_from(text: String) -> Result<Self, RefGlobError> {
        text.parse()
    }
}

impl fmt::Display for RefGlob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_names_branches_or_tags() {
        let glob: RefGlob = "refs/tags/v*".parse().unwrap();
        assert!(glob.matches("refs/tags/v1.0.0") && !glob.matches("refs/tags/V1"));
        for text in ["", "*", "main", "refs/pull/3/merge", "refs/tags/a b"] {
            assert_eq!(text.parse::<RefGlob>(), Err(RefGlobError(text.to_owned())));
        }
    }
}
