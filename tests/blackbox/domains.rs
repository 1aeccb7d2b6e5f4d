//! Domains that accounts bring along: claimed, proven in DNS, served like an environment's own, and given up.

use crate::harness::{Api, Cli, Dev, Edge, FakeDns, Mood, Origin, Protocol, bytes};
use serde_json::Value;

const MUSIC: &str = "music.test";
const RECORD: &str = "_skerry.music.test";

/// An origin that asks a DNS server of ours.
#[track_caller]
fn start() -> (FakeDns, Origin) {
    let dns = FakeDns::start();
    let origin = Origin::start_set(&asking(&dns));
    (dns, origin)
}

fn asking(dns: &FakeDns) -> String {
    format!("domains.dns_servers = [\"{}\"]\ndomains.dns_timeout_seconds = 1", dns.address())
}

/// What the record of an account has to say.
fn value(sid: &str) -> String {
    format!("skerry-account={sid}")
}

#[track_caller]
fn assert_status(edge: &Edge, host: &str, path: &str, status: u16) {
    for protocol in Protocol::ALL {
        assert_eq!(edge.site(host).get(protocol, path).status, status, "{protocol} {host}{path}");
    }
}

#[track_caller]
fn assert_shows(edge: &Edge, host: &str, path: &str, content: &[u8]) {
    for protocol in Protocol::ALL {
        let response = edge.site(host).get(protocol, path);
        assert_eq!(response.status, 200, "{protocol} {host}{path}");
        assert!(response.body == content, "{protocol} {host}{path}");
    }
}

fn statuses(cli: &Cli) -> Vec<(String, String)> {
    let listed = cli.run(&["domain", "list", "--json"]).json();
    let text = |domain: &Value, key: &str| domain[key].as_str().expect("a text").to_owned();
    let domains = listed["domains"].as_array().expect("domains").clone();
    domains.iter().map(|domain| (text(domain, "domain_name"), text(domain, "status"))).collect()
}

#[test]
fn a_proven_domain_shows_what_the_environments_own_shows_until_it_is_removed() {
    let (dns, origin) = start();
    let edge = Edge::join(&origin);
    let cli = origin.cli();
    let (first, second) = (bytes(1, 600_000), bytes(2, 600_000));
    cli.put("/sound.mp3", &first);

    let added = cli.run(&["domain", "add", "Music.TEST.", "--json"]).json();
    assert_eq!(added["domain_name"], MUSIC);
    assert_eq!(added["status"], "pending");
    assert_eq!(added["record"]["name"], RECORD);
    assert_eq!(added["record"]["value"], value(&origin.account().sid));
    assert_status(&edge, MUSIC, "/sound.mp3", 421);

    cli.refused(
        &["domain", "verify", MUSIC],
        &["not proven", RECORD, "has no TXT record", &value(&origin.account().sid)],
    );
    dns.set(RECORD, &["v=spf1 -all", &value("AC00000000000000000000000000000000")]);
    cli.refused(&["domain", "verify", MUSIC], &["not proven", "v=spf1 -all", "AC0000"]);
    assert_eq!(statuses(&cli), [(MUSIC.into(), "pending".into())]);
    assert_status(&edge, MUSIC, "/sound.mp3", 421);

    dns.set(RECORD, &["v=spf1 -all", &value(&origin.account().sid)]);
    let verified = cli.run(&["domain", "verify", MUSIC, "--wait", "--json"]).json();
    assert_eq!(verified["status"], "live");
    assert_eq!(verified["edges"][0]["live"], true, "{verified}");
    assert_eq!(dns.asked().last().map(String::as_str), Some(RECORD));
    assert_shows(&edge, MUSIC, "/sound.mp3", &first);

    cli.put("/sound.mp3", &second);
    assert_shows(&edge, MUSIC, "/sound.mp3", &second);
    assert_shows(&edge, origin.domain(), "/sound.mp3", &second);
    cli.run(&["rollback", "--wait"]);
    assert_shows(&edge, MUSIC, "/sound.mp3", &first);

    let removed = cli.run(&["domain", "remove", MUSIC, "--wait", "--json"]).json();
    assert_eq!(removed["edges"][0]["live"], true, "{removed}");
    assert_status(&edge, MUSIC, "/sound.mp3", 421);
    assert_shows(&edge, origin.domain(), "/sound.mp3", &first);
    assert_eq!(statuses(&cli), []);
    cli.refused(&["domain", "verify", MUSIC], &["no domain", MUSIC, "add it first"]);
}

