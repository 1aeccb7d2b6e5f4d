//! The slice cache: memory in front of disk, and nothing that was not verified ever leaves it.
//!
//! Keys begin with the account, so that one account's fills tell another nothing. A value that was read from disk carries no proof;
//! it gets one when somebody who knows the blob's hash has checked it, once for all who wait. The mark lives in the value in memory
//! and never on disk.
//!
//! What is inserted goes to memory at once and to disk later (see [`writer`]); whoever inserts never waits for the disk. This module
//! is the only one that names foyer.

mod entry;
mod writer;

pub use entry::{Account, AccountKey, SliceKey};

use crate::config::CacheConfig;
use crate::metrics::Metrics;
use entry::{Cached, Proof};
use foyer::{
    BlockEngineConfig, DeviceBuilder, FsDeviceBuilder, HybridCache, HybridCacheBuilder, HybridCacheEntry,
    HybridCachePolicy, PsyncIoEngineConfig, RecoverMode, S3FifoConfig, Source, Spawner,
};
use skerry_proto::slices::{SliceList, VerifiedSlice};
use std::path::Path;
use std::sync::Arc;
use tokio::runtime::Handle;
use writer::DiskWriter;

/// foyer's block: a file, the unit of eviction. With the default of 16 MiB a terabyte would be 65,000 open files.
const BLOCK_SIZE: usize = 64 << 20;

/// The least disk that makes sense, in bytes: one block to write, one clean, some to keep.
pub const DISK_SIZE_MIN: u64 = 4 * BLOCK_SIZE as u64;

/// Shards of the memory tier. Few, because each holds its share of the bytes, and a slice is large.
const MEMORY_SHARDS: usize = 8;

/// What foyer keeps for each entry beside the bytes, roughly; counted as weight so that small objects cannot outgrow the bound.
const ENTRY_OVERHEAD: usize = 256;

/// Why the cache does not open.
#[derive(Debug, thiserror::Error)]
pub enum CacheError {
    /// The disk tier cannot be opened.
    #[error("the disk cache in {folder} cannot be opened: {source}")]
    Disk {
        /// Where it is.
        folder: String,
        /// Why.
        source: foyer::Error,
    },
}

/// Slices in memory and on disk.
pub struct SliceCache {
    tiers: HybridCache<SliceKey, Cached>,
    writer: DiskWriter,
    metrics: Arc<Metrics>,
}

/// What a lookup found.
pub enum Found {
    /// A slice that was verified.
    Verified(VerifiedSlice, Tier),
    /// Bytes that nobody has checked since they were read from disk; see [`SliceCache::confirm`].
    Unverified(Unverified),
    /// Nothing.
    Missing,
}

/// Where a slice was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tier {
    /// In memory.
    Memory,
    /// On disk.
    Disk,
}

/// Bytes from disk that were not checked yet. They can only be checked, not sent.
pub struct Unverified(Entry);

type Entry = HybridCacheEntry<SliceKey, Cached>;

impl SliceCache {
    /// Opens both tiers; the disk tier lies in `folder`. Reads and writes of the disk run on `runtime`.
    ///
    /// # Errors
    /// [`CacheError::Disk`].
    pub async fn open(
        folder: &Path,
        config: CacheConfig,
        runtime: Handle,
        metrics: Arc<Metrics>,
    ) -> Result<Self, CacheError> {
        let failed = |source| CacheError::Disk { folder: folder.display().to_string(), source };
        let device =
            FsDeviceBuilder::new(folder).with_capacity(config.disk_size as usize).build().map_err(failed)?;
        let pool = writer::pool_size(config.write_buffer_size);
        let tiers = HybridCacheBuilder::new()
            .with_name("slices")
            .with_policy(HybridCachePolicy::WriteOnInsertion)
            // Memory is on disk already, or is being written by `writer`.
            .with_flush_on_close(false)
            .memory(config.memory_size as usize)
            .with_shards(MEMORY_SHARDS)
            .with_eviction_config(S3FifoConfig::default())
            .with_weighter(|_, value: &Cached| value.len() + ENTRY_OVERHEAD)
            .storage()
            .with_spawner(Spawner::from(runtime.clone()))
            .with_io_engine_config(PsyncIoEngineConfig::new())
            .with_recover_mode(RecoverMode::Quiet)
            .with_engine_config(
                BlockEngineConfig::new(device)
                    .with_block_size(BLOCK_SIZE)
                    .with_flushers(2)
                    .with_buffer_pool_size(pool)
                    .with_submit_queue_size_threshold(2 * pool),
            )
            .build()
            .await
            .map_err(failed)?;
        let writer =
            DiskWriter::start(tiers.clone(), config.write_buffer_size, &runtime, Arc::clone(&metrics));
        Ok(Self { tiers, writer, metrics })
    }

