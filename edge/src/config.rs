//! What an edge needs to know before it starts. Reading files, environment and flags is the program's task.

use crate::network::Network;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use skerry_proto::join::JoinToken;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// How an edge is set up.
#[derive(Debug, Clone)]
pub struct EdgeConfig {
    /// What people call this edge.
    pub name: String,
    /// Addresses of the HTTPS listeners, TCP and UDP. With port 0 the first one picks a free port, which the others then use too.
    pub https_addresses: Vec<SocketAddr>,
    /// Certificate and key of the HTTPS listeners.
    pub identity: Arc<ServerIdentity>,
    /// Port of the HTTPS listeners as clients see it, for `Alt-Svc`; the bound one where it is `None`.
    pub public_port: Option<u16>,
    /// Domain that a request for no known host shows. Only for development, on loopback.
    pub fallback_domain: Option<String>,
    /// Threads that serve connections, each with listening sockets and a runtime of its own.
    pub worker_count: usize,
    /// Memory and disk for slices.
    pub cache: CacheConfig,
    /// Bounds on what is asked of upstreams.
    pub fills: FillLimits,
    /// Whom fills ask beside the origin.
    pub tiers: TierConfig,
    /// What other edges are given.
    pub give: GiveConfig,
    /// What is pulled before the edge is ready.
    pub ready: ReadyConfig,
    /// Bytes of memory for manifests and histories.
    pub documents_size_max: u64,
    /// Bounds on what clients may take up.
    pub limits: ListenLimits,
    /// How requests are answered.
    pub serve: ServeConfig,
    /// Whether what signatures are checked with is kept on disk, too: then a restarted edge need not wait for its origin, and a
    /// stolen disk can sign.
    pub secrets_on_disk: bool,
    /// How long the lease lasts after the ping that was answered; the same number as at the origin.
    pub lease: Duration,
    /// How long requests may take to finish at a stop.
    pub drain_time_max: Duration,
}

/// Where an edge gets everything from.
#[derive(Debug, Clone)]
pub struct OriginAddress {
    /// URL of the origin's gRPC listener, `https://host:port`.
    pub url: String,
    /// Needed once, by an edge that has no certificate yet.
    pub join_token: Option<JoinToken>,
}

/// A certificate chain and its private key.
pub struct ServerIdentity {
    /// Leaf first.
    pub chain: Vec<CertificateDer<'static>>,
    /// Key of the leaf.
    pub key: PrivateKeyDer<'static>,
}

impl std::fmt::Debug for ServerIdentity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ServerIdentity").field("certificates", &self.chain.len()).finish_non_exhaustive()
    }
}

/// Memory and disk for slices.
#[derive(Debug, Clone, Copy)]
pub struct CacheConfig {
    /// Bytes of slices in memory.
    pub memory_size: u64,
    /// Bytes of those for slices that neighbours own; 0 without neighbours.
    pub borrowed_size: u64,
    /// Bytes on disk; at least [`crate::cache::DISK_SIZE_MIN`].
    pub disk_size: u64,
    /// Bytes on their way to disk.
    pub write_buffer_size: u64,
    /// Slices that are read from disk at once.
    pub disk_read_count_max: usize,
    /// Bytes a second that are written to disk for what was asked for once.
    pub write_rate_max: u64,
    /// What goes to disk.
    pub admission: AdmissionPolicy,
}

/// What is worth a write to disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AdmissionPolicy {
    /// Everything, whatever it pushes out.
    All,
    /// Everything while there is room and the write rate allows it; beyond that, what was asked for twice.
    Room,
    /// Only what was asked for twice.
    Twice,
}

/// Bounds on what is asked of upstreams.
#[derive(Debug, Clone, Copy)]
pub struct FillLimits {
    /// Fills under way in all.
    pub fill_count_max: usize,
    /// Fills under way for one client: an IPv4 address, or an IPv6 network of 64 bits.
    pub client_fill_count_max: usize,
    /// How long a fill waits for its turn.
    pub wait_time_max: Duration,
    /// After a fill that failed, the time in which nobody is asked for that blob again.
    pub retry_pause: Duration,
}

