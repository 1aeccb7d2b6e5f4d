//! The field section of an HTTP/3 request, looked at as its bytes come, for what makes a request malformed (RFC 9114 §4.3) and h3 lets
//! pass: pseudo-header fields that come twice, after other fields, or that requests do not have.
//!
//! Nothing is decoded but how long each field line is and whether its name begins with a colon (RFC 9204 §4.5): there is no dynamic
//! table, whose references h3 refuses. Pure, and blind to how the bytes were cut into pieces.

/// Pseudo-header fields of requests (RFC 9114 §4.3.1, RFC 9220 §3), plain and Huffman-coded (RFC 7541 §5.2).
const NAMES: [(&[u8], &[u8]); 5] = [
    (b":method", &[0xb9, 0x49, 0x53, 0x39, 0xe4]),
    (b":scheme", &[0xb8, 0x82, 0x4e, 0x5a, 0x4b]),
    (b":authority", &[0xb8, 0x3b, 0x53, 0x39, 0xec, 0x32, 0x7d, 0x7f]),
    (b":path", &[0xb9, 0x58, 0xd3, 0x3f]),
    (b":protocol", &[0xb9, 0x5d, 0x87, 0x49, 0xc8, 0x7a, 0x3f]),
];

/// Bytes of a name that are looked at: one more than the longest above has.
const NAME_SIZE: usize = 11;

/// Follows one field section.
#[derive(Debug)]
pub(super) struct FieldSection {
    part: Part,
    int: Int,
    /// Which of [`NAMES`] have come, a bit each.
    seen: u8,
    has_fields: bool,
    is_malformed: bool,
    name: [u8; NAME_SIZE],
    /// Bytes of the name that have come, as far as they are kept.
    name_size: usize,
    is_huffman: bool,
}

/// What comes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    /// RFC 9204 §4.5.1.
    RequiredInsertCount,
    Base,
    Line,
    /// The index of a line or of its name; whether a value follows.
    Index {
        is_static: bool,
        has_value: bool,
    },
    NameSize,
    Name {
        left: u64,
    },
    /// The length of a value.
    Value,
    Skip {
        left: u64,
    },
}

/// An integer with a prefix (RFC 7541 §5.1) under way.
#[derive(Debug, Clone, Copy)]
struct Int {
    value: u64,
    shift: u32,
}

impl Int {
    /// Begins with the last `bits` of a byte; the number where that was all of it.
    fn begin(&mut self, byte: u8, bits: u32) -> Option<u64> {
        let max = u8::MAX >> (8 - bits);
        *self = Self { value: u64::from(byte & max), shift: 0 };
        (byte & max < max).then_some(self.value)
    }

    /// Takes a further byte. One that is too long for any of ours saturates.
    fn push(&mut self, byte: u8) -> Option<u64> {
        let more = u64::from(byte & 0x7f).checked_shl(self.shift).unwrap_or(u64::MAX >> 1);
        self.value = self.value.saturating_add(more);
        self.shift = self.shift.saturating_add(7);
        (byte & 0x80 == 0).then_some(self.value)
    }
}

impl FieldSection {
    pub(super) const fn new() -> Self {
        Self {
            part: Part::RequiredInsertCount,
            int: Int { value: 0, shift: NOT_BEGUN },
            seen: 0,
            has_fields: false,
            is_malformed: false,
            name: [0; NAME_SIZE],
            name_size: 0,
            is_huffman: false,
        }
    }

    /// Whether what has come makes the request malformed.
    pub(super) const fn is_malformed(&self) -> bool {
        self.is_malformed
    }

    /// Follows the next bytes of the section.
    pub(super) fn advance(&mut self, bytes: &[u8]) {
        let mut rest = bytes;
        while let [first, after @ ..] = rest {
            match self.part {
                Part::Name { left } => {
                    let taken = usize::try_from(left).unwrap_or(usize::MAX).min(rest.len());
                    self.keep_name(rest.get(..taken).unwrap_or_default());
                    rest = rest.get(taken..).unwrap_or_default();
                    self.part = Part::Name { left: left - taken as u64 };
                    self.end_name();
                }
                Part::Skip { left } => {
                    let taken = usize::try_from(left).unwrap_or(usize::MAX).min(rest.len());
                    rest = rest.get(taken..).unwrap_or_default();
                    self.part = skip(left - taken as u64);
                }
                Part::Line => {
                    rest = after;
                    self.begin_line(*first);
                }
                part => {
                    rest = after;
                    if let Some(value) = self.int_of(part, *first) {
                        self.take(part, value);
                    }
                }
            }
        }
    }

