//! Services.

use super::super::{Catalogue, CatalogueError, events};
use super::audit::{self, Action, Actor};
use super::environments;
use super::page::{Page, PageWanted};
use crate::sid::{AccountSid, EnvironmentSid, ServiceSid};
use skerry_proto::pointer::Version;
use sqlx::AssertSqlSafe;

/// A service.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub(crate) struct ServiceDetails {
    /// `ZS…`
    #[sqlx(try_from = "String")]
    pub(crate) sid: ServiceSid,
    /// Unique in its account.
    pub(crate) unique_name: String,
    pub(crate) friendly_name: String,
    pub(crate) include_credentials: bool,
    pub(crate) ui_editable: bool,
    /// First label of its environments' domains, before a suffix.
    pub(crate) domain_base: String,
    pub(crate) created_at: i64,
    pub(crate) updated_at: i64,
}

/// What changes of a service; `None` stays as it is.
#[derive(Debug, Clone, Default)]
pub(crate) struct ServiceChange {
    /// Only of a service that is there: a new one is given its name beside.
    pub(crate) unique_name: Option<String>,
    pub(crate) friendly_name: Option<String>,
    pub(crate) include_credentials: Option<bool>,
    pub(crate) ui_editable: Option<bool>,
}

pub(super) const COLUMNS: &str = "sid, unique_name, friendly_name, include_credentials, ui_editable, domain_base, \
                       created_at, updated_at";

/// What belongs to a service, in an order that breaks no reference. Environments go before, one by one.
const DELETE_CONTENT: [&str; 9] = [
    "DELETE FROM derivations WHERE build_sid IN (SELECT sid FROM builds WHERE service_sid = ?1)",
    "DELETE FROM build_versions WHERE build_sid IN (SELECT sid FROM builds WHERE service_sid = ?1)",
    "DELETE FROM build_functions WHERE build_sid IN (SELECT sid FROM builds WHERE service_sid = ?1)",
    "DELETE FROM builds WHERE service_sid = ?1",
    "DELETE FROM asset_versions WHERE asset_sid IN (SELECT sid FROM assets WHERE service_sid = ?1)",
    "DELETE FROM assets WHERE service_sid = ?1",
    "DELETE FROM function_versions WHERE function_sid IN (SELECT sid FROM functions WHERE service_sid = ?1)",
    "DELETE FROM functions WHERE service_sid = ?1",
    "DELETE FROM services WHERE sid = ?1",
];

impl Catalogue {
    /// Adds a service. `None` when the account has one of this name, or another service has the base of its domains.
    ///
    /// # Errors
    /// Any [`CatalogueError`].
    pub(crate) async fn add_service(
        &self,
        actor: &Actor,
        unique_name: &str,
        domain_base: &str,
        settings: &ServiceChange,
        now: i64,
    ) -> Result<Option<ServiceDetails>, CatalogueError> {
        let sid = ServiceSid::random()?;
        let mut transaction = self.write().await?;
        let service: Option<ServiceDetails> = sqlx::query_as(AssertSqlSafe(format!(
            "INSERT INTO services (sid, account_sid, unique_name, friendly_name, include_credentials, ui_editable, domain_base, \
                                   created_at, updated_at) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?8) ON CONFLICT DO NOTHING RETURNING {COLUMNS}"
        )))
        .bind(sid.as_str())
        .bind(actor.account.as_str())
        .bind(unique_name)
        .bind(settings.friendly_name.as_deref().unwrap_or(unique_name))
        .bind(settings.include_credentials.unwrap_or(true))
        .bind(settings.ui_editable.unwrap_or(false))
        .bind(domain_base)
        .bind(now)
        .fetch_optional(&mut *transaction)
        .await?;
        if service.is_some() {
            audit::append(&mut transaction, actor, Action::Create, sid.as_str(), now).await?;
            transaction.commit().await?;
        }
        Ok(service)
    }

