//! The path of an asset: where in an environment it stands.
//!
//! A path is kept exactly as the client gave it; nothing is decoded or normalised. It is percent-encoded only when it is shown as
//! part of a URL.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use std::fmt;
use std::str::FromStr;

/// Characters in a path at most.
pub const PATH_CHARS_MAX: usize = 255;

/// Everything but `pchar` and `/` (RFC 3986 §3.3). `%` itself is encoded, so that decoding once gives the stored path back.
pub const NOT_PCHAR: AsciiSet = NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b'!')
    .remove(b'$')
    .remove(b'&')
    .remove(b'\'')
    .remove(b'(')
    .remove(b')')
    .remove(b'*')
    .remove(b'+')
    .remove(b',')
    .remove(b';')
    .remove(b'=')
    .remove(b':')
    .remove(b'@')
    .remove(b'/');

/// A valid path: begins with `/`, names a file, at most 255 characters, no NUL, no `.` or `..` segment, not under `/.skerry/`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AssetPath(Box<str>);

/// Why a text is no path of an asset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPath {
    /// It does not begin with `/`.
    #[error("a path begins with /")]
    NoLeadingSlash,
    /// It ends with `/`, so it names no file.
    #[error("the file name is empty; a path ends with a file name, such as /index.html")]
    EmptyFileName,
    /// It is too long.
    #[error("a path has at most {PATH_CHARS_MAX} characters, this one has {chars}")]
    TooLong {
        /// How many characters it has.
        chars: usize,
    },
    /// It contains a NUL.
    #[error("a path contains no NUL character")]
    Nul,
    /// One of its segments is `.` or `..`.
    #[error("a path has no . or .. segment")]
    DotSegment,
    /// It is under `/.skerry/`.
    #[error("paths under /.skerry/ are reserved")]
    Reserved,
}

impl AssetPath {
    /// The path as given.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The path as it stands in a URL, percent-encoded (RFC 3986 §3.3).
    pub fn to_url_path(&self) -> String {
        utf8_percent_encode(&self.0, &NOT_PCHAR).to_string()
    }
}

impl FromStr for AssetPath {
    type Err = InvalidPath;

    fn from_str(text: &str) -> Result<Self, InvalidPath> {
        if !text.starts_with('/') {
            return Err(InvalidPath::NoLeadingSlash);
        }
        let chars = text.chars().count();
        if chars > PATH_CHARS_MAX {
            return Err(InvalidPath::TooLong { chars });
        }
        if text.contains('\0') {
            return Err(InvalidPath::Nul);
        }
        if text.split('/').any(|segment| matches!(segment, "." | "..")) {
            return Err(InvalidPath::DotSegment);
        }
        if text.starts_with("/.skerry/") {
            return Err(InvalidPath::Reserved);
        }
        if text.ends_with('/') {
            return Err(InvalidPath::EmptyFileName);
        }
        Ok(Self(text.into()))
    }
}

impl fmt::Display for AssetPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinary_and_odd_paths_are_taken_as_they_are() {
        for path in
            ["/a", "/a b/c.mp3", "/ünï~100%.txt", "/.hidden", "/a//b", "/...", "/.skerry", "/%2e%2e/x"]
        {
            assert_eq!(path.parse::<AssetPath>().expect(path).as_str(), path);
        }
        let longest = format!("/{}", "ü".repeat(PATH_CHARS_MAX - 1));
        assert!(longest.parse::<AssetPath>().is_ok());
    }

    #[test]
    fn paths_that_could_mislead_are_refused() {
        let cases = [
            ("", InvalidPath::NoLeadingSlash),
            ("a", InvalidPath::NoLeadingSlash),
            ("/", InvalidPath::EmptyFileName),
            ("/a/", InvalidPath::EmptyFileName),
            ("/a\0b", InvalidPath::Nul),
            ("/a/../b", InvalidPath::DotSegment),
            ("/..", InvalidPath::DotSegment),
            ("/./a", InvalidPath::DotSegment),
            ("/.skerry/b3/x", InvalidPath::Reserved),
        ];
        for (path, error) in cases {
            assert_eq!(path.parse::<AssetPath>(), Err(error), "{path:?}");
        }
        let long = format!("/{}", "a".repeat(PATH_CHARS_MAX));
        assert_eq!(long.parse::<AssetPath>(), Err(InvalidPath::TooLong { chars: 256 }));
    }

    #[test]
    fn a_url_path_decodes_to_the_stored_path() {
        for path in ["/a b.mp3", "/ünï~100%.txt", "/a%20b", "/q?x#y", "/\"<>\\^`{|}", "/a+b&c=d"] {
            let url = path.parse::<AssetPath>().expect(path).to_url_path();
            let decoded = percent_encoding::percent_decode_str(&url).decode_utf8().expect("UTF-8");
            assert_eq!(decoded, path);
            assert!(!url.contains([' ', '?', '#', '"']), "{url}");
        }
    }
}
