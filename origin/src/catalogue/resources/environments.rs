//! Environments.

use super::super::{Catalogue, CatalogueError, events};
use super::audit::{self, Action, Actor};
use super::page::{Page, PageWanted};
use crate::sid::{EnvironmentSid, ServiceSid};
use skerry_proto::pointer::Version;
use sqlx::{AssertSqlSafe, Sqlite, Transaction};

/// An environment.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub(crate) struct EnvironmentDetails {
    /// `ZE…`
    #[sqlx(try_from = "String")]
    pub(crate) sid: EnvironmentSid,
    /// Unique in its service.
    pub(crate) unique_name: String,
    /// `None`: the one for production.
    pub(crate) domain_suffix: Option<String>,
    pub(crate) domain_name: String,
    /// The build that is live.
    pub(crate) live_build_sid: Option<String>,
    pub(crate) created_at: i64,
    pub(crate) updated_at: i64,
}

/// An environment that is about to be added.
#[derive(Debug, Clone)]
pub(crate) struct NewEnvironment {
    pub(crate) service: ServiceSid,
    pub(crate) sid: EnvironmentSid,
    pub(crate) unique_name: String,
    pub(crate) domain_suffix: Option<String>,
    pub(crate) domain_name: String,
    pub(crate) created_at: i64,
}

pub(super) const COLUMNS: &str =
    "sid, unique_name, domain_suffix, domain_name, live_build_sid, created_at, updated_at";

/// What belongs to an environment, in an order that breaks no reference.
const DELETE: [&str; 6] = [
    "DELETE FROM domains WHERE environment_sid = ?1",
    "DELETE FROM variables WHERE environment_sid = ?1",
    "DELETE FROM environment_paths WHERE environment_sid = ?1",
    "DELETE FROM environment_versions WHERE environment_sid = ?1",
    "DELETE FROM deployments WHERE environment_sid = ?1",
    "DELETE FROM environments WHERE sid = ?1",
];

/// Deletes an environment and what it has; whether it was there.
pub(super) async fn delete(
    transaction: &mut Transaction<'static, Sqlite>,
    environment: &str,
) -> Result<bool, CatalogueError> {
    let mut deleted = 0;
    for statement in DELETE {
        let done = sqlx::query(statement).bind(environment).execute(&mut **transaction).await?;
        deleted = done.rows_affected();
    }
    Ok(deleted > 0)
}

impl Catalogue {
    /// Adds an environment, and tells edges of its domain. `None` when its name, its suffix or its domain is taken.
    ///
    /// # Errors
    /// Any [`CatalogueError`].
    pub(crate) async fn add_environment(
        &self,
        actor: &Actor,
        new: &NewEnvironment,
        pointer: impl FnOnce(Version) -> Vec<u8> + Send,
    ) -> Result<Option<EnvironmentDetails>, CatalogueError> {
        let mut transaction = self.write().await?;
        let environment: Option<EnvironmentDetails> = sqlx::query_as(AssertSqlSafe(format!(
            "INSERT INTO environments (sid, service_sid, unique_name, domain_suffix, domain_name, created_at, updated_at) \
             SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?6 WHERE NOT EXISTS \
                 (SELECT 1 FROM domains WHERE domain_name = ?5 AND verified_at IS NOT NULL) \
             ON CONFLICT DO NOTHING RETURNING {COLUMNS}"
        )))
        .bind(new.sid.as_str())
        .bind(new.service.as_str())
        .bind(&new.unique_name)
        .bind(&new.domain_suffix)
        .bind(&new.domain_name)
        .bind(new.created_at)
        .fetch_optional(&mut *transaction)
        .await?;
        if environment.is_some() {
            let version = events::append(&mut transaction, &new.domain_name, pointer).await?;
            audit::append(&mut transaction, actor, Action::Create, new.sid.as_str(), new.created_at).await?;
            transaction.commit().await?;
            self.announce(version);
        }
        Ok(environment)
    }

    /// The environments of a service.
    ///
    /// # Errors
    /// Any [`CatalogueError`].
    pub(crate) async fn list_environments(
        &self,
        service: &ServiceSid,
        wanted: &PageWanted,
    ) -> Result<Page<EnvironmentDetails>, CatalogueError> {
        self.page(COLUMNS, "environments", "service_sid = ?1", service.as_str(), wanted).await
    }

    /// An environment of a service.
    ///
    /// # Errors
    /// Any [`CatalogueError`].
    pub(crate) async fn environment(
        &self,
        service: &ServiceSid,
        sid: &str,
    ) -> Result<Option<EnvironmentDetails>, CatalogueError> {
        Ok(sqlx::query_as(AssertSqlSafe(format!(
            "SELECT {COLUMNS} FROM environments WHERE service_sid = ?1 AND sid = ?2"
        )))
        .bind(service.as_str())
        .bind(sid)
        .fetch_optional(self.reader())
        .await?)
    }

    /// Deletes an environment and all that it has. Edges learn that its names are those of nobody. Whether it was there.
    ///
    /// # Errors
    /// Any [`CatalogueError`].
    pub(crate) async fn delete_environment(
        &self,
        actor: &Actor,
        environment: &EnvironmentDetails,
        now: i64,
        pointer: impl FnOnce(Version) -> Vec<u8> + Send,
    ) -> Result<bool, CatalogueError> {
        let mut transaction = self.write().await?;
        if !delete(&mut transaction, environment.sid.as_str()).await? {
            return Ok(false);
        }
        let version = events::append(&mut transaction, &environment.domain_name, pointer).await?;
        audit::append(&mut transaction, actor, Action::Delete, environment.sid.as_str(), now).await?;
        transaction.commit().await?;
        self.announce(version);
        Ok(true)
    }
}
