//! Content-addressed URLs, over three protocols.

use crate::harness::{Dev, Edge, Protocol, Response, Showing, bytes, hash};
use bytes::Bytes;
use skerry_proto::visibility::Visibility;

const DOMAIN: &str = "hashes.sites.test";

fn url(content: &[u8]) -> String {
    format!("/.skerry/b3/{}/name.bin", hash(content))
}

fn get(edge: &Edge, protocol: Protocol, content: &[u8]) -> Response {
    edge.site(DOMAIN).get(protocol, &url(content))
}

#[test]
fn a_hash_shows_its_bytes_for_ever() {
    let [live, coded, past] = [1, 2, 3].map(|seed| bytes(seed, 4000));
    let mut showing = Showing::default();
    showing.asset("/a.css", "text/css", &live);
    showing.coded("br", &coded);
    showing.past("image/svg+xml", "", &past);
    let (_origin, edge) = showing.at(DOMAIN);
    for protocol in Protocol::ALL {
        for (content, content_type, coding) in
            [(&live, "text/css", ""), (&coded, "text/css", "br"), (&past, "image/svg+xml", "")]
        {
            let response = get(&edge, protocol, content);
            assert_eq!(response.status, 200, "{protocol} {content_type}");
            assert!(response.body == *content, "{protocol} {content_type}");
            for (name, value) in [
                ("content-type", content_type),
                ("content-encoding", coding),
                ("etag", &format!("\"{}\"", hash(content))),
                ("cache-control", "public, max-age=31536000, immutable"),
                ("vary", ""),
                ("last-modified", ""),
                ("access-control-allow-origin", "*"),
            ] {
                assert_eq!(response.header(name), value, "{protocol} {content_type} {name}");
            }
            assert!(response.header("repr-digest").starts_with("sha-256=:"), "{protocol}");
            let site = edge.site(DOMAIN);
            let part = site.ask(protocol, &url(content)).header("range", "bytes=5-9").send();
            assert!(part.status == 206 && part.body == content[5..10], "{protocol}");
            let current = site.ask(protocol, &url(content)).header("if-none-match", "*").send();
            assert_eq!(current.status, 304, "{protocol}");
        }
        assert_eq!(get(&edge, protocol, &past).header("content-security-policy"), "sandbox", "{protocol}");
    }
}

#[test]
fn the_name_is_for_people_and_the_rest_is_exact() {
    let content = bytes(1, 100);
    let mut showing = Showing::default();
    showing.asset("/a", "text/plain", &content);
    let (_origin, edge) = showing.at(DOMAIN);
    let hash = hash(&content);
    for protocol in Protocol::ALL {
        let status = |path: String| edge.site(DOMAIN).get(protocol, &path).status.as_u16();
        for name in ["", "a.txt", "b/c", "..%2f", "%00"] {
            assert_eq!(status(format!("/.skerry/b3/{hash}/{name}")), 200, "{protocol} {name}");
        }
        for path in [
            format!("/.skerry/b3/{hash}"),
            format!("/.skerry/b3/{}/x", hash.to_uppercase()),
            format!("/.skerry/b3/{}/x", &hash[1..]),
            format!("/.skerry/b2/{hash}/x"),
            format!("/%2Eskerry/b3/{hash}/x"),
            format!("/.skerry/b3/{}/x", "0".repeat(64)),
        ] {
            assert_eq!(status(path.clone()), 404, "{protocol} {path}");
        }
    }
}

#[test]
fn what_is_protected_or_withdrawn_is_not_there_in_the_same_revision() {
    let [content, earlier] = [1, 2].map(|seed| bytes(seed, 100));
    let mut showing = Showing::default();
    showing.asset("/a", "text/plain", &content);
    showing.past("text/plain", "", &earlier);
    let (origin, edge) = showing.at(DOMAIN);
    assert_eq!(get(&edge, Protocol::Http1, &content).status, 200);
    assert_eq!(get(&edge, Protocol::Http1, &earlier).status, 200);

    // A history that named what the live build protects would not open it.
    let mut protected = Showing::default();
    protected.asset("/a", "text/plain", &content).visibility = Visibility::Protected;
    protected.past("text/plain", "", &content);
    origin.until_acked(origin.show_all(DOMAIN, &protected));
    for protocol in Protocol::ALL {
        let [of_protected, of_withdrawn, of_nothing] =
            [&content[..], &earlier[..], b"nothing"].map(|content| get(&edge, protocol, content));
        for response in [&of_protected, &of_withdrawn] {
            assert_eq!((response.status.as_u16(), response.text()), (404, of_nothing.text()), "{protocol}");
        }
    }

    // One public path is enough.
    protected.asset("/b", "text/plain", &content);
    origin.until_acked(origin.show_all(DOMAIN, &protected));
    for protocol in Protocol::ALL {
        assert!(get(&edge, protocol, &content).body == content, "{protocol}");
    }
}

#[test]
fn hashes_are_found_in_manifests_and_histories_with_pages() {
    let mut showing = Showing::default();
    let small = |number: u64| Bytes::copy_from_slice(&number.to_le_bytes());
    for number in 0..1500 {
        showing.asset(&format!("/{number}"), "text/plain", &small(number));
        showing.past("text/plain", "", &small(10_000 + number));
    }
    let (origin, edge) = showing.at(DOMAIN);
    let all_there = |numbers: &[u64]| {
        for number in numbers {
            assert_eq!(get(&edge, Protocol::Http2, &small(*number)).body, small(*number), "{number}");
        }
    };
    all_there(&[0, 7, 1499, 10_000, 11_499]);
    assert_eq!(get(&edge, Protocol::Http2, &small(5000)).status, 404);

    // A deployment that changes one path fetches a root and one page; everything else is shared.
    showing.entries[7].representations[0].blob = skerry_proto::slices::BlobId::of(&small(5000));
    showing.contents_of(&small(5000));
    let before = origin.fills();
    origin.until_acked(origin.show_all(DOMAIN, &showing));
    assert_eq!(origin.fills() - before, 2, "the manifest's root and one page");
    all_there(&[0, 5000, 1499, 10_000, 11_499]);
    assert_eq!(get(&edge, Protocol::Http2, &small(7)).status, 404);
}

/// The same over a deployment, with an origin that decides what the history names.
#[test]
fn who_hides_or_removes_a_path_takes_its_hashes_out_with_it() {
    let dev = Dev::start();
    let (cli, site) = (dev.cli(), dev.site());
    let [earlier, content] = [1, 2].map(|seed| bytes(seed, 100));
    let status = |content: &[u8], protocol| site.get(protocol, &url(content)).status.as_u16();
    let publish = |content: &Bytes, visibility: &str| {
        cli.write("a.bin", content);
        cli.run(&["put", "a.bin", "--visibility", visibility, "--wait", "--yes"]);
    };
    let hidings: [(&str, &dyn Fn()); 3] = [
        ("protected", &|| publish(&content, "protected")),
        ("private", &|| publish(&content, "private")),
        ("removed", &|| drop(cli.run(&["rm", "/a.bin", "--wait"]))),
    ];
    for (how, hide) in hidings {
        publish(&earlier, "public");
        publish(&content, "public");
        for protocol in Protocol::ALL {
            assert_eq!(
                (status(&earlier, protocol), status(&content, protocol)),
                (200, 200),
                "{protocol} {how}"
            );
        }
        hide();
        for protocol in Protocol::ALL {
            assert_eq!(
                (status(&earlier, protocol), status(&content, protocol)),
                (404, 404),
                "{protocol} {how}"
            );
        }
    }
}
