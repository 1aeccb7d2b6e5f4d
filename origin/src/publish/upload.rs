//! Uploading one asset version: bytes to the blob store as they arrive, then one catalogue transaction.

use super::content_type::{self, LOOK_SIZE};
use super::fault::check_asset;
use super::site_file::{self, SiteFile, is_site_file};
use super::turns::Turn;
use super::{Fault, PublishError, Publisher, Target, unix_seconds};
use crate::blobs::{BlobUpload, Declared};
use crate::catalogue::{Actor, NewVersion};
use crate::metrics::UploadOutcome;
use crate::sid::{AssetSid, ServiceSid, VersionSid};
use bytes::Bytes;
use skerry_proto::path::AssetPath;
use skerry_proto::slices::BlobId;
use skerry_proto::visibility::Visibility;
use std::time::{Instant, SystemTime};

/// A site file is looked at as a whole.
const SITE_FILE_LOOK_SIZE: usize = site_file::SIZE_MAX as usize;

/// What a client says before the bytes come.
#[derive(Debug, Clone)]
pub(crate) struct UploadHead {
    pub(crate) target: Target,
    pub(crate) path: String,
    /// `None` for one that does not exist.
    pub(crate) visibility: Option<Visibility>,
    /// Empty: by extension, else by content.
    pub(crate) content_type: String,
    pub(crate) size: u64,
    /// Digests of the bytes, as far as the client knows them.
    pub(crate) declared: Declared,
}

/// What was stored.
#[derive(Debug, Clone)]
pub(crate) struct Uploaded {
    pub(crate) asset: AssetSid,
    pub(crate) version: VersionSid,
    pub(crate) blob: BlobId,
}

/// An upload under way. Dropping it leaves nothing behind.
pub(crate) struct Upload {
    publisher: Publisher,
    actor: Actor,
    service: ServiceSid,
    path: AssetPath,
    visibility: Visibility,
    content_type: String,
    first_bytes: Vec<u8>,
    blob: BlobUpload,
    count: UploadCount,
    _permit: Turn,
}

/// Counts an upload when it ends, however it does.
pub(super) struct UploadCount {
    publisher: Publisher,
    pub(super) outcome: UploadOutcome,
    pub(super) bytes: u64,
    begun: Instant,
}

impl UploadCount {
    /// Of an upload that begins now, and is aborted unless something else is said.
    pub(super) fn begin(publisher: Publisher) -> Self {
        Self { publisher, outcome: UploadOutcome::Aborted, bytes: 0, begun: Instant::now() }
    }
}

impl Drop for UploadCount {
    fn drop(&mut self) {
        let seconds = self.begun.elapsed().as_secs_f64();
        self.publisher.shared.metrics.upload(self.outcome, self.bytes, seconds);
    }
}

impl Publisher {
    /// Begins an upload, unless what was said of it breaks a rule already.
    ///
    /// # Errors
    /// [`PublishError::Refused`], [`PublishError::Busy`], those of [`Publisher::place`], [`PublishError::Blob`].
    pub(crate) async fn begin_upload(&self, actor: &Actor, head: UploadHead) -> Result<Upload, PublishError> {
        let mut count = UploadCount::begin(self.clone());
        let begun = self.begin(actor, head).await;
        let (service, path, visibility, content_type, blob, permit) =
            begun.inspect_err(|error| count.outcome = outcome_of(error))?;
        Ok(Upload {
            publisher: self.clone(),
            actor: actor.clone(),
            service,
            path,
            visibility,
            content_type,
            first_bytes: Vec::new(),
            blob,
            count,
            _permit: permit,
        })
    }

    async fn begin(
        &self,
        actor: &Actor,
        head: UploadHead,
    ) -> Result<(ServiceSid, AssetPath, Visibility, String, BlobUpload, Turn), PublishError> {
        let path: AssetPath =
            head.path.parse().map_err(|source| Fault::InvalidPath { path: head.path.clone(), source })?;
        let visibility =
            head.visibility.ok_or_else(|| Fault::InvalidVisibility { path: head.path.clone() })?;
        let visibility = site_file::visibility(&head.path, visibility);
        let place = self.place(&actor.account, &head.target).await?;
        let limits = self.limits(&place.service).await?.limits;
        let mut faults = check_asset(&head.path, visibility, head.size, &limits);
        if content_type::choose(&head.content_type, &head.path, &[]).is_none() {
            faults.push(Fault::InvalidContentType { path: head.path.clone() });
        }
        if !faults.is_empty() {
            return Err(PublishError::Refused(faults));
        }
        let permit = self.upload_turn().await?;
        let mut blob = self.shared.blobs.begin(head.size).await?;
        blob.declare(head.declared);
        Ok((place.service, path, visibility, head.content_type, blob, permit))
    }
}

