//! Every figure of an origin: registered once, then touched through cached handles.
//!
//! Each origin has a recorder of its own, so that several roles in one process do not add up. Label values come from enums; no
//! path, tenant or hash is ever one.

mod fleet;

use crate::coding::Coding;
use crate::sockets::ConnectionFigures;
use fleet::FleetFigures;
use metrics::{
    Counter, Gauge, Histogram, Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge,
    histogram,
};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use skerry_proto::pointer::Version;

/// Buckets of durations, seconds: a small upload takes milliseconds, a large one over a slow line minutes.
const DURATION_BUCKETS: [f64; 12] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0, 300.0];

/// How an upload ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum UploadOutcome {
    /// Durable.
    Stored,
    /// It broke a rule.
    Refused,
    /// The client went away.
    Aborted,
    /// The origin failed.
    Failed,
}

/// Why a call was not let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AuthFailure {
    /// No edge certificate, or one that is not enrolled.
    Certificate,
    /// The certificate of an expelled edge.
    Expelled,
    /// No account token, or a wrong one.
    Token,
    /// An account that is not the operator's.
    Operator,
    /// An unknown, used or expired join token.
    JoinToken,
    /// A certificate that has expired, or a proof that does not renew one.
    Expired,
    /// Too many wrong tokens before.
    TooMany,
}

/// What came of looking for the proof of a domain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DomainProof {
    /// It is there.
    Proven,
    /// It is not there, or does not do.
    Refused,
    /// It could not be looked for.
    Failed,
}

/// How the compression of a build that did not wait for it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DerivationEnd {
    /// Everything was made, and is shown.
    Joined,
    /// The build has had its processor time.
    OutOfTime,
    /// It failed too often.
    Failed,
}

/// Handles to the figures of one origin.
pub(crate) struct Metrics {
    handle: PrometheusHandle,
    uploads: [Counter; 4],
    upload_bytes: Counter,
    upload_duration: Histogram,
    auth_failures: [Counter; 7],
    api_requests: [Counter; 4],
    domain_proofs: [Counter; 3],
    coded: [[Counter; 2]; 3],
    derivations_ended: [Counter; 3],
    /// Builds that compressed forms are still to join.
    pub(crate) derivations: Gauge,
    revision: Gauge,
    epoch: Gauge,
    deployments: Counter,
    /// Commits that were asked for, by whether they succeeded.
    pub(crate) commits_live: Counter,
    /// Commits that were refused or failed.
    pub(crate) commits_refused: Counter,
    /// Blobs that are being compressed.
    pub(crate) coders: Gauge,
    /// Bound of [`Self::coders`].
    pub(crate) coders_max: Gauge,
    /// Watch streams that are up.
    pub(crate) edges_connected: Gauge,
    /// Pointers that an edge refused.
    pub(crate) watch_refusals: Counter,
    /// Who is enrolled, and by which keys.
    pub(crate) fleet: FleetFigures,
    /// Fills that were asked for.
    pub(crate) fills: Counter,
    /// Bytes of slices handed to edges.
    pub(crate) fill_bytes: Counter,
    /// Deployments that edges are being warmed for.
    pub(crate) warmings: Gauge,
    /// Those that were refused because too many were under way.
    pub(crate) warmings_refused: Counter,
    /// Fills that failed at the origin.
    pub(crate) fill_errors: Counter,
    /// Proofs of domains that are being looked up.
    pub(crate) dns_lookups: Gauge,
    /// Bound of [`Self::dns_lookups`].
    pub(crate) dns_lookups_max: Gauge,
    /// Proofs that were not looked up because of it.
    pub(crate) dns_lookups_refused: Counter,
    /// Addresses with wrong tokens that are remembered.
    pub(crate) auth_entries: Gauge,
    /// Bound of [`Self::auth_entries`].
    pub(crate) auth_entries_max: Gauge,
    /// Blobs that are stored.
    pub(crate) blobs: Gauge,
    /// Their bytes.
    pub(crate) blob_bytes: Gauge,
    /// gRPC connections.
    pub(crate) connections: ConnectionFigures,
    /// Calls of the REST API without a token or key, or with a wrong one.
    pub(crate) api_auth_failures: Counter,
    /// Connections of the REST API.
    pub(crate) api_connections: ConnectionFigures,
    /// Bytes that the parameters of a request may have.
    pub(crate) api_form_size_max: Gauge,
    /// Requests whose parameters had more.
    pub(crate) api_form_refusals: Counter,
    /// API keys that were not made because the account has as many as it may.
    pub(crate) api_key_refusals: Counter,
    /// Uploads that have their turn.
    pub(crate) uploads_active: Gauge,
    /// Bound of [`Self::uploads_active`].
    pub(crate) uploads_active_max: Gauge,
    /// Uploads that waited too long.
    pub(crate) upload_refusals: Counter,
    /// Builds that were begun over REST and are not finished.
    pub(crate) builds: Gauge,
    /// Bound of [`Self::builds`].
    pub(crate) builds_max: Gauge,
    /// Builds that were refused because too many are not finished.
    pub(crate) build_refusals: Counter,
}

