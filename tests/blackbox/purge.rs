//! Purges: bytes that their account revokes are shown by nobody, at no path and by no hash, in no build, over no restart, until the
//! purge is lifted; another account's equal bytes are not touched.

use crate::harness::{Api, Cli, Dev, Edge, Origin, Protocol, bytes, eventually, hash};
use crate::protected::signed_get;

const CSS: &str =
    "p { color: rebeccapurple; margin: 0 0 0 0; padding: 0 0 0 0 } /* the same, again: rebeccapurple */\n";

fn by_hash(content: &[u8]) -> String {
    format!("/.skerry/b3/{}/x", hash(content))
}

/// A shell of another account, with a build of its own.
fn other(dev: &Dev, path: &str, content: &[u8]) -> (Cli, Api, String) {
    let account = dev.other_account();
    let cli = dev.cli_of(&account);
    cli.put(path, content);
    let listed = cli.run(&["env", "list", "--json"]).json();
    let domain = listed["environments"][0]["domain_name"].as_str().expect("a domain").to_owned();
    (cli, dev.api().of(account), domain.split(':').next().expect("a host").to_owned())
}

#[test]
fn purged_bytes_answer_410_wherever_they_stand_until_they_are_lifted() {
    let dev = Dev::start();
    let (cli, site) = (dev.cli(), dev.site());
    let film = bytes(7, 600_000);
    cli.put("/old.bin", &film);
    cli.write("film.bin", &film);
    cli.write("film.css", CSS.as_bytes());
    cli.write("stays.txt", b"stays");
    cli.run(&["put", "film.bin", "film.css", "stays.txt", "--wait"]);
    // So that its bytes are known by the history alone, too.
    cli.put("/old.bin", b"replaced");
    let shown = |path: &str, protocol| site.get(protocol, path).status;
    for path in ["/film.bin", "/film.css", &by_hash(&film)] {
        assert_eq!(shown(path, Protocol::Http2), 200, "{path}");
    }
    let purged = cli.run(&["purge", "/film.bin", "/film.css", "--wait", "--json"]).json();
    assert_eq!(purged["purged"].as_array().map(Vec::len), Some(2), "{purged}");
    assert_eq!(purged["edges"][0]["live"], true, "{purged}");
    for protocol in Protocol::ALL {
        for path in ["/film.bin", "/film.css", &by_hash(&film), &by_hash(CSS.as_bytes())] {
            let gone = site.get(protocol, path);
            assert_eq!(
                (gone.status.as_u16(), gone.header("cache-control")),
                (410, "no-store"),
                "{protocol} {path}"
            );
            for (name, value) in [("accept-encoding", "br"), ("range", "bytes=0-9"), ("if-none-match", "*")] {
                let asked = site.ask(protocol, path).header(name, value).send();
                assert_eq!(asked.status, 410, "{protocol} {path} {name}");
            }
        }
        assert_eq!(shown("/stays.txt", protocol), 200, "{protocol}");
    }

    // No build brings them back, an older one neither; and they are not published again by mistake.
    cli.put("/another.txt", b"another");
    cli.run(&["rollback", "--wait"]);
    assert_eq!(shown("/film.bin", Protocol::Http1), 410);
    cli.write("again.bin", &film);
    cli.refused(&["put", "again.bin"], &["were purged", "skerry purge --lift"]);

    let list = cli.run(&["purge", "--list", "--json"]).json();
    let hashes: Vec<&str> = list["purges"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|purge| purge["hash"].as_str())
        .collect();
    assert_eq!(hashes.len(), 2, "{list}");
    assert!(hashes.contains(&&*hash(&film).to_string()), "{list}");
    assert_eq!(list["purges"][0]["edges"][0]["unreachable"], true, "{list}");
    let lifted = cli.run(&["purge", "--lift", &hash(&film).to_string(), "--wait", "--json"]).json();
    assert_eq!(lifted["lifted"].as_array().map(Vec::len), Some(1), "{lifted}");
    for protocol in Protocol::ALL {
        assert!(site.get(protocol, "/film.bin").body == film, "{protocol}");
    }
    assert_eq!(shown("/film.css", Protocol::Http2), 410, "the other is not lifted");
    assert!(cli.run(&["audit", "--json"]).stdout.contains("purge of"));
}

