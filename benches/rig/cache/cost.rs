//! What hits cost: CPU of the edge for each gigabyte from memory and from disk, in turn; and what verification alone does, in this
//! process.
//!
//! What a disk hit costs before TLS is what it costs in all, less what a memory hit does: both go the same way from there on.

use super::stock::{HOT, LARGE, SLICE, Stock, path_of};
use crate::assets::Random;
use crate::client::Connection;
use crate::selection::Protocol;
use crate::servers::Roles;
use crate::usage;
use bytes::{Bytes, BytesMut};
use skerry_proto::slices::{SliceHasher, SliceList};
use std::hint::black_box;
use tokio::task::JoinSet;

/// Memory and disk are read in turn so often; the median pair counts.
const ROUNDS: usize = 3;

/// Connections that read at once: an edge whose disk is read at all has more than one client.
const CONNECTIONS: usize = 8;

/// Bytes that are verified.
const VERIFIED: u64 = 2_000_000_000;

/// Seconds of CPU for each gigabyte.
#[derive(Debug, Clone, Copy)]
pub(super) struct Costs {
    /// Memory hits, TLS included.
    pub(super) memory: f64,
    /// Disk hits, TLS included.
    pub(super) disk: f64,
    /// Verification of slices.
    pub(super) verify: f64,
}

pub(super) async fn measure(roles: &Roles, stock: &Stock) -> anyhow::Result<Costs> {
    let verify = verification()?;
    let share = stock.large.len().div_ceil(ROUNDS);
    let mut rounds = Vec::new();
    for paths in stock.large.chunks(share) {
        let bytes = paths.len() as u64 * LARGE;
        let hot = vec![path_of("hot", 0); (bytes / HOT) as usize];
        warm(roles, &hot[..3.min(hot.len())]).await?;
        let memory = cost(roles, &hot, HOT, "memory").await?;
        let disk = cost(roles, paths, LARGE, "disk").await?;
        rounds.push((memory, disk));
    }
    rounds.sort_by(|(memory, disk), (other_memory, other_disk)| {
        (disk - memory).total_cmp(&(other_disk - other_memory))
    });
    let (memory, disk) = rounds.get((rounds.len() - 1) / 2).copied().unwrap_or_default();
    Ok(Costs { memory, disk, verify })
}

/// Brings the hot file back into memory, from which reading the disk may have pushed it.
async fn warm(roles: &Roles, paths: &[String]) -> anyhow::Result<()> {
    let target = &roles.edge.target;
    let mut connection = Connection::open(target, Protocol::H1).await?;
    for path in paths {
        connection.fetch_exactly(target.request(Protocol::H1, path)?, HOT, &mut |_| ()).await?;
    }
    Ok(())
}

/// Seconds of the edge's CPU for each gigabyte that comes from `tier`.
async fn cost(roles: &Roles, paths: &[String], size: u64, tier: &'static str) -> anyhow::Result<f64> {
    let (target, pid) = (&roles.edge.target, roles.edge.process.pid());
    let before = usage::used_by_process(pid)?;
    let mut clients = JoinSet::new();
    for paths in paths.chunks(paths.len().div_ceil(CONNECTIONS)) {
        let (paths, target) = (paths.to_vec(), target.clone());
        clients.spawn(async move {
            let mut connection = Connection::open(&target, Protocol::H1).await?;
            for path in paths {
                let request = target.request(Protocol::H1, &path)?;
                let head = connection.fetch_exactly(request, size, &mut |_| ()).await?;
                anyhow::ensure!(head.says_hit_in(tier), "{path} was no hit in {tier}: {:?}", head.headers);
            }
            anyhow::Ok(())
        });
    }
    while let Some(done) = clients.join_next().await {
        done??;
    }
    let used = usage::used_by_process(pid)? - before;
    Ok(used.as_secs_f64() * 1e9 / (paths.len() as u64 * size) as f64)
}

/// Seconds of this thread's CPU for each gigabyte of slices, far more of them than any processor cache holds.
fn verification() -> anyhow::Result<f64> {
    let mut content = BytesMut::with_capacity(LARGE as usize);
    let mut random = Random::new(0);
    while content.len() < LARGE as usize {
        content.extend_from_slice(&random.block());
    }
    let content: Bytes = content.freeze();
    let mut hasher = SliceHasher::new();
    hasher.update(&content);
    let hashed = hasher.finish();
    let list = SliceList::verify(hashed.id, hashed.slice_list)?;
    let before = usage::used_by_this_thread()?;
    let mut verified = 0;
    while verified < VERIFIED {
        for index in 0..LARGE / SLICE {
            let slice = content.slice((index * SLICE) as usize..((index + 1) * SLICE) as usize);
            black_box(list.check(index, slice)?);
        }
        verified += LARGE;
    }
    let used = usage::used_by_this_thread()? - before;
    Ok(used.as_secs_f64() * 1e9 / verified as f64)
}