    /// The services of an account.
    ///
    /// # Errors
    /// Any [`CatalogueError`].
    pub(crate) async fn list_services(
        &self,
        account: &AccountSid,
        wanted: &PageWanted,
    ) -> Result<Page<ServiceDetails>, CatalogueError> {
        self.page(COLUMNS, "services", "account_sid = ?1", account.as_str(), wanted).await
    }

    /// A service of an account, by SID or unique name.
    ///
    /// # Errors
    /// Any [`CatalogueError`].
    pub(crate) async fn service(
        &self,
        account: &AccountSid,
        name: &str,
    ) -> Result<Option<ServiceDetails>, CatalogueError> {
        Ok(sqlx::query_as(AssertSqlSafe(format!(
            "SELECT {COLUMNS} FROM services WHERE account_sid = ?1 AND (sid = ?2 OR unique_name = ?2)"
        )))
        .bind(account.as_str())
        .bind(name)
        .fetch_optional(self.reader())
        .await?)
    }

    /// Changes a service; `None` when it is gone, or another one of the account has the name that it should get.
    ///
    /// # Errors
    /// Any [`CatalogueError`].
    pub(crate) async fn update_service(
        &self,
        actor: &Actor,
        service: &ServiceSid,
        change: &ServiceChange,
        now: i64,
    ) -> Result<Option<ServiceDetails>, CatalogueError> {
        let mut transaction = self.write().await?;
        let service: Option<ServiceDetails> = sqlx::query_as(AssertSqlSafe(format!(
            "UPDATE OR IGNORE services SET friendly_name = coalesce(?2, friendly_name), \
             include_credentials = coalesce(?3, include_credentials), ui_editable = coalesce(?4, ui_editable), updated_at = ?5, \
             unique_name = coalesce(?6, unique_name) WHERE sid = ?1 RETURNING {COLUMNS}"
        )))
        .bind(service.as_str())
        .bind(&change.friendly_name)
        .bind(change.include_credentials)
        .bind(change.ui_editable)
        .bind(now)
        .bind(&change.unique_name)
        .fetch_optional(&mut *transaction)
        .await?;
        if let Some(service) = &service {
            audit::append(&mut transaction, actor, Action::Update, service.sid.as_str(), now).await?;
            transaction.commit().await?;
        }
        Ok(service)
    }

    /// Deletes a service and all that it has. Edges learn that its environments show nothing, by the pointer that is made for each of
    /// their domains. Whether it was there.
    ///
    /// # Errors
    /// Any [`CatalogueError`].
    pub(crate) async fn delete_service(
        &self,
        actor: &Actor,
        service: &ServiceSid,
        now: i64,
        pointer: impl Fn(&EnvironmentSid, &str, Version) -> Vec<u8> + Send,
    ) -> Result<bool, CatalogueError> {
        let mut transaction = self.write().await?;
        let gone: Vec<(String, String)> =
            sqlx::query_as("SELECT sid, domain_name FROM environments WHERE service_sid = ?1")
                .bind(service.as_str())
                .fetch_all(&mut *transaction)
                .await?;
        let mut newest = None;
        for (environment, domain) in gone {
            environments::delete(&mut transaction, &environment).await?;
            let environment = EnvironmentSid::from(environment);
            let point = |version| pointer(&environment, &domain, version);
            newest = Some(events::append(&mut transaction, &domain, point).await?);
        }
        let mut deleted = 0;
        for statement in DELETE_CONTENT {
            let done = sqlx::query(statement).bind(service.as_str()).execute(&mut *transaction).await?;
            deleted = done.rows_affected();
        }
        audit::append(&mut transaction, actor, Action::Delete, service.as_str(), now).await?;
        if deleted == 0 {
            transaction.rollback().await?;
            return Ok(false);
        }
        transaction.commit().await?;
        if let Some(version) = newest {
            self.announce(version);
        }
        Ok(true)
    }
}
