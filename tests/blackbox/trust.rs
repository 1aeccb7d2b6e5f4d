//! Trust in a fleet: keys that are rotated, certificates that end, and what somebody with an edge's certificate can do.

use crate::harness::{
    Api, Edge, EdgeCertificate, FakeOrigin, Lie, Origin, Protocol, block_on, bytes, channel, eventually,
    fill, full, hash, watch,
};
use bytes::Bytes;
use serde_json::Value;
use skerry_proto::key_chain;
use skerry_proto::pointer::{Pointer, Version};
use skerry_proto::signature::{KeySet, SigningKey};
use skerry_proto::wire;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use tonic::Code;

const DOMAIN: &str = "trust.sites.test";

fn new_key() -> SigningKey {
    SigningKey::from_pkcs8(&SigningKey::generate().expect("randomness")).expect("own key")
}

/// The successor of a set, with one key.
fn successor(of: &KeySet, key: &SigningKey) -> KeySet {
    let key = key.public_key().try_into().expect("32 bytes");
    KeySet { number: of.number + 1, cluster_id: of.cluster_id, keys: vec![key] }
}

#[test]
fn edges_follow_a_rotation_also_those_that_were_away_or_join_later() {
    let origin = Origin::start();
    let (stays, mut away) = (Edge::join(&origin), Edge::join(&origin));
    let early_token = origin.join_token();
    let content = bytes(1, 300_000);
    origin.cli().put("/a.bin", &content);
    away.stop();
    let rotate = |number: u64| {
        let rotated = origin.cli().run(&["origin", "rotate-keys", "--wait", "--json"]).json();
        assert_eq!(rotated["number"], number, "{rotated}");
        assert_eq!(rotated["public_key"].as_str().map(str::len), Some(64));
        rotated
    };
    rotate(2);
    origin.cli().put("/b.bin", &content);
    let last = rotate(3);
    let other = origin.cli_of(&origin.another_account());
    other.refused(&["origin", "rotate-keys"], &["operator"]);
    origin.cli().put("/c.bin", &content);
    away.start_again();
    let joined = Edge::join_with(origin.url(), &early_token);
    for edge in [&stays, &away, &joined] {
        edge.figures().until("skerry_edge_key_set_number", &[], |number| number == 3.0);
        edge.figures().until("skerry_edge_watch_revision", &[], |revision| {
            revision >= last["revision"].as_f64().unwrap_or(0.0)
        });
        for protocol in Protocol::ALL {
            for path in ["/a.bin", "/b.bin", "/c.bin"] {
                assert!(edge.site(origin.domain()).get(protocol, path).body == content, "{protocol} {path}");
            }
        }
        assert_eq!(edge.figures().metric("skerry_edge_watch_refused_total", &[]), 0.0);
        let chain = edge.data().join("key-chain");
        assert_eq!(fs::metadata(&chain).expect("kept").permissions().mode() & 0o777, 0o600);
    }
    assert_eq!(origin.figures().metric("skerry_origin_key_set_number", &[]), 3.0);
    let keys: Vec<String> = names_in(&origin.data().join("keys"));
    assert!(
        keys.contains(&"signing-key-3.pem".into()) && !keys.contains(&"signing-key.pem".into()),
        "{keys:?}"
    );
    let log = origin.cli().run(&["audit", "--json"]).json().to_string();
    assert!(log.contains("key-set-3"), "{log}");
}

fn names_in(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).expect("there");
    entries.map(|entry| entry.expect("entry").file_name().into_string().expect("UTF-8")).collect()
}

