//! Identity tokens: JSON Web Tokens (RFC 7519) that workloads get from their platform.

use std::fmt;
use std::str::FromStr;

use access::hex;
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use jsonwebtoken::Validation;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use crate::{Algorithm, Claims, Denial, IssuerUrl, PublicKey, json};

/// A token that was read strictly. Nothing in it is proven before
/// [`check_signature`](Self::check_signature).
#[derive(Clone)]
pub struct IdentityToken {
    text: String,
    algorithm: Algorithm,
    /// The id of the key that it is signed with.
    pub kid: String,
    /// Its issuer as written.
    pub iss: String,
    audience: Option<String>,
    times: Times,
    /// Its claims.
    pub claims: Claims,
}

/// When a token is valid, in seconds since 1970.
#[derive(Debug, Clone, Copy)]
struct Times {
    expires: i64,
    issued: i64,
    not_before: Option<i64>,
}

/// The text is not a token that is read here. The error repeats nothing of it but names.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// It is longer than any issuer's.
    #[error("it has more than 8000 bytes")]
    TooLong,
    /// It has not three parts.
    #[error("it does not have three parts with dots between them")]
    NotThreeParts,
    /// A part is not in the one encoding that it may have.
    #[error("its {0} is not Base64url without padding")]
    NotBase64(&'static str),
    /// A part is not an object that can be read in one way only.
    #[error("its {part} is not JSON as it must be: {reason}")]
    NotJson {
        /// The part.
        part: &'static str,
        /// The fault.
        reason: String,
    },
    /// It is not signed as the feed accepts it.
    #[error("its algorithm is '{0}'; RS256, ES256 and ES384 are accepted")]
    Algorithm(String),
    /// It names its key itself, or wants to be read in a way that is not known here.
    #[error("its header has '{0}', which is not accepted")]
    Header(&'static str),
    /// It names no key.
    #[error("its header names no key (kid)")]
    NoKeyId,
    /// A claim that every token needs is missing, or of another type.
    #[error("its claim '{0}' is missing, or not {1}")]
    Claim(&'static str, &'static str),
}

/// The SHA-256 of the id that a token has once for all, in hexadecimal: it tells whether the
/// token was exchanged before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenId(String);

impl TokenId {
    /// The id of what `text` is unique for.
    pub(crate) fn of(text: &str) -> Self {
        Self(hex(&Sha256::digest(text)))
    }

    /// The 64 digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The difference between two clocks that is taken for none, in seconds.
const LEEWAY: i64 = 60;
/// The longest time for which a token may be valid, in seconds.
const LONGEST: i64 = 24 * 60 * 60;

impl IdentityToken {
    /// The longest token in bytes.
    const MOST: usize = 8_000;

    /// How long a token is to be remembered after it was exchanged: until this time, in
    /// seconds since 1970, and an hour more, in case a clock is turned back.
    #[must_use]
    pub fn remembered_until(&self) -> i64 {
        self.times.expires.saturating_add(LEEWAY + 60 * 60)
    }

    /// The id that it has once for all: its issuer's `jti`. Where there is none, it is made of
    /// header and claims, because the signature is not the only one that they can have.
    #[must_use]
    pub fn id(&self) -> TokenId {
        let unsigned = self.text.rsplit_once('.').map_or(self.text.as_str(), |(start, _)| start);
        let id = match self.claims.text("jti") {
            Some(jti) => format!("{}\n{jti}", self.iss),
            None => unsigned.to_owned(),
        };
        TokenId::of(&id)
    }

    /// Its issuer, if that is an address.
    #[must_use]
    pub fn issuer(&self) -> Option<IssuerUrl> {
        self.iss.parse().ok()
    }

    /// Checks that it is for `audience` and for nobody else.
    ///
    /// # Errors
    /// It is for somebody else.
    pub fn check_audience(&self, audience: &str) -> Result<(), Denial> {
        if self.audience.as_deref() == Some(audience) {
            return Ok(());
        }
        Err(Denial::Audience { found: self.audience.clone(), wanted: audience.to_owned() })
    }

    /// Checks that it is valid at `now`, in seconds since 1970.
    ///
    /// # Errors
    /// It has expired, is not valid yet, or is valid for longer than a token may be.
    pub fn check_time(&self, now: i64) -> Result<(), Denial> {
        let Times { expires, issued, not_before } = self.times;
        if now >= expires.saturating_add(LEEWAY) {
            return Err(Denial::Expired);
        }
        let earliest = not_before.map_or(issued, |not_before| not_before.max(issued));
        if earliest > now.saturating_add(LEEWAY) {
            return Err(Denial::NotYetValid);
        }
        if expires.saturating_sub(issued) > LONGEST {
            return Err(Denial::ValidForTooLong);
        }
        Ok(())
    }

    /// The key in `keys` that it names.
    ///
    /// # Errors
    /// There is none.
    pub fn key_in<'a>(&self, keys: &'a [PublicKey]) -> Result<&'a PublicKey, Denial> {
        keys.iter().find(|key| key.kid == self.kid).ok_or(Denial::UnknownKey)
    }

    /// Checks its signature with `key`, which must be for one of `algorithms`.
    ///
    /// # Errors
    /// It is not signed with this key.
    pub fn check_signature(&self, key: &PublicKey, algorithms: &[Algorithm]) -> Result<(), Denial> {
        let is_accepted = algorithms.contains(&self.algorithm) && key.algorithm() == self.algorithm;
        if is_accepted && self.is_signed_with(key) { Ok(()) } else { Err(Denial::WrongSignature) }
    }

    fn is_signed_with(&self, key: &PublicKey) -> bool {
        let mut validation = Validation::new(self.algorithm.into());
        // Audience and times are checked above, by rules that are stricter.
        validation.validate_aud = false;
        validation.validate_exp = false;
        validation.required_spec_claims.clear();
        let Some(key) = key.decoding_key() else { return false };
        jsonwebtoken::decode::<Value>(&self.text, &key, &validation).is_ok()
    }
}

