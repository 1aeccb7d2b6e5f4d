//! Waiting until no edge shows anything older than a revision, and the receipt of each.

use super::Client;
use crate::failure::Failure;
use crate::output::{self, plain};
use skerry_proto::pointer::Version;
use skerry_proto::wire;

/// How long `--wait` waits; an edge that is reachable needs milliseconds.
const WAIT_SECONDS: u32 = 30;

/// What an edge shows of the revision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Showing {
    /// The revision, or a newer one.
    Live,
    /// Nothing older: it lost the origin, and refuses.
    Refusing,
    /// Something older, for all that the origin knows.
    MayServeOlder,
}

impl Showing {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Refusing => "refusing",
            Self::MayServeOlder => "may_serve_older",
        }
    }
}

impl From<wire::EdgeState> for Showing {
    fn from(state: wire::EdgeState) -> Self {
        match state {
            wire::EdgeState::Live => Self::Live,
            wire::EdgeState::Refusing => Self::Refusing,
            // What this program does not know it does not vouch for.
            wire::EdgeState::MayServeOlder | wire::EdgeState::Unspecified => Self::MayServeOlder,
        }
    }
}

/// An edge, and what it shows of the revision.
#[derive(Debug, Clone)]
pub(crate) struct LiveEdge {
    pub(crate) edge_id: String,
    pub(crate) name: String,
    pub(crate) showing: Showing,
    pub(crate) milliseconds: u64,
}

impl LiveEdge {
    /// For `--json`.
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::json!({
            "edge_id": self.edge_id,
            "name": self.name,
            "live": self.showing == Showing::Live,
            "state": self.showing.as_str(),
            "milliseconds": self.milliseconds,
        })
    }
}

/// Waits, and says on standard error what each edge shows, and since when.
///
/// # Errors
/// As [`watch_live`].
pub(crate) async fn wait_live(client: &Client, version: Version) -> Result<Vec<LiveEdge>, Failure> {
    let edges = watch_live(client, version, |edge| {
        let (name, milliseconds) = (plain(&edge.name), edge.milliseconds);
        match edge.showing {
            Showing::Live => output::note(format_args!("live on {name} after {milliseconds} ms")),
            Showing::Refusing => output::note(format_args!(
                "refusing on {name} after {milliseconds} ms: it lost the origin, and serves nothing older"
            )),
            Showing::MayServeOlder => {
                output::note(format_args!("{name} may still serve what was before, after {milliseconds} ms"))
            }
        }
    });
    let edges = edges.await?;
    if edges.is_empty() {
        output::note("no edge is enrolled yet; it is live on each one as it comes");
    }
    Ok(edges)
}

/// Waits until no edge may serve anything older or the time is over; `report` hears of each one.
///
/// # Errors
/// The origin's refusal. Edges that may serve something older are in the answer.
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
        let edge = LiveEdge {
            showing: message.state().into(),
            milliseconds: message.after_milliseconds,
            edge_id: message.edge_id,
            name: message.name,
        };
        report(&edge);
        edges.push(edge);
    }
    Ok(edges)
}

/// Fails when an edge may serve something older.
pub(crate) fn all_live(edges: &[LiveEdge]) -> Result<(), Failure> {
    let late = edges.iter().filter(|edge| edge.showing == Showing::MayServeOlder).count();
    if late == 0 {
        return Ok(());
    }
    let all = match edges.len() {
        1 => "the only edge".to_owned(),
        count => format!("{late} of {count} edges"),
    };
    let message = format!(
        "published, but {all} may still serve what was before, after {WAIT_SECONDS} s; an edge shows it as soon as it reaches the origin"
    );
    Err(Failure::not_live(message).hint("for one that is gone for good: skerry edges expel NAME"))
}
