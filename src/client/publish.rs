//! Publishing: check, upload what the origin lacks, a few at a time, one commit. The same code for `skerry put` and for the demo.

use super::{Client, Coming, Content, PlannedFile, Progress, WarmEdge, WarmOption, known, warm};
use crate::failure::Failure;
use bytes::{Bytes, BytesMut};
use skerry_proto::hash::Hash;
use skerry_proto::pointer::Version;
use skerry_proto::rules::SITE_FILE;
use skerry_proto::slices::BlobId;
use skerry_proto::visibility::Visibility;
use skerry_proto::wire::{self, upload_request::Kind};
use std::io::{self, Read};
use std::path::Path;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;

/// Uploads at once: enough to hide round trips, few enough that a slow line finishes some of them.
const UPLOADS_AT_ONCE: usize = 4;

/// Bytes of one message, the size of a slice; see the measurements of tonic.
const MESSAGE_SIZE: usize = 256 << 10;

/// Messages between disk and network.
const MESSAGES_AHEAD: usize = 4;

/// What is live now.
#[derive(Debug)]
pub(crate) struct Published {
    pub(crate) commit: wire::CommitResponse,
    /// In the order of the plan.
    pub(crate) assets: Vec<PublishedAsset>,
    /// How far edges came before it went live, if they were warmed.
    pub(crate) warm: Vec<WarmEdge>,
}

/// One asset of it.
#[derive(Debug)]
pub(crate) struct PublishedAsset {
    pub(crate) file: PlannedFile,
    pub(crate) hash: Hash,
    pub(crate) size: u64,
    pub(crate) version_sid: String,
    /// Whether its bytes were sent; the origin may have had them.
    pub(crate) is_sent: bool,
}

/// Which bytes are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sending {
    /// Those that the account does not have at the origin.
    Missing,
    /// All.
    Everything,
}

/// When a commit became live.
pub(crate) const fn version(commit: &wire::CommitResponse) -> Version {
    Version { epoch: commit.epoch, revision: commit.revision }
}

impl Published {
    /// Where an asset is, or `None` if it is private.
    pub(crate) fn url(&self, asset: &PublishedAsset) -> Option<String> {
        let path = asset.file.path.to_url_path();
        (asset.file.visibility != Visibility::Private).then(|| format!("{}{path}", self.commit.public_url))
    }
}

/// Asks the origin about names, sizes and counts; nothing is sent and nothing changes. Paths that are private now and would become
/// public.
///
/// # Errors
/// The origin's refusal: all that it found.
pub(crate) async fn check(client: &Client, files: &[PlannedFile]) -> Result<Vec<String>, Failure> {
    let assets = files.iter().map(|file| wire::PlannedAsset {
        path: file.path.as_str().to_owned(),
        visibility: wire::Visibility::from(file.visibility).into(),
        size: file.size,
    });
    let request = wire::CheckRequest { target: Some(client.target()), assets: assets.collect() };
    let checked = client.publishing().check(client.signed(request)).await;
    Ok(checked.map_err(|status| client.refused(&status))?.into_inner().now_public)
}

/// Uploads all files that the origin lacks, then makes all of them live together. What a build declares goes first and alone, so that a mistake in it costs no
/// uploads.
///
/// # Errors
/// What could not be read, the origin's refusal, or that edges are not warm where that is required. Nothing is live then that was not
/// before.
pub(crate) async fn publish(
    client: &Client,
    files: Vec<PlannedFile>,
    sending: Sending,
    progress: &Progress,
    warm: WarmOption,
) -> Result<Published, Failure> {
    let blobs = known::hash_all(&files).await?;
    let reused = match sending {
        Sending::Missing => known::reuse(client, &files, &blobs).await?,
        Sending::Everything => vec![None; files.len()],
    };
    let mut assets: Vec<Option<PublishedAsset>> = Vec::with_capacity(files.len());
    let mut waiting = Vec::new();
    for (number, ((file, blob), reused)) in files.into_iter().zip(blobs).zip(reused).enumerate() {
        let Some(version_sid) = reused else {
            assets.push(None);
            waiting.push((number, file, blob));
            continue;
        };
        progress.add(blob.size);
        let BlobId { hash, size } = blob;
        assets.push(Some(PublishedAsset { file, hash, size, version_sid, is_sent: false }));
    }
    waiting.sort_by_key(|(_, file, _)| file.path.as_str() != SITE_FILE);
    let declares = waiting.first().is_some_and(|(_, file, _)| file.path.as_str() == SITE_FILE);
    let mut at_once = if declares { 1 } else { UPLOADS_AT_ONCE };
    let mut waiting = waiting.into_iter();
    let mut uploads = JoinSet::new();
    loop {
        while uploads.len() < at_once
            && let Some((number, file, blob)) = waiting.next()
        {
            let (client, progress) = (client.clone(), progress.clone());
            uploads.spawn(async move { (number, upload(&client, file, blob, progress).await) });
        }
        let Some(joined) = uploads.join_next().await else { break };
        let (number, uploaded) = joined.map_err(|_| Failure::new("an upload ended unexpectedly"))?;
        if let Some(place) = assets.get_mut(number) {
            *place = Some(uploaded?);
        }
        at_once = UPLOADS_AT_ONCE;
    }
    let assets: Vec<PublishedAsset> = assets.into_iter().flatten().collect();
    let versions: Vec<String> = assets.iter().map(|asset| asset.version_sid.clone()).collect();
    let warm = warm::warm(client, warm, Coming::Versions(&versions)).await?;
    let commit = client.commit(versions, Vec::new()).await?;
    Ok(Published { commit, assets, warm })
}

