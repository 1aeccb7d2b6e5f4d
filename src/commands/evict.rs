//! `skerry evict`: connected edges drop their copies, and fetch them again when somebody asks.

use super::purge::Named;
use crate::client::{Client, OriginOptions};
use crate::environment::Environment;
use crate::failure::Failure;
use crate::output::{self, plain};
use serde_json::json;
use skerry_proto::wire;

/// What to evict.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  skerry evict /large.zip

Frees room in the caches of edges that are connected; what is live stays live, and is fetched again when somebody asks for it. What must
not be shown any more is purged: skerry purge.")]
pub(crate) struct Options {
    #[command(flatten)]
    named: Named,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    origin: OriginOptions,
}

/// Runs the command.
pub(crate) async fn run(options: Options, environment: &Environment) -> Result<(), Failure> {
    options.named.check()?;
    if options.named.is_empty() {
        return Err(Failure::usage("name a path or --hash".to_owned()));
    }
    let client = Client::connect(&options.origin, environment).await?;
    client.announce();
    let (paths, hashes) = options.named.into_request();
    let request = wire::EvictRequest { target: Some(client.target()), paths, hashes };
    let evicted = client.purging().evict(client.signed(request)).await;
    let edges = evicted.map_err(|status| client.refused(&status))?.into_inner().edges;
    if options.json {
        let edge = |edge: &wire::EvictedAtEdge| json!({ "name": edge.name, "answered": edge.answered, "slices": edge.slice_count });
        output::json(&json!({ "edges": edges.iter().map(edge).collect::<Vec<_>>() }))?;
    } else {
        for edge in &edges {
            let name = plain(&edge.name);
            match edge.answered {
                true => output::line(format_args!("{name} dropped {} slices", edge.slice_count))?,
                false => output::line(format_args!("{name} is away, or busy, and may keep its copies"))?,
            }
        }
        if edges.is_empty() {
            output::note("no edge is enrolled yet");
        }
    }
    match edges.iter().filter(|edge| !edge.answered).count() {
        0 => Ok(()),
        count => Err(Failure::not_live(format!("{count} of {} edges did not answer", edges.len()))),
    }
}