#[test]
fn after_a_rotation_an_edge_restarts_without_its_origin_and_the_origin_restarts_too() {
    let mut origin = Origin::start();
    let mut edge = Edge::join(&origin);
    let content = bytes(2, 1000);
    origin.cli().put("/a.bin", &content);
    assert!(edge.site(origin.domain()).get(Protocol::Http2, "/a.bin").body == content);
    edge.figures().until("skerry_edge_cache_write_pending_bytes", &[], |bytes| bytes == 0.0);
    origin.cli().run(&["origin", "rotate-keys", "--wait"]);
    origin.kill_9();
    edge.kill_9();
    edge.start_again_without_origin();
    edge.figures().until("skerry_edge_key_set_number", &[], |number| number == 2.0);
    for protocol in Protocol::ALL {
        assert!(edge.site(origin.domain()).get(protocol, "/a.bin").body == content, "{protocol}");
    }
    origin.start_again();
    origin.cli().put("/b.bin", &content);
    assert!(edge.site(origin.domain()).get(Protocol::Http2, "/b.bin").body == content);
}

#[test]
fn forged_gapped_and_branching_key_sets_are_refused_reported_and_forgotten() {
    let origin = FakeOrigin::start();
    let mut edge = Edge::of_fake(&origin);
    let good = bytes(3, 1000);
    let revision = origin.show(DOMAIN, &[("/a.bin", &good, Lie::Honest)]);
    origin.until_acked(revision);
    let (second, third, stranger) = (new_key(), new_key(), new_key());
    let set_2 = successor(origin.keys(), &second);
    let set_3 = successor(&set_2, &third);
    let forged = key_chain::sign(&successor(origin.keys(), &stranger), [&stranger]);
    let gapped = key_chain::sign(&set_3, [&second, &third]);
    let not_owned = key_chain::sign(&set_2, [origin.key()]);
    for (number, (set, reason)) in
        [(forged, "key_set_not_signed"), (gapped, "key_set_not_signed"), (not_owned, "key_set_not_owned")]
            .into_iter()
            .enumerate()
    {
        origin.send_key_set(set);
        assert_eq!(origin.until_refused(number + 1)[number], reason);
    }
    assert_eq!(edge.figures().metric("skerry_edge_key_sets_refused_total", &[]), 3.0);
    assert_eq!(edge.figures().metric("skerry_edge_key_set_number", &[]), 1.0);
    // What such keys sign shows nothing.
    let manifest = origin.add_files(&[("/a.bin", &bytes(4, 1000), Lie::Honest)], Lie::Honest);
    origin.send_to_watchers(origin.pointer(DOMAIN, revision + 1, Some(manifest)).sign(&stranger));
    origin.until_refused(4);
    assert!(edge.site(DOMAIN).get(Protocol::Http2, "/a.bin").body == good);

    let honest = key_chain::sign(&set_2, [origin.key(), &second]);
    origin.send_key_set(honest.clone());
    edge.figures().until("skerry_edge_key_set_number", &[], |number| number == 2.0);
    let branch = key_chain::sign(&successor(origin.keys(), &stranger), [origin.key(), &stranger]);
    origin.send_key_set(branch);
    assert_eq!(origin.until_refused(5)[4], "key_set_branch");
    origin.send_key_set(honest);
    // The old key signs nothing new any more; the new one does.
    origin.send_to_watchers(origin.pointer(DOMAIN, revision + 2, Some(manifest)).sign(origin.key()));
    assert_eq!(origin.until_refused(6).len(), 6);
    assert!(edge.site(DOMAIN).get(Protocol::Http2, "/a.bin").body == good);
    edge.kill_9();
    edge.start_again();
    assert_eq!(edge.figures().metric("skerry_edge_key_set_number", &[]), 2.0);
    assert!(
        edge.site(DOMAIN).get(Protocol::Http2, "/a.bin").body == good,
        "what an old key signed before stays"
    );
    let changed = bytes(5, 1000);
    let manifest = origin.add_files(&[("/a.bin", &changed, Lie::Honest)], Lie::Honest);
    let next = origin.next_revision();
    origin.send_to_watchers(origin.pointer(DOMAIN, next, Some(manifest)).sign(&second));
    eventually("the new key counts", || {
        (edge.site(DOMAIN).get(Protocol::Http2, "/a.bin").body == changed).then_some(())
    });
}

