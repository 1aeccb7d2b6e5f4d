//! What responses say of themselves, over three protocols.

use crate::harness::{
    Dev, Edge, FakeOrigin, Origin, Protocol, Response, Showing, bytes, declared, eventually, sha256,
};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use skerry_proto::visibility::Visibility;

const DOMAIN: &str = "headers.sites.test";

#[test]
fn an_asset_says_what_it_is_and_how_long_that_counts() {
    let song = bytes(1, 5000);
    let mut one = Showing::default();
    one.asset("/song.mp3", "audio/mpeg", &song);
    let (_origin, edge) = one.at(DOMAIN);
    let digest = format!("sha-256=:{}:", STANDARD.encode(sha256(&song)));
    let port = edge.site(DOMAIN).address().port();
    for protocol in Protocol::ALL {
        for (range, status) in [("", 200), ("bytes=1-2", 206), ("bytes=1-2,8-9", 206)] {
            let response = edge.site(DOMAIN).ask(protocol, "/song.mp3").header("range", range).send();
            assert_eq!(response.status, status, "{protocol} {range}");
            let expected = [
                ("last-modified", "Sun, 09 Sep 2001 01:46:40 GMT"),
                ("accept-ranges", "bytes"),
                ("cache-control", "public, max-age=0, must-revalidate"),
                ("age", "0"),
                // RFC 9530: of the representation, also where a part of it is sent.
                ("repr-digest", &digest),
                ("x-content-type-options", "nosniff"),
                ("strict-transport-security", "max-age=31536000"),
                ("alt-svc", &format!("h3=\":{port}\"; ma=86400")),
                ("access-control-allow-origin", "*"),
                ("content-security-policy", ""),
                ("vary", ""),
            ];
            for (name, value) in expected {
                assert_eq!(response.header(name), value, "{protocol} {range} {name}");
            }
            let exposed = response.header("access-control-expose-headers");
            for name in ["etag", "content-range", "accept-ranges", "content-length"] {
                assert!(exposed.split(", ").any(|exposed| exposed == name), "{protocol} {name}: {exposed}");
            }
            assert!(response.header("cache-status").starts_with("skerry; "), "{protocol} {range}");
        }
    }
}

#[test]
fn a_development_server_says_nothing_of_hsts() {
    let dev = Dev::start();
    dev.cli().put("/a.txt", b"a");
    assert_eq!(dev.site().get(Protocol::Http2, "/a.txt").header("strict-transport-security"), "");
}

#[test]
fn hsts_says_what_the_operator_says_also_with_a_refusal() {
    let mut one = Showing::default();
    one.asset("/a.txt", "text/plain", &Bytes::from_static(b"a"));
    let origin = FakeOrigin::start();
    origin.show_all(DOMAIN, &one);
    let mut edge =
        Edge::of_fake_with(&origin, &["https.hsts_include_subdomains=true", "https.hsts_preload=true"]);
    for protocol in Protocol::ALL {
        for path in ["/a.txt", "/nothing"] {
            let said = edge.site(DOMAIN).get(protocol, path);
            let expected = "max-age=31536000; includeSubDomains; preload";
            assert_eq!(said.header("strict-transport-security"), expected, "{protocol} {path}");
        }
    }
    edge.stop();
    edge.set(&["https.hsts_max_age=0"]);
    edge.start_again();
    let said = edge.site(DOMAIN).get(Protocol::Http2, "/a.txt");
    assert!(!said.headers.contains_key("strict-transport-security"), "0 says nothing");
}

#[test]
fn age_counts_from_the_last_word_of_the_origin() {
    let mut origin = Origin::start();
    let edge = Edge::join(&origin);
    origin.cli().put("/a.txt", b"a");
    let site = edge.site(origin.domain());
    let age = || -> u64 { site.get(Protocol::Http1, "/a.txt").header("age").parse().expect("seconds") };
    assert_eq!(age(), 0);
    origin.kill_9();
    eventually("the age grows", || (age() >= 2).then_some(()));
    origin.start_again();
    eventually("the origin is heard again", || (age() == 0).then_some(()));
}

#[test]
fn a_public_asset_may_say_otherwise_how_it_is_cached_and_more() {
    let mut one = Showing::default();
    let entry = one.asset("/app.css", "text/css", &Bytes::from_static(b"a {}"));
    entry.cache_control = Some("public, max-age=600".into());
    entry.fields = vec![
        declared("X-Frame-Options", "DENY"),
        declared("link", "</a>; rel=preload"),
        declared("link", "</b>; rel=preload"),
    ];
    let (_origin, edge) = one.at(DOMAIN);
    for protocol in Protocol::ALL {
        let whole = edge.site(DOMAIN).get(protocol, "/app.css");
        // A cache takes over what a 304 says, so a change of a declared field reaches it while the bytes stay.
        let current = edge.site(DOMAIN).ask(protocol, "/app.css").header("if-none-match", "*").send();
        assert_eq!((whole.status.as_u16(), current.status.as_u16()), (200, 304), "{protocol}");
        for response in [whole, current] {
            assert_eq!(response.header("cache-control"), "public, max-age=600", "{protocol}");
            assert_eq!(response.header("x-frame-options"), "DENY", "{protocol}");
            let links: Vec<_> = response.headers.get_all("link").iter().collect();
            assert_eq!(links, ["</a>; rel=preload", "</b>; rel=preload"], "{protocol}");
        }
    }
}

