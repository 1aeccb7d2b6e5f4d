//! Clients that hold what they have, and give or take next to nothing: they are ended, others do not feel them, and nothing of them
//! stays. `SKERRY_TEST_FULL=1` brings as many as an attack does.

use crate::harness::{
    Companion, Dev, H3_SETTINGS, PREFACE, Protocol, Raw, RawQuic, Site, WHOLE, block_on, bytes, frame, full,
    get, h3_get, kind, spawn,
};
use quinn::{TransportConfig, VarInt};
use std::time::Duration;

/// What memory may have grown by once all is over: what an allocator keeps at hand.
const GROWTH_MAX: u64 = 96 << 20;

/// What one reader may hold meanwhile: what TLS has sealed, or QUIC may have to send again.
const READER_SIZE_MAX: u64 = 1 << 20;

/// How often a client sends the next bit.
const PAUSE: Duration = Duration::from_millis(100);

#[track_caller]
fn assert_unharmed(dev: &Dev, companion: Companion, memory: u64) {
    let slowest = companion.stop();
    // A machine that runs many tests at once promises no such thing.
    assert!(!full() || slowest < Duration::from_millis(300), "{slowest:?}");
    let grown = dev.resident_memory().saturating_sub(memory);
    println!("p99 {slowest:?}, {} KiB more than before", grown >> 10);
    assert!(grown < GROWTH_MAX, "{grown} bytes more than before");
}

/// Begins a head, and sends the rest of it a bit at a time until the server has had enough.
async fn trickle(site: Site, protocol: Protocol) {
    match protocol {
        Protocol::Http1 => {
            let mut raw = site.raw(protocol).await;
            raw.send(b"GET /small.txt HTTP/1.1\r\n").await;
            raw.trickle(b"X: a\r\n", PAUSE).await;
        }
        Protocol::Http2 => {
            let mut raw = site.raw(protocol).await;
            // HEADERS of 100 bytes, which come one by one.
            raw.send(&[PREFACE, &frame(kind::HEADERS, WHOLE, 1, &[0x82; 100])[..10]].concat()).await;
            raw.trickle(&[0x82], PAUSE).await;
        }
        Protocol::Http3 => {
            let quic = site.quic(TransportConfig::default()).await;
            let (mut send, _answer) = quic.connection.open_bi().await.expect("opens");
            // HEADERS of 60 bytes, which come one by one.
            let mut sent = send.write_all(&[1, 60, 0, 0]).await;
            while sent.is_ok() {
                tokio::time::sleep(PAUSE).await;
                sent = send.write_all(&[0xd1]).await;
            }
        }
    }
}

#[test]
fn heads_that_trickle_in_are_given_up() {
    let count = if full() { 500 } else { 60 };
    for protocol in Protocol::ALL {
        let dev = Dev::with(&["--set", "edge.limits.head_seconds_max=2"]);
        dev.cli().put("/small.txt", b"small\n");
        let site = dev.site();
        let memory = dev.resident_memory();
        let companion = Companion::start(&site, "/small.txt", b"small\n");
        let attack: Vec<_> = (0..count).map(|_| spawn(trickle(site.clone(), protocol))).collect();
        for client in attack {
            block_on(client).expect("is cut off");
        }
        println!("{protocol}: {count} heads given up");
        assert_unharmed(&dev, companion, memory);
        let reason = [("reason", "head_timeout")];
        dev.figures().until("skerry_edge_cut_offs_total", &reason, |cut_offs| cut_offs == f64::from(count));
    }
}

/// A download that is asked for and not read.
enum Unread {
    Tcp(Raw),
    /// With its control stream, whose end would be the connection's (RFC 9114 §6.2.1).
    Quic(RawQuic, quinn::SendStream, quinn::RecvStream),
}

impl Unread {
    async fn start(site: &Site, protocol: Protocol, host: &str, number: usize) -> Self {
        if protocol == Protocol::Http3 {
            let mut transport = TransportConfig::default();
            // Some leave no room from the first byte on, some a little.
            transport.stream_receive_window(VarInt::from_u32(if number.is_multiple_of(2) {
                600
            } else {
                100_000
            }));
            let quic = site.quic(transport).await;
            let mut control = quic.connection.open_uni().await.expect("opens");
            control.write_all(H3_SETTINGS).await.expect("sends");
            let (mut send, receive) = quic.connection.open_bi().await.expect("opens");
            send.write_all(&h3_get("/large.bin", host)).await.expect("sends");
            send.finish().expect("open");
            return Self::Quic(quic, control, receive);
        }
        let mut raw = site.raw(protocol).await;
        let request = match protocol {
            Protocol::Http1 => format!("GET /large.bin HTTP/1.1\r\nHost: {host}\r\n\r\n").into_bytes(),
            _ => {
                let no_window = frame(kind::SETTINGS, 0, 0, &[0, 4, 0, 0, 0, 0]);
                let settings = if number.is_multiple_of(2) { no_window } else { Vec::new() };
                [PREFACE, &settings, &frame(kind::HEADERS, WHOLE, 1, &get("/large.bin", host))].concat()
            }
        };
        assert!(raw.send(&request).await);
        Self::Tcp(raw)
    }

    /// Reads what is left, which must be cut so that it is seen.
    async fn assert_cut(self, protocol: Protocol) {
        match self {
            Self::Tcp(raw) if protocol == Protocol::Http1 => {
                let ended = raw.end().await;
                assert!(ended.received.starts_with(b"HTTP/1.1 200 ") && !ended.is_announced);
            }
            Self::Tcp(mut raw) => {
                raw.until_frame(kind::RST_STREAM).await;
            }
            Self::Quic(_quic, _control, mut receive) => {
                let reset = receive.received_reset().await.expect("the connection goes on");
                assert!(reset.is_some(), "the response is not whole");
            }
        }
    }
}

#[test]
fn readers_that_stand_still_are_dropped() {
    let count = if full() { 300 } else { 30 };
    for protocol in Protocol::ALL {
        let dev = Dev::with(&["--set", "edge.limits.rate_min=64KiB", "--set", "edge.limits.rate_seconds=2"]);
        dev.cli().put("/small.txt", b"small\n");
        dev.cli().put("/large.bin", &bytes(1, 32_000_000));
        let site = dev.site();
        let host = format!("localhost:{}", site.address().port());
        let memory = dev.resident_memory();
        let companion = Companion::start(&site, "/small.txt", b"small\n");
        let held: Vec<_> = block_on(async {
            let mut held = Vec::new();
            for number in 0..count {
                held.push(Unread::start(&site, protocol, &host, number).await);
            }
            held
        });
        let held_size = dev.resident_memory().saturating_sub(memory);
        println!("{protocol}: {} KiB for {count} readers", held_size >> 10);
        assert!(held_size < GROWTH_MAX + count as u64 * READER_SIZE_MAX, "{protocol}: {held_size} bytes");
        let slow = [("reason", "slow")];
        let expected = count as f64;
        dev.figures().until("skerry_edge_cut_offs_total", &slow, |cut_off| cut_off >= expected);
        for unread in held {
            block_on(unread.assert_cut(protocol));
        }
        assert_unharmed(&dev, companion, memory);
    }
}