impl Upload {
    /// Takes the next bytes; waits while the disk is slower than the client.
    ///
    /// # Errors
    /// [`PublishError::Blob`]; the upload is lost then.
    pub(crate) async fn push(&mut self, piece: Bytes) -> Result<(), PublishError> {
        let look_size = if is_site_file(self.path.as_str()) { SITE_FILE_LOOK_SIZE } else { LOOK_SIZE };
        let wanted = look_size - self.first_bytes.len();
        self.first_bytes.extend_from_slice(&piece[..piece.len().min(wanted)]);
        let len = piece.len() as u64;
        let pushed = self.blob.push(piece).await.map_err(PublishError::from);
        pushed.inspect_err(|error| self.count.outcome = outcome_of(error))?;
        self.count.bytes += len;
        Ok(())
    }

    /// Ends the upload: when this returns, the version is durable. From here on it is not interrupted by a client that goes away.
    ///
    /// # Errors
    /// [`PublishError::Blob`], [`PublishError::Catalogue`]; nothing is in the catalogue then.
    pub(crate) async fn finish(self) -> Result<Uploaded, PublishError> {
        let publisher = self.publisher.clone();
        publisher.to_the_end(self.store()).await
    }

    async fn store(self) -> Result<Uploaded, PublishError> {
        let Self {
            publisher,
            actor,
            service,
            path,
            visibility,
            content_type,
            first_bytes,
            blob,
            mut count,
            _permit,
        } = self;
        let stored = async {
            // Before anything is stored. One of which bytes are missing is refused for that, below.
            if is_site_file(path.as_str()) && blob.is_complete() {
                SiteFile::parse(&first_bytes)?;
            }
            let blob = blob.finish().await?;
            let content_type = content_type::choose(&content_type, path.as_str(), &first_bytes)
                .ok_or_else(|| Fault::InvalidContentType { path: path.to_string() })?;
            let created_at = unix_seconds(SystemTime::now());
            let version = NewVersion { service, path, visibility, content_type, blob, created_at };
            let (asset, version) = publisher.shared.catalogue.add_version(&actor, &version).await?;
            Ok(Uploaded { asset, version, blob: blob.id })
        }
        .await;
        count.outcome = match &stored {
            Ok(_) => UploadOutcome::Stored,
            Err(error) => outcome_of(error),
        };
        stored
    }
}

pub(super) fn outcome_of(error: &PublishError) -> UploadOutcome {
    use crate::blobs::BlobError;
    match error {
        PublishError::NotFound { .. }
        | PublishError::Ambiguous { .. }
        | PublishError::Refused(_)
        | PublishError::Invalid { .. }
        | PublishError::Unknown { .. }
        | PublishError::NotCompleted { .. }
        | PublishError::NothingBefore
        | PublishError::Taken(_)
        | PublishError::NoDomain { .. }
        | PublishError::NoEnvironment { .. }
        | PublishError::InvalidDomain { .. }
        | PublishError::TooManyDomains { .. }
        | PublishError::TooManyPurges { .. }
        | PublishError::NotProven { .. }
        | PublishError::Held { .. }
        | PublishError::IsLive
        | PublishError::NothingToCommit
        | PublishError::Superseded
        | PublishError::Busy
        | PublishError::Blob(
            BlobError::TooLong { .. } | BlobError::TooShort { .. } | BlobError::OtherDigest { .. },
        ) => UploadOutcome::Refused,
        PublishError::Stopping
        | PublishError::Blob(BlobError::NoSpace | BlobError::Io(_) | BlobError::Damaged { .. })
        | PublishError::Catalogue(_)
        | PublishError::Dns(_)
        | PublishError::Document(_)
        | PublishError::Coding(_)
        | PublishError::Keys(_)
        | PublishError::NoRandomness(_) => UploadOutcome::Failed,
    }
}
