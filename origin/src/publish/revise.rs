//! The same bytes with another visibility: versions that are made without an upload.

use super::fault::check_asset;
use super::{PublishError, Publisher, Target, site_file, unix_seconds};
use crate::catalogue::{Actor, NewVersion};
use skerry_proto::visibility::Visibility;
use std::time::SystemTime;

impl Publisher {
    /// Makes versions of live paths with another visibility, to be committed like uploaded ones: their SIDs. What the limits forbid is
    /// refused as a whole, before any is made.
    ///
    /// # Errors
    /// [`PublishError::NotFound`] for a path that is not live, [`PublishError::Refused`], those of [`Publisher::place`] and of the
    /// catalogue.
    pub(crate) async fn revise(
        &self,
        actor: &Actor,
        target: &Target,
        paths: &[String],
        visibility: Visibility,
    ) -> Result<Vec<String>, PublishError> {
        let place = self.place(&actor.account, target).await?;
        let live = self.live_versions(&place.environment).await?;
        let limits = self.limits(&place.service).await?.limits;
        let (mut chosen, mut faults) = (Vec::new(), Vec::new());
        for path in paths {
            let version = live.iter().find(|version| version.path.as_str() == path);
            let version =
                version.ok_or_else(|| PublishError::NotFound { noun: "path", name: path.clone() })?;
            let visibility = site_file::visibility(path, visibility);
            faults.extend(check_asset(path, visibility, version.blob.id.size, &limits));
            chosen.push((version, visibility));
        }
        if !faults.is_empty() {
            return Err(PublishError::Refused(faults));
        }
        let created_at = unix_seconds(SystemTime::now());
        let mut made = Vec::new();
        for (version, visibility) in chosen {
            if version.visibility == visibility {
                made.push(version.sid.to_string());
                continue;
            }
            let new = NewVersion {
                service: place.service.clone(),
                path: version.path.clone(),
                visibility,
                content_type: version.content_type.clone(),
                blob: version.blob,
                created_at,
            };
            made.push(self.shared.catalogue.add_version(actor, &new).await?.1.into());
        }
        Ok(made)
    }
}
