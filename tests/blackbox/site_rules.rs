//! What a build declares for its site: index files, redirects, rewrites, and a page for what is not there; over three protocols.

use crate::harness::{Edge, Protocol, Response, Showing, declared};
use bytes::Bytes;
use skerry_proto::visibility::Visibility;

const DOMAIN: &str = "rules.sites.test";

/// A site of pages whose content is their path.
fn pages(paths: &[&str]) -> Showing {
    let mut showing = Showing::default();
    for path in paths {
        showing.asset(path, "text/html", &Bytes::copy_from_slice(path.as_bytes()));
    }
    showing
}

fn get(edge: &Edge, protocol: Protocol, path: &str) -> Response {
    edge.site(DOMAIN).get(protocol, path)
}

#[test]
fn a_declared_index_shows_folders() {
    let mut showing = pages(&["/home.html", "/docs/home.html", "/docs/a b/home.html", "/index.html"]);
    showing.rules.index = Some("home.html".into());
    let (_origin, edge) = showing.at(DOMAIN);
    for protocol in Protocol::ALL {
        for (path, page) in [
            ("/", "/home.html"),
            ("/docs/", "/docs/home.html"),
            ("/docs/a%20b/", "/docs/a b/home.html"),
            ("/docs/home.html", "/docs/home.html"),
            ("/?q=/docs", "/home.html"),
        ] {
            assert_eq!(get(&edge, protocol, path).text(), page, "{protocol} {path}");
        }
        for (path, location) in
            [("/docs", "/docs/"), ("/docs?a=b", "/docs/?a=b"), ("/docs/a%20b", "/docs/a%20b/")]
        {
            let response = get(&edge, protocol, path);
            assert_eq!(
                (response.status.as_u16(), response.header("location")),
                (308, location),
                "{protocol} {path}"
            );
        }
        assert_eq!(get(&edge, protocol, "/nothing/").status, 404, "{protocol}");
    }
}

#[test]
fn without_a_declared_index_the_root_alone_has_one() {
    let (_origin, edge) = pages(&["/index.html", "/docs/index.html"]).at(DOMAIN);
    for protocol in Protocol::ALL {
        assert_eq!(get(&edge, protocol, "/").text(), "/index.html", "{protocol}");
        assert_eq!(get(&edge, protocol, "/docs/").status, 404, "{protocol}");
        assert_eq!(get(&edge, protocol, "/docs").status, 404, "{protocol}");
    }
}

#[test]
fn the_first_redirect_that_fits_counts_where_no_asset_stands() {
    let mut showing = pages(&["/old/kept", "/new"]);
    for (from, to, code) in [
        ("/moved", "/new", 301),
        ("/found", "/new?kept=1", 302),
        ("/other", "https://example.com/x", 303),
        ("/old/*", "/new/:splat", 307),
        ("/old/late", "/never", 301),
        ("/far/*", "https://example.com/:splat", 308),
        ("/moved", "/never", 301),
    ] {
        showing.redirect(from, to, code);
    }
    let (_origin, edge) = showing.at(DOMAIN);
    for protocol in Protocol::ALL {
        for (path, code, location) in [
            ("/moved", 301, "/new"),
            ("/moved?a=1", 301, "/new?a=1"),
            ("/found?a=1", 302, "/new?kept=1"),
            ("/other", 303, "https://example.com/x"),
            ("/old/late", 307, "/new/late"),
            ("/old/a%20b/c?d", 307, "/new/a%20b/c?d"),
            ("/far/x", 308, "https://example.com/x"),
        ] {
            let response = get(&edge, protocol, path);
            assert_eq!(
                (response.status.as_u16(), response.header("location")),
                (code, location),
                "{protocol} {path}"
            );
            assert!(response.body.is_empty(), "{protocol} {path}");
            assert_eq!(
                response.header("cache-control"),
                "public, max-age=0, must-revalidate",
                "{protocol} {path}"
            );
        }
        assert_eq!(get(&edge, protocol, "/old/kept").text(), "/old/kept", "{protocol}");
        assert_eq!(get(&edge, protocol, "/old").status, 404, "{protocol}");
    }
}

#[test]
fn no_redirect_made_of_a_path_leads_to_another_host() {
    let mut showing = pages(&["//evil.example/index.html"]);
    showing.rules.index = Some("index.html".into());
    showing.redirect("/go/*", "/:splat", 302);
    let (_origin, edge) = showing.at(DOMAIN);
    for protocol in Protocol::ALL {
        for path in ["/go//evil.example", "/go/%2Fevil.example", "/go/%5Cevil.example", "//evil.example"] {
            let response = get(&edge, protocol, path);
            let location = response.header("location");
            assert!(response.status.is_redirection(), "{protocol} {path}");
            assert!(
                location.starts_with('/') && !location.starts_with("//") && !location.starts_with("/\\"),
                "{protocol} {path}: {location}"
            );
        }
    }
}

