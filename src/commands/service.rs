//! `skerry service`: the services of an account.

use super::names::{self, DeleteOptions};
use crate::client::{AskOptions, Client};
use crate::environment::Environment;
use crate::failure::Failure;
use crate::output::{self, plain};
use serde_json::json;
use skerry_proto::wire;

/// What to do with services.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  skerry service list
  skerry service create shop
  skerry env create production --service shop
  skerry service set shop friendly_name=\"The shop\"
  skerry service rename shop store
  skerry service delete store --yes --wait

Settings:
  friendly_name        what people call it
  include_credentials  true or false; kept for functions, which run elsewhere
  ui_editable          true or false; kept for Twilio's clients")]
pub(crate) struct Options {
    #[command(subcommand)]
    command: ServiceCommand,
}

#[derive(Debug, clap::Subcommand)]
enum ServiceCommand {
    /// List services and their environments
    List(AskOptions),
    /// Make a service; it has no environment yet
    Create(CreateOptions),
    /// Change settings
    Set(SetOptions),
    /// Give a service another unique name; its domains stay
    Rename(RenameOptions),
    /// Delete a service with all that it has; its names are answered with 421 from then on
    Delete(DeleteOptions),
}

#[derive(Debug, clap::Args)]
struct CreateOptions {
    /// Its unique name
    #[arg(value_name = "NAME")]
    name: String,
    /// Settings, such as friendly_name=Shop
    #[arg(value_name = "KEY=VALUE")]
    settings: Vec<String>,
    #[command(flatten)]
    ask: AskOptions,
}

#[derive(Debug, clap::Args)]
struct SetOptions {
    /// Which one, by unique name or SID
    #[arg(value_name = "NAME")]
    name: String,
    /// Settings, such as friendly_name=Shop
    #[arg(required = true, value_name = "KEY=VALUE")]
    settings: Vec<String>,
    #[command(flatten)]
    ask: AskOptions,
}

#[derive(Debug, clap::Args)]
struct RenameOptions {
    /// Which one, by unique name or SID
    #[arg(value_name = "NAME")]
    name: String,
    /// Its new unique name
    #[arg(value_name = "NEW")]
    new: String,
    #[command(flatten)]
    ask: AskOptions,
}

/// Runs the command.
pub(crate) async fn run(options: Options, environment: &Environment) -> Result<(), Failure> {
    match options.command {
        ServiceCommand::List(options) => list(options, environment).await,
        ServiceCommand::Create(options) => create(options, environment).await,
        ServiceCommand::Set(options) => set(options, environment).await,
        ServiceCommand::Rename(options) => rename(options, environment).await,
        ServiceCommand::Delete(options) => delete(options, environment).await,
    }
}

async fn list(options: AskOptions, environment: &Environment) -> Result<(), Failure> {
    let client = Client::connect(&options.origin, environment).await?;
    let services = names::services(&client).await?;
    if options.json {
        let services: Vec<_> = services.iter().map(names::service_json).collect();
        return output::json(&json!({ "services": services }));
    }
    for service in &services {
        let (name, friendly) = (plain(&service.unique_name), plain(&service.friendly_name));
        output::line(format_args!("{name:20}  {}  {friendly}", service.sid))?;
        for environment in &service.environments {
            let urls = names::names_of(environment).join(" ");
            output::line(format_args!("  {:18}  {urls}", plain(&environment.unique_name)))?;
        }
    }
    Ok(())
}

async fn create(options: CreateOptions, environment: &Environment) -> Result<(), Failure> {
    let settings = parse(&options.settings).map_err(Failure::usage)?;
    let client = Client::connect(&options.ask.origin, environment).await?;
    client.announce();
    let request = wire::CreateServiceRequest {
        unique_name: options.name,
        friendly_name: settings.friendly_name,
        include_credentials: settings.include_credentials,
        ui_editable: settings.ui_editable,
    };
    let made = client.naming().create_service(client.signed(request)).await;
    let made = made.map_err(|status| client.refused(&status))?.into_inner().service.unwrap_or_default();
    show(&made, options.ask.json)?;
    output::note(format_args!(
        "it has no environment yet; make one: skerry env create production --service {}",
        plain(&made.unique_name)
    ));
    Ok(())
}

async fn set(options: SetOptions, environment: &Environment) -> Result<(), Failure> {
    let settings = parse(&options.settings).map_err(Failure::usage)?;
    let request = wire::UpdateServiceRequest { service: options.name, ..settings };
    update(&options.ask, request, environment).await
}

