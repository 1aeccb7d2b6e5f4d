//! `skerry twilio`: a command of Twilio's toolkit or helper libraries, led to the REST API of an origin in place of Twilio's own.

use crate::client::{self, OriginOptions};
use crate::environment::Environment;
use crate::failure::Failure;
use crate::output;
use crate::shutdown;
use crate::tunnel::Tunnel;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs::{self, OpenOptions};
use std::hash::{BuildHasher, RandomState};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus};
use tokio_util::sync::CancellationToken;

/// Which command, against which origin.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  skerry twilio -- npx twilio-run deploy --env .env --load-system-env
  skerry twilio -- npx twilio-run list services --env .env --load-system-env

The command runs with HTTP_PROXY, NODE_EXTRA_CA_CERTS, TWILIO_ACCOUNT_SID, TWILIO_AUTH_TOKEN and their like set. What it sends to
serverless.twilio.com goes to the origin's REST API; what it sends to any other host through the proxy is refused. For
twilio-run, leave ACCOUNT_SID= and AUTH_TOKEN= empty in the project's .env file, and name it as above: then the environment counts.")]
pub(crate) struct Options {
    /// The command and its arguments, after --
    #[arg(required = true, last = true, value_name = "COMMAND")]
    command: Vec<String>,
    #[command(flatten)]
    origin: OriginOptions,
}

/// Runs the command, and ends as it ended.
pub(crate) async fn run(options: Options, environment: &Environment) -> Result<(), Failure> {
    let api = client::api(&options.origin, environment)?;
    let (account, _) = client::account(&options.origin, environment)?;
    let address = api.strip_prefix("http://").map(|address| address.trim_end_matches('/').to_owned());
    let address = address.ok_or_else(|| {
        Failure::usage(format!("{api}: the API is reached as http://HOST:PORT, on the machine of the origin"))
    })?;
    let stop = shutdown::on_signal()?;
    let tunnel = Tunnel::bind(address).await?;
    let trusted = TrustFile::write(&tunnel.authority_pem())?;
    output::note(format_args!("API {api}, account {}", account.account_sid));
    let [program, arguments @ ..] = &options.command[..] else {
        return Err(Failure::usage("name a command after --"));
    };
    let mut command = Command::new(program);
    command.args(arguments);
    let proxy = tunnel.url();
    for name in ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy"] {
        command.env(name, &proxy);
    }
    for name in ["NO_PROXY", "no_proxy", "TWILIO_REGION", "TWILIO_EDGE"] {
        command.env_remove(name);
    }
    for name in ["NODE_EXTRA_CA_CERTS", "REQUESTS_CA_BUNDLE", "TWILIO_CA_BUNDLE"] {
        command.env(name, trusted.path());
    }
    for (name, value) in [("ACCOUNT_SID", &account.account_sid), ("AUTH_TOKEN", &account.auth_token)] {
        command.env(name, value).env(format!("TWILIO_{name}"), value);
    }
    let child = command.spawn().map_err(|error| Failure::usage(format!("cannot run {program}: {error}")))?;
    let status = tokio::select! {
        status = ended(child, &stop) => status?,
        () = tunnel.serve() => return Err(Failure::new("the proxy ended unexpectedly")),
    };
    match status.code() {
        Some(0) => Ok(()),
        Some(code) => Err(Failure::of_command(code, format!("{program} ended with code {code}"))),
        None => Err(Failure::new(format!("{program} was ended by a signal"))),
    }
}

/// Waits for the command, and passes a stop on to it. On a terminal it gets the signal by itself as well.
async fn ended(mut child: Child, stop: &CancellationToken) -> io::Result<ExitStatus> {
    let pid = i32::try_from(child.id()).map(Pid::from_raw);
    let mut waiting = tokio::task::spawn_blocking(move || child.wait());
    let waited = tokio::select! {
        waited = &mut waiting => waited,
        () = stop.cancelled() => {
            if let Ok(pid) = pid {
                // It may have ended by itself.
                let _ = kill(pid, Signal::SIGTERM);
            }
            waiting.await
        }
    };
    waited.map_err(io::Error::other)?
}

/// The file of the certificate that the command is to trust. It goes with this value.
struct TrustFile(PathBuf);

impl TrustFile {
    fn write(pem: &str) -> io::Result<Self> {
        // A name that nobody can have taken before, in a folder where others write.
        let name = format!("skerry-twilio-{:016x}.pem", RandomState::new().hash_one(std::process::id()));
        let path = std::env::temp_dir().join(name);
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
        let this = Self(path);
        file.write_all(pem.as_bytes())?;
        Ok(this)
    }

    fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for TrustFile {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}
