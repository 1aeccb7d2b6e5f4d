//! The proof of what an environment shows at a path, for its owner: the very documents that edges follow.

use super::{PublishError, Publisher, Target};
use crate::sid::AccountSid;
use bytes::{Bytes, BytesMut};
use prost::Message;
use skerry_proto::document::{self, DocumentError};
use skerry_proto::paging::{Root, page_number};
use skerry_proto::proof::blob_at;
use skerry_proto::signature::KeySet;
use skerry_proto::slices::BlobId;
use skerry_proto::{manifest, wire};

/// All that leads from a signature to what stands at a path.
#[derive(Debug)]
pub(crate) struct Proof {
    pub(crate) pointer: wire::SignedPointer,
    pub(crate) manifest: Bytes,
    pub(crate) page: Bytes,
    pub(crate) slice_list: Bytes,
    pub(crate) keys: KeySet,
}

impl Publisher {
    /// What an environment shows at a path, if anything, as edges were told.
    ///
    /// # Errors
    /// [`PublishError::NotFound`] for an environment that was never deployed to, [`PublishError::Blob`], and
    /// those of [`Publisher::place`].
    pub(crate) async fn proof(
        &self,
        account: &AccountSid,
        target: &Target,
        path: &str,
    ) -> Result<Proof, PublishError> {
        let environment = self.place(account, target).await?.environment;
        let catalogue = &self.shared.catalogue;
        let mut keys = self.shared.keys.signer().set.clone();
        let pointer = loop {
            let pointer = catalogue.newest_pointer(&environment.domain).await?.ok_or_else(|| {
                PublishError::NotFound { noun: "deployment to", name: environment.unique_name.clone() }
            })?;
            let newest = &self.shared.keys.signer().set;
            if keys == *newest {
                break wire::SignedPointer::decode(&pointer[..]).map_err(DocumentError::from)?;
            }
            // The key was rotated meanwhile, and the pointer may be of either.
            keys.clone_from(newest);
        };
        let mut proof =
            Proof { manifest: Bytes::new(), page: Bytes::new(), slice_list: Bytes::new(), keys, pointer };
        let shown: wire::Pointer = document::decode(&proof.pointer.pointer)?;
        let Some(name) = &shown.manifest else { return Ok(proof) };
        proof.manifest = self.document(name.try_into().map_err(|_| MALFORMED)?).await?;
        let entries = match manifest::read_root(&proof.manifest)?.entries {
            Root::Single(entries) => entries,
            Root::Pages { bits, pages } => {
                let number = page_number(&manifest::key(path), bits);
                proof.page = self.document(*pages.get(number).ok_or(MALFORMED)?).await?;
                manifest::read_page(&proof.page, bits, number)?
            }
        };
        if let Some(blob) = blob_at(&entries, path) {
            proof.slice_list = self.shared.blobs.open_blob(blob).await?.slice_list().clone();
        }
        Ok(proof)
    }

    /// A document of ours, which no edge takes beyond some megabytes.
    async fn document(&self, blob: BlobId) -> Result<Bytes, PublishError> {
        let reader = self.shared.blobs.open_blob(blob).await?;
        let mut bytes = BytesMut::with_capacity(blob.size as usize);
        for index in 0..blob.slice_count() {
            for slice in reader.slices(index, 1).await? {
                bytes.extend_from_slice(&slice);
            }
        }
        Ok(bytes.freeze())
    }
}

/// What this origin signed itself is well formed.
const MALFORMED: DocumentError = DocumentError::Rule("a manifest and its pages are named by hash and size");
