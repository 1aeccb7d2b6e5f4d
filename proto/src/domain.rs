//! Domains that accounts bring along: which names count, how they are written, and the DNS record that proves whose they are.
//!
//! A name is kept as it stands in DNS and in the requests of clients: in ASCII (A-labels of IDNA, by UTS #46), in lower case, without a
//! port and without the dot at its end. So two spellings of one name are one name, and nothing that is no host name gets in.

use crate::pointer::DOMAIN_LEN_MAX;
use idna::uts46::{AsciiDenyList, DnsLength, Hyphens, Uts46};
use std::fmt;
use std::net::IpAddr;

/// What stands before a domain in the name of the record that proves it. No host has such a name: an underscore is none of its
/// letters (RFC 1123 §2.1), which keeps the record apart from all that is served.
const RECORD_PREFIX: &str = "_skerry.";

/// A domain that can be claimed.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CustomDomain(String);

/// Why a name cannot be claimed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidDomain {
    /// A star in it.
    #[error("a wildcard is no domain of its own; add each name that is to be served")]
    Wildcard,
    /// An address in numbers.
    #[error("an IP address is no domain; add a name that leads to it")]
    Address,
    /// What does not lie in DNS: one label alone.
    #[error("a name of one label is nobody's to prove; add one with a dot, such as music.example.com")]
    OneLabel,
    /// A name that means each machine itself (RFC 6761 §6.3).
    #[error(
        "a name under localhost means every machine itself, so nobody can prove it; add one that lies in DNS"
    )]
    Localhost,
    /// A name that the cluster gives out.
    #[error("names under the cluster's own domain are given out by the origin; add one of yours")]
    UnderBase,
    /// More than DNS can hold.
    #[error("it is too long: the record that proves it would have more than 253 characters")]
    TooLong,
    /// Anything else.
    #[error(
        "it is no host name; it is letters, digits and hyphens with dots between, in any language, without a scheme, port or path"
    )]
    Malformed,
}

impl CustomDomain {
    /// Reads a name as people write it; `base_domain` is the one under which the cluster names environments.
    ///
    /// # Errors
    /// Any [`InvalidDomain`].
    pub fn parse(text: &str, base_domain: &str) -> Result<Self, InvalidDomain> {
        // Before any mapping, whose cost grows with the text. A character of IDNA has four bytes at most.
        if text.len() > 4 * DOMAIN_LEN_MAX {
            return Err(InvalidDomain::TooLong);
        }
        if text.contains('*') {
            return Err(InvalidDomain::Wildcard);
        }
        let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
        if bare.parse::<IpAddr>().is_ok() {
            return Err(InvalidDomain::Address);
        }
        let text = text.strip_suffix('.').unwrap_or(text);
        let mapped = Uts46::new()
            .to_ascii(text.as_bytes(), AsciiDenyList::STD3, Hyphens::CheckFirstLast, DnsLength::Verify)
            .map_err(|_| InvalidDomain::Malformed)?;
        let (_, last) = mapped.rsplit_once('.').ok_or(InvalidDomain::OneLabel)?;
        if is_number(last) {
            return Err(InvalidDomain::Address);
        }
        if last == "localhost" {
            return Err(InvalidDomain::Localhost);
        }
        let is_under =
            mapped.strip_suffix(base_domain).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
        if is_under {
            return Err(InvalidDomain::UnderBase);
        }
        if RECORD_PREFIX.len() + mapped.len() > DOMAIN_LEN_MAX {
            return Err(InvalidDomain::TooLong);
        }
        Ok(Self(mapped.into_owned()))
    }

