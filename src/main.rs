//! `skerry`: the origin, the edge, both in one process for development, and the commands that talk to an origin.
//!
//! Thin: it installs the TLS provider, reads the command line and the environment once, and hands on to one file a subcommand.

mod admin;
mod admin_socket;
mod allocator;
mod bundle;
mod certificate;
mod cli;
mod client;
mod commands;
mod config;
mod dev;
mod environment;
mod failure;
mod fetch;
mod files;
mod listener;
mod logging;
mod output;
mod shutdown;
mod slot;
mod tunnel;

use clap::Parser;
use cli::Cli;
use environment::Environment;
use failure::Failure;
use std::process::ExitCode;
use std::time::Duration;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// What still runs on blocking threads when a command is done is at most a file being closed.
const SHUTDOWN_TIME_MAX: Duration = Duration::from_secs(1);

fn main() -> ExitCode {
    // The first statement: a TLS configuration that is built without an explicit provider takes this one.
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    if provider.install_default().is_err() {
        output::note("error: another TLS provider is installed already");
        return ExitCode::FAILURE;
    }
    // The allocator asks for huge pages, of which a server that holds many small things fills hardly any: an edge with 24 MB of
    // cache had 100 MB resident with them, and has 53 without. A kernel that knows no such setting changes nothing.
    let _ = nix::sys::prctl::set_thp_disable(true);
    allocator::give_back_soon();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are no errors; everything else is one of usage.
            let code = if error.use_stderr() { Failure::usage("").code() } else { ExitCode::SUCCESS };
            let _ = error.print();
            return code;
        }
    };
    match run(cli, &Environment::read()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            output::note(format_args!("error: {failure}"));
            failure.code()
        }
    }
}

fn run(cli: Cli, environment: &Environment) -> Result<(), Failure> {
    let command = cli.command.unwrap_or_default();
    logging::start(&cli.log, environment, command.log_level())?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let result = runtime.block_on(commands::run(command, environment));
    runtime.shutdown_timeout(SHUTDOWN_TIME_MAX);
    result
}