/// Policies of a response: each is one line.
fn policies(response: &Response) -> Vec<&str> {
    let policies = response.headers.get_all("content-security-policy").iter();
    policies.map(|policy| policy.to_str().expect("text")).collect()
}

#[test]
fn documents_of_svg_and_xml_are_sandboxed() {
    let mut all = Showing::default();
    let empty = Bytes::new();
    for (path, content_type) in [
        ("/a.svg", "image/svg+xml"),
        ("/a.xml", "text/xml; charset=utf-8"),
        ("/b.xml", "application/xml"),
        ("/a.atom", "application/atom+xml"),
        ("/a.html", "text/html; charset=utf-8"),
        ("/a.xhtml", "application/xhtml+xml"),
        ("/a.png", "image/png"),
        ("/a.mp3", "audio/mpeg"),
    ] {
        all.asset(path, content_type, &empty);
    }
    all.asset("/own.svg", "image/svg+xml", &empty).fields =
        vec![declared("content-security-policy", "default-src 'none'")];
    for untrusted in [false, true] {
        all.serving.untrusted_uploads = untrusted;
        let (_origin, edge) = all.at(DOMAIN);
        for protocol in Protocol::ALL {
            let of = |path: &str| {
                let response = edge.site(DOMAIN).get(protocol, path);
                assert_eq!(response.status, 200, "{path}");
                policies(&response).into_iter().map(str::to_owned).collect::<Vec<_>>()
            };
            for path in ["/a.svg", "/a.xml", "/b.xml", "/a.atom"] {
                assert_eq!(of(path), ["sandbox"], "{protocol} {path}");
            }
            for path in ["/a.html", "/a.xhtml"] {
                assert_eq!(of(path) == ["sandbox"], untrusted, "{protocol} {path}");
            }
            for path in ["/a.png", "/a.mp3"] {
                assert!(of(path).is_empty(), "{protocol} {path}");
            }
            // What is declared adds to it.
            assert_eq!(of("/own.svg"), ["sandbox", "default-src 'none'"], "{protocol}");
        }
    }
}

#[test]
fn a_refusal_is_a_line_for_people_or_problem_details_for_programs() {
    let mut one = Showing::default();
    one.asset("/a.txt", "text/plain", &Bytes::from_static(b"a"));
    one.asset("/p.txt", "text/plain", &Bytes::from_static(b"p")).visibility = Visibility::Protected;
    let (_origin, edge) = one.at(DOMAIN);
    let cases = [
        ("/nothing", "GET", 404, "Not Found", "not_found"),
        ("/p.txt", "GET", 403, "Forbidden", "signature_required"),
        ("/a.txt", "PUT", 405, "Method Not Allowed", "method_not_allowed"),
    ];
    for protocol in Protocol::ALL {
        for (path, method, status, title, code) in cases {
            let site = edge.site(DOMAIN);
            let text = site.ask(protocol, path).method(method).send();
            assert_eq!(text.status, status, "{protocol} {path}");
            assert_eq!(text.header("content-type"), "text/plain; charset=utf-8", "{protocol} {path}");
            assert_eq!(text.text().lines().count(), 1, "{protocol} {path}");

            let json = site.ask(protocol, path).method(method).header("accept", "application/json").send();
            assert_eq!(json.header("content-type"), "application/problem+json", "{protocol} {path}");
            let problem: serde_json::Value = serde_json::from_slice(&json.body).expect("JSON");
            assert_eq!(problem["type"], "about:blank", "{protocol} {path}");
            assert_eq!(
                (&problem["title"], &problem["status"]),
                (&title.into(), &status.into()),
                "{protocol} {path}"
            );
            assert_eq!(problem["code"], code, "{protocol} {path}");
            assert_eq!(
                format!("{}\n", problem["detail"].as_str().expect("text")),
                text.text(),
                "{protocol} {path}"
            );
            for response in [text, json] {
                assert_eq!(response.header("cache-control"), "no-store", "{protocol} {path}");
                assert_eq!(response.header("x-content-type-options"), "nosniff", "{protocol} {path}");
                assert_eq!(
                    response.header("content-length"),
                    response.body.len().to_string(),
                    "{protocol} {path}"
                );
            }
        }
    }
}
