//! HTTP/2 and HTTP/3 as no client speaks them: malformed frames (RFC 9113 §4 to §6) end the connection, and so do floods of well-formed
//! ones (§10.5; RFC 9114 §10.5), while others are served as ever.

use crate::harness::{
    Companion, Dev, H3_SETTINGS, PREFACE, Protocol, Site, WHOLE, block_on, frame, full, get, h3_get, kind,
};
use quinn::TransportConfig;
use std::time::Duration;

/// Frames of a flood: far more than credit lasts for.
const FLOOD: usize = 20_000;

fn with_small() -> (Dev, Site) {
    let dev = Dev::start();
    dev.cli().put("/small.txt", b"small\n");
    let site = dev.site();
    (dev, site)
}

/// Sends frames after the preface; the code of the GOAWAY before the end, where one came through.
fn answer_to(site: &Site, frames: Vec<u8>) -> Option<u32> {
    block_on(async { site.raw(Protocol::Http2).await.flood([PREFACE, &frames].concat()).await })
}

#[test]
fn a_malformed_frame_ends_the_connection_with_its_reason() {
    const PROTOCOL_ERROR: u32 = 1;
    const FLOW_CONTROL_ERROR: u32 = 3;
    const FRAME_SIZE_ERROR: u32 = 6;
    const COMPRESSION_ERROR: u32 = 9;
    let (_dev, site) = with_small();
    let request = get("/small.txt", "localhost");
    let open = frame(kind::HEADERS, WHOLE & !1, 1, &request);
    let after_open = |frames: Vec<u8>| [open.clone(), frames].concat();
    let unfinished = frame(kind::HEADERS, 1, 1, &request);
    let cases = [
        ("PING of 7 bytes", frame(kind::PING, 0, 0, &[0; 7]), FRAME_SIZE_ERROR),
        ("PING on a stream", frame(kind::PING, 0, 1, &[0; 8]), PROTOCOL_ERROR),
        ("SETTINGS on a stream", frame(kind::SETTINGS, 0, 1, &[]), PROTOCOL_ERROR),
        ("SETTINGS of 5 bytes", frame(kind::SETTINGS, 0, 0, &[0; 5]), FRAME_SIZE_ERROR),
        ("SETTINGS, acknowledged with content", frame(kind::SETTINGS, 1, 0, &[0; 6]), FRAME_SIZE_ERROR),
        (
            "a window past 2^31",
            frame(kind::SETTINGS, 0, 0, &[0, 4, 0xff, 0xff, 0xff, 0xff]),
            FLOW_CONTROL_ERROR,
        ),
        ("DATA on stream 0", frame(kind::DATA, 0, 0, b"a"), PROTOCOL_ERROR),
        ("HEADERS on stream 0", frame(kind::HEADERS, WHOLE, 0, &request), PROTOCOL_ERROR),
        ("HEADERS on a stream of the server", frame(kind::HEADERS, WHOLE, 2, &request), PROTOCOL_ERROR),
        (
            "a field that nobody knows",
            frame(kind::HEADERS, WHOLE, 1, &[0xff, 0xff, 0xff, 0x0f]),
            COMPRESSION_ERROR,
        ),
        ("CONTINUATION of nothing", frame(kind::CONTINUATION, 4, 1, &request), PROTOCOL_ERROR),
        (
            "a frame within a header block",
            [unfinished, frame(kind::PING, 0, 0, &[0; 8])].concat(),
            PROTOCOL_ERROR,
        ),
        ("RST_STREAM of a stream that is idle", frame(kind::RST_STREAM, 0, 9, &[0; 4]), PROTOCOL_ERROR),
        ("RST_STREAM of 3 bytes", after_open(frame(kind::RST_STREAM, 0, 1, &[0; 3])), FRAME_SIZE_ERROR),
        ("WINDOW_UPDATE by nothing", frame(kind::WINDOW_UPDATE, 0, 0, &[0; 4]), PROTOCOL_ERROR),
        (
            "a window that overflows",
            frame(kind::WINDOW_UPDATE, 0, 0, &[0x7f, 0xff, 0xff, 0xff]),
            FLOW_CONTROL_ERROR,
        ),
        (
            "PUSH_PROMISE of a client",
            after_open(frame(kind::PUSH_PROMISE, 4, 1, &[0, 0, 0, 2])),
            PROTOCOL_ERROR,
        ),
        ("a frame past its bound", frame(kind::DATA, 0, 1, &vec![0; 16_385]), FRAME_SIZE_ERROR),
        ("padding past its frame", after_open(frame(kind::DATA, 8, 1, &[9, 0])), PROTOCOL_ERROR),
    ];
    for (what, frames, code) in cases {
        let answered = answer_to(&site, frames);
        // RFC 9113 §5.4: the general code may stand for a finer one; what counts is that it is told, and ends.
        assert!([Some(code), Some(PROTOCOL_ERROR)].contains(&answered), "{what}: {answered:?} for {code}");
    }
    let no_preface = block_on(async {
        site.raw(Protocol::Http2).await.flood(b"GET / HTTP/1.1\r\n\r\n\r\n\r\n\r\n".to_vec()).await
    });
    // RFC 9113 §3.4: who does not speak HTTP/2 need not be told so in it.
    assert!(no_preface.is_none_or(|code| code == PROTOCOL_ERROR), "{no_preface:?}");
    assert_eq!(site.get(Protocol::Http2, "/small.txt").text(), "small\n");
}

