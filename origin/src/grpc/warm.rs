//! Warming for publishers: edges pull what is coming, and each is reported as it has it.

use super::status::refusal;
use super::{Services, send};
use crate::edges::{EdgeState, Report, WarmLimits, Warming};
use skerry_proto::wire::{WarmResponse, WarmState};
use std::collections::HashMap;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use tonic::{Code, Status};

/// How long an edge may take beyond its time to say how far it came.
const REPORT_TIME_MAX: Duration = Duration::from_secs(2);

impl Services {
    /// Begins to warm edges.
    pub(super) fn begin_warming(
        &self,
        account: &str,
        blobs: Vec<skerry_proto::slices::BlobId>,
        limits: WarmLimits,
    ) -> Result<Warming, Status> {
        self.warmings.begin(account, blobs, limits).ok_or_else(|| {
            self.metrics.warmings_refused.increment(1);
            let message = "too many deployments are being warmed; try again in a moment, or deploy without";
            refusal(Code::ResourceExhausted, "busy", message)
        })
    }

    /// Reports each edge that counts, as it has what is coming; those that do not say so in time at the end.
    pub(super) async fn follow_warming(
        &self,
        mut warming: Warming,
        limits: WarmLimits,
        tx: mpsc::Sender<Result<WarmResponse, Status>>,
    ) {
        self.metrics.warmings.increment(1.0);
        let began = Instant::now();
        let states = self.edges.states().into_iter().filter(|edge| edge.counts);
        let mut waiting: HashMap<String, EdgeState> = states.map(|edge| (edge.id.clone(), edge)).collect();
        let blob_total = u32::try_from(warming.blob_count).unwrap_or(u32::MAX);
        let edge_count = u32::try_from(waiting.len()).unwrap_or(u32::MAX);
        let deadline = tokio::time::sleep(Duration::from_secs(limits.seconds_max.into()) + REPORT_TIME_MAX);
        tokio::pin!(deadline);
        // One that is not connected now was told nothing.
        let is_reachable = |edge: &EdgeState| edge.is_connected;
        while blob_total > 0 && waiting.values().any(is_reachable) {
            let report = tokio::select! {
                report = warming.report() => report,
                () = &mut deadline => None,
                () = self.stopping.cancelled() => None,
                () = tx.closed() => break,
            };
            let Some(Report { edge_id, warmed }) = report else { break };
            let Some(edge) = waiting.remove(&edge_id) else { continue };
            let is_whole = warmed.blob_count >= blob_total;
            let response = WarmResponse {
                edge_id,
                name: edge.name,
                state: if is_whole { WarmState::Warm } else { WarmState::Partly }.into(),
                blob_count: warmed.blob_count.min(blob_total),
                blob_total,
                size: warmed.size,
                after_milliseconds: u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
                edge_count,
            };
            if send(&tx, Ok(response)).await.is_err() {
                break;
            }
        }
        for (edge_id, edge) in waiting {
            // There may be nothing to pull.
            let state = if blob_total == 0 { WarmState::Warm } else { WarmState::NoAnswer };
            let response = WarmResponse {
                edge_id,
                name: edge.name,
                state: state.into(),
                blob_total,
                after_milliseconds: u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
                edge_count,
                ..WarmResponse::default()
            };
            if send(&tx, Ok(response)).await.is_err() {
                break;
            }
        }
        self.metrics.warmings.decrement(1.0);
    }
}
