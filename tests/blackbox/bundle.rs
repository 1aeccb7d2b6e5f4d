//! Bundles: how the owner of private assets gets them, and nobody else.

use crate::harness::{
    Cli, Dev, EdgeCertificate, Protocol, Publisher, block_on, bytes, channel, files_below, fill, hash,
};
use bytes::Bytes;
use serde_json::Value;
use skerry_proto::wire::Visibility;
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use tonic::{Code, Status};

/// The greatest private asset that the defaults allow.
const PRIVATE_SIZE_MAX: usize = 5_242_880;

/// Publishes private assets in one build, and says which.
#[track_caller]
fn publish(publisher: &Publisher, assets: &[(&str, Bytes)]) -> String {
    let versions = assets.iter().map(|(path, content)| {
        let uploaded = block_on(publisher.upload(path, Visibility::Private, content.clone()));
        uploaded.unwrap_or_else(|status| panic!("{path}: {status:?}")).version_sid
    });
    block_on(publisher.commit(versions.collect())).expect("commits").build_sid
}

/// The archive of a build; of the live one without a name.
fn archive(publisher: &Publisher, build: &str) -> Result<Vec<u8>, Status> {
    block_on(publisher.bundle(build))
}

/// What `skerry bundle` made of a folder: path → bytes, by `routes.json`.
fn unpacked(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let routes = fs::read(folder.join("routes.json")).expect("routes");
    let routes: Value = serde_json::from_slice(&routes).expect("JSON");
    let text = |value: &Value| value.as_str().expect("text").to_owned();
    let assets = routes["assets"].as_array().expect("assets").iter().map(|asset| {
        assert_eq!(asset["access"], "private");
        (text(&asset["path"]), fs::read(folder.join(text(&asset["filePath"]))).expect("its file"))
    });
    assets.collect()
}

/// Everything that is in the folder of a shell, bundles that are under way included.
fn names(cli: &Cli) -> Vec<PathBuf> {
    let below = |path: PathBuf| path.strip_prefix(cli.folder()).expect("below").to_owned();
    files_below(cli.folder()).into_iter().map(below).collect()
}

/// The file that the origin keeps these bytes in.
#[track_caller]
fn blob_file(dev: &Dev, content: &[u8]) -> PathBuf {
    let blobs = files_below(&dev.data().join("origin/blobs"));
    let name = hash(content);
    blobs.into_iter().find(|path| path.ends_with(&name)).expect("a file named by its hash")
}

#[test]
fn every_private_asset_of_the_live_build_is_unpacked_and_nothing_public() {
    let dev = Dev::start();
    let assets = [
        ("/message.mp3", bytes(1, 70_000)),
        ("/empty.bin", Bytes::new()),
        ("/größe/ü ñ.bin", bytes(2, 300_000)),
        ("/largest.bin", bytes(3, PRIVATE_SIZE_MAX)),
        ("/without-extension", bytes(4, 511)),
    ];
    publish(&dev.publisher(), &assets);
    dev.cli().put("/public.txt", b"everybody has this");
    let cli = dev.cli();
    cli.run(&["bundle", "-o", "private"]);
    let folder = cli.folder().join("private");
    let expected = assets.iter().map(|(path, content)| ((*path).to_owned(), content.to_vec()));
    assert!(unpacked(&folder) == expected.collect());
    // What Twilio's toolkit can name stands under that name, too.
    let named = files_below(&folder.join("assets")).into_iter().map(|path| {
        path.strip_prefix(folder.join("assets")).expect("below").to_str().expect("UTF-8").to_owned()
    });
    assert_eq!(
        named.collect::<Vec<_>>(),
        ["empty.private.bin", "largest.private.bin", "message.private.mp3"]
    );
    assert!(fs::read(folder.join("assets/message.private.mp3")).expect("reads") == assets[0].1);
}

