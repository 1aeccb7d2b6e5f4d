//! The URL of a request as its sender saw it: the public scheme and port of the listener, and the host as sent. A proxy before the edge
//! may say otherwise, if it is one that the operator trusts; anybody else's word on it counts for nothing.

use http::request::Parts;

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
}
