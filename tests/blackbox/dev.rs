//! `skerry dev`: the first start, the next one, and what it says when it cannot.

use crate::harness::{Cli, Dev, FREE_PORTS, Process, Protocol, files_below, skerry, text};
use std::fs;
use std::net::{TcpListener, UdpSocket};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

const DEMO: [(&str, &str); 6] = [
    ("/index.html", "text/html"),
    ("/style.css", "text/css"),
    ("/app.js", "text/javascript"),
    ("/logo.svg", "image/svg+xml"),
    ("/hello.mp3", "audio/mpeg"),
    ("/photo.jpg", "image/jpeg"),
];

fn demo(path: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/demo");
    fs::read(folder.join(path.trim_start_matches('/'))).expect("a demo asset")
}

#[test]
fn a_new_folder_shows_the_demo_over_each_protocol() {
    let dev = Dev::start();
    for protocol in Protocol::ALL {
        for (path, content_type) in DEMO {
            let response = dev.site().get(protocol, path);
            assert_eq!(response.status, 200, "{protocol} {path}");
            assert!(
                response.header("content-type").starts_with(content_type),
                "{protocol} {path}: {response:?}"
            );
            assert!(response.body == demo(path), "{protocol} {path}");
        }
        assert!(dev.site().get(protocol, "/").body == demo("/index.html"), "{protocol}");
    }
}

#[test]
fn the_demo_is_never_published_again() {
    let mut dev = Dev::start();
    dev.cli().run(&["rm", "/hello.mp3", "--wait"]);
    dev.cli().put("/mine.txt", b"mine");
    dev.restart();
    assert_eq!(dev.site().get(Protocol::Http1, "/hello.mp3").status, 404);
    assert_eq!(dev.site().get(Protocol::Http1, "/mine.txt").text(), "mine");
    for (path, _) in DEMO {
        if path != "/hello.mp3" {
            assert!(dev.site().get(Protocol::Http2, path).body == demo(path), "{path}");
        }
    }
}

#[test]
fn a_second_start_is_the_same_server() {
    let mut dev = Dev::start();
    let before = dev.line().clone();
    dev.restart();
    for key in ["/account_sid", "/auth_token", "/service_sid", "/environment_sid", "/domain_name", "/ca_file"]
    {
        assert_eq!(dev.line().text(key), before.text(key), "{key}");
    }
    assert_eq!(dev.line().authority(), before.authority());
}

/// The edges that were killed cannot say goodbye, and will not come back: nobody waits for them.
#[test]
fn with_fewer_edges_than_before_a_kill_wait_returns_when_those_that_run_show_it() {
    let mut dev = Dev::with(&["--edges", "3"]);
    dev.kill_9();
    dev.start_again_with(&[]);
    let edges =
        dev.cli().run(&["put", dev.cli().write("a.txt", b"a").to_str().expect("UTF-8"), "--wait", "--json"]);
    assert_eq!(edges.json()["edges"].as_array().map(Vec::len), Some(1), "{edges:?}");
    // All of them count again when they run again.
    dev.kill_9();
    dev.start_again_with(&["--edges", "3"]);
    let edges = dev.cli().run(&["rm", "/a.txt", "--wait", "--json"]);
    assert_eq!(edges.json()["edges"].as_array().map(Vec::len), Some(3), "{edges:?}");
}

/// A mark for a quiet machine is 1 s; this bound only catches a start that waits for something.
#[test]
fn dev_on_a_folder_that_exists_is_ready_soon() {
    let mut dev = Dev::start();
    dev.restart();
    println!("ready after {:?}", dev.ready_after());
    assert!(dev.ready_after() < Duration::from_secs(10), "{:?}", dev.ready_after());
}

#[test]
fn probes_and_figures_answer_when_the_line_is_printed() {
    let dev = Dev::with(&["--edges", "2"]);
    for figures in [dev.origin_figures(), dev.edge_figures(0), dev.edge_figures(1)] {
        for path in ["/livez", "/readyz", "/metrics"] {
            let (status, text) = figures.get(path).expect("answers");
            assert_eq!(status, 200, "{path}: {text}");
        }
        assert_eq!(figures.get("/nothing").expect("answers").0, 404);
    }
    for edge in 0..2 {
        assert_eq!(dev.edge_figures(edge).metric("skerry_edge_watch_connected", &[]), 1.0);
        dev.edge_figures(edge).until("skerry_edge_lease_remaining_seconds", &[], |seconds| seconds > 0.0);
    }
}

