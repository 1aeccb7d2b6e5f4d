//! `skerry verify`: an edge is believed about nothing, the origin is asked.

use crate::harness::{Dev, bytes};

#[test]
fn every_byte_that_an_edge_sends_is_checked_against_the_origin() {
    let dev = Dev::start();
    let content = bytes(1, 700_000);
    dev.cli().put("/sound.mp3", &content);
    let url = format!("{}/sound.mp3", dev.line().text("/edges/0/https"));
    let said = dev.cli().run(&["verify", &url]).stdout;
    assert!(said.contains("700000 bytes") && said.contains(&crate::harness::hash(&content)), "{said}");
    let report = dev.cli().run(&["verify", "--json", &url]).json();
    assert_eq!(report["verified"], true);
    assert_eq!(report["size"], 700_000);
    assert_eq!(report["hash"], report["origin_hash"]);
    assert_eq!(report["cache_status"], "skerry; hit; detail=memory");
}

/// The chain holds from keys that were learnt elsewhere: by the edge at its enrolment, or from an operator.
#[test]
fn keys_from_elsewhere_count_and_others_do_not() {
    let dev = Dev::start();
    dev.cli().put("/sound.mp3", &bytes(1, 700_000));
    let url = format!("{}/sound.mp3", dev.line().text("/edges/0/https"));
    let report = dev.cli().run(&["verify", "--json", &url]).json();
    assert_eq!((&report["keys_from"], &report["slices"]), (&"the origin".into(), &3.into()));
    let key = report["keys"][0].as_str().expect("a key");
    let edge = dev.data().join("edge-1");
    let edge = edge.to_str().expect("UTF-8");
    for (arguments, from) in [(["--key", key], "--key"), (["--edge-data", edge], "--edge-data")] {
        let report = dev.cli().run(&[&["verify", "--json", &url], &arguments[..]].concat()).json();
        assert_eq!((&report["verified"], &report["keys_from"]), (&true.into(), &from.into()));
    }
    let other = "0".repeat(64);
    dev.cli().refused(&["verify", &url, "--key", &other], &["not trusted", "--key"]);
    dev.cli().refused(&["verify", &url, "--key", "12"], &["64 hexadecimal digits"]);
    dev.cli().refused(&["verify", &url, "--edge-data", "nowhere"], &["no edge has enrolled there"]);
}

#[test]
fn the_index_of_a_folder_is_verified_too() {
    let dev = Dev::start();
    dev.cli().put("/index.html", b"<p>hello");
    let url = format!("{}/", dev.line().text("/edges/0/https"));
    assert!(dev.cli().run(&["verify", &url]).stdout.contains("all 8 bytes"));
}

#[test]
fn other_bytes_than_the_origin_names_are_a_failure_that_says_both_hashes() {
    let (asked, other) = (Dev::start(), Dev::start());
    asked.cli().put("/a.bin", b"right");
    other.cli().put("/a.bin", b"wrong");
    let url = format!("{}/a.bin", other.line().text("/edges/0/https"));
    let arguments = ["verify", url.as_str(), "--cacert", other.line().text("/ca_file")];
    let outcome =
        asked.cli().refused(&arguments, &[&crate::harness::hash(b"right"), &crate::harness::hash(b"wrong")]);
    assert_eq!(outcome.code, Some(1));
    let outcome = asked.cli().attempt(&[&arguments[..], &["--json"]].concat());
    assert_eq!((outcome.code, &outcome.json()["verified"]), (Some(1), &serde_json::Value::Bool(false)));
}

#[test]
fn what_is_not_shown_cannot_be_verified() {
    let dev = Dev::start();
    let url = format!("{}/nothing.bin", dev.line().text("/edges/0/https"));
    dev.cli().refused(&["verify", &url], &["/nothing.bin"]);
    dev.cli().refused(&["verify", "/hello.mp3"], &["https://"]);
}
