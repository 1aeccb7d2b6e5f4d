//! What is refused at publishing: with words that help, an exit that scripts see, and nothing left behind.

use crate::harness::{Account, Cli, Dev, Protocol, block_on, bytes, eventually, files_below};
use bytes::Bytes;
use skerry_proto::wire::Visibility;
use std::path::PathBuf;
use tonic::Code;

/// What there is: files of the blob store, and the assets that the live build shows.
#[derive(Debug, PartialEq)]
struct Inventory {
    blobs: Vec<PathBuf>,
    assets: Vec<String>,
}

fn inventory(dev: &Dev) -> Inventory {
    let assets = block_on(dev.publisher().list()).expect("lists");
    let assets = assets.into_iter().map(|asset| format!("{} {}", asset.path, asset.version_sid)).collect();
    Inventory { blobs: files_below(&dev.data().join("origin/blobs")), assets }
}

/// Runs what must leave nothing behind.
#[track_caller]
fn leaves_nothing(dev: &Dev, refused: impl FnOnce()) {
    let before = inventory(dev);
    refused();
    // An upload that broke off is cleaned up when the origin notices.
    eventually("nothing is left behind", || (inventory(dev) == before).then_some(()));
}

#[test]
fn paths_that_could_mislead_are_refused() {
    let dev = Dev::start();
    let cli = dev.cli();
    cli.write("a.txt", b"a");
    let long = format!("/{}", "a".repeat(255));
    let cases = [
        ("no-slash", "begins with /"),
        ("/folder/", "file name"),
        ("/", "file name"),
        ("/a/../b", ".."),
        ("/..", ".."),
        ("/./a", "segment"),
        ("/.skerry/a", "reserved"),
        (&long, "255"),
    ];
    leaves_nothing(&dev, || {
        for (path, word) in cases {
            cli.refused(&["put", "a.txt", "--path", path], &[word]);
        }
    });
    let longest = format!("/{}", "ü".repeat(254));
    cli.run(&["put", "a.txt", "--path", &longest, "--wait"]);
    assert_eq!(dev.site().get(Protocol::Http1, &format!("/{}", "%C3%BC".repeat(254))).text(), "a");
}

/// The command line checks first; a client of somebody else may not.
#[test]
fn the_origin_itself_refuses_bad_heads() {
    let dev = Dev::start();
    let publisher = dev.publisher();
    let upload = |path: &str, visibility: i32, announced: u64, content: &Bytes| {
        block_on(publisher.upload_as(path, visibility, announced, content.clone()))
            .map(|_| ())
            .unwrap_err()
            .code()
    };
    let (public, content) = (Visibility::Public as i32, bytes(1, 100_000));
    let size = content.len() as u64;
    leaves_nothing(&dev, || {
        let paths = ["", "a", "/", "/a/", "/a\0b", "/a/../b", "/.skerry/a"];
        let long = format!("/{}", "a".repeat(255));
        for path in paths.into_iter().chain([long.as_str()]) {
            assert_eq!(upload(path, public, size, &content), Code::InvalidArgument, "{path:?}");
        }
        for visibility in [0, 99, -1] {
            assert_eq!(upload("/a", visibility, size, &content), Code::InvalidArgument, "{visibility}");
        }
        for announced in [0, size - 1, size + 1] {
            assert_eq!(upload("/a", public, announced, &content), Code::InvalidArgument, "{announced}");
        }
        for announced in [104_857_601, u64::MAX] {
            let code = upload("/a", public, announced, &content);
            assert!(
                matches!(code, Code::InvalidArgument | Code::ResourceExhausted | Code::OutOfRange),
                "{code:?}"
            );
        }
    });
}

#[test]
fn a_file_over_the_limit_is_refused_with_the_limit() {
    let dev = Dev::start();
    let cli = dev.cli();
    cli.write("large.bin", &bytes(2, 104_857_601));
    cli.write("private.bin", &bytes(3, 5_242_881));
    leaves_nothing(&dev, || {
        cli.refused(&["put", "large.bin"], &["large.bin", "104857600"].map(|word| word));
        cli.refused(&["put", "private.bin", "--visibility", "private"], &["private.bin"]);
    });
}

