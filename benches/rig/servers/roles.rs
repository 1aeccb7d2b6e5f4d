//! `skerry origin` and `skerry edge` as processes of their own.

use super::{Process, Server, Skerry, free_address, run, wait_until_ready};
use crate::client::Target;
use crate::tls::{client_config, make_identity};
use anyhow::Context;
use serde::Deserialize;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

/// An origin, and an edge that has enrolled with it.
#[derive(Debug)]
pub(crate) struct Roles {
    pub(crate) edge: Server,
    pub(crate) origin: Process,
    account: Account,
    grpc: SocketAddr,
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
    /// Starts both in `folder`; the edge has `memory_tier` bytes for slices in memory.
    pub(crate) async fn start(skerry: &Skerry, folder: &Path, memory_tier: u64) -> anyhow::Result<Self> {
        let grpc = free_address()?;
        let https = free_address()?;
        let token = folder.join("join-token");
        let (origin_admin, edge_admin) = (free_address()?, free_address()?);
        let origin_settings = [
            ("data", folder.join("origin").display().to_string()),
            ("grpc.addresses", grpc.to_string()),
            ("admin.addresses", origin_admin.to_string()),
            ("public_port", https.port().to_string()),
        ];
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
        let edge_settings = [
            ("data", folder.join("edge").display().to_string()),
            ("origin.url", format!("https://{grpc}")),
            ("origin.join_token_file", token.display().to_string()),
            ("https.addresses", https.to_string()),
            ("https.certificate", identity.certificate.display().to_string()),
            ("https.key", identity.key.display().to_string()),
            ("admin.addresses", edge_admin.to_string()),
            ("cache.memory_size", memory_tier.to_string()),
        ];
        let mut command = skerry.command();
        command.arg("edge");
        set(&mut command, &edge_settings, skerry.settings_of("edge"));
        let mut process = Process::spawn("skerry-edge", command, folder)?;
        wait_until_ready(&mut process, edge_admin).await?;
        let tls = client_config(&identity.certificate)?;
        let target = Target { address: https, host: account.domain_name.clone(), tls };
        let edge = Server { name: "skerry", process, target };
        Ok(Self { edge, origin, account, grpc })
    }

    /// `skerry put` that ends when the edge shows the file.
    pub(crate) fn put(&self, skerry: &Skerry, file: &Path, path: &str) -> Command {
        let account = &self.account;
        let mut command = skerry.command();
        command.env("SKERRY_GRPC", format!("https://{}", self.grpc)).env("SKERRY_CA", &account.ca_file);
        command.env("SKERRY_ACCOUNT_SID", &account.account_sid);
        command.env("SKERRY_AUTH_TOKEN", &account.auth_token);
        command.arg("put").arg(file).args(["--path", path, "--wait", "--json"]);
        command
    }

    /// Stops both, the edge first.
    pub(crate) async fn stop(self) -> anyhow::Result<()> {
        self.edge.process.stop().await?;
        self.origin.stop().await?;
        Ok(())
    }
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