/// Both names are in one pointer, so no edge shows one without the other.
#[test]
fn two_names_of_an_environment_are_one_revision() {
    let (dns, origin) = start();
    let cli = origin.cli();
    cli.run(&["domain", "add", MUSIC]);
    dns.set(RECORD, &[&value(&origin.account().sid)]);
    let verified = cli.run(&["domain", "verify", MUSIC, "--json"]).json();
    let file = cli.write("a.txt", b"a");
    let put = cli.run(&["put", file.to_str().expect("UTF-8"), "--json"]).json();
    let revision = |value: &Value| value["revision"].as_u64().expect("a revision");
    assert_eq!(revision(&put), revision(&verified) + 1);
    let again = cli.run(&["domain", "verify", MUSIC, "--json"]).json();
    assert_eq!(revision(&again), revision(&put), "what is live already changes nothing");
}

#[test]
fn a_restarted_edge_shows_a_domain_without_its_origin() {
    let (dns, mut origin) = start();
    let mut edge = Edge::join(&origin);
    let cli = origin.cli();
    cli.put("/a.txt", b"a");
    cli.run(&["domain", "add", MUSIC]);
    dns.set(RECORD, &[&value(&origin.account().sid)]);
    cli.run(&["domain", "verify", MUSIC, "--wait"]);
    assert_shows(&edge, MUSIC, "/a.txt", b"a");
    origin.kill_9();
    edge.stop();
    edge.start_again_without_origin();
    edge.site(MUSIC).until(Protocol::Http2, "/a.txt", 200);
    assert_shows(&edge, MUSIC, "/a.txt", b"a");
}

#[test]
fn anybody_may_claim_a_domain_and_only_the_proof_counts() {
    let (dns, origin) = start();
    let edge = Edge::join(&origin);
    let (ours, other) = (origin.account().clone(), origin.another_account());
    let (cli, their_cli) = (origin.cli(), origin.cli_of(&other));
    cli.put("/who.txt", b"ours");
    their_cli.put("/who.txt", b"theirs");
    for cli in [&cli, &their_cli] {
        assert_eq!(cli.run(&["domain", "add", MUSIC, "--json"]).json()["status"], "pending");
    }
    dns.set(RECORD, &[&value(&ours.sid)]);
    their_cli.refused(&["domain", "verify", MUSIC], &["not proven", &value(&other.sid)]);
    cli.run(&["domain", "verify", MUSIC, "--wait"]);
    assert_shows(&edge, MUSIC, "/who.txt", b"ours");

    dns.set(RECORD, &[&value(&ours.sid), &value(&other.sid)]);
    let refused = their_cli.refused(&["domain", "verify", MUSIC], &["live in another account", RECORD]);
    assert!(!refused.stderr.contains(&ours.sid), "whose it is, is nobody's business: {refused:?}");
    assert_shows(&edge, MUSIC, "/who.txt", b"ours");

    // Without a record it stays what it is until somebody proves that it is theirs now.
    dns.set(RECORD, &[]);
    their_cli.refused(&["domain", "verify", MUSIC], &["not proven"]);
    assert_shows(&edge, MUSIC, "/who.txt", b"ours");
    dns.set(RECORD, &[&value(&other.sid)]);
    their_cli.run(&["domain", "verify", MUSIC, "--wait"]);
    assert_shows(&edge, MUSIC, "/who.txt", b"theirs");
    assert_eq!(statuses(&cli), [(MUSIC.into(), "pending".into())]);
    assert_shows(&edge, origin.domain(), "/who.txt", b"ours");
    cli.put("/who.txt", b"ours again");
    assert_shows(&edge, MUSIC, "/who.txt", b"theirs");
}

