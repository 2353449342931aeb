//! Addresses that are not in a private network.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use protocol::BoxError;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

/// Resolves names to public addresses only. The client connects to the address that was
/// looked at, so a name that leads elsewhere the second time does not help.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PublicAddresses;

impl Resolve for PublicAddresses {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let public: Vec<SocketAddr> = found.filter(|address| is_public(address.ip())).collect();
            if public.is_empty() {
                let host = name.as_str();
                let reason = format!(
                    "the host {host} is in a private network; name it with --private-issuer if it is yours"
                );
                return Err(BoxError::from(reason));
            }
            Ok(Box::new(public.into_iter()) as Addrs)
        })
    }
}

/// The host of an address, if it is an IP address that is not public.
pub(crate) fn private_host(address: &str) -> Option<String> {
    let url = reqwest::Url::parse(address).ok()?;
    let host = url.host_str()?;
    let ip: IpAddr = host.trim_matches(['[', ']']).parse().ok()?;
    (!is_public(ip)).then(|| host.to_owned())
}

/// Whether an address is one of the internet, by the registries of special addresses (RFC
/// 6890).
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [first, second, third, _] = address.octets();
    let is_shared = first == 100 && (64..128).contains(&second);
    let is_protocol = [first, second, third] == [192, 0, 0];
    let is_benchmark = first == 198 && (second == 18 || second == 19);
    !(address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_documentation()
        || is_shared
        || is_protocol
        || is_benchmark
        || first == 0
        || first >= 224)
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let [first, second, ..] = address.segments();
    if let Some(mapped) = embedded_v4(address) {
        return is_public_v4(mapped);
    }
    // Global unicast is 2000::/3, and a part of it is documentation.
    first & 0xe000 == 0x2000 && !(first == 0x2001 && second == 0x0db8)
}

/// The address of the old protocol that one of the new stands for: mapped, translated
/// (`64:ff9b::/96`), or tunnelled (`2002::/16`).
fn embedded_v4(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let [first, second, third, _, _, _, seventh, eighth] = address.segments();
    let of = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        Ipv4Addr::new(a, b, c, d)
    };
    match (first, second) {
        (0x0064, 0xff9b) => Some(of(seventh, eighth)),
        (0x2002, _) => Some(of(second, third)),
        _ => address.to_ipv4_mapped(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Row 35.
    #[test]
    fn an_address_of_the_internet_is_public_and_no_other() {
        for address in ["140.82.121.4", "100.128.0.1", "172.32.0.1", "2606:50c0::1"] {
            assert!(is_public(address.parse().unwrap()), "{address}");
        }
        for address in [
            "0.0.0.0",
            "10.0.0.1",
            "100.64.0.1",
            "127.0.0.1",
            "169.254.169.254",
            "172.16.0.1",
            "192.0.0.8",
            "192.168.1.1",
            "198.18.0.1",
            "203.0.113.1",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:10.0.0.1",
            "64:ff9b::10.0.0.1",
            "2002:a00:1::",
            "2001:db8::1",
            "fc00::1",
            "fd00:ec2::254",
            "fe80::1",
            "ff02::1",
        ] {
            assert!(!is_public(address.parse().unwrap()), "{address}");
        }
    }

    #[test]
    fn a_host_that_is_a_private_address_is_seen() {
        for (address, host) in [
            ("https://127.0.0.1/a", Some("127.0.0.1")),
            ("https://2130706433/a", Some("127.0.0.1")),
            ("https://0x7f.1/a", Some("127.0.0.1")),
            ("https://[::1]:8443/a", Some("[::1]")),
            ("https://140.82.121.4/a", None),
            ("https://localhost/a", None),
        ] {
            assert_eq!(private_host(address).as_deref(), host, "{address}");
        }
    }
}
