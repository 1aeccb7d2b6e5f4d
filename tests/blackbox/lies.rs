//! An upstream that lies: good certificates and signatures, wrong slices, lists and lengths. Nothing of it reaches a client, and the
//! edge goes on.

use crate::harness::{Edge, FakeOrigin, Lie, Protocol, Random, bytes, eventually, full};
use bytes::Bytes;
use skerry_proto::pointer::Version;
use skerry_proto::signature::SigningKey;

const SLICE: usize = 262_144;
const DOMAIN: &str = "lies.sites.test";

/// One file of each kind of blob: none, less than a slice, a slice, and several.
fn files(seed: u64) -> Vec<(String, Bytes)> {
    [1000, SLICE, SLICE + 1, 3 * SLICE + 5000]
        .into_iter()
        .map(|size| (format!("/{size}.bin"), bytes(seed + size as u64, size)))
        .collect()
}

/// The protocols for a case of many: each in turn, all three with `SKERRY_TEST_FULL=1`. A refusal takes the edge a few attempts.
fn protocols(case: usize) -> &'static [Protocol] {
    if full() { &Protocol::ALL } else { &Protocol::ALL[case % 3..=case % 3] }
}

/// Asks for a file over some protocols; whatever comes must be a refusal, a cut, or the right bytes.
#[track_caller]
fn assert_never_wrong(edge: &Edge, protocols: &[Protocol], path: &str, content: &Bytes, lie: Lie) {
    for &protocol in protocols {
        let what = format!("{lie:?} about {path} over {protocol}");
        let head = edge.site(DOMAIN).ask(protocol, path).method("HEAD").send();
        assert_eq!(head.header("content-length"), content.len().to_string(), "{what}");
        match edge.site(DOMAIN).ask(protocol, path).attempt() {
            // What arrived before is verified, and its length tells the client that it is not all.
            Err(error) => assert!(error.to_string().contains("cut short"), "{what}: {error:#}"),
            Ok(response) if response.status == 200 => {
                assert!(response.body == *content, "{what}: wrong bytes reached a client");
            }
            Ok(response) => {
                assert!(response.status.is_server_error(), "{what}: {}", response.status);
            }
        }
    }
}

const LIES: [Lie; 14] = [
    Lie::FlippedBit { slice: 0 },
    Lie::FlippedBit { slice: 1 },
    Lie::FlippedBit { slice: 3 },
    Lie::WrongList,
    Lie::OtherBlob,
    Lie::ShortList,
    Lie::LongList,
    Lie::MergedList,
    Lie::OddList,
    Lie::ShortSlices,
    Lie::LongSlices,
    Lie::EmptySlices,
    Lie::WrongNumbers,
    Lie::NoHead,
];

#[test]
fn no_lie_about_slices_reaches_a_client() {
    let origin = FakeOrigin::start();
    let mut edge = Edge::of_fake(&origin);
    for (number, lie) in LIES.into_iter().enumerate() {
        // New content for each lie, so that nothing is in the cache.
        let files = files(1000 * number as u64);
        let shown: Vec<_> = files.iter().map(|(path, content)| (path.as_str(), content, lie)).collect();
        let revision = origin.show(DOMAIN, &shown);
        origin.until_acked(revision);
        for (case, (path, content)) in files.iter().enumerate() {
            assert_never_wrong(&edge, protocols(number + case), path, content, lie);
        }
        // The upstream repents, and the same request is answered.
        for (path, content) in &files {
            origin.lie_about(content, Lie::Honest);
            let response = edge.site(DOMAIN).get(Protocol::Http2, path);
            assert_eq!(response.status, 200, "{path} after {lie:?}");
            assert!(response.body == *content, "{path} after {lie:?}");
        }
        assert!(edge.is_running(), "{lie:?} ended the edge");
    }
    let counted = edge.figures().metric("skerry_edge_integrity_failures_total", &[("source", "upstream")]);
    assert!(counted >= LIES.len() as f64, "{counted}");
}

