//! `skerry bundle`: the private assets of a build, verified and unpacked for whoever runs its functions.

use crate::bundle::{Destination, Unpacked, toolkit_name};
use crate::client::{Client, OriginOptions, Progress};
use crate::environment::Environment;
use crate::failure::Failure;
use crate::output;
use bytes::Bytes;
use serde_json::{Value, json};
use skerry_proto::bundle::{Contents, File, archive};
use skerry_proto::signature::KeySet;
use skerry_proto::wire::{self, bundle_response::Kind};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use tokio::sync::mpsc;
use tonic::Streaming;

/// Which bundle, and where to.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  skerry bundle -o private
  skerry bundle -o private ZB0123456789abcdef0123456789abcdef

Every byte is verified against the contents that the origin signed; then DIR appears, or is replaced, in one step. It is only
replaced where nothing but an earlier bundle of the same service is in it. Below DIR/assets the files have the names that
twilio-run reads (message.private.mp3), below DIR/files those of their versions; DIR/routes.json lists them.")]
pub(crate) struct Options {
    /// Folder for the bundle
    #[arg(short, long, value_name = "DIR")]
    output: PathBuf,
    /// SID of a build, such as put --json prints [default: the live one]
    #[arg(value_name = "BUILD")]
    build: Option<String>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    origin: OriginOptions,
}

/// Messages between the socket and the disk.
const READ_AHEAD: usize = 4;

/// Runs the command.
pub(crate) async fn run(options: Options, environment: &Environment) -> Result<(), Failure> {
    let destination = Destination::at(&options.output).map_err(|error| Failure::usage(error.to_string()))?;
    let client = Client::connect(&options.origin, environment).await?;
    let build_sid = options.build.clone().unwrap_or_default();
    let request = client.signed(wire::BundleRequest { target: Some(client.target()), build_sid });
    let answer = client.publishing().bundle(request).await.map_err(|status| client.refused(&status))?;
    let mut stream = answer.into_inner();
    let head = head(&client, &mut stream).await?;
    // Whoever speaks as the origin is the origin, by the certificate of its authority: so these are its keys.
    let keys = KeySet::decode(&head.key_set)
        .map_err(|error| Failure::new(format!("the origin's signing keys cannot be read: {error}")))?;
    let build = options.build.unwrap_or(head.build_sid);
    let (tx, rx) = mpsc::channel(READ_AHEAD);
    let unpacking = tokio::task::spawn_blocking(move || {
        Unpacked::from(Received { rx, rest: Bytes::new() }, &keys, &build, destination)
    });
    let progress = Progress::new(head.size, environment);
    let received = receive(&client, &mut stream, tx, &progress).await;
    progress.finish();
    let unpacked = unpacking.await.map_err(|_| Failure::new("unpacking ended unexpectedly"))?;
    received?;
    let installed = tokio::task::spawn_blocking(move || unpacked?.install()).await;
    let contents = installed.map_err(|_| Failure::new("unpacking ended unexpectedly"))?;
    let contents = contents.map_err(|error| {
        Failure::new(error.to_string()).hint(format_args!("{} is as it was", options.output.display()))
    })?;
    match options.json {
        true => output::json(&as_json(&options.output, &contents)),
        false => print(&options.output, &contents),
    }
}

async fn head(
    client: &Client,
    stream: &mut Streaming<wire::BundleResponse>,
) -> Result<wire::BundleHead, Failure> {
    match stream.message().await.map_err(|status| client.refused(&status))?.and_then(|first| first.kind) {
        Some(Kind::Head(head)) => Ok(head),
        _ => Err(Failure::new("the origin's answer does not begin with the head of a bundle")),
    }
}

/// Passes the archive on to the thread that unpacks it, until either has enough.
async fn receive(
    client: &Client,
    stream: &mut Streaming<wire::BundleResponse>,
    tx: mpsc::Sender<Bytes>,
    progress: &Progress,
) -> Result<(), Failure> {
    while let Some(message) = stream.message().await.map_err(|status| client.refused(&status))? {
        let Some(Kind::Data(data)) = message.kind else {
            return Err(Failure::new("the origin's answer is no bundle"));
        };
        progress.add(data.len() as u64);
        if tx.send(data).await.is_err() {
            // It was refused already, and the other side says why.
            break;
        }
    }
    Ok(())
}

/// The archive as it arrives, for a thread that may block.
struct Received {
    rx: mpsc::Receiver<Bytes>,
    rest: Bytes,
}

impl Read for Received {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.rest.is_empty() {
            match self.rx.blocking_recv() {
                Some(bytes) => self.rest = bytes,
                None => return Ok(0),
            }
        }
        let piece = self.rest.split_to(self.rest.len().min(buffer.len()));
        buffer[..piece.len()].copy_from_slice(&piece);
        Ok(piece.len())
    }
}

fn print(folder: &Path, contents: &Contents) -> Result<(), Failure> {
    for file in &contents.files {
        let name = toolkit_name(file).unwrap_or_else(|| archive::name(file).into());
        output::line(format_args!("{}  {}", file.path, folder.join(name).display()))?;
    }
    output::note(format_args!(
        "build {}: {} private assets, verified, in {}",
        contents.build_sid,
        contents.files.len(),
        folder.display()
    ));
    for file in contents.files.iter().filter(|file| toolkit_name(file).is_none()) {
        output::note(format_args!(
            "{}: twilio-run has no name for this path, so it is in files and routes.json, not in assets",
            file.path
        ));
    }
    Ok(())
}

fn as_json(folder: &Path, contents: &Contents) -> Value {
    let file = |file: &File| {
        json!({
            "path": file.path.as_str(),
            "version_sid": file.version_sid,
            "content_type": file.content_type,
            "size": file.blob.size,
            "hash": file.blob.hash.to_string(),
            "file": archive::name(file),
            "asset": toolkit_name(file),
        })
    };
    json!({
        "account_sid": contents.account_sid,
        "service_sid": contents.service_sid,
        "build_sid": contents.build_sid,
        "folder": folder,
        "files": contents.files.iter().map(file).collect::<Vec<_>>(),
    })
}
