//! What somebody should know of a file before it is published: a place or a name in it, a script, a type that its bytes contradict,
//! a name that is easily taken for another. The file is looked at and never changed.
//!
//! The rules are here once: the origin asks them of what was uploaded and is not live yet, the command line of a file on its disk.
//! Containers are walked by their own structure through [`Content`], so a file of any size costs a few small reads; each walk has a
//! bound on its steps, and what is malformed ends it. Nothing that is found is a proof of the contrary: a file without a finding
//! may still tell something.

mod audio;
mod exif;
mod image;
mod kind;
mod markup;
mod name;

pub use name::{confusable, plain};

use std::fmt;

/// The bytes of a file, wherever they are.
pub trait Content {
    /// How many there are.
    fn size(&self) -> u64;

    /// Fills `into` with the bytes from `offset` on.
    ///
    /// # Errors
    /// [`Unreadable`] where there are fewer, or they cannot be read.
    fn read_at(&self, offset: u64, into: &mut [u8]) -> Result<(), Unreadable>;
}

/// Bytes that are not there, or cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the bytes cannot be read")]
pub struct Unreadable;

impl Content for &[u8] {
    fn size(&self) -> u64 {
        self.len() as u64
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> Result<(), Unreadable> {
        let start = usize::try_from(offset).map_err(|_| Unreadable)?;
        let bytes = self.get(start..).and_then(|rest| rest.get(..into.len())).ok_or(Unreadable)?;
        into.copy_from_slice(bytes);
        Ok(())
    }
}

/// What was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// It says where it was made.
    Location,
    /// It says by whom, or with which very device.
    Person,
    /// A browser that opens it runs a script.
    Script,
    /// Its bytes are of another type than its name says.
    Type,
    /// Its name is easily taken for another.
    Name,
}

impl Kind {
    /// A stable word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Location => "location",
            Self::Person => "person",
            Self::Script => "script",
            Self::Type => "type",
            Self::Name => "name",
        }
    }

    /// Whether it concerns only files that anyone may have.
    pub const fn only_public(self) -> bool {
        matches!(self, Self::Location | Self::Person)
    }
}

/// One thing that was found in a file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// What it is.
    pub kind: Kind,
    /// The part that says it, and what it says, cut to a line: `Artist: Jane Doe`.
    pub detail: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let detail = &self.detail;
        match self.kind {
            Kind::Location => write!(f, "it says where it was made ({detail}); whoever has it can read that"),
            Kind::Person => {
                write!(f, "it says who made it, or with what ({detail}); whoever has it can read that")
            }
            Kind::Script => write!(f, "it runs a script in the browser of whoever opens it ({detail})"),
            Kind::Type => write!(f, "its name and its bytes disagree ({detail})"),
            Kind::Name => write!(f, "its name is easily taken for another ({detail})"),
        }
    }
}

/// Findings of one file at most.
const FINDINGS_MAX: usize = 8;

/// Characters of a detail at most.
const DETAIL_CHARS_MAX: usize = 80;

/// Looks at a file that is to stand at `path` as `content_type`.
pub fn inspect(path: &str, content_type: &str, content: &dyn Content) -> Vec<Finding> {
    let mut found = Findings(Vec::new());
    let real = kind::of(content);
    if let Some(detail) = kind::contradiction(content_type, real) {
        found.add(Kind::Type, &detail);
    }
    name::look(path, &mut found);
    match real {
        Some("image/jpeg") => image::jpeg(content, &mut found),
        Some("image/png") => image::png(content, &mut found),
        Some("image/webp") => image::riff(content, &mut found),
        Some("image/heic" | "image/avif" | "video/mp4") => image::boxes(content, &mut found),
        Some("image/tiff") => image::tiff(content, &mut found),
        Some("audio/mpeg") => audio::id3(content, &mut found),
        _ => {}
    }
    markup::look(path, content_type, content, &mut found);
    found.0.sort();
    found.0.dedup();
    found.0.truncate(FINDINGS_MAX);
    found.0
}

/// What was found so far.
struct Findings(Vec<Finding>);

impl Findings {
    fn add(&mut self, kind: Kind, detail: &str) {
        let printable = |character: char| if character.is_control() { ' ' } else { character };
        let detail: String = detail.trim().chars().map(printable).take(DETAIL_CHARS_MAX).collect();
        // A bound on memory, whatever the file has.
        if self.0.len() < 8 * FINDINGS_MAX {
            self.0.push(Finding { kind, detail });
        }
    }
}

/// Up to `size` bytes from `offset` on; fewer where the file ends.
fn read(content: &dyn Content, offset: u64, size: usize) -> Vec<u8> {
    let there = content.size().saturating_sub(offset).min(size as u64);
    let mut bytes = vec![0; usize::try_from(there).unwrap_or_default()];
    match content.read_at(offset, &mut bytes) {
        Ok(()) => bytes,
        Err(Unreadable) => Vec::new(),
    }
}

/// `N` bytes at `offset`, where they are there.
fn array<const N: usize>(content: &dyn Content, offset: u64) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    content.read_at(offset, &mut bytes).ok().map(|()| bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn found(path: &str, content_type: &str, bytes: &[u8]) -> Vec<(Kind, String)> {
        inspect(path, content_type, &bytes)
            .into_iter()
            .map(|finding| (finding.kind, finding.detail))
            .collect()
    }

    #[test]
    fn nothing_is_found_in_plain_files_and_in_none() {
        assert_eq!(found("/a.txt", "text/plain; charset=utf-8", b"hello <script>"), []);
        assert_eq!(found("/a.jpg", "image/jpeg", b""), []);
        assert_eq!(found("/a.json", "application/json", b"{\"a\":\"<svg onload=x>\"}"), []);
    }

    #[test]
    fn a_detail_is_one_line_of_bounded_length() {
        let mut found = Findings(Vec::new());
        found.add(Kind::Person, &format!(" a\nb{}", "x".repeat(1000)));
        assert!(found.0[0].detail.starts_with("a b") && found.0[0].detail.len() == DETAIL_CHARS_MAX);
    }

    #[test]
    fn arbitrary_bytes_behind_every_signature_end_every_walk() {
        // A small generator with a fixed seed (Knuth's MMIX constants): the same bytes each time.
        let mut state = 1_u64;
        let mut next = move || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as u8
        };
        let heads: [&[u8]; 9] = [
            b"\xff\xd8\xff\xe1\xff\xffExif\0\0II*\0\x08\0\0\0",
            b"\x89PNG\r\n\x1a\n\0\0\0\x20eXIfMM\0*\0\0\0\x08",
            b"RIFF\xff\xff\xff\xffWEBPEXIF\xff\xff\xff\xffII*\0",
            b"\0\0\0\x18ftypheic\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01moov",
            b"ID3\x04\0\0\x7f\x7f\x7f\x7fTENC\xff\xff\xff\xff",
            b"II*\0\xff\xff\xff\xff",
            b"<svg ",
            b"<!doctype html><",
            b"\0\0\0\0ftypmp42",
        ];
        for head in heads {
            for _ in 0..200 {
                let mut bytes = head.to_vec();
                bytes.extend((0..next() as usize).map(|_| next()));
                drop(inspect("/x", "", &&bytes[..]));
            }
        }
    }
}
