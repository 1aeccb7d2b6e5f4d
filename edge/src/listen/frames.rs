//! The frames of an HTTP/2 connection, counted as they come, so that no flood of them is worked through.
//!
//! h2 bounds what a client can make it *hold*; what a client can make it *do* is bounded here. Every frame that is no request costs
//! credit by the work that it makes; requests and the bytes that are sent earn some, as does time. So a client that gives back its
//! windows in the smallest steps during a large download never runs out, and a flood of SETTINGS, PING, RST_STREAM (CVE-2023-44487),
//! PRIORITY, WINDOW_UPDATE, empty DATA or unknown frames does at once (RFC 9113 §10.5). Then [`Policed`] lets the frame end, and shows
//! h2 a header block without end in place of what follows, to which it answers with GOAWAY, ENHANCE_YOUR_CALM, and closes.
//!
//! The bytes are looked at where h2 reads them, nine for each frame, and not copied.

use super::credit::Credit;
use super::idle::Activity;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// RFC 9113 §3.4: what a client says first.
const PREFACE_SIZE: usize = 24;

/// RFC 9113 §4.1.
const HEADER_SIZE: usize = 9;

/// So many bytes sent earn one credit: two updates of windows for each KiB that a client reads.
const BYTES_PER_CREDIT: u64 = 512;

/// What a request earns: the priority or update that often comes with it.
const REQUEST_CREDIT: u64 = 2;

/// RFC 9113 §6 and 7540 §6.3.
mod kind {
    pub(super) const DATA: u8 = 0;
    pub(super) const HEADERS: u8 = 1;
    pub(super) const PRIORITY: u8 = 2;
    pub(super) const RST_STREAM: u8 = 3;
    pub(super) const SETTINGS: u8 = 4;
    pub(super) const PING: u8 = 6;
    pub(super) const WINDOW_UPDATE: u8 = 8;
    pub(super) const CONTINUATION: u8 = 9;
}

const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

/// HEADERS that are not the end of their block, on the last of all streams.
const ENDLESS_HEADERS: [u8; HEADER_SIZE] = [0, 0, 0, kind::HEADERS, 0, 0x7f, 0xff, 0xff, 0xff];
const ENDLESS_CONTINUATION: [u8; HEADER_SIZE] = [0, 0, 0, kind::CONTINUATION, 0, 0x7f, 0xff, 0xff, 0xff];

/// Follows the frames of one connection.
#[derive(Debug)]
struct Frames {
    part: Part,
    credit: Credit,
    /// Bytes sent that have not earned anything yet.
    sent: u64,
    is_in_block: bool,
    /// Credit ran out in the frame under way.
    is_over: bool,
}

/// What comes next.
#[derive(Debug)]
enum Part {
    Preface { left: usize },
    Header { bytes: [u8; HEADER_SIZE], size: usize },
    Payload { left: usize },
}

impl Part {
    const NEXT_HEADER: Self = Self::Header { bytes: [0; HEADER_SIZE], size: 0 };
}

impl Frames {
    fn new(credit_max: u64) -> Self {
        Self {
            part: Part::Preface { left: PREFACE_SIZE },
            credit: Credit::new(credit_max),
            sent: 0,
            is_in_block: false,
            is_over: false,
        }
    }

    /// Whether the client owes the rest of its preface, or of a header block.
    fn is_in_head(&self) -> bool {
        self.is_in_block || matches!(self.part, Part::Preface { .. })
    }

    /// Follows the next bytes. Once credit has run out: how many of them are left to the end of the frame that was too much.
    fn advance(&mut self, bytes: &[u8]) -> Option<usize> {
        let mut rest = bytes;
        loop {
            if self.is_over && matches!(self.part, Part::Header { size: 0, .. }) {
                return Some(bytes.len() - rest.len());
            }
            if rest.is_empty() {
                return None;
            }
            let taken = self.step(rest);
            rest = rest.get(taken..).unwrap_or_default();
        }
    }

