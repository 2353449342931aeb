//! Tokens that were changed at random, judged here and by the library alone: no token that is
//! accepted here is refused there, and each kind that is refused only here has a name.

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode};
use serde_json::{Value, json};
use tokens::{Signer, encoded, key_set};
use trust::{Denial, IdentityToken, PublicKey, TokenError, public_keys};

const ISS: &str = "https://issuer.example";
const FEED: &str = "https://packages.example.org";

/// The keys of an issuer, as each side has them.
struct Judges {
    keys: Vec<PublicKey>,
    library: Vec<(Algorithm, DecodingKey)>,
}

impl Judges {
    fn of(signers: &[&Signer]) -> Self {
        let keys = public_keys(key_set(signers).to_string().as_bytes()).unwrap();
        let library = signers.iter().map(|signer| {
            let jwk: Jwk = serde_json::from_value(signer.jwk()).unwrap();
            let algorithm = signer.algorithm().parse().unwrap();
            (algorithm, DecodingKey::from_jwk(&jwk).unwrap())
        });
        Self { keys, library: library.collect() }
    }

    fn here(&self, text: &str) -> Result<(), Denial> {
        let token: IdentityToken = text.parse()?;
        if token.iss != ISS {
            return Err(Denial::UnknownIssuer(token.iss.clone()));
        }
        token.check_audience(FEED)?;
        token.check_time(seconds())?;
        let all = self.keys.iter().map(PublicKey::algorithm).collect::<Vec<_>>();
        token.check_signature(token.key_in(&self.keys)?, &all)
    }

    /// As somebody would use the library who wants the same of it.
    fn there(&self, text: &str) -> bool {
        self.library.iter().any(|(algorithm, key)| {
            let mut validation = Validation::new(*algorithm);
            validation.set_audience(&[FEED]);
            validation.set_issuer(&[ISS]);
            validation.validate_nbf = true;
            decode::<Value>(text, key, &validation).is_ok()
        })
    }
}

/// The time in seconds since 1970. The library has the same clock.
fn seconds() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    i64::try_from(now.as_secs()).unwrap()
}

/// Random numbers (xorshift).
struct Dice(u64);

impl Dice {
    fn below(&mut self, among: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % among as u64).unwrap()
    }

    fn one_of<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[self.below(all.len())]
    }
}

