//! The life of an edge: bind, start, stop.

use crate::config::{EdgeConfig, OriginAddress};
use metrics_exporter_prometheus::PrometheusHandle;
use std::net::SocketAddr;
use tokio_util::sync::CancellationToken;

/// An edge whose data folder is locked and whose sockets are bound; nothing is accepted yet.
#[derive(Debug)]
pub struct Edge;

/// An edge that serves.
#[derive(Debug)]
pub struct RunningEdge;

/// Why an edge does not start, or stopped.
#[derive(Debug, thiserror::Error)]
pub enum EdgeError {}

impl Edge {
    /// Locks the data folder and binds all sockets.
    pub fn bind(_config: EdgeConfig) -> Result<Self, EdgeError> {
        todo!()
    }
    /// The first HTTPS address, with the port that was picked.
    pub fn address(&self) -> SocketAddr {
        todo!()
    }
    /// The metrics of this edge.
    pub fn metrics(&self) -> PrometheusHandle {
        todo!()
    }
    /// Enrols if need be, opens the cache, starts serving what is on disk, and follows the origin. Must be called on the
    /// multi-threaded runtime, which carries all that may wait. When `stop` is cancelled the edge drains and ends.
    pub async fn start(
        self,
        _origin: OriginAddress,
        _stop: CancellationToken,
    ) -> Result<RunningEdge, EdgeError> {
        todo!()
    }
}

impl RunningEdge {
    /// Resolves when the edge shows what the origin said (its first snapshot is acknowledged).
    pub async fn ready(&self) {
        todo!()
    }
    /// Why this edge should get no traffic now; empty when it should.
    pub fn not_ready(&self) -> Vec<&'static str> {
        todo!()
    }
    /// Waits until the edge has drained and ended.
    pub async fn stopped(self) -> Result<(), EdgeError> {
        todo!()
    }
}
