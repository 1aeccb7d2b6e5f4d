//! What `skerry put` need not send, because its account has the bytes already; and that nobody learns of another's bytes by it.

use crate::harness::{Account, Cli, Dev, Protocol, block_on, bytes, files_below, full, hash};
use serde_json::Value;
use std::fs;
use std::time::{Duration, Instant};

/// Publishes files, and says of each path whether its bytes were sent.
#[track_caller]
fn put(cli: &Cli, arguments: &[&str]) -> Vec<(String, bool)> {
    let arguments = [&["put", "--json"], arguments].concat();
    let said = cli.run(&arguments).json();
    let assets = said["assets"].as_array().expect("assets").clone();
    let sent = |asset: &Value| asset["sent"].as_bool().expect("a flag");
    assets.iter().map(|asset| (asset["path"].as_str().expect("a path").to_owned(), sent(asset))).collect()
}

fn received(dev: &Dev) -> u64 {
    dev.origin_figures().metric("skerry_origin_upload_bytes_total", &[]) as u64
}

#[test]
fn bytes_that_the_account_has_are_sent_once_wherever_they_are_published() {
    let dev = Dev::start();
    let cli = dev.cli();
    let content = bytes(1, 700_000);
    for (name, content) in [("sound.mp3", &content[..]), ("no-extension", b"%PDF-1.7"), ("empty.txt", b"")] {
        cli.write(&format!("site/{name}"), content);
    }
    let first = put(&cli, &["site"]);
    assert!(first.iter().all(|(_, sent)| *sent), "{first:?}");
    let before = received(&dev);
    let again = cli.run(&["put", "site", "--path", "/copy", "--wait"]);
    assert!(again.stderr.contains("3 of 3 files were at the origin already"), "{again:?}");
    assert_eq!(received(&dev), before);
    for protocol in Protocol::ALL {
        let [original, copy] = ["/sound.mp3", "/copy/sound.mp3"].map(|path| dev.site().get(protocol, path));
        assert!(original.body == content && copy.body == content, "{protocol}");
        assert_eq!(copy.header("content-type"), "audio/mpeg");
    }
    let by_content = dev.site().get(Protocol::Http2, "/copy/no-extension");
    assert_eq!(by_content.header("content-type"), "application/pdf", "as if it had been sent");

    cli.write("site/new.txt", b"new");
    let mut mixed = put(&cli, &["site", "--visibility", "private", "--wait"]);
    mixed.sort();
    let expected =
        [("/empty.txt", false), ("/new.txt", true), ("/no-extension", false), ("/sound.mp3", false)];
    assert_eq!(mixed, expected.map(|(path, sent)| (path.to_owned(), sent)));
    assert_eq!(dev.site().get(Protocol::Http2, "/sound.mp3").status, 404, "private now");

    let all = put(&cli, &["site/sound.mp3", "--resend", "--yes"]);
    assert_eq!(all, [("/sound.mp3".to_owned(), true)]);
}

#[test]
fn what_would_be_refused_is_refused_without_being_sent() {
    let dev = Dev::with(&["--set", "origin.limits.private_size_max=1000"]);
    let cli = dev.cli();
    let file = cli.write("a.bin", &bytes(1, 2000));
    let file = file.to_str().expect("UTF-8");
    cli.run(&["put", file]);
    cli.refused(&["put", file, "--visibility", "private"], &["2000 bytes", "limits.private_size_max"]);
    let [known, unknown] = [bytes(1, 2000), bytes(2, 2000)];
    let refused = block_on(dev.publisher().reuse(&[("/a", &known), ("no-slash", &unknown)]));
    assert_eq!(refused.expect_err("refused").metadata().get("skerry-code").expect("a code"), "invalid_path");
    let many = vec![("/a", &known[..]); 1001];
    block_on(dev.publisher().reuse(&many)).expect_err("more than one call may name");
    // What declares is read by the origin each time.
    cli.write("rules/_skerry.toml", b"index = \"index.html\"\n");
    for _ in 0..2 {
        assert_eq!(put(&cli, &["rules"]), [("/_skerry.toml".to_owned(), true)]);
    }
}

#[test]
fn nothing_tells_an_account_which_bytes_another_has() {
    let dev = Dev::start();
    let (ours, secret) = (dev.cli(), bytes(1, 300_000));
    ours.put("/secret.bin", &secret);
    let (other, _) = dev.publisher().create_account("other");
    let stranger = dev.publisher().with_account(other.clone());
    let nobodys = bytes(9, 300_000);
    let ask = |content: &[u8]| block_on(stranger.reuse(&[("/x", content)])).expect("answers");
    assert_eq!((ask(&secret), ask(&nobodys)), (vec![false], vec![false]));

    let cli = cli_of(&dev, &other);
    let file = cli.write("guess.bin", &secret);
    let before = received(&dev);
    assert_eq!(put(&cli, &[file.to_str().expect("UTF-8")]), [("/guess.bin".to_owned(), true)]);
    assert_eq!(received(&dev), before + secret.len() as u64);
    assert_eq!(ask(&secret), [true], "they are its own now");

    if full() {
        let (third, _) = dev.publisher().create_account("third");
        let third = dev.publisher().with_account(third);
        let mut times: [Vec<Duration>; 2] = Default::default();
        for round in 0..2000 {
            let (times, content) = (&mut times[round % 2], [&secret, &nobodys][round % 2]);
            let asked = Instant::now();
            assert_eq!(block_on(third.reuse(&[("/x", content)])).expect("answers"), [false]);
            times.push(asked.elapsed());
        }
        let [known, unknown] = times.map(|mut times| {
            times.sort();
            times[times.len() / 2]
        });
        let apart = known.abs_diff(unknown);
        assert!(apart < unknown / 10, "medians {known:?} for bytes of others, {unknown:?} for nobody's");
    }
}

#[test]
fn what_the_account_has_no_more_is_sent_again() {
    let dev = Dev::start();
    let cli = dev.cli();
    let content = bytes(1, 300_000);
    cli.run(&["service", "create", "shop"]);
    cli.run(&["env", "create", "production", "--service", "shop"]);
    let file = cli.write("a.bin", &content);
    let file = file.to_str().expect("UTF-8");
    put(&cli, &[file, "--service", "shop"]);
    put(&cli, &[file, "--service", "default"]);
    cli.run(&["service", "delete", "shop", "--yes"]);
    assert_eq!(put(&cli, &[file]), [("/a.bin".to_owned(), false)], "another service has it still");
    cli.run(&["service", "create", "store"]);
    cli.run(&["env", "create", "production", "--service", "store"]);
    cli.run(&["service", "delete", "default", "--yes"]);
    assert_eq!(put(&cli, &[file]), [("/a.bin".to_owned(), true)]);

    // A blob that the disk lost is mended by its owner's next publication.
    let name = hash(&content);
    let blob = files_below(&dev.data().join("origin/blobs")).into_iter().find(|path| path.ends_with(&name));
    fs::remove_file(blob.expect("a file of this name")).expect("removes");
    assert_eq!(put(&cli, &[file]), [("/a.bin".to_owned(), true)]);
    assert!(cli.run(&["get", "/a.bin", "-o", "copy.bin"]).code == Some(0));
    assert!(fs::read(cli.folder().join("copy.bin")).expect("reads") == content);
}

fn cli_of(dev: &Dev, account: &Account) -> Cli {
    dev.cli().with("SKERRY_ACCOUNT_SID", &account.sid).with("SKERRY_AUTH_TOKEN", &account.token)
}
