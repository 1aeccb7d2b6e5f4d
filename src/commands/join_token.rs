//! `skerry join-token`: a token with which a machine becomes an edge.

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
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = seconds)]
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

/// A whole number with a unit: s, m, h or d.
fn seconds(text: &str) -> Result<u32, String> {
    let refused =
        || "a time is a whole number with a unit, such as 90s, 30m, 1h or 7d; at most 30d".to_owned();
    let digits = text.find(|char: char| !char.is_ascii_digit()).ok_or_else(refused)?;
    let (number, unit) = text.split_at(digits);
    let factor = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        _ => return Err(refused()),
    };
    let seconds = number.parse::<u32>().ok().and_then(|number| number.checked_mul(factor));
    seconds.filter(|seconds| (1..=30 * 86_400).contains(seconds)).ok_or_else(refused)
}

#[cfg(test)]
mod tests {
    use super::seconds;

    #[test]
    fn a_time_has_a_unit_and_a_bound() {
        for (text, expected) in [("90s", 90), ("30m", 1800), ("1h", 3600), ("30d", 2_592_000)] {
            assert_eq!(seconds(text), Ok(expected));
        }
        for wrong in ["", "1", "h", "0s", "31d", "1.5h", "-1h", "99999999999d"] {
            assert!(seconds(wrong).is_err(), "{wrong:?}");
        }
    }
}
