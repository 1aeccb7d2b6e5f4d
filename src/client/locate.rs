//! Where the origin is, and with which credentials: options, else environment, else the data folder of a running `skerry dev`.

use crate::environment::Environment;
use crate::failure::Failure;
use serde::{Deserialize, Serialize};
use std::fs;
use std::path::{Path, PathBuf};

/// Folder of `skerry dev`, and where client commands look when nothing else is said.
pub(crate) const DATA_DEFAULT: &str = "skerry-data";

/// In the folder of `skerry dev`: the addresses of the process that runs now.
pub(crate) const RUNNING_FILE: &str = "running.json";

/// In the folder of `skerry dev`: its first account.
pub(crate) const CREDENTIALS_FILE: &str = "credentials.json";

/// In the folder of `skerry dev`: the private key that signs URLs.
pub(crate) const URL_KEY_FILE: &str = "url-key.pem";

/// In the folder of `skerry dev`: the certificate that clients trust.
pub(crate) const CA_FILE: &str = "ca.pem";

/// Which origin a command talks to, and about what.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Origin")]
pub(crate) struct OriginOptions {
    /// The origin's gRPC listener [environment: SKERRY_GRPC] [default: what runs on --data]
    #[arg(long, value_name = "URL")]
    grpc: Option<String>,
    /// Certificate of the origin's authority, PEM [environment: SKERRY_CA]
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// The origin's API; not needed by commands that use gRPC [environment: SKERRY_API]
    #[arg(long, value_name = "URL")]
    api: Option<String>,
    /// Account [environment: SKERRY_ACCOUNT_SID]
    #[arg(long, value_name = "SID")]
    account_sid: Option<String>,
    /// Its auth token; others on this machine can read command lines, so better in the environment
    /// [environment: SKERRY_AUTH_TOKEN]
    #[arg(long, value_name = "TOKEN")]
    auth_token: Option<String>,
    /// Data folder of a `skerry dev` that runs on this machine
    #[arg(long, value_name = "DIR", default_value = DATA_DEFAULT)]
    pub(crate) data: PathBuf,
    /// Service, by SID or unique name; where the account has more than one
    #[arg(long, value_name = "SERVICE")]
    service: Option<String>,
    /// Environment, by SID or unique name; where the service has more than one
    #[arg(long, value_name = "ENVIRONMENT")]
    environment: Option<String>,
}

/// How a command that asks the origin shows what it says.
#[derive(Debug, clap::Args)]
pub(crate) struct AskOptions {
    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) origin: OriginOptions,
}

/// An account with its token, as `skerry dev` keeps them.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Credentials {
    pub(crate) account_sid: String,
    pub(crate) auth_token: String,
    #[serde(default)]
    pub(crate) service_sid: String,
    #[serde(default)]
    pub(crate) environment_sid: String,
    #[serde(default)]
    pub(crate) domain_name: String,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials").field("account_sid", &self.account_sid).finish_non_exhaustive()
    }
}

/// The addresses of a running `skerry dev`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Running {
    pub(crate) pid: u32,
    pub(crate) api: String,
    pub(crate) grpc: String,
    pub(crate) origin_admin: String,
    pub(crate) edges: Vec<RunningEdge>,
}

/// The addresses of one of its edges.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct RunningEdge {
    pub(crate) https: String,
    pub(crate) admin: String,
}

/// What a `skerry dev` on this machine shows where a request names no known host.
#[derive(Debug, Clone)]
pub(crate) struct DevSite {
    /// HTTPS of its first edge.
    pub(crate) https: String,
    /// Domain of the environment that is shown there.
    pub(crate) domain: String,
}

/// An origin, and who asks it about what.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    /// `https://host:port`
    pub(crate) grpc: String,
    pub(crate) ca_pem: String,
    pub(crate) credentials: Credentials,
    /// Where the credentials were found, for the message about wrong ones.
    pub(crate) credentials_from: String,
    /// Empty where there is only one.
    pub(crate) service: String,
    /// Empty where there is only one.
    pub(crate) environment: String,
    /// Where the origin is that of a `skerry dev` on this machine.
    pub(crate) dev_site: Option<DevSite>,
}

