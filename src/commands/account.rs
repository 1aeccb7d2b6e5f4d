//! `skerry account`: the account that calls, and for the operator all of them.

use crate::client::{AskOptions, Client};
use crate::environment::Environment;
use crate::failure::Failure;
use crate::output::{self, plain};
use serde_json::json;
use skerry_proto::wire;

/// What to do with accounts.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  skerry account show
  skerry account set --keys-only true
  skerry account create --name \"Radio\"

Before an account takes API keys only, it needs one: `skerry key create --kind api`. Its auth token still signs requests then.")]
pub(crate) struct Options {
    #[command(subcommand)]
    command: AccountCommand,
}

#[derive(Debug, clap::Subcommand)]
enum AccountCommand {
    /// Show an account
    Show(ShowOptions),
    /// Change an account
    Set(SetOptions),
    /// Make an account with one service and one environment, and print its token, once
    Create(CreateOptions),
}

#[derive(Debug, clap::Args)]
struct ShowOptions {
    /// Which one, for the operator [default: the one that calls]
    #[arg(value_name = "SID")]
    sid: Option<String>,
    #[command(flatten)]
    ask: AskOptions,
}

#[derive(Debug, clap::Args)]
struct SetOptions {
    /// Which one, for the operator [default: the one that calls]
    #[arg(value_name = "SID")]
    sid: Option<String>,
    /// What people call it
    #[arg(long, value_name = "NAME", required_unless_present = "keys_only")]
    name: Option<String>,
    /// Whether only API keys let somebody in, and auth tokens do not
    #[arg(long, value_name = "BOOL")]
    keys_only: Option<bool>,
    #[command(flatten)]
    ask: AskOptions,
}

#[derive(Debug, clap::Args)]
struct CreateOptions {
    /// What people call it
    #[arg(long, value_name = "NAME", default_value = "account")]
    name: String,
    #[command(flatten)]
    ask: AskOptions,
}

/// Runs the command.
pub(crate) async fn run(options: Options, environment: &Environment) -> Result<(), Failure> {
    match options.command {
        AccountCommand::Show(options) => show(options, environment).await,
        AccountCommand::Set(options) => set(options, environment).await,
        AccountCommand::Create(options) => create(options, environment).await,
    }
}

async fn show(options: ShowOptions, environment: &Environment) -> Result<(), Failure> {
    let client = Client::connect(&options.ask.origin, environment).await?;
    let request = wire::GetAccountRequest { account_sid: options.sid.unwrap_or_default() };
    let account = client.accounts().get_account(client.signed(request)).await;
    print(&account.map_err(|status| client.refused(&status))?.into_inner(), options.ask.json)
}

async fn set(options: SetOptions, environment: &Environment) -> Result<(), Failure> {
    let client = Client::connect(&options.ask.origin, environment).await?;
    client.announce();
    let request = wire::UpdateAccountRequest {
        account_sid: options.sid.unwrap_or_default(),
        friendly_name: options.name,
        keys_only: options.keys_only,
    };
    let account = client.accounts().update_account(client.signed(request)).await;
    print(&account.map_err(|status| client.refused(&status))?.into_inner(), options.ask.json)
}

fn print(account: &wire::Account, as_json: bool) -> Result<(), Failure> {
    if as_json {
        return output::json(&json!({
            "account_sid": account.sid,
            "friendly_name": account.friendly_name,
            "is_operator": account.is_operator,
            "keys_only": account.keys_only,
            "created_at": account.created_at,
        }));
    }
    let operator = if account.is_operator { ", an operator" } else { "" };
    let lets_in = if account.keys_only { "API keys only" } else { "auth tokens and API keys" };
    output::line(format_args!("{}  {}{operator}", account.sid, plain(&account.friendly_name)))?;
    output::line(format_args!("takes {lets_in}"))
}

async fn create(options: CreateOptions, environment: &Environment) -> Result<(), Failure> {
    let client = Client::connect(&options.ask.origin, environment).await?;
    client.announce();
    let request = wire::CreateAccountRequest { friendly_name: options.name };
    let made = client.operating().create_account(client.signed(request)).await;
    let account = made.map_err(|status| client.refused(&status))?.into_inner();
    if options.ask.json {
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