/// A text with a character changed, added, removed or doubled.
fn mangled(dice: &mut Dice, text: &str) -> String {
    let mut bytes = text.as_bytes().to_vec();
    let at = dice.below(bytes.len());
    let new = *dice.one_of(br#"abAB019-_=.+/{}[]",: "#);
    match dice.below(4) {
        0 => bytes[at] = new,
        1 => bytes.insert(at, new),
        2 => drop(bytes.remove(at)),
        _ => bytes.insert(at, bytes[at]),
    }
    String::from_utf8(bytes).unwrap()
}

/// Claims or a header with a member changed, which may be a new one.
fn changed(dice: &mut Dice, object: &Value, now: i64) -> Value {
    let mut object = object.clone();
    let names = [
        "aud", "iss", "exp", "nbf", "iat", "jti", "sub", "alg", "kid", "typ", "crit", "jwk", "x5u",
        "b64", "x5t",
    ];
    let values = [
        json!(FEED),
        json!([FEED]),
        json!([FEED, "https://other.example"]),
        json!([]),
        json!(ISS),
        json!([ISS]),
        json!(now + 30),
        json!(now - 30),
        json!(now - 90),
        json!(now + 90),
        json!(now + 100_000),
        json!((now + 30).to_string()),
        json!(1.5),
        json!(null),
        json!("k1"),
        json!("e1"),
        json!("JWT"),
        json!("RS256"),
        json!("ES256"),
        json!(["exp"]),
        json!({"a": {"b": [1]}}),
        json!(true),
        json!(""),
    ];
    let (name, value) = (*dice.one_of(&names), dice.one_of(&values).clone());
    if dice.below(6) == 0 {
        object.as_object_mut().unwrap().remove(name);
    } else {
        object[name] = value;
    }
    object
}

/// A token that was changed, as text or before it was signed.
fn token(dice: &mut Dice, signer: &Signer, sound: &str, now: i64) -> String {
    let (header, claims) = (signer.header(), tokens::github(ISS, FEED, now));
    match dice.below(6) {
        0 => mangled(dice, sound),
        1 => {
            let mut parts: Vec<&str> = sound.split('.').collect();
            let (one, other) = (dice.below(3), dice.below(3));
            parts.swap(one, other);
            parts.join(".")
        }
        2 => signer.sign_with(&header, &changed(dice, &claims, now)),
        3 => signer.sign_with(&changed(dice, &header, now), &claims),
        4 => {
            // A second member of a name that is there, or a new one.
            let claims = claims.to_string();
            let extra = changed(dice, &json!({}), now).to_string();
            let extra = extra.trim_start_matches('{').trim_end_matches('}');
            let twice = claims.replacen('{', &format!("{{{extra},"), 1);
            signer.sign_text(&header.to_string(), &twice.replace("{,", "{"))
        }
        _ => {
            let (header, claims) = (header.to_string(), claims.to_string());
            let (header, claims) = if dice.below(2) == 0 {
                (mangled(dice, &header), claims)
            } else {
                (header, mangled(dice, &claims))
            };
            signer.sign_text(&header, &claims)
        }
    }
}

/// The name of a reason, for the count.
fn reason(denial: &Denial) -> &'static str {
    match denial {
        Denial::Unreadable(TokenError::NotJson { .. }) => "a name twice, or nested too deeply",
        Denial::Unreadable(TokenError::NoKeyId) => "no kid",
        Denial::Unreadable(TokenError::Header(name) | TokenError::Claim(name, _)) => name,
        Denial::Audience { .. } => "an audience beside the feed",
        Denial::NotYetValid => "issued later",
        Denial::ValidForTooLong => "valid for more than a day",
        Denial::Expired => "expired, at the very second",
        Denial::UnknownIssuer(_) => "an issuer beside it",
        Denial::UnknownKey => "a kid of no key",
        Denial::WrongSignature => "a kid of another key",
        other => panic!("nothing that is only refused here: {other:?}"),
    }
}

#[test]
fn row_41_no_token_is_accepted_that_the_library_alone_refuses() {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let seed = u64::try_from(now.as_nanos() % u128::from(u64::MAX)).unwrap();
    let seed = std::env::var("NUTHATCH_SEED").map_or(seed, |seed| seed.parse().unwrap());
    let whole = std::env::var("NUTHATCH_PROOF").is_ok_and(|extent| extent == "whole");
    let count = if whole { 100_000 } else { 5_000 };
    let (rsa, curve) = (Signer::rsa("k1"), Signer::es256("e1"));
    let judges = Judges::of(&[&rsa, &curve]);
    // Valid for longer than the test takes.
    let mut claims = tokens::github(ISS, FEED, seconds());
    claims["exp"] = json!(seconds() + 3_600);
    let sound = [(&rsa, rsa.sign(&claims)), (&curve, curve.sign(&claims))];
    let mut dice = Dice(seed | 1);
    let (mut accepted, mut only_here) = (0, BTreeMap::<&str, usize>::new());
    for _ in 0..count {
        // Signing with RSA takes twenty times as long.
        let (signer, sound) = &sound[usize::from(dice.below(20) > 0)];
        let text = token(&mut dice, signer, sound, seconds());
        match (judges.here(&text), judges.there(&text)) {
            (Ok(()), there) => {
                assert!(there, "seed {seed}: accepted here alone: {text}");
                accepted += 1;
            }
            (Err(denial), true) => *only_here.entry(reason(&denial)).or_default() += 1,
            (Err(_), false) => {}
        }
    }
    println!(
        "{count} tokens of seed {seed}: {accepted} accepted; only here refused: {only_here:?}"
    );
    assert!(accepted > count / 50, "{accepted}");
    assert!(!judges.there(&format!("{}.{}.", encoded(b"{}"), encoded(b"{}"))));
}
