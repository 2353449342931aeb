//! Names of trusts.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The name of a trust: 1 to 32 letters, digits, `.`, `_` and `-`. A name is never reused,
/// not even after its trust was removed. It is short, because the names of keys that come of
/// it begin with it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct TrustName(String);

/// The text is not the name of a trust.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not the name of a trust; use 1 to 32 letters, digits, '.', '_' and '-'")]
pub struct TrustNameError(String);

impl TrustName {
    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for TrustName {
    type Err = TrustNameError;

    fn from_str(text: &str) -> Result<Self, TrustNameError> {
        let known = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        if (1..=32).contains(&text.len()) && text.chars().all(known) {
            Ok(Self(text.to_owned()))
        } else {
            Err(TrustNameError(text.to_owned()))
        }
    }
}

impl TryFrom<String> for TrustName {
    type Error = TrustNameError;

    fn try_from(text: String) -> Result<Self, TrustNameError> {
        text.parse()
    }
}

impl fmt::Display for TrustName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_short_and_plain() {
        for name in ["a", "acme-Release.2_b", &"a".repeat(32)] {
            assert_eq!(name.parse::<TrustName>().unwrap().to_string(), name);
        }
        for name in ["", "a b", "a/b", "a#b", "\u{e9}", &"a".repeat(33)] {
            assert_eq!(name.parse::<TrustName>(), Err(TrustNameError(name.to_owned())));
        }
    }
}