/// Finds origin and credentials.
///
/// # Errors
/// What is missing, and how to say it.
pub(super) fn place(options: &OriginOptions, environment: &Environment) -> Result<Place, Failure> {
    let running = running(&options.data)?;
    let (grpc, dev_site) = match (given(options.grpc.as_deref(), environment, "SKERRY_GRPC"), running) {
        (Some(grpc), _) => (grpc, None),
        (None, Some(running)) => (running.grpc.clone(), dev_site(running, &options.data)?),
        (None, None) => return Err(no_origin(&options.data)),
    };
    let grpc = https_url(grpc)?;
    let ca = trusted_certificate(options.ca.as_deref(), &options.data, environment).ok_or_else(|| {
        Failure::usage(format!("the certificate that vouches for {grpc} is not known"))
            .hint("name the origin's ca.pem with --ca FILE or SKERRY_CA")
    })?;
    let ca_pem = fs::read_to_string(&ca)
        .map_err(|error| Failure::usage(format!("cannot read the certificate {}: {error}", ca.display())))?;
    let (credentials, credentials_from) = account(options, environment)?;
    let service = options.service.clone().unwrap_or_default();
    let environment = options.environment.clone().unwrap_or_default();
    Ok(Place { grpc, ca_pem, credentials, credentials_from, service, environment, dev_site })
}

fn dev_site(running: Running, data: &Path) -> Result<Option<DevSite>, Failure> {
    let first: Option<Credentials> = read_json(&data.join(CREDENTIALS_FILE))?;
    let edge = running.edges.into_iter().next();
    Ok(edge.zip(first).map(|(edge, first)| DevSite { https: edge.https, domain: first.domain_name }))
}

/// The REST API, as `http://host:port`.
///
/// # Errors
/// What is missing, and how to say it.
pub(crate) fn api(options: &OriginOptions, environment: &Environment) -> Result<String, Failure> {
    match (given(options.api.as_deref(), environment, "SKERRY_API"), running(&options.data)?) {
        (Some(api), _) => Ok(api),
        (None, Some(running)) => Ok(running.api),
        (None, None) => {
            Err(Failure::usage(format!("no API is known: no skerry dev runs on {}", options.data.display()))
                .hint("name it with --api URL or SKERRY_API, or the folder of a skerry dev with --data DIR"))
        }
    }
}

/// The account that asks, and where it was found.
///
/// # Errors
/// What is missing, and how to say it.
pub(crate) fn account(
    options: &OriginOptions,
    environment: &Environment,
) -> Result<(Credentials, String), Failure> {
    let sid = given(options.account_sid.as_deref(), environment, "SKERRY_ACCOUNT_SID");
    let token = given(options.auth_token.as_deref(), environment, "SKERRY_AUTH_TOKEN");
    credentials(sid, token, &options.data)
}

fn given(option: Option<&str>, environment: &Environment, variable: &str) -> Option<String> {
    option.or_else(|| environment.value(variable)).map(str::to_owned)
}

/// File of the authority that was named, or that a data folder has.
pub(crate) fn trusted_certificate(
    given: Option<&Path>,
    data: &Path,
    environment: &Environment,
) -> Option<PathBuf> {
    let named = given.map(Path::to_owned).or_else(|| environment.value("SKERRY_CA").map(PathBuf::from));
    named.or_else(|| Some(data.join(CA_FILE)).filter(|file| file.is_file()))
}

fn credentials(
    sid: Option<String>,
    token: Option<String>,
    data: &Path,
) -> Result<(Credentials, String), Failure> {
    match (sid, token) {
        (Some(account_sid), Some(auth_token)) => {
            let credentials = Credentials {
                account_sid,
                auth_token,
                service_sid: String::new(),
                environment_sid: String::new(),
                domain_name: String::new(),
            };
            Ok((credentials, "options and environment".into()))
        }
        (None, None) => {
            let path = data.join(CREDENTIALS_FILE);
            let credentials = read_json(&path)?.ok_or_else(|| {
                Failure::usage("no account is known")
                    .hint("set SKERRY_ACCOUNT_SID and SKERRY_AUTH_TOKEN, or name the folder of a skerry dev with --data DIR")
            })?;
            Ok((credentials, path.display().to_string()))
        }
        (Some(_), None) => Err(Failure::usage("the account's auth token is missing; set SKERRY_AUTH_TOKEN")),
        (None, Some(_)) => Err(Failure::usage("the account is missing; set SKERRY_ACCOUNT_SID")),
    }
}

/// The addresses of the `skerry dev` that runs, or ran and was killed, on a folder.
pub(crate) fn running(data: &Path) -> Result<Option<Running>, Failure> {
    read_json(&data.join(RUNNING_FILE))
}

