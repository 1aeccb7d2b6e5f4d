//! Signed URLs (RFC 9246): made by the command line, taken by edges, over three protocols.

use crate::harness::{Cli, Dev, Edge, Origin, Protocol, Site, text};
use skerry_proto::signed_url::key::SigningKey;
use skerry_proto::signed_url::{Grant, Package, Urls};
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

/// Publishes two protected files, and waits until every edge shows them.
fn publish(cli: &Cli) {
    for name in ["a.txt", "b.txt"] {
        let file = cli.write(name, name.as_bytes());
        let (file, path) = (file.to_str().expect("UTF-8"), format!("/film/{name}"));
        cli.run(&["put", file, "--path", &path, "--visibility", "protected", "--wait"]);
    }
}

fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs() as i64
}

fn key(file: &Path) -> SigningKey {
    SigningKey::from_pem(&fs::read(file).expect("reads")).expect("a key")
}

/// Status of each protocol, which must be the same.
fn status(site: &Site, target: &str, cookie: Option<&str>) -> u16 {
    let statuses = Protocol::ALL.map(|protocol| {
        let ask = site.ask(protocol, target);
        let ask = match cookie {
            Some(cookie) => ask.header("cookie", cookie),
            None => ask,
        };
        ask.send().status.as_u16()
    });
    assert!(statuses.iter().all(|status| *status == statuses[0]), "{statuses:?} {target}");
    statuses[0]
}

/// Path and query of a URL.
fn target<'a>(site: &Site, url: &'a str) -> &'a str {
    url.strip_prefix(&site.url("")).unwrap_or_else(|| panic!("{url} is of this site"))
}

#[test]
fn a_signed_url_opens_what_it_names_and_nothing_else() {
    let dev = Dev::start();
    publish(&dev.cli());
    let site = dev.site();
    let data = dev.data();
    let data = data.to_str().expect("UTF-8");
    let sign = |arguments: &[&str]| {
        let all = [&["sign", "--data", data, "--json"], arguments].concat();
        dev.cli().run(&all).json()
    };
    let one = sign(&[&site.url("/film/a.txt"), "--expires", "1h"]);
    let url = one["url"].as_str().expect("a URL");
    let token = one["token"].as_str().expect("a token");
    assert!((3590..=3610).contains(&(one["expires_at"].as_i64().expect("a time") - now())));
    assert_eq!(status(&site, target(&site, url), None), 200);
    assert_eq!(status(&site, "/film/a.txt", None), 403);
    assert_eq!(status(&site, &format!("/film/b.txt?URISigningPackage={token}"), None), 403);
    assert_eq!(status(&site, &format!("/film/a.txt?x=1&URISigningPackage={token}"), None), 403);
    assert_eq!(status(&site, &format!("{}x", target(&site, url)), None), 400, "changed");
    assert_eq!(status(&site, "/film/a.txt", Some(&format!("x=y; URISigningPackage={token}"))), 200);
    assert_eq!(status(&site, "/film/b.txt", Some(&format!("URISigningPackage={token}"))), 403);

    let all = sign(&[&site.url("/film/a.txt"), "--pattern", &format!("{}.*", site.url("/film/"))]);
    let token = all["token"].as_str().expect("a token");
    for path in ["/film/a.txt", "/film/b.txt", "/film/%61.txt"] {
        assert_eq!(status(&site, &format!("{path}?URISigningPackage={token}"), None), 200, "{path}");
        assert_eq!(status(&site, path, Some(&format!("URISigningPackage={token}"))), 200, "{path}");
    }
    assert_eq!(status(&site, &format!("/film%2Fa.txt?URISigningPackage={token}"), None), 403, "hidden slash");
}

#[test]
fn a_token_that_does_not_count_says_why() {
    let dev = Dev::start();
    publish(&dev.cli());
    let site = dev.site();
    let own = key(&dev.data().join("url-key.pem"));
    let other = SigningKey::generate(own.public().algorithm()).expect("randomness");
    let other = SigningKey::from_pem(other.as_bytes()).expect("own key");
    let grant = |expires, not_before, issuer: Option<&str>| Grant {
        issuer: issuer.map(str::to_owned),
        expires: now() + expires,
        not_before: Some(now() + not_before),
        urls: Urls::One(site.url("/film/a.txt")),
    };
    let account = dev.line().text("/account_sid");
    let cases = [
        (grant(60, -60, None).sign(&own), 200, ""),
        (grant(60, -60, Some(account)).sign(&own), 200, ""),
        (grant(-1, -60, None).sign(&own), 403, "token_expired"),
        (grant(60, 30, None).sign(&own), 403, "token_not_yet_valid"),
        (grant(60, -60, Some("AC0")).sign(&own), 403, "token_party"),
        (grant(60, -60, None).sign(&other), 403, "token_unknown_key"),
        (Ok("a.b".to_owned()), 400, "token_malformed"),
        (Ok("a".repeat(4097)), 400, "token_too_long"),
    ];
    for protocol in Protocol::ALL {
        for (token, expected, code) in &cases {
            let token = token.as_ref().expect("signs");
            let target = Package::put("/film/a.txt", token);
            let response = site.ask(protocol, &target).header("accept", "application/json").send();
            assert_eq!(response.status, *expected, "{protocol} {code}");
            assert!(response.text().contains(code), "{protocol} {}", response.text());
        }
        let twice = format!("/film/a.txt?URISigningPackage=a&URISigningPackage={}", "b");
        assert_eq!(site.get(protocol, &twice).status, 400, "{protocol}");
    }
}

