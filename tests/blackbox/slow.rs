//! Clients that hold what they have, and give or take next to nothing: they are ended, others do not feel them, and nothing of them
//! stays. `SKERRY_TEST_FULL=1` brings as many as an attack does.

use crate::harness::{Companion, Dev, Protocol, block_on, bytes, full, spawn};
use std::time::Duration;

/// What memory may have grown by once all is over: what an allocator keeps at hand.
const GROWTH_MAX: u64 = 96 << 20;

#[track_caller]
fn assert_unharmed(dev: &Dev, companion: Companion, memory: u64) {
    let slowest = companion.stop();
    // A machine that runs many tests at once promises no such thing.
    assert!(!full() || slowest < Duration::from_millis(300), "{slowest:?}");
    let grown = dev.resident_memory().saturating_sub(memory);
    assert!(grown < GROWTH_MAX, "{grown} bytes more than before");
}

#[test]
fn heads_that_trickle_in_are_given_up() {
    let count = if full() { 500 } else { 60 };
    let dev = Dev::with(&["--set", "edge.limits.head_seconds_max=2"]);
    dev.cli().put("/small.txt", b"small\n");
    let site = dev.site();
    let memory = dev.resident_memory();
    let companion = Companion::start(&site, "/small.txt", b"small\n");
    let attack = (0..count).map(|_| {
        let site = site.clone();
        spawn(async move {
            let mut raw = site.raw(Protocol::Http1).await;
            raw.send(b"GET /small.txt HTTP/1.1\r\n").await;
            raw.trickle(b"X: a\r\n", Duration::from_millis(100)).await;
        })
    });
    let attack: Vec<_> = attack.collect();
    for client in attack {
        block_on(client).expect("is cut off");
    }
    assert_unharmed(&dev, companion, memory);
    let reason = [("reason", "head_timeout")];
    dev.figures().until("skerry_edge_cut_offs_total", &reason, |cut_offs| cut_offs == f64::from(count));
}

#[test]
fn readers_that_stand_still_are_dropped() {
    let count = if full() { 300 } else { 30 };
    let dev = Dev::with(&["--set", "edge.limits.rate_min=64KiB", "--set", "edge.limits.rate_seconds=2"]);
    dev.cli().put("/small.txt", b"small\n");
    dev.cli().put("/large.bin", &bytes(1, 32_000_000));
    let site = dev.site();
    let memory = dev.resident_memory();
    let companion = Companion::start(&site, "/small.txt", b"small\n");
    let request = format!(
        "GET /large.bin HTTP/1.1\r\nHost: {}:{}\r\n\r\n",
        dev.line().text("/domain_name"),
        site.address().port()
    );
    let held: Vec<_> = block_on(async {
        let mut held = Vec::new();
        for _ in 0..count {
            let mut raw = site.raw(Protocol::Http1).await;
            raw.send(request.as_bytes()).await;
            held.push(raw);
        }
        held
    });
    let slow = [("reason", "slow")];
    dev.figures().until("skerry_edge_cut_offs_total", &slow, |cut_off| cut_off >= f64::from(count));
    for raw in held {
        let ended = block_on(raw.end());
        assert!(ended.received.starts_with(b"HTTP/1.1 200 ") && !ended.is_announced);
    }
    assert_unharmed(&dev, companion, memory);
}
