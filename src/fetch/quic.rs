//! HTTP/3, over QUIC.

use super::{CONNECT_TIME_MAX, SILENCE_MAX, Target, Trust, Unreachable, request};
use anyhow::Context;
use bytes::{Buf, Bytes};
use http::Version;
use http::response::Parts;
use quinn::crypto::rustls::QuicClientConfig;
use quinn::{ClientConfig, Endpoint, TransportConfig, VarInt};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use tokio::task::JoinHandle;

type Sender = h3::client::SendRequest<h3_quinn::OpenStreams, Bytes>;
type Stream = h3::client::RequestStream<h3_quinn::BidiStream<Bytes>, Bytes>;

/// One download fills a line of 1 Gbit/s at 30 ms with this.
const WINDOW_SIZE: u32 = 4 << 20;

/// A body on its way, with all that keeps its connection up.
pub(super) struct Body {
    stream: Stream,
    // Dropping the last sender closes the connection.
    _sender: Sender,
    driver: JoinHandle<()>,
    endpoint: Endpoint,
}

impl Body {
    /// The next bytes.
    pub(super) async fn chunk(&mut self) -> anyhow::Result<Option<Bytes>> {
        let chunk = self.stream.recv_data().await?;
        Ok(chunk.map(|mut chunk| chunk.copy_to_bytes(chunk.remaining())))
    }
}

impl Drop for Body {
    fn drop(&mut self) {
        // H3_NO_ERROR (RFC 9114 §8.1)
        self.endpoint.close(VarInt::from_u32(0x100), b"");
        self.driver.abort();
    }
}

/// Asks one address.
pub(super) async fn get(
    target: &Target,
    address: SocketAddr,
    trust: &Trust,
) -> anyhow::Result<(Parts, Body)> {
    let from = match address.ip() {
        IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    };
    let endpoint = Endpoint::client(SocketAddr::new(from, 0))?;
    let tls = QuicClientConfig::try_from(trust.config(&[b"h3"]))?;
    let mut config = ClientConfig::new(Arc::new(tls));
    let mut transport = TransportConfig::default();
    transport.stream_receive_window(VarInt::from_u32(WINDOW_SIZE));
    config.transport_config(Arc::new(transport));
    let connecting = endpoint.connect_with(config, address, target.host())?;
    let connection = tokio::time::timeout(CONNECT_TIME_MAX, connecting)
        .await
        .context("no answer over UDP in time; is UDP let through?")
        .context(Unreachable)?
        .context("QUIC handshake")?;
    let (mut driver, mut sender) = h3::client::new(h3_quinn::Connection::new(connection)).await?;
    let driver = tokio::spawn(async move {
        // It ends with the connection; how, is seen at the stream.
        let _ = driver.wait_idle().await;
    });
    let answer = async {
        let mut stream = sender.send_request(request(target, Version::HTTP_3, ())?).await?;
        stream.finish().await?;
        let response = stream.recv_response().await?;
        anyhow::Ok((response, stream))
    };
    let (response, stream) =
        tokio::time::timeout(SILENCE_MAX, answer).await.context("no answer in time")??;
    let (mut parts, ()) = response.into_parts();
    parts.version = Version::HTTP_3;
    Ok((parts, Body { stream, _sender: sender, driver, endpoint }))
}
