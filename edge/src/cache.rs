//! The slice cache: memory in front of disk, and nothing that was not verified ever leaves it.
//!
//! Keys begin with the account, so that one account's fills tell another nothing. What is read from disk carries no proof; it is
//! checked against the blob's slice list before anybody sees it, and only what was proven enters memory. The mark lives in the value
//! in memory and never on disk. Bytes that do not verify are dropped and counted, and the lookup goes on as if they were not there.
//!
//! What is inserted goes to memory at once, and to disk later if it is worth it ([`admission`], [`writer`]); whoever inserts never
//! waits for the disk, and the edge goes on without one ([`disk`]). This module is the only one that names foyer.

mod admission;
mod borrowed;
mod buffers;
mod disk;
mod entry;
mod figures;
mod reads;
mod writer;

pub use buffers::copied;
pub use disk::{DISK_SIZE_MIN, DiskCondition};
pub use entry::{Account, AccountKey, Asks, SliceKey};

use crate::config::CacheConfig;
use crate::metrics::{CacheResult, IntegritySource, Metrics, SkipReason};
use admission::Admission;
use borrowed::Borrowed;
use bytes::{Bytes, BytesMut};
use disk::{Disk, Memory};
use entry::{Cached, Proof};
use foyer::{CacheBuilder, S3FifoConfig};
use skerry_proto::slices::{BlobId, SliceList, VerifiedSlice, VerifyError};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;
use writer::DiskWriter;

/// Shards of the memory tier. Few, because each holds its share of the bytes, and a slice is large.
const MEMORY_SHARDS: usize = 8;

/// What memory keeps for each entry beside the bytes, roughly; counted as weight so that small objects cannot outgrow the bound.
const ENTRY_OVERHEAD: usize = 512;

/// Time for the disk tier to finish at a stop, after what waited is written.
const CLOSE_TIME_MAX: Duration = Duration::from_secs(10);

/// Slices in memory and on disk.
pub struct SliceCache {
    memory: Memory,
    borrowed: Borrowed,
    disk: Disk,
    writer: DiskWriter,
    admission: Mutex<Admission>,
    metrics: Arc<Metrics>,
    stop: CancellationToken,
}

/// Where a slice was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tier {
    /// In memory.
    Memory,
    /// On disk.
    Disk,
}

impl From<Tier> for CacheResult {
    fn from(tier: Tier) -> Self {
        match tier {
            Tier::Memory => Self::Memory,
            Tier::Disk => Self::Disk,
        }
    }
}

/// Why a slice cannot be corrupted on purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CorruptError {
    /// The cache does not hold it.
    #[error("the cache does not hold this slice; fetch it first")]
    NotHeld,
    /// The blob has fewer slices.
    #[error("the asset has {slice_count} slices; they are counted from 0")]
    NoSuchSlice {
        /// How many it has.
        slice_count: u64,
    },
    /// There is no disk tier that takes writes.
    #[error("the disk cache takes no writes now")]
    NoDisk,
}

impl SliceCache {
    /// A cache whose disk tier in `folder` is opened beside it, on `runtime`, where its reads and writes run too.
    pub fn start(folder: &Path, config: CacheConfig, runtime: &Handle, metrics: Arc<Metrics>) -> Self {
        let borrowed = Borrowed::new(config.borrowed_size);
        let memory_size = config.memory_size.saturating_sub(config.borrowed_size);
        let memory: Memory = CacheBuilder::new(memory_size as usize)
            .with_shards(MEMORY_SHARDS)
            .with_eviction_config(S3FifoConfig::default())
            .with_weighter(|_, value: &Cached| value.len() + ENTRY_OVERHEAD)
            .build();
        metrics.cache_memory_bytes_max.set(config.memory_size as f64);
        metrics.cache_disk_bytes_max.set(config.disk_size as f64);
        let stop = CancellationToken::new();
        let disk =
            Disk::start(folder, config, memory.clone(), runtime.clone(), Arc::clone(&metrics), stop.clone());
        let writer = DiskWriter::start(
            disk.clone(),
            memory.clone(),
            config.write_buffer_size,
            runtime,
            Arc::clone(&metrics),
        );
        let admission = Mutex::new(Admission::new(config.admission, config.write_rate_max, Instant::now()));
        Self { memory, borrowed, disk, writer, admission, metrics, stop }
    }

