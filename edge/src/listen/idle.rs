//! When a TCP connection ends for want of activity, and how it ends at a stop.
//!
//! hyper has no limit on the time that a server connection is idle. Here one timer for each connection is enough for all limits: it
//! looks at what the socket and the requests noted down, and nothing has to be re-armed for each request.
//!
//! - No request for the idle time: the connection is closed gracefully.
//! - A request whose response makes no way for the idle time (a client that does not read): the connection is dropped.
//! - A head (HTTP/1.1) that has begun and is not complete in the time for a head: the connection is dropped.

use super::{Respond, Shared};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::HttpService;
use std::error::Error;
use std::io::{self, IoSlice};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, sleep_until};

/// How long a connection that was told to end may take: HTTP/2 waits for a round trip, and a client that is gone never answers.
const CLOSE_TIME_MAX: Duration = Duration::from_secs(2);

/// What happens on one connection. Touched by one thread only; the atomics make it shareable between the tasks of that thread.
#[derive(Debug)]
pub(super) struct Activity {
    start: Instant,
    /// Requests without a finished response.
    busy: AtomicUsize,
    /// When a request began or ended, or bytes were sent: milliseconds since `start`.
    last_ms: AtomicU64,
    /// When bytes came while no request was under way, plus 1; 0 if none did.
    head_ms: AtomicU64,
}

impl Activity {
    pub(super) fn new() -> Self {
        Self {
            start: Instant::now(),
            busy: AtomicUsize::new(0),
            last_ms: AtomicU64::new(0),
            head_ms: AtomicU64::new(0),
        }
    }

    /// A request has begun; it ends when what is returned is dropped.
    pub(super) fn begin(this: &Arc<Self>) -> Busy {
        this.busy.fetch_add(1, Ordering::Relaxed);
        this.head_ms.store(0, Ordering::Relaxed);
        this.touch();
        Busy(Arc::clone(this))
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn touch(&self) {
        self.last_ms.store(self.now_ms(), Ordering::Relaxed);
    }

    fn received(&self) {
        if !self.is_busy() && self.head_ms.load(Ordering::Relaxed) == 0 {
            self.head_ms.store(self.now_ms().saturating_add(1), Ordering::Relaxed);
        }
    }

    fn is_busy(&self) -> bool {
        self.busy.load(Ordering::Relaxed) > 0
    }

    /// Whether a head has begun and is not complete.
    fn is_in_head(&self) -> bool {
        !self.is_busy() && self.head_ms.load(Ordering::Relaxed) > 0
    }

    fn idle_deadline(&self, idle_time_max: Duration) -> Instant {
        self.start + Duration::from_millis(self.last_ms.load(Ordering::Relaxed)) + idle_time_max
    }

    fn head_deadline(&self, head_time_max: Duration) -> Instant {
        self.start + Duration::from_millis(self.head_ms.load(Ordering::Relaxed)) + head_time_max
    }
}

/// A request under way.
#[derive(Debug)]
pub(super) struct Busy(Arc<Activity>);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.touch();
        self.0.busy.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The body of a response, which keeps its request under way.
#[derive(Debug)]
pub(super) struct BusyBody<B> {
    body: B,
    _busy: Busy,
}

impl<B> BusyBody<B> {
    pub(super) fn new(body: B, busy: Busy) -> Self {
        Self { body, _busy: busy }
    }
}

impl<B: Body + Unpin> Body for BusyBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A socket that notes down what moves.
#[derive(Debug)]
pub(super) struct Watched<S> {
    socket: S,
    activity: Arc<Activity>,
}

impl<S> Watched<S> {
    pub(super) fn new(socket: S, activity: Arc<Activity>) -> Self {
        Self { socket, activity }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.socket).poll_read(cx, buffer))?;
        if buffer.filled().len() > before {
            self.activity.received();
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let count = ready!(Pin::new(&mut self.socket).poll_write(cx, bytes))?;
        self.activity.touch();
        Poll::Ready(Ok(count))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let count = ready!(Pin::new(&mut self.socket).poll_write_vectored(cx, slices))?;
        self.activity.touch();
        Poll::Ready(Ok(count))
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}

/// Whether bytes without a request mean that a head has begun: in HTTP/1.1 they do, in HTTP/2 they may be anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum HeadTimer {
    Runs,
    Off,
}