#[test]
fn a_domain_is_live_in_one_environment_of_an_account() {
    let (dns, origin) = start();
    let cli = origin.cli();
    cli.run(&["env", "create", "staging"]);
    dns.set(RECORD, &[&value(&origin.account().sid)]);
    for environment in ["default", "staging"] {
        cli.run(&["domain", "add", MUSIC, "--environment", environment]);
    }
    cli.run(&["domain", "verify", MUSIC, "--environment", "default"]);
    let moved = ["domain", "verify", MUSIC, "--environment", "staging"];
    cli.refused(&moved, &["live in your environment ZE", "remove it there first"]);
    cli.run(&["domain", "remove", MUSIC, "--environment", "default"]);
    cli.run(&moved);
}

#[test]
fn names_that_nobody_can_claim_are_refused_with_the_reason_and_change_nothing() {
    let origin = Origin::start_set("domains.count_max = 2");
    let cli = origin.cli();
    let cases: [(&str, &[&str]); 9] = [
        ("*.music.test", &["wildcard"]),
        ("192.0.2.1", &["IP address"]),
        ("2001:db8::1", &["IP address"]),
        ("localhost", &["one label"]),
        ("music.localhost", &["localhost", "lies in DNS"]),
        ("radio.sites.test", &["under the cluster's own domain"]),
        ("sites.test", &["under the cluster's own domain"]),
        ("https://music.test", &["no host name"]),
        ("mu_sic.test", &["no host name"]),
    ];
    for (name, words) in cases {
        cli.refused(&["domain", "add", name], words);
    }
    assert_eq!(statuses(&cli), []);
    let added = cli.run(&["domain", "add", "m\u{fc}sik.test", "--json"]).json();
    assert_eq!(added["domain_name"], "xn--msik-0ra.test");
    let again = cli.run(&["domain", "add", "xn--msik-0ra.test", "--json"]).json();
    assert_eq!(again["domain_sid"], added["domain_sid"], "the same name is the same domain");
    cli.run(&["domain", "add", MUSIC]);
    cli.refused(&["domain", "add", "radio.test"], &["2 domains", "domains.count_max"]);
    assert_eq!(statuses(&cli).len(), 2);
    cli.run(&["domain", "remove", "M\u{dc}SIK.test"]);
    assert_eq!(statuses(&cli), [(MUSIC.into(), "pending".into())]);
}

#[test]
fn dns_that_does_not_answer_is_said_and_changes_nothing() {
    let (dns, origin) = start();
    let cli = origin.cli();
    cli.run(&["domain", "add", MUSIC]);
    dns.set(RECORD, &[&value(&origin.account().sid)]);
    for mood in [Mood::Failing, Mood::Silent] {
        dns.be(mood);
        cli.refused(&["domain", "verify", MUSIC], &["DNS servers", RECORD, "try again"]);
    }
    let proofs =
        |outcome| origin.figures().metric("skerry_origin_domain_proofs_total", &[("outcome", outcome)]);
    assert_eq!((proofs("failed"), proofs("proven")), (2.0, 0.0));
    dns.be(Mood::Honest);
    cli.run(&["domain", "verify", MUSIC]);
    assert_eq!(proofs("proven"), 1.0);
}

/// RFC 9110 §7.4. What shows nothing is there; what is deleted is not.
#[test]
fn names_of_a_deleted_environment_are_421_and_stay_so_when_an_edge_restarts() {
    let (dns, origin) = start();
    let mut edge = Edge::join(&origin);
    let cli = origin.cli();
    let made = cli.run(&["env", "create", "staging", "--json"]).json();
    let domain = made["domain_name"].as_str().expect("a domain");
    let file = cli.write("a.txt", b"a");
    cli.run(&["put", file.to_str().expect("UTF-8"), "--environment", "staging", "--wait"]);
    cli.run(&["domain", "add", MUSIC, "--environment", "staging"]);
    dns.set(RECORD, &[&value(&origin.account().sid)]);
    cli.run(&["domain", "verify", MUSIC, "--environment", "staging", "--wait"]);
    for host in [domain, MUSIC] {
        assert_shows(&edge, host, "/a.txt", b"a");
    }
    cli.refused(&["env", "delete", "staging"], &["nothing was deleted", domain, "--yes"]);
    cli.run(&["env", "delete", "staging", "--yes", "--wait"]);
    for host in [domain, MUSIC] {
        assert_status(&edge, host, "/a.txt", 421);
    }
    assert_status(&edge, origin.domain(), "/a.txt", 404);
    edge.stop();
    edge.start_again();
    for host in [domain, MUSIC] {
        assert_status(&edge, host, "/a.txt", 421);
    }
    // The name is free again.
    cli.run(&["domain", "add", MUSIC]);
    cli.run(&["domain", "verify", MUSIC, "--wait"]);
    assert_status(&edge, MUSIC, "/a.txt", 404);
}

