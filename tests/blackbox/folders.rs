//! Data folders: what is not ours is left alone, and a start that fails leaves nothing behind.

use crate::harness::{Cli, Dev, Origin, Outcome, files_below, text};
use std::fs::{self, Permissions};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// Every command that makes a data folder, on ports that the system picks.
const MAKERS: [&[&str]; 4] = [
    &["origin", "init", "--set", "data=data"],
    &[
        "origin",
        "--set",
        "data=data",
        "--set",
        "grpc.addresses=127.0.0.1:0",
        "--set",
        "api.addresses=127.0.0.1:0",
        "--set",
        "admin.addresses=127.0.0.1:0",
    ],
    &[
        "edge",
        "--set",
        "data=data",
        "--set",
        "origin.url=https://127.0.0.1:1",
        "--set",
        "https.addresses=127.0.0.1:0",
        "--set",
        "admin.addresses=127.0.0.1:0",
    ],
    &[
        "dev",
        "--data",
        "data",
        "--https",
        "127.0.0.1:0",
        "--api",
        "127.0.0.1:0",
        "--grpc",
        "127.0.0.1:0",
        "--admin",
        "127.0.0.1:0",
    ],
];

fn mode(path: &Path) -> u32 {
    fs::metadata(path).expect("there").permissions().mode() & 0o777
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).expect("our own");
}

/// Tries each command on a folder of this mode with at most one file in it, which must stay exactly so.
#[track_caller]
fn refused_by_all(folder_mode: u32, file: Option<(&str, &str)>, words: &[&str]) {
    for maker in MAKERS {
        let folder = tempfile::tempdir().expect("a folder");
        let data = folder.path().join("data");
        fs::create_dir(&data).expect("a folder");
        if let Some((name, content)) = file {
            fs::write(data.join(name), content).expect("writes");
        }
        set_mode(&data, folder_mode);
        let outcome = Cli::new(folder.path()).refused(maker, words);
        let expected: Vec<_> = file.iter().map(|(name, _)| data.join(name)).collect();
        assert_eq!((files_below(&data), mode(&data)), (expected, folder_mode), "{outcome:?}");
        assert_eq!(fs::read_dir(&data).expect("reads").count(), file.iter().count(), "{outcome:?}");
        if let Some((name, content)) = file {
            assert_eq!(text(&data.join(name)), content);
        }
    }
}

#[test]
fn a_folder_with_other_files_is_refused_and_left_as_it_was() {
    refused_by_all(0o755, Some(("thesis.txt", "x")), &["not empty", "another folder"]);
}

#[test]
fn a_folder_that_its_owner_may_not_write_stays_so() {
    refused_by_all(0o555, None, &["not writable", "another folder"]);
}

#[test]
fn a_folder_of_a_newer_version_is_refused_and_left_as_it_was() {
    refused_by_all(0o755, Some(("format", "999\n")), &["999", "newer"]);
}

/// As a disk that was full left it in earlier versions.
#[test]
fn a_version_that_cannot_be_read_is_told_what_to_do() {
    refused_by_all(0o755, Some(("format", "")), &["data/format", "write 1 into it"]);
}

#[test]
fn a_folder_that_was_open_to_others_is_closed_at_the_start() {
    let mut dev = Dev::start();
    dev.stop();
    let folders = ["", "origin", "edge-1", "edge-1/cache", "edge-1/state"].map(|name| dev.data().join(name));
    for folder in &folders {
        set_mode(folder, 0o755);
    }
    dev.start_again();
    for folder in &folders {
        assert_eq!(mode(folder), 0o700, "{}", folder.display());
    }
}

/// The arguments with another value after `key`.
fn with_address(maker: &[&str], key: &str, address: &str) -> Vec<String> {
    let mut arguments: Vec<_> = maker.iter().map(|&argument| argument.to_owned()).collect();
    let found = arguments.iter_mut().find(|argument| argument.starts_with(key)).expect("the key");
    *found = format!("{key}={address}");
    arguments
}

#[track_caller]
fn attempt(cli: &Cli, arguments: &[String]) -> Outcome {
    cli.attempt(&arguments.iter().map(String::as_str).collect::<Vec<_>>())
}

#[test]
fn a_port_in_use_leaves_nothing_behind() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("bound").to_string();
    let [_, origin, edge, _] = MAKERS;
    for (maker, key) in [
        (origin, "grpc.addresses"),
        (origin, "api.addresses"),
        (origin, "admin.addresses"),
        (edge, "https.addresses"),
        (edge, "admin.addresses"),
    ] {
        let folder = tempfile::tempdir().expect("a folder");
        let outcome = attempt(&Cli::new(folder.path()), &with_address(maker, key, &address));
        outcome.assert_refused(&["in use", address.rsplit(':').next().expect("a port"), key]);
        assert_eq!(fs::read_dir(folder.path()).expect("reads").count(), 0, "{key}: {outcome:?}");
    }
}

#[test]
fn an_edge_without_a_join_token_leaves_nothing_behind() {
    let folder = tempfile::tempdir().expect("a folder");
    Cli::new(folder.path()).refused(MAKERS[2], &["skerry join-token", "origin.join_token"]);
    assert_eq!(fs::read_dir(folder.path()).expect("reads").count(), 0);
}

#[test]
fn an_init_that_fails_leaves_nothing_behind_and_works_the_next_time() {
    let folder = tempfile::tempdir().expect("a folder");
    let cli = Cli::new(folder.path());
    // A folder where the file of the join token should be.
    fs::create_dir(folder.path().join("token")).expect("a folder");
    let mut arguments = MAKERS[0].to_vec();
    arguments.extend(["--join-token-file", "token"]);
    cli.refused(&arguments, &["token"]);
    assert!(!folder.path().join("data").exists());
    fs::remove_dir(folder.path().join("token")).expect("ours");
    assert!(cli.run(&arguments).stdout.contains("SKERRY_AUTH_TOKEN="));
    assert!(text(&folder.path().join("token")).starts_with("skerry"));
}

/// What is kept is kept, however later starts end.
#[test]
fn a_start_that_fails_takes_nothing_from_a_folder_that_is_in_use() {
    let mut origin = Origin::start();
    origin.stop();
    let before = files_below(&origin.data());
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = format!("grpc.addresses={}", taken.local_addr().expect("bound"));
    let data = format!("data={}", origin.data().display());
    origin.cli().refused(
        &[
            "origin",
            "--set",
            &data,
            "--set",
            &address,
            "--set",
            "api.addresses=",
            "--set",
            "admin.addresses=127.0.0.1:0",
        ],
        &["in use"],
    );
    assert_eq!(files_below(&origin.data()), before);
}
