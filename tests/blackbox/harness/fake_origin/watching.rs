//! What the origin of lies says on its watch streams: what it was told to show, and key sets that a test made. It can cut them.

use super::{Service, Shared};
use crate::harness::RUNTIME;
use skerry_proto::wire;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};
use wire::watch_request::Kind as In;
use wire::watch_response::Kind as Out;

impl Shared {
    fn snapshot(&self) -> Out {
        let state = self.state();
        Out::Snapshot(wire::Snapshot {
            epoch: 1,
            revision: state.revision,
            pointers: state.pointers.clone(),
            last: true,
        })
    }

    /// What an edge said; the answer, if there is one.
    fn take(&self, kind: In) -> Option<Out> {
        match kind {
            In::Hello(hello) => {
                self.told.send_modify(|told| told.greeted.push(hello.revision));
                Some(self.snapshot())
            }
            In::Ping(ping) => {
                let revision = self.state().revision;
                Some(Out::Heartbeat(wire::Heartbeat { ping: ping.number, epoch: 1, revision }))
            }
            In::Ack(ack) => {
                self.told.send_modify(|told| told.acked = told.acked.max(ack.revision));
                None
            }
            In::Refusal(refusal) => {
                self.told.send_modify(|told| told.refused.push(refusal.reason));
                None
            }
            In::Goodbye(_) | In::Warmed(_) | In::Evicted(_) => None,
        }
    }
}

#[tonic::async_trait]
impl wire::watch_server::Watch for Service {
    type WatchStream = ReceiverStream<Result<wire::WatchResponse, Status>>;

    async fn watch(
        &self,
        requests: Request<Streaming<wire::WatchRequest>>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let shared = std::sync::Arc::clone(&self.0);
        let mut requests = requests.into_inner();
        let (mut changes, mut key_sets) = (shared.changes.subscribe(), shared.key_sets.subscribe());
        let mut sent = 0;
        let (sender, responses) = mpsc::channel(16);
        RUNTIME.spawn(async move {
            loop {
                let response = tokio::select! {
                    request = requests.message() => match request {
                        Ok(Some(wire::WatchRequest { kind: Some(kind) })) => shared.take(kind),
                        _ => return,
                    },
                    Ok(kind) = changes.recv() => Some(kind),
                    Ok(signed) = key_sets.recv() => Some(Out::KeySet(signed)),
                };
                let Some(kind) = response else { continue };
                if shared.state().cut_after.is_some_and(|messages| sent >= messages) {
                    return;
                }
                sent += 1;
                if sender.send(Ok(wire::WatchResponse { kind: Some(kind) })).await.is_err() {
                    return;
                }
            }
        });
        Ok(Response::new(ReceiverStream::new(responses)))
    }
}
