//! `put`, `ls`, `get` and `rm`, as somebody types them.

use crate::harness::{Cli, Dev, Outcome, Protocol, bytes, hash};
use serde_json::Value;
use std::os::unix::fs::FileTypeExt;
use std::process::Command;

/// Paths that `ls --json` lists.
fn listed(dev: &Dev) -> Vec<String> {
    let listed = dev.cli().run(&["ls", "--json"]).json();
    let assets = listed.get("assets").and_then(Value::as_array).expect("assets").clone();
    assets.iter().map(|asset| asset["path"].as_str().expect("a path").to_owned()).collect()
}

#[test]
fn put_prints_a_url_that_answers() {
    let dev = Dev::start();
    let content = bytes(1, 5000);
    let cli = dev.cli();
    cli.write("hello.mp3", &content);
    let outcome = cli.run(&["put", "hello.mp3", "--wait"]);
    let url = outcome.stdout.split_whitespace().find(|word| word.starts_with("https://")).expect("a URL");
    assert!(url.contains(dev.line().text("/domain_name")) && url.ends_with("/hello.mp3"), "{url}");
    let get = cli.run(&["get", url, "-o", "back.mp3"]);
    assert!(std::fs::read(cli.folder().join("back.mp3")).expect("reads") == content, "{get:?}");
}

/// URLs on standard output.
fn urls(outcome: &Outcome) -> Vec<&str> {
    outcome.stdout.split_whitespace().filter(|word| word.starts_with("https://")).collect()
}

/// A shell as somebody has it who started `skerry dev`: it knows the data folder, and nothing else.
fn shell(dev: &Dev) -> Cli {
    Cli::new(&dev.scratch())
}

#[test]
fn put_prints_two_urls_for_each_file_and_all_of_them_answer() {
    let dev = Dev::start();
    let (cli, data) = (shell(&dev), dev.data());
    let data = data.to_str().expect("UTF-8");
    for name in ["a.txt", "b.txt"] {
        cli.write(name, name.as_bytes());
    }
    let outcome = cli.run(&["put", "a.txt", "b.txt", "--wait", "--data", data]);
    let loopback = dev.line().text("/edges/0/https");
    assert_eq!(urls(&outcome).iter().filter(|url| url.starts_with(loopback)).count(), 2, "{outcome:?}");
    assert_eq!(urls(&outcome).len(), 4, "{outcome:?}");
    for url in urls(&outcome) {
        let name = url.rsplit('/').next().expect("a name");
        assert_eq!(cli.run(&["get", url, "--data", data]).stdout.trim_end(), name, "{url}");
    }
}

/// The loopback address shows the default environment, so it is no URL of theirs.
#[test]
fn the_urls_of_another_account_answer_with_what_it_published() {
    let dev = Dev::start();
    let (cli, data) = (shell(&dev), dev.data());
    let data = data.to_str().expect("UTF-8");
    let account = cli.run(&["account", "create", "--name", "Radio", "--json", "--data", data]).json();
    let said = |key: &str| account[key].as_str().unwrap_or_else(|| panic!("{key} in {account}"));
    let theirs = cli
        .clone()
        .with("SKERRY_ACCOUNT_SID", said("account_sid"))
        .with("SKERRY_AUTH_TOKEN", said("auth_token"));
    theirs.write("hello.mp3", b"theirs");
    let outcome = theirs.run(&["put", "hello.mp3", "--wait", "--data", data]);
    let [url] = urls(&outcome)[..] else { panic!("one URL: {outcome:?}") };
    assert!(url.contains(said("domain_name")), "{url}");
    assert_eq!(theirs.run(&["get", url, "--data", data]).stdout.trim_end(), "theirs");
    let site = dev.site().with_host(said("domain_name")).verified_as(said("domain_name"));
    for protocol in Protocol::ALL {
        assert_eq!(site.get(protocol, "/hello.mp3").text(), "theirs", "{protocol}");
    }
}

#[test]
fn a_path_that_would_steer_a_terminal_is_written_out() {
    let dev = Dev::start();
    let cli = dev.cli();
    let path = "/red\u{1b}[31m\nline";
    cli.put(path, b"a");
    let listed = cli.run(&["ls"]);
    assert!(listed.stdout.contains("/red\\u{1b}[31m\\nline"), "{listed:?}");
    assert!(!listed.stdout.contains('\u{1b}'), "{listed:?}");
    let removed = cli.run(&["rm", path]);
    assert!(!removed.stdout.contains('\u{1b}'), "{removed:?}");
}