/// A JSON file, if it is there.
pub(crate) fn read_json<T: serde::de::DeserializeOwned>(path: &Path) -> Result<Option<T>, Failure> {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Failure::new(format!("cannot read {}: {error}", path.display()))),
    };
    // The source is not shown: it could quote a secret.
    serde_json::from_slice(&bytes)
        .map(Some)
        .map_err(|_| Failure::new(format!("{} is not the JSON that skerry dev writes", path.display())))
}

fn no_origin(data: &Path) -> Failure {
    let mut failure = Failure::usage(format!("no origin is known: no skerry dev runs on {}", data.display()));
    if data.join(CREDENTIALS_FILE).is_file() {
        failure = failure.hint(format_args!(
            "start it with: {} dev --data {}",
            crate::environment::program(),
            data.display()
        ));
    }
    failure.hint("or name an origin with --grpc URL and --ca FILE (SKERRY_GRPC, SKERRY_CA), or the folder of a skerry dev with --data DIR")
}

/// gRPC is TLS; `host:port` is meant as a URL.
fn https_url(grpc: String) -> Result<String, Failure> {
    match grpc.split_once("://") {
        None => Ok(format!("https://{grpc}")),
        Some(("https", _)) => Ok(grpc),
        Some(_) => Err(Failure::usage(format!(
            "{grpc}: the origin's gRPC listener speaks TLS; it is written https://HOST:PORT"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder() -> tempfile::TempDir {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let running = Running {
            pid: 1,
            api: "http://127.0.0.1:1".into(),
            grpc: "https://127.0.0.1:2".into(),
            origin_admin: "http://127.0.0.1:3".into(),
            edges: vec![RunningEdge {
                https: "https://127.0.0.1:4".into(),
                admin: "http://127.0.0.1:5".into(),
            }],
        };
        let write = |name: &str, text: String| fs::write(folder.path().join(name), text).expect("writes");
        write(RUNNING_FILE, serde_json::to_string(&running).expect("JSON"));
        write(
            CREDENTIALS_FILE,
            r#"{"account_sid":"AC1","auth_token":"t1","domain_name":"default-1.localhost"}"#.into(),
        );
        write(CA_FILE, "PEM".into());
        folder
    }

    fn options(data: &Path) -> OriginOptions {
        OriginOptions { data: data.to_owned(), ..OriginOptions::default() }
    }

    #[test]
    fn a_running_dev_is_found_through_its_folder() {
        let folder = folder();
        let place = place(&options(folder.path()), &Environment::default()).expect("found");
        assert_eq!(
            (place.grpc.as_str(), place.credentials.auth_token.as_str()),
            ("https://127.0.0.1:2", "t1")
        );
        let site = place.dev_site.expect("it runs here");
        assert_eq!(
            (place.ca_pem.as_str(), site.https.as_str(), site.domain.as_str()),
            ("PEM", "https://127.0.0.1:4", "default-1.localhost")
        );
    }

    #[test]
    fn an_option_is_above_the_environment_above_the_folder() {
        let folder = folder();
        let environment = Environment::of(&[
            ("SKERRY_GRPC", "o.example:1"),
            ("SKERRY_ACCOUNT_SID", "AC2"),
            ("SKERRY_AUTH_TOKEN", "t2"),
        ]);
        let options = OriginOptions { account_sid: Some("AC3".into()), ..options(folder.path()) };
        let place = place(&options, &environment).expect("found");
        assert_eq!(place.grpc, "https://o.example:1");
        assert_eq!(
            (place.credentials.account_sid.as_str(), place.credentials.auth_token.as_str()),
            ("AC3", "t2")
        );
        assert!(place.dev_site.is_none());
    }

    #[test]
    fn half_of_the_credentials_is_never_completed_from_elsewhere() {
        let folder = folder();
        let environment = Environment::of(&[("SKERRY_AUTH_TOKEN", "t2")]);
        let error = place(&options(folder.path()), &environment).expect_err("half").to_string();
        assert!(error.contains("SKERRY_ACCOUNT_SID"), "{error}");
    }

    #[test]
    fn without_anything_the_message_says_what_to_do() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let error = place(&options(folder.path()), &Environment::default()).expect_err("nothing").to_string();
        assert!(error.contains("--grpc") && error.contains("--data"), "{error}");
    }

    #[test]
    fn credentials_do_not_print_their_token() {
        let (credentials, _) =
            credentials(Some("AC1".into()), Some("hunter2".into()), Path::new("x")).expect("both");
        assert!(!format!("{credentials:?}").contains("hunter2"));
    }
}