    fn int_of(&mut self, part: Part, byte: u8) -> Option<u64> {
        if self.int.shift != NOT_BEGUN {
            return self.int.push(byte).inspect(|_| self.int.shift = NOT_BEGUN);
        }
        let bits = match part {
            Part::RequiredInsertCount => 8,
            _ => 7,
        };
        self.began(byte, bits)
    }

    fn began(&mut self, byte: u8, bits: u32) -> Option<u64> {
        let value = self.int.begin(byte, bits);
        if value.is_some() {
            self.int.shift = NOT_BEGUN;
        }
        value
    }

    /// RFC 9204 §4.5.2 to §4.5.6.
    fn begin_line(&mut self, byte: u8) {
        let (part, bits) = match byte {
            0x80.. => (Part::Index { is_static: byte & 0x40 != 0, has_value: false }, 6),
            0x40..0x80 => (Part::Index { is_static: byte & 0x10 != 0, has_value: true }, 4),
            0x20..0x40 => {
                self.is_huffman = byte & 0x08 != 0;
                (Part::NameSize, 3)
            }
            0x10..0x20 => (Part::Index { is_static: false, has_value: false }, 4),
            0..0x10 => (Part::Index { is_static: false, has_value: true }, 3),
        };
        self.part = part;
        if let Some(value) = self.began(byte, bits) {
            self.take(part, value);
        }
    }

    fn take(&mut self, part: Part, value: u64) {
        self.part = match part {
            Part::RequiredInsertCount => Part::Base,
            Part::Index { is_static, has_value } => {
                if is_static {
                    self.field(in_static_table(value));
                } else {
                    self.field(Field::Other);
                }
                if has_value { Part::Value } else { Part::Line }
            }
            Part::NameSize => {
                self.name_size = 0;
                self.part = Part::Name { left: value };
                return self.end_name();
            }
            Part::Value => skip(value),
            Part::Base | Part::Line | Part::Name { .. } | Part::Skip { .. } => Part::Line,
        };
    }

    fn keep_name(&mut self, bytes: &[u8]) {
        for (to, from) in self.name.iter_mut().skip(self.name_size).zip(bytes) {
            *to = *from;
        }
        self.name_size = (self.name_size + bytes.len()).min(NAME_SIZE);
    }

    fn end_name(&mut self) {
        if self.part != (Part::Name { left: 0 }) {
            return;
        }
        self.part = Part::Value;
        let name = self.name.get(..self.name_size).unwrap_or_default();
        let is_huffman = self.is_huffman;
        let same = |(plain, coded): &(&[u8], &[u8])| name == if is_huffman { *coded } else { *plain };
        let field = match NAMES.iter().position(same) {
            Some(number) => Field::Pseudo(number),
            None if begins_with_colon(name, is_huffman) => Field::Unknown,
            None => Field::Other,
        };
        self.field(field);
    }

    fn field(&mut self, field: Field) {
        match field {
            Field::Other => self.has_fields = true,
            Field::Unknown => self.is_malformed = true,
            Field::Pseudo(number) => {
                self.is_malformed |= self.has_fields || self.seen & 1 << number != 0;
                self.seen |= 1 << number;
            }
        }
    }
}

/// No integer is under way.
const NOT_BEGUN: u32 = u32::MAX;

/// What a field line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Field {
    /// One of [`NAMES`].
    Pseudo(usize),
    /// A pseudo-header field that requests do not have.
    Unknown,
    Other,
}

/// RFC 9204 appendix A.
const fn in_static_table(index: u64) -> Field {
    match index {
        15..=21 => Field::Pseudo(0),
        22 | 23 => Field::Pseudo(1),
        0 => Field::Pseudo(2),
        1 => Field::Pseudo(3),
        24..=28 | 63..=71 => Field::Unknown,
        _ => Field::Other,
    }
}

const fn skip(left: u64) -> Part {
    if left == 0 { Part::Line } else { Part::Skip { left } }
}

