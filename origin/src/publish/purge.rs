//! Purges: bytes of an account that no edge shows any more, until they are lifted. Signed and in order like a deployment, of which they
//! are independent: a build that names revoked bytes may be deployed, and shows them to nobody.

use super::{Fault, PublishError, Publisher, Target, unix_seconds};
use crate::catalogue::{Actor, AssetVersion, PurgeChange, PurgeRow};
use crate::sid::AccountSid;
use bytes::Bytes;
use prost::Message;
use skerry_proto::hash::Hash;
use skerry_proto::paging::Documents;
use skerry_proto::pointer::{Pointer, Version};
use skerry_proto::purged;
use skerry_proto::slices::BlobId;
use skerry_proto::wire::SignedPointer;
use std::collections::BTreeMap;
use std::time::SystemTime;

/// What is to be revoked: what stands at paths of a live build, and bytes by their hash.
#[derive(Debug, Clone, Default)]
pub(crate) struct PurgeWanted {
    pub(crate) target: Target,
    pub(crate) paths: Vec<String>,
    pub(crate) hashes: Vec<Hash>,
}

impl Publisher {
    /// Revokes bytes. What is revoked already stays so.
    ///
    /// # Errors
    /// [`PublishError::NotFound`] for a path or hash that the account shows nowhere, [`PublishError::NothingToCommit`],
    /// [`PublishError::TooManyPurges`], those of [`Publisher::place`], and those of blob store and catalogue: nothing changed then.
    pub(crate) async fn purge(
        &self,
        actor: &Actor,
        wanted: PurgeWanted,
    ) -> Result<(Version, Vec<BlobId>), PublishError> {
        let blobs = self.shown_blobs(&actor.account, &wanted).await?;
        let version = self.change_purges(actor, PurgeChange::Purge(blobs.clone())).await?;
        Ok((version, blobs))
    }

    /// The blobs of paths and hashes, with their coded forms, for edges to drop their copies of.
    ///
    /// # Errors
    /// [`PublishError::NotFound`], [`PublishError::NothingToCommit`], those of [`Publisher::place`], [`PublishError::Catalogue`].
    pub(crate) async fn evictable(
        &self,
        account: &AccountSid,
        wanted: &PurgeWanted,
    ) -> Result<Vec<BlobId>, PublishError> {
        let mut all = self.shown_blobs(account, wanted).await?;
        for source in all.clone() {
            all.extend(self.shared.catalogue.coded_forms(account, &source.hash).await?);
        }
        Ok(all)
    }

    /// What stands at paths, and what was published under hashes; each once.
    async fn shown_blobs(
        &self,
        account: &AccountSid,
        wanted: &PurgeWanted,
    ) -> Result<Vec<BlobId>, PublishError> {
        let mut blobs = BTreeMap::new();
        if !wanted.paths.is_empty() {
            let (_, live) = self.list(account, &wanted.target).await?;
            let live: BTreeMap<&str, &AssetVersion> =
                live.iter().map(|version| (version.path.as_str(), version)).collect();
            for path in &wanted.paths {
                let found = live.get(path.as_str()).filter(|version| version.visibility.is_served());
                let found = found
                    .ok_or_else(|| PublishError::NotFound { noun: "served path", name: path.clone() })?;
                blobs.insert(found.blob.id.hash, found.blob.id);
            }
        }
        for hash in &wanted.hashes {
            let found = self.shared.catalogue.published_blob(account, hash).await?;
            let found =
                found.ok_or_else(|| PublishError::NotFound { noun: "blob", name: hash.to_string() })?;
            blobs.insert(found.hash, found);
        }
        if blobs.is_empty() {
            return Err(PublishError::NothingToCommit);
        }
        Ok(blobs.into_values().collect())
    }

