//! The fleet as an operator and a publisher see it: receipts, expulsion, figures, and an origin that is killed while edges follow it.

use crate::harness::{Api, Edge, Origin, Protocol, bytes, eventually, full, let_pass};
use serde_json::Value;
use std::time::Duration;

/// An origin and edges of short leases, whose first environment ends with the lease.
fn strict() -> Origin {
    let origin = Origin::start_set("lease_seconds = 1");
    origin.cli().run(&["env", "set", "public_stale=0", "protected_stale=0"]);
    origin
}

fn join(origin: &Origin, name: &str) -> Edge {
    Edge::join_set(origin, &["lease_seconds=1", &format!("name={name}")])
}

/// Name and state of each edge.
fn states(json: &Value) -> Vec<(&str, &str)> {
    let edges = json["edges"].as_array().expect("a list");
    let text = |edge: &'_ Value, key: &str| -> String { edge[key].as_str().unwrap_or_default().to_owned() };
    let mut states: Vec<_> = edges
        .iter()
        .map(|edge| (edge["name"].as_str().expect("a name"), edge["state"].as_str().expect("a state")))
        .collect();
    assert!(edges.iter().all(|edge| !text(edge, "edge_id").is_empty() && edge["milliseconds"].is_u64()));
    states.sort_unstable();
    states
}

fn edges(origin: &Origin, arguments: &[&str]) -> Vec<Value> {
    let arguments = [&["edges", "--json"], arguments].concat();
    origin.cli().run(&arguments).json()["edges"].as_array().expect("a list").clone()
}

#[test]
fn a_receipt_says_of_each_edge_that_it_shows_the_change_or_refuses() {
    let origin = strict();
    let (stays, mut goes) = (join(&origin, "stays"), join(&origin, "goes"));
    let first = bytes(1, 1000);
    origin.cli().put("/a.bin", &first);
    goes.kill_9();
    let file = origin.cli().write("b.bin", b"second");
    let put = ["put", file.to_str().expect("UTF-8"), "--path", "/a.bin", "--wait", "--json"];
    let outcome = origin.cli().run(&put);
    assert_eq!(states(&outcome.json()), [("goes", "refusing"), ("stays", "live")]);
    assert!(
        outcome.stderr.contains("live on stays") && outcome.stderr.contains("refusing on goes"),
        "{outcome:?}"
    );
    let told = outcome.json();
    let live = told["edges"].as_array().expect("a list").iter().find(|edge| edge["live"] == true);
    assert_eq!(live.expect("one")["name"], "stays");
    // What it says is so: the edge that comes back while the origin is away serves nothing older.
    let mut origin = origin;
    origin.stop();
    goes.start_again_without_origin();
    for protocol in Protocol::ALL {
        let response = goes.site(origin.domain()).get(protocol, "/a.bin");
        assert_eq!(response.status, 503, "{protocol}");
    }
    // The lease of the other one ends, too.
    stays.site(origin.domain()).until(Protocol::Http2, "/a.bin", 503);
    origin.start_again();
    // It answers again when it has heard from the origin, and then with what is new.
    assert_eq!(goes.site(origin.domain()).until(Protocol::Http2, "/a.bin", 200).text(), "second");
}

#[test]
fn an_edge_that_may_serve_older_is_named_and_ends_the_command_with_code_3() {
    if !full() {
        // The command waits its half minute in vain.
        return;
    }
    let origin = Origin::start();
    let mut edge = Edge::join_set(&origin, &["name=goes"]);
    origin.cli().put("/a.bin", b"first");
    edge.kill_9();
    let file = origin.cli().write("b.bin", b"second");
    let outcome =
        origin.cli().attempt(&["put", file.to_str().expect("UTF-8"), "--path", "/a.bin", "--wait", "--json"]);
    assert_eq!(outcome.code, Some(3), "{outcome:?}");
    assert_eq!(states(&outcome.json()), [("goes", "may_serve_older")]);
    outcome.assert_refused(&["may still serve", "goes", "skerry edges expel"]);
}

