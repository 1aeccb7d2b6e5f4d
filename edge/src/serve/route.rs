//! Which host and which asset a request means.

use super::respond::Refusal;
use crate::control::{Asset, Environment};
use http::header::HOST;
use http::request::Parts;
use percent_encoding::percent_decode_str;
use std::borrow::Cow;
use std::sync::Arc;

/// The host that a request is for, without a port: of the request target if it has one, else of `Host` (RFC 9110 §7.2, RFC 9112
/// §3.2, RFC 9113 §8.3.1).
pub(super) fn host(request: &Parts) -> Result<&str, Refusal> {
    if let Some(authority) = request.uri.authority() {
        return without_port(authority.as_str()).ok_or(Refusal::BadHost);
    }
    let mut values = request.headers.get_all(HOST).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return Err(Refusal::BadHost) };
    value.to_str().ok().and_then(without_port).ok_or(Refusal::BadHost)
}

/// What a path shows. The path is looked up as it was sent, and then once percent-decoded, so that an asset answers by the name that
/// its publisher gave and by the name that a browser makes of it. Nothing is normalised.
pub(super) fn asset(environment: &Environment, sent: &str) -> Option<Arc<Asset>> {
    let path = asset_path(sent);
    if let Some(asset) = environment.asset(path) {
        return Some(Arc::clone(asset));
    }
    match percent_decode_str(path).decode_utf8().ok()? {
        Cow::Borrowed(_) => None,
        Cow::Owned(decoded) => environment.asset(&decoded).cloned(),
    }
}

/// The path of the asset that a request target's path shows: the folder itself shows its index.
pub fn asset_path(sent: &str) -> &str {
    match sent {
        "" | "/" => "/index.html",
        path => path,
    }
}

/// Host of `host [":" port]`; `None` where it is none or has user information.
fn without_port(authority: &str) -> Option<&str> {
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let (address, port) = rest.split_once(']')?;
            (&authority[..address.len() + 2], port)
        }
        None => authority.find(':').map_or((authority, ""), |colon| authority.split_at(colon)),
    };
    let port_fits = port.is_empty()
        || port.strip_prefix(':').is_some_and(|port| port.bytes().all(|byte| byte.is_ascii_digit()));
    let host_fits =
        host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~[]:%!$&'()*+,;=".contains(&byte));
    (!host.is_empty() && port_fits && host_fits).then_some(host)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Request;

    fn host_of(uri: &str, hosts: &[&str]) -> Option<String> {
        let mut request = Request::builder().uri(uri);
        for host in hosts {
            request = request.header(HOST, *host);
        }
        let (parts, ()) = request.body(()).expect("a request").into_parts();
        host(&parts).ok().map(str::to_owned)
    }

    #[test]
    fn the_host_comes_from_the_target_else_from_the_field() {
        assert_eq!(host_of("/x", &["a.test"]).as_deref(), Some("a.test"));
        assert_eq!(host_of("/x", &["a.test:8443"]).as_deref(), Some("a.test"));
        assert_eq!(host_of("/x", &["[::1]:8443"]).as_deref(), Some("[::1]"));
        assert_eq!(host_of("https://b.test:1/x", &["a.test"]).as_deref(), Some("b.test"));
    }

    #[test]
    fn a_missing_repeated_or_malformed_host_is_refused() {
        // RFC 9112 §3.2
        let cases: [&[&str]; 8] =
            [&[], &["a.test", "a.test"], &[""], &["a b"], &["u@a.test"], &["a.test:x"], &[":80"], &["[::1"]];
        for hosts in cases {
            assert_eq!(host_of("/x", hosts), None, "{hosts:?}");
        }
    }

    #[test]
    fn the_folder_itself_shows_its_index() {
        assert_eq!(asset_path("/"), "/index.html");
        assert_eq!(asset_path("/a"), "/a");
    }
}
