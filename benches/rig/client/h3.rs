//! HTTP/3 with quinn and h3.
//!
//! Each connection has a socket of its own. A server that spreads packets over its workers by address would else see all of them at
//! one worker.

use super::{CONNECTION_WINDOW, Head, STREAM_WINDOW, Target};
use anyhow::Context;
use bytes::{Buf, Bytes};
use http::Request;
use quinn::crypto::rustls::QuicClientConfig;
use quinn::{ClientConfig, Endpoint, EndpointConfig, TokioRuntime, TransportConfig};
use socket2::{Domain, Socket, Type};
use std::future::poll_fn;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;

/// Receive buffer of a socket that is asked for; the kernel gives what `net.core.rmem_max` allows. Loopback has no pacing of its own.
const RECEIVE_BUFFER: usize = 4 << 20;

pub(crate) type Http3 = h3::client::SendRequest<h3_quinn::OpenStreams, Bytes>;

pub(super) async fn open(target: &Target, tls: Arc<rustls::ClientConfig>) -> anyhow::Result<Http3> {
    let crypto = QuicClientConfig::try_from(tls).context("QUIC needs AES-128-GCM")?;
    let mut transport = TransportConfig::default();
    transport.stream_receive_window(STREAM_WINDOW.into()).receive_window(CONNECTION_WINDOW.into());
    let mut config = ClientConfig::new(Arc::new(crypto));
    config.transport_config(Arc::new(transport));

    let endpoint = Endpoint::new(EndpointConfig::default(), None, socket()?, Arc::new(TokioRuntime))?;
    let connection = endpoint.connect_with(config, target.address, &target.host)?.await?;
    let (mut driver, sender) = h3::client::new(h3_quinn::Connection::new(connection)).await?;
    tokio::spawn(async move {
        // Its requests are told how the connection ended; the endpoint lives as long.
        poll_fn(|context| driver.poll_close(context)).await;
        endpoint.wait_idle().await;
    });
    Ok(sender)
}

pub(super) async fn fetch(
    sender: &mut Http3,
    request: Request<()>,
    on_data: &mut impl FnMut(&[u8]),
) -> anyhow::Result<Head> {
    let mut stream = sender.send_request(request).await?;
    stream.finish().await?;
    let (parts, ()) = stream.recv_response().await?.into_parts();
    while let Some(mut data) = stream.recv_data().await? {
        while data.has_remaining() {
            let chunk = data.chunk();
            let length = chunk.len();
            on_data(chunk);
            data.advance(length);
        }
    }
    Ok(Head { status: parts.status, headers: parts.headers })
}

fn socket() -> anyhow::Result<UdpSocket> {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, None)?;
    socket.set_recv_buffer_size(RECEIVE_BUFFER)?;
    socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into())?;
    Ok(socket.into())
}
