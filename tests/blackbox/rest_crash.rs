//! `kill -9` at random moments of uploads, builds and deployments over REST: every step that was acknowledged is there after the
//! restart, and of any other either all or nothing.
//!
//! Four kills by default, sixty with `SKERRY_TEST_FULL=1`.

use crate::harness::{Api, Dev, Part, Protocol, Random, Site, bytes, eventually, full, hash, let_pass};
use bytes::Bytes;
use serde_json::Value;
use std::thread;
use std::time::Duration;

/// Clients that publish at the same time, each in a service of its own.
const CLIENTS: u64 = 3;

/// A kill comes at most so long after a round began. Long enough for several steps.
const MOMENT_MAX_MS: u64 = 900;

/// Versions in one build at most.
const CHOSEN_MAX: usize = 5;

/// What one client did, as far as it was told.
struct Client {
    random: Random,
    service: String,
    environment: String,
    host: String,
    /// SIDs of versions with their paths and bytes.
    versions: Vec<(String, String, Bytes)>,
    /// SIDs of builds, with the versions that they were begun with.
    builds: Vec<(String, Vec<String>)>,
    /// SIDs of deployments, and their builds.
    deployments: Vec<(String, String)>,
    /// What was asked for without an answer.
    asked: Option<Asked>,
    /// For names.
    count: u64,
}

enum Asked {
    Asset,
    Version,
    Build(Vec<String>),
    Deployment(String),
}

impl Client {
    fn new(api: &Api, number: u64, seed: u64) -> Self {
        let name = format!("client-{number}");
        let service = api.create("/v1/Services", &[("UniqueName", &name), ("FriendlyName", &name)]);
        let environments = format!("/v1/Services/{service}/Environments");
        let made = api.post(&environments, &[("UniqueName", "live"), ("DomainSuffix", "live")]);
        let domain = made.text("/domain_name");
        let host = domain.rsplit_once(':').map_or(domain, |(host, _)| host).to_owned();
        Self {
            random: Random::new(seed),
            environment: made.text("/sid").to_owned(),
            service,
            host,
            versions: Vec::new(),
            builds: Vec::new(),
            deployments: Vec::new(),
            asked: None,
            count: 0,
        }
    }

    /// Publishes one version after the other, each with a build and a deployment, until the API is gone.
    fn publish(&mut self, api: &Api) {
        while self.publish_one(api).is_ok() {}
    }

    fn publish_one(&mut self, api: &Api) -> anyhow::Result<()> {
        let root = format!("/v1/Services/{}", self.service);
        self.count += 1;
        let path = format!("/{}.bin", self.count);
        self.asked = Some(Asked::Asset);
        let asset = sid(&api.attempt_post(&format!("{root}/Assets"), &[("FriendlyName", &path)])?.body);

        let content = bytes(self.random.next(), self.random.below(300_000) as usize);
        let parts: [Part<'_>; 3] = [
            ("Path", "", path.as_bytes()),
            ("Visibility", "", b"public"),
            ("Content", "; filename=\"x\"\r\nContent-Type: text/plain", &content),
        ];
        self.asked = Some(Asked::Version);
        let version = sid(&api.attempt_upload(&format!("{root}/Assets/{asset}/Versions"), &parts)?.body);
        self.versions.push((version, path, content));

        let chosen: Vec<String> =
            self.versions.iter().rev().take(CHOSEN_MAX).map(|(sid, ..)| sid.clone()).collect();
        let parameters: Vec<_> = chosen.iter().map(|sid| ("AssetVersions", sid.as_str())).collect();
        self.asked = Some(Asked::Build(chosen.clone()));
        let build = sid(&api.attempt_post(&format!("{root}/Builds"), &parameters)?.body);
        self.builds.push((build.clone(), chosen));
        self.asked = None;
        let status = format!("{root}/Builds/{build}/Status");
        while api.attempt_get(&status)?.text("/status") == "building" {}

        self.asked = Some(Asked::Deployment(build.clone()));
        let deployments = format!("{root}/Environments/{}/Deployments", self.environment);
        let deployment = sid(&api.attempt_post(&deployments, &[("BuildSid", &build)])?.body);
        self.deployments.push((deployment, build));
        self.asked = None;
        Ok(())
    }

    /// Looks at all that is there after a restart.
    fn check(&mut self, api: &Api, site: &Site, round: u64) {
        let asked = self.asked.take();
        self.check_versions(api, asked.as_ref(), round);
        self.check_builds(api, asked.as_ref(), round);
        self.check_deployments(api, asked.as_ref(), round);
        self.check_site(&site.with_host(&self.host), round);
    }

