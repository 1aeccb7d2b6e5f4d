//! QUIC connections to a site, and the frames of HTTP/3 by hand.

use super::DEADLINE;
use super::site::{Protocol, Site};
use super::site_h3::any_port;
use quinn::crypto::rustls::QuicClientConfig;
use quinn::{ClientConfig, Connection, ConnectionError, Endpoint, TransportConfig};
use std::sync::Arc;
use tokio::time::timeout;

/// A connection on which nothing was said yet.
pub(crate) struct RawQuic {
    pub(crate) connection: Connection,
    /// Drives it.
    _endpoint: Endpoint,
}

impl Site {
    /// Connects over QUIC.
    pub(crate) async fn quic(&self, transport: TransportConfig) -> RawQuic {
        let tls = QuicClientConfig::try_from(self.tls(Protocol::Http3)).expect("TLS 1.3");
        let mut config = ClientConfig::new(Arc::new(tls));
        config.transport_config(Arc::new(transport));
        let endpoint = Endpoint::client(any_port(self)).expect("a port");
        let connecting = endpoint.connect_with(config, self.address(), self.server_name()).expect("a name");
        let connection = timeout(DEADLINE, connecting).await.expect("in time").expect("connects");
        RawQuic { connection, _endpoint: endpoint }
    }
}

impl RawQuic {
    /// The code with which the server ends the connection (RFC 9114 §8.1); `None` where it says none.
    pub(crate) async fn code_of_the_end(&self) -> Option<u64> {
        match timeout(DEADLINE, self.connection.closed()).await.expect("an end in time") {
            ConnectionError::ApplicationClosed(close) => Some(close.error_code.into_inner()),
            _ => None,
        }
    }
}

/// A control stream with empty SETTINGS (RFC 9114 §6.2.1).
pub(crate) const H3_SETTINGS: &[u8] = &[0, 4, 0];

/// A HEADERS frame with `GET path`: the static table and literals alone (RFC 9204 §4.5).
pub(crate) fn h3_get(path: &str, host: &str) -> Vec<u8> {
    let literal = |index: u8, value: &str| {
        let size = u8::try_from(value.len()).ok().filter(|size| *size < 127).expect("a short value");
        [&[0x50 | index, size], value.as_bytes()].concat()
    };
    let block = [&[0, 0, 0xd1, 0xd7][..], &literal(1, path), &literal(0, host)].concat();
    let size = u8::try_from(block.len()).ok().filter(|size| *size < 64).expect("a short block");
    [&[1, size], &block[..]].concat()
}
