//! Figures of the fleet: who is enrolled, by which keys it is told, and what it says of itself that cannot be true.

use metrics::{Counter, Gauge, counter, describe_counter, describe_gauge, gauge};

/// Handles to them.
#[derive(Debug)]
pub(crate) struct FleetFigures {
    /// Edges that are enrolled and not expelled.
    pub(crate) enrolled: Gauge,
    /// Edges that were expelled.
    pub(crate) expelled: Gauge,
    /// Number of the key set in force.
    pub(crate) key_set_number: Gauge,
    /// Figures of edges that could not be true.
    pub(crate) figure_refusals: Counter,
}

impl FleetFigures {
    pub(super) fn register() -> Self {
        describe_gauge!("skerry_origin_edges", "Edges that are enrolled and not expelled");
        describe_gauge!("skerry_origin_edges_expelled", "Edges that were expelled");
        describe_gauge!("skerry_origin_key_set_number", "Number of the key set whose keys sign");
        describe_counter!(
            "skerry_origin_figure_refusals_total",
            "Figures that edges said of themselves and that cannot be true"
        );
        Self {
            enrolled: gauge!("skerry_origin_edges"),
            expelled: gauge!("skerry_origin_edges_expelled"),
            key_set_number: gauge!("skerry_origin_key_set_number"),
            figure_refusals: counter!("skerry_origin_figure_refusals_total"),
        }
    }
}
