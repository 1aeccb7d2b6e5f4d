//! The load rig: what a request costs our edge, and what it costs the best peers, on the same machine in the same run.
//!
//! Server and generator share the machine, so requests per second say little alone. The figure to trust is the CPU time of the
//! server for each thousand requests or each gigabyte, and the ratio of ours to the peer's, measured in turn. How to run and read
//! it: `benches/README.md`. In reading order:
//!
//! - [`options`]: the command line
//! - [`assets`], [`selection`]: what is served, and which cells of the table are measured
//! - [`servers`]: our edge, nginx and Caddy as child processes
//! - [`client`], [`generator`]: one connection, and many
//! - [`usage`]: CPU time and memory of a process
//! - [`load`], [`start`], [`upload`], [`publish`], [`memory`], [`cache`]: the measurements; [`bare`]: what `cache` compares with;
//!   [`rest`]: what `publish` calls
//! - [`report`]: tables and JSON

mod assets;
mod bare;
mod cache;
mod client;
mod generator;
mod load;
mod memory;
mod options;
mod publish;
mod report;
mod rest;
mod selection;
mod servers;
mod start;
mod tls;
mod upload;
mod usage;

use clap::Parser;
use options::{Command, Options};
use report::Report;
use std::process::ExitCode;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let options = Options::parse();
    match run(&options).await {
        Ok(report) => {
            report.print(&options.output);
            if report.is_clean() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(options: &Options) -> anyhow::Result<Report> {
    let mut report = Report::default();
    let common = &options.common;
    match &options.command {
        Command::Load(load) => report.load = Some(load::measure(common, load).await?),
        Command::Start(start) => report.start = Some(start::measure(common, start).await?),
        Command::Upload(upload) => report.upload = Some(upload::measure(common, upload).await?),
        Command::Publish(publish) => report.publish = Some(publish::measure(common, publish).await?),
        Command::Memory(memory) => report.memory = Some(memory::measure(common, memory).await?),
        Command::Cache(cache) => report.cache = Some(cache::measure(common, cache).await?),
        Command::All(all) => {
            report.start = Some(start::measure(common, &all.start).await?);
            report.upload = Some(upload::measure(common, &all.upload).await?);
            report.publish = Some(publish::measure(common, &all.publish).await?);
            report.memory = Some(memory::measure(common, &all.memory).await?);
            report.cache = Some(cache::measure(common, &all.cache).await?);
            report.load = Some(load::measure(common, &all.load).await?);
        }
    }
    Ok(report)
}
