//! Where a redirect leads.
//!
//! A client that follows a `Location` goes wherever it says, so none that is built from a request's path may name another host:
//! whatever stands there is percent-encoded, and a target on this host begins with exactly one `/`.

use http::HeaderValue;
use percent_encoding::{AsciiSet, CONTROLS, percent_encode};
use skerry_proto::path::NOT_PCHAR;
use skerry_proto::rules::{Redirect, SPLAT};
use std::borrow::Cow;

/// What may not stand in a path as it was sent, in which `%` says that something is encoded already.
const NOT_PATH: AsciiSet = NOT_PCHAR.remove(b'%');

/// What may not stand in a query (RFC 3986 §3.4).
const NOT_QUERY: AsciiSet = CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'<')
    .add(b'>')
    .add(b'#')
    .add(b'\\')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

/// What `*` of a redirect matched.
#[derive(Debug, Clone, Copy)]
pub(super) enum Splat<'a> {
    /// A part of the path as it was sent.
    Sent(&'a str),
    /// A part of the path decoded.
    Decoded(&'a str),
}

/// The path that a rewrite shows.
pub(super) fn rewritten<'a>(redirect: &'a Redirect, splat: Splat<'_>) -> Cow<'a, str> {
    let (Splat::Sent(text) | Splat::Decoded(text)) = splat;
    if redirect.to.contains(SPLAT) { redirect.to.replace(SPLAT, text).into() } else { (&*redirect.to).into() }
}

/// `Location` of a declared redirect. The request's query goes along where the target has none.
pub(super) fn location(redirect: &Redirect, splat: Splat<'_>, query: Option<&str>) -> Option<HeaderValue> {
    let target = if redirect.to.contains(SPLAT) {
        let encoded = match splat {
            Splat::Sent(text) => percent_encode(text.as_bytes(), &NOT_PATH),
            Splat::Decoded(text) => percent_encode(text.as_bytes(), &NOT_PCHAR),
        };
        Cow::Owned(redirect.to.replace(SPLAT, &encoded.to_string()))
    } else {
        Cow::Borrowed(&*redirect.to)
    };
    with_query(&target, query)
}

/// `Location` of the folder that stands where a path was asked for.
pub(super) fn folder(sent: &str, query: Option<&str>) -> Option<HeaderValue> {
    with_query(&format!("{}/", percent_encode(sent.as_bytes(), &NOT_PATH)), query)
}

fn with_query(target: &str, query: Option<&str>) -> Option<HeaderValue> {
    let (target, fragment) = match target.find('#') {
        Some(at) => target.split_at(at),
        None => (target, ""),
    };
    // RFC 3986 §4.2: two slashes at the beginning would name a host.
    let slashes = target.len() - target.trim_start_matches('/').len();
    let target = &target[slashes.saturating_sub(1)..];
    let location = match query.filter(|_| !target.contains('?')) {
        Some(query) => format!("{target}?{}{fragment}", percent_encode(query.as_bytes(), &NOT_QUERY)),
        None => format!("{target}{fragment}"),
    };
    HeaderValue::try_from(location).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use skerry_proto::rules::RedirectStatus;

    fn to(target: &str) -> Redirect {
        Redirect { from: "/old/*".into(), to: target.into(), status: RedirectStatus::Found }
    }

    #[test]
    fn a_location_is_the_target_with_what_matched_and_the_query() {
        let cases = [
            ("/new", "x", None, "/new"),
            ("/new/:splat", "a/b", None, "/new/a/b"),
            ("/new/:splat", "a%20b", Some("q=1"), "/new/a%20b?q=1"),
            ("/new?x=:splat", "a", Some("q=1"), "/new?x=a"),
            ("/new#top", "", Some("q=1"), "/new?q=1#top"),
            ("https://example.com/:splat", "a", Some("q"), "https://example.com/a?q"),
            ("/:splat/:splat", "a", None, "/a/a"),
            ("/new", "", Some(""), "/new?"),
        ];
        for (target, splat, query, expected) in cases {
            let location = location(&to(target), Splat::Sent(splat), query).expect("a value");
            assert_eq!(location, expected, "{target} {splat} {query:?}");
        }
    }

    #[test]
    fn no_location_made_of_a_path_names_another_host() {
        for splat in
            ["/evil.example", "//evil.example", "\\evil.example", "/\\evil.example", "///", "\t/evil"]
        {
            for target in ["/:splat", "/:splat#x"] {
                for splat in [Splat::Sent(splat), Splat::Decoded(splat)] {
                    let location = location(&to(target), splat, None).expect("a value");
                    let second = location.as_bytes().get(1);
                    assert!(
                        location.as_bytes()[0] == b'/' && !matches!(second, Some(b'/' | b'\\')),
                        "{location:?}"
                    );
                }
            }
        }
        assert_eq!(folder("//evil.example", None).expect("a value"), "/evil.example/");
    }

    #[test]
    fn what_was_decoded_is_encoded_again() {
        let spelled = location(&to("/n/:splat"), Splat::Decoded("ü 100%?#\r\n"), None).expect("a value");
        assert_eq!(spelled, "/n/%C3%BC%20100%25%3F%23%0D%0A");
        assert_eq!(location(&to("/n"), Splat::Sent(""), Some("a b\u{7f}")).expect("a value"), "/n?a%20b%7F");
    }
}