#[test]
fn a_purge_touches_no_other_accounts_equal_bytes() {
    let dev = Dev::start();
    let film = bytes(3, 300_000);
    dev.cli().put("/film.bin", &film);
    let (theirs, _, domain) = other(&dev, "/film.bin", &film);
    let site = dev.site().with_host(&domain);
    site.until(Protocol::Http2, "/film.bin", 200);
    dev.cli().run(&["purge", "/film.bin", "--wait"]);
    assert_eq!(dev.site().get(Protocol::Http2, "/film.bin").status, 410);
    for protocol in Protocol::ALL {
        assert!(site.get(protocol, "/film.bin").body == film, "{protocol}");
        assert!(site.get(protocol, &by_hash(&film)).body == film, "{protocol}");
    }
    // What is not theirs they can neither purge nor lift, and learn nothing of it.
    theirs.run(&["rm", "/film.bin", "--wait"]);
    let unknown = hash(b"nobody has published this").to_string();
    theirs.refused(&["purge", "--hash", &unknown], &["blob", &unknown]);
    theirs.refused(&["purge", "--lift", &hash(&film).to_string()], &["purge"]);
    theirs.refused(&["purge", "/film.bin"], &["/film.bin"]);
    assert_eq!(theirs.run(&["purge", "--list", "--json"]).json()["purges"].as_array().map(Vec::len), Some(0));
}

#[test]
fn a_purge_holds_over_restarts_of_edge_and_origin_and_while_the_origin_is_away() {
    let mut origin = Origin::start();
    let mut edge = Edge::join(&origin);
    let cli = origin.cli();
    let film = bytes(5, 700_000);
    cli.put("/film.bin", &film);
    let domain = origin.domain().to_owned();
    assert!(edge.site(&domain).get(Protocol::Http2, "/film.bin").body == film);
    // With the copies on disk, which a restart would find again.
    edge.stop();
    edge.start_again();
    assert!(edge.site(&domain).get(Protocol::Http2, "/film.bin").body == film);
    cli.run(&["purge", "/film.bin", "--wait"]);
    let assert_gone = |edge: &Edge| {
        for path in ["/film.bin", &by_hash(&film)] {
            assert_eq!(edge.site(&domain).get(Protocol::Http2, path).status, 410, "{path}");
        }
    };
    assert_gone(&edge);
    edge.kill_9();
    edge.start_again();
    assert_gone(&edge);
    origin.kill_9();
    edge.kill_9();
    edge.start_again_without_origin();
    assert_gone(&edge);
    origin.start_again();
    assert_gone(&edge);
    // A new edge is told, too, and gets no byte.
    let newcomer = Edge::join(&origin);
    assert_gone(&newcomer);
    let figures = newcomer.figures();
    // Documents come by fills, too.
    let filled = figures.metric("skerry_edge_fill_bytes_total", &[]);
    assert!(filled < 10_000.0, "{filled}");
    let list = origin.cli().run(&["purge", "--list", "--json"]).json();
    assert!(list["purges"][0]["edges"].as_array().is_some_and(|edges| edges.len() == 2), "{list}");
}

#[test]
fn a_protected_asset_says_that_it_was_purged_to_nobody_who_may_not_have_it() {
    let dev = Dev::start();
    let cli = dev.cli();
    cli.write("film.bin", &bytes(4, 1000));
    cli.run(&["put", "film.bin", "--visibility", "protected", "--wait"]);
    cli.run(&["purge", "/film.bin", "--wait"]);
    let token = dev.line().account().token;
    for protocol in Protocol::ALL {
        assert_eq!(dev.site().get(protocol, "/film.bin").status, 403, "{protocol}");
        assert_eq!(signed_get(&dev.site(), protocol, "/film.bin", &token).status, 410, "{protocol}");
    }
}

