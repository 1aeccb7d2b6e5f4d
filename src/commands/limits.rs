//! `skerry limits`: what a service may hold, which its owner reads and the operator sets.

use crate::client::{Client, OriginOptions};
use crate::config;
use crate::environment::Environment;
use crate::failure::Failure;
use crate::output;
use serde_json::json;
use skerry_proto::wire;

/// What to set, if anything.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  skerry limits --json
  skerry limits --service ZS0123456789abcdef0123456789abcdef --served-count-max 2000 --served-size-max 1GiB
  skerry limits --service ZS0123456789abcdef0123456789abcdef --served-count-max default

The operator names a service of any account by its SID.")]
pub(crate) struct Options {
    /// Bytes of a public or protected asset, or `default`
    #[arg(long, value_name = "SIZE", value_parser = size)]
    served_size_max: Option<u64>,
    /// Public and protected paths in one build, or `default`
    #[arg(long, value_name = "COUNT", value_parser = count)]
    served_count_max: Option<u64>,
    /// Bytes of a private asset, or `default`
    #[arg(long, value_name = "SIZE", value_parser = size)]
    private_size_max: Option<u64>,
    /// Private paths in one build, or `default`
    #[arg(long, value_name = "COUNT", value_parser = count)]
    private_count_max: Option<u64>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    origin: OriginOptions,
}

/// The default, as it travels.
const DEFAULT: u64 = 0;

fn size(text: &str) -> Result<u64, String> {
    let given = if text == "default" { Some(DEFAULT) } else { config::size(text).filter(|size| *size > 0) };
    given.ok_or_else(|| "it is a number of bytes, such as 1048576 or 100MiB, or default".to_owned())
}

fn count(text: &str) -> Result<u64, String> {
    let given = if text == "default" { Some(DEFAULT) } else { text.parse().ok().filter(|count| *count > 0) };
    given.ok_or_else(|| "it is a whole number, or default".to_owned())
}

/// Runs the command.
pub(crate) async fn run(options: Options, environment: &Environment) -> Result<(), Failure> {
    let client = Client::connect(&options.origin, environment).await?;
    let service = client.place().service.clone();
    let changes = [
        options.served_size_max,
        options.served_count_max,
        options.private_size_max,
        options.private_count_max,
    ];
    let answer = if changes.iter().all(Option::is_none) {
        client.accounts().get_limits(client.signed(wire::GetLimitsRequest { service })).await
    } else {
        client.announce();
        let [served_size_max, served_count_max, private_size_max, private_count_max] = changes;
        let request = wire::SetLimitsRequest {
            service,
            served_size_max,
            served_count_max,
            private_size_max,
            private_count_max,
        };
        client.accounts().set_limits(client.signed(request)).await
    };
    print(&answer.map_err(|status| client.refused(&status))?.into_inner(), options.json)
}

fn print(shown: &wire::ServiceLimits, as_json: bool) -> Result<(), Failure> {
    let limits = shown.limits.unwrap_or_default();
    if as_json {
        return output::json(&json!({
            "account_sid": shown.account_sid,
            "service_sid": shown.service_sid,
            "served_size_max": limits.served_size_max,
            "served_count_max": limits.served_count_max,
            "private_size_max": limits.private_size_max,
            "private_count_max": limits.private_count_max,
            "overridden": shown.overridden,
        }));
    }
    let rows = [
        ("served_size_max", limits.served_size_max, "bytes of a public or protected asset"),
        ("served_count_max", limits.served_count_max, "public and protected paths in a build"),
        ("private_size_max", limits.private_size_max, "bytes of a private asset"),
        ("private_count_max", limits.private_count_max, "private paths in a build"),
    ];
    for (name, limit, what) in rows {
        let is_set = shown.overridden.iter().any(|set| set == name);
        let set = if is_set { ", set for this service" } else { "" };
        output::line(format_args!("{limit:>14}  {what}{set}"))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_positive_or_the_default() {
        assert_eq!((size("1GiB"), size("default")), (Ok(1 << 30), Ok(DEFAULT)));
        assert_eq!((count("7"), count("default")), (Ok(7), Ok(DEFAULT)));
        assert!(size("0").is_err() && count("0").is_err() && count("-1").is_err() && size("many").is_err());
    }
}
