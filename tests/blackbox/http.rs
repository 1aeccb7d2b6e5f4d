//! Basic HTTP (RFC 9110), the same over each protocol.

use crate::harness::{Cli, Dev, Protocol, Site, bytes, hash};
use std::process::Command;

const CONTENT: &[u8] = b"0123456789";

fn with_digits() -> (Dev, Site) {
    let dev = Dev::start();
    dev.cli().put("/digits.txt", CONTENT);
    let site = dev.site();
    (dev, site)
}

#[test]
fn a_hit_has_type_length_strong_etag_and_alt_svc() {
    let (_dev, site) = with_digits();
    for protocol in Protocol::ALL {
        let response = site.get(protocol, "/digits.txt");
        assert_eq!(response.status, 200, "{protocol}");
        assert!(response.header("content-type").starts_with("text/plain"), "{protocol}: {response:?}");
        assert_eq!(response.header("content-length"), "10", "{protocol}");
        assert_eq!(response.header("etag"), format!("\"{}\"", hash(CONTENT)), "{protocol}");
        assert_eq!(response.header("accept-ranges"), "bytes", "{protocol}");
        assert_eq!(response.header("cache-control"), "public, max-age=0, must-revalidate", "{protocol}");
        let alt_svc = response.header("alt-svc");
        assert!(alt_svc.contains(&format!("h3=\":{}\"", site.address().port())), "{protocol}: {alt_svc:?}");
        assert!(response.headers.contains_key("date"), "{protocol}");
        assert!(response.headers.contains_key("last-modified"), "{protocol}");
        assert_eq!(response.text(), "0123456789", "{protocol}");
    }
}

#[test]
fn an_unknown_path_is_404() {
    let (_dev, site) = with_digits();
    for protocol in Protocol::ALL {
        for path in
            ["/nothing", "/digits.txt/", "/DIGITS.TXT", "/digits.txt%00", "//digits.txt", "/.skerry/x"]
        {
            assert_eq!(site.get(protocol, path).status, 404, "{protocol} {path}");
            let head = site.ask(protocol, path).method("HEAD").send();
            assert_eq!((head.status.as_u16(), head.body.len()), (404, 0), "{protocol} HEAD {path}");
        }
    }
}

#[test]
fn other_methods_are_405_and_say_what_is_allowed() {
    let (_dev, site) = with_digits();
    for protocol in Protocol::ALL {
        for method in ["POST", "PUT", "DELETE", "PATCH", "BREW"] {
            let response = site.ask(protocol, "/digits.txt").method(method).send();
            assert_eq!(response.status, 405, "{protocol} {method}");
            let allow = response.header("allow");
            assert!(allow.contains("GET") && allow.contains("HEAD"), "{protocol} {method}: {allow:?}");
        }
    }
}

/// Some clients lose an answer that comes while they are still sending, so a small body is read first.
#[test]
fn a_request_with_a_body_gets_its_answer() {
    let (_dev, site) = with_digits();
    for protocol in Protocol::ALL {
        for size in [0, 1, 50_000, 65_536] {
            let content = bytes(1, size);
            let got = site.ask(protocol, "/digits.txt").content(content.clone()).send();
            assert_eq!(got.text(), "0123456789", "{protocol} {size}");
            let refused = site.ask(protocol, "/digits.txt").method("POST").content(content).send();
            assert_eq!(refused.status, 405, "{protocol} {size}");
        }
    }
}

#[test]
fn a_single_range_is_206_with_exactly_those_bytes() {
    let (_dev, site) = with_digits();
    let cases = [
        ("bytes=0-0", "bytes 0-0/10", "0"),
        ("bytes=2-4", "bytes 2-4/10", "234"),
        ("bytes=7-", "bytes 7-9/10", "789"),
        ("bytes=-3", "bytes 7-9/10", "789"),
        ("bytes=-99", "bytes 0-9/10", "0123456789"),
        ("bytes=5-99", "bytes 5-9/10", "56789"),
    ];
    for protocol in Protocol::ALL {
        for (range, content_range, content) in cases {
            let response = site.ask(protocol, "/digits.txt").header("range", range).send();
            assert_eq!(response.status, 206, "{protocol} {range}");
            assert_eq!(response.header("content-range"), content_range, "{protocol} {range}");
            assert_eq!(response.header("content-length"), content.len().to_string(), "{protocol} {range}");
            assert_eq!(response.text(), content, "{protocol} {range}");
        }
    }
}

#[test]
fn range_past_the_end_answers_416_with_the_size() {
    let (_dev, site) = with_digits();
    for protocol in Protocol::ALL {
        for range in ["bytes=10-", "bytes=10-12", "bytes=-0"] {
            let response = site.ask(protocol, "/digits.txt").header("range", range).send();
            assert_eq!(response.status, 416, "{protocol} {range}");
            assert_eq!(response.header("content-range"), "bytes */10", "{protocol} {range}");
        }
    }
}

/// RFC 9110 §14.2: an invalid or unknown range may be ignored, and is.
#[test]
fn a_range_that_is_none_shows_the_whole() {
    let (_dev, site) = with_digits();
    for protocol in Protocol::ALL {
        for range in ["bytes=4-2", "bytes=a-b", "pages=1-2", "bytes", "bytes=18446744073709551616-"] {
            let response = site.ask(protocol, "/digits.txt").header("range", range).send();
            let status = response.status.as_u16();
            assert!(status == 200 || (status == 416 && range.len() > 20), "{protocol} {range}: {status}");
        }
    }
}

