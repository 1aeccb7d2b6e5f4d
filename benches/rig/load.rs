//! Memory hits under load: our edge and a peer in turn, cell by cell.
//!
//! A cell is a protocol and a size. Its servers are measured A B A B…, so that whatever else the machine does meets both; the median
//! of the rounds counts. Before anything is measured, each server has answered with exactly the right bytes, twice.

use crate::assets::{self, Asset};
use crate::client::Connection;
use crate::generator::{Plan, Running};
use crate::options::{Common, Load, Side};
use crate::report::{Cell, LoadReport, Sample, median_sample};
use crate::selection::{Concurrency, Protocol, Selection};
use crate::servers::{self, Server, Skerry};
use crate::{tls, usage};
use anyhow::Context;
use skerry_proto::slices::SliceHasher;
use std::path::Path;
use std::time::{Duration, Instant};

/// Load before each measurement: connections are made, and queues filled.
const WARM_UP: Duration = Duration::from_millis(500);

/// Roomy enough for every asset in each of the cache's shards, so that all requests are memory hits.
const MEMORY_TIER: &str = "edge.cache.memory_size=512MiB";

/// Measures every chosen cell.
pub(crate) async fn measure(common: &Common, options: &Load) -> anyhow::Result<LoadReport> {
    let selection = Selection::of(&options.only);
    let folder = tempfile::tempdir_in(&common.folder)?;
    let files = folder.path().join("files");
    std::fs::create_dir(&files)?;
    let assets = assets::write_all(&files, &selection.sizes)?;

    let mut report = LoadReport::default();
    let ours = match options.side {
        Some(Side::Peers) => None,
        Some(Side::Ours) | None => Some(start_ours(common, folder.path(), &assets).await?),
    };
    let peers = match options.side {
        Some(Side::Ours) => Peers::default(),
        Some(Side::Peers) | None => {
            Peers::start(options, &selection, folder.path(), &files, &mut report.notes).await?
        }
    };
    for &protocol in &selection.protocols {
        let servers: Vec<&Server> = ours.iter().chain(peers.of(protocol)).collect();
        for asset in &assets {
            for server in &servers {
                check(server, protocol, asset, &mut report.notes).await?;
            }
            report.cells.push(measure_cell(&servers, protocol, asset, options).await?);
        }
    }
    Ok(report)
}

async fn start_ours(common: &Common, folder: &Path, assets: &[Asset]) -> anyhow::Result<Server> {
    let skerry = Skerry::of(common)?;
    let dev = skerry.dev(&folder.join("data"), folder, &[MEMORY_TIER]).await?;
    for asset in assets {
        servers::run(skerry.put(&dev.line, &asset.file, &asset.url_path()))?;
    }
    dev.into_server()
}

/// The servers to compare with, as far as they are installed and needed.
#[derive(Debug, Default)]
struct Peers {
    nginx: Option<Server>,
    caddy: Option<Server>,
}

impl Peers {
    async fn start(
        options: &Load,
        selection: &Selection,
        folder: &Path,
        files: &Path,
        notes: &mut Vec<String>,
    ) -> anyhow::Result<Self> {
        let identity = tls::make_identity(folder, "peer", &["localhost"])?;
        let mut peers = Self::default();
        if selection.protocols.iter().any(|protocol| *protocol != Protocol::H3) {
            if servers::is_installed(&options.nginx, "-v") {
                peers.nginx = Some(servers::start_nginx(&options.nginx, folder, files, &identity).await?);
            } else {
                notes.push(missing(&options.nginx, "h1 and h2", "nginx-light"));
            }
        }
        if selection.protocols.contains(&Protocol::H3) {
            if servers::is_installed(&options.caddy, "version") {
                peers.caddy = Some(servers::start_caddy(&options.caddy, folder, files, &identity).await?);
            } else {
                notes.push(missing(&options.caddy, "h3", "caddy"));
            }
        }
        Ok(peers)
    }

    const fn of(&self, protocol: Protocol) -> &Option<Server> {
        match protocol {
            Protocol::H1 | Protocol::H2 => &self.nginx,
            Protocol::H3 => &self.caddy,
        }
    }
}

