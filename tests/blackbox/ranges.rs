//! Ranges (RFC 9110 §14), over three protocols. Those of one part are in `http`.

use crate::harness::{Edge, FakeOrigin, Lie, Protocol, Showing, bytes, hash};
use bytes::Bytes;
use std::ops::Range;

const DOMAIN: &str = "ranges.sites.test";
const SLICE: usize = 262_144;

/// `/film.mp4` of ten and a half slices, and `/empty`.
fn with_film() -> (FakeOrigin, Edge, Bytes) {
    let film = bytes(1, 10 * SLICE + SLICE / 2);
    let mut showing = Showing::default();
    showing.asset("/film.mp4", "video/mp4", &film);
    showing.asset("/empty", "text/plain", &Bytes::new());
    let (origin, edge) = showing.at(DOMAIN);
    (origin, edge, film)
}

/// What RFC 9110 §14.6 and RFC 2046 §5.1 say that several ranges look like.
fn multipart(boundary: &str, part_fields: &str, content: &Bytes, parts: &[Range<usize>]) -> Vec<u8> {
    let mut expected = Vec::new();
    for (number, part) in parts.iter().enumerate() {
        let before = if number == 0 { "" } else { "\r\n" };
        let range = format!("bytes {}-{}/{}", part.start, part.end - 1, content.len());
        expected
            .extend(format!("{before}--{boundary}\r\n{part_fields}Content-Range: {range}\r\n\r\n").bytes());
        expected.extend(&content[part.clone()]);
    }
    expected.extend(format!("\r\n--{boundary}--\r\n").bytes());
    expected
}

#[test]
fn several_ranges_are_parts_of_one_206() {
    let (_origin, edge, film) = with_film();
    let cases: &[(&str, &[Range<usize>])] = &[
        ("bytes=0-9,100-199", &[0..10, 100..200]),
        ("bytes=500000-500009, 0-0, -5", &[500_000..500_010, 0..1, film.len() - 5..film.len()]),
        ("bytes=262143-262144,524288-1048576", &[SLICE - 1..SLICE + 1, 2 * SLICE..4 * SLICE + 1]),
        ("bytes=0-9,5-19,40-49,99999999-", &[0..20, 40..50]),
    ];
    for protocol in Protocol::ALL {
        for (range, parts) in cases {
            let response = edge.site(DOMAIN).ask(protocol, "/film.mp4").header("range", range).send();
            assert_eq!(response.status, 206, "{protocol} {range}");
            let content_type = response.header("content-type");
            let boundary = content_type.strip_prefix("multipart/byteranges; boundary=").expect("a boundary");
            assert!(boundary.len() <= 70, "{boundary}");
            let expected = multipart(boundary, "Content-Type: video/mp4\r\n", &film, parts);
            assert!(response.body == expected, "{protocol} {range}");
            assert_eq!(response.header("content-length"), expected.len().to_string(), "{protocol} {range}");
            // RFC 9110 §15.3.7.2: that is for one part only.
            assert_eq!(response.header("content-range"), "", "{protocol} {range}");
            assert_eq!(response.header("etag"), format!("\"{}\"", hash(&film)), "{protocol} {range}");
        }
    }
}

#[test]
fn ranges_that_come_to_one_are_answered_as_one() {
    let (_origin, edge, film) = with_film();
    for protocol in Protocol::ALL {
        for range in ["bytes=0-9,10-19", "bytes=10-19,0-9,5-15", "bytes=0-19,99999999-"] {
            let response = edge.site(DOMAIN).ask(protocol, "/film.mp4").header("range", range).send();
            assert_eq!(response.status, 206, "{protocol} {range}");
            assert_eq!(
                response.header("content-range"),
                format!("bytes 0-19/{}", film.len()),
                "{protocol} {range}"
            );
            assert_eq!(response.header("content-type"), "video/mp4", "{protocol} {range}");
            assert!(response.body == film[..20], "{protocol} {range}");
        }
    }
}

