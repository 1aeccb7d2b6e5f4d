//! Compressed forms that are not ready when a build is shown: they join it, whatever happens meanwhile.
//!
//! Most tests let no build wait for them, so that all are late.

use crate::harness::{Api, Dev, Protocol, Random, Site, block_on, eventually, full, hash, let_pass};
use bytes::Bytes;
use skerry_proto::wire::Visibility;
use std::time::{Duration, Instant};

/// Nothing waits for compressed forms.
const LATE: [&str; 2] = ["--set", "origin.compression.wait_seconds=0"];

/// Text that halves at best, and is work for a compressor.
fn prose(seed: u64, size: usize) -> Bytes {
    let mut random = Random::new(seed);
    let mut text = String::with_capacity(size + 17);
    while text.len() < size {
        text.push_str(&format!("{:016x} ", random.next()));
    }
    text.truncate(size);
    text.into()
}

/// Publishes a text in one step, and says which revision shows it.
#[track_caller]
fn publish(dev: &Dev, path: &str, content: &Bytes) -> (String, u64) {
    let published = block_on(dev.publisher().publish(path, content.clone())).expect("publishes");
    (published.build_sid, published.revision)
}

/// The coding, and the ETag, that a client gets who takes brotli, which takes longest to make.
fn form(site: &Site, path: &str) -> (String, String) {
    let response = site.ask(Protocol::Http2, path).header("accept-encoding", "br").send();
    assert_eq!(response.status, 200, "{path}");
    (response.header("content-encoding").to_owned(), response.header("etag").to_owned())
}

fn is_coded(site: &Site, path: &str) -> bool {
    !form(site, path).0.is_empty()
}

#[track_caller]
fn until_coded(site: &Site, path: &str) {
    eventually(&format!("brotli for {path}"), || is_coded(site, path).then_some(()));
}

#[track_caller]
fn until_all_joined(dev: &Dev) {
    dev.origin_figures().until("skerry_origin_derivations", &[], |count| count == 0.0);
}

/// What the origin lists of a path: names of codings, and hashes.
fn listed(dev: &Dev, path: &str) -> Vec<(String, String)> {
    let list = dev.cli().run(&["ls", "--json"]).json();
    let assets = list["assets"].as_array().expect("a list");
    let asset = assets.iter().find(|asset| asset["path"] == path).expect("listed");
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    let representations = asset["representations"].as_array().expect("a list").iter();
    representations.map(|one| (text(&one["encoding"]), text(&one["hash"]))).collect()
}

/// The default wait, and a level at which 16 MiB take many seconds.
#[test]
fn a_text_of_16_mib_shows_as_it_is_after_two_seconds_and_compressed_when_that_is_done() {
    let dev = Dev::with(&["--set", "origin.compression.brotli_level_large=9"]);
    // The demo page is compressed, too.
    let coded = || dev.origin_figures().metric("skerry_origin_codings_total", &[("coding", "br")]);
    let coded_before = coded();
    let content = prose(1, 16 << 20);
    let publisher = dev.publisher();
    let version = block_on(publisher.upload("/a.txt", Visibility::Public, content.clone())).expect("uploads");
    let begun = Instant::now();
    let live = block_on(publisher.commit(vec![version.version_sid])).expect("commits");
    let waited = begun.elapsed();
    println!("live after {waited:?}");
    // Two seconds, and room for a busy machine.
    assert!((Duration::from_secs(2)..Duration::from_secs(5)).contains(&waited), "{waited:?}");
    let site = dev.site();
    site.until(Protocol::Http1, "/a.txt", 200);
    let identity = format!("\"{}\"", hash(&content));
    assert_eq!(form(&site, "/a.txt"), (String::new(), identity.clone()), "as it is, first");

    until_coded(&site, "/a.txt");
    println!("compressed after {:?}", begun.elapsed());
    until_all_joined(&dev);
    for protocol in Protocol::ALL {
        let plain = site.get(protocol, "/a.txt");
        assert_eq!((plain.header("etag"), plain.header("content-encoding")), (&*identity, ""), "{protocol}");
        assert!(plain.body == content, "{protocol}");
    }
    let all = listed(&dev, "/a.txt");
    let names: Vec<_> = all.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names.iter().filter(|name| ["br", "zstd", "gzip"].contains(name)).count(), 3, "{all:?}");
    for (name, of_name) in all.iter().filter(|(name, _)| ["br", "zstd", "gzip"].contains(&name.as_str())) {
        let coded = site.ask(Protocol::Http2, "/a.txt").header("accept-encoding", name).send();
        assert_eq!(coded.header("content-encoding"), name);
        assert_eq!(hash(&coded.body), *of_name, "{name}");
        assert!(coded.body.len() < content.len() * 3 / 4, "{name}: {} bytes", coded.body.len());
    }
    let newest = dev.origin_figures().metric("skerry_origin_revision", &[]) as u64;
    assert_eq!(newest, live.revision + 1, "one revision more, and no deployment");
    assert_eq!(coded() - coded_before, 1.0, "once");
}