    fn step(&mut self, bytes: &[u8]) -> usize {
        match &mut self.part {
            Part::Preface { left } | Part::Payload { left } => {
                let taken = bytes.len().min(*left);
                *left -= taken;
                if *left == 0 {
                    self.part = Part::NEXT_HEADER;
                }
                taken
            }
            Part::Header { bytes: header, size } => {
                let taken = bytes.len().min(HEADER_SIZE - *size);
                for (to, from) in header.iter_mut().skip(*size).zip(bytes) {
                    *to = *from;
                }
                *size += taken;
                if *size == HEADER_SIZE {
                    let header = *header;
                    self.begin(header);
                }
                taken
            }
        }
    }

    fn begin(&mut self, [a, b, c, kind, flags, ..]: [u8; HEADER_SIZE]) {
        let left = usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c);
        if matches!(kind, kind::HEADERS | kind::CONTINUATION) {
            self.is_in_block = flags & END_HEADERS == 0;
        }
        if kind == kind::HEADERS {
            self.credit.earn(REQUEST_CREDIT);
        }
        if !self.credit.spend(cost(kind, flags, left)) {
            self.is_over = true;
        }
        self.part = if left == 0 { Part::NEXT_HEADER } else { Part::Payload { left } };
    }

    fn note_sent(&mut self, count: usize) {
        self.sent += count as u64;
        self.credit.earn(self.sent / BYTES_PER_CREDIT);
        self.sent %= BYTES_PER_CREDIT;
    }
}

/// What a frame costs, roughly by the work that it makes for us.
fn cost(kind: u8, flags: u8, size: usize) -> u64 {
    match kind {
        // The end of some content, which comes once for each request; content is bounded by windows, unless it is empty.
        kind::DATA if size == 0 && flags & END_STREAM != 0 => 0,
        // Requests are bounded by the count of streams.
        kind::HEADERS => 0,
        kind::DATA | kind::PRIORITY | kind::WINDOW_UPDATE | kind::CONTINUATION => 1,
        // An answer.
        kind::PING => 4,
        // A response that was begun for nothing.
        kind::RST_STREAM => 8,
        // An answer, and windows of all streams to change.
        kind::SETTINGS => 8,
        _ => 2,
    }
}

/// A stream whose frames are counted.
#[derive(Debug)]
pub(super) struct Policed<S> {
    stream: S,
    frames: Frames,
    activity: Arc<Activity>,
    /// How much was shown in place of what the client sends, once it is not listened to any more.
    shown: Option<usize>,
}

impl<S> Policed<S> {
    /// What is not a request costs credit, of which there is so much at first and at most.
    pub(super) fn new(stream: S, credit_max: u64, activity: Arc<Activity>) -> Self {
        let frames = Frames::new(credit_max);
        activity.note_block(frames.is_in_head());
        Self { stream, frames, activity, shown: None }
    }
}

