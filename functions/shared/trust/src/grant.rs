//! The key that a trusted workload gets.

use std::fmt;
use std::str::FromStr;

use access::{IdGlob, Scope};
use serde::{Deserialize, Serialize};

/// A scope that a trust can grant. It never grants `admin`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum GrantScope {
    /// Push packages.
    Push,
    /// Unlist, relist and delete versions.
    Unlist,
    /// Read packages.
    Read,
}

impl From<GrantScope> for Scope {
    fn from(scope: GrantScope) -> Self {
        match scope {
            GrantScope::Push => Self::Push,
            GrantScope::Unlist => Self::Unlist,
            GrantScope::Read => Self::Read,
        }
    }
}

impl fmt::Display for GrantScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Scope::from(*self).fmt(f)
    }
}

impl FromStr for GrantScope {
    type Err = GrantError;

    fn from_str(text: &str) -> Result<Self, GrantError> {
        match text {
            "push" => Ok(Self::Push),
            "unlist" => Ok(Self::Unlist),
            "read" => Ok(Self::Read),
            _ => Err(GrantError::NoScope(text.to_owned())),
        }
    }
}

/// How long a key lives, in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct KeyLifetime(u32);

impl KeyLifetime {
    const SHORTEST: u32 = 5 * 60;
    const LONGEST: u32 = 60 * 60;
    const LONGEST_TO_READ: u32 = 12 * 60 * 60;

    /// The lifetime in seconds.
    #[must_use]
    pub fn seconds(self) -> u32 {
        self.0
    }
}

impl KeyLifetime {
    /// The lifetime of the keys of people, who are not to sign in anew within a working day.
    #[must_use]
    pub fn of_people() -> Self {
        Self(Self::LONGEST_TO_READ)
    }
}

impl Default for KeyLifetime {
    fn default() -> Self {
        Self(15 * 60)
    }
}

impl FromStr for KeyLifetime {
    type Err = GrantError;

    fn from_str(text: &str) -> Result<Self, GrantError> {
        let error = || GrantError::NoLifetime(text.to_owned());
        let (number, unit) = match (text.strip_suffix('m'), text.strip_suffix('h')) {
            (Some(minutes), _) => (minutes, 60),
            (_, Some(hours)) => (hours, 60 * 60),
            _ => return Err(error()),
        };
        let number: u32 = number.parse().map_err(|_| error())?;
        Ok(Self(number.checked_mul(unit).ok_or_else(error)?))
    }
}

impl fmt::Display for KeyLifetime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_multiple_of(60 * 60) {
            write!(f, "{}h", self.0 / (60 * 60))
        } else {
            write!(f, "{}m", self.0 / 60)
        }
    }
}

/// The key that a trusted workload gets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    scopes: Vec<GrantScope>,
    ids: Vec<IdGlob>,
    lifetime: KeyLifetime,
}

/// A trust may not grant this.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GrantError {
    /// The text is not a scope, or not one to grant.
    #[error("'{0}' is not a scope that a trust can grant; use push, unlist or read")]
    NoScope(String),
    /// The text is not a lifetime.
    #[error("'{0}' is not a lifetime; write it like 15m or 1h")]
    NoLifetime(String),
    /// There are no ids.
    #[error("a trust names the package ids that its keys are for; use --id, such as --id 'Acme.*'")]
    NoIds,
    /// The key would live too long or too short.
    #[error(
        "a key of a trust lives 5m to 1h, and one with the scope read alone up to 12h; not {0}"
    )]
    LifetimeOutOfRange(KeyLifetime),
}

impl Grant {
    /// A key with these scopes (`push` if there are none) for these ids.
    ///
    /// # Errors
    /// There are no ids, or the key would live too long or too short.
    pub fn new(
        scopes: Vec<GrantScope>,
        ids: Vec<IdGlob>,
        lifetime: KeyLifetime,
    ) -> Result<Self, GrantError> {
        let scopes = if scopes.is_empty() { vec![GrantScope::Push] } else { scopes };
        let only_reads = scopes.iter().all(|scope| *scope == GrantScope::Read);
        let longest = if only_reads { KeyLifetime::LONGEST_TO_READ } else { KeyLifetime::LONGEST };
        if ids.is_empty() {
            return Err(GrantError::NoIds);
        }
        if !(KeyLifetime::SHORTEST..=longest).contains(&lifetime.0) {
            return Err(GrantError::LifetimeOutOfRange(lifetime));
        }
        Ok(Self { scopes, ids, lifetime })
    }

    /// The scopes.
    #[must_use]
    pub fn scopes(&self) -> &[GrantScope] {
        &self.scopes
    }

    /// The package ids.
    #[must_use]
    pub fn ids(&self) -> &[IdGlob] {
        &self.ids
    }

    /// How long the key lives.
    #[must_use]
    pub fn lifetime(&self) -> KeyLifetime {
        self.lifetime
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grant(scopes: &[GrantScope], lifetime: &str) -> Result<Grant, GrantError> {
        Grant::new(scopes.to_vec(), vec![IdGlob::any()], lifetime.parse().unwrap())
    }

    #[test]
    fn a_key_lives_minutes_and_half_a_day_if_it_only_reads() {
        use GrantScope::{Push, Read};
        for (scopes, lifetime) in
            [(&[][..], "5m"), (&[Push], "1h"), (&[Push, Read], "60m"), (&[Read], "12h")]
        {
            assert_eq!(grant(scopes, lifetime).unwrap().lifetime(), lifetime.parse().unwrap());
        }
        for (scopes, lifetime) in
            [(&[][..], "4m"), (&[Push], "2h"), (&[Push, Read], "61m"), (&[Read], "13h")]
        {
            let error = GrantError::LifetimeOutOfRange(lifetime.parse().unwrap());
            assert_eq!(grant(scopes, lifetime), Err(error));
        }
        assert_eq!(grant(&[], "5m").unwrap().scopes(), [Push]);
        let without_ids = Grant::new(Vec::new(), Vec::new(), KeyLifetime::default());
        assert_eq!(without_ids, Err(GrantError::NoIds));
    }

    /// Row 39.
    #[test]
    fn admin_is_not_to_be_granted() {
        for text in ["admin", "Push", ""] {
            assert_eq!(text.parse::<GrantScope>(), Err(GrantError::NoScope(text.to_owned())));
        }
        for scope in [GrantScope::Push, GrantScope::Unlist, GrantScope::Read] {
            assert_eq!(scope.to_string().parse(), Ok(scope));
        }
    }

    #[test]
    fn a_lifetime_is_minutes_or_hours() {
        for (text, seconds, shown) in
            [("15m", 900, "15m"), ("60m", 3600, "1h"), ("12h", 43200, "12h")]
        {
            let lifetime: KeyLifetime = text.parse().unwrap();
            assert_eq!((lifetime.seconds(), lifetime.to_string().as_str()), (seconds, shown));
        }
        for text in ["", "15", "m", "-5m", "1.5h", "99999999h"] {
            assert_eq!(text.parse::<KeyLifetime>(), Err(GrantError::NoLifetime(text.to_owned())));
        }
    }
}
