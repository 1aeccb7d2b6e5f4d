//! Evictions: connected edges drop their copies of some blobs, and say how many slices that were. An edge that is away keeps its own:
//! nothing of an eviction is kept. Whoever wants bytes to be gone purges them.

use skerry_proto::slices::BlobId;
use skerry_proto::wire;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{broadcast, mpsc};

/// Evictions under way at most.
const EVICTIONS_MAX: usize = 64;

/// Reports that wait for whoever began an eviction.
const REPORTS_MAX: usize = 1024;

/// All evictions that are under way. Clones share them.
#[derive(Debug, Clone)]
pub(crate) struct Evictions {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    number: AtomicU64,
    running: Mutex<HashMap<u64, mpsc::Sender<(String, u64)>>>,
    told: broadcast::Sender<Arc<wire::Evict>>,
}

/// An eviction under way; it ends with this value.
#[derive(Debug)]
pub(crate) struct Eviction {
    shared: Arc<Shared>,
    number: u64,
    reports: mpsc::Receiver<(String, u64)>,
}

impl Default for Evictions {
    fn default() -> Self {
        let shared = Shared {
            number: AtomicU64::new(0),
            running: Mutex::default(),
            told: broadcast::channel(EVICTIONS_MAX).0,
        };
        Self { shared: Arc::new(shared) }
    }
}

impl Evictions {
    /// Tells every connected edge. `None`: too many are under way.
    pub(crate) fn begin(&self, account: &str, blobs: Vec<BlobId>) -> Option<Eviction> {
        let number = self.shared.number.fetch_add(1, Ordering::Relaxed) + 1;
        let (sender, reports) = mpsc::channel(REPORTS_MAX);
        {
            let mut running = self.shared.lock();
            if running.len() >= EVICTIONS_MAX {
                return None;
            }
            running.insert(number, sender);
        }
        let blobs = blobs.into_iter().map(Into::into).collect();
        let evict = wire::Evict { number, account_sid: account.to_owned(), blobs };
        // Nobody may be connected.
        let _ = self.shared.told.send(Arc::new(evict));
        Some(Eviction { shared: Arc::clone(&self.shared), number, reports })
    }

    /// What edges are told from now on.
    pub(crate) fn told(&self) -> broadcast::Receiver<Arc<wire::Evict>> {
        self.shared.told.subscribe()
    }

    /// Takes the report of an edge; that of an eviction which is over is dropped.
    pub(crate) fn report(&self, edge_id: &str, evicted: &wire::Evicted) {
        if let Some(reports) = self.shared.lock().get(&evicted.number) {
            // Whoever is so far behind gets less to know.
            let _ = reports.try_send((edge_id.to_owned(), evicted.slice_count));
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, HashMap<u64, mpsc::Sender<(String, u64)>>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Eviction {
    /// The next report: which edge, and how many slices it held.
    pub(crate) async fn report(&mut self) -> Option<(String, u64)> {
        self.reports.recv().await
    }
}

impl Drop for Eviction {
    fn drop(&mut self) {
        self.shared.lock().remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn edges_are_told_and_their_reports_reach_whoever_began() {
        let evictions = Evictions::default();
        let mut told = evictions.told();
        let mut eviction = evictions.begin("AC1", vec![BlobId::of(b"a")]).expect("room");
        let evict = told.recv().await.expect("told");
        assert_eq!((evict.account_sid.as_str(), evict.blobs.len()), ("AC1", 1));
        evictions.report("ED1", &wire::Evicted { number: evict.number + 1, slice_count: 9 });
        evictions.report("ED1", &wire::Evicted { number: evict.number, slice_count: 3 });
        assert_eq!(eviction.report().await, Some(("ED1".to_owned(), 3)));
    }

    #[test]
    fn evictions_are_bounded_and_end_with_their_values() {
        let evictions = Evictions::default();
        let running: Vec<_> =
            std::iter::repeat_with(|| evictions.begin("AC1", Vec::new())).take(EVICTIONS_MAX).collect();
        assert!(running.iter().all(Option::is_some) && evictions.begin("AC1", Vec::new()).is_none());
        drop(running);
        assert!(evictions.begin("AC1", Vec::new()).is_some());
    }
}