fn missing(program: &Path, protocols: &str, package: &str) -> String {
    let program = program.display();
    format!(
        "{program} cannot be started, so nothing is compared over {protocols}; on Debian: apt install {package}"
    )
}

/// Asks twice for the asset and compares every byte; the second answer of ours should be a memory hit.
async fn check(
    server: &Server,
    protocol: Protocol,
    asset: &Asset,
    notes: &mut Vec<String>,
) -> anyhow::Result<()> {
    let context = || format!("{} over {}, {}", server.name, protocol.token(), asset.size.label());
    let mut connection = Connection::open(&server.target, protocol).await.with_context(context)?;
    let mut cache_status = None;
    for _ in 0..2 {
        let request = server.target.request(protocol, &asset.url_path())?;
        let mut hasher = SliceHasher::new();
        let head = connection
            .fetch_exactly(request, asset.blob.size, &mut |data| hasher.update(data))
            .await
            .with_context(context)?;
        anyhow::ensure!(hasher.finish().id == asset.blob, "{}: other bytes than uploaded", context());
        cache_status =
            head.headers.get("cache-status").and_then(|value| value.to_str().ok().map(str::to_owned));
    }
    if let Some(status) = cache_status.filter(|status| !status.contains("memory")) {
        notes.push(format!("{}: not a memory hit but `{status}`", context()));
    }
    Ok(())
}

async fn measure_cell(
    servers: &[&Server],
    protocol: Protocol,
    asset: &Asset,
    options: &Load,
) -> anyhow::Result<Cell> {
    let default = Concurrency::of(protocol, asset.size);
    let concurrency = Concurrency {
        connections: options.connections.unwrap_or(default.connections),
        streams: options.streams.unwrap_or(default.streams),
    };
    let mut samples = vec![Vec::new(); servers.len()];
    for _ in 0..options.rounds {
        for (server, samples) in servers.iter().zip(&mut samples) {
            let plan = Plan {
                protocol,
                path: asset.url_path(),
                size: asset.size.bytes(),
                concurrency,
                threads: options.threads,
            };
            let sample = measure_once(server, plan, Duration::from_secs_f64(options.seconds)).await?;
            eprintln!(
                "{} {:>7} {:<7} {:>8.0} requests/s  {:>7.1} MB/s  {:>5.2} cores",
                protocol.token(),
                asset.size.label(),
                server.name,
                sample.requests_per_second(),
                sample.megabytes_per_second(),
                sample.server_cpu_s / sample.seconds
            );
            samples.push(sample);
        }
    }
    let results = servers
        .iter()
        .zip(samples)
        .filter_map(|(server, samples)| Some((server.name, median_sample(samples, asset.size)?)))
        .collect();
    Ok(Cell { protocol, size: asset.size, concurrency, results })
}

async fn measure_once(server: &Server, plan: Plan, time: Duration) -> anyhow::Result<Sample> {
    let running = Running::start(&server.target, plan)?;
    tokio::time::sleep(WARM_UP).await;
    let (began, cpu_before, own_before) = (Instant::now(), cpu(server)?, own_cpu()?);
    let counts_before = running.counts();
    tokio::time::sleep(time).await;
    let counts = running.counts().since(counts_before);
    let (seconds, cpu_after, own_after) = (began.elapsed().as_secs_f64(), cpu(server)?, own_cpu()?);
    let first_error = running.stop();
    Ok(Sample {
        seconds,
        requests: counts.requests,
        bytes: counts.bytes,
        errors: counts.errors,
        server_cpu_s: (cpu_after - cpu_before).as_secs_f64(),
        generator_cpu_s: (own_after - own_before).as_secs_f64(),
        first_error,
    })
}

fn cpu(server: &Server) -> anyhow::Result<Duration> {
    usage::used_by_tree(server.process.pid())
}

/// What the generator itself uses; its children are counted only once they have ended, which none does meanwhile.
fn own_cpu() -> anyhow::Result<Duration> {
    usage::used_by_process(std::process::id())
}
