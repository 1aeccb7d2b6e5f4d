//! The disk tier: opened beside everything else, given up when the disk fails, taken up again when it works.
//!
//! An edge never depends on it. While it is being opened a lookup waits for it, but not long; while it cannot be opened the edge
//! goes on with memory alone; while it takes no writes what it holds is still read. Whatever it says is checked by whoever asked.
//!
//! A tier whose writes failed is not trusted to write on: foyer does not say what became of a write, and a failed one may leave it
//! confused about its blocks. So a batch that cannot be found afterwards counts as failed ([`super::writer`]), and after that the
//! tier is opened anew once the disk takes a file again. foyer cannot be ended, which leaves its buffers behind, so this is not
//! done without end.

use super::entry::{Cached, SliceKey};
use super::figures::Figures;
use super::reads::Reads;
use super::writer::pool_size;
use crate::config::CacheConfig;
use crate::metrics::{DiskOperation, IntegritySource, Metrics};
use bytes::Bytes;
use foyer::{
    BlockEngineConfig, Cache, CacheProperties, DefaultHasher, DeviceBuilder, FifoPicker, FsDeviceBuilder,
    Load, PsyncIoEngineConfig, RecoverMode, Spawner, StoreBuilder,
};
use nix::sys::statvfs::statvfs;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::runtime::Handle;
use tokio::sync::{Notify, watch};
use tokio::time::{timeout, timeout_at};
use tokio_util::sync::CancellationToken;

/// foyer's disk tier alone.
pub(super) type Store = foyer::Store<SliceKey, Cached, DefaultHasher, CacheProperties>;

/// The memory tier; the disk tier takes its hashes and its entries.
pub(super) type Memory = Cache<SliceKey, Cached>;

/// foyer's block: a file, the unit of eviction. Each start begins two new ones. In a large tier they are as large as this, because a
/// terabyte in blocks of 16 MiB would be 65,000 open files.
const BLOCK_SIZE_MAX: u64 = 64 << 20;

/// In a small one they are smaller, but a block holds the largest entry.
const BLOCK_SIZE_MIN: u64 = 16 << 20;

/// Blocks that a tier is divided into, where the bounds above allow it.
const BLOCK_COUNT: u64 = 64;

/// The least disk that makes sense, in bytes: two blocks to write, one clean, some to keep.
pub const DISK_SIZE_MIN: u64 = 8 * BLOCK_SIZE_MIN;

/// Blocks that are filled at once.
const FLUSHERS: usize = 2;

/// Blocks that foyer keeps clean by pushing out old ones; with no more than these there is no room.
const CLEAN_BLOCKS_KEPT: u64 = 1;

/// How long a lookup waits for the tier to be opened. Opening takes milliseconds for each GB; asking the origin for what the disk
/// holds would be worse than a short wait, and impossible while the origin is away.
const OPEN_WAIT_MAX: Duration = Duration::from_secs(5);

/// How long a lookup waits for a read, its turn included. A disk that is slower than that is slower than a fill.
const READ_TIME_MAX: Duration = Duration::from_secs(2);

/// Before a disk that failed is tried again; doubled each time, until it has worked for a while.
const PAUSE_MIN: Duration = Duration::from_secs(2);
const PAUSE_MAX: Duration = Duration::from_secs(120);
const WORKED_FOR: Duration = Duration::from_secs(600);

/// Times that the tier is opened anew after failed writes; each leaves its buffers behind.
const REOPENINGS_MAX: u32 = 4;

/// Bytes of the file that shows whether a disk takes writes: as much as a few slices. There must be room for a block too, else a disk
/// that is nearly full would fail again at once.
const PROBE_SIZE: usize = 1 << 20;

/// What foyer gives for a read.
type Loaded = Load<SliceKey, Cached, CacheProperties>;

/// Whether foyer's index named what was looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Known {
    Yes,
    No,
}

/// What the disk tier can do now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DiskCondition {
    /// It is being opened.
    Opening,
    /// It reads and writes.
    Healthy,
    /// It takes no writes; what it holds is read.
    ReadOnly,
    /// It cannot be used.
    Away,
}

