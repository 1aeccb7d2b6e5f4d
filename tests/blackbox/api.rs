//! The REST API: what Twilio's clients send, what they read, and what is refused.

use crate::harness::{Api, Dev, Part, Protocol, Site};
use serde_json::Value;

const SERVICES: &str = "/v1/Services";

impl Dev {
    /// The API with the credentials of the first account.
    pub(crate) fn api(&self) -> Api {
        Api::new(self.line().text("/api"), self.line().account())
    }

    /// What the first edge shows of another domain, as the API names it.
    fn site_of(&self, domain_name: &str) -> Site {
        let host = domain_name.rsplit_once(':').map_or(domain_name, |(host, _)| host);
        self.site().with_host(host)
    }
}

/// A service with one environment: their SIDs, and the domain.
fn place(api: &Api, name: &str) -> (String, String, String) {
    let service = api.create(SERVICES, &[("UniqueName", name), ("FriendlyName", name)]);
    let environments = format!("{SERVICES}/{service}/Environments");
    let parameters =
        [("UniqueName", "dev-environment"), ("DomainSuffix", "dev"), ("FriendlyName", "ignored")];
    let environment = api.post(&environments, &parameters);
    assert_eq!(environment.status, 201, "{environment:?}");
    let (sid, domain) = (environment.text("/sid").to_owned(), environment.text("/domain_name").to_owned());
    (service, sid, domain)
}

#[test]
fn the_sequence_of_a_first_deployment_ends_with_the_bytes_at_an_edge() {
    let dev = Dev::start();
    let api = dev.api();
    let (service, environment, domain) = place(&api, "my_project");
    let port = dev.line().text("/edges/0/https").rsplit(':').next().expect("a port").to_owned();
    assert!(
        domain.starts_with("my-project-") && domain.ends_with(&format!("-dev.skerry.localhost:{port}")),
        "{domain}"
    );
    let version = api.asset(&service, "/hello.txt", "public", b"hello");
    let secret = api.asset(&service, "/secret.txt", "private", b"secret");
    let chosen = [
        ("AssetVersions", version.as_str()),
        ("AssetVersions", secret.as_str()),
        ("Dependencies", "\"[{\"name\":\"twilio\",\"version\":\"5.3.0\"}]\""),
        ("Runtime", "node22"),
    ];
    let (build, status) = api.build(&service, &chosen);
    assert_eq!(status, "completed");
    let shown = api.get(&format!("{SERVICES}/{service}/Builds/{build}"));
    assert_eq!(shown.body["dependencies"][0]["name"], "twilio", "{shown:?}");
    assert_eq!(shown.text("/runtime"), "node22");
    let paths: Vec<&str> = shown.body["asset_versions"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|version| version["path"].as_str().expect("a path"))
        .collect();
    assert_eq!(paths, ["/hello.txt", "/secret.txt"]);

    let deployments = format!("{SERVICES}/{service}/Environments/{environment}/Deployments");
    let deployment = api.create(&deployments, &[("BuildSid", &build)]);
    assert_eq!(api.get(&format!("{deployments}/{deployment}")).text("/build_sid"), build);
    let live = api.get(&format!("{SERVICES}/{service}/Environments/{environment}"));
    assert_eq!(live.text("/build_sid"), build);
    let site = dev.site_of(&domain);
    for protocol in Protocol::ALL {
        site.until(protocol, "/hello.txt", 200);
        assert_eq!(site.get(protocol, "/hello.txt").text(), "hello");
        assert_eq!(site.get(protocol, "/secret.txt").status, 404);
    }
}

#[test]
fn a_deployment_of_no_build_takes_an_environment_off_the_net_and_another_one_brings_it_back() {
    let dev = Dev::start();
    let api = dev.api();
    let (service, environment, domain) = place(&api, "app");
    let version = api.asset(&service, "/a.txt", "public", b"a");
    let (build, _) = api.build(&service, &[("AssetVersions", &version)]);
    let deployments = format!("{SERVICES}/{service}/Environments/{environment}/Deployments");
    let site = dev.site_of(&domain);
    api.create(&deployments, &[("BuildSid", &build)]);
    site.until(Protocol::Http1, "/a.txt", 200);
    let off = api.post(&deployments, &[]);
    assert_eq!((off.status, &off.body["build_sid"]), (201, &Value::Null), "{off:?}");
    site.until(Protocol::Http1, "/a.txt", 404);
    api.create(&deployments, &[("BuildSid", &build)]);
    site.until(Protocol::Http1, "/a.txt", 200);
    let listed = api.get(&deployments);
    assert_eq!(listed.body["deployments"].as_array().map(Vec::len), Some(3));
}