    /// A verified slice from memory, without waiting. `None` says nothing about the disk.
    pub fn in_memory(&self, key: &SliceKey) -> Option<VerifiedSlice> {
        match self.tiers.memory().get(key)?.value().proof()? {
            Proof::Slice(slice) => Some(slice.clone()),
            Proof::List(_) => None,
        }
    }

    /// Looks in memory, then on disk.
    pub async fn find(&self, key: &SliceKey) -> Found {
        let Some(entry) = self.lookup(key).await else { return Found::Missing };
        match entry.value().proof() {
            Some(Proof::Slice(slice)) => Found::Verified(slice.clone(), tier(&entry)),
            Some(Proof::List(_)) => Found::Missing,
            None => Found::Unverified(Unverified(entry)),
        }
    }

    /// Checks what was read from disk against the slice list of its blob. Whoever else holds the same bytes sees the proof too.
    /// Bytes that do not verify are dropped from both tiers and counted.
    pub fn confirm(
        &self,
        key: &SliceKey,
        found: &Unverified,
        list: &SliceList,
    ) -> Option<(VerifiedSlice, Tier)> {
        let Unverified(entry) = found;
        match list.check(key.slice, entry.value().bytes().clone()) {
            Ok(slice) => {
                entry.value().prove(Proof::Slice(slice.clone()));
                Some((slice, tier(entry)))
            }
            Err(error) => {
                self.drop_corrupt(key, &error);
                None
            }
        }
    }

    /// The slice list that is kept for a blob; one that was read from disk is merged again.
    pub async fn slice_list(
        &self,
        account: AccountKey,
        blob: skerry_proto::slices::BlobId,
    ) -> Option<SliceList> {
        if let Some(list) = SliceList::trivial(blob) {
            return Some(list);
        }
        let key = SliceKey::list(account, blob.hash);
        let entry = self.lookup(&key).await?;
        match entry.value().proof() {
            Some(Proof::List(list)) if list.blob() == blob => return Some(list.clone()),
            Some(_) => return None,
            None => {}
        }
        match SliceList::verify(blob, entry.value().bytes().clone()) {
            Ok(list) => {
                entry.value().prove(Proof::List(list.clone()));
                Some(list)
            }
            Err(error) => {
                self.drop_corrupt(&key, &error);
                None
            }
        }
    }

    /// Keeps a slice that was verified.
    pub fn insert(&self, key: SliceKey, slice: &VerifiedSlice) {
        self.keep(key, Cached::proven(slice.bytes().clone(), Proof::Slice(slice.clone())));
    }

    /// Keeps a slice list that was verified.
    pub fn insert_list(&self, account: AccountKey, list: &SliceList) {
        if list.values().is_empty() {
            return;
        }
        let key = SliceKey::list(account, list.blob().hash);
        self.keep(key, Cached::proven(list.values().clone(), Proof::List(list.clone())));
    }

    /// Whether the slice is probably held; may be wrong either way, and does not count as a use.
    pub fn may_hold(&self, key: &SliceKey) -> bool {
        self.tiers.contains(key)
    }

    /// Bytes of slices in memory.
    pub fn memory_used(&self) -> usize {
        self.tiers.memory().usage()
    }

    /// Writes what waits, and closes the disk tier.
    pub async fn close(&self) {
        self.writer.stop().await;
        if let Err(error) = self.tiers.close().await {
            tracing::warn!(%error, "the disk cache did not close cleanly");
        }
    }

    fn keep(&self, key: SliceKey, value: Cached) {
        let entry = self.tiers.memory().insert(key, value);
        self.writer.write_later(entry);
    }

    async fn lookup(&self, key: &SliceKey) -> Option<Entry> {
        // A disk that fails to answer is a miss; the fill heals it.
        self.tiers.get(key).await.ok().flatten()
    }

    fn drop_corrupt(&self, key: &SliceKey, error: &skerry_proto::slices::VerifyError) {
        self.tiers.remove(key);
        self.metrics.integrity_failure(crate::metrics::IntegritySource::Disk);
        tracing::warn!(hash = %key.hash, slice = key.slice, %error, "dropped bytes of the disk cache that do not verify");
    }
}

fn tier(entry: &Entry) -> Tier {
    match entry.source() {
        Source::Memory => Tier::Memory,
        Source::Disk | Source::Outer => Tier::Disk,
    }
}

impl std::fmt::Debug for SliceCache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SliceCache").field("memory_used", &self.memory_used()).finish_non_exhaustive()
    }
}
