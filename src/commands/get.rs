//! `skerry get`: the bytes of an asset from the origin, or of a URL from an edge.

use crate::client::{Client, OriginOptions, Progress, trusted_certificate};
use crate::environment::Environment;
use crate::failure::Failure;
use crate::fetch::{self, Protocol, Target, Trust};
use crate::output::{self, plain};
use bytes::Bytes;
use skerry_proto::hash::Hash;
use skerry_proto::path::AssetPath;
use skerry_proto::slices::SliceHasher;
use skerry_proto::wire::{self, download_response::Kind};
use std::fs::{self, File};
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};

/// What to fetch, and how.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  skerry get /hello.mp3 -o hello.mp3
  skerry get --http3 -v https://127.0.0.1:8443/hello.mp3 -o hello.mp3

A path is fetched from the origin, private assets included, and verified against its hash as it arrives. A URL is fetched
from whoever it names; an answer other than 2xx is a failure (code 1).")]
pub(crate) struct Options {
    /// Path of an asset, such as /hello.mp3, or a URL
    #[arg(value_name = "PATH|URL")]
    what: String,
    /// Where to write; - is standard output, which is also the default in a pipe
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Over HTTP/1.1
    #[arg(long = "http1.1", group = "protocol", help_heading = "URLs")]
    http1: bool,
    /// Over HTTP/2
    #[arg(long, group = "protocol", help_heading = "URLs")]
    http2: bool,
    /// Over HTTP/3
    #[arg(long, group = "protocol", help_heading = "URLs")]
    http3: bool,
    /// Show protocol, status and headers on standard error
    #[arg(short, long, help_heading = "URLs")]
    verbose: bool,
    /// Believe only this authority, PEM; else the system's, and that of SKERRY_CA or of the skerry dev on --data
    #[arg(long, value_name = "FILE", help_heading = "URLs")]
    cacert: Option<PathBuf>,
    #[command(flatten)]
    origin: OriginOptions,
}

/// Runs the command.
pub(crate) async fn run(options: Options, environment: &Environment) -> Result<(), Failure> {
    if Target::is_url(&options.what) {
        return from_url(&options, environment).await;
    }
    let what = &options.what;
    let path: AssetPath = what.parse().map_err(|error| {
        Failure::usage(format!("{what:?} is neither a URL nor a path of an asset: {error}"))
    })?;
    from_origin(&path, &options, environment).await
}

async fn from_url(options: &Options, environment: &Environment) -> Result<(), Failure> {
    let target = Target::parse(&options.what)?;
    let trust = match &options.cacert {
        Some(file) => Trust::only(file)?,
        None => Trust::system_and(trusted_certificate(None, &options.origin.data, environment).as_deref())?,
    };
    let protocol = match (options.http1, options.http2, options.http3) {
        (true, _, _) => Protocol::Http1,
        (_, true, _) => Protocol::Http2,
        (_, _, true) => Protocol::Http3,
        _ => Protocol::Any,
    };
    let mut response = fetch::get(&target, protocol, &trust).await?;
    if options.verbose {
        response.show_head();
    }
    let status = response.head.status;
    if !status.is_success() {
        return Err(Failure::new(format!("{target} answers {status}")));
    }
    let is_text = response.head.headers.get("content-type").is_some_and(|content_type| {
        content_type.to_str().is_ok_and(|content_type| content_type.starts_with("text/"))
    });
    let mut sink = Sink::open(options.output.as_deref(), is_text)?;
    while let Some(bytes) = response.chunk().await? {
        sink.write(&bytes)?;
    }
    sink.finish()
}

