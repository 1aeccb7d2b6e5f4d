//! Stands between TLS and hyper on an HTTP/1.1 connection, and lets no request through that [`super::framing`] finds fault with.
//!
//! At a fault hyper is shown the end of its input, after the requests before it, and only once their answers are on their way. What
//! the client is told then comes from here, and so does the end of the connection. Content that turns out faulty after its head was
//! let through takes the place of the answer: [`Activity::is_cut`] tells the handler.

use super::framing::{Fault, Framing, HeadLimits};
use super::idle::{Activity, CLOSE_TIME_MAX};
use crate::metrics::{CutOff, Metrics};
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::time::timeout;

/// Read and dropped after a refusal, so that what a client is still sending does not turn the end of the connection into a reset,
/// which might overtake the refusal (RFC 9112 §9.6).
const LINGER_SIZE_MAX: u64 = 256 << 10;

/// A stream of requests without fault.
#[derive(Debug)]
pub(super) struct Guarded<S> {
    stream: S,
    framing: Framing,
    activity: Arc<Activity>,
    refused: Option<Fault>,
}

impl<S> Guarded<S> {
    pub(super) fn new(stream: S, limits: HeadLimits, activity: Arc<Activity>) -> Self {
        Self { stream, framing: Framing::new(limits), activity, refused: None }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Guarded<S> {
    /// Ends the connection where that is not hyper's to do: says what was wrong with the request that it was not shown.
    pub(super) async fn end(mut self, metrics: &Metrics) {
        let Some(fault) = self.refused else { return };
        metrics.cut_off(match fault {
            Fault::Malformed(_) | Fault::Version => CutOff::Malformed,
            Fault::TargetTooLong => CutOff::TargetTooLong,
            Fault::HeadTooLarge => CutOff::HeadTooLarge,
        });
        tracing::debug!(reason = fault.reason(), "HTTP/1.1 request refused");
        let (status, reason) = (fault.status(), fault.reason());
        let size = reason.len() + 1;
        let response = format!(
            "HTTP/1.1 {status}\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: {size}\r\nconnection: close\r\n\r\n{reason}\n"
        );
        // Whoever does not take it in time does without.
        let _ = timeout(CLOSE_TIME_MAX, async {
            self.stream.write_all(response.as_bytes()).await?;
            // With close_notify.
            self.stream.shutdown().await?;
            tokio::io::copy(&mut (&mut self.stream).take(LINGER_SIZE_MAX), &mut tokio::io::sink()).await
        })
        .await;
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Guarded<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.refused.is_none() {
            let before = buffer.filled().len();
            ready!(Pin::new(&mut this.stream).poll_read(cx, buffer))?;
            let read = buffer.filled().get(before..).unwrap_or_default();
            let Err(refused) = this.framing.advance(read) else { return Poll::Ready(Ok(())) };
            this.refused = Some(refused.fault);
            // Where the head comes in the same piece, hyper is not even shown that.
            if refused.in_content && refused.passed == 0 {
                this.activity.cut();
            }
            buffer.set_filled(before + refused.passed);
            if refused.passed > 0 {
                return Poll::Ready(Ok(()));
            }
        }
        // An end of input in the middle of a response would make hyper drop it.
        if this.activity.has_answered(this.framing.request_count()) {
            Poll::Ready(Ok(()))
        } else {
            this.activity.await_answers(this.framing.request_count());
            Poll::Pending
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Guarded<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    /// After a refusal the end is left to [`Guarded::end`].
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.refused.is_some() {
            return Pin::new(&mut self.stream).poll_flush(cx);
        }
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