#[test]
fn an_unknown_visibility_is_told_which_there_are() {
    let dev = Dev::start();
    let cli = dev.cli();
    cli.write("a.txt", b"a");
    leaves_nothing(&dev, || {
        cli.refused(
            &["put", "a.txt", "--visibility", "secret"],
            &["secret", "public", "protected", "private"],
        );
    });
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let dev = Dev::start();
    leaves_nothing(&dev, || {
        dev.cli().refused(&["put", "missing.txt"], &["missing.txt"]);
    });
}

/// All or nothing: a good file beside a bad one is not published.
#[test]
fn one_bad_file_of_many_publishes_none() {
    let dev = Dev::start();
    let cli = dev.cli();
    cli.write("good.txt", b"good");
    leaves_nothing(&dev, || {
        cli.refused(&["put", "good.txt", "missing.txt"], &["missing.txt"]);
    });
    assert_eq!(dev.site().get(Protocol::Http1, "/good.txt").status, 404);
}

#[test]
fn a_count_over_the_limit_is_refused_as_a_whole() {
    let dev = Dev::start();
    let cli = dev.cli();
    for number in 0..11 {
        cli.write(&format!("many/{number}.private.txt"), format!("{number}").as_bytes());
    }
    leaves_nothing(&dev, || {
        cli.refused(&["put", "many"], &["11", "10"]);
    });
}

#[test]
fn a_wrong_token_is_refused() {
    let dev = Dev::start();
    let cli = dev.cli();
    cli.write("a.txt", b"a");
    let (other, _) = dev.publisher().create_account("other");
    let wrong = [
        cli.clone().with("SKERRY_AUTH_TOKEN", "0123456789abcdef0123456789abcdef"),
        cli.clone().with("SKERRY_AUTH_TOKEN", &other.token),
        cli.clone().with("SKERRY_ACCOUNT_SID", "AC00000000000000000000000000000000"),
        cli.clone().with("SKERRY_AUTH_TOKEN", ""),
    ];
    leaves_nothing(&dev, || {
        for cli in &wrong {
            let outcome = cli.refused(&["put", "a.txt"], &["token"]);
            assert!(!outcome.stderr.contains(&other.token), "a token in a message: {outcome:?}");
            assert!(!outcome.stderr.contains("skerry login"), "a command that there is not: {outcome:?}");
        }
    });
}

#[test]
fn another_account_publishes_for_itself_alone() {
    let dev = Dev::start();
    let (other, domain) = dev.publisher().create_account("other");
    let before = inventory(&dev).assets;
    let theirs = dev.cli().with("SKERRY_ACCOUNT_SID", &other.sid).with("SKERRY_AUTH_TOKEN", &other.token);
    theirs.put("/hello.mp3", b"theirs");
    assert_eq!(inventory(&dev).assets, before);
    assert_ne!(dev.site().get(Protocol::Http1, "/hello.mp3").body, "theirs");
    for protocol in Protocol::ALL {
        assert_eq!(dev.site().with_host(&domain).get(protocol, "/hello.mp3").text(), "theirs", "{protocol}");
        assert_eq!(dev.site().with_host(&domain).get(protocol, "/index.html").status, 404, "{protocol}");
    }

    // A version of theirs is nothing that we can make live, nor the other way round.
    let content = Bytes::from_static(b"mine");
    let mine = block_on(dev.publisher().upload("/mine.txt", Visibility::Public, content)).expect("uploads");
    let stolen = block_on(dev.publisher().with_account(other).commit(vec![mine.version_sid]));
    assert!(stolen.is_err(), "{stolen:?}");
}

#[test]
fn an_account_that_does_not_exist_is_told_apart_from_nothing() {
    let dev = Dev::start();
    let nobody = Account { sid: "AC00000000000000000000000000000000".into(), token: "wrong".into() };
    let wrong = Account { token: "wrong".into(), ..dev.line().account() };
    let refused = |account| block_on(dev.publisher().with_account(account).list()).unwrap_err();
    let (nobody, wrong) = (refused(nobody), refused(wrong));
    assert_eq!((nobody.code(), wrong.code()), (Code::Unauthenticated, Code::Unauthenticated));
    assert_eq!(nobody.message(), wrong.message(), "an answer tells which accounts there are");
}

#[test]
fn an_origin_that_is_not_there_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let cli = Cli::new(folder.path());
    cli.write("a.txt", b"a");
    cli.refused(&["put", "a.txt"], &["skerry-data"]);
}
