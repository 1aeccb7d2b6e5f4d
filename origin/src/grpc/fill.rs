//! The service that edges get slices from. What is sent is not verified here: the edge does that against a signed hash.

use super::status::{self, refusal};
use super::{Gone, Services, send};
use crate::blobs::BlobReader;
use bytes::Bytes;
use skerry_proto::hash::Hash;
use skerry_proto::wire::fill_response::Kind;
use skerry_proto::wire::fill_server::Fill;
use skerry_proto::wire::{FillHead, FillRequest, FillResponse, FillSlice};
use std::collections::{HashMap, VecDeque};
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Request, Response, Status};

/// Edges that a fill may have come through.
const HOPS_MAX: u32 = 3;

/// Messages between the disk and the socket: four slices, so that reading runs ahead of sending by at most 1 MiB.
const READ_AHEAD: usize = 4;

/// Slices that one visit to a thread reads.
const READ_BATCH: usize = 4;

/// How long a fill waits for its turn.
const TURN_WAIT_MAX: Duration = Duration::from_secs(10);

/// Blobs that are kept open between fills. Each is a file descriptor, of which a process often has 1,024.
const OPEN_BLOBS_MAX: usize = 256;

pub(super) struct FillService(pub(super) Services);

#[tonic::async_trait]
impl Fill for FillService {
    type FillStream = ReceiverStream<Result<FillResponse, Status>>;

    async fn fill(&self, request: Request<FillRequest>) -> Result<Response<Self::FillStream>, Status> {
        let services = &self.0;
        let edge = services.edge(&request)?.id;
        services.metrics.fills.increment(1);
        let request = request.into_inner();
        if request.hops > HOPS_MAX {
            let message = "the fill came through more than 3 edges; look for a circle among the upstreams";
            return Err(refusal(Code::InvalidArgument, "too_many_hops", message));
        }
        let hash = Hash::try_from(&request.hash[..])
            .map_err(|error| refusal(Code::InvalidArgument, "invalid_hash", &error.to_string()))?;
        let permit = tokio::time::timeout(TURN_WAIT_MAX, Arc::clone(&services.fills).acquire_owned()).await;
        let Ok(Ok(permit)) = permit else {
            services.metrics.fill_errors.increment(1);
            return Err(refusal(
                Code::Unavailable,
                "busy",
                "too many fills are under way; try again in a moment",
            ));
        };
        let blob = services.named_blob(&request.account_sid, hash).await?;
        let slices = range(&request, blob.id().slice_count())?;
        let (tx, rx) = mpsc::channel(READ_AHEAD);
        let services = services.clone();
        let tasks = services.tasks.clone();
        tasks.spawn(async move {
            services.send_slices(&edge, &blob, slices, &tx).await;
            drop(permit);
        });
        Ok(Response::new(ReceiverStream::new(rx)))
    }
}

/// The slices asked for, if the blob has them.
fn range(request: &FillRequest, count: u64) -> Result<Range<u64>, Status> {
    let end = request.first_slice.checked_add(request.slice_count);
    match end {
        Some(end) if end <= count => Ok(request.first_slice..end),
        _ => {
            let message = format!("the blob has {count} slices");
            Err(refusal(Code::InvalidArgument, "no_such_slice", &message))
        }
    }
}

impl Services {
    /// A blob that a retained manifest or history of the account names.
    async fn named_blob(&self, account: &str, hash: Hash) -> Result<BlobReader, Status> {
        let not_named =
            || refusal(Code::NotFound, "not_found", "no manifest or history of the account names this hash");
        if self.catalogue.is_purged(account, &hash) {
            return Err(not_named());
        }
        if let Some(blob) = self.open_blobs.find(account, hash) {
            return Ok(blob);
        }
        let id = self.catalogue.named_blob(account, hash).await.map_err(|error| {
            self.metrics.fill_errors.increment(1);
            status::of_catalogue(error)
        })?;
        // What is kept open may be filled as long as this origin runs, which a blob that is warmed may not.
        let is_named = id.is_some();
        let id = id.or_else(|| self.warmings.granted(account, &hash)).ok_or_else(not_named)?;
        let blob = self.blobs.open_blob(id).await.map_err(|error| {
            self.metrics.fill_errors.increment(1);
            status::of_blob(error)
        })?;
        if is_named {
            self.open_blobs.keep(account, blob.clone());
        }
        Ok(blob)
    }