#[test]
fn a_receipt_is_of_the_revision_that_shows_the_bytes_as_they_are() {
    let dev = Dev::with(&LATE);
    let content = prose(2, 8 << 20);
    let cli = dev.cli();
    cli.write("a.txt", &content);
    let receipt = cli.run(&["put", "a.txt", "--wait", "--json"]).json();
    let revision = receipt["revision"].as_u64().expect("a revision");
    assert_eq!(dev.site().get(Protocol::Http2, "/a.txt").body, content);
    until_coded(&dev.site(), "/a.txt");
    until_all_joined(&dev);
    let figures = dev.origin_figures();
    assert_eq!(figures.metric("skerry_origin_revision", &[]), (revision + 1) as f64);
    // Of the demo page, and of this.
    figures.until("skerry_origin_derivations_total", &[("outcome", "joined")], |count| count == 2.0);
}

/// Kills at random moments: three by default, thirty with `SKERRY_TEST_FULL=1`.
#[test]
fn a_killed_origin_goes_on_compressing_and_forgets_no_build() {
    let mut dev = Dev::with(&LATE);
    let mut random = Random::printed("the kills");
    let rounds = if full() { 30 } else { 3 };
    for round in 0..rounds {
        let texts: Vec<_> = (0..3).map(|number| prose(random.next(), (1 + number) << 20)).collect();
        for (number, content) in texts.iter().enumerate() {
            publish(&dev, &format!("/{number}.txt"), content);
        }
        let_pass(Duration::from_millis(random.below(700)));
        dev.kill_9();
        dev.start_again();
        let site = dev.site();
        for (number, content) in texts.iter().enumerate() {
            let path = format!("/{number}.txt");
            site.until(Protocol::Http1, &path, 200);
            eventually("the edge shows what was acknowledged", || {
                (site.get(Protocol::Http1, &path).header("etag") == format!("\"{}\"", hash(content)))
                    .then_some(())
            });
            until_coded(&site, &path);
        }
        until_all_joined(&dev);
        for number in 0..texts.len() {
            assert_eq!(listed(&dev, &format!("/{number}.txt")).len(), 4, "round {round}: all forms");
        }
    }
}

#[test]
fn a_clean_stop_does_not_wait_for_compression_which_goes_on_at_the_next_start() {
    let mut dev = Dev::with(&LATE);
    for number in 0..4 {
        publish(&dev, &format!("/{number}.txt"), &prose(number, 8 << 20));
    }
    let begun = Instant::now();
    dev.restart();
    println!("restarted after {:?}", begun.elapsed());
    for number in 0..4 {
        until_coded(&dev.site(), &format!("/{number}.txt"));
    }
    until_all_joined(&dev);
}

#[test]
fn an_environment_that_moved_on_stays_where_it_is_and_the_build_has_its_forms_when_it_is_deployed_again() {
    let dev = Dev::with(&LATE);
    let (first, second) = (prose(1, 16 << 20), prose(2, 300));
    let (build, _) = publish(&dev, "/a.txt", &first);
    let (_, moved_on) = publish(&dev, "/a.txt", &second);
    until_all_joined(&dev);
    let site = dev.site();
    eventually("the newer build", || (site.get(Protocol::Http1, "/a.txt").body == second).then_some(()));
    let newest = dev.origin_figures().metric("skerry_origin_revision", &[]) as u64;
    // The newer build may have got a form, too: one revision. The older one is shown nowhere: none.
    assert!((moved_on..=moved_on + 1).contains(&newest), "{newest} after {moved_on}");

    dev.cli().run(&["deploy", &build, "--wait"]);
    assert_eq!(site.get(Protocol::Http2, "/a.txt").body, first);
    assert!(is_coded(&site, "/a.txt"), "in the same revision");
}

