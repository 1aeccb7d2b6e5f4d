//! The bundle of a build: its private assets as one signed archive, for their owner.
//!
//! It is made when it is asked for, from versions and blobs that never change. So a commit does nothing for it, nothing is stored
//! twice, and the same build gives the same bytes as long as the same key signs. A key that no longer counts vouches for nothing;
//! after it was replaced, the signature in the archive is that of its successor, and the rest is as it was.

use super::{PublishError, Publisher, Target};
use crate::blobs::{BlobReader, BlobStore};
use crate::sid::{AccountSid, BuildSid};
use bytes::Bytes;
use skerry_proto::bundle::Contents;
use skerry_proto::bundle::archive::{Archive, Part};
use skerry_proto::signature::KeySet;
use skerry_proto::slices::SLICE_SIZE;
use std::collections::VecDeque;

/// Which build's bundle is meant.
#[derive(Debug, Clone)]
pub(crate) enum BundleOf {
    /// That of the live build.
    Live(Target),
    /// That of a build of the account, live or not.
    Build(BuildSid),
}

/// A bundle that is being read out, a slice at a time.
#[derive(Debug)]
pub(crate) struct Bundle {
    archive: Archive,
    keys: KeySet,
    blobs: BlobStore,
    parts: VecDeque<Part>,
    /// The file that is being read, and the number of its next slice.
    file: Option<(BlobReader, u64)>,
}

impl Publisher {
    /// Makes the bundle of a build.
    ///
    /// # Errors
    /// [`PublishError::NotFound`], [`PublishError::Document`] for more files than contents can name, those of
    /// [`Publisher::place`].
    pub(crate) async fn bundle(&self, account: &AccountSid, of: BundleOf) -> Result<Bundle, PublishError> {
        let build = match of {
            BundleOf::Build(build) => build,
            BundleOf::Live(target) => {
                let environment = self.place(account, &target).await?.environment;
                environment.live_build.ok_or(PublishError::NotFound {
                    noun: "build that is live in the environment",
                    name: environment.unique_name,
                })?
            }
        };
        let catalogue = &self.shared.catalogue;
        let private = catalogue.private_versions(account, &build).await?;
        let private =
            private.ok_or_else(|| PublishError::NotFound { noun: "build", name: build.to_string() })?;
        let contents = Contents {
            cluster_id: catalogue.cluster_id(),
            account_sid: account.to_string(),
            service_sid: private.service.into(),
            build_sid: build.into(),
            created_at: private.created_at,
            files: private.files,
        };
        let signer = self.shared.keys.signer();
        let archive = Archive::new(contents, &signer.key)?;
        let parts = archive.parts().into();
        Ok(Bundle { archive, keys: signer.set.clone(), blobs: self.shared.blobs.clone(), parts, file: None })
    }
}

impl Bundle {
    /// SID of the build.
    pub(crate) fn build_sid(&self) -> &str {
        &self.archive.contents().build_sid
    }

    /// Bytes of the archive.
    pub(crate) fn size(&self) -> u64 {
        self.archive.size()
    }

    /// The keys that may sign bundles: one of them signed this.
    pub(crate) const fn keys(&self) -> &KeySet {
        &self.keys
    }

    /// The next bytes of the archive, a slice at most; `None` at its end.
    ///
    /// # Errors
    /// [`PublishError::Blob`]; the rest is worth nothing then.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, PublishError> {
        loop {
            if let Some((blob, number)) = &mut self.file {
                let slice = blob.slices(*number, 1).await?.pop();
                *number += 1;
                if slice.is_some() {
                    return Ok(slice);
                }
                self.file = None;
            }
            match self.parts.pop_front() {
                None => return Ok(None),
                Some(Part::Bytes(bytes)) if bytes.is_empty() => {}
                Some(Part::Bytes(mut bytes)) => {
                    let piece = bytes.split_to(bytes.len().min(SLICE_SIZE));
                    self.parts.push_front(Part::Bytes(bytes));
                    return Ok(Some(piece));
                }
                Some(Part::File(number)) => {
                    let blob = self.archive.contents().files[number].blob;
                    self.file = Some((self.blobs.open_blob(blob).await?, 0));
                }
            }
        }
    }
}
