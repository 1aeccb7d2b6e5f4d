//! From a UDP socket to QUIC connections.
//!
//! Each worker has an endpoint for each address. What one endpoint gives out another must be able to read: they share the keys of
//! stateless resets and of address tokens, and their connection ids lead packets back to them ([`super::steer`]).

use super::quota::Slot;
use super::steer::WorkerIds;
use super::worker::WorkerIndex;
use super::{Respond, Shared, h3};
use crate::config::ListenLimits;
use crate::metrics::HandshakeOutcome;
use quinn::crypto::rustls::QuicServerConfig;
use quinn::{
    ConnectionIdGenerator, Endpoint, EndpointConfig, IdleTimeout, Incoming, MtuDiscoveryConfig, ServerConfig,
    TokioRuntime, TransportConfig, VarInt,
};
use std::io;
use std::net::UdpSocket;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::task::TaskTracker;

/// Version 1 (RFC 9000); drafts are over.
const QUIC_VERSIONS: [u32; 1] = [1];

/// A connection from which nothing comes, not even an acknowledgement, is gone after this time.
const SILENCE_TIME_MAX: Duration = Duration::from_secs(30);

/// A client needs three: control, and QPACK's two (RFC 9114 §6.2); some open one or two more to keep us on our toes.
const UNI_STREAM_COUNT_MAX: u32 = 8;

/// What a client may send on one stream before we have read it: requests have no body worth having.
const STREAM_RECEIVE_WINDOW: u32 = 64 << 10;

/// The same for a whole connection.
const RECEIVE_WINDOW: u32 = 256 << 10;

/// What a connection may have sent that is not acknowledged. Smaller costs CPU (1 MiB is 15 % cheaper than quinn's default), and
/// bounds a download at this much for each round trip.
const SEND_WINDOW: u64 = 2 << 20;

/// Connection attempts of which we have not decided whether to accept them: they wait for one turn of the loop.
const INCOMING_COUNT_MAX: usize = 1024;

/// What such an attempt may have sent besides its first packet, and all of them together.
const INCOMING_BUFFER_SIZE: u64 = 16 << 10;
const INCOMING_BUFFER_SIZE_TOTAL: u64 = 4 << 20;

/// How long a closed endpoint goes on telling its clients so.
const GOODBYE_TIME_MAX: Duration = Duration::from_millis(500);

/// What the endpoints of all workers share.
#[derive(Debug)]
pub(super) struct QuicConfig {
    endpoint: EndpointConfig,
    server: ServerConfig,
}

impl QuicConfig {
    pub(super) fn new(tls: Arc<rustls::ServerConfig>, limits: &ListenLimits) -> Result<Self, rustls::Error> {
        let crypto =
            QuicServerConfig::try_from(tls).map_err(|error| rustls::Error::General(error.to_string()))?;
        // Both make a random key, which their clones share.
        let mut server = ServerConfig::with_crypto(Arc::new(crypto));
        let mut endpoint = EndpointConfig::default();
        endpoint.supported_versions(QUIC_VERSIONS.to_vec());
        server
            .transport_config(Arc::new(transport(limits)))
            .max_incoming(INCOMING_COUNT_MAX)
            .incoming_buffer_size(INCOMING_BUFFER_SIZE)
            .incoming_buffer_size_total(INCOMING_BUFFER_SIZE_TOTAL);
        Ok(Self { endpoint, server })
    }

    /// The endpoint of a worker. Must be called on its runtime.
    pub(super) fn endpoint(&self, socket: UdpSocket, worker: WorkerIndex) -> io::Result<Endpoint> {
        let index = u8::try_from(worker.index).map_err(io::Error::other)?;
        let count = u16::try_from(worker.count).map_err(io::Error::other)?;
        let ids = WorkerIds::new(index, count);
        let mut endpoint = self.endpoint.clone();
        endpoint.cid_generator(move || Box::new(ids) as Box<dyn ConnectionIdGenerator>);
        Endpoint::new(endpoint, Some(self.server.clone()), socket, Arc::new(TokioRuntime))
    }
}

