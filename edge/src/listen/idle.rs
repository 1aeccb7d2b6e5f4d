//! When a TCP connection ends for want of activity, and how it ends at a stop.
//!
//! hyper has no limit on the time that a server connection is idle. Here one timer for each connection is enough for all limits: it
//! looks at what the socket and the requests noted down, and nothing has to be re-armed for each request.
//!
//! - No request for the idle time: the connection is closed gracefully.
//! - A request whose response makes no way for the idle time (a client that does not read): the connection is dropped.
//! - A socket that is full and drains slower than the least pace: the connection is dropped.
//! - A head (HTTP/1.1), a preface or header block (HTTP/2) that has begun and is not complete in the time for a head: the connection
//!   is dropped.

use super::pace::Pace;
use super::quota::Flight;
use super::{Respond, Shared};
use crate::config::ListenLimits;
use crate::metrics::CutOff;
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::HttpService;
use std::error::Error;
use std::io::{self, IoSlice};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, sleep_until};

/// How long a connection that was told to end may take: HTTP/2 waits for a round trip, and a client that is gone never answers.
pub(super) const CLOSE_TIME_MAX: Duration = Duration::from_secs(2);

/// How often a connection that is to end is looked at while its socket is full.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Marks the absence of a number in an [`Activity`].
const NONE: u64 = u64::MAX;

/// What happens on one connection. Touched by one thread only; the atomics make it shareable between the tasks of that thread.
#[derive(Debug)]
pub(super) struct Activity {
    start: Instant,
    /// Requests without a finished response.
    busy: AtomicUsize,
    /// When a request began or ended, or bytes were sent: milliseconds since `start`.
    last_ms: AtomicU64,
    /// When bytes came while no request was under way; [`NONE`] if none did.
    head_ms: AtomicU64,
    /// HTTP/2: since when the client owes the rest of its preface or of a header block; or [`NONE`].
    block_ms: AtomicU64,
    pace: Pace,
    /// Until when what the socket has taken keeps the pace.
    paced_ms: AtomicU64,
    /// Whether the socket took nothing the last time.
    is_blocked: AtomicBool,
    /// Responses that were handed over.
    answered: AtomicU64,
    /// HTTP/1.1: how many responses are awaited before the input ends; or [`NONE`].
    awaited: AtomicU64,
    is_cut: AtomicBool,
    /// HTTP/2: what was last seen of the body of the stream whose turn it is.
    progress: AtomicU64,
}

/// What the body of a response did in a turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Progress {
    /// So many bytes were taken; 0 for the head.
    Taken(u64),
    /// It has nothing at hand; the client is not to blame.
    Awaits,
}

impl Activity {
    pub(super) fn new(pace: Pace) -> Self {
        Self {
            start: Instant::now(),
            busy: AtomicUsize::new(0),
            last_ms: AtomicU64::new(0),
            head_ms: AtomicU64::new(NONE),
            block_ms: AtomicU64::new(NONE),
            pace,
            paced_ms: AtomicU64::new(0),
            is_blocked: AtomicBool::new(false),
            answered: AtomicU64::new(0),
            awaited: AtomicU64::new(NONE),
            is_cut: AtomicBool::new(false),
            progress: AtomicU64::new(NONE),
        }
    }

    /// A request has begun; it ends when what is returned is dropped.
    pub(super) fn begin(this: &Arc<Self>) -> Busy {
        this.busy.fetch_add(1, Ordering::Relaxed);
        this.head_ms.store(NONE, Ordering::Relaxed);
        this.touch();
        Busy(Arc::clone(this))
    }

    /// Milliseconds since the connection began.
    pub(super) fn now_ms(&self) -> u64 {
        millis(self.start.elapsed())
    }

    fn touch(&self) {
        self.last_ms.store(self.now_ms(), Ordering::Relaxed);
    }

    fn received(&self) {
        if !self.is_busy() && self.head_ms.load(Ordering::Relaxed) == NONE {
            self.head_ms.store(self.now_ms(), Ordering::Relaxed);
        }
    }

    /// The socket has taken bytes.
    fn sent(&self, count: usize) {
        let now = self.now_ms();
        self.last_ms.store(now, Ordering::Relaxed);
        self.is_blocked.store(false, Ordering::Relaxed);
        let due = self.paced_ms.load(Ordering::Relaxed).max(now) + millis(self.pace.time_for(count as u64));
        self.paced_ms.store(due.min(now + millis(self.pace.time_for(NONE))), Ordering::Relaxed);
    }