#[test]
fn the_same_build_gives_the_same_bytes_also_after_a_restart() {
    let mut dev = Dev::start();
    let build = publish(&dev.publisher(), &[("/b.bin", bytes(1, 400_000)), ("/a.bin", bytes(2, 1))]);
    let first = archive(&dev.publisher(), &build).expect("the owner");
    assert!(archive(&dev.publisher(), "").expect("live") == first);
    dev.restart();
    assert!(archive(&dev.publisher(), &build).expect("the owner") == first);
}

#[test]
fn anybody_s_tar_reads_the_archive() {
    let dev = Dev::start();
    let assets = [("/a.bin", bytes(1, 300_000)), ("/b/empty.bin", Bytes::new())];
    publish(&dev.publisher(), &assets);
    let cli = dev.cli();
    cli.write("bundle.tar", &archive(&dev.publisher(), "").expect("the owner"));
    let tar = |arguments: &[&str]| {
        let mut command = Command::new("tar");
        let outcome = command.args(arguments).current_dir(cli.folder()).output().expect("tar is there");
        assert!(outcome.status.success() && outcome.stderr.is_empty(), "{outcome:?}");
        String::from_utf8(outcome.stdout).expect("UTF-8")
    };
    tar(&["-xf", "bundle.tar"]);
    let listed = tar(&["-tf", "bundle.tar"]);
    let names: Vec<_> = listed.lines().collect();
    let [contents, files @ ..] = &names[..] else { panic!("nothing in it") };
    assert_eq!((*contents, files.len()), ("bundle.contents", assets.len()));
    for (name, (_, content)) in files.iter().zip(assets) {
        assert!(fs::read(cli.folder().join(name)).expect("unpacked") == content, "{name}");
    }
}

#[test]
fn an_earlier_build_keeps_its_bundle() {
    let dev = Dev::start();
    let publisher = dev.publisher();
    let before = publish(&publisher, &[("/a.bin", bytes(1, 1000))]);
    publish(&publisher, &[("/a.bin", bytes(2, 1000)), ("/b.bin", bytes(3, 10))]);
    let cli = dev.cli();
    let said = cli.run(&["bundle", "-o", "before", &before, "--json"]).json();
    assert_eq!(said["build_sid"], before.as_str());
    let only = BTreeMap::from([("/a.bin".to_owned(), bytes(1, 1000).to_vec())]);
    assert!(unpacked(&cli.folder().join("before")) == only);
    cli.run(&["bundle", "-o", "now"]);
    assert_eq!(unpacked(&cli.folder().join("now")).len(), 2);
}

#[test]
fn the_api_answers_with_the_same_bundle_as_grpc() {
    let dev = Dev::start();
    let build = publish(&dev.publisher(), &[("/b.bin", bytes(1, 400_000)), ("/a.bin", bytes(2, 1))]);
    let bundle = format!("/v1/Services/{}/Builds/{build}/Bundle", dev.line().text("/service_sid"));
    let (headers, tar) = dev.api().download(&bundle);
    assert_eq!(headers["content-type"], "application/x-tar");
    assert!(archive(&dev.publisher(), &build).expect("the owner") == tar);
    let (stranger, _) = dev.publisher().create_account("other");
    dev.api().of(stranger).get(&bundle).assert_refused(404, 20404, &[]);
}

#[test]
fn a_build_without_private_assets_has_an_empty_bundle_and_before_any_build_there_is_none() {
    let dev = Dev::start();
    let (account, _) = dev.publisher().create_account("other");
    let status = archive(&dev.publisher().with_account(account), "").expect_err("nothing is live");
    assert_eq!(status.code(), Code::NotFound);
    let cli = dev.cli();
    cli.run(&["bundle", "-o", "private"]);
    assert!(unpacked(&cli.folder().join("private")).is_empty());
}

