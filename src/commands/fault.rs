//! `skerry fault`: damage on purpose, so that an operator can watch an edge heal. Over the admin socket of the edge, which refuses
//! it unless `admin.faults` is set.

use crate::admin_socket;
use crate::failure::Failure;
use crate::fetch::Target;
use crate::output;
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
    /// Flip a bit of the first slice of an asset in an edge's disk cache, and drop it from memory
    Corrupt(CorruptOptions),
}

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  skerry fault corrupt https://assets.example.com/hello.mp3

The next request for it is answered with the right bytes, from the origin; skerry_edge_integrity_failures_total counts it.")]
struct CorruptOptions {
    /// URL of an asset that the edge holds
    #[arg(value_name = "URL")]
    url: String,
    /// Data folder of the edge, on this machine
    #[arg(long, value_name = "DIR", default_value = "skerry-edge")]
    edge_data: PathBuf,
}

/// Runs the command.
pub(crate) async fn run(options: Options) -> Result<(), Failure> {
    let Fault::Corrupt(CorruptOptions { url, edge_data }) = options.fault;
    let target = Target::parse(&url)?;
    let path = format!("/faults/corrupt/{}{}", target.host(), target.path_and_query());
    output::line(admin_socket::post(&edge_data, &path).await?.trim_end())
}
