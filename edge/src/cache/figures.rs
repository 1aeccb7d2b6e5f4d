//! The few figures of foyer that matter here, taken through its own interface for metrics; the hundred others go nowhere.

use foyer_common::metrics::Metrics as FoyerMetrics;
use metrics::Counter;
use mixtrics::metrics::{
    BoxedCounter, BoxedCounterVec, BoxedGauge, BoxedGaugeVec, BoxedHistogramVec, BoxedRegistry, CounterOps,
    CounterVecOps, GaugeOps, GaugeVecOps, RegistryOps,
};
use mixtrics::registry::noop::NoopMetricsRegistry;
use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A label, as foyer gives it.
type Text = Cow<'static, str>;

/// What foyer says about its disk tier.
#[derive(Debug, Clone)]
pub(super) struct Figures {
    clean_blocks: Arc<AtomicU64>,
    overflows: Counter,
}

impl Figures {
    /// `overflows` counts what foyer drops because one of its buffers is full.
    pub(super) fn new(overflows: Counter) -> Self {
        Self { clean_blocks: Arc::default(), overflows }
    }

    /// Blocks that hold nothing and are not being written.
    pub(super) fn clean_blocks(&self) -> u64 {
        self.clean_blocks.load(Ordering::Relaxed)
    }

    /// Handles for a tier that is about to be opened.
    pub(super) fn for_foyer(&self) -> Arc<FoyerMetrics> {
        let registry: BoxedRegistry = Box::new(Registry(self.clone()));
        Arc::new(FoyerMetrics::new("slices", &registry))
    }
}

#[derive(Debug)]
struct Registry(Figures);

impl RegistryOps for Registry {
    fn register_counter_vec(&self, name: Text, _: Text, _: &'static [&'static str]) -> BoxedCounterVec {
        match &*name {
            "foyer_storage_inner_op_total" => Box::new(Operations(self.0.overflows.clone())),
            _ => Box::new(NoopMetricsRegistry),
        }
    }

    fn register_gauge_vec(&self, name: Text, _: Text, _: &'static [&'static str]) -> BoxedGaugeVec {
        match &*name {
            "foyer_storage_block_engine_block" => Box::new(Blocks(Arc::clone(&self.0.clean_blocks))),
            _ => Box::new(NoopMetricsRegistry),
        }
    }

    fn register_histogram_vec(&self, _: Text, _: Text, _: &'static [&'static str]) -> BoxedHistogramVec {
        Box::new(NoopMetricsRegistry)
    }

    fn register_histogram_vec_with_buckets(
        &self,
        _: Text,
        _: Text,
        _: &'static [&'static str],
        _: Vec<f64>,
    ) -> BoxedHistogramVec {
        Box::new(NoopMetricsRegistry)
    }
}

/// Counters by operation.
#[derive(Debug)]
struct Operations(Counter);

impl CounterVecOps for Operations {
    fn counter(&self, labels: &[Text]) -> BoxedCounter {
        match labels.last().map(AsRef::as_ref) {
            Some("buffer_overflow" | "channel_overflow") => Box::new(Counted(self.0.clone())),
            _ => Box::new(NoopMetricsRegistry),
        }
    }
}

#[derive(Debug)]
struct Counted(Counter);

impl CounterOps for Counted {
    fn increase(&self, by: u64) {
        self.0.increment(by);
    }
}

/// Gauges of blocks by state.
#[derive(Debug)]
struct Blocks(Arc<AtomicU64>);

impl GaugeVecOps for Blocks {
    fn gauge(&self, labels: &[Text]) -> BoxedGauge {
        match labels.last().map(AsRef::as_ref) {
            Some("clean") => Box::new(Measured(Arc::clone(&self.0))),
            _ => Box::new(NoopMetricsRegistry),
        }
    }
}

#[derive(Debug)]
struct Measured(Arc<AtomicU64>);

impl GaugeOps for Measured {
    fn increase(&self, by: u64) {
        self.0.fetch_add(by, Ordering::Relaxed);
    }

    fn decrease(&self, by: u64) {
        self.0.fetch_sub(by, Ordering::Relaxed);
    }

    fn absolute(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clean_blocks_are_followed_and_other_states_are_not() {
        let figures = Figures::new(Counter::noop());
        let foyer = figures.for_foyer();
        foyer.storage_block_engine_block_clean.absolute(9);
        foyer.storage_block_engine_block_clean.decrease(2);
        foyer.storage_block_engine_block_evictable.increase(5);
        assert_eq!(figures.clean_blocks(), 7);
    }
}
