//! What h3 needs of a QUIC connection, over quinn.
//!
//! Unlike the published glue, it lets the sending half of a request's stream be taken out again once h3 has sent the head: the body
//! then goes to quinn without being copied, and its acknowledgement can be awaited.

use bytes::{Buf, Bytes};
use futures_util::future::BoxFuture;
use futures_util::stream::{BoxStream, unfold};
use h3::error::Code;
use h3::quic::{self, ConnectionErrorIncoming, StreamErrorIncoming, StreamId, WriteBuf};
use quinn::{ConnectionError, ReadError, VarInt, WriteError};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

/// A piece of a request, which is mostly smaller.
const READ_SIZE: usize = 2048;

type Accepting<T> = BoxStream<'static, Result<T, ConnectionError>>;

/// A connection as h3 sees it. It opens no bidirectional stream, as a server has no use for one.
pub(super) struct Connection {
    opener: Opener,
    bidi: Accepting<(quinn::SendStream, quinn::RecvStream)>,
    uni: Accepting<quinn::RecvStream>,
    newest: Newest,
}

/// Where to find the sending half of the stream that was accepted last.
#[derive(Clone, Default)]
pub(super) struct Newest(Arc<Mutex<Option<Sender>>>);

/// The sending half of a stream, until it is taken out.
#[derive(Clone)]
pub(super) struct Sender(Arc<Mutex<Option<quinn::SendStream>>>);

impl Newest {
    /// The sender of the stream of which h3 has just said that it is accepted.
    pub(super) fn take(&self) -> Option<Sender> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Sender {
    fn new(stream: quinn::SendStream) -> Self {
        Self(Arc::new(Mutex::new(Some(stream))))
    }

    /// Takes the stream away from h3, which fails from then on if it wants to send more.
    pub(super) fn take(&self) -> Option<quinn::SendStream> {
        self.with(Option::take)
    }

    fn with<T>(&self, act: impl FnOnce(&mut Option<quinn::SendStream>) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Connection {
    pub(super) fn new(connection: quinn::Connection) -> (Self, Newest) {
        let newest = Newest::default();
        let bidi =
            unfold(connection.clone(), async |connection| Some((connection.accept_bi().await, connection)));
        let uni =
            unfold(connection.clone(), async |connection| Some((connection.accept_uni().await, connection)));
        let opener = Opener { connection, opening: None };
        let this = Self { opener, bidi: Box::pin(bidi), uni: Box::pin(uni), newest: newest.clone() };
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
        poll_accepted(&mut self.uni, cx).map_ok(RecvStream)
    }

    fn poll_accept_bidi(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<BidiStream, ConnectionErrorIncoming>> {
        let (send, recv) = ready!(poll_accepted(&mut self.bidi, cx))?;
        let send = SendStream::new(send);
        *self.newest.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(send.stream.clone());
        Poll::Ready(Ok(BidiStream { send, recv: RecvStream(recv) }))
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
pub(super) struct RecvStream(quinn::RecvStream);

impl quic::RecvStream for RecvStream {
    type Buf = Bytes;

    fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, StreamErrorIncoming>> {
        let mut buffer = [0; READ_SIZE];
        let count = ready!(self.0.poll_read(cx, &mut buffer)).map_err(read_error)?;
        Poll::Ready(Ok(buffer.get(..count).filter(|read| !read.is_empty()).map(Bytes::copy_from_slice)))
    }

    fn stop_sending(&mut self, code: u64) {
        // Already at its end: then there is nothing to stop.
        let _ = self.0.stop(varint(code));
    }

    fn recv_id(&self) -> StreamId {
        stream_id(self.0.id())
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