#[test]
fn bad_purges_are_refused_and_change_nothing() {
    let dev = Dev::start();
    let cli = dev.cli();
    cli.put("/a.txt", b"a");
    cli.write("secret.txt", b"private");
    cli.run(&["put", "secret.txt", "--visibility", "private"]);
    for (arguments, words) in [
        (vec!["purge"], vec!["--lift"]),
        (vec!["purge", "no-slash"], vec!["no-slash"]),
        (vec!["purge", "/a.txt", "/nowhere.txt"], vec!["/nowhere.txt"]),
        (vec!["purge", "/secret.txt"], vec!["/secret.txt"]),
        (vec!["purge", "--hash", "0123"], vec!["0123"]),
        (vec!["purge", "--list", "--wait"], vec!["--list"]),
    ] {
        cli.refused(&arguments, &words);
    }
    assert_eq!(cli.run(&["purge", "--list", "--json"]).json()["purges"].as_array().map(Vec::len), Some(0));
    assert_eq!(dev.site().get(Protocol::Http2, "/a.txt").status, 200);
}

#[test]
fn what_was_purged_is_overwritten_when_the_disk_has_turned_over() {
    let origin = Origin::start();
    let edge = Edge::join_set(
        &origin,
        &["cache.disk_size=128MiB", "cache.write_buffer_size=8MiB", "cache.memory_size=16MiB"],
    );
    let cli = origin.cli();
    cli.put("/film.bin", &bytes(5, 700_000));
    let site = edge.site(origin.domain());
    assert_eq!(site.get(Protocol::Http2, "/film.bin").status, 200);
    cli.run(&["purge", "/film.bin", "--wait"]);
    let overwritten =
        || cli.run(&["purge", "--list", "--json"]).json()["purges"][0]["edges"][0]["overwritten"] == true;
    assert!(!overwritten(), "not at once");
    // More than the disk holds, asked for again and again: what was asked for before goes to disk, whatever is there.
    let large: Vec<String> = (0..4).map(|number| format!("/large-{number}.bin")).collect();
    for (seed, path) in large.iter().enumerate() {
        cli.put(path, &bytes(seed as u64, 60 << 20));
    }
    eventually("the disk has turned over", || {
        assert!(site.get_all(large.iter().map(String::as_str)).iter().all(|response| response.status == 200));
        overwritten().then_some(())
    });
}

#[test]
fn evicted_copies_are_dropped_and_fetched_again_and_nothing_else_changes() {
    let origin = Origin::start();
    let edges = [Edge::join(&origin), Edge::join(&origin)];
    let cli = origin.cli();
    let film = bytes(9, 3 * 262_144);
    cli.put("/film.bin", &film);
    cli.put("/other.bin", &bytes(8, 1000));
    let status = |edge: &Edge, path: &str| {
        let response = edge.site(origin.domain()).get(Protocol::Http2, path);
        assert_eq!(response.status, 200, "{path}");
        response.header("cache-status").to_owned()
    };
    for path in ["/film.bin", "/other.bin"] {
        status(&edges[0], path);
        assert_eq!(status(&edges[0], path), "skerry; hit; detail=memory");
    }
    let evicted = cli.run(&["evict", "/film.bin", "--json"]).json();
    let mut slices: Vec<_> =
        evicted["edges"].as_array().expect("edges").iter().map(|edge| &edge["slices"]).collect();
    slices.sort_by_key(|count| count.as_u64());
    // Three and their list where it was asked for, none where it was not.
    assert_eq!(slices, [0, 4], "{evicted}");
    assert_eq!(status(&edges[0], "/film.bin"), "skerry; fwd=miss; stored");
    assert_eq!(status(&edges[0], "/other.bin"), "skerry; hit; detail=memory");
    assert_eq!(cli.run(&["purge", "--list", "--json"]).json()["purges"].as_array().map(Vec::len), Some(0));
    cli.refused(&["evict"], &["path", "--hash"]);
    cli.refused(&["evict", "/nowhere.bin"], &["/nowhere.bin"]);

    // An edge that is away may keep its copies, and it is said which.
    let [mut away, _there] = edges;
    away.kill_9();
    let left = cli.attempt(&["evict", "--hash", &hash(&film).to_string(), "--json"]);
    assert_eq!(left.code, Some(3), "{left:?}");
    let answered = left.json()["edges"]
        .as_array()
        .expect("edges")
        .iter()
        .filter(|edge| edge["answered"] == true)
        .count();
    assert_eq!(answered, 1, "{left:?}");
}
