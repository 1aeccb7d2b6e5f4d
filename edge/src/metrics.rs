//! Every figure of an edge: registered once, then touched through cached handles.
//!
//! Each edge has a recorder of its own, so that several edges in one process do not add up. Label values come from enums; no path,
//! host, tenant or hash is ever one.

mod listen;
mod tiers;
mod trust;

use crate::serve::Protocol;
use listen::ListenBounds;
use metrics::{
    Counter, Gauge, Histogram, Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge,
    histogram,
};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use skerry_proto::signed_url::TokenError;
use std::sync::atomic::{AtomicU64, Ordering};
use trust::TrustFigures;

pub use tiers::{GiveFigures, GiveRefusal, TierFigures, UpstreamFailure, UpstreamFigures, UpstreamKind};

/// Buckets of durations, seconds: a memory hit takes microseconds, a large download minutes.
const DURATION_BUCKETS: [f64; 16] =
    [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0, 300.0];

/// How a listener's connection attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HandshakeOutcome {
    /// TLS 1.3 over TCP.
    Tls13,
    /// TLS 1.2 over TCP.
    Tls12,
    /// QUIC.
    Quic,
    /// It failed.
    Failed,
    /// It took too long.
    TimedOut,
}

/// Where the first byte of a response came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CacheResult {
    /// No slice was needed: an error, HEAD, 304, an empty asset.
    None,
    /// Memory.
    Memory,
    /// Disk.
    Disk,
    /// An upstream.
    Miss,
    /// A neighbour, whose slice it is.
    Neighbour,
}

/// Where bytes came from that did not verify.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IntegritySource {
    /// The disk cache.
    Disk,
    /// An upstream.
    Upstream,
    /// A signed document.
    Document,
}

/// Why a slice is not written to disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SkipReason {
    /// It was asked for once, and there is no room or no budget for such.
    NotWorthIt,
    /// Too much waited to be written.
    QueueFull,
    /// The disk did not keep it.
    DiskFailed,
    /// The disk takes no writes.
    DiskAway,
}

/// What was done with the disk of the cache when it failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DiskOperation {
    /// Opening it.
    Open,
    /// Reading.
    Read,
    /// Writing.
    Write,
}

/// Which bound turned a fill away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FillBound {
    /// Fills of all clients.
    All,
    /// Fills of one client.
    Client,
}

/// What a signature came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignatureResult {
    /// It let its sender in.
    Valid,
    /// Of somebody else, or of something else.
    Wrong,
    /// Not to be read.
    Malformed,
    /// What it is checked with is not here yet.
    NoSecrets,
}

/// What a request for a protected asset showed, and what that came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AccessResult {
    /// Nothing.
    Missing,
    /// `X-Twilio-Signature`.
    Signature(SignatureResult),
    /// The token of a signed URL.
    Token(Result<(), TokenError>),
}

/// What a client was cut off for, or refused by the listeners.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CutOff {
    /// An HTTP/1.1 request that is malformed or has two readings, or a malformed HTTP/2 frame.
    Malformed,
    /// A request target past the bound.
    TargetTooLong,
    /// The head of a request past the bound.
    HeadTooLarge,
    /// A head that did not come to its end in time.
    Head,
    /// Too many frames that are no requests, or requests taken back.
    Flood,
    /// A response that was taken too slowly.
    Slow,
    /// The body of a request past the bound on what is read of one.
    BodyTooLarge,
    /// A stream of HTTP/2 past the bound on the open ones of its connection.
    TooManyStreams,
}

/// Figures of a bound.
#[derive(Debug)]
pub struct BoundFigures {
    /// What is in use; for an address, of the busiest one.
    pub used: Gauge,
    /// The bound.
    pub max: Gauge,
    /// What was refused because the bound was reached.
    pub refused: Counter,
}

