//! HTTP/3 on a QUIC connection: h3's protocol around our handler.
//!
//! A request's body is read to its end and dropped before the answer. Otherwise the stream's end would tell the client to stop
//! sending, which some clients count as a failed request, even when they had sent everything.

use super::http::HEAD_SIZE_MAX;
use super::{Respond, Shared};
use crate::serve::Protocol;
use ::http::Response;
use ::http::header::{CONTENT_LENGTH, DATE, HeaderValue};
use ::http::request::Parts;
use bytes::{Buf, Bytes};
use h3::error::Code;
use h3::server::{RequestResolver, RequestStream};
use http_body::Body;
use http_body_util::BodyExt;
use quinn::VarInt;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

/// What of a request's body is read before the client is told to stop.
const REQUEST_BODY_SIZE_MAX: usize = 64 << 10;

/// How long a connection that was told to end may take: a client that is quick ends it itself.
const CLOSE_TIME_MAX: Duration = Duration::from_secs(2);

type Connection = h3::server::Connection<h3_quinn::Connection, Bytes>;
type Resolver = RequestResolver<h3_quinn::Connection, Bytes>;
type Stream = RequestStream<h3_quinn::BidiStream<Bytes>, Bytes>;

/// The code of a connection that ends without a fault (RFC 9114 §8.1).
pub(super) fn no_error() -> VarInt {
    VarInt::from_u32(0x0100)
}

/// Serves HTTP/3 until the connection ends.
pub(super) async fn serve<R: Respond>(connection: quinn::Connection, shared: &Arc<Shared<R>>) {
    let mut builder = h3::server::builder();
    builder.max_field_section_size(HEAD_SIZE_MAX.into()).send_grease(false);
    // Waits until the client lets us open our control streams.
    let built =
        timeout(shared.limits.handshake_time_max, builder.build(h3_quinn::Connection::new(connection)));
    match built.await {
        Ok(Ok(connection)) => run(connection, shared).await,
        Ok(Err(error)) => tracing::debug!(%error, "HTTP/3 connection ended before its first request"),
        Err(_) => tracing::debug!("HTTP/3 client did not let us open our control streams in time"),
    }
}

/// Accepts requests; each is a task of its own, which ends with the connection.
async fn run<R: Respond>(mut connection: Connection, shared: &Arc<Shared<R>>) {
    let mut requests = JoinSet::new();
    let mut stopping = pin!(shared.stop.cancelled());
    let mut timer = pin!(sleep(shared.limits.idle_time_max));
    let mut is_closing = false;
    loop {
        let is_idle = requests.is_empty();
        tokio::select! {
            accepted = connection.accept() => match accepted {
                Ok(Some(resolver)) => {
                    requests.spawn(answer(resolver, Arc::clone(shared)));
                }
                Ok(None) => return,
                Err(error) => {
                    if !error.is_h3_no_error() {
                        tracing::debug!(%error, "HTTP/3 connection ended early");
                    }
                    return;
                }
            },
            Some(_) = requests.join_next(), if !is_idle => {
                if requests.is_empty() && shared.stop.is_cancelled() && is_closing {
                    return;
                }
                if requests.is_empty() && !is_closing {
                    timer.as_mut().reset(Instant::now() + shared.limits.idle_time_max);
                }
            }
            () = &mut stopping, if !is_closing => {
                if connection.shutdown(0).await.is_err() || is_idle {
                    return;
                }
                is_closing = true;
                timer.as_mut().reset(Instant::now() + shared.drain_time_max);
            }
            () = &mut timer, if is_closing || is_idle => {
                if is_closing || connection.shutdown(0).await.is_err() {
                    return;
                }
                is_closing = true;
                timer.as_mut().reset(Instant::now() + CLOSE_TIME_MAX);
            }
        }
    }
}

async fn answer<R: Respond>(resolver: Resolver, shared: Arc<Shared<R>>) {
    // A malformed head is h3's to answer. A client that dawdles has its stream ended by the drop.
    let Ok(Some((head, stream))) = timeout(shared.limits.head_time_max, receive(resolver)).await else {
        return;
    };
    let response = shared.site.respond(&head, Protocol::Http3).await;
    send(stream, response).await;
}

/// Receives the head, and drops the body.
async fn receive(resolver: Resolver) -> Option<(Parts, Stream)> {
    let (request, mut stream) = match resolver.resolve_request().await {
        Ok(received) => received,
        Err(error) => {
            tracing::debug!(%error, "HTTP/3 request cannot be read");
            return None;
        }
    };
    let (head, ()) = request.into_parts();
    let mut size = 0;
    while let Some(data) = stream.recv_data().await.ok()? {
        size += data.remaining();
        if size > REQUEST_BODY_SIZE_MAX {
            stream.stop_sending(Code::H3_NO_ERROR);
            break;
        }
    }
    Some((head, stream))
}

async fn send<B>(mut stream: Stream, response: Response<B>)
where
    B: Body<Data = Bytes, Error: std::error::Error> + Unpin,
{
    let (mut head, mut body) = response.into_parts();
    if let Some(size) = body.size_hint().exact().filter(|_| !body.is_end_stream()) {
        head.headers.entry(CONTENT_LENGTH).or_insert_with(|| HeaderValue::from(size));
    }
    head.headers.entry(DATE).or_insert_with(|| date(SystemTime::now()));
    if stream.send_response(Response::from_parts(head, ())).await.is_err() {
        return;
    }
    while let Some(frame) = body.frame().await {
        match frame.map(http_body::Frame::into_data) {
            Ok(Ok(data)) => {
                if stream.send_data(data).await.is_err() {
                    return;
                }
            }
            // Trailers: nothing here has any.
            Ok(Err(_)) => {}
            Err(error) => {
                tracing::debug!(%error, "HTTP/3 response cut off");
                stream.stop_stream(Code::H3_INTERNAL_ERROR);
                return;
            }
        }
    }
    if let Err(error) = stream.finish().await {
        tracing::debug!(%error, "HTTP/3 client left before the end of its response");
    }
}

/// RFC 9110 §6.6.1.
fn date(now: SystemTime) -> HeaderValue {
    let text = httpdate::fmt_http_date(now);
    HeaderValue::try_from(text).unwrap_or_else(|_| HeaderValue::from_static(""))
}
