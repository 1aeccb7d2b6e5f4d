//! HTTP/3 on a QUIC connection: h3's protocol around our handler.
//!
//! A request's body is read to its end before the answer, and dropped but that of POST. Otherwise the stream's end would tell the client to stop
//! sending, which some clients count as a failed request, even when they had sent everything.
//!
//! h3 sends the head of a response. Its body goes straight to quinn, so that no byte of it is copied before it is encrypted.

mod police;
mod transport;

use super::quota::{Flight, Slot};
use super::{Client, Respond, Shared};
use crate::config::ListenLimits;
use crate::metrics::CutOff;
use crate::serve::{self, Protocol, RequestBody};
use ::http::Response;
use ::http::header::{
    CONNECTION, CONTENT_LENGTH, DATE, EXPECT, HeaderMap, HeaderName, HeaderValue, TE, TRANSFER_ENCODING,
    UPGRADE,
};
use ::http::request::Parts;
use bytes::{Buf, BufMut, Bytes, BytesMut};
use h3::error::Code;
use h3::server::{RequestResolver, RequestStream};
use http_body::Body;
use http_body_util::BodyExt;
use police::Police;
use quinn::VarInt;
use quinn::crypto::rustls::HandshakeData;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use transport::{Newest, Sender};

/// How long a connection that was told to end may take: a client that is quick ends it itself.
const CLOSE_TIME_MAX: Duration = Duration::from_secs(2);

/// What a request costs that came to nothing because of the client, as of the credit of HTTP/2's frames: bursts of 256 are well above
/// what a page that is left or a film that is searched takes back.
const GIVEN_UP_COST: u64 = 16;

/// GOAWAY names the first request that is not served (RFC 9114 §5.2); h3 counts from the last one that is.
const NEXT_REQUEST: usize = 1;

type Connection = h3::server::Connection<transport::Connection, Bytes>;
type Resolver = RequestResolver<transport::Connection, Bytes>;
type Stream = RequestStream<transport::BidiStream, Bytes>;

/// The code of a connection that ends without a fault (RFC 9114 §8.1).
pub(super) fn no_error() -> VarInt {
    VarInt::from_u32(0x0100)
}

/// Serves HTTP/3 until the connection ends.
pub(super) async fn serve<R: Respond>(
    connection: quinn::Connection,
    slot: Arc<Slot>,
    shared: &Arc<Shared<R>>,
) {
    let mut builder = h3::server::builder();
    let head_size_max = shared.limits.head_size_max;
    // Our own bound comes first, and is counted.
    builder.max_field_section_size(super::decoder_bound(head_size_max).into()).send_grease(false);
    let client = Arc::new(Client { connection: client(&connection), slot });
    let credit_max = shared.limits.frame_credit_max;
    let police = Arc::new(Police::new(connection.clone(), credit_max, Arc::clone(&shared.metrics)));
    // Waits until the client lets us open our control streams.
    let (connection, newest) = transport::Connection::new(connection, Arc::clone(&police), head_size_max);
    match timeout(shared.limits.handshake_time_max, builder.build(connection)).await {
        Ok(Ok(connection)) => run(connection, &police, newest, &client, shared).await,
        Ok(Err(error)) => tracing::debug!(%error, "HTTP/3 connection ended before its first request"),
        Err(_) => tracing::debug!("HTTP/3 client did not let us open our control streams in time"),
    }
}

fn client(connection: &quinn::Connection) -> serve::Connection {
    let handshake = connection.handshake_data().and_then(|data| data.downcast::<HandshakeData>().ok());
    serve::Connection {
        protocol: Protocol::Http3,
        sni: handshake.and_then(|handshake| handshake.server_name).map(Arc::from),
        peer: connection.remote_address().ip().to_canonical(),
    }
}

