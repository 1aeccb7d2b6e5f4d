//! `skerry origin` and `skerry edge` as processes of their own, each with a config file.

use super::block_on;
use super::cli::Cli;
use super::fake_origin::FakeOrigin;
use super::figures::Figures;
use super::grpc::{Account, Publisher};
use super::process::{Process, skerry};
use super::site::Site;
use nix::sys::signal::Signal;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use skerry_proto::authority::Authority;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::{Duration, SystemTime};
use tempfile::TempDir;

/// How long a test's certificates last.
const DAY: Duration = Duration::from_secs(86_400);

/// An origin.
pub(crate) struct Origin {
    process: Process,
    grpc: String,
    api: String,
    admin: Figures,
    account: Account,
    domain: String,
    folder: TempDir,
}

/// An edge.
pub(crate) struct Edge {
    process: Process,
    address: SocketAddr,
    admin: Figures,
    /// Where it gives slices to other edges, if it does.
    fill: Option<String>,
    authority: CertificateDer<'static>,
    /// `KEY=VALUE`, above those of the file.
    settings: Vec<String>,
    folder: TempDir,
}

impl Origin {
    /// Makes the first account and starts.
    #[track_caller]
    pub(crate) fn start() -> Self {
        Self::start_set("")
    }

    /// The same with further lines of configuration.
    #[track_caller]
    pub(crate) fn start_set(settings: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let cli = Cli::new(folder.path());
        let config = |grpc: &str| origin_config(&folder.path().join("data"), grpc, settings);
        cli.write("origin.toml", config("127.0.0.1:0").as_bytes());
        let account = cli.run(&["origin", "init", "--config", "origin.toml", "--json"]).json();
        let said =
            |key: &str| account[key].as_str().unwrap_or_else(|| panic!("{key} in {account}")).to_owned();
        let (domain, account) =
            (said("domain_name"), Account { sid: said("account_sid"), token: said("auth_token") });
        let (process, [grpc, api], admin) = run_origin(folder.path());
        // From now on at the same address, so that edges find it again.
        cli.write("origin.toml", config(&grpc).as_bytes());
        Self { process, grpc: format!("https://{grpc}"), api, admin, account, domain, folder }
    }

    /// Starts again, after a stop or a kill, at the same address.
    #[track_caller]
    pub(crate) fn start_again(&mut self) {
        (self.process, [_, self.api], self.admin) = run_origin(self.folder.path());
    }

    #[track_caller]
    pub(crate) fn stop(&mut self) -> ExitStatus {
        self.process.stop()
    }

    pub(crate) fn kill_9(&mut self) {
        self.process.kill_9();
    }

    /// Stops it as a machine that hangs is stopped: its connections stay, and nothing comes.
    pub(crate) fn pause(&mut self) {
        self.process.signal(Signal::SIGSTOP);
    }

    /// Lets it go on.
    pub(crate) fn resume(&mut self) {
        self.process.signal(Signal::SIGCONT);
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    pub(crate) fn url(&self) -> &str {
        &self.grpc
    }

    /// Where the REST API is.
    pub(crate) fn api_url(&self) -> String {
        format!("http://{}", self.api)
    }

    /// Domain of the first environment.
    pub(crate) fn domain(&self) -> &str {
        &self.domain
    }

    /// The auth token of the first account.
    pub(crate) fn token(&self) -> &str {
        &self.account.token
    }

    pub(crate) const fn figures(&self) -> Figures {
        self.admin
    }

    pub(crate) fn publisher(&self) -> Publisher {
        Publisher::new(self.url(), &self.authority(), self.account.clone())
    }

    pub(crate) fn cli(&self) -> Cli {
        self.cli_of(&self.account)
    }

    /// A shell of another account, in a folder of its own.
    pub(crate) fn cli_of(&self, account: &Account) -> Cli {
        Cli::new(&self.folder.path().join("scratch").join(&account.sid))
            .with("SKERRY_GRPC", self.url())
            .with("SKERRY_CA", self.ca_file().to_str().expect("UTF-8"))
            .with("SKERRY_ACCOUNT_SID", &account.sid)
            .with("SKERRY_AUTH_TOKEN", &account.token)
    }

    /// The first account.
    pub(crate) const fn account(&self) -> &Account {
        &self.account
    }

    /// Makes another account.
    #[track_caller]
    pub(crate) fn another_account(&self) -> Account {
        let made = self.cli().run(&["account", "create", "--json"]).json();
        let said = |key: &str| made[key].as_str().unwrap_or_else(|| panic!("{key} in {made}")).to_owned();
        Account { sid: said("account_sid"), token: said("auth_token") }
    }

    /// A join token, as the operator passes it on.
    #[track_caller]
    pub(crate) fn join_token(&self) -> String {
        block_on(self.publisher().join_token()).expect("the operator may").to_text()
    }

    fn authority(&self) -> CertificateDer<'static> {
        CertificateDer::from_pem_file(self.ca_file()).expect("a certificate")
    }

