//! A bound development server, from its first accept to its end.
//!
//! Edges stop before the origin, so that each can say goodbye; the pages for probes stop last, so that they can tell.

use super::announce::{self, Announced};
use super::bind::{Bound, BoundEdge};
use super::demo;
use super::folder::DevFolder;
use crate::admin::{self, Admin};
use crate::client::{Credentials, Place, Running, RunningEdge};
use crate::commands::dev::Options;
use crate::failure::Failure;
use crate::slot::EdgeSlot;
use skerry_edge::config::OriginAddress;
use skerry_edge::run::{Edge, EdgeError};
use skerry_origin::OriginError;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;

/// What runs, and how each part is stopped.
struct Server {
    origin: JoinHandle<Result<(), OriginError>>,
    origin_stop: CancellationToken,
    edges: Vec<EdgeSlot>,
    edges_stop: CancellationToken,
    starting: JoinSet<Result<(), EdgeError>>,
    pages: JoinSet<()>,
    pages_stop: CancellationToken,
}

/// Serves until `stop` is cancelled or a role fails.
pub(super) async fn serve(
    bound: Bound,
    folder: &DevFolder,
    options: &Options,
    stop: &CancellationToken,
) -> Result<(), Failure> {
    let running = addresses(&bound);
    let place = place(&running, bound.credentials.clone(), bound.ca_pem.clone());
    let credentials = bound.credentials.clone();
    // In the fragment, which browsers send nowhere.
    let console = format!("{}/#link={}", running.api, bound.console_link);
    let announced = Announced { running: &running, credentials: &credentials, console: &console };
    let mut server = Server::start(bound, &running);
    let ended = tokio::select! {
        ended = live(&mut server, place, folder, &announced, options) => ended,
        () = stop.cancelled() => Ok(()),
    };
    let stopped = server.stop().await;
    ended.and(stopped)
}

/// From the first accept on; returns only when something fails.
async fn live(
    server: &mut Server,
    place: Place,
    folder: &DevFolder,
    announced: &Announced<'_>,
    options: &Options,
) -> Result<(), Failure> {
    server.ready().await?;
    // From here on client commands find this process; not earlier, so that they never find one that does not answer.
    folder.running(announced.running)?;
    if folder.demo_is_pending() {
        demo::publish(place).await?;
        folder.demo_is_done()?;
    }
    if options.json {
        let ca = std::path::absolute(folder.ca_file()).unwrap_or_else(|_| folder.ca_file());
        announce::for_scripts(announced, &ca)?;
    } else {
        announce::for_people(announced, folder.path())?;
    }
    server.origin_failed().await
}

impl Server {
    fn start(bound: Bound, running: &Running) -> Self {
        let origin_stop = CancellationToken::new();
        let edges_stop = CancellationToken::new();
        let pages_stop = CancellationToken::new();
        let mut pages = JoinSet::new();
        let draining = edges_stop.clone();
        let page = Admin {
            metrics: bound.origin_metrics,
            not_ready: Box::new(move || if draining.is_cancelled() { vec!["draining"] } else { Vec::new() }),
            degraded: Box::new(Vec::new),
        };
        pages.spawn(admin::serve(bound.origin_admin, page, pages_stop.clone()));
        let origin = tokio::spawn(bound.origin.serve(origin_stop.clone()));
        let mut starting = JoinSet::new();
        let mut edges = Vec::new();
        for BoundEdge { edge, admin, admin_socket, join_token } in bound.edges {
            let slot = EdgeSlot::starting();
            pages.spawn(admin::serve(admin, Admin::of_edge(edge.metrics(), &slot), pages_stop.clone()));
            if let Some(socket) = admin_socket {
                pages.spawn(socket.serve(slot.clone(), pages_stop.clone()));
            }
            let address = OriginAddress { url: running.grpc.clone(), join_token };
            starting.spawn(start_edge(edge, address, slot.clone(), edges_stop.clone()));
            edges.push(slot);
        }
        Self { origin, origin_stop, edges, edges_stop, starting, pages, pages_stop }
    }

    /// Waits until every edge shows what the origin says.
    async fn ready(&mut self) -> Result<(), Failure> {
        loop {
            let started = tokio::select! {
                started = self.starting.join_next() => started,
                failed = ended(&mut self.origin) => return failed,
            };
            match started {
                None => return Ok(()),
                Some(Ok(Ok(()))) => {}
                Some(Ok(Err(error))) => return Err(Failure::of(&error)),
                Some(Err(_)) => return Err(Failure::new("an edge ended unexpectedly while it started")),
            }
        }
    }

    /// Never returns while the origin serves.
    async fn origin_failed(&mut self) -> Result<(), Failure> {
        ended(&mut self.origin).await
    }

    async fn stop(mut self) -> Result<(), Failure> {
        let mut result = Ok(());
        self.edges_stop.cancel();
        while self.starting.join_next().await.is_some() {}
        for slot in &self.edges {
            if let Some(edge) = slot.take()
                && let Err(error) = edge.stopped().await
            {
                result = Err(Failure::of(&error));
            }
        }
        self.origin_stop.cancel();
        if !self.origin.is_finished() {
            result = result.and(ended(&mut self.origin).await);
        }
        self.pages_stop.cancel();
        while self.pages.join_next().await.is_some() {}
        result
    }
}

async fn start_edge(
    edge: Edge,
    origin: OriginAddress,
    slot: EdgeSlot,
    stop: CancellationToken,
) -> Result<(), EdgeError> {
    let running = edge.start(origin, stop.clone()).await?;
    tokio::select! {
        () = running.ready() => {}
        () = stop.cancelled() => {}
    }
    slot.running(running);
    Ok(())
}

async fn ended(origin: &mut JoinHandle<Result<(), OriginError>>) -> Result<(), Failure> {
    match origin.await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(Failure::of(&error)),
        Err(_) => Err(Failure::new("the origin ended unexpectedly")),
    }
}

fn addresses(bound: &Bound) -> Running {
    let page = |listeners: &[crate::listener::HttpListener]| {
        listeners
            .first()
            .map(|listener| format!("http://{}", reachable(listener.address())))
            .unwrap_or_default()
    };
    let edges = bound.edges.iter().map(|edge| RunningEdge {
        https: format!("https://{}", reachable(edge.edge.address())),
        admin: page(&edge.admin),
    });
    Running {
        pid: std::process::id(),
        // A development server always has an API.
        api: bound.origin.addresses().api.map(|api| format!("http://{}", reachable(api))).unwrap_or_default(),
        grpc: format!("https://{}", reachable(bound.origin.addresses().grpc)),
        origin_admin: page(&bound.origin_admin),
        edges: edges.collect(),
    }
}

/// An address to connect to: who listens on all addresses is reached on loopback.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

fn place(running: &Running, credentials: Credentials, ca_pem: String) -> Place {
    Place {
        grpc: running.grpc.clone(),
        ca_pem,
        credentials_from: "this server".into(),
        service: credentials.service_sid.clone(),
        environment: credentials.environment_sid.clone(),
        credentials,
        dev_site: None,
    }
}
