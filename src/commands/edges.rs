//! `skerry edges`: who serves, and how far each is.

use crate::client::{AskOptions, Client};
use crate::environment::Environment;
use crate::failure::Failure;
use crate::output::{self, plain};
use serde_json::{Value, json};
use skerry_proto::wire;

/// How to list.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  skerry edges")]
pub(crate) struct Options {
    #[command(flatten)]
    ask: AskOptions,
}

/// Runs the command.
pub(crate) async fn run(options: Options, environment: &Environment) -> Result<(), Failure> {
    let client = Client::connect(&options.ask.origin, environment).await?;
    let listed = client.operating().list_edges(client.signed(wire::ListEdgesRequest {})).await;
    let listed = listed.map_err(|status| client.refused(&status))?.into_inner();
    if options.ask.json {
        return output::json(&json!({
            "epoch": listed.epoch,
            "revision": listed.revision,
            "edges": listed.edges.iter().map(as_json).collect::<Vec<_>>(),
        }));
    }
    for edge in &listed.edges {
        let state = match (edge.connected, edge.acked_revision >= listed.revision) {
            (false, _) => "away",
            (true, true) => "current",
            (true, false) => "behind",
        };
        let wire::Edge { edge_id, acked_revision, .. } = edge;
        let (name, version) = (plain(&edge.name), plain(&edge.version));
        output::line(format_args!(
            "{name:20}  {state:8}  revision {acked_revision:<8}  {version:10}  {edge_id}"
        ))?;
    }
    let count = match listed.edges.len() {
        1 => "1 edge".to_owned(),
        count => format!("{count} edges"),
    };
    output::note(format_args!("{count}; newest revision {}", listed.revision));
    Ok(())
}

fn as_json(edge: &wire::Edge) -> Value {
    json!({
        "edge_id": edge.edge_id,
        "name": edge.name,
        "connected": edge.connected,
        "acked_revision": edge.acked_revision,
        "version": edge.version,
        "enrolled_at": edge.enrolled_at,
    })
}
