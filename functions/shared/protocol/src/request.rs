//! Requests, and the data that the gateway adds to the HTTP request.

use std::collections::HashMap;

use nupkg::{PackageId, Version};

use crate::{Body, Refusal, package_version, path_version};

/// A request to a verb. The gateway adds a [`Caller`](crate::Caller), [`PathParameters`] and
/// a [`BaseUrl`] to its extensions.
pub type Request = http::Request<Body>;

/// The variable parts of the request's path, decoded once: `+` is a plus.
#[derive(Debug, Clone, Default)]
pub struct PathParameters(pub HashMap<String, String>);

impl PathParameters {
    /// The variable parts of `path`, if `pattern` matches it. The match is strict: a slash
    /// at the end counts. The pattern is like `/v3/{id}/index.json` or `/{proxy+}`.
    #[must_use]
    pub fn in_path(pattern: &str, path: &str) -> Option<Self> {
        crate::pattern::parameters(pattern, path).map(Self)
    }

    /// The part called `name`; empty where the route has none.
    #[must_use]
    pub fn get(&self, name: &str) -> &str {
        self.0.get(name).map_or("", String::as_str)
    }

    /// The package that the part `{id}` names.
    ///
    /// # Errors
    /// It is not an id: nothing can be at this address.
    pub fn id(&self) -> Result<PackageId, Refusal> {
        PackageId::parse(self.get("id")).map_err(|_| Refusal::NoSuchAddress)
    }

    /// The version that the part `{version}` names, in any spelling.
    ///
    /// # Errors
    /// It is not a version: nothing can be at this address.
    pub fn version(&self) -> Result<Version, Refusal> {
        path_version(self.get("version"))
    }

    /// The package and the version that the part `{proxy+}` names, as in
    /// `Acme.Core/1.0+build`.
    ///
    /// # Errors
    /// It is not an id and a version: nothing can be at this address.
    pub fn id_and_version(&self) -> Result<(PackageId, Version), Refusal> {
        package_version(self.get("proxy"))
    }

    /// The parameters of `request`.
    #[must_use]
    pub fn of(request: &Request) -> Self {
        request.extensions().get::<Self>().cloned().unwrap_or_default()
    }
}

/// The address that a request came from, as far as the gateway knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer(pub std::net::IpAddr);

impl Peer {
    /// Where `request` came from.
    #[must_use]
    pub fn of(request: &Request) -> Option<Self> {
        request.extensions().get::<Self>().copied()
    }
}

/// The address that the feed's documents and links begin with, without a slash
/// at its end.
#[derive(Debug, Clone)]
pub struct BaseUrl(pub String);

impl BaseUrl {
    /// Its two parts: scheme and host; and the path at that host, if any.
    #[must_use]
    pub fn split(&self) -> (&str, &str) {
        let host = self.0.find("://").map_or(0, |at| at + "://".len());
        let rest = self.0.get(host..).unwrap_or_default();
        let end = rest.find('/').map_or(self.0.len(), |at| host + at);
        self.0.split_at_checked(end).unwrap_or((&self.0, ""))
    }

    /// Whether a secret that is sent to it would travel in the open, and not on this machine
    /// alone.
    #[must_use]
    pub fn is_in_the_open(&self) -> bool {
        let Some(authority) = self.split().0.strip_prefix("http://") else { return false };
        let host = match authority.rsplit_once(':') {
            Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
            _ => authority,
        };
        let address = host.trim_matches(['[', ']']).parse::<std::net::IpAddr>();
        !(host == "localhost" || address.is_ok_and(|address| address.is_loopback()))
    }

    /// The address that the links of `request`'s reply begin with.
    #[must_use]
    pub fn of(request: &Request) -> &str {
        request.extensions().get::<Self>().map_or("", |base| base.0.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_without_tls_is_in_the_open_unless_it_is_this_machine() {
        for (url, is_in_the_open) in [
            ("https://packages.example.org", false),
            ("http://packages.example.org", true),
            ("http://10.0.0.1:5000/feed", true),
            ("http://127.0.0.1.example.org", true),
            ("http://localhost.example.org", true),
            ("http://10.0.0.1", true),
            ("http://127.1.2.3", false),
            ("http://127.0.0.1:5000", false),
            ("http://[::1]:5000", false),
            ("http://[::1]", false),
            ("http://localhost", false),
        ] {
            assert_eq!(BaseUrl(url.to_owned()).is_in_the_open(), is_in_the_open, "{url}");
        }
    }

    #[test]
    fn an_address_is_its_host_and_a_path() {
        for (host, path) in [("https://a", "/b/c"), ("http://a:80", ""), ("", "/b"), ("a", "")] {
            assert_eq!(BaseUrl(format!("{host}{path}")).split(), (host, path));
        }
    }
}
