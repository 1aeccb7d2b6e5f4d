//! `skerry edges expel`: the origin refuses an edge from now on.

use crate::client::{Client, OriginOptions};
use crate::environment::Environment;
use crate::failure::Failure;
use crate::output::{self, plain};
use serde_json::json;
use skerry_proto::wire;

/// Whom.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  skerry edges expel edge-3

The origin refuses it at once, whatever certificate it shows, and for ever. What it holds it may go on serving: stop it, take its names
out of DNS, and rotate the tokens whose signatures it could check. `--wait` waits for it no more once its lease is over. Its machine may
come back as a new edge: with an empty data folder and a new join token.")]
pub(super) struct Options {
    /// Id of the edge, or its name where only one has it
    #[arg(value_name = "EDGE")]
    edge: String,
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
    let request = wire::ExpelEdgeRequest { edge: options.edge.clone() };
    let expelled = client.operating().expel_edge(client.signed(request)).await;
    let expelled = expelled.map_err(|status| client.refused(&status))?.into_inner();
    if options.json {
        return output::json(&json!({
            "edge_id": expelled.edge_id,
            "name": expelled.name,
            "was_expelled": expelled.was_expelled,
            "lease_milliseconds": expelled.lease_milliseconds,
        }));
    }
    let wire::ExpelEdgeResponse { edge_id, lease_milliseconds, was_expelled, .. } = &expelled;
    let name = plain(&expelled.name);
    if *was_expelled {
        return output::line(format_args!("{name} ({edge_id}) was expelled before"));
    }
    output::line(format_args!("expelled {name} ({edge_id})"))?;
    if *lease_milliseconds > 0 {
        let seconds = lease_milliseconds.div_ceil(1000);
        output::note(format_args!("its lease is surely over in {seconds} s; until then --wait waits for it"));
    }
    Ok(())
}
