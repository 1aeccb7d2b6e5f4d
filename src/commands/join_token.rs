//! `skerry join-token`: a token with which a machine becomes an edge.

use super::span::seconds;
use crate::client::{Client, OriginOptions};
use crate::environment::Environment;
use crate::failure::Failure;
use crate::files;
use crate::output;
use serde_json::json;
use skerry_folder::Readers;
use skerry_proto::wire;
use std::path::PathBuf;

/// How long it is valid.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  skerry join-token --valid 1h --output edge-2.token

The token works once. Whoever reads it before it is used can become an edge: pass it on as you would a password.")]
pub(crate) struct Options {
    /// How long the token can be used, such as 30m, 1h or 7d
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = seconds::<30>)]
    valid: u32,
    /// Write it to a file of mode 0600, and not to standard output
    #[arg(short, long, value_name = "FILE", conflicts_with = "json")]
    output: Option<PathBuf>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    origin: OriginOptions,
}

/// Runs the command.
pub(crate) async fn run(options: Options, environment: &Environment) -> Result<(), Failure> {
    let client = Client::connect(&options.origin, environment).await?;
    client.announce();
    let request = wire::CreateJoinTokenRequest { valid_seconds: options.valid };
    let made = client.operating().create_join_token(client.signed(request)).await;
    let token = made.map_err(|status| client.refused(&status))?.into_inner();
    if options.json {
        return output::json(&json!({ "token": token.token, "expires_at": token.expires_at }));
    }
    let Some(file) = options.output else { return output::line(token.token) };
    let written = tokio::task::spawn_blocking(move || {
        files::write(&file, format!("{}\n", token.token).as_bytes(), Readers::Owner).map(|()| file)
    });
    let file = written.await.map_err(|_| Failure::new("writing the token ended unexpectedly"))??;
    output::note(format_args!("A join token, for one edge, is in {}.", file.display()));
    Ok(())
}
