//! The console's side of the listener: the page, who is let in, what a change needs, what previews may do, and the steps of publishing.
//! The page itself is driven in browsers, by `.ci/real_clients`.

use crate::harness::{Dev, Protocol, Wire, WireAnswer};
use serde_json::{Value, json};

impl Dev {
    /// A connection-less client of the API's listener, as a browser on the console's page would call.
    fn wire(&self) -> Wire {
        Wire::new(self.line().text("/api"))
    }

    /// A page that signed in.
    fn page(&self) -> Page {
        let wire = self.wire();
        let account = self.line().account();
        let said = wire.sign_in(&json!({ "sid": account.sid, "secret": account.token }));
        Page::of(&wire, &said)
    }
}

/// A page that signed in.
struct Page {
    wire: Wire,
    cookie: String,
    secret: String,
}

impl Wire {
    fn sign_in(&self, credentials: &Value) -> WireAnswer {
        let origin = self.origin();
        let headers = [("origin", origin.as_str()), ("content-type", "application/json")];
        self.send("POST", "/console/sign-in", &headers, credentials.to_string().as_bytes())
    }
}

impl Page {
    #[track_caller]
    fn of(wire: &Wire, said: &WireAnswer) -> Self {
        assert_eq!(said.status, 200, "{said:?}");
        let cookie = said.header("set-cookie").split(';').next().unwrap_or_default().to_owned();
        Self {
            wire: wire.clone(),
            cookie,
            secret: said.json()["page"].as_str().expect("a secret").to_owned(),
        }
    }

    fn send(&self, method: &str, path: &str, body: &[u8]) -> WireAnswer {
        let origin = self.wire.origin();
        let headers = [
            ("cookie", self.cookie.as_str()),
            ("skerry-page", &self.secret),
            ("origin", &origin),
            ("content-type", "application/json"),
        ];
        self.wire.send(method, path, &headers, body)
    }

    #[track_caller]
    fn json(&self, method: &str, path: &str, body: &Value) -> Value {
        let answer = self.send(method, path, body.to_string().as_bytes());
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
        answer.json()
    }

    #[track_caller]
    fn upload(&self, path: &str, visibility: &str, bytes: &[u8]) -> String {
        let query = format!("/console/versions?path={path}&visibility={visibility}");
        let answer = self.send("PUT", &query, bytes);
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
        answer.json()["version_sid"].as_str().expect("a SID").to_owned()
    }

    #[track_caller]
    fn publish(&self, versions: &[String]) -> Value {
        self.json("POST", "/console/publish", &json!({ "versions": versions }))
    }
}

#[test]
fn the_page_is_served_with_a_policy_that_lets_nothing_foreign_in() {
    let dev = Dev::start();
    let wire = dev.wire();
    let page =
        wire.send("GET", "/", &[("sec-fetch-site", "cross-site"), ("accept-encoding", "gzip, br")], b"");
    assert_eq!(page.status, 200, "a link on another site may lead here: {page:?}");
    let policy = page.header("content-security-policy");
    for part in ["default-src 'none'", "script-src 'self';", "frame-ancestors 'none'", "base-uri 'none'"] {
        assert!(policy.contains(part), "{part} in {policy}");
    }
    assert!(!policy.contains("unsafe"), "{policy}");
    assert_eq!(page.header("content-encoding"), "br");
    assert_eq!(page.header("x-content-type-options"), "nosniff");
    assert_eq!(page.header("referrer-policy"), "no-referrer");
    let tag = page.header("etag").to_owned();
    let again = wire.send("GET", "/", &[("if-none-match", &tag)], b"");
    assert_eq!((again.status, again.body.len()), (304, 0));
    assert_eq!(wire.send("GET", "/console/page/missing.js", &[], b"").status, 404);
}

#[test]
fn nobody_is_let_in_without_cookie_and_page_secret() {
    let dev = Dev::start();
    let page = dev.page();
    let wire = &page.wire;
    assert_eq!(page.send("GET", "/console/session", b"").status, 200);
    let cookie = ("cookie", page.cookie.as_str());
    let secret = ("skerry-page", page.secret.as_str());
    let wrong = ("skerry-page", "0000000000000000000000000000000000000000000000000000000000000000");
    for headers in [&[][..], &[cookie], &[secret], &[cookie, wrong], &[("cookie", "skerry-1=x"), secret]] {
        for path in ["/console/session", "/console/assets", "/console/v1/Services"] {
            let answer = wire.send("GET", path, headers, b"");
            assert_eq!(answer.status, 401, "{path} {headers:?}: {answer:?}");
            assert_eq!(answer.header("www-authenticate"), "", "no window of the browser's own");
        }
    }
    // What a session can do is not what the REST API takes: it has no cookies.
    assert_eq!(wire.send("GET", "/v1/Services", &[cookie, secret], b"").status, 401);
}

