//! `skerry usage`: how much the account has, beside what its services may hold.

use crate::client::{AskOptions, Client};
use crate::environment::Environment;
use crate::failure::Failure;
use crate::output;
use serde_json::{Value, json};
use skerry_proto::wire;

/// How to show it.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  skerry usage --json")]
pub(crate) struct Options {
    #[command(flatten)]
    ask: AskOptions,
}

/// Runs the command.
pub(crate) async fn run(options: Options, environment: &Environment) -> Result<(), Failure> {
    let client = Client::connect(&options.ask.origin, environment).await?;
    let request = wire::GetUsageRequest { service: client.place().service.clone() };
    let usage = client.accounts().get_usage(client.signed(request)).await;
    let usage = usage.map_err(|status| client.refused(&status))?.into_inner();
    if options.ask.json {
        let mut shown = stored(usage.stored);
        shown["services"] = usage.services.into();
        shown["api_keys"] = usage.api_keys.into();
        shown["usage"] = usage.usage.into_iter().map(of_service).collect();
        return output::json(&shown);
    }
    for service in usage.usage {
        let limits = service.limits.unwrap_or_default();
        let bytes = service.stored.unwrap_or_default().bytes;
        output::line(format_args!("{}  {bytes} bytes stored", service.unique_name))?;
        for environment in service.environments {
            output::line(format_args!(
                "  {:20}  {} of {} public and protected paths, {} of {} private ones",
                environment.unique_name,
                environment.served_count,
                limits.served_count_max,
                environment.private_count,
                limits.private_count_max,
            ))?;
        }
    }
    let total = usage.stored.unwrap_or_default();
    output::note(format_args!(
        "{} bytes in {} asset versions and {} function versions in all",
        total.bytes, total.asset_versions, total.function_versions
    ));
    Ok(())
}

fn stored(stored: Option<wire::Stored>) -> Value {
    let stored = stored.unwrap_or_default();
    json!({
        "stored_bytes": stored.bytes,
        "asset_versions": stored.asset_versions,
        "function_versions": stored.function_versions,
    })
}

fn of_service(service: wire::ServiceUsage) -> Value {
    let limits = service.limits.unwrap_or_default();
    let environments = service.environments.into_iter().map(|environment| {
        json!({
            "environment_sid": environment.environment_sid,
            "unique_name": environment.unique_name,
            "build_sid": Some(environment.build_sid).filter(|sid| !sid.is_empty()),
            "served_count": environment.served_count,
            "private_count": environment.private_count,
        })
    });
    let mut shown = stored(service.stored);
    shown["service_sid"] = service.service_sid.into();
    shown["unique_name"] = service.unique_name.into();
    shown["served_size_max"] = limits.served_size_max.into();
    shown["served_count_max"] = limits.served_count_max.into();
    shown["private_size_max"] = limits.private_size_max.into();
    shown["private_count_max"] = limits.private_count_max.into();
    shown["environments"] = environments.collect();
    shown
}
