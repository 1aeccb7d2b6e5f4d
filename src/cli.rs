//! The command line: which subcommands there are. What each takes is said in its own file.

use crate::commands::{
    account, audit, bundle, deploy, dev, domain, edge, edges, env, evict, fault, get, join_token, key,
    limits, ls, origin, purge, put, rm, rollback, service, sign, twilio, usage, verify,
};
use crate::failure::EXIT_CODES;
use crate::logging::LogOptions;
use tracing_subscriber::filter::LevelFilter;

/// A self-hosted CDN for static assets.
///
/// Without a subcommand it is `skerry dev`: an origin and an edge in one process, data in ./skerry-data.
#[derive(Debug, clap::Parser)]
#[command(name = "skerry", version, after_help = EXIT_CODES, disable_help_subcommand = true)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) log: LogOptions,
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

/// What to do.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Run an origin and edges in one process, for development
    Dev(dev::Options),
    /// Run an origin, or make its first account
    Origin(origin::Options),
    /// Run an edge
    Edge(edge::Options),
    /// Publish files and folders
    Put(put::Options),
    /// List what is live
    Ls(ls::Options),
    /// Publish without some paths
    Rm(rm::Options),
    /// Purge bytes: no edge shows them any more, until the purge is lifted
    Purge(purge::Options),
    /// Have edges drop their copies, which are fetched again when somebody asks
    Evict(evict::Options),
    /// Fetch an asset from the origin, or a URL over HTTP/1.1, HTTP/2 or HTTP/3
    Get(get::Options),
    /// Show a build that was made before
    Deploy(deploy::Options),
    /// Show the build again that was live before
    Rollback(rollback::Options),
    /// Services of the account
    Service(service::Options),
    /// Environments of a service, and their settings
    Env(env::Options),
    /// Domains that an environment has beside its own
    Domain(domain::Options),
    /// Unpack the private assets of a build, for its functions
    Bundle(bundle::Options),
    /// Auth tokens and keys of the account
    Key(key::Options),
    /// Show how much the account has, beside what its services may hold
    Usage(usage::Options),
    /// Show what a service may hold, and set it, for the operator
    Limits(limits::Options),
    /// Show who did what, newest first
    Audit(audit::Options),
    /// Sign a URL, or a request, without asking anybody
    Sign(sign::Options),
    /// Run a command of Twilio's toolkit against the origin's REST API
    Twilio(twilio::Options),
    /// Check every byte that an edge sends for a URL against what the origin names
    Verify(verify::Options),
    /// Damage an edge's cache on purpose, to see it heal
    Fault(fault::Options),
    /// The account, and for the operator all accounts
    Account(account::Options),
    /// Make a token with which a machine becomes an edge, for the operator
    JoinToken(join_token::Options),
    /// List the edges, for the operator
    Edges(edges::Options),
}

impl Default for Command {
    fn default() -> Self {
        Self::Dev(dev::Options::default())
    }
}

impl Command {
    /// The least severe level that is logged unless asked otherwise.
    pub(crate) const fn log_level(&self) -> LevelFilter {
        match self {
            Self::Origin(options) if options.serves() => LevelFilter::INFO,
            Self::Edge(_) => LevelFilter::INFO,
            Self::Dev(_) => LevelFilter::WARN,
            Self::Origin(_)
            | Self::Put(_)
            | Self::Ls(_)
            | Self::Rm(_)
            | Self::Purge(_)
            | Self::Evict(_)
            | Self::Get(_)
            | Self::Deploy(_)
            | Self::Rollback(_)
            | Self::Service(_)
            | Self::Env(_)
            | Self::Domain(_)
            | Self::Bundle(_)
            | Self::Key(_)
            | Self::Usage(_)
            | Self::Limits(_)
            | Self::Audit(_)
            | Self::Sign(_)
            | Self::Twilio(_)
            | Self::Verify(_)
            | Self::Fault(_)
            | Self::Account(_)
            | Self::JoinToken(_)
            | Self::Edges(_) => LevelFilter::ERROR,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::{CommandFactory, Parser};

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn without_a_subcommand_it_is_dev() {
        let cli = Cli::try_parse_from(["skerry"]).expect("parses");
        let Command::Dev(options) = cli.command.unwrap_or_default() else { panic!("dev") };
        let Ok(Cli { command: Some(Command::Dev(explicit)), .. }) = Cli::try_parse_from(["skerry", "dev"])
        else {
            panic!("dev")
        };
        assert_eq!(format!("{options:?}"), format!("{explicit:?}"));
    }

    #[test]
    fn an_unknown_visibility_is_refused_with_those_that_exist() {
        let error =
            Cli::try_parse_from(["skerry", "put", "a", "--visibility", "secret"]).expect_err("unknown");
        let text = error.to_string();
        for word in ["secret", "public", "protected", "private"] {
            assert!(text.contains(word), "{text}");
        }
    }

    #[test]
    fn the_help_of_every_subcommand_has_an_example() {
        let mut cli = Cli::command();
        for command in cli.get_subcommands_mut() {
            let name = command.get_name().to_owned();
            assert!(command.render_long_help().to_string().contains("Example"), "{name}");
        }
    }
}
