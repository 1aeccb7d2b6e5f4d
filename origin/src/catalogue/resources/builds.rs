//! Builds, as their owner sees them.

use super::super::{Catalogue, CatalogueError};
use super::audit::{self, Action, Actor};
use super::page::{Page, PageWanted};
use crate::sid::{BuildSid, ServiceSid};
use sqlx::AssertSqlSafe;

/// How far a build is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BuildStatus {
    /// It is being made.
    Building,
    /// It can be deployed.
    Completed,
    /// It cannot.
    Failed,
}

impl TryFrom<String> for BuildStatus {
    type Error = CatalogueError;

    fn try_from(text: String) -> Result<Self, CatalogueError> {
        match text.as_str() {
            "building" => Ok(Self::Building),
            "completed" => Ok(Self::Completed),
            "failed" => Ok(Self::Failed),
            _ => Err(CatalogueError::Damaged("the status of a build is known")),
        }
    }
}

impl BuildStatus {
    /// The word for it.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Building => "building",
            Self::Completed => "completed",
            Self::Failed => "failed",
        }
    }
}

/// A build without its versions.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub(crate) struct BuildDetails {
    /// `ZB…`
    #[sqlx(try_from = "String")]
    pub(crate) sid: BuildSid,
    #[sqlx(try_from = "String")]
    pub(crate) status: BuildStatus,
    /// Why it failed.
    pub(crate) failure: Option<String>,
    /// JSON.
    pub(crate) dependencies: String,
    pub(crate) runtime: String,
    pub(crate) created_at: i64,
    pub(crate) updated_at: i64,
}

const COLUMNS: &str = "sid, status, failure, dependencies, runtime, created_at, updated_at";

impl Catalogue {
    /// The builds of a service.
    ///
    /// # Errors
    /// Any [`CatalogueError`].
    pub(crate) async fn list_builds(
        &self,
        service: &ServiceSid,
        wanted: &PageWanted,
    ) -> Result<Page<BuildDetails>, CatalogueError> {
        self.page(COLUMNS, "builds", "service_sid = ?1 AND is_deleted = 0", service.as_str(), wanted).await
    }

    /// What a page of the list is before that begins after this build.
    ///
    /// # Errors
    /// Any [`CatalogueError`].
    pub(crate) async fn build_number(&self, build: &BuildSid) -> Result<Option<i64>, CatalogueError> {
        Ok(sqlx::query_scalar("SELECT rowid FROM builds WHERE sid = ?1")
            .bind(build.as_str())
            .fetch_optional(self.reader())
            .await?)
    }

    /// A build of a service.
    ///
    /// # Errors
    /// Any [`CatalogueError`].
    pub(crate) async fn build(
        &self,
        service: &ServiceSid,
        sid: &str,
    ) -> Result<Option<BuildDetails>, CatalogueError> {
        Ok(sqlx::query_as(AssertSqlSafe(format!(
            "SELECT {COLUMNS} FROM builds WHERE service_sid = ?1 AND sid = ?2 AND is_deleted = 0"
        )))
        .bind(service.as_str())
        .bind(sid)
        .fetch_optional(self.reader())
        .await?)
    }

    /// Deletes a build that is live nowhere: it is listed no more, and can not be deployed. Whether that was so.
    ///
    /// # Errors
    /// Any [`CatalogueError`].
    pub(crate) async fn delete_build(
        &self,
        actor: &Actor,
        build: &BuildSid,
        now: i64,
    ) -> Result<bool, CatalogueError> {
        let mut transaction = self.write().await?;
        let deleted = sqlx::query(
            "UPDATE builds SET is_deleted = 1, updated_at = ?2 WHERE sid = ?1 AND is_deleted = 0 \
             AND NOT EXISTS (SELECT 1 FROM environments WHERE live_build_sid = ?1)",
        )
        .bind(build.as_str())
        .bind(now)
        .execute(&mut *transaction)
        .await?;
        if deleted.rows_affected() == 0 {
            return Ok(false);
        }
        audit::append(&mut transaction, actor, Action::Delete, build.as_str(), now).await?;
        transaction.commit().await?;
        Ok(true)
    }
}
