//! Protected assets: who may fetch them, with which signature, over three protocols.

use crate::harness::{Cli, Dev, Edge, Origin, Protocol, Response, Site, eventually, files_below};
use skerry_proto::hmac::{Algorithm, Midstates};
use skerry_proto::twilio;
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

const CONTENT: &str = "for those who sign\n";

/// Publishes `/p.txt`, protected, and waits until every edge shows it.
fn publish(cli: &Cli) {
    let file = cli.write("p.txt", CONTENT.as_bytes());
    let file = file.to_str().expect("UTF-8");
    cli.run(&["put", file, "--path", "/p.txt", "--visibility", "protected", "--wait"]);
}

fn signature(token: &str, url: &str) -> String {
    twilio::sign(&Midstates::of(Algorithm::Sha1, token.as_bytes()), url)
}

/// Fetches with the signature that the holder of a token makes.
pub(crate) fn signed_get(site: &Site, protocol: Protocol, path: &str, token: &str) -> Response {
    let signature = signature(token, &site.url(path));
    site.ask(protocol, path).header("x-twilio-signature", &signature).send()
}

#[test]
fn a_protected_asset_is_for_those_who_sign_the_exact_request() {
    let dev = Dev::start();
    publish(&dev.cli());
    let (site, token) = (dev.site(), dev.line().text("/auth_token").to_owned());
    let right = signature(&token, &site.url("/p.txt"));
    let without_port = signature(&token, &format!("https://{}/p.txt", dev.line().text("/domain_name")));
    let cases: [(&[&str], u16, &str); 9] = [
        (&[&right], 200, ""),
        (&[&without_port], 200, ""),
        (&[], 403, "signature_required"),
        (&[&signature("another token", &site.url("/p.txt"))], 403, "signature_wrong"),
        (&[&signature(&token, &site.url("/other.txt"))], 403, "signature_wrong"),
        (&[&signature(&token, &site.url("/p.txt?x=1"))], 403, "signature_wrong"),
        (&["%%%"], 400, "signature_malformed"),
        (&["AAAA"], 400, "signature_malformed"),
        (&[&right, &right], 400, "signature_malformed"),
    ];
    for protocol in Protocol::ALL {
        for (signatures, status, code) in cases {
            let mut ask = site.ask(protocol, "/p.txt").header("accept", "application/problem+json");
            for signature in signatures {
                ask = ask.header("x-twilio-signature", signature);
            }
            let response = ask.send();
            assert_eq!(response.status, status, "{protocol} {signatures:?}");
            if status == 200 {
                assert_eq!(response.text(), CONTENT, "{protocol}");
                assert_eq!(response.header("cache-control"), "private, no-cache", "{protocol}");
                assert_eq!(response.header("access-control-allow-origin"), "", "{protocol}");
            } else {
                assert!(response.text().contains(&format!("\"code\":\"{code}\"")), "{}", response.text());
                assert_eq!(response.header("cache-control"), "no-store", "{protocol}");
            }
        }
    }
}

/// Method, fields and status of a request.
type Case<'a> = (&'a str, &'a [(&'a str, &'a str)], u16);

#[test]
fn head_ranges_and_conditions_need_the_signature_alike() {
    let dev = Dev::start();
    publish(&dev.cli());
    let (site, token) = (dev.site(), dev.line().text("/auth_token"));
    let right = signature(token, &site.url("/p.txt"));
    let etag = signed_get(&site, Protocol::Http1, "/p.txt", token).header("etag").to_owned();
    let cases: [Case<'_>; 5] = [
        ("GET", &[], 200),
        ("HEAD", &[], 200),
        ("GET", &[("range", "bytes=0-2")], 206),
        ("GET", &[("range", "bytes=99-")], 416),
        ("GET", &[("if-none-match", &etag)], 304),
    ];
    for protocol in Protocol::ALL {
        for (method, fields, status) in cases {
            for (signature, expected) in [(Some(&right), status), (None, 403)] {
                let mut ask = site.ask(protocol, "/p.txt").method(method);
                for (name, value) in fields {
                    ask = ask.header(name, value);
                }
                if let Some(signature) = signature {
                    ask = ask.header("x-twilio-signature", signature);
                }
                assert_eq!(ask.send().status, expected, "{protocol} {method} {fields:?}");
            }
        }
    }
}

#[test]
fn on_a_public_asset_nobody_looks_at_the_signature() {
    let dev = Dev::start();
    let site = dev.site();
    for protocol in Protocol::ALL {
        for value in ["", "%%%", "AAAA"] {
            let ask = site.ask(protocol, "/logo.svg").header("x-twilio-signature", value);
            assert_eq!(ask.send().status, 200, "{protocol} {value:?}");
        }
    }
}

