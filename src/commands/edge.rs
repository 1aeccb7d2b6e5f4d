//! `skerry edge`: the role as a process of its own.

use crate::admin::{self, Admin};
use crate::admin_socket::AdminSocket;
use crate::certificate;
use crate::config::{self, ConfigOptions, EdgeSettings};
use crate::environment::Environment;
use crate::failure::Failure;
use crate::listener;
use crate::shutdown;
use crate::slot::EdgeSlot;
use skerry_edge::config::{EdgeConfig, OriginAddress};
use skerry_edge::listen::ListenError;
use skerry_edge::run::{Edge, EdgeError};
use skerry_folder::DataFolder;
use skerry_proto::join::JoinToken;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// How it is set up.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  skerry edge --config edge.toml
  skerry edge --set origin.url=https://origin.example.com:8081 --set origin.join_token_file=join-token
  skerry edge --print-config")]
pub(crate) struct Options {
    #[command(flatten)]
    config: ConfigOptions,
}

/// Runs the command.
pub(crate) async fn run(options: Options, environment: &Environment) -> Result<(), Failure> {
    let Some(settings) = config::load_edge(&options.config, environment)? else { return Ok(()) };
    let stop = shutdown::on_signal()?;
    let origin = OriginAddress { url: settings.origin_url.clone(), join_token: join_token(&settings)? };
    let admin_addresses = settings.admin_addresses.clone();
    let (data, faults) = (settings.data.clone(), settings.faults);
    // Before anything is written: an edge that cannot start leaves nothing behind.
    let listeners = listener::bind(&admin_addresses, "admin of the edge, admin.addresses").await?;
    let bound = tokio::task::spawn_blocking(move || bind(settings)).await;
    let edge = bound.map_err(|_| Failure::new("binding ended unexpectedly"))??;
    tracing::info!(https = %edge.address(), origin = origin.url, "edge listens on TCP and UDP");
    if let Some(fill) = edge.fill_address() {
        tracing::info!(%fill, "edge gives slices to other edges");
    }
    for listener in &listeners {
        tracing::info!(admin = %listener.address(), "admin listens");
    }
    let slot = EdgeSlot::starting();
    let pages_end = CancellationToken::new();
    let mut pages = JoinSet::new();
    pages.spawn(admin::serve(listeners, Admin::of_edge(edge.metrics(), &slot), pages_end.clone()));
    if let Some(socket) = AdminSocket::bind(&data, faults) {
        pages.spawn(socket.serve(slot.clone(), pages_end.clone()));
    }
    let result = serve(edge, origin, &slot, &stop).await;
    pages_end.cancel();
    while pages.join_next().await.is_some() {}
    result
}

/// Blocks.
fn bind(settings: EdgeSettings) -> Result<Edge, Failure> {
    let folder = DataFolder::take(&settings.data).map_err(|error| Failure::of(&error))?;
    let identity = Arc::new(certificate::of_edge(&settings, &folder, SystemTime::now())?);
    let config = EdgeConfig {
        name: settings.name,
        https_addresses: settings.https_addresses,
        identity,
        public_port: settings.public_port,
        fallback_domain: None,
        worker_count: settings.worker_count,
        cache: settings.cache,
        fills: settings.fills,
        tiers: settings.tiers,
        give: settings.give,
        ready: settings.ready,
        documents_size_max: settings.documents_size_max,
        limits: settings.limits,
        serve: settings.serve,
        secrets_on_disk: settings.secrets_on_disk,
        lease: settings.lease,
        drain_time_max: settings.drain_time_max,
    };
    Edge::bind(config, folder).map_err(|error| {
        let failure = Failure::of(&error);
        match error {
            EdgeError::Listen(ListenError::AddressInUse { .. } | ListenError::Bind { .. }) => {
                failure.hint("stop what listens there, or set other addresses with https.addresses")
            }
            EdgeError::Give(_) => {
                failure.hint("stop what listens there, or set other addresses with fill.addresses")
            }
            _ => failure,
        }
    })
}

async fn serve(
    edge: Edge,
    origin: OriginAddress,
    slot: &EdgeSlot,
    stop: &CancellationToken,
) -> Result<(), Failure> {
    let running = match edge.start(origin, stop.clone()).await {
        Ok(running) => running,
        // It was asked to stop before it had started: that is clean.
        Err(_) if stop.is_cancelled() => return Ok(()),
        Err(error) => return Err(Failure::of(&error)),
    };
    tracing::info!("edge serves what it holds");
    let ready = running.ready();
    slot.running(running);
    tokio::select! {
        () = ready => tracing::info!("edge is ready: it shows what the origin says"),
        () = stop.cancelled() => {}
    }
    stop.cancelled().await;
    if let Some(running) = slot.take() {
        running.stopped().await.map_err(|error| Failure::of(&error))?;
    }
    tracing::info!("edge stopped");
    Ok(())
}

/// The join token of the settings, if there is one. An edge that is enrolled already needs none, and its file may be gone.
fn join_token(settings: &EdgeSettings) -> Result<Option<JoinToken>, Failure> {
    if settings.join_token.is_some() {
        return Ok(settings.join_token.clone());
    }
    let Some(file) = &settings.join_token_file else { return Ok(None) };
    match std::fs::read_to_string(file) {
        Ok(text) => parse(&text, file).map(Some),
        Err(error) if is_enrolled(&settings.data) => {
            tracing::debug!(%error, file = %file.display(), "no join token is read: this edge is enrolled");
            Ok(None)
        }
        Err(error) => Err(Failure::usage(format!("origin.join_token_file = {}: {error}", file.display()))
            .hint("make a token with `skerry join-token`, and put it there")),
    }
}

fn parse(text: &str, file: &Path) -> Result<JoinToken, Failure> {
    text.parse()
        .map_err(|error| Failure::usage(format!("origin.join_token_file = {}: {error}", file.display())))
}

fn is_enrolled(data: &Path) -> bool {
    matches!(skerry_edge::control::Identity::load(data), Ok(Some(_)))
}
