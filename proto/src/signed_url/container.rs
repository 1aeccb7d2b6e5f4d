//! Which URLs a token is for (RFC 9246 §2.1.15): one, by its hash, or all that a pattern matches.

use super::TokenError;
use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use regex::bytes::{Regex, RegexBuilder};

/// Bytes that a compiled pattern may take: those of a few hundred characters do. Compiling one of this size takes less than a
/// millisecond, and repetitions of repetitions end here.
pub const PATTERN_SIZE_MAX: usize = 64 << 10;

const PATTERN: &str = "regex:";

/// The URL segment form of RFC 6920 §5 after the name of the container; no other hash is taken.
const HASH: &str = "hash:sha-256;";

/// The URLs of a token.
#[derive(Debug)]
pub(super) enum Container {
    Pattern(Regex),
    Hash(String),
}

impl Container {
    pub(super) fn read(text: &str) -> Result<Self, TokenError> {
        if let Some(hash) = text.strip_prefix(HASH) {
            return Ok(Self::Hash(hash.to_owned()));
        }
        let pattern = text.strip_prefix(PATTERN).ok_or(TokenError::Pattern)?;
        // The whole URL must match: RFC 9246 does not say so, and a pattern for a folder that also matched inside a query would
        // permit everything. Bytes, for the POSIX locale (§2.1.15.2). Matching takes time linear in the URL.
        RegexBuilder::new(&format!(r"\A(?:{pattern})\z"))
            .unicode(false)
            .size_limit(PATTERN_SIZE_MAX)
            .dfa_size_limit(PATTERN_SIZE_MAX)
            .build()
            .map(Self::Pattern)
            .map_err(|_| TokenError::Pattern)
    }

    /// Whether a normalised URL is one of those.
    pub(super) fn holds(&self, url: &str) -> bool {
        match self {
            Self::Pattern(pattern) => pattern.is_match(url.as_bytes()),
            Self::Hash(hash) => *hash == hashed(url),
        }
    }
}

/// The container of one normalised URL.
pub(super) fn hash_of(url: &str) -> String {
    format!("{HASH}{}", hashed(url))
}

/// The container of a pattern.
pub(super) fn pattern(pattern: &str) -> String {
    format!("{PATTERN}{pattern}")
}

fn hashed(url: &str) -> String {
    URL_SAFE_NO_PAD.encode(digest(&SHA256, url.as_bytes()))
}
