//! An origin that is away: what an edge holds it serves on, also after a restart; what nobody gives is asked for with restraint.

use crate::harness::{Edge, FakeOrigin, Lie, Origin, Protocol, bytes, full};
use bytes::Bytes;
use std::time::Duration;

const SIZE: usize = 300_000;

fn files() -> Vec<(String, Bytes)> {
    (0..10).map(|number| (format!("/{number}.bin"), bytes(number, SIZE))).collect()
}

/// Every file over every protocol, from several clients at once; every answer must be whole and right.
fn load(edge: &Edge, domain: &str, files: &[(String, Bytes)]) {
    let rounds = if full() { 50 } else { 2 };
    std::thread::scope(|scope| {
        for client in 0..4 {
            let site = edge.site(domain);
            scope.spawn(move || {
                for (number, (path, content)) in files.iter().cycle().take(rounds * files.len()).enumerate() {
                    let protocol = Protocol::ALL[(client + number) % 3];
                    let response = site.get(protocol, path);
                    assert_eq!(response.status, 200, "{path} over {protocol}");
                    assert!(response.body == *content, "{path} over {protocol}");
                }
            });
        }
    });
}

#[test]
fn with_the_origin_stopped_no_request_for_what_is_held_fails_also_after_a_restart() {
    let mut origin = Origin::start();
    let mut edge = Edge::join(&origin);
    let files = files();
    for (path, content) in &files {
        origin.cli().put(path, content);
        assert!(edge.site(origin.domain()).get(Protocol::Http2, path).body == *content);
    }
    edge.figures().until("skerry_edge_cache_write_pending_bytes", &[], |bytes| bytes == 0.0);
    let domain = origin.domain().to_owned();
    origin.stop();
    load(&edge, &domain, &files);
    assert!(edge.stop().success());
    edge.start_again();
    load(&edge, &domain, &files);
    edge.kill_9();
    edge.start_again();
    load(&edge, &domain, &files);
    let (status, said) = edge.figures().get("/readyz").expect("answers");
    assert_eq!(status, 200, "an edge that holds what it shows is ready");
    assert!(said.contains("degraded: the origin cannot be followed"), "{said}");

    origin.start_again();
    edge.figures().until("skerry_edge_watch_connected", &[], |connected| connected == 1.0);
    let changed = bytes(99, SIZE);
    origin.cli().put("/0.bin", &changed);
    assert!(edge.site(&domain).get(Protocol::Http3, "/0.bin").body == changed);
}

/// What is shown but not held is a gateway's failure, never a "no such asset" (RFC 9110 §15.6.3).
#[test]
fn with_the_origin_stopped_what_is_not_held_is_502_or_504() {
    let mut origin = Origin::start();
    let edge = Edge::join(&origin);
    origin.cli().put("/a.bin", &bytes(1, SIZE));
    origin.stop();
    for protocol in Protocol::ALL {
        let response = edge.site(origin.domain()).get(protocol, "/a.bin");
        assert!([502, 504].contains(&response.status.as_u16()), "{protocol}: {}", response.status);
        assert!(!response.header("retry-after").is_empty(), "{protocol}");
        assert_eq!(response.header("cache-control"), "no-store", "{protocol}");
    }
}

#[test]
fn a_blob_that_no_upstream_gives_is_asked_for_once_for_each_interval() {
    let origin = FakeOrigin::start();
    let edge = Edge::of_fake_with(&origin, &["limits.fill_retry_seconds=3600"]);
    let content = bytes(2, 1000);
    let revision = origin.show("gone.sites.test", &[("/a.bin", &content, Lie::Missing)]);
    origin.until_acked(revision);
    let before = origin.fills();
    std::thread::scope(|scope| {
        for client in 0..30 {
            let site = edge.site("gone.sites.test");
            scope.spawn(move || {
                assert_eq!(site.get(Protocol::ALL[client % 3], "/a.bin").status, 502);
            });
        }
    });
    assert_eq!(origin.fills() - before, 1, "a stampede is one question");
}

#[test]
fn a_blob_that_comes_back_is_served_after_the_interval() {
    let origin = FakeOrigin::start();
    let edge = Edge::of_fake_with(&origin, &["limits.fill_retry_seconds=1"]);
    let content = bytes(3, 1000);
    let revision = origin.show("back.sites.test", &[("/a.bin", &content, Lie::Missing)]);
    origin.until_acked(revision);
    assert_eq!(edge.site("back.sites.test").get(Protocol::Http1, "/a.bin").status, 502);
    origin.lie_about(&content, Lie::Honest);
    crate::harness::eventually("the blob is asked for again", || {
        let response = edge.site("back.sites.test").get(Protocol::Http1, "/a.bin");
        (response.status == 200).then(|| assert!(response.body == content))
    });
}

/// A stop of the origin in the middle of downloads that are not held yet: cut, and never wrong.
#[test]
fn a_download_that_outlives_its_origin_is_cut_and_heals() {
    let origin = FakeOrigin::start();
    let edge = Edge::of_fake(&origin);
    let content = bytes(4, 40 * 262_144);
    let revision = origin.show("cut.sites.test", &[("/a.bin", &content, Lie::BreaksOff { after: 3 })]);
    origin.until_acked(revision);
    origin.slow_down(Duration::from_millis(2));
    // Each fill breaks off after three slices and is taken up three times; what came is kept.
    crate::harness::eventually("the whole asset", || {
        let response = edge.site("cut.sites.test").ask(Protocol::Http2, "/a.bin").attempt();
        response
            .ok()
            .filter(|response| response.status == 200)
            .map(|response| assert!(response.body == content))
    });
}

/// With what it holds, so that the origin need not send all of it again.
#[test]
fn an_edge_that_comes_back_says_which_revision_it_holds() {
    let origin = FakeOrigin::start();
    let mut edge = Edge::of_fake(&origin);
    let content = bytes(5, 1000);
    let revision = origin.show("back.sites.test", &[("/a.bin", &content, Lie::Honest)]);
    origin.until_acked(revision);
    assert_eq!(origin.until_greeted(1), [0]);
    assert!(edge.stop().success());
    edge.start_again();
    assert_eq!(origin.until_greeted(2), [0, revision]);
    edge.kill_9();
    edge.start_again();
    assert_eq!(origin.until_greeted(3), [0, revision, revision]);
}