#[test]
fn a_rewrite_shows_another_asset_and_is_not_followed_by_another() {
    let mut showing = pages(&["/app.html", "/assets/a.js"]);
    showing.redirect("/static/*", "/assets/:splat", 200);
    showing.redirect("/loop", "/loop2", 200);
    showing.redirect("/loop2", "/loop", 200);
    showing.redirect("/*", "/app.html", 200);
    let (_origin, edge) = showing.at(DOMAIN);
    for protocol in Protocol::ALL {
        for (path, page) in
            [("/any/route", "/app.html"), ("/static/a.js", "/assets/a.js"), ("/", "/app.html")]
        {
            let response = get(&edge, protocol, path);
            assert_eq!((response.status.as_u16(), response.text()), (200, page), "{protocol} {path}");
            assert_eq!(response.header("location"), "", "{protocol} {path}");
        }
        for path in ["/static/none", "/loop", "/loop2"] {
            assert_eq!(get(&edge, protocol, path).status, 404, "{protocol} {path}");
        }
    }
}

#[test]
fn a_page_for_what_is_not_there_is_a_404_with_its_bytes() {
    let mut showing = pages(&["/index.html"]);
    let content = Bytes::from_static(b"<h1>lost</h1>");
    showing.asset("/404.html", "text/html; charset=utf-8", &content).fields = vec![declared("x-own", "1")];
    showing.rules.not_found = Some("/404.html".parse().expect("a path"));
    let (_origin, edge) = showing.at(DOMAIN);
    for protocol in Protocol::ALL {
        let site = edge.site(DOMAIN);
        for fields in [&[][..], &[("if-none-match", "*"), ("range", "bytes=0-1")], &[("if-match", "\"x\"")]] {
            let ask =
                fields.iter().fold(site.ask(protocol, "/lost"), |ask, (name, value)| ask.header(name, value));
            let response = ask.send();
            assert_eq!((response.status.as_u16(), response.text()), (404, "<h1>lost</h1>"), "{protocol}");
            assert_eq!(response.header("content-type"), "text/html; charset=utf-8", "{protocol}");
            assert_eq!(
                (response.header("cache-control"), response.header("etag")),
                ("no-store", ""),
                "{protocol}"
            );
            assert_eq!(response.header("x-own"), "1", "{protocol}");
        }
        let head = site.ask(protocol, "/lost").method("HEAD").send();
        assert_eq!((head.status.as_u16(), head.header("content-length")), (404, "13"), "{protocol}");
        assert_eq!(get(&edge, protocol, "/404.html").status, 200, "{protocol}");
    }
}

#[test]
fn the_page_for_what_is_not_there_comes_in_the_coded_form_that_the_client_wants() {
    let mut showing = Showing::default();
    showing.asset("/404.html", "text/html", &Bytes::from_static(b"<h1>lost</h1>"));
    showing.coded("br", &Bytes::from_static(b"<br>"));
    showing.coded("gzip", &Bytes::from_static(b"<gzip>"));
    showing.rules.not_found = Some("/404.html".parse().expect("a path"));
    let (_origin, edge) = showing.at(DOMAIN);
    for protocol in Protocol::ALL {
        let table = [
            ("", "", "<h1>lost</h1>"),
            ("gzip, br", "br", "<br>"),
            ("gzip;q=0.5", "gzip", "<gzip>"),
            // Better than no word of what is wrong.
            ("identity;q=0, zstd", "", "<h1>lost</h1>"),
        ];
        for (accepted, coding, content) in table {
            let response =
                edge.site(DOMAIN).ask(protocol, "/lost").header("accept-encoding", accepted).send();
            assert_eq!(response.status, 404, "{protocol} {accepted}");
            assert_eq!(response.header("content-encoding"), coding, "{protocol} {accepted}");
            assert_eq!(response.header("vary"), "accept-encoding", "{protocol} {accepted}");
            assert_eq!(response.text(), content, "{protocol} {accepted}");
            assert_eq!(response.header("content-length"), content.len().to_string(), "{protocol} {accepted}");
        }
    }
}

#[test]
fn a_protected_page_is_not_shown_for_what_is_not_there() {
    let mut showing = Showing::default();
    showing.asset("/404.html", "text/html", &Bytes::from_static(b"secret")).visibility =
        Visibility::Protected;
    showing.rules.not_found = Some("/404.html".parse().expect("a path"));
    let (_origin, edge) = showing.at(DOMAIN);
    for protocol in Protocol::ALL {
        let response = get(&edge, protocol, "/lost");
        assert_eq!((response.status.as_u16(), response.text()), (404, "no such asset\n"), "{protocol}");
    }
}