/// Whom fills ask beside the origin.
#[derive(Debug, Clone)]
pub struct TierConfig {
    /// Upstreams, in order; the origin comes last where it is not named.
    pub upstreams: Vec<UpstreamAddress>,
    /// `HOST:PORT` of edges in the same place. A name may have many addresses, and this edge's own may be among them.
    pub neighbours: Vec<String>,
    /// How often the names of neighbours are resolved.
    pub resolve_interval: Duration,
    /// How long a shield may take to take a question; four times that for each message of its answer.
    pub shield_answer_time_max: Duration,
    /// The same for a neighbour.
    pub neighbour_answer_time_max: Duration,
    /// How long an upstream that fails again and again is not asked.
    pub bench_time_max: Duration,
    /// How long one is not asked that sent what does not verify.
    pub liar_bench_time: Duration,
}

/// An upstream, as an operator names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UpstreamAddress {
    /// The origin.
    Origin,
    /// `HOST:PORT` of the fill listener of an edge.
    Shield(String),
}

/// What an edge pulls of what it, or its neighbours, were asked for most, before it says that it is ready.
#[derive(Debug, Clone, Copy)]
pub struct ReadyConfig {
    /// Of 100; 0: nothing.
    pub share_percent: u8,
    /// Bytes.
    pub size_max: u64,
    /// After this it is ready in any case.
    pub time_max: Duration,
}

/// What other edges are given.
#[derive(Debug, Clone)]
pub struct GiveConfig {
    /// Addresses of the fill listener; none: this edge gives nothing to others.
    pub addresses: Vec<SocketAddr>,
    /// Connections.
    pub connection_count_max: usize,
    /// Fills under way.
    pub fill_count_max: usize,
    /// Those of one edge.
    pub edge_fill_count_max: usize,
    /// Bytes of slices on their way.
    pub byte_count_max: u64,
    /// Those on their way to one edge.
    pub edge_byte_count_max: u64,
}

/// Bounds on what clients may take up.
#[derive(Debug, Clone, Copy)]
pub struct ListenLimits {
    /// What all clients together may take up.
    pub all: QuotaLimits,
    /// What one address may take up: an IPv4 address, or an IPv6 /64.
    pub address: QuotaLimits,
    /// Streams that one HTTP/2 or HTTP/3 connection may have open.
    pub stream_count_max: u32,
    /// Bytes of a request target.
    pub target_size_max: usize,
    /// Bytes of the head of a request.
    pub head_size_max: usize,
    /// Bytes of a request's body that are read: for the signature of a POST, and so that an answer is not lost to who still sends.
    pub body_size_max: usize,
    /// Credit of a connection for HTTP/2 frames that are no requests, and for requests that are taken back.
    pub frame_credit_max: u64,
    /// Time for a TLS handshake.
    pub handshake_time_max: Duration,
    /// Time for the head of a request.
    pub head_time_max: Duration,
    /// Time without a request after which a connection is closed.
    pub idle_time_max: Duration,
    /// Bytes in a second that a client must take of what it asked for.
    pub rate_min: u64,
    /// How long a client may fall behind that.
    pub rate_time_max: Duration,
}

/// Bounds on what may be taken up at once.
#[derive(Debug, Clone, Copy)]
pub struct QuotaLimits {
    /// Connections, TCP and QUIC together.
    pub connection_count_max: u64,
    /// Requests whose responses are under way.
    pub request_count_max: u64,
    /// Bytes that those responses may hold: of each its rest, but no more than a slice.
    pub byte_count_max: u64,
}

/// How requests are answered.
#[derive(Debug, Clone)]
pub struct ServeConfig {
    /// What browsers are told of HTTPS (RFC 6797); nothing where its time is zero.
    pub hsts: Hsts,
    /// Tokens of signed URLs that are remembered once they were verified.
    pub token_count_max: usize,
    /// Proxies before this edge: what they say of scheme, host and port counts.
    pub trusted_peers: Vec<Network>,
}

