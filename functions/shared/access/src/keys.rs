//! API keys: their format, and the data that the feed keeps about them.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::{IdGlob, QuotaName, Scope};

/// The start of every key, by which secret scanners and people recognize it.
const PREFIX: &str = "nuthatch_";
const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
/// 62^43 > 2^256.
const RANDOM_LENGTH: usize = 43;
/// 62^6 > 2^32, a CRC-32.
const CHECKSUM_LENGTH: usize = 6;

/// A secret: `nuthatch_`, 43 random characters, and 6 of a checksum over both.
/// Only [`reveal`](ApiKey::reveal) prints it.
#[derive(Clone)]
pub struct ApiKey(String);

/// The text is not a key of this feed. The error does not repeat the text: it may be a
/// secret for something else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ApiKeyError {
    /// It does not look like one.
    #[error("the API key does not look like a key of this feed's")]
    Unrecognized,
    /// A character is wrong.
    #[error("the API key is mistyped or cut off")]
    Mistyped,
}

impl ApiKey {
    /// A new key.
    ///
    /// # Errors
    /// The operating system gives no random bytes.
    pub fn generate() -> Result<Self, getrandom::Error> {
        let mut text = PREFIX.to_owned();
        let mut bytes = [0; 64];
        while text.len() < PREFIX.len() + RANDOM_LENGTH {
            getrandom::fill(&mut bytes)?;
            // 248 is the highest multiple of 62 in a byte, so all characters are equally
            // likely.
            let fair = bytes.iter().filter(|byte| **byte < 248);
            let wanted = PREFIX.len() + RANDOM_LENGTH - text.len();
            text.extend(fair.map(|byte| digit((*byte).into())).take(wanted));
        }
        let checksum = checksum(&text);
        text.push_str(&checksum);
        Ok(Self(text))
    }

    /// The secret, to show to its owner once.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// The hash, which is stored in place of the key.
    #[must_use]
    pub fn hash(&self) -> KeyHash {
        KeyHash(hex(&Sha256::digest(self.0.as_bytes())))
    }
}

impl FromStr for ApiKey {
    type Err = ApiKeyError;

    fn from_str(text: &str) -> Result<Self, ApiKeyError> {
        let rest = text.strip_prefix(PREFIX).ok_or(ApiKeyError::Unrecognized)?;
        let well_formed = rest.len() == RANDOM_LENGTH + CHECKSUM_LENGTH
            && rest.bytes().all(|byte| ALPHABET.contains(&byte));
        let (secret, written) = text
            .split_at_checked(PREFIX.len() + RANDOM_LENGTH)
            .filter(|_| well_formed)
            .ok_or(ApiKeyError::Mistyped)?;
        if checksum(secret) != written {
            return Err(ApiKeyError::Mistyped);
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiKey(…)")
    }
}

fn digit(value: u32) -> char {
    ALPHABET.get((value % 62) as usize).map_or('0', |byte| char::from(*byte))
}

fn checksum(text: &str) -> String {
    let mut rest = crc32fast::hash(text.as_bytes());
    (0..CHECKSUM_LENGTH)
        .map(|_| {
            let character = digit(rest);
            rest /= 62;
            character
        })
        .collect()
}

/// `bytes` in lower-case hexadecimal.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    use fmt::Write;
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// The SHA-256 of a key, in lower-case hexadecimal. Compares in constant time.
#[derive(Debug, Clone, Eq, Serialize, Deserialize)]
pub struct KeyHash(String);

impl KeyHash {
    /// The hash's 64 digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl PartialEq for KeyHash {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_bytes().ct_eq(other.0.as_bytes()).into()
    }
}

/// The name of a key: 1 to 64 letters, digits, `.`, `_` and `-`. A name is never reused,
/// not even after its key was revoked.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct KeyName(String);

/// The text is no key name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not a key name; use 1 to 64 letters, digits, '.', '_' and '-'")]
pub struct KeyNameError(String);

impl KeyName {
    /// The characters of the longest.
    const LONGEST: usize = 64;

    /// The name of the key that a feed's first start makes.
    #[must_use]
    pub fn owner() -> Self {
        Self("owner".to_owned())
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name of a successor: with the next number, such as `ci-2` after `ci`.
    #[must_use]
    pub fn next(&self) -> Self {
        let numbered = self.0.rsplit_once('-').and_then(|(base, number)| {
            let number: u32 = number.parse().ok()?;
            Some((base, number.checked_add(1)?))
        });
        let (base, number) = numbered.unwrap_or((&self.0, 2));
        let number = format!("-{number}");
        let kept = base.len().min(Self::LONGEST - number.len());
        Self(format!("{}{number}", base.get(..kept).unwrap_or(base)))
    }

    /// Whether log and table use the name for something other than a key: a caller without
    /// a key, or a version that a rebuild restored.
    #[must_use]
    pub fn is_reserved(&self) -> bool {
        ["anonymous", "nuthatch-check"].iter().any(|name| self.0.eq_ignore_ascii_case(name))
    }
}

impl FromStr for KeyName {
    type Err = KeyNameError;

