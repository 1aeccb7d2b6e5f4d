//! What h3 needs of a QUIC connection, over quinn.
//!
//! Unlike the published glue, it lets the sending half of a request's stream be taken out again once h3 has sent the head: the body
//! then goes to quinn without being copied, and its acknowledgement can be awaited. And it looks at frames before h3 does
//! ([`crate::listen::h3_frames`]), which would gather any of them whole.

use super::police::Police;
use crate::listen::h3_frames::{Excess, Frames};
use bytes::{Buf, Bytes};
use futures_util::future::BoxFuture;
use futures_util::stream::{BoxStream, unfold};
use h3::error::Code;
use h3::quic::{self, ConnectionErrorIncoming, StreamErrorIncoming, StreamId, WriteBuf};
use quinn::{ConnectionError, ReadError, VarInt, WriteError};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

/// A piece of a request, which is mostly smaller.
const READ_SIZE: usize = 2048;

/// Unidirectional streams that every client has: control, and QPACK's two (RFC 9114 §6.2). Any more cost credit.
const UNI_STREAM_COUNT: usize = 3;
const UNI_STREAM_COST: u64 = 8;

type Accepting<T> = BoxStream<'static, Result<T, ConnectionError>>;

/// A connection as h3 sees it. It opens no bidirectional stream, as a server has no use for one.
pub(super) struct Connection {
    opener: Opener,
    bidi: Accepting<(quinn::SendStream, quinn::RecvStream)>,
    uni: Accepting<quinn::RecvStream>,
    uni_count: usize,
    newest: Newest,
    police: Arc<Police>,
    head_size_max: usize,
}

/// Where to find the sending half of the stream that was accepted last.
#[derive(Clone, Default)]
pub(super) struct Newest(Arc<Mutex<Option<Sender>>>);

/// The sending half of a stream, until it is taken out.
#[derive(Clone)]
pub(super) struct Sender(Arc<Sending>);

struct Sending {
    stream: Mutex<Option<quinn::SendStream>>,
    has_large_head: AtomicBool,
    has_malformed_head: AtomicBool,
    empty_data_count: AtomicU64,
}