/// HTTP Strict Transport Security (RFC 6797).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Hsts {
    /// For how long browsers are to use HTTPS alone for a host that they have seen.
    pub max_age: Duration,
    /// Whether that counts for all names below the host, too.
    pub include_subdomains: bool,
    /// Whether browsers may be shipped with it. Cannot be taken back in less than months.
    pub preload: bool,
}

impl Hsts {
    /// The least time with which browsers' lists take a host.
    pub const PRELOAD_MAX_AGE_MIN: Duration = Duration::from_secs(365 * 24 * 60 * 60);

    /// Whether the lists would take what is said here, if it asks for that.
    pub fn is_fit_for_preload(&self) -> bool {
        !self.preload || (self.include_subdomains && self.max_age >= Self::PRELOAD_MAX_AGE_MIN)
    }
}

impl Default for ServeConfig {
    fn default() -> Self {
        Self { hsts: Hsts::default(), token_count_max: 1000, trusted_peers: Vec::new() }
    }
}

impl Default for ListenLimits {
    fn default() -> Self {
        Self {
            all: QuotaLimits {
                connection_count_max: 10_000,
                request_count_max: 20_000,
                // 8,192 large responses.
                byte_count_max: 2 << 30,
            },
            // Hundreds of people may share one address of a network operator; one liar fills a tenth of the slots.
            address: QuotaLimits {
                connection_count_max: 1024,
                request_count_max: 4096,
                byte_count_max: 512 << 20,
            },
            stream_count_max: 128,
            // RFC 9112 §3 asks for 8,000 at least.
            target_size_max: 8 << 10,
            // Enough for a signed URL and the cookies of an unlucky neighbour on the same host name.
            head_size_max: 16 << 10,
            // Forms of webhooks have a few kilobytes.
            body_size_max: 64 << 10,
            // A page that is left takes back a few hundred requests at once.
            frame_credit_max: 4096,
            handshake_time_max: Duration::from_secs(10),
            head_time_max: Duration::from_secs(10),
            idle_time_max: Duration::from_secs(75),
            // The worst of modems.
            rate_min: 1 << 10,
            rate_time_max: Duration::from_secs(30),
        }
    }
}

impl Default for CacheConfig {
    fn default() -> Self {
        Self {
            memory_size: 256 << 20,
            borrowed_size: 0,
            disk_size: 10 << 30,
            write_buffer_size: 32 << 20,
            disk_read_count_max: 16,
            write_rate_max: 100 << 20,
            admission: AdmissionPolicy::Room,
        }
    }
}

impl Default for FillLimits {
    fn default() -> Self {
        Self {
            fill_count_max: 128,
            client_fill_count_max: 32,
            wait_time_max: Duration::from_secs(10),
            retry_pause: Duration::from_secs(2),
        }
    }
}

impl Default for TierConfig {
    fn default() -> Self {
        Self {
            upstreams: Vec::new(),
            neighbours: Vec::new(),
            resolve_interval: Duration::from_secs(15),
            shield_answer_time_max: Duration::from_secs(2),
            // In one place an answer takes a millisecond; what is over half a second is paused, or as good as that.
            neighbour_answer_time_max: Duration::from_millis(500),
            bench_time_max: Duration::from_secs(60),
            liar_bench_time: Duration::from_secs(600),
        }
    }
}

impl Default for ReadyConfig {
    fn default() -> Self {
        // In 30 s a line of 100 Mbit/s brings 375 MB.
        Self { share_percent: 80, size_max: 256 << 20, time_max: Duration::from_secs(30) }
    }
}

impl Default for GiveConfig {
    fn default() -> Self {
        Self {
            addresses: Vec::new(),
            connection_count_max: 1024,
            fill_count_max: 1024,
            edge_fill_count_max: 256,
            byte_count_max: 256 << 20,
            edge_byte_count_max: 64 << 20,
        }
    }
}
