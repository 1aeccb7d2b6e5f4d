//! `_skerry.toml`: what a build declares, and what people are told who get it wrong.

use crate::harness::{Cli, Dev, Protocol};
use serde_json::Value;

/// A folder with a site file and a page.
fn site(cli: &Cli, declared: &str) {
    cli.write("site/_skerry.toml", declared.as_bytes());
    cli.write("site/page.html", b"<title>page</title>");
}

fn listed(dev: &Dev) -> Vec<String> {
    let listed = dev.cli().run(&["ls", "--json"]).json();
    let assets = listed.get("assets").and_then(Value::as_array).expect("assets").clone();
    assets.iter().map(|asset| asset["path"].as_str().expect("a path").to_owned()).collect()
}

#[test]
fn a_mistake_is_named_with_its_line_and_key_and_nothing_is_published() {
    let dev = Dev::start();
    let cli = dev.cli();
    let before = listed(&dev);
    let cases: [(&str, &[&str]); 7] = [
        ("\nindx = \"a\"", &["line 2: indx", "index, not_found, [[headers]] and [[redirects]]"]),
        ("[[headers]]\npath = \"/*\"\nset-cookie = \"a=b\"", &["line 3: set-cookie", "cannot be declared"]),
        ("[[headers]]\npath = \"/*\"\ncontent-length = \"1\"", &["line 3: content-length"]),
        ("[[redirects]]\nfrom = \"/a\"\nto = \"/b\"\nstatus = 304", &["line 4: redirects.status", "308"]),
        ("index = ", &["line 1"]),
        ("not_found = \"/404.html\"", &["not_found", "\"/404.html\"", "no public asset"]),
        (&"#".repeat(70_000), &["70000 bytes", "65536"]),
    ];
    for (declared, words) in cases {
        site(&cli, declared);
        cli.refused(&["put", "site"], &[&["_skerry.toml"], words].concat());
        assert_eq!(listed(&dev), before, "{declared}");
    }
}

#[test]
fn all_mistakes_are_told_at_once() {
    let dev = Dev::start();
    let cli = dev.cli();
    site(&cli, "index = 1\n[[headers]]\nx-a = \"1\"\n[[redirects]]\nfrom = \"/a\"\n");
    cli.refused(
        &["put", "site"],
        &["line 1: index", "line 2: headers: path is missing", "line 4: redirects: to is missing"],
    );
}

#[test]
fn elsewhere_than_at_the_root_it_is_refused_with_a_hint() {
    let dev = Dev::start();
    let cli = dev.cli();
    site(&cli, "");
    cli.refused(
        &["put", "site", "--path", "/docs"],
        &["/docs/_skerry.toml", "/_skerry.toml", "publish it there"],
    );
    cli.run(&["put", "site"]);
}

#[test]
fn it_is_listed_and_had_by_its_owner_and_served_to_nobody_until_it_is_removed() {
    let dev = Dev::start();
    let cli = dev.cli();
    site(&cli, "index = \"page.html\"\n");
    cli.run(&["put", "site", "--wait"]);
    assert!(listed(&dev).contains(&"/_skerry.toml".to_owned()));
    for protocol in Protocol::ALL {
        assert_eq!(dev.site().get(protocol, "/_skerry.toml").status, 404, "{protocol}");
        assert_eq!(dev.site().get(protocol, "/page.html").status, 200, "{protocol}");
    }
    cli.run(&["get", "/_skerry.toml", "-o", "back.toml"]);
    assert_eq!(cli.read("back.toml"), "index = \"page.html\"\n");
    // Again, as somebody does who changed a page: nothing private became public.
    cli.run(&["put", "site", "--wait"]);
    cli.run(&["rm", "/_skerry.toml", "--wait"]);
    assert!(!listed(&dev).contains(&"/_skerry.toml".to_owned()));
}

#[test]
fn the_example_of_the_guide_can_be_published() {
    let dev = Dev::start();
    let cli = dev.cli();
    let example = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/examples/_skerry.toml");
    cli.write("site/_skerry.toml", &std::fs::read(example).expect("the example"));
    cli.write("site/404.html", b"<title>not here</title>");
    cli.write("site/app/index.html", b"<title>app</title>");
    cli.run(&["put", "site", "--wait"]);
}

#[test]
fn ls_shows_the_representations_of_what_is_served() {
    let dev = Dev::start();
    let cli = dev.cli();
    cli.write("a.txt", "the same line\n".repeat(500).as_bytes());
    cli.run(&["put", "a.txt"]);
    let listed = cli.run(&["ls", "--json"]).json();
    let assets = listed["assets"].as_array().expect("assets");
    let asset = assets.iter().find(|asset| asset["path"] == "/a.txt").expect("listed");
    let representations = asset["representations"].as_array().expect("a list");
    let sizes: Vec<(&str, u64)> = representations
        .iter()
        .map(|one| (one["encoding"].as_str().expect("a name"), one["size"].as_u64().expect("a size")))
        .collect();
    let names: Vec<_> = sizes.iter().map(|(name, _)| *name).collect();
    assert_eq!(names, ["identity", "br", "gzip", "zstd"]);
    assert!(sizes[1..].iter().all(|(_, size)| *size < 500), "{sizes:?}");
    assert_eq!(representations[0]["hash"], asset["hash"]);
}
