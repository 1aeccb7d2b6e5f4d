//! The OpenAPI document: what it says is there is there, what it does not say is not, and nothing of it is another account's to use.

use crate::harness::{Account, Api, Dev};
use serde_json::{Map, Value};

const METHODS: [&str; 5] = ["get", "post", "put", "patch", "delete"];

/// Paths with their operations by method.
fn paths(dev: &Dev) -> Map<String, Value> {
    let nobody = dev.api().of(Account { sid: String::new(), token: String::new() });
    let document = nobody.get("/v1/openapi.json");
    assert_eq!((document.status, document.text("/openapi")), (200, "3.1.0"));
    assert_eq!(document.headers["content-type"], "application/json");
    document.body["paths"].as_object().expect("an object").clone()
}

/// A path with something in place of each of its names.
fn filled(path: &str, value: impl Fn(&str) -> String) -> String {
    let part = |part: &str| match part.strip_prefix('{').and_then(|name| name.strip_suffix('}')) {
        Some(name) => value(name),
        None => part.to_owned(),
    };
    path.split('/').map(part).collect::<Vec<_>>().join("/")
}

#[test]
fn every_operation_of_the_document_is_answered_and_no_other() {
    let dev = Dev::start();
    let api = dev.api();
    let paths = paths(&dev);
    assert!(paths.len() > 25, "{}", paths.len());
    for (path, operations) in &paths {
        let (target, has_names) = (filled(path, |_| "x".into()), path.contains('{'));
        for method in METHODS {
            let is_there = operations.get(method).is_some();
            if is_there && !has_names && method != "get" {
                // It would do what it says; other tests see to it.
                continue;
            }
            let answer = api.call(method, &target);
            let said = answer.body["message"].as_str().unwrap_or_default();
            match (is_there, has_names) {
                (false, _) => assert_eq!(answer.status, 405, "{method} {path}: {answer:?}"),
                // Nothing is called x, which is said of what the path names, and not of the path.
                (true, true) => {
                    assert!(answer.status == 404 && !said.contains("resource"), "{method} {path}: {answer:?}")
                }
                (true, false) => assert_eq!(answer.status, 200, "{method} {path}: {answer:?}"),
            }
        }
    }
    api.get("/v1/Nothing").assert_refused(404, 20404, &["resource"]);
}

/// One of each thing that paths name, made by an account.
struct Things {
    service: String,
    environment: String,
    build: String,
    deployment: String,
    variable: String,
    asset: (String, String),
    function: (String, String),
    domain: String,
    key: String,
    account: String,
}

impl Things {
    fn make(api: &Api, account: &Account) -> Self {
        let service = api.create("/v1/Services", &[("UniqueName", "app"), ("FriendlyName", "app")]);
        let root = format!("/v1/Services/{service}");
        let environment = api.create(&format!("{root}/Environments"), &[("UniqueName", "live")]);
        let version = api.asset(&service, "/a", "public", b"1");
        let asset = api.get(&format!("{root}/Assets")).text("/assets/0/sid").to_owned();
        let function = api.create(&format!("{root}/Functions"), &[("FriendlyName", "f")]);
        let parts: [crate::harness::Part<'_>; 3] =
            [("Path", "", b"/f"), ("Visibility", "", b"public"), ("Content", "", b"exports.handler")];
        let uploaded = api.upload(&format!("{root}/Functions/{function}/Versions"), &parts);
        let (build, status) = api.build(&service, &[("AssetVersions", &version)]);
        assert_eq!(status, "completed");
        let place = format!("{root}/Environments/{environment}");
        Self {
            deployment: api.create(&format!("{place}/Deployments"), &[("BuildSid", &build)]),
            variable: api.create(&format!("{place}/Variables"), &[("Key", "K"), ("Value", "V")]),
            asset: (asset, version),
            function: (function, uploaded.text("/sid").to_owned()),
            domain: api.create(&format!("{place}/Domains"), &[("DomainName", "music.example.com")]),
            key: api.create("/v1/Keys", &[]),
            account: account.sid.clone(),
            service,
            environment,
            build,
        }
    }

    /// What stands in place of a name of a path. A name that this does not know has to be added here.
    fn named(&self, path: &str, name: &str) -> String {
        let (content, version) = if path.contains("/Functions") { &self.function } else { &self.asset };
        match name {
            "service" => &self.service,
            "environment" => &self.environment,
            "domain" => &self.domain,
            "build" => &self.build,
            "deployment" => &self.deployment,
            "variable" => &self.variable,
            "content" => content,
            "version" => version,
            "key" => &self.key,
            "account" => &self.account,
            // No function runs here, so there is none.
            "log" => return "NO00000000000000000000000000000000".to_owned(),
            other => panic!("nothing is made for {{{other}}} of {path}"),
        }
        .clone()
    }
}

#[test]
fn every_operation_on_another_accounts_things_is_answered_as_if_there_were_none() {
    let dev = Dev::start();
    let (owner, stranger) = (dev.other_account(), dev.other_account());
    let (api, other) = (dev.api().of(owner.clone()), dev.api().of(stranger));
    let things = Things::make(&api, &owner);
    let mut tried = 0;
    for (path, operations) in paths(&dev) {
        let target = filled(&path, |name| things.named(&path, name));
        for method in operations.as_object().expect("an object").keys() {
            if path.contains('{') {
                other.call(method, &target).assert_refused(404, 20404, &[]);
                tried += 1;
            } else if method == "get" {
                let shown = other.get(&target).body.to_string();
                assert!(
                    !shown.contains(&things.service) && !shown.contains(&things.account),
                    "{path}: {shown}"
                );
            }
            if method == "get" && !path.contains("{log}") {
                assert_eq!(api.status("get", &target), 200, "its owner reads {path}");
            }
        }
    }
    assert!(tried > 35, "{tried}");
    // Nothing of what was tried was done.
    assert_eq!(api.get("/v1/Keys").text("/keys/0/sid"), things.key);
}