#[test]
fn bundles_and_builds_with_the_same_private_assets_store_nothing_again() {
    let dev = Dev::start();
    let publisher = dev.publisher();
    let content = bytes(1, 1_000_000);
    publish(&publisher, &[("/a.bin", content.clone())]);
    let stored = || {
        let blobs = files_below(&dev.data().join("origin/blobs"));
        blobs.iter().map(|path| fs::metadata(path).expect("there").len()).sum::<u64>()
    };
    let before = stored();
    publish(&publisher, &[("/b.bin", content)]);
    archive(&publisher, "").expect("the owner");
    let grown = stored() - before;
    assert!(grown < 10_000, "a manifest more, not {grown} bytes");
}

#[test]
fn another_account_s_build_is_not_found_like_one_that_does_not_exist() {
    let dev = Dev::start();
    let mine = publish(&dev.publisher(), &[("/a.bin", bytes(1, 1000))]);
    let (account, _) = dev.publisher().create_account("other");
    let other = dev.publisher().with_account(account);
    let refused = |build: &str| {
        let status = archive(&other, build).expect_err("not theirs");
        (status.code(), status.message().replace(build, "…"))
    };
    let foreign = refused(&mine);
    assert_eq!(foreign.0, Code::NotFound);
    assert_eq!(foreign, refused("ZB00000000000000000000000000000000"));
}

#[test]
fn public_bytes_of_one_account_that_are_private_in_another_are_still_served() {
    let dev = Dev::start();
    let content = bytes(1, 300_000);
    dev.cli().put("/a.bin", &content);
    let (account, _) = dev.publisher().create_account("other");
    let other = dev.publisher().with_account(account.clone());
    publish(&other, &[("/mine.bin", content.clone())]);
    for protocol in Protocol::ALL {
        assert!(dev.site().get(protocol, "/a.bin").body == content, "{protocol}");
    }
    // And they stay private where they are private.
    let token = block_on(dev.publisher().join_token()).expect("the operator may");
    let (url, authority) = (dev.line().text("/grpc"), dev.line().authority());
    let certificate = block_on(EdgeCertificate::enrol(url, &token)).expect("a fresh token");
    let edge = || channel(url, &authority, Some(&certificate));
    assert_eq!(fill(edge(), &account.sid, &hash(&content), 2).unwrap_err().code(), Code::NotFound);
    assert!(fill(edge(), dev.line().text("/account_sid"), &hash(&content), 2).expect("allowed").1 == content);
}

#[test]
fn an_upload_of_guessed_bytes_is_answered_and_stored_like_any_other() {
    let dev = Dev::start();
    let guessed = bytes(1, 300_000);
    publish(&dev.publisher(), &[("/secret.bin", guessed.clone())]);
    let (account, _) = dev.publisher().create_account("other");
    let other = dev.publisher().with_account(account);
    let file = blob_file(&dev, &guessed);
    let modified = || fs::metadata(&file).expect("there").modified().expect("a time");
    let before = modified();
    for content in [guessed, bytes(2, 300_000)] {
        let answer = block_on(other.upload("/guess.bin", Visibility::Private, content.clone()));
        let answer = answer.expect("their own upload");
        assert_eq!((answer.size, &answer.hash[..]), (300_000, blake3::hash(&content).as_bytes().as_slice()));
    }
    // The file was written again, so the answer took as long as for bytes that were new.
    assert!(modified() > before);
}

#[test]
fn a_byte_that_flipped_is_refused_and_what_was_there_stays() {
    let dev = Dev::start();
    let publisher = dev.publisher();
    publish(&publisher, &[("/a.bin", bytes(1, 600_000))]);
    let cli = dev.cli();
    cli.run(&["bundle", "-o", "private"]);
    let (before, files) = (unpacked(&cli.folder().join("private")), names(&cli));

    let content = bytes(2, 600_000);
    publish(&publisher, &[("/a.bin", content.clone())]);
    let file = blob_file(&dev, &content);
    let mut flipped = content.to_vec();
    flipped[400_000] ^= 1;
    fs::write(&file, &flipped).expect("writes");
    cli.refused(&["bundle", "-o", "private"], &["/a.bin", "refused"]);
    cli.refused(&["bundle", "-o", "new"], &["/a.bin", "refused"]);
    assert!(unpacked(&cli.folder().join("private")) == before);
    assert_eq!(names(&cli), files);

    // A file that became shorter breaks the stream off.
    fs::write(&file, &content[..500_000]).expect("writes");
    cli.refused(&["bundle", "-o", "private"], &["damaged"]);
    assert_eq!(names(&cli), files);
}