    fn from_str(text: &str) -> Result<Self, KeyNameError> {
        let is_name = is_plain_name(text, Self::LONGEST);
        is_name.then(|| Self(text.to_owned())).ok_or_else(|| KeyNameError(text.to_owned()))
    }
}

/// Whether a text is 1 to `longest` letters, digits, `.`, `_` and `-`.
pub(crate) fn is_plain_name(text: &str, longest: usize) -> bool {
    let known = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    (1..=longest).contains(&text.len()) && text.chars().all(known)
}

impl fmt::Display for KeyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A key as the table knows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyRecord {
    /// The SHA-256 of its secret.
    pub hash: KeyHash,
    /// The name it goes by.
    pub name: KeyName,
    /// Its scopes.
    pub scopes: Vec<Scope>,
    /// The package ids that it is good for.
    pub ids: Vec<IdGlob>,
    /// When it was made, RFC 3339.
    pub created: String,
    /// When it expires, in seconds since 1970; never, if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<i64>,
    /// When it was revoked, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked: Option<String>,
    /// The last day of its use in UTC, like `2026-12-31`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub used: Option<String>,
    /// The key that replaces it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub successor: Option<KeyName>,
    /// The quotas that its pushes may be counted in.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub quotas: Vec<QuotaName>,
}

/// The span before a key expires in which its holder is warned, in seconds: 14 days.
const WARNED: i64 = 14 * 24 * 60 * 60;

impl KeyRecord {
    /// A new key with this hash, which was never used.
    #[must_use]
    pub fn new(hash: KeyHash, name: KeyName, created: String) -> Self {
        Self {
            hash,
            name,
            scopes: Vec::new(),
            ids: Vec::new(),
            created,
            expires: None,
            revoked: None,
            used: None,
            successor: None,
            quotas: Vec::new(),
        }
    }

    /// The warning that the key's holder gets at `now`: in its last 14 days, or once it has a
    /// successor. A key that was made for no longer gets none.
    #[must_use]
    pub fn warning_at(&self, now: OffsetDateTime) -> Option<String> {
        let expires = self.expires.filter(|expires| expires - now.unix_timestamp() <= WARNED)?;
        let day = OffsetDateTime::from_unix_timestamp(expires).ok()?.date();
        let name = &self.name;
        if let Some(successor) = &self.successor {
            return Some(format!(
                "the API key '{name}' expires on {day}; '{successor}' replaces it"
            ));
        }
        let created = OffsetDateTime::parse(&self.created, &Rfc3339).ok()?;
        (expires - created.unix_timestamp() > WARNED).then(|| {
            format!(
                "the API key '{name}' expires on {day}; its owner can replace it with 'nuthatch key \
                 rotate {name}'"
            )
        })
    }

    /// Whether the key is neither revoked nor expired at `now`.
    #[must_use]
    pub fn is_valid_at(&self, now: OffsetDateTime) -> bool {
        self.revoked.is_none() && self.expires.is_none_or(|expires| now.unix_timestamp() < expires)
    }

