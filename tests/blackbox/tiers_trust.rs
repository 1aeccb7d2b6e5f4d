//! Who is given slices by an edge, and what is not believed of another edge.

use crate::harness::{
    Asked, Edge, EdgeCertificate, FakeOrigin, Lie, LyingEdge, Origin, Protocol, block_on, bytes, fill,
    fill_as, hash, peer_channel,
};
use crate::tiers::{GIVES, from, place, sent_by};
use tonic::Code;

fn enrolled(origin: &Origin) -> EdgeCertificate {
    let token = origin.join_token().parse().expect("a token");
    block_on(EdgeCertificate::enrol(origin.url(), &token)).expect("enrols")
}

/// Publishes, and waits until these edges show it; one that a test enrolled by hand never will.
fn put(origin: &Origin, edges: &[&Edge], path: &str, content: &[u8]) {
    let file = origin.cli().write(&format!("put{path}"), content);
    let said = origin.cli().run(&["put", file.to_str().expect("UTF-8"), "--path", path, "--json"]).json();
    let revision = said["revision"].as_u64().expect("a number") as f64;
    for edge in edges {
        edge.figures().until("skerry_edge_watch_revision", &[], |shown| shown >= revision);
    }
}

fn refused(edge: &Edge, reason: &str) -> f64 {
    edge.figures().metric("skerry_edge_give_refusals_total", &[("reason", reason)])
}

#[test]
fn an_edge_gives_to_edges_of_its_cluster_alone() {
    let (origin, other_cluster) = (Origin::start(), Origin::start());
    let edge = Edge::join_set(&origin, &[GIVES]);
    let content = bytes(1, 300_000);
    origin.cli().put("/a.bin", &content);
    let ask = |shown: Option<&EdgeCertificate>| {
        let channel = peer_channel(&edge.fill_address(), shown);
        fill(channel, &origin.account().sid, &hash(&content), 2)
    };
    let (size, came) = ask(Some(&enrolled(&origin))).expect("an edge of the cluster");
    assert_eq!(size, 300_000);
    assert!(came == content);
    for (number, shown) in [None, Some(&enrolled(&other_cluster))].into_iter().enumerate() {
        ask(shown).expect_err("no edge of the cluster");
        edge.figures().until("skerry_edge_give_refusals_total", &[("reason", "certificate")], |count| {
            count > number as f64
        });
    }
}

#[test]
fn an_edge_that_was_expelled_is_given_nothing_from_then_on_also_after_a_restart() {
    let origin = FakeOrigin::start();
    let mut edge = Edge::of_fake_with(&origin, &[GIVES]);
    let content = bytes(2, 1000);
    let revision = origin.show("a.sites.test", &[("/a.bin", &content, Lie::Honest)]);
    origin.until_acked(revision);
    let other = block_on(EdgeCertificate::enrol(origin.url(), origin.token())).expect("enrols");
    // One connection: it is older than the expulsion.
    let open = peer_channel(&edge.fill_address(), Some(&other));
    let account = "AC00000000000000000000000000000000";
    fill(open.clone(), account, &hash(&content), 1).expect("not expelled yet");
    origin.expel(&other.edge_id);
    let error =
        crate::harness::eventually("it is refused", || fill(open.clone(), account, &hash(&content), 1).err());
    assert_eq!(error.code(), Code::PermissionDenied);
    let again = peer_channel(&edge.fill_address(), Some(&other));
    fill(again, account, &hash(&content), 1).expect_err("a new connection does not help");
    drop(origin);
    edge.kill_9();
    edge.start_again_without_origin();
    let later = peer_channel(&edge.fill_address(), Some(&other));
    fill(later, account, &hash(&content), 1).expect_err("it is remembered");
}

