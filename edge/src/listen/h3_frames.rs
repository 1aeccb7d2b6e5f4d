//! The frames that a client sends on a stream of HTTP/3, followed over its bytes as they come.
//!
//! h3 gathers a frame until all of it has come, whatever length it says it has, and passes over what it does not know without end.
//! So lengths are looked at here, before anything is gathered, and what is no request and no content costs credit (RFC 9114 §10.5).
//!
//! Pure, and blind to how the bytes were cut into pieces. What a frame means, and whether it may come where it does, is h3's to say.

use super::field_section::FieldSection;

/// What a frame that is no head and no content may hold: room for any SETTINGS and for what is sent to keep us on our toes
/// (RFC 9114 §7.2.8).
const OTHER_SIZE_MAX: u64 = 16 << 10;

/// RFC 9114 §6.2.1 and §6.2.2.
const CONTROL_STREAM: u64 = 0;
const PUSH_STREAM: u64 = 1;

/// RFC 9114 §7.2.
mod kind {
    pub(super) const DATA: u64 = 0;
    pub(super) const HEADERS: u64 = 1;
}

/// Follows the frames of one stream.
#[derive(Debug)]
pub struct Frames {
    part: Part,
    varint: Varint,
    head_size_max: u64,
    has_head: bool,
    /// Its content is under way.
    is_in_head: bool,
    section: FieldSection,
    empty_data_count: u64,
}

/// Why a stream is not followed any further.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Excess {
    /// A head, or a trailer section, that is larger than the bound on them.
    Head,
    /// Any other frame that is larger than all that have a meaning.
    Frame,
    /// A stream of pushes, which clients do not send (RFC 9114 §6.2.2).
    Push,
}

/// What comes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    /// What a unidirectional stream begins with.
    StreamKind,
    Kind,
    Size {
        kind: u64,
    },
    Payload {
        left: u64,
    },
    /// A stream without frames: QPACK's, or of no meaning.
    Other,
}

impl Frames {
    /// Of the stream of a request.
    pub fn of_request(head_size_max: usize) -> Self {
        Self::new(Part::Kind, head_size_max as u64, false)
    }

    /// Of a stream whose kind comes first.
    pub fn of_unidirectional() -> Self {
        Self::new(Part::StreamKind, OTHER_SIZE_MAX, true)
    }

    const fn new(part: Part, head_size_max: u64, has_head: bool) -> Self {
        Self {
            part,
            varint: Varint { value: 0, left: 0 },
            head_size_max,
            has_head,
            is_in_head: false,
            section: FieldSection::new(),
            empty_data_count: 0,
        }
    }

    /// How many frames of content without content have come.
    pub fn empty_data_count(&self) -> u64 {
        self.empty_data_count
    }

    /// Whether the head of the request, as far as it has come, is malformed in a way that h3 does not see.
    pub fn has_malformed_head(&self) -> bool {
        self.section.is_malformed()
    }

    /// Follows the next bytes; what the frames that begin in them cost.
    ///
    /// # Errors
    /// [`Excess`]; after it there is nothing more to follow.
    pub fn advance(&mut self, bytes: &[u8]) -> Result<u64, Excess> {
        let (mut cost, mut rest) = (0, bytes);
        while let [first, after @ ..] = rest {
            match self.part {
                Part::Other => break,
                Part::Payload { left } => {
                    let taken = usize::try_from(left).map_or(rest.len(), |left| left.min(rest.len()));
                    if self.is_in_head {
                        self.section.advance(rest.get(..taken).unwrap_or_default());
                        self.is_in_head = left > taken as u64;
                    }
                    self.part = Self::payload(left - taken as u64);
                    rest = rest.get(taken..).unwrap_or_default();
                }
                Part::StreamKind | Part::Kind | Part::Size { .. } => {
                    rest = after;
                    if let Some(value) = self.varint.push(*first) {
                        cost += self.take(value)?;
                    }
                }
            }
        }
        Ok(cost)
    }

    fn take(&mut self, value: u64) -> Result<u64, Excess> {
        match self.part {
            Part::StreamKind if value == CONTROL_STREAM => self.part = Part::Kind,
            Part::StreamKind if value == PUSH_STREAM => return Err(Excess::Push),
            Part::StreamKind => self.part = Part::Other,
            Part::Size { kind } => {
                self.part = Self::payload(value);
                return self.begin(kind, value);
            }
            Part::Kind | Part::Payload { .. } | Part::Other => self.part = Part::Size { kind: value },
        }
        Ok(0)
    }

    /// What a frame costs, as of the credit of HTTP/2's.
    fn begin(&mut self, kind: u64, size: u64) -> Result<u64, Excess> {
        match kind {
            kind::HEADERS if size > self.head_size_max => Err(Excess::Head),
            // Requests are bounded by the count of streams.
            kind::HEADERS if !self.has_head => {
                self.has_head = true;
                self.is_in_head = size > 0;
                Ok(0)
            }
            // Content is bounded where it is read, unless it is empty.
            kind::HEADERS | kind::DATA => {
                self.empty_data_count += u64::from(kind == kind::DATA && size == 0);
                Ok(1)
            }
            _ if size > OTHER_SIZE_MAX => Err(Excess::Frame),
            _ => Ok(2),
        }
    }