async fn from_origin(path: &AssetPath, options: &Options, environment: &Environment) -> Result<(), Failure> {
    let client = Client::connect(&options.origin, environment).await?;
    let request = wire::DownloadRequest { target: Some(client.target()), path: path.as_str().to_owned() };
    let refused = |status| client.refused(&status);
    let mut stream =
        client.publishing().download(client.signed(request)).await.map_err(refused)?.into_inner();
    let mut arrived: Option<(wire::Asset, Sink, Progress)> = None;
    let mut hasher = SliceHasher::new();
    while let Some(message) = stream.message().await.map_err(refused)? {
        match (message.kind, &mut arrived) {
            (Some(Kind::Asset(asset)), None) => {
                let sink = Sink::open(options.output.as_deref(), asset.content_type.starts_with("text/"))?;
                let size = asset.blob.as_ref().map_or(0, |blob| blob.size);
                arrived = Some((asset, sink, Progress::new(size, environment)));
            }
            (Some(Kind::Data(bytes)), Some((_, sink, progress))) => {
                progress.add(bytes.len() as u64);
                hasher = hashed(hasher, bytes.clone()).await?;
                sink.write(&bytes)?;
            }
            _ => return Err(Failure::new(format!("{path}: the origin's answer makes no sense"))),
        }
    }
    let (asset, sink, progress) =
        arrived.ok_or_else(|| Failure::new(format!("{path}: the origin's answer is empty")))?;
    progress.finish();
    let hash = asset.blob.as_ref().and_then(|blob| Hash::try_from(&blob.hash[..]).ok());
    if hash != Some(hasher.finish().id.hash) {
        let path = plain(path.as_str());
        return Err(Failure::new(format!(
            "{path}: the bytes that came are not those of its hash; {}",
            sink.given_up()
        )));
    }
    sink.finish()
}

/// Hashes off the async workers: a message is as large as a slice.
async fn hashed(mut hasher: SliceHasher, bytes: Bytes) -> Result<SliceHasher, Failure> {
    let hashed = tokio::task::spawn_blocking(move || {
        hasher.update(&bytes);
        hasher
    });
    hashed.await.map_err(|_| Failure::new("hashing ended unexpectedly"))
}

/// Where the bytes go. A file appears under its name only when it is whole.
enum Sink {
    /// Standard output, a device, a pipe: what is written is gone, and the name must stay what it is.
    Stream {
        to: Box<dyn Write + Send>,
        name: String,
    },
    File {
        file: File,
        temporary: PathBuf,
        path: PathBuf,
        is_whole: bool,
    },
}

impl Sink {
    fn open(path: Option<&Path>, is_text: bool) -> Result<Self, Failure> {
        let Some(path) = path else {
            if io::stdout().is_terminal() && !is_text {
                return Err(Failure::usage("this is not text; write it to a file with -o FILE"));
            }
            return Ok(Self::standard());
        };
        if path == Path::new("-") {
            return Ok(Self::standard());
        }
        if path.is_dir() {
            return Err(Failure::usage(format!("{} is a folder; name a file with -o", path.display())));
        }
        // A rename would put a file in the place of a link; what it leads to is meant.
        let path = &fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        if path.exists() && !path.is_file() {
            let name = plain(&path.to_string_lossy());
            let to = File::options().write(true).open(path);
            let to = to.map_err(|error| Failure::new(format!("cannot write {name}: {error}")))?;
            return Ok(Self::Stream { to: Box::new(to), name });
        }
        let temporary = skerry_folder::beside(path);
        let file = File::create(&temporary)
            .map_err(|error| Failure::new(format!("cannot write {}: {error}", path.display())))?;
        Ok(Self::File { file, temporary, path: path.to_owned(), is_whole: false })
    }

    fn standard() -> Self {
        Self::Stream { to: Box::new(io::stdout()), name: "standard output".into() }
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        match self {
            Self::Stream { to, name } => {
                to.write_all(bytes).map_err(|error| Failure::new(format!("cannot write {name}: {error}")))
            }
            Self::File { file, path, .. } => file
                .write_all(bytes)
                .map_err(|error| Failure::new(format!("cannot write {}: {error}", path.display()))),
        }
    }

    /// What becomes of the bytes that came, when they are not those that were wanted.
    const fn given_up(&self) -> &'static str {
        match self {
            Self::Stream { .. } => "use nothing of what was written",
            Self::File { .. } => "no file was written",
        }
    }

    fn finish(mut self) -> Result<(), Failure> {
        match &mut self {
            Self::Stream { to, .. } => to.flush().map_err(Failure::from),
            Self::File { temporary, path, is_whole, .. } => {
                fs::rename(&*temporary, &*path)
                    .map_err(|error| Failure::new(format!("cannot write {}: {error}", path.display())))?;
                *is_whole = true;
                output::note(format_args!("wrote {}", plain(&path.to_string_lossy())));
                Ok(())
            }
        }
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        if let Self::File { temporary, is_whole: false, .. } = self {
            let _ = fs::remove_file(temporary);
        }
    }
}