    /// Shows bytes again that were revoked.
    ///
    /// # Errors
    /// [`PublishError::NotFound`] for a hash that is not revoked, [`PublishError::NothingToCommit`], and those of blob store and
    /// catalogue: nothing changed then.
    pub(crate) async fn lift(
        &self,
        actor: &Actor,
        hashes: &[Hash],
    ) -> Result<(Version, Vec<BlobId>), PublishError> {
        if hashes.is_empty() {
            return Err(PublishError::NothingToCommit);
        }
        let purges = self.purges(&actor.account).await?;
        let blob = |hash: &Hash| {
            let found = purges.iter().find(|purge| purge.blob.hash == *hash).map(|purge| purge.blob);
            found.ok_or_else(|| PublishError::NotFound { noun: "purge", name: hash.to_string() })
        };
        let blobs = hashes.iter().map(blob).collect::<Result<Vec<_>, _>>()?;
        let version = self.change_purges(actor, PurgeChange::Lift(blobs.clone())).await?;
        Ok((version, blobs))
    }

    /// What an account has revoked, newest first.
    ///
    /// # Errors
    /// [`PublishError::Catalogue`].
    pub(crate) async fn purges(&self, account: &AccountSid) -> Result<Vec<PurgeRow>, PublishError> {
        Ok(self.shared.catalogue.purges(account).await?)
    }

    /// Refuses to publish what is revoked: it would answer 410, which is not what a publisher expects who has just sent it.
    pub(super) fn refuse_purged<'a>(
        &self,
        account: &AccountSid,
        versions: impl IntoIterator<Item = &'a AssetVersion>,
    ) -> Result<(), PublishError> {
        let is_purged = |version: &&AssetVersion| {
            version.visibility.is_served()
                && self.shared.catalogue.is_purged(account.as_str(), &version.blob.id.hash)
        };
        let faults: Vec<_> = versions
            .into_iter()
            .filter(is_purged)
            .map(|version| Fault::Purged { path: version.path.to_string(), hash: version.blob.id.hash })
            .collect();
        if faults.is_empty() { Ok(()) } else { Err(PublishError::Refused(faults)) }
    }

    async fn change_purges(&self, actor: &Actor, change: PurgeChange) -> Result<Version, PublishError> {
        let (publisher, actor) = (self.clone(), actor.clone());
        self.to_the_end(async move {
            // One after the other in an account: the document has all of them.
            let _turn = publisher.turn_of(actor.account.as_str()).await?;
            let catalogue = &publisher.shared.catalogue;
            let revoked = catalogue.purged_after(&actor.account, &change).await?;
            if revoked.len() > purged::PURGED_MAX {
                return Err(PublishError::TooManyPurges { limit: purged::PURGED_MAX });
            }
            let document = match revoked.is_empty() {
                true => None,
                false => Some(publisher.store_purged(revoked.iter().map(|(blob, _)| *blob).collect()).await?),
            };
            let now = unix_seconds(SystemTime::now());
            let named = document.map(|document| document.id);
            let restamp = |signed: &[u8], version| publisher.restamp_purged(signed, version, named, now);
            let version =
                catalogue.change_purges(&actor, &change, &revoked, document.as_ref(), now, restamp).await?;
            publisher.shared.metrics.version(version);
            Ok(version)
        })
        .await
    }

    async fn store_purged(&self, blobs: Vec<BlobId>) -> Result<crate::blobs::StoredBlob, PublishError> {
        let publisher = self.clone();
        let work = tokio::task::spawn_blocking(move || {
            let documents = Documents { root: purged::write(blobs), pages: Vec::new() };
            publisher.store_all(&documents).map(|(document, _)| document)
        });
        work.await.unwrap_or(Err(PublishError::Stopping))
    }

    /// Signs a pointer of ours again, which names another list of what is revoked.
    fn restamp_purged(
        &self,
        signed: &[u8],
        version: Version,
        purged: Option<BlobId>,
        now: i64,
    ) -> Option<Vec<u8>> {
        let signed = SignedPointer::decode(Bytes::copy_from_slice(signed)).ok()?;
        let signer = self.shared.keys.signer();
        let pointer = Pointer::open(&signed, &signer.set).ok()?;
        let pointer = Pointer { version, purged, issued_at: now, ..pointer };
        Some(pointer.sign(&signer.key).encode_to_vec())
    }
}
