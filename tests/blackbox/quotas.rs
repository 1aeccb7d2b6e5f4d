//! What a service may hold: set by an operator for one service, enforced alike however it is published, and shown beside what is used.

use crate::harness::{Account, Api, Dev, Part};
use serde_json::Value;

/// Another account, its API, and its service.
fn tenant(dev: &Dev) -> (Account, Api, String) {
    let account = dev.other_account();
    let api = dev.api().of(account.clone());
    let service = api.get("/v1/Services").text("/services/0/sid").to_owned();
    (account, api, service)
}

#[test]
fn counts_that_were_set_for_a_service_hold_on_the_command_line_over_grpc_and_over_rest() {
    let dev = Dev::start();
    let (account, api, service) = tenant(&dev);
    let (cli, limits) = (dev.cli_of(&account), format!("/v1/Services/{service}/Limits"));
    let set = dev.cli().run(&["limits", "--service", &service, "--served-count-max", "2", "--json"]).json();
    assert_eq!(
        (&set["served_count_max"], &set["overridden"]),
        (&2.into(), &serde_json::json!(["served_count_max"]))
    );
    assert_eq!(api.get(&limits).body["served_count_max"], 2, "its owner reads it");

    for name in ["a", "b", "c"] {
        cli.write(&format!("all/{name}.txt"), name.as_bytes());
    }
    cli.refused(&["put", "all"], &["3 new public or protected paths", "2 of 2 are free", "skerry limits"]);
    let versions: Vec<String> =
        ["/a", "/b", "/c"].iter().map(|path| api.asset(&service, path, "public", b"x")).collect();
    let chosen: Vec<(&str, &str)> =
        versions.iter().map(|version| ("AssetVersions", version.as_str())).collect();
    let builds = format!("/v1/Services/{service}/Builds");
    api.post(&builds, &chosen).assert_refused(400, 20001, &["3 new", "2 of 2"]);
    cli.run(&["put", "all/a.txt", "all/b.txt"]);
    cli.refused(&["put", "all/c.txt"], &["1 new", "0 of 2 are free"]);

    // Another service of this origin has what is configured, and this one has it again when that is said.
    dev.cli().write("all/a.txt", b"a");
    assert_eq!(dev.api().post(&limits, &[("ServedCountMax", "")]).body["served_count_max"], 500);
    cli.run(&["put", "all"]);
    assert_eq!(api.post(&builds, &chosen).status, 201);
}

#[test]
fn sizes_that_were_set_for_a_service_cut_uploads_off_wherever_they_arrive() {
    let dev = Dev::with(&["--set", "origin.limits.private_size_max=2"]);
    let (account, api, service) = tenant(&dev);
    let cli = dev.cli_of(&account);
    let private = ["--path", "/private", "--visibility", "private"];
    cli.write("a.txt", &[b'a'; 5]);
    cli.refused(&[&["put", "a.txt"], &private[..]].concat(), &["5 bytes", "at most 2", "413"]);
    let limits = format!("/v1/Services/{service}/Limits");
    let set = dev.api().post(&limits, &[("ServedSizeMax", "100"), ("PrivateSizeMax", "5")]);
    assert_eq!((set.status, &set.body["served_size_max"]), (200, &100.into()), "{set:?}");
    cli.run(&[&["put", "a.txt"], &private[..]].concat());
    cli.write("b.txt", &[b'b'; 101]);
    cli.refused(&["put", "b.txt"], &["101 bytes", "at most 100"]);
    let asset = api.create(&format!("/v1/Services/{service}/Assets"), &[("FriendlyName", "x")]);
    let versions = format!("/v1/Services/{service}/Assets/{asset}/Versions");
    let upload = |size: usize, visibility: &'static [u8]| {
        let content = vec![b'x'; size];
        let parts: [Part<'_>; 3] =
            [("Content", "", &content), ("Path", "", b"/x"), ("Visibility", "", visibility)];
        api.upload(&versions, &parts)
    };
    upload(101, b"public").assert_refused(413, 20413, &["100"]);
    upload(6, b"private").assert_refused(413, 20413, &["5"]);
    assert_eq!((upload(100, b"public").status, upload(5, b"private").status), (201, 201));
}