/// A header block without end: from `shown` bytes of it on, as much as there is room for.
fn show_endless_block(shown: &mut usize, buffer: &mut ReadBuf<'_>) {
    while buffer.remaining() > 0 {
        let frame = if *shown < HEADER_SIZE { ENDLESS_HEADERS } else { ENDLESS_CONTINUATION };
        let rest = frame.get(*shown % HEADER_SIZE..).unwrap_or_default();
        let count = rest.len().min(buffer.remaining());
        buffer.put_slice(rest.get(..count).unwrap_or_default());
        *shown += count;
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Policed<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.shown.is_none() {
            let before = buffer.filled().len();
            ready!(Pin::new(&mut this.stream).poll_read(cx, buffer))?;
            if this.frames.credit.is_low() {
                this.frames.credit.refill(this.activity.now_ms());
            }
            let read = buffer.filled().get(before..).unwrap_or_default();
            if let Some(passed) = this.frames.advance(read) {
                buffer.set_filled(before + passed);
                this.shown = Some(0);
            }
            this.activity.note_block(this.frames.is_in_head());
        }
        if let Some(shown) = &mut this.shown {
            show_endless_block(shown, buffer);
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Policed<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let count = ready!(Pin::new(&mut self.stream).poll_write(cx, bytes))?;
        self.frames.note_sent(count);
        Poll::Ready(Ok(count))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let count = ready!(Pin::new(&mut self.stream).poll_write_vectored(cx, slices))?;
        self.frames.note_sent(count);
        Poll::Ready(Ok(count))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, flags: u8, size: u16) -> Vec<u8> {
        let [high, low] = size.to_be_bytes();
        let mut frame = vec![0, high, low, kind, flags, 0, 0, 0, 1];
        frame.resize(HEADER_SIZE + usize::from(size), 0);
        frame
    }

    fn after_preface(credit_max: u64) -> Frames {
        let mut frames = Frames::new(credit_max);
        assert!(frames.is_in_head());
        assert_eq!(frames.advance(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), None);
        assert!(!frames.is_in_head());
        frames
    }

    #[test]
    fn a_flood_of_anything_is_cut_at_the_end_of_the_frame_that_is_too_much() {
        for (kind, flags, size) in [
            (kind::DATA, 0, 0),
            (kind::PRIORITY, 0, 5),
            (kind::RST_STREAM, 0, 4),
            (kind::SETTINGS, 0, 6),
            (kind::SETTINGS, 1, 0),
            (kind::PING, 0, 8),
            (kind::WINDOW_UPDATE, 0, 4),
            (kind::CONTINUATION, 0, 0),
            (0xfa, 0, 100),
        ] {
            let one = frame(kind, flags, size);
            let allowed = 64 / cost(kind, flags, size.into()) as usize;
            let flood = one.repeat(allowed + 10);
            let expected = one.len() * (allowed + 1);
            assert_eq!(after_preface(64).advance(&flood), Some(expected), "kind {kind}");
            for piece_size in [1, 2, 5, 9, 13] {
                let mut frames = after_preface(64);
                let mut passed = 0;
                for piece in flood.chunks(piece_size) {
                    let cut = frames.advance(piece);
                    passed += cut.unwrap_or(piece.len());
                    if cut.is_some() {
                        break;
                    }
                }
                assert_eq!(passed, expected, "kind {kind} in pieces of {piece_size}");
            }
        }
    }

    #[test]
    fn a_download_pays_for_the_smallest_updates_of_windows() {
        let mut frames = after_preface(64);
        let updates = frame(kind::WINDOW_UPDATE, 0, 4).repeat(2);
        for _ in 0..100_000 {
            frames.note_sent(1024);
            assert_eq!(frames.advance(&updates), None);
        }
    }

    #[test]
    fn requests_are_not_counted_but_those_that_are_taken_back_are() {
        let mut frames = after_preface(64);
        let request =
            [frame(kind::HEADERS, END_HEADERS | END_STREAM, 30), frame(kind::PRIORITY, 0, 5)].concat();
        assert_eq!(frames.advance(&request.repeat(10_000)), None);
        let taken_back =
            [frame(kind::HEADERS, END_HEADERS | END_STREAM, 30), frame(kind::RST_STREAM, 0, 4)].concat();
        assert!(frames.advance(&taken_back.repeat(100)).is_some());
    }

    #[test]
    fn an_unfinished_block_is_known_for_one() {
        let mut frames = after_preface(64);
        assert_eq!(frames.advance(&frame(kind::HEADERS, END_STREAM, 10)), None);
        assert!(frames.is_in_head());
        assert_eq!(frames.advance(&frame(kind::CONTINUATION, END_HEADERS, 10)), None);
        assert!(!frames.is_in_head());
    }

    #[test]
    fn what_is_shown_does_not_depend_on_the_room_for_it() {
        let show = |room: usize| {
            let (mut shown, mut all) = (0, Vec::new());
            while all.len() < 90 {
                let mut space = vec![0; room];
                let mut buffer = ReadBuf::new(&mut space);
                show_endless_block(&mut shown, &mut buffer);
                all.extend_from_slice(buffer.filled());
            }
            all.truncate(90);
            all
        };
        let expected = [ENDLESS_HEADERS.to_vec(), ENDLESS_CONTINUATION.repeat(9)].concat();
        for room in [1, 4, 9, 10, 64, 1000] {
            assert_eq!(show(room), expected, "{room}");
        }
    }
}
