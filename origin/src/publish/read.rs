//! What an account has: its services, the assets that are live, and their bytes.

use super::{PublishError, Publisher, Target};
use crate::blobs::BlobReader;
use crate::catalogue::{AssetVersion, EnvironmentRow, ServiceRow};
use crate::sid::AccountSid;

impl Publisher {
    /// The services of an account with their environments.
    ///
    /// # Errors
    /// [`PublishError::Catalogue`].
    pub(crate) async fn services(&self, account: &AccountSid) -> Result<Vec<ServiceRow>, PublishError> {
        Ok(self.shared.catalogue.services(account).await?)
    }

    /// The environment, and the assets of its live build, private ones included, ascending by path.
    ///
    /// # Errors
    /// Those of [`Publisher::place`].
    pub(crate) async fn list(
        &self,
        account: &AccountSid,
        target: &Target,
    ) -> Result<(EnvironmentRow, Vec<AssetVersion>), PublishError> {
        let place = self.place(account, target).await?;
        let versions = self.live_versions(&place.environment).await?;
        Ok((place.environment, versions))
    }

    /// An asset of the live build, and its bytes, to be read by its owner.
    ///
    /// # Errors
    /// [`PublishError::NotFound`], [`PublishError::Blob`], and those of [`Publisher::place`].
    pub(crate) async fn download(
        &self,
        account: &AccountSid,
        target: &Target,
        path: &str,
    ) -> Result<(AssetVersion, BlobReader), PublishError> {
        let (_, versions) = self.list(account, target).await?;
        let asset = versions
            .into_iter()
            .find(|version| version.path.as_str() == path)
            .ok_or_else(|| PublishError::NotFound { noun: "path", name: path.to_owned() })?;
        let blob = self.shared.blobs.open_blob(asset.blob.id).await?;
        Ok((asset, blob))
    }

    pub(super) async fn live_versions(
        &self,
        environment: &EnvironmentRow,
    ) -> Result<Vec<AssetVersion>, PublishError> {
        match &environment.live_build {
            Some(build) => Ok(self.shared.catalogue.build_versions(build).await?),
            None => Ok(Vec::new()),
        }
    }
}
