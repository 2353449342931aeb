//! Identity tokens to test with: signed by keys that are made when a test runs.

use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair as RsaKeyPair, KeySize};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, KeyPair,
    RSA_PKCS1_SHA256, RSA_PKCS1_SHA512, RSA_PSS_SHA256, RsaEncoding,
};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::{Value, json};

/// A key that signs tokens.
pub struct Signer {
    /// Its id.
    pub kid: String,
    pair: Pair,
}

enum Pair {
    Rsa(RsaKeyPair),
    P256(EcdsaKeyPair),
    P384(EcdsaKeyPair),
}

/// A way to sign with an RSA key.
#[derive(Debug, Clone, Copy)]
pub enum RsaScheme {
    /// As every issuer signs.
    Rs256,
    /// With a longer hash.
    Rs512,
    /// With another padding.
    Ps256,
}

impl Signer {
    /// An RSA key of 2048 bits.
    #[must_use]
    pub fn rsa(kid: &str) -> Self {
        Self::new(kid, Pair::Rsa(RsaKeyPair::generate(KeySize::Rsa2048).unwrap()))
    }

    /// A key on P-256.
    #[must_use]
    pub fn es256(kid: &str) -> Self {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING);
        Self::new(kid, Pair::P256(pair.unwrap()))
    }

    /// A key on P-384.
    #[must_use]
    pub fn es384(kid: &str) -> Self {
        let pair = EcdsaKeyPair::generate(&ECDSA_P384_SHA384_FIXED_SIGNING);
        Self::new(kid, Pair::P384(pair.unwrap()))
    }

    fn new(kid: &str, pair: Pair) -> Self {
        Self { kid: kid.to_owned(), pair }
    }

    /// The same key under another id.
    #[must_use]
    pub fn called(self, kid: &str) -> Self {
        Self { kid: kid.to_owned(), ..self }
    }

    /// The public key, as an issuer publishes it.
    #[must_use]
    pub fn jwk(&self) -> Value {
        let ec = |pair: &EcdsaKeyPair, crv: &str, alg: &str| {
            // 4, and the two coordinates.
            let point = &pair.public_key().as_ref()[1..];
            let (x, y) = point.split_at(point.len() / 2);
            json!({
                "kty": "EC", "crv": crv, "kid": self.kid, "use": "sig", "alg": alg,
                "x": encoded(x), "y": encoded(y)
            })
        };
        match &self.pair {
            Pair::Rsa(_) => json!({
                "kty": "RSA", "kid": self.kid, "use": "sig", "alg": "RS256",
                "n": encoded(&self.modulus()), "e": "AQAB"
            }),
            Pair::P256(pair) => ec(pair, "P-256", "ES256"),
            Pair::P384(pair) => ec(pair, "P-384", "ES384"),
        }
    }

    /// The modulus of an RSA key.
    #[must_use]
    pub fn modulus(&self) -> Vec<u8> {
        let Pair::Rsa(pair) = &self.pair else { panic!("an RSA key") };
        // The RSAPublicKey of RFC 8017: a sequence of the modulus, which is behind its
        // length and a zero, and of the exponent.
        pair.public_key().as_ref()[9..9 + 256].to_vec()
    }

    /// The public key of an RSA key as a `SubjectPublicKeyInfo`.
    #[must_use]
    pub fn der(&self) -> Vec<u8> {
        let Pair::Rsa(pair) = &self.pair else { panic!("an RSA key") };
        pair.public_key().as_der().unwrap().as_ref().to_vec()
    }

    /// The algorithm that it signs with.
    #[must_use]
    pub fn algorithm(&self) -> &'static str {
        match &self.pair {
            Pair::Rsa(_) => "RS256",
            Pair::P256(_) => "ES256",
            Pair::P384(_) => "ES384",
        }
    }

    /// The header of its tokens.
    #[must_use]
    pub fn header(&self) -> Value {
        json!({"alg": self.algorithm(), "typ": "JWT", "kid": self.kid})
    }

    /// A token with these claims.
    #[must_use]
    pub fn sign(&self, claims: &Value) -> String {
        self.sign_with(&self.header(), claims)
    }

    /// A token with this header and these claims.
    #[must_use]
    pub fn sign_with(&self, header: &Value, claims: &Value) -> String {
        self.sign_text(&header.to_string(), &claims.to_string())
    }

    /// A token of these two texts.
    #[must_use]
    pub fn sign_text(&self, header: &str, claims: &str) -> String {
        let message = format!("{}.{}", encoded(header.as_bytes()), encoded(claims.as_bytes()));
        let signature = self.signature(message.as_bytes());
        format!("{message}.{}", encoded(&signature))
    }

    /// The signature of `message`.
    #[must_use]
    pub fn signature(&self, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match &self.pair {
            Pair::Rsa(_) => self.rsa_signature(RsaScheme::Rs256, message),
            Pair::P256(pair) | Pair::P384(pair) => {
                pair.sign(&random, message).unwrap().as_ref().to_vec()
            }
        }
    }

    /// The signature of `message` by an RSA key, in any way.
    #[must_use]
    pub fn rsa_signature(&self, scheme: RsaScheme, message: &[u8]) -> Vec<u8> {
        let Pair::Rsa(pair) = &self.pair else { panic!("an RSA key") };
        let encoding: &dyn RsaEncoding = match scheme {
            RsaScheme::Rs256 => &RSA_PKCS1_SHA256,
            RsaScheme::Rs512 => &RSA_PKCS1_SHA512,
            RsaScheme::Ps256 => &RSA_PSS_SHA256,
        };
        let mut signature = vec![0; pair.public_modulus_len()];
        pair.sign(encoding, &SystemRandom::new(), message, &mut signature).unwrap();
        signature
    }
}

