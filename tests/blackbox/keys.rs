//! `skerry key`: what an account proves itself with, as somebody types it.

use crate::harness::Dev;
use std::os::unix::fs::PermissionsExt;

#[test]
fn a_token_is_rotated_without_a_moment_in_which_none_is_valid() {
    let dev = Dev::start();
    let cli = dev.cli();
    cli.refused(&["key", "token", "revoke", "1"], &["only auth token"]);
    let made = cli.run(&["key", "token", "rotate", "--json"]).json();
    assert_eq!(made["slot"].as_u64(), Some(2));
    let second = made["auth_token"].as_str().expect("a token");
    cli.refused(&["key", "token", "rotate"], &["two auth tokens"]);
    let after = cli.clone().with("SKERRY_AUTH_TOKEN", second);
    cli.run(&["ls"]);
    after.run(&["ls"]);
    after.run(&["key", "token", "revoke", "1", "--wait"]);
    cli.refused(&["ls"], &["auth token"]);
    after.run(&["ls"]);
}

#[test]
fn a_private_key_is_its_owners_to_read_and_never_at_the_origin() {
    let dev = Dev::start();
    let cli = dev.cli();
    cli.run(&["key", "create", "--kind", "url", "-o", "key.pem"]);
    let file = cli.folder().join("key.pem");
    let mode = std::fs::metadata(&file).expect("there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let secret = cli.read("key.pem").lines().nth(1).expect("base64").to_owned();
    let catalogue = std::fs::read(dev.data().join("origin/catalogue.sqlite-wal")).unwrap_or_default();
    assert!(memchr::memmem::find(&catalogue, secret.as_bytes()).is_none());
    let printed = cli.run(&["key", "create", "--kind", "url"]).stdout;
    assert!(printed.starts_with("-----BEGIN PRIVATE KEY-----"), "{printed}");
}

#[test]
fn a_stranger_who_guesses_has_to_wait_and_another_account_does_not() {
    let dev = Dev::start();
    let other = dev.cli().run(&["account", "create", "--json"]).json();
    let said = |key: &str| other[key].as_str().expect("text").to_owned();
    let wrong = dev.cli().with("SKERRY_AUTH_TOKEN", "wrong");
    for _ in 0..10 {
        wrong.refused(&["ls"], &["auth token"]);
    }
    wrong.refused(&["ls"], &["too many wrong tokens"]);
    let other = dev
        .cli()
        .with("SKERRY_ACCOUNT_SID", &said("account_sid"))
        .with("SKERRY_AUTH_TOKEN", &said("auth_token"));
    other.run(&["key", "ls"]);
}

#[test]
fn a_signature_for_a_request_is_made_without_asking_anybody() {
    let dev = Dev::start();
    let cli = dev.cli().with("SKERRY_AUTH_TOKEN", "12345").with("SKERRY_GRPC", "");
    let url = "https://mycompany.com/myapp.php?foo=1&bar=2";
    assert_eq!(cli.run(&["sign", "--header", url]).stdout, "zYQTYrRWXE7LtzbG4PfP7/bkkGo=\n");
}