#[test]
fn a_flood_is_cut_off_and_counted_while_others_are_served() {
    let (dev, site) = with_small();
    let request = get("/small.txt", "localhost");
    let headers = |stream| frame(kind::HEADERS, WHOLE, stream, &request);
    let streams = || (0..FLOOD as u32).map(|index| 2 * index + 1);
    let open = frame(kind::HEADERS, WHOLE & !1, 1, &request);
    let unfinished = frame(kind::HEADERS, 1, 1, &request);
    // RFC 9113 §7: what a client is told who asks too much, and one whose frames are none.
    const ENHANCE_YOUR_CALM: u32 = 11;
    const PROTOCOL_ERROR: u32 = 1;
    let floods: [(&str, Vec<u8>); 11] = [
        ("SETTINGS", frame(kind::SETTINGS, 0, 0, &[0, 4, 0, 1, 0, 0]).repeat(FLOOD)),
        ("PING", frame(kind::PING, 0, 0, &[7; 8]).repeat(FLOOD)),
        ("PRIORITY", frame(kind::PRIORITY, 0, 3, &[0, 0, 0, 0, 1]).repeat(FLOOD)),
        ("WINDOW_UPDATE", frame(kind::WINDOW_UPDATE, 0, 0, &[0, 0, 0, 1]).repeat(FLOOD)),
        ("unknown frames", frame(0xfa, 0, 0, b"what").repeat(FLOOD)),
        ("empty DATA", [open, frame(kind::DATA, 0, 1, &[]).repeat(FLOOD)].concat()),
        ("CONTINUATION", [unfinished, frame(kind::CONTINUATION, 0, 1, &[]).repeat(FLOOD)].concat()),
        // CVE-2023-44487.
        (
            "rapid reset",
            streams()
                .flat_map(|stream| {
                    [headers(stream), frame(kind::RST_STREAM, 0, stream, &[0, 0, 0, 8])].concat()
                })
                .collect(),
        ),
        // CVE-2025-8671: the server is made to reset.
        (
            "windows by nothing",
            streams()
                .flat_map(|stream| [headers(stream), frame(kind::WINDOW_UPDATE, 0, stream, &[0; 4])].concat())
                .collect(),
        ),
        (
            "windows that overflow",
            streams()
                .flat_map(|stream| {
                    [headers(stream), frame(kind::WINDOW_UPDATE, 0, stream, &[0x7f, 0xff, 0xff, 0xff])]
                        .concat()
                })
                .collect(),
        ),
        (
            "streams that depend on themselves",
            streams()
                .flat_map(|stream| {
                    [
                        headers(stream),
                        frame(kind::PRIORITY, 0, stream, &[&stream.to_be_bytes()[..], &[1]].concat()),
                    ]
                    .concat()
                })
                .collect(),
        ),
    ];
    let memory = dev.resident_memory();
    let companion = Companion::start(&site, "/small.txt", b"small\n");
    let mut cut_offs = [("flood", 0.0), ("malformed", 0.0)];
    for (what, frames) in floods {
        for _ in 0..if full() { 20 } else { 1 } {
            match answer_to(&site, frames.clone()) {
                Some(ENHANCE_YOUR_CALM) => cut_offs[0].1 += 1.0,
                // h2 ends the whole connection where RFC 9113 §6.9 asks for no more than the end of the stream.
                Some(PROTOCOL_ERROR) if what == "windows by nothing" => cut_offs[1].1 += 1.0,
                answered => panic!("{what}: {answered:?}"),
            }
        }
        println!("{what}: ended");
        for (reason, count) in cut_offs {
            // The end of a connection is seen before it is counted.
            dev.figures()
                .until("skerry_edge_cut_offs_total", &[("reason", reason)], |counted| counted == count);
        }
    }
    assert_unharmed(&dev, companion, memory);
}

