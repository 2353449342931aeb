//! Issuers of identity tokens, and where their keys come from.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::claims::printable;
use crate::{Algorithm, PublicKey, json};

/// An address that is read over TLS: `https://host[:port]/path`, and no more than that.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct SecureUrl(String);

/// The name of an issuer, as in the `iss` of its tokens, byte for byte: an address that is
/// read over TLS.
pub type IssuerUrl = SecureUrl;

/// The text is not such an address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not an address like https://host/path")]
pub struct IssuerUrlError(String);

impl SecureUrl {
    /// The longest address. Keys of the table are made of it, which have 2,048 bytes at most.
    const LONGEST: usize = 500;

    /// An address that is known to be one.
    pub(crate) fn known(text: String) -> Self {
        Self(text)
    }

    /// The address.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The host, without its port.
    #[must_use]
    pub fn host(&self) -> &str {
        let authority = self.authority();
        match authority.rsplit_once(':') {
            Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
            _ => authority,
        }
    }

    /// Host and port.
    #[must_use]
    pub fn authority(&self) -> &str {
        let rest = self.0.get("https://".len()..).unwrap_or_default();
        rest.split('/').next().unwrap_or_default()
    }

    /// The address of the issuer's configuration (`OpenID` Connect Discovery 1.0, section 4).
    #[must_use]
    pub fn discovery(&self) -> String {
        let start = self.0.strip_suffix('/').unwrap_or(&self.0);
        format!("{start}/.well-known/openid-configuration")
    }
}

impl FromStr for SecureUrl {
    type Err = IssuerUrlError;

    fn from_str(text: &str) -> Result<Self, IssuerUrlError> {
        let error = || IssuerUrlError(text.chars().take(100).collect());
        let rest = text.strip_prefix("https://").ok_or_else(error)?;
        let authority = rest.split('/').next().unwrap_or_default();
        let is_plain = text.len() <= Self::LONGEST
            && text.bytes().all(|byte| byte.is_ascii_graphic())
            && !text.contains(['?', '#', '\\', '"', '<', '>', '^', '`', '{', '|', '}', '%'])
            && !authority.is_empty()
            && !authority.contains('@')
            && !authority.bytes().any(|byte| byte.is_ascii_uppercase());
        let uri: http::Uri = text.parse().map_err(|_| error())?;
        if is_plain && uri.host().is_some_and(|host| !host.is_empty()) {
            Ok(Self(text.to_owned()))
        } else {
            Err(error())
        }
    }
}

impl TryFrom<String> for SecureUrl {
    type Error = IssuerUrlError;

    fn try_from(text: String) -> Result<Self, IssuerUrlError> {
        text.parse()
    }
}

impl fmt::Display for SecureUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An issuer that an owner of the feed has named.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Issuer {
    /// Its name in its tokens.
    pub iss: IssuerUrl,
    /// The algorithms that its tokens may be signed with.
    pub algorithms: Vec<Algorithm>,
    /// Where its keys come from.
    pub keys: KeySource,
}

/// Where the keys of an issuer come from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "from", rename_all = "lowercase")]
pub enum KeySource {
    /// It publishes them.
    Published {
        /// The address of its key set (RFC 7517).
        jwks_uri: SecureUrl,
        /// Whether that may be an address of a private network.
        private: bool,
    },
    /// They were given, and nothing is fetched.
    Given {
        /// The keys.
        keys: Vec<PublicKey>,
    },
}

