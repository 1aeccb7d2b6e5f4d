//! `skerry dev`: an origin and edges in one process, for development.

use crate::client::DATA_DEFAULT;
use crate::config::{self, ConfigOptions};
use crate::dev;
use crate::environment::Environment;
use crate::failure::Failure;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

/// Edges in one process at most: each has a thread for each processor, and a cache.
const EDGES_MAX: u16 = 16;

/// Where, and how many.
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = "\
Examples:
  skerry dev
  skerry dev --edges 3 --data /tmp/three
  skerry dev --https 127.0.0.1:0 --api 127.0.0.1:0 --grpc 127.0.0.1:0 --admin 127.0.0.1:0 --json
  skerry dev --set origin.limits.served_size_max=1GiB --set edge.cache.memory_size=512MiB

Keys are those of `skerry origin` and `skerry edge` with origin. or edge. before them; --print-config shows all. 127.0.0.1 also
means ::1. Port 0 picks a free one; --admin with port 0 also lets --origin-admin pick one. Further edges take the next ports.")]
pub(crate) struct Options {
    /// Folder for everything; made where it is missing
    #[arg(long, value_name = "DIR", default_value = DATA_DEFAULT)]
    pub(crate) data: PathBuf,
    /// How many edges
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=i64::from(EDGES_MAX)))]
    pub(crate) edges: u16,
    /// HTTPS of the first edge, TCP and UDP
    #[arg(long, value_name = "ADDR", default_value_t = loopback(8443))]
    pub(crate) https: SocketAddr,
    /// REST API
    #[arg(long, value_name = "ADDR", default_value_t = loopback(8080))]
    pub(crate) api: SocketAddr,
    /// gRPC of the origin
    #[arg(long, value_name = "ADDR", default_value_t = loopback(8081))]
    pub(crate) grpc: SocketAddr,
    /// Metrics and probes of the first edge
    #[arg(long, value_name = "ADDR", default_value_t = loopback(9100))]
    pub(crate) admin: SocketAddr,
    /// Metrics and probes of the origin [default: 127.0.0.1:9090]
    #[arg(long, value_name = "ADDR")]
    pub(crate) origin_admin: Option<SocketAddr>,
    /// Print one line of JSON when everything answers, and nothing else
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) config: ConfigOptions,
}

const fn loopback(port: u16) -> SocketAddr {
    SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port)
}

impl Default for Options {
    fn default() -> Self {
        Self {
            data: DATA_DEFAULT.into(),
            edges: 1,
            https: loopback(8443),
            api: loopback(8080),
            grpc: loopback(8081),
            admin: loopback(9100),
            origin_admin: None,
            json: false,
            config: ConfigOptions::default(),
        }
    }
}

impl Options {
    /// Where the origin's metrics and probes are.
    pub(crate) fn origin_admin(&self) -> SocketAddr {
        // Whoever lets the ports of the edges be picked wants no fixed one.
        let port = if self.admin.port() == 0 { 0 } else { 9090 };
        self.origin_admin.unwrap_or(loopback(port))
    }
}

/// Runs the command.
pub(crate) async fn run(options: Options, environment: &Environment) -> Result<(), Failure> {
    let Some(settings) = config::load_dev(&options.config, environment)? else { return Ok(()) };
    if !options.api.ip().is_loopback() {
        return Err(Failure::usage(format!(
            "--api {}: the API has no TLS, so it is bound to loopback only, such as 127.0.0.1:{}",
            options.api,
            options.api.port()
        )));
    }
    dev::run(&options, settings).await
}
