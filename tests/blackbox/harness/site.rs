//! What a browser sees of an edge, over three protocols.

use super::{DEADLINE, block_on, eventually, site_h3, site_tcp};
use anyhow::Context;
use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode, Uri};
use rustls::pki_types::CertificateDer;
use rustls::{ClientConfig, RootCertStore};
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

/// The protocol of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protocol {
    Http1,
    Http2,
    Http3,
}

impl Protocol {
    /// For cases that are the same over each.
    pub(crate) const ALL: [Self; 3] = [Self::Http1, Self::Http2, Self::Http3];

    /// As ALPN (RFC 7301) says it.
    const fn alpn(self) -> &'static [u8] {
        match self {
            Self::Http1 => b"http/1.1",
            Self::Http2 => b"h2",
            Self::Http3 => b"h3",
        }
    }

    /// As metrics say it.
    pub(crate) const fn label(self) -> &'static str {
        match self {
            Self::Http1 => "h1",
            Self::Http2 => "h2",
            Self::Http3 => "h3",
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.label())
    }
}

/// An edge at an address, asked for one host, its certificate verified against one authority.
#[derive(Clone)]
pub(crate) struct Site {
    address: SocketAddr,
    host: String,
    /// Name that the certificate is verified for, where it is not the host.
    verified_as: Option<String>,
    roots: Arc<RootCertStore>,
}

/// A request that is being put together.
#[must_use]
pub(crate) struct Ask<'a> {
    site: &'a Site,
    protocol: Protocol,
    request: http::request::Builder,
    path: String,
    content: Bytes,
}

/// A whole response.
#[derive(Debug, Clone)]
pub(crate) struct Response {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Site {
    pub(crate) fn new(address: SocketAddr, host: &str, authority: CertificateDer<'static>) -> Self {
        let mut roots = RootCertStore::empty();
        roots.add(authority).expect("a certificate of an authority");
        Self { address, host: host.to_owned(), verified_as: None, roots: Arc::new(roots) }
    }

    /// The same edge, asked for another host.
    pub(crate) fn with_host(&self, host: &str) -> Self {
        Self { host: host.to_owned(), ..self.clone() }
    }

    /// The same, the certificate verified for another name: no client takes `*.localhost` for `default-1234.localhost`.
    pub(crate) fn verified_as(&self, name: &str) -> Self {
        Self { verified_as: Some(name.to_owned()), ..self.clone() }
    }

    /// Where it listens.
    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Asks for a path, and expects a whole response.
    #[track_caller]
    pub(crate) fn get(&self, protocol: Protocol, path: &str) -> Response {
        self.ask(protocol, path).send()
    }

    /// Asks until the answer has a status: for what becomes live without anybody saying when.
    #[track_caller]
    pub(crate) fn until(&self, protocol: Protocol, path: &str, status: u16) -> Response {
        let what = format!("{status} for {path}");
        eventually(&what, || Some(self.get(protocol, path)).filter(|response| response.status == status))
    }

    /// Asks for many paths on one HTTP/2 connection, one after the other, and expects a whole response to each.
    #[track_caller]
    pub(crate) fn get_all<'p>(&self, paths: impl Iterator<Item = &'p str>) -> Vec<Response> {
        let request = |path| Request::get(format!("https://{}{path}", self.authority())).body(Bytes::new());
        let requests: Vec<_> = paths.map(|path| request(path).expect("a URI")).collect();
        let all = async {
            tokio::time::timeout(DEADLINE, site_tcp::http2_all(self, requests)).await.context("in time")?
        };
        block_on(all).unwrap_or_else(|error| panic!("{}: {error:#}", self.host))
    }

