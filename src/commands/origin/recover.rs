//! `skerry origin recover`: the way back in for whoever has the machine and no valid token or key any more.

use crate::config::{self, ConfigOptions};
use crate::environment::Environment;
use crate::failure::Failure;
use crate::output;
use serde_json::json;
use skerry_origin::Origin;

/// Whose way back, and where the origin is.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The origin must be stopped, so that only who has its data folder can do this. Signatures that the account's tokens made go on being valid
until a token is revoked.

Example:
  skerry origin recover --config origin.toml")]
pub(super) struct RecoverOptions {
    #[command(flatten)]
    config: ConfigOptions,
    /// Of which account; else of the first operator's
    #[arg(long, value_name = "SID")]
    account: Option<String>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub(super) async fn run(options: RecoverOptions, environment: &Environment) -> Result<(), Failure> {
    let Some(settings) = config::load_origin(&options.config, environment)? else { return Ok(()) };
    let origin = Origin::open(settings.role).await.map_err(|error| Failure::of(&error))?;
    let recovered = origin.recover(options.account.as_deref()).await;
    origin.close().await;
    let recovered = recovered.map_err(|error| Failure::of(&error))?;
    if options.json {
        return output::json(&json!({
            "account_sid": recovered.account_sid,
            "auth_token": recovered.auth_token,
            "revoked_older_token": recovered.revoked_older,
        }));
    }
    output::line(format_args!("SKERRY_ACCOUNT_SID={}", recovered.account_sid))?;
    output::line(format_args!("SKERRY_AUTH_TOKEN={}", recovered.auth_token))?;
    output::note(format_args!("The token is shown this once: keep it."));
    if recovered.revoked_older {
        output::note(format_args!("The account had two tokens; the older one is revoked."));
    }
    Ok(())
}
