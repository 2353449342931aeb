//! Addresses of web pages, as far as .NET's `Uri` reads them.

use std::net::Ipv6Addr;

/// Whether `address` is an absolute http or https address with a host that .NET reads, and
/// can be written into an attribute without leaving it. A client that cannot read one
/// address in an answer discards the whole answer.
pub(super) fn is_of_the_web(address: &str) -> bool {
    let Some((scheme, rest)) = address.split_once("://") else { return false };
    let web = scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https");
    let plain = !address.chars().any(|c| c.is_control() || matches!(c, '"' | '<' | '>' | '\\'));
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let (user, place) = authority.rsplit_once('@').unwrap_or(("", authority));
    web && plain && !user.contains(char::is_whitespace) && is_host_and_port(place)
}

fn is_host_and_port(place: &str) -> bool {
    let is_port = |port: &str| port.is_empty() || port.parse::<u16>().is_ok();
    if let Some((host, port)) = place.strip_prefix('[').and_then(|place| place.split_once(']')) {
        let host = host.split('%').next().unwrap_or_default();
        let port = port.strip_prefix(':').or(port.is_empty().then_some(port));
        return host.parse::<Ipv6Addr>().is_ok() && port.is_some_and(is_port);
    }
    let (host, port) = place.rsplit_once(':').unwrap_or((place, ""));
    let host = host.strip_suffix('.').unwrap_or(host);
    let named = host.split('.').all(|label| {
        !label.is_empty() && label.chars().all(|c| c.is_alphanumeric() || matches!(c, '-' | '_'))
    });
    named && is_port(port)
}

/// `address` without the user and the password before its host, which nobody should see.
#[must_use]
pub fn without_user(address: &str) -> String {
    let parts = address.split_once("://").and_then(|(scheme, rest)| {
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, rest) = rest.split_at_checked(end)?;
        let (_, place) = authority.rsplit_once('@')?;
        Some(format!("{scheme}://{place}{rest}"))
    });
    parts.unwrap_or_else(|| address.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_one_that_dotnet_reads() {
        for address in [
            "http://[fd00::1]:8080/x",
            "https://[::1]",
            "https://[fe80::1%25eth0]/",
            "https://user@example.org/x",
            "https://user:pass@[::1]:80/",
            "https://example.org./x",
            "https://b\u{fc}ro.example/",
        ] {
            assert!(is_of_the_web(address), "{address}");
        }
        for address in [
            "http://[fd00::1",
            "http://[fd00::g]/",
            "http://[::1]8080/",
            "http://[::1]:65536/",
            "https://a b@example.org/",
            "https://user@/x",
            "https://example.org../x",
            "https://./x",
        ] {
            assert!(!is_of_the_web(address), "{address}");
        }
    }

    #[test]
    fn an_address_is_shown_without_its_user() {
        for (address, shown) in [
            ("https://user:token@example.org/a@b", "https://example.org/a@b"),
            ("https://u@x@example.org", "https://example.org"),
            ("https://example.org/?q=a@b", "https://example.org/?q=a@b"),
            ("https://example.org?a@b", "https://example.org?a@b"),
            ("mailto:a@b", "mailto:a@b"),
        ] {
            assert_eq!(without_user(address), shown);
        }
    }
}
