//! `…/Deployments/{ZD}/Receipts`: what each edge shows of a deployment. Twilio has no such resource.

use super::Api;
use super::call::Call;
use super::deployments::InDeployment;
use super::describe::{Operation, Takes};
use super::of::Of;
use super::refusal::Refusal;
use super::routes::Routes;
use crate::edges::{Receipt, Showing};
use axum::Json;
use axum::extract::{FromRequestParts, State};
use axum::http::request::Parts;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;
use std::time::Duration;

/// How long an answer waits for edges at most.
const WAIT_SECONDS_MAX: u64 = 60;

pub(super) fn routes() -> Routes {
    let receipts = "/Services/{service}/Environments/{environment}/Deployments/{deployment}/Receipts";
    Routes::new().get(
        receipts,
        fetch,
        "What each edge shows of a deployment, now or as soon as none may serve older",
    )
}

/// What the edges show of a deployment.
#[derive(Serialize, JsonSchema)]
struct Receipts {
    deployment_sid: String,
    epoch: u64,
    revision: u64,
    /// Whether no edge may serve anything older.
    is_complete: bool,
    /// Edges that show it, or something newer.
    live_count: usize,
    /// Every edge that is enrolled, was not expelled, and did not say goodbye.
    edge_count: usize,
    edges: Vec<OfEdge>,
    url: String,
}

/// What one edge shows.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "EdgeReceipt")]
struct OfEdge {
    edge_id: String,
    name: String,
    /// `live`: it shows the deployment, or a newer one. `refusing`: it lost the origin, and its environment's rule has it refuse.
    /// `may_serve_older`: everything else.
    state: &'static str,
    /// From the deployment until it was so; `null` where the origin does not remember.
    milliseconds: Option<u64>,
}

/// How long to wait.
struct Wait(Duration);

impl Takes for Wait {
    fn describe(operation: &mut Operation) {
        let seconds = json!({ "type": "integer", "minimum": 0, "maximum": WAIT_SECONDS_MAX, "default": 0 });
        let doc = "Seconds to wait at most for edges that may serve older";
        operation.query("Wait", doc, &seconds);
    }
}

impl<S: Sync> FromRequestParts<S> for Wait {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refusal> {
        let query = parts.uri.query().unwrap_or_default();
        let given = form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "Wait");
        let Some((_, value)) = given else { return Ok(Self(Duration::ZERO)) };
        let seconds = value.parse().ok().filter(|seconds| *seconds <= WAIT_SECONDS_MAX);
        let seconds =
            seconds.ok_or_else(|| Refusal::parameter("Wait", "a whole number of seconds, at most 60"))?;
        Ok(Self(Duration::from_secs(seconds)))
    }
}

async fn fetch(
    State(api): State<Api>,
    call: Call,
    Of(found): Of<InDeployment>,
    Wait(time): Wait,
) -> Result<Json<Receipts>, Refusal> {
    let version = found.version()?;
    let receipts = api.receipts.settled(version, time).await;
    Ok(Json(Receipts {
        url: format!("{}/Receipts", found.url(&call)),
        deployment_sid: found.sid(),
        epoch: version.epoch,
        revision: version.revision,
        is_complete: receipts.iter().all(|receipt| receipt.showing != Showing::MayServeOlder),
        live_count: receipts.iter().filter(|receipt| receipt.showing == Showing::Live).count(),
        edge_count: receipts.len(),
        edges: receipts.into_iter().map(of_edge).collect(),
    }))
}

fn of_edge(receipt: Receipt) -> OfEdge {
    let milliseconds = |after: Duration| u64::try_from(after.as_millis()).unwrap_or(u64::MAX);
    OfEdge {
        state: receipt.showing.as_str(),
        milliseconds: receipt.after.map(milliseconds),
        edge_id: receipt.edge_id,
        name: receipt.name,
    }
}
