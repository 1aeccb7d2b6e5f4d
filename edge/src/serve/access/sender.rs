//! The URL of a request as its sender saw it: the public scheme and port of the listener, and the host as sent. A proxy before the edge
//! may say otherwise, if it is one that the operator trusts; anybody else's word on it counts for nothing.

use http::request::Parts;
use std::net::IpAddr;
use std::str::FromStr;

/// Scheme, host and port before which a target stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sender<'a> {
    pub(super) scheme: &'a str,
    pub(super) host: &'a str,
    pub(super) port: u16,
}

impl<'a> Sender<'a> {
    /// What a request says; its forwarded fields only where `trusts` whom it comes from.
    pub(super) fn of(request: &'a Parts, host: &'a str, public_port: u16, trusts: bool) -> Self {
        let own = Self { scheme: "https", host, port: public_port };
        if !trusts {
            return own;
        }
        // Of several proxies the one nearest to the client comes first.
        let field = |name| {
            let value = request.headers.get(name).and_then(|value| value.to_str().ok())?;
            value.split(',').next().map(str::trim).filter(|value| !value.is_empty())
        };
        let scheme = field("x-forwarded-proto").filter(|scheme| ["http", "https"].contains(scheme));
        let authority = field("x-forwarded-host");
        let (host, host_port) = authority.map_or((host, None), split_port);
        let port = field("x-forwarded-port").or(host_port).and_then(|port| port.parse().ok());
        let default_port = match scheme {
            Some("http") => 80,
            Some(_) => 443,
            None => public_port,
        };
        Self { scheme: scheme.unwrap_or(own.scheme), host, port: port.unwrap_or(default_port) }
    }
}

fn split_port(authority: &str) -> (&str, Option<&str>) {
    match authority.rsplit_once(':') {
        // The colons of an IPv6 address are within brackets.
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        _ => (authority, None),
    }
}

/// A network of peers, in CIDR notation (RFC 4632 §3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    prefix_len: u8,
}

/// A text that is no network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a network is an address, or an address and the length of its prefix, such as 10.0.0.0/8")]
pub struct InvalidNetwork;

impl Network {
    /// Whether an address belongs to it.
    pub fn holds(&self, address: IpAddr) -> bool {
        let host_bits = |width: u32| width - u32::from(self.prefix_len);
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                (own.to_bits() ^ other.to_bits()).checked_shr(host_bits(32)).unwrap_or(0) == 0
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => {
                (own.to_bits() ^ other.to_bits()).checked_shr(host_bits(128)).unwrap_or(0) == 0
            }
            _ => false,
        }
    }
}

impl FromStr for Network {
    type Err = InvalidNetwork;

    fn from_str(text: &str) -> Result<Self, InvalidNetwork> {
        let (address, prefix) = text.split_once('/').map_or((text, None), |(a, prefix)| (a, Some(prefix)));
        let address: IpAddr = address.parse().map_err(|_| InvalidNetwork)?;
        let width = if address.is_ipv4() { 32 } else { 128 };
        let prefix_len = prefix.map_or(Ok(width), str::parse).map_err(|_| InvalidNetwork)?;
        if prefix_len > width { Err(InvalidNetwork) } else { Ok(Self { address, prefix_len }) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Request;

    fn sender(fields: &[(&str, &str)], trusts: bool) -> (String, String, u16) {
        let mut request = Request::builder().uri("/a");
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        let (parts, ()) = request.body(()).expect("a request").into_parts();
        let Sender { scheme, host, port } = Sender::of(&parts, "a.test", 8443, trusts);
        (scheme.into(), host.into(), port)
    }

    #[test]
    fn forwarded_fields_count_only_from_trusted_peers() {
        let fields = [("x-forwarded-proto", "http"), ("x-forwarded-host", "b.test:81")];
        assert_eq!(sender(&fields, false), ("https".into(), "a.test".into(), 8443));
        assert_eq!(sender(&fields, true), ("http".into(), "b.test".into(), 81));
    }

    #[test]
    fn what_a_trusted_peer_does_not_say_is_as_configured() {
        let cases: [(&[(&str, &str)], (&str, &str, u16)); 7] = [
            (&[], ("https", "a.test", 8443)),
            (&[("x-forwarded-proto", "https")], ("https", "a.test", 443)),
            (&[("x-forwarded-proto", "http, https")], ("http", "a.test", 80)),
            (&[("x-forwarded-proto", "gopher")], ("https", "a.test", 8443)),
            (&[("x-forwarded-port", "444")], ("https", "a.test", 444)),
            (&[("x-forwarded-host", "[::1]:5")], ("https", "[::1]", 5)),
            (&[("x-forwarded-host", "[::1]")], ("https", "[::1]", 8443)),
        ];
        for (fields, (scheme, host, port)) in cases {
            assert_eq!(sender(fields, true), (scheme.into(), host.into(), port), "{fields:?}");
        }
    }

    #[test]
    fn a_network_holds_its_addresses() {
        let holds = |network: &str, address: &str| {
            let network: Network = network.parse().expect("a network");
            network.holds(address.parse().expect("an address"))
        };
        assert!(holds("10.0.0.0/8", "10.255.0.1") && !holds("10.0.0.0/8", "11.0.0.1"));
        assert!(holds("127.0.0.1", "127.0.0.1") && !holds("127.0.0.1", "127.0.0.2"));
        assert!(holds("0.0.0.0/0", "192.0.2.1") && !holds("0.0.0.0/0", "::1"));
        assert!(holds("2001:db8::/32", "2001:db8:1::1") && holds("::/0", "::1"));
        assert!(holds("10.0.0.0/8", "::ffff:10.0.0.1"));
        for wrong in ["", "10.0.0.0/33", "::/129", "10.0.0/8", "10.0.0.0/", "a/8"] {
            assert_eq!(wrong.parse::<Network>(), Err(InvalidNetwork), "{wrong}");
        }
    }
}