#[test]
fn a_replayed_pointer_and_one_of_an_older_epoch_are_refused_and_reported() {
    let origin = FakeOrigin::start();
    let edge = Edge::of_fake(&origin);
    let (old, new) = (bytes(6, 1000), bytes(7, 1000));
    let first = origin.show(DOMAIN, &[("/a.bin", &old, Lie::Honest)]);
    origin.until_acked(first);
    let manifest = origin.add_files(&[("/a.bin", &old, Lie::Honest)], Lie::Honest);
    let replayed = origin.pointer(DOMAIN, first, Some(manifest)).sign(origin.key());
    let second = origin.show(DOMAIN, &[("/a.bin", &new, Lie::Honest)]);
    origin.until_acked(second);
    let older_epoch = Pointer {
        version: Version { epoch: 0, revision: second + 9 },
        ..origin.pointer(DOMAIN, second, Some(manifest))
    };
    for (number, pointer) in [replayed, older_epoch.sign(origin.key())].into_iter().enumerate() {
        origin.send_to_watchers(pointer);
        assert_eq!(origin.until_refused(number + 1)[number], "not_newer");
        for protocol in Protocol::ALL {
            assert!(edge.site(DOMAIN).get(protocol, "/a.bin").body == new, "{protocol}");
        }
    }
    assert_eq!(edge.figures().metric("skerry_edge_watch_refused_total", &[]), 2.0);
    assert_eq!(origin.acked(), second);
}

/// A watch stream that is cut after any of its messages: the edge comes back with what it shows, and shows the newest in the end.
#[test]
fn a_watch_stream_that_is_cut_after_any_message_is_taken_up_where_it_was() {
    let origin = FakeOrigin::start();
    let edge = Edge::of_fake(&origin);
    let mut greeted = 1;
    for messages in 1..if full() { 40 } else { 6 } {
        origin.cut_after(Some(messages));
        let contents: Vec<Bytes> = (0..3).map(|part| bytes(messages * 10 + part, 2000)).collect();
        for content in &contents {
            origin.show(DOMAIN, &[("/a.bin", content, Lie::Honest)]);
        }
        // The acknowledgement may be lost with the stream.
        eventually("the newest is shown", || {
            (edge.site(DOMAIN).get(Protocol::Http2, "/a.bin").body == contents[2]).then_some(())
        });
        let told = origin.until_greeted(greeted);
        assert!(told.is_sorted(), "it never says that it shows less: {told:?}");
        greeted = told.len();
    }
    assert_eq!(edge.figures().metric("skerry_edge_watch_refused_total", &[]), 0.0);
    assert!(greeted > 3, "streams were cut: {greeted}");
}

#[test]
fn a_running_edge_renews_its_certificate_and_goes_on_without_a_gap() {
    let origin = Origin::start_set("edges.certificate_seconds = 10");
    let edge = Edge::join(&origin);
    origin.cli().put("/a.txt", b"first");
    let identity = fs::read(edge.data().join("identity")).expect("kept");
    eventually("the certificate is renewed", || {
        let now = fs::read(edge.data().join("identity")).expect("kept");
        (now != identity).then_some(())
    });
    edge.figures().until("skerry_edge_certificate_remaining_seconds", &[], |left| left > 5.0);
    origin.cli().put("/a.txt", b"second");
    assert_eq!(edge.site(origin.domain()).get(Protocol::Http2, "/a.txt").text(), "second");
    let shown = &origin.cli().run(&["edges", "--json"]).json()["edges"][0];
    assert_eq!((&shown["state"], shown["connected"].as_bool()), (&Value::from("current"), Some(true)));
    let log = edge.log();
    assert!(log.contains("renewed the certificate") && !log.contains("cannot be followed"), "{log}");
}