    const fn payload(left: u64) -> Part {
        if left == 0 { Part::Kind } else { Part::Payload { left } }
    }
}

/// A number of variable length (RFC 9000 §16) under way.
#[derive(Debug)]
struct Varint {
    value: u64,
    /// Bytes that are still to come, once the first one has.
    left: u8,
}

impl Varint {
    /// Takes the next byte; the number, where that was the last of its bytes.
    fn push(&mut self, byte: u8) -> Option<u64> {
        if self.left == 0 {
            self.left = (1 << (byte >> 6)) - 1;
            self.value = (byte & 0x3f).into();
        } else {
            self.left -= 1;
            self.value = self.value << 8 | u64::from(byte);
        }
        (self.left == 0).then_some(self.value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 9000 §16, the longest way.
    fn varint(value: u64) -> [u8; 8] {
        (value | 0b11 << 62).to_be_bytes()
    }

    fn frame(kind: u64, size: usize) -> Vec<u8> {
        [&varint(kind)[..], &varint(size as u64), &vec![0x55; size]].concat()
    }

    fn request() -> Frames {
        Frames::of_request(1000)
    }

    /// RFC 9000 §A.1.
    #[test]
    fn numbers_have_one_to_eight_bytes() {
        let examples: [(&[u8], u64); 5] = [
            (&[0xc2, 0x19, 0x7c, 0x5e, 0xff, 0x14, 0xe8, 0x8c], 151_288_809_941_952_652),
            (&[0x9d, 0x7f, 0x3e, 0x7d], 494_878_333),
            (&[0x7b, 0xbd], 15_293),
            (&[0x40, 0x25], 37),
            (&[0x25], 37),
        ];
        let mut reader = Varint { value: 0, left: 0 };
        for (bytes, value) in examples {
            let (last, before) = bytes.split_last().expect("not empty");
            assert!(before.iter().all(|byte| reader.push(*byte).is_none()), "{value}");
            assert_eq!(reader.push(*last), Some(value));
        }
    }

    #[test]
    fn a_request_with_content_costs_next_to_nothing() {
        let sent = [frame(1, 300), frame(0, 60_000)].concat();
        assert_eq!(request().advance(&sent), Ok(1));
    }

    #[test]
    fn frames_without_meaning_and_without_content_cost_credit() {
        let table = [(frame(0, 0), 1), (frame(0x21, 9), 2), (frame(0x21, 0), 2), (frame(7, 1), 2)];
        for (one, cost) in table {
            assert_eq!(request().advance(&one.repeat(500)), Ok(500 * cost), "{one:?}");
            let control = [&varint(0)[..], &one.repeat(500)].concat();
            assert_eq!(Frames::of_unidirectional().advance(&control), Ok(500 * cost), "{one:?}");
        }
    }

    #[test]
    fn a_length_past_its_bound_is_seen_before_anything_of_the_frame_has_come() {
        let head = |kind: u64, size: u64| [varint(kind), varint(size)].concat();
        assert_eq!(request().advance(&head(1, 1000)), Ok(0));
        assert_eq!(request().advance(&head(1, 1001)), Err(Excess::Head));
        assert_eq!(request().advance(&head(0, 1 << 61)), Ok(1), "content may be long");
        for kind in [4, 7, 0x21] {
            assert_eq!(request().advance(&head(kind, OTHER_SIZE_MAX)), Ok(2));
            assert_eq!(request().advance(&head(kind, OTHER_SIZE_MAX + 1)), Err(Excess::Frame));
            let control = [&varint(0)[..], &head(kind, 1 << 61)].concat();
            assert_eq!(Frames::of_unidirectional().advance(&control), Err(Excess::Frame));
        }
    }

    #[test]
    fn streams_of_other_kinds_have_no_frames() {
        assert_eq!(Frames::of_unidirectional().advance(&varint(PUSH_STREAM)), Err(Excess::Push));
        for kind in [2, 3, 0x21] {
            let sent = [&varint(kind)[..], &frame(0x21, 0).repeat(100)].concat();
            assert_eq!(Frames::of_unidirectional().advance(&sent), Ok(0), "{kind}");
        }
    }

    #[test]
    fn every_division_has_the_same_cost() {
        let sent = [frame(0x21, 3), frame(1, 20), frame(0, 0), frame(0, 7), frame(0x40, 0)].concat();
        let whole = request().advance(&sent).expect("within bounds");
        assert_eq!(whole, 2 + 1 + 1 + 2);
        for size in 1..=sent.len() {
            let mut frames = request();
            let cost: u64 = sent.chunks(size).map(|piece| frames.advance(piece).expect("within")).sum();
            assert_eq!((cost, frames.empty_data_count()), (whole, 1), "in pieces of {size}");
        }
    }
}
