//! The Host that a request names.

use std::net::IpAddr;

use http::header::HOST;
use http::{HeaderMap, StatusCode, Version};
use protocol::BaseUrl;

/// The hosts that are answered.
#[derive(Debug, Clone, Default)]
pub struct Hosts(Option<Vec<String>>);

impl Hosts {
    /// The hosts that a listener on `address` answers to. On a loopback address, these are the
    /// names of this machine and the feed's own name. Otherwise, any web page could make a
    /// browser read the feed, under a name that resolves to this machine.
    #[must_use]
    pub fn of(address: IpAddr, base_url: &BaseUrl) -> Self {
        if !address.is_loopback() {
            return Self::default();
        }
        let origin = base_url.split().0;
        let public = origin.split_once("://").map_or(origin, |(_, host)| host);
        Self(Some(vec![without_port(public).to_ascii_lowercase(), "localhost".to_owned()]))
    }

    /// Why a request with these headers is not answered: RFC 9112, 3.2 asks for exactly one
    /// valid Host.
    pub(super) fn refuse(&self, version: Version, headers: &HeaderMap) -> Option<StatusCode> {
        let mut named = headers.get_all(HOST).into_iter();
        let (first, second) = (named.next(), named.next());
        let host = match (first.map(|host| host.to_str()), second) {
            (Some(Ok(host)), None) if is_valid(host) => without_port(host),
            (None, None) if version < Version::HTTP_11 => return None,
            _ => return Some(StatusCode::BAD_REQUEST),
        };
        let is_known = self.0.as_ref().is_none_or(|known| {
            let address = host.trim_start_matches('[').trim_end_matches(']');
            known.iter().any(|known| known.eq_ignore_ascii_case(host))
                || address.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
        });
        (!is_known).then_some(StatusCode::MISDIRECTED_REQUEST)
    }
}

/// `uri-host [ ":" port ]`, RFC 9110, 7.2. An empty one is valid.
fn is_valid(host: &str) -> bool {
    let name = without_port(host);
    let port = host.get(name.len()..).unwrap_or_default();
    let port = port.strip_prefix(':').unwrap_or(port);
    let is_name = match name.strip_prefix('[') {
        Some(address) => address.strip_suffix(']').is_some_and(|address| {
            address.bytes().all(|byte| byte.is_ascii_hexdigit() || matches!(byte, b':' | b'.'))
        }),
        None => name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-._~%!$&'()*+,;=".contains(&byte)),
    };
    is_name && port.len() <= 5 && port.bytes().all(|byte| byte.is_ascii_digit())
}

fn without_port(host: &str) -> &str {
    let end = host.rfind(']').map_or(0, |end| end + 1);
    let port = host.get(end..).and_then(|rest| rest.find(':')).map(|at| end + at);
    port.and_then(|port| host.get(..port)).unwrap_or(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(hosts: &Hosts, version: Version, named: &[&'static str]) -> Option<u16> {
        let values = named.iter().map(|host| (HOST, http::HeaderValue::from_static(host)));
        hosts.refuse(version, &values.collect()).map(|status| status.as_u16())
    }

    #[test]
    fn a_request_names_one_host_that_may_be_one() {
        let any = Hosts::default();
        for named in [&["a"][..], &["a.b:80"], &["[::1]:5000"], &["[::1]"], &[""], &["a:"]] {
            assert_eq!(refused(&any, Version::HTTP_11, named), None, "{named:?}");
        }
        let wrong: [&[&str]; 9] = [
            &[],
            &["a", "a"],
            &["a b"],
            &["a/b"],
            &["a@b"],
            &["a:x"],
            &["[::1"],
            &["a:123456"],
            &["a,b", "c"],
        ];
        for named in wrong {
            assert_eq!(refused(&any, Version::HTTP_11, named), Some(400), "{named:?}");
        }
        assert_eq!(refused(&any, Version::HTTP_10, &[]), None);
    }

    #[test]
    fn a_feed_on_this_machine_answers_to_its_own_names() {
        let base = BaseUrl("https://packages.example.org/nuget".to_owned());
        let local = Hosts::of([127, 0, 0, 1].into(), &base);
        for host in
            ["localhost:5000", "127.0.0.1:5000", "[::1]", "Packages.Example.org", "127.1.2.3"]
        {
            let host: &'static str = host.to_owned().leak();
            assert_eq!(refused(&local, Version::HTTP_11, &[host]), None, "{host}");
        }
        for host in ["evil.example", "10.0.0.1:5000", "localhost.evil.example", ""] {
            let host: &'static str = host.to_owned().leak();
            assert_eq!(refused(&local, Version::HTTP_11, &[host]), Some(421), "{host}");
        }
        let public = Hosts::of([0, 0, 0, 0].into(), &base);
        assert_eq!(refused(&public, Version::HTTP_11, &["evil.example"]), None);
    }
}
