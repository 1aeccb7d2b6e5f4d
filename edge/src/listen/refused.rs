//! Streams of HTTP/2 that are refused because the client has as many open as it may, counted where they are told so: h2 keeps that to
//! itself (RFC 9113 §5.1.2, §8.7).

use super::frames::{HEADER_SIZE, kind};

/// RFC 9113 §7.
const REFUSED_STREAM: [u8; 4] = [0, 0, 0, 7];

/// Header and content of RST_STREAM (RFC 9113 §6.4).
const RESET_SIZE: usize = HEADER_SIZE + REFUSED_STREAM.len();

/// Follows the frames that are sent. Blind to how the bytes are cut into pieces.
#[derive(Debug, Default)]
pub(super) struct Refused {
    /// The beginning of the frame under way, of which no more is looked at than a reset has.
    head: [u8; RESET_SIZE],
    size: usize,
    /// What is left of the frame past that.
    rest: usize,
}

impl Refused {
    /// Follows the next bytes: how many streams they refuse.
    pub(super) fn advance(&mut self, mut bytes: &[u8]) -> u32 {
        let mut count = 0;
        while !bytes.is_empty() {
            // Nearly always whole frames come, and no resets.
            if self.size == 0
                && self.rest == 0
                && let [a, b, c, kind, _, _, _, _, _, payload @ ..] = bytes
                && *kind != kind::RST_STREAM
            {
                let size = size_of([*a, *b, *c]);
                self.rest = size.saturating_sub(payload.len());
                bytes = payload.get(size..).unwrap_or_default();
                continue;
            }
            let taken = if self.rest > 0 { self.skip(bytes) } else { self.look(bytes, &mut count) };
            bytes = bytes.get(taken..).unwrap_or_default();
        }
        count
    }

    fn skip(&mut self, bytes: &[u8]) -> usize {
        let taken = bytes.len().min(self.rest);
        self.rest -= taken;
        taken
    }

    fn look(&mut self, bytes: &[u8], count: &mut u32) -> usize {
        let wanted = if self.size < HEADER_SIZE { HEADER_SIZE } else { RESET_SIZE };
        let taken = bytes.len().min(wanted - self.size);
        for (to, from) in self.head.iter_mut().skip(self.size).zip(bytes.iter().take(taken)) {
            *to = *from;
        }
        self.size += taken;
        let [a, b, c, kind, _, _, _, _, _, code @ ..] = self.head;
        match self.size {
            HEADER_SIZE if kind != kind::RST_STREAM => {
                self.rest = size_of([a, b, c]);
                self.size = 0;
            }
            RESET_SIZE => {
                *count += u32::from(code == REFUSED_STREAM);
                self.size = 0;
            }
            _ => {}
        }
        taken
    }
}

/// RFC 9113 §4.1.
fn size_of([a, b, c]: [u8; 3]) -> usize {
    usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refused_streams_are_counted_however_the_bytes_are_cut() {
        let reset = |code: u8| [0, 0, 4, kind::RST_STREAM, 0, 0, 0, 0, 9, 0, 0, 0, code];
        let settings = [0, 0, 0, kind::SETTINGS, 1, 0, 0, 0, 0];
        let mut data = vec![0, 0, 40, kind::DATA, 0, 0, 0, 0, 1];
        // Content that looks like a refusal is none.
        data.extend(reset(7).repeat(4).iter().take(40));
        let sent = [&settings[..], &reset(7), &data, &reset(8), &data, &reset(7), &settings].concat();
        for size in [1, 2, 3, 5, 8, 13, 64, 1000] {
            let mut refused = Refused::default();
            assert_eq!(sent.chunks(size).map(|piece| refused.advance(piece)).sum::<u32>(), 2, "{size}");
        }
    }
}
