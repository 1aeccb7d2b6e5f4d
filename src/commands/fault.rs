//! `skerry fault`: damage on purpose, so that an operator can watch an edge heal. Over the admin socket of the edge, which refuses
//! it unless `admin.faults` is set.

use crate::admin_socket;
use crate::failure::Failure;
use crate::fetch::Target;
use crate::output;
use serde_json::json;
use skerry_edge::fill::Which;
use std::path::PathBuf;

/// What to damage.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  skerry fault corrupt https://assets.example.com/hello.mp3 --edge-data /var/lib/skerry-edge")]
pub(crate) struct Options {
    #[command(subcommand)]
    fault: Fault,
}

#[derive(Debug, clap::Subcommand)]
enum Fault {
    /// Flip a bit of a slice of an asset in an edge's disk cache, and drop it from memory
    Corrupt(CorruptOptions),
}

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  skerry fault corrupt https://assets.example.com/hello.mp3
  skerry fault corrupt https://assets.example.com/hello.mp3 --slice all --json

The next request for it is answered with the right bytes, from the origin; skerry_edge_integrity_failures_total counts it.")]
struct CorruptOptions {
    /// URL of an asset that the edge holds
    #[arg(value_name = "URL")]
    url: String,
    /// Number of the slice of 256 KiB, from 0 on, or all that the edge holds
    #[arg(long, value_name = "N|all", default_value = "0", value_parser = slice)]
    slice: Which,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    /// Data folder of the edge, on this machine
    #[arg(long, value_name = "DIR", default_value = "skerry-edge")]
    edge_data: PathBuf,
}

/// Runs the command.
pub(crate) async fn run(options: Options) -> Result<(), Failure> {
    let Fault::Corrupt(CorruptOptions { url, slice, json, edge_data }) = options.fault;
    let target = Target::parse(&url)?;
    let slice = match slice {
        Which::One(slice) => slice.to_string(),
        Which::All => "all".to_owned(),
    };
    let path = format!("/faults/corrupt/{slice}/{}{}", target.host(), target.path_and_query());
    let said = admin_socket::post(&edge_data, &path).await?;
    if json {
        return output::json(&json!({ "url": url, "slice": slice, "corrupted": count(&said) }));
    }
    output::line(said.trim_end())
}

/// How many slices the edge says it corrupted.
fn count(said: &str) -> Option<u64> {
    said.split(' ').find_map(|word| word.parse().ok())
}

fn slice(text: &str) -> Result<Which, &'static str> {
    match text {
        "all" => Ok(Which::All),
        number => number.parse().map(Which::One).map_err(|_| "a slice is a number from 0 on, or all"),
    }
}
