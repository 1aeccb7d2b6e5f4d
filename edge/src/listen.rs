//! From sockets to requests, and back: bytes to `Request`, no policy.

use crate::config::EdgeConfig;
use crate::metrics::Metrics;
use crate::serve::Site;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// Why the listeners do not start.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {}

/// Sockets of all workers, bound; nothing is accepted yet.
#[derive(Debug)]
pub struct BoundListeners;

/// Listeners that serve.
#[derive(Debug)]
pub struct Listeners;

impl BoundListeners {
    /// Probes every address, then binds TCP and UDP for each worker, and builds the TLS configurations.
    pub fn bind(_config: &EdgeConfig, _metrics: Arc<Metrics>) -> Result<Self, ListenError> {
        todo!()
    }
    /// The first address, with the port that was picked.
    pub fn address(&self) -> SocketAddr {
        todo!()
    }
    /// Starts a thread with a runtime for each worker. When `stop` is cancelled they stop accepting, send GOAWAY, finish, and end.
    pub fn serve(self, _site: Arc<Site>, _stop: CancellationToken) -> Result<Listeners, ListenError> {
        todo!()
    }
}

impl Listeners {
    /// Waits until every worker has ended.
    pub async fn stopped(self) {
        todo!()
    }
}
