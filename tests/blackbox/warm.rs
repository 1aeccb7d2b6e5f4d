//! `--warm`: edges have what is new before they show it.

use crate::harness::{Edge, FakeOrigin, Lie, Origin, Protocol, bytes};
use crate::tiers::{GIVES, behind, place, sent_by};
use serde_json::Value;

fn pulled(edge: &Edge) -> f64 {
    edge.figures().metric("skerry_edge_warm_bytes_total", &[])
}

/// Of each edge in a command's answer.
fn states(said: &Value) -> Vec<String> {
    let edges = said["warm"].as_array().expect("a list");
    edges.iter().map(|edge| edge["state"].as_str().expect("a state").to_owned()).collect()
}

#[test]
fn what_a_warm_put_published_is_a_hit_at_once() {
    let origin = Origin::start();
    let edges = [(); 2].map(|()| Edge::join(&origin));
    let content = bytes(1, 1_000_000);
    let file = origin.cli().write("a.bin", &content);
    let file = file.to_str().expect("UTF-8");
    let outcome = origin.cli().run(&["put", file, "--warm", "--wait", "--json"]);
    assert_eq!(states(&outcome.json()), ["warm", "warm"]);
    assert!(outcome.stderr.contains("is warm: 1 new blobs, 1000000 bytes pulled"), "{}", outcome.stderr);
    for edge in &edges {
        let response = edge.site(origin.domain()).get(Protocol::Http2, "/a.bin");
        assert!(
            response.header("cache-status").starts_with("skerry; hit"),
            "{}",
            response.header("cache-status")
        );
        assert!(response.body == content);
        assert_eq!(pulled(edge), 1_000_000.0);
    }
    // What is there need not be pulled again.
    let again = origin.cli().run(&["put", file, "--warm=require", "--wait", "--json"]);
    assert_eq!(states(&again.json()), ["warm", "warm"]);
    assert_eq!(edges.each_ref().map(pulled), [1_000_000.0; 2]);
}

#[test]
fn a_rollback_and_a_deployment_warm_what_they_bring_back() {
    let origin = Origin::start();
    let mut edge = Edge::join(&origin);
    let (old, new) = (bytes(2, 300_000), bytes(3, 300_000));
    origin.cli().put("/a.bin", &old);
    origin.cli().put("/a.bin", &new);
    let before = pulled(&edge);
    let said = origin.cli().run(&["rollback", "--warm", "--wait", "--json"]).json();
    assert_eq!(states(&said), ["warm"]);
    assert_eq!(pulled(&edge) - before, 300_000.0);
    assert!(edge.site(origin.domain()).get(Protocol::Http1, "/a.bin").body == old);
    let build = said["build_sid"].as_str().expect("a SID").to_owned();
    origin.cli().put("/a.bin", &new);
    let said = origin.cli().run(&["deploy", &build, "--warm=require", "--json"]).json();
    assert_eq!(states(&said), ["warm"]);
    edge.stop();
}

#[test]
fn what_is_more_than_the_bound_is_left_out_and_goes_live_unless_all_is_required() {
    let origin = Origin::start_set("warm.size_max = \"1MiB\"");
    let edge = Edge::join(&origin);
    origin.cli().put("/a.bin", b"before");
    let content = bytes(4, 2_000_000);
    let file = origin.cli().write("a.bin", &content);
    let file = file.to_str().expect("UTF-8");
    let refused =
        origin.cli().refused(&["put", file, "--warm=require"], &["nothing was deployed", "1 of 1 edges"]);
    assert_eq!(refused.code, Some(1));
    let shown = || edge.site(origin.domain()).get(Protocol::Http2, "/a.bin").body;
    assert_eq!(shown(), "before");
    assert!(pulled(&edge) <= 1_048_576.0, "{}", pulled(&edge));
    let said = origin.cli().run(&["put", file, "--warm", "--wait", "--json"]).json();
    assert!(["warm", "partly"].contains(&states(&said)[0].as_str()), "{said}");
    assert!(shown() == content);
}

#[test]
fn an_edge_that_is_away_is_said_and_stops_only_what_requires_it() {
    let origin = Origin::start();
    let (_here, mut away) = (Edge::join(&origin), Edge::join(&origin));
    away.kill_9();
    let mut seed = 200;
    let mut file = || {
        seed += 1;
        origin.cli().write("a.bin", &bytes(seed, 1000)).to_str().expect("UTF-8").to_owned()
    };
    let mut said = crate::harness::eventually("the origin knows that it is away", || {
        let said = origin.cli().run(&["put", &file(), "--warm", "--json"]).json();
        Some(states(&said)).filter(|states| states.contains(&"no answer".to_owned()))
    });
    said.sort();
    assert_eq!(said, ["no answer", "warm"]);
    origin.cli().refused(&["put", &file(), "--warm=require"], &["nothing was deployed"]);
}

