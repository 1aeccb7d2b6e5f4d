//! The bounds of the listeners that hold for one connection or one request, as figures. What is past one is counted as a cut-off, a
//! handshake that timed out, or an idle connection that was closed; those bounds that clients share have figures of their use, too.

use crate::config::ListenLimits;
use metrics::{Gauge, Unit, describe_gauge, gauge};

/// Gauges of bounds, which are set once.
#[derive(Debug)]
pub struct ListenBounds {
    target_bytes_max: Gauge,
    head_bytes_max: Gauge,
    body_bytes_max: Gauge,
    streams_max: Gauge,
    frame_credit_max: Gauge,
    handshake_seconds_max: Gauge,
    head_seconds_max: Gauge,
    idle_seconds_max: Gauge,
    rate_bytes_min: Gauge,
    rate_seconds_max: Gauge,
}

impl ListenBounds {
    /// Registers every gauge.
    pub(super) fn register() -> Self {
        let bound = |name: &'static str, unit, what: &'static str| {
            describe_gauge!(name, unit, what);
            gauge!(name)
        };
        Self {
            target_bytes_max: bound(
                "skerry_edge_target_bytes_max",
                Unit::Bytes,
                "Bound on the path and query of a request",
            ),
            head_bytes_max: bound(
                "skerry_edge_head_bytes_max",
                Unit::Bytes,
                "Bound on the head of a request",
            ),
            body_bytes_max: bound(
                "skerry_edge_body_bytes_max",
                Unit::Bytes,
                "Bound on what is read of the body of a request",
            ),
            streams_max: bound(
                "skerry_edge_connection_streams_max",
                Unit::Count,
                "Bound on the open streams of one HTTP/2 or HTTP/3 connection",
            ),
            frame_credit_max: bound(
                "skerry_edge_frame_credit_max",
                Unit::Count,
                "Bound on what one connection may ask at once that is no request",
            ),
            handshake_seconds_max: bound(
                "skerry_edge_handshake_seconds_max",
                Unit::Seconds,
                "Bound on the time of a handshake",
            ),
            head_seconds_max: bound(
                "skerry_edge_head_seconds_max",
                Unit::Seconds,
                "Bound on the time in which a head comes",
            ),
            idle_seconds_max: bound(
                "skerry_edge_idle_seconds_max",
                Unit::Seconds,
                "Bound on the time without a request",
            ),
            rate_bytes_min: bound(
                "skerry_edge_rate_bytes_min",
                Unit::Bytes,
                "Bytes in a second: least pace at which a client takes a response",
            ),
            rate_seconds_max: bound(
                "skerry_edge_rate_seconds_max",
                Unit::Seconds,
                "Bound on the time that a client is behind the least pace",
            ),
        }
    }

    /// Says what the bounds are.
    pub fn set(&self, limits: &ListenLimits) {
        // A gauge is a float; whoever allows more than 2^53 of anything may see a rounded bound.
        self.target_bytes_max.set(limits.target_size_max as f64);
        self.head_bytes_max.set(limits.head_size_max as f64);
        self.body_bytes_max.set(limits.body_size_max as f64);
        self.streams_max.set(limits.stream_count_max);
        self.frame_credit_max.set(limits.frame_credit_max as f64);
        self.handshake_seconds_max.set(limits.handshake_time_max);
        self.head_seconds_max.set(limits.head_time_max);
        self.idle_seconds_max.set(limits.idle_time_max);
        self.rate_bytes_min.set(limits.rate_min as f64);
        self.rate_seconds_max.set(limits.rate_time_max);
    }
}
