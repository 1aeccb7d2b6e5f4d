//! Deployments, as their owner sees them.

use super::super::{Catalogue, CatalogueError, unsigned};
use super::page::{Page, PageWanted};
use crate::sid::{DeploymentSid, EnvironmentSid};
use skerry_proto::pointer::Version;
use sqlx::AssertSqlSafe;

/// A deployment.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub(crate) struct DeploymentDetails {
    /// `ZD…`
    #[sqlx(try_from = "String")]
    pub(crate) sid: DeploymentSid,
    /// `None`: it took the environment off the net.
    pub(crate) build_sid: Option<String>,
    pub(crate) created_at: i64,
    epoch: i64,
    revision: i64,
}

impl DeploymentDetails {
    /// When edges were told of it.
    ///
    /// # Errors
    /// [`CatalogueError::Damaged`].
    pub(crate) fn version(&self) -> Result<Version, CatalogueError> {
        Ok(Version { epoch: unsigned(self.epoch)?, revision: unsigned(self.revision)? })
    }
}

const COLUMNS: &str = "sid, build_sid, created_at, epoch, revision";

impl Catalogue {
    /// The deployments of an environment.
    ///
    /// # Errors
    /// Any [`CatalogueError`].
    pub(crate) async fn list_deployments(
        &self,
        environment: &EnvironmentSid,
        wanted: &PageWanted,
    ) -> Result<Page<DeploymentDetails>, CatalogueError> {
        self.page(COLUMNS, "deployments", "environment_sid = ?1", environment.as_str(), wanted).await
    }

    /// The build that was live in an environment before the one that is, if it was not deleted.
    ///
    /// # Errors
    /// Any [`CatalogueError`].
    pub(crate) async fn previous_build(
        &self,
        environment: &EnvironmentSid,
    ) -> Result<Option<String>, CatalogueError> {
        Ok(sqlx::query_scalar(
            "SELECT build_sid FROM deployments JOIN builds ON builds.sid = build_sid AND is_deleted = 0 \
             WHERE environment_sid = ?1 AND build_sid IS NOT (SELECT live_build_sid FROM environments WHERE sid = ?1) \
             ORDER BY number DESC LIMIT 1",
        )
        .bind(environment.as_str())
        .fetch_optional(self.reader())
        .await?)
    }

    /// A deployment of an environment.
    ///
    /// # Errors
    /// Any [`CatalogueError`].
    pub(crate) async fn deployment(
        &self,
        environment: &EnvironmentSid,
        sid: &str,
    ) -> Result<Option<DeploymentDetails>, CatalogueError> {
        Ok(sqlx::query_as(AssertSqlSafe(format!(
            "SELECT {COLUMNS} FROM deployments WHERE environment_sid = ?1 AND sid = ?2"
        )))
        .bind(environment.as_str())
        .bind(sid)
        .fetch_optional(self.reader())
        .await?)
    }
}