/// Accepts requests; each is a task of its own, which ends with the connection.
async fn run<R: Respond>(
    mut connection: Connection,
    police: &Arc<Police>,
    newest: Newest,
    client: &Arc<Client>,
    shared: &Arc<Shared<R>>,
) {
    let mut requests = JoinSet::new();
    let mut stopping = pin!(shared.stop.cancelled());
    let mut timer = pin!(sleep(shared.limits.idle_time_max));
    let mut look = pin!(sleep_until(police.look()));
    let mut is_closing = false;
    loop {
        let is_idle = requests.is_empty();
        tokio::select! {
            accepted = connection.accept() => match accepted {
                Ok(Some(resolver)) => {
                    if let Some(sender) = newest.take() {
                        let police = Arc::clone(police);
                        requests.spawn(answer(resolver, sender, police, Arc::clone(client), Arc::clone(shared)));
                    }
                }
                Ok(None) => return,
                Err(error) => {
                    if !error.is_h3_no_error() {
                        tracing::debug!(%error, "HTTP/3 connection ended early");
                    }
                    return;
                }
            },
            Some(ended) = requests.join_next(), if !is_idle => {
                if matches!(ended, Ok(Ended::GivenUp)) && !police.spend(GIVEN_UP_COST) {
                    return;
                }
                if requests.is_empty() && is_closing {
                    return;
                }
                if requests.is_empty() {
                    timer.as_mut().reset(Instant::now() + shared.limits.idle_time_max);
                }
            }
            () = &mut look => look.as_mut().reset(police.look()),
            () = &mut stopping, if !is_closing => {
                if !say_goodbye(&mut connection).await || is_idle {
                    return;
                }
                is_closing = true;
                timer.as_mut().reset(Instant::now() + shared.drain_time_max);
            }
            () = &mut timer, if is_closing || is_idle => {
                if is_closing {
                    return;
                }
                shared.metrics.idle_closes.increment(1);
                if !say_goodbye(&mut connection).await {
                    return;
                }
                is_closing = true;
                timer.as_mut().reset(Instant::now() + CLOSE_TIME_MAX);
            }
        }
    }
}

/// Sends GOAWAY. False where the connection is lost, or the client gives its control stream no room for it.
async fn say_goodbye(connection: &mut Connection) -> bool {
    matches!(timeout(CLOSE_TIME_MAX, connection.shutdown(NEXT_REQUEST)).await, Ok(Ok(())))
}

/// How a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ended {
    /// It has its answer.
    Answered,
    /// The client took it back, or did not bring it to its end.
    GivenUp,
    /// The answer broke off, or was not taken in time.
    CutOff,
}

async fn answer<R: Respond>(
    resolver: Resolver,
    sender: Sender,
    police: Arc<Police>,
    client: Arc<Client>,
    shared: Arc<Shared<R>>,
) -> Ended {
    let limits = &shared.limits;
    let (head, mut stream, admitted) = match receive(resolver, &sender, &client, &shared).await {
        Ok(received) => received,
        Err(_) if sender.has_large_head() => return refuse_large_head(&sender, &shared).await,
        // h3 has said what was wrong with it.
        Err(Unreceived::Broken) => return Ended::GivenUp,
        Err(Unreceived::Malformed) => {
            shared.metrics.cut_off(CutOff::Malformed);
            if let Some(mut sender) = sender.take() {
                let _ = sender.reset(transport::varint(Code::H3_MESSAGE_ERROR.value()));
            }
            return Ended::GivenUp;
        }
        Err(Unreceived::Slow) => {
            shared.metrics.cut_off(CutOff::Head);
            // Dropped, it would look like an answer without a head.
            if let Some(mut sender) = sender.take() {
                let _ = sender.reset(transport::varint(Code::H3_REQUEST_INCOMPLETE.value()));
            }
            return Ended::GivenUp;
        }
    };
    police.earn_request();
    let (response, _flight) = match admitted {
        Ok(flight) => client.answer(&head, flight, &shared).await,
        Err(refusal) => (refusal, None),
    };
    let (mut head, body) = response.into_parts();
    if let Some(size) = body.size_hint().exact().filter(|_| !body.is_end_stream()) {
        head.headers.entry(CONTENT_LENGTH).or_insert_with(|| HeaderValue::from(size));
    }
    head.headers.entry(DATE).or_insert_with(|| date(SystemTime::now()));
    let sent = stream.send_response(Response::from_parts(head, ()));
    let sent = timeout(limits.pace().time_after(0), sent).await;
    let Some(mut sender) = sender.take() else { return Ended::CutOff };
    let sent = match sent {
        Ok(Ok(())) => send_body(&mut sender, body, limits).await,
        Ok(Err(error)) => {
            tracing::debug!(%error, "HTTP/3 client left before the head of its response");
            return Ended::GivenUp;
        }
        Err(_) => Err(SendError::Slow),
    };
    let Err(error) = sent else { return Ended::Answered };
    tracing::debug!(%error, "HTTP/3 response cut off");
    // Lost with the connection, or stopped by the client: then there is nothing to reset.
    let _ = sender.reset(transport::varint(Code::H3_INTERNAL_ERROR.value()));
    match error {
        SendError::Write(_) => Ended::GivenUp,
        SendError::Body(_) => Ended::CutOff,
        SendError::Slow => {
            shared.metrics.cut_off(CutOff::Slow);
            Ended::CutOff
        }
    }
}

