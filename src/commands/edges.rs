//! `skerry edges`: who serves, how far each is, and how it is doing; and who shall serve no more.

mod expel;

use crate::client::{AskOptions, Client};
use crate::environment::Environment;
use crate::failure::Failure;
use crate::output::{self, plain};
use serde_json::{Value, json};
use skerry_proto::wire;

/// How to list, or what to do.
#[derive(Debug, clap::Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "\
Examples:
  skerry edges
  skerry edges expel edge-3

Figures are what each edge says of itself, since its program started."
)]
pub(crate) struct Options {
    /// List those, too, that were expelled
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    ask: AskOptions,
    #[command(subcommand)]
    command: Option<EdgesCommand>,
}

#[derive(Debug, clap::Subcommand)]
enum EdgesCommand {
    /// Shut an edge out for ever
    Expel(expel::Options),
}

/// Runs the command.
pub(crate) async fn run(options: Options, environment: &Environment) -> Result<(), Failure> {
    match &options.command {
        Some(EdgesCommand::Expel(options)) => expel::run(options, environment).await,
        None => list(&options, environment).await,
    }
}

async fn list(options: &Options, environment: &Environment) -> Result<(), Failure> {
    let client = Client::connect(&options.ask.origin, environment).await?;
    let request = wire::ListEdgesRequest { expelled: options.all };
    let listed = client.operating().list_edges(client.signed(request)).await;
    let listed = listed.map_err(|status| client.refused(&status))?.into_inner();
    if options.ask.json {
        let newest = (listed.epoch, listed.revision);
        return output::json(&json!({
            "epoch": listed.epoch,
            "revision": listed.revision,
            "edges": listed.edges.iter().map(|edge| as_json(edge, newest)).collect::<Vec<_>>(),
        }));
    }
    for edge in &listed.edges {
        let state = state(edge, (listed.epoch, listed.revision));
        let wire::Edge { edge_id, acked_revision, .. } = edge;
        let (name, version) = (plain(&edge.name), plain(&edge.version));
        output::line(format_args!(
            "{name:20}  {state:8}  revision {acked_revision:<8}  {version:10}  {edge_id}"
        ))?;
        if let Some(figures) = &edge.figures {
            output::line(format_args!("{:20}  {}", "", shown(figures)))?;
        }
    }
    let count = match listed.edges.len() {
        1 => "1 edge".to_owned(),
        count => format!("{count} edges"),
    };
    output::note(format_args!("{count}; newest revision {}", listed.revision));
    Ok(())
}

/// What became of an edge, or how far it is.
fn state(edge: &wire::Edge, newest: (u64, u64)) -> &'static str {
    match edge.connected {
        _ if edge.expelled => "expelled",
        false if edge.left => "stopped",
        false => "away",
        true if (edge.acked_epoch, edge.acked_revision) >= newest => "current",
        true => "behind",
    }
}

fn shown(figures: &wire::Figures) -> String {
    let hits =
        hit_ratio(figures).map_or("no hits yet".to_owned(), |ratio| format!("{:.1} % hits", ratio * 100.0));
    let mebibytes = |bytes: u64| bytes >> 20;
    let wire::Figures { requests, connections, uptime_seconds, .. } = figures;
    format!(
        "{requests} requests, {hits}, {connections} connections, {} MiB memory, {} MiB disk, up {}",
        mebibytes(figures.memory_bytes),
        mebibytes(figures.disk_bytes),
        uptime(*uptime_seconds),
    )
}

fn uptime(seconds: u64) -> String {
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    match (days, hours) {
        (0, 0) => format!("{minutes} min"),
        (0, _) => format!("{hours} h {minutes} min"),
        _ => format!("{days} d {hours} h"),
    }
}

/// Of the requests that needed stored bytes, those that no upstream was asked for.
fn hit_ratio(figures: &wire::Figures) -> Option<f64> {
    let needed = figures.hits.saturating_add(figures.misses);
    (needed > 0).then(|| figures.hits as f64 / needed as f64)
}

fn as_json(edge: &wire::Edge, newest: (u64, u64)) -> Value {
    let figures = edge.figures.as_ref().map(|figures| {
        json!({
            "requests": figures.requests,
            "hits": figures.hits,
            "misses": figures.misses,
            "hit_ratio": hit_ratio(figures),
            "connections": figures.connections,
            "memory_bytes": figures.memory_bytes,
            "disk_bytes": figures.disk_bytes,
            "uptime_seconds": figures.uptime_seconds,
            "age_milliseconds": edge.figures_age_milliseconds,
        })
    });
    json!({
        "edge_id": edge.edge_id,
        "name": edge.name,
        "state": state(edge, newest),
        "connected": edge.connected,
        "acked_epoch": edge.acked_epoch,
        "acked_revision": edge.acked_revision,
        "version": edge.version,
        "enrolled_at": edge.enrolled_at,
        "certificate_end": edge.certificate_end,
        "figures": figures,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_edge_is_one_of_five() {
        let edge = wire::Edge { acked_epoch: 1, acked_revision: 5, ..wire::Edge::default() };
        let connected = wire::Edge { connected: true, ..edge.clone() };
        assert_eq!(state(&edge, (1, 5)), "away");
        assert_eq!(state(&wire::Edge { left: true, ..edge.clone() }, (1, 5)), "stopped");
        assert_eq!(state(&wire::Edge { expelled: true, ..connected.clone() }, (1, 5)), "expelled");
        assert_eq!((state(&connected, (1, 5)), state(&connected, (1, 6))), ("current", "behind"));
        assert_eq!(state(&connected, (2, 1)), "behind", "a greater epoch is newer whatever its revision");
    }

    #[test]
    fn figures_are_one_line() {
        let figures = wire::Figures {
            requests: 10,
            hits: 3,
            misses: 1,
            connections: 2,
            memory_bytes: 90 << 20,
            disk_bytes: 1 << 30,
            uptime_seconds: 90_000,
        };
        assert_eq!(
            shown(&figures),
            "10 requests, 75.0 % hits, 2 connections, 90 MiB memory, 1024 MiB disk, up 1 d 1 h"
        );
        assert!(shown(&wire::Figures::default()).contains("no hits yet"));
        assert_eq!((uptime(59), uptime(3660)), ("0 min".into(), "1 h 1 min".into()));
    }
}
