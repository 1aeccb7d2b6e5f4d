//! What one client address may take up: each bound refuses what is past it, is counted, and gives back what ends.

use crate::harness::{Dev, PREFACE, Protocol, WHOLE, block_on, bytes, eventually, frame, get, kind};

#[test]
fn an_address_has_so_many_connections_and_no_more() {
    let dev = Dev::with(&["--set", "edge.limits.address.connection_count_max=3"]);
    let (site, figures) = (dev.site(), dev.figures());
    let held = block_on(async {
        let mut held = Vec::new();
        for _ in 0..3 {
            held.push(site.raw(Protocol::Http1).await);
        }
        for protocol in [Protocol::Http1, Protocol::Http2] {
            assert!(!site.accepts(protocol).await, "{protocol}");
        }
        held
    });
    assert!(site.ask(Protocol::Http3, "/").attempt().is_err());
    assert_eq!(figures.metric("skerry_edge_address_connections_max", &[]), 3.0);
    assert!(figures.metric("skerry_edge_address_connections_refused_total", &[]) >= 3.0);
    figures.until("skerry_edge_address_connections", &[], |busiest| busiest == 3.0);
    drop(held);
    eventually("slots are given back", || site.ask(Protocol::Http2, "/").attempt().ok());
}

#[test]
fn what_is_in_flight_is_bounded_and_more_is_told_to_come_back() {
    let dev = Dev::with(&["--set", "edge.limits.address.in_flight_size_max=1MiB"]);
    dev.cli().put("/large.bin", &bytes(1, 32_000_000));
    dev.cli().put("/small.txt", b"small\n");
    let (site, figures) = (dev.site(), dev.figures());
    let request = format!("GET /large.bin HTTP/1.1\r\nHost: localhost:{}\r\n\r\n", site.address().port());
    // Four readers that have stopped hold a slice each.
    let held = block_on(async {
        let mut held = Vec::new();
        for _ in 0..4 {
            let mut raw = site.with_host("localhost").raw(Protocol::Http1).await;
            raw.send(request.as_bytes()).await;
            assert_eq!(raw.read(12).await, b"HTTP/1.1 200");
            held.push(raw);
        }
        held
    });
    for protocol in Protocol::ALL {
        let refused = site.get(protocol, "/small.txt");
        assert_eq!(refused.status, 503, "{protocol}");
        assert!(refused.headers.contains_key("retry-after"), "{protocol}");
    }
    assert_eq!(figures.metric("skerry_edge_address_bytes_in_flight_refused_total", &[]), 3.0);
    assert_eq!(figures.metric("skerry_edge_address_bytes_in_flight_max", &[]), f64::from(1 << 20));
    figures.until("skerry_edge_bytes_in_flight", &[], |bytes| bytes == f64::from(1 << 20));
    drop(held);
    eventually("what ends is given back", || {
        (site.get(Protocol::Http1, "/small.txt").status == 200).then_some(())
    });
    figures.until("skerry_edge_bytes_in_flight", &[], |bytes| bytes == 0.0);
}

#[test]
fn a_stream_past_the_bound_is_refused_and_counted_and_the_others_go_on() {
    let dev = Dev::with(&["--set", "edge.limits.stream_count_max=4"]);
    dev.cli().put("/small.txt", b"small\n");
    let (site, figures) = (dev.site(), dev.figures());
    let request = get("/small.txt", "localhost");
    let refused = || figures.metric("skerry_edge_cut_offs_total", &[("reason", "too_many_streams")]);
    assert_eq!(refused(), 0.0);
    block_on(async {
        let mut raw = site.raw(Protocol::Http2).await;
        // Four that do not come to their end, and two more.
        let open = |stream| frame(kind::HEADERS, WHOLE & !1, stream, &request);
        let streams: Vec<u8> = (0..6).flat_map(|index| open(2 * index + 1)).collect();
        raw.send(&[PREFACE, &streams].concat()).await;
        // RFC 9113 §8.7: so a client knows that nothing was done for them.
        for _ in 0..2 {
            assert_eq!(raw.until_frame(kind::RST_STREAM).await, [0, 0, 0, 7]);
        }
        raw.send(&frame(kind::DATA, 1, 1, &[])).await;
        raw.until_frame(kind::HEADERS).await;
    });
    assert_eq!(refused(), 2.0);
}

#[test]
fn every_bound_on_one_request_or_connection_is_a_figure() {
    let dev = Dev::with(&["--set", "edge.limits.body_size_max=1KiB", "--set", "edge.limits.rate_min=2KiB"]);
    dev.cli().put("/small.txt", b"small\n");
    let (site, figures) = (dev.site(), dev.figures());
    for (name, bound) in [
        ("target_bytes_max", 8192.0),
        ("head_bytes_max", 16_384.0),
        ("body_bytes_max", 1024.0),
        ("connection_streams_max", 128.0),
        ("frame_credit_max", 4096.0),
        ("handshake_seconds_max", 10.0),
        ("head_seconds_max", 10.0),
        ("idle_seconds_max", 75.0),
        ("rate_bytes_min", 2048.0),
        ("rate_seconds_max", 30.0),
    ] {
        assert_eq!(figures.metric(&format!("skerry_edge_{name}"), &[]), bound, "{name}");
    }
    for (number, protocol) in (1..).zip(Protocol::ALL) {
        for (size, counted) in [(1024, number - 1), (1025, number)] {
            // Over HTTP/1.1 the rest is not read, and the connection ends.
            let answer = site.ask(protocol, "/small.txt").method("POST").content(bytes(1, size)).send();
            assert_eq!(answer.status, 405, "{protocol} {size}");
            let count = figures.metric("skerry_edge_cut_offs_total", &[("reason", "body_too_large")]);
            assert_eq!(count, f64::from(counted), "{protocol} {size}");
        }
    }
    assert_eq!(figures.metric("skerry_edge_idle_closes_total", &[]), 0.0);
}