async fn rename(options: RenameOptions, environment: &Environment) -> Result<(), Failure> {
    let request = wire::UpdateServiceRequest {
        service: options.name,
        unique_name: Some(options.new),
        ..wire::UpdateServiceRequest::default()
    };
    update(&options.ask, request, environment).await
}

async fn update(
    ask: &AskOptions,
    request: wire::UpdateServiceRequest,
    environment: &Environment,
) -> Result<(), Failure> {
    let client = Client::connect(&ask.origin, environment).await?;
    client.announce();
    let updated = client.naming().update_service(client.signed(request)).await;
    let updated = updated.map_err(|status| client.refused(&status))?.into_inner();
    show(&updated.service.unwrap_or_default(), ask.json)
}

async fn delete(options: DeleteOptions, environment: &Environment) -> Result<(), Failure> {
    let client = Client::connect(&options.change.origin, environment).await?;
    client.announce();
    let service = names::service(&client, &options.name).await?;
    let shows = |one: &&wire::NamedEnvironment| !one.build_sid.is_empty();
    let shown: Vec<_> = service.environments.iter().filter(shows).map(|one| &*one.public_url).collect();
    if !shown.is_empty() && !options.yes {
        let message = format!("nothing was deleted: it shows something at {}", shown.join(", "));
        return Err(Failure::new(message).hint("if that is meant, say --yes"));
    }
    let request = wire::DeleteServiceRequest { service: service.sid };
    let deleted = client.naming().delete_service(client.signed(request)).await;
    let changed = deleted.map_err(|status| client.refused(&status))?.into_inner();
    if !options.change.json {
        output::line(format_args!("deleted {}", plain(&options.name)))?;
    }
    names::finish(&client, &options.change, json!({ "deleted": options.name }), changed).await
}

fn show(service: &wire::NamedService, json: bool) -> Result<(), Failure> {
    if json {
        return output::json(&names::service_json(service));
    }
    output::line(format_args!("unique_name = {}", plain(&service.unique_name)))?;
    output::line(format_args!("friendly_name = {}", plain(&service.friendly_name)))?;
    output::line(format_args!("include_credentials = {}", service.include_credentials))?;
    output::line(format_args!("ui_editable = {}", service.ui_editable))
}

/// The settings that are asked for.
///
/// # Errors
/// Everything that is wrong, a line each.
fn parse(settings: &[String]) -> Result<wire::UpdateServiceRequest, String> {
    let mut request = wire::UpdateServiceRequest::default();
    let mut problems = Vec::new();
    for setting in settings {
        let (key, value) = setting.split_once('=').unwrap_or((setting, ""));
        let flag = |flag: &mut Option<bool>| {
            *flag = value.parse().ok();
            (flag.is_some(), "true or false")
        };
        let (is_known, accepted) = match key {
            "friendly_name" => {
                request.friendly_name = Some(value.to_owned());
                (!value.is_empty(), "a text of 1 to 255 characters")
            }
            "include_credentials" => flag(&mut request.include_credentials),
            "ui_editable" => flag(&mut request.ui_editable),
            _ => (false, "friendly_name, include_credentials or ui_editable, with = and a value"),
        };
        if !is_known {
            problems.push(format!("{setting:?}: {accepted} is expected"));
        }
    }
    if problems.is_empty() { Ok(request) } else { Err(problems.join("\n")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(settings: &[&str]) -> Result<wire::UpdateServiceRequest, String> {
        parse(&settings.iter().map(|setting| (*setting).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn what_is_not_named_is_absent() {
        let request = parsed(&["friendly_name=a=b", "ui_editable=true"]).expect("known");
        assert_eq!(request.friendly_name.as_deref(), Some("a=b"));
        assert_eq!((request.ui_editable, request.include_credentials), (Some(true), None));
    }

    #[test]
    fn all_that_is_wrong_is_said_at_once_with_what_is_accepted() {
        let problems = parsed(&["friendly_name=", "ui_editable=1", "colour=red"]).expect_err("wrong");
        let expected = [
            "\"friendly_name=\": a text of 1 to 255 characters is expected",
            "\"ui_editable=1\": true or false is expected",
            "\"colour=red\": friendly_name, include_credentials or ui_editable, with = and a value is expected",
        ];
        assert_eq!(problems.lines().collect::<Vec<_>>(), expected);
    }
}
