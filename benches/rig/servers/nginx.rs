//! nginx for HTTP/1.1 and HTTP/2, configured as well as it can be for this load.

use super::{Process, Server, free_address, wait_until_listening};
use crate::client::Target;
use crate::tls::{Identity, client_config};
use std::path::Path;
use std::process::Command;

/// Starts nginx on the files in `files`.
pub(crate) async fn start(
    program: &Path,
    folder: &Path,
    files: &Path,
    identity: &Identity,
) -> anyhow::Result<Server> {
    let address = free_address()?;
    let config = folder.join("nginx.conf");
    std::fs::write(&config, configuration(folder, files, identity, &address.to_string()))?;
    let mut command = Command::new(program);
    command.arg("-p").arg(folder).arg("-c").arg(&config).arg("-e").arg("stderr");
    let mut process = Process::spawn("nginx", command, folder)?;
    wait_until_listening(&mut process, address).await?;
    let target = Target { address, host: "localhost".into(), tls: client_config(&identity.certificate)? };
    Ok(Server { name: "nginx", process, target })
}

/// Two workers, as many as our edge has on this machine. Files stay open, and in the page cache. sendfile does nothing under TLS;
/// larger output buffers make up for it. HTTP/2 chunks fill the frames that the client takes.
fn configuration(folder: &Path, files: &Path, identity: &Identity, address: &str) -> String {
    let folder = folder.display();
    format!(
        r#"
daemon off;
# Without an effect, but for a warning, unless started as root; the temporary folder is closed to others.
user root;
worker_processes 2;
worker_rlimit_nofile 65536;
pid {folder}/nginx.pid;
error_log stderr warn;
events {{ worker_connections 16384; }}
http {{
    access_log off;
    default_type application/octet-stream;
    sendfile on;
    tcp_nopush on;
    tcp_nodelay on;
    output_buffers 2 128k;
    keepalive_timeout 3600s;
    keepalive_requests 1000000000;
    keepalive_time 24h;
    reset_timedout_connection on;
    open_file_cache max=1000 inactive=1h;
    open_file_cache_valid 1h;
    open_file_cache_min_uses 1;
    client_body_temp_path {folder}/nginx-body;
    proxy_temp_path {folder}/nginx-proxy;
    fastcgi_temp_path {folder}/nginx-fastcgi;
    uwsgi_temp_path {folder}/nginx-uwsgi;
    scgi_temp_path {folder}/nginx-scgi;
    http2_chunk_size 16k;
    http2_max_concurrent_streams 256;
    server {{
        listen {address} ssl http2 reuseport backlog=4096;
        server_name localhost;
        root {files};
        ssl_certificate {certificate};
        ssl_certificate_key {key};
        ssl_protocols TLSv1.3;
        ssl_conf_command Ciphersuites TLS_AES_128_GCM_SHA256;
        ssl_ecdh_curve X25519;
        ssl_session_cache shared:tls:10m;
    }}
}}
"#,
        files = files.display(),
        certificate = identity.certificate.display(),
        key = identity.key.display(),
    )
}
