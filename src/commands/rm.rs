//! `skerry rm`: a build without some paths goes live.

use crate::client::{self, Client, LiveEdge, OriginOptions};
use crate::environment::Environment;
use crate::failure::Failure;
use crate::output::{self, plain};
use serde_json::json;
use skerry_proto::path::AssetPath;

/// What to take away.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  skerry rm /hello.mp3 --wait

All paths go together, in one build, or none does. With --wait, every edge answers 404 when it returns.")]
pub(crate) struct Options {
    /// Paths, such as /hello.mp3
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<String>,
    /// Return when every edge shows it
    #[arg(long)]
    wait: bool,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    origin: OriginOptions,
}

/// Runs the command.
pub(crate) async fn run(options: Options, environment: &Environment) -> Result<(), Failure> {
    let mut problems = Vec::new();
    for path in &options.paths {
        if let Err(error) = path.parse::<AssetPath>() {
            problems.push(format!("{path:?} is no path of an asset: {error}"));
        }
    }
    if !problems.is_empty() {
        return Err(Failure::usage(problems.join("\n")));
    }
    let client = Client::connect(&options.origin, environment).await?;
    client.announce();
    let committed = client.commit(Vec::new(), options.paths.clone()).await?;
    if !options.json {
        for path in &options.paths {
            output::line(format_args!("removed {}", plain(path)))?;
        }
    }
    let edges = if options.wait {
        client::wait_live(&client, client::version(&committed)).await
    } else {
        Ok(Vec::new())
    };
    if options.json {
        let edges = edges.as_deref().unwrap_or_default();
        output::json(&json!({
            "build_sid": committed.build_sid,
            "deployment_sid": committed.deployment_sid,
            "environment_sid": committed.environment_sid,
            "epoch": committed.epoch,
            "revision": committed.revision,
            "removed": options.paths,
            "edges": edges.iter().map(LiveEdge::json).collect::<Vec<_>>(),
        }))?;
    }
    client::all_live(&edges?)
}