#[test]
fn every_change_needs_the_consoles_own_origin() {
    let dev = Dev::start();
    let page = dev.page();
    let own = page.wire.origin();
    let foreign = own.replace("127.0.0.1", "localhost");
    let common = [
        ("cookie", page.cookie.as_str()),
        ("skerry-page", page.secret.as_str()),
        ("content-type", "application/json"),
    ];
    for (method, path) in [
        ("POST", "/console/publish"),
        ("POST", "/console/deploy"),
        ("DELETE", "/console/session"),
        ("POST", "/console/v1/Services"),
    ] {
        for origin in [None, Some(foreign.as_str()), Some("null")] {
            let mut headers = common.to_vec();
            headers.extend(origin.map(|origin| ("origin", origin)));
            let answer = page.wire.send(method, path, &headers, b"{}");
            assert_eq!(answer.status, 403, "{method} {path} from {origin:?}: {answer:?}");
        }
    }
    let form = [("origin", own.as_str()), ("content-type", "text/plain")];
    assert_eq!(page.wire.send("POST", "/console/sign-in", &form, b"{}").status, 415, "no form can sign in");
    assert_eq!(page.send("GET", "/console/session", b"").status, 200, "still signed in");
}

#[test]
fn the_cookie_is_out_of_reach_for_scripts_and_other_sites() {
    let dev = Dev::start();
    let account = dev.line().account();
    let said = dev.wire().sign_in(&json!({ "sid": account.sid, "secret": account.token }));
    let cookie = said.header("set-cookie");
    for part in ["HttpOnly", "SameSite=Strict", "Path=/"] {
        assert!(cookie.contains(part), "{part} in {cookie}");
    }
    assert!(
        !cookie.contains("Secure"),
        "not over plain HTTP on loopback, where browsers would drop it: {cookie}"
    );
    assert_eq!(said.header("cache-control"), "no-store");
}

#[test]
fn wrong_tokens_are_refused_and_too_many_of_them_wait() {
    let dev =
        Dev::with(&["--set", "origin.auth.failure_count_max=3", "--set", "origin.auth.recovery_seconds=600"]);
    let account = dev.line().account();
    let wire = dev.wire();
    for _ in 0..3 {
        let answer = wire.sign_in(&json!({ "sid": account.sid, "secret": "wrong" }));
        assert_eq!(answer.status, 401, "{answer:?}");
    }
    let right = wire.sign_in(&json!({ "sid": account.sid, "secret": account.token }));
    assert_eq!(right.status, 429, "{right:?}");
}

#[test]
fn a_sign_in_link_works_once() {
    let dev = Dev::start();
    let link = dev.line().text("/console").to_owned();
    let (address, secret) = link.split_once("/#link=").expect("a fragment, which is sent nowhere");
    assert_eq!(address, dev.line().text("/api"));
    let said = dev.wire().sign_in(&json!({ "link": secret }));
    assert_eq!(Page::of(&dev.wire(), &said).send("GET", "/console/session", b"").status, 200);
    assert_eq!(dev.wire().sign_in(&json!({ "link": secret })).status, 401);
    // What a stranger says is bounded before it is looked at.
    let long = "x".repeat(5000);
    assert_eq!(dev.wire().sign_in(&json!({ "link": long })).status, 413);
}

#[test]
fn a_session_ends_with_its_time_its_sign_out_and_its_key() {
    let dev = Dev::start();
    let page = dev.page();
    let other = dev.page();
    assert_eq!(page.send("DELETE", "/console/session", b"").status, 204);
    assert_eq!(page.send("GET", "/console/session", b"").status, 401);
    assert_eq!(other.send("GET", "/console/session", b"").status, 200, "only the one that signed out");
    let key = dev.api().post("/v1/Keys", &[("FriendlyName", "console")]);
    let (sid, secret) = (key.text("/sid"), key.text("/secret"));
    let said = dev.wire().sign_in(&json!({ "sid": sid, "secret": secret }));
    let by_key = Page::of(&dev.wire(), &said);
    assert_eq!(by_key.send("GET", "/console/session", b"").json()["credential"], sid);
    assert_eq!(dev.api().delete(&format!("/v1/Keys/{sid}")).status, 204);
    assert_eq!(by_key.send("GET", "/console/session", b"").status, 401);
}