    /// Sends the head, then the slices, until the edge goes away or is expelled.
    async fn send_slices(
        &self,
        edge: &str,
        blob: &BlobReader,
        slices: Range<u64>,
        tx: &mpsc::Sender<Result<FillResponse, Status>>,
    ) {
        let head = FillHead { size: blob.id().size, slice_list: blob.slice_list().clone() };
        if send(tx, Ok(FillResponse { kind: Some(Kind::Head(head)) })).await.is_err() {
            return;
        }
        let mut next = slices.start;
        while next < slices.end {
            if let Err(status) = self.admit(self.edges.standing(edge)) {
                let _ = send(tx, Err(status)).await;
                return;
            }
            let count = (slices.end - next).min(READ_BATCH as u64) as usize;
            let read = match blob.slices(next, count).await {
                Ok(read) => read,
                Err(error) => {
                    self.metrics.fill_errors.increment(1);
                    self.open_blobs.forget(blob.id().hash);
                    let _ = send(tx, Err(status::of_blob(error))).await;
                    return;
                }
            };
            for data in read {
                if self.send_slice(next, data, tx).await.is_err() {
                    return;
                }
                next += 1;
            }
        }
    }

    async fn send_slice(
        &self,
        index: u64,
        data: Bytes,
        tx: &mpsc::Sender<Result<FillResponse, Status>>,
    ) -> Result<(), Gone> {
        let len = data.len() as u64;
        send(tx, Ok(FillResponse { kind: Some(Kind::Slice(FillSlice { index, data })) })).await?;
        self.metrics.fill_bytes.increment(len);
        Ok(())
    }
}

/// Blobs that were filled lately, kept open, so that the next fill of one costs neither a query nor an open. What an account may
/// fill only grows while an origin runs, but for what it purges, which is asked for before.
#[derive(Debug, Clone, Default)]
pub(crate) struct OpenBlobs {
    shared: Arc<Mutex<OpenBlobsState>>,
}

type Key = (String, Hash);

#[derive(Debug, Default)]
struct OpenBlobsState {
    blobs: HashMap<Key, BlobReader>,
    /// Oldest first.
    order: VecDeque<Key>,
}

impl OpenBlobs {
    fn find(&self, account: &str, hash: Hash) -> Option<BlobReader> {
        let state = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        state.blobs.get(&(account.to_owned(), hash)).cloned()
    }

    fn keep(&self, account: &str, blob: BlobReader) {
        let mut state = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (account.to_owned(), blob.id().hash);
        if state.blobs.insert(key.clone(), blob).is_none() {
            state.order.push_back(key);
        }
        if state.order.len() > OPEN_BLOBS_MAX
            && let Some(oldest) = state.order.pop_front()
        {
            state.blobs.remove(&oldest);
        }
    }

    /// Drops a blob whose file turned out to be damaged: it may be replaced by a whole one.
    fn forget(&self, hash: Hash) {
        let mut state = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        state.blobs.retain(|(_, kept), _| *kept != hash);
        state.order.retain(|(_, kept)| *kept != hash);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_that_the_blob_does_not_have_is_refused() {
        let ask = |first_slice, slice_count| {
            range(&FillRequest { first_slice, slice_count, ..FillRequest::default() }, 4)
        };
        assert_eq!(ask(0, 0).expect("the head alone"), 0..0);
        assert_eq!(ask(1, 3).expect("to the end"), 1..4);
        for (first, count) in [(0, 5), (4, 1), (5, 0), (u64::MAX, 1), (1, u64::MAX)] {
            assert_eq!(ask(first, count).expect_err("not there").code(), Code::InvalidArgument);
        }
    }
}