/// A colon is seven bits of Huffman's code, and of no other code's beginning.
fn begins_with_colon(name: &[u8], is_huffman: bool) -> bool {
    name.first().is_some_and(|first| if is_huffman { first >> 1 == 0x5c } else { *first == b':' })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 9204 §4.5.6: a literal name of fewer than seven bytes, or of a few more.
    fn literal(name: &[u8], value: &str, flags: u8) -> Vec<u8> {
        let size = u8::try_from(name.len()).expect("short");
        let head = if size < 7 { vec![0x20 | flags | size] } else { vec![0x20 | flags | 7, size - 7] };
        let value_size = u8::try_from(value.len()).expect("short");
        [&head[..], name, &[value_size], value.as_bytes()].concat()
    }

    fn plain(name: &str, value: &str) -> Vec<u8> {
        literal(name.as_bytes(), value, 0)
    }

    const PREFIX: &[u8] = &[0, 0];
    const METHOD_GET: &[u8] = &[0xd1];
    const SCHEME_HTTPS: &[u8] = &[0xd7];
    const PATH: &[u8] = &[0xc1];
    const AUTHORITY: &[u8] = &[0x50, 1, b'a'];
    /// `user-agent` by its name in the table, whose index takes two bytes.
    const USER_AGENT: &[u8] = &[0x5f, 80, 3, b'a', b'b', b'c'];

    fn is_malformed(lines: &[&[u8]]) -> bool {
        let section = [PREFIX, &lines.concat()].concat();
        let whole = {
            let mut followed = FieldSection::new();
            followed.advance(&section);
            followed.is_malformed()
        };
        for size in 1..section.len() {
            let mut followed = FieldSection::new();
            section.chunks(size).for_each(|piece| followed.advance(piece));
            assert_eq!(followed.is_malformed(), whole, "in pieces of {size}");
        }
        whole
    }

    #[test]
    fn pseudo_header_fields_come_first_and_once() {
        let good = [METHOD_GET, SCHEME_HTTPS, PATH, AUTHORITY, USER_AGENT];
        assert!(!is_malformed(&good));
        let long = plain("x", &"v".repeat(100));
        assert!(!is_malformed(&[METHOD_GET, SCHEME_HTTPS, PATH, AUTHORITY, &long, USER_AGENT]));
        let cases: [(&str, Vec<u8>); 10] = [
            ("a method again", METHOD_GET.to_vec()),
            ("a path again", PATH.to_vec()),
            ("a literal path again", plain(":path", "/b")),
            ("a literal authority again", plain(":authority", "b")),
            ("a coded path again", literal(&[0xb9, 0x58, 0xd3, 0x3f], "/b", 8)),
            ("a status by index", vec![0xd9]),
            ("a literal status", plain(":status", "200")),
            ("a coded status", literal(&[0xb8, 0x84, 0x8d, 0x36, 0xa3], "200", 8)),
            ("an unknown one", plain(":what", "1")),
            ("an unknown long one", plain(":what-is-this", "1")),
        ];
        for (what, line) in cases {
            assert!(is_malformed(&[METHOD_GET, SCHEME_HTTPS, PATH, AUTHORITY, &line]), "{what}");
        }
        for late in [METHOD_GET, SCHEME_HTTPS, PATH, AUTHORITY] {
            let before: Vec<&[u8]> = [METHOD_GET, SCHEME_HTTPS, PATH, AUTHORITY]
                .into_iter()
                .filter(|line| *line != late)
                .collect();
            assert!(is_malformed(&[&before[..], &[USER_AGENT, late]].concat()), "{late:?} after a field");
        }
        // A name that only contains a colon, or a Huffman code that begins otherwise.
        assert!(!is_malformed(&[METHOD_GET, &plain("a:b", "1")]));
        assert!(!is_malformed(&[METHOD_GET, &literal(&[0x1c, 0x64], "1", 8)]));
    }

    #[test]
    fn numbers_without_end_are_followed_without_harm() {
        let mut followed = FieldSection::new();
        followed.advance(&[0, 0, 0xff]);
        for _ in 0..1000 {
            followed.advance(&[0xff; 10]);
        }
        assert!(!followed.is_malformed());
    }
}
