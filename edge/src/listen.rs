//! From sockets to requests, and back: bytes to `Request`, no policy.
//!
//! Every worker is a thread with a runtime and listening sockets of its own, so that a connection lives its whole life on one
//! thread. All of them share ports through SO_REUSEPORT; the kernel spreads TCP connections by address, and QUIC packets by the
//! connection id that we gave out (`steer`). What a request means is [`crate::serve`]'s to say.
//!
//! In reading order:
//!
//! - `sockets`: addresses to bound sockets, a port in use told
//! - `tls`: the TLS configurations
//! - `slots`: the bound on connections
//! - `worker`: one thread, one runtime, and its life
//! - `tcp`, `http`, `idle`: HTTP/1.1 and HTTP/2, and when a connection ends
//! - `quic`, `steer`, `h3`: HTTP/3

mod gather;
mod h3;
mod http;
mod idle;
mod quic;
mod slots;
mod sockets;
mod steer;
mod tcp;
#[cfg(test)]
mod tests;
mod tls;
mod worker;

use crate::config::{EdgeConfig, ListenLimits};
use crate::metrics::Metrics;
use crate::serve::{Body, Connection, Site};
use ::http::Response;
use ::http::request::Parts;
use bytes::Bytes;
use slots::Slots;
use sockets::BoundAddress;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// The two transports that HTTPS is served over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// For HTTP/1.1 and HTTP/2.
    Tcp,
    /// For QUIC, and so HTTP/3.
    Udp,
}

impl std::fmt::Display for Transport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Tcp => "TCP",
            Self::Udp => "UDP",
        })
    }
}

/// Why the listeners do not start.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// Another process, or another edge of this one, has the port.
    #[error("{transport} port {} is in use on {}", address.port(), address.ip())]
    AddressInUse {
        /// The address as it was asked for.
        address: SocketAddr,
        /// Whether TCP or UDP is taken.
        transport: Transport,
    },
    /// The address cannot be bound: the host does not have it, or the port needs a privilege.
    #[error("cannot listen on {address} ({transport})")]
    Bind {
        /// The address as it was asked for.
        address: SocketAddr,
        /// TCP or UDP.
        transport: Transport,
        /// What the system said.
        source: std::io::Error,
    },
    /// Port 0 was asked for, and no port was found that is free for TCP and UDP on every address.
    #[error("no port is free for both TCP and UDP on every address, after {tries} tries")]
    NoFreePort {
        /// How many ports were tried.
        tries: u32,
    },
    /// The list of addresses is empty.
    #[error("no HTTPS address is configured")]
    NoAddress,
    /// More workers than a connection id can name, or none.
    #[error("{count} workers were asked for; from 1 to {max} are possible")]
    WorkerCount {
        /// What was asked for.
        count: usize,
        /// The most.
        max: usize,
    },
    /// The certificate and the key do not fit, or cannot be used.
    #[error("certificate or key of the HTTPS listeners cannot be used")]
    Tls(#[source] rustls::Error),
    /// A worker did not start.
    #[error("a worker of the HTTPS listeners does not start")]
    Worker(#[source] std::io::Error),
}

/// Answers requests: the seam between bytes and meaning, dispatched statically. [`Site`] ships; the tests of the listeners have
/// their own.
trait Respond: Send + Sync + 'static {
    type Body: http_body::Body<Data = Bytes, Error: std::error::Error + Send + Sync> + Send + Unpin + 'static;

    fn respond(
        &self,
        request: &Parts,
        connection: &Connection,
    ) -> impl Future<Output = Response<Self::Body>> + Send;
}

impl Respond for Site {
    type Body = Body;

    fn respond(
        &self,
        request: &Parts,
        connection: &Connection,
    ) -> impl Future<Output = Response<Body>> + Send {
        Self::respond(self, request, connection)
    }
}

/// What all workers share.
struct Shared<R> {
    site: Arc<R>,
    tls: Arc<rustls::ServerConfig>,
    quic: quic::QuicConfig,
    limits: ListenLimits,
    drain_time_max: Duration,
    slots: Slots,
    metrics: Arc<Metrics>,
    stop: CancellationToken,
}

/// Sockets of all workers, bound; nothing is accepted yet.
#[derive(Debug)]
pub struct BoundListeners {
    addresses: Vec<BoundAddress>,
    address: SocketAddr,
    tls: tls::TlsConfigs,
    worker_count: usize,
    limits: ListenLimits,
    drain_time_max: Duration,
    metrics: Arc<Metrics>,
}

impl BoundListeners {
    /// Binds TCP and UDP on every address for each worker, exclusively, and builds the TLS configurations.
    ///
    /// # Errors
    /// [`ListenError`]; nothing stays bound then.
    pub fn bind(config: &EdgeConfig, metrics: Arc<Metrics>) -> Result<Self, ListenError> {
        let worker_count = config.worker_count;
        if !(1..=steer::WORKER_COUNT_MAX).contains(&worker_count) {
            return Err(ListenError::WorkerCount { count: worker_count, max: steer::WORKER_COUNT_MAX });
        }
        let tls = tls::TlsConfigs::new(&config.identity).map_err(ListenError::Tls)?;
        let addresses = sockets::bind(&config.https_addresses, worker_count)?;
        let address = addresses.first().ok_or(ListenError::NoAddress)?.address;
        Ok(Self {
            addresses,
            address,
            tls,
            worker_count,
            limits: config.limits,
            drain_time_max: config.drain_time_max,
            metrics,
        })
    }

    /// The first address, with the port that was picked.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Every address that is bound, with the port that was picked.
    pub fn addresses(&self) -> impl Iterator<Item = SocketAddr> {
        self.addresses.iter().map(|bound| bound.address)
    }

    /// Starts a thread with a runtime for each worker. When `stop` is cancelled they stop accepting, send GOAWAY, finish, and end.
    ///
    /// # Errors
    /// [`ListenError::Worker`] when the system gives no thread or no runtime; [`ListenError::Tls`] when QUIC cannot use the key.
    pub fn serve(self, site: Arc<Site>, stop: CancellationToken) -> Result<Listeners, ListenError> {
        self.serve_with(site, &stop)
    }

    fn serve_with<R: Respond>(
        self,
        site: Arc<R>,
        stop: &CancellationToken,
    ) -> Result<Listeners, ListenError> {
        // A child, so that a worker that does not start ends the others without stopping the edge.
        let stop = stop.child_token();
        let shared = Arc::new(Shared {
            site,
            tls: self.tls.tcp,
            quic: quic::QuicConfig::new(self.tls.quic, &self.limits).map_err(ListenError::Tls)?,
            limits: self.limits,
            drain_time_max: self.drain_time_max,
            slots: Slots::new(self.limits.connection_count_max, &self.metrics),
            metrics: self.metrics,
            stop: stop.clone(),
        });
        let guard = stop.drop_guard();
        let workers =
            worker::start(self.worker_count, self.addresses, &shared).map_err(ListenError::Worker)?;
        guard.disarm();
        Ok(Listeners { workers })
    }
}

/// Listeners that serve.
#[derive(Debug)]
pub struct Listeners {
    workers: Vec<JoinHandle<()>>,
}

impl Listeners {
    /// Waits until every worker has ended.
    pub async fn stopped(self) {
        let joined = tokio::task::spawn_blocking(move || {
            self.workers.into_iter().map(JoinHandle::join).filter(Result::is_err).count()
        });
        match joined.await {
            Ok(0) => {}
            Ok(panicked_count) => tracing::error!(panicked_count, "workers of the listeners panicked"),
            Err(error) => tracing::error!(%error, "workers of the listeners could not be joined"),
        }
    }
}
