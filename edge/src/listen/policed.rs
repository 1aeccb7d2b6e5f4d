//! Ends an HTTP/2 connection whose frames are too many.
//!
//! Once credit has run out ([`super::frames`]), [`Policed`] lets the frame end, and shows h2 a header block without end in place of what
//! follows, to which it answers with GOAWAY, ENHANCE_YOUR_CALM, and closes. Whatever h2 closes for, what the client is still sending is
//! read and dropped for a moment: else the end of the connection would be a reset, which might overtake the GOAWAY.
//!
//! The bytes are looked at where h2 reads them, and not copied.

use super::frames::{Frames, HEADER_SIZE, kind};
use super::idle::{Activity, CLOSE_TIME_MAX};
use super::refused::Refused;
use crate::metrics::{CutOff, Metrics};
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

/// Read and dropped after our last word.
const LINGER_SIZE_MAX: usize = 1 << 20;

/// HEADERS that are not the end of their block, on the last of all streams.
const ENDLESS_HEADERS: [u8; HEADER_SIZE] = [0, 0, 0, kind::HEADERS, 0, 0x7f, 0xff, 0xff, 0xff];
const ENDLESS_CONTINUATION: [u8; HEADER_SIZE] = [0, 0, 0, kind::CONTINUATION, 0, 0x7f, 0xff, 0xff, 0xff];

/// A stream whose frames are counted.
#[derive(Debug)]
pub(super) struct Policed<S> {
    stream: S,
    frames: Frames,
    refused: Refused,
    metrics: Arc<Metrics>,
    activity: Arc<Activity>,
    /// How much was shown in place of what the client sends, once it is not listened to any more.
    shown: Option<usize>,
    /// Since our last word was said.
    linger: Option<Linger>,
}

/// What may still be read, and until when.
#[derive(Debug)]
struct Linger {
    size_max: usize,
    timer: Pin<Box<Sleep>>,
}

impl<S> Policed<S> {
    /// What is not a request costs credit, of which there is so much at first and at most.
    pub(super) fn new(stream: S, credit_max: u64, activity: Arc<Activity>, metrics: Arc<Metrics>) -> Self {
        let frames = Frames::new(credit_max);
        activity.note_block(frames.is_in_head());
        Self { stream, frames, refused: Refused::default(), metrics, activity, shown: None, linger: None }
    }

    /// So many bytes of `slices` were sent.
    fn note_sent(&mut self, slices: &[IoSlice<'_>], count: usize) {
        self.frames.note_sent(count);
        let mut left = count;
        for slice in slices {
            let sent = slice.get(..left.min(slice.len())).unwrap_or_default();
            left -= sent.len();
            for _ in 0..self.refused.advance(sent) {
                self.metrics.cut_off(CutOff::TooManyStreams);
            }
        }
    }
}

impl Linger {
    /// Reads and drops until the client ends, or there was enough of it.
    fn poll<S: AsyncRead + Unpin>(&mut self, stream: &mut S, cx: &mut Context<'_>) -> Poll<()> {
        let mut space = [0; 4096];
        while self.size_max > 0 && self.timer.as_mut().poll(cx).is_pending() {
            let mut buffer = ReadBuf::new(&mut space);
            match ready!(Pin::new(&mut *stream).poll_read(cx, &mut buffer)) {
                Ok(()) if !buffer.filled().is_empty() => {
                    self.size_max = self.size_max.saturating_sub(buffer.filled().len());
                }
                Ok(()) | Err(_) => break,
            }
        }
        Poll::Ready(())
    }
}

/// A header block without end: from `shown` bytes of it on, as much as there is room for.
fn show_endless_block(shown: &mut usize, buffer: &mut ReadBuf<'_>) {
    while buffer.remaining() > 0 {
        let frame = if *shown < HEADER_SIZE { ENDLESS_HEADERS } else { ENDLESS_CONTINUATION };
        let rest = frame.get(*shown % HEADER_SIZE..).unwrap_or_default();
        let count = rest.len().min(buffer.remaining());
        buffer.put_slice(rest.get(..count).unwrap_or_default());
        *shown += count;
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Policed<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.shown.is_none() {
            let before = buffer.filled().len();
            ready!(Pin::new(&mut this.stream).poll_read(cx, buffer))?;
            this.frames.refill(|| this.activity.now_ms());
            let read = buffer.filled().get(before..).unwrap_or_default();
            if let Some(passed) = this.frames.advance(read) {
                buffer.set_filled(before + passed);
                this.shown = Some(0);
            }
            this.activity.note_block(this.frames.is_in_head());
        }
        if let Some(shown) = &mut this.shown {
            show_endless_block(shown, buffer);
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Policed<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let count = ready!(Pin::new(&mut self.stream).poll_write(cx, bytes))?;
        self.note_sent(&[IoSlice::new(bytes)], count);
        Poll::Ready(Ok(count))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let count = ready!(Pin::new(&mut self.stream).poll_write_vectored(cx, slices))?;
        self.note_sent(slices, count);
        Poll::Ready(Ok(count))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.linger.is_none() {
            ready!(Pin::new(&mut this.stream).poll_shutdown(cx))?;
        }
        let linger = this.linger.get_or_insert_with(|| Linger {
            size_max: LINGER_SIZE_MAX,
            timer: Box::pin(sleep(CLOSE_TIME_MAX)),
        });
        linger.poll(&mut this.stream, cx).map(Ok)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_does_not_depend_on_the_room_for_it() {
        let show = |room: usize| {
            let (mut shown, mut all) = (0, Vec::new());
            while all.len() < 90 {
                let mut space = vec![0; room];
                let mut buffer = ReadBuf::new(&mut space);
                show_endless_block(&mut shown, &mut buffer);
                all.extend_from_slice(buffer.filled());
            }
            all.truncate(90);
            all
        };
        let expected = [ENDLESS_HEADERS.to_vec(), ENDLESS_CONTINUATION.repeat(9)].concat();
        for room in [1, 4, 9, 10, 64, 1000] {
            assert_eq!(show(room), expected, "{room}");
        }
    }
}
