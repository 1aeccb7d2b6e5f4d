//! `skerry twilio`: what a command finds, and how it ends. Twilio's own clients are in `.ci/real_clients`.

use crate::harness::Dev;

#[test]
fn a_command_finds_a_proxy_a_certificate_to_trust_and_the_account() {
    let dev = Dev::start();
    let script = r#"cat "$NODE_EXTRA_CA_CERTS"; echo "$HTTP_PROXY $TWILIO_ACCOUNT_SID $NODE_EXTRA_CA_CERTS""#;
    let outcome = dev.cli().run(&["twilio", "--", "sh", "-c", script]);
    assert!(outcome.stdout.starts_with("-----BEGIN CERTIFICATE-----"), "{outcome:?}");
    let told = outcome.stdout.lines().last().expect("a line");
    let [proxy, account, file] = told.split(' ').collect::<Vec<_>>()[..] else { panic!("{told}") };
    assert!(proxy.starts_with("http://127.0.0.1:"), "{proxy}");
    assert_eq!(account, dev.line().text("/account_sid"));
    assert!(!std::path::Path::new(file).exists(), "{file} goes with the command");
}

#[test]
fn it_ends_with_the_code_of_the_command() {
    let dev = Dev::start();
    let outcome = dev.cli().attempt(&["twilio", "--", "sh", "-c", "exit 7"]);
    assert_eq!(outcome.code, Some(7), "{outcome:?}");
    dev.cli().refused(&["twilio", "--", "no-such-command"], &["no-such-command"]);
}
