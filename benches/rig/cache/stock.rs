//! What the edge's disk is filled with: large files that make up nearly all of it, one that stays in memory, many small objects that are
//! fetched once each, and cold files that nobody has asked for yet.
//!
//! Each large file goes from the origin's disk once the edge has it, so that the whole takes not much more than what the edge keeps.

use crate::assets::Random;
use crate::client::Connection;
use crate::options::Cache;
use crate::selection::Protocol;
use crate::servers::{self, Roles, Skerry};
use anyhow::Context;
use skerry_proto::hash::Hash;
use skerry_proto::slices::SliceHasher;
use std::fs;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use tokio::task::JoinSet;

/// A slice.
pub(super) const SLICE: u64 = 262_144;

/// Bytes of a large file: what the default limits take.
pub(super) const LARGE: u64 = 100 << 20;

/// Bytes of the file that stays in memory: a quarter of the memory tier, and large enough that its requests cost nothing beside it.
pub(super) const HOT: u64 = 8 << 20;

/// Bytes of a small object.
const SMALL: u64 = 4096;

/// Large files that are published in one step, and fetched at once.
const BATCH: u64 = 4;

/// Times that a large file is fetched at most until all of it is on disk.
const FETCHES_MAX: u32 = 20;

/// Slices that stayed in memory alone, because too many waited for the disk.
const NOT_WRITTEN: &str = "skerry_edge_cache_write_skipped_total{edge=\"edge\",reason=\"queue_full\"}";

/// More paths than any run publishes.
pub(super) const PATHS_MAX: u64 = 100_000;

/// What was published.
pub(super) struct Stock {
    pub(super) large: Vec<String>,
    pub(super) cold: Vec<Hash>,
    small_count: u64,
}

impl Stock {
    /// Publishes all of it, and fetches all but the cold files, so that it is on the edge's disk.
    pub(super) async fn publish(
        skerry: &Skerry,
        roles: &Roles,
        folder: &Path,
        options: &Cache,
    ) -> anyhow::Result<Self> {
        let publisher = Publisher { skerry, roles, folder };
        publisher.publish("hot", 0..1, HOT)?;
        let cold = publisher.publish("cold", 0..options.misses.into(), SLICE)?;
        publisher.publish("small", 0..options.objects.into(), SMALL)?;
        publisher.fetch_all(vec![(path_of("hot", 0), HOT)]).await?;
        let mut large = Vec::new();
        let count = (options.gb * 1_000_000_000).div_ceil(LARGE);
        for first in (0..count).step_by(BATCH as usize) {
            let numbers = first..count.min(first + BATCH);
            let hashes = publisher.publish("large", numbers.clone(), LARGE)?;
            let paths: Vec<_> = numbers.map(|number| path_of("large", number)).collect();
            publisher.fetch_until_on_disk(&paths).await?;
            publisher.drop_blobs(&hashes)?;
            large.extend(paths);
        }
        let small = (0..options.objects.into()).map(|number| (path_of("small", number), SMALL));
        publisher.fetch_all(small.collect()).await?;
        roles.until_written().await?;
        Ok(Self { large, cold, small_count: options.objects.into() })
    }

    /// Bytes on the edge's disk.
    pub(super) fn bytes(&self) -> u64 {
        self.large.len() as u64 * LARGE + self.small_count * SMALL + HOT
    }

    /// Entries of its index: slices, and the lists of files of more than one.
    pub(super) fn entries(&self) -> u64 {
        let large = self.large.len() as u64;
        large * (LARGE / SLICE + 1) + self.small_count + HOT / SLICE + 1 + self.cold.len() as u64
    }
}

/// URL path of a file.
pub(super) fn path_of(kind: &str, number: u64) -> String {
    format!("/{kind}/{number}.bin")
}

struct Publisher<'a> {
    skerry: &'a Skerry,
    roles: &'a Roles,
    folder: &'a Path,
}

impl Publisher<'_> {
    /// Publishes files of random bytes in one step; their names.
    fn publish(&self, kind: &str, numbers: std::ops::Range<u64>, size: u64) -> anyhow::Result<Vec<Hash>> {
        let folder = self.folder.join(kind);
        fs::create_dir(&folder)?;
        // A seed for each kind, so that no two files are the same.
        let seed = kind.bytes().fold(0_u64, |seed, byte| seed << 8 | u64::from(byte)) << 20;
        let hashes = numbers
            .map(|number| write(&folder.join(format!("{number}.bin")), seed + number, size))
            .collect::<anyhow::Result<_>>()?;
        servers::run(self.roles.put(self.skerry, &folder, &format!("/{kind}")))?;
        fs::remove_dir_all(&folder)?;
        Ok(hashes)
    }

    /// Fetches large files, and again where the disk did not keep up, which leaves slices in memory alone.
    async fn fetch_until_on_disk(&self, paths: &[String]) -> anyhow::Result<()> {
        for _ in 0..FETCHES_MAX {
            let before = self.roles.figure(NOT_WRITTEN).await?;
            self.fetch_all(paths.iter().map(|path| (path.clone(), LARGE)).collect()).await?;
            self.roles.until_written().await?;
            if self.roles.figure(NOT_WRITTEN).await? == before {
                return Ok(());
            }
        }
        anyhow::bail!("the edge's disk does not keep up with {BATCH} clients")
    }

    /// Fetches files over a few connections at once.
    async fn fetch_all(&self, files: Vec<(String, u64)>) -> anyhow::Result<()> {
        let mut clients = JoinSet::new();
        let share = files.len().div_ceil(BATCH as usize).max(1);
        for files in files.chunks(share) {
            let (files, target) = (files.to_vec(), self.roles.edge.target.clone());
            clients.spawn(async move {
                let mut connection = Connection::open(&target, Protocol::H1).await?;
                for (path, size) in files {
                    let request = target.request(Protocol::H1, &path)?;
                    connection.fetch_exactly(request, size, &mut |_| ()).await.context(path)?;
                }
                anyhow::Ok(())
            });
        }
        while let Some(done) = clients.join_next().await {
            done??;
        }
        Ok(())
    }

    /// Removes blobs from the origin's disk, which nobody asks it for any more.
    fn drop_blobs(&self, hashes: &[Hash]) -> anyhow::Result<()> {
        for hash in hashes {
            let name = hash.to_string();
            let path: PathBuf = [&name[..2], &name[2..4], &name].iter().collect();
            let path = self.folder.join("origin/blobs").join(path);
            // Emptied first, because the origin may have it open.
            let emptied = fs::OpenOptions::new().write(true).open(&path).and_then(|file| file.set_len(0));
            emptied
                .and_then(|()| fs::remove_file(&path))
                .with_context(|| format!("cannot remove {}", path.display()))?;
        }
        Ok(())
    }
}

fn write(file: &Path, seed: u64, size: u64) -> anyhow::Result<Hash> {
    let (mut random, mut hasher) = (Random::new(seed), SliceHasher::new());
    let mut out = BufWriter::with_capacity(1 << 20, fs::File::create(file)?);
    let mut left = size as usize;
    while left > 0 {
        let block = random.block();
        let part = &block[..left.min(block.len())];
        hasher.update(part);
        out.write_all(part)?;
        left -= part.len();
    }
    out.flush()?;
    Ok(hasher.finish().id.hash)
}