/// Answers a request whose head was not even gathered with 431 (RFC 6585 §5), of the static table alone (RFC 9204 §4.5.4).
async fn refuse_large_head<R: Respond>(sender: &Sender, shared: &Shared<R>) -> Ended {
    const HEADERS_431: &[u8] = &[1, 8, 0, 0, 0x5f, 9, 3, b'4', b'3', b'1'];
    shared.metrics.cut_off(CutOff::HeadTooLarge);
    let Some(mut sender) = sender.take() else { return Ended::CutOff };
    let written = timeout(shared.limits.pace().time_after(0), sender.write_all(HEADERS_431)).await;
    if matches!(written, Ok(Ok(()))) {
        let _ = sender.finish();
    } else {
        let _ = sender.reset(transport::varint(Code::H3_EXCESSIVE_LOAD.value()));
    }
    Ended::GivenUp
}

/// Why no request came of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unreceived {
    /// It is none, or was taken back.
    Broken,
    /// It breaks a rule of RFC 9114 §4.1.2 that h3 does not look at.
    Malformed,
    /// Its head did not come in time.
    Slow,
}

/// A request, and whether it was admitted.
type Received<B> = (Parts, Stream, Result<Flight, Response<B>>);

/// Receives the head, admits the request, and receives the body, if it is small and comes in time.
async fn receive<R: Respond>(
    resolver: Resolver,
    sender: &Sender,
    client: &Client,
    shared: &Shared<R>,
) -> Result<Received<R::Body>, Unreceived> {
    let time_max = shared.limits.head_time_max;
    let (request, mut stream) = match timeout(time_max, resolver.resolve_request()).await {
        Ok(Ok(received)) => received,
        Ok(Err(error)) => {
            tracing::debug!(%error, "HTTP/3 request cannot be read");
            return Err(Unreceived::Broken);
        }
        Err(_) => return Err(Unreceived::Slow),
    };
    let (mut head, ()) = request.into_parts();
    if sender.has_malformed_head() || !fields_may_come(&head.headers) {
        return Err(Unreceived::Malformed);
    }
    let declared = declared_size(&head.headers)?;
    let mut admitted = client.admit(&head, shared);
    let is_kept = shared.site.wants_body(&head);
    // RFC 9110 §10.1.1: who expects to be asked before sending is asked only for what the answer depends on; there is no other way to
    // ask here than to wait.
    let read = match (&mut admitted, head.headers.contains_key(EXPECT) && !is_kept) {
        (Err(_), _) | (_, true) => None,
        (Ok(flight), false) => {
            let kept = is_kept.then_some(flight);
            match timeout(time_max, read(&mut stream, sender, declared, kept, shared)).await {
                Ok(read) => read?,
                Err(_) => None,
            }
        }
    };
    if read.is_none() {
        // RFC 9114 §4.1: the answer does not depend on the rest.
        stream.stop_sending(Code::H3_NO_ERROR);
    }
    if is_kept {
        head.extensions.insert(read.map_or(RequestBody::Unread, RequestBody::Whole));
    }
    Ok((head, stream, admitted))
}

/// Whether a request has no field that is of a connection (RFC 9114 §4.2).
fn fields_may_come(fields: &HeaderMap) -> bool {
    const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
    const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");
    let of_connection = [CONNECTION, KEEP_ALIVE, PROXY_CONNECTION, TRANSFER_ENCODING, UPGRADE];
    !of_connection.iter().any(|name| fields.contains_key(name))
        && fields.get_all(TE).iter().all(|value| value.as_bytes().eq_ignore_ascii_case(b"trailers"))
}