impl Metrics {
    /// Registers every series.
    ///
    /// # Errors
    /// Only when the buckets are empty, which they are not.
    pub(crate) fn new() -> Result<Self, BuildError> {
        let recorder = PrometheusBuilder::new()
            .set_buckets_for_metric(Matcher::Suffix("_seconds".into()), &DURATION_BUCKETS)?
            .build_recorder();
        let handle = recorder.handle();
        Ok(metrics::with_local_recorder(&recorder, || {
            describe();
            Self::register(handle)
        }))
    }

    /// Renders all figures in the Prometheus text format.
    pub(crate) fn handle(&self) -> PrometheusHandle {
        self.handle.clone()
    }

    /// Counts an upload that ended.
    pub(crate) fn upload(&self, outcome: UploadOutcome, bytes: u64, seconds: f64) {
        self.uploads[outcome as usize].increment(1);
        self.upload_bytes.increment(bytes);
        self.upload_duration.record(seconds);
    }

    /// Counts a call that was not let in.
    pub(crate) fn auth_failure(&self, kind: AuthFailure) {
        self.auth_failures[kind as usize].increment(1);
    }

    /// Counts that the proof of a domain was looked for.
    pub(crate) fn domain_proof(&self, outcome: DomainProof) {
        self.domain_proofs[outcome as usize].increment(1);
    }

    /// Counts an answer of the REST API by its status.
    pub(crate) fn api_request(&self, status: u16) {
        // The API answers nothing below 200.
        let class = usize::from(status / 100).saturating_sub(2);
        if let Some(counter) = self.api_requests.get(class) {
            counter.increment(1);
        }
    }

    /// Counts a coded form that was made, and whether it is kept.
    pub(crate) fn coded(&self, coding: Coding, is_kept: bool) {
        self.coded[coding as usize][usize::from(is_kept)].increment(1);
    }

    /// Counts a build that compressed forms joined later, or no more will.
    pub(crate) fn derivation_ended(&self, end: DerivationEnd) {
        self.derivations_ended[end as usize].increment(1);
    }

    /// Counts a deployment.
    pub(crate) fn deployed(&self, version: Version) {
        self.deployments.increment(1);
        self.version(version);
    }

    /// Shows the newest version.
    pub(crate) fn version(&self, version: Version) {
        self.revision.set(version.revision as f64);
        self.epoch.set(version.epoch as f64);
    }

