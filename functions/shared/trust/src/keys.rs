//! The keys that issuers publish, as JSON Web Key sets (RFC 7517).

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use jsonwebtoken::DecodingKey;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::json;

/// A signature algorithm that is accepted at all (RFC 7518).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Algorithm {
    /// RSA with PKCS #1 v1.5 and SHA-256.
    #[serde(rename = "RS256")]
    Rs256,
    /// ECDSA on P-256 with SHA-256.
    #[serde(rename = "ES256")]
    Es256,
    /// ECDSA on P-384 with SHA-384.
    #[serde(rename = "ES384")]
    Es384,
}

/// The text is not the name of an algorithm that is accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not an algorithm that the feed accepts; use RS256, ES256 or ES384")]
pub struct AlgorithmError(String);

impl std::str::FromStr for Algorithm {
    type Err = AlgorithmError;

    fn from_str(text: &str) -> Result<Self, AlgorithmError> {
        match text {
            "RS256" => Ok(Self::Rs256),
            "ES256" => Ok(Self::Es256),
            "ES384" => Ok(Self::Es384),
            _ => Err(AlgorithmError(text.chars().take(20).collect())),
        }
    }
}

impl From<Algorithm> for jsonwebtoken::Algorithm {
    fn from(algorithm: Algorithm) -> Self {
        match algorithm {
            Algorithm::Rs256 => Self::RS256,
            Algorithm::Es256 => Self::ES256,
            Algorithm::Es384 => Self::ES384,
        }
    }
}

/// A public key with the one algorithm that it is for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublicKey {
    /// The id that tokens name it by.
    pub kid: String,
    #[serde(flatten)]
    material: Material,
}

/// The numbers of a key, in Base64url without padding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "alg")]
enum Material {
    #[serde(rename = "RS256")]
    Rsa { n: String, e: String },
    #[serde(rename = "ES256")]
    P256 { x: String, y: String },
    #[serde(rename = "ES384")]
    P384 { x: String, y: String },
}

/// A document is not a key set that can be used.
#[derive(Debug, thiserror::Error)]
pub enum KeySetError {
    /// It is not JSON, or an object in it is not one that can be read in one way only.
    #[error("it is not a set of keys: {0}")]
    Unreadable(#[from] serde_json::Error),
    /// It has no list of keys.
    #[error("it has no list 'keys'")]
    NoList,
    /// It has more keys than are read.
    #[error("it has {0} keys, and 32 at most are read")]
    TooManyKeys(usize),
    /// None of its keys can be used.
    #[error("none of its keys is for RS256, ES256 or ES384 and has an id of its own")]
    NoUsableKey,
}

/// The keys in a document of an issuer that can be used: those with an id of their own, which
/// are for signatures with an accepted algorithm.
///
/// # Errors
/// The document is not a key set, or none of its keys can be used.
pub fn public_keys(document: &[u8]) -> Result<Vec<PublicKey>, KeySetError> {
    const MOST: usize = 32;
    let set = json::object(document)?;
    let keys = set.get("keys").and_then(Value::as_array).ok_or(KeySetError::NoList)?;
    if keys.len() > MOST {
        return Err(KeySetError::TooManyKeys(keys.len()));
    }
    let kid = |key: &Value| key.get("kid").and_then(Value::as_str).map(str::to_owned);
    let kids: Vec<String> = keys.iter().filter_map(kid).collect();
    let is_unique = |key: &PublicKey| kids.iter().filter(|kid| **kid == key.kid).count() == 1;
    let usable = keys.iter().filter_map(|key| PublicKey::read(key.as_object()?));
    let usable: Vec<PublicKey> = usable.filter(is_unique).collect();
    if usable.is_empty() { Err(KeySetError::NoUsableKey) } else { Ok(usable) }
}

impl PublicKey {
    fn read(key: &Map<String, Value>) -> Option<Self> {
        let text = |name: &str| key.get(name).and_then(Value::as_str);
        let kid = text("kid").filter(|kid| (1..=200).contains(&kid.len()))?.to_owned();
        if key.contains_key("use") && text("use") != Some("sig") {
            return None;
        }
        let material = match (text("kty")?, text("crv")) {
            ("RSA", _) => Material::rsa(text("n")?, text("e")?)?,
            ("EC", Some("P-256")) => {
                let (x, y) = (coordinate(text("x")?, 32)?, coordinate(text("y")?, 32)?);
                Material::P256 { x, y }
            }
            ("EC", Some("P-384")) => {
                let (x, y) = (coordinate(text("x")?, 48)?, coordinate(text("y")?, 48)?);
                Material::P384 { x, y }
            }
            _ => return None,
        };
        let key_is_for = material.algorithm();
        let says = key.get("alg").map(|alg| alg.as_str().and_then(|alg| alg.parse().ok()));
        says.is_none_or(|alg| alg == Some(key_is_for)).then_some(Self { kid, material })
    }

