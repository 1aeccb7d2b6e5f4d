//! `skerry env`: environments of a service, and their settings.

mod settings;

use super::names::{self, DeleteOptions};
use crate::client::{AskOptions, Client};
use crate::environment::Environment;
use crate::failure::Failure;
use crate::output::{self, plain};
use serde_json::json;
use skerry_proto::wire;

/// What to do with environments.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  skerry env list
  skerry env create staging
  skerry env show
  skerry env set post=as-get --wait
  skerry env set public_stale=86400 protected_stale=unbounded
  skerry env delete staging --yes --wait

Settings:
  post               refuse: POST gets 405; as-get: it is answered like GET
  untrusted_uploads  true: HTML is sandboxed like SVG and XML; false: it is not
  public_stale       how many seconds past its lease an edge serves public assets, or unbounded
  protected_stale    the same for protected assets")]
pub(crate) struct Options {
    #[command(subcommand)]
    command: EnvCommand,
}

#[derive(Debug, clap::Subcommand)]
enum EnvCommand {
    /// List the environments of a service
    List(AskOptions),
    /// Make an environment, with a domain of its own
    Create(CreateOptions),
    /// Show the settings
    Show(settings::ShowOptions),
    /// Change settings, at every edge; what is live stays
    Set(settings::SetOptions),
    /// Delete an environment; its names are answered with 421 from then on
    Delete(DeleteOptions),
}

#[derive(Debug, clap::Args)]
struct CreateOptions {
    /// Its unique name
    #[arg(value_name = "NAME")]
    name: String,
    /// End of its domain's first label; empty for none [default: the name, but none for production]
    #[arg(long, value_name = "SUFFIX")]
    suffix: Option<String>,
    #[command(flatten)]
    ask: AskOptions,
}

/// Runs the command.
pub(crate) async fn run(options: Options, environment: &Environment) -> Result<(), Failure> {
    match options.command {
        EnvCommand::List(options) => list(options, environment).await,
        EnvCommand::Create(options) => create(options, environment).await,
        EnvCommand::Show(options) => settings::show(options, environment).await,
        EnvCommand::Set(options) => settings::set(options, environment).await,
        EnvCommand::Delete(options) => delete(options, environment).await,
    }
}

async fn list(options: AskOptions, environment: &Environment) -> Result<(), Failure> {
    let client = Client::connect(&options.origin, environment).await?;
    let service = names::service(&client, &client.place().service).await?;
    if options.json {
        let environments: Vec<_> = service.environments.iter().map(names::environment_json).collect();
        return output::json(&json!({ "service_sid": service.sid, "environments": environments }));
    }
    for environment in &service.environments {
        let state = if environment.build_sid.is_empty() { "nothing" } else { &environment.build_sid };
        let name = plain(&environment.unique_name);
        let urls = names::names_of(environment).join(" ");
        output::line(format_args!("{name:20}  {state:34}  {urls}"))?;
    }
    output::note(format_args!("of service {}", plain(&service.unique_name)));
    Ok(())
}

async fn create(options: CreateOptions, environment: &Environment) -> Result<(), Failure> {
    let client = Client::connect(&options.ask.origin, environment).await?;
    client.announce();
    let suffix = options.suffix.unwrap_or_else(|| match options.name.as_str() {
        // As Twilio's toolkit has it.
        "production" => String::new(),
        name => name.to_owned(),
    });
    let request = wire::CreateEnvironmentRequest {
        service: client.place().service.clone(),
        unique_name: options.name,
        domain_suffix: suffix,
    };
    let made = client.naming().create_environment(client.signed(request)).await;
    let made = made.map_err(|status| client.refused(&status))?.into_inner().environment.unwrap_or_default();
    if options.ask.json {
        return output::json(&names::environment_json(&made));
    }
    output::line(&made.public_url)?;
    output::note(format_args!(
        "it shows nothing yet; publish with: skerry put FILE --environment {}",
        plain(&made.unique_name)
    ));
    Ok(())
}

async fn delete(options: DeleteOptions, environment: &Environment) -> Result<(), Failure> {
    let client = Client::connect(&options.change.origin, environment).await?;
    client.announce();
    let service = names::service(&client, &client.place().service).await?;
    let named = |one: &&wire::NamedEnvironment| [&one.sid, &one.unique_name].contains(&&options.name);
    if let Some(shown) = service.environments.iter().find(named).filter(|one| !one.build_sid.is_empty())
        && !options.yes
    {
        let message = format!("nothing was deleted: it shows {} at {}", shown.build_sid, shown.public_url);
        return Err(Failure::new(message).hint("if that is meant, say --yes"));
    }
    let target = wire::Target { service: service.sid, environment: options.name.clone() };
    let request = wire::DeleteEnvironmentRequest { target: Some(target) };
    let deleted = client.naming().delete_environment(client.signed(request)).await;
    let changed = deleted.map_err(|status| client.refused(&status))?.into_inner();
    if !options.change.json {
        output::line(format_args!("deleted {}", plain(&options.name)))?;
    }
    names::finish(&client, &options.change, json!({ "deleted": options.name }), changed).await
}
