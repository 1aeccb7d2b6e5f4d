//! What was live when, which edges show it, and what is to be live next.

use super::Console;
use super::assets::Place;
use super::body::Said;
use super::publish::show;
use crate::api::{Call, Refusal};
use crate::edges::{Figures, Receipt, Showing};
use crate::publish::{Target, Wanted};
use axum::Json;
use axum::body::Body;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::StreamExt;
use serde::Deserialize;
use serde_json::{Value, json};
use skerry_proto::pointer::Version;
use std::convert::Infallible;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

/// How long the page waits for edges at most.
const WAIT_TIME_MAX: Duration = Duration::from_secs(30);

/// Receipts between an edge and the socket of the page.
const RECEIPTS_AHEAD: usize = 16;

/// Deployments that are listed.
const DEPLOYMENTS_MAX: u32 = 100;

/// A build for an environment.
#[derive(Deserialize)]
pub(super) struct Deploy {
    #[serde(flatten)]
    place: Place,
    /// Empty: the one that was live before.
    #[serde(default)]
    build: String,
}

/// Deploys a build, or goes back to the one before.
pub(super) async fn deploy(
    State(console): State<Console>,
    call: Call,
    Said(said): Said<Deploy>,
) -> Result<Json<Value>, Refusal> {
    let wanted = if said.build.is_empty() { Wanted::Previous } else { Wanted::Build(said.build) };
    let target: Target = said.place.into();
    let deployed = console.api.publisher.deploy(&call.actor, &target, wanted).await?;
    Ok(Json(show(&console, deployed)))
}

/// The deployments of an environment, newest first, and what is known of the edges for each.
pub(super) async fn list(
    State(console): State<Console>,
    call: Call,
    Query(place): Query<Place>,
) -> Result<Json<Value>, Refusal> {
    let place = console.api.publisher.place(call.account(), &place.into()).await?;
    let sid = place.environment.sid.as_str();
    let rows = console.api.catalogue.deployed_revisions(sid, DEPLOYMENTS_MAX).await?;
    let mut deployments = Vec::with_capacity(rows.len());
    for row in rows {
        let receipts = console.api.receipts.now(row.version).await;
        deployments.push(json!({
            "sid": row.sid,
            "build_sid": row.build,
            "created_at": row.created_at,
            "epoch": row.version.epoch,
            "revision": row.version.revision,
            "edges": receipts.iter().map(receipt).collect::<Vec<_>>(),
        }));
    }
    Ok(Json(json!({ "deployments": deployments })))
}

/// A revision that edges were told.
#[derive(Deserialize)]
pub(super) struct Told {
    epoch: u64,
    revision: u64,
}

/// A line of JSON for each edge, as it shows the revision; the answer ends when all do, or the time is over.
pub(super) async fn live(
    State(console): State<Console>,
    _call: Call,
    Query(told): Query<Told>,
) -> Result<Response, Refusal> {
    let version = Version { epoch: told.epoch, revision: told.revision };
    if version > console.api.catalogue.version() {
        return Err(Refusal::new(StatusCode::NOT_FOUND, "there is no such revision yet"));
    }
    let (tx, rx) = mpsc::channel(RECEIPTS_AHEAD);
    let receipts = console.api.receipts.clone();
    console.api.tasks.spawn(async move { receipts.wait(version, WAIT_TIME_MAX, tx, |told| told).await });
    let lines =
        ReceiverStream::new(rx).map(|told| Ok::<_, Infallible>(Bytes::from(format!("{}\n", receipt(&told)))));
    Ok(([(CONTENT_TYPE, "application/x-ndjson")], Body::from_stream(lines)).into_response())
}

/// The edges of the cluster, for an operator.
pub(super) async fn edges(State(console): State<Console>, call: Call) -> Result<Json<Value>, Refusal> {
    if !call.is_operator {
        return Err(Refusal::new(StatusCode::FORBIDDEN, "only an operator account sees the edges"));
    }
    let newest = console.api.catalogue.version();
    let states = console.edges.states();
    let now = Instant::now();
    let edges = states.into_iter().filter(|edge| !edge.is_expelled).map(|edge| {
        json!({
            "edge_id": edge.id,
            "name": edge.name,
            "is_connected": edge.is_connected,
            "epoch": edge.acked.epoch,
            "revision": edge.acked.revision,
            "is_current": edge.acked >= newest,
            "program": edge.program,
            "enrolled_at": edge.enrolled_at,
            "counts": edge.counts,
            "certificate_end": edge.certificate_end,
            "figures": edge.figures.map(|(figures, said)| shown(&figures, now.saturating_duration_since(said))),
        })
    });
    let edges: Vec<Value> = edges.collect();
    Ok(Json(json!({ "edges": edges, "epoch": newest.epoch, "revision": newest.revision })))
}

/// Figures of an edge, and how old they are.
fn shown(figures: &Figures, age: Duration) -> Value {
    json!({
        "requests": figures.requests,
        "hits": figures.hits,
        "misses": figures.misses,
        "hit_ratio": figures.hit_ratio(),
        "connections": figures.connections,
        "memory_bytes": figures.memory_bytes,
        "disk_bytes": figures.disk_bytes,
        "uptime_seconds": figures.uptime_seconds,
        "age_seconds": age.as_secs(),
    })
}

fn receipt(receipt: &Receipt) -> Value {
    json!({
        "edge_id": receipt.edge_id,
        "name": receipt.name,
        "is_live": receipt.showing == Showing::Live,
        "state": receipt.showing.as_str(),
        "milliseconds": receipt.after.map(|after| u64::try_from(after.as_millis()).unwrap_or(u64::MAX)),
        "live_count": receipt.live_count,
        "edge_count": receipt.edge_count,
    })
}
