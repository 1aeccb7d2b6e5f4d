//! HTTP/1.1 and HTTP/2 on a TLS connection: hyper's protocols around our handler.
//!
//! Where its answer depends on it, the handler gets a small body, for its signature. Any other small one is read to its end and dropped before the answer, because
//! some clients lose an answer that comes while they are still sending; of a large one the rest is left unread, and hyper ends the
//! connection (HTTP/1.1) or the stream (HTTP/2) as the protocol demands.

use super::framing::HeadLimits;
use super::gather::Gathered;
use super::guard::Guarded;
use super::idle::{Activity, BusyBody, EndedBy, Heads, Progress, drive};
use super::pace::Pace;
use super::policed::Policed;
use super::quota::Flight;
use super::{Client, Respond, Shared};
use crate::metrics::{CutOff, Metrics};
use crate::serve::RequestBody;
use ::http::header::EXPECT;
use ::http::{Request, Response};
use bytes::{Bytes, BytesMut};
use http_body::Body;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::rt::Executor;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use pin_project_lite::pin_project;
use std::borrow::Borrow;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, Sleep, sleep_until, timeout};
use tokio_util::task::TaskTracker;

/// What a client may send before we have read it. Requests have no body worth having, so this is the least that RFC 9113 §6.9.2
/// lets a client assume anyway.
const RECEIVE_WINDOW: u32 = 65_535;

/// What one HTTP/2 stream may hold unsent: a slice.
const SEND_BUFFER_SIZE_MAX: usize = 256 << 10;

/// Streams that we reset for a client's errors before the connection is closed; h2's default of 1024 lets a client go on for long.
const ERROR_RESET_COUNT_MAX: usize = 64;

/// Streams that a client reset before we saw them, waiting (CVE-2023-44487).
const PENDING_RESET_COUNT_MAX: usize = 20;

/// A request whose content is faulty, and which therefore gets no answer but the guard's.
#[derive(Debug, thiserror::Error)]
#[error("the content of the request is faulty")]
struct FaultyContent;

/// Serves HTTP/1.1 until the connection ends.
pub(super) async fn serve_http1<S, R>(
    stream: S,
    client: Client,
    activity: Arc<Activity>,
    shared: &Arc<Shared<R>>,
) where
    S: AsyncRead + AsyncWrite + Unpin,
    R: Respond,
{
    let limits = &shared.limits;
    let head_limits =
        HeadLimits { target_size_max: limits.target_size_max, head_size_max: limits.head_size_max };
    let mut stream = Guarded::new(stream, head_limits, Arc::clone(&activity));
    let asker = Asker { client, shared: Arc::clone(shared), activity: Arc::clone(&activity) };
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        // The time for a head is kept by `drive`: hyper's timer is made anew for each request, and also runs while no head has begun.
        .header_read_timeout(None)
        // The guard has the say.
        .max_header_size(limits.head_size_max.saturating_mul(2));
    let service = service_fn(|request| respond(request, &asker));
    let connection = builder.serve_connection(TokioIo::new(&mut stream), service);
    if drive(connection, &activity, Heads::BeginWithAnyByte, shared).await == EndedBy::Itself {
        stream.end(&shared.metrics).await;
    }
}

/// Serves HTTP/2 until the connection ends. Streams are tasks of `tasks`.
pub(super) async fn serve_http2<S, R>(
    stream: S,
    client: Client,
    activity: Arc<Activity>,
    shared: &Arc<Shared<R>>,
    tasks: TaskTracker,
) where
    S: AsyncRead + AsyncWrite + Unpin,
    R: Respond,
{
    let limits = &shared.limits;
    let streams = Streams {
        tasks,
        activity: Arc::clone(&activity),
        pace: limits.pace(),
        metrics: Arc::clone(&shared.metrics),
    };
    let executor = PacedExecutor(Arc::new(streams));
    let mut builder = http2::Builder::new(executor);
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits.stream_count_max)
        .initial_stream_window_size(RECEIVE_WINDOW)
        .initial_connection_window_size(RECEIVE_WINDOW)
        .adaptive_window(false)
        .max_send_buf_size(SEND_BUFFER_SIZE_MAX)
        .max_local_error_reset_streams(ERROR_RESET_COUNT_MAX)
        .max_pending_accept_reset_streams(PENDING_RESET_COUNT_MAX)
        // Our own bound comes first, and is counted; past this one h2 answers with 431 itself (RFC 6585 §5).
        .max_header_list_size(super::decoder_bound(limits.head_size_max));
    let asker = Asker { client, shared: Arc::clone(shared), activity: Arc::clone(&activity) };
    let asker = Arc::new(asker);
    let service = service_fn(move |request| respond(request, Arc::clone(&asker)));
    let metrics = Arc::clone(&shared.metrics);
    let stream = Policed::new(stream, limits.frame_credit_max, Arc::clone(&activity), metrics);
    let connection =
        Gathered::new(stream).turns(|stream| builder.serve_connection(TokioIo::new(stream), service));
    drive(connection, &activity, Heads::AreBlocks, shared).await;
}