    /// Asks twice on one HTTP/3 connection, the second time from another port, as a phone does that changes networks.
    #[track_caller]
    pub(crate) fn get_from_two_ports(&self, path: &str) -> [Response; 2] {
        let request = Request::get(self.url(path)).body(Bytes::new()).expect("a URI");
        let responses = async {
            tokio::time::timeout(DEADLINE, site_h3::http3_from_two_ports(self, request))
                .await
                .context("in time")?
        };
        block_on(responses).unwrap_or_else(|error| panic!("{path}: {error:#}"))
    }

    /// Reads so many bytes over HTTP/1.1 or HTTP/2, and then holds the connection without reading on, until the value is dropped.
    #[track_caller]
    pub(crate) fn stall(&self, protocol: Protocol, path: &str, count: usize) -> impl Sized + use<> {
        let uri = format!("https://{}{path}", self.authority());
        let request = Request::get(uri).body(Bytes::new()).expect("a URI");
        let read = async {
            tokio::time::timeout(DEADLINE, site_tcp::stall_after(self, protocol, request, count))
                .await
                .context("in time")?
        };
        block_on(read).unwrap_or_else(|error| panic!("{path}: {error:#}"))
    }

    /// Begins a request.
    pub(crate) fn ask(&self, protocol: Protocol, path: &str) -> Ask<'_> {
        Ask {
            site: self,
            protocol,
            request: Request::builder(),
            path: path.to_owned(),
            content: Bytes::new(),
        }
    }

    /// The URL of a path, as requests name it.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("https://{}{path}", self.authority())
    }

    /// The host, with a port where that is not the default one.
    pub(super) fn authority(&self) -> String {
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        format!("{host}:{}", self.address.port())
    }

    /// The name in the TLS handshake.
    pub(super) fn server_name(&self) -> &str {
        self.verified_as.as_ref().unwrap_or(&self.host)
    }

    pub(super) fn tls(&self, protocol: Protocol) -> ClientConfig {
        let mut config =
            ClientConfig::builder().with_root_certificates(Arc::clone(&self.roots)).with_no_client_auth();
        config.alpn_protocols = vec![protocol.alpn().to_vec()];
        config
    }
}

impl Ask<'_> {
    pub(crate) fn method(mut self, method: &str) -> Self {
        self.request = self.request.method(method);
        self
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.request = self.request.header(name, value);
        self
    }

    /// Content of the request.
    pub(crate) fn content(mut self, content: Bytes) -> Self {
        self.content = content;
        self
    }

    /// A whole response, or the test fails.
    #[track_caller]
    pub(crate) fn send(self) -> Response {
        let what = format!("{} {}{}", self.protocol, self.site.host, self.path);
        self.attempt().unwrap_or_else(|error| panic!("{what}: {error:#}"))
    }

    /// Reads so many bytes of the content, over HTTP/1.1 or HTTP/2, and goes away; how many came.
    pub(crate) fn go_away_after(self, count: usize) -> anyhow::Result<usize> {
        let uri: Uri = format!("https://{}{}", self.site.authority(), self.path).parse()?;
        let request = self.request.uri(uri).body(self.content)?;
        block_on(async {
            let read = site_tcp::go_away_after(self.site, self.protocol, request, count);
            tokio::time::timeout(DEADLINE, read).await.context("in time")?
        })
    }

    /// A whole response, or why there is none. A body that is cut short is an error.
    pub(crate) fn attempt(self) -> anyhow::Result<Response> {
        let uri: Uri = self.site.url(&self.path).parse()?;
        let request = self.request.uri(uri).body(self.content)?;
        block_on(async {
            let response = async {
                match self.protocol {
                    Protocol::Http1 => site_tcp::http1(self.site, request).await,
                    Protocol::Http2 => site_tcp::http2(self.site, request).await,
                    Protocol::Http3 => site_h3::http3(self.site, request).await,
                }
            };
            tokio::time::timeout(DEADLINE, response).await.context("no whole response in time")?
        })
    }
}

impl Response {
    /// A header that has one line of visible ASCII; empty where there is none.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().expect("visible ASCII"))
    }

    /// The content as text.
    #[track_caller]
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("UTF-8")
    }
}
