//! What an edge was told takes memory, of which an operator says how much.

use crate::harness::{Edge, FakeOrigin, Lie, Protocol, bytes};

const DOMAIN: &str = "large.sites.test";
const MIB: f64 = 1_048_576.0;

#[test]
fn a_deployment_for_which_there_is_no_room_is_refused_and_the_build_before_is_shown_on() {
    let origin = FakeOrigin::start();
    let edge = Edge::of_fake_with(&origin, &["limits.documents_size_max=1MiB"]);
    let content = bytes(1, 1000);
    let taken = || edge.figures().metric("skerry_edge_documents_bytes", &[]);
    let show = |count: usize| {
        let paths: Vec<String> = (0..count).map(|number| format!("/{number}/{}", "x".repeat(200))).collect();
        let files: Vec<_> = paths.iter().map(|path| (path.as_str(), &content, Lie::Honest)).collect();
        (origin.show(DOMAIN, &files), paths)
    };
    assert_eq!(edge.figures().metric("skerry_edge_documents_bytes_max", &[]), MIB);
    let (revision, paths) = show(100);
    origin.until_acked(revision);
    let small = taken();
    assert!(small > 100.0 * 200.0 && small < MIB, "{small}");

    show(3000);
    assert_eq!(origin.until_refused(1), ["no_room"]);
    assert_eq!(taken(), small);
    for protocol in Protocol::ALL {
        assert!(edge.site(DOMAIN).get(protocol, &paths[99]).body == content, "{protocol}");
    }

    // What fits is taken again, in place of what is shown.
    let (_, paths) = show(110);
    edge.site(DOMAIN).until(Protocol::Http2, &paths[109], 200);
    assert!(taken() > small && taken() < MIB);
}
