//! One connection to a server, whatever the protocol: requests in, counted bytes out.
//!
//! Bodies are looked at where they were received and never copied or gathered. Every status other than 200 and every length
//! other than the announced one is an error.

mod h3;
mod tcp;

use crate::selection::Protocol;
use anyhow::Context;
use http::{HeaderMap, Request, StatusCode, Version};
use rustls::ClientConfig;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// Flow-control window of a stream and of a connection, HTTP/2 and HTTP/3: those of Chromium.
const STREAM_WINDOW: u32 = 6 << 20;
const CONNECTION_WINDOW: u32 = 15 << 20;

/// Time for a connection to be made.
const CONNECT_TIME_MAX: Duration = Duration::from_secs(10);

/// A server that can be asked.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    /// Where it listens, TCP and UDP.
    pub(crate) address: SocketAddr,
    /// Host name for SNI and in requests.
    pub(crate) host: String,
    /// TLS, without ALPN.
    pub(crate) tls: ClientConfig,
}

impl Target {
    /// What a GET of `path` asks.
    pub(crate) fn request(&self, protocol: Protocol, path: &str) -> anyhow::Result<Request<()>> {
        let authority = format!("{}:{}", self.host, self.address.port());
        let request = Request::get(match protocol {
            Protocol::H1 => path.to_owned(),
            Protocol::H2 | Protocol::H3 => format!("https://{authority}{path}"),
        });
        let request = match protocol {
            Protocol::H1 => request.header(http::header::HOST, authority),
            Protocol::H2 => request.version(Version::HTTP_2),
            Protocol::H3 => request.version(Version::HTTP_3),
        };
        Ok(request
            .header(http::header::USER_AGENT, "skerry-rig")
            .header(http::header::ACCEPT, "*/*")
            .body(())?)
    }
}

/// A connection, or another handle to the same one where the protocol carries several requests at once.
pub(crate) enum Connection {
    Http1(tcp::Http1),
    Http2(tcp::Http2),
    Http3(h3::Http3),
}

/// Head of a response.
#[derive(Debug)]
pub(crate) struct Head {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
}

impl Head {
    /// Whether it came from a tier of the edge's cache (RFC 9211).
    pub(crate) fn says_hit_in(&self, tier: &str) -> bool {
        self.cache_status() == format!("skerry; hit; detail={tier}").as_bytes()
    }

    /// Whether the edge had to fetch it.
    pub(crate) fn says_miss(&self) -> bool {
        self.cache_status().starts_with(b"skerry; fwd=miss")
    }

    fn cache_status(&self) -> &[u8] {
        self.headers.get("cache-status").map_or(&[], |value| value.as_bytes())
    }
}

impl Connection {
    /// Connects; what drives the connection runs as a task of the current runtime.
    pub(crate) async fn open(target: &Target, protocol: Protocol) -> anyhow::Result<Self> {
        let tls = Arc::new(crate::tls::for_protocol(&target.tls, protocol));
        let opened = async {
            Ok(match protocol {
                Protocol::H1 => Self::Http1(tcp::open_http1(target, tls).await?),
                Protocol::H2 => Self::Http2(tcp::open_http2(target, tls).await?),
                Protocol::H3 => Self::Http3(h3::open(target, tls).await?),
            })
        };
        tokio::time::timeout(CONNECT_TIME_MAX, opened)
            .await
            .context("no connection in time")?
            .map_err(|error: anyhow::Error| error.context(format!("cannot connect to {}", target.address)))
    }

    /// Another handle to the same connection; none over HTTP/1.1, which carries one request at a time.
    pub(crate) fn another(&self) -> Option<Self> {
        match self {
            Self::Http1(_) => None,
            Self::Http2(sender) => Some(Self::Http2(sender.clone())),
            Self::Http3(sender) => Some(Self::Http3(sender.clone())),
        }
    }

    /// Makes a request and shows each piece of its body to `on_data`.
    pub(crate) async fn fetch(
        &mut self,
        request: Request<()>,
        on_data: &mut impl FnMut(&[u8]),
    ) -> anyhow::Result<Head> {
        match self {
            Self::Http1(sender) => tcp::fetch_http1(sender, request, on_data).await,
            Self::Http2(sender) => tcp::fetch_http2(sender, request, on_data).await,
            Self::Http3(sender) => h3::fetch(sender, request, on_data).await,
        }
    }

    /// Makes a request for something that has `size` bytes; whatever else comes is an error.
    pub(crate) async fn fetch_exactly(
        &mut self,
        request: Request<()>,
        size: u64,
        on_data: &mut impl FnMut(&[u8]),
    ) -> anyhow::Result<Head> {
        let mut received = 0;
        let head = self
            .fetch(request, &mut |data| {
                received += data.len() as u64;
                on_data(data);
            })
            .await?;
        anyhow::ensure!(head.status == StatusCode::OK, "status {} instead of 200", head.status);
        anyhow::ensure!(received == size, "{received} bytes instead of {size}");
        Ok(head)
    }
}