#[track_caller]
fn assert_unharmed(dev: &Dev, companion: Companion, memory: u64) {
    let slowest = companion.stop();
    assert!(!full() || slowest.as_millis() < 300, "{slowest:?}");
    let grown = dev.resident_memory().saturating_sub(memory);
    println!("p99 {slowest:?}, {} KiB more than before", grown >> 10);
    assert!(grown < 64 << 20, "{grown} bytes more than before");
}

/// A stream of HTTP/3, and whether it is one of a request.
struct Flood {
    what: &'static str,
    is_request: bool,
    bytes: Vec<u8>,
}

/// What h3 and quinn work through without a bound, or gather without one.
fn floods_over_http3() -> Vec<Flood> {
    let request = h3_get("/small.txt", "localhost");
    // The longest number there is (RFC 9000 §16).
    const LONGEST: [u8; 8] = [0xff; 8];
    let on_request = |what, bytes: &[u8]| Flood { what, is_request: true, bytes: [&request, bytes].concat() };
    let on_control =
        |what, bytes: &[u8]| Flood { what, is_request: false, bytes: [H3_SETTINGS, bytes].concat() };
    let megabytes = vec![0; 8 << 20];
    vec![
        on_request("frames without meaning", &[0x21, 0].repeat(FLOOD)),
        on_request("empty DATA", &[0, 0].repeat(FLOOD)),
        on_request("a frame without end", &[&[0x21][..], &LONGEST, &megabytes].concat()),
        on_control("frames without meaning on the control stream", &[0x21, 0].repeat(FLOOD)),
        on_control("GOAWAY", &[7, 1, 0].repeat(FLOOD)),
        on_control("MAX_PUSH_ID", &[0x0d, 1, 1].repeat(FLOOD)),
        on_control("CANCEL_PUSH", &[3, 1, 1].repeat(FLOOD)),
        on_control(
            "a frame without end on the control stream",
            &[&[0x21][..], &LONGEST, &megabytes].concat(),
        ),
    ]
}

/// RFC 9114 §8.1.
const H3_EXCESSIVE_LOAD: u64 = 0x0107;

#[test]
fn a_flood_over_http3_is_cut_off_and_counted_while_others_are_served() {
    let (dev, site) = with_small();
    let memory = dev.resident_memory();
    let companion = Companion::start(&site, "/small.txt", b"small\n");
    let mut cut_offs = 0.0;
    for Flood { what, is_request, bytes } in floods_over_http3() {
        for _ in 0..if full() { 20 } else { 1 } {
            let code = block_on(async {
                let quic = site.quic(TransportConfig::default()).await;
                let (mut stream, _answer) = match is_request {
                    true => quic
                        .connection
                        .open_bi()
                        .await
                        .map(|(send, answer)| (send, Some(answer)))
                        .expect("opens"),
                    false => (quic.connection.open_uni().await.expect("opens"), None),
                };
                // Not all of it is taken.
                let _ = stream.write_all(&bytes).await;
                quic.code_of_the_end().await
            });
            assert_eq!(code, Some(H3_EXCESSIVE_LOAD), "{what}");
            cut_offs += 1.0;
        }
        println!("{what}: ended");
        dev.figures()
            .until("skerry_edge_cut_offs_total", &[("reason", "flood")], |counted| counted == cut_offs);
    }
    assert_unharmed(&dev, companion, memory);
}

