//! The life of an origin: open, bind, serve, stop.

use crate::config::OriginConfig;
use metrics_exporter_prometheus::PrometheusHandle;
use skerry_proto::authority::Authority;
use skerry_proto::join::JoinToken;
use std::net::SocketAddr;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// An origin whose data folder is locked and whose catalogue is open; nothing is listening yet.
#[derive(Debug)]
pub struct Origin;

/// An origin whose sockets are bound; nothing is accepted yet.
#[derive(Debug)]
pub struct BoundOrigin;

/// Where an origin listens.
#[derive(Debug, Clone, Copy)]
pub struct OriginAddresses {
    /// gRPC with TLS.
    pub grpc: SocketAddr,
}

/// An account as it is shown once, when it is made, with its first service and environment.
#[derive(Clone)]
pub struct NewAccount {
    /// `AC…`
    pub account_sid: String,
    /// A secret.
    pub auth_token: String,
    /// `ZS…`
    pub service_sid: String,
    /// `ZE…`
    pub environment_sid: String,
    /// Domain of the environment, without a port.
    pub domain: String,
}

/// Why an origin does not start, or stopped.
#[derive(Debug, thiserror::Error)]
pub enum OriginError {}

impl Origin {
    /// Locks the data folder, opens and migrates the catalogue, loads keys; makes all of them in a new folder.
    pub async fn open(_config: OriginConfig) -> Result<Self, OriginError> {
        todo!()
    }
    /// Whether there is no account yet.
    pub async fn is_new(&self) -> Result<bool, OriginError> {
        todo!()
    }
    /// Makes an account with one service (`default`) and one environment. The first account is the operator's.
    pub async fn create_account(&self, _friendly_name: &str) -> Result<NewAccount, OriginError> {
        todo!()
    }
    /// Makes a join token, to be used once within `valid`.
    pub async fn create_join_token(&self, _valid: Duration) -> Result<JoinToken, OriginError> {
        todo!()
    }
    /// The cluster's authority. A development server also signs its edges' HTTPS certificates with it.
    pub fn authority(&self) -> &Authority {
        todo!()
    }
    /// The metrics of this origin.
    pub fn metrics(&self) -> PrometheusHandle {
        todo!()
    }
    /// Binds all sockets.
    pub async fn bind(self) -> Result<BoundOrigin, OriginError> {
        todo!()
    }
}

impl BoundOrigin {
    /// Where it listens.
    pub fn addresses(&self) -> OriginAddresses {
        todo!()
    }
    /// Serves until `stop` is cancelled, then finishes what is under way within a deadline.
    pub async fn serve(self, _stop: CancellationToken) -> Result<(), OriginError> {
        todo!()
    }
}