    /// A slice from memory, without waiting. `None` says nothing about the disk.
    pub fn in_memory(&self, key: &SliceKey) -> Option<VerifiedSlice> {
        let Some(entry) = self.memory.get(key) else { return self.borrowed.slice(key) };
        let Some(Proof::Slice(slice)) = entry.value().proof() else { return None };
        let slice = slice.clone();
        if entry.value().ask() {
            self.writer.write_later(entry);
        }
        Some(slice)
    }

    /// A slice from memory, else from disk, checked.
    pub async fn find(&self, key: &SliceKey, blob: BlobId) -> Option<(VerifiedSlice, Tier)> {
        if let Some(slice) = self.in_memory(key) {
            return Some((slice, Tier::Memory));
        }
        let bytes = self.disk.load(key).await?;
        let list = self.slice_list(key.account, blob).await?;
        match list.check(key.slice, bytes) {
            Ok(slice) => {
                self.memory.insert(*key, Cached::proven(Proof::Slice(slice.clone()), Asks::Often));
                Some((slice, Tier::Disk))
            }
            Err(error) => {
                self.drop_corrupt(key, &error);
                None
            }
        }
    }

    /// The slice list that is kept for a blob; one that is read from disk is merged again.
    pub async fn slice_list(&self, account: AccountKey, blob: BlobId) -> Option<SliceList> {
        if let Some(list) = SliceList::trivial(blob) {
            return Some(list);
        }
        let key = SliceKey::list(account, blob.hash);
        if let Some(entry) = self.memory.get(&key) {
            return match entry.value().proof() {
                Some(Proof::List(list)) if list.blob() == blob => Some(list.clone()),
                _ => None,
            };
        }
        if let Some(list) = self.borrowed.list(&key).filter(|list| list.blob() == blob) {
            return Some(list);
        }
        let values = self.disk.load(&key).await?;
        match SliceList::verify(blob, values) {
            Ok(list) => {
                self.memory.insert(key, Cached::proven(Proof::List(list.clone()), Asks::Often));
                Some(list)
            }
            Err(error) => {
                self.drop_corrupt(&key, &error);
                None
            }
        }
    }

    /// Keeps a slice that was verified, and that was asked for so often.
    pub fn insert(&self, key: SliceKey, slice: &VerifiedSlice, asks: Asks) {
        self.keep(key, Proof::Slice(slice.clone()), asks);
    }

    /// Keeps a slice list that was verified. Each fill brings it again, so it may be there.
    pub fn insert_list(&self, account: AccountKey, list: &SliceList) {
        let key = SliceKey::list(account, list.blob().hash);
        if !list.values().is_empty() && !self.memory.contains(&key) {
            // Without it nothing of the blob can be read back from disk, so it goes where any slice of the blob may go.
            self.keep(key, Proof::List(list.clone()), Asks::Often);
        }
    }

    /// Keeps a slice that a neighbour owns, for a while and in little room.
    pub fn borrow(&self, key: SliceKey, slice: &VerifiedSlice) {
        self.borrowed.keep(key, Proof::Slice(slice.clone()));
    }

    /// Keeps a slice list that came with such a slice.
    pub fn borrow_list(&self, account: AccountKey, list: &SliceList) {
        if !list.values().is_empty() {
            self.borrowed.keep(SliceKey::list(account, list.blob().hash), Proof::List(list.clone()));
        }
    }

    /// Drops what is held under a key. The bytes stay in a block of the disk tier until it is reclaimed, where nobody finds them, unless
    /// a restart does.
    pub fn evict(&self, key: &SliceKey) {
        self.memory.remove(key);
        self.borrowed.remove(key);
        self.disk.delete(key);
    }