impl BoundFigures {
    fn register(name: &str, what: &str, unit: Unit) -> Self {
        let (max, refused) = (format!("{name}_max"), format!("{name}_refused_total"));
        describe_gauge!(name.to_owned(), unit, what.to_owned());
        describe_gauge!(max.clone(), unit, format!("Bound on that: {what}"));
        describe_counter!(refused.clone(), format!("Refused at the bound: {what}"));
        Self { used: gauge!(name.to_owned()), max: gauge!(max), refused: counter!(refused) }
    }
}

/// Handles to the figures of one edge.
pub struct Metrics {
    handle: PrometheusHandle,
    /// Requests by cache result: what recorded counters do not tell again.
    answered: [AtomicU64; 5],
    requests: [[[Counter; 5]; 5]; 3],
    response_bytes: [Counter; 3],
    request_duration: [Histogram; 3],
    time_to_first_byte: [Histogram; 3],
    handshakes: [Counter; 5],
    cut_offs: [Counter; 8],
    /// Open connections, TCP and QUIC.
    pub connections: BoundFigures,
    /// Those of one address.
    pub address_connections: BoundFigures,
    /// Requests whose responses are under way.
    pub requests_in_flight: BoundFigures,
    /// Those of one address.
    pub address_requests_in_flight: BoundFigures,
    /// Bytes that those responses may hold.
    pub bytes_in_flight: BoundFigures,
    /// Those of one address.
    pub address_bytes_in_flight: BoundFigures,
    /// Connections closed for want of a request.
    pub idle_closes: Counter,
    /// Bounds on one connection or request.
    pub listen_bounds: ListenBounds,
    access_missing: Counter,
    access_signatures: [Counter; 4],
    access_tokens_valid: Counter,
    access_tokens_refused: [Counter; TokenError::ALL.len()],
    /// Tokens of signed URLs that are remembered.
    pub tokens: Gauge,
    /// Bound of [`Self::tokens`].
    pub tokens_max: Gauge,
    /// Slices that came from an upstream and verified.
    pub fill_slices: Counter,
    /// Their bytes.
    pub fill_bytes: Counter,
    /// Fills that failed.
    pub fill_errors: Counter,
    /// Fills under way.
    pub fills_in_flight: Gauge,
    /// Bound of [`Self::fills_in_flight`].
    pub fills_in_flight_max: Gauge,
    /// Most fills that one client has under way.
    pub client_fills_in_flight: Gauge,
    /// Bound of [`Self::client_fills_in_flight`].
    pub client_fills_in_flight_max: Gauge,
    fill_refusals: [Counter; 2],
    /// Fills that were stopped because nobody awaited them any more.
    pub fills_abandoned: Counter,
    /// Requests answered by the failure of a fill that was a moment ago.
    pub fill_failures_recalled: Counter,
    /// Bytes that were pulled ahead of a deployment.
    pub warm_bytes: Counter,
    /// Duration of fills, seconds.
    pub fill_duration: Histogram,
    /// What is asked of each kind of upstream, and given to other edges.
    pub tiers: TierFigures,
    integrity_failures: [Counter; 3],
    /// Bytes of slices in memory.
    pub cache_memory_bytes: Gauge,
    /// Bound of [`Self::cache_memory_bytes`].
    pub cache_memory_bytes_max: Gauge,
    /// Bytes of disk that hold slices.
    pub cache_disk_bytes: Gauge,
    /// Bound of [`Self::cache_disk_bytes`].
    pub cache_disk_bytes_max: Gauge,
    /// Bytes of slices that were written to disk.
    pub cache_disk_written_bytes: Counter,
    /// 1 while the disk tier can be read.
    pub cache_disk_readable: Gauge,
    /// 1 while the disk tier can be written.
    pub cache_disk_writable: Gauge,
    /// Slices that are read from disk.
    pub cache_disk_reads: BoundFigures,
    cache_disk_errors: [Counter; 3],
    /// Slices that the cache library dropped because a buffer of its own was full.
    pub cache_disk_overflows: Counter,
    /// Bytes that wait to be written to disk.
    pub cache_write_pending_bytes: Gauge,
    /// Bound of [`Self::cache_write_pending_bytes`].
    pub cache_write_pending_bytes_max: Gauge,
    cache_write_skipped: [Counter; 4],
    /// Newest revision that this edge shows.
    pub watch_revision: Gauge,
    /// Epoch of that revision.
    pub watch_epoch: Gauge,
    /// 1 while the watch stream is up.
    pub watch_connected: Gauge,
    /// Pointers that were refused.
    pub watch_refused: Counter,
    /// Keys and certificates.
    pub trust: TrustFigures,
    /// Seconds that the lease still runs; negative when it is over.
    pub lease_remaining: Gauge,
    /// Environments that this edge shows.
    pub environments: Gauge,
    /// Bytes that manifests and histories take in memory.
    pub documents_bytes: Gauge,
    /// Bound on them.
    pub documents_bytes_max: Gauge,
}

