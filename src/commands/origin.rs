//! `skerry origin`: the role as a process of its own; `skerry origin init`, which makes its first account; `recover` and `rotate-keys`.

mod recover;
mod rotate_keys;

use crate::admin::{self, Admin};
use crate::certificate;
use crate::config::{self, ConfigOptions, OriginSettings};
use crate::environment::Environment;
use crate::failure::Failure;
use crate::files;
use crate::listener;
use crate::output;
use crate::shutdown;
use serde_json::json;
use skerry_folder::Readers;
use skerry_origin::{NewAccount, Origin};
use skerry_proto::authority::pem;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// How long the join tokens of `init` are valid: a first edge may be set up tomorrow.
const JOIN_TOKEN_VALID: Duration = Duration::from_secs(86_400);

/// How it is set up, or what to do.
#[derive(Debug, clap::Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "\
Examples:
  skerry origin init --config origin.toml
  skerry origin --config origin.toml
  skerry origin rotate-keys --wait
  skerry origin --print-config"
)]
pub(crate) struct Options {
    #[command(flatten)]
    config: ConfigOptions,
    #[command(subcommand)]
    command: Option<OriginCommand>,
}

#[derive(Debug, clap::Subcommand)]
enum OriginCommand {
    /// Make the data folder and the first account, which is the operator's, and print it, once
    Init(InitOptions),
    /// Sign with a new key from now on, at the origin that runs, for the operator
    RotateKeys(rotate_keys::Options),
    /// Make a new auth token for an account that has lost all it could prove itself with, and print it, once
    Recover(recover::RecoverOptions),
}

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  skerry origin init --config origin.toml --join-token-file edge-1.token")]
struct InitOptions {
    #[command(flatten)]
    config: ConfigOptions,
    /// Write a join token, valid for 24 hours, to a file of mode 0600; may be given more than once
    #[arg(long, value_name = "FILE")]
    join_token_file: Vec<PathBuf>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

impl Options {
    /// Whether this is the server, not a command about it.
    pub(crate) const fn serves(&self) -> bool {
        self.command.is_none()
    }
}

/// Runs the command.
pub(crate) async fn run(options: Options, environment: &Environment) -> Result<(), Failure> {
    match options.command {
        Some(OriginCommand::Init(options)) => {
            let Some(settings) = config::load_origin(&options.config, environment)? else { return Ok(()) };
            init(settings, &options).await
        }
        Some(OriginCommand::RotateKeys(options)) => rotate_keys::run(&options, environment).await,
        Some(OriginCommand::Recover(options)) => recover::run(options, environment).await,
        None => {
            let Some(settings) = config::load_origin(&options.config, environment)? else { return Ok(()) };
            serve(settings).await
        }
    }
}

async fn serve(mut settings: OriginSettings) -> Result<(), Failure> {
    let stop = shutdown::on_signal()?;
    settings.role.api.certificate = certificate::of_api(&settings)?;
    let data = settings.role.data.clone();
    // Before anything is written: an origin that cannot start leaves nothing behind.
    let listeners = listener::bind(&settings.admin_addresses, "admin of the origin, admin.addresses").await?;
    let origin = Origin::open(settings.role).await.map_err(|error| Failure::of(&error))?;
    if origin.is_new().await.map_err(|error| Failure::of(&error))? {
        tracing::warn!(
            "there is no account yet; make the first one with `skerry origin init` while this is stopped"
        );
    }
    write_authority(&origin, &data).await?;
    let metrics = origin.metrics();
    let hint = "other addresses are set with grpc.addresses and api.addresses";
    let origin = origin.bind().await.map_err(|error| Failure::of(&error).hint(hint))?;
    tracing::info!(grpc = %origin.addresses().grpc, data = %data.display(), "origin listens");
    if let Some(api) = origin.addresses().api {
        tracing::info!(%api, "API listens");
    }
    for listener in &listeners {
        tracing::info!(admin = %listener.address(), "admin listens");
    }
    let stopping = stop.clone();
    let not_ready = move || if stopping.is_cancelled() { vec!["draining"] } else { Vec::new() };
    let pages_end = CancellationToken::new();
    let pages = tokio::spawn(admin::serve(
        listeners,
        Admin { metrics, not_ready: Box::new(not_ready), degraded: Box::new(Vec::new) },
        pages_end.clone(),
    ));
    tracing::info!("origin is ready");
    let served = origin.serve(stop.clone()).await;
    pages_end.cancel();
    let _ = pages.await;
    served.map_err(|error| Failure::of(&error))?;
    tracing::info!("origin stopped");
    Ok(())
}

async fn init(settings: OriginSettings, options: &InitOptions) -> Result<(), Failure> {
    let data = settings.role.data.clone();
    for file in &options.join_token_file {
        // Before the account is made: it is shown only once.
        let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        if !folder.is_dir() {
            return Err(Failure::usage(format!(
                "cannot write {}: {} is no folder",
                file.display(),
                folder.display()
            )));
        }
    }
    let origin = Origin::open(settings.role).await.map_err(|error| Failure::of(&error))?;
    let result = init_open(&origin, &data, options).await;
    origin.close().await;
    result
}

async fn init_open(origin: &Origin, data: &Path, options: &InitOptions) -> Result<(), Failure> {
    if !origin.is_new().await.map_err(|error| Failure::of(&error))? {
        let message = format!(
            "the origin in {} has its first account already; it was printed when it was made",
            data.display()
        );
        return Err(Failure::new(message).hint("make further ones with: skerry account create"));
    }
    write_authority(origin, data).await?;
    for file in &options.join_token_file {
        let token = origin.create_join_token(JOIN_TOKEN_VALID).await.map_err(|error| Failure::of(&error))?;
        files::write(file, format!("{}\n", token.to_text()).as_bytes(), Readers::Owner)?;
    }
    // The last step, so that whatever fails before it can be tried again.
    let account = origin.create_account("operator").await.map_err(|error| Failure::of(&error))?;
    print(&account, data, options)
}

fn print(account: &NewAccount, data: &Path, options: &InitOptions) -> Result<(), Failure> {
    let ca = data.join("ca.pem");
    let ca = std::path::absolute(&ca).unwrap_or(ca);
    if options.json {
        return output::json(&json!({
            "account_sid": account.account_sid,
            "auth_token": account.auth_token,
            "service_sid": account.service_sid,
            "environment_sid": account.environment_sid,
            "domain_name": account.domain,
            "ca_file": ca,
            "join_token_files": options.join_token_file,
        }));
    }
    output::line(format_args!("SKERRY_ACCOUNT_SID={}", account.account_sid))?;
    output::line(format_args!("SKERRY_AUTH_TOKEN={}", account.auth_token))?;
    output::line(format_args!("SKERRY_CA={}", ca.display()))?;
    output::note(format_args!(
        "The token is shown this once: keep it. The first environment is {}.",
        account.domain
    ));
    for file in &options.join_token_file {
        output::note(format_args!("A join token, for one edge within 24 hours, is in {}.", file.display()));
    }
    Ok(())
}

/// Publishers need the certificate of the authority, so it lies where it is easily found.
async fn write_authority(origin: &Origin, data: &Path) -> Result<(), Failure> {
    let (file, text) = (data.join("ca.pem"), pem("CERTIFICATE", origin.authority().certificate()));
    let written = tokio::task::spawn_blocking(move || match std::fs::read(&file) {
        Ok(there) if there == text.as_bytes() => Ok(()),
        _ => files::write(&file, text.as_bytes(), Readers::All),
    });
    written.await.map_err(|_| Failure::new("writing ca.pem ended unexpectedly"))?.map_err(Failure::from)
}
