//! HTTP/1.1 and HTTP/2, over TLS and TCP.

use super::{CONNECT_TIME_MAX, Protocol, SILENCE_MAX, Target, Trust, Unreachable, request};
use anyhow::{Context, bail};
use bytes::Bytes;
use http::Version;
use http::response::Parts;
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

const H1: &[u8] = b"http/1.1";
const H2: &[u8] = b"h2";

/// One download fills a line of 1 Gbit/s at 30 ms with this.
const WINDOW_SIZE: u32 = 4 << 20;

/// A body on its way.
pub(super) struct Body(Incoming);

impl Body {
    /// The next bytes; trailers are passed over.
    pub(super) async fn chunk(&mut self) -> anyhow::Result<Option<Bytes>> {
        while let Some(frame) = self.0.frame().await {
            if let Ok(bytes) = frame?.into_data() {
                return Ok(Some(bytes));
            }
        }
        Ok(None)
    }
}

/// Asks one address.
pub(super) async fn get(
    target: &Target,
    address: SocketAddr,
    protocol: Protocol,
    trust: &Trust,
) -> anyhow::Result<(Parts, Body)> {
    let offered: &[&[u8]] = match protocol {
        Protocol::Http1 => &[H1],
        Protocol::Http2 => &[H2],
        Protocol::Any | Protocol::Http3 => &[H2, H1],
    };
    let stream = tokio::time::timeout(CONNECT_TIME_MAX, connect(target, address, trust, offered))
        .await
        .context(Unreachable)??;
    let is_h2 = stream.get_ref().1.alpn_protocol() == Some(H2);
    if protocol == Protocol::Http2 && !is_h2 {
        bail!("the server does not speak HTTP/2");
    }
    let response =
        async { if is_h2 { over_h2(target, stream).await } else { over_h1(target, stream).await } };
    tokio::time::timeout(SILENCE_MAX, response).await.context("no answer in time")?
}

async fn connect(
    target: &Target,
    address: SocketAddr,
    trust: &Trust,
    offered: &[&[u8]],
) -> anyhow::Result<TlsStream<TcpStream>> {
    let stream = TcpStream::connect(address).await.context(Unreachable)?;
    stream.set_nodelay(true)?;
    let connector = TlsConnector::from(Arc::new(trust.config(offered)));
    connector.connect(target.server_name()?, stream).await.context("TLS handshake")
}

async fn over_h1(target: &Target, stream: TlsStream<TcpStream>) -> anyhow::Result<(Parts, Body)> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    // Ends with the body, or with the process.
    tokio::spawn(connection);
    let response = sender.send_request(request(target, Version::HTTP_11, Empty::<Bytes>::new())?).await?;
    let (parts, body) = response.into_parts();
    Ok((parts, Body(body)))
}

async fn over_h2(target: &Target, stream: TlsStream<TcpStream>) -> anyhow::Result<(Parts, Body)> {
    let (mut sender, connection) = http2::Builder::new(TokioExecutor::new())
        .initial_stream_window_size(WINDOW_SIZE)
        .initial_connection_window_size(WINDOW_SIZE)
        .handshake(TokioIo::new(stream))
        .await?;
    tokio::spawn(connection);
    let response = sender.send_request(request(target, Version::HTTP_2, Empty::<Bytes>::new())?).await?;
    let (parts, body) = response.into_parts();
    Ok((parts, Body(body)))
}
