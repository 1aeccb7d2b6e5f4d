//! Warming: connected edges are told of blobs that a deployment is about to show, pull them ahead, and say how far they came.
//!
//! While a warming lasts, edges may fill its blobs although no manifest names them yet: the account that owns them asked for it. It
//! ends with its value, and nothing of it is kept.

use skerry_proto::hash::Hash;
use skerry_proto::slices::BlobId;
use skerry_proto::wire;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{broadcast, mpsc};

/// Warmings under way at most.
const WARMINGS_MAX: usize = 16;

/// Blobs of one warming at most; their names take 4 MiB at an edge with ten times as many. What is more is fetched when it is asked for.
const BLOBS_MAX: usize = 10_000;

/// Reports that wait for whoever began a warming.
const REPORTS_MAX: usize = 1024;

/// All warmings that are under way. Clones share them.
#[derive(Debug, Clone)]
pub(crate) struct Warmings {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    number: AtomicU64,
    running: Mutex<HashMap<u64, Running>>,
    told: broadcast::Sender<Arc<wire::Warm>>,
}

#[derive(Debug)]
struct Running {
    account: String,
    blobs: HashMap<Hash, BlobId>,
    reports: mpsc::Sender<Report>,
}

/// What an edge said.
#[derive(Debug, Clone)]
pub(crate) struct Report {
    pub(crate) edge_id: String,
    pub(crate) warmed: wire::Warmed,
}

/// A warming under way; it ends with this value.
#[derive(Debug)]
pub(crate) struct Warming {
    shared: Arc<Shared>,
    number: u64,
    reports: mpsc::Receiver<Report>,
    /// Blobs that edges were told of.
    pub(crate) blob_count: usize,
}

/// What an edge may pull at most.
#[derive(Debug, Clone, Copy)]
pub(crate) struct WarmLimits {
    pub(crate) size_max: u64,
    pub(crate) seconds_max: u32,
}

impl Default for Warmings {
    fn default() -> Self {
        let shared = Shared {
            number: AtomicU64::new(0),
            running: Mutex::default(),
            told: broadcast::channel(WARMINGS_MAX).0,
        };
        Self { shared: Arc::new(shared) }
    }
}

impl Warmings {
    /// Tells every connected edge. `None`: too many are under way.
    pub(crate) fn begin(&self, account: &str, mut blobs: Vec<BlobId>, limits: WarmLimits) -> Option<Warming> {
        blobs.truncate(BLOBS_MAX);
        let number = self.shared.number.fetch_add(1, Ordering::Relaxed) + 1;
        let (sender, reports) = mpsc::channel(REPORTS_MAX);
        let named = blobs.iter().map(|blob| (blob.hash, *blob)).collect();
        {
            let mut running = self.shared.lock();
            if running.len() >= WARMINGS_MAX {
                return None;
            }
            running.insert(number, Running { account: account.to_owned(), blobs: named, reports: sender });
        }
        let blob_count = blobs.len();
        let warm = wire::Warm {
            number,
            account_sid: account.to_owned(),
            blobs: blobs.into_iter().map(Into::into).collect(),
            size_max: limits.size_max,
            seconds_max: limits.seconds_max,
        };
        // Nobody may be connected.
        let _ = self.shared.told.send(Arc::new(warm));
        Some(Warming { shared: Arc::clone(&self.shared), number, reports, blob_count })
    }

    /// What edges are told from now on.
    pub(crate) fn told(&self) -> broadcast::Receiver<Arc<wire::Warm>> {
        self.shared.told.subscribe()
    }

    /// Takes the report of an edge; that of a warming which is over is dropped.
    pub(crate) fn report(&self, edge_id: &str, warmed: wire::Warmed) {
        let running = self.shared.lock();
        if let Some(running) = running.get(&warmed.number) {
            // Whoever is so far behind gets less to know.
            let _ = running.reports.try_send(Report { edge_id: edge_id.to_owned(), warmed });
        }
    }

    /// The blob of a hash that an account is having warmed.
    pub(crate) fn granted(&self, account: &str, hash: &Hash) -> Option<BlobId> {
        let running = self.shared.lock();
        running
            .values()
            .filter(|running| running.account == account)
            .find_map(|running| running.blobs.get(hash).copied())
    }

    /// Warmings under way.
    #[cfg(test)]
    fn count(&self) -> usize {
        self.shared.lock().len()
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, HashMap<u64, Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Warming {
    /// The next report.
    pub(crate) async fn report(&mut self) -> Option<Report> {
        self.reports.recv().await
    }
}

impl Drop for Warming {
    fn drop(&mut self) {
        self.shared.lock().remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: WarmLimits = WarmLimits { size_max: 1 << 20, seconds_max: 1 };

    #[tokio::test]
    async fn edges_are_told_and_their_reports_reach_whoever_began() {
        let warmings = Warmings::default();
        let mut told = warmings.told();
        let blob = BlobId::of(b"a");
        let mut warming = warmings.begin("AC1", vec![blob], LIMITS).expect("room");
        let warm = told.recv().await.expect("told");
        assert_eq!((warm.account_sid.as_str(), warm.blobs.len()), ("AC1", 1));
        warmings
            .report("ED1", wire::Warmed { number: warm.number, blob_count: 1, ..wire::Warmed::default() });
        assert_eq!(warming.report().await.expect("reported").edge_id, "ED1");
    }

    #[test]
    fn what_is_warmed_may_be_filled_by_its_account_and_as_long_as_that_lasts() {
        let warmings = Warmings::default();
        let blob = BlobId::of(b"a");
        let warming = warmings.begin("AC1", vec![blob], LIMITS).expect("room");
        assert_eq!(warmings.granted("AC1", &blob.hash), Some(blob));
        assert_eq!(warmings.granted("AC2", &blob.hash), None);
        drop(warming);
        assert_eq!(warmings.granted("AC1", &blob.hash), None);
    }

    #[test]
    fn warmings_are_bounded() {
        let warmings = Warmings::default();
        let begin = || warmings.begin("AC1", Vec::new(), LIMITS);
        let running: Vec<_> = std::iter::repeat_with(begin).take(WARMINGS_MAX).collect();
        assert!(running.iter().all(Option::is_some) && begin().is_none());
        drop(running);
        assert_eq!(warmings.count(), 0);
    }
}
