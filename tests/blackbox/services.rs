//! `skerry service` and `skerry env`, as somebody types them.

use crate::harness::{Dev, Edge, Origin, Protocol};

#[test]
fn a_service_is_made_published_to_renamed_and_deleted() {
    let origin = Origin::start();
    let edge = Edge::join(&origin);
    let cli = origin.cli();
    let made = cli.run(&["service", "create", "shop", "friendly_name=The shop", "--json"]).json();
    assert_eq!(
        (made["unique_name"].as_str(), made["friendly_name"].as_str()),
        (Some("shop"), Some("The shop"))
    );
    assert_eq!(made["environments"].as_array().map(Vec::len), Some(0));

    let file = cli.write("a.txt", b"of the shop");
    let file = file.to_str().expect("UTF-8");
    let hint = "skerry env create production --service shop";
    cli.refused(&["put", file, "--service", "shop"], &["no environment yet", hint]);
    cli.run(&["env", "create", "production", "--service", "shop"]);
    let staging = cli.run(&["env", "create", "Staging", "--service", "shop", "--json"]).json();
    assert_eq!(staging["domain_suffix"], "Staging");
    let listed = cli.run(&["env", "list", "--service", "shop", "--json"]).json();
    let production = listed["environments"][1]["domain_name"].as_str().expect("a domain").to_owned();
    let base = made["domain_base"].as_str().expect("a label");
    assert_eq!(production, format!("{base}.sites.test"));
    assert_eq!(listed["environments"][0]["domain_name"], format!("{base}-staging.sites.test"));

    cli.run(&["put", file, "--service", "shop", "--environment", "production", "--wait"]);
    let site = edge.site(&production);
    assert_eq!(site.get(Protocol::Http2, "/a.txt").text(), "of the shop");

    let renamed = cli.run(&["service", "rename", "shop", "store", "--json"]).json();
    assert_eq!((&renamed["unique_name"], &renamed["domain_base"]), (&"store".into(), &made["domain_base"]));
    cli.refused(&["service", "rename", "store", "default"], &["already exists"]);
    let set = cli.run(&["service", "set", "store", "ui_editable=true", "--json"]).json();
    assert_eq!((&set["ui_editable"], &set["friendly_name"]), (&true.into(), &"The shop".into()));
    let names: Vec<_> = cli.run(&["service", "list", "--json"]).json()["services"]
        .as_array()
        .expect("services")
        .iter()
        .map(|service| service["unique_name"].as_str().expect("a name").to_owned())
        .collect();
    assert_eq!(names, ["default", "store"]);

    cli.refused(&["service", "delete", "store"], &["nothing was deleted", &production, "--yes"]);
    assert_eq!(site.get(Protocol::Http2, "/a.txt").status, 200);
    cli.run(&["service", "delete", "store", "--yes", "--wait"]);
    for protocol in Protocol::ALL {
        assert_eq!(site.get(protocol, "/a.txt").status, 421, "{protocol}");
    }
    cli.refused(&["service", "delete", "store"], &["no service", "store"]);
}

#[test]
fn what_is_wrong_with_a_name_or_a_setting_is_said_and_nothing_is_made() {
    let dev = Dev::start();
    let cli = dev.cli();
    let before = cli.run(&["service", "list", "--json"]).stdout;
    let cases: [(&[&str], &[&str]); 8] = [
        (&["service", "create", "a b"], &["UniqueName", "letters, digits"]),
        (&["service", "create", "default"], &["already exists"]),
        (&["service", "create", "x", "colour=red"], &["colour=red", "friendly_name"]),
        (&["service", "set", "nothing", "ui_editable=true"], &["no service", "nothing"]),
        (&["service", "set", "default", "ui_editable=1"], &["true or false"]),
        (&["env", "create", "default"], &["already exists"]),
        (&["env", "create", "production"], &["already exists"]),
        (&["env", "create", "a.b"], &["DomainSuffix", "letters, digits"]),
    ];
    for (arguments, words) in cases {
        cli.refused(arguments, words);
    }
    cli.refused(&["env", "delete", "nowhere"], &["no environment", "nowhere"]);
    assert_eq!(cli.run(&["service", "list", "--json"]).stdout, before);
    assert_eq!(cli.attempt(&["service", "set", "default", "colour=red"]).code, Some(64), "usage");
}

#[test]
fn another_account_sees_and_changes_nothing() {
    let origin = Origin::start();
    let other = origin.cli_of(&origin.another_account());
    let ours = origin.cli().run(&["service", "list", "--json"]).json()["services"][0].clone();
    let sid = ours["service_sid"].as_str().expect("a SID");
    let environment = ours["environments"][0]["environment_sid"].as_str().expect("a SID");
    let cases: [&[&str]; 6] = [
        &["service", "rename", sid, "mine"],
        &["service", "set", sid, "friendly_name=mine"],
        &["service", "delete", sid, "--yes"],
        &["env", "create", "mine", "--service", sid],
        &["env", "delete", environment, "--yes", "--service", sid],
        &["domain", "add", "music.test", "--service", sid],
    ];
    for arguments in cases {
        other.refused(arguments, &["no service", sid]);
    }
    let listed = other.run(&["service", "list", "--json"]).stdout;
    assert!(!listed.contains(sid), "{listed}");
    assert_eq!(origin.cli().run(&["service", "list", "--json"]).json()["services"][0], ours);
}
