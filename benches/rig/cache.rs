//! The cache of `skerry edge` against its marks: the first byte of a miss beside a bare gRPC client, what verification and disk hits
//! cost, how soon a restarted edge serves from a full disk, an outage of the origin, and resident memory under each of these loads.
//!
//! Origin and edge are processes of their own. The memory tier is small, so that what is read again comes from disk, and what a process
//! takes beside it weighs the most. In the order of a run: [`stock`] fills the disk, [`cost`] reads from it, [`first_byte`] restarts
//! the edge and misses, [`outage`] goes on without the origin; [`peaks`] watches memory.

mod cost;
mod first_byte;
mod outage;
mod peaks;
mod stock;

use crate::options::{Cache, Common};
use crate::report::{CacheReport, Mark, median};
use crate::servers::{RoleSettings, Roles, Skerry};
use cost::Costs;
use first_byte::FirstBytes;
use outage::Outage;
use peaks::Peaks;
use std::time::Duration;
use stock::Stock;

/// Slices in memory: a few files of one slice, and hardly anything of a large one.
const MEMORY_TIER: u64 = 32 << 20;

/// The default of `cache.write_buffer_size`.
const WRITE_BUFFER: u64 = 32 << 20;

/// First byte of a miss over that of a bare gRPC client.
const MISS_RATIO_MAX: f64 = 1.5;

/// Seconds from the start of a process to the first byte that comes from its disk.
const RESTART_SECONDS_MAX: f64 = 1.0;

/// Seconds of CPU for each gigabyte that is verified.
const VERIFY_COST_MAX: f64 = 0.17;

/// Seconds of CPU for each gigabyte that is read from disk, before TLS.
const DISK_COST_MAX: f64 = 0.45;

/// Measures everything on one pair of processes.
pub(crate) async fn measure(common: &Common, options: &Cache) -> anyhow::Result<CacheReport> {
    let skerry = Skerry::of(common)?;
    let folder = tempfile::tempdir_in(&common.folder)?;
    // A slice takes 1.6 % more than its bytes, and blocks are written to their ends.
    let disk = options.gb * 1_100_000_000 + (1 << 30);
    let settings = RoleSettings {
        memory_tier: MEMORY_TIER,
        edge: vec![("cache.disk_size", disk.to_string()), ("cache.admission", "all".to_owned())],
        origin: vec![("limits.served_count_max", stock::PATHS_MAX.to_string())],
    };
    let mut roles = Roles::start(&skerry, folder.path(), settings).await?;

    let mut peaks = Peaks::default();
    stage("filling the disk");
    let stock = Stock::publish(&skerry, &roles, folder.path(), options).await?;
    peaks.take("scan", &roles, stock.entries())?;
    stage("hits");
    let costs = cost::measure(&roles, &stock).await?;
    peaks.take("hits", &roles, stock.entries())?;
    stage("restarts");
    let mut restarts = Vec::new();
    for _ in 0..options.restarts {
        restarts.push(first_byte::after_restart(&mut roles, &skerry, folder.path(), &stock).await?);
        peaks.take("restart", &roles, stock.entries())?;
    }
    stage("misses");
    // After all publishing, because from then on the origin knows an edge that shows nothing.
    let misses = first_byte::of_misses(&skerry, &roles, &stock).await?;
    peaks.take("misses", &roles, stock.entries())?;
    stage("an outage of the origin");
    let outage = outage::measure(&mut roles, &skerry, folder.path(), &stock).await?;
    peaks.take("outage", &roles, stock.entries())?;
    roles.stop_edge().await?;

    let mut marks =
        vec![ratio(&misses), restart(&restarts), verification(&costs), disk_hits(&costs), failures(&outage)];
    marks.extend(peaks.marks());
    Ok(CacheReport {
        marks,
        miss_first_byte: median(&misses.edge),
        memory_hit_first_byte: median(&misses.memory),
        bare_first_slice: median(&misses.bare),
        disk_bytes: stock.bytes(),
        disk_entries: stock.entries(),
        memory_cost: costs.memory,
        disk_cost: costs.disk,
        outage_requests: outage.requests,
        restarts,
    })
}

fn ratio(misses: &FirstBytes) -> Mark {
    let ratio = median(&misses.edge).as_secs_f64() / median(&misses.bare).as_secs_f64();
    Mark::new("miss_first_byte_ratio", "first byte of a miss / bare gRPC", ratio, MISS_RATIO_MAX, "")
}

fn restart(restarts: &[Duration]) -> Mark {
    let seconds = median(restarts).as_secs_f64();
    Mark::new("restart_seconds", "first byte from disk after a restart", seconds, RESTART_SECONDS_MAX, "s")
}

fn verification(costs: &Costs) -> Mark {
    Mark::new("verify_cpu_seconds_per_gigabyte", "verification", costs.verify, VERIFY_COST_MAX, "s/GB")
}

fn disk_hits(costs: &Costs) -> Mark {
    let cost = costs.disk - costs.memory;
    Mark::new("disk_hit_cpu_seconds_per_gigabyte", "disk hits before TLS", cost, DISK_COST_MAX, "s/GB")
}

fn failures(outage: &Outage) -> Mark {
    let failed = outage.failed as f64;
    Mark::new("outage_failures", "failed requests while the origin is away", failed, 0.0, "")
}

/// Says on standard error what comes next: a run takes minutes.
fn stage(name: &str) {
    eprintln!("cache: {name}");
}