#[test]
fn a_wrong_first_slice_is_a_502_that_nobody_keeps() {
    let origin = FakeOrigin::start();
    let edge = Edge::of_fake(&origin);
    let content = bytes(1, 1000);
    let revision = origin.show(DOMAIN, &[("/a.bin", &content, Lie::FlippedBit { slice: 0 })]);
    origin.until_acked(revision);
    for protocol in Protocol::ALL {
        let response = edge.site(DOMAIN).get(protocol, "/a.bin");
        assert_eq!(response.status, 502, "{protocol}");
        assert!(!response.header("cache-control").contains("max-age=31536000"), "{protocol}");
        assert!(response.header("etag").is_empty(), "{protocol}: an error has no ETag of the asset");
    }
}

#[test]
fn a_wrong_later_slice_cuts_the_response_after_what_is_right() {
    let origin = FakeOrigin::start();
    let edge = Edge::of_fake(&origin);
    let content = bytes(2, 20 * SLICE);
    let revision = origin.show(DOMAIN, &[("/a.bin", &content, Lie::FlippedBit { slice: 19 })]);
    origin.until_acked(revision);
    for protocol in Protocol::ALL {
        let result = edge.site(DOMAIN).ask(protocol, "/a.bin").attempt();
        let refused = match &result {
            Err(_) => true,
            Ok(response) => response.status.is_server_error(),
        };
        assert!(refused, "{protocol}: {:?}", result.map(|response| (response.status, response.body.len())));
    }
}

/// The signed size counts; what the head of a fill says is nobody's word.
#[test]
fn the_size_in_the_head_of_a_fill_is_not_believed() {
    let origin = FakeOrigin::start();
    let edge = Edge::of_fake(&origin);
    let content = bytes(3, 3 * SLICE);
    let revision = origin.show(DOMAIN, &[("/a.bin", &content, Lie::WrongSize)]);
    origin.until_acked(revision);
    for protocol in Protocol::ALL {
        assert_never_wrong(&edge, &[protocol], "/a.bin", &content, Lie::WrongSize);
        let head = edge.site(DOMAIN).ask(protocol, "/a.bin").method("HEAD").send();
        assert_eq!(head.header("content-length"), content.len().to_string(), "{protocol}");
    }
}

#[test]
fn a_fill_that_breaks_off_is_taken_up_where_it_ended() {
    let origin = FakeOrigin::start();
    let edge = Edge::of_fake(&origin);
    let content = bytes(4, 3 * SLICE);
    let revision = origin.show(DOMAIN, &[("/a.bin", &content, Lie::BreaksOff { after: 2 })]);
    origin.until_acked(revision);
    assert!(edge.site(DOMAIN).get(Protocol::Http2, "/a.bin").body == content);
}

#[test]
fn an_upstream_that_says_nothing_is_given_up_in_the_end() {
    if !full() {
        return;
    }
    let origin = FakeOrigin::start();
    let edge = Edge::of_fake(&origin);
    let content = bytes(11, 1000);
    let revision = origin.show(DOMAIN, &[("/a.bin", &content, Lie::Silence)]);
    origin.until_acked(revision);
    assert!(edge.site(DOMAIN).get(Protocol::Http1, "/a.bin").status.is_server_error());
    origin.lie_about(&content, Lie::Honest);
    assert!(edge.site(DOMAIN).get(Protocol::Http1, "/a.bin").body == content);
}

/// Random bit flips anywhere in the stream; many of them with `SKERRY_TEST_FULL=1`.
#[test]
fn random_flips_in_the_fill_stream_never_reach_a_client() {
    let origin = FakeOrigin::start();
    let mut edge = Edge::of_fake(&origin);
    let mut random = Random::printed("the flips");
    let rounds = if full() { 1000 } else { 10 };
    for round in 0..rounds {
        let content = bytes(random.next(), 1 + random.below(6 * SLICE as u64) as usize);
        let slices = content.len().div_ceil(SLICE) as u64;
        let lie = Lie::FlippedBit { slice: random.below(slices) };
        let revision = origin.show(DOMAIN, &[("/a.bin", &content, lie)]);
        origin.until_acked(revision);
        assert_never_wrong(&edge, protocols(round), "/a.bin", &content, lie);
    }
    assert!(edge.is_running());
}