impl Newest {
    /// The sender of the stream of which h3 has just said that it is accepted.
    pub(super) fn take(&self) -> Option<Sender> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Sender {
    fn new(stream: quinn::SendStream) -> Self {
        Self(Arc::new(Sending {
            stream: Mutex::new(Some(stream)),
            has_large_head: AtomicBool::new(false),
            has_malformed_head: AtomicBool::new(false),
            empty_data_count: AtomicU64::new(0),
        }))
    }

    /// How many empty DATA frames of the request have come. h3 takes each for the end of the content.
    pub(super) fn empty_data_count(&self) -> u64 {
        self.0.empty_data_count.load(Ordering::Relaxed)
    }

    /// Whether nothing came of the request because its head, or what comes after its content, is larger than the bound.
    pub(super) fn has_large_head(&self) -> bool {
        self.0.has_large_head.load(Ordering::Relaxed)
    }

    /// Whether the head is malformed in a way that h3 does not see.
    pub(super) fn has_malformed_head(&self) -> bool {
        self.0.has_malformed_head.load(Ordering::Relaxed)
    }

    /// Takes the stream away from h3, which fails from then on if it wants to send more.
    pub(super) fn take(&self) -> Option<quinn::SendStream> {
        self.with(Option::take)
    }

    fn with<T>(&self, act: impl FnOnce(&mut Option<quinn::SendStream>) -> T) -> T {
        act(&mut self.0.stream.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Connection {
    pub(super) fn new(
        connection: quinn::Connection,
        police: Arc<Police>,
        head_size_max: usize,
    ) -> (Self, Newest) {
        let newest = Newest::default();
        let bidi =
            unfold(connection.clone(), async |connection| Some((connection.accept_bi().await, connection)));
        let uni =
            unfold(connection.clone(), async |connection| Some((connection.accept_uni().await, connection)));
        let opener = Opener { connection, opening: None };
        let this = Self {
            opener,
            bidi: Box::pin(bidi),
            uni: Box::pin(uni),
            uni_count: 0,
            newest: newest.clone(),
            police,
            head_size_max,
        };
        (this, newest)
    }
}

fn poll_accepted<T>(
    accepting: &mut Accepting<T>,
    cx: &mut Context<'_>,
) -> Poll<Result<T, ConnectionErrorIncoming>> {
    let accepted = ready!(accepting.as_mut().poll_next(cx));
    Poll::Ready(accepted.unwrap_or(Err(ConnectionError::LocallyClosed)).map_err(connection_error))
}

impl quic::Connection<Bytes> for Connection {
    type RecvStream = RecvStream;
    type OpenStreams = Opener;

    fn poll_accept_recv(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<RecvStream, ConnectionErrorIncoming>> {
        let stream = ready!(poll_accepted(&mut self.uni, cx))?;
        self.uni_count += 1;
        if self.uni_count > UNI_STREAM_COUNT {
            self.police.spend(UNI_STREAM_COST);
        }
        Poll::Ready(Ok(RecvStream {
            stream,
            frames: Frames::of_unidirectional(),
            police: Arc::clone(&self.police),
            sender: None,
        }))
    }

    fn poll_accept_bidi(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<BidiStream, ConnectionErrorIncoming>> {
        let (send, recv) = ready!(poll_accepted(&mut self.bidi, cx))?;
        let send = SendStream::new(send);
        *self.newest.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(send.stream.clone());
        let recv = RecvStream {
            stream: recv,
            frames: Frames::of_request(self.head_size_max),
            police: Arc::clone(&self.police),
            sender: Some(send.stream.clone()),
        };
        Poll::Ready(Ok(BidiStream { send, recv }))
    }

    fn opener(&self) -> Opener {
        Opener { connection: self.opener.connection.clone(), opening: None }
    }
}

impl quic::OpenStreams<Bytes> for Connection {
    type BidiStream = BidiStream;
    type SendStream = SendStream;

    fn poll_open_bidi(&mut self, cx: &mut Context<'_>) -> Poll<Result<BidiStream, StreamErrorIncoming>> {
        self.opener.poll_open_bidi(cx)
    }

    fn poll_open_send(&mut self, cx: &mut Context<'_>) -> Poll<Result<SendStream, StreamErrorIncoming>> {
        self.opener.poll_open_send(cx)
    }

    fn close(&mut self, code: Code, reason: &[u8]) {
        self.opener.close(code, reason);
    }
}

/// Opens the streams of the server: control, and QPACK's two.
pub(super) struct Opener {
    connection: quinn::Connection,
    opening: Option<BoxFuture<'static, Result<quinn::SendStream, ConnectionError>>>,
}

impl quic::OpenStreams<Bytes> for Opener {
    type BidiStream = BidiStream;
    type SendStream = SendStream;

    fn poll_open_bidi(&mut self, _: &mut Context<'_>) -> Poll<Result<BidiStream, StreamErrorIncoming>> {
        // RFC 9114 §6.1: a server opens none.
        Poll::Ready(Err(StreamErrorIncoming::Unknown("a server opens no bidirectional stream".into())))
    }

    fn poll_open_send(&mut self, cx: &mut Context<'_>) -> Poll<Result<SendStream, StreamErrorIncoming>> {
        let connection = &self.connection;
        let opening = self.opening.get_or_insert_with(|| {
            let connection = connection.clone();
            Box::pin(async move { connection.open_uni().await })
        });
        let opened = ready!(opening.as_mut().poll(cx));
        self.opening = None;
        Poll::Ready(opened.map(SendStream::new).map_err(lost))
    }

    fn close(&mut self, code: Code, reason: &[u8]) {
        self.connection.close(varint(code.value()), reason);
    }
}

/// A stream to the client.
pub(super) struct SendStream {
    id: StreamId,
    stream: Sender,
    writing: Option<WriteBuf<Bytes>>,
}

impl SendStream {
    fn new(stream: quinn::SendStream) -> Self {
        let id = stream_id(stream.id());
        Self { id, stream: Sender::new(stream), writing: None }
    }
}

impl quic::SendStream<Bytes> for SendStream {
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), StreamErrorIncoming>> {
        let Some(buffer) = &mut self.writing else { return Poll::Ready(Ok(())) };
        let written = self.stream.with(|stream| {
            let stream = stream.as_mut().ok_or_else(taken)?;
            while buffer.has_remaining() {
                let Poll::Ready(count) = Pin::new(&mut *stream).poll_write(cx, buffer.chunk()) else {
                    return Ok(Poll::Pending);
                };
                buffer.advance(count.map_err(write_error)?);
            }
            Ok(Poll::Ready(()))
        });
        match written {
            Ok(Poll::Pending) => return Poll::Pending,
            Ok(Poll::Ready(())) => self.writing = None,
            Err(error) => return Poll::Ready(Err(error)),
        }
        Poll::Ready(Ok(()))
    }

    fn send_data<T: Into<WriteBuf<Bytes>>>(&mut self, data: T) -> Result<(), StreamErrorIncoming> {
        if self.writing.is_some() {
            return Err(StreamErrorIncoming::Unknown("the last data is not yet written".into()));
        }
        self.writing = Some(data.into());
        Ok(())
    }

    fn poll_finish(&mut self, _: &mut Context<'_>) -> Poll<Result<(), StreamErrorIncoming>> {
        Poll::Ready(self.stream.with(|stream| {
            let finished = stream.as_mut().ok_or_else(taken)?.finish();
            finished.map_err(|error| StreamErrorIncoming::Unknown(Box::new(error)))
        }))
    }

    fn reset(&mut self, code: u64) {
        // Already finished or reset, or no longer h3's: then there is nothing to reset.
        let _ = self.stream.with(|stream| stream.as_mut().map(|stream| stream.reset(varint(code))));
    }

    fn send_id(&self) -> StreamId {
        self.id
    }
}

/// A stream from the client.
pub(super) struct RecvStream {
    stream: quinn::RecvStream,
    frames: Frames,
    police: Arc<Police>,
    /// Of a request: where the other half is.
    sender: Option<Sender>,
}

impl RecvStream {
    /// Lets h3 see what came only if the frames that it belongs to are worth gathering.
    fn pass(&mut self, bytes: &[u8]) -> Result<(), StreamErrorIncoming> {
        match (self.frames.advance(bytes), &self.sender) {
            (Ok(cost), sender) => {
                if let Some(sender) = sender {
                    sender.0.empty_data_count.store(self.frames.empty_data_count(), Ordering::Relaxed);
                    sender.0.has_malformed_head.store(self.frames.has_malformed_head(), Ordering::Relaxed);
                }
                match self.police.spend(cost) {
                    true => Ok(()),
                    false => Err(lost(ConnectionError::LocallyClosed)),
                }
            }
            (Err(Excess::Head), Some(sender)) => {
                sender.0.has_large_head.store(true, Ordering::Relaxed);
                // RFC 9114 §4.1: the answer says all, and the rest is not wanted. An error says that it has come already.
                let _ = self.stream.stop(varint(Code::H3_NO_ERROR.value()));
                Err(StreamErrorIncoming::Unknown("a head past the bound".into()))
            }
            (Err(Excess::Push), _) => {
                self.police.refuse(Code::H3_STREAM_CREATION_ERROR);
                Err(lost(ConnectionError::LocallyClosed))
            }
            (Err(Excess::Head | Excess::Frame), _) => {
                self.police.end();
                Err(lost(ConnectionError::LocallyClosed))
            }
        }
    }
}

impl quic::RecvStream for RecvStream {
    type Buf = Bytes;

    fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, StreamErrorIncoming>> {
        let mut buffer = [0; READ_SIZE];
        let count = ready!(self.stream.poll_read(cx, &mut buffer)).map_err(read_error)?;
        let Some(read) = buffer.get(..count).filter(|read| !read.is_empty()) else {
            return Poll::Ready(Ok(None));
        };
        self.pass(read)?;
        Poll::Ready(Ok(Some(Bytes::copy_from_slice(read))))
    }

    fn stop_sending(&mut self, code: u64) {
        // Already at its end: then there is nothing to stop.
        let _ = self.stream.stop(varint(code));
    }

    fn recv_id(&self) -> StreamId {
        stream_id(self.stream.id())
    }
}

/// The stream of a request.
pub(super) struct BidiStream {
    send: SendStream,
    recv: RecvStream,
}

impl quic::SendStream<Bytes> for BidiStream {
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), StreamErrorIncoming>> {
        self.send.poll_ready(cx)
    }

    fn send_data<T: Into<WriteBuf<Bytes>>>(&mut self, data: T) -> Result<(), StreamErrorIncoming> {
        self.send.send_data(data)
    }

    fn poll_finish(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), StreamErrorIncoming>> {
        self.send.poll_finish(cx)
    }

    fn reset(&mut self, code: u64) {
        self.send.reset(code);
    }

    fn send_id(&self) -> StreamId {
        self.send.send_id()
    }
}

impl quic::RecvStream for BidiStream {
    type Buf = Bytes;

    fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, StreamErrorIncoming>> {
        self.recv.poll_data(cx)
    }

    fn stop_sending(&mut self, code: u64) {
        self.recv.stop_sending(code);
    }

    fn recv_id(&self) -> StreamId {
        self.recv.recv_id()
    }
}

/// A code that is no varint is nobody's; the largest stands for it.
pub(super) fn varint(code: u64) -> VarInt {
    VarInt::from_u64(code).unwrap_or(VarInt::MAX)
}

fn stream_id(id: quinn::StreamId) -> StreamId {
    StreamId::try_from(u64::from(VarInt::from(id)))
        .expect("the id of an open stream is a varint, which is all that is asked")
}

fn taken() -> StreamErrorIncoming {
    StreamErrorIncoming::Unknown("the stream was taken out to send the body".into())
}

fn lost(error: ConnectionError) -> StreamErrorIncoming {
    StreamErrorIncoming::ConnectionErrorIncoming { connection_error: connection_error(error) }
}

fn connection_error(error: ConnectionError) -> ConnectionErrorIncoming {
    match error {
        ConnectionError::ApplicationClosed(close) => {
            ConnectionErrorIncoming::ApplicationClose { error_code: close.error_code.into() }
        }
        ConnectionError::TimedOut => ConnectionErrorIncoming::Timeout,
        ConnectionError::VersionMismatch
        | ConnectionError::TransportError(_)
        | ConnectionError::ConnectionClosed(_)
        | ConnectionError::Reset
        | ConnectionError::LocallyClosed
        | ConnectionError::CidsExhausted => ConnectionErrorIncoming::Undefined(Arc::new(error)),
    }
}

fn read_error(error: ReadError) -> StreamErrorIncoming {
    match error {
        ReadError::Reset(code) => StreamErrorIncoming::StreamTerminated { error_code: code.into_inner() },
        ReadError::ConnectionLost(error) => lost(error),
        ReadError::ClosedStream | ReadError::IllegalOrderedRead | ReadError::ZeroRttRejected => {
            StreamErrorIncoming::Unknown(Box::new(error))
        }
    }
}

fn write_error(error: WriteError) -> StreamErrorIncoming {
    match error {
        WriteError::Stopped(code) => StreamErrorIncoming::StreamTerminated { error_code: code.into_inner() },
        WriteError::ConnectionLost(error) => lost(error),
        WriteError::ClosedStream | WriteError::ZeroRttRejected => {
            StreamErrorIncoming::Unknown(Box::new(error))
        }
    }
}
