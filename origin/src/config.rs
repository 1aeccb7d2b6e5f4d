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
    /// What a service may hold, unless an operator set something else for it.
    pub limits: Limits,
    /// How much of publishing is under way at once.
    pub publish: PublishBounds,
    /// How much edges pull ahead of a deployment.
    pub warm: WarmBounds,
    /// Connections of the gRPC listener at most; further ones wait in the system's queue.
    pub grpc_connection_count_max: usize,
    /// The console.
    pub console: ConsoleConfig,
    /// Domains that accounts bring along.
    pub domains: DomainConfig,
    /// How coded forms of assets are made.
    pub compression: Compression,
    /// How often a stranger may fail to prove who they are.
    pub auth: AuthLimits,
    /// What edges are held to.
    pub edges: EdgeRules,
}

/// What edges are held to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EdgeRules {
    /// How long a lease lasts; the same number as at the edges. An edge that takes it to be longer is refused.
    pub lease: Duration,
    /// How long the certificate of an edge lasts. Edges renew theirs by themselves.
    pub certificate_life: Duration,
    /// How long after its end a certificate is still renewed, by proof of its key.
    pub renewal_time_max: Duration,
}

impl Default for EdgeRules {
    fn default() -> Self {
        Self {
            lease: Duration::from_secs(10),
            // Short, since what was copied from an edge is good for no longer; long enough for a weekend without an origin.
            certificate_life: Duration::from_secs(7 * 86_400),
            renewal_time_max: Duration::from_secs(90 * 86_400),
        }
    }
}

/// How the REST API is reached.
#[derive(Debug, Clone)]
pub struct ApiConfig {
    /// Addresses of its listener; none: there is no API. With port 0 the first one picks a free port, which the others then use too.
    pub addresses: Vec<SocketAddr>,
    /// Host names by which it may be reached, beside `localhost`, addresses, and those of Twilio's API.
    pub names: Vec<String>,
    /// What it shows in TLS handshakes; `None`: it answers plain HTTP.
    pub certificate: Option<ApiCertificate>,
    /// Connections at most; further ones wait in the system's queue.
    pub connection_count_max: usize,
    /// Bytes of a form at most.
    pub form_size_max: usize,
    /// Time for a form to arrive.
    pub form_time_max: Duration,
    /// Time for the next bytes of an upload to arrive.
    pub upload_pause_max: Duration,
    /// API keys of an account at most.
    pub key_count_max: u64,
}

impl Default for ApiConfig {
    fn default() -> Self {
        Self {
            addresses: Vec::new(),
            names: Vec::new(),
            certificate: None,
            connection_count_max: CONNECTION_COUNT_MAX,
            // A build of 20,000 versions has 1 MiB of SIDs.
            form_size_max: 2 << 20,
            form_time_max: Duration::from_secs(30),
            upload_pause_max: Duration::from_secs(60),
            // One for each machine of a large fleet of publishers, and few enough to look through.
            key_count_max: 100,
        }
    }
}

/// Connections of a listener at most, unless it is said: each is a socket and some kilobytes.
pub const CONNECTION_COUNT_MAX: usize = 4096;

/// How much of publishing is under way at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PublishBounds {
    /// Uploads under way; further ones wait.
    pub upload_count_max: usize,
    /// Builds that are begun over REST and not finished; further ones are refused.
    pub build_count_max: usize,
    /// How long an operation waits for its turn, in an environment or among the uploads, before it is refused.
    pub turn_time_max: Duration,
}

impl Default for PublishBounds {
    fn default() -> Self {
        Self {
            // Each holds up to two batches of 1 MiB, and a window of its connection.
            upload_count_max: 256,
            // Each holds a task; the work is bounded by the processors.
            build_count_max: 1024,
            turn_time_max: Duration::from_secs(30),
        }
    }
}

/// How much edges pull ahead of a deployment that is to be warmed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WarmBounds {
    /// Bytes at each edge.
    pub size_max: u64,
    /// How long a deployment waits for it.
    pub time_max: Duration,
}

impl Default for WarmBounds {
    fn default() -> Self {
        // A tenth of an edge's disk cache; and as long as people wait for a command.
        Self { size_max: 1 << 30, time_max: Duration::from_secs(30) }
    }
}

/// The console, on the listener of the API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsoleConfig {
    /// How long a session lasts.
    pub session_time: Duration,
    /// Sessions of one account; the oldest makes room.
    pub session_count_max: u32,
    /// How long an upload may bring nothing.
    pub upload_pause_max: Duration,
    /// How browsers reach it, such as `https://cdn.example.com`, where something before it ends TLS.
    pub origin: Option<String>,
}

impl Default for ConsoleConfig {
    fn default() -> Self {
        Self {
            // A working day.
            session_time: Duration::from_secs(12 * 3600),
            // Tabs and browsers of a team that shares an account.
            session_count_max: 100,
            upload_pause_max: Duration::from_secs(60),
            origin: None,
        }
    }
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
    /// Proofs that are looked up at once: each is a socket, and some seconds at worst. Who comes then is told to come back.
    pub lookup_count_max: usize,
}

impl Default for DomainConfig {
    fn default() -> Self {
        Self {
            count_max: 20,
            dns_servers: Vec::new(),
            dns_timeout: Duration::from_secs(5),
            lookup_count_max: 16,
        }
    }
}

/// How coded forms of assets are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Compression {
    /// Bytes of an asset at most; a larger one stays as it is.
    pub size_max: u64,
    /// Bytes up to which an asset has the levels for small ones.
    pub small_size_max: u64,
    /// Levels of brotli (RFC 7932).
    pub brotli: Levels,
    /// Levels of zstd (RFC 8878).
    pub zstd: Levels,
    /// Levels of gzip (RFC 1952).
    pub gzip: Levels,
    /// How long a build waits for coded forms before it goes on without those that are not ready.
    pub wait: Duration,
    /// Processor time for one build; past it, the rest stays as it is.
    pub build_cpu_max: Duration,
    /// Blobs that are coded at once; 0: as many as there are processors.
    pub thread_count_max: usize,
}

/// Levels of one coding; 0: it is not made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Levels {
    /// For small assets.
    pub small: u8,
    /// For larger ones.
    pub large: u8,
}

impl Levels {
    /// The densest level of brotli.
    pub const BROTLI_MAX: u8 = 11;
    /// The densest level of zstd whose window is within the 8 MiB that clients must have (RFC 9659 §3).
    pub const ZSTD_MAX: u8 = 19;
    /// The densest level of gzip.
    pub const GZIP_MAX: u8 = 9;
}

impl Default for Compression {
    fn default() -> Self {
        Self {
            size_max: 16 << 20,
            // brotli 11 runs at about 0.8 MB/s.
            small_size_max: 256 << 10,
            brotli: Levels { small: 11, large: 5 },
            zstd: Levels { small: 19, large: 9 },
            gzip: Levels { small: 9, large: 6 },
            wait: Duration::from_secs(2),
            // Enough for 500 assets of any size with these levels.
            build_cpu_max: Duration::from_secs(600),
            thread_count_max: 0,
        }
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