#[test]
fn a_form_that_is_posted_is_signed_by_its_fields() {
    let dev = Dev::start();
    publish(&dev.cli());
    dev.cli().run(&["env", "set", "post=as-get", "--wait"]);
    let (site, token) = (dev.site(), dev.line().text("/auth_token"));
    let midstates = Midstates::of(Algorithm::Sha1, token.as_bytes());
    let right = twilio::sign(&midstates, &format!("{}Digits12From+1 é", site.url("/p.txt")));
    for protocol in Protocol::ALL {
        for (form, status) in [("From=%2B1+%C3%A9&Digits=12", 200), ("From=%2B1+%C3%A9&Digits=13", 403)] {
            let ask = site
                .ask(protocol, "/p.txt")
                .method("POST")
                .header("content-type", "application/x-www-form-urlencoded")
                .header("x-twilio-signature", &right)
                .content(form.into());
            assert_eq!(ask.send().status, status, "{protocol} {form}");
            // RFC 9110 §10.1.1: whoever waits to be asked for the form is asked, as the answer depends on it.
            let waiting = site
                .ask(protocol, "/p.txt")
                .method("POST")
                .header("expect", "100-continue")
                .header("content-type", "application/x-www-form-urlencoded")
                .header("x-twilio-signature", &right)
                .content(form.into());
            assert_eq!(waiting.send().status, status, "{protocol} {form}, waiting");
        }
    }
}

#[test]
fn a_shared_key_signs_with_its_own_algorithm() {
    let dev = Dev::start();
    publish(&dev.cli());
    let made = dev.cli().run(&["key", "create", "--kind", "signature", "--wait", "--json"]).json();
    let (id, secret) = (made["id"].as_str().expect("an id"), made["secret"].as_str().expect("a secret"));
    let site = dev.site();
    let signature = twilio::sign(&Midstates::of(Algorithm::Sha256, secret.as_bytes()), &site.url("/p.txt"));
    let status = |settings: &str| {
        let ask = site.ask(Protocol::Http2, "/p.txt").header("x-twilio-signature", &signature);
        ask.header("x-twilio-webhooks-signature-settings", settings).send().status.as_u16()
    };
    assert_eq!(status(&format!("key={id},algorithm=HMAC_SHA256")), 200);
    assert_eq!(status("key=another,algorithm=HMAC_SHA256"), 403);
    assert_eq!(status("algorithm=HMAC_SHA256"), 403, "a key is no token");
    assert_eq!(status(&format!("key={id},algorithm=HMAC_SHA1")), 400, "not the length of SHA-1");
    dev.cli().run(&["key", "revoke", id, "--wait"]);
    assert_eq!(status(&format!("key={id},algorithm=HMAC_SHA256")), 403);
}

#[test]
fn what_is_refused_is_counted_by_scheme_and_result() {
    let dev = Dev::start();
    publish(&dev.cli());
    let (site, figures) = (dev.site(), dev.figures());
    site.get(Protocol::Http1, "/p.txt");
    site.get(Protocol::Http1, "/p.txt?URISigningPackage=x");
    site.ask(Protocol::Http1, "/p.txt").header("x-twilio-signature", "x").send();
    for (scheme, result) in
        [("none", "missing"), ("token", "token_malformed"), ("signature", "signature_malformed")]
    {
        let labels = [("scheme", scheme), ("result", result)];
        assert_eq!(figures.metric("skerry_edge_access_total", &labels), 1.0, "{labels:?}");
    }
}

#[test]
fn rotating_and_revoking_under_load_gives_not_one_wrong_answer() {
    let dev = Dev::with(&["--edges", "2"]);
    publish(&dev.cli());
    let first = dev.line().text("/auth_token").to_owned();
    let second = dev.cli().run(&["key", "token", "rotate", "--wait", "--json"]).json();
    let second = second["auth_token"].as_str().expect("a token").to_owned();
    let done = Arc::new(AtomicBool::new(false));
    let asking = std::thread::spawn({
        let (sites, second, done) = ([dev.edge(0), dev.edge(1)], second.clone(), Arc::clone(&done));
        move || {
            let mut count = 0;
            while !done.load(Ordering::Relaxed) {
                let (site, protocol) = (&sites[count % 2], Protocol::ALL[count % 3]);
                assert_eq!(signed_get(site, protocol, "/p.txt", &second).status, 200, "{protocol}");
                count += 1;
            }
            count
        }
    });
    for edge in 0..2 {
        assert_eq!(signed_get(&dev.edge(edge), Protocol::Http1, "/p.txt", &first).status, 200);
    }
    let cli = dev.cli().with("SKERRY_AUTH_TOKEN", &second);
    cli.run(&["key", "token", "revoke", "1", "--wait"]);
    for edge in 0..2 {
        for protocol in Protocol::ALL {
            assert_eq!(signed_get(&dev.edge(edge), protocol, "/p.txt", &first).status, 403, "revoked");
        }
    }
    done.store(true, Ordering::Relaxed);
    assert!(asking.join().expect("no wrong answer") > 0);
}

