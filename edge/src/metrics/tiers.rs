//! What is asked of each kind of upstream, and what this edge gives to others, as figures.

use super::BoundFigures;
use metrics::{
    Counter, Gauge, Histogram, Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge,
    histogram,
};

/// Who gives slices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UpstreamKind {
    /// The origin.
    Origin,
    /// An edge on the way to it.
    Shield,
    /// An edge in the same place.
    Neighbour,
}

impl UpstreamKind {
    const ALL: [Self; 3] = [Self::Origin, Self::Shield, Self::Neighbour];

    /// What it is called in labels and logs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Origin => "origin",
            Self::Shield => "shield",
            Self::Neighbour => "neighbour",
        }
    }
}

/// Why an upstream gave less than was asked of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UpstreamFailure {
    /// It cannot be reached, or broke off.
    Away,
    /// It took too long.
    Slow,
    /// It does not have the blob for the account.
    NotFound,
    /// It declined: it is busy, or cannot get it either.
    Declined,
    /// What it sent does not verify.
    Lied,
}

/// Figures of one kind of upstream.
#[derive(Debug, Clone)]
pub struct UpstreamFigures {
    /// Fills that were begun.
    pub fills: Counter,
    /// Bytes that came and verified.
    pub bytes: Counter,
    /// How long fills took.
    pub duration: Histogram,
    /// Fills under way.
    pub in_flight: Gauge,
    /// Upstreams that are not asked for now.
    pub benched: Gauge,
    failures: [Counter; 5],
}

impl UpstreamFigures {
    /// Counts a fill that brought less than was asked for.
    pub fn failed(&self, why: UpstreamFailure) {
        self.failures[why as usize].increment(1);
    }
}

/// Why another edge was not given what it asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GiveRefusal {
    /// No certificate of role edge, or of one that was expelled.
    Certificate,
    /// The request makes no sense.
    Malformed,
    /// No manifest or history of the account that this edge holds names the blob.
    NotNamed,
    /// It came through too many edges.
    TooManyHops,
    /// This edge cannot get it either.
    NotHad,
}

/// Figures of the fill listener.
#[derive(Debug)]
pub struct GiveFigures {
    /// Open connections.
    pub connections: BoundFigures,
    /// Fills under way.
    pub fills: BoundFigures,
    /// Those of one edge.
    pub edge_fills: BoundFigures,
    /// Bytes on their way to other edges.
    pub bytes_in_flight: BoundFigures,
    /// Those on their way to one edge.
    pub edge_bytes_in_flight: BoundFigures,
    /// Fills that were answered.
    pub given: Counter,
    /// Bytes that were given.
    pub bytes: Counter,
    slices: [Counter; 3],
    refusals: [Counter; 5],
}

impl GiveFigures {
    /// Counts a slice that was given, by where it was.
    pub fn slice(&self, from: super::CacheResult) {
        use super::CacheResult;
        let place = match from {
            CacheResult::None | CacheResult::Memory => 0,
            CacheResult::Disk => 1,
            CacheResult::Miss | CacheResult::Neighbour => 2,
        };
        self.slices[place].increment(1);
    }

    /// Counts a fill that was refused.
    pub fn refused(&self, why: GiveRefusal) {
        self.refusals[why as usize].increment(1);
    }
}

/// All figures of tiers.
#[derive(Debug)]
pub struct TierFigures {
    upstreams: [UpstreamFigures; 3],
    /// Neighbours that are known now, this edge not among them.
    pub neighbours: Gauge,
    /// Names of neighbours that could not be resolved.
    pub resolve_failures: Counter,
    /// What other edges are given.
    pub give: GiveFigures,
}

impl TierFigures {
    /// Registers every series.
    pub(super) fn register() -> Self {
        describe_counter!("skerry_edge_upstream_fills_total", "Fills begun, by kind of upstream");
        describe_counter!(
            "skerry_edge_upstream_fill_bytes_total",
            Unit::Bytes,
            "Bytes received and verified, by kind of upstream"
        );
        describe_histogram!(
            "skerry_edge_upstream_fill_duration_seconds",
            Unit::Seconds,
            "Duration of fills, by kind of upstream"
        );
        describe_gauge!("skerry_edge_upstream_fills_in_flight", "Fills under way, by kind of upstream");
        describe_gauge!("skerry_edge_upstream_benched", "Upstreams that are not asked for now, by kind");
        describe_counter!(
            "skerry_edge_upstream_failures_total",
            "Fills that brought less than was asked for, by kind of upstream and reason"
        );
        describe_gauge!("skerry_edge_neighbours", "Neighbours that are known, without this edge");
        describe_counter!(
            "skerry_edge_neighbour_resolve_failures_total",
            "Names of neighbours that could not be resolved"
        );
        Self {
            upstreams: UpstreamKind::ALL.map(upstream),
            neighbours: gauge!("skerry_edge_neighbours"),
            resolve_failures: counter!("skerry_edge_neighbour_resolve_failures_total"),
            give: give(),
        }
    }

    /// Those of a kind of upstream.
    pub fn of(&self, kind: UpstreamKind) -> &UpstreamFigures {
        &self.upstreams[kind as usize]
    }
}

fn upstream(kind: UpstreamKind) -> UpstreamFigures {
    let kind = kind.name();
    UpstreamFigures {
        fills: counter!("skerry_edge_upstream_fills_total", "upstream" => kind),
        bytes: counter!("skerry_edge_upstream_fill_bytes_total", "upstream" => kind),
        duration: histogram!("skerry_edge_upstream_fill_duration_seconds", "upstream" => kind),
        in_flight: gauge!("skerry_edge_upstream_fills_in_flight", "upstream" => kind),
        benched: gauge!("skerry_edge_upstream_benched", "upstream" => kind),
        failures: ["away", "slow", "not_found", "declined", "lied"].map(
            |reason| counter!("skerry_edge_upstream_failures_total", "upstream" => kind, "reason" => reason),
        ),
    }
}

fn give() -> GiveFigures {
    describe_counter!("skerry_edge_given_fills_total", "Fills of other edges that were answered");
    describe_counter!("skerry_edge_given_bytes_total", Unit::Bytes, "Bytes given to other edges");
    describe_counter!("skerry_edge_given_slices_total", "Slices given to other edges, by where they were");
    describe_counter!("skerry_edge_give_refusals_total", "Fills of other edges that were refused, by reason");
    let bound = |name: &str, what: &str, unit| BoundFigures::register(name, what, unit);
    GiveFigures {
        connections: bound("skerry_edge_give_connections", "connections of other edges", Unit::Count),
        fills: bound("skerry_edge_give_fills", "fills of other edges under way", Unit::Count),
        edge_fills: bound(
            "skerry_edge_give_edge_fills",
            "fills of one edge under way; in use: of the busiest",
            Unit::Count,
        ),
        bytes_in_flight: bound("skerry_edge_give_bytes", "bytes on their way to other edges", Unit::Bytes),
        edge_bytes_in_flight: bound(
            "skerry_edge_give_edge_bytes",
            "bytes on their way to one edge; in use: of the busiest",
            Unit::Bytes,
        ),
        given: counter!("skerry_edge_given_fills_total"),
        bytes: counter!("skerry_edge_given_bytes_total"),
        slices: ["memory", "disk", "miss"]
            .map(|cache| counter!("skerry_edge_given_slices_total", "cache" => cache)),
        refusals: ["certificate", "malformed", "not_named", "too_many_hops", "not_had"]
            .map(|reason| counter!("skerry_edge_give_refusals_total", "reason" => reason)),
    }
}