/// It was switched off for longer than its certificate lasts: its key gets it a new one.
#[test]
fn an_edge_that_slept_through_the_end_of_its_certificate_comes_back_by_its_key() {
    let origin = Origin::start_set("edges.certificate_seconds = 10");
    let mut edge = Edge::join(&origin);
    origin.cli().put("/a.txt", b"first");
    edge.stop();
    let identity = fs::read(edge.data().join("identity")).expect("kept");
    let end = eventually("the certificate has expired", || {
        let edges = origin.cli().run(&["edges", "--json"]).json();
        let end = edges["edges"][0]["certificate_end"].as_i64().expect("a time");
        (end < unix_now()).then_some(end)
    });
    origin.cli().put("/a.txt", b"second");
    edge.start_again();
    eventually("it follows again", || {
        let response = edge.site(origin.domain()).get(Protocol::Http2, "/a.txt");
        (response.text() == "second").then_some(())
    });
    assert!(fs::read(edge.data().join("identity")).expect("kept") != identity);
    let edges = origin.cli().run(&["edges", "--json"]).json();
    assert!(edges["edges"][0]["certificate_end"].as_i64() > Some(end));
}

fn unix_now() -> i64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970");
    i64::try_from(now.as_secs()).expect("not that late")
}

/// Every method of every service, read from the protocol itself, so that none is forgotten.
fn methods() -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("proto/skerry/v1");
    let mut methods = Vec::new();
    for name in names_in(&folder) {
        let text = fs::read_to_string(folder.join(name)).expect("reads");
        let mut service = "";
        for line in text.lines() {
            let word = |prefix: &str| line.trim().strip_prefix(prefix)?.split([' ', '(', '{']).next();
            if let Some(name) = word("service ") {
                service = name;
            } else if let Some(method) = word("rpc ") {
                methods.push(format!("/skerry.v1.{service}/{method}"));
            }
        }
    }
    methods
}

/// Calls a method with an empty message: who is let in is decided before what it says.
fn call(channel: tonic::transport::Channel, method: &str) -> tonic::Status {
    let path = http::uri::PathAndQuery::try_from(method).expect("a path");
    block_on(async {
        let mut client = tonic::client::Grpc::new(channel);
        client.ready().await.expect("connects");
        let codec = tonic_prost::ProstCodec::<wire::Goodbye, wire::Goodbye>::default();
        let request = tonic::Request::new(wire::Goodbye {});
        match client.server_streaming(request, path, codec).await {
            Err(status) => status,
            Ok(answer) => match answer.into_inner().message().await {
                Err(status) => status,
                Ok(_) => tonic::Status::ok(""),
            },
        }
    })
}

fn stable_code(status: &tonic::Status) -> &str {
    status.metadata().get("skerry-code").and_then(|code| code.to_str().ok()).unwrap_or_default()
}

#[test]
fn with_the_certificate_of_an_edge_only_watch_fill_and_renew_are_open() {
    let origin = Origin::start();
    let token: skerry_proto::join::JoinToken = origin.join_token().parse().expect("a token");
    let edge = block_on(EdgeCertificate::enrol(origin.url(), &token)).expect("enrols");
    let channel = channel(origin.url(), &token.authority, Some(&edge));
    let methods = methods();
    assert!(methods.len() > 40, "all are found: {methods:?}");
    let open = ["/skerry.v1.Watch/Watch", "/skerry.v1.Fill/Fill", "/skerry.v1.Enrol/Renew"];
    for method in &methods {
        let status = call(channel.clone(), method);
        let code = stable_code(&status);
        match method.as_str() {
            // Let in, and then found to say nothing.
            method if open.contains(&method) => {
                assert_eq!(status.code(), Code::InvalidArgument, "{method}: {status:?}")
            }
            "/skerry.v1.Enrol/Enrol" => assert_eq!(code, "join_token_unknown", "{status:?}"),
            // Edges answer this to each other, and the origin to nobody.
            "/skerry.v1.Peer/Hot" => assert_eq!(status.code(), Code::Unimplemented, "{status:?}"),
            method => assert_eq!(
                (status.code(), code),
                (Code::Unauthenticated, "unauthenticated"),
                "{method}: {status:?}"
            ),
        }
    }
    // Without any certificate, not these either.
    let anybody = crate::harness::channel(origin.url(), &token.authority, None);
    for method in open {
        assert_eq!(stable_code(&call(anybody.clone(), method)), "no_certificate", "{method}");
    }
}