#[test]
fn if_none_match_with_the_etag_is_304_without_content() {
    let (_dev, site) = with_digits();
    let etag = format!("\"{}\"", hash(CONTENT));
    for protocol in Protocol::ALL {
        for value in [etag.clone(), format!("W/{etag}"), format!("\"other\", {etag}"), "*".to_owned()] {
            let response = site.ask(protocol, "/digits.txt").header("if-none-match", &value).send();
            assert_eq!(response.status, 304, "{protocol} {value}");
            assert_eq!(response.header("etag"), etag, "{protocol} {value}");
            assert!(response.body.is_empty(), "{protocol} {value}");
        }
        let response = site.ask(protocol, "/digits.txt").header("if-none-match", "\"other\"").send();
        assert_eq!(response.status, 200, "{protocol}");
    }
}

#[test]
fn the_root_shows_the_index() {
    let (dev, site) = with_digits();
    dev.cli().put("/index.html", b"<!doctype html><title>ours</title>");
    for protocol in Protocol::ALL {
        let response = site.get(protocol, "/");
        assert_eq!(response.status, 200, "{protocol}");
        assert!(response.header("content-type").starts_with("text/html"), "{protocol}: {response:?}");
        assert!(response.text().contains("ours"), "{protocol}");
        assert_eq!(site.get(protocol, "/?query=1").status, 200, "{protocol}");
    }
}

#[test]
fn a_path_is_decoded_once_and_a_query_is_left_aside() {
    let (dev, site) = with_digits();
    dev.cli().put("/a b/ü.txt", b"found");
    for protocol in Protocol::ALL {
        for path in ["/a%20b/%C3%BC.txt", "/a%20b/%c3%bc.txt?x=%00", "/%61%20b/%C3%BC%2Etxt"] {
            assert_eq!(site.get(protocol, path).text(), "found", "{protocol} {path}");
        }
        assert_eq!(site.get(protocol, "/a%2520b/%C3%BC.txt").status, 404, "{protocol}");
    }
}

#[test]
fn on_loopback_any_host_shows_the_default_environment() {
    let (_dev, site) = with_digits();
    for protocol in Protocol::ALL {
        for host in ["127.0.0.1", "localhost", "anything.localhost"] {
            assert_eq!(
                site.with_host(host).get(protocol, "/digits.txt").text(),
                "0123456789",
                "{protocol} {host}"
            );
        }
    }
}

/// RFC 9000 §9. Ten connections, because each may be at another worker.
#[test]
fn an_http3_client_that_changes_its_port_goes_on() {
    let (_dev, site) = with_digits();
    for number in 0..10 {
        for response in site.get_from_two_ports("/digits.txt") {
            assert_eq!(response.text(), "0123456789", "connection {number}");
        }
    }
}

#[test]
fn requests_count_by_protocol_status_and_cache() {
    let (dev, site) = with_digits();
    let figures = dev.figures();
    for protocol in Protocol::ALL {
        let labels = [("protocol", protocol.label()), ("status_class", "4xx"), ("cache", "none")];
        let bytes = [("protocol", protocol.label())];
        // Bytes are counted when a response has ended, which may be after the client has it; so they are counted together.
        let bytes_before = figures.metric("skerry_edge_response_bytes_total", &bytes);
        let before = figures.metric("skerry_edge_requests_total", &labels);
        let sizes = ["/nothing", "/digits.txt"].map(|path| site.get(protocol, path).body.len());
        figures.until("skerry_edge_requests_total", &labels, |value| value == before + 1.0);
        let bytes_after = bytes_before + sizes.iter().sum::<usize>() as f64;
        figures.until("skerry_edge_response_bytes_total", &bytes, |value| value == bytes_after);
    }
    assert!(figures.metric("skerry_edge_handshakes_total", &[("outcome", "quic")]) >= 2.0);
    assert_eq!(figures.metric("skerry_build_info", &[]), 1.0);
    assert_eq!(dev.origin_figures().metric("skerry_build_info", &[]), 1.0);
}

/// Debian's curl: a client that none of us wrote.
#[test]
fn curl_fetches_over_http1_and_http2() {
    let (dev, site) = with_digits();
    let content = bytes(5, 1_000_000);
    let cli = dev.cli();
    cli.put("/million.bin", &content);
    for (flag, version) in [("--http1.1", "1.1"), ("--http2", "2")] {
        let Some(said) = curl(&cli, &dev, &[flag, &url(&dev, "/million.bin")]) else {
            println!("no curl on this machine; left out");
            return;
        };
        assert_eq!(said, format!("200 {version} 1000000"));
        assert!(std::fs::read(cli.folder().join("curl.out")).expect("reads") == content);
    }
    assert_eq!(
        site.get(Protocol::Http1, "/million.bin").header("cache-status"),
        "skerry; hit; detail=memory"
    );
}

fn url(dev: &Dev, path: &str) -> String {
    format!("{}{path}", dev.line().text("/edges/0/https"))
}

/// Status, version and size that curl saw; `None` without curl.
fn curl(cli: &Cli, dev: &Dev, arguments: &[&str]) -> Option<String> {
    let output = Command::new("curl")
        .args(["--silent", "--show-error", "--max-time", "60", "--output", "curl.out"])
        .args(["--cacert", dev.line().text("/ca_file")])
        .args(["--write-out", "%{http_code} %{http_version} %{size_download}"])
        .args(arguments)
        .current_dir(cli.folder())
        .output();
    match output {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        output => {
            let output = output.expect("runs");
            assert!(output.status.success(), "{output:?}");
            Some(String::from_utf8(output.stdout).expect("UTF-8"))
        }
    }
}
