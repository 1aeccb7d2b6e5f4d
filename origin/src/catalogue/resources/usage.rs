//! How much an account and its services have: what limits are compared with, and what is stored.
//!
//! Contents count once however often they are used, and as long as a version has them, which is also after its asset was deleted.

use super::super::{Catalogue, CatalogueError, unsigned};
use crate::sid::{AccountSid, EnvironmentSid, ServiceSid};
use skerry_proto::rules::SITE_FILE;
use sqlx::AssertSqlSafe;

/// What is stored.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Stored {
    /// Bytes of distinct contents.
    pub(crate) bytes: u64,
    pub(crate) asset_versions: u64,
    pub(crate) function_versions: u64,
}

/// Of an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AccountUsage {
    pub(crate) stored: Stored,
    pub(crate) services: u64,
    pub(crate) api_keys: u64,
}

/// Of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ServiceUsage {
    pub(crate) stored: Stored,
    /// Ascending by unique name.
    pub(crate) environments: Vec<EnvironmentUsage>,
}

/// Paths of the build that an environment shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct EnvironmentUsage {
    pub(crate) sid: EnvironmentSid,
    pub(crate) unique_name: String,
    pub(crate) build_sid: Option<String>,
    /// Public and protected ones.
    pub(crate) served_count: u64,
    pub(crate) private_count: u64,
}

impl Catalogue {
    /// What an account has.
    ///
    /// # Errors
    /// Any [`CatalogueError`].
    pub(crate) async fn account_usage(&self, account: &AccountSid) -> Result<AccountUsage, CatalogueError> {
        let (services, api_keys): (i64, i64) = sqlx::query_as(
            "SELECT (SELECT count(*) FROM services WHERE account_sid = ?1), \
                    (SELECT count(*) FROM api_keys WHERE account_sid = ?1 AND revoked_at IS NULL)",
        )
        .bind(account.as_str())
        .fetch_one(self.reader())
        .await?;
        let stored =
            self.stored("service_sid IN (SELECT sid FROM services WHERE account_sid = ?1)", account.as_str());
        Ok(AccountUsage {
            stored: stored.await?,
            services: unsigned(services)?,
            api_keys: unsigned(api_keys)?,
        })
    }

    /// What a service has.
    ///
    /// # Errors
    /// Any [`CatalogueError`].
    pub(crate) async fn service_usage(&self, service: &ServiceSid) -> Result<ServiceUsage, CatalogueError> {
        // The site file is a private version that counts in no limit.
        let rows: Vec<(String, String, Option<String>, i64, i64)> = sqlx::query_as(
            "SELECT environments.sid, environments.unique_name, live_build_sid, \
                    count(CASE WHEN visibility <> 'private' THEN 1 END), \
                    count(CASE WHEN visibility = 'private' AND path <> ?2 THEN 1 END) \
             FROM environments LEFT JOIN build_versions ON build_sid = live_build_sid \
                               LEFT JOIN asset_versions ON number = version_number \
             WHERE service_sid = ?1 GROUP BY environments.sid ORDER BY environments.unique_name",
        )
        .bind(service.as_str())
        .bind(SITE_FILE)
        .fetch_all(self.reader())
        .await?;
        let environments = rows.into_iter().map(|(sid, unique_name, build_sid, served, private)| {
            Ok(EnvironmentUsage {
                sid: sid.into(),
                unique_name,
                build_sid,
                served_count: unsigned(served)?,
                private_count: unsigned(private)?,
            })
        });
        let environments = environments.collect::<Result<_, CatalogueError>>()?;
        Ok(ServiceUsage { stored: self.stored("service_sid = ?1", service.as_str()).await?, environments })
    }

    /// What is stored of the services that fulfil a condition on `owner`, its `?1`.
    async fn stored(&self, condition: &str, owner: &str) -> Result<Stored, CatalogueError> {
        let of = |columns: &str, kind: &str| {
            format!(
                "SELECT {columns} FROM {kind}_versions JOIN {kind}s ON {kind}s.sid = {kind}_sid WHERE {condition}"
            )
        };
        let contents = ["asset", "function"].map(|kind| of("blob_hash, size", kind)).join(" UNION ");
        let (bytes, assets, functions): (i64, i64, i64) = sqlx::query_as(AssertSqlSafe(format!(
            "SELECT (SELECT coalesce(sum(size), 0) FROM ({contents})), ({}), ({})",
            of("count(*)", "asset"),
            of("count(*)", "function"),
        )))
        .bind(owner)
        .fetch_one(self.reader())
        .await?;
        Ok(Stored {
            bytes: unsigned(bytes)?,
            asset_versions: unsigned(assets)?,
            function_versions: unsigned(functions)?,
        })
    }
}
