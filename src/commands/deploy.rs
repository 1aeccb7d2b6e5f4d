//! `skerry deploy`: an environment shows a build that was made before.

use crate::client::{self, Client, Coming, LiveEdge, OriginOptions, WarmEdge, WarmOption};
use crate::environment::Environment;
use crate::failure::Failure;
use crate::output;
use serde_json::json;
use skerry_proto::wire::deploy_request::Build;

/// Which build, and whether to wait for it.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  skerry deploy ZB0123456789abcdef0123456789abcdef --wait

Everything changes in one step. With --wait, every edge shows the build when it returns; with --warm, edges have pulled what
is new before they show it.")]
pub(crate) struct Options {
    /// SID of a completed build of the service, such as `skerry put --json` prints it
    #[arg(value_name = "BUILD")]
    build: String,
    #[command(flatten)]
    how: How,
}

/// How a deployment is followed and reported.
#[derive(Debug, clap::Args)]
pub(super) struct How {
    #[command(flatten)]
    warm: WarmOption,
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
    deploy(Build::BuildSid(options.build), &options.how, environment).await
}

/// Deploys a build, and says what is live then.
pub(super) async fn deploy(build: Build, how: &How, environment: &Environment) -> Result<(), Failure> {
    let client = Client::connect(&how.origin, environment).await?;
    client.announce();
    let warm = client::warm(&client, how.warm, Coming::Build(&build)).await?;
    let deployed = client.deploy(build).await?;
    if !how.json {
        output::line(format_args!("{} shows build {}", deployed.public_url, deployed.build_sid))?;
    }
    let edges = match how.wait {
        true => client::wait_live(&client, client::version(&deployed)).await,
        false => Ok(Vec::new()),
    };
    if how.json {
        let edges = edges.as_deref().unwrap_or_default();
        output::json(&json!({
            "build_sid": deployed.build_sid,
            "deployment_sid": deployed.deployment_sid,
            "environment_sid": deployed.environment_sid,
            "epoch": deployed.epoch,
            "revision": deployed.revision,
            "domain_name": deployed.domain,
            "public_url": deployed.public_url,
            "warm": warm.iter().map(WarmEdge::json).collect::<Vec<_>>(),
            "edges": edges.iter().map(LiveEdge::json).collect::<Vec<_>>(),
        }))?;
    }
    client::all_live(&edges?)
}