#[test]
fn pointers_that_must_not_count_are_refused_and_the_last_good_one_goes_on() {
    let origin = FakeOrigin::start();
    let mut edge = Edge::of_fake(&origin);
    let (good, bad) = (bytes(5, 1000), bytes(6, 1000));
    origin.show(DOMAIN, &[("/first.bin", &good, Lie::Honest)]);
    let revision = origin.show(DOMAIN, &[("/a.bin", &good, Lie::Honest)]);
    origin.until_acked(revision);
    let manifest = origin.add_files(&[("/a.bin", &bad, Lie::Honest)], Lie::Honest);
    let stranger = SigningKey::from_pkcs8(&SigningKey::generate().expect("randomness")).expect("own key");

    let next = origin.pointer(DOMAIN, revision + 1, Some(manifest));
    let mut unsigned = next.sign(origin.key());
    unsigned.signature = Bytes::new();
    let mut flipped = next.sign(origin.key());
    flipped.pointer = flipped
        .pointer
        .iter()
        .enumerate()
        .map(|(at, byte)| if at == 30 { byte ^ 1 } else { *byte })
        .collect();
    let mut borrowed = next.sign(&stranger);
    borrowed.key_id = Bytes::copy_from_slice(origin.key().id().as_bytes());
    let mut other_cluster = next.clone();
    other_cluster.cluster_id = [8; 16];
    let mut garbage = next.sign(origin.key());
    garbage.pointer = bytes(7, 300);
    let older = origin.pointer(DOMAIN, revision - 1, Some(manifest));
    let mut older_epoch = next.clone();
    older_epoch.version = Version { epoch: 0, revision: revision + 100 };

    let wrong = [
        unsigned,
        flipped,
        borrowed,
        next.sign(&stranger),
        other_cluster.sign(origin.key()),
        garbage,
        older.sign(origin.key()),
        older_epoch.sign(origin.key()),
    ];
    for (number, pointer) in wrong.into_iter().enumerate() {
        origin.send_to_watchers(pointer);
        let reasons = origin.until_refused(number + 1);
        for protocol in Protocol::ALL {
            let response = edge.site(DOMAIN).get(protocol, "/a.bin");
            assert!(response.body == good, "{protocol}: {:?} took effect", reasons.last());
        }
    }
    assert!(edge.figures().metric("skerry_edge_watch_refused_total", &[]) >= 8.0);
    assert_eq!(origin.acked(), revision, "what was refused is not acknowledged");
    assert!(edge.is_running());
}

#[test]
fn a_manifest_that_does_not_verify_leaves_the_last_good_one() {
    let origin = FakeOrigin::start();
    let mut edge = Edge::of_fake(&origin);
    let (good, bad) = (bytes(8, 1000), bytes(9, 1000));
    let first = origin.show(DOMAIN, &[("/a.bin", &good, Lie::Honest)]);
    origin.until_acked(first);
    let fills = origin.fills();
    let second = origin.show_with(DOMAIN, &[("/a.bin", &bad, Lie::Honest)], Lie::FlippedBit { slice: 0 });
    eventually("the manifest is asked for", || (origin.fills() > fills).then_some(()));
    for protocol in Protocol::ALL {
        assert!(edge.site(DOMAIN).get(protocol, "/a.bin").body == good, "{protocol}");
    }
    assert!(origin.acked() < second);
    assert!(edge.is_running());
}

#[test]
fn what_an_edge_was_shown_it_shows_after_a_restart_without_its_origin() {
    let origin = FakeOrigin::start();
    let mut edge = Edge::of_fake(&origin);
    let content = bytes(10, 2 * SLICE);
    let revision = origin.show(DOMAIN, &[("/a.bin", &content, Lie::Honest)]);
    origin.until_acked(revision);
    assert!(edge.site(DOMAIN).get(Protocol::Http1, "/a.bin").body == content);
    edge.stop();
    drop(origin);
    edge.start_again_without_origin();
    for protocol in Protocol::ALL {
        assert!(edge.site(DOMAIN).get(protocol, "/a.bin").body == content, "{protocol}");
    }
}
