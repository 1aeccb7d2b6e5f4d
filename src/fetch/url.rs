//! From the text of a URL to what is asked of whom.

use crate::failure::Failure;
use http::Uri;
use http::uri::PathAndQuery;
use rustls::pki_types::ServerName;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// A URL of HTTPS.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    authority: String,
    host: String,
    port: u16,
    path_and_query: PathAndQuery,
}

impl Target {
    /// Whether a text is meant as a URL, not as a path.
    pub(crate) fn is_url(text: &str) -> bool {
        text.contains("://")
    }

    /// Reads a URL.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn parse(text: &str) -> Result<Self, Failure> {
        let refused = |why: &str| Failure::usage(format!("{text}: {why}"));
        // A fragment is for whoever shows the page (RFC 3986 §3.5).
        let url = text.split_once('#').map_or(text, |(url, _)| url);
        let uri: Uri = url.parse().map_err(|error| refused(&format!("not a URL: {error}")))?;
        if uri.scheme_str() != Some("https") {
            return Err(refused("only https:// is spoken"));
        }
        let authority = uri.authority().ok_or_else(|| refused("a URL names a host"))?;
        if authority.as_str().contains('@') {
            return Err(refused("credentials in a URL are not sent"));
        }
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_ascii_lowercase();
        if host.is_empty() {
            return Err(refused("a URL names a host"));
        }
        let path_and_query = uri.path_and_query().cloned().unwrap_or_else(|| PathAndQuery::from_static("/"));
        Ok(Self {
            authority: authority.as_str().to_owned(),
            host,
            port: authority.port_u16().unwrap_or(443),
            path_and_query,
        })
    }

    /// Host and port as they were written.
    pub(crate) fn authority(&self) -> &str {
        &self.authority
    }

    /// Host without brackets, in lower case.
    pub(crate) fn host(&self) -> &str {
        &self.host
    }

    /// What follows the authority.
    pub(crate) fn path_and_query(&self) -> &str {
        self.path_and_query.as_str()
    }

    /// The name that the certificate must have.
    pub(super) fn server_name(&self) -> anyhow::Result<ServerName<'static>> {
        Ok(ServerName::try_from(self.host.clone())?)
    }

    /// Addresses to try, in order. Names under `localhost` are this machine, whatever the resolver says (RFC 6761 §6.3).
    pub(super) async fn addresses(&self) -> Result<Vec<SocketAddr>, Failure> {
        if let Ok(ip) = self.host.parse::<IpAddr>() {
            return Ok(vec![SocketAddr::new(ip, self.port)]);
        }
        if self.host == "localhost" || self.host.ends_with(".localhost") {
            let loopback = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];
            return Ok(loopback.map(|ip| SocketAddr::new(ip, self.port)).to_vec());
        }
        tokio::net::lookup_host((self.host.as_str(), self.port))
            .await
            .map(Iterator::collect)
            .map_err(|error| Failure::new(format!("cannot resolve {}: {error}", self.host)))
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "https://{}{}", self.authority, self.path_and_query)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_taken_apart() {
        let target = Target::parse("https://Default-1.localhost:8443/a%20b?x=1#top").expect("a URL");
        assert_eq!(
            (target.host(), target.port, target.authority()),
            ("default-1.localhost", 8443, "Default-1.localhost:8443")
        );
        assert_eq!(target.path_and_query(), "/a%20b?x=1");
        let target = Target::parse("https://[::1]").expect("a URL");
        assert_eq!((target.host(), target.port, target.path_and_query()), ("::1", 443, "/"));
    }

    #[test]
    fn other_texts_are_refused() {
        for wrong in ["http://a/", "https://", "https:///x", "https://a:b@c/", "ftp://x/", "https://a b/"] {
            assert!(Target::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[tokio::test]
    async fn names_under_localhost_are_this_machine() {
        let target = Target::parse("https://default-1.localhost:1/").expect("a URL");
        let addresses = target.addresses().await.expect("no resolver needed");
        assert!(addresses.iter().all(|address| address.ip().is_loopback()) && addresses.len() == 2);
    }
}
