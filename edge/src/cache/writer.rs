//! Writes slices to disk behind the responses, at the pace of the disk.
//!
//! foyer drops entries silently when its buffers are full. So this writer hands it one batch at a time, no larger than its buffers
//! take, and waits until the batch is written. What waits for its turn is bounded in bytes: beyond the bound a slice is only noted
//! by its key, and written when its turn comes if memory still holds it. What memory has dropped by then is counted.

use super::entry::{Cached, SliceKey};
use crate::metrics::Metrics;
use foyer::{HybridCache, HybridCacheEntry};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::runtime::Handle;
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

type Entry = HybridCacheEntry<SliceKey, Cached>;

/// foyer's buffers get half of the write buffer; the other half is for slices that wait for their turn.
pub(super) fn pool_size(write_buffer_size: u64) -> usize {
    (write_buffer_size as usize / 2).max(POOL_SIZE_MIN)
}

/// Room for two batches of a few slices for each of two flushers.
const POOL_SIZE_MIN: usize = 4 << 20;

/// foyer's flushers share the pool, and a batch may fall to one of them whole; half of its share leaves room for page alignment.
const fn batch_size(pool_size: usize) -> usize {
    pool_size / 4
}

/// Keys noted at most: 4 MB of them, for 16 GiB of slices.
const NOTES_MAX: usize = 65_536;

/// What waits for its turn.
enum Job {
    Write(Entry),
    /// To be written if memory still holds it.
    Revisit(SliceKey),
}

/// Bytes and notes that wait.
#[derive(Default)]
struct Backlog {
    bytes: AtomicUsize,
    notes: AtomicUsize,
}

/// Queues entries for the disk.
pub(super) struct DiskWriter {
    // The channel is unbounded, what goes into it is bounded by `backlog`.
    queue: UnboundedSender<Job>,
    backlog: Arc<Backlog>,
    bytes_max: usize,
    metrics: Arc<Metrics>,
    stop: CancellationToken,
    task: TaskTracker,
}

impl DiskWriter {
    pub(super) fn start(
        tiers: HybridCache<SliceKey, Cached>,
        write_buffer_size: u64,
        runtime: &Handle,
        metrics: Arc<Metrics>,
    ) -> Self {
        let (queue, jobs) = mpsc::unbounded_channel();
        let pool = pool_size(write_buffer_size);
        let backlog = Arc::new(Backlog::default());
        let stop = CancellationToken::new();
        let writing = Writing {
            tiers,
            jobs,
            backlog: Arc::clone(&backlog),
            batch_max: batch_size(pool),
            metrics: Arc::clone(&metrics),
            stop: stop.clone(),
        };
        let task = TaskTracker::new();
        task.spawn_on(writing.run(), runtime);
        task.close();
        Self { queue, backlog, bytes_max: pool, metrics, stop, task }
    }

    /// Takes an entry for the disk.
    pub(super) fn write_later(&self, entry: Entry) {
        let size = entry.value().len();
        let before = self.backlog.bytes.fetch_add(size, Ordering::Relaxed);
        let job = if before + size <= self.bytes_max {
            self.metrics.cache_write_pending_bytes.set((before + size) as f64);
            Job::Write(entry)
        } else {
            self.backlog.bytes.fetch_sub(size, Ordering::Relaxed);
            if self.backlog.notes.fetch_add(1, Ordering::Relaxed) >= NOTES_MAX {
                self.backlog.notes.fetch_sub(1, Ordering::Relaxed);
                self.metrics.cache_write_skipped.increment(1);
                return;
            }
            Job::Revisit(*entry.key())
        };
        // The receiver only goes away at the stop, when nothing needs to be written any more.
        let _ = self.queue.send(job);
    }

    /// Writes what waits, then ends.
    pub(super) async fn stop(&self) {
        self.stop.cancel();
        self.task.wait().await;
    }
}

struct Writing {
    tiers: HybridCache<SliceKey, Cached>,
    jobs: UnboundedReceiver<Job>,
    backlog: Arc<Backlog>,
    batch_max: usize,
    metrics: Arc<Metrics>,
    stop: CancellationToken,
}

impl Writing {
    async fn run(mut self) {
        loop {
            let first = tokio::select! {
                biased;
                job = self.jobs.recv() => job,
                () = self.stop.cancelled() => self.jobs.try_recv().ok(),
            };
            let Some(first) = first else { return };
            self.write_batch(first).await;
        }
    }

    /// Hands over one batch and waits until the disk has it.
    async fn write_batch(&mut self, first: Job) {
        let (mut size, mut queued) = (0, 0);
        let mut next = Some(first);
        while let Some(job) = next {
            if let Job::Write(entry) = &job {
                queued += entry.value().len();
            }
            if let Some(entry) = self.entry_of(job) {
                size += entry.value().len();
                self.tiers.storage().enqueue(entry.piece(), false);
            }
            next = if size < self.batch_max { self.jobs.try_recv().ok() } else { None };
        }
        self.tiers.storage().wait().await;
        let before = self.backlog.bytes.fetch_sub(queued, Ordering::Relaxed);
        self.metrics.cache_write_pending_bytes.set(before.saturating_sub(queued) as f64);
    }

    fn entry_of(&self, job: Job) -> Option<Entry> {
        match job {
            Job::Write(entry) => Some(entry),
            Job::Revisit(key) => {
                self.backlog.notes.fetch_sub(1, Ordering::Relaxed);
                let entry = self.tiers.memory().get(&key);
                if entry.is_none() {
                    self.metrics.cache_write_skipped.increment(1);
                }
                entry
            }
        }
    }
}