/// What `Content-Length` says (RFC 9110 §8.6): one number, or the same one again.
fn declared_size(fields: &HeaderMap) -> Result<Option<u64>, Unreceived> {
    let mut declared = None;
    for value in fields.get_all(CONTENT_LENGTH) {
        let digits = value.as_bytes().iter().all(u8::is_ascii_digit);
        let size = value.to_str().ok().filter(|_| digits).and_then(|value| value.parse().ok());
        let size: u64 = size.ok_or(Unreceived::Malformed)?;
        if declared.is_some_and(|declared| declared != size) {
            return Err(Unreceived::Malformed);
        }
        declared = Some(size);
    }
    Ok(declared)
}

/// Reads a body to its end, which is where its head says; `None` where it is larger than what is read of one. Without a flight to
/// count its bytes it is not kept, and empty.
async fn read<R>(
    stream: &mut Stream,
    sender: &Sender,
    declared: Option<u64>,
    mut flight: Option<&mut Flight>,
    shared: &Shared<R>,
) -> Result<Option<Bytes>, Unreceived> {
    let (mut size, mut kept, mut empty_count) = (0, BytesMut::new(), 0);
    loop {
        let Some(data) = stream.recv_data().await.map_err(|_| Unreceived::Broken)? else {
            empty_count += 1;
            match empty_count > sender.empty_data_count() {
                true if declared.is_some_and(|declared| declared != size as u64) => {
                    return Err(Unreceived::Malformed);
                }
                true => return Ok(Some(kept.freeze())),
                // An empty frame, and no end (RFC 9114 §7.2.1).
                false => continue,
            }
        };
        size += data.remaining();
        // RFC 9114 §4.1.2.
        if declared.is_some_and(|declared| declared < size as u64) {
            return Err(Unreceived::Malformed);
        }
        if size > shared.limits.body_size_max {
            shared.metrics.cut_off(CutOff::BodyTooLarge);
            return Ok(None);
        }
        if let Some(flight) = &mut flight {
            if flight.hold(data.remaining() as u64).is_none() {
                return Ok(None);
            }
            kept.put(data);
        }
    }
}

/// Why a body did not reach its end.
#[derive(Debug, thiserror::Error)]
enum SendError {
    #[error("the body broke off: {0}")]
    Body(String),
    #[error(transparent)]
    Write(#[from] quinn::WriteError),
    #[error("the client takes data too slowly")]
    Slow,
}

/// Sends a body in DATA frames, and waits until the client has it all, so that ending the connection then loses nothing.
async fn send_body<B>(
    stream: &mut quinn::SendStream,
    mut body: B,
    limits: &ListenLimits,
) -> Result<(), SendError>
where
    B: Body<Data = Bytes, Error: std::error::Error> + Unpin,
{
    while !body.is_end_stream() {
        let Some(frame) = body.frame().await else { break };
        // Trailers are no data; nothing here has any.
        let Ok(data) = frame.map_err(|error| SendError::Body(error.to_string()))?.into_data() else {
            continue;
        };
        let time_max = limits.pace().time_after(data.len() as u64).min(limits.idle_time_max);
        let mut chunks = [data_frame_head(data.len()), data];
        let written = timeout(time_max, stream.write_all_chunks(&mut chunks)).await;
        written.map_err(|_| SendError::Slow)??;
    }
    // An error says that the stream is closed already; what follows says how.
    let _ = stream.finish();
    // Either all is acknowledged, or the client wants no more, or is gone; or it is slow, and quinn goes on without us.
    let _ = timeout(limits.idle_time_max, stream.stopped()).await;
    Ok(())
}

/// Type and length of a DATA frame (RFC 9114 §7.2.1), the length as the longest varint that a body can need (RFC 9000 §16).
fn data_frame_head(size: usize) -> Bytes {
    const DATA: u8 = 0;
    const VARINT_OF_8_BYTES: u64 = 0b11 << 62;
    let [a, b, c, d, e, f, g, h] = (VARINT_OF_8_BYTES | size as u64).to_be_bytes();
    Bytes::copy_from_slice(&[DATA, a, b, c, d, e, f, g, h])
}

/// RFC 9110 §6.6.1.
fn date(now: SystemTime) -> HeaderValue {
    let text = httpdate::fmt_http_date(now);
    HeaderValue::try_from(text).unwrap_or_else(|_| HeaderValue::from_static(""))
}
