//! Plain HTTP/1.1 to the API's listener, with whatever header fields a test wants.

use super::block_on;
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1;
use hyper::{HeaderMap, Request, header};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use std::net::SocketAddr;
use tokio::net::TcpStream;

/// The listener.
#[derive(Debug, Clone)]
pub(crate) struct Wire {
    address: SocketAddr,
}

/// An answer.
#[derive(Debug)]
pub(crate) struct WireAnswer {
    pub(crate) status: u16,
    headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Wire {
    /// From `http://address:port`.
    pub(crate) fn new(url: &str) -> Self {
        let address = url.strip_prefix("http://").and_then(|address| address.parse().ok());
        Self { address: address.unwrap_or_else(|| panic!("{url:?} is no http://ADDRESS:PORT")) }
    }

    /// The origin, as browsers name it (RFC 6454 §6.1).
    pub(crate) fn origin(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) const fn port(&self) -> u16 {
        self.address.port()
    }

    /// Sends a request on a connection of its own.
    #[track_caller]
    pub(crate) fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> WireAnswer {
        let exchange = async {
            let stream = TcpStream::connect(self.address).await?;
            let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
            tokio::spawn(connection);
            let mut request =
                Request::builder().method(method).uri(path).header(header::HOST, self.address.to_string());
            for (name, value) in headers {
                request = request.header(*name, *value);
            }
            let request = request.body(Full::new(Bytes::copy_from_slice(body)))?;
            let (parts, body) = sender.send_request(request).await?.into_parts();
            let (status, headers) = (parts.status.as_u16(), parts.headers);
            anyhow::Ok(WireAnswer { status, headers, body: body.collect().await?.to_bytes() })
        };
        block_on(exchange).unwrap_or_else(|error| panic!("{method} {path}: {error}"))
    }
}

impl WireAnswer {
    /// A header field; empty where there is none.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// The body as text.
    #[track_caller]
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("UTF-8")
    }

    /// The body as JSON.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error} in {self:?}"))
    }
}