#[test]
fn for_people_it_prints_urls_curl_lines_and_what_to_do_about_the_certificate() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut process = start(&Cli::new(folder.path()), &folder.path().join("data"), &FREE_PORTS);
    let mut said = Vec::new();
    loop {
        let line = process.line();
        said.push(line.clone());
        let all = said.join("\n");
        if all.contains("curl") && all.contains("https://127.0.0.1:") && all.contains("ca.pem") {
            break;
        }
    }
    process.stop();
    let said = process.said();
    let token = files_below(&folder.path().join("data"))
        .into_iter()
        .filter_map(|path| fs::read_to_string(path).ok())
        .find_map(|text| auth_token(&text));
    if let Some(token) = token {
        assert!(!said.stdout.contains(&token) && !said.stderr.contains(&token), "the token is in the output");
    }
}

/// The value beside `auth_token` in a file of credentials, whatever its syntax.
fn auth_token(text: &str) -> Option<String> {
    let (_, rest) = text.split_once("auth_token")?;
    rest.split(|byte: char| !byte.is_ascii_alphanumeric()).find(|word| word.len() >= 16).map(str::to_owned)
}

#[test]
fn the_folder_is_closed_to_others_and_holds_the_token_in_closed_files_only() {
    let mut dev = Dev::start();
    let token = dev.line().text("/auth_token").to_owned();
    let mode = |path: &Path| fs::metadata(path).expect("there").permissions().mode() & 0o777;
    assert_eq!(mode(&dev.data()), 0o700);
    for path in files_below(&dev.data()) {
        let content = fs::read(&path).unwrap_or_default();
        let holds_secret = content.windows(token.len()).any(|window| window == token.as_bytes())
            || content.windows(11).any(|window| window == b"PRIVATE KEY");
        assert!(!holds_secret || mode(&path) == 0o600, "{} has mode {:o}", path.display(), mode(&path));
    }
    dev.stop();
}

/// A wildcard directly under a top-level name, such as `*.localhost`, is taken by hardly any client.
#[test]
fn the_certificate_is_valid_for_every_name_in_the_urls_that_are_printed() {
    let mut dev = Dev::start();
    for start in ["first", "second"] {
        let domain = dev.line().text("/domain_name").to_owned();
        for protocol in Protocol::ALL {
            for name in [domain.as_str(), "localhost", "127.0.0.1"] {
                let site = dev.site().with_host(name).verified_as(name);
                assert_eq!(site.get(protocol, "/hello.mp3").status, 200, "{start} start, {protocol}, {name}");
            }
        }
        dev.restart();
    }
}

#[test]
fn ctrl_c_is_a_clean_end() {
    let mut dev = Dev::start();
    assert_eq!(dev.stop().code(), Some(0));
}

#[test]
fn a_second_process_on_the_folder_is_told_so() {
    let dev = Dev::start();
    let outcome = attempt(&dev.cli(), &dev.data(), &FREE_PORTS);
    outcome.assert_refused(&["in use", dev.data().to_str().expect("UTF-8"), "skerry dev --data"]);
    assert_eq!(dev.site().get(Protocol::Http1, "/hello.mp3").status, 200, "the first one goes on");
}

#[test]
fn a_port_in_use_is_told_with_a_command_that_works() {
    let dev = Dev::start();
    let https = dev.site().address().to_string();
    let grpc = dev.line().text("/grpc").trim_start_matches("https://").to_owned();
    let admin = dev.line().text("/edges/0/admin").trim_start_matches("http://").to_owned();
    for (flag, address) in [("--https", &https), ("--grpc", &grpc), ("--admin", &admin)] {
        let folder = tempfile::tempdir().expect("a folder");
        let mut arguments = FREE_PORTS.to_vec();
        let at = arguments.iter().position(|argument| *argument == flag).expect("one of them");
        arguments[at + 1] = address;
        let cli = Cli::new(folder.path());
        let outcome = attempt(&cli, &folder.path().join("data"), &arguments);
        let port = address.rsplit(':').next().expect("a port");
        outcome.assert_refused(&["in use", port, "skerry dev"]);
        run_advice(&cli, &outcome.stderr);
    }
}

