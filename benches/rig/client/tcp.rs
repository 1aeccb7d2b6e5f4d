//! HTTP/1.1 and HTTP/2 with hyper over rustls.

use super::{CONNECTION_WINDOW, Head, STREAM_WINDOW, Target};
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

pub(crate) type Http1 = http1::SendRequest<Empty<Bytes>>;
pub(crate) type Http2 = http2::SendRequest<Empty<Bytes>>;

pub(super) async fn open_http1(target: &Target, tls: Arc<ClientConfig>) -> anyhow::Result<Http1> {
    let (sender, connection) = http1::handshake(TokioIo::new(connect(target, tls).await?)).await?;
    // How a connection ends, its requests are told.
    tokio::spawn(connection);
    Ok(sender)
}

pub(super) async fn open_http2(target: &Target, tls: Arc<ClientConfig>) -> anyhow::Result<Http2> {
    let (sender, connection) = http2::Builder::new(TokioExecutor::new())
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .handshake(TokioIo::new(connect(target, tls).await?))
        .await?;
    tokio::spawn(connection);
    Ok(sender)
}

pub(super) async fn fetch_http1(
    sender: &mut Http1,
    request: Request<()>,
    on_data: &mut impl FnMut(&[u8]),
) -> anyhow::Result<Head> {
    sender.ready().await?;
    read(sender.send_request(request.map(|()| Empty::new())).await?, on_data).await
}

pub(super) async fn fetch_http2(
    sender: &mut Http2,
    request: Request<()>,
    on_data: &mut impl FnMut(&[u8]),
) -> anyhow::Result<Head> {
    sender.ready().await?;
    read(sender.send_request(request.map(|()| Empty::new())).await?, on_data).await
}

async fn connect(target: &Target, tls: Arc<ClientConfig>) -> anyhow::Result<TlsStream<TcpStream>> {
    let stream = TcpStream::connect(target.address).await?;
    stream.set_nodelay(true)?;
    let name = ServerName::try_from(target.host.clone())?;
    Ok(TlsConnector::from(tls).connect(name, stream).await?)
}

async fn read(response: Response<Incoming>, on_data: &mut impl FnMut(&[u8])) -> anyhow::Result<Head> {
    let (parts, mut body) = response.into_parts();
    while let Some(frame) = body.frame().await {
        if let Some(data) = frame?.data_ref() {
            on_data(data);
        }
    }
    Ok(Head { status: parts.status, headers: parts.headers })
}