    /// In ASCII and lower case.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Whether clients would take a name for an IPv4 address for the sake of its last label (WHATWG URL, "ends in a number").
fn is_number(label: &str) -> bool {
    let hexadecimal =
        label.strip_prefix("0x").is_some_and(|rest| rest.bytes().all(|byte| byte.is_ascii_hexdigit()));
    hexadecimal || label.bytes().all(|byte| byte.is_ascii_digit())
}

impl fmt::Display for CustomDomain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Name of the TXT record that proves a domain.
pub fn record_name(domain: &str) -> String {
    format!("{RECORD_PREFIX}{domain}")
}

/// What that record says, among whatever else stands there: whose the domain is.
pub fn record_value(account_sid: &str) -> String {
    format!("skerry-account={account_sid}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<String, InvalidDomain> {
        CustomDomain::parse(text, "cdn.example.com").map(|domain| domain.to_string())
    }

    #[test]
    fn every_spelling_of_a_name_is_one_name() {
        let table = [
            ("music.example.net", "music.example.net"),
            ("MUSIC.Example.NET.", "music.example.net"),
            ("b\u{fc}cher.example", "xn--bcher-kva.example"),
            ("BU\u{308}CHER.example", "xn--bcher-kva.example"),
            ("xn--bcher-kva.example", "xn--bcher-kva.example"),
            ("\u{97f3}\u{697d}.\u{65e5}\u{672c}", "xn--66v140h.xn--wgv71a"),
            ("\u{97f3}\u{697d}\u{3002}\u{65e5}\u{672c}", "xn--66v140h.xn--wgv71a"),
            ("\u{ff4d}usic.example", "music.example"),
            ("1.2.3.example", "1.2.3.example"),
            ("a--b.example", "a--b.example"),
            ("example.com", "example.com"),
            ("notcdn.example.com", "notcdn.example.com"),
        ];
        for (text, expected) in table {
            assert_eq!(parsed(text).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_is_nobodys_to_claim_is_refused_with_the_reason() {
        let long = format!("{}.example", ["a".repeat(60).as_str(); 4].join("."));
        let table = [
            ("*.example.net", InvalidDomain::Wildcard),
            ("a*.example.net", InvalidDomain::Wildcard),
            ("192.0.2.1", InvalidDomain::Address),
            ("192.0.2.1.", InvalidDomain::Address),
            ("2001:db8::1", InvalidDomain::Address),
            ("[2001:db8::1]", InvalidDomain::Address),
            ("1.0x7f", InvalidDomain::Address),
            ("1.2.3", InvalidDomain::Address),
            ("\u{ff11}.\u{ff12}", InvalidDomain::Address),
            ("localhost", InvalidDomain::OneLabel),
            ("com.", InvalidDomain::OneLabel),
            ("a.LOCALHOST", InvalidDomain::Localhost),
            ("cdn.example.com", InvalidDomain::UnderBase),
            ("a.b.CDN.example.com.", InvalidDomain::UnderBase),
            ("\u{ff43}dn.example.com", InvalidDomain::UnderBase),
            (&long, InvalidDomain::TooLong),
            ("", InvalidDomain::Malformed),
            (".", InvalidDomain::Malformed),
            ("a..example", InvalidDomain::Malformed),
            ("a.example..", InvalidDomain::Malformed),
            ("-a.example", InvalidDomain::Malformed),
            ("a-.example", InvalidDomain::Malformed),
            ("a_b.example", InvalidDomain::Malformed),
            ("a b.example", InvalidDomain::Malformed),
            ("a.example:443", InvalidDomain::Malformed),
            ("https://a.example", InvalidDomain::Malformed),
            ("a.example/x", InvalidDomain::Malformed),
            ("user@a.example", InvalidDomain::Malformed),
            ("a%2e.example", InvalidDomain::Malformed),
            ("a\0.example", InvalidDomain::Malformed),
            ("xn--a.example", InvalidDomain::Malformed),
            ("xn--.example", InvalidDomain::Malformed),
            ("\u{200d}a.example", InvalidDomain::Malformed),
        ];
        for (text, expected) in table {
            assert_eq!(parsed(text), Err(expected), "{text:?}");
        }
        assert_eq!(parsed(&"a.".repeat(600)), Err(InvalidDomain::TooLong));
    }

    #[test]
    fn the_record_names_the_domain_and_says_the_account() {
        assert_eq!(record_name("music.example"), "_skerry.music.example");
        assert_eq!(record_value("AC1"), "skerry-account=AC1");
    }
}
