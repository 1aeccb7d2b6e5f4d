//! `skerry dev`, as a test drives it.

use super::cli::Cli;
use super::figures::Figures;
use super::grpc::{Account, Publisher};
use super::process::{Process, skerry};
use super::site::Site;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// An origin and edges in one process, on a folder of its own.
pub(crate) struct Dev {
    process: Process,
    line: DevLine,
    ready_after: Duration,
    arguments: Vec<String>,
    // The last field: the folder goes when nothing uses it any more.
    folder: TempDir,
}

/// The line of `--json`.
#[derive(Debug, Clone)]
pub(crate) struct DevLine(pub(crate) Value);

impl Dev {
    /// Starts on a new folder, with one edge.
    #[track_caller]
    pub(crate) fn start() -> Self {
        Self::with(&[])
    }

    /// Starts on a new folder, with further arguments.
    #[track_caller]
    pub(crate) fn with(arguments: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let arguments: Vec<String> = arguments.iter().map(|&argument| argument.to_owned()).collect();
        let (process, line, ready_after) = spawn(folder.path(), &arguments);
        Self { process, line, ready_after, arguments, folder }
    }

    /// Starts again on the same folder, after a stop or a kill.
    #[track_caller]
    pub(crate) fn start_again(&mut self) {
        (self.process, self.line, self.ready_after) = spawn(self.folder.path(), &self.arguments);
    }

    /// Starts again on the same folder with other arguments.
    #[track_caller]
    pub(crate) fn start_again_with(&mut self, arguments: &[&str]) {
        self.arguments = arguments.iter().map(|&argument| argument.to_owned()).collect();
        self.start_again();
    }

    /// Stops as Ctrl-C does, which must succeed, and starts again on the same folder.
    #[track_caller]
    pub(crate) fn restart(&mut self) {
        let status = self.stop();
        assert!(status.success(), "a clean stop is a success, not {status}");
        self.start_again();
    }

    #[track_caller]
    pub(crate) fn stop(&mut self) -> ExitStatus {
        self.process.stop()
    }

    pub(crate) fn kill_9(&mut self) {
        self.process.kill_9();
    }

    /// From the start to the line that says that everything answers.
    pub(crate) const fn ready_after(&self) -> Duration {
        self.ready_after
    }

    pub(crate) const fn line(&self) -> &DevLine {
        &self.line
    }

    /// The data folder.
    pub(crate) fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// A folder for what the test writes.
    pub(crate) fn scratch(&self) -> PathBuf {
        self.folder.path().join("scratch")
    }

    /// A shell that knows this origin.
    pub(crate) fn cli(&self) -> Cli {
        self.line.cli(&self.scratch())
    }

    /// Another account, which is no operator's.
    #[track_caller]
    pub(crate) fn other_account(&self) -> Account {
        self.publisher().create_account("other").0
    }

    /// A shell that knows this origin, for another account.
    pub(crate) fn cli_of(&self, account: &Account) -> Cli {
        self.cli().with("SKERRY_ACCOUNT_SID", &account.sid).with("SKERRY_AUTH_TOKEN", &account.token)
    }

    /// The site of the default environment at the first edge, by its own domain.
    pub(crate) fn site(&self) -> Site {
        self.edge(0)
    }

    /// The same at another edge.
    pub(crate) fn edge(&self, number: usize) -> Site {
        self.line.edge(number)
    }

    /// Figures of the first edge.
    pub(crate) fn figures(&self) -> Figures {
        self.edge_figures(0)
    }

    pub(crate) fn edge_figures(&self, number: usize) -> Figures {
        Figures::of(self.line.text(&format!("/edges/{number}/admin")))
    }

    pub(crate) fn origin_figures(&self) -> Figures {
        Figures::of(self.line.text("/origin_admin"))
    }

    /// A gRPC client with the credentials of the first account.
    pub(crate) fn publisher(&self) -> Publisher {
        Publisher::new(self.line.text("/grpc"), &self.line.authority(), self.line.account())
    }
}

impl DevLine {
    /// A value by JSON pointer.
    #[track_caller]
    pub(crate) fn text(&self, pointer: &str) -> &str {
        let value = self.0.pointer(pointer).and_then(Value::as_str);
        value.unwrap_or_else(|| panic!("no text {pointer} in {}", self.0))
    }

    pub(crate) fn account(&self) -> Account {
        Account { sid: self.text("/account_sid").to_owned(), token: self.text("/auth_token").to_owned() }
    }

    /// The authority of this server, as a client trusts it.
    pub(crate) fn authority(&self) -> CertificateDer<'static> {
        CertificateDer::from_pem_file(self.text("/ca_file")).expect("a certificate")
    }

    pub(crate) fn edge(&self, number: usize) -> Site {
        let url = self.text(&format!("/edges/{number}/https"));
        let address = url.strip_prefix("https://").and_then(|address| address.parse().ok());
        let address = address.unwrap_or_else(|| panic!("{url} is no https://ADDRESS:PORT"));
        Site::new(address, self.text("/domain_name"), self.authority()).verified_as("localhost")
    }

    pub(crate) fn cli(&self, folder: &Path) -> Cli {
        Cli::new(folder)
            .with("SKERRY_API", self.text("/api"))
            .with("SKERRY_GRPC", self.text("/grpc"))
            .with("SKERRY_CA", self.text("/ca_file"))
            .with("SKERRY_ACCOUNT_SID", self.text("/account_sid"))
            .with("SKERRY_AUTH_TOKEN", self.text("/auth_token"))
    }
}

/// Arguments that let the system pick every port.
pub(crate) const FREE_PORTS: [&str; 8] =
    ["--https", "127.0.0.1:0", "--api", "127.0.0.1:0", "--grpc", "127.0.0.1:0", "--admin", "127.0.0.1:0"];

fn command(folder: &Path, arguments: &[String]) -> Command {
    let mut command = skerry();
    command.current_dir(folder).args(["dev", "--json", "--data"]).arg(folder.join("data"));
    command.args(FREE_PORTS).args(arguments);
    command
}

#[track_caller]
fn spawn(folder: &Path, arguments: &[String]) -> (Process, DevLine, Duration) {
    let started = Instant::now();
    let mut process = Process::spawn("skerry dev", command(folder, arguments));
    let line = process.line();
    let ready_after = started.elapsed();
    let value = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error} in {line:?}"));
    (process, DevLine(value), ready_after)
}