/// What hyper's two kinds of connection have in common.
pub(super) trait Graceful: Future<Output = hyper::Result<()>> {
    fn graceful_shutdown(self: Pin<&mut Self>);
}

impl<I, B, S> Graceful for http1::Connection<I, S>
where
    S: HttpService<Incoming, ResBody = B>,
    S::Error: Into<Box<dyn Error + Send + Sync>>,
    I: hyper::rt::Read + hyper::rt::Write + Unpin,
    B: Body + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    fn graceful_shutdown(self: Pin<&mut Self>) {
        Self::graceful_shutdown(self);
    }
}

impl<I, B, S, E> Graceful for http2::Connection<I, S, E>
where
    S: HttpService<Incoming, ResBody = B>,
    S::Error: Into<Box<dyn Error + Send + Sync>>,
    I: hyper::rt::Read + hyper::rt::Write + Unpin,
    B: Body + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
    E: hyper::rt::bounds::Http2ServerConnExec<S::Future, B>,
{
    fn graceful_shutdown(self: Pin<&mut Self>) {
        Self::graceful_shutdown(self);
    }
}

/// Runs a connection to its end: its own, that of the patience with it, or that of the edge.
pub(super) async fn drive<C: Graceful, R: Respond>(
    connection: C,
    activity: &Activity,
    head_timer: HeadTimer,
    shared: &Shared<R>,
) {
    let limits = &shared.limits;
    let mut connection = pin!(connection);
    let mut stopping = pin!(shared.stop.cancelled());
    let mut timer = pin!(sleep_until(activity.idle_deadline(limits.idle_time_max)));
    // Once the connection was told to end: until when a response under way may go on.
    let mut closing = None;
    std::future::poll_fn(|cx| {
        loop {
            if let Poll::Ready(result) = connection.as_mut().poll(cx) {
                if let Err(error) = result {
                    tracing::debug!(%error, "connection ended early");
                }
                return Poll::Ready(());
            }
            if let Some(deadline) = closing {
                ready!(timer.as_mut().poll(cx));
                let now = Instant::now();
                // What hyper has taken from a body may still be on its way to a slow client.
                let sent_until = activity.idle_deadline(CLOSE_TIME_MAX);
                if now >= deadline || !activity.is_busy() && now >= sent_until {
                    return Poll::Ready(());
                }
                timer.as_mut().reset(if activity.is_busy() { deadline } else { sent_until.min(deadline) });
                continue;
            }
            if stopping.as_mut().poll(cx).is_ready() {
                connection.as_mut().graceful_shutdown();
                let now = Instant::now();
                timer.as_mut().reset(now + CLOSE_TIME_MAX.min(shared.drain_time_max));
                closing = Some(now + shared.drain_time_max);
                continue;
            }
            let is_in_head = head_timer == HeadTimer::Runs && activity.is_in_head();
            let deadline = if is_in_head {
                activity.head_deadline(limits.head_time_max)
            } else {
                activity.idle_deadline(limits.idle_time_max)
            };
            // Mostly the deadline has moved away since the timer was set; then the timer is left alone until it fires.
            if deadline < timer.deadline() {
                timer.as_mut().reset(deadline);
            }
            ready!(timer.as_mut().poll(cx));
            if Instant::now() < deadline {
                timer.as_mut().reset(deadline);
                continue;
            }
            if is_in_head || activity.is_busy() {
                tracing::debug!(is_in_head, "connection makes no way and is dropped");
                return Poll::Ready(());
            }
            connection.as_mut().graceful_shutdown();
            let deadline = Instant::now() + CLOSE_TIME_MAX;
            timer.as_mut().reset(deadline);
            closing = Some(deadline);
        }
    })
    .await;
}
