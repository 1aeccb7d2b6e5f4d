//! HTTP/3: quinn with h3. A connection for each request.

use super::site::{Protocol, Response, Site};
use anyhow::Context;
use bytes::{Buf, BufMut, BytesMut};
use http::Request;
use quinn::crypto::rustls::QuicClientConfig;
use quinn::{ClientConfig, Endpoint};
use std::future::poll_fn;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

pub(super) async fn http3(site: &Site, request: Request<()>) -> anyhow::Result<Response> {
    let tls = QuicClientConfig::try_from(site.tls(Protocol::Http3))?;
    let local = match site.address().is_ipv4() {
        true => (Ipv4Addr::LOCALHOST, 0).into(),
        false => (Ipv6Addr::LOCALHOST, 0).into(),
    };
    let endpoint = Endpoint::client(local)?;
    let config = ClientConfig::new(Arc::new(tls));
    let connection = endpoint.connect_with(config, site.address(), site.host())?.await?;
    let (mut driver, mut sender) = h3::client::new(h3_quinn::Connection::new(connection)).await?;
    let driver = tokio::spawn(async move { poll_fn(|context| driver.poll_close(context)).await });
    let response = exchange(&mut sender, request).await;
    drop(sender);
    driver.abort();
    endpoint.close(0_u32.into(), b"");
    response
}

type Sender = h3::client::SendRequest<h3_quinn::OpenStreams, bytes::Bytes>;

async fn exchange(sender: &mut Sender, request: Request<()>) -> anyhow::Result<Response> {
    let mut stream = sender.send_request(request).await?;
    stream.finish().await?;
    let (parts, ()) = stream.recv_response().await?.into_parts();
    let mut body = BytesMut::new();
    while let Some(data) = stream.recv_data().await.context("the body is cut short")? {
        let length = data.remaining();
        body.put(data.take(length));
    }
    Ok(Response { status: parts.status, headers: parts.headers, body: body.freeze() })
}
