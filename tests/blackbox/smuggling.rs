//! Requests over HTTP/1.1 that two recipients may read differently (RFC 9112 §11.2): refused, and with them all that follows.

use crate::harness::{Dev, Protocol, Site, block_on};

/// What follows each vector on its connection, and must never be answered.
const SMUGGLED: &str = "GET /small.txt HTTP/1.1\r\nHost: localhost\r\n\r\n";

/// Fields of a request, each with two readings or none.
const FIELDS: [&str; 33] = [
    // RFC 9112 §6.1 and §6.3.
    "Content-Length: 6\r\nTransfer-Encoding: chunked",
    "Transfer-Encoding: chunked\r\nContent-Length: 6",
    "Content-Length: 0\r\nContent-Length: 44",
    "Content-Length: 6\r\nContent-Length: 6",
    "Content-Length: 6, 6",
    "Content-Length: 6, 44",
    "Content-Length: +6",
    "Content-Length: -1",
    "Content-Length: 6a",
    "Content-Length: 0x6",
    "Content-Length: 99999999999999999999",
    "Content-Length:",
    "Transfer-Encoding: gzip",
    "Transfer-Encoding: chunked, identity",
    "Transfer-Encoding: identity, chunked",
    "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
    "Transfer-Encoding: xchunked",
    "Transfer-Encoding: \"chunked\"",
    "Transfer-Encoding:",
    // RFC 9112 §5.1 and §5.2.
    "Transfer-Encoding : chunked",
    "Transfer-Encoding\t: chunked",
    " Transfer-Encoding: chunked",
    "X: a\r\n Transfer-Encoding: chunked",
    "X: a\r\n\tb",
    ": a",
    "X",
    "X Y: a",
    // RFC 9112 §2.2 and RFC 9110 §5.5.
    "X: a\nTransfer-Encoding: chunked",
    "X: a\rTransfer-Encoding: chunked",
    "X: a\0",
    "X: a\x0bb",
    "X: a\x7f",
    "Transfer-Encoding: \x0bchunked",
];

/// Heads of which the first line has two readings or none.
const HEADS: [&str; 11] = [
    "GET /small.txt\r\n\r\n",
    "GET /small.txt HTTP/1.1\n\n",
    "GET /small.txt  HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "GET /small.txt HTTP/1.1 \r\nHost: localhost\r\n\r\n",
    "GET /small.txt x HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "GET\t/small.txt HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "GE(T /small.txt HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "GET /small\0.txt HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "GET /small.txt HTTP/1.1\r\r\nHost: localhost\r\n\r\n",
    "GET /small.txt HTTP/1.x\r\nHost: localhost\r\n\r\n",
    "POST /small.txt HTTP/1.0\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
];

/// RFC 9112 §7.1: content that is not chunked as it should be.
const CHUNKS: [&str; 11] = [
    "6\nsmall\n\r\n0\r\n\r\n",
    "x\r\n",
    "-1\r\n",
    "0x1\r\na\r\n0\r\n\r\n",
    "1\r\nab\r\n0\r\n\r\n",
    "1\r\na\n0\r\n\r\n",
    "fffffffffffffffff\r\n",
    "1 x\r\na\r\n0\r\n\r\n",
    "0\r\nContent-Length: 5\r\n\r\n",
    "0\r\nX : a\r\n\r\n",
    "0\r\n\n",
];

/// Sends bytes on one connection, and gives all that comes back; the end must be announced.
fn exchange(site: &Site, bytes: &[u8]) -> String {
    let ended = block_on(async {
        let mut raw = site.raw(Protocol::Http1).await;
        raw.send(bytes).await;
        raw.end().await
    });
    assert!(ended.is_announced, "close_notify is missing after {}", bytes.escape_ascii());
    String::from_utf8_lossy(&ended.received).into_owned()
}