#[test]
fn get_over_http3_says_which_protocol_it_was() {
    let dev = Dev::start();
    dev.cli().put("/hello.mp3", b"sound");
    let url = format!("{}/hello.mp3", dev.line().text("/edges/0/https"));
    let outcome = dev.cli().run(&["get", "--http3", "-v", &url, "-o", "back.mp3"]);
    assert_eq!(dev.cli().read("back.mp3"), "sound");
    assert!(outcome.stderr.to_lowercase().contains("http/3"), "{outcome:?}");
    let counted = [("protocol", "h3"), ("status_class", "2xx")];
    dev.figures().until("skerry_edge_requests_total", &counted, |count| count >= 1.0);
}

#[test]
fn put_without_wait_is_live_a_moment_later() {
    let dev = Dev::start();
    let cli = dev.cli();
    cli.write("soon.txt", b"soon");
    cli.run(&["put", "soon.txt"]);
    crate::harness::eventually("live", || {
        (dev.site().get(Protocol::Http2, "/soon.txt").status == 200).then_some(())
    });
}

#[test]
fn sixteen_puts_of_different_files_at_once_all_answer() {
    let dev = Dev::start();
    let cli = dev.cli();
    let files: Vec<_> = (0..16).map(|number| (format!("file-{number}.bin"), bytes(number, 50_000))).collect();
    for (name, content) in &files {
        cli.write(name, content);
    }
    let mut puts: Vec<_> = files.iter().map(|(name, _)| cli.start(&["put", name, "--wait"])).collect();
    for put in &mut puts {
        let outcome = crate::harness::Outcome::of(put);
        assert_eq!(outcome.code, Some(0), "{outcome:?}");
    }
    for (number, (name, content)) in files.iter().enumerate() {
        let protocol = Protocol::ALL[number % 3];
        assert!(dev.site().get(protocol, &format!("/{name}")).body == *content, "{name} over {protocol}");
    }
}

#[test]
fn a_folder_is_put_as_one_build_with_visibilities_by_name_and_without_dot_files() {
    let dev = Dev::start();
    let cli = dev.cli();
    cli.write("site/index.html", b"<title>folder</title>");
    cli.write("site/css/style.css", b"body{}");
    cli.write("site/notes.private.txt", b"nobody may see this");
    cli.write("site/.env", b"nor this");
    cli.write("site/.git/config", b"nor this");
    let outcome = cli.run(&["put", "site", "--wait"]);
    assert!(
        format!("{}{}", outcome.stdout, outcome.stderr).contains(".env"),
        "skipped files are listed: {outcome:?}"
    );

    let listed = listed(&dev);
    for path in ["/index.html", "/css/style.css", "/notes.txt"] {
        assert!(listed.iter().any(|found| found == path), "{path} in {listed:?}");
    }
    assert!(!listed.iter().any(|path| path.contains(".env") || path.contains(".git")), "{listed:?}");
    for protocol in Protocol::ALL {
        assert_eq!(dev.site().get(protocol, "/css/style.css").text(), "body{}", "{protocol}");
        for path in ["/notes.txt", "/notes.private.txt", "/.env", "/.git/config"] {
            assert_eq!(dev.site().get(protocol, path).status, 404, "{protocol} {path}");
        }
    }
    // The owner has it.
    cli.run(&["get", "/notes.txt", "-o", "notes.back"]);
    assert_eq!(cli.read("notes.back"), "nobody may see this");
}

/// A rename would put a file in the place of a pipe, a device or a link.
#[test]
fn get_writes_into_a_pipe_and_through_a_link() {
    let dev = Dev::start();
    let cli = dev.cli();
    cli.put("/notes.txt", b"written through");
    let pipe = cli.folder().join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().expect("runs").success());
    let mut getting = cli.start(&["get", "/notes.txt", "-o", "pipe"]);
    assert_eq!(std::fs::read(&pipe).expect("reads"), b"written through");
    assert!(getting.wait().success());
    assert!(std::fs::metadata(&pipe).expect("is there").file_type().is_fifo());

    let target = cli.write("target.txt", b"before");
    std::os::unix::fs::symlink(&target, cli.folder().join("link.txt")).expect("a link");
    cli.run(&["get", "/notes.txt", "-o", "link.txt"]);
    assert_eq!(std::fs::read(&target).expect("reads"), b"written through");
}