#[test]
fn the_api_gives_the_receipt_of_a_deployment() {
    let origin = strict();
    let mut edge = join(&origin, "one");
    let put = |content: &[u8]| {
        let file = origin.cli().write("a.txt", content);
        origin.cli().run(&["put", file.to_str().expect("UTF-8"), "--json"]).json()
    };
    let described = origin.cli().run(&["service", "list", "--json"]).json();
    let service = described["services"][0]["service_sid"].as_str().expect("a SID").to_owned();
    let api = Api::new(&origin.api_url(), origin.account().clone());
    let receipts = |made: &Value, query: &str| {
        let (environment, deployment) = (&made["environment_sid"], &made["deployment_sid"]);
        let (environment, deployment) =
            (environment.as_str().expect("a SID"), deployment.as_str().expect("a SID"));
        api.get(&format!(
            "/v1/Services/{service}/Environments/{environment}/Deployments/{deployment}/Receipts{query}"
        ))
    };
    let made = put(b"one");
    let answer = receipts(&made, "?Wait=30");
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(
        (answer.body["is_complete"].as_bool(), answer.body["live_count"].as_u64()),
        (Some(true), Some(1))
    );
    assert_eq!(answer.body["edges"][0]["state"], "live");
    assert_eq!(answer.body["revision"], made["revision"]);
    edge.kill_9();
    let made = put(b"two");
    let answer = receipts(&made, "");
    assert_eq!(answer.body["edges"][0]["state"], "may_serve_older", "{answer:?}");
    assert_eq!(answer.body["is_complete"], false);
    let answer = receipts(&made, "?Wait=30");
    assert_eq!(answer.body["edges"][0]["state"], "refusing", "{answer:?}");
    assert_eq!(
        (answer.body["is_complete"].as_bool(), answer.body["live_count"].as_u64()),
        (Some(true), Some(0))
    );
    for wrong in ["?Wait=61", "?Wait=soon", "?Wait=-1"] {
        receipts(&made, wrong).assert_refused(400, 20001, &["Wait", "60"]);
    }
}

#[test]
fn an_expelled_edge_gets_nothing_any_more_and_nobody_waits_for_it() {
    let origin = Origin::start_set("lease_seconds = 1");
    let (stays, expelled) = (join(&origin, "stays"), join(&origin, "goes"));
    origin.cli().put("/a.txt", b"first");
    assert_eq!(expelled.site(origin.domain()).get(Protocol::Http2, "/a.txt").text(), "first");
    let cli = origin.cli();
    cli.refused(&["edges", "expel", "nobody"], &["nobody", "skerry edges"]);
    let other = origin.cli_of(&origin.another_account());
    other.refused(&["edges", "expel", "goes"], &["operator"]);
    let said = cli.run(&["edges", "expel", "goes"]).stdout;
    assert!(said.contains("expelled goes"), "{said}");
    let again = cli.run(&["edges", "expel", "goes", "--json"]).json();
    assert_eq!((again["was_expelled"].as_bool(), again["name"].as_str()), (Some(true), Some("goes")));
    let id = again["edge_id"].as_str().expect("an id");
    let log = cli.run(&["audit", "--subject", id, "--json"]).json();
    assert_eq!(log["entries"].as_array().map(Vec::len), Some(1), "once: {log}");
    assert_eq!(log["entries"][0]["detail"], "expelled goes");

    expelled.figures().until("skerry_edge_watch_connected", &[], |connected| connected == 0.0);
    let outcome = {
        let file = cli.write("b.txt", b"second");
        cli.run(&["put", file.to_str().expect("UTF-8"), "--path", "/a.txt", "--wait", "--json"])
    };
    assert_eq!(states(&outcome.json()), [("stays", "live")]);
    assert_eq!(stays.site(origin.domain()).get(Protocol::Http2, "/a.txt").text(), "second");
    // What it held it still has; of what is new it learns nothing.
    assert_eq!(expelled.site(origin.domain()).get(Protocol::Http2, "/a.txt").text(), "first");
    expelled.figures().until("skerry_edge_lease_remaining_seconds", &[], |seconds| seconds < -3600.0);
    assert!(
        origin.figures().metric("skerry_origin_grpc_auth_failures_total", &[("kind", "expelled")]) >= 1.0
    );
    assert_eq!(edges(&origin, &[]).len(), 1);
    let all = edges(&origin, &["--all"]);
    let state = all.iter().find(|edge| edge["edge_id"] == id).expect("there")["state"].clone();
    assert_eq!(state, "expelled");
    let log = expelled.log();
    assert!(log.contains("expelled this edge"), "{log}");
}

