//! What an origin needs to know before it starts. Reading files, environment and flags is the program's task.

use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// How an origin is set up.
#[derive(Debug, Clone)]
pub struct OriginConfig {
    /// Folder for everything that the origin keeps; made with mode 0700 where it is missing.
    pub data: PathBuf,
    /// Addresses of the gRPC listener. With port 0 the first one picks a free port, which the others then use too.
    pub grpc_addresses: Vec<SocketAddr>,
    /// Host names and IP addresses that the certificate of the gRPC listener covers.
    pub grpc_names: Vec<String>,
    /// The REST API.
    pub api: ApiConfig,
    /// Domain under which environments get their names.
    pub base_domain: String,
    /// Port of the edges as clients see it, for the URLs that publishers are told.
    pub public_port: u16,
    /// What a service may hold.
    pub limits: Limits,
    /// Domains that accounts bring along.
    pub domains: DomainConfig,
    /// How often a stranger may fail to prove who they are.
    pub auth: AuthLimits,
    /// How long an edge's lease lasts; the same number as at the edges.
    pub lease: Duration,
}

/// How the REST API is reached.
#[derive(Debug, Clone, Default)]
pub struct ApiConfig {
    /// Addresses of its listener; none: there is no API. With port 0 the first one picks a free port, which the others then use too.
    pub addresses: Vec<SocketAddr>,
    /// Host names by which it may be reached, beside `localhost`, addresses, and those of Twilio's API.
    pub names: Vec<String>,
    /// What it shows in TLS handshakes; `None`: it answers plain HTTP.
    pub certificate: Option<ApiCertificate>,
}

/// A certificate with its key.
#[derive(Clone)]
pub struct ApiCertificate {
    /// Leaf first.
    pub chain: Vec<CertificateDer<'static>>,
    /// Key of the leaf.
    pub key: Arc<PrivateKeyDer<'static>>,
}

impl std::fmt::Debug for ApiCertificate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ApiCertificate").field("certificates", &self.chain.len()).finish_non_exhaustive()
    }
}

/// What a service may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a public or protected asset.
    pub served_size_max: u64,
    /// Public and protected paths in one build.
    pub served_count_max: u64,
    /// Bytes of a private asset.
    pub private_size_max: u64,
    /// Private paths in one build.
    pub private_count_max: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            served_size_max: 104_857_600,
            served_count_max: 500,
            private_size_max: 5_242_880,
            private_count_max: 10,
        }
    }
}

/// Domains that accounts bring along.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DomainConfig {
    /// Domains that one environment may claim or have; at most [`skerry_proto::pointer::ALIASES_MAX`].
    pub count_max: u32,
    /// DNS servers that are asked for their proofs; none: those of the system.
    pub dns_servers: Vec<SocketAddr>,
    /// Time for a server to answer. It is asked twice.
    pub dns_timeout: Duration,
}

impl Default for DomainConfig {
    fn default() -> Self {
        Self { count_max: 20, dns_servers: Vec::new(), dns_timeout: Duration::from_secs(5) }
    }
}

/// How often a stranger may fail to prove who they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AuthLimits {
    /// Failures of one address with one account.
    pub failure_count_max: u32,
    /// Failures of one address with all accounts.
    pub address_failure_count_max: u32,
    /// Time after which one failure is forgiven.
    pub recovery: Duration,
    /// Addresses, alone and with accounts, that are remembered.
    pub entry_count_max: usize,
}

impl Default for AuthLimits {
    fn default() -> Self {
        Self {
            // A person who mistypes, or a script that goes on with a revoked token.
            failure_count_max: 10,
            // A company behind one address.
            address_failure_count_max: 100,
            recovery: Duration::from_secs(6),
            // About a megabyte.
            entry_count_max: 10_000,
        }
    }
}
