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
//! - `quota`: the bounds on connections, requests and bytes, in all and for each address
//! - `worker`: one thread, one runtime, and its life
//! - `tcp`, `http`, `gather`: HTTP/1.1 and HTTP/2
//! - `idle`, `pace`: when a connection or a stream ends
//! - [`framing`], `guard`: HTTP/1.1 requests of two readings, refused
//! - [`frames`], `policed`, `credit`: floods of HTTP/2 frames, cut off
//! - `quic`, `steer`, `h3`, [`h3_frames`]: HTTP/3
//!
//! What follows bytes of clients without doing anything is open to fuzzers.

mod credit;
mod field_section;
pub mod frames;
pub mod framing;
mod gather;
mod guard;
mod h3;
pub mod h3_frames;
mod http;
mod idle;
mod pace;
mod policed;
mod quic;
mod quota;
mod refused;
mod sockets;
mod steer;
mod tcp;
#[cfg(test)]
mod tests;
mod tls;
mod worker;

use crate::config::{EdgeConfig, ListenLimits};
use crate::metrics::{CutOff, Metrics};
use crate::serve::{Body, Connection, Excess, Protocol, Site};
use ::http::Response;
use ::http::request::Parts;
use bytes::Bytes;
use http_body::Body as _;
use quota::{Flight, Quotas, Slot};
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

    /// Whether the answer may depend on the body of the request, so that it is to be kept.
    fn wants_body(&self, request: &Parts) -> bool;

    /// Answers a request that is past a bound of the listeners, without a look at what it asks for.
    fn refuse(&self, request: &Parts, connection: &Connection, excess: Excess) -> Response<Self::Body>;
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

    fn wants_body(&self, request: &Parts) -> bool {
        Self::wants_body(self, request)
    }

    fn refuse(&self, request: &Parts, connection: &Connection, excess: Excess) -> Response<Body> {
        Self::refuse(self, request, connection, excess)
    }
}

/// The other side of a connection.
#[derive(Debug)]
struct Client {
    connection: Connection,
    slot: Arc<Slot>,
}

impl Client {
    /// Admits a request of this client, within the bounds on targets and on what is in flight, before its body is read; or the answer
    /// to one that is past them. The flight lasts as long as the response is under way.
    fn admit<R: Respond>(&self, request: &Parts, shared: &Shared<R>) -> Result<Flight, Response<R::Body>> {
        let target_size = request.uri.path_and_query().map_or(0, |target| target.as_str().len());
        if target_size > shared.limits.target_size_max {
            shared.metrics.cut_off(CutOff::TargetTooLong);
            return Err(shared.site.refuse(request, &self.connection, Excess::Target));
        }
        // HTTP/1.1's is bounded where its bytes are followed.
        if self.connection.protocol != Protocol::Http1 && list_size(request) > shared.limits.head_size_max {
            shared.metrics.cut_off(CutOff::HeadTooLarge);
            return Err(shared.site.refuse(request, &self.connection, Excess::Head));
        }
        self.slot.begin().ok_or_else(|| shared.site.refuse(request, &self.connection, Excess::InFlight))
    }

    /// Answers a request that was admitted.
    async fn answer<R: Respond>(
        &self,
        request: &Parts,
        mut flight: Flight,
        shared: &Shared<R>,
    ) -> (Response<R::Body>, Option<Flight>) {
        let response = shared.site.respond(request, &self.connection).await;
        if flight.grow(response.body().size_hint().upper().unwrap_or(u64::MAX)).is_none() {
            return (shared.site.refuse(request, &self.connection, Excess::InFlight), None);
        }
        (response, Some(flight))
    }
}

/// The size of a field section as HTTP/2 and HTTP/3 count it (RFC 9113 §6.5.2, RFC 9114 §4.2.2).
fn list_size(request: &Parts) -> usize {
    const FIELD_SIZE: usize = 32;
    let uri = &request.uri;
    let target = [
        (":method", request.method.as_str()),
        (":scheme", uri.scheme_str().unwrap_or_default()),
        (":authority", uri.authority().map_or("", |authority| authority.as_str())),
        (":path", uri.path_and_query().map_or("", |target| target.as_str())),
    ];
    let target = target.iter().map(|(name, value)| name.len() + value.len());
    let fields = request.headers.iter().map(|(name, value)| name.as_str().len() + value.len());
    target.chain(fields).map(|size| size + FIELD_SIZE).sum()
}

/// The bound on a head for the libraries that decode those of HTTP/2 and HTTP/3: what is beyond ours, but not by far, is answered by
/// us, in the same words over all protocols.
fn decoder_bound(head_size_max: usize) -> u32 {
    u32::try_from(head_size_max.saturating_mul(2)).unwrap_or(u32::MAX)
}

/// What all workers share.
struct Shared<R> {
    site: Arc<R>,
    tls: Arc<rustls::ServerConfig>,
    quic: quic::QuicConfig,
    limits: ListenLimits,
    drain_time_max: Duration,
    quotas: Quotas,
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
        let quotas = Quotas::new(&self.limits, &self.metrics);
        self.metrics.listen_bounds.set(&self.limits);
        let shared = Arc::new(Shared {
            site,
            tls: self.tls.tcp,
            quic: quic::QuicConfig::new(self.tls.quic, &self.limits).map_err(ListenError::Tls)?,
            limits: self.limits,
            drain_time_max: self.drain_time_max,
            quotas: quotas.clone(),
            metrics: self.metrics,
            stop: stop.clone(),
        });
        let guard = stop.drop_guard();
        let workers =
            worker::start(self.worker_count, self.addresses, &shared).map_err(ListenError::Worker)?;
        guard.disarm();
        Ok(Listeners { workers, usage: Usage(quotas) })
    }
}

/// Listeners that serve.
#[derive(Debug)]
pub struct Listeners {
    workers: Vec<JoinHandle<()>>,
    usage: Usage,
}

/// What clients take up, to be reported now and then.
#[derive(Debug, Clone)]
pub struct Usage(Quotas);

impl Usage {
    /// Sets the figures of what is in flight, and of the busiest address.
    pub fn report(&self) {
        self.0.report();
    }

    /// Connections that are open.
    pub fn connections(&self) -> u64 {
        self.0.connections()
    }
}

impl Listeners {
    /// What clients take up.
    pub fn usage(&self) -> Usage {
        self.usage.clone()
    }

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