    fn ca_file(&self) -> PathBuf {
        self.data().join("ca.pem")
    }
}

impl Edge {
    /// Joins an origin, and waits until it shows what the origin says.
    #[track_caller]
    pub(crate) fn join(origin: &Origin) -> Self {
        Self::join_with(origin.url(), &origin.join_token())
    }

    /// The same with settings.
    #[track_caller]
    pub(crate) fn join_set(origin: &Origin, settings: &[&str]) -> Self {
        Self::join_as(origin.url(), &origin.join_token(), settings)
    }

    /// Has other settings from the next start on.
    pub(crate) fn set(&mut self, settings: &[&str]) {
        self.settings = settings.iter().map(|&setting| setting.to_owned()).collect();
    }

    /// Joins an origin of lies. What could not be filled is asked for again at once.
    #[track_caller]
    pub(crate) fn of_fake(origin: &FakeOrigin) -> Self {
        Self::of_fake_with(origin, &["limits.fill_retry_seconds=0"])
    }

    /// Joins an origin of lies, with settings.
    #[track_caller]
    pub(crate) fn of_fake_with(origin: &FakeOrigin, settings: &[&str]) -> Self {
        Self::join_as(origin.url(), &origin.token().to_text(), settings)
    }

    /// Joins with a token, and waits until it is ready.
    #[track_caller]
    pub(crate) fn join_with(url: &str, token: &str) -> Self {
        Self::join_as(url, token, &[])
    }

    #[track_caller]
    fn join_as(url: &str, token: &str, settings: &[&str]) -> Self {
        let edge = Self::begin_to_join_as(url, token, settings);
        edge.figures().until_ready();
        edge
    }

    /// Joins with a certificate of its own authority for `names`, and waits until it is ready.
    #[track_caller]
    pub(crate) fn join_without_certificate(origin: &Origin, names: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        prepare_edge(folder.path(), origin.url(), &origin.join_token());
        let config = edge_config(folder.path(), origin.url()).replace("certificate =", "names =");
        let lines = config.lines().filter(|line| !line.starts_with("key ="));
        let lines = lines.map(|line| match line.starts_with("names =") {
            true => format!("names = [{names:?}]"),
            false => line.to_owned(),
        });
        let config: Vec<_> = lines.collect();
        fs::write(folder.path().join("edge.toml"), config.join("\n")).expect("writes");
        let RunningEdge { process, address, admin, fill } = run_edge(folder.path(), &[]);
        let authority = CertificateDer::from_pem_file(folder.path().join("data/ca.pem")).expect("made");
        let edge = Self { process, address, admin, fill, authority, settings: Vec::new(), folder };
        edge.figures().until_ready();
        edge
    }

    /// Begins to join with a token, as an origin may not be there yet.
    #[track_caller]
    pub(crate) fn begin_to_join(url: &str, token: &str) -> Self {
        Self::begin_to_join_as(url, token, &[])
    }

    #[track_caller]
    fn begin_to_join_as(url: &str, token: &str, settings: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let authority = prepare_edge(folder.path(), url, token);
        let settings: Vec<String> = settings.iter().map(|&setting| setting.to_owned()).collect();
        let RunningEdge { process, address, admin, fill } = run_edge(folder.path(), &settings);
        Self { process, address, admin, fill, authority, settings, folder }
    }

    /// Tries to join, and says how that ended.
    #[track_caller]
    pub(crate) fn attempt(url: &str, token: &str) -> super::Outcome {
        let folder = tempfile::tempdir().expect("a temporary folder");
        prepare_edge(folder.path(), url, token);
        super::Outcome::of(&mut Process::spawn("skerry edge", edge_command(folder.path(), &[])))
    }

    /// Starts again on the same folder, and waits until it is ready.
    #[track_caller]
    pub(crate) fn start_again(&mut self) {
        self.start_again_without_origin();
        self.figures().until_ready();
    }

    /// Starts again on the same folder; without its origin it serves what it holds.
    #[track_caller]
    pub(crate) fn start_again_without_origin(&mut self) {
        let RunningEdge { process, address, admin, fill } = run_edge(self.folder.path(), &self.settings);
        (self.process, self.address, self.admin, self.fill) = (process, address, admin, fill);
    }

    #[track_caller]
    pub(crate) fn stop(&mut self) -> ExitStatus {
        self.process.stop()
    }

    pub(crate) fn kill_9(&mut self) {
        self.process.kill_9();
    }

    /// Where it gives slices to other edges.
    #[track_caller]
    pub(crate) fn fill_address(&self) -> String {
        self.fill.clone().expect("it has fill.addresses")
    }

