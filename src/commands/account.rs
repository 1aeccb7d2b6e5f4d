//! `skerry account`: accounts, for the operator.

use crate::client::{Client, OriginOptions};
use crate::environment::Environment;
use crate::failure::Failure;
use crate::output;
use serde_json::json;
use skerry_proto::wire;

/// What to do with accounts.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  skerry account create --name \"Radio\"")]
pub(crate) struct Options {
    #[command(subcommand)]
    command: AccountCommand,
}

#[derive(Debug, clap::Subcommand)]
enum AccountCommand {
    /// Make an account with one service and one environment, and print its token, once
    Create(CreateOptions),
}

#[derive(Debug, clap::Args)]
struct CreateOptions {
    /// What people call it
    #[arg(long, value_name = "NAME", default_value = "account")]
    name: String,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    origin: OriginOptions,
}

/// Runs the command.
pub(crate) async fn run(options: Options, environment: &Environment) -> Result<(), Failure> {
    let AccountCommand::Create(options) = options.command;
    let client = Client::connect(&options.origin, environment).await?;
    client.announce();
    let request = wire::CreateAccountRequest { friendly_name: options.name };
    let made = client.operating().create_account(client.signed(request)).await;
    let account = made.map_err(|status| client.refused(&status))?.into_inner();
    if options.json {
        return output::json(&json!({
            "account_sid": account.account_sid,
            "auth_token": account.auth_token,
            "service_sid": account.service_sid,
            "environment_sid": account.environment_sid,
            "domain_name": account.domain,
        }));
    }
    output::line(format_args!("SKERRY_ACCOUNT_SID={}", account.account_sid))?;
    output::line(format_args!("SKERRY_AUTH_TOKEN={}", account.auth_token))?;
    output::note(format_args!("its domain is {}; the token is shown this once", account.domain));
    Ok(())
}
