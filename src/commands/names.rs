//! What the commands for services, environments and domains have in common.

use crate::client::{self, Client, LiveEdge, OriginOptions};
use crate::failure::Failure;
use crate::output;
use serde_json::{Value, json};
use skerry_proto::pointer::Version;
use skerry_proto::wire;

/// How to go on after a change of what edges show.
#[derive(Debug, clap::Args)]
pub(super) struct ChangeOptions {
    /// Return when every edge follows it
    #[arg(long)]
    pub(super) wait: bool,
    /// Print one JSON object
    #[arg(long)]
    pub(super) json: bool,
    #[command(flatten)]
    pub(super) origin: OriginOptions,
}

/// What to delete, which is asked for twice where it shows something.
#[derive(Debug, clap::Args)]
pub(super) struct DeleteOptions {
    /// Which one, by unique name or SID
    #[arg(value_name = "NAME")]
    pub(super) name: String,
    /// Delete it although it shows something
    #[arg(long)]
    pub(super) yes: bool,
    #[command(flatten)]
    pub(super) change: ChangeOptions,
}

/// The services of the account.
///
/// # Errors
/// The origin's refusal.
pub(super) async fn services(client: &Client) -> Result<Vec<wire::NamedService>, Failure> {
    let listed = client.naming().list_services(client.signed(wire::ListServicesRequest {})).await;
    Ok(listed.map_err(|status| client.refused(&status))?.into_inner().services)
}

/// The service of this SID or unique name, or the only one there is.
///
/// # Errors
/// The origin's refusal, or what has to be named.
pub(super) async fn service(client: &Client, name: &str) -> Result<wire::NamedService, Failure> {
    client::only("service", services(client).await?, name, |one| [&one.sid, &one.unique_name])
}

/// URLs of an environment, its own first.
pub(super) fn names_of(environment: &wire::NamedEnvironment) -> Vec<String> {
    // The port is that of its own URL.
    let port = environment.public_url.rsplit_once(&environment.domain).map_or("", |(_, port)| port);
    let aliases = environment.aliases.iter().map(|alias| format!("https://{alias}{port}"));
    [environment.public_url.clone()].into_iter().chain(aliases).collect()
}

/// A service, for `--json`.
pub(super) fn service_json(service: &wire::NamedService) -> Value {
    json!({
        "service_sid": service.sid,
        "unique_name": service.unique_name,
        "friendly_name": service.friendly_name,
        "include_credentials": service.include_credentials,
        "ui_editable": service.ui_editable,
        "domain_base": service.domain_base,
        "created_at": service.created_at,
        "environments": service.environments.iter().map(environment_json).collect::<Vec<_>>(),
    })
}

/// An environment, for `--json`; `null` for what it has not.
pub(super) fn environment_json(environment: &wire::NamedEnvironment) -> Value {
    let optional = |text: &String| Some(text.clone()).filter(|text| !text.is_empty());
    json!({
        "environment_sid": environment.sid,
        "unique_name": environment.unique_name,
        "domain_suffix": optional(&environment.domain_suffix),
        "domain_name": environment.domain,
        "public_url": environment.public_url,
        "build_sid": optional(&environment.build_sid),
        "created_at": environment.created_at,
        "domains": environment.aliases,
    })
}

/// Waits where that was asked for, and prints the JSON.
///
/// # Errors
/// The origin's refusal, or that an edge does not follow in time.
pub(super) async fn finish(
    client: &Client,
    options: &ChangeOptions,
    mut shown: Value,
    changed: wire::NamesChanged,
) -> Result<(), Failure> {
    let version = Version { epoch: changed.epoch, revision: changed.revision };
    // Nothing changed for edges where there is no revision.
    let waits = options.wait && version.revision > 0;
    let edges = if waits { client::wait_live(client, version).await } else { Ok(Vec::new()) };
    if options.json {
        let listed = edges.as_deref().unwrap_or_default();
        shown["epoch"] = version.epoch.into();
        shown["revision"] = version.revision.into();
        shown["edges"] = listed.iter().map(LiveEdge::json).collect();
        output::json(&shown)?;
    }
    client::all_live(&edges?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_of_an_environment_has_the_port_of_its_own() {
        let environment = |public_url: &str| wire::NamedEnvironment {
            domain: "a.test".into(),
            public_url: public_url.into(),
            aliases: vec!["music.test".into()],
            ..wire::NamedEnvironment::default()
        };
        assert_eq!(names_of(&environment("https://a.test")), ["https://a.test", "https://music.test"]);
        let ported = names_of(&environment("https://a.test:8443"));
        assert_eq!(ported, ["https://a.test:8443", "https://music.test:8443"]);
    }
}