/// The command in the message does what it says: the server starts.
fn run_advice(cli: &Cli, message: &str) {
    let advice =
        message.lines().find_map(|line| line.find("skerry dev").map(|at| &line[at..])).expect("a command");
    let words: Vec<&str> = advice.trim_end_matches(['`', '.']).split_whitespace().skip(1).collect();
    let mut words: Vec<&str> = words.iter().map(|word| word.trim_matches('`')).collect();
    if !words.contains(&"--json") {
        words.push("--json");
    }
    let mut process = cli.start(&words);
    assert!(process.line().contains("\"edges\""), "{advice}");
    assert!(process.stop().success(), "{advice}");
}

/// SO_REUSEPORT would let both bind, and half of all connections would go astray.
#[test]
fn a_port_that_somebody_else_has_over_tcp_or_udp_is_refused() {
    let tcp = TcpListener::bind("127.0.0.1:0").expect("a port");
    let udp = UdpSocket::bind("127.0.0.1:0").expect("a port");
    for address in [tcp.local_addr().expect("bound"), udp.local_addr().expect("bound")] {
        let folder = tempfile::tempdir().expect("a folder");
        let address = address.to_string();
        let mut arguments = FREE_PORTS.to_vec();
        arguments[1] = &address;
        let outcome = attempt(&Cli::new(folder.path()), &folder.path().join("data"), &arguments);
        outcome.assert_refused(&["in use", address.rsplit(':').next().expect("a port")]);
    }
}

/// A file in the way, because permissions do not stop the user that tests may run as.
#[test]
fn a_folder_that_cannot_be_made_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("file"), "x").expect("writes");
    let data = folder.path().join("file/data");
    attempt(&Cli::new(folder.path()), &data, &FREE_PORTS).assert_refused(&[data.to_str().expect("UTF-8")]);
    assert_eq!(text(&folder.path().join("file")), "x");
}

#[test]
fn a_folder_without_write_permission_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    fs::create_dir(&data).expect("a folder");
    fs::set_permissions(&data, fs::Permissions::from_mode(0o500)).expect("our own");
    if fs::write(data.join("probe"), "x").is_ok() {
        println!("this user may write everywhere; left out");
        return;
    }
    attempt(&Cli::new(folder.path()), &data, &FREE_PORTS)
        .assert_refused(&[data.to_str().expect("UTF-8"), "permission"]);
    assert!(files_below(&data).is_empty());
}

#[test]
fn a_folder_of_a_newer_version_is_refused_and_left_alone() {
    let mut dev = Dev::start();
    dev.stop();
    let formats: Vec<PathBuf> = files_below(&dev.data())
        .into_iter()
        .filter(|path| path.file_name().is_some_and(|name| name == "format"))
        .collect();
    assert!(!formats.is_empty(), "the folder says which version it has");
    for format in &formats {
        let before = text(format);
        fs::write(format, "999\n").expect("writes");
        attempt(&dev.cli(), &dev.data(), &FREE_PORTS).assert_refused(&["999", "newer"]);
        assert_eq!(text(format), "999\n");
        fs::write(format, before).expect("writes");
    }
    dev.start_again();
    assert_eq!(dev.site().get(Protocol::Http1, "/hello.mp3").status, 200);
}

#[test]
fn an_unknown_key_is_a_fault_that_is_named_before_anything_is_made() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    let cli = Cli::new(folder.path());
    let config = cli.write("skerry.toml", b"nonsense = 1\nalso_nonsense = 2\n");
    let config = config.to_str().expect("UTF-8");
    let all: [&[&str]; 2] = [&["--set", "nonsense=1"], &["--config", config]];
    for arguments in all {
        let mut with_ports = FREE_PORTS.to_vec();
        with_ports.extend(arguments);
        let outcome = attempt(&cli, &data, &with_ports);
        outcome.assert_refused(&["nonsense"]);
        assert_eq!(outcome.code, Some(64), "{outcome:?}");
        assert!(!data.exists(), "{outcome:?}");
    }
}

#[test]
fn an_unknown_flag_is_a_fault_of_use() {
    let folder = tempfile::tempdir().expect("a folder");
    let outcome = Cli::new(folder.path()).attempt(&["dev", "--nonsense"]);
    outcome.assert_refused(&["--nonsense"]);
    assert_eq!(outcome.code, Some(64), "{outcome:?}");
}

fn start(cli: &Cli, data: &Path, arguments: &[&str]) -> Process {
    let mut command = skerry();
    command.current_dir(cli.folder()).args(["dev", "--data"]).arg(data).args(arguments);
    Process::spawn("skerry dev", command)
}

fn attempt(cli: &Cli, data: &Path, arguments: &[&str]) -> crate::harness::Outcome {
    crate::harness::Outcome::of(&mut start(cli, data, arguments))
}