    fn is_busy(&self) -> bool {
        self.busy.load(Ordering::Relaxed) > 0
    }

    fn is_blocked(&self) -> bool {
        self.is_blocked.load(Ordering::Relaxed)
    }

    /// HTTP/2: whether the client owes the rest of its preface or of a header block.
    pub(super) fn note_block(&self, is_unfinished: bool) {
        let was_unfinished = self.block_ms.load(Ordering::Relaxed) != NONE;
        if is_unfinished != was_unfinished {
            self.block_ms.store(if is_unfinished { self.now_ms() } else { NONE }, Ordering::Relaxed);
        }
    }

    /// HTTP/1.1: the content of the request under way is faulty, and the request is not to be answered.
    pub(super) fn cut(&self) {
        self.is_cut.store(true, Ordering::Relaxed);
    }

    /// Whether the request under way is not to be answered.
    pub(super) fn is_cut(&self) -> bool {
        self.is_cut.load(Ordering::Relaxed)
    }

    /// Whether so many responses were handed over, and the socket is free.
    pub(super) fn has_answered(&self, count: u64) -> bool {
        self.answered.load(Ordering::Relaxed) >= count && !self.is_blocked()
    }

    /// The input ends when so many responses were handed over; then the connection needs a turn more.
    pub(super) fn await_answers(&self, count: u64) {
        self.awaited.store(count, Ordering::Relaxed);
    }

    /// Whether the connection needs that turn, which it does once.
    fn takes_last_turn(&self) -> bool {
        let awaited = self.awaited.load(Ordering::Relaxed);
        let is_due = awaited != NONE && self.has_answered(awaited);
        if is_due {
            self.awaited.store(NONE, Ordering::Relaxed);
        }
        is_due
    }

    fn note(&self, progress: Progress) {
        let value = match progress {
            Progress::Taken(bytes) => bytes,
            Progress::Awaits => NONE - 1,
        };
        self.progress.store(value, Ordering::Relaxed);
    }

    /// What was noted since this was asked last.
    pub(super) fn take_progress(&self) -> Option<Progress> {
        let progress = self.progress.load(Ordering::Relaxed);
        self.progress.store(NONE, Ordering::Relaxed);
        match progress {
            NONE => None,
            value if value == NONE - 1 => Some(Progress::Awaits),
            bytes => Some(Progress::Taken(bytes)),
        }
    }

    fn after(&self, ms: u64, time: Duration) -> Instant {
        self.start + Duration::from_millis(ms) + time
    }

    fn idle_deadline(&self, idle_time_max: Duration) -> Instant {
        self.after(self.last_ms.load(Ordering::Relaxed), idle_time_max)
    }

    /// When patience ends if nothing happens until then, and with what.
    fn deadline(&self, heads: Heads, limits: &ListenLimits) -> (Instant, Ending) {
        let idle = (
            self.idle_deadline(limits.idle_time_max),
            if self.is_busy() { Ending::Slow } else { Ending::Idle },
        );
        let head_ms = match heads {
            Heads::BeginWithAnyByte if self.is_busy() => NONE,
            Heads::BeginWithAnyByte => self.head_ms.load(Ordering::Relaxed),
            Heads::AreBlocks => self.block_ms.load(Ordering::Relaxed),
        };
        let head = (head_ms != NONE).then(|| (self.after(head_ms, limits.head_time_max), Ending::Head));
        // An unfinished head is no request, so idleness does not count beside it.
        let first = head.unwrap_or(idle);
        if !self.is_blocked() {
            return first;
        }
        let slow = (self.after(self.paced_ms.load(Ordering::Relaxed), self.pace.patience), Ending::Slow);
        // What hyper has taken from a body may be on its way for long: who takes it at the least pace is not idle.
        if slow.0 < first.0 || first.1 == Ending::Idle { slow } else { first }
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// What patience ends with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ending {
    /// Nothing is asked for.
    Idle,
    /// A head does not come to its end.
    Head,
    /// What was asked for is not taken.
    Slow,
}

/// A request under way.
#[derive(Debug)]
pub(super) struct Busy(Arc<Activity>);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.touch();
        self.0.answered.fetch_add(1, Ordering::Relaxed);
        self.0.busy.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The body of a response, which keeps its request under way, and says how it is taken.
#[derive(Debug)]
pub(super) struct BusyBody<B> {
    body: B,
    busy: Busy,
    /// None for a refusal, which holds next to nothing.
    _flight: Option<Flight>,
}

impl<B> BusyBody<B> {
    pub(super) fn new(body: B, busy: Busy, flight: Option<Flight>) -> Self {
        busy.0.note(Progress::Taken(0));
        Self { body, busy, _flight: flight }
    }
}

impl<B: Body<Data = Bytes> + Unpin> Body for BusyBody<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        self.busy.0.note(match &polled {
            Poll::Pending => Progress::Awaits,
            Poll::Ready(Some(Ok(frame))) => Progress::Taken(frame.data_ref().map_or(0, Bytes::len) as u64),
            Poll::Ready(_) => Progress::Taken(0),
        });
        polled
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

