//! Tiers: a shield before the origin, and neighbours that share their caches.

use crate::harness::{Edge, Origin, Protocol, bytes};
use bytes::Bytes;

const MIB: usize = 1 << 20;

/// Gives slices to other edges, at a port that is free.
pub(crate) const GIVES: &str = "fill.addresses=127.0.0.1:0";

/// An edge that asks others first.
pub(crate) fn behind(origin: &Origin, shields: &[&Edge]) -> Edge {
    let addresses: Vec<_> = shields.iter().map(|shield| shield.fill_address()).collect();
    let upstreams = format!("upstreams={}", addresses.join(","));
    Edge::join_set(origin, &[&upstreams, "limits.fill_retry_seconds=0"])
}

/// Edges of one place, each of which knows the others, with further settings.
pub(crate) fn place(origin: &Origin, count: usize, settings: &[&str]) -> Vec<Edge> {
    let mut edges: Vec<_> = (0..count).map(|_| Edge::join_set(origin, &[GIVES])).collect();
    // All of them, as a DNS name of the place would say: each finds out which one it is itself.
    let all: Vec<_> = edges.iter().map(Edge::fill_address).collect();
    let neighbours = format!("neighbours={}", all.join(","));
    for edge in &mut edges {
        let own = format!("fill.addresses={}", edge.fill_address());
        let mut set = vec![own.as_str(), neighbours.as_str(), "limits.fill_retry_seconds=0"];
        set.extend_from_slice(settings);
        edge.stop();
        edge.set(&set);
        edge.start_again();
    }
    for edge in &edges {
        edge.figures().until("skerry_edge_neighbours", &[], |known| known == (count - 1) as f64);
    }
    edges
}

pub(crate) fn from(edge: &Edge, kind: &str) -> f64 {
    edge.figures().metric("skerry_edge_upstream_fill_bytes_total", &[("upstream", kind)])
}

pub(crate) fn sent_by(origin: &Origin) -> f64 {
    origin.figures().metric("skerry_origin_fill_bytes_total", &[])
}

#[test]
fn behind_a_shield_the_origin_sends_each_slice_once() {
    let origin = Origin::start();
    let shield = Edge::join_set(&origin, &[GIVES]);
    let edges = [(); 3].map(|()| behind(&origin, &[&shield]));
    let content = bytes(1, 5 * MIB);
    origin.cli().put("/sound.mp3", &content);
    let before = sent_by(&origin);
    // Manifests come from the origin itself.
    let documents: Vec<_> = edges.iter().map(|edge| from(edge, "origin")).collect();
    std::thread::scope(|scope| {
        for number in 0..12 {
            let (site, content) = (edges[number % 3].site(origin.domain()), &content);
            scope.spawn(move || {
                let response = site.get(Protocol::ALL[number % 3], "/sound.mp3");
                assert!(response.body == *content);
            });
        }
        // A client of the shield itself is no reason to ask twice.
        let (site, content) = (shield.site(origin.domain()), &content);
        scope.spawn(move || assert!(site.get(Protocol::Http2, "/sound.mp3").body == *content));
    });
    assert_eq!(sent_by(&origin) - before, (5 * MIB) as f64);
    for (edge, documents) in edges.iter().zip(documents) {
        assert_eq!(from(edge, "shield"), (5 * MIB) as f64);
        assert_eq!(from(edge, "origin"), documents);
    }
    assert_eq!(shield.figures().metric("skerry_edge_given_bytes_total", &[]), (15 * MIB) as f64);
}

#[test]
fn what_came_through_a_shield_is_a_miss_that_is_stored() {
    let origin = Origin::start();
    let shield = Edge::join_set(&origin, &[GIVES]);
    let edge = behind(&origin, &[&shield]);
    origin.cli().put("/a.bin", &bytes(2, 1000));
    let asked = || edge.site(origin.domain()).get(Protocol::Http1, "/a.bin");
    assert_eq!(asked().header("cache-status"), "skerry; fwd=miss; stored");
    assert_eq!(asked().header("cache-status"), "skerry; hit; detail=memory");
}

