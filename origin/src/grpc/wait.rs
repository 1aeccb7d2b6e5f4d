//! Receipts of edges as they travel.

use super::Services;
use crate::edges::{Receipt, Receipts, Showing};
use skerry_proto::pointer::Version;
use skerry_proto::wire::{EdgeState, WaitLiveResponse};
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
    /// What receipts are made from.
    pub(crate) fn receipts(&self) -> Receipts {
        Receipts::new(self.edges.clone(), self.catalogue.clone(), self.stopping.clone())
    }

    /// Reports each edge as it comes to show `version` or to refuse; those that may serve older at the end.
    pub(super) async fn wait_live(
        &self,
        version: Version,
        time: Duration,
        tx: mpsc::Sender<Result<WaitLiveResponse, Status>>,
    ) {
        self.receipts().wait(version, time, tx, |receipt| Ok(response(receipt))).await;
    }
}

fn response(receipt: Receipt) -> WaitLiveResponse {
    let state = match receipt.showing {
        Showing::Live => EdgeState::Live,
        Showing::Refusing => EdgeState::Refusing,
        Showing::MayServeOlder => EdgeState::MayServeOlder,
    };
    let milliseconds = |after: Duration| u64::try_from(after.as_millis()).unwrap_or(u64::MAX);
    WaitLiveResponse {
        edge_id: receipt.edge_id,
        name: receipt.name,
        state: state.into(),
        after_milliseconds: receipt.after.map_or(0, milliseconds),
        live_count: receipt.live_count,
        edge_count: receipt.edge_count,
    }
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