    fn note_written(&self, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        match written {
            Poll::Ready(Ok(count)) => self.activity.sent(count),
            Poll::Ready(Err(_)) => {}
            Poll::Pending => self.activity.is_blocked.store(true, Ordering::Relaxed),
        }
        written
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
        let written = Pin::new(&mut self.socket).poll_write(cx, bytes);
        self.note_written(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.socket).poll_write_vectored(cx, slices);
        self.note_written(written)
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

/// How a head that is under way is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Heads {
    /// HTTP/1.1: there is nothing else that bytes without a request could be.
    BeginWithAnyByte,
    /// HTTP/2: by what was noted of its frames.
    AreBlocks,
}

/// Who ended a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum EndedBy {
    /// Its protocol, well or not.
    Itself,
    /// We, without a word.
    Us,
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
    heads: Heads,
    shared: &Shared<R>,
) -> EndedBy {
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
                    note_error(&error, shared);
                }
                return Poll::Ready(EndedBy::Itself);
            }
            if activity.takes_last_turn() {
                continue;
            }
            if let Some(deadline) = closing {
                ready!(timer.as_mut().poll(cx));
                let now = Instant::now();
                // What hyper has taken from a body may still be on its way to a slow client.
                let is_sending = activity.is_busy() || activity.is_blocked();
                let quiet_until = activity.idle_deadline(CLOSE_TIME_MAX);
                if now >= deadline || !is_sending && now >= quiet_until {
                    return Poll::Ready(EndedBy::Us);
                }
                // Looked at again soon where the socket is full: nobody tells when it is not any more.
                let next = if activity.is_busy() { deadline } else { quiet_until.max(now + LOOK_EVERY) };
                timer.as_mut().reset(next.min(deadline));
                continue;
            }
            if stopping.as_mut().poll(cx).is_ready() {
                connection.as_mut().graceful_shutdown();
                let now = Instant::now();
                timer.as_mut().reset(now + CLOSE_TIME_MAX.min(shared.drain_time_max));
                closing = Some(now + shared.drain_time_max);
                continue;
            }
            let (deadline, ending) = activity.deadline(heads, limits);
            // Mostly the deadline has moved away since the timer was set; then the timer is left alone until it fires.
            if deadline < timer.deadline() {
                timer.as_mut().reset(deadline);
            }
            ready!(timer.as_mut().poll(cx));
            if Instant::now() < deadline {
                timer.as_mut().reset(deadline);
                continue;
            }
            match ending {
                Ending::Idle => {
                    shared.metrics.idle_closes.increment(1);
                    connection.as_mut().graceful_shutdown();
                    let deadline = Instant::now() + CLOSE_TIME_MAX;
                    timer.as_mut().reset(deadline);
                    closing = Some(deadline);
                }
                Ending::Head | Ending::Slow => {
                    tracing::debug!(?ending, "connection makes no way and is dropped");
                    shared.metrics.cut_off(if ending == Ending::Slow { CutOff::Slow } else { CutOff::Head });
                    return Poll::Ready(EndedBy::Us);
                }
            }
        }
    })
    .await
}

/// h2 ends a connection itself that is malformed, or that does too much of what it bounds, or of what [`super::frames`] does.
fn note_error<R>(error: &hyper::Error, shared: &Shared<R>) {
    tracing::debug!(%error, "connection ended early");
    let cause = error.source().and_then(|source| source.downcast_ref::<h2::Error>());
    match cause.filter(|cause| cause.is_go_away() && cause.is_library()).and_then(h2::Error::reason) {
        Some(h2::Reason::ENHANCE_YOUR_CALM) => shared.metrics.cut_off(CutOff::Flood),
        Some(_) => shared.metrics.cut_off(CutOff::Malformed),
        None => {}
    }
}