#[test]
fn a_session_survives_a_restart_of_the_origin() {
    let mut dev = Dev::start();
    let page = dev.page();
    let cookie = page.cookie.clone();
    dev.restart();
    // The port is another one here, and the cookie's name has the port in it.
    let name = format!("skerry-{}", dev.wire().port());
    let cookie = format!("{name}={}", cookie.split_once('=').expect("a pair").1);
    let again = Page { wire: dev.wire(), cookie, secret: page.secret };
    assert_eq!(again.send("GET", "/console/session", b"").status, 200);
}

#[test]
fn what_is_uploaded_is_nowhere_before_it_is_published_and_then_on_every_edge() {
    let dev = Dev::with(&["--edges", "2"]);
    let page = dev.page();
    let checked = page.json(
        "POST",
        "/console/check",
        &json!({ "assets": [{ "path": "/new.txt", "visibility": "public", "size": 5 }] }),
    );
    assert_eq!(checked["now_public"], json!([]));
    let version = page.upload("/new.txt", "public", b"hello");
    assert_eq!(dev.site().get(Protocol::Http1, "/new.txt").status, 404);
    let deployed = page.publish(&[version]);
    let live = page.send(
        "GET",
        &format!("/console/live?epoch={}&revision={}", deployed["epoch"], deployed["revision"]),
        b"",
    );
    let lines: Vec<Value> =
        live.text().lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert_eq!(lines[1]["live_count"], 2, "{lines:?}");
    assert!(lines[1]["milliseconds"].as_u64().is_some_and(|time| time < 30_000), "{lines:?}");
    for edge in [dev.edge(0), dev.edge(1)] {
        assert_eq!(edge.get(Protocol::Http1, "/new.txt").text(), "hello");
    }
    let rows = page.send("GET", "/console/deployments", b"").json();
    assert_eq!(rows["deployments"][0]["edges"].as_array().expect("edges").len(), 2, "{rows}");
}

#[test]
fn another_visibility_needs_no_upload_and_a_deleted_path_comes_back() {
    let dev = Dev::start();
    let page = dev.page();
    let version = page.upload("/film.txt", "public", b"film");
    page.publish(std::slice::from_ref(&version));
    dev.site().until(Protocol::Http1, "/film.txt", 200);
    let change = json!({ "paths": ["/film.txt"], "visibility": "protected" });
    page.json("POST", "/console/visibility", &change);
    dev.site().until(Protocol::Http1, "/film.txt", 403);
    page.json("POST", "/console/publish", &json!({ "removed": ["/film.txt"] }));
    dev.site().until(Protocol::Http1, "/film.txt", 404);
    page.publish(&[version]);
    dev.site().until(Protocol::Http1, "/film.txt", 200);
    let history = page.send("GET", "/console/history?path=/film.txt", b"").json();
    assert_eq!(history["versions"].as_array().expect("versions").len(), 2, "{history}");
    let missing = page.send(
        "POST",
        "/console/visibility",
        json!({ "paths": ["/no"], "visibility": "public" }).to_string().as_bytes(),
    );
    assert_eq!(missing.status, 404, "{missing:?}");
}