    fn check_versions(&mut self, api: &Api, asked: Option<&Asked>, round: u64) {
        let root = format!("/v1/Services/{}/Assets", self.service);
        let mut found = Vec::new();
        let assets = entries(api, &root, "assets");
        for asset in &assets {
            let versions = entries(api, &format!("{root}/{}/Versions", sid(asset)), "asset_versions");
            found.extend(versions.iter().map(|version| (sid(version), text(version, "path"))));
        }
        for (version, path, _) in &self.versions {
            let there = found.iter().filter(|(sid, of)| (sid, of) == (version, path)).count();
            assert_eq!(there, 1, "round {round}: version {version} of {path}");
        }
        let unknown = found.len() - self.versions.len();
        let may_be_more = usize::from(matches!(asked, Some(Asked::Version)));
        assert!(unknown <= may_be_more, "round {round}: {unknown} versions that nobody uploaded");
        // From here on it is of no client.
        for (unknown, _) in
            found.iter().filter(|(sid, _)| self.versions.iter().all(|(known, ..)| known != sid))
        {
            let asset = assets.iter().find(|asset| {
                entries(api, &format!("{root}/{}/Versions", sid(asset)), "asset_versions")
                    .iter()
                    .any(|version| sid(version) == *unknown)
            });
            assert_eq!(api.delete(&format!("{root}/{}", sid(asset.expect("its asset")))).status, 204);
        }
    }

    fn check_builds(&mut self, api: &Api, asked: Option<&Asked>, round: u64) {
        let root = format!("/v1/Services/{}/Builds", self.service);
        let mut expected = self.builds.clone();
        let mut listed = entries(api, &root, "builds");
        listed.reverse();
        if let (Some(Asked::Build(chosen)), Some(last)) = (asked, listed.get(expected.len())) {
            expected.push((sid(last), chosen.clone()));
        }
        let found: Vec<_> = listed.iter().map(sid).collect();
        assert_eq!(found, expected.iter().map(|(sid, _)| sid.clone()).collect::<Vec<_>>(), "round {round}");
        for (build, chosen) in expected.iter().rev().take(CHOSEN_MAX) {
            assert_eq!(api.built(&self.service, build), "completed", "round {round}: build {build}");
            let shown = api.get(&format!("{root}/{build}"));
            let mut has: Vec<_> =
                shown.body["asset_versions"].as_array().expect("a list").iter().map(sid).collect();
            let mut chosen = chosen.clone();
            has.sort();
            chosen.sort();
            assert_eq!(has, chosen, "round {round}: the versions of build {build}");
        }
        self.builds = expected;
    }

    fn check_deployments(&mut self, api: &Api, asked: Option<&Asked>, round: u64) {
        let environment = format!("/v1/Services/{}/Environments/{}", self.service, self.environment);
        let mut listed = entries(api, &format!("{environment}/Deployments"), "deployments");
        listed.reverse();
        let mut expected = self.deployments.clone();
        if let (Some(Asked::Deployment(build)), Some(last)) = (asked, listed.get(expected.len())) {
            expected.push((sid(last), build.clone()));
        }
        let found: Vec<_> = listed.iter().map(|one| (sid(one), text(one, "build_sid"))).collect();
        assert_eq!(found, expected, "round {round}");
        let live = api.get(&environment);
        assert_eq!(
            live.body["build_sid"].as_str(),
            expected.last().map(|(_, build)| build.as_str()),
            "round {round}: the newest deployment is what is live"
        );
        self.deployments = expected;
    }

    /// The edge shows every byte of the live build, and nothing else.
    fn check_site(&self, site: &Site, round: u64) {
        let Some((_, live)) = self.deployments.last() else { return };
        let (_, chosen) =
            self.builds.iter().find(|(sid, _)| sid == live).expect("a deployed build is listed");
        for (version, path, content) in self.versions.iter().rev().take(2 * CHOSEN_MAX) {
            let is_live = chosen.contains(version);
            eventually(&format!("round {round}: {path} as in build {live}"), || {
                let response = site.get(Protocol::Http1, path);
                let is_right = match is_live {
                    true => response.status == 200 && hash(&response.body) == hash(content),
                    false => response.status == 404,
                };
                is_right.then_some(())
            });
        }
    }
}

/// All entries of a list, newest first.
fn entries(api: &Api, path: &str, key: &str) -> Vec<Value> {
    let mut all = Vec::new();
    let mut next = Some(format!("{path}?PageSize=100"));
    while let Some(url) = next {
        let page = api.get(&url);
        assert_eq!(page.status, 200, "{page:?}");
        all.extend_from_slice(page.body[key].as_array().expect("a list"));
        next = page.body["meta"]["next_page_url"].as_str().map(str::to_owned);
    }
    all
}

fn text(entry: &Value, key: &str) -> String {
    entry[key].as_str().unwrap_or_else(|| panic!("{key} in {entry}")).to_owned()
}

fn sid(entry: &Value) -> String {
    text(entry, "sid")
}