/// `bytes` as the parts of tokens have them.
#[must_use]
pub fn encoded(bytes: &[u8]) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

/// The set of the public keys of `signers`.
#[must_use]
pub fn key_set(signers: &[&Signer]) -> Value {
    let keys: Vec<Value> = signers.iter().map(|signer| signer.jwk()).collect();
    json!({ "keys": keys })
}

/// The claims of a run of GitHub Actions that `release.yml` of `acme/core` has on a tag.
#[must_use]
pub fn github(iss: &str, audience: &str, now: i64) -> Value {
    let workflow = "acme/core/.github/workflows/release.yml@refs/tags/v1.0.0";
    json!({
        "iss": iss, "aud": audience, "jti": "6f4762ed-0758-4ccb-808d-ee3af5d723a8",
        "iat": now - 60, "nbf": now - 660, "exp": now + 240,
        "sub": "repo:acme/core:environment:release",
        "repository": "acme/core", "repository_id": "74", "repository_owner_id": "65",
        "ref": "refs/tags/v1.0.0", "sha": "f00d", "run_id": "1", "run_attempt": "1",
        "actor": "alice", "workflow_ref": workflow, "job_workflow_ref": workflow,
        "environment": "release", "event_name": "push", "runner_environment": "github-hosted",
    })
}

/// `token` with the other signature that ECDSA on P-256 has for it: s becomes n - s.
#[must_use]
pub fn with_other_signature(token: &str) -> String {
    const N: [u8; 32] = [
        0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
        0xff, 0xbc, 0xe6, 0xfa, 0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63,
        0x25, 0x51,
    ];
    let (message, signature) = token.rsplit_once('.').unwrap();
    let mut signature = BASE64_URL_SAFE_NO_PAD.decode(signature).unwrap();
    let mut borrow = 0;
    for (byte, n) in signature[32..].iter_mut().zip(N).rev() {
        let difference = i16::from(n) - i16::from(*byte) - borrow;
        borrow = i16::from(difference < 0);
        *byte = u8::try_from(difference.rem_euclid(256)).unwrap();
    }
    format!("{message}.{}", encoded(&signature))
}
