//! The bound on connections, TCP and QUIC of all workers together.

use crate::metrics::Metrics;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// As many slots as there may be connections.
#[derive(Debug, Clone)]
pub(super) struct Slots(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    used: AtomicUsize,
    max: usize,
    metrics: Arc<Metrics>,
}

/// The right to one connection; given back when dropped.
#[derive(Debug)]
pub(super) struct Slot(Arc<Inner>);

impl Slots {
    pub(super) fn new(max: usize, metrics: &Arc<Metrics>) -> Self {
        // A gauge is a float; whoever allows more than 2^53 connections may see a rounded bound.
        metrics.connections_max.set(max as f64);
        Self(Arc::new(Inner { used: AtomicUsize::new(0), max, metrics: Arc::clone(metrics) }))
    }

    /// A slot, or `None` at the bound, which is counted.
    pub(super) fn take(&self) -> Option<Slot> {
        let taken = self.0.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used| {
            (used < self.0.max).then_some(used + 1)
        });
        if taken.is_err() {
            self.0.metrics.connections_refused.increment(1);
            return None;
        }
        self.0.metrics.connections.increment(1.0);
        Some(Slot(Arc::clone(&self.0)))
    }

    /// Whether more than half of the slots are taken: time to ask strangers for proof of their address.
    pub(super) fn are_scarce(&self) -> bool {
        self.0.used.load(Ordering::Relaxed) > self.0.max / 2
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.used.fetch_sub(1, Ordering::Relaxed);
        self.0.metrics.connections.decrement(1.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_is_refused_at_the_bound_and_free_again_when_dropped() {
        let metrics = Arc::new(Metrics::new("test").expect("buckets"));
        let slots = Slots::new(2, &metrics);
        let first = slots.take().expect("free");
        assert!(!slots.are_scarce());
        let _second = slots.take().expect("free");
        assert!(slots.are_scarce());
        assert!(slots.take().is_none());
        drop(first);
        assert!(slots.take().is_some());
        let figures = metrics.handle().render();
        assert!(figures.contains("skerry_edge_connections_refused_total{edge=\"test\"} 1\n"), "{figures}");
        assert!(figures.contains("skerry_edge_connections{edge=\"test\"} 1\n"), "{figures}");
    }
}
