//! Bytes over TLS as no client library would send them, and the frames of HTTP/2 by hand.

use super::site::{Protocol, Site};
use super::{DEADLINE, site_tcp};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::client::TlsStream;

/// A TLS connection to a site.
pub(crate) struct Raw {
    reader: ReadHalf<TlsStream<TcpStream>>,
    writer: WriteHalf<TlsStream<TcpStream>>,
}

/// All that came on a connection, and how it ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) received: Vec<u8>,
    /// Whether the end was announced (close_notify, RFC 8446 §6.1).
    pub(crate) is_announced: bool,
}

impl Site {
    /// Connects, and says nothing yet.
    pub(crate) async fn raw(&self, protocol: Protocol) -> Raw {
        let connected = timeout(DEADLINE, site_tcp::connect(self, protocol)).await.expect("in time");
        let (reader, writer) = tokio::io::split(connected.expect("connects"));
        Raw { reader, writer }
    }

    /// Whether a connection can be made.
    pub(crate) async fn accepts(&self, protocol: Protocol) -> bool {
        timeout(DEADLINE, site_tcp::connect(self, protocol)).await.expect("in time").is_ok()
    }
}

impl Raw {
    /// Sends; false once the other side has ended the connection.
    pub(crate) async fn send(&mut self, bytes: &[u8]) -> bool {
        let sent = async { self.writer.write_all(bytes).await.and(self.writer.flush().await) };
        matches!(timeout(DEADLINE, sent).await, Ok(Ok(())))
    }

    /// Reads so many bytes, or fewer if the connection ends before.
    pub(crate) async fn read(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        let mut size = 0;
        while size < count {
            match timeout(DEADLINE, self.reader.read(&mut bytes[size..])).await.expect("in time") {
                Ok(0) | Err(_) => break,
                Ok(more) => size += more,
            }
        }
        bytes.truncate(size);
        bytes
    }

    /// Reads frames of HTTP/2 until one of a kind has come: its payload. Fails where the connection ends before.
    pub(crate) async fn until_frame(&mut self, wanted: u8) -> Vec<u8> {
        loop {
            let head = self.read(9).await;
            let [a, b, c, kind, ..] = head[..] else {
                panic!("the connection ended before a frame {wanted}")
            };
            let payload = self.read(u32::from_be_bytes([0, a, b, c]) as usize).await;
            if kind == wanted {
                return payload;
            }
        }
    }

    /// Reads to the end of the connection.
    pub(crate) async fn end(mut self) -> Ended {
        let mut received = Vec::new();
        let ended = timeout(DEADLINE, self.reader.read_to_end(&mut received)).await.expect("in time");
        Ended { received, is_announced: ended.is_ok() }
    }

    /// Sends `piece` again and again, with pauses, until the other side ends the connection.
    pub(crate) async fn trickle(mut self, piece: &[u8], pause: Duration) {
        while self.send(piece).await {
            tokio::time::sleep(pause).await;
        }
    }

    /// Sends until all is sent or nobody takes it, reading meanwhile: the code of the GOAWAY that came, if one did, and the
    /// connection ended.
    pub(crate) async fn flood(self, frames: Vec<u8>) -> Option<u32> {
        let Self { mut reader, mut writer } = self;
        let sending = async move {
            let _ = writer.write_all(&frames).await;
            let _ = writer.flush().await;
            writer
        };
        let reading = async move {
            let mut received = Vec::new();
            let _ = reader.read_to_end(&mut received).await;
            received
        };
        // The writer is kept: closing it would end the connection from this side.
        let (_writer, received) =
            timeout(DEADLINE, async { tokio::join!(sending, reading) }).await.expect("an end in time");
        goaway(&received)
    }
}

/// What a client says first, with empty SETTINGS.
pub(crate) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

/// Types of frames (RFC 9113 §6).
pub(crate) mod kind {
    pub(crate) const DATA: u8 = 0;
    pub(crate) const HEADERS: u8 = 1;
    pub(crate) const PRIORITY: u8 = 2;
    pub(crate) const RST_STREAM: u8 = 3;
    pub(crate) const SETTINGS: u8 = 4;
    pub(crate) const PUSH_PROMISE: u8 = 5;
    pub(crate) const PING: u8 = 6;
    pub(crate) const GOAWAY: u8 = 7;
    pub(crate) const WINDOW_UPDATE: u8 = 8;
    pub(crate) const CONTINUATION: u8 = 9;
}

/// END_STREAM and END_HEADERS.
pub(crate) const WHOLE: u8 = 0b101;

/// RFC 9113 §4.1.
pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let size = u32::try_from(payload.len()).expect("a small payload").to_be_bytes();
    [&size[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// The field block of `GET path` (RFC 7541): indexed and literal fields, nothing remembered.
pub(crate) fn get(path: &str, host: &str) -> Vec<u8> {
    let literal = |index: u8, value: &str| {
        let size = u8::try_from(value.len()).ok().filter(|size| *size < 127).expect("a short value");
        [&[index, size], value.as_bytes()].concat()
    };
    [&[0x82, 0x87][..], &literal(0x04, path), &literal(0x01, host)].concat()
}

/// The code of the last GOAWAY among frames (RFC 9113 §6.8).
fn goaway(mut frames: &[u8]) -> Option<u32> {
    let mut code = None;
    while let [a, b, c, kind, _, _, _, _, _, rest @ ..] = frames {
        let size = u32::from_be_bytes([0, *a, *b, *c]) as usize;
        let payload = rest.get(..size)?;
        if *kind == kind::GOAWAY {
            code = payload.get(4..8).and_then(|code| code.try_into().ok()).map(u32::from_be_bytes);
        }
        frames = rest.get(size..)?;
    }
    code
}
