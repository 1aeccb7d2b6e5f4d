//! `skerry origin rotate-keys`: a new key signs, and edges trust it because the old one says so.

use crate::client::{self, Client, LiveEdge, OriginOptions};
use crate::environment::Environment;
use crate::failure::Failure;
use crate::output;
use serde_json::json;
use skerry_proto::hash::Hash;
use skerry_proto::pointer::Version;
use skerry_proto::wire;

/// Whether to wait for it.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  skerry origin rotate-keys --wait

The origin makes a key, signs everything that edges show again, and removes the old one. An edge takes nothing new that an old key
signed as soon as it has heard of this; one that was away follows when it is back. Nothing that is served changes.")]
pub(super) struct Options {
    /// Return when every edge goes by the new key
    #[arg(long)]
    wait: bool,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    origin: OriginOptions,
}

/// Runs the command.
pub(super) async fn run(options: &Options, environment: &Environment) -> Result<(), Failure> {
    let client = Client::connect(&options.origin, environment).await?;
    client.announce();
    let rotated = client.operating().rotate_keys(client.signed(wire::RotateKeysRequest {})).await;
    let rotated = rotated.map_err(|status| client.refused(&status))?.into_inner();
    let key = Hash::try_from(&rotated.public_key[..])
        .map_err(|_| Failure::new("the origin's answer names no key of 32 bytes"))?;
    if !options.json {
        output::line(format_args!("key set {} signs from now on: {key}", rotated.number))?;
    }
    let version = Version { epoch: rotated.epoch, revision: rotated.revision };
    let edges = if options.wait { client::wait_live(&client, version).await } else { Ok(Vec::new()) };
    if options.json {
        let listed = edges.as_deref().unwrap_or_default();
        output::json(&json!({
            "number": rotated.number,
            "public_key": key.to_string(),
            "epoch": rotated.epoch,
            "revision": rotated.revision,
            "edges": listed.iter().map(LiveEdge::json).collect::<Vec<_>>(),
        }))?;
    }
    client::all_live(&edges?)
}