#[test]
fn only_an_operator_sets_limits_and_only_to_what_can_be_kept() {
    let dev = Dev::start();
    let (account, api, service) = tenant(&dev);
    let limits = format!("/v1/Services/{service}/Limits");
    let before = api.get(&limits);
    api.post(&limits, &[("ServedCountMax", "9")]).assert_refused(403, 20403, &["operator"]);
    dev.cli_of(&account).refused(&["limits", "--served-count-max", "9"], &["operator"]);
    let stranger = dev.api().of(dev.other_account());
    stranger.get(&limits).assert_refused(404, 20404, &[]);
    stranger.post(&limits, &[("ServedCountMax", "9")]).assert_refused(404, 20404, &[]);
    let operator = dev.api();
    for (name, value) in
        [("ServedCountMax", "0"), ("PrivateSizeMax", "many"), ("ServedSizeMax", "1099511627777")]
    {
        operator.post(&limits, &[(name, value)]).assert_refused(400, 20001, &[name]);
    }
    dev.cli()
        .refused(&["limits", "--service", &service, "--private-count-max", "10000001"], &["PrivateCountMax"]);
    assert_eq!(api.get(&limits).body, before.body, "nothing was changed");
    operator.post(&limits, &[("PrivateCountMax", "20")]);
    for log in [&api, &operator] {
        let entries = log.get(&format!(
            "/v1/AuditLog?SubjectSid={service}&Action=update&AccountSid={}",
            if std::ptr::eq(log, &api) { &account.sid } else { dev.line().text("/account_sid") }
        ));
        assert_eq!(entries.text("/entries/0/detail"), "private_count_max=20", "{entries:?}");
    }
}

#[test]
fn usage_counts_paths_of_the_live_build_and_each_content_once() {
    let dev = Dev::start();
    let (account, api, service) = tenant(&dev);
    let cli = dev.cli_of(&account);
    let path = format!("/v1/Services/{service}/Usage");
    let empty = api.get(&path);
    assert_eq!(
        (&empty.body["stored_bytes"], &empty.body["environments"][0]["build_sid"]),
        (&0.into(), &Value::Null)
    );
    cli.write("all/a.txt", b"same bytes");
    cli.write("all/b.txt", b"same bytes");
    cli.write("all/p.private.txt", b"hidden");
    cli.write("all/_skerry.toml", b"");
    cli.run(&["put", "all"]);
    cli.run(&["put", "all/a.txt", "--path", "/a.txt"]);
    let used = api.get(&path);
    let environment = &used.body["environments"][0];
    assert_eq!(
        (&environment["served_count"], &environment["private_count"]),
        (&2.into(), &1.into()),
        "{used:?}"
    );
    assert_eq!(
        (&used.body["stored_bytes"], &used.body["asset_versions"]),
        (&16.into(), &5.into()),
        "{used:?}"
    );
    let shown = cli.run(&["usage", "--json"]).json();
    assert_eq!((&shown["stored_bytes"], &shown["services"]), (&16.into(), &1.into()), "{shown}");
    assert_eq!(shown["usage"][0]["environments"][0]["served_count"], 2, "{shown}");
    assert_eq!(shown["usage"][0]["served_count_max"], 500, "{shown}");
    assert!(cli.run(&["usage"]).stdout.contains("2 of 500 public and protected paths, 1 of 10 private ones"));
    cli.run(&["rm", "/a.txt"]);
    let after = api.get(&path);
    assert_eq!(
        (&after.body["environments"][0]["served_count"], &after.body["stored_bytes"]),
        (&1.into(), &16.into())
    );
    let whole = api.get("/v1/Usage");
    assert_eq!((&whole.body["stored_bytes"], &whole.body["services"]), (&16.into(), &1.into()));
}