/// Who asks on a connection, and who answers.
struct Asker<R> {
    client: Client,
    shared: Arc<Shared<R>>,
    activity: Arc<Activity>,
}

/// Answers one request.
///
/// Not an `async fn`: that would hold the request beside its parts, and a stream of HTTP/2 is moved several times before it is polled.
fn respond<R: Respond>(
    request: Request<Incoming>,
    asker: impl Borrow<Asker<R>>,
) -> impl Future<Output = Result<Response<BusyBody<R::Body>>, FaultyContent>> {
    let busy = Activity::begin(&asker.borrow().activity);
    let (mut head, body) = request.into_parts();
    async move {
        let Asker { client, shared, activity } = asker.borrow();
        let mut flight = match client.admit(&head, shared) {
            Ok(flight) => flight,
            Err(refusal) => return Ok(refusal.map(|body| BusyBody::new(body, busy, None))),
        };
        if !body.is_end_stream() {
            let is_kept = shared.site.wants_body(&head);
            // RFC 9110 §10.1.1: who expects to be asked before sending is asked only for what the answer depends on.
            let read = match head.headers.contains_key(EXPECT) && !is_kept {
                true => None,
                // Boxed, so that the future of a request without content is small.
                false => {
                    let kept = is_kept.then_some(&mut flight);
                    Box::pin(timeout(shared.limits.head_time_max, read(body, kept, shared)))
                        .await
                        .ok()
                        .flatten()
                }
            };
            if activity.is_cut() {
                return Err(FaultyContent);
            }
            if is_kept {
                head.extensions.insert(read.map_or(RequestBody::Unread, RequestBody::Whole));
            }
        }
        let (response, flight) = client.answer(&head, flight, shared).await;
        Ok(response.map(|body| BusyBody::new(body, busy, flight)))
    }
}

/// Reads a body to its end, or to the most that is read of one: then, and where it breaks off, it is `None`. Without a flight to count
/// its bytes it is not kept, and empty.
async fn read<R>(mut body: Incoming, mut flight: Option<&mut Flight>, shared: &Shared<R>) -> Option<Bytes> {
    let (mut size, mut kept) = (0, BytesMut::new());
    while size <= shared.limits.body_size_max {
        let Some(frame) = body.frame().await else { return Some(kept.freeze()) };
        if let Some(data) = frame.ok()?.data_ref() {
            size += data.len();
            if let Some(flight) = &mut flight {
                flight.hold(data.len() as u64)?;
                kept.extend_from_slice(data);
            }
        }
    }
    shared.metrics.cut_off(CutOff::BodyTooLarge);
    None
}

/// Spawns the streams of HTTP/2 so that a stop can wait for them, and ends those that a client takes too slowly.
#[derive(Debug, Clone)]
struct PacedExecutor(Arc<Streams>);

/// What the streams of a connection share, behind one count that no other thread touches.
#[derive(Debug)]
struct Streams {
    tasks: TaskTracker,
    activity: Arc<Activity>,
    pace: Pace,
    metrics: Arc<Metrics>,
}

impl<F> Executor<F> for PacedExecutor
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, stream: F) {
        let streams = Arc::clone(&self.0);
        self.0.tasks.spawn(PacedStream { stream, streams, timer: None, deadline: None });
    }
}

pin_project! {
    /// Runs a stream to its end, or to the end of the patience with it. Of the windows of HTTP/2 we see that the body of a response is
    /// asked for again, which is why whose turn it is matters: all streams of a connection are tasks of one thread.
    ///
    /// Not an `async` block, which would hold the stream twice: a task is moved when it is spawned, and most live for one poll.
    struct PacedStream<F> {
        #[pin]
        stream: F,
        streams: Arc<Streams>,
        // Made for those streams alone that do not end at once.
        timer: Option<Pin<Box<Sleep>>>,
        deadline: Option<Instant>,
    }
}

impl<F: Future<Output = ()>> Future for PacedStream<F> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.project();
        let Streams { activity, pace, metrics, .. } = &**this.streams;
        activity.take_progress();
        if this.stream.poll(cx).is_ready() {
            return Poll::Ready(());
        }
        match activity.take_progress() {
            Some(Progress::Taken(bytes)) => *this.deadline = Some(Instant::now() + pace.time_after(bytes)),
            Some(Progress::Awaits) => *this.deadline = None,
            None => {}
        }
        let Some(deadline) = *this.deadline else { return Poll::Pending };
        let timer = this.timer.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        if timer.as_mut().poll(cx).is_ready() {
            if Instant::now() >= deadline {
                // Its stream is reset by the drop.
                metrics.cut_off(CutOff::Slow);
                return Poll::Ready(());
            }
            timer.as_mut().reset(deadline);
            // Registers the timer; a deadline that has passed since wakes the task at once.
            if timer.as_mut().poll(cx).is_ready() {
                cx.waker().wake_by_ref();
            }
        }
        Poll::Pending
    }
}