#[test]
fn a_rollback_to_a_build_whose_forms_are_on_their_way_gets_them() {
    let dev = Dev::with(&LATE);
    let first = prose(1, 16 << 20);
    publish(&dev, "/a.txt", &first);
    publish(&dev, "/a.txt", &prose(2, 300));
    dev.cli().run(&["rollback", "--wait"]);
    let site = dev.site();
    assert_eq!(site.get(Protocol::Http2, "/a.txt").body, first);
    until_coded(&site, "/a.txt");
    until_all_joined(&dev);
    assert_eq!(site.get(Protocol::Http2, "/a.txt").body, first);
}

#[test]
fn every_environment_that_shows_a_build_gets_its_forms() {
    let dev = Dev::with(&LATE);
    let api = Api::new(dev.line().text("/api"), dev.line().account());
    let service = api.create("/v1/Services", &[("UniqueName", "app"), ("FriendlyName", "app")]);
    let version = api.asset(&service, "/a.txt", "public", &prose(1, 16 << 20));
    let environments = format!("/v1/Services/{service}/Environments");
    let places: Vec<(String, Site)> = ["one", "two"]
        .map(|name| {
            let made = api.post(&environments, &[("UniqueName", name), ("DomainSuffix", name)]);
            let domain = made.text("/domain_name");
            let host = domain.rsplit_once(':').map_or(domain, |(host, _)| host);
            (made.text("/sid").to_owned(), dev.site().with_host(host))
        })
        .into();
    let begun = Instant::now();
    let (build, status) = api.build(&service, &[("AssetVersions", &version)]);
    println!("completed after {:?}", begun.elapsed());
    assert_eq!(status, "completed");
    for (environment, _) in &places {
        api.create(&format!("{environments}/{environment}/Deployments"), &[("BuildSid", &build)]);
    }
    for (_, site) in &places {
        site.until(Protocol::Http1, "/a.txt", 200);
        until_coded(site, "/a.txt");
    }
    until_all_joined(&dev);
    let shown = api.get(&format!("/v1/Services/{service}/Builds/{build}"));
    assert_eq!(shown.text("/date_updated"), shown.text("/date_created"), "it is the same build");
}

#[test]
fn past_its_processor_time_the_rest_of_a_build_stays_as_it_is() {
    let dev = Dev::with(&[
        LATE[0],
        LATE[1],
        "--set",
        "origin.compression.build_cpu_seconds_max=1",
        "--set",
        "origin.compression.brotli_level_large=10",
    ]);
    let publisher = dev.publisher();
    let mut versions = Vec::new();
    for number in 0..6 {
        let content = prose(number, 2 << 20);
        let path = format!("/{number}.txt");
        versions.push(
            block_on(publisher.upload(&path, Visibility::Public, content)).expect("uploads").version_sid,
        );
    }
    block_on(publisher.commit(versions)).expect("commits");
    until_all_joined(&dev);
    let ended = |outcome| {
        dev.origin_figures()
            .until("skerry_origin_derivations_total", &[("outcome", outcome)], |count| count == 1.0)
    };
    ended("out_of_time");
    let forms: Vec<_> = (0..6).map(|number| listed(&dev, &format!("/{number}.txt")).len()).collect();
    assert!(forms.contains(&1), "some have only identity: {forms:?}");
    assert!(forms.iter().any(|count| *count > 1), "what was made is shown: {forms:?}");
    let site = dev.site();
    for number in 0..6 {
        site.until(Protocol::Http2, &format!("/{number}.txt"), 200);
    }
}

#[test]
fn levels_and_bounds_are_configured() {
    let dev = Dev::with(&[
        "--set",
        "origin.compression.size_max=100KiB",
        "--set",
        "origin.compression.small_size_max=50KiB",
        "--set",
        "origin.compression.brotli_level_small=0",
        "--set",
        "origin.compression.zstd_level_large=0",
    ]);
    for (path, size, expected) in [
        ("/small.txt", 50 << 10, &["gzip", "zstd"][..]),
        ("/larger.txt", 60 << 10, &["br", "gzip"]),
        ("/largest.txt", 101 << 10, &[]),
    ] {
        publish(&dev, path, &prose(size as u64, size));
        until_all_joined(&dev);
        let mut names: Vec<_> = listed(&dev, path).into_iter().map(|(name, _)| name).collect();
        names.retain(|name| ["br", "zstd", "gzip"].contains(&name.as_str()));
        names.sort();
        assert_eq!(names, expected, "{path}");
    }
}