    /// Whether the key is good for a request that needs `scope`.
    #[must_use]
    pub fn allows(&self, scope: Scope) -> bool {
        self.scopes.contains(&scope) || self.scopes.contains(&Scope::Admin)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_key_reads_back_and_no_two_are_equal() {
        let (one, other) = (ApiKey::generate().unwrap(), ApiKey::generate().unwrap());
        assert_eq!(one.reveal().len(), PREFIX.len() + RANDOM_LENGTH + CHECKSUM_LENGTH);
        assert_eq!(one.reveal().parse::<ApiKey>().unwrap().hash(), one.hash());
        assert_ne!(one.hash(), other.hash());
    }

    #[test]
    fn a_name_is_short_and_plain() {
        for name in ["a", "CI.2_b-c", &"a".repeat(64)] {
            assert_eq!(name.parse::<KeyName>().unwrap().to_string(), name);
        }
        for (name, is_reserved) in [("Anonymous", true), ("nuthatch-check", true), ("ci", false)] {
            assert_eq!(name.parse::<KeyName>().unwrap().is_reserved(), is_reserved);
        }
        for name in ["", "a b", "a/b", "\u{e9}", &"a".repeat(65)] {
            assert_eq!(name.parse::<KeyName>(), Err(KeyNameError(name.to_owned())));
        }
    }

    #[test]
    fn a_successor_has_the_next_number() {
        let longest = "a".repeat(64);
        for (name, next) in [
            ("ci", "ci-2"),
            ("ci-2", "ci-3"),
            ("ci-9", "ci-10"),
            ("ci-x", "ci-x-2"),
            ("build-4294967295", "build-4294967295-2"),
            (&longest, &format!("{}-2", &longest[..62])),
        ] {
            let next_of = name.parse::<KeyName>().unwrap().next();
            assert_eq!(next_of, next.parse().unwrap());
        }
    }

    #[test]
    fn a_key_opens_until_it_expires_or_is_revoked_what_its_scopes_say() {
        let new =
            KeyRecord::new(ApiKey::generate().unwrap().hash(), KeyName::owner(), String::new());
        let record = KeyRecord { scopes: vec![Scope::Push], expires: Some(100), ..new };
        let at = |seconds| OffsetDateTime::from_unix_timestamp(seconds).unwrap();
        assert!(record.is_valid_at(at(99)));
        assert!(!record.is_valid_at(at(100)));
        assert!(record.allows(Scope::Push) && !record.allows(Scope::Unlist));
        let record = KeyRecord { expires: None, scopes: vec![Scope::Admin], ..record };
        assert!(record.is_valid_at(at(101)) && record.allows(Scope::Unlist));
        assert!(!KeyRecord { revoked: Some(String::new()), ..record }.is_valid_at(at(1)));
    }

    #[test]
    fn a_holder_is_warned_in_the_last_fortnight_of_a_key_that_lives_longer() {
        const DAY: i64 = 24 * 60 * 60;
        let hash = ApiKey::generate().unwrap().hash();
        let created = "1970-01-02T00:00:00Z".to_owned();
        let new = KeyRecord::new(hash, KeyName::owner(), created);
        let at = |seconds| OffsetDateTime::from_unix_timestamp(seconds).unwrap();
        assert_eq!(new.warning_at(at(0)), None);
        let year = KeyRecord { expires: Some(366 * DAY), ..new.clone() };
        assert_eq!(year.warning_at(at(352 * DAY - 1)), None);
        let warning = year.warning_at(at(352 * DAY)).unwrap();
        assert!(warning.starts_with("the API key 'owner' expires on 1971-01-02; its owner can"));
        let fortnight = KeyRecord { expires: Some(15 * DAY), ..new };
        assert_eq!(fortnight.warning_at(at(14 * DAY)), None);
        let successor = Some("owner-2".parse().unwrap());
        let replaced = KeyRecord { successor, ..fortnight }.warning_at(at(14 * DAY));
        assert_eq!(
            replaced.unwrap(),
            "the API key 'owner' expires on 1970-01-16; 'owner-2' replaces it"
        );
    }

    #[test]
    fn every_mistyped_character_is_noticed() {
        let key = ApiKey::generate().unwrap();
        for position in PREFIX.len()..key.reveal().len() {
            let mut typed: Vec<char> = key.reveal().chars().collect();
            typed[position] = if typed[position] == 'x' { 'y' } else { 'x' };
            let typed: String = typed.into_iter().collect();
            assert_eq!(typed.parse::<ApiKey>().unwrap_err(), ApiKeyError::Mistyped);
        }
    }

    #[test]
    fn a_key_of_another_system_is_not_recognized() {
        for text in ["", "oy2abc", "Nuthatch_x", "nuthatch_", "nuthatch_ключ"] {
            assert!(text.parse::<ApiKey>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_key_does_not_print_itself() {
        assert_eq!(format!("{:?}", ApiKey::generate().unwrap()), "ApiKey(…)");
    }

    #[test]
    fn every_character_occurs_in_keys() {
        let keys: Vec<ApiKey> = (0..200).map(|_| ApiKey::generate().unwrap()).collect();
        for character in ALPHABET {
            let character = char::from(*character);
            let random = |key: &ApiKey| key.reveal()[PREFIX.len()..][..RANDOM_LENGTH].to_owned();
            assert!(keys.iter().any(|key| random(key).contains(character)), "{character}");
        }
    }

    #[test]
    fn keys_once_given_stay_keys() {
        let key = format!("{PREFIX}{}yzPdb4", "0".repeat(RANDOM_LENGTH));
        assert_eq!(key.parse::<ApiKey>().unwrap().reveal(), key);
    }

    #[test]
    fn a_key_of_other_characters_is_none_whatever_its_checksum() {
        let secret = format!("{PREFIX}{}", "!".repeat(RANDOM_LENGTH));
        let key = format!("{secret}{}", checksum(&secret));
        assert_eq!(key.parse::<ApiKey>().unwrap_err(), ApiKeyError::Mistyped);
    }
}