    fn register(handle: PrometheusHandle) -> Self {
        gauge!("skerry_build_info", "version" => env!("CARGO_PKG_VERSION"), "role" => "origin").set(1.0);
        let coded = |coding: Coding, outcome| counter!("skerry_origin_codings_total", "coding" => coding.as_str(), "outcome" => outcome);
        let commits = |outcome| counter!("skerry_origin_commits_total", "outcome" => outcome);
        Self {
            handle,
            uploads: ["stored", "refused", "aborted", "failed"]
                .map(|outcome| counter!("skerry_origin_uploads_total", "outcome" => outcome)),
            upload_bytes: counter!("skerry_origin_upload_bytes_total"),
            upload_duration: histogram!("skerry_origin_upload_duration_seconds"),
            auth_failures: [
                "certificate",
                "expelled",
                "token",
                "operator",
                "join_token",
                "expired",
                "too_many",
            ]
            .map(|kind| counter!("skerry_origin_grpc_auth_failures_total", "kind" => kind)),
            api_requests: ["2xx", "3xx", "4xx", "5xx"]
                .map(|class| counter!("skerry_origin_api_requests_total", "class" => class)),
            domain_proofs: ["proven", "refused", "failed"]
                .map(|outcome| counter!("skerry_origin_domain_proofs_total", "outcome" => outcome)),
            coded: Coding::ALL.map(|coding| [coded(coding, "dropped"), coded(coding, "kept")]),
            derivations_ended: ["joined", "out_of_time", "failed"]
                .map(|outcome| counter!("skerry_origin_derivations_total", "outcome" => outcome)),
            derivations: gauge!("skerry_origin_derivations"),
            revision: gauge!("skerry_origin_revision"),
            epoch: gauge!("skerry_origin_epoch"),
            deployments: counter!("skerry_origin_deployments_total"),
            commits_live: commits("live"),
            commits_refused: commits("refused"),
            coders: gauge!("skerry_origin_coders"),
            coders_max: gauge!("skerry_origin_coders_max"),
            edges_connected: gauge!("skerry_origin_edges_connected"),
            watch_refusals: counter!("skerry_origin_watch_refusals_total"),
            fleet: FleetFigures::register(),
            fills: counter!("skerry_origin_fills_total"),
            fill_bytes: counter!("skerry_origin_fill_bytes_total"),
            warmings: gauge!("skerry_origin_warmings"),
            warmings_refused: counter!("skerry_origin_warmings_refused_total"),
            fill_errors: counter!("skerry_origin_fill_errors_total"),
            dns_lookups: gauge!("skerry_origin_dns_lookups"),
            dns_lookups_max: gauge!("skerry_origin_dns_lookups_max"),
            dns_lookups_refused: counter!("skerry_origin_dns_lookups_refused_total"),
            auth_entries: gauge!("skerry_origin_auth_entries"),
            auth_entries_max: gauge!("skerry_origin_auth_entries_max"),
            blobs: gauge!("skerry_origin_blobs"),
            blob_bytes: gauge!("skerry_origin_blob_bytes"),
            connections: ConnectionFigures {
                open: gauge!("skerry_origin_grpc_connections"),
                open_max: gauge!("skerry_origin_grpc_connections_max"),
                pauses: counter!("skerry_origin_grpc_connection_pauses_total"),
            },
            api_auth_failures: counter!("skerry_origin_api_auth_failures_total"),
            api_connections: ConnectionFigures {
                open: gauge!("skerry_origin_api_connections"),
                open_max: gauge!("skerry_origin_api_connections_max"),
                pauses: counter!("skerry_origin_api_connection_pauses_total"),
            },
            api_form_size_max: gauge!("skerry_origin_api_form_size_max_bytes"),
            api_form_refusals: counter!("skerry_origin_api_form_refusals_total"),
            api_key_refusals: counter!("skerry_origin_api_key_refusals_total"),
            uploads_active: gauge!("skerry_origin_uploads_active"),
            uploads_active_max: gauge!("skerry_origin_uploads_active_max"),
            upload_refusals: counter!("skerry_origin_upload_refusals_total"),
            builds: gauge!("skerry_origin_builds"),
            builds_max: gauge!("skerry_origin_builds_max"),
            build_refusals: counter!("skerry_origin_build_refusals_total"),
        }
    }
}

fn describe() {
    describe_counter!("skerry_origin_uploads_total", "Uploads by outcome");
    describe_counter!("skerry_origin_upload_bytes_total", Unit::Bytes, "Bytes that uploads brought");
    describe_histogram!(
        "skerry_origin_upload_duration_seconds",
        Unit::Seconds,
        "From the head of an upload to its end"
    );
    describe_counter!("skerry_origin_grpc_auth_failures_total", "Calls that were not let in, by kind");
    describe_gauge!("skerry_origin_revision", "Newest committed revision");
    describe_gauge!("skerry_origin_epoch", "Epoch of the newest revision");
    describe_counter!("skerry_origin_deployments_total", "Deployments that went live");
    describe_counter!("skerry_origin_commits_total", "Commits by outcome");
    describe_counter!(
        "skerry_origin_codings_total",
        "Blobs that were compressed, by coding, and by whether that saved enough to be kept"
    );
    describe_counter!(
        "skerry_origin_domain_proofs_total",
        "Proofs of domains that were looked for in DNS, by outcome"
    );
    describe_counter!(
        "skerry_origin_derivations_total",
        "Builds that did not wait for all of their compressed forms, by how that ended"
    );
    describe_gauge!("skerry_origin_derivations", "Builds that compressed forms are still to join");
    describe_gauge!("skerry_origin_coders", "Blobs that are being compressed");
    describe_gauge!("skerry_origin_coders_max", "Bound on blobs that are being compressed; others wait");
    describe_gauge!("skerry_origin_edges_connected", "Watch streams that are up");
    describe_counter!("skerry_origin_watch_refusals_total", "Pointers and key sets that edges refused");
    describe_counter!("skerry_origin_fills_total", "Fills that edges asked for");
    describe_gauge!("skerry_origin_warmings", "Deployments that edges are being warmed for");
    describe_counter!(
        "skerry_origin_warmings_refused_total",
        "Warmings refused because too many were under way"
    );
    describe_counter!("skerry_origin_fill_bytes_total", Unit::Bytes, "Bytes of slices handed to edges");
    describe_counter!("skerry_origin_fill_errors_total", "Fills that failed at the origin");
    describe_gauge!("skerry_origin_auth_entries", "Addresses with wrong tokens that are remembered");
    describe_gauge!("skerry_origin_auth_entries_max", "Bound on remembered addresses with wrong tokens");
    describe_gauge!("skerry_origin_blobs", "Blobs that are stored");
    describe_gauge!("skerry_origin_blob_bytes", Unit::Bytes, "Bytes of the blobs that are stored");
    describe_counter!("skerry_origin_api_requests_total", "Answers of the REST API by class of their status");
    describe_counter!("skerry_origin_api_auth_failures_total", "Calls of the REST API that were not let in");
    describe_gauge!("skerry_build_info", "Constant 1, with the version as a label");
    describe_bounds();
}

