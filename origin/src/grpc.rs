//! The gRPC listener: one file a service, and what all of them need: sockets, callers, errors.
//!
//! TLS always; a client certificate is optional in the handshake and demanded for each call that needs one. tonic is named here
//! and below only.

mod accounts;
mod caller;
mod enrol;
mod fill;
mod gate;
mod keys;
mod names;
mod operator;
mod publish;
mod purges;
mod status;
mod wait;
mod warm;
mod watch;

use crate::blobs::BlobStore;
use crate::catalogue::Catalogue;
use crate::config::WarmBounds;
use crate::credentials::Credentials;
use crate::edges::{Edges, Evictions, Warmings};
use crate::metrics::Metrics;
use crate::publish::Publisher;
use crate::sockets::{BoundSockets, Connection};
use gate::Gate;
use skerry_proto::authority::{Identity, pem};
use skerry_proto::wire::accounts_server::AccountsServer;
use skerry_proto::wire::enrol_server::EnrolServer;
use skerry_proto::wire::fill_server::FillServer;
use skerry_proto::wire::keys_server::KeysServer;
use skerry_proto::wire::names_server::NamesServer;
use skerry_proto::wire::operator_server::OperatorServer;
use skerry_proto::wire::publish_server::PublishServer;
use skerry_proto::wire::purges_server::PurgesServer;
use skerry_proto::wire::watch_server::WatchServer;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Semaphore, mpsc};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::Status;
use tonic::transport::server::{Connected, TcpConnectInfo};
use tonic::transport::{Certificate, Server, ServerTlsConfig};

/// Receive windows of a stream and of a connection: enough for a fast line with some delay, and a bound on what a client can make
/// the origin hold. Measured: with these a stream of 256 KiB messages runs at the speed of TLS.
const STREAM_WINDOW: u32 = 4 << 20;
const CONNECTION_WINDOW: u32 = 16 << 20;

/// Calls that one connection may have open: an edge fills many slices at once.
const STREAMS_MAX: u32 = 512;

/// A peer that answers no ping for this long is gone. Leases are 10 s, so looking more often gains nothing.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(20);

/// Time for a TLS handshake.
const HANDSHAKE_TIME_MAX: Duration = Duration::from_secs(10);

/// Bytes of a request with lists of paths: 10,000 of the longest ones fit.
const LIST_REQUEST_MAX: usize = 16 << 20;

/// Bytes of a request that has only small fields.
const SMALL_REQUEST_MAX: usize = 64 << 10;

/// Fills under way at most; each holds some slices on their way to the socket.
const FILLS_MAX: usize = 1024;

/// The gRPC listener cannot serve, or stopped by itself.
#[derive(Debug, thiserror::Error)]
#[error("the gRPC listener failed")]
pub struct ServeError(#[from] tonic::transport::Error);

/// How long a client may take no message of a stream before it is given up.
const SEND_TIME_MAX: Duration = Duration::from_secs(60);

/// The client went away, or takes nothing.
struct Gone;

/// Passes a message on to the socket, in time.
async fn send<T>(tx: &mpsc::Sender<Result<T, Status>>, message: Result<T, Status>) -> Result<(), Gone> {
    match tokio::time::timeout(SEND_TIME_MAX, tx.send(message)).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) | Err(_) => Err(Gone),
    }
}

impl Connected for Connection {
    type ConnectInfo = TcpConnectInfo;

    fn connect_info(&self) -> TcpConnectInfo {
        self.socket().connect_info()
    }
}

/// Everything that calls are answered from. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct Services {
    pub(crate) publisher: Publisher,
    pub(crate) credentials: Credentials,
    pub(crate) catalogue: Catalogue,
    pub(crate) blobs: BlobStore,
    pub(crate) edges: Edges,
    pub(crate) warmings: Warmings,
    pub(crate) evictions: Evictions,
    pub(crate) warm_bounds: WarmBounds,
    pub(crate) metrics: Arc<Metrics>,
    /// Tasks that feed response streams.
    pub(crate) tasks: TaskTracker,
    /// Cancelled when the origin begins to stop: streams without an end of their own end.
    pub(crate) stopping: CancellationToken,
    pub(crate) fills: Arc<Semaphore>,
    pub(crate) open_blobs: fill::OpenBlobs,
}

