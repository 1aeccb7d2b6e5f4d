//! What this edge gives to other edges: the same fill service that it uses itself, as a shield or as a neighbour.
//!
//! Whoever calls shows a certificate of role edge, and was not expelled. It is given what a manifest or a history names that this
//! edge holds, from memory or disk, or as it comes from further upstream; so a shield follows the same origin and needs no trust: what
//! it gives is verified by who asked.
//!
//! At a stop no connection is accepted any more, those that are open are told to go elsewhere (GOAWAY), and what is under way is
//! finished within the time that the edge has for that.

mod incoming;
mod quota;
mod service;

use crate::config::GiveConfig;
use crate::control::{Environments, Trust};
use crate::fill::Slices;
use crate::metrics::Metrics;
use incoming::Incoming;
use quota::Quota;
use service::FillService;
use skerry_proto::wire::fill_server::FillServer;
use skerry_proto::wire::peer_server::PeerServer;
use socket2::{Domain, Protocol, Socket, Type};
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use tonic::transport::Server;

/// Receive windows: requests are small, so the least that HTTP/2 has would do.
const STREAM_WINDOW: u32 = 64 << 10;

/// Bytes of a request at most: an account, a hash and some numbers.
const REQUEST_SIZE_MAX: usize = 4 << 10;

/// An edge that answers no ping for this long is gone.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(20);

/// Connections that wait in the system's queue at most.
const BACKLOG: i32 = 1024;

/// The fill listener cannot be bound.
#[derive(Debug, thiserror::Error)]
pub enum GiveError {
    /// Another process listens there.
    #[error("the fill listener's address {address} is in use")]
    InUse {
        /// Which one.
        address: SocketAddr,
    },
    /// Anything else that the system refuses.
    #[error("the fill listener cannot listen on {address}: {source}")]
    Bind {
        /// Which one.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
}

/// The bound sockets of a fill listener; nothing is accepted yet.
#[derive(Debug)]
pub(crate) struct BoundGive {
    listeners: Vec<TcpListener>,
    address: Option<SocketAddr>,
}

/// What is given, and to whom.
pub(crate) struct Stock {
    slices: Arc<Slices>,
    environments: Arc<Environments>,
    trust: Arc<Trust>,
    metrics: Arc<Metrics>,
}

impl Stock {
    pub(crate) fn new(
        slices: &Arc<Slices>,
        environments: &Arc<Environments>,
        trust: &Arc<Trust>,
        metrics: &Arc<Metrics>,
    ) -> Self {
        let (slices, environments) = (Arc::clone(slices), Arc::clone(environments));
        Self { slices, environments, trust: Arc::clone(trust), metrics: Arc::clone(metrics) }
    }
}

impl BoundGive {
    /// Binds all addresses; with port 0 the first one picks a free port, which the others use too.
    pub(crate) fn bind(addresses: &[SocketAddr]) -> Result<Self, GiveError> {
        let (mut listeners, mut first) = (Vec::new(), None::<SocketAddr>);
        for &asked in addresses {
            let mut address = asked;
            if let (0, Some(first)) = (address.port(), first) {
                address.set_port(first.port());
            }
            let bound = bind(address).and_then(|listener| Ok((listener.local_addr()?, listener)));
            let (bound, listener) = bound.map_err(|source| match source.kind() {
                io::ErrorKind::AddrInUse => GiveError::InUse { address },
                _ => GiveError::Bind { address, source },
            })?;
            first.get_or_insert(bound);
            listeners.push(listener);
        }
        Ok(Self { listeners, address: first })
    }

    /// The first address, with the port that was picked; `None` where nothing is given.
    pub(crate) const fn address(&self) -> Option<SocketAddr> {
        self.address
    }

    /// Gives until `stop` is cancelled, and then finishes what is under way, within `drain_time_max`.
    pub(crate) async fn serve(
        self,
        stock: Stock,
        config: GiveConfig,
        drain_time_max: Duration,
        stop: CancellationToken,
    ) {
        if self.listeners.is_empty() {
            return;
        }
        let (trust, metrics) = (Arc::clone(&stock.trust), Arc::clone(&stock.metrics));
        let quota = Arc::new(Quota::new(&config, &metrics));
        let incoming =
            Incoming::start(self.listeners, trust, config.connection_count_max, Arc::clone(&metrics), &stop);
        let service = FillService::new(stock, Arc::clone(&quota));
        let peers = PeerServer::new(service.clone()).max_decoding_message_size(REQUEST_SIZE_MAX);
        let service = FillServer::new(service).max_decoding_message_size(REQUEST_SIZE_MAX);
        let server = Server::builder()
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(STREAM_WINDOW)
            .max_concurrent_streams(u32::try_from(config.edge_fill_count_max).ok())
            .http2_keepalive_interval(Some(KEEPALIVE_INTERVAL))
            .http2_keepalive_timeout(Some(KEEPALIVE_TIMEOUT))
            .add_service(service)
            .add_service(peers)
            .serve_with_incoming_shutdown(incoming.connections(), stop.clone().cancelled_owned());
        let late = async {
            stop.cancelled().await;
            tokio::time::sleep(drain_time_max).await;
        };
        tokio::select! {
            ended = server => if let Err(error) = ended {
                tracing::error!(%error, "the fill listener ended");
            },
            () = late => tracing::warn!("some fills of other edges did not finish in time; they are cut"),
            () = quota.measure_always() => {}
        }
    }
}

fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    // Else connections of the last run, in TIME_WAIT, look like a port in use.
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}
