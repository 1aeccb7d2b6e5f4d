//! Having edges pull what is about to be deployed, before anything changes that is shown.

use super::Client;
use crate::failure::Failure;
use crate::output::{self, plain};
use skerry_proto::wire::{self, WarmState, deploy_request::Build};

/// What to do where an edge is not warm in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum WarmMode {
    /// Deploy all the same
    Try,
    /// Deploy nothing
    Require,
}

/// `--warm`, for commands that deploy.
#[derive(Debug, Clone, Copy, Default, clap::Args)]
pub(crate) struct WarmOption {
    /// Have edges pull what is new before it goes live; `--warm=require` deploys nothing where an edge has not all of it in time
    #[arg(long, value_enum, value_name = "MODE", num_args = 0..=1, require_equals = true, default_missing_value = "try")]
    pub(crate) warm: Option<WarmMode>,
}

/// An edge, and how far it came.
#[derive(Debug, Clone)]
pub(crate) struct WarmEdge(wire::WarmResponse);

impl WarmEdge {
    /// For `--json`.
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::json!({
            "edge_id": self.0.edge_id,
            "name": self.0.name,
            "state": self.state(),
            "blobs": self.0.blob_count,
            "blobs_new": self.0.blob_total,
            "size": self.0.size,
            "milliseconds": self.0.after_milliseconds,
        })
    }

    fn is_warm(&self) -> bool {
        self.0.state() == WarmState::Warm
    }

    fn state(&self) -> &'static str {
        match self.0.state() {
            WarmState::Warm => "warm",
            WarmState::Partly => "partly",
            WarmState::NoAnswer | WarmState::Unspecified => "no answer",
        }
    }

    fn note(&self) {
        let wire::WarmResponse { name, blob_count, blob_total, size, after_milliseconds, .. } = &self.0;
        let name = plain(name);
        match self.0.state() {
            WarmState::Warm => output::note(format_args!(
                "{name} is warm: {blob_total} new blobs, {size} bytes pulled, after {after_milliseconds} ms"
            )),
            WarmState::Partly => output::note(format_args!(
                "{name} has {blob_count} of {blob_total} new blobs, {size} bytes pulled, after {after_milliseconds} ms"
            )),
            WarmState::NoAnswer | WarmState::Unspecified => {
                output::note(format_args!("{name} is not connected, or did not say in time what it has"));
            }
        }
    }
}

/// What is about to be deployed.
pub(crate) enum Coming<'a> {
    /// A build.
    Build(&'a Build),
    /// Uploaded versions, SIDs.
    Versions(&'a [String]),
}

/// Warms edges, if that is asked for; says on standard error how far each came.
///
/// # Errors
/// With [`WarmMode::Require`]: an edge has not everything, or the origin refuses. Else nothing stops the deployment.
pub(crate) async fn warm(
    client: &Client,
    option: WarmOption,
    coming: Coming<'_>,
) -> Result<Vec<WarmEdge>, Failure> {
    let Some(mode) = option.warm else { return Ok(Vec::new()) };
    let (edges, failure) = follow(client, coming).await;
    let cold = edges.iter().filter(|edge| !edge.is_warm()).count();
    match (mode, failure) {
        (WarmMode::Require, Some(failure)) => Err(failure),
        (WarmMode::Try, Some(failure)) => {
            output::note(format_args!("edges were not warmed, and it goes live all the same: {failure}"));
            Ok(edges)
        }
        (WarmMode::Require, None) if cold > 0 => {
            let message =
                format!("nothing was deployed: {cold} of {} edges have not all of what is new", edges.len());
            Err(Failure::new(message)
                .hint("try again, as edges keep what they have by now; or use --warm without =require"))
        }
        (WarmMode::Try | WarmMode::Require, None) => Ok(edges),
    }
}

async fn follow(client: &Client, coming: Coming<'_>) -> (Vec<WarmEdge>, Option<Failure>) {
    let mut request = wire::WarmRequest { target: Some(client.target()), ..wire::WarmRequest::default() };
    match coming {
        Coming::Build(Build::BuildSid(sid)) => request.build_sid.clone_from(sid),
        Coming::Build(Build::Previous(_)) => request.previous = true,
        Coming::Versions(sids) => request.version_sids = sids.to_vec(),
    }
    let mut edges = Vec::new();
    let mut stream = match client.publishing().warm(client.signed(request)).await {
        Ok(answer) => answer.into_inner(),
        Err(status) => return (edges, Some(client.refused(&status))),
    };
    loop {
        match stream.message().await {
            Ok(Some(said)) => {
                let edge = WarmEdge(said);
                edge.note();
                edges.push(edge);
            }
            Ok(None) => return (edges, None),
            Err(status) => return (edges, Some(client.refused(&status))),
        }
    }
}
