//! Separate processes: an origin and three edges, each with its config file, and what happens when one of them goes away.

use crate::harness::{Edge, Origin, Protocol, bytes, eventually, text};
use bytes::Bytes;
use std::fs;
use std::os::unix::fs::PermissionsExt;

fn shows(edge: &Edge, origin: &Origin, path: &str) -> Bytes {
    edge.site(origin.domain()).get(Protocol::Http2, path).body
}

#[test]
fn three_edges_show_what_one_put_published() {
    let origin = Origin::start();
    let edges = [(); 3].map(|()| Edge::join(&origin));
    let content = bytes(1, 600_000);
    origin.cli().put("/sound.mp3", &content);
    for (number, edge) in edges.iter().enumerate() {
        for protocol in Protocol::ALL {
            let response = edge.site(origin.domain()).get(protocol, "/sound.mp3");
            assert!(response.body == content, "edge {number} over {protocol}");
        }
        assert_eq!(edge.figures().metric("skerry_edge_watch_connected", &[]), 1.0);
    }
    origin.cli().run(&["rm", "/sound.mp3", "--wait"]);
    for edge in &edges {
        for protocol in Protocol::ALL {
            assert_eq!(edge.site(origin.domain()).get(protocol, "/sound.mp3").status, 404, "{protocol}");
        }
    }
}

/// RFC 9110 §7.4; only development on loopback shows a default environment.
#[test]
fn a_host_that_no_environment_has_is_421() {
    let origin = Origin::start();
    let edge = Edge::join(&origin);
    origin.cli().put("/a.txt", b"a");
    for protocol in Protocol::ALL {
        for host in ["unknown.sites.test", "127.0.0.1", "localhost"] {
            assert_eq!(edge.site(host).get(protocol, "/a.txt").status, 421, "{protocol} {host}");
        }
        assert_eq!(edge.site(origin.domain()).get(protocol, "/a.txt").status, 200, "{protocol}");
        let shouted = origin.domain().to_uppercase();
        assert_eq!(
            edge.site(&shouted).get(protocol, "/a.txt").status,
            200,
            "{protocol}: host names have no case"
        );
    }
}

#[test]
fn edges_serve_on_while_the_origin_is_away_and_follow_when_it_is_back() {
    let mut origin = Origin::start();
    let edge = Edge::join(&origin);
    let content = bytes(2, 300_000);
    origin.cli().put("/a.bin", &content);
    assert!(shows(&edge, &origin, "/a.bin") == content);
    origin.kill_9();
    for protocol in Protocol::ALL {
        assert!(edge.site(origin.domain()).get(protocol, "/a.bin").body == content, "{protocol}");
    }
    origin.start_again();
    assert!(shows(&edge, &origin, "/a.bin") == content);
    let changed = bytes(3, 300_000);
    origin.cli().put("/a.bin", &changed);
    assert!(shows(&edge, &origin, "/a.bin") == changed);
}

#[test]
fn a_restarted_origin_shows_what_was_there() {
    let mut origin = Origin::start();
    origin.cli().put("/a.txt", b"before");
    assert!(origin.stop().success(), "a clean stop is a success");
    origin.start_again();
    let listed = origin.cli().run(&["ls", "--json"]).stdout;
    assert!(listed.contains("/a.txt"), "{listed}");
    origin.cli().run(&["get", "/a.txt", "-o", "back.txt"]);
    assert_eq!(origin.cli().read("back.txt"), "before");
    let edge = Edge::join(&origin);
    assert_eq!(shows(&edge, &origin, "/a.txt"), "before");
}

#[test]
fn a_restarted_edge_serves_from_disk_and_needs_no_new_token() {
    let origin = Origin::start();
    let mut edge = Edge::join(&origin);
    let content = bytes(4, 300_000);
    origin.cli().put("/a.bin", &content);
    assert!(shows(&edge, &origin, "/a.bin") == content);
    assert!(edge.stop().success(), "a clean stop is a success");
    edge.start_again();
    let response = edge.site(origin.domain()).get(Protocol::Http1, "/a.bin");
    assert_eq!(response.header("cache-status"), "skerry; hit; detail=disk");
    assert!(response.body == content);
}

