//! `skerry env show` and `set`: settings of an environment.

use crate::client::{self, Client, LiveEdge, OriginOptions};
use crate::environment::Environment;
use crate::failure::Failure;
use crate::output;
use serde_json::{Value, json};
use skerry_proto::pointer::Version;
use skerry_proto::wire::{self, stale_rule::Rule};

/// How to show settings.
#[derive(Debug, clap::Args)]
pub(super) struct ShowOptions {
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    origin: OriginOptions,
}

/// What to set.
#[derive(Debug, clap::Args)]
pub(super) struct SetOptions {
    /// Settings, such as post=as-get
    #[arg(required = true, value_name = "KEY=VALUE")]
    settings: Vec<String>,
    /// Return when every edge follows them
    #[arg(long)]
    wait: bool,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    origin: OriginOptions,
}

/// Shows the settings.
pub(super) async fn show(options: ShowOptions, environment: &Environment) -> Result<(), Failure> {
    let client = Client::connect(&options.origin, environment).await?;
    let shown = client.environment().await?;
    if options.json {
        return output::json(&as_json(&shown));
    }
    print(&shown)
}

/// Changes settings.
pub(super) async fn set(options: SetOptions, environment: &Environment) -> Result<(), Failure> {
    let mut request = parse(&options.settings).map_err(Failure::usage)?;
    let client = Client::connect(&options.origin, environment).await?;
    client.announce();
    request.target = Some(client.target());
    let updated = client.publishing().update_environment(client.signed(request)).await;
    let updated = updated.map_err(|status| client.refused(&status))?.into_inner();
    let shown = updated.environment.unwrap_or_default();
    if !options.json {
        print(&shown)?;
    }
    let version = Version { epoch: updated.epoch, revision: updated.revision };
    let edges = if options.wait { client::wait_live(&client, version).await } else { Ok(Vec::new()) };
    if options.json {
        let edges = edges.as_deref().unwrap_or_default();
        let mut value = as_json(&shown);
        value["epoch"] = version.epoch.into();
        value["revision"] = version.revision.into();
        value["edges"] = edges.iter().map(LiveEdge::json).collect();
        output::json(&value)?;
    }
    client::all_live(&edges?)
}

/// The settings that are asked for.
///
/// # Errors
/// Everything that is wrong, a line each.
fn parse(settings: &[String]) -> Result<wire::UpdateEnvironmentRequest, String> {
    let mut request = wire::UpdateEnvironmentRequest::default();
    let mut problems = Vec::new();
    for setting in settings {
        let (key, value) = setting.split_once('=').unwrap_or((setting, ""));
        let (is_known, accepted) = match key {
            "post" => (choose(&mut request.post_as_get, value, ["refuse", "as-get"]), "refuse or as-get"),
            "untrusted_uploads" => {
                (choose(&mut request.untrusted_uploads, value, ["false", "true"]), "true or false")
            }
            "public_stale" => (stale(&mut request.public_stale, value), "seconds, or unbounded"),
            "protected_stale" => (stale(&mut request.protected_stale, value), "seconds, or unbounded"),
            _ => (false, "post, untrusted_uploads, public_stale or protected_stale, with = and a value"),
        };
        if !is_known {
            problems.push(format!("{setting:?}: {accepted} is expected"));
        }
    }
    if problems.is_empty() { Ok(request) } else { Err(problems.join("\n")) }
}

/// Whether the value is one of two words: the one for no, the one for yes.
fn choose(setting: &mut Option<bool>, value: &str, words: [&str; 2]) -> bool {
    *setting = words.iter().position(|word| *word == value).map(|at| at == 1);
    setting.is_some()
}

fn stale(setting: &mut Option<wire::StaleRule>, value: &str) -> bool {
    let rule = match value {
        "unbounded" => Some(Rule::Unbounded(true)),
        seconds => seconds.parse().ok().map(Rule::SecondsMax),
    };
    *setting = rule.map(|rule| wire::StaleRule { rule: Some(rule) });
    setting.is_some()
}

fn print(environment: &wire::Environment) -> Result<(), Failure> {
    let settings = settings(environment);
    for (key, value) in &settings {
        match value.as_str() {
            Some(text) => output::line(format_args!("{key} = {text}"))?,
            None => output::line(format_args!("{key} = {value}"))?,
        }
    }
    output::note(format_args!("environment {} at {}", environment.unique_name, environment.public_url));
    Ok(())
}

fn as_json(environment: &wire::Environment) -> Value {
    let mut value = json!({
        "environment_sid": environment.sid,
        "unique_name": environment.unique_name,
        "domain_name": environment.domain,
        "public_url": environment.public_url,
        "build_sid": environment.build_sid,
    });
    for (key, setting) in settings(environment) {
        value[key] = setting;
    }
    value
}

/// The settings with the keys and values that `set` takes.
fn settings(environment: &wire::Environment) -> [(&'static str, Value); 4] {
    let serving = environment.serving.unwrap_or_default();
    let access = environment.access.unwrap_or_default();
    let stale = |rule: Option<wire::StaleRule>| match rule.and_then(|rule| rule.rule) {
        Some(Rule::SecondsMax(seconds)) => Value::from(seconds),
        Some(Rule::Unbounded(_)) | None => Value::from("unbounded"),
    };
    [
        ("post", Value::from(if serving.post_as_get { "as-get" } else { "refuse" })),
        ("untrusted_uploads", Value::from(serving.untrusted_uploads)),
        ("public_stale", stale(access.public_stale)),
        ("protected_stale", stale(access.protected_stale)),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(settings: &[&str]) -> Result<wire::UpdateEnvironmentRequest, String> {
        parse(&settings.iter().map(|setting| (*setting).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn what_is_not_named_is_absent() {
        let request = parsed(&["post=as-get", "protected_stale=0"]).expect("known");
        assert_eq!(request.post_as_get, Some(true));
        assert_eq!(request.untrusted_uploads, None);
        assert_eq!(request.public_stale, None);
        assert_eq!(request.protected_stale, Some(wire::StaleRule { rule: Some(Rule::SecondsMax(0)) }));
        assert_eq!(parsed(&["post=refuse"]).expect("known").post_as_get, Some(false));
        let unbounded = Some(wire::StaleRule { rule: Some(Rule::Unbounded(true)) });
        assert_eq!(parsed(&["public_stale=unbounded"]).expect("known").public_stale, unbounded);
    }

    #[test]
    fn all_that_is_wrong_is_said_at_once_with_what_is_accepted() {
        let problems =
            parsed(&["post=get", "untrusted_uploads", "public_stale=-1", "colour=red"]).expect_err("wrong");
        let expected = [
            "\"post=get\": refuse or as-get is expected",
            "\"untrusted_uploads\": true or false is expected",
            "\"public_stale=-1\": seconds, or unbounded is expected",
            "\"colour=red\": post, untrusted_uploads, public_stale or protected_stale, with = and a value is expected",
        ];
        assert_eq!(problems.lines().collect::<Vec<_>>(), expected);
    }
}