/// How a tier is divided.
struct Layout {
    block_size: u64,
    block_count: u64,
}

impl Layout {
    fn of(disk_size: u64) -> Self {
        // A multiple of a page, which foyer demands.
        let block_size = (disk_size / BLOCK_COUNT).clamp(BLOCK_SIZE_MIN, BLOCK_SIZE_MAX) / 4096 * 4096;
        Self { block_size, block_count: disk_size / block_size }
    }
}

#[derive(Clone)]
struct State {
    condition: DiskCondition,
    store: Option<Store>,
}

/// The disk tier. Clones share it.
#[derive(Clone)]
pub(super) struct Disk(Arc<Shared>);

struct Shared {
    folder: PathBuf,
    config: CacheConfig,
    memory: Memory,
    runtime: Handle,
    figures: Figures,
    metrics: Arc<Metrics>,
    state: watch::Sender<State>,
    write_failed: Notify,
    deletions: AtomicU64,
    reads: Reads,
}

impl Disk {
    /// Starts to open the tier in `folder`, and looks after it until `stop` is cancelled.
    pub(super) fn start(
        folder: &Path,
        config: CacheConfig,
        memory: Memory,
        runtime: Handle,
        metrics: Arc<Metrics>,
        stop: CancellationToken,
    ) -> Self {
        let disk = Self(Arc::new(Shared {
            folder: folder.to_owned(),
            reads: Reads::new(config.disk_read_count_max, Arc::clone(&metrics)),
            config,
            memory,
            figures: Figures::new(metrics.cache_disk_overflows.clone()),
            metrics,
            state: watch::Sender::new(State { condition: DiskCondition::Opening, store: None }),
            write_failed: Notify::new(),
            deletions: AtomicU64::new(0),
            runtime: runtime.clone(),
        }));
        let kept = disk.clone();
        runtime.spawn(async move {
            tokio::select! {
                () = kept.keep() => {}
                () = stop.cancelled() => {}
            }
        });
        disk
    }

    /// What it can do now.
    pub(super) fn condition(&self) -> DiskCondition {
        self.0.state.borrow().condition
    }

    /// Whether something can be written without pushing out something else, as far as is known.
    pub(super) fn has_room(&self) -> bool {
        match self.condition() {
            DiskCondition::Healthy | DiskCondition::ReadOnly => {
                self.0.figures.clean_blocks() > CLEAN_BLOCKS_KEPT
            }
            DiskCondition::Opening | DiskCondition::Away => true,
        }
    }

    /// Bytes of blocks that hold something or are being written.
    pub(super) fn used(&self) -> u64 {
        let layout = Layout::of(self.0.config.disk_size);
        match self.condition() {
            DiskCondition::Healthy | DiskCondition::ReadOnly => {
                layout.block_count.saturating_sub(self.0.figures.clean_blocks()) * layout.block_size
            }
            DiskCondition::Opening | DiskCondition::Away => 0,
        }
    }

    /// Bytes after whose writing nothing is there any more that was there, or on its way there, before: all blocks, those that are
    /// being filled, and what waits to be written.
    pub(super) fn turnover(&self) -> u64 {
        let Shared { config, .. } = &*self.0;
        let layout = Layout::of(config.disk_size);
        (layout.block_count + FLUSHERS as u64) * layout.block_size
            + 2 * pool_size(config.write_buffer_size) as u64
    }

    /// Whether an entry is probably there; may be wrong either way.
    pub(super) fn may_hold(&self, key: &SliceKey) -> bool {
        self.0.state.borrow().store.as_ref().is_some_and(|store| store.may_contains(key))
    }

