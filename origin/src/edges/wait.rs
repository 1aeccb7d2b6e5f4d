//! Waiting until edges show a version: one receipt for each edge, as it does.

use super::Edges;
use crate::catalogue::Catalogue;
use skerry_proto::pointer::Version;
use std::collections::HashSet;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// Time for whoever waits to take a receipt.
const SEND_TIME_MAX: Duration = Duration::from_secs(60);

/// That an edge shows a version, or did not in time.
#[derive(Debug, Clone)]
pub(crate) struct Receipt {
    pub(crate) edge_id: String,
    pub(crate) name: String,
    pub(crate) is_live: bool,
    /// From the commit to the acknowledgement; `None` where the origin does not remember either.
    pub(crate) after: Option<Duration>,
    /// Edges that showed it by now, and edges that may serve something.
    pub(crate) live_count: u32,
    pub(crate) edge_count: u32,
}

/// What receipts are made from. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct Receipts {
    edges: Edges,
    catalogue: Catalogue,
    /// Ends all waiting.
    stopping: CancellationToken,
}

impl Receipts {
    pub(crate) fn new(edges: Edges, catalogue: Catalogue, stopping: CancellationToken) -> Self {
        Self { edges, catalogue, stopping }
    }

    /// Reports each edge that may serve something, as it shows `version`; those that do not within `time` at the end. Receipts are
    /// sent as `say` makes them; the waiting ends when nobody takes them any more.
    pub(crate) async fn wait<T: Send>(
        &self,
        version: Version,
        time: Duration,
        tx: mpsc::Sender<T>,
        say: impl Fn(Receipt) -> T + Send,
    ) {
        let deadline = tokio::time::sleep(time);
        tokio::pin!(deadline);
        let mut changed = self.edges.changed();
        let mut reported = HashSet::new();
        let mut is_over = false;
        loop {
            changed.mark_unchanged();
            let (receipts, is_complete) = self.receipts(version, &mut reported, is_over);
            for receipt in receipts {
                if tx.send_timeout(say(receipt), SEND_TIME_MAX).await.is_err() {
                    return;
                }
            }
            if is_complete || is_over {
                return;
            }
            tokio::select! {
                changed = changed.changed() => is_over = changed.is_err(),
                () = &mut deadline => is_over = true,
                () = self.stopping.cancelled() => is_over = true,
                () = tx.closed() => return,
            }
        }
    }

    /// What can be said now of every edge that may serve something.
    pub(crate) fn now(&self, version: Version) -> Vec<Receipt> {
        self.receipts(version, &mut HashSet::new(), true).0
    }

    /// What is to be said now that was not said before, and whether every edge shows the version.
    fn receipts(
        &self,
        version: Version,
        reported: &mut HashSet<String>,
        is_over: bool,
    ) -> (Vec<Receipt>, bool) {
        let edges: Vec<_> = self.edges.states().into_iter().filter(|edge| edge.counts).collect();
        let edge_count = u32::try_from(edges.len()).unwrap_or(u32::MAX);
        let live_before = edges.iter().filter(|edge| edge.acked >= version && reported.contains(&edge.id));
        let mut live_count = u32::try_from(live_before.count()).unwrap_or(u32::MAX);
        let is_complete = edges.iter().all(|edge| edge.acked >= version);
        let committed = self.catalogue.committed_at(version);
        let mut receipts = Vec::new();
        for edge in edges {
            let is_live = edge.acked >= version;
            if !(is_live || is_over) || !reported.insert(edge.id.clone()) {
                continue;
            }
            live_count += u32::from(is_live);
            let since = self.edges.live_since(&edge.id, version);
            let after = committed
                .map(|committed| since.unwrap_or_else(Instant::now).saturating_duration_since(committed));
            let (edge_id, name) = (edge.id, edge.name);
            receipts.push(Receipt { edge_id, name, is_live, after, live_count, edge_count });
        }
        (receipts, is_complete)
    }
}