#[test]
fn what_was_warned_of_and_published_all_the_same_is_in_the_audit_log() {
    let dev = Dev::start();
    let page = dev.page();
    let version = page.upload("/x.svg", "public", b"<svg xmlns='http://www.w3.org/2000/svg' onload='x'/>");
    let looked = page.json("POST", "/console/look", &json!({ "versions": [version] }));
    let finding = &looked["warnings"][&version]["findings"][0];
    assert_eq!(finding["kind"], "script", "{looked}");
    let accepted = json!([{ "version_sid": version, "warnings": ["script (onload)"] }]);
    page.json("POST", "/console/publish", &json!({ "versions": [version], "accepted": accepted }));
    let entries = dev.api().get(&format!("/v1/AuditLog?SubjectSid={version}"));
    assert!(
        entries.body.to_string().contains("to be published in spite of warnings: script (onload)"),
        "{entries:?}"
    );

    // What is hidden is looked at before everybody can see it; and a choice against it is noted, too.
    let hidden = page.upload("/y.svg", "private", b"<svg xmlns='http://www.w3.org/2000/svg' onload='y'/>");
    let look = |visibility: &str| {
        let asked = json!({ "versions": [hidden, hidden], "visibility": visibility });
        page.json("POST", "/console/look", &asked)["warnings"][&hidden]["findings"][0]["kind"].clone()
    };
    assert_eq!((look("private"), look("public")), (Value::Null, json!("script")));
    page.publish(std::slice::from_ref(&hidden));
    page.json(
        "POST",
        "/console/visibility",
        &json!({ "paths": ["/y.svg"], "visibility": "public", "warnings": ["script (onload)"] }),
    );
    let declined = json!({ "declined": [{ "version_sid": hidden, "warnings": ["script (onload)"] }] });
    let answer = page.send("POST", "/console/decline", declined.to_string().as_bytes());
    assert_eq!(answer.status, 204, "{answer:?}");
    let log = dev.api().get("/v1/AuditLog?PageSize=100").body.to_string();
    assert_eq!(log.matches("to be published in spite of warnings: script (onload)").count(), 2, "{log}");
    assert_eq!(log.matches("kept back after warnings: script (onload)").count(), 1, "{log}");
}

#[test]
fn previews_are_sandboxed_for_their_owner_alone() {
    let dev = Dev::start();
    let page = dev.page();
    let html = page.upload("/x.html", "public", b"<script>alert(1)</script>");
    let sound = page.upload("/x.mp3", "private", b"0123456789");
    let cookie = ("cookie", page.cookie.as_str());
    let shown = page.wire.send("GET", &format!("/console/preview/{html}"), &[cookie], b"");
    assert_eq!(shown.status, 200, "{shown:?}");
    assert_eq!(shown.header("content-type"), "text/plain; charset=utf-8");
    assert_eq!(shown.header("content-security-policy"), "sandbox; default-src 'none'");
    assert_eq!(shown.header("x-content-type-options"), "nosniff");
    assert_eq!(shown.header("cross-origin-resource-policy"), "same-origin");
    assert_eq!(shown.header("cache-control"), "no-store", "who signs out leaves nothing behind");
    let part =
        page.wire.send("GET", &format!("/console/preview/{sound}"), &[cookie, ("range", "bytes=2-4")], b"");
    assert_eq!((part.status, part.text(), part.header("content-range")), (206, "234", "bytes 2-4/10"));
    let foreign = page.wire.send(
        "GET",
        &format!("/console/preview/{html}"),
        &[cookie, ("sec-fetch-site", "same-site")],
        b"",
    );
    assert_eq!(foreign.status, 403, "no other page of this host may show it: {foreign:?}");
    assert_eq!(page.wire.send("GET", &format!("/console/preview/{html}"), &[], b"").status, 401);
    let other = dev.cli().run(&["account", "create", "--json"]).json();
    let said = dev.wire().sign_in(&json!({ "sid": other["account_sid"], "secret": other["auth_token"] }));
    let stranger = Page::of(&dev.wire(), &said);
    assert_eq!(stranger.send("GET", &format!("/console/preview/{html}"), b"").status, 404);
    assert_eq!(stranger.send("GET", "/console/edges", b"").status, 403, "no operator");
    assert_eq!(page.send("GET", "/console/edges", b"").status, 200);
}

#[test]
fn what_is_too_large_is_refused_before_and_while_it_is_sent() {
    let dev = Dev::with(&["--set", "origin.limits.served_size_max=200000"]);
    let page = dev.page();
    let planned = json!({ "assets": [{ "path": "/a", "visibility": "public", "size": 200_001 }] });
    let refused = page.send("POST", "/console/check", planned.to_string().as_bytes());
    assert_eq!(refused.status, 413, "{refused:?}");
    let sent = page.send("PUT", "/console/versions?path=/a&visibility=public", &[7; 200_001]);
    assert_eq!(sent.status, 413, "{sent:?}");
    let bad = page.send("PUT", "/console/versions?path=a/../b&visibility=public", b"x");
    assert_eq!(bad.status, 400, "{bad:?}");
}
