//! Caddy for HTTP/3, the server in Debian that has it.

use super::{Process, Server, free_address, wait_until_listening};
use crate::client::Target;
use crate::tls::{Identity, client_config};
use std::path::Path;
use std::process::Command;

/// Starts Caddy on the files in `files`.
pub(crate) async fn start(
    program: &Path,
    folder: &Path,
    files: &Path,
    identity: &Identity,
) -> anyhow::Result<Server> {
    let address = free_address()?;
    let config = folder.join("Caddyfile");
    std::fs::write(&config, configuration(folder, files, identity, address.port()))?;
    let mut command = Command::new(program);
    command.arg("run").arg("--config").arg(&config).args(["--adapter", "caddyfile"]);
    command.env("HOME", folder).env("XDG_DATA_HOME", folder).env("XDG_CONFIG_HOME", folder);
    let mut process = Process::spawn("caddy", command, folder)?;
    wait_until_listening(&mut process, address).await?;
    let target = Target { address, host: "localhost".into(), tls: client_config(&identity.certificate)? };
    Ok(Server { name: "caddy", process, target })
}

/// No access log, no admin endpoint, no certificates of its own.
fn configuration(folder: &Path, files: &Path, identity: &Identity, port: u16) -> String {
    format!(
        r"
{{
    admin off
    auto_https off
    skip_install_trust
    default_sni localhost
    storage file_system {folder}/caddy-data
    log {{
        level ERROR
    }}
    servers {{
        protocols h1 h2 h3
    }}
}}
https://localhost:{port} {{
    bind 127.0.0.1
    tls {certificate} {key}
    root * {files}
    file_server
}}
",
        folder = folder.display(),
        files = files.display(),
        certificate = identity.certificate.display(),
        key = identity.key.display(),
    )
}
