//! HTTP/1.1 and HTTP/2 on a TLS connection: hyper's protocols around our handler.
//!
//! Of POST alone the handler gets a small body, for its signature. Any other small one is read to its end and dropped before the answer, because
//! some clients lose an answer that comes while they are still sending; of a large one the rest is left unread, and hyper ends the
//! connection (HTTP/1.1) or the stream (HTTP/2) as the protocol demands.

use super::gather::Gathered;
use super::idle::{Activity, BusyBody, HeadTimer, drive};
use super::{Respond, Shared};
use crate::serve::{Connection, RequestBody};
use ::http::header::EXPECT;
use ::http::{Method, Request, Response};
use bytes::{Bytes, BytesMut};
use http_body::Body;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::rt::Executor;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;
use tokio_util::task::TaskTracker;

/// The head of a request: enough for a signed URL and the cookies of an unlucky neighbour on the same host name.
pub(super) const HEAD_SIZE_MAX: u32 = 16 << 10;

/// What of a request's body is read before its end is given up.
pub(super) const REQUEST_BODY_SIZE_MAX: usize = 64 << 10;

/// What a client may send before we have read it. Requests have no body worth having, so this is the least that RFC 9113 §6.9.2
/// lets a client assume anyway.
const RECEIVE_WINDOW: u32 = 65_535;

/// What one HTTP/2 stream may hold unsent: a slice.
const SEND_BUFFER_SIZE_MAX: usize = 256 << 10;

/// Streams that we reset for a client's errors before the connection is closed; h2's default of 1024 lets a client go on for long.
const ERROR_RESET_COUNT_MAX: usize = 64;

/// Streams that a client reset before we saw them, waiting (CVE-2023-44487).
const PENDING_RESET_COUNT_MAX: usize = 20;

/// Serves HTTP/1.1 until the connection ends.
pub(super) async fn serve_http1<S, R>(
    stream: S,
    client: Connection,
    activity: Arc<Activity>,
    shared: &Arc<Shared<R>>,
) where
    S: AsyncRead + AsyncWrite + Unpin,
    R: Respond,
{
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        // The time for a head is kept by `drive`: hyper's timer is made anew for each request, and also runs while no head has begun.
        .header_read_timeout(None)
        .max_header_size(HEAD_SIZE_MAX as usize);
    let service = service_fn(|request| respond(request, &client, shared, &activity));
    let connection = builder.serve_connection(TokioIo::new(stream), service);
    drive(connection, &activity, HeadTimer::Runs, shared).await;
}

/// Serves HTTP/2 until the connection ends. Streams are tasks of `tasks`.
pub(super) async fn serve_http2<S, R>(
    stream: S,
    client: Connection,
    activity: Arc<Activity>,
    shared: &Arc<Shared<R>>,
    tasks: TaskTracker,
) where
    S: AsyncRead + AsyncWrite + Unpin,
    R: Respond,
{
    let mut builder = http2::Builder::new(TrackedExecutor(tasks));
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(shared.limits.stream_count_max)
        .initial_stream_window_size(RECEIVE_WINDOW)
        .initial_connection_window_size(RECEIVE_WINDOW)
        .adaptive_window(false)
        .max_send_buf_size(SEND_BUFFER_SIZE_MAX)
        .max_local_error_reset_streams(ERROR_RESET_COUNT_MAX)
        .max_pending_accept_reset_streams(PENDING_RESET_COUNT_MAX)
        .max_header_list_size(HEAD_SIZE_MAX);
    let service = {
        let client = Arc::new(client);
        let shared = Arc::clone(shared);
        let activity = Arc::clone(&activity);
        service_fn(move |request| {
            let client = Arc::clone(&client);
            let shared = Arc::clone(&shared);
            let activity = Arc::clone(&activity);
            async move { respond(request, &client, &shared, &activity).await }
        })
    };
    let connection =
        Gathered::new(stream).turns(|stream| builder.serve_connection(TokioIo::new(stream), service));
    drive(connection, &activity, HeadTimer::Off, shared).await;
}

async fn respond<R: Respond>(
    request: Request<Incoming>,
    client: &Connection,
    shared: &Shared<R>,
    activity: &Arc<Activity>,
) -> Result<Response<BusyBody<R::Body>>, Infallible> {
    let busy = Activity::begin(activity);
    let (mut head, body) = request.into_parts();
    if !body.is_end_stream() {
        let is_kept = head.method == Method::POST;
        // RFC 9110 §10.1.1: who expects to be asked before sending is answered without.
        let read = match head.headers.contains_key(EXPECT) {
            true => None,
            false => timeout(shared.limits.head_time_max, read(body, is_kept)).await.ok().flatten(),
        };
        if is_kept {
            head.extensions.insert(read.map_or(RequestBody::Unread, RequestBody::Whole));
        }
    }
    let response = shared.site.respond(&head, client).await;
    Ok(response.map(|body| BusyBody::new(body, busy)))
}

/// Reads a body to its end, or to the most that is read of one: then, and where it breaks off, it is `None`. What is not kept is empty.
async fn read(mut body: Incoming, is_kept: bool) -> Option<Bytes> {
    let (mut size, mut kept) = (0, BytesMut::new());
    while size <= REQUEST_BODY_SIZE_MAX {
        let Some(frame) = body.frame().await else { return Some(kept.freeze()) };
        if let Some(data) = frame.ok()?.data_ref() {
            size += data.len();
            if is_kept {
                kept.extend_from_slice(data);
            }
        }
    }
    None
}

/// Spawns the streams of HTTP/2 so that a stop can wait for them.
#[derive(Debug, Clone)]
struct TrackedExecutor(TaskTracker);

impl<F> Executor<F> for TrackedExecutor
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, future: F) {
        self.0.spawn(future);
    }
}
