//! Waiting until every edge shows a revision.

use super::Client;
use crate::failure::Failure;
use crate::output::{self, plain};
use skerry_proto::pointer::Version;
use skerry_proto::wire;

/// How long `--wait` waits; an edge that is reachable needs milliseconds.
const WAIT_SECONDS: u32 = 30;

/// An edge, and whether it shows the revision.
#[derive(Debug, Clone)]
pub(crate) struct LiveEdge {
    pub(crate) edge_id: String,
    pub(crate) name: String,
    pub(crate) live: bool,
    pub(crate) milliseconds: u64,
}

impl LiveEdge {
    /// For `--json`.
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::json!({
            "edge_id": self.edge_id,
            "name": self.name,
            "live": self.live,
            "milliseconds": self.milliseconds,
        })
    }
}

/// Waits, and says on standard error when each edge shows it.
///
/// # Errors
/// As [`watch_live`].
pub(crate) async fn wait_live(client: &Client, version: Version) -> Result<Vec<LiveEdge>, Failure> {
    let edges = watch_live(client, version, |edge| {
        if edge.live {
            output::note(format_args!("live on {} after {} ms", plain(&edge.name), edge.milliseconds));
        } else {
            output::note(format_args!("{} may still serve what was before", plain(&edge.name)));
        }
    });
    let edges = edges.await?;
    if edges.is_empty() {
        output::note("no edge is enrolled yet; it is live on each one as it comes");
    }
    Ok(edges)
}

/// Waits until every edge shows it or the time is over; `report` hears of each one.
///
/// # Errors
/// The origin's refusal. Edges that do not show it in time are in the answer.
pub(crate) async fn watch_live(
    client: &Client,
    version: Version,
    report: impl Fn(&LiveEdge),
) -> Result<Vec<LiveEdge>, Failure> {
    let request = wire::WaitLiveRequest {
        epoch: version.epoch,
        revision: version.revision,
        timeout_seconds: WAIT_SECONDS,
    };
    let refused = |status| client.refused(&status);
    let mut stream =
        client.publishing().wait_live(client.signed(request)).await.map_err(refused)?.into_inner();
    let mut edges = Vec::new();
    while let Some(message) = stream.message().await.map_err(refused)? {
        let live = message.state() == wire::EdgeState::Live;
        let edge = LiveEdge {
            live,
            milliseconds: message.after_milliseconds,
            edge_id: message.edge_id,
            name: message.name,
        };
        report(&edge);
        edges.push(edge);
    }
    Ok(edges)
}

/// Fails when an edge does not show it.
pub(crate) fn all_live(edges: &[LiveEdge]) -> Result<(), Failure> {
    let late = edges.iter().filter(|edge| !edge.live).count();
    if late == 0 {
        return Ok(());
    }
    let all = match edges.len() {
        1 => "the only edge".to_owned(),
        count => format!("{late} of {count} edges"),
    };
    let message = format!(
        "published, but {all} did not show it within {WAIT_SECONDS} s; an edge does as soon as it reaches the origin"
    );
    Err(Failure::not_live(message))
}