/// What is bounded: use, bound, and what was refused or had to wait.
fn describe_bounds() {
    describe_gauge!("skerry_origin_grpc_connections", "Open gRPC connections");
    describe_gauge!("skerry_origin_grpc_connections_max", "Bound on open gRPC connections");
    describe_gauge!("skerry_origin_api_connections", "Open connections of the REST API");
    describe_gauge!("skerry_origin_api_connections_max", "Bound on open connections of the REST API");
    describe_counter!(
        "skerry_origin_grpc_connection_pauses_total",
        "Times that no further gRPC connection was taken until another ended"
    );
    describe_counter!(
        "skerry_origin_api_connection_pauses_total",
        "Times that no further connection of the REST API was taken until another ended"
    );
    describe_gauge!(
        "skerry_origin_api_form_size_max_bytes",
        Unit::Bytes,
        "Bound on the parameters of a request"
    );
    describe_counter!(
        "skerry_origin_api_form_refusals_total",
        "Requests whose parameters had more bytes than the bound"
    );
    describe_counter!(
        "skerry_origin_api_key_refusals_total",
        "API keys that were refused because the account has as many as it may"
    );
    describe_gauge!("skerry_origin_dns_lookups", "Proofs of domains that are being looked up in DNS");
    describe_gauge!("skerry_origin_dns_lookups_max", "Bound on such lookups");
    describe_counter!("skerry_origin_dns_lookups_refused_total", "Lookups that were refused at the bound");
    describe_gauge!("skerry_origin_uploads_active", "Uploads that are under way");
    describe_gauge!("skerry_origin_uploads_active_max", "Bound on uploads under way; others wait");
    describe_counter!("skerry_origin_upload_refusals_total", "Uploads that waited for their turn too long");
    describe_gauge!("skerry_origin_builds", "Builds that were begun over REST and are not finished");
    describe_gauge!("skerry_origin_builds_max", "Bound on builds that are not finished");
    describe_counter!(
        "skerry_origin_build_refusals_total",
        "Builds that were refused because too many are not finished"
    );
}

impl std::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_series_exists_from_the_start() {
        let metrics = Metrics::new().expect("buckets");
        let text = metrics.handle().render();
        for series in [
            "skerry_origin_uploads_total{outcome=\"failed\"} 0",
            "skerry_origin_grpc_auth_failures_total{kind=\"join_token\"} 0",
            "skerry_origin_commits_total{outcome=\"live\"} 0",
            "skerry_origin_edges_connected 0",
            "role=\"origin\"",
        ] {
            assert!(text.contains(series), "{series} in\n{text}");
        }
    }

    #[test]
    fn outcomes_and_kinds_count_under_their_own_labels() {
        let metrics = Metrics::new().expect("buckets");
        metrics.upload(UploadOutcome::Failed, 7, 0.1);
        metrics.auth_failure(AuthFailure::JoinToken);
        let text = metrics.handle().render();
        assert!(text.contains("skerry_origin_uploads_total{outcome=\"failed\"} 1"));
        assert!(text.contains("skerry_origin_grpc_auth_failures_total{kind=\"join_token\"} 1"));
    }
}
