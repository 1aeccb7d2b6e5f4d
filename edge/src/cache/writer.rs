//! Writes slices to disk behind the responses, at the pace of the disk.
//!
//! foyer drops entries silently when its buffers are full, and does not say when a write failed. So this writer hands it one batch at
//! a time, no larger than its buffers take, waits until the batch is done, and then looks whether all of it is there. What waits for
//! its turn is bounded in bytes: beyond the bound a slice is only noted by its key, and written when its turn comes if memory still
//! holds it. Whatever is not written is counted, by why.

use super::disk::{Disk, Memory, Store};
use super::entry::{Cached, SliceKey};
use crate::metrics::{Metrics, SkipReason};
use foyer::CacheEntry;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};
use tokio::sync::oneshot;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// An entry of the memory tier.
pub(super) type Entry = CacheEntry<SliceKey, Cached>;

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

/// What the smallest entry takes on disk: a page. Many small ones must not outgrow the buffers either.
const ENTRY_SIZE_MIN: usize = 4096;

/// Keys noted at most: 4 MB of them, for 16 GiB of slices.
const NOTES_MAX: usize = 65_536;

/// Time for one batch; with the default buffer a disk that needs more does 70 KB/s.
const BATCH_TIME_MAX: Duration = Duration::from_secs(60);

/// Time for all that waits at a stop.
const FLUSH_TIME_MAX: Duration = Duration::from_secs(60);

/// What waits for its turn.
enum Job {
    Write(Entry),
    /// To be written if memory still holds it.
    Revisit(SliceKey),
    /// Nothing to write: told when all before it is done.
    Tell(oneshot::Sender<()>),
}

/// Bytes and notes that wait.
#[derive(Default)]
struct Backlog {
    bytes: AtomicUsize,
    notes: AtomicUsize,
    /// Bytes that the disk has taken since the start.
    written: AtomicU64,
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
        disk: Disk,
        memory: Memory,
        write_buffer_size: u64,
        runtime: &Handle,
        metrics: Arc<Metrics>,
    ) -> Self {
        let (queue, jobs) = mpsc::unbounded_channel();
        let pool = pool_size(write_buffer_size);
        metrics.cache_write_pending_bytes_max.set(pool as f64);
        let backlog = Arc::new(Backlog::default());
        let stop = CancellationToken::new();
        let writing = Writing {
            disk,
            memory,
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
        let size = size_of(&entry);
        let before = self.backlog.bytes.fetch_add(size, Ordering::Relaxed);
        let job = if before + size <= self.bytes_max {
            self.metrics.cache_write_pending_bytes.set((before + size) as f64);
            Job::Write(entry)
        } else {
            self.backlog.bytes.fetch_sub(size, Ordering::Relaxed);
            if self.backlog.notes.fetch_add(1, Ordering::Relaxed) >= NOTES_MAX {
                self.backlog.notes.fetch_sub(1, Ordering::Relaxed);
                self.metrics.write_skipped(SkipReason::QueueFull);
                return;
            }
            Job::Revisit(*entry.key())
        };
        // The receiver only goes away at the stop, when nothing needs to be written any more.
        let _ = self.queue.send(job);
    }

    /// Bytes that the disk has taken since the start.
    pub(super) fn written(&self) -> u64 {
        self.backlog.written.load(Ordering::Relaxed)
    }

    /// Waits until all that was queued before is written, or is not going to be.
    pub(super) async fn caught_up(&self) {
        let (sender, done) = oneshot::channel();
        // An error means that the writer has ended, with all its work.
        let _ = self.queue.send(Job::Tell(sender));
        let _ = done.await;
    }

    /// Writes what waits, then ends; a disk that does not take it in time loses it.
    pub(super) async fn stop(&self) {
        self.stop.cancel();
        if timeout(FLUSH_TIME_MAX, self.task.wait()).await.is_err() {
            tracing::error!("the disk cache did not take what waited for it in time");
        }
    }
}

struct Writing {
    disk: Disk,
    memory: Memory,
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
            self.take_batch(first).await;
        }
    }

    /// Takes one batch from the queue, hands it over, and waits until the disk has it.
    async fn take_batch(&mut self, first: Job) {
        let store = self.disk.for_writing().await;
        let (mut size, mut queued) = (0, 0);
        let (mut batch, mut waiting) = (Vec::new(), Vec::new());
        let mut next = Some(first);
        while let Some(job) = next {
            if let Job::Write(entry) = &job {
                queued += size_of(entry);
            }
            if let Some(entry) = self.entry_of(job, &mut waiting) {
                size += size_of(&entry);
                batch.push(entry);
            }
            next = if size < self.batch_max { self.jobs.try_recv().ok() } else { None };
        }
        match store {
            Some(store) => self.write(&store, batch).await,
            None => batch.iter().for_each(|_| self.metrics.write_skipped(SkipReason::DiskAway)),
        }
        let before = self.backlog.bytes.fetch_sub(queued, Ordering::Relaxed);
        self.metrics.cache_write_pending_bytes.set(before.saturating_sub(queued) as f64);
        for told in waiting {
            // Whoever waited may have gone.
            let _: Result<(), ()> = told.send(());
        }
    }

    async fn write(&self, store: &Store, batch: Vec<Entry>) {
        let deletions = self.disk.deletions();
        for entry in &batch {
            store.enqueue(entry.piece(), true);
        }
        let in_time = timeout(BATCH_TIME_MAX, store.wait()).await.is_ok();
        let mut failed = false;
        for entry in &batch {
            if in_time && store.may_contains(entry.key()) {
                let size = entry.value().len() as u64;
                self.metrics.cache_disk_written_bytes.increment(size);
                self.backlog.written.fetch_add(size, Ordering::Relaxed);
            } else {
                // One that was deleted meanwhile is not there either.
                failed |= !in_time || self.disk.deletions() == deletions;
                self.metrics.write_skipped(SkipReason::DiskFailed);
            }
        }
        if failed {
            self.disk.write_failed();
        }
    }

    fn entry_of(&self, job: Job, waiting: &mut Vec<oneshot::Sender<()>>) -> Option<Entry> {
        match job {
            Job::Write(entry) => Some(entry),
            Job::Tell(waiter) => {
                waiting.push(waiter);
                None
            }
            Job::Revisit(key) => {
                self.backlog.notes.fetch_sub(1, Ordering::Relaxed);
                let entry = self.memory.get(&key);
                if entry.is_none() {
                    self.metrics.write_skipped(SkipReason::QueueFull);
                }
                entry
            }
        }
    }
}

fn size_of(entry: &Entry) -> usize {
    entry.value().len().max(ENTRY_SIZE_MIN)
}