/// The REST API knows no certificates: whoever has that of an edge, and its id, has nothing.
#[test]
fn with_what_an_edge_knows_no_call_of_the_rest_api_is_open() {
    let origin = Origin::start();
    let token: skerry_proto::join::JoinToken = origin.join_token().parse().expect("a token");
    let edge = block_on(EdgeCertificate::enrol(origin.url(), &token)).expect("enrols");
    let account = |sid: &str, token: &str| crate::harness::Account { sid: sid.into(), token: token.into() };
    let document = Api::new(&origin.api_url(), account("", "")).get("/v1/openapi.json").body;
    let paths = document["paths"].as_object().expect("paths");
    assert!(paths.len() > 20);
    // Nobody, and the edge's id in place of an account's.
    for who in [account("", ""), account(&edge.edge_id, ""), account(&edge.edge_id, &edge.edge_id)] {
        let api = Api::new(&origin.api_url(), who);
        for (path, methods) in paths {
            let path: String = path
                .split('/')
                .map(|part| if part.starts_with('{') { "x/" } else { part }.to_owned() + "/")
                .collect();
            let path = path.replace("x//", "x/");
            let path = path.trim_end_matches('/');
            for method in methods.as_object().expect("methods").keys() {
                let status = api.status(&method.to_uppercase(), path);
                assert!(status == 401 || status == 429, "{method} {path}: {status}");
            }
        }
    }
}

#[test]
fn no_edge_fills_what_is_private_or_what_the_account_that_it_names_never_showed() {
    let origin = Origin::start();
    let token: skerry_proto::join::JoinToken = origin.join_token().parse().expect("a token");
    let edge = block_on(EdgeCertificate::enrol(origin.url(), &token)).expect("enrols");
    let channel = || channel(origin.url(), &token.authority, Some(&edge));
    let (public, private) = (bytes(8, 5000), bytes(9, 5000));
    let publisher = origin.publisher();
    block_on(publisher.publish("/public.bin", public.clone())).expect("publishes");
    let uploaded = block_on(publisher.upload("/private.bin", wire::Visibility::Private, private.clone()));
    block_on(publisher.commit(vec![uploaded.expect("uploads").version_sid])).expect("commits");
    let (other, _) = publisher.create_account("other");
    let theirs = bytes(10, 5000);
    block_on(publisher.with_account(other.clone()).publish("/theirs.bin", theirs.clone()))
        .expect("publishes");

    let ours = &origin.account().sid;
    let filled = fill(channel(), ours, &hash(&public), 1).expect("what it shows");
    assert!(filled.1 == public[..]);
    for (account, content) in [
        (ours, &private),
        (&other.sid, &private),
        (ours, &theirs),
        (&other.sid, &public),
        (&String::new(), &public),
        (&"AC00000000000000000000000000000000".to_owned(), &public),
    ] {
        let status = fill(channel(), account, &hash(content), 1).expect_err("not named");
        assert_eq!(status.code(), Code::NotFound, "{account}: {status:?}");
    }
}

#[test]
fn a_certificate_that_expired_opens_nothing_and_one_of_another_cluster_neither() {
    let origin = Origin::start_set("edges.certificate_seconds = 10");
    let token: skerry_proto::join::JoinToken = origin.join_token().parse().expect("a token");
    let edge = block_on(EdgeCertificate::enrol(origin.url(), &token)).expect("enrols");
    let foreign = FakeOrigin::start();
    let stranger = block_on(EdgeCertificate::enrol(foreign.url(), foreign.token())).expect("enrols there");
    assert!(watch(channel(origin.url(), &token.authority, Some(&stranger))).is_err());
    let up = channel(origin.url(), &token.authority, Some(&edge));
    watch(up.clone()).expect("while it is good");
    let status = eventually("it has expired", || watch(up.clone()).err());
    assert_eq!(stable_code(&status), "certificate_expired", "over a connection that is up: {status:?}");
    let anew = channel(origin.url(), &token.authority, Some(&edge));
    assert!(watch(anew).is_err(), "and no handshake takes it");
    assert!(origin.figures().metric("skerry_origin_grpc_auth_failures_total", &[("kind", "expired")]) >= 1.0);
}