#[test]
fn killed_at_any_moment_all_that_was_acknowledged_is_there_and_nothing_is_half_there() {
    let mut dev = Dev::with(&["--set", "origin.limits.served_count_max=1000"]);
    let mut random = Random::printed("the kills");
    let api = |dev: &Dev| Api::new(dev.line().text("/api"), dev.line().account());
    let mut clients: Vec<Client> =
        (0..CLIENTS).map(|number| Client::new(&api(&dev), number, random.next())).collect();
    let rounds = if full() { 60 } else { 4 };
    for round in 0..rounds {
        let before = api(&dev);
        thread::scope(|scope| {
            for client in &mut clients {
                let api = &before;
                scope.spawn(move || client.publish(api));
            }
            let_pass(Duration::from_millis(random.below(MOMENT_MAX_MS)));
            dev.kill_9();
        });
        dev.start_again();
        for client in &mut clients {
            client.check(&api(&dev), &dev.site(), round);
        }
    }
    let count = |of: fn(&Client) -> usize| clients.iter().map(of).sum::<usize>();
    let (versions, builds) = (count(|client| client.versions.len()), count(|client| client.builds.len()));
    let deployments = count(|client| client.deployments.len());
    println!("{rounds} kills; {versions} versions, {builds} builds, {deployments} deployments, none lost");
    assert!(deployments > 0, "no deployment was acknowledged; the kills came too early to prove anything");
}

#[test]
fn deployments_at_once_come_one_after_the_other_and_the_last_one_is_what_the_edge_shows() {
    let dev = Dev::start();
    let api = Api::new(dev.line().text("/api"), dev.line().account());
    let client = Client::new(&api, 0, 1);
    let root = format!("/v1/Services/{}", client.service);
    let builds: Vec<(String, String)> = (0..4)
        .map(|number| {
            let content = format!("build {number}");
            // One path: a version of each build.
            let version = api.asset(&client.service, "/a.txt", "public", content.as_bytes());
            let (build, status) = api.build(&client.service, &[("AssetVersions", &version)]);
            assert_eq!(status, "completed");
            (build, content)
        })
        .collect();
    let deployments = format!("{root}/Environments/{}/Deployments", client.environment);
    let acknowledged: Vec<String> = thread::scope(|scope| {
        let deploying: Vec<_> = builds
            .iter()
            .map(|(build, _)| {
                let (api, deployments) = (&api, &deployments);
                scope.spawn(move || {
                    (0..5).map(|_| api.create(deployments, &[("BuildSid", build)])).collect::<Vec<_>>()
                })
            })
            .collect();
        deploying.into_iter().flat_map(|deploying| deploying.join().expect("all are accepted")).collect()
    });
    let listed = entries(&api, &deployments, "deployments");
    let mut found: Vec<_> = listed.iter().map(sid).collect();
    let mut expected = acknowledged;
    found.sort();
    expected.sort();
    assert_eq!(found, expected, "each is listed once");
    let last = text(&listed[0], "build_sid");
    assert_eq!(api.get(&format!("{root}/Environments/{}", client.environment)).text("/build_sid"), last);
    let (_, content) = builds.iter().find(|(build, _)| *build == last).expect("one of them");
    let site = dev.site().with_host(&client.host);
    eventually("the edge shows the last one", || {
        (site.get(Protocol::Http2, "/a.txt").body == *content.as_bytes()).then_some(())
    });
}

/// Neither is more than a pointer: nothing is built, compressed or stored again.
#[test]
fn activation_and_rollback_are_the_same_small_step() {
    let dev = Dev::start();
    let cli = dev.cli();
    cli.put("/a.txt", b"one");
    let first = cli.run(&["put", "put/a.txt", "--path", "/a.txt", "--json"]).json();
    cli.put("/a.txt", b"two");
    let step = |arguments: &[&str]| cli.run(&[arguments, &["--wait", "--json"]].concat()).json();
    let build = first["build_sid"].as_str().expect("a build");
    // Each of the two histories is written once.
    step(&["rollback"]);
    let stored = |dev: &Dev| crate::harness::files_below(&dev.data().join("origin/blobs")).len();
    step(&["rollback"]);
    let before = stored(&dev);
    let rolled_back = step(&["rollback"]);
    step(&["rollback"]);
    let activated = step(&["deploy", build]);
    assert_eq!(stored(&dev), before);
    let keys = |answer: &Value| answer.as_object().expect("an object").keys().cloned().collect::<Vec<_>>();
    assert_eq!(keys(&activated), keys(&rolled_back), "the same answer");
    assert_eq!(activated["build_sid"], rolled_back["build_sid"]);
    let revision = |answer: &Value| answer["revision"].as_u64().expect("a revision");
    assert_eq!(revision(&activated), revision(&rolled_back) + 2, "one revision each");
    assert_eq!(dev.site().get(Protocol::Http1, "/a.txt").text(), "one");
}
