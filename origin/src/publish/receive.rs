//! Receiving the version of an asset or a function whose bytes may come before anything is said of them, and in unknown number.
//!
//! Bytes go to the blob store as they arrive, and end at the larger limit; which one holds is known when the visibility is.

use super::content_type::{self, LOOK_SIZE};
use super::fault::{AssetClass, check_asset};
use super::site_file::{self, SiteFile, is_site_file};
use super::turns::Turn;
use super::upload::{UploadCount, outcome_of};
use super::{Fault, PublishError, Publisher, unix_seconds};
use crate::blobs::{BlobUpload, Declared};
use crate::catalogue::{Actor, ContentVersion, Kind, NewContentVersion};
use crate::config::Limits;
use crate::metrics::UploadOutcome;
use crate::sid::{AssetSid, ServiceSid};
use bytes::Bytes;
use skerry_proto::path::AssetPath;
use skerry_proto::visibility::Visibility;
use std::time::SystemTime;

/// First bytes that are kept to be looked at: the path may say only later that they are a site file, which is looked at as a whole.
const FIRST_SIZE: usize = site_file::SIZE_MAX as usize;

/// What a client says of the bytes.
#[derive(Debug, Clone)]
pub(crate) struct Said {
    pub(crate) kind: Kind,
    /// Of which asset or function they are a version.
    pub(crate) parent: AssetSid,
    pub(crate) path: AssetPath,
    pub(crate) visibility: Visibility,
    /// Empty: by extension, else by content.
    pub(crate) content_type: String,
    /// Digests of the bytes, as far as the client knows them.
    pub(crate) declared: Declared,
}

/// The bytes of a version on their way. Dropping it leaves nothing behind.
pub(crate) struct Part {
    publisher: Publisher,
    first_bytes: Vec<u8>,
    blob: BlobUpload,
    count: UploadCount,
    limits: Limits,
    size_max: u64,
    class: AssetClass,
    _permit: Turn,
}

impl Publisher {
    /// Begins to receive bytes for a service, of which a visibility may be known already. The limits of this moment hold.
    ///
    /// # Errors
    /// [`PublishError::Busy`], [`PublishError::Blob`], [`PublishError::Catalogue`].
    pub(crate) async fn receive(
        &self,
        service: &ServiceSid,
        visibility: Option<Visibility>,
    ) -> Result<Part, PublishError> {
        let limits = self.limits(service).await?.limits;
        let class = match visibility {
            Some(visibility) => AssetClass::of(visibility),
            None if limits.served_size_max >= limits.private_size_max => AssetClass::Served,
            None => AssetClass::Private,
        };
        let size_max = class.size_max(&limits);
        let permit = self.upload_turn().await?;
        let blob = self.shared.blobs.begin_within(0..=size_max).await?;
        let count = UploadCount::begin(self.clone());
        let publisher = self.clone();
        let first_bytes = Vec::new();
        Ok(Part { publisher, first_bytes, blob, count, limits, size_max, class, _permit: permit })
    }
}

impl Part {
    /// Takes the next bytes; waits while the disk is slower than the client.
    ///
    /// # Errors
    /// [`PublishError::Refused`] at the first byte over the limit, [`PublishError::Blob`]; the bytes are lost then.
    pub(crate) async fn push(&mut self, piece: Bytes) -> Result<(), PublishError> {
        let wanted = FIRST_SIZE - self.first_bytes.len();
        self.first_bytes.extend_from_slice(&piece[..piece.len().min(wanted)]);
        self.count.bytes += piece.len() as u64;
        let pushed = if self.count.bytes > self.size_max {
            Err(PublishError::from(Fault::TooLarge {
                path: "Content".into(),
                size: self.count.bytes,
                limit: self.size_max,
                class: self.class,
            }))
        } else {
            self.blob.push(piece).await.map_err(PublishError::from)
        };
        pushed.inspect_err(|error| self.count.outcome = outcome_of(error))
    }

    /// Makes a version of the bytes: when this returns, it is durable. A client that goes away does not interrupt it.
    ///
    /// # Errors
    /// [`PublishError::Refused`], [`PublishError::NotFound`] when the asset is gone meanwhile, those of blob store and catalogue.
    pub(crate) async fn finish(self, actor: Actor, said: Said) -> Result<ContentVersion, PublishError> {
        let publisher = self.publisher.clone();
        publisher.to_the_end(self.store(actor, said)).await
    }

    async fn store(self, actor: Actor, said: Said) -> Result<ContentVersion, PublishError> {
        let Self { publisher, first_bytes, mut blob, mut count, limits, _permit, .. } = self;
        let Said { kind, parent, path, visibility, content_type, declared } = said;
        blob.declare(declared);
        let stored = async {
            let visibility = site_file::visibility(path.as_str(), visibility);
            let mut faults = check_asset(path.as_str(), visibility, count.bytes, &limits);
            let look = &first_bytes[..first_bytes.len().min(LOOK_SIZE)];
            let content_type = content_type::choose(&content_type, path.as_str(), look);
            if content_type.is_none() {
                faults.push(Fault::InvalidContentType { path: path.to_string() });
            }
            let (Some(content_type), true) = (content_type, faults.is_empty()) else {
                return Err(PublishError::Refused(faults));
            };
            if kind == Kind::Asset && is_site_file(path.as_str()) {
                SiteFile::parse(&first_bytes)?;
            }
            let blob = blob.finish().await?;
            let created_at = unix_seconds(SystemTime::now());
            let name = parent.to_string();
            let new = NewContentVersion { kind, parent, path, visibility, content_type, blob, created_at };
            let added = publisher.shared.catalogue.add_content_version(&actor, &new).await?;
            added.ok_or(PublishError::NotFound { noun: "asset", name })
        }
        .await;
        count.outcome = stored.as_ref().map_or_else(outcome_of, |_| UploadOutcome::Stored);
        stored
    }
}
