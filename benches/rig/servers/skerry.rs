//! Skerry itself: `skerry dev` in one process, and its other commands.

use super::{Process, Server};
use crate::client::Target;
use crate::options::Common;
use crate::tls::client_config;
use anyhow::Context;
use serde::Deserialize;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// Time for `skerry dev` to be ready; far above the mark, so that a slow start is measured rather than an error.
const READY_TIME_MAX: Duration = Duration::from_secs(60);

/// The program that is measured.
#[derive(Debug, Clone)]
pub(crate) struct Skerry {
    program: PathBuf,
    set: Vec<String>,
}

/// The line that `skerry dev --json` prints when everything answers; what the rig needs of it.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct DevLine {
    pub(crate) api: String,
    grpc: String,
    pub(crate) account_sid: String,
    pub(crate) auth_token: String,
    pub(crate) service_sid: String,
    pub(crate) environment_sid: String,
    domain_name: String,
    ca_file: PathBuf,
    edges: Vec<EdgeLine>,
}

#[derive(Debug, Clone, Deserialize)]
struct EdgeLine {
    https: String,
}

impl Skerry {
    /// The program that the options name.
    pub(crate) fn of(common: &Common) -> anyhow::Result<Self> {
        anyhow::ensure!(
            common.skerry.is_file(),
            "{} does not exist; build it with `cargo build --release`, or name another with --skerry",
            common.skerry.display()
        );
        Ok(Self { program: common.skerry.clone(), set: common.set.clone() })
    }

    /// A command without the environment's idea of settings and credentials.
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        for (key, _) in std::env::vars_os() {
            if key.to_str().is_some_and(|key| key.starts_with("SKERRY_")) {
                command.env_remove(key);
            }
        }
        command
    }

    /// Starts `skerry dev` on the data folder `data`, which need not exist. Settings of the command line come after `settings`, and
    /// so before them.
    pub(crate) async fn dev(&self, data: &Path, folder: &Path, settings: &[&str]) -> anyhow::Result<Dev> {
        let mut command = self.command();
        command.arg("dev").arg("--json").arg("--data").arg(data);
        for listener in ["--https", "--grpc", "--api", "--admin"] {
            command.args([listener, "127.0.0.1:0"]);
        }
        for setting in settings.iter().copied().chain(self.set.iter().map(String::as_str)) {
            command.args(["--set", setting]);
        }
        let spawned = Instant::now();
        let (mut process, line) = Process::spawn_with_line("skerry-dev", command, folder)?;
        let (ready, line) = line.wait(&mut process, READY_TIME_MAX).await?;
        let line = serde_json::from_str(&line).with_context(|| format!("not the promised line: {line}"))?;
        Ok(Dev { process, line, ready_after: ready - spawned })
    }

    /// Settings of the command line for a role by itself: those of `skerry dev` under `origin.` or `edge.`, without that.
    pub(crate) fn settings_of<'a>(&'a self, role: &'a str) -> impl Iterator<Item = &'a str> {
        self.set.iter().filter_map(move |setting| setting.strip_prefix(role)?.strip_prefix('.'))
    }

    /// `skerry put` that ends when every edge shows the file.
    pub(crate) fn put(&self, line: &DevLine, file: &Path, path: &str) -> Command {
        let mut command = self.put_without_wait(line, file, path);
        command.arg("--wait");
        command
    }

    /// `skerry put`, which ends when the origin has acknowledged.
    pub(crate) fn put_without_wait(&self, line: &DevLine, file: &Path, path: &str) -> Command {
        let mut command = self.command();
        command.env("SKERRY_API", &line.api).env("SKERRY_GRPC", &line.grpc).env("SKERRY_CA", &line.ca_file);
        command.env("SKERRY_ACCOUNT_SID", &line.account_sid).env("SKERRY_AUTH_TOKEN", &line.auth_token);
        command.arg("put").arg(file).args(["--path", path, "--json"]);
        command
    }
}

/// A running `skerry dev`.
#[derive(Debug)]
pub(crate) struct Dev {
    pub(crate) process: Process,
    pub(crate) line: DevLine,
    /// From spawning to the line.
    pub(crate) ready_after: Duration,
}

impl Dev {
    /// How to ask its edge.
    pub(crate) fn into_server(self) -> anyhow::Result<Server> {
        let target = self.line.target()?;
        Ok(Server { name: "skerry", process: self.process, target })
    }
}

impl DevLine {
    /// How to ask the first edge.
    pub(crate) fn target(&self) -> anyhow::Result<Target> {
        let edge = self.edges.first().context("the line names no edge")?;
        let address: SocketAddr = edge
            .https
            .strip_prefix("https://")
            .and_then(|address| address.parse().ok())
            .with_context(|| format!("{} is no https://ADDRESS:PORT", edge.https))?;
        Ok(Target { address, host: self.domain_name.clone(), tls: client_config(&self.ca_file)? })
    }
}

/// Runs a command to its end; what it said goes into the error, but not its environment, which holds credentials.
pub(crate) fn run(mut command: Command) -> anyhow::Result<String> {
    let output = command.output().with_context(|| format!("cannot start {:?}", command.get_program()))?;
    anyhow::ensure!(
        output.status.success(),
        "{:?} {:?} ended with {}:\n{}",
        command.get_program(),
        command.get_args().collect::<Vec<_>>(),
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