#[test]
fn shields_are_asked_in_order_and_the_next_one_while_one_is_away() {
    let origin = Origin::start();
    let (mut first, second) = (Edge::join_set(&origin, &[GIVES]), Edge::join_set(&origin, &[GIVES]));
    let edge = behind(&origin, &[&first, &second]);
    let content = bytes(3, MIB);
    for path in ["/1.bin", "/2.bin", "/3.bin"] {
        origin.cli().put(path, &[&content[..], path.as_bytes()].concat());
    }
    let documents = from(&edge, "origin");
    let given = |edge: &Edge| edge.figures().metric("skerry_edge_given_bytes_total", &[]);
    let get = |path: &str| {
        let body = edge.site(origin.domain()).get(Protocol::Http2, path).body;
        assert!(body == [&content[..], path.as_bytes()].concat(), "{path}");
    };
    let size = (MIB + 6) as f64;
    get("/1.bin");
    assert_eq!((given(&first), given(&second)), (size, 0.0));
    let address = first.fill_address();
    first.kill_9();
    get("/2.bin");
    assert_eq!(given(&second), size);
    edge.figures().until("skerry_edge_upstream_benched", &[("upstream", "shield")], |count| count == 1.0);
    first.set(&[&format!("fill.addresses={address}")]);
    first.start_again();
    edge.figures().until("skerry_edge_upstream_benched", &[("upstream", "shield")], |count| count == 0.0);
    get("/3.bin");
    assert_eq!((given(&first), given(&second)), (size, size));
    assert_eq!(from(&edge, "origin"), documents);
}

#[test]
fn neighbours_keep_each_slice_once_and_ask_its_owner() {
    let origin = Origin::start();
    let edges = place(&origin, 3, &[]);
    let files: Vec<(String, Bytes)> =
        (0..12).map(|number| (format!("/{number}.bin"), bytes(number, 300_000))).collect();
    for (path, content) in &files {
        origin.cli().put(path, content);
    }
    let before = sent_by(&origin);
    for edge in &edges {
        for (path, content) in &files {
            let response = edge.site(origin.domain()).get(Protocol::Http2, path);
            assert!(response.body == *content, "{path}");
        }
    }
    let all = 12.0 * 300_000.0;
    assert_eq!(sent_by(&origin) - before, all, "the origin sent each slice once for the three of them");
    let borrowed: f64 = edges.iter().map(|edge| from(edge, "neighbour")).sum();
    assert_eq!(borrowed, 2.0 * all, "and each of them got from neighbours what it does not own");
    for edge in &edges {
        edge.figures().until("skerry_edge_cache_write_pending_bytes", &[], |bytes| bytes == 0.0);
    }
    let written = |edge: &Edge| edge.figures().metric("skerry_edge_cache_disk_written_bytes_total", &[]);
    let kept: f64 = edges.iter().map(written).sum();
    assert!(kept < 1.01 * all, "what is borrowed is on no disk: {kept} of {all}");
}

#[test]
fn what_a_neighbour_owns_is_a_miss_that_is_not_stored() {
    let origin = Origin::start();
    let edges = place(&origin, 2, &[]);
    origin.cli().put("/a.bin", &bytes(4, 1000));
    let said: Vec<_> = edges
        .iter()
        .map(|edge| {
            let response = edge.site(origin.domain()).get(Protocol::Http3, "/a.bin");
            response.header("cache-status").to_owned()
        })
        .collect();
    let right = ["skerry; fwd=miss; detail=neighbour", "skerry; fwd=miss; stored"];
    // The owner may have had it already, for the other one.
    let memory = "skerry; hit; detail=memory";
    assert!(said.contains(&right[0].to_owned()), "{said:?}");
    assert!(said.iter().all(|said| right.contains(&said.as_str()) || said == memory), "{said:?}");
}

/// Two edges that take each other for a shield: a mistake that costs time, and no request.
#[test]
fn edges_that_are_each_others_shield_serve_all_the_same() {
    let origin = Origin::start();
    let (mut one, mut other) = (Edge::join_set(&origin, &[GIVES]), Edge::join_set(&origin, &[GIVES]));
    let (first, second) = (one.fill_address(), other.fill_address());
    for (edge, own, shield) in [(&mut one, &first, &second), (&mut other, &second, &first)] {
        edge.stop();
        edge.set(&[
            &format!("fill.addresses={own}"),
            &format!("upstreams={shield}"),
            "limits.fill_retry_seconds=0",
        ]);
        edge.start_again();
    }
    let content = bytes(5, 20 * 262_144);
    origin.cli().put("/a.bin", &content);
    std::thread::scope(|scope| {
        for number in 0..8 {
            let (edge, content) = (if number % 2 == 0 { &one } else { &other }, &content);
            let site = edge.site(origin.domain());
            scope.spawn(move || assert!(site.get(Protocol::ALL[number % 3], "/a.bin").body == *content));
        }
    });
    let refused = [("reason", "too_many_hops")];
    let refusals =
        [&one, &other].map(|edge| edge.figures().metric("skerry_edge_give_refusals_total", &refused));
    assert!(refusals.iter().sum::<f64>() > 0.0, "the circle was noticed");
}
