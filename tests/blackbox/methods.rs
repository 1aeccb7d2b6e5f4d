//! Methods (RFC 9110 §9), targets and hosts (§7), over three protocols.

use crate::harness::{Protocol, Showing};
use bytes::Bytes;
use skerry_proto::visibility::Visibility;

const DOMAIN: &str = "methods.sites.test";

/// `/a.xml`, and `/p.xml`, which is protected.
fn documents() -> Showing {
    let mut showing = Showing::default();
    showing.asset("/a.xml", "text/xml", &Bytes::from_static(b"<Response/>"));
    showing.asset("/p.xml", "text/xml", &Bytes::from_static(b"<Protected/>")).visibility =
        Visibility::Protected;
    showing
}

#[test]
fn a_preflight_is_answered_the_same_for_every_path() {
    let (_origin, edge) = documents().at(DOMAIN);
    let site = edge.site(DOMAIN);
    for protocol in Protocol::ALL {
        for path in ["/a.xml", "/p.xml", "/nothing", "/.skerry/b3/x"] {
            let response = site
                .ask(protocol, path)
                .method("OPTIONS")
                .header("origin", "https://player.example")
                .header("access-control-request-method", "GET")
                .header("access-control-request-headers", "range")
                .send();
            assert_eq!(response.status, 204, "{protocol} {path}");
            assert!(response.body.is_empty(), "{protocol} {path}");
            assert_eq!(response.header("allow"), "GET, HEAD, OPTIONS", "{protocol} {path}");
            assert_eq!(response.header("access-control-allow-origin"), "*", "{protocol} {path}");
            assert_eq!(
                response.header("access-control-allow-methods"),
                "GET, HEAD, OPTIONS",
                "{protocol} {path}"
            );
            assert_eq!(response.header("access-control-max-age"), "86400", "{protocol} {path}");
            let headers = response.header("access-control-allow-headers");
            for name in ["range", "if-range", "if-none-match", "if-match", "x-twilio-signature"] {
                assert!(headers.split(", ").any(|allowed| allowed == name), "{protocol} {name}: {headers}");
            }
        }
    }
}

#[test]
fn other_methods_are_405_for_every_path() {
    let (_origin, edge) = documents().at(DOMAIN);
    for protocol in Protocol::ALL {
        for path in ["/a.xml", "/p.xml", "/nothing"] {
            for method in ["POST", "PUT", "TRACE", "BREW"] {
                let response = edge.site(DOMAIN).ask(protocol, path).method(method).send();
                assert_eq!(response.status, 405, "{protocol} {method} {path}");
                assert_eq!(response.header("allow"), "GET, HEAD, OPTIONS", "{protocol} {method} {path}");
            }
        }
    }
}

#[test]
fn post_is_answered_like_get_where_the_environment_says_so() {
    let mut showing = documents();
    showing.serving.post_as_get = true;
    let (_origin, edge) = showing.at(DOMAIN);
    let site = edge.site(DOMAIN);
    for protocol in Protocol::ALL {
        let form = Bytes::from_static(b"CallSid=CA0123&From=%2B1555");
        let response = site.ask(protocol, "/a.xml").method("POST").content(form).send();
        assert_eq!((response.status.as_u16(), response.text()), (200, "<Response/>"), "{protocol}");
        assert_eq!(site.ask(protocol, "/p.xml").method("POST").send().status, 403, "{protocol}");
        let put = site.ask(protocol, "/a.xml").method("PUT").send();
        assert_eq!(
            (put.status.as_u16(), put.header("allow")),
            (405, "GET, HEAD, OPTIONS, POST"),
            "{protocol}"
        );
    }
}

#[test]
fn a_long_target_is_414() {
    let (_origin, edge) = documents().at(DOMAIN);
    let site = edge.site(DOMAIN);
    for protocol in Protocol::ALL {
        let target = |size: usize| format!("/a.xml?{}", "q".repeat(size - "/a.xml?".len()));
        assert_eq!(site.get(protocol, &target(8192)).status, 200, "{protocol}");
        assert_eq!(site.get(protocol, &target(8193)).status, 414, "{protocol}");
    }
    let refused = [("reason", "target_too_long")];
    edge.figures().until("skerry_edge_cut_offs_total", &refused, |count| count == 3.0);
    assert_eq!(edge.figures().metric("skerry_edge_target_bytes_max", &[]), 8192.0);
}

/// RFC 9110 §7.4: a connection that was made for one environment shows no other.
#[test]
fn another_environment_than_that_of_the_handshake_is_421() {
    const OTHER: &str = "other.sites.test";
    let (origin, edge) = documents().at(DOMAIN);
    origin.until_acked(origin.show_all(OTHER, &documents()));
    for protocol in Protocol::ALL {
        assert_eq!(edge.site(DOMAIN).get(protocol, "/a.xml").status, 200, "{protocol}");
        assert_eq!(edge.site(OTHER).get(protocol, "/a.xml").status, 200, "{protocol}");
        let crossed = edge.site(OTHER).verified_as(DOMAIN).get(protocol, "/a.xml");
        assert_eq!(crossed.status, 421, "{protocol}");
        // A name that is nobody's says nothing.
        assert_eq!(
            edge.site(DOMAIN).verified_as("localhost").get(protocol, "/a.xml").status,
            200,
            "{protocol}"
        );
        assert_eq!(edge.site("unknown.sites.test").get(protocol, "/a.xml").status, 421, "{protocol}");
    }
}