    /// What is kept under a key; nobody has checked it.
    pub(super) async fn load(&self, key: &SliceKey) -> Option<Bytes> {
        let store = self.opened().await.store?;
        let deadline = tokio::time::Instant::now() + READ_TIME_MAX;
        if !store.may_contains(key) {
            // It may stand in foyer's queue, on its way to disk, from where it takes neither a thread nor a buffer.
            let read = timeout_at(deadline, store.load(key)).await.ok()?;
            return self.taken(key, read, Known::No);
        }
        let turn = self.0.reads.turn(deadline).await?;
        let name = *key;
        let mut read = Box::pin(async move { store.load(&name).await });
        match timeout_at(deadline, &mut read).await {
            Ok(read) => self.taken(key, read, Known::Yes),
            Err(_) => {
                self.0.metrics.disk_error(DiskOperation::Read);
                tracing::warn!(hash = %key.hash, slice = key.slice, "the disk cache does not answer in time");
                // The thread that reads cannot be called back; while it hangs it has its turn.
                self.0.runtime.spawn(async move {
                    let _late = read.await;
                    drop(turn);
                });
                None
            }
        }
    }

    /// What came of a read.
    fn taken(&self, key: &SliceKey, read: foyer::Result<Loaded>, known: Known) -> Option<Bytes> {
        match read {
            Ok(Load::Entry { value, .. }) => Some(value.bytes().clone()),
            Ok(Load::Piece { piece, .. }) => Some(piece.value().bytes().clone()),
            Ok(Load::Miss | Load::Throttled) => {
                if known == Known::Yes {
                    // foyer's own checksum or key did not match. Very rarely the entry was pushed out in this very moment.
                    self.0.metrics.integrity_failure(IntegritySource::Disk);
                }
                None
            }
            Err(error) => {
                self.0.metrics.disk_error(DiskOperation::Read);
                tracing::warn!(hash = %key.hash, slice = key.slice, error = %error.message(), "the disk cache cannot be read");
                None
            }
        }
    }

    /// Forgets what is kept under a key.
    pub(super) fn delete(&self, key: &SliceKey) {
        self.0.deletions.fetch_add(1, Ordering::Relaxed);
        if let Some(store) = &self.0.state.borrow().store {
            store.delete(key);
        }
    }

    /// How often something was deleted: what is being written meanwhile may be missing afterwards for that.
    pub(super) fn deletions(&self) -> u64 {
        self.0.deletions.load(Ordering::Relaxed)
    }

    /// The tier for writing, once it is open. `None` while it takes no writes.
    pub(super) async fn for_writing(&self) -> Option<Store> {
        let state = self.opened().await;
        state.store.filter(|_| state.condition == DiskCondition::Healthy)
    }

    /// Takes note that what was written is not there. No more is written until the disk was seen to work.
    pub(super) fn write_failed(&self) {
        self.0.metrics.disk_error(DiskOperation::Write);
        self.0.state.send_modify(|state| state.condition = DiskCondition::ReadOnly);
        self.0.write_failed.notify_one();
    }

    /// Waits for the tier to be opened, but not long.
    async fn opened(&self) -> State {
        let mut states = self.0.state.subscribe();
        let open = |state: &State| state.condition != DiskCondition::Opening;
        // The first look takes no time where it is open; the sender lives as long as `self`.
        let waited = timeout(OPEN_WAIT_MAX, states.wait_for(open)).await;
        match waited {
            Ok(Ok(state)) => state.clone(),
            _ => self.0.state.borrow().clone(),
        }
    }

    /// Opens the tier, and opens it anew when it failed and the disk works again.
    async fn keep(&self) {
        let folder = self.0.folder.display();
        let mut pause = PAUSE_MIN;
        let mut store = self.open_at_last(&mut pause).await;
        for _ in 0..REOPENINGS_MAX {
            self.publish(DiskCondition::Healthy, Some(store.clone()));
            let opened_at = Instant::now();
            self.0.write_failed.notified().await;
            self.publish(DiskCondition::ReadOnly, Some(store));
            tracing::error!(%folder, "the disk cache takes no writes; what it holds is served, and new slices stay in memory");
            if opened_at.elapsed() > WORKED_FOR {
                pause = PAUSE_MIN;
            }
            self.until_writable(&mut pause).await;
            store = self.open_at_last(&mut pause).await;
            tracing::info!(%folder, "the disk cache takes writes again");
        }
        self.publish(DiskCondition::Healthy, Some(store));
        self.0.write_failed.notified().await;
        tracing::error!(%folder, "the disk cache failed again and again; it is only read until this edge is restarted");
    }