impl FromStr for IdentityToken {
    type Err = TokenError;

    fn from_str(text: &str) -> Result<Self, TokenError> {
        if text.len() > Self::MOST {
            return Err(TokenError::TooLong);
        }
        let mut parts = text.split('.');
        let (Some(header), Some(claims), Some(signature), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(TokenError::NotThreeParts);
        };
        let (algorithm, kid) = read_header(&part("header", header)?)?;
        let claims = part("claims", claims)?;
        if decoded("signature", signature)?.is_empty() {
            return Err(TokenError::NotBase64("signature"));
        }
        let text_claim = |name: &'static str| claims.get(name).and_then(Value::as_str);
        let iss = text_claim("iss").ok_or(TokenError::Claim("iss", "a text"))?.to_owned();
        if claims.contains_key("jti") && text_claim("jti").is_none_or(str::is_empty) {
            return Err(TokenError::Claim("jti", "a text"));
        }
        let (audience, times) = (audience(&claims)?, Times::of(&claims)?);
        let claims = Claims(claims);
        Ok(Self { text: text.to_owned(), algorithm, kid, iss, audience, times, claims })
    }
}

impl fmt::Debug for IdentityToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("IdentityToken(…)")
    }
}

impl Times {
    fn of(claims: &Map<String, Value>) -> Result<Self, TokenError> {
        let time = |name: &'static str| match claims.get(name) {
            None => Ok(None),
            Some(value) => value
                .as_i64()
                .filter(|time| !time.is_negative())
                .map(Some)
                .ok_or(TokenError::Claim(name, "a number of seconds")),
        };
        let required = |name| time(name)?.ok_or(TokenError::Claim(name, "a number of seconds"));
        Ok(Self { expires: required("exp")?, issued: required("iat")?, not_before: time("nbf")? })
    }
}

/// The one audience; none if there are several or none.
fn audience(claims: &Map<String, Value>) -> Result<Option<String>, TokenError> {
    const WRONG: TokenError = TokenError::Claim("aud", "a text or a list of texts");
    let text = |value: &Value| value.as_str().map(str::to_owned).ok_or(WRONG);
    match claims.get("aud") {
        None => Ok(None),
        Some(Value::Array(several)) => {
            let several = several.iter().map(text).collect::<Result<Vec<_>, _>>()?;
            Ok(<[String; 1]>::try_from(several).ok().map(|[one]| one))
        }
        Some(one) => text(one).map(Some),
    }
}

fn read_header(header: &Map<String, Value>) -> Result<(Algorithm, String), TokenError> {
    // Keys that the token brings along, and extensions that are not known here.
    for name in ["jwk", "jku", "x5c", "x5u", "crit", "b64"] {
        if header.contains_key(name) {
            return Err(TokenError::Header(name));
        }
    }
    if header.get("typ").is_some_and(|typ| typ.as_str() != Some("JWT")) {
        return Err(TokenError::Header("typ"));
    }
    let algorithm = header.get("alg").and_then(Value::as_str).unwrap_or_default();
    let accepted = algorithm.parse();
    let accepted = accepted.map_err(|_| TokenError::Algorithm(crate::claims::printable(algorithm)));
    let kid = header.get("kid").and_then(Value::as_str).unwrap_or_default();
    if !(1..=200).contains(&kid.len()) {
        return Err(accepted.err().unwrap_or(TokenError::NoKeyId));
    }
    Ok((accepted?, kid.to_owned()))
}

fn part(part: &'static str, text: &str) -> Result<Map<String, Value>, TokenError> {
    json::object(&decoded(part, text)?)
        .map_err(|error| TokenError::NotJson { part, reason: error.to_string() })
}

/// The bytes of a part. The encoding refuses padding, and bits after the last byte.
fn decoded(part: &'static str, text: &str) -> Result<Vec<u8>, TokenError> {
    BASE64_URL_SAFE_NO_PAD.decode(text).map_err(|_| TokenError::NotBase64(part))
}
