//! Conditional requests (RFC 9110 §13), over three protocols.

use crate::harness::{Edge, FakeOrigin, Protocol, Response, Showing, hash};
use bytes::Bytes;

const DOMAIN: &str = "conditionals.sites.test";
const CONTENT: &[u8] = b"0123456789";

const BEFORE: &str = "Sun, 09 Sep 2001 01:46:39 GMT";
const SAME: &str = "Sun, 09 Sep 2001 01:46:40 GMT";
const AFTER: &str = "Sun, 09 Sep 2001 01:46:41 GMT";

/// `/digits.txt`, at the time of [`SAME`]; and its entity tag.
fn with_digits() -> (FakeOrigin, Edge, String) {
    let mut showing = Showing::default();
    showing.asset("/digits.txt", "text/plain", &Bytes::from_static(CONTENT));
    let (origin, edge) = showing.at(DOMAIN);
    (origin, edge, format!("\"{}\"", hash(CONTENT)))
}

fn ask(edge: &Edge, protocol: Protocol, method: &str, fields: &[(&str, &str)]) -> Response {
    let site = edge.site(DOMAIN);
    let ask = site.ask(protocol, "/digits.txt").method(method);
    fields.iter().fold(ask, |ask, (name, value)| ask.header(name, value)).send()
}

#[test]
fn preconditions_are_judged_in_the_order_of_rfc_9110() {
    let (_origin, edge, etag) = with_digits();
    let etag = etag.as_str();
    let weak = format!("W/{etag}");
    let list = format!("\"x\", {etag}");
    let cases: &[(&[(&str, &str)], u16)] = &[
        // §13.2.2, step 1
        (&[("if-match", etag)], 200),
        (&[("if-match", &list)], 200),
        (&[("if-match", "\"x\""), ("if-match", etag)], 200),
        (&[("if-match", "*")], 200),
        (&[("if-match", "\"x\"")], 412),
        (&[("if-match", &weak)], 412),
        // step 2
        (&[("if-unmodified-since", SAME)], 200),
        (&[("if-unmodified-since", BEFORE)], 412),
        (&[("if-unmodified-since", "before")], 200),
        (&[("if-match", etag), ("if-unmodified-since", BEFORE)], 200),
        // step 3
        (&[("if-none-match", &weak)], 304),
        (&[("if-none-match", "\"x\""), ("if-none-match", etag)], 304),
        (&[("if-none-match", "*")], 304),
        (&[("if-none-match", "\"x\"")], 200),
        (&[("if-match", "\"x\""), ("if-none-match", etag)], 412),
        // step 4
        (&[("if-modified-since", SAME)], 304),
        (&[("if-modified-since", AFTER)], 304),
        (&[("if-modified-since", BEFORE)], 200),
        (&[("if-modified-since", "2001-09-09")], 200),
        (&[("if-modified-since", SAME), ("if-none-match", "\"x\"")], 200),
    ];
    for protocol in Protocol::ALL {
        for method in ["GET", "HEAD"] {
            for (fields, status) in cases {
                let response = ask(&edge, protocol, method, fields);
                assert_eq!(response.status, *status, "{protocol} {method} {fields:?}");
                let whole = *status == 200 && method == "GET";
                assert_eq!(response.body == CONTENT, whole, "{protocol} {method} {fields:?}");
            }
        }
    }
}

#[test]
fn a_304_has_the_fields_that_a_cache_needs_and_none_of_content() {
    let (_origin, edge, etag) = with_digits();
    for protocol in Protocol::ALL {
        let whole = ask(&edge, protocol, "GET", &[]);
        let response = ask(&edge, protocol, "GET", &[("if-none-match", &etag)]);
        // RFC 9110 §15.4.5
        for name in
            ["etag", "last-modified", "cache-control", "access-control-allow-origin", "alt-svc", "age"]
        {
            assert_eq!(response.header(name), whole.header(name), "{protocol} {name}");
            assert_ne!(response.header(name), "", "{protocol} {name}");
        }
        assert_ne!(response.header("date"), "", "{protocol}");
        for name in ["content-type", "content-length", "content-range", "content-encoding"] {
            assert_eq!(response.header(name), "", "{protocol} {name}");
        }
        assert!(response.body.is_empty(), "{protocol}");
    }
}

#[test]
fn if_range_decides_whether_a_range_counts() {
    let (_origin, edge, etag) = with_digits();
    let weak = format!("W/{etag}");
    let cases = [
        (etag.as_str(), 206),
        (SAME, 206),
        (weak.as_str(), 200),
        ("\"x\"", 200),
        (BEFORE, 200),
        (AFTER, 200),
        ("then", 200),
    ];
    for protocol in Protocol::ALL {
        for (condition, status) in cases {
            let response = ask(&edge, protocol, "GET", &[("range", "bytes=1-2"), ("if-range", condition)]);
            assert_eq!(response.status, status, "{protocol} {condition}");
        }
        // Without a range it says nothing; and conditions come before ranges.
        assert_eq!(ask(&edge, protocol, "GET", &[("if-range", "\"x\"")]).status, 200, "{protocol}");
        let both = [("range", "bytes=99-"), ("if-none-match", etag.as_str())];
        assert_eq!(ask(&edge, protocol, "GET", &both).status, 304, "{protocol}");
    }
}

#[test]
fn last_modified_is_not_before_the_environment_s_floor() {
    let mut showing = Showing::default();
    showing.modified_floor = 1_000_000_001;
    showing.asset("/digits.txt", "text/plain", &Bytes::from_static(CONTENT));
    let (_origin, edge) = showing.at(DOMAIN);
    for protocol in Protocol::ALL {
        assert_eq!(ask(&edge, protocol, "GET", &[("if-modified-since", SAME)]).status, 200, "{protocol}");
        assert_eq!(ask(&edge, protocol, "GET", &[("if-modified-since", AFTER)]).status, 304, "{protocol}");
        assert_eq!(ask(&edge, protocol, "GET", &[]).header("last-modified"), AFTER, "{protocol}");
    }
}

/// RFC 9110 §8.8.2.1. The clock of the origin may be ahead of the edge's.
#[test]
fn a_time_to_come_is_not_said_and_decides_nothing() {
    const TO_COME: &str = "Fri, 01 Jan 2100 00:00:00 GMT";
    let mut showing = Showing::default();
    showing.modified_floor = 4_102_444_800;
    showing.asset("/digits.txt", "text/plain", &Bytes::from_static(CONTENT));
    let (_origin, edge) = showing.at(DOMAIN);
    for protocol in Protocol::ALL {
        let response = ask(&edge, protocol, "GET", &[("if-modified-since", TO_COME)]);
        assert_eq!((response.status.as_u16(), response.header("last-modified")), (200, ""), "{protocol}");
    }
}