#[test]
fn many_small_ranges_show_the_whole() {
    let (_origin, edge, film) = with_film();
    let list = |count: usize| {
        let members: Vec<_> = (0..count).map(|number| format!("{0}-{0}", number * 1000)).collect();
        format!("bytes={}", members.join(","))
    };
    for protocol in Protocol::ALL {
        let ask = |range: &str| edge.site(DOMAIN).ask(protocol, "/film.mp4").header("range", range).send();
        assert_eq!(ask(&list(16)).status, 206, "{protocol}");
        for hostile in [list(17), list(1000), format!("bytes={}x", ",".repeat(8000))] {
            let response = ask(&hostile);
            assert!(response.status == 200 && response.body == film, "{protocol} {} bytes", hostile.len());
        }
    }
}

#[test]
fn numbers_beyond_every_size_are_clamped() {
    let (_origin, edge, film) = with_film();
    let size = film.len();
    let cases = [
        (format!("bytes={}-99999999999999999999999999", size - 3), 206),
        ("bytes=-99999999999999999999999999".to_owned(), 206),
        ("bytes=99999999999999999999999999-".to_owned(), 416),
    ];
    for protocol in Protocol::ALL {
        for (range, status) in &cases {
            let response = edge.site(DOMAIN).ask(protocol, "/film.mp4").header("range", range).send();
            assert_eq!(response.status, *status, "{protocol} {range}");
            let range = response.header("content-range");
            assert!(range.ends_with(&format!("/{size}")), "{protocol} {range}");
        }
    }
}

#[test]
fn of_an_empty_asset_no_byte_can_be_had() {
    let (_origin, edge, _) = with_film();
    for protocol in Protocol::ALL {
        let ask = |range: &str| edge.site(DOMAIN).ask(protocol, "/empty").header("range", range).send();
        for range in ["bytes=0-", "bytes=0-0", "bytes=-0"] {
            let response = ask(range);
            assert_eq!(
                (response.status.as_u16(), response.header("content-range")),
                (416, "bytes */0"),
                "{protocol} {range}"
            );
        }
        // RFC 9110 §14.1.2: satisfiable, but no Content-Range can say so.
        assert_eq!(ask("bytes=-5").status, 200, "{protocol}");
    }
}

#[test]
fn a_range_on_head_is_ignored() {
    let (_origin, edge, film) = with_film();
    for protocol in Protocol::ALL {
        let ask = edge.site(DOMAIN);
        let response = ask.ask(protocol, "/film.mp4").method("HEAD").header("range", "bytes=0-1,9-10").send();
        assert_eq!(response.status, 200, "{protocol}");
        assert_eq!(response.header("content-length"), film.len().to_string(), "{protocol}");
    }
}

/// The one slice of each fill is what was asked for: with 16 slices in a fill, the whole would come in one.
#[test]
fn ranges_fetch_only_the_slices_that_they_need() {
    let (origin, edge, film) = with_film();
    let range = format!("bytes={}-{},{}-{}", 3 * SLICE, 3 * SLICE + 1, 9 * SLICE - 1, 9 * SLICE - 1);
    let before = edge.figures().metric("skerry_edge_fill_slices_total", &[]);
    let response = edge.site(DOMAIN).ask(Protocol::Http2, "/film.mp4").header("range", &range).send();
    assert_eq!(response.status, 206);
    assert!(memchr::memmem::find(&response.body, &film[3 * SLICE..3 * SLICE + 2]).is_some());
    assert_eq!(edge.figures().metric("skerry_edge_fill_slices_total", &[]) - before, 2.0);
    drop(origin);
}

#[test]
fn a_later_part_that_cannot_be_had_cuts_the_response() {
    let film = bytes(2, 4 * SLICE);
    let mut showing = Showing::default();
    showing.asset_with("/film.mp4", "video/mp4", &film, Lie::FlippedBit { slice: 3 });
    let (_origin, edge) = showing.at(DOMAIN);
    let range = format!("bytes=0-99,{}-", 3 * SLICE);
    for protocol in Protocol::ALL {
        let attempt = edge.site(DOMAIN).ask(protocol, "/film.mp4").header("range", &range).attempt();
        let error = attempt.expect_err("not whole");
        assert!(error.to_string().contains("cut short"), "{protocol}: {error:#}");
    }
}