/// Within a quarter of a lease, as the origin says it.
#[test]
fn an_edge_that_the_operator_expels_is_refused_by_other_edges() {
    let origin = Origin::start();
    let edge = Edge::join_set(&origin, &[GIVES]);
    let content = bytes(20, 1000);
    origin.cli().put("/a.bin", &content);
    let other = enrolled(&origin);
    let open = peer_channel(&edge.fill_address(), Some(&other));
    let ask = || fill(open.clone(), &origin.account().sid, &hash(&content), 1);
    ask().expect("it is an edge");
    origin.cli().run(&["edges", "expel", &other.edge_id]);
    let error = crate::harness::eventually("it is refused", || ask().err());
    assert_eq!(error.code(), Code::PermissionDenied);
}

/// Not by what holds them, and not by what would fetch them.
#[test]
fn what_an_account_purged_is_given_to_nobody() {
    let origin = Origin::start();
    let edge = Edge::join_set(&origin, &[GIVES]);
    let content = bytes(21, 1000);
    origin.cli().put("/a.bin", &content);
    assert!(edge.site(origin.domain()).get(Protocol::Http1, "/a.bin").body == content);
    origin.cli().run(&["purge", "/a.bin", "--wait"]);
    let own = enrolled(&origin);
    let error =
        fill(peer_channel(&edge.fill_address(), Some(&own)), &origin.account().sid, &hash(&content), 1);
    assert_eq!(error.expect_err("purged").code(), Code::NotFound);
}

/// Also the origin would not send it: what no manifest or history of an account names is nobody's business.
#[test]
fn nothing_is_given_that_no_manifest_of_the_account_names() {
    let origin = Origin::start();
    let edge = Edge::join_set(&origin, &[GIVES]);
    let other = origin.another_account();
    let (public, private) = (bytes(3, 1000), bytes(4, 1000));
    origin.cli().put("/a.bin", &public);
    let file = origin.cli().write("secret.bin", &private);
    origin.cli().run(&["put", file.to_str().expect("UTF-8"), "--visibility", "private", "--wait"]);
    let own = enrolled(&origin);
    let ask = |account: &str, hash: &str| {
        fill(peer_channel(&edge.fill_address(), Some(&own)), account, hash, 1).map_err(|status| status.code())
    };
    let account = &origin.account().sid;
    ask(account, &hash(&public)).expect("named");
    for (account, what) in [(account, &private), (&other.sid, &public), (&other.sid, &private)] {
        assert_eq!(ask(account, &hash(what)).err(), Some(Code::NotFound));
    }
    assert_eq!(refused(&edge, "not_named"), 3.0);
}

#[test]
fn a_fill_that_came_through_too_many_edges_is_refused_with_a_hint() {
    let origin = Origin::start();
    let edge = Edge::join_set(&origin, &[GIVES]);
    let content = bytes(5, 1000);
    origin.cli().put("/a.bin", &content);
    let own = enrolled(&origin);
    let ask = |hops| {
        let channel = peer_channel(&edge.fill_address(), Some(&own));
        fill_as(channel, &origin.account().sid, &hash(&content), 1, Asked { hops, neighbour: false })
    };
    // This edge would be the fifth.
    let error = ask(3).expect_err("it does not have it, and must not ask for it");
    assert!(error.message().contains("circle"), "{error}");
    assert_eq!(
        edge.site(origin.domain()).get(Protocol::Http1, "/a.bin").status,
        200,
        "a client is not affected"
    );
    ask(3).expect("it has it now");
    let error = ask(4).expect_err("too many");
    assert_eq!(error.code(), Code::InvalidArgument);
    assert!(error.message().contains("circle"), "{error}");
    assert_eq!(refused(&edge, "too_many_hops"), 2.0);
}