#[test]
fn hidden_files_come_along_when_asked_for() {
    let dev = Dev::start();
    let cli = dev.cli();
    cli.write("site/.well-known/security.txt", b"Contact: us");
    cli.run(&["put", "site", "--hidden", "--wait"]);
    assert_eq!(dev.site().get(Protocol::Http1, "/.well-known/security.txt").text(), "Contact: us");
}

#[test]
fn what_was_private_becomes_public_only_with_yes() {
    let dev = Dev::start();
    let cli = dev.cli();
    cli.write("plan.txt", b"secret");
    cli.run(&["put", "plan.txt", "--visibility", "private", "--wait"]);
    cli.refused(&["put", "plan.txt", "--wait"], &["/plan.txt", "--yes"]);
    assert_eq!(dev.site().get(Protocol::Http1, "/plan.txt").status, 404);
    cli.run(&["put", "plan.txt", "--yes", "--wait"]);
    assert_eq!(dev.site().get(Protocol::Http1, "/plan.txt").text(), "secret");
}

#[test]
fn a_public_file_that_becomes_private_is_gone_from_every_edge() {
    let dev = Dev::with(&["--edges", "2"]);
    let cli = dev.cli();
    cli.write("plan.txt", b"open");
    cli.run(&["put", "plan.txt", "--wait"]);
    assert_eq!(dev.edge(1).get(Protocol::Http1, "/plan.txt").text(), "open");
    cli.run(&["put", "plan.txt", "--visibility", "private", "--wait"]);
    for edge in 0..2 {
        assert_eq!(dev.edge(edge).get(Protocol::Http1, "/plan.txt").status, 404, "edge {edge}");
    }
}

#[test]
fn after_rm_with_wait_three_edges_answer_404() {
    let dev = Dev::with(&["--edges", "3"]);
    let cli = dev.cli();
    cli.put("/away.txt", b"away");
    cli.put("/stays.txt", b"stays");
    let edges = || (0..3).flat_map(|edge| Protocol::ALL.map(|protocol| (edge, protocol)));
    for (edge, protocol) in edges() {
        assert_eq!(dev.edge(edge).get(protocol, "/away.txt").text(), "away", "edge {edge} {protocol}");
    }
    cli.run(&["rm", "/away.txt", "--wait"]);
    for (edge, protocol) in edges() {
        assert_eq!(dev.edge(edge).get(protocol, "/away.txt").status, 404, "edge {edge} {protocol}");
        assert_eq!(dev.edge(edge).get(protocol, "/stays.txt").text(), "stays", "edge {edge} {protocol}");
    }
    assert!(!listed(&dev).contains(&"/away.txt".to_owned()));
}

#[test]
fn rm_of_what_is_not_there_is_told_so() {
    let dev = Dev::start();
    dev.cli().refused(&["rm", "/never.txt"], &["/never.txt"]);
}

#[test]
fn each_edge_counts_for_itself() {
    let dev = Dev::with(&["--edges", "2"]);
    dev.cli().put("/a.txt", b"a");
    let labels = [("protocol", "h1"), ("status_class", "2xx")];
    let before = dev.edge_figures(1).metric("skerry_edge_requests_total", &labels);
    dev.edge(0).get(Protocol::Http1, "/a.txt");
    dev.edge_figures(0).until("skerry_edge_requests_total", &labels, |count| count >= 1.0);
    assert_eq!(dev.edge_figures(1).metric("skerry_edge_requests_total", &labels), before);
}

#[test]
fn json_of_put_is_for_scripts() {
    let dev = Dev::start();
    let cli = dev.cli();
    cli.write("a.txt", b"for scripts");
    let outcome = cli.run(&["put", "a.txt", "--wait", "--json"]);
    let text = outcome.json().to_string();
    assert!(
        text.contains(&format!("{}/a.txt", dev.line().text("/domain_name"))) || text.contains("/a.txt"),
        "{text}"
    );
    assert_eq!(hash(&dev.site().get(Protocol::Http1, "/a.txt").body), hash(b"for scripts"));
}

#[test]
fn a_command_that_changes_something_says_which_origin_it_talks_to() {
    let dev = Dev::start();
    let outcome = dev.cli().put("/a.txt", b"a");
    let address = dev.line().text("/grpc").trim_start_matches("https://").to_owned();
    assert!(format!("{}{}", outcome.stdout, outcome.stderr).contains(&address), "{outcome:?}");
}
