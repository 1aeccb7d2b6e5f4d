//! What a development server says when everything answers: URLs to try, or one line for scripts.

use super::hint::quoted;
use crate::client::{Credentials, DATA_DEFAULT, Running};
use crate::environment::program;
use crate::failure::Failure;
use crate::output;
use serde_json::{Value, json};
use std::fmt::Write;
use std::path::Path;

/// What is said of a server.
#[derive(Clone, Copy)]
pub(super) struct Announced<'a> {
    pub(super) running: &'a Running,
    pub(super) credentials: &'a Credentials,
    /// The console, with a sign-in link that works once.
    pub(super) console: &'a str,
}

/// One line of JSON, the only one on standard output.
pub(super) fn for_scripts(announced: &Announced<'_>, ca: &Path) -> Result<(), Failure> {
    output::json(&line(announced, ca))
}

fn line(announced: &Announced<'_>, ca: &Path) -> Value {
    let Announced { running, credentials, console } = announced;
    let edges = running.edges.iter().map(|edge| json!({ "https": edge.https, "admin": edge.admin }));
    json!({
        "api": running.api,
        "console": console,
        "grpc": running.grpc,
        "origin_admin": running.origin_admin,
        "account_sid": credentials.account_sid,
        "auth_token": credentials.auth_token,
        "service_sid": credentials.service_sid,
        "environment_sid": credentials.environment_sid,
        "domain_name": credentials.domain_name,
        "ca_file": ca,
        "edges": edges.collect::<Vec<_>>(),
        "pid": running.pid,
    })
}

/// What to try, with commands to copy.
pub(super) fn for_people(announced: &Announced<'_>, data: &Path) -> Result<(), Failure> {
    output::line(screen(announced, data, &program()))
}

fn screen(announced: &Announced<'_>, data: &Path, program: &str) -> String {
    let Announced { running, credentials, console } = announced;
    let ca = quoted(&data.join(crate::client::CA_FILE));
    // Commands find the default folder by themselves.
    let data_option =
        if data == Path::new(DATA_DEFAULT) { String::new() } else { format!(" --data {}", quoted(data)) };
    let https = running.edges.first().map_or("", |edge| edge.https.as_str());
    let port = https.rsplit(':').next().unwrap_or_default();
    let edge_count = match running.edges.len() {
        1 => "an edge".to_owned(),
        count => format!("{count} edges"),
    };
    let mut text = format!(
        "Skerry {version}: an origin and {edge_count}, data in {data}

Console, where you drag a file in and get its URL (this link signs you in, once, within an hour):
  {console}

Try:
  curl --cacert {ca} {https}/hello.mp3 --output hello.mp3
  curl --cacert {ca} --http2 --head {https}/photo.jpg
  {program} get{data_option} --http3 -v {https}/logo.svg
  and in a browser {https}/ or https://{domain}:{port}/

The certificate is from an authority that this server made for itself: give {ca} to your browser or system to trust, or accept the browser's warning.

Publish:
  {program} put FILE --wait{data_option}

Figures:",
        version = env!("CARGO_PKG_VERSION"),
        data = data.display(),
        domain = credentials.domain_name,
    );
    for (edge, number) in running.edges.iter().zip(1..) {
        // Writing to a String cannot fail.
        let _ = write!(text, "\n  edge-{number}  {}  {}/metrics", edge.https, edge.admin);
    }
    let _ =
        write!(text, "\n  origin  {}  {}/metrics\n\nCtrl-C stops it.", running.grpc, running.origin_admin);
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::RunningEdge;

    fn running() -> (Running, Credentials) {
        let edge =
            RunningEdge { https: "https://127.0.0.1:8443".into(), admin: "http://127.0.0.1:9100".into() };
        let running = Running {
            pid: 7,
            api: "http://127.0.0.1:8080".into(),
            grpc: "https://127.0.0.1:8081".into(),
            origin_admin: "http://127.0.0.1:9090".into(),
            edges: vec![edge],
        };
        let credentials =
            r#"{"account_sid":"AC1","auth_token":"hunter2","domain_name":"default-1.localhost"}"#;
        (running, serde_json::from_str(credentials).expect("JSON"))
    }

    #[test]
    fn the_screen_has_commands_to_copy_and_no_secret() {
        let (running, credentials) = running();
        let announced = Announced {
            running: &running,
            credentials: &credentials,
            console: "http://127.0.0.1:8080/#link=1",
        };
        let text = screen(&announced, Path::new("skerry-data"), "skerry");
        for part in [
            "curl --cacert skerry-data/ca.pem https://127.0.0.1:8443/hello.mp3",
            "--http2",
            "skerry get --http3 -v https://127.0.0.1:8443/",
            "https://default-1.localhost:8443/",
            "\n  http://127.0.0.1:8080/#link=1\n",
            "skerry put FILE --wait\n",
            "http://127.0.0.1:9100/metrics",
        ] {
            assert!(text.contains(part), "{part:?} in {text}");
        }
        assert!(!text.contains("hunter2"));
        assert!(screen(&announced, Path::new("/tmp/x"), "skerry").contains("put FILE --wait --data /tmp/x"));
    }

    #[test]
    fn the_line_for_scripts_has_every_key() {
        let (running, credentials) = running();
        let announced =
            Announced { running: &running, credentials: &credentials, console: "http://x/#link=1" };
        let line = line(&announced, Path::new("skerry-data/ca.pem"));
        for key in [
            "api",
            "console",
            "grpc",
            "origin_admin",
            "account_sid",
            "auth_token",
            "service_sid",
            "environment_sid",
            "domain_name",
            "ca_file",
            "edges",
            "pid",
        ] {
            assert!(line.get(key).is_some(), "{key}");
        }
        assert_eq!(line["edges"][0]["https"], "https://127.0.0.1:8443");
        assert!(!line.to_string().contains('\n'));
    }
}
