//! Asset versions of bytes that their account has already: a client names them, and sends nothing.
//!
//! Only what this account's own versions name counts. What another account has is not read on the way, so neither the answer nor its
//! time tells of it. A blob whose file is not there, or has another length, is answered as if the account had it not: it is uploaded
//! again, which mends it.

use super::content_type::{self, LOOK_SIZE};
use super::fault::check_asset;
use super::site_file::is_site_file;
use super::{Fault, PublishError, Publisher, Target, unix_seconds};
use crate::blobs::{BlobError, StoredBlob};
use crate::catalogue::{Actor, NewVersion};
use crate::config::Limits;
use crate::sid::{AssetSid, ServiceSid, VersionSid};
use skerry_proto::hash::Hash;
use skerry_proto::path::AssetPath;
use skerry_proto::slices::BlobId;
use skerry_proto::visibility::Visibility;
use std::time::SystemTime;

/// Assets of one call at most: one transaction adds them all, and others wait for it.
const ASSETS_MAX: usize = 1000;

/// An asset version whose bytes a client believes to be here.
#[derive(Debug, Clone)]
pub(crate) struct Known {
    pub(crate) path: String,
    /// `None` for one that does not exist.
    pub(crate) visibility: Option<Visibility>,
    /// Empty: by extension, else by content.
    pub(crate) content_type: String,
    pub(crate) blob: BlobId,
}

impl Publisher {
    /// Adds a version of each asset whose bytes the account has; `None` in the place of one that has to be uploaded.
    ///
    /// # Errors
    /// [`PublishError::Refused`] with all that is wrong, [`PublishError::Invalid`], those of [`Publisher::place`], and those of blob
    /// store and catalogue. Nothing is added then.
    pub(crate) async fn reuse(
        &self,
        actor: &Actor,
        target: &Target,
        assets: Vec<Known>,
    ) -> Result<Vec<Option<(AssetSid, VersionSid)>>, PublishError> {
        if assets.len() > ASSETS_MAX {
            return Err(PublishError::Invalid { parameter: "assets", accepts: "a list of at most 1000" });
        }
        let service = self.place(&actor.account, target).await?.service;
        let checked = Self::checked(assets, &self.limits(&service).await?.limits)?;
        let hashes: Vec<Hash> = checked.iter().map(|(asset, ..)| asset.blob.hash).collect();
        let blobs = self.shared.catalogue.account_blobs(&actor.account, &hashes).await?;
        let mut reused = vec![None; checked.len()];
        let (mut places, mut versions) = (Vec::new(), Vec::new());
        for (place, (asset, path, visibility)) in checked.into_iter().enumerate() {
            // What it declares is to be read before it is stored, and it is small.
            let is_site_file = is_site_file(&asset.path);
            let blob = blobs.get(&asset.blob.hash).filter(|blob| blob.id == asset.blob && !is_site_file);
            let Some(blob) = blob else { continue };
            if let Some(version) = self.known_version(&service, asset, path, visibility, *blob).await? {
                places.push(place);
                versions.push(version);
            }
        }
        if versions.is_empty() {
            return Ok(reused);
        }
        let (publisher, actor) = (self.clone(), actor.clone());
        let added = self
            .to_the_end(
                async move { Ok(publisher.shared.catalogue.add_known_versions(&actor, &versions).await?) },
            )
            .await?;
        for (place, added) in places.into_iter().zip(added) {
            if let Some(reused) = reused.get_mut(place) {
                *reused = added;
            }
        }
        Ok(reused)
    }

    /// Refuses what an upload would be refused for, all of it at once.
    fn checked(
        assets: Vec<Known>,
        limits: &Limits,
    ) -> Result<Vec<(Known, AssetPath, Visibility)>, PublishError> {
        let (mut checked, mut faults) = (Vec::with_capacity(assets.len()), Vec::new());
        for asset in assets {
            let path = asset.path.parse::<AssetPath>();
            match (path, asset.visibility) {
                (Err(source), _) => faults.push(Fault::InvalidPath { path: asset.path, source }),
                (_, None) => faults.push(Fault::InvalidVisibility { path: asset.path }),
                (Ok(path), Some(visibility)) => {
                    faults.extend(check_asset(&asset.path, visibility, asset.blob.size, limits));
                    if content_type::choose(&asset.content_type, &asset.path, &[]).is_none() {
                        faults.push(Fault::InvalidContentType { path: asset.path.clone() });
                    }
                    checked.push((asset, path, visibility));
                }
            }
        }
        if faults.is_empty() { Ok(checked) } else { Err(PublishError::Refused(faults)) }
    }

    /// The version that is to be added, if the blob is there to be read.
    async fn known_version(
        &self,
        service: &ServiceSid,
        asset: Known,
        path: AssetPath,
        visibility: Visibility,
        blob: StoredBlob,
    ) -> Result<Option<NewVersion>, PublishError> {
        let needs_bytes = content_type::needs_bytes(&asset.content_type, &asset.path);
        let first_bytes = async {
            let reader = self.shared.blobs.open_blob(blob.id).await?;
            Ok(if needs_bytes { reader.slices(0, 1).await?.concat() } else { Vec::new() })
        };
        let first_bytes = match first_bytes.await {
            Ok(bytes) => bytes,
            Err(BlobError::Damaged { hash, what }) => {
                tracing::error!(%hash, what, "a blob is damaged; its owner is asked to upload it again");
                return Ok(None);
            }
            Err(error) => return Err(error.into()),
        };
        let look = &first_bytes[..first_bytes.len().min(LOOK_SIZE)];
        let content_type = content_type::choose(&asset.content_type, &asset.path, look)
            .ok_or(Fault::InvalidContentType { path: asset.path })?;
        Ok(Some(NewVersion {
            service: service.clone(),
            path,
            visibility,
            content_type,
            blob,
            created_at: unix_seconds(SystemTime::now()),
        }))
    }
}
