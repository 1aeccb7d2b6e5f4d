//! Figures of what an edge trusts, and is trusted by.

use metrics::{Counter, Gauge, Unit, counter, describe_counter, describe_gauge, gauge};

/// Handles to them.
#[derive(Debug)]
pub struct TrustFigures {
    /// Number of the newest key set that is held.
    pub key_set_number: Gauge,
    /// Key sets that were refused.
    pub key_sets_refused: Counter,
    /// Seconds until the certificate for the origin ends; negative when it has.
    pub certificate_remaining: Gauge,
}

impl TrustFigures {
    pub(super) fn register() -> Self {
        describe_gauge!("skerry_edge_key_set_number", "Number of the newest key set that this edge holds");
        describe_counter!(
            "skerry_edge_key_sets_refused_total",
            "Key sets refused: forged, with a gap before them, or a second one of a number"
        );
        describe_gauge!(
            "skerry_edge_certificate_remaining_seconds",
            Unit::Seconds,
            "Time until the edge's certificate for the origin ends; negative when over"
        );
        Self {
            key_set_number: gauge!("skerry_edge_key_set_number"),
            key_sets_refused: counter!("skerry_edge_key_sets_refused_total"),
            certificate_remaining: gauge!("skerry_edge_certificate_remaining_seconds"),
        }
    }
}
