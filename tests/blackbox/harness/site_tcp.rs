//! HTTP/1.1 and HTTP/2: hyper over rustls. A connection for each request.

use super::site::{Protocol, Response, Site};
use anyhow::Context;
use bytes::Bytes;
use http::{Request, header};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::ServerName;
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// Windows that do not slow down a download on loopback.
const WINDOW: u32 = 4 << 20;

pub(super) async fn http1(site: &Site, request: Request<Bytes>) -> anyhow::Result<Response> {
    read(ask_http1(site, request).await?).await
}

pub(super) async fn http2(site: &Site, request: Request<Bytes>) -> anyhow::Result<Response> {
    read(ask_http2(site, request).await?).await
}

/// Reads so many bytes of the content, and drops the connection; how many came.
pub(super) async fn go_away_after(
    site: &Site,
    protocol: Protocol,
    request: Request<Bytes>,
    count: usize,
) -> anyhow::Result<usize> {
    Ok(stall_after(site, protocol, request, count).await?.1)
}

/// Reads so many bytes of the content; what was not read, and how many came.
pub(super) async fn stall_after(
    site: &Site,
    protocol: Protocol,
    request: Request<Bytes>,
    count: usize,
) -> anyhow::Result<(Incoming, usize)> {
    let response = match protocol {
        Protocol::Http1 => ask_http1(site, request).await?,
        Protocol::Http2 | Protocol::Http3 => ask_http2(site, request).await?,
    };
    let (mut body, mut came) = (response.into_body(), 0);
    while came < count
        && let Some(frame) = body.frame().await
    {
        came += frame?.data_ref().map_or(0, Bytes::len);
    }
    Ok((body, came))
}

async fn ask_http1(site: &Site, request: Request<Bytes>) -> anyhow::Result<http::Response<Incoming>> {
    let stream = connect(site, Protocol::Http1).await?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    // How a connection ends, its request is told.
    tokio::spawn(connection);
    let (mut parts, content) = request.into_parts();
    let authority = parts.uri.authority().context("an absolute URI")?.to_string();
    parts.headers.entry(header::HOST).or_insert(authority.parse()?);
    // RFC 9112 §3.2.1: origin-form.
    parts.uri = parts.uri.path_and_query().context("a path")?.as_str().parse()?;
    Ok(sender.send_request(Request::from_parts(parts, Full::new(content))).await?)
}

async fn ask_http2(site: &Site, request: Request<Bytes>) -> anyhow::Result<http::Response<Incoming>> {
    Ok(connect_http2(site).await?.send_request(request.map(Full::new)).await?)
}

/// Asks one after the other on one connection.
pub(super) async fn http2_all(site: &Site, requests: Vec<Request<Bytes>>) -> anyhow::Result<Vec<Response>> {
    let mut sender = connect_http2(site).await?;
    let mut responses = Vec::with_capacity(requests.len());
    for request in requests {
        sender.ready().await?;
        responses.push(read(sender.send_request(request.map(Full::new)).await?).await?);
    }
    Ok(responses)
}

async fn connect_http2(site: &Site) -> anyhow::Result<http2::SendRequest<Full<Bytes>>> {
    let stream = connect(site, Protocol::Http2).await?;
    let (sender, connection) = http2::Builder::new(TokioExecutor::new())
        .initial_stream_window_size(WINDOW)
        .initial_connection_window_size(WINDOW)
        .handshake(TokioIo::new(stream))
        .await?;
    tokio::spawn(connection);
    Ok(sender)
}

pub(super) async fn connect(site: &Site, protocol: Protocol) -> anyhow::Result<TlsStream<TcpStream>> {
    let stream = TcpStream::connect(site.address()).await?;
    stream.set_nodelay(true)?;
    let name = ServerName::try_from(site.server_name().to_owned())?;
    Ok(TlsConnector::from(Arc::new(site.tls(protocol))).connect(name, stream).await?)
}

async fn read(response: http::Response<Incoming>) -> anyhow::Result<Response> {
    let (parts, body) = response.into_parts();
    let body = body.collect().await.context("the body is cut short")?.to_bytes();
    Ok(Response { status: parts.status, headers: parts.headers, body })
}