    /// Stops it as a machine that hangs is stopped: its connections stay, and nothing comes.
    pub(crate) fn pause(&mut self) {
        self.process.signal(Signal::SIGSTOP);
    }

    /// Lets it go on.
    pub(crate) fn resume(&mut self) {
        self.process.signal(Signal::SIGCONT);
    }

    /// What it said, from its beginning to its end, which this is.
    #[track_caller]
    pub(crate) fn log(mut self) -> String {
        self.stop();
        self.process.said().stderr
    }

    pub(crate) fn is_running(&mut self) -> bool {
        self.process.is_running()
    }

    /// Its data folder.
    pub(crate) fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Whether its memory holds some text anywhere.
    #[track_caller]
    pub(crate) fn remembers(&self, text: &str) -> bool {
        self.process.remembers(text.as_bytes())
    }

    /// The most memory that it ever had resident, in bytes.
    pub(crate) fn resident_max(&self) -> u64 {
        self.process.resident_max()
    }

    /// What it shows of a domain.
    pub(crate) fn site(&self, domain: &str) -> Site {
        Site::new(self.address, domain, self.authority.clone())
    }

    pub(crate) const fn figures(&self) -> Figures {
        self.admin
    }
}

fn origin_config(data: &Path, grpc: &str, settings: &str) -> String {
    format!(
        "data = {data:?}\n\
         base_domain = \"sites.test\"\n\
         admin.addresses = [\"127.0.0.1:0\"]\n\
         api.addresses = [\"127.0.0.1:0\"]\n\
         {settings}\n\
         [grpc]\naddresses = [\"{grpc}\"]\nnames = [\"127.0.0.1\", \"localhost\"]\n"
    )
}

/// Writes what an edge needs; the authority of its HTTPS certificate.
fn prepare_edge(folder: &Path, url: &str, token: &str) -> CertificateDer<'static> {
    let now = SystemTime::now();
    let authority = Authority::generate("a test's HTTPS authority", now).expect("randomness");
    let authority = Authority::new(&authority).expect("own authority");
    let names = ["*.sites.test", "*.test", "music.test", "localhost", "127.0.0.1"].map(str::to_owned);
    let identity = authority.issue_server(&names, now, DAY).expect("issues");
    let write = |name: &str, content: &str| fs::write(folder.join(name), content).expect("writes");
    write("https.pem", &identity.certificate_pem());
    write("https.key", &identity.key_pem());
    write("join-token", token);
    write("edge.toml", &edge_config(folder, url));
    authority.certificate().clone()
}

fn edge_config(folder: &Path, url: &str) -> String {
    let path = |name: &str| folder.join(name);
    format!(
        "data = {:?}\nname = \"test\"\n\
         admin.addresses = [\"127.0.0.1:0\"]\ncache.disk_size = \"256MiB\"\n\
         [https]\naddresses = [\"127.0.0.1:0\"]\ncertificate = {:?}\nkey = {:?}\nhsts_max_age = 31536000\n\
         [origin]\nurl = \"{url}\"\njoin_token_file = {:?}\n",
        path("data"),
        path("https.pem"),
        path("https.key"),
        path("join-token"),
    )
}

/// Addresses of gRPC and the API, and the admin listener.
#[track_caller]
fn run_origin(folder: &Path) -> (Process, [String; 2], Figures) {
    let mut command = skerry();
    command.current_dir(folder).args(["origin", "--config", "origin.toml", "--log-format", "json"]);
    let mut process = Process::spawn("skerry origin", command);
    let [grpc, api, admin] = process.logged(["grpc", "api", "admin"]);
    let admin = Figures::of(&format!("http://{admin}"));
    admin.until_ready();
    (process, [grpc, api], admin)
}

fn edge_command(folder: &Path, settings: &[String]) -> std::process::Command {
    let mut command = skerry();
    command.current_dir(folder).args(["edge", "--config", "edge.toml", "--log-format", "json"]);
    for setting in settings {
        command.args(["--set", setting]);
    }
    command
}

/// An edge that has said where it listens; it need not be ready yet.
struct RunningEdge {
    process: Process,
    address: SocketAddr,
    admin: Figures,
    fill: Option<String>,
}

#[track_caller]
fn run_edge(folder: &Path, settings: &[String]) -> RunningEdge {
    let mut process = Process::spawn("skerry edge", edge_command(folder, settings));
    let gives = settings.iter().any(|setting| setting.starts_with("fill.addresses="));
    let (https, admin, fill) = if gives {
        let [https, fill, admin] = process.logged(["https", "fill", "admin"]);
        (https, admin, Some(fill))
    } else {
        let [https, admin] = process.logged(["https", "admin"]);
        (https, admin, None)
    };
    let address = https.parse().expect("an address");
    RunningEdge { process, address, admin: Figures::of(&format!("http://{admin}")), fill }
}