/// The packet size begins at 1200, and is raised to 1452 at most, where the path lets it: quinn's defaults, which measure best.
fn transport(limits: &ListenLimits) -> TransportConfig {
    let mut transport = TransportConfig::default();
    transport
        .max_concurrent_bidi_streams(VarInt::from_u32(limits.stream_count_max))
        .max_concurrent_uni_streams(VarInt::from_u32(UNI_STREAM_COUNT_MAX))
        .max_idle_timeout(IdleTimeout::try_from(SILENCE_TIME_MAX).ok())
        .stream_receive_window(VarInt::from_u32(STREAM_RECEIVE_WINDOW))
        .receive_window(VarInt::from_u32(RECEIVE_WINDOW))
        .send_window(SEND_WINDOW)
        .datagram_receive_buffer_size(None)
        .mtu_discovery_config(Some(MtuDiscoveryConfig::default()))
        .enable_segmentation_offload(true);
    transport
}

/// Accepts until the stop; every connection is a task of its own.
pub(super) async fn accept<R: Respond>(endpoint: Endpoint, shared: Arc<Shared<R>>, tasks: TaskTracker) {
    let mut stopping = std::pin::pin!(shared.stop.cancelled());
    loop {
        let incoming = tokio::select! {
            biased;
            () = &mut stopping => None,
            incoming = endpoint.accept() => incoming,
        };
        let Some(incoming) = incoming else { return };
        // Proof of the address costs a client a round trip, and a liar with a borrowed address everything (RFC 9000 §8.1.2).
        let client = incoming.remote_address().ip();
        if shared.quotas.are_scarce(client) && !incoming.remote_address_validated() {
            if let Err(error) = incoming.retry() {
                error.into_incoming().ignore();
            }
            continue;
        }
        match shared.quotas.take(client) {
            Some(slot) => {
                tasks.spawn(serve(incoming, slot, Arc::clone(&shared)));
            }
            None => incoming.refuse(),
        }
    }
}

/// Refuses every new connection until dropped: a client that were ignored would wait for its own timeout.
pub(super) async fn refuse_until_dropped(endpoints: &[Endpoint]) {
    let refuse_all = endpoints.iter().map(|endpoint| async {
        while let Some(incoming) = endpoint.accept().await {
            incoming.refuse();
        }
    });
    futures_util::future::join_all(refuse_all).await;
    std::future::pending().await
}

async fn serve<R: Respond>(incoming: Incoming, slot: Arc<Slot>, shared: Arc<Shared<R>>) {
    if let Some(connection) = handshake(incoming, &shared).await {
        h3::serve(connection, slot, &shared).await;
    }
}

async fn handshake<R: Respond>(incoming: Incoming, shared: &Shared<R>) -> Option<quinn::Connection> {
    let connected = tokio::select! {
        biased;
        connected = tokio::time::timeout(shared.limits.handshake_time_max, incoming.into_future()) => connected,
        // Nothing was asked for yet, so nothing is lost.
        () = shared.stop.cancelled() => return None,
    };
    let (outcome, connection) = match connected {
        Ok(Ok(connection)) => (HandshakeOutcome::Quic, Some(connection)),
        Ok(Err(error)) => {
            tracing::debug!(%error, "QUIC handshake failed");
            (HandshakeOutcome::Failed, None)
        }
        Err(_) => (HandshakeOutcome::TimedOut, None),
    };
    shared.metrics.handshake(outcome);
    connection
}

/// Ends endpoints whose connections have had their time.
pub(super) async fn close(endpoints: &[Endpoint]) {
    for endpoint in endpoints {
        endpoint.close(h3::no_error(), b"");
    }
    for endpoint in endpoints {
        if tokio::time::timeout(GOODBYE_TIME_MAX, endpoint.wait_idle()).await.is_err() {
            tracing::debug!("QUIC clients may not have heard that this edge has stopped");
        }
    }
}
