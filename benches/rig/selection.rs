//! Which cells of the table are measured, and how hard each is driven.

use crate::assets::Size;
use std::fmt;
use std::str::FromStr;

/// Protocols that are measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Protocol {
    /// HTTP/1.1 over TLS.
    H1,
    /// HTTP/2 over TLS.
    H2,
    /// HTTP/3.
    H3,
}

impl Protocol {
    /// All, oldest first.
    pub(crate) const ALL: [Self; 3] = [Self::H1, Self::H2, Self::H3];

    /// As it is written on the command line and in tables.
    pub(crate) const fn token(self) -> &'static str {
        match self {
            Self::H1 => "h1",
            Self::H2 => "h2",
            Self::H3 => "h3",
        }
    }

    /// Its name in ALPN (RFC 7301).
    pub(crate) const fn alpn(self) -> &'static [u8] {
        match self {
            Self::H1 => b"http/1.1",
            Self::H2 => b"h2",
            Self::H3 => b"h3",
        }
    }
}

/// A word of `--only`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Token {
    /// A protocol.
    Protocol(Protocol),
    /// A size.
    Size(Size),
}

/// A word that is neither.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct UnknownToken;

impl fmt::Display for UnknownToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("expected one of h1, h2, h3, 1k, 16k, 1m, 100m")
    }
}

impl std::error::Error for UnknownToken {}

impl FromStr for Token {
    type Err = UnknownToken;

    fn from_str(text: &str) -> Result<Self, UnknownToken> {
        let protocol =
            Protocol::ALL.into_iter().find(|protocol| protocol.token() == text).map(Self::Protocol);
        let size = Size::ALL.into_iter().find(|size| size.token() == text).map(Self::Size);
        protocol.or(size).ok_or(UnknownToken)
    }
}

/// What to measure: every chosen protocol with every chosen size.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Selection {
    /// Oldest first.
    pub(crate) protocols: Vec<Protocol>,
    /// Smallest first.
    pub(crate) sizes: Vec<Size>,
}

impl Selection {
    /// Where no protocol or no size is named, all are meant.
    pub(crate) fn of(tokens: &[Token]) -> Self {
        let named = |token| tokens.contains(&token);
        let mut protocols: Vec<_> =
            Protocol::ALL.into_iter().filter(|&protocol| named(Token::Protocol(protocol))).collect();
        let mut sizes: Vec<_> = Size::ALL.into_iter().filter(|&size| named(Token::Size(size))).collect();
        if protocols.is_empty() {
            protocols = Protocol::ALL.into();
        }
        if sizes.is_empty() {
            sizes = Size::ALL.into();
        }
        Self { protocols, sizes }
    }
}

/// How many requests are under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Concurrency {
    /// Connections.
    pub(crate) connections: u32,
    /// Requests under way on each.
    pub(crate) streams: u32,
}

impl Concurrency {
    /// Enough to keep two cores busy. Large assets take few, as one fills the pipe alone; and over HTTP/1.1, a connection carries one.
    pub(crate) const fn of(protocol: Protocol, size: Size) -> Self {
        let (connections, streams) = match (protocol, size) {
            (Protocol::H1, Size::Kib1 | Size::Kib16) => (64, 1),
            (Protocol::H2 | Protocol::H3, Size::Kib1 | Size::Kib16) => (16, 8),
            (Protocol::H1, Size::Mib1) => (16, 1),
            (Protocol::H2 | Protocol::H3, Size::Mib1) => (8, 2),
            (_, Size::Mib100) => (4, 1),
        };
        Self { connections, streams }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_words_choose_everything() {
        let all = Selection { protocols: Protocol::ALL.into(), sizes: Size::ALL.into() };
        assert_eq!(Selection::of(&[]), all);
    }

    #[test]
    fn a_protocol_alone_chooses_all_its_sizes() {
        let chosen = Selection::of(&[Token::Protocol(Protocol::H3)]);
        assert_eq!(chosen, Selection { protocols: vec![Protocol::H3], sizes: Size::ALL.into() });
    }

    #[test]
    fn words_choose_and_unknown_ones_are_refused() {
        assert_eq!("h2".parse(), Ok(Token::Protocol(Protocol::H2)));
        assert_eq!("16k".parse(), Ok(Token::Size(Size::Kib16)));
        assert_eq!("2k".parse::<Token>(), Err(UnknownToken));
    }
}
