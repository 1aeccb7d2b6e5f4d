//! Waiting until edges show a revision: one message for each edge, as it does.

use super::{Services, send};
use skerry_proto::pointer::Version;
use skerry_proto::wire::{EdgeState, WaitLiveResponse};
use std::collections::HashSet;
use std::time::Duration;
use tokio::sync::mpsc;
use tonic::Status;

/// How long to wait unless it is said, and at most.
const WAIT_SECONDS: u32 = 30;
const WAIT_SECONDS_MAX: u32 = 3600;

/// How long to wait for as many seconds as a client asks for.
pub(super) fn wait_time(seconds: u32) -> Duration {
    let seconds = if seconds == 0 { WAIT_SECONDS } else { seconds.min(WAIT_SECONDS_MAX) };
    Duration::from_secs(seconds.into())
}

impl Services {
    /// Reports each edge that may serve something, as it shows `version`; those that do not in time at the end.
    pub(super) async fn wait_live(
        &self,
        version: Version,
        time: Duration,
        tx: mpsc::Sender<Result<WaitLiveResponse, Status>>,
    ) {
        let deadline = tokio::time::sleep(time);
        tokio::pin!(deadline);
        let mut changed = self.edges.changed();
        let mut reported = HashSet::new();
        let mut is_over = false;
        loop {
            changed.mark_unchanged();
            let report = self.report(version, &mut reported, is_over);
            let is_complete = report.is_complete;
            for message in report.messages {
                if send(&tx, Ok(message)).await.is_err() {
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

    /// What is to be said now that was not said before.
    fn report(&self, version: Version, reported: &mut HashSet<String>, is_over: bool) -> Report {
        let edges: Vec<_> = self.edges.states().into_iter().filter(|edge| edge.counts).collect();
        let edge_count = u32::try_from(edges.len()).unwrap_or(u32::MAX);
        let is_live = |edge: &&crate::edges::EdgeState| edge.acked >= version;
        let mut live_count =
            u32::try_from(edges.iter().filter(is_live).filter(|edge| reported.contains(&edge.id)).count())
                .unwrap_or(u32::MAX);
        let is_complete = edges.iter().all(|edge| is_live(&edge));
        let committed = self.catalogue.committed_at(version);
        let mut messages = Vec::new();
        for edge in edges {
            let is_live = is_live(&&edge);
            if !(is_live || is_over) || !reported.insert(edge.id.clone()) {
                continue;
            }
            live_count += u32::from(is_live);
            let since = self.edges.live_since(&edge.id, version).unwrap_or_else(std::time::Instant::now);
            let after = committed.map(|committed| since.saturating_duration_since(committed));
            let state = if is_live { EdgeState::Live } else { EdgeState::MayServeOlder };
            messages.push(WaitLiveResponse {
                edge_id: edge.id,
                name: edge.name,
                state: state.into(),
                after_milliseconds: after
                    .map_or(0, |after| u64::try_from(after.as_millis()).unwrap_or(u64::MAX)),
                live_count,
                edge_count,
            });
        }
        Report { messages, is_complete }
    }
}

struct Report {
    messages: Vec<WaitLiveResponse>,
    /// Every edge shows the version.
    is_complete: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waiting_has_a_default_and_a_bound() {
        assert_eq!(wait_time(0), Duration::from_secs(30));
        assert_eq!(wait_time(5), Duration::from_secs(5));
        assert_eq!(wait_time(u32::MAX), Duration::from_secs(3600));
    }
}
