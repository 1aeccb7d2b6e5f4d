//! Assets and functions, which are names with versions, and builds: made, renamed and deleted by their owner.

use super::services::check_friendly_name;
use super::{PublishError, Publisher, unix_seconds};
use crate::catalogue::{Actor, BuildDetails, Content, Kind};
use crate::sid::ServiceSid;
use std::time::SystemTime;

impl Publisher {
    /// Makes an asset or a function; where the service has one of this name, that is the one.
    ///
    /// # Errors
    /// [`PublishError::Invalid`], [`PublishError::Catalogue`].
    pub(crate) async fn create_content(
        &self,
        actor: &Actor,
        kind: Kind,
        service: &ServiceSid,
        friendly_name: &str,
    ) -> Result<Content, PublishError> {
        check_friendly_name(friendly_name)?;
        let now = unix_seconds(SystemTime::now());
        Ok(self.shared.catalogue.add_content(actor, kind, service, friendly_name, now).await?)
    }

    /// Gives an asset or a function another name.
    ///
    /// # Errors
    /// [`PublishError::Invalid`], [`PublishError::Taken`], [`PublishError::Catalogue`].
    pub(crate) async fn rename_content(
        &self,
        actor: &Actor,
        kind: Kind,
        content: &Content,
        friendly_name: &str,
    ) -> Result<Content, PublishError> {
        check_friendly_name(friendly_name)?;
        let now = unix_seconds(SystemTime::now());
        let renamed =
            self.shared.catalogue.rename_content(actor, kind, &content.sid, friendly_name, now).await?;
        renamed.ok_or(PublishError::Taken("Another one with this FriendlyName already exists."))
    }

    /// Deletes an asset or a function. What builds have of it stays there.
    ///
    /// # Errors
    /// [`PublishError::NotFound`], [`PublishError::Catalogue`].
    pub(crate) async fn delete_content(
        &self,
        actor: &Actor,
        kind: Kind,
        content: &Content,
    ) -> Result<(), PublishError> {
        let now = unix_seconds(SystemTime::now());
        match self.shared.catalogue.delete_content(actor, kind, &content.sid, now).await? {
            true => Ok(()),
            false => Err(PublishError::NotFound { noun: "asset", name: content.sid.to_string() }),
        }
    }

    /// Deletes a build that is live nowhere.
    ///
    /// # Errors
    /// [`PublishError::IsLive`], [`PublishError::Catalogue`].
    pub(crate) async fn delete_build(&self, actor: &Actor, build: &BuildDetails) -> Result<(), PublishError> {
        let now = unix_seconds(SystemTime::now());
        match self.shared.catalogue.delete_build(actor, &build.sid, now).await? {
            true => Ok(()),
            false => Err(PublishError::IsLive),
        }
    }
}