async fn upload(
    client: &Client,
    file: PlannedFile,
    blob: BlobId,
    progress: Progress,
) -> Result<PublishedAsset, Failure> {
    let head = wire::UploadHead {
        target: Some(client.target()),
        path: file.path.as_str().to_owned(),
        visibility: wire::Visibility::from(file.visibility).into(),
        content_type: file.content_type.clone(),
        size: file.size,
        blake3: Bytes::copy_from_slice(blob.hash.as_bytes()),
        sha256: Bytes::new(),
    };
    let (sender, receiver) = mpsc::channel(MESSAGES_AHEAD);
    let content = file.content.clone();
    let reading = tokio::task::spawn_blocking(move || send(&sender, head, &content, &progress));
    let sent = client.publishing().upload(client.signed(ReceiverStream::new(receiver))).await;
    // A file that cannot be read ends its stream early; that, not the origin's complaint, is the cause.
    reading.await.map_err(|_| Failure::new(format!("{}: reading ended unexpectedly", file.path)))??;
    let answer = sent.map_err(|status| named(&file, client, &status))?.into_inner();
    let hash = Hash::try_from(&answer.hash[..]).map_err(|error| {
        Failure::new(format!("{}: the origin's answer makes no sense: {error}", file.path))
    })?;
    Ok(PublishedAsset { file, hash, size: answer.size, version_sid: answer.version_sid, is_sent: true })
}

/// A refusal that names the path.
fn named(file: &PlannedFile, client: &Client, status: &Status) -> Failure {
    let failure = client.refused(status);
    if failure.to_string().contains(file.path.as_str()) {
        return failure;
    }
    Failure::new(format!("{}: {failure}", file.path))
}

/// Sends the head and the bytes. Ends early when nobody listens: then the origin has answered already.
fn send(
    to: &mpsc::Sender<wire::UploadRequest>,
    head: wire::UploadHead,
    content: &Content,
    progress: &Progress,
) -> Result<(), Failure> {
    let size = head.size;
    if to.blocking_send(wire::UploadRequest { kind: Some(Kind::Head(head)) }).is_err() {
        return Ok(());
    }
    let send = |bytes: Bytes| {
        progress.add(bytes.len() as u64);
        to.blocking_send(wire::UploadRequest { kind: Some(Kind::Data(bytes)) }).is_ok()
    };
    match content {
        Content::Bytes(bytes) => {
            let mut rest = bytes.clone();
            while !rest.is_empty() && send(rest.split_to(rest.len().min(MESSAGE_SIZE))) {}
            Ok(())
        }
        Content::File(file) => read(file, size, send)
            .map_err(|error| Failure::new(format!("cannot read {}: {error}", file.display()))),
    }
}

fn read(file: &Path, size: u64, send: impl Fn(Bytes) -> bool) -> io::Result<()> {
    let mut source = std::fs::File::open(file)?;
    let mut sent: u64 = 0;
    loop {
        let mut buffer = BytesMut::zeroed(MESSAGE_SIZE);
        let len = fill(&mut source, &mut buffer)?;
        buffer.truncate(len);
        sent += len as u64;
        if sent > size || (len == 0 && sent < size) {
            return Err(io::Error::other("it changed while it was being sent; put it again"));
        }
        if len == 0 || !send(buffer.freeze()) {
            return Ok(());
        }
    }
}

/// Reads until the buffer is full or the file ends.
pub(super) fn fill(source: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut len = 0;
    while let Some(rest) = buffer.get_mut(len..).filter(|rest| !rest.is_empty()) {
        match source.read(rest) {
            Ok(0) => break,
            Ok(more) => len += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(len)
}