impl Services {
    /// Puts the services together.
    pub(crate) fn new(
        publisher: Publisher,
        credentials: Credentials,
        catalogue: Catalogue,
        blobs: BlobStore,
        edges: Edges,
        warm_bounds: WarmBounds,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self {
            publisher,
            credentials,
            catalogue,
            blobs,
            edges,
            warmings: Warmings::default(),
            evictions: Evictions::default(),
            warm_bounds,
            metrics,
            tasks: TaskTracker::new(),
            stopping: CancellationToken::new(),
            fills: Arc::new(Semaphore::new(FILLS_MAX)),
            open_blobs: fill::OpenBlobs::default(),
        }
    }
}

/// Serves until `services.stopping` is cancelled and all calls have ended. What is still open when `abort` is cancelled is cut.
///
/// # Errors
/// What tonic says of the TLS configuration or the listener.
pub(crate) async fn serve(
    services: Services,
    sockets: BoundSockets,
    identity: &Identity,
    authority: &[u8],
    abort: CancellationToken,
) -> Result<(), ServeError> {
    let tls = ServerTlsConfig::new()
        .identity(tonic::transport::Identity::from_pem(identity.certificate_pem(), identity.key_pem()))
        .client_ca_root(Certificate::from_pem(pem("CERTIFICATE", authority)))
        .client_auth_optional(true)
        .timeout(HANDSHAKE_TIME_MAX);
    let stopping = services.stopping.clone();
    let incoming = sockets.incoming(services.metrics.connections.clone(), abort);
    Server::builder()
        .tls_config(tls)?
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_concurrent_streams(STREAMS_MAX)
        .http2_keepalive_interval(Some(KEEPALIVE_INTERVAL))
        .http2_keepalive_timeout(Some(KEEPALIVE_TIMEOUT))
        .add_service(
            WatchServer::new(watch::WatchService(services.clone()))
                .max_decoding_message_size(SMALL_REQUEST_MAX),
        )
        .add_service(
            FillServer::new(fill::FillService(services.clone())).max_decoding_message_size(SMALL_REQUEST_MAX),
        )
        .add_service(
            EnrolServer::new(enrol::EnrolService(services.clone()))
                .max_decoding_message_size(SMALL_REQUEST_MAX),
        )
        .add_service(Gate::new(
            services.clone(),
            PublishServer::new(publish::PublishService(services.clone()))
                .max_decoding_message_size(LIST_REQUEST_MAX),
        ))
        .add_service(Gate::new(
            services.clone(),
            NamesServer::new(names::NamesService(services.clone()))
                .max_decoding_message_size(SMALL_REQUEST_MAX),
        ))
        .add_service(Gate::new(
            services.clone(),
            PurgesServer::new(purges::PurgesService(services.clone()))
                .max_decoding_message_size(LIST_REQUEST_MAX),
        ))
        .add_service(Gate::new(
            services.clone(),
            KeysServer::new(keys::KeysService(services.clone())).max_decoding_message_size(SMALL_REQUEST_MAX),
        ))
        .add_service(Gate::new(
            services.clone(),
            AccountsServer::new(accounts::AccountsService(services.clone()))
                .max_decoding_message_size(SMALL_REQUEST_MAX),
        ))
        .add_service(Gate::new(
            services.clone(),
            OperatorServer::new(operator::OperatorService(services))
                .max_decoding_message_size(SMALL_REQUEST_MAX),
        ))
        .serve_with_incoming_shutdown(incoming, stopping.cancelled_owned())
        .await?;
    Ok(())
}
