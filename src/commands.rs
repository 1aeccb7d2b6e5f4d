//! One thin file for each subcommand: what it takes, and what it calls.

pub(crate) mod account;
pub(crate) mod audit;
pub(crate) mod bundle;
pub(crate) mod deploy;
pub(crate) mod dev;
pub(crate) mod domain;
pub(crate) mod edge;
pub(crate) mod edges;
pub(crate) mod env;
pub(crate) mod evict;
pub(crate) mod fault;
pub(crate) mod get;
pub(crate) mod join_token;
pub(crate) mod key;
pub(crate) mod limits;
pub(crate) mod ls;
mod names;
pub(crate) mod origin;
pub(crate) mod purge;
pub(crate) mod put;
pub(crate) mod rm;
pub(crate) mod rollback;
pub(crate) mod service;
pub(crate) mod sign;
mod span;
pub(crate) mod twilio;
pub(crate) mod usage;
pub(crate) mod verify;

use crate::cli::Command;
use crate::environment::Environment;
use crate::failure::Failure;

/// Runs a subcommand to its end.
pub(crate) async fn run(command: Command, environment: &Environment) -> Result<(), Failure> {
    match command {
        Command::Dev(options) => dev::run(options, environment).await,
        Command::Origin(options) => origin::run(options, environment).await,
        Command::Edge(options) => edge::run(options, environment).await,
        Command::Put(options) => put::run(options, environment).await,
        Command::Ls(options) => ls::run(options, environment).await,
        Command::Rm(options) => rm::run(options, environment).await,
        Command::Purge(options) => purge::run(options, environment).await,
        Command::Evict(options) => evict::run(options, environment).await,
        Command::Get(options) => get::run(options, environment).await,
        Command::Deploy(options) => deploy::run(options, environment).await,
        Command::Rollback(options) => rollback::run(options, environment).await,
        Command::Service(options) => service::run(options, environment).await,
        Command::Env(options) => env::run(options, environment).await,
        Command::Domain(options) => domain::run(options, environment).await,
        Command::Bundle(options) => bundle::run(options, environment).await,
        Command::Key(options) => key::run(options, environment).await,
        Command::Usage(options) => usage::run(options, environment).await,
        Command::Limits(options) => limits::run(options, environment).await,
        Command::Audit(options) => audit::run(options, environment).await,
        Command::Sign(options) => sign::run(options, environment).await,
        Command::Twilio(options) => twilio::run(options, environment).await,
        Command::Verify(options) => verify::run(options, environment).await,
        Command::Fault(options) => fault::run(options).await,
        Command::Account(options) => account::run(options, environment).await,
        Command::JoinToken(options) => join_token::run(options, environment).await,
        Command::Edges(options) => edges::run(options, environment).await,
    }
}
