//! The command line of the rig.

use crate::selection::Token;
use clap::{Args, Parser, Subcommand};
use std::path::{Path, PathBuf};

/// Measures Skerry beside nginx and Caddy.
#[derive(Debug, Parser)]
#[command(name = "rig")]
pub(crate) struct Options {
    #[command(flatten)]
    pub(crate) common: Common,
    #[command(flatten)]
    pub(crate) output: Output,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What to measure.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Requests per second, MB/s and server CPU of memory hits, beside nginx (h1, h2) and Caddy (h3)
    Load(Load),
    /// Time from spawning `skerry dev` on an existing data folder to its line on standard output
    Start(Start),
    /// Wall time of `skerry put` of 100 MB beside writing and fsyncing the same file
    Upload(Upload),
    /// Many small assets by one `skerry put`, deployments of a large service, pages of its lists
    Publish(Publish),
    /// Resident memory of `skerry edge` while clients stream 100 MB
    Memory(Memory),
    /// The cache of `skerry edge` against its marks: misses, hits, memory, restarts, an outage of the origin
    Cache(Cache),
    /// All of them, with their defaults where no option says otherwise
    All(All),
}

/// How the result is printed.
#[derive(Debug, Args)]
pub(crate) struct Output {
    /// Print one JSON object instead of tables
    #[arg(long, global = true)]
    pub(crate) json: bool,
}

/// What all measurements need.
#[derive(Debug, Args)]
pub(crate) struct Common {
    /// The program to measure
    #[arg(long, global = true, value_name = "FILE", default_value_os_t = workspace_file("target/release/skerry"))]
    pub(crate) skerry: PathBuf,
    /// Folder for temporary data; its file system is the one that uploads are measured on
    #[arg(long, global = true, value_name = "DIR", default_value_os_t = workspace_file("target"))]
    pub(crate) folder: PathBuf,
    /// Passed on to `skerry dev`, and to the roles without their prefix; may be repeated
    #[arg(long = "set", global = true, value_name = "KEY=VALUE")]
    pub(crate) set: Vec<String>,
}

/// Options of `load`.
#[derive(Debug, Args)]
pub(crate) struct Load {
    /// Measure only these protocols and sizes: h1, h2, h3, 1k, 16k, 1m, 100m
    #[arg(long, value_delimiter = ',')]
    pub(crate) only: Vec<Token>,
    /// Length of one measurement, after a short warm-up
    #[arg(long, default_value_t = 3.0)]
    pub(crate) seconds: f64,
    /// Measurements of each server for each cell, in turn; the median counts
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=99))]
    pub(crate) rounds: u32,
    /// Connections; by default 64 to 4, fewer for larger assets
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) connections: Option<u32>,
    /// Requests under way on each HTTP/2 and HTTP/3 connection; by default 8 to 1, fewer for larger assets
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub(crate) streams: Option<u32>,
    /// Threads that make requests
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=64))]
    pub(crate) threads: u32,
    /// Measure only the peers, or only ours
    #[arg(long, value_enum)]
    pub(crate) side: Option<Side>,
    /// The nginx to measure
    #[arg(long, default_value = "nginx", value_name = "FILE")]
    pub(crate) nginx: PathBuf,
    /// The Caddy to measure
    #[arg(long, default_value = "caddy", value_name = "FILE")]
    pub(crate) caddy: PathBuf,
}

/// One side of the comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Side {
    /// Our edge.
    Ours,
    /// nginx and Caddy.
    Peers,
}

/// Options of `start`.
#[derive(Debug, Args)]
pub(crate) struct Start {
    /// Starts that are measured
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=99))]
    pub(crate) starts: u32,
}

/// Options of `upload`.
#[derive(Debug, Args)]
pub(crate) struct Upload {
    /// Uploads that are measured, each beside a plain write
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=99))]
    pub(crate) uploads: u32,
}

/// Options of `publish`.
#[derive(Debug, Args)]
pub(crate) struct Publish {
    /// Assets of 1 to 8 KiB, a third of them text, that one put publishes
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) assets: u32,
    /// Further assets of the service whose deployments are measured
    #[arg(long, default_value_t = 9000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) large: u32,
    /// Deployments that are measured, of two builds in turn
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) deployments: u32,
}

/// Options of `memory`.
#[derive(Debug, Args)]
pub(crate) struct Memory {
    /// Clients that stream at the same time, over each protocol in turn
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) clients: u32,
    /// Downloads of each client over each protocol
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) downloads: u32,
    /// Memory tier of the edge in MiB
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u64).range(1..=65536))]
    pub(crate) memory_mib: u64,
}

/// Options of `cache`.
#[derive(Debug, Args)]
pub(crate) struct Cache {
    /// GB on the edge's disk; the folder for temporary data needs 2 GB more
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=1000))]
    pub(crate) gb: u64,
    /// Small objects that are fetched once each, beside the large files
    #[arg(long, default_value_t = 5000, value_parser = clap::value_parser!(u32).range(1..=50_000))]
    pub(crate) objects: u32,
    /// Misses whose first byte is measured
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) misses: u32,
    /// Restarts that are measured
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=99))]
    pub(crate) restarts: u32,
}

/// Options of `all`.
#[derive(Debug, Args)]
pub(crate) struct All {
    #[command(flatten)]
    pub(crate) load: Load,
    #[command(flatten)]
    pub(crate) start: Start,
    #[command(flatten)]
    pub(crate) upload: Upload,
    #[command(flatten)]
    pub(crate) publish: Publish,
    #[command(flatten)]
    pub(crate) memory: Memory,
    #[command(flatten)]
    pub(crate) cache: Cache,
}

/// A file of the workspace that this rig was built from.
fn workspace_file(name: &str) -> PathBuf {
    let crate_folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    crate_folder.parent().unwrap_or(crate_folder).join(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_needs_no_more_than_its_name() {
        for command in ["load", "start", "upload", "publish", "memory", "cache", "all"] {
            if let Err(error) = Options::try_parse_from(["rig", command]) {
                panic!("rig {command}: {error}");
            }
        }
    }
}
