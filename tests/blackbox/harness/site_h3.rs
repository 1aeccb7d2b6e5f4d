//! HTTP/3: quinn with h3. A connection for each request.

use super::site::{Protocol, Response, Site};
use anyhow::Context;
use bytes::{Buf, BufMut, Bytes, BytesMut};
use http::Request;
use quinn::crypto::rustls::QuicClientConfig;
use quinn::{ClientConfig, Endpoint};
use std::future::poll_fn;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use tokio::task::JoinHandle;

pub(super) async fn http3(site: &Site, request: Request<Bytes>) -> anyhow::Result<Response> {
    let mut connection = Connection::open(site).await?;
    let response = connection.exchange(request).await;
    connection.close();
    response
}

/// One connection, two requests, and another port of the client's between them.
pub(super) async fn http3_from_two_ports(
    site: &Site,
    request: Request<Bytes>,
) -> anyhow::Result<[Response; 2]> {
    let mut connection = Connection::open(site).await?;
    let first = connection.exchange(request.clone()).await?;
    connection.endpoint.rebind(std::net::UdpSocket::bind(any_port(site))?)?;
    let second = connection.exchange(request).await?;
    connection.close();
    Ok([first, second])
}

struct Connection {
    endpoint: Endpoint,
    sender: Sender,
    driver: JoinHandle<h3::error::ConnectionError>,
}

impl Connection {
    async fn open(site: &Site) -> anyhow::Result<Self> {
        let tls = QuicClientConfig::try_from(site.tls(Protocol::Http3))?;
        let endpoint = Endpoint::client(any_port(site))?;
        let config = ClientConfig::new(Arc::new(tls));
        let connection = endpoint.connect_with(config, site.address(), site.server_name())?.await?;
        let (mut driver, sender) = h3::client::new(h3_quinn::Connection::new(connection)).await?;
        let driver = tokio::spawn(async move { poll_fn(|context| driver.poll_close(context)).await });
        Ok(Self { endpoint, sender, driver })
    }

    async fn exchange(&mut self, request: Request<Bytes>) -> anyhow::Result<Response> {
        exchange(&mut self.sender, request).await
    }

    fn close(self) {
        self.driver.abort();
        self.endpoint.close(0_u32.into(), b"");
    }
}

/// A port of loopback, of the family that the site has.
pub(super) fn any_port(site: &Site) -> SocketAddr {
    match site.address().is_ipv4() {
        true => (Ipv4Addr::LOCALHOST, 0).into(),
        false => (Ipv6Addr::LOCALHOST, 0).into(),
    }
}

type Sender = h3::client::SendRequest<h3_quinn::OpenStreams, Bytes>;

async fn exchange(sender: &mut Sender, request: Request<Bytes>) -> anyhow::Result<Response> {
    let (parts, content) = request.into_parts();
    let mut stream = sender.send_request(Request::from_parts(parts, ())).await?;
    if !content.is_empty() {
        stream.send_data(content).await?;
    }
    stream.finish().await?;
    let (parts, ()) = stream.recv_response().await?.into_parts();
    let mut body = BytesMut::new();
    while let Some(data) = stream.recv_data().await.context("the body is cut short")? {
        let length = data.remaining();
        body.put(data.take(length));
    }
    Ok(Response { status: parts.status, headers: parts.headers, body: body.freeze() })
}
