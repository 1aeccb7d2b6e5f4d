//! Everything that an account has by name, at one moment: services, their environments, and the domains of these.

use super::super::{Catalogue, CatalogueError};
use super::environments::{self, EnvironmentDetails};
use super::services::{self, ServiceDetails};
use crate::sid::AccountSid;
use sqlx::AssertSqlSafe;
use std::collections::HashMap;

/// A service with its environments.
#[derive(Debug, Clone)]
pub(crate) struct NamedService {
    pub(crate) service: ServiceDetails,
    /// Ascending by unique name.
    pub(crate) environments: Vec<NamedEnvironment>,
}

/// An environment with the domains that it has beside its own.
#[derive(Debug, Clone)]
pub(crate) struct NamedEnvironment {
    pub(crate) environment: EnvironmentDetails,
    pub(crate) aliases: Vec<String>,
}

/// An environment, and which service it is of.
#[derive(sqlx::FromRow)]
struct EnvironmentOf {
    service_sid: String,
    #[sqlx(flatten)]
    environment: EnvironmentDetails,
}

impl Catalogue {
    /// The services of an account, ascending by unique name.
    ///
    /// # Errors
    /// Any [`CatalogueError`].
    pub(crate) async fn named_services(
        &self,
        account: &AccountSid,
    ) -> Result<Vec<NamedService>, CatalogueError> {
        let mut reader = self.reader().begin().await?;
        let services: Vec<ServiceDetails> = sqlx::query_as(AssertSqlSafe(format!(
            "SELECT {} FROM services WHERE account_sid = ?1 ORDER BY unique_name",
            services::COLUMNS
        )))
        .bind(account.as_str())
        .fetch_all(&mut *reader)
        .await?;
        let environments: Vec<EnvironmentOf> = sqlx::query_as(AssertSqlSafe(format!(
            "SELECT service_sid, {} FROM environments \
             WHERE service_sid IN (SELECT sid FROM services WHERE account_sid = ?1) ORDER BY unique_name",
            environments::COLUMNS
        )))
        .bind(account.as_str())
        .fetch_all(&mut *reader)
        .await?;
        let domains: Vec<(String, String)> = sqlx::query_as(
            "SELECT environment_sid, domains.domain_name FROM domains JOIN environments ON environments.sid = environment_sid \
             JOIN services ON services.sid = service_sid WHERE account_sid = ?1 AND verified_at IS NOT NULL \
             ORDER BY domains.domain_name",
        )
        .bind(account.as_str())
        .fetch_all(&mut *reader)
        .await?;
        let mut aliases: HashMap<String, Vec<String>> = HashMap::new();
        for (environment, domain) in domains {
            aliases.entry(environment).or_default().push(domain);
        }
        let mut of_services: HashMap<String, Vec<NamedEnvironment>> = HashMap::new();
        for EnvironmentOf { service_sid, environment } in environments {
            let aliases = aliases.remove(environment.sid.as_str()).unwrap_or_default();
            of_services.entry(service_sid).or_default().push(NamedEnvironment { environment, aliases });
        }
        let named = services.into_iter().map(|service| NamedService {
            environments: of_services.remove(service.sid.as_str()).unwrap_or_default(),
            service,
        });
        Ok(named.collect())
    }
}
