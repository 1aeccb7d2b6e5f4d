//! Turns to read from disk: each read takes a thread and its bytes twice, so there are only so many at once.
//!
//! A read that hangs keeps its turn until it ends: a disk that does not answer takes no more than its turns, however many ask.

use crate::metrics::Metrics;
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};

/// The turns of one disk tier.
pub(super) struct Reads {
    turns: Arc<Semaphore>,
    metrics: Arc<Metrics>,
}

/// The right to read one entry; it ends with its value.
pub(super) struct Turn {
    _permit: OwnedSemaphorePermit,
    metrics: Arc<Metrics>,
}

impl Reads {
    /// So many at once.
    pub(super) fn new(count_max: usize, metrics: Arc<Metrics>) -> Self {
        metrics.cache_disk_reads.max.set(count_max as f64);
        Self { turns: Arc::new(Semaphore::new(count_max)), metrics }
    }

    /// Waits for a turn, and counts it as refused when none has come by then.
    pub(super) async fn turn(&self, deadline: Instant) -> Option<Turn> {
        // The semaphore is never closed.
        let Ok(Ok(permit)) = timeout_at(deadline, Arc::clone(&self.turns).acquire_owned()).await else {
            self.metrics.cache_disk_reads.refused.increment(1);
            return None;
        };
        self.metrics.cache_disk_reads.used.increment(1);
        Some(Turn { _permit: permit, metrics: Arc::clone(&self.metrics) })
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.metrics.cache_disk_reads.used.decrement(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    /// In use, bound, refused.
    fn figures(metrics: &Metrics) -> [f64; 3] {
        let text = metrics.handle().render();
        ["", "_max", "_refused_total"].map(|suffix| {
            let series = format!("skerry_edge_cache_disk_reads_in_flight{suffix}{{");
            let line = text.lines().find(|line| line.starts_with(&series)).expect("it exists from the start");
            line.rsplit(' ').next().and_then(|value| value.parse().ok()).expect("a number")
        })
    }

    #[tokio::test]
    async fn so_many_read_at_once_and_who_waits_too_long_is_counted() {
        let metrics = Arc::new(Metrics::new("test").expect("registers"));
        let reads = Reads::new(2, Arc::clone(&metrics));
        let soon = || Instant::now() + Duration::from_millis(20);
        let first = reads.turn(soon()).await.expect("free");
        let _second = reads.turn(soon()).await.expect("free");
        assert_eq!(figures(&metrics), [2.0, 2.0, 0.0]);
        assert!(reads.turn(soon()).await.is_none());
        assert_eq!(figures(&metrics), [2.0, 2.0, 1.0]);
        drop(first);
        assert_eq!(figures(&metrics), [1.0, 2.0, 1.0]);
        assert!(reads.turn(soon()).await.is_some());
    }
}