/// A second SETTINGS is one too many (RFC 9114 §7.2.4).
#[test]
fn settings_that_come_again_over_http3_end_the_connection() {
    const H3_FRAME_UNEXPECTED: u64 = 0x0105;
    let (_dev, site) = with_small();
    let code = block_on(async {
        let quic = site.quic(TransportConfig::default()).await;
        let mut control = quic.connection.open_uni().await.expect("opens");
        control.write_all(&[H3_SETTINGS, &[4, 0]].concat()).await.expect("sends");
        quic.code_of_the_end().await
    });
    assert_eq!(code, Some(H3_FRAME_UNEXPECTED));
}

#[test]
fn a_malformed_frame_over_http3_ends_the_connection_with_its_reason() {
    /// RFC 9114 §8.1, RFC 9204 §6.
    const H3_STREAM_CREATION_ERROR: u64 = 0x0103;
    const H3_CLOSED_CRITICAL_STREAM: u64 = 0x0104;
    const H3_FRAME_UNEXPECTED: u64 = 0x0105;
    const H3_FRAME_ERROR: u64 = 0x0106;
    const H3_SETTINGS_ERROR: u64 = 0x0109;
    const H3_MISSING_SETTINGS: u64 = 0x010a;
    const QPACK_DECOMPRESSION_FAILED: u64 = 0x0200;
    let (_dev, site) = with_small();
    let request = h3_get("/small.txt", "localhost");
    // What a client says on a request, or on a stream of its own; and whether it ends the stream.
    let cases: [(&str, bool, Vec<u8>, bool, u64); 12] = [
        ("DATA before HEADERS", true, [&[0, 1, b'a'][..], &request].concat(), false, H3_FRAME_UNEXPECTED),
        ("SETTINGS on a request", true, [&request[..], &[4, 0]].concat(), false, H3_FRAME_UNEXPECTED),
        ("GOAWAY on a request", true, [&request[..], &[7, 1, 0]].concat(), false, H3_FRAME_UNEXPECTED),
        (
            "a type of HTTP/2 on a request",
            true,
            vec![6, 8, 0, 0, 0, 0, 0, 0, 0, 0],
            false,
            H3_FRAME_UNEXPECTED,
        ),
        ("HEADERS cut short", true, request[..8].to_vec(), true, H3_FRAME_ERROR),
        ("a field that nobody knows", true, vec![1, 3, 0, 0, 0x80], false, QPACK_DECOMPRESSION_FAILED),
        ("a control stream without SETTINGS", false, vec![0, 7, 1, 0], false, H3_MISSING_SETTINGS),
        ("SETTINGS of HTTP/2", false, vec![0, 4, 2, 2, 1], false, H3_SETTINGS_ERROR),
        ("a setting twice", false, vec![0, 4, 4, 6, 1, 6, 1], false, H3_SETTINGS_ERROR),
        (
            "DATA on the control stream",
            false,
            [H3_SETTINGS, &[0, 1, b'a']].concat(),
            false,
            H3_FRAME_UNEXPECTED,
        ),
        ("an end of the control stream", false, H3_SETTINGS.to_vec(), true, H3_CLOSED_CRITICAL_STREAM),
        ("a push stream of a client", false, vec![1, 0], false, H3_STREAM_CREATION_ERROR),
    ];
    for (what, is_request, sent, is_end, expected) in cases {
        let code = block_on(async {
            let quic = site.quic(TransportConfig::default()).await;
            let mut kept = Vec::new();
            if is_request || sent[0] != 0 {
                let mut control = quic.connection.open_uni().await.expect("opens");
                control.write_all(H3_SETTINGS).await.expect("sends");
                kept.push(control);
            }
            let mut stream = if is_request {
                quic.connection.open_bi().await.expect("opens").0
            } else {
                quic.connection.open_uni().await.expect("opens")
            };
            stream.write_all(&sent).await.expect("sends");
            if is_end {
                stream.finish().expect("open");
            }
            kept.push(stream);
            quic.code_of_the_end().await
        });
        assert_eq!(code, Some(expected), "{what}: {code:#x?}");
    }
    assert_eq!(site.get(Protocol::Http3, "/small.txt").text(), "small\n");
}