    /// The algorithm that the key is for.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        self.material.algorithm()
    }

    /// The key as the library takes it.
    pub(crate) fn decoding_key(&self) -> Option<DecodingKey> {
        match &self.material {
            Material::Rsa { n, e } => DecodingKey::from_rsa_components(n, e),
            Material::P256 { x, y } | Material::P384 { x, y } => {
                DecodingKey::from_ec_components(x, y)
            }
        }
        .ok()
    }
}

impl Material {
    fn rsa(n: &str, e: &str) -> Option<Self> {
        const E_65537: &str = "AQAB";
        let modulus = BASE64_URL_SAFE_NO_PAD.decode(n).ok()?;
        let first = modulus.first().filter(|byte| **byte != 0)?;
        let bits = modulus.len() * 8 - first.leading_zeros() as usize;
        let is_usable = (2048..=8192).contains(&bits) && e == E_65537;
        is_usable.then(|| Self::Rsa { n: n.to_owned(), e: e.to_owned() })
    }

    fn algorithm(&self) -> Algorithm {
        match self {
            Self::Rsa { .. } => Algorithm::Rs256,
            Self::P256 { .. } => Algorithm::Es256,
            Self::P384 { .. } => Algorithm::Es384,
        }
    }
}

fn coordinate(text: &str, bytes: usize) -> Option<String> {
    let decoded = BASE64_URL_SAFE_NO_PAD.decode(text).ok()?;
    (decoded.len() == bytes).then(|| text.to_owned())
}

/// The keys of an issuer as the feed knows them. Times are in seconds since 1970.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct KeySet {
    /// The keys.
    pub keys: Vec<PublicKey>,
    /// When they were fetched; 0 if never.
    pub fetched: i64,
    /// When it was last tried to fetch them.
    pub attempted: i64,
}

/// The way to the key of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Plan {
    /// The keys that are known are those to use.
    Use,
    /// They are to be fetched first.
    Fetch,
    /// Somebody else is fetching them: read them again soon.
    Wait,
}

impl KeySet {
    /// The shortest time between two attempts to fetch the keys, in seconds. An unknown key id
    /// in a token, which anybody can send, makes no more requests than that.
    pub const PAUSE: i64 = 60;
    /// How long keys are used without fetching them again, in seconds.
    const FRESH: i64 = 60 * 60;
    /// How long keys are used if they cannot be fetched again, in seconds: keys that an issuer
    /// withdraws come to an end.
    const USABLE: i64 = 24 * 60 * 60;
    /// How long fetching takes at most, in seconds.
    const FETCHING: i64 = 10;

    /// The way to the key called `kid`.
    #[must_use]
    pub fn plan(&self, kid: &str, now: i64) -> Plan {
        let is_known = self.keys.iter().any(|key| key.kid == kid);
        let is_fresh = (0..Self::FRESH).contains(&(now - self.fetched));
        if is_known && is_fresh {
            return Plan::Use;
        }
        let since = now - self.attempted;
        if !(0..Self::PAUSE).contains(&since) {
            return Plan::Fetch;
        }
        let is_under_way = self.fetched < self.attempted && since < Self::FETCHING;
        if is_under_way && (!is_known || !self.is_usable(now)) { Plan::Wait } else { Plan::Use }
    }

