//! Many who want the same: one fill for each slice, whoever goes away or is slow, and no more than is needed.

use crate::harness::{Edge, FakeOrigin, Lie, Protocol, Random, bytes, full};
use bytes::Bytes;
use std::time::Duration;

const SLICE: usize = 262_144;
const DOMAIN: &str = "many.sites.test";
const MIB: usize = 1 << 20;

/// Long enough for clients to meet while a fill is under way, short enough for a test.
const PAUSE: Duration = Duration::from_millis(5);

fn showing(content: &Bytes) -> (FakeOrigin, Edge) {
    let origin = FakeOrigin::start();
    let edge = Edge::of_fake(&origin);
    let revision = origin.show(DOMAIN, &[("/a.bin", content, Lie::Honest)]);
    origin.until_acked(revision);
    (origin, edge)
}

#[test]
fn many_clients_of_one_cold_asset_behind_a_slow_origin_cause_one_fill_for_each_slice() {
    let content = bytes(1, 10 * MIB);
    let (origin, edge) = showing(&content);
    let before = origin.slices();
    origin.slow_down(PAUSE);
    let clients = if full() { 500 } else { 40 };
    std::thread::scope(|scope| {
        for number in 0..clients {
            let (site, content) = (edge.site(DOMAIN), &content);
            scope.spawn(move || {
                let protocol = Protocol::ALL[number % 3];
                assert!(site.get(protocol, "/a.bin").body == *content, "{protocol}");
            });
        }
    });
    assert_eq!(origin.slices() - before, 40);
}

#[test]
fn clients_that_go_away_at_any_moment_take_nothing_from_those_who_stay() {
    let origin = FakeOrigin::start();
    let edge = Edge::of_fake(&origin);
    origin.slow_down(PAUSE);
    let mut random = Random::printed("who goes when");
    let rounds = if full() { 100 } else { 5 };
    for round in 0..rounds {
        let content = bytes(random.next(), 20 * SLICE);
        let revision = origin.show(DOMAIN, &[("/a.bin", &content, Lie::Honest)]);
        origin.until_acked(revision);
        let came = || edge.figures().metric("skerry_edge_fill_slices_total", &[]);
        let before = came();
        std::thread::scope(|scope| {
            for _ in 0..6 {
                let (site, after) = (edge.site(DOMAIN), random.below(content.len() as u64) as usize);
                let protocol = Protocol::ALL[random.below(2) as usize];
                scope.spawn(move || site.ask(protocol, "/a.bin").go_away_after(after).expect("some bytes"));
            }
            for protocol in Protocol::ALL {
                let (site, content) = (edge.site(DOMAIN), &content);
                scope.spawn(move || assert!(site.get(protocol, "/a.bin").body == *content, "round {round}"));
            }
        });
        assert_eq!(came() - before, 20.0, "round {round}: each slice once");
    }
}

#[test]
fn a_fill_that_nobody_awaits_any_more_ends() {
    let content = bytes(3, 64 * SLICE);
    let (origin, edge) = showing(&content);
    let before = origin.slices();
    origin.slow_down(Duration::from_millis(100));
    let came = edge.site(DOMAIN).ask(Protocol::Http1, "/a.bin").go_away_after(1).expect("a byte");
    assert!(came > 0);
    edge.figures().until("skerry_edge_fills_abandoned_total", &[], |count| count >= 1.0);
    edge.figures().until("skerry_edge_fills_in_flight", &[], |count| count == 0.0);
    // The read-ahead of one reader at most, not the asset.
    assert!(origin.slices() - before < 32, "{}", origin.slices() - before);
}

/// A client that reads nothing holds its connection, and nobody else up.
#[test]
fn a_slow_client_holds_no_fill_up() {
    let content = bytes(4, 40 * SLICE);
    let (origin, edge) = showing(&content);
    let before = origin.slices();
    let site = edge.site(DOMAIN);
    std::thread::scope(|scope| {
        // It has read a part, and stays without reading on until the others are done.
        let stalled = site.stall(Protocol::Http2, "/a.bin", SLICE);
        let others = Protocol::ALL.map(|protocol| {
            let (site, content) = (edge.site(DOMAIN), &content);
            scope.spawn(move || assert!(site.get(protocol, "/a.bin").body == *content, "{protocol}"))
        });
        others.into_iter().for_each(|other| other.join().expect("the whole asset came"));
        drop(stalled);
    });
    assert_eq!(origin.slices() - before, 40);
}

#[test]
fn a_range_fetches_only_the_slices_that_it_needs() {
    let content = bytes(5, 40 * SLICE);
    let (origin, edge) = showing(&content);
    for (first, last, slices) in [(0, 0, 1), (SLICE * 5 - 1, SLICE * 5, 2), (SLICE * 30, SLICE * 31 - 1, 1)] {
        let before = origin.slices();
        let range = format!("bytes={first}-{last}");
        let response = edge.site(DOMAIN).ask(Protocol::Http2, "/a.bin").header("range", &range).send();
        assert_eq!(response.status, 206, "{range}");
        assert!(response.body == content.slice(first..=last), "{range}");
        assert_eq!(origin.slices() - before, slices, "{range}");
    }
}

/// The first byte does not wait for the last: it is there while the origin still takes its time.
#[test]
fn the_first_bytes_come_as_soon_as_their_slice_is_verified() {
    let content = bytes(6, 16 * SLICE);
    let (origin, edge) = showing(&content);
    origin.slow_down(Duration::from_millis(200));
    let began = std::time::Instant::now();
    edge.site(DOMAIN).ask(Protocol::Http1, "/a.bin").go_away_after(1).expect("a byte");
    assert!(origin.slices() < 16, "the whole asset came first");
    println!("the first byte came after {:?}; the asset takes 3.2 s", began.elapsed());
}

#[test]
fn fills_wait_for_their_turn_and_are_turned_away_with_503() {
    let origin = FakeOrigin::start();
    let settings = ["limits.client_fill_count_max=1", "limits.fill_wait_seconds_max=1"];
    let edge = Edge::of_fake_with(&origin, &settings);
    let (slow, other) = (bytes(7, 1000), bytes(8, 1000));
    let files = [("/slow.bin", &slow, Lie::Honest), ("/other.bin", &other, Lie::Honest)];
    let revision = origin.show(DOMAIN, &files);
    origin.until_acked(revision);
    origin.slow_down(Duration::from_secs(4));
    std::thread::scope(|scope| {
        let site = edge.site(DOMAIN);
        let first = scope.spawn(move || site.get(Protocol::Http1, "/slow.bin"));
        edge.figures().until("skerry_edge_fills_in_flight", &[], |count| count == 1.0);
        let refused = edge.site(DOMAIN).get(Protocol::Http2, "/other.bin");
        assert_eq!(refused.status, 503);
        assert!(!refused.header("retry-after").is_empty());
        assert!(first.join().expect("no panic").body == slow);
    });
    let refusals = edge.figures().metric("skerry_edge_fill_refusals_total", &[("bound", "client")]);
    assert_eq!(refusals, 1.0);
    assert_eq!(edge.figures().metric("skerry_edge_client_fills_in_flight_max", &[]), 1.0);
    origin.slow_down(Duration::ZERO);
    assert!(edge.site(DOMAIN).get(Protocol::Http2, "/other.bin").body == other);
}