#[test]
fn rollback_shows_the_build_that_was_live_before_and_deploy_any_other() {
    let dev = Dev::start();
    let cli = dev.cli();
    cli.put("/a.txt", b"one");
    let first = cli.run(&["put", "put/a.txt", "--path", "/a.txt", "--json"]).json();
    cli.put("/a.txt", b"two");
    assert_eq!(dev.site().get(Protocol::Http1, "/a.txt").text(), "two");
    let rolled = cli.run(&["rollback", "--wait", "--json"]).json();
    assert_eq!(rolled["build_sid"], first["build_sid"], "{rolled}");
    assert_eq!(dev.site().get(Protocol::Http2, "/a.txt").text(), "one");
    cli.run(&["rollback", "--wait"]);
    assert_eq!(dev.site().get(Protocol::Http3, "/a.txt").text(), "two");
    let build = first["build_sid"].as_str().expect("a build");
    cli.run(&["deploy", build, "--wait"]);
    assert_eq!(dev.site().get(Protocol::Http1, "/a.txt").text(), "one");
    cli.refused(&["deploy", "ZB00000000000000000000000000000000"], &["no build", "ZB0000"]);
}

#[test]
fn an_upload_takes_its_parts_in_any_order_and_serves_the_type_that_its_part_says() {
    let dev = Dev::start();
    let api = dev.api();
    let (service, environment, domain) = place(&api, "app");
    let asset = api.create(&format!("{SERVICES}/{service}/Assets"), &[("FriendlyName", "x")]);
    let versions = format!("{SERVICES}/{service}/Assets/{asset}/Versions");
    let path: Part<'_> = ("Path", "", b"with%20space");
    let visibility: Part<'_> = ("Visibility", "", b"public");
    let content: Part<'_> = ("Content", "\r\nContent-Type: text/html", b"<p>");
    let mut last = String::new();
    for parts in [[path, visibility, content], [content, path, visibility], [visibility, content, path]] {
        let answer = api.upload(&versions, &parts);
        assert_eq!((answer.status, answer.text("/path")), (201, "/with%20space"), "{answer:?}");
        assert_eq!((answer.text("/asset_sid"), answer.text("/visibility")), (asset.as_str(), "public"));
        last = answer.text("/sid").to_owned();
    }
    let (build, _) = api.build(&service, &[("AssetVersions", &last)]);
    api.create(
        &format!("{SERVICES}/{service}/Environments/{environment}/Deployments"),
        &[("BuildSid", &build)],
    );
    let site = dev.site_of(&domain);
    site.until(Protocol::Http1, "/with%20space", 200);
    assert_eq!(site.get(Protocol::Http1, "/with%20space").header("content-type"), "text/html");
}