#[test]
fn an_edge_without_secrets_says_when_to_come_back_and_takes_none_from_its_disk() {
    let mut origin = Origin::start();
    let mut edge = Edge::join(&origin);
    publish(&origin.cli());
    let (site, token) = (edge.site(origin.domain()), origin.token().to_owned());
    assert_eq!(signed_get(&site, Protocol::Http2, "/p.txt", &token).status, 200);

    origin.stop();
    edge.stop();
    edge.start_again_without_origin();
    let site = edge.site(origin.domain());
    let response = signed_get(&site, Protocol::Http2, "/p.txt", &token);
    assert_eq!((response.status.as_u16(), response.header("retry-after")), (503, "5"));
    assert_eq!(site.get(Protocol::Http2, "/p.txt").status, 403, "nothing was shown");

    origin.start_again();
    edge.figures().until("skerry_edge_watch_connected", &[], |connected| connected == 1.0);
    assert_eq!(signed_get(&site, Protocol::Http2, "/p.txt", &token).status, 200);
}

#[test]
fn neither_memory_nor_disk_of_an_edge_holds_the_token() {
    let origin = Origin::start();
    let edge = Edge::join(&origin);
    publish(&origin.cli());
    let token = origin.token().to_owned();
    assert_eq!(signed_get(&edge.site(origin.domain()), Protocol::Http2, "/p.txt", &token).status, 200);
    for file in files_below(&edge.data()) {
        let bytes = fs::read(&file).unwrap_or_default();
        let found = memchr::memmem::find(&bytes, token.as_bytes());
        assert_eq!(found, None, "in {}", file.display());
    }
    assert!(!edge.remembers(&token), "in memory");
    assert!(edge.remembers(origin.domain()), "the search finds what is there");
}

#[test]
fn an_edge_that_may_keep_secrets_checks_signatures_after_a_restart_without_its_origin() {
    let mut origin = Origin::start();
    let mut edge = Edge::join_set(&origin, &["secrets_on_disk=true"]);
    publish(&origin.cli());
    let token = origin.token().to_owned();
    assert_eq!(signed_get(&edge.site(origin.domain()), Protocol::Http2, "/p.txt", &token).status, 200);
    origin.stop();
    edge.stop();
    edge.start_again_without_origin();
    let site = edge.site(origin.domain());
    for protocol in Protocol::ALL {
        assert_eq!(signed_get(&site, protocol, "/p.txt", &token).text(), CONTENT, "{protocol}");
        assert_eq!(signed_get(&site, protocol, "/p.txt", "another").status, 403, "{protocol}");
    }
}

#[test]
fn what_a_proxy_says_of_the_url_counts_from_trusted_peers_alone() {
    for (settings, status) in [(&["--set", "edge.trusted_peers=127.0.0.0/8"][..], 200), (&[], 403)] {
        let dev = Dev::with(settings);
        publish(&dev.cli());
        let (site, token) = (dev.site(), dev.line().text("/auth_token"));
        let signature = signature(token, "https://www.example.com/p.txt");
        for protocol in Protocol::ALL {
            let ask = site.ask(protocol, "/p.txt").header("x-twilio-signature", &signature);
            let forwarded =
                ask.header("x-forwarded-host", "www.example.com").header("x-forwarded-proto", "https");
            assert_eq!(forwarded.send().status, status, "{protocol} {settings:?}");
        }
    }
}

/// The edge's lease is over some time after the origin has gone; then the environment's rule counts.
#[test]
fn past_the_lease_protected_assets_end_by_the_rule_of_their_environment() {
    let mut origin = Origin::start();
    let edge = Edge::join_set(&origin, &["lease_seconds=1"]);
    let cli = origin.cli();
    publish(&cli);
    cli.put("/open.txt", b"for anyone");
    cli.run(&["env", "set", "protected_stale=0", "--wait"]);
    let (site, token) = (edge.site(origin.domain()), origin.token().to_owned());
    assert_eq!(signed_get(&site, Protocol::Http1, "/p.txt", &token).status, 200);
    assert_eq!(site.get(Protocol::Http1, "/open.txt").status, 200);
    origin.stop();
    eventually("the lease is over", || {
        (signed_get(&site, Protocol::Http1, "/p.txt", &token).status == 503).then_some(())
    });
    for protocol in Protocol::ALL {
        assert_eq!(signed_get(&site, protocol, "/p.txt", &token).status, 503, "{protocol}");
        assert_eq!(site.get(protocol, "/p.txt").status, 403, "{protocol}: nothing was shown");
        assert_eq!(site.get(protocol, "/open.txt").text(), "for anyone", "{protocol}");
    }
}
