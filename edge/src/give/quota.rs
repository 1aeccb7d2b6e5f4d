//! How much other edges may take up: fills and bytes, in all and each. Who asks for a fill too many is refused at once and goes
//! elsewhere; bytes wait until there is room, so a peer that takes nothing holds its own share up alone.

use crate::config::GiveConfig;
use crate::metrics::Metrics;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Permits for bytes are of so many: a semaphore counts to half a billion only.
const UNIT: u64 = 1 << 10;

/// Edges without a fill that are remembered before they are forgotten.
const IDLE_MAX: usize = 1024;

/// How often the busiest edge is looked for.
const MEASURE: Duration = Duration::from_secs(5);

/// What all edges may take up, and each of them.
pub(super) struct Quota {
    all: Share,
    fill_max: usize,
    byte_max: u64,
    edges: Mutex<HashMap<Arc<str>, Share>>,
    metrics: Arc<Metrics>,
}

/// What may be taken up still.
#[derive(Clone)]
struct Share {
    fills: Arc<Semaphore>,
    bytes: Arc<Semaphore>,
}

/// The right to one fill; it ends with its value.
pub(super) struct Place {
    quota: Arc<Quota>,
    of_edge: Share,
    _fills: [OwnedSemaphorePermit; 2],
}

/// Bytes on their way; they are again free when this goes.
pub(super) struct Held {
    metrics: Arc<Metrics>,
    size: u64,
    _permits: [OwnedSemaphorePermit; 2],
}

impl Share {
    fn new(fill_max: usize, byte_max: u64) -> Self {
        let units = usize::try_from(byte_max / UNIT).unwrap_or(Semaphore::MAX_PERMITS);
        let bytes = Semaphore::new(units.min(Semaphore::MAX_PERMITS));
        Self { fills: Arc::new(Semaphore::new(fill_max)), bytes: Arc::new(bytes) }
    }
}

impl Quota {
    pub(super) fn new(config: &GiveConfig, metrics: &Arc<Metrics>) -> Self {
        let give = &metrics.tiers.give;
        give.fills.max.set(config.fill_count_max as f64);
        give.edge_fills.max.set(config.edge_fill_count_max as f64);
        give.bytes_in_flight.max.set(config.byte_count_max as f64);
        give.edge_bytes_in_flight.max.set(config.edge_byte_count_max as f64);
        Self {
            all: Share::new(config.fill_count_max, config.byte_count_max),
            fill_max: config.edge_fill_count_max,
            byte_max: config.edge_byte_count_max,
            edges: Mutex::default(),
            metrics: Arc::clone(metrics),
        }
    }

    /// A place for one fill of an edge, if there is one.
    pub(super) fn place(self: &Arc<Self>, edge_id: &Arc<str>) -> Option<Place> {
        let give = &self.metrics.tiers.give;
        let of_edge = self.share_of(edge_id);
        let Ok(own) = Arc::clone(&of_edge.fills).try_acquire_owned() else {
            give.edge_fills.refused.increment(1);
            return None;
        };
        let Ok(one_of_all) = Arc::clone(&self.all.fills).try_acquire_owned() else {
            give.fills.refused.increment(1);
            return None;
        };
        give.fills.used.increment(1);
        Some(Place { quota: Arc::clone(self), of_edge, _fills: [own, one_of_all] })
    }

    /// Looks for the busiest edge now and then, for ever.
    pub(super) async fn measure_always(&self) {
        let mut ticks = tokio::time::interval(MEASURE);
        loop {
            ticks.tick().await;
            let (fills, units) = self.busiest();
            self.metrics.tiers.give.edge_fills.used.set(fills as f64);
            self.metrics.tiers.give.edge_bytes_in_flight.used.set((units as u64 * UNIT) as f64);
        }
    }

    fn busiest(&self) -> (usize, usize) {
        let units_max = usize::try_from(self.byte_max / UNIT).unwrap_or(Semaphore::MAX_PERMITS);
        let edges = self.lock();
        let fills = edges.values().map(|share| self.fill_max - share.fills.available_permits()).max();
        let units =
            edges.values().map(|share| units_max.saturating_sub(share.bytes.available_permits())).max();
        (fills.unwrap_or(0), units.unwrap_or(0))
    }

    fn share_of(&self, edge_id: &Arc<str>) -> Share {
        let mut edges = self.lock();
        if edges.len() > IDLE_MAX {
            // Whoever has a place shares the semaphore.
            edges.retain(|_, share| Arc::strong_count(&share.fills) > 1);
        }
        let share = || Share::new(self.fill_max, self.byte_max);
        edges.entry(Arc::clone(edge_id)).or_insert_with(share).clone()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Arc<str>, Share>> {
        self.edges.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// Waits until so many bytes may be on their way, the edge's own share first.
    ///
    /// # Cancel safety
    /// Whoever goes away while waiting has taken nothing.
    pub(super) async fn bytes(&self, size: u64) -> Option<Held> {
        let units = u32::try_from(size.div_ceil(UNIT)).ok()?;
        let (own, all) = (&self.of_edge.bytes, &self.quota.all.bytes);
        let give = &self.quota.metrics.tiers.give;
        if own.available_permits() < units as usize {
            give.edge_bytes_in_flight.refused.increment(1);
        }
        // The semaphores are never closed.
        let own = Arc::clone(own).acquire_many_owned(units).await.ok()?;
        if all.available_permits() < units as usize {
            give.bytes_in_flight.refused.increment(1);
        }
        let one_of_all = Arc::clone(all).acquire_many_owned(units).await.ok()?;
        give.bytes_in_flight.used.increment(size as f64);
        Some(Held { metrics: Arc::clone(&self.quota.metrics), size, _permits: [own, one_of_all] })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.quota.metrics.tiers.give.fills.used.decrement(1);
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.metrics.tiers.give.bytes_in_flight.used.decrement(self.size as f64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;

    fn quota() -> Arc<Quota> {
        let config = GiveConfig {
            fill_count_max: 3,
            edge_fill_count_max: 2,
            byte_count_max: 3 * UNIT,
            edge_byte_count_max: 2 * UNIT,
            ..GiveConfig::default()
        };
        Arc::new(Quota::new(&config, &Arc::new(Metrics::new("test").expect("registers"))))
    }

    #[test]
    fn fills_are_bounded_for_each_edge_and_in_all() {
        let (quota, one, other) = (quota(), Arc::from("ED1"), Arc::from("ED2"));
        let first = quota.place(&one).expect("free");
        let _second = quota.place(&one).expect("free");
        assert!(quota.place(&one).is_none(), "one edge has two");
        let _third = quota.place(&other).expect("free");
        assert!(quota.place(&other).is_none(), "all have three");
        assert_eq!(quota.busiest().0, 2);
        drop(first);
        assert!(quota.place(&other).is_some());
    }

    #[tokio::test]
    async fn bytes_wait_for_their_edge_and_for_all() {
        let (quota, one, other) = (quota(), Arc::from("ED1"), Arc::from("ED2"));
        let (mine, theirs) = (quota.place(&one).expect("free"), quota.place(&other).expect("free"));
        let held = mine.bytes(2 * UNIT).await.expect("room");
        assert!(mine.bytes(1).now_or_never().is_none(), "the edge's own share is used up");
        let _theirs = theirs.bytes(1).await.expect("another edge has room");
        assert!(theirs.bytes(UNIT).now_or_never().is_none(), "what all have is used up");
        drop(held);
        assert!(mine.bytes(UNIT).now_or_never().is_some());
    }
}