#[test]
fn an_upload_that_breaks_a_rule_is_refused_and_nothing_is_kept() {
    let dev = Dev::with(&[
        "--set",
        "origin.limits.private_size_max=10",
        "--set",
        "origin.limits.served_size_max=2MiB",
    ]);
    let api = dev.api();
    let service = dev.line().text("/service_sid").to_owned();
    let asset = api.create(&format!("{SERVICES}/{service}/Assets"), &[("FriendlyName", "x")]);
    let versions = format!("{SERVICES}/{service}/Assets/{asset}/Versions");
    let (path, public, private): (Part<'_>, Part<'_>, Part<'_>) =
        (("Path", "", b"/x"), ("Visibility", "", b"public"), ("Visibility", "", b"private"));
    let sized = |size: usize| vec![b'x'; size];
    let (small, over_private, over_all) = (sized(10), sized(11), sized((2 << 20) + 1));
    let content = |bytes: &'static str| -> Part<'_> { ("Content", "", bytes.as_bytes()) };
    api.upload(&versions, &[path, private, ("Content", "", &over_private)]).assert_refused(
        413,
        20413,
        &["10"],
    );
    api.upload(&versions, &[("Content", "", &over_private), path, private]).assert_refused(
        413,
        20413,
        &["10"],
    );
    api.upload(&versions, &[path, public, ("Content", "", &over_all)]).assert_refused(
        413,
        20413,
        &["2097152"],
    );
    api.upload(&versions, &[("Content", "", &over_all), path, public]).assert_refused(
        413,
        20413,
        &["2097152"],
    );
    api.upload(&versions, &[public, content("a")]).assert_refused(400, 20001, &["Path"]);
    api.upload(&versions, &[path, content("a")]).assert_refused(400, 20001, &["Visibility"]);
    api.upload(&versions, &[path, public]).assert_refused(400, 20001, &["Content"]);
    api.upload(&versions, &[path, ("Visibility", "", b"secret"), content("a")]).assert_refused(
        400,
        20001,
        &["Visibility"],
    );
    api.upload(&versions, &[("Path", "", b"/a/../b"), public, content("a")]).assert_refused(
        400,
        20001,
        &["/a/../b"],
    );
    api.post(&versions, &[("Path", "/x")]).assert_refused(415, 20415, &["multipart/form-data"]);
    assert_eq!(api.get(&versions).body["asset_versions"], Value::Array(vec![]));
    assert_eq!(api.upload(&versions, &[path, private, ("Content", "", &small)]).status, 201);
}

#[test]
fn what_is_wrong_with_a_build_is_said_at_once() {
    let dev = Dev::with(&["--set", "origin.limits.served_count_max=6"]);
    let api = dev.api();
    let (service, environment, _) = place(&api, "app");
    let builds = format!("{SERVICES}/{service}/Builds");
    let one = api.asset(&service, "/a", "public", b"1");
    let other = api.asset(&service, "/a", "public", b"2");
    let twice = [("AssetVersions", one.as_str()), ("AssetVersions", other.as_str())];
    api.post(&builds, &twice).assert_refused(400, 20001, &["/a", "more than once"]);
    let unknown = "ZN00000000000000000000000000000000";
    api.post(&builds, &[("AssetVersions", unknown)]).assert_refused(400, 20001, &[unknown]);
    api.post(&builds, &[("FunctionVersions", unknown)]).assert_refused(400, 20001, &[unknown]);
    api.post(&builds, &[("Dependencies", "{")]).assert_refused(400, 20001, &["Dependencies"]);
    let many: Vec<String> = (0..7).map(|n| api.asset(&service, &format!("/{n}"), "public", b"x")).collect();
    let many: Vec<_> = many.iter().map(|sid| ("AssetVersions", sid.as_str())).collect();
    api.post(&builds, &many).assert_refused(400, 20001, &["6"]);
    // A version of another service is unknown in this one.
    let (elsewhere, ..) = place(&api, "other");
    let foreign = api.asset(&elsewhere, "/a", "public", b"1");
    api.post(&builds, &[("AssetVersions", &foreign)]).assert_refused(400, 20001, &[&foreign]);
    assert_eq!(api.get(&builds).body["builds"], Value::Array(vec![]));
    let deployments = format!("{SERVICES}/{service}/Environments/{environment}/Deployments");
    api.post(&deployments, &[("BuildSid", "ZB0")]).assert_refused(400, 20001, &["ZB0"]);
}

#[test]
fn a_build_that_fails_says_why_and_cannot_be_deployed() {
    let dev = Dev::start();
    let api = dev.api();
    let (service, environment, _) = place(&api, "app");
    let site_file = api.asset(&service, "/_skerry.toml", "public", b"not_found = \"/404.html\"\n");
    let (build, status) = api.build(&service, &[("AssetVersions", &site_file)]);
    let shown = api.get(&format!("{SERVICES}/{service}/Builds/{build}"));
    assert_eq!((status.as_str(), shown.text("/status")), ("failed", "failed"));
    assert!(shown.text("/failure").contains("/404.html"), "{shown:?}");
    let deployments = format!("{SERVICES}/{service}/Environments/{environment}/Deployments");
    api.post(&deployments, &[("BuildSid", &build)]).assert_refused(400, 20001, &["not completed"]);
}

#[test]
fn lists_lead_from_page_to_page_and_end_with_null() {
    let dev = Dev::start();
    let api = dev.api();
    let service = dev.line().text("/service_sid").to_owned();
    let assets = format!("{SERVICES}/{service}/Assets");
    let before = api.get(&assets).body["assets"].as_array().expect("a list").len();
    let made: Vec<String> =
        (0..5).map(|n| api.create(&assets, &[("FriendlyName", &format!("n{n}"))])).collect();
    let mut seen = Vec::new();
    let mut next = Some(format!("{assets}?PageSize=2"));
    while let Some(url) = next {
        let page = api.get(&url);
        assert_eq!((page.status, page.text("/meta/key")), (200, "assets"), "{page:?}");
        let entries = page.body["assets"].as_array().expect("a list");
        seen.extend(entries.iter().map(|entry| entry["sid"].as_str().expect("a SID").to_owned()));
        if seen.len() == 2 {
            // What is added meanwhile moves nothing.
            api.create(&assets, &[("FriendlyName", "late")]);
        }
        next = page.body["meta"]["next_page_url"].as_str().map(str::to_owned);
    }
    assert_eq!(seen.len(), made.len() + before);
    assert!(seen.iter().take(5).eq(made.iter().rev()), "newest first: {seen:?}");
    let empty = api.get(&format!("{SERVICES}/{service}/Builds?Page=7&PageSize=50"));
    assert_eq!((empty.status, &empty.body["meta"]["next_page_url"]), (200, &Value::Null));
}

#[test]
fn names_are_taken_once_and_free_again_when_their_owner_is_gone() {
    let dev = Dev::start();
    let api = dev.api();
    let (service, environment, domain) = place(&api, "app");
    api.post(SERVICES, &[("UniqueName", "app"), ("FriendlyName", "x")]).assert_refused(
        409,
        20409,
        &["UniqueName"],
    );
    let environments = format!("{SERVICES}/app/Environments");
    for taken in [
        [("UniqueName", "dev-environment"), ("DomainSuffix", "x")],
        [("UniqueName", "y"), ("DomainSuffix", "dev")],
    ] {
        api.post(&environments, &taken).assert_refused(
            409,
            20409,
            &["Environment with this UniqueName or DomainSuffix already exists."],
        );
    }
    let variables = format!("{environments}/{environment}/Variables");
    let variable = api.create(&variables, &[("Key", "A"), ("Value", "1")]);
    api.post(&variables, &[("Key", "A"), ("Value", "2")]).assert_refused(409, 20409, &["Key"]);
    let changed = api.post(&format!("{variables}/{variable}"), &[("Value", "2")]);
    assert_eq!((changed.status, changed.text("/key"), changed.text("/value")), (200, "A", "2"));
    assert_eq!(api.delete(&format!("{variables}/{variable}")).status, 204);
    api.create(&variables, &[("Key", "A"), ("Value", "3")]);

    assert_eq!(api.delete(&format!("{environments}/{environment}")).status, 204);
    api.get(&format!("{environments}/{environment}")).assert_refused(404, 20404, &[]);
    let again = api.post(&environments, &[("UniqueName", "dev-environment"), ("DomainSuffix", "dev")]);
    assert_eq!((again.status, again.text("/domain_name")), (201, domain.as_str()));
    assert_eq!(api.delete(&format!("{SERVICES}/{service}")).status, 204);
    api.get(&format!("{SERVICES}/app")).assert_refused(404, 20404, &[]);
    place(&api, "app");
}

#[test]
fn functions_are_kept_listed_and_read_by_their_owner_and_never_served() {
    let dev = Dev::start();
    let api = dev.api();
    let (service, environment, domain) = place(&api, "app");
    let functions = format!("{SERVICES}/{service}/Functions");
    let function = api.create(&functions, &[("FriendlyName", "/hello")]);
    let code: &[u8] = b"exports.handler = () => {};";
    let parts: [Part<'_>; 3] = [
        ("Path", "", b"/hello"),
        ("Visibility", "", b"public"),
        ("Content", "; filename=\"hello.js\"\r\nContent-Type: application/javascript", code),
    ];
    let version = api.upload(&format!("{functions}/{function}/Versions"), &parts);
    let version = version.text("/sid").to_owned();
    let content = api.get(&format!("{functions}/{function}/Versions/{version}/Content"));
    assert_eq!(content.text("/content").as_bytes(), code);
    let asset = api.asset(&service, "/a.txt", "public", b"a");
    let (build, status) = api.build(&service, &[("FunctionVersions", &version), ("AssetVersions", &asset)]);
    assert_eq!(status, "completed");
    let shown = api.get(&format!("{SERVICES}/{service}/Builds/{build}"));
    assert_eq!(shown.text("/function_versions/0/function_sid"), function);
    api.create(
        &format!("{SERVICES}/{service}/Environments/{environment}/Deployments"),
        &[("BuildSid", &build)],
    );
    let site = dev.site_of(&domain);
    site.until(Protocol::Http1, "/a.txt", 200);
    assert_eq!(site.get(Protocol::Http1, "/hello").status, 404);
}

#[test]
fn only_who_shows_a_token_by_a_name_of_the_api_gets_an_answer() {
    let dev = Dev::start();
    let api = dev.api();
    let mut wrong = dev.line().account();
    wrong.token = "0".repeat(32);
    let refused = api.of(wrong).get(SERVICES);
    refused.assert_refused(401, 20003, &["Authenticate"]);
    assert!(refused.headers["www-authenticate"].to_str().expect("text").starts_with("Basic "));
    api.get("/v1/Nothing").assert_refused(404, 20404, &[]);
    assert_eq!(api.delete(SERVICES).status, 405);
    for host in ["serverless.twilio.com", "serverless-upload.twilio.com"] {
        let page = api.clone().with("host", host).get(SERVICES);
        let first = format!("https://{host}/v1/Services?PageSize=50&Page=0");
        assert_eq!(page.text("/meta/first_page_url"), first);
    }
    api.clone().with("host", "evil.example").get(SERVICES).assert_refused(421, 20421, &["api.names"]);
    for (name, value) in [("origin", "http://evil.example"), ("sec-fetch-site", "cross-site")] {
        api.clone().with(name, value).get(SERVICES).assert_refused(403, 20403, &[]);
    }
}

#[test]
fn who_shows_wrong_tokens_has_to_wait_whichever_way_they_come() {
    let dev = Dev::with(&[
        "--set",
        "origin.auth.failure_count_max=2",
        "--set",
        "origin.auth.recovery_seconds=3600",
    ]);
    let api = dev.api();
    let mut wrong = dev.line().account();
    wrong.token = "0".repeat(32);
    api.of(wrong.clone()).get(SERVICES).assert_refused(401, 20003, &[]);
    assert_eq!(api.get(SERVICES).status, 200, "one failure locks nobody out");
    api.of(wrong).get(SERVICES).assert_refused(401, 20003, &[]);
    let refused = api.get(SERVICES);
    refused.assert_refused(429, 20429, &["too many"]);
    assert!(refused.headers.contains_key("retry-after"));
    dev.cli().refused(&["ls"], &["too many"]);
}

#[test]
fn a_build_that_is_killed_in_the_middle_is_completed_after_the_restart() {
    let mut dev = Dev::start();
    let (service, environment, domain) = place(&dev.api(), "app");
    // Text that takes a while to compress.
    let text = |seed: u64| -> String {
        (0..12_000_u64).map(|n| format!("{:x}\n", (n ^ seed).wrapping_mul(0x9e37_79b9_7f4a_7c15))).collect()
    };
    let api = dev.api();
    let versions: Vec<String> =
        (0..6).map(|n| api.asset(&service, &format!("/{n}.txt"), "public", text(n).as_bytes())).collect();
    let chosen: Vec<_> = versions.iter().map(|sid| ("AssetVersions", sid.as_str())).collect();
    let builds = format!("{SERVICES}/{service}/Builds");
    let begun = api.post(&builds, &chosen);
    assert_eq!((begun.status, begun.text("/status")), (201, "building"), "{begun:?}");
    let build = begun.text("/sid").to_owned();
    dev.kill_9();
    dev.start_again();
    let api = dev.api();
    assert_eq!(api.built(&service, &build), "completed");
    let shown = api.get(&format!("{builds}/{build}"));
    assert_eq!(shown.body["asset_versions"].as_array().map(Vec::len), Some(6));
    let deployments = format!("{SERVICES}/{service}/Environments/{environment}/Deployments");
    api.create(&deployments, &[("BuildSid", &build)]);
    let response = dev.site_of(&domain).until(Protocol::Http2, "/5.txt", 200);
    assert_eq!(response.text(), text(5));
}