#[test]
fn keys_are_created_imported_and_revoked() {
    let dev = Dev::start();
    publish(&dev.cli());
    let (site, cli) = (dev.site(), dev.cli());
    let made = cli.run(&[
        "key",
        "create",
        "--kind",
        "url",
        "--algorithm",
        "es256",
        "-o",
        "es256.pem",
        "--wait",
        "--json",
    ]);
    let made = made.json();
    let id = made["id"].as_str().expect("an id");
    let signed = cli.run(&["sign", &site.url("/film/a.txt"), "--key", "es256.pem"]).stdout;
    let signed = signed.trim();
    assert_eq!(status(&site, target(&site, signed), None), 200);
    let listed = cli.run(&["key", "ls", "--json"]).json();
    let kinds: Vec<_> = listed["keys"].as_array().expect("keys").iter().map(|key| &key["kind"]).collect();
    assert_eq!(kinds, ["token", "url", "url"]);
    cli.run(&["key", "revoke", id, "--wait"]);
    assert_eq!(status(&site, target(&site, signed), None), 403, "at once");
    cli.run(&["key", "import", "es256.pem", "--wait"]);
    assert_eq!(status(&site, target(&site, signed), None), 200);
    cli.refused(&["key", "import", "es256.pem"], &["already"]);
    cli.refused(&["key", "create", "--kind", "url", "-o", "es256.pem"], &["es256.pem", "already"]);
    cli.refused(&["key", "create", "--kind", "url", "--algorithm", "hmac-sha1"], &["ed25519", "es256"]);
}

#[test]
fn signed_urls_outlive_the_origin_and_a_restart_of_the_edge() {
    let mut origin = Origin::start();
    let mut edge = Edge::join(&origin);
    let cli = origin.cli();
    publish(&cli);
    cli.run(&["key", "create", "--kind", "url", "-o", "key.pem", "--wait"]);
    let site = edge.site(origin.domain());
    let signed = cli.run(&["sign", &site.url("/film/a.txt"), "--key", "key.pem"]).stdout;
    // Now the edge holds the bytes.
    assert_eq!(status(&site, target(&site, signed.trim()), None), 200);
    origin.stop();
    edge.stop();
    edge.start_again_without_origin();
    // Signed after the restart: the edge has another port now.
    let site = edge.site(origin.domain());
    let signed = cli.run(&["sign", &site.url("/film/a.txt"), "--key", "key.pem"]).stdout;
    assert_eq!(status(&site, target(&site, signed.trim()), None), 200);
    assert_eq!(status(&site, "/film/a.txt", None), 403);
}

/// The first block of a language in the guide.
fn block<'a>(guide: &'a str, language: &str) -> &'a str {
    let fence = format!("```{language}\n");
    let start = guide.find(&fence).unwrap_or_else(|| panic!("a block of {language}")) + fence.len();
    &guide[start..start + guide[start..].find("```").expect("an end")]
}

#[test]
fn the_code_of_the_guide_makes_the_vector_of_the_guide() {
    let guide = text(&Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/docs/protect.md"));
    let (pem, vector) = (block(&guide, "pem"), block(&guide, "text").trim());
    let key = SigningKey::from_pem(pem.as_bytes()).expect("the key of the RFC");
    let url = "https://cdn.example.com/film.mp4";
    let expires = 1_893_456_000;
    let grant = Grant { issuer: None, expires, not_before: None, urls: Urls::One(url.into()) };
    assert_eq!(Package::put(url, &grant.sign(&key).expect("signs")), vector);

    let folder = tempfile::tempdir().expect("a temporary folder");
    let shell = Cli::new(folder.path());
    shell.write("key.pem", pem.as_bytes());
    let programs =
        [("bash", "sign.sh", "bash"), ("node", "sign.mjs", "js"), ("python3", "sign.py", "python")];
    for (program, file, language) in programs {
        shell.write(file, block(&guide, language).as_bytes());
        let mut command = Command::new(program);
        command.current_dir(folder.path()).args([file, url, &expires.to_string(), "key.pem"]);
        // Not everybody has every program, nor Python's package; a shell and OpenSSL are everywhere.
        match command.output() {
            Ok(output) if output.status.success() => {
                assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), vector, "{program}");
            }
            other => assert_ne!(program, "bash", "{other:?}"),
        }
    }
}
