//! Log lines, to standard error. Standard output is for results.
//!
//! Servers log at `info`; `skerry dev` at `warn`, so that its screen stays readable; client commands only errors.

use crate::environment::Environment;
use crate::failure::Failure;
use std::io::IsTerminal;
use tracing_subscriber::filter::{EnvFilter, LevelFilter};

/// How log lines look and which are written.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct LogOptions {
    /// Least severe level that is logged: error, warn, info, debug, trace or off; or a filter such as skerry_edge=debug,warn
    /// [environment: SKERRY_LOG] [default: info for servers, warn for dev, error for the rest]
    #[arg(long, global = true, value_name = "LEVEL", help_heading = "Logging")]
    log_level: Option<String>,
    /// How log lines look
    #[arg(long, global = true, value_name = "FORMAT", default_value = "human", help_heading = "Logging")]
    log_format: LogFormat,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum LogFormat {
    /// For people
    Human,
    /// One JSON object a line
    Json,
}

/// Starts logging. Call it once.
///
/// # Errors
/// A level or filter that makes no sense.
pub(crate) fn start(
    options: &LogOptions,
    environment: &Environment,
    default: LevelFilter,
) -> Result<(), Failure> {
    let asked = options.log_level.as_deref().or_else(|| environment.value("SKERRY_LOG"));
    let filter = match asked {
        Some(text) => filter(text)?,
        None => of_level(default),
    };
    let filter = EnvFilter::builder().parse(&filter).map_err(|error| {
        Failure::usage(format!("--log-level {filter:?} is neither a level nor a filter: {error}"))
    })?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal() && !environment.no_color());
    match options.log_format {
        LogFormat::Human => builder.init(),
        LogFormat::Json => builder.json().init(),
    }
    Ok(())
}

/// The filter for what the user gave: a level is meant for our own lines.
fn filter(text: &str) -> Result<String, Failure> {
    match text.parse::<LevelFilter>() {
        Ok(level) => Ok(of_level(level)),
        Err(_) if text.contains('=') || text.contains(',') => Ok(text.to_owned()),
        Err(_) => Err(Failure::usage(format!(
            "unknown log level {text:?}; it is one of error, warn, info, debug, trace, off, or a filter such as skerry_edge=debug,warn"
        ))),
    }
}

/// Libraries are quieter than we are: their `info` is our `debug`.
fn of_level(level: LevelFilter) -> String {
    let others = level.min(LevelFilter::WARN);
    format!("{others},skerry={level},skerry_origin={level},skerry_edge={level},skerry_proto={level}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_is_meant_for_our_own_lines() {
        assert!(of_level(LevelFilter::DEBUG).starts_with("warn,skerry=debug,"));
        assert!(of_level(LevelFilter::ERROR).starts_with("error,skerry=error,"));
    }

    #[test]
    fn a_filter_is_taken_as_it_is_and_a_wrong_level_is_told() {
        assert_eq!(filter("hyper=debug").ok().as_deref(), Some("hyper=debug"));
        let error = filter("verbose").expect_err("no level").to_string();
        assert!(error.contains("\"verbose\"") && error.contains("trace"), "{error}");
    }
}
