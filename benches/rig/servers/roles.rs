//! `skerry origin` and `skerry edge` as processes of their own.

use super::{Process, Server, Skerry, free_address, run, wait_until_ready};
use crate::client::Target;
use crate::tls::{client_config, make_identity};
use anyhow::Context;
use serde::Deserialize;
use skerry_proto::join::JoinToken;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};
use tokio::net::TcpStream;

/// Time for what waits to be on disk; a guard, not a mark.
const WRITE_TIME_MAX: Duration = Duration::from_secs(120);

/// Time for a restarted edge to listen; a guard, not a mark.
const LISTEN_TIME_MAX: Duration = Duration::from_secs(60);

/// An origin, and an edge that has enrolled with it.
#[derive(Debug)]
pub(crate) struct Roles {
    pub(crate) edge: Server,
    pub(crate) origin: Process,
    account: Account,
    grpc: SocketAddr,
    edge_admin: SocketAddr,
    edge_settings: Vec<(&'static str, String)>,
}

/// What is set beside where things are.
#[derive(Debug, Default)]
pub(crate) struct RoleSettings {
    /// Bytes of slices in the edge's memory.
    pub(crate) memory_tier: u64,
    pub(crate) edge: Vec<(&'static str, String)>,
    pub(crate) origin: Vec<(&'static str, String)>,
}

/// What `skerry origin init --json` prints; what the rig needs of it.
#[derive(Debug, Deserialize)]
struct Account {
    account_sid: String,
    auth_token: String,
    domain_name: String,
    ca_file: PathBuf,
}

impl Roles {
    /// Starts both in `folder`.
    pub(crate) async fn start(
        skerry: &Skerry,
        folder: &Path,
        settings: RoleSettings,
    ) -> anyhow::Result<Self> {
        let grpc = free_address()?;
        let https = free_address()?;
        let token = folder.join("join-token");
        let (origin_admin, edge_admin) = (free_address()?, free_address()?);
        let mut origin_settings = vec![
            ("data", folder.join("origin").display().to_string()),
            ("grpc.addresses", grpc.to_string()),
            ("api.addresses", String::new()),
            ("admin.addresses", origin_admin.to_string()),
            ("public_port", https.port().to_string()),
        ];
        origin_settings.extend(settings.origin);
        let mut init = skerry.command();
        init.args(["origin", "init", "--json", "--join-token-file"]).arg(&token);
        set(&mut init, &origin_settings, skerry.settings_of("origin"));
        let account = run(init)?;
        let account: Account = serde_json::from_str(&account).context("`skerry origin init` prints JSON")?;

        let mut command = skerry.command();
        command.arg("origin");
        set(&mut command, &origin_settings, skerry.settings_of("origin"));
        let mut origin = Process::spawn("skerry-origin", command, folder)?;
        wait_until_ready(&mut origin, origin_admin).await?;

        let identity = make_identity(folder, "edge", &[&account.domain_name])?;
        let mut edge_settings = vec![
            ("data", folder.join("edge").display().to_string()),
            ("origin.url", format!("https://{grpc}")),
            ("origin.join_token_file", token.display().to_string()),
            ("https.addresses", https.to_string()),
            ("https.certificate", identity.certificate.display().to_string()),
            ("https.key", identity.key.display().to_string()),
            ("admin.addresses", edge_admin.to_string()),
            ("cache.memory_size", settings.memory_tier.to_string()),
        ];
        edge_settings.extend(settings.edge);
        let mut process = spawn_edge(skerry, folder, &edge_settings)?;
        wait_until_ready(&mut process, edge_admin).await?;
        let tls = client_config(&identity.certificate)?;
        let target = Target { address: https, host: account.domain_name.clone(), tls };
        let edge = Server { name: "skerry", process, target };
        Ok(Self { edge, origin, account, grpc, edge_admin, edge_settings })
    }

    /// Stops the edge, and starts it again; when that was. It may not listen yet.
    pub(crate) async fn restart_edge(&mut self, skerry: &Skerry, folder: &Path) -> anyhow::Result<Instant> {
        let pid = self.edge.process.pid();
        self.edge.process.stop_in_place().await.with_context(|| format!("edge {pid}"))?;
        let began = Instant::now();
        self.edge.process = spawn_edge(skerry, folder, &self.edge_settings)?;
        Ok(began)
    }

    /// Waits until nothing waits for the edge's disk.
    pub(crate) async fn until_written(&self) -> anyhow::Result<()> {
        let began = Instant::now();
        loop {
            if self.figure("skerry_edge_cache_write_pending_bytes{").await? == 0.0 {
                return Ok(());
            }
            anyhow::ensure!(began.elapsed() < WRITE_TIME_MAX, "the disk does not keep up");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// A figure of the edge: the first whose series begins so.
    pub(crate) async fn figure(&self, series: &str) -> anyhow::Result<f64> {
        let figures = super::get(self.edge_admin, "/metrics").await?;
        let line = figures.lines().find(|line| line.starts_with(series));
        let value = line.and_then(|line| line.rsplit(' ').next()?.parse().ok());
        value.with_context(|| format!("the edge says nothing of {series}"))
    }

    /// Account whose assets are shown.
    pub(crate) fn account_sid(&self) -> &str {
        &self.account.account_sid
    }

    /// The origin's gRPC listener.
    pub(crate) fn grpc_url(&self) -> String {
        format!("https://{}", self.grpc)
    }

    /// Another join token.
    pub(crate) fn join_token(&self, skerry: &Skerry) -> anyhow::Result<JoinToken> {
        let mut command = self.client(skerry);
        command.arg("join-token");
        Ok(run(command)?.trim().parse()?)
    }

    /// `skerry put` that ends when the edge shows the file.
    pub(crate) fn put(&self, skerry: &Skerry, file: &Path, path: &str) -> Command {
        let mut command = self.client(skerry);
        command.arg("put").arg(file).args(["--path", path, "--wait", "--json"]);
        command
    }

    /// A command that knows this origin.
    fn client(&self, skerry: &Skerry) -> Command {
        let account = &self.account;
        let mut command = skerry.command();
        command.env("SKERRY_GRPC", self.grpc_url()).env("SKERRY_CA", &account.ca_file);
        command.env("SKERRY_ACCOUNT_SID", &account.account_sid);
        command.env("SKERRY_AUTH_TOKEN", &account.auth_token);
        command
    }

    /// Waits until a restarted edge listens. Without its origin it is not ready before it has tried to reach it.
    pub(crate) async fn until_edge_listens(&mut self) -> anyhow::Result<()> {
        let began = Instant::now();
        while TcpStream::connect(self.edge.target.address).await.is_err() {
            self.edge.process.check_running()?;
            anyhow::ensure!(began.elapsed() < LISTEN_TIME_MAX, "the edge does not come back");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }

    /// Stops the origin alone.
    pub(crate) async fn stop_origin(&mut self) -> anyhow::Result<()> {
        self.origin.stop_in_place().await.map(drop)
    }

    /// Stops the edge, where the origin has ended before.
    pub(crate) async fn stop_edge(self) -> anyhow::Result<()> {
        self.edge.process.stop().await.map(drop)
    }

    /// Stops both, the edge first.
    pub(crate) async fn stop(self) -> anyhow::Result<()> {
        self.edge.process.stop().await?;
        self.origin.stop().await?;
        Ok(())
    }
}

fn spawn_edge(
    skerry: &Skerry,
    folder: &Path,
    settings: &[(&'static str, String)],
) -> anyhow::Result<Process> {
    let mut command = skerry.command();
    command.arg("edge");
    set(&mut command, settings, skerry.settings_of("edge"));
    Process::spawn("skerry-edge", command, folder)
}

/// Settings of the command line come last, and so win.
fn set<'a>(command: &mut Command, settings: &[(&str, String)], more: impl Iterator<Item = &'a str>) {
    for (key, value) in settings {
        command.arg("--set").arg(format!("{key}={value}"));
    }
    for setting in more {
        command.args(["--set", setting]);
    }
}