    /// Whether the keys may be used at `now`.
    #[must_use]
    pub fn is_usable(&self, now: i64) -> bool {
        !self.keys.is_empty() && now - self.fetched < Self::USABLE
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(keys: &Value) -> Result<Vec<PublicKey>, KeySetError> {
        public_keys(json!({ "keys": keys }).to_string().as_bytes())
    }

    fn rsa(kid: &str, bytes: usize) -> Value {
        let n = BASE64_URL_SAFE_NO_PAD.encode(vec![0xff; bytes]);
        json!({"kty": "RSA", "kid": kid, "n": n, "e": "AQAB"})
    }

    fn ec(curve: &str, bytes: usize) -> Value {
        let x = BASE64_URL_SAFE_NO_PAD.encode(vec![1; bytes]);
        json!({"kty": "EC", "kid": "e", "crv": curve, "x": x, "y": x, "use": "sig"})
    }

    fn with(mut key: Value, name: &str, value: Value) -> Value {
        key[name] = value;
        key
    }

    #[test]
    fn a_key_is_for_one_algorithm() {
        for (key, algorithm) in [
            (rsa("k", 256), Algorithm::Rs256),
            (with(rsa("k", 1024), "alg", json!("RS256")), Algorithm::Rs256),
            (ec("P-256", 32), Algorithm::Es256),
            (ec("P-384", 48), Algorithm::Es384),
        ] {
            let keys = read(&json!([key])).unwrap();
            assert_eq!(keys[0].algorithm(), algorithm);
            let stored = serde_json::to_value(&keys).unwrap();
            assert_eq!(serde_json::from_value::<Vec<PublicKey>>(stored).unwrap(), keys);
        }
    }

    /// Row 34.
    #[test]
    fn keys_of_other_kinds_are_dropped() {
        for key in [
            json!({"kty": "oct", "kid": "k", "k": "AAAA"}),
            json!("k"),
            rsa("k", 128),
            rsa("k", 255),
            rsa("k", 1025),
            rsa("", 256),
            rsa(&"k".repeat(201), 256),
            with(rsa("k", 256), "kid", json!(1)),
            with(rsa("k", 256), "e", json!("Aw")),
            with(rsa("k", 256), "e", json!("AAEAAQ")),
            with(rsa("k", 256), "n", json!("AP__")),
            with(rsa("k", 256), "use", json!("enc")),
            with(rsa("k", 256), "use", json!(null)),
            with(rsa("k", 256), "alg", json!("RS512")),
            with(rsa("k", 256), "alg", json!("ES256")),
            with(rsa("k", 256), "alg", json!(1)),
            ec("P-256", 48),
            ec("P-521", 66),
            with(ec("P-256", 32), "alg", json!("ES384")),
        ] {
            let read = read(&json!([key]));
            assert!(matches!(read, Err(KeySetError::NoUsableKey)), "{key}: {read:?}");
        }
        let twice = read(&json!([rsa("k", 256), ec("P-256", 32), rsa("k", 257)])).unwrap();
        assert_eq!(twice.iter().map(|key| key.kid.as_str()).collect::<Vec<_>>(), ["e"]);
        let oct = json!({"kty": "oct", "kid": "k", "k": "AAAA"});
        assert!(read(&json!([rsa("k", 256), oct])).is_err(), "an id that stands for two keys");
    }

    /// Row 34.
    #[test]
    fn a_document_is_a_short_list_of_keys() {
        let many: Vec<Value> = (0..33).map(|n| rsa(&n.to_string(), 256)).collect();
        assert!(matches!(read(&many.into()), Err(KeySetError::TooManyKeys(33))));
        assert!(matches!(read(&json!([])), Err(KeySetError::NoUsableKey)));
        assert!(matches!(public_keys(b"{}"), Err(KeySetError::NoList)));
        for document in ["", "<html>", "[]", r#"{"keys":[],"keys":[]}"#] {
            let read = public_keys(document.as_bytes());
            assert!(matches!(read, Err(KeySetError::Unreadable(_))), "{document}");
        }
    }

    /// Rows 12 and 13.
    #[test]
    fn keys_are_fetched_when_they_are_unknown_or_old_and_once_a_minute_at_most() {
        let keys = read(&json!([rsa("k1", 256)])).unwrap();
        let set = |fetched, attempted| KeySet { keys: keys.clone(), fetched, attempted };
        let day = 24 * 60 * 60;
        for (set, kid, now, plan) in [
            (KeySet::default(), "k1", day, Plan::Fetch),
            (set(day, day), "k1", day, Plan::Use),
            (set(day, day), "k1", day + 3599, Plan::Use),
            (set(day, day), "k1", day + 3600, Plan::Fetch),
            (set(day, day), "k2", day + 59, Plan::Use),
            (set(day, day), "k2", day + 60, Plan::Fetch),
            // Somebody else is fetching.
            (set(day, day + 100), "k2", day + 101, Plan::Wait),
            (set(day, day + 100), "k1", day + 101, Plan::Use),
            (KeySet { attempted: day, ..KeySet::default() }, "k1", day + 1, Plan::Wait),
            // That failed.
            (set(day, day + 100), "k2", day + 110, Plan::Use),
            (KeySet { attempted: day, ..KeySet::default() }, "k1", day + 10, Plan::Use),
            // A clock that was set back.
            (set(day, day), "k1", day - 1, Plan::Fetch),
        ] {
            assert_eq!(
                set.plan(kid, now),
                plan,
                "{kid} at {now} of {} {}",
                set.fetched,
                set.attempted
            );
        }
        assert!(set(1, 1).is_usable(day) && !set(1, 1).is_usable(day + 1));
        assert!(!KeySet::default().is_usable(1));
    }
}
