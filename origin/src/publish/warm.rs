//! Which blobs a deployment will show that are not live yet: what edges may pull ahead of it.

use super::deploy::Wanted;
use super::derive::representations;
use super::{PublishError, Publisher, Target};
use crate::catalogue::AssetVersion;
use crate::sid::AccountSid;
use skerry_proto::slices::BlobId;
use skerry_proto::visibility::Visibility;
use std::collections::HashSet;

/// What is about to be deployed.
#[derive(Debug, Clone)]
pub(crate) enum Coming {
    /// A build that is made.
    Build(Wanted),
    /// Asset versions that were uploaded, SIDs.
    Versions(Vec<String>),
}

impl Publisher {
    /// The blobs, coded forms among them, of what is coming and not live, largest use first: as the build or the list has them. No
    /// private ones: edges never have those.
    ///
    /// # Errors
    /// As [`Publisher::deploy`].
    pub(crate) async fn coming(
        &self,
        account: &AccountSid,
        target: &Target,
        coming: Coming,
    ) -> Result<Vec<BlobId>, PublishError> {
        let place = self.place(account, target).await?;
        let catalogue = &self.shared.catalogue;
        let next = match coming {
            Coming::Versions(sids) => catalogue.versions(&place.service, &sids).await?,
            Coming::Build(wanted) => {
                let build = match wanted {
                    Wanted::Build(build) => build,
                    Wanted::Previous => {
                        let previous = catalogue.previous_build(&place.environment.sid).await?;
                        previous.ok_or(PublishError::NothingBefore)?
                    }
                    Wanted::Nothing => return Ok(Vec::new()),
                };
                let build = self.completed(&place, build).await?;
                catalogue.build_versions(&build).await?
            }
        };
        let live = match &place.environment.live_build {
            Some(live) => catalogue.build_versions(live).await?,
            None => Vec::new(),
        };
        let live: HashSet<BlobId> = live.iter().flat_map(blobs).collect();
        let mut seen = HashSet::new();
        let is_new =
            |blob: &BlobId| !live.contains(blob) && !catalogue.is_purged(account.as_str(), &blob.hash);
        Ok(next.iter().flat_map(blobs).filter(|blob| is_new(blob) && seen.insert(*blob)).collect())
    }
}

fn blobs(version: &AssetVersion) -> Vec<BlobId> {
    if version.visibility == Visibility::Private {
        return Vec::new();
    }
    let all = representations(&version.content_type, &version.blob, &version.derived);
    all.into_iter().map(|representation| representation.blob).collect()
}
