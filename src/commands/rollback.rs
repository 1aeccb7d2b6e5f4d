//! `skerry rollback`: an environment shows the build again that was live before.

use super::deploy::{self, How};
use crate::environment::Environment;
use crate::failure::Failure;
use skerry_proto::wire::deploy_request::Build;

/// Whether to wait for it.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  skerry rollback --wait

It is a deployment like any other: a second rollback takes the first one back. To go further back, name the build:
  skerry deploy BUILD --wait")]
pub(crate) struct Options {
    #[command(flatten)]
    how: How,
}

/// Runs the command.
pub(crate) async fn run(options: Options, environment: &Environment) -> Result<(), Failure> {
    deploy::deploy(Build::Previous(true), &options.how, environment).await
}