/// Past its lease, what is to end with it ends at once: an expelled edge has none.
#[test]
fn what_ends_with_the_lease_ends_with_the_expulsion() {
    let origin = Origin::start();
    origin.cli().run(&["env", "set", "public_stale=3600"]);
    let edge = Edge::join_set(&origin, &["name=goes"]);
    origin.cli().put("/a.txt", b"first");
    let site = edge.site(origin.domain());
    assert_eq!(site.get(Protocol::Http2, "/a.txt").status, 200);
    origin.cli().run(&["edges", "expel", "goes"]);
    eventually("it refuses", || (site.get(Protocol::Http2, "/a.txt").status == 503).then_some(()));
}

#[test]
fn edges_say_how_they_are_doing() {
    let origin = Origin::start_set("lease_seconds = 1");
    let edge = join(&origin, "one");
    origin.cli().put("/a.txt", b"text");
    let site = edge.site(origin.domain());
    for _ in 0..5 {
        assert_eq!(site.get(Protocol::Http2, "/a.txt").status, 200);
    }
    let shown = eventually("the figures of five requests", || {
        let edge = edges(&origin, &[]).pop().expect("one");
        (edge["figures"]["requests"].as_u64() >= Some(5)).then_some(edge)
    });
    let figures = &shown["figures"];
    assert_eq!((figures["hits"].as_u64(), figures["misses"].as_u64()), (Some(4), Some(1)), "{shown}");
    assert_eq!(figures["hit_ratio"].as_f64(), Some(0.8));
    assert!(figures["memory_bytes"].as_u64() > Some(1 << 20), "{shown}");
    assert_eq!(shown["state"], "current");
    assert_eq!(shown["version"], env!("CARGO_PKG_VERSION"));
    let text = origin.cli().run(&["edges"]).stdout;
    assert!(text.contains("80.0 % hits") && text.contains("current"), "{text}");
}

/// Whatever the moment at which the origin dies: an edge shows in the end what the origin shows, and went there in order.
#[test]
fn an_edge_misses_nothing_of_an_origin_that_is_killed_again_and_again() {
    let mut origin = Origin::start();
    let edge = Edge::join(&origin);
    let rounds = if full() { 30 } else { 3 };
    let (mut newest, mut seen) = (0.0, 0.0);
    for round in 0..rounds {
        for file in 0..4 {
            let put = block_put(&origin, &format!("/{file}.bin"), &bytes(round * 10 + file, 3000));
            newest = put;
        }
        let revision = edge.figures().metric("skerry_edge_watch_revision", &[]);
        assert!(revision >= seen, "from {seen} back to {revision}");
        seen = revision;
        let_pass(Duration::from_millis(round * 7 % 40));
        origin.kill_9();
        origin.start_again();
    }
    edge.figures().until("skerry_edge_watch_revision", &[], |revision| revision >= newest);
    assert_eq!(edge.figures().metric("skerry_edge_watch_refused_total", &[]), 0.0);
    for file in 0..4 {
        let response = edge.site(origin.domain()).get(Protocol::Http2, &format!("/{file}.bin"));
        assert!(response.body == bytes((rounds - 1) * 10 + file, 3000), "/{file}.bin");
    }
}

/// Publishes without waiting for edges; the revision.
fn block_put(origin: &Origin, path: &str, content: &[u8]) -> f64 {
    let published = crate::harness::block_on(origin.publisher().publish(path, content.to_vec().into()));
    published.expect("the origin runs").revision as f64
}