    /// Bytes that were handed to the disk since the start.
    pub fn written(&self) -> u64 {
        self.writer.written()
    }

    /// Bytes after whose writing nothing is on disk any more that was there, or on its way there, before.
    pub fn turnover(&self) -> u64 {
        self.disk.turnover()
    }

    /// Whether the slice is probably on disk and not in memory; may be wrong either way, and does not count as a use.
    pub fn may_hold_on_disk_alone(&self, key: &SliceKey) -> bool {
        !self.memory.contains(key) && !self.borrowed.holds(key) && self.disk.may_hold(key)
    }

    /// Whether the slice is probably held; may be wrong either way, and does not count as a use.
    pub fn may_hold(&self, key: &SliceKey) -> bool {
        self.memory.contains(key) || self.borrowed.holds(key) || self.disk.may_hold(key)
    }

    /// Bytes of slices in memory.
    pub fn memory_used(&self) -> usize {
        self.memory.usage() + self.borrowed.used()
    }

    /// Bytes of disk that hold something.
    pub fn disk_used(&self) -> u64 {
        self.disk.used()
    }

    /// What the disk tier can do now.
    pub fn disk_condition(&self) -> DiskCondition {
        self.disk.condition()
    }

    /// Replaces a slice on disk by one with a flipped bit, and drops it from memory: for operators who want to see it heal.
    ///
    /// # Errors
    /// [`CorruptError`].
    pub async fn corrupt(&self, key: &SliceKey, blob: BlobId) -> Result<(), CorruptError> {
        let (slice, _) = self.find(key, blob).await.ok_or(CorruptError::NotHeld)?;
        // Else the right bytes, still on their way, would come after the wrong ones.
        self.writer.caught_up().await;
        let store = self.disk.for_writing().await.ok_or(CorruptError::NoDisk)?;
        // A cache of its own, so that wrong bytes never stand in the memory tier.
        let aside: Memory = CacheBuilder::new(1).build();
        store.enqueue(aside.insert(*key, Cached::unproven(flipped(slice.bytes()))).piece(), true);
        store.wait().await;
        self.memory.remove(key);
        Ok(())
    }

    /// Writes what waits, and closes the disk tier.
    pub async fn close(&self) {
        self.writer.stop().await;
        if let Some(store) = self.disk.for_writing().await {
            match tokio::time::timeout(CLOSE_TIME_MAX, store.close()).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::warn!(%error, "the disk cache did not close cleanly"),
                Err(_) => tracing::warn!("the disk cache did not close in time"),
            }
        }
        self.stop.cancel();
    }

    fn keep(&self, key: SliceKey, proof: Proof, asks: Asks) {
        let entry = self.memory.insert(key, Cached::proven(proof, asks));
        let (size, has_room) = (entry.value().len(), self.disk.has_room());
        let admitted = self.admission.lock().unwrap_or_else(PoisonError::into_inner).admits(
            entry.hash(),
            asks,
            size,
            has_room,
            Instant::now(),
        );
        if admitted {
            entry.value().settle();
            self.writer.write_later(entry);
        } else {
            self.metrics.write_skipped(SkipReason::NotWorthIt);
        }
    }

    fn drop_corrupt(&self, key: &SliceKey, error: &VerifyError) {
        self.disk.delete(key);
        self.metrics.integrity_failure(IntegritySource::Disk);
        tracing::warn!(hash = %key.hash, slice = key.slice, %error, "dropped bytes of the disk cache that do not verify");
    }
}

/// The same bytes but for one bit in the middle.
fn flipped(bytes: &Bytes) -> Bytes {
    let mut wrong = BytesMut::from(&bytes[..]);
    let middle = wrong.len() / 2;
    if let Some(byte) = wrong.get_mut(middle) {
        *byte ^= 1;
    }
    wrong.freeze()
}

impl std::fmt::Debug for SliceCache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SliceCache").field("memory_used", &self.memory_used()).finish_non_exhaustive()
    }
}
