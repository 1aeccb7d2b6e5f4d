//! The frames of an HTTP/2 connection, counted as they come, so that no flood of them is worked through.
//!
//! h2 bounds what a client can make it *hold*; what a client can make it *do* is bounded here. Every frame that is no request costs
//! credit by the work that it makes; requests and the bytes that are sent earn some, as does time. So a client that gives back its
//! windows in the smallest steps during a large download never runs out, and a flood of SETTINGS, PING, RST_STREAM (CVE-2023-44487),
//! PRIORITY, WINDOW_UPDATE, empty DATA or unknown frames does at once (RFC 9113 §10.5).
//!
//! Pure, and blind to how the bytes were cut into pieces; nine bytes of each frame are looked at. What follows from it is
//! `policed`'s.

use super::credit::Credit;

/// RFC 9113 §3.4: what a client says first.
const PREFACE_SIZE: usize = 24;

/// RFC 9113 §4.1.
pub(super) const HEADER_SIZE: usize = 9;

/// So many bytes sent earn one credit: two updates of windows for each KiB that a client reads.
const BYTES_PER_CREDIT: u64 = 512;

/// What a request earns: the priority or update that often comes with it.
const REQUEST_CREDIT: u64 = 2;

/// RFC 9113 §6 and 7540 §6.3.
pub(super) mod kind {
    pub(in crate::listen) const DATA: u8 = 0;
    pub(in crate::listen) const HEADERS: u8 = 1;
    pub(in crate::listen) const PRIORITY: u8 = 2;
    pub(in crate::listen) const RST_STREAM: u8 = 3;
    pub(in crate::listen) const SETTINGS: u8 = 4;
    pub(in crate::listen) const PING: u8 = 6;
    pub(in crate::listen) const WINDOW_UPDATE: u8 = 8;
    pub(in crate::listen) const CONTINUATION: u8 = 9;
}

const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

/// Follows the frames of one connection.
#[derive(Debug)]
pub struct Frames {
    part: Part,
    credit: Credit,
    /// Bytes sent that have not earned anything yet.
    sent: u64,
    block: Block,
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

/// Whether a header block is under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Block {
    No,
    /// Another frame of it has to follow.
    Unfinished,
    /// The frame under way is its last.
    InLastFrame,
}

impl Part {
    const NEXT_HEADER: Self = Self::Header { bytes: [0; HEADER_SIZE], size: 0 };
}

impl Frames {
    /// At the beginning of a connection, with so much credit at first and at most.
    pub fn new(credit_max: u64) -> Self {
        Self {
            part: Part::Preface { left: PREFACE_SIZE },
            credit: Credit::new(credit_max),
            sent: 0,
            block: Block::No,
            is_over: false,
        }
    }

    /// Whether the client owes the rest of its preface, or of a header block.
    pub fn is_in_head(&self) -> bool {
        self.block != Block::No || matches!(self.part, Part::Preface { .. })
    }

    /// Follows the next bytes. Once credit has run out: how many of them are left to the end of the frame that was too much.
    pub fn advance(&mut self, bytes: &[u8]) -> Option<usize> {
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
                    self.end();
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
            self.block = if flags & END_HEADERS == 0 { Block::Unfinished } else { Block::InLastFrame };
        }
        if kind == kind::HEADERS {
            self.credit.earn(REQUEST_CREDIT);
        }
        if !self.credit.spend(cost(kind, flags, left)) {
            self.is_over = true;
        }
        self.part = Part::Payload { left };
        if left == 0 {
            self.end();
        }
    }

    /// The frame under way has come to its end.
    fn end(&mut self) {
        self.part = Part::NEXT_HEADER;
        if self.block == Block::InLastFrame {
            self.block = Block::No;
        }
    }

    /// Takes into account the time that has passed, where credit runs low; `now_ms` never goes back.
    pub fn refill(&mut self, now_ms: impl FnOnce() -> u64) {
        if self.credit.is_low() {
            self.credit.refill(now_ms());
        }
    }

    /// So many bytes were sent.
    pub fn note_sent(&mut self, count: usize) {
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
        let last = frame(kind::CONTINUATION, END_HEADERS, 10);
        let (most, end) = last.split_at(last.len() - 1);
        assert_eq!(frames.advance(most), None);
        assert!(frames.is_in_head(), "also within its last frame");
        assert_eq!(frames.advance(end), None);
        assert!(!frames.is_in_head());
    }
}