#[test]
fn a_place_behind_a_shield_is_warmed_for_what_each_edge_keeps() {
    let origin = Origin::start();
    let edges = place(&origin, 3, &[]);
    for number in 0..12 {
        origin.cli().write(&format!("site/{number}.bin"), &bytes(50 + number, 300_000));
    }
    let before = sent_by(&origin);
    let said = origin.cli().run(&["put", "site", "--warm=require", "--wait", "--json"]).json();
    assert_eq!(states(&said), ["warm"; 3]);
    assert_eq!(edges.iter().map(pulled).sum::<f64>(), 12.0 * 300_000.0, "each slice by one of them");
    let sent = sent_by(&origin) - before;
    assert!(sent < 12.5 * 300_000.0, "once, and the documents of three edges: {sent}");
    let shield = Edge::join_set(&origin, &[GIVES]);
    let behind = behind(&origin, &[&shield]);
    let response = behind.site(origin.domain()).get(Protocol::Http2, "/0.bin");
    assert!(response.body == bytes(50, 300_000));
}

/// A machine with an empty disk in the place of one that served for long.
#[test]
fn an_edge_that_lost_its_cache_is_ready_when_it_has_what_it_was_asked_for_most() {
    let origin = Origin::start();
    let mut edge = Edge::join(&origin);
    let files: Vec<_> =
        (0..10).map(|number| (format!("/{number}.bin"), bytes(70 + number, 100_000))).collect();
    for (path, content) in &files {
        origin.cli().put(path, content);
        assert!(edge.site(origin.domain()).get(Protocol::Http2, path).body == *content);
    }
    edge.stop();
    std::fs::remove_dir_all(edge.data().join("cache")).expect("it has a cache");
    edge.start_again();
    let size = pulled(&edge);
    assert!((800_000.0..=1_000_000.0).contains(&size), "80 % of what was asked for: {size}");
    let held = files.iter().filter(|(path, _)| {
        let response = edge.site(origin.domain()).get(Protocol::Http2, path);
        response.header("cache-status").starts_with("skerry; hit")
    });
    assert!(held.count() >= 8);
    // What it still has is not pulled again.
    edge.figures().until("skerry_edge_cache_write_pending_bytes", &[], |bytes| bytes == 0.0);
    edge.stop();
    edge.start_again();
    assert_eq!(pulled(&edge), 0.0);
}

#[test]
fn a_new_edge_is_ready_when_it_has_its_share_of_what_its_neighbours_are_asked_for() {
    let origin = Origin::start();
    let old = Edge::join_set(&origin, &[GIVES]);
    for number in 0..20 {
        origin.cli().put(&format!("/{number}.bin"), &bytes(90 + number, 100_000));
        old.site(origin.domain()).get(Protocol::Http1, &format!("/{number}.bin"));
    }
    let neighbours = format!("neighbours={}", old.fill_address());
    let new = Edge::join_set(&origin, &[GIVES, &neighbours, "ready.warm_share=100"]);
    let share = pulled(&new);
    assert!(share > 0.0 && share < 2_000_000.0, "some of 20 files of 100,000 bytes: {share}");
    let cold = Edge::join_set(&origin, &[GIVES, &neighbours, "ready.warm_share=0"]);
    assert_eq!(pulled(&cold), 0.0);
}

/// What cannot be had in time holds nobody up for ever.
#[test]
fn an_edge_is_ready_when_the_time_for_warming_is_over() {
    let origin = FakeOrigin::start();
    let mut edge = Edge::of_fake_with(&origin, &["limits.fill_retry_seconds=0", "ready.seconds_max=3"]);
    let content = bytes(120, 1000);
    let revision = origin.show("a.sites.test", &[("/a.bin", &content, Lie::Honest)]);
    origin.until_acked(revision);
    assert!(edge.site("a.sites.test").get(Protocol::Http1, "/a.bin").body == content);
    edge.stop();
    std::fs::remove_dir_all(edge.data().join("cache")).expect("it has a cache");
    origin.lie_about(&content, Lie::Silence);
    edge.start_again_without_origin();
    let (status, said) = edge.figures().get("/readyz").expect("answers");
    assert_eq!(status, 503, "{said}");
    edge.figures().until_ready();
}

/// What is uploaded and warmed is not shown, and nobody may have it who may not have the account's.
#[test]
fn warming_shows_nothing() {
    let origin = Origin::start();
    let edge = Edge::join(&origin);
    let file = origin.cli().write("secret.bin", &bytes(6, 1000));
    let file = file.to_str().expect("UTF-8");
    let said = origin
        .cli()
        .run(&["put", file, "--visibility", "private", "--warm=require", "--wait", "--json"])
        .json();
    assert_eq!(states(&said), ["warm"], "there is nothing to pull");
    assert_eq!(pulled(&edge), 0.0);
}