#[test]
fn floods_of_streams_and_of_pings_over_quic_are_cut_off() {
    let dev = Dev::with(&["--set", "edge.limits.frame_credit_max=400"]);
    dev.cli().put("/small.txt", b"small\n");
    let site = dev.site();
    let companion = Companion::start(&site, "/small.txt", b"small\n");
    let memory = dev.resident_memory();
    let taken_back = async {
        let quic = site.quic(TransportConfig::default()).await;
        while let Ok((mut send, mut receive)) = quic.connection.open_bi().await {
            let _ = send.write_all(&h3_get("/small.txt", "localhost")).await;
            let _ = send.reset(0x010c_u32.into());
            let _ = receive.stop(0x010c_u32.into());
        }
        quic.code_of_the_end().await
    };
    let without_meaning = async {
        let quic = site.quic(TransportConfig::default()).await;
        while let Ok(mut stream) = quic.connection.open_uni().await {
            let _ = stream.write_all(&[0x21]).await;
        }
        quic.code_of_the_end().await
    };
    let pings = async {
        let mut transport = TransportConfig::default();
        transport.keep_alive_interval(Some(Duration::from_millis(1)));
        site.quic(transport).await.code_of_the_end().await
    };
    let ends = block_on(async { tokio::join!(taken_back, without_meaning, pings) });
    assert_eq!(ends, (Some(H3_EXCESSIVE_LOAD), Some(H3_EXCESSIVE_LOAD), Some(H3_EXCESSIVE_LOAD)));
    dev.figures().until("skerry_edge_cut_offs_total", &[("reason", "flood")], |counted| counted == 3.0);
    assert_unharmed(&dev, companion, memory);
}

/// HPACK lets one byte stand for a field of thousands (RFC 7541 §6.1): what it expands to is bounded.
#[test]
fn fields_that_expand_past_the_bound_are_answered_with_431_or_cut_off() {
    let (_dev, site) = with_small();
    // A field of 4,000 bytes into the dynamic table, and then a thousand times that.
    let value = vec![b'a'; 4000];
    let literal = [&[0x40, 1, b'x', 0x7f, 0xa1, 0x1e][..], &value, &[0xbe; 1000]].concat();
    let bomb = [get("/small.txt", "localhost"), literal].concat();
    let received = block_on(async {
        let mut raw = site.raw(Protocol::Http2).await;
        raw.send(
            &[PREFACE, &frame(kind::HEADERS, WHOLE, 1, &bomb), &frame(kind::PING, 0, 0, &[0; 7])].concat(),
        )
        .await;
        raw.end().await.received
    });
    assert!(!received.windows(6).any(|window| window == b"small\n"), "it was answered");
    assert_eq!(site.get(Protocol::Http2, "/small.txt").text(), "small\n");
}

#[test]
fn a_download_in_the_smallest_steps_is_no_flood() {
    const SIZE: usize = 5_000_000;
    const STEP: u32 = 1024;
    let dev = Dev::start();
    dev.cli().put("/large.bin", &crate::harness::bytes(1, SIZE));
    let site = dev.site();
    let received = block_on(async {
        let mut raw = site.raw(Protocol::Http2).await;
        raw.send(&[PREFACE, &frame(kind::HEADERS, WHOLE, 1, &get("/large.bin", "localhost"))].concat()).await;
        let update = |stream| frame(kind::WINDOW_UPDATE, 0, stream, &STEP.to_be_bytes());
        let updates = [update(0), update(1)].concat();
        let mut received = 0;
        while received < SIZE {
            let bytes = raw.read(STEP as usize).await;
            assert!(!bytes.is_empty(), "ended after {received} bytes");
            received += bytes.len();
            raw.send(&updates).await;
        }
        received
    });
    assert!(received >= SIZE);
    assert_eq!(dev.figures().metric("skerry_edge_cut_offs_total", &[("reason", "flood")]), 0.0);
}
