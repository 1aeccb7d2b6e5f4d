//! Variables of environments: kept for functions, which run elsewhere.

use super::super::{Catalogue, CatalogueError};
use super::audit::{self, Action, Actor};
use super::page::{Page, PageWanted};
use crate::sid::{EnvironmentSid, VariableSid};
use sqlx::AssertSqlSafe;

/// A variable.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub(crate) struct Variable {
    /// `ZV…`
    #[sqlx(try_from = "String")]
    pub(crate) sid: VariableSid,
    /// Unique in its environment.
    pub(crate) key: String,
    pub(crate) value: String,
    pub(crate) created_at: i64,
    pub(crate) updated_at: i64,
}

const COLUMNS: &str = "sid, key, value, created_at, updated_at";

impl Catalogue {
    /// Adds a variable. `None` when the environment has one of this key.
    ///
    /// # Errors
    /// Any [`CatalogueError`].
    pub(crate) async fn add_variable(
        &self,
        actor: &Actor,
        environment: &EnvironmentSid,
        key: &str,
        value: &str,
        now: i64,
    ) -> Result<Option<Variable>, CatalogueError> {
        let sid = VariableSid::random()?;
        let mut transaction = self.write().await?;
        let variable: Option<Variable> = sqlx::query_as(AssertSqlSafe(format!(
            "INSERT INTO variables (sid, environment_sid, key, value, created_at, updated_at) VALUES (?1, ?2, ?3, ?4, ?5, ?5) \
             ON CONFLICT DO NOTHING RETURNING {COLUMNS}"
        )))
        .bind(sid.as_str())
        .bind(environment.as_str())
        .bind(key)
        .bind(value)
        .bind(now)
        .fetch_optional(&mut *transaction)
        .await?;
        if variable.is_some() {
            audit::append(&mut transaction, actor, Action::Create, sid.as_str(), now).await?;
            transaction.commit().await?;
        }
        Ok(variable)
    }

    /// The variables of an environment.
    ///
    /// # Errors
    /// Any [`CatalogueError`].
    pub(crate) async fn list_variables(
        &self,
        environment: &EnvironmentSid,
        wanted: &PageWanted,
    ) -> Result<Page<Variable>, CatalogueError> {
        self.page(COLUMNS, "variables", "environment_sid = ?1", environment.as_str(), wanted).await
    }

    /// A variable of an environment.
    ///
    /// # Errors
    /// Any [`CatalogueError`].
    pub(crate) async fn variable(
        &self,
        environment: &EnvironmentSid,
        sid: &str,
    ) -> Result<Option<Variable>, CatalogueError> {
        Ok(sqlx::query_as(AssertSqlSafe(format!(
            "SELECT {COLUMNS} FROM variables WHERE environment_sid = ?1 AND sid = ?2"
        )))
        .bind(environment.as_str())
        .bind(sid)
        .fetch_optional(self.reader())
        .await?)
    }

    /// Changes key or value of a variable; `None` when it is gone, or another one has the key.
    ///
    /// # Errors
    /// Any [`CatalogueError`].
    pub(crate) async fn update_variable(
        &self,
        actor: &Actor,
        variable: &VariableSid,
        key: Option<&str>,
        value: Option<&str>,
        now: i64,
    ) -> Result<Option<Variable>, CatalogueError> {
        let mut transaction = self.write().await?;
        let variable: Option<Variable> = sqlx::query_as(AssertSqlSafe(format!(
            "UPDATE OR IGNORE variables SET key = coalesce(?2, key), value = coalesce(?3, value), updated_at = ?4 \
             WHERE sid = ?1 RETURNING {COLUMNS}"
        )))
        .bind(variable.as_str())
        .bind(key)
        .bind(value)
        .bind(now)
        .fetch_optional(&mut *transaction)
        .await?;
        if let Some(variable) = &variable {
            audit::append(&mut transaction, actor, Action::Update, variable.sid.as_str(), now).await?;
            transaction.commit().await?;
        }
        Ok(variable)
    }

    /// Deletes a variable; whether it was there.
    ///
    /// # Errors
    /// Any [`CatalogueError`].
    pub(crate) async fn delete_variable(
        &self,
        actor: &Actor,
        variable: &VariableSid,
        now: i64,
    ) -> Result<bool, CatalogueError> {
        let mut transaction = self.write().await?;
        let deleted = sqlx::query("DELETE FROM variables WHERE sid = ?1")
            .bind(variable.as_str())
            .execute(&mut *transaction)
            .await?;
        if deleted.rows_affected() == 0 {
            return Ok(false);
        }
        audit::append(&mut transaction, actor, Action::Delete, variable.as_str(), now).await?;
        transaction.commit().await?;
        Ok(true)
    }
}