impl Metrics {
    /// Registers every series.
    ///
    /// # Errors
    /// Only when the buckets are empty, which they are not.
    pub fn new(edge_name: &str) -> Result<Self, BuildError> {
        let builder = PrometheusBuilder::new()
            .set_buckets_for_metric(Matcher::Suffix("_seconds".into()), &DURATION_BUCKETS)?
            .add_global_label("edge", edge_name);
        let recorder = builder.build_recorder();
        let handle = recorder.handle();
        Ok(metrics::with_local_recorder(&recorder, || Self::register(handle)))
    }

    /// Renders all figures in the Prometheus text format, and drains histograms.
    pub fn handle(&self) -> PrometheusHandle {
        self.handle.clone()
    }

    /// Counts a response whose head was decided.
    pub fn request(&self, protocol: Protocol, status: http::StatusCode, cache: CacheResult) {
        let class = usize::from(status.as_u16() / 100).clamp(1, 5) - 1;
        self.requests[protocol as usize][class][cache as usize].increment(1);
        self.answered[cache as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// Requests that were answered so far, by [`CacheResult`].
    pub fn answered(&self) -> [u64; 5] {
        self.answered.each_ref().map(|count| count.load(Ordering::Relaxed))
    }

    /// Counts a response that ended: bytes of its body that were handed to the connection, and times in seconds.
    pub fn response(&self, protocol: Protocol, bytes: u64, first_byte: f64, duration: f64) {
        self.response_bytes[protocol as usize].increment(bytes);
        self.time_to_first_byte[protocol as usize].record(first_byte);
        self.request_duration[protocol as usize].record(duration);
    }

    /// Counts a handshake.
    pub fn handshake(&self, outcome: HandshakeOutcome) {
        self.handshakes[outcome as usize].increment(1);
    }

    /// Counts what a request for a protected asset showed.
    pub fn access(&self, result: AccessResult) {
        match result {
            AccessResult::Missing => &self.access_missing,
            AccessResult::Signature(result) => &self.access_signatures[result as usize],
            AccessResult::Token(Ok(())) => &self.access_tokens_valid,
            AccessResult::Token(Err(error)) => &self.access_tokens_refused[error as usize],
        }
        .increment(1);
    }

    /// Counts a client that was cut off.
    pub fn cut_off(&self, reason: CutOff) {
        self.cut_offs[reason as usize].increment(1);
    }

    /// Counts bytes that did not verify, and so were dropped.
    pub fn integrity_failure(&self, source: IntegritySource) {
        self.integrity_failures[source as usize].increment(1);
    }

    /// Counts a slice that is not written to disk.
    pub fn write_skipped(&self, reason: SkipReason) {
        self.cache_write_skipped[reason as usize].increment(1);
    }

    /// Counts a failure of the cache's disk.
    pub fn disk_error(&self, operation: DiskOperation) {
        self.cache_disk_errors[operation as usize].increment(1);
    }

    /// Counts a fill that was turned away at a bound.
    pub fn fill_refused(&self, bound: FillBound) {
        self.fill_refusals[bound as usize].increment(1);
    }

    #[expect(clippy::too_many_lines, reason = "one line for each figure, in one place")]
    fn register(handle: PrometheusHandle) -> Self {
        describe_counter!(
            "skerry_edge_requests_total",
            "Requests by protocol, status class and cache result"
        );
        describe_counter!("skerry_edge_response_bytes_total", Unit::Bytes, "Body bytes sent, by protocol");
        describe_histogram!(
            "skerry_edge_request_duration_seconds",
            Unit::Seconds,
            "From the head of a request to the end of its response"
        );
        describe_histogram!(
            "skerry_edge_time_to_first_byte_seconds",
            Unit::Seconds,
            "From the head of a request to the head of its response"
        );
        describe_counter!("skerry_edge_handshakes_total", "TLS and QUIC handshakes by outcome");
        describe_counter!(
            "skerry_edge_cut_offs_total",
            "Clients cut off or refused by the listeners, by reason"
        );
        describe_counter!("skerry_edge_idle_closes_total", "Connections closed for want of a request");
        describe_counter!(
            "skerry_edge_access_total",
            "What requests for protected assets showed, by scheme and result"
        );
        describe_gauge!("skerry_edge_tokens", "Verified tokens of signed URLs that are remembered");
        describe_gauge!("skerry_edge_tokens_max", "Bound on remembered tokens of signed URLs");
        describe_counter!("skerry_edge_fill_slices_total", "Slices received from an upstream and verified");
        describe_counter!(
            "skerry_edge_fill_bytes_total",
            Unit::Bytes,
            "Bytes received from an upstream and verified"
        );
        describe_counter!("skerry_edge_fill_errors_total", "Fills that failed");
        describe_gauge!("skerry_edge_fills_in_flight", "Fills under way");
        describe_gauge!("skerry_edge_fills_in_flight_max", "Bound on fills under way");
        describe_gauge!("skerry_edge_client_fills_in_flight", "Most fills under way for one client");
        describe_gauge!("skerry_edge_client_fills_in_flight_max", "Bound on fills under way for one client");
        describe_counter!(
            "skerry_edge_fill_refusals_total",
            "Fills that waited for their turn in vain, by bound"
        );
        describe_counter!(
            "skerry_edge_fills_abandoned_total",
            "Fills stopped because nobody awaited them any more"
        );
        describe_counter!(
            "skerry_edge_fill_failures_recalled_total",
            "Lookups answered by a fill of the same blob that failed a moment ago"
        );
        describe_counter!("skerry_edge_warm_bytes_total", Unit::Bytes, "Bytes pulled ahead of deployments");
        describe_histogram!("skerry_edge_fill_duration_seconds", Unit::Seconds, "Duration of fills");
        describe_counter!(
            "skerry_edge_integrity_failures_total",
            "Bytes dropped because they did not verify, by source"
        );
        describe_gauge!("skerry_edge_cache_memory_bytes", Unit::Bytes, "Slices held in memory");
        describe_gauge!("skerry_edge_cache_write_pending_bytes", Unit::Bytes, "Slices on their way to disk");
        describe_gauge!(
            "skerry_edge_cache_write_pending_bytes_max",
            Unit::Bytes,
            "Bound on slices on their way"
        );
        describe_counter!("skerry_edge_cache_write_skipped_total", "Slices kept in memory only, by reason");
        describe_gauge!("skerry_edge_cache_memory_bytes_max", Unit::Bytes, "Bound on slices held in memory");
        describe_gauge!(
            "skerry_edge_cache_disk_bytes",
            Unit::Bytes,
            "Disk that holds slices, in whole blocks"
        );
        describe_gauge!("skerry_edge_cache_disk_bytes_max", Unit::Bytes, "Bound on disk that holds slices");
        describe_counter!(
            "skerry_edge_cache_disk_written_bytes_total",
            Unit::Bytes,
            "Slices written to disk"
        );
        describe_gauge!("skerry_edge_cache_disk_readable", "1 while the disk cache can be read");
        describe_gauge!("skerry_edge_cache_disk_writable", "1 while the disk cache can be written");
        describe_counter!(
            "skerry_edge_cache_disk_errors_total",
            "Failures of the cache's disk, by operation"
        );
        describe_counter!(
            "skerry_edge_cache_disk_overflows_total",
            "Slices that the cache library dropped because a buffer was full"
        );
        describe_gauge!("skerry_edge_watch_revision", "Newest revision that this edge shows");
        describe_gauge!("skerry_edge_watch_epoch", "Epoch of the newest revision");
        describe_gauge!("skerry_edge_watch_connected", "1 while the watch stream is up");
        describe_counter!(
            "skerry_edge_watch_refused_total",
            "Pointers refused: unsigned, malformed, or not newer"
        );
        describe_gauge!(
            "skerry_edge_lease_remaining_seconds",
            Unit::Seconds,
            "Time that the lease still runs; negative when over"
        );
        describe_gauge!("skerry_edge_environments", "Environments that this edge shows");
        describe_gauge!("skerry_edge_documents_bytes", Unit::Bytes, "Manifests and histories in memory");
        describe_gauge!("skerry_edge_documents_bytes_max", Unit::Bytes, "Bound on them");
        describe_gauge!("skerry_build_info", "Constant 1, with the version as a label");
        gauge!("skerry_build_info", "version" => env!("CARGO_PKG_VERSION"), "role" => "edge").set(1.0);

        let access =
            |scheme, result| counter!("skerry_edge_access_total", "scheme" => scheme, "result" => result);
        const PROTOCOLS: [&str; 3] = ["h1", "h2", "h3"];
        const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];
        const CACHE: [&str; 5] = ["none", "memory", "disk", "miss", "neighbour"];
        Self {
            handle,
            answered: Default::default(),
            requests: PROTOCOLS.map(|protocol| {
                CLASSES.map(|class| {
                    CACHE.map(|cache| {
                        counter!("skerry_edge_requests_total", "protocol" => protocol, "status_class" => class, "cache" => cache)
                    })
                })
            }),
            response_bytes: PROTOCOLS.map(|protocol| counter!("skerry_edge_response_bytes_total", "protocol" => protocol)),
            request_duration: PROTOCOLS.map(|protocol| histogram!("skerry_edge_request_duration_seconds", "protocol" => protocol)),
            time_to_first_byte: PROTOCOLS.map(|protocol| histogram!("skerry_edge_time_to_first_byte_seconds", "protocol" => protocol)),
            handshakes: ["tls13", "tls12", "quic", "failed", "timed_out"]
                .map(|outcome| counter!("skerry_edge_handshakes_total", "outcome" => outcome)),
            cut_offs: ["malformed", "target_too_long", "head_too_large", "head_timeout", "flood", "slow", "body_too_large", "too_many_streams"]
                .map(|reason| counter!("skerry_edge_cut_offs_total", "reason" => reason)),
            connections: BoundFigures::register("skerry_edge_connections", "open client connections", Unit::Count),
            address_connections: BoundFigures::register(
                "skerry_edge_address_connections",
                "open client connections of one address; in use: of the busiest",
                Unit::Count,
            ),
            requests_in_flight: BoundFigures::register(
                "skerry_edge_requests_in_flight",
                "requests whose responses are under way",
                Unit::Count,
            ),
            address_requests_in_flight: BoundFigures::register(
                "skerry_edge_address_requests_in_flight",
                "requests of one address whose responses are under way; in use: of the busiest",
                Unit::Count,
            ),
            bytes_in_flight: BoundFigures::register(
                "skerry_edge_bytes_in_flight",
                "bytes that responses under way may hold",
                Unit::Bytes,
            ),
            address_bytes_in_flight: BoundFigures::register(
                "skerry_edge_address_bytes_in_flight",
                "bytes that responses under way to one address may hold; in use: of the busiest",
                Unit::Bytes,
            ),
            idle_closes: counter!("skerry_edge_idle_closes_total"),
            listen_bounds: ListenBounds::register(),
            access_missing: access("none", "missing"),
            access_signatures: ["valid", "signature_wrong", "signature_malformed", "secrets_unknown"]
                .map(|result| access("signature", result)),
            access_tokens_valid: access("token", "valid"),
            access_tokens_refused: TokenError::ALL.map(|error| access("token", error.code())),
            tokens: gauge!("skerry_edge_tokens"),
            tokens_max: gauge!("skerry_edge_tokens_max"),
            fill_slices: counter!("skerry_edge_fill_slices_total"),
            fill_bytes: counter!("skerry_edge_fill_bytes_total"),
            fill_errors: counter!("skerry_edge_fill_errors_total"),
            fills_in_flight: gauge!("skerry_edge_fills_in_flight"),
            fills_in_flight_max: gauge!("skerry_edge_fills_in_flight_max"),
            client_fills_in_flight: gauge!("skerry_edge_client_fills_in_flight"),
            client_fills_in_flight_max: gauge!("skerry_edge_client_fills_in_flight_max"),
            fill_refusals: ["all", "client"]
                .map(|bound| counter!("skerry_edge_fill_refusals_total", "bound" => bound)),
            fills_abandoned: counter!("skerry_edge_fills_abandoned_total"),
            fill_failures_recalled: counter!("skerry_edge_fill_failures_recalled_total"),
            warm_bytes: counter!("skerry_edge_warm_bytes_total"),
            fill_duration: histogram!("skerry_edge_fill_duration_seconds"),
            tiers: TierFigures::register(),
            integrity_failures: ["disk", "upstream", "document"]
                .map(|source| counter!("skerry_edge_integrity_failures_total", "source" => source)),
            cache_memory_bytes: gauge!("skerry_edge_cache_memory_bytes"),
            cache_write_pending_bytes: gauge!("skerry_edge_cache_write_pending_bytes"),
            cache_write_pending_bytes_max: gauge!("skerry_edge_cache_write_pending_bytes_max"),
            cache_write_skipped: ["not_worth_it", "queue_full", "disk_failed", "disk_away"]
                .map(|reason| counter!("skerry_edge_cache_write_skipped_total", "reason" => reason)),
            cache_memory_bytes_max: gauge!("skerry_edge_cache_memory_bytes_max"),
            cache_disk_bytes: gauge!("skerry_edge_cache_disk_bytes"),
            cache_disk_bytes_max: gauge!("skerry_edge_cache_disk_bytes_max"),
            cache_disk_written_bytes: counter!("skerry_edge_cache_disk_written_bytes_total"),
            cache_disk_readable: gauge!("skerry_edge_cache_disk_readable"),
            cache_disk_writable: gauge!("skerry_edge_cache_disk_writable"),
            cache_disk_reads: BoundFigures::register(
                "skerry_edge_cache_disk_reads_in_flight",
                "slices that are read from the disk cache",
                Unit::Count,
            ),
            cache_disk_errors: ["open", "read", "write"]
                .map(|operation| counter!("skerry_edge_cache_disk_errors_total", "operation" => operation)),
            cache_disk_overflows: counter!("skerry_edge_cache_disk_overflows_total"),
            watch_revision: gauge!("skerry_edge_watch_revision"),
            watch_epoch: gauge!("skerry_edge_watch_epoch"),
            watch_connected: gauge!("skerry_edge_watch_connected"),
            watch_refused: counter!("skerry_edge_watch_refused_total"),
            trust: TrustFigures::register(),
            lease_remaining: gauge!("skerry_edge_lease_remaining_seconds"),
            environments: gauge!("skerry_edge_environments"),
            documents_bytes: gauge!("skerry_edge_documents_bytes"),
            documents_bytes_max: gauge!("skerry_edge_documents_bytes_max"),
        }
    }
}

impl std::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}