#[track_caller]
fn assert_refused(site: &Site, vector: &[u8], status: u16) {
    let sent = [vector, SMUGGLED.as_bytes(), SMUGGLED.as_bytes()].concat();
    let received = exchange(site, &sent);
    let text = vector.escape_ascii();
    assert!(received.starts_with(&format!("HTTP/1.1 {status} ")), "{text}: {received}");
    assert_eq!(received.matches("HTTP/1.1 ").count(), 1, "{text}: {received}");
    assert!(received.to_ascii_lowercase().contains("connection: close\r\n"), "{text}: {received}");

    // An answer that was due before is given, and nothing more than that.
    let received = exchange(site, &[SMUGGLED.as_bytes(), &sent].concat());
    assert!(received.starts_with("HTTP/1.1 200 ") && received.contains("small\n"), "{text}: {received}");
    assert_eq!(received.matches("HTTP/1.1 ").count(), 2, "{text}: {received}");
    assert!(received.contains(&format!("HTTP/1.1 {status} ")), "{text}: {received}");
}

#[test]
fn a_request_of_two_readings_is_refused_and_nothing_after_it_is_answered() {
    let dev = Dev::start();
    dev.cli().put("/small.txt", b"small\n");
    let site = dev.site().with_host("localhost");
    let with_fields =
        |fields: &str| format!("POST /small.txt HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n\r\n");
    for fields in FIELDS {
        assert_refused(&site, with_fields(fields).as_bytes(), 400);
    }
    for head in HEADS {
        assert_refused(&site, head.as_bytes(), 400);
    }
    assert_refused(&site, b"GET /small.txt HTTP/3.7\r\nHost: localhost\r\n\r\n", 505);

    for chunk in CHUNKS {
        assert_refused(&site, [&with_fields("Transfer-Encoding: chunked"), chunk].concat().as_bytes(), 400);
    }
    let expected = 2 * (FIELDS.len() + HEADS.len() + 1 + CHUNKS.len());
    dev.figures().until("skerry_edge_cut_offs_total", &[("reason", "malformed")], |refused| {
        refused == expected as f64
    });
}

#[test]
fn long_targets_and_large_heads_are_told_so() {
    let dev = Dev::start();
    dev.cli().put("/small.txt", b"small\n");
    let site = dev.site().with_host("localhost");
    let request =
        |target: &str, field: &str| format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n{field}\r\n\r\n");
    assert_refused(&site, request(&format!("/{}", "a".repeat(9000)), "X: a").as_bytes(), 414);
    assert_refused(&site, request("/small.txt", &format!("X: {}", "a".repeat(17_000))).as_bytes(), 431);
    assert_refused(
        &site,
        request("/small.txt", &vec!["X: aaaaaaaaaaaaaaaaaaaaaaaaaa"; 600].join("\r\n")).as_bytes(),
        431,
    );
    for protocol in Protocol::ALL {
        let within = format!("/small.txt?{}", "a".repeat(7000));
        assert_eq!(dev.site().get(protocol, &within).status, 200, "{protocol}");
        let long = format!("/small.txt?{}", "a".repeat(9000));
        assert_eq!(dev.site().get(protocol, &long).status, 414, "{protocol}");
        let large = dev.site().ask(protocol, "/small.txt").header("cookie", &"a".repeat(20_000)).send();
        assert_eq!(large.status, 431, "{protocol}");
        // A client that has heard of it in time does not even send what is larger by far (RFC 9114 §4.2.2).
        let larger = dev.site().ask(protocol, "/small.txt").header("cookie", &"a".repeat(60_000)).attempt();
        let is_told = larger.map_or(protocol == Protocol::Http3, |response| response.status == 431);
        assert!(is_told, "{protocol}");
    }
}

/// What is of the grammar, however odd, is served: pipelining, content that nobody asked for, and an empty line too many.
#[test]
fn odd_requests_of_one_reading_are_answered() {
    let dev = Dev::start();
    dev.cli().put("/small.txt", b"small\n");
    let site = dev.site().with_host("localhost");
    let requests = [
        SMUGGLED,
        "GET /small.txt HTTP/1.1\r\nhost:localhost\r\nContent-Length: 5\r\n\r\nGET /",
        "GET /small.txt HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: CHUNKED\r\n\r\n2;a=\"b\"\r\nab\r\n0\r\nT: v\r\n\r\n",
        "\r\nGET /small.txt HTTP/1.1\r\nHost: \t localhost \t\r\nX:\r\n\r\n",
        "GET /small.txt HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
    ];
    let received = exchange(&site, requests.concat().as_bytes());
    assert_eq!(received.matches("HTTP/1.1 200 OK").count(), requests.len(), "{received}");
    assert_eq!(received.matches("HTTP/1.1 ").count(), requests.len(), "{received}");
}
