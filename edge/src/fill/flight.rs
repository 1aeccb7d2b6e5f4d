//! One fill: asks an upstream for a run of slices, verifies each as it arrives, and asks again where the upstream broke off.

use super::FillError;
use super::upstream::{SliceStream, Upstream, UpstreamError};
use crate::cache::copied;
use crate::metrics::{IntegritySource, Metrics};
use bytes::Bytes;
use futures_util::StreamExt;
use skerry_proto::slices::{BlobId, SliceList, VerifiedSlice};
use skerry_proto::wire::{self, fill_response::Kind};
use std::time::{Duration, Instant};
use tokio::time::timeout;

/// How often an upstream is asked, the first time included.
const ATTEMPTS: u32 = 3;

/// Between attempts: long enough for a connection to be made anew, short enough for a client that waits.
const PAUSE: Duration = Duration::from_millis(100);

/// Time for each message. A slice of 256 KiB in this time is 26 KB/s.
const MESSAGE_TIME_MAX: Duration = Duration::from_secs(10);

/// What becomes of the slices of a fill.
pub(super) trait Sink: Send {
    /// The verified slice list; comes before the first slice, and again when the upstream is asked again.
    fn list(&mut self, list: &SliceList);
    /// The next slice, verified.
    fn slice(&mut self, index: u64, slice: VerifiedSlice);
    /// Whether anybody wants more.
    fn wants_more(&mut self) -> bool;
}

/// What to fetch, and from where.
pub(super) struct Flight<'a> {
    upstream: &'a dyn Upstream,
    metrics: &'a Metrics,
    account_sid: &'a str,
    blob: BlobId,
}

impl<'a> Flight<'a> {
    pub(super) fn new(
        upstream: &'a dyn Upstream,
        metrics: &'a Metrics,
        account_sid: &'a str,
        blob: BlobId,
    ) -> Self {
        Self { upstream, metrics, account_sid, blob }
    }

    /// Fetches `count` slices from `first` on, as long as the sink wants more.
    pub(super) async fn run(&self, first: u64, count: u64, sink: &mut impl Sink) -> Result<(), FillError> {
        let started = Instant::now();
        self.metrics.fills_in_flight.increment(1);
        let mut next = first;
        let mut result = Ok(());
        for attempt in 0..ATTEMPTS {
            if attempt > 0 {
                tokio::time::sleep(PAUSE * attempt).await;
            }
            result = self.attempt(&mut next, first + count, sink).await;
            if matches!(result, Ok(()) | Err(FillError::NotFound)) || !sink.wants_more() {
                break;
            }
        }
        self.metrics.fills_in_flight.decrement(1);
        self.metrics.fill_duration.record(started.elapsed());
        if let Err(error) = result {
            self.metrics.fill_errors.increment(1);
            tracing::warn!(hash = %self.blob.hash, slice = next, %error, "a fill failed");
        }
        result
    }

    async fn attempt(&self, next: &mut u64, end: u64, sink: &mut impl Sink) -> Result<(), FillError> {
        let request = wire::FillRequest {
            account_sid: self.account_sid.to_owned(),
            hash: Bytes::copy_from_slice(self.blob.hash.as_bytes()),
            first_slice: *next,
            slice_count: end - *next,
            hops: 0,
        };
        let opening = timeout(MESSAGE_TIME_MAX, self.upstream.open(request)).await;
        let mut stream = opening.map_err(|_| FillError::TimedOut)?.map_err(|error| fill_error(&error))?;
        let list = self.head(&mut stream).await?;
        sink.list(&list);
        while *next < end {
            let Some(Kind::Slice(slice)) = message(&mut stream).await? else {
                return Err(FillError::Unavailable);
            };
            let verified = self.verify(&list, *next, slice)?;
            self.metrics.fill_slices.increment(1);
            self.metrics.fill_bytes.increment(verified.bytes().len() as u64);
            sink.slice(*next, verified);
            *next += 1;
            if *next < end && !sink.wants_more() {
                // Dropping the stream tells the upstream.
                self.metrics.fills_abandoned.increment(1);
                return Ok(());
            }
        }
        Ok(())
    }

    /// The head comes first. The size it names is not trusted; the signed one counts.
    async fn head(&self, stream: &mut SliceStream) -> Result<SliceList, FillError> {
        let Some(Kind::Head(head)) = message(stream).await? else { return Err(FillError::Unavailable) };
        SliceList::verify(self.blob, head.slice_list).map_err(|error| {
            self.metrics.integrity_failure(IntegritySource::Upstream);
            tracing::warn!(hash = %self.blob.hash, %error, "dropped a slice list from the upstream that does not verify");
            FillError::Integrity
        })
    }

    fn verify(
        &self,
        list: &SliceList,
        index: u64,
        slice: wire::FillSlice,
    ) -> Result<VerifiedSlice, FillError> {
        // A copy, because the message is a part of a larger receive buffer, which it would keep in memory.
        let bytes = copied(&slice.data);
        list.check(index, bytes).map_err(|error| {
            self.metrics.integrity_failure(IntegritySource::Upstream);
            tracing::warn!(hash = %self.blob.hash, slice = index, %error, "dropped a slice from the upstream that does not verify");
            FillError::Integrity
        })
    }
}

async fn message(stream: &mut SliceStream) -> Result<Option<Kind>, FillError> {
    match timeout(MESSAGE_TIME_MAX, stream.next()).await {
        Err(_) => Err(FillError::TimedOut),
        Ok(None) => Err(FillError::Unavailable),
        Ok(Some(Err(error))) => Err(fill_error(&error)),
        Ok(Some(Ok(message))) => Ok(message.kind),
    }
}

fn fill_error(error: &UpstreamError) -> FillError {
    match error {
        UpstreamError::NotFound => FillError::NotFound,
        UpstreamError::Unavailable(_) => FillError::Unavailable,
    }
}
