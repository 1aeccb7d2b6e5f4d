//! The body of a response.

use super::Protocol;
use crate::fill::{FillError, SliceReader};
use crate::metrics::{CacheResult, Metrics};
use bytes::Bytes;
use futures_util::future::BoxFuture;
use http_body::{Frame, SizeHint};
use skerry_proto::slices::{SLICE_SIZE, VerifiedSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

/// Bytes in a frame at most. Measured: frames of 64 KiB cost 17 % less CPU than whole slices, because TLS and the socket keep up
/// with them.
const FRAME_SIZE_MAX: usize = 64 << 10;

/// The body of a response: nothing, or bytes that arrive slice by slice, in frames of at most 64 KiB that copy nothing.
///
/// Its size hint is exact, so that every protocol sends the right `Content-Length` and knows the end. It holds one slice, however
/// large the asset and however slow the client.
pub struct Body {
    /// What is at hand.
    chunk: Bytes,
    /// Bytes not given out yet, `chunk` included.
    rest: u64,
    /// Gets what is not at hand; none where `chunk` is all.
    reader: Option<Box<Reader>>,
    accounting: Option<Accounting>,
}

/// The rest of the body cannot be had: the listener must end the stream so that the client sees it.
#[derive(Debug, thiserror::Error)]
#[error("the rest of the body cannot be had: {0}")]
pub struct BodyError(#[from] FillError);

impl Body {
    /// No bytes.
    pub(super) fn empty() -> Self {
        Self::whole(Bytes::new())
    }

    /// These bytes.
    pub(super) fn whole(chunk: Bytes) -> Self {
        Self { rest: chunk.len() as u64, chunk, reader: None, accounting: None }
    }

    /// The bytes from `start` to before `end` of what `slices` reads; `start < end <= blob.size`. Waits for the first slice, so that
    /// whoever decides the status knows that there is something to send.
    pub(super) async fn open(
        slices: SliceReader,
        start: u64,
        end: u64,
    ) -> Result<(Self, CacheResult), FillError> {
        let index = start / SLICE_SIZE as u64;
        let (slice, cache) = match slices.in_memory(index) {
            Some(slice) => (slice, CacheResult::Memory),
            None => slices.get(index).await?,
        };
        let rest = end - start;
        let skipped = (start % SLICE_SIZE as u64) as usize;
        let chunk = take(&slice, skipped, rest);
        let more = rest > chunk.len() as u64;
        let reader = more.then(|| {
            slices.read_ahead(index);
            Box::new(Reader { slices, next: index + 1, pending: None })
        });
        Ok((Self { chunk, rest, reader, accounting: None }, cache))
    }

    /// Counts this response when it has ended, one way or another.
    pub(super) fn account(&mut self, metrics: Arc<Metrics>, protocol: Protocol, arrived: Instant) {
        let first_byte = arrived.elapsed();
        self.accounting = Some(Accounting { metrics, protocol, arrived, first_byte, bytes: 0 });
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = &mut *self;
        if this.rest == 0 {
            return Poll::Ready(None);
        }
        if this.chunk.is_empty() {
            let Some(reader) = &mut this.reader else { return Poll::Ready(None) };
            let slice = match ready!(reader.poll_slice(cx)) {
                Ok(slice) => slice,
                Err(error) => {
                    this.reader = None;
                    return Poll::Ready(Some(Err(error.into())));
                }
            };
            this.chunk = take(&slice, 0, this.rest);
        }
        let frame = this.chunk.split_to(this.chunk.len().min(FRAME_SIZE_MAX));
        this.rest -= frame.len() as u64;
        if let Some(accounting) = &mut this.accounting {
            accounting.bytes += frame.len() as u64;
        }
        Poll::Ready(Some(Ok(Frame::data(frame))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.rest)
    }
}

impl std::fmt::Debug for Body {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Body").field("rest", &self.rest).finish_non_exhaustive()
    }
}

/// What of a slice is wanted; shares its bytes.
fn take(slice: &VerifiedSlice, skipped: usize, rest: u64) -> Bytes {
    let bytes = slice.bytes();
    let start = skipped.min(bytes.len());
    let end = usize::try_from(rest).map_or(bytes.len(), |rest| start.saturating_add(rest).min(bytes.len()));
    bytes.slice(start..end)
}

type PendingSlice = BoxFuture<'static, Result<(VerifiedSlice, CacheResult), FillError>>;

/// Gets the slices after the first.
struct Reader {
    slices: SliceReader,
    next: u64,
    pending: Option<PendingSlice>,
}

impl Reader {
    fn poll_slice(&mut self, cx: &mut Context<'_>) -> Poll<Result<VerifiedSlice, FillError>> {
        if self.pending.is_none() {
            if let Some(slice) = self.slices.in_memory(self.next) {
                // Memory may hold this one because it was fetched ahead; then the fetching must go on ahead of the reader.
                self.advance();
                return Poll::Ready(Ok(slice));
            }
            let (slices, next) = (self.slices.clone(), self.next);
            self.pending = Some(Box::pin(async move { slices.get(next).await }));
        }
        let Some(pending) = &mut self.pending else { return Poll::Ready(Err(FillError::Unavailable)) };
        let result = ready!(pending.as_mut().poll(cx));
        self.pending = None;
        let (slice, _) = result?;
        self.advance();
        Poll::Ready(Ok(slice))
    }

    fn advance(&mut self) {
        self.slices.read_ahead(self.next);
        self.next += 1;
    }
}

/// Counts a response when it is dropped: sent whole, cut, or given up by the client.
struct Accounting {
    metrics: Arc<Metrics>,
    protocol: Protocol,
    arrived: Instant,
    first_byte: Duration,
    bytes: u64,
}

impl Drop for Accounting {
    fn drop(&mut self) {
        let duration = self.arrived.elapsed().as_secs_f64();
        self.metrics.response(self.protocol, self.bytes, self.first_byte.as_secs_f64(), duration);
    }
}