#[test]
fn what_a_neighbour_asks_for_is_asked_of_no_neighbour() {
    let origin = Origin::start();
    let edges = place(&origin, 3, &[]);
    let own = enrolled(&origin);
    let contents: Vec<_> = (0..12).map(|number| bytes(100 + number, 1000)).collect();
    for (number, content) in contents.iter().enumerate() {
        put(&origin, &edges.iter().collect::<Vec<_>>(), &format!("/{number}.bin"), content);
    }
    let before = sent_by(&origin);
    for content in &contents {
        let channel = peer_channel(&edges[0].fill_address(), Some(&own));
        let asked = Asked { hops: 0, neighbour: true };
        fill_as(channel, &origin.account().sid, &hash(content), 1, asked).expect("it comes from the origin");
    }
    assert_eq!(sent_by(&origin) - before, 12_000.0);
    assert_eq!(from(&edges[0], "neighbour"), 0.0);
    // The same of a client is asked of neighbours, where they own it.
    let others: Vec<_> = (0..12).map(|number| bytes(200 + number, 1000)).collect();
    for (number, content) in others.iter().enumerate() {
        put(&origin, &edges.iter().collect::<Vec<_>>(), &format!("/other-{number}.bin"), content);
        edges[0].site(origin.domain()).get(Protocol::Http1, &format!("/other-{number}.bin"));
    }
    assert!(from(&edges[0], "neighbour") > 0.0);
}

#[test]
fn a_neighbour_that_lies_is_benched_and_reported_and_clients_get_the_right_bytes() {
    for lie in [Lie::FlippedBit { slice: 0 }, Lie::WrongList, Lie::OtherBlob, Lie::LongSlices] {
        let origin = Origin::start();
        let liar = LyingEdge::start(&enrolled(&origin));
        let edge = Edge::join_set(
            &origin,
            &[GIVES, &format!("neighbours={}", liar.address()), "limits.fill_retry_seconds=0"],
        );
        edge.figures().until("skerry_edge_neighbours", &[], |known| known == 1.0);
        let contents: Vec<_> = (0..12).map(|number| bytes(300 + number, 300_000)).collect();
        for (number, content) in contents.iter().enumerate() {
            liar.lie_about(content, lie);
            put(&origin, &[&edge], &format!("/{number}.bin"), content);
        }
        for (number, content) in contents.iter().enumerate() {
            let response = edge.site(origin.domain()).get(Protocol::Http2, &format!("/{number}.bin"));
            assert!(response.body == *content, "{lie:?} {number}");
        }
        let failures = [("upstream", "neighbour"), ("reason", "lied")];
        assert_eq!(edge.figures().metric("skerry_edge_upstream_failures_total", &failures), 1.0, "{lie:?}");
        assert_eq!(liar.asked(), 1, "{lie:?}: it is not asked again");
        edge.figures()
            .until("skerry_edge_upstream_benched", &[("upstream", "neighbour")], |count| count == 1.0);
        let log = edge.log();
        assert!(log.contains("sent what does not verify, and is benched"), "{lie:?}: {log}");
    }
}

/// Neither a server with another cluster's certificate, nor the origin's own, is a neighbour or a shield.
#[test]
fn whoever_is_no_edge_of_the_cluster_is_asked_nothing() {
    let (origin, other_cluster) = (Origin::start(), Origin::start());
    let stranger = LyingEdge::start(&enrolled(&other_cluster));
    let content = bytes(6, 1000);
    stranger.lie_about(&content, Lie::Honest);
    let of_origin = origin.url().trim_start_matches("https://");
    let upstreams = format!("upstreams={},{of_origin}", stranger.address());
    let edge = Edge::join_set(&origin, &[GIVES, &upstreams, &format!("neighbours={}", stranger.address())]);
    origin.cli().put("/a.bin", &content);
    assert!(edge.site(origin.domain()).get(Protocol::Http1, "/a.bin").body == content);
    assert_eq!(stranger.asked(), 0);
    assert_eq!(edge.figures().metric("skerry_edge_neighbours", &[]), 0.0);
    let away = [("upstream", "shield"), ("reason", "away")];
    assert_eq!(edge.figures().metric("skerry_edge_upstream_failures_total", &away), 2.0);
}