    /// Waits until the disk takes a file.
    async fn until_writable(&self, pause: &mut Duration) {
        loop {
            wait_longer_each_time(pause).await;
            let folder = self.0.folder.clone();
            match tokio::task::spawn_blocking(move || probe(&folder)).await {
                Ok(Ok(())) => return,
                Ok(Err(error)) => tracing::warn!(%error, "the disk cache still takes no writes"),
                Err(_) => {}
            }
        }
    }

    /// Opens the tier, however often that must be tried.
    async fn open_at_last(&self, pause: &mut Duration) -> Store {
        loop {
            // In a task of its own: foyer panics on some things that a disk may do.
            let disk = self.clone();
            let opening = self.0.runtime.spawn(async move { disk.open().await });
            let error = match opening.await {
                Ok(Ok(store)) => return store,
                Ok(Err(error)) => error.message().to_owned(),
                Err(_) => "the cache library gave up".to_owned(),
            };
            self.0.metrics.disk_error(DiskOperation::Open);
            tracing::error!(folder = %self.0.folder.display(), error, "the disk cache cannot be opened");
            self.0.state.send_modify(|state| {
                if state.store.is_none() {
                    state.condition = DiskCondition::Away;
                }
            });
            wait_longer_each_time(pause).await;
        }
    }

    async fn open(&self) -> foyer::Result<Store> {
        let config = &self.0.config;
        // foyer would make it too, but panics where it cannot.
        tokio::fs::create_dir_all(&self.0.folder).await.map_err(foyer::Error::io_error)?;
        let layout = Layout::of(config.disk_size);
        remove_surplus(&self.0.folder, layout.block_count);
        let capacity = (layout.block_count * layout.block_size) as usize;
        let device = FsDeviceBuilder::new(&self.0.folder).with_capacity(capacity).build()?;
        let pool = pool_size(config.write_buffer_size);
        let engine = BlockEngineConfig::new(device)
            .with_block_size(layout.block_size as usize)
            .with_flushers(FLUSHERS)
            // Oldest first and nothing else, so that it is known when something that was purged is gone.
            .with_eviction_pickers(vec![Box::<FifoPicker>::default()])
            .with_clean_block_threshold(CLEAN_BLOCKS_KEPT as usize)
            .with_buffer_pool_size(pool)
            .with_submit_queue_size_threshold(2 * pool);
        StoreBuilder::new("slices", self.0.memory.clone(), self.0.figures.for_foyer())
            .with_spawner(Spawner::from(self.0.runtime.clone()))
            .with_io_engine_config(PsyncIoEngineConfig::new())
            .with_recover_mode(RecoverMode::Quiet)
            .with_engine_config(engine)
            .build()
            .await
    }

    fn publish(&self, condition: DiskCondition, store: Option<Store>) {
        self.0.state.send_replace(State { condition, store });
    }
}

async fn wait_longer_each_time(pause: &mut Duration) {
    tokio::time::sleep(*pause).await;
    *pause = (*pause * 2).min(PAUSE_MAX);
}

/// Removes blocks that a larger tier of an earlier run left behind, so that the tier keeps within its size. The names are foyer's; were
/// they others, nothing would be removed.
fn remove_surplus(folder: &Path, block_count: u64) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let number =
            name.to_str().and_then(|name| name.strip_prefix("foyer-storage-direct-fs-")?.parse::<u64>().ok());
        if number.is_some_and(|number| number >= block_count)
            && let Err(error) = fs::remove_file(entry.path())
        {
            tracing::warn!(%error, "a block of the disk cache that is not needed any more cannot be removed");
        }
    }
}

/// Whether the disk has room, and takes a file: writes one, makes it durable, and removes it.
fn probe(folder: &Path) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    let disk = statvfs(folder)?;
    if disk.blocks_available() * disk.fragment_size() < BLOCK_SIZE_MAX {
        return Err(io::ErrorKind::StorageFull.into());
    }
    let path = folder.join("probe");
    let written = File::create(&path).and_then(|mut file| {
        file.write_all(&vec![0x55; PROBE_SIZE])?;
        file.sync_all()
    });
    // What stays behind is overwritten by the next probe.
    let removed = fs::remove_file(&path);
    written.and(removed)
}