#[test]
fn a_bundle_replaces_an_earlier_one_and_keeps_the_folder_s_permissions() {
    let dev = Dev::start();
    let publisher = dev.publisher();
    publish(&publisher, &[("/a.bin", bytes(1, 1000))]);
    let cli = dev.cli();
    let folder = cli.folder().join("private");
    fs::create_dir(&folder).expect("makes");
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o750)).expect("sets");
    for number in 0..2 {
        publish(&publisher, &[("/a.bin", bytes(number, 1000)), ("/b/c.txt", bytes(number, 10))]);
        cli.run(&["bundle", "-o", "private"]);
        assert!(unpacked(&folder)["/a.bin"] == bytes(number, 1000));
        assert_eq!(fs::metadata(&folder).expect("there").permissions().mode() & 0o777, 0o750);
    }
    assert_eq!(fs::read_dir(cli.folder()).expect("reads").count(), 1, "nothing beside it");
}

#[test]
fn a_folder_with_anything_else_in_it_is_refused_and_left_alone() {
    let dev = Dev::start();
    publish(&dev.publisher(), &[("/a.bin", bytes(1, 1000))]);
    let cli = dev.cli();
    cli.write("project/package.json", b"{}");
    cli.refused(&["bundle", "-o", "project"], &["package.json"]);
    cli.refused(&["bundle", "-o", "project/package.json"], &["folder"]);
    cli.run(&["bundle", "-o", "private"]);
    cli.write("private/assets/mine.txt", b"mine");
    cli.refused(&["bundle", "-o", "private"], &["assets/mine.txt"]);
    assert_eq!(cli.read("private/assets/mine.txt"), "mine");
    assert_eq!(cli.read("project/package.json"), "{}");
}

#[test]
fn a_bundle_does_not_replace_that_of_another_service() {
    let dev = Dev::start();
    let publisher = dev.publisher();
    publish(&publisher, &[("/a.bin", bytes(1, 1000))]);
    let (account, _) = publisher.create_account("other");
    publish(&publisher.with_account(account.clone()), &[("/a.bin", bytes(2, 1000))]);
    let cli = dev.cli();
    cli.run(&["bundle", "-o", "private"]);
    let other = dev.cli().with("SKERRY_ACCOUNT_SID", &account.sid).with("SKERRY_AUTH_TOKEN", &account.token);
    other.refused(&["bundle", "-o", "private"], &["service", "another folder"]);
    assert!(unpacked(&cli.folder().join("private"))["/a.bin"] == bytes(1, 1000));
}

#[test]
fn no_path_of_an_asset_leads_out_of_the_folder() {
    let dev = Dev::start();
    let paths = [
        "//etc/passwd.txt",
        "/a//b.txt",
        "/a\\..\\b.txt",
        "/.../c.txt",
        "/..d/e.txt",
        "/a",
        "/a/b.txt",
        "/ZN.txt",
    ];
    let assets: Vec<_> = (1..).zip(paths).map(|(number, path)| (path, bytes(number, 100))).collect();
    publish(&dev.publisher(), &assets);
    let cli = dev.cli();
    cli.run(&["bundle", "-o", "side"]);
    let expected = assets.iter().map(|(path, content)| ((*path).to_owned(), content.to_vec()));
    assert!(unpacked(&cli.folder().join("side")) == expected.collect());
    assert!(names(&cli).iter().all(|path| path.starts_with("side")));
    assert!(files_below(&cli.folder().join("side")).iter().all(|path| !path.is_symlink()));
}