#[test]
fn the_rest_api_does_the_same_and_nothing_for_another_account() {
    let dns = FakeDns::start();
    let servers = format!("origin.domains.dns_servers={}", dns.address());
    let dev = Dev::with(&["--set", &servers]);
    let api = Api::new(dev.line().text("/api"), dev.line().account());
    let place = format!("/v1/Services/{}/Environments", dev.line().text("/service_sid"));
    let staging = api.create(&place, &[("UniqueName", "staging"), ("DomainSuffix", "staging")]);
    let domains = format!("{place}/{staging}/Domains");
    assert_eq!(
        api.get(&format!("{place}/{staging}")).text("/links/domains"),
        format!("{}{domains}", dev.line().text("/api"))
    );

    let added = api.post(&domains, &[("DomainName", "M\u{fc}sik.test")]);
    assert_eq!(added.status, 201, "{added:?}");
    let sid = added.text("/sid").to_owned();
    let account = dev.line().account();
    assert_eq!(added.text("/domain_name"), "xn--msik-0ra.test");
    assert_eq!((added.text("/status"), added.text("/record/type")), ("pending", "TXT"));
    assert_eq!(added.text("/record/name"), "_skerry.xn--msik-0ra.test");
    assert_eq!(added.text("/record/value"), value(&account.sid));
    assert_eq!(added.body["date_verified"], Value::Null);
    assert_eq!(api.create(&domains, &[("DomainName", "xn--msik-0ra.test")]), sid);

    let verify = added.text("/links/verify").to_owned();
    api.post(&verify, &[]).assert_refused(409, 20409, &["not proven", "_skerry.xn--msik-0ra.test"]);
    dns.be(Mood::Failing);
    api.post(&verify, &[]).assert_refused(503, 20503, &["DNS servers"]);
    dns.be(Mood::Honest);
    dns.set("_skerry.xn--msik-0ra.test", &[&value(&account.sid)]);
    let verified = api.post(&verify, &[]);
    assert_eq!((verified.status, verified.text("/status")), (200, "live"), "{verified:?}");
    assert!(verified.text("/date_verified").ends_with('Z'));

    let version = api.asset(dev.line().text("/service_sid"), "/staged.txt", "public", b"staged");
    let (build, _) = api.build(dev.line().text("/service_sid"), &[("AssetVersions", &version)]);
    api.create(&format!("{place}/{staging}/Deployments"), &[("BuildSid", &build)]);
    let site = dev.site().with_host("xn--msik-0ra.test");
    assert_eq!(site.until(Protocol::Http2, "/staged.txt", 200).text(), "staged");

    let listed = api.get(&domains);
    assert_eq!((listed.text("/domains/0/sid"), listed.text("/meta/key")), (&*sid, "domains"));
    for bad in ["*.music.test", "192.0.2.1", "x.localhost", "a b"] {
        api.post(&domains, &[("DomainName", bad)]).assert_refused(400, 20001, &["cannot be added"]);
    }
    api.post(&domains, &[]).assert_refused(400, 20001, &["DomainName is missing"]);

    let made = dev.cli().run(&["account", "create", "--json"]).json();
    let said = |key: &str| made[key].as_str().expect("a text").to_owned();
    let stranger = api.of(crate::harness::Account { sid: said("account_sid"), token: said("auth_token") });
    let one = format!("{domains}/{sid}");
    for answer in
        [stranger.get(&domains), stranger.get(&one), stranger.post(&verify, &[]), stranger.delete(&one)]
    {
        assert_eq!(answer.status, 404, "{answer:?}");
    }
    assert_eq!(stranger.post(&domains, &[("DomainName", MUSIC)]).status, 404);

    assert_eq!(api.delete(&format!("{domains}/xn--msik-0ra.test")).status, 204);
    assert_eq!(api.get(&one).status, 404);
    site.until(Protocol::Http2, "/staged.txt", 404);
}