/// A document is not the configuration of its issuer.
#[derive(Debug, thiserror::Error)]
pub enum DiscoveryError {
    /// It is not JSON, or an object in it is not one that can be read in one way only.
    #[error("it is not the configuration of an issuer: {0}")]
    Unreadable(#[from] serde_json::Error),
    /// It is that of another issuer.
    #[error("it is the configuration of the issuer '{found}', and not of '{wanted}'")]
    OtherIssuer {
        /// The one in the document.
        found: String,
        /// The one that was asked.
        wanted: IssuerUrl,
    },
    /// It does not say where the keys are.
    #[error("it names no jwks_uri over https")]
    NoKeys,
    /// Somebody else publishes the keys.
    #[error("its keys are at '{0}', on another host; allow that with --jwks-uri")]
    OtherHost(SecureUrl),
}

/// The address of the keys of `iss`, according to its configuration.
///
/// # Errors
/// The document is not the configuration of `iss`, or its keys are on another host.
pub fn jwks_uri(document: &[u8], iss: &IssuerUrl) -> Result<SecureUrl, DiscoveryError> {
    let configuration = json::object(document)?;
    let text = |name: &str| configuration.get(name).and_then(serde_json::Value::as_str);
    let found = text("issuer").unwrap_or_default();
    if found != iss.as_str() {
        return Err(DiscoveryError::OtherIssuer { found: printable(found), wanted: iss.clone() });
    }
    let jwks_uri: Option<SecureUrl> = text("jwks_uri").and_then(|uri| uri.parse().ok());
    let jwks_uri = jwks_uri.ok_or(DiscoveryError::NoKeys)?;
    if jwks_uri.host() != iss.host() {
        return Err(DiscoveryError::OtherHost(jwks_uri));
    }
    Ok(jwks_uri)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Row 35.
    #[test]
    fn a_configuration_is_the_issuer_s_own_and_names_keys_on_its_host() {
        let iss: IssuerUrl = "https://a.example".parse().unwrap();
        let read = |document: &str| jwks_uri(document.as_bytes(), &iss);
        let own = r#"{"issuer":"https://a.example","jwks_uri":"https://a.example:8443/k","x":[1]}"#;
        assert_eq!(read(own).unwrap().as_str(), "https://a.example:8443/k");
        for (document, is_expected) in [
            ("<html>", (|error| matches!(error, DiscoveryError::Unreadable(_))) as fn(&_) -> bool),
            (r#"{"issuer":"https://a.example/","jwks_uri":"https://a.example/k"}"#, |error| {
                matches!(error, DiscoveryError::OtherIssuer { .. })
            }),
            (r#"{"issuer":"https://a.example","jwks_uri":"http://a.example/k"}"#, |error| {
                matches!(error, DiscoveryError::NoKeys)
            }),
            (r#"{"issuer":"https://a.example"}"#, |error| matches!(error, DiscoveryError::NoKeys)),
            (r#"{"issuer":"https://a.example","jwks_uri":"https://b.example/k"}"#, |error| {
                matches!(error, DiscoveryError::OtherHost(_))
            }),
        ] {
            let error = read(document).unwrap_err();
            assert!(is_expected(&error), "{document}: {error}");
        }
    }

    #[test]
    fn an_issuer_is_named_by_an_address_as_it_is_written() {
        for (text, host, discovery) in [
            (
                "https://token.actions.githubusercontent.com",
                "token.actions.githubusercontent.com",
                "https://token.actions.githubusercontent.com/.well-known/openid-configuration",
            ),
            (
                "https://sts.windows.net/t/",
                "sts.windows.net",
                "https://sts.windows.net/t/.well-known/openid-configuration",
            ),
            (
                "https://git.example.org:8443",
                "git.example.org",
                "https://git.example.org:8443/.well-known/openid-configuration",
            ),
        ] {
            let url: IssuerUrl = text.parse().unwrap();
            assert_eq!((url.as_str(), url.host()), (text, host));
            assert_eq!(url.discovery(), discovery);
        }
        assert_eq!("https://[::1]:1/a".parse::<IssuerUrl>().unwrap().host(), "[::1]");
        for text in [
            "",
            "http://a",
            "HTTPS://a",
            "https://",
            "https:///a",
            "https://A",
            "https://a@b",
            "https://a?b",
            "https://a#b",
            "https://a b",
            "https://a/\u{e9}",
            &format!("https://a/{}", "b".repeat(500)),
        ] {
            assert!(text.parse::<IssuerUrl>().is_err(), "{text}");
        }
    }
}