#[test]
fn an_edge_that_starts_while_the_origin_is_away_serves_what_it_holds() {
    let mut origin = Origin::start();
    let mut edge = Edge::join(&origin);
    let content = bytes(5, 300_000);
    origin.cli().put("/a.bin", &content);
    assert!(shows(&edge, &origin, "/a.bin") == content);
    edge.figures().until("skerry_edge_cache_write_pending_bytes", &[], |bytes| bytes == 0.0);
    origin.stop();
    edge.kill_9();
    edge.start_again_without_origin();
    for protocol in Protocol::ALL {
        assert_eq!(edge.site(origin.domain()).get(protocol, "/nothing").status, 404, "{protocol}");
    }
    origin.start_again();
    edge.figures().until_ready();
    assert!(shows(&edge, &origin, "/a.bin") == content);
}

#[test]
fn an_edge_that_was_away_catches_up() {
    let origin = Origin::start();
    let (stays, mut goes) = (Edge::join(&origin), Edge::join(&origin));
    origin.cli().put("/a.txt", b"old");
    goes.stop();
    origin.cli().put("/a.txt", b"new");
    assert_eq!(shows(&stays, &origin, "/a.txt"), "new");
    goes.start_again();
    assert_eq!(shows(&goes, &origin, "/a.txt"), "new");
}

#[test]
fn a_used_join_token_makes_no_second_edge() {
    let origin = Origin::start();
    let token = origin.join_token();
    let first = Edge::join_with(origin.url(), &token);
    let outcome = Edge::attempt(origin.url(), &token);
    outcome.assert_refused(&["join token"]);
    assert!(!outcome.stderr.contains(&token[20..]), "a secret in a message: {outcome:?}");
    assert_eq!(first.figures().metric("skerry_edge_watch_connected", &[]), 1.0, "the first one goes on");
}

#[test]
fn init_makes_the_first_account_once() {
    let mut origin = Origin::start();
    origin.stop();
    let config = origin.data().parent().expect("a folder").join("origin.toml");
    let config = config.to_str().expect("UTF-8");
    origin.cli().refused(&["origin", "init", "--config", config], &["account create"]);
    assert!(text(std::path::Path::new(config)).contains("data"));
    origin.start_again();
    eventually("metrics", || origin.figures().get("/readyz").ok());
}

#[test]
fn an_edge_that_enrols_while_the_origin_is_away_says_so_once_and_joins_when_it_is_back() {
    let mut origin = Origin::start();
    let token = origin.join_token();
    origin.stop();
    let edge = Edge::begin_to_join(origin.url(), &token);
    origin.start_again();
    edge.figures().until_ready();
    let log = edge.log();
    assert_eq!(log.matches("cannot enrol yet").count(), 1, "{log}");
    assert!(log.contains("cannot be reached") && !log.contains("refuses"), "{log}");
}

#[test]
fn without_a_certificate_of_the_operator_a_client_that_trusts_the_edge_verifies_the_domain() {
    let origin = Origin::start();
    let edge = Edge::join_without_certificate(&origin, "*.sites.test");
    origin.cli().put("/a.txt", b"a");
    for protocol in Protocol::ALL {
        assert_eq!(edge.site(origin.domain()).get(protocol, "/a.txt").text(), "a", "{protocol}");
    }
    let log = edge.log();
    assert!(log.contains("https.names") && log.contains("*.sites.test"), "{log}");
}

#[test]
fn a_join_token_in_a_file_is_for_its_owner_alone() {
    let origin = Origin::start();
    let cli = origin.cli();
    let outcome = cli.run(&["join-token", "--output", "edge.token"]);
    let file = cli.folder().join("edge.token");
    assert_eq!(fs::metadata(&file).expect("written").permissions().mode() & 0o777, 0o600);
    let token = text(&file);
    assert!(!format!("{}{}", outcome.stdout, outcome.stderr).contains(token.trim()), "{outcome:?}");
    Edge::join_with(origin.url(), &token);
}
