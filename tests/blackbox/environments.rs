//! `skerry env`: settings of an environment, as somebody types them.

use crate::harness::Dev;

#[test]
fn settings_begin_with_the_defaults() {
    let dev = Dev::start();
    let outcome = dev.cli().run(&["env", "show"]);
    let expected =
        "post = refuse\nuntrusted_uploads = false\npublic_stale = unbounded\nprotected_stale = 3600\n";
    assert_eq!(outcome.stdout, expected);
    let shown = dev.cli().run(&["env", "show", "--json"]).json();
    assert_eq!(shown["environment_sid"].as_str(), Some(dev.line().text("/environment_sid")));
    assert_eq!(shown["domain_name"].as_str(), Some(dev.line().text("/domain_name")));
    assert_eq!((shown["post"].as_str(), shown["protected_stale"].as_u64()), (Some("refuse"), Some(3600)));
}

#[test]
fn what_is_set_is_shown_stays_and_is_a_revision_that_every_edge_follows() {
    let mut dev = Dev::with(&["--edges", "2"]);
    let set = dev.cli().run(&["env", "set", "post=as-get", "public_stale=60", "--wait", "--json"]).json();
    assert_eq!(set["edges"].as_array().map(Vec::len), Some(2));
    assert!(set["edges"].as_array().expect("edges").iter().all(|edge| edge["live"] == true), "{set}");
    let again = dev.cli().run(&["env", "set", "protected_stale=unbounded", "--json"]).json();
    assert_eq!(again["revision"].as_u64(), set["revision"].as_u64().map(|revision| revision + 1));
    dev.restart();
    let shown = dev.cli().run(&["env", "show"]).stdout;
    assert_eq!(
        shown,
        "post = as-get\nuntrusted_uploads = false\npublic_stale = 60\nprotected_stale = unbounded\n"
    );
}

#[test]
fn a_wrong_setting_is_refused_with_what_is_accepted_and_nothing_changes() {
    let dev = Dev::start();
    let cli = dev.cli();
    let cases: [(&str, &[&str]); 6] = [
        ("post=get", &["post=get", "refuse or as-get"]),
        ("untrusted_uploads=1", &["true or false"]),
        ("public_stale=soon", &["seconds, or unbounded"]),
        ("public_stale", &["seconds, or unbounded"]),
        ("colour=red", &["colour", "post, untrusted_uploads, public_stale or protected_stale"]),
        ("public_stale=99999999999", &["public_stale is at most", "unbounded"]),
    ];
    for (setting, words) in cases {
        cli.refused(&["env", "set", "untrusted_uploads=true", setting], words);
    }
    let shown = cli.run(&["env", "show"]).stdout;
    assert!(
        shown.contains("untrusted_uploads = false") && shown.contains("public_stale = unbounded"),
        "{shown}"
    );
    assert_eq!(cli.attempt(&["env", "set", "colour=red"]).code, Some(64), "usage");
}

#[test]
fn an_environment_that_is_not_there_is_told_so() {
    let dev = Dev::start();
    dev.cli().refused(&["env", "show", "--environment", "nowhere"], &["no environment", "nowhere"]);
    dev.cli().refused(&["env", "set", "post=refuse", "--service", "nothing"], &["no service", "nothing"]);
}
