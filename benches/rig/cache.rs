//! The cache of `skerry edge`: the first byte of a miss beside a bare gRPC client, the cost of disk hits, memory, and a restart with
//! a full disk tier.
//!
//! Origin and edge are processes of their own. The memory tier is small, so that what is read again comes from disk. What a disk hit
//! costs before TLS is what it costs in all, less what a memory hit of the same size does.

use crate::assets::Random;
use crate::bare::BareClient;
use crate::client::{Connection, Target};
use crate::options::{Cache, Common};
use crate::report::{CacheReport, median};
use crate::selection::Protocol;
use crate::servers::{self, Roles, Skerry};
use crate::usage;
use anyhow::Context;
use skerry_proto::hash::Hash;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// A slice.
const SLICE: u64 = 262_144;

/// Bytes of a large file: what the default limits take.
const LARGE: u64 = 100 << 20;

/// Slices in memory: a few files of one slice, and hardly anything of a large one.
const MEMORY_TIER: u64 = 32 << 20;

/// The default of `cache.write_buffer_size`.
const WRITE_BUFFER: u64 = 32 << 20;

/// Bytes of the disk index for each entry, as the guide says.
const INDEX_ENTRY: u64 = 64;

/// Measures everything on one pair of processes.
pub(crate) async fn measure(common: &Common, options: &Cache) -> anyhow::Result<CacheReport> {
    let skerry = Skerry::of(common)?;
    let folder = tempfile::tempdir_in(&common.folder)?;
    let disk = (options.gib + 1) << 30;
    let settings = [("cache.disk_size", disk.to_string()), ("cache.admission", "all".to_owned())];
    let mut roles = Roles::start(&skerry, folder.path(), MEMORY_TIER, &settings).await?;

    let (misses, bare) = first_bytes(&skerry, &roles, folder.path(), options.misses).await?;
    let paths = fill(&skerry, &roles, folder.path(), options.gib).await?;
    let pid = roles.edge.process.pid();
    let target = roles.edge.target.clone();
    let hot = path_of(0);
    let memory_cost =
        cost(&target, pid, (0..paths.len() as u64 * LARGE / SLICE).map(|_| &hot), SLICE).await?;
    let disk_cost = cost(&target, pid, paths.iter(), LARGE).await?;
    let (_, resident) = usage::resident_memory(pid)?;
    let entries = paths.len() as u64 * (LARGE / SLICE) + u64::from(options.misses);
    let resident_bound = (MEMORY_TIER + WRITE_BUFFER + INDEX_ENTRY * entries) * 13 / 10 + (64 << 20);

    let mut restarts = Vec::new();
    for _ in 0..options.restarts {
        let began = roles.restart_edge(&skerry, folder.path()).await?;
        restarts.push(first_cached_byte(&roles.edge.target, &hot, began).await?);
    }
    roles.stop().await?;
    Ok(CacheReport {
        miss_first_byte: median(&misses),
        bare_first_slice: median(&bare),
        disk_bytes: paths.len() as u64 * LARGE,
        memory_cost,
        disk_cost,
        resident,
        resident_bound,
        restarts,
    })
}

/// Cold files of one slice, each asked for once at the edge and once by the bare client, who goes first in turn.
async fn first_bytes(
    skerry: &Skerry,
    roles: &Roles,
    folder: &Path,
    count: u32,
) -> anyhow::Result<(Vec<Duration>, Vec<Duration>)> {
    let bare = BareClient::enrol(&roles.grpc_url(), &roles.join_token(skerry)?, roles.account_sid()).await?;
    let mut edge = Connection::open(&roles.edge.target, Protocol::H2).await?;
    let (mut misses, mut bares) = (Vec::new(), Vec::new());
    for number in 0..count {
        let (file, hash) = write(folder, number.into(), SLICE)?;
        servers::run(roles.put(skerry, &file, &path_of(number.into())))?;
        if number % 2 == 0 {
            bares.push(bare.first_slice(hash).await?);
        }
        misses.push(first_byte(&mut edge, &roles.edge.target, &path_of(number.into()), SLICE).await?);
        if number % 2 == 1 {
            bares.push(bare.first_slice(hash).await?);
        }
    }
    Ok((misses, bares))
}

async fn first_byte(
    connection: &mut Connection,
    target: &Target,
    path: &str,
    size: u64,
) -> anyhow::Result<Duration> {
    let request = target.request(Protocol::H2, path)?;
    let (began, mut first) = (Instant::now(), None);
    connection
        .fetch_exactly(request, size, &mut |_| _ = first.get_or_insert_with(|| began.elapsed()))
        .await?;
    first.context("no byte came")
}

/// Large files, published and fetched, so that they are on the edge's disk.
async fn fill(skerry: &Skerry, roles: &Roles, folder: &Path, gib: u64) -> anyhow::Result<Vec<String>> {
    let mut connection = Connection::open(&roles.edge.target, Protocol::H1).await?;
    let mut paths = Vec::new();
    for number in 1_000_000..1_000_000 + (gib << 30) / LARGE {
        let (file, _) = write(folder, number, LARGE)?;
        let path = path_of(number);
        servers::run(roles.put(skerry, &file, &path))?;
        let request = roles.edge.target.request(Protocol::H1, &path)?;
        connection.fetch_exactly(request, LARGE, &mut |_| ()).await?;
        std::fs::remove_file(&file)?;
        paths.push(path);
    }
    roles.until_written().await?;
    Ok(paths)
}

/// Seconds of the server's CPU for each gigabyte.
async fn cost<'a>(
    target: &Target,
    pid: u32,
    paths: impl Iterator<Item = &'a String>,
    size: u64,
) -> anyhow::Result<f64> {
    let mut connection = Connection::open(target, Protocol::H1).await?;
    let (before, mut bytes) = (usage::used_by_process(pid)?, 0);
    for path in paths {
        let request = target.request(Protocol::H1, path)?;
        let head = connection.fetch_exactly(request, size, &mut |_| ()).await?;
        let from = head.headers.get("cache-status").map_or(&b""[..], |value| value.as_bytes());
        anyhow::ensure!(from.starts_with(b"skerry; hit"), "{path} was no hit");
        bytes += size;
    }
    Ok((usage::used_by_process(pid)? - before).as_secs_f64() * 1e9 / bytes as f64)
}

/// From the start of the process to the first byte of something that is on its disk.
async fn first_cached_byte(target: &Target, path: &str, began: Instant) -> anyhow::Result<Duration> {
    loop {
        // Refused until the sockets are bound.
        if let Ok(mut connection) = Connection::open(target, Protocol::H2).await {
            let head = connection.fetch(target.request(Protocol::H2, path)?, &mut |_| ()).await?;
            let from = head.headers.get("cache-status").map_or(&b""[..], |value| value.as_bytes());
            anyhow::ensure!(from == b"skerry; hit; detail=disk", "not from disk: {:?}", head.headers);
            return Ok(began.elapsed());
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn path_of(number: u64) -> String {
    format!("/{number}.bin")
}

/// A file of random bytes; where, and their name.
fn write(folder: &Path, number: u64, size: u64) -> anyhow::Result<(PathBuf, Hash)> {
    let file = folder.join(format!("{number}.bin"));
    let mut random = Random::new(number);
    let mut content = Vec::with_capacity(size as usize);
    while content.len() < size as usize {
        content.extend_from_slice(&random.block());
    }
    std::fs::File::create(&file)?.write_all(&content)?;
    Ok((file, Hash::of(&content)))
}
