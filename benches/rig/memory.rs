//! Resident memory of `skerry edge` while clients download a 100 MB asset over each protocol, and of `skerry origin`, which takes its
//! upload and fills the edge.
//!
//! Origin and edge are processes of their own, so that each figure is of one role alone. The asset is larger than the memory tier, so
//! its slices come from the origin at first, and from disk and memory later; all of that is in the figure.

use crate::assets::{self, Asset, Size};
use crate::generator::{Plan, Running};
use crate::options::{Common, Memory};
use crate::report::{MemoryReport, OriginMemory, ProtocolMemory};
use crate::selection::{Concurrency, Protocol};
use crate::servers::{self, RoleSettings, Roles, Skerry};
use crate::usage;
use std::time::{Duration, Instant};

/// How often memory is read while clients stream.
const READING: Duration = Duration::from_millis(20);

/// Time for all downloads over one protocol; a guard, not a mark.
const STREAM_TIME_MAX: Duration = Duration::from_secs(300);

/// Threads of the generator.
const THREADS: u32 = 2;

/// Measures one protocol after the other, on one edge.
pub(crate) async fn measure(common: &Common, options: &Memory) -> anyhow::Result<MemoryReport> {
    let skerry = Skerry::of(common)?;
    let folder = tempfile::tempdir_in(&common.folder)?;
    let memory_tier = options.memory_mib << 20;
    let settings = RoleSettings { memory_tier, ..RoleSettings::default() };
    let roles = Roles::start(&skerry, folder.path(), settings).await?;
    let (idle, _) = usage::resident_memory(roles.edge.process.pid())?;
    let (origin_idle, _) = usage::resident_memory(roles.origin.pid())?;

    let [asset] = <[Asset; 1]>::try_from(assets::write_all(folder.path(), &[Size::Mib100])?)
        .map_err(|_| anyhow::anyhow!("one size is one asset"))?;
    servers::run(roles.put(&skerry, &asset.file, &asset.url_path()))?;
    let (_, upload) = usage::resident_memory(roles.origin.pid())?;

    let mut protocols = Vec::new();
    for protocol in Protocol::ALL {
        protocols.push(stream(&roles, protocol, &asset, options).await?);
    }
    let (_, fills) = usage::resident_memory(roles.origin.pid())?;
    let origin = OriginMemory { idle: origin_idle, upload, fills };
    roles.stop().await?;
    Ok(MemoryReport { clients: options.clients, memory_tier, idle, protocols, origin })
}

/// Lets clients download, and reads memory meanwhile.
async fn stream(
    roles: &Roles,
    protocol: Protocol,
    asset: &Asset,
    options: &Memory,
) -> anyhow::Result<ProtocolMemory> {
    let pid = roles.edge.process.pid();
    let downloads = u64::from(options.clients) * u64::from(options.downloads);
    let plan = Plan {
        protocol,
        path: asset.url_path(),
        size: asset.blob.size,
        concurrency: Concurrency { connections: options.clients, streams: 1 },
        threads: THREADS,
    };
    let began = Instant::now();
    let running = Running::start(&roles.edge.target, plan)?;
    let mut resident_max = 0;
    let mut readings = tokio::time::interval(READING);
    let counts = loop {
        readings.tick().await;
        let (now, _) = usage::resident_memory(pid)?;
        resident_max = resident_max.max(now);
        let counts = running.counts();
        if counts.requests + counts.errors >= downloads {
            break counts;
        }
        anyhow::ensure!(
            began.elapsed() < STREAM_TIME_MAX,
            "only {} of {downloads} downloads were done in time over {}",
            counts.requests,
            protocol.token()
        );
    };
    let seconds = began.elapsed().as_secs_f64();
    let (_, high_water) = usage::resident_memory(pid)?;
    let first_error = running.stop();
    Ok(ProtocolMemory {
        protocol,
        resident_max,
        high_water,
        seconds,
        bytes: counts.bytes,
        errors: counts.errors,
        first_error,
    })
}
