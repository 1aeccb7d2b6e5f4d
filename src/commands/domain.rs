//! `skerry domain`: domains that an environment has beside the one that it was given.

use super::names::{self, ChangeOptions};
use crate::client::{AskOptions, Client};
use crate::environment::Environment;
use crate::failure::Failure;
use crate::output;
use serde_json::{Value, json};
use skerry_proto::wire;

/// What to do with domains.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  skerry domain add music.example.com
  skerry domain verify music.example.com --wait
  skerry domain list --json
  skerry domain remove music.example.com --wait

add says which TXT record to set; verify looks for it, and edges serve the domain from then on. Point the domain at
the edges, too, and let their certificate cover it.")]
pub(crate) struct Options {
    #[command(subcommand)]
    command: DomainCommand,
}

#[derive(Debug, clap::Subcommand)]
enum DomainCommand {
    /// List the domains of an environment
    List(AskOptions),
    /// Claim a domain, and say which record proves it
    Add(AddOptions),
    /// Look for the record that proves a domain, and serve it
    Verify(NameOptions),
    /// Give up a domain; edges answer it with 421 from then on
    Remove(NameOptions),
}

#[derive(Debug, clap::Args)]
struct AddOptions {
    /// The domain, in any language; no wildcard, no address
    #[arg(value_name = "DOMAIN")]
    domain: String,
    #[command(flatten)]
    ask: AskOptions,
}

#[derive(Debug, clap::Args)]
struct NameOptions {
    /// The domain, or its SID
    #[arg(value_name = "DOMAIN")]
    domain: String,
    #[command(flatten)]
    change: ChangeOptions,
}

/// Runs the command.
pub(crate) async fn run(options: Options, environment: &Environment) -> Result<(), Failure> {
    match options.command {
        DomainCommand::List(options) => list(options, environment).await,
        DomainCommand::Add(options) => add(options, environment).await,
        DomainCommand::Verify(options) => verify(options, environment).await,
        DomainCommand::Remove(options) => remove(options, environment).await,
    }
}

async fn list(options: AskOptions, environment: &Environment) -> Result<(), Failure> {
    let client = Client::connect(&options.origin, environment).await?;
    let request = wire::ListDomainsRequest { target: Some(client.target()) };
    let listed = client.naming().list_domains(client.signed(request)).await;
    let domains = listed.map_err(|status| client.refused(&status))?.into_inner().domains;
    if options.json {
        let domains: Vec<_> = domains.iter().map(as_json).collect();
        return output::json(&json!({ "domains": domains }));
    }
    if domains.is_empty() {
        output::note("no domains; claim one with: skerry domain add DOMAIN");
    }
    for domain in &domains {
        output::line(format_args!("{:7}  {}", status(domain), domain.public_url))?;
        if !domain.live {
            output::line(format_args!("         {}", record(domain)))?;
        }
    }
    Ok(())
}

async fn add(options: AddOptions, environment: &Environment) -> Result<(), Failure> {
    let client = Client::connect(&options.ask.origin, environment).await?;
    client.announce();
    let request = wire::DomainRequest { target: Some(client.target()), domain: options.domain };
    let added = client.naming().add_domain(client.signed(request)).await;
    let added = added.map_err(|status| client.refused(&status))?.into_inner().domain.unwrap_or_default();
    if options.ask.json {
        return output::json(&as_json(&added));
    }
    if added.live {
        output::note(format_args!("{} is live already", added.domain_name));
        return output::line(&added.public_url);
    }
    output::line(record(&added))?;
    output::note(format_args!(
        "set this record in DNS, then prove that the domain is yours with: skerry domain verify {}",
        added.domain_name
    ));
    Ok(())
}

async fn verify(options: NameOptions, environment: &Environment) -> Result<(), Failure> {
    let client = Client::connect(&options.change.origin, environment).await?;
    client.announce();
    let request = wire::DomainRequest { target: Some(client.target()), domain: options.domain };
    let verified = client.naming().verify_domain(client.signed(request)).await;
    let verified = verified.map_err(|status| client.refused(&status))?.into_inner();
    let domain = verified.domain.unwrap_or_default();
    if !options.change.json {
        output::line(&domain.public_url)?;
    }
    let changed = verified.changed.unwrap_or_default();
    names::finish(&client, &options.change, as_json(&domain), changed).await
}

async fn remove(options: NameOptions, environment: &Environment) -> Result<(), Failure> {
    let client = Client::connect(&options.change.origin, environment).await?;
    client.announce();
    let request = wire::DomainRequest { target: Some(client.target()), domain: options.domain.clone() };
    let removed = client.naming().remove_domain(client.signed(request)).await;
    let changed = removed.map_err(|status| client.refused(&status))?.into_inner();
    if !options.change.json {
        output::line(format_args!("removed {}", output::plain(&options.domain)))?;
    }
    names::finish(&client, &options.change, json!({ "removed": options.domain }), changed).await
}

const fn status(domain: &wire::Domain) -> &'static str {
    if domain.live { "live" } else { "pending" }
}

/// The record that proves a domain, as a line of a zone file (RFC 1035 §5.1).
fn record(domain: &wire::Domain) -> String {
    format!("{}. IN TXT \"{}\"", domain.record_name, domain.record_value)
}

fn as_json(domain: &wire::Domain) -> Value {
    json!({
        "domain_sid": domain.sid,
        "domain_name": domain.domain_name,
        "public_url": domain.public_url,
        "status": status(domain),
        "record": { "name": domain.record_name, "type": "TXT", "value": domain.record_value },
        "created_at": domain.created_at,
        "verified_at": domain.live.then_some(domain.verified_at),
    })
}
