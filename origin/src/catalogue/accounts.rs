//! Accounts with their tokens, services and environments.

use super::environments::{Settings, SettingsColumns, settings};
use super::resources::audit::{self, Action, Actor};
use super::{Catalogue, CatalogueError, bytes_32, events};
use crate::sid::{AccountSid, BuildSid, EnvironmentSid, ServiceSid};
use skerry_proto::pointer::Version;

/// An account, and what its tokens are recognised by.
#[derive(Debug, Clone)]
pub(crate) struct Account {
    /// Its SID.
    pub(crate) sid: AccountSid,
    /// Whether it may see edges and make accounts and join tokens.
    pub(crate) is_operator: bool,
    /// Whether its tokens let nobody in.
    pub(crate) keys_only: bool,
    /// Its valid tokens.
    pub(crate) tokens: Vec<Token>,
}

/// An auth token, by what is kept of it.
#[derive(Debug, Clone)]
pub(crate) struct Token {
    /// 1 or 2.
    pub(crate) slot: u8,
    pub(crate) hash: [u8; 32],
    /// Whether signatures that it made can be checked.
    pub(crate) has_midstates: bool,
}

/// The rows of a new account, its first service, and its first environment.
#[derive(Debug, Clone)]
pub(crate) struct AccountRows {
    pub(crate) account: AccountSid,
    pub(crate) friendly_name: String,
    pub(crate) token_hash: [u8; 32],
    pub(crate) token_midstates: Vec<u8>,
    pub(crate) service: ServiceSid,
    pub(crate) environment: EnvironmentSid,
    /// Unique name of both, the service and the environment.
    pub(crate) unique_name: String,
    pub(crate) domain: String,
    pub(crate) created_at: i64,
}

/// A service with its environments.
#[derive(Debug, Clone)]
pub(crate) struct ServiceRow {
    pub(crate) sid: ServiceSid,
    pub(crate) unique_name: String,
    pub(crate) environments: Vec<EnvironmentRow>,
}

/// An environment.
#[derive(Debug, Clone)]
pub(crate) struct EnvironmentRow {
    pub(crate) sid: EnvironmentSid,
    pub(crate) unique_name: String,
    pub(crate) domain: String,
    pub(crate) live_build: Option<BuildSid>,
    pub(crate) deployment_number: i64,
    pub(crate) settings: Settings,
}

impl Catalogue {
    /// Whether there is any account.
    ///
    /// # Errors
    /// Any [`CatalogueError`].
    pub(crate) async fn has_accounts(&self) -> Result<bool, CatalogueError> {
        Ok(sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM accounts)").fetch_one(self.reader()).await?)
    }

    /// Adds an account; the first is the operator's. `None` when the domain is taken already.
    ///
    /// # Errors
    /// Any [`CatalogueError`].
    pub(crate) async fn add_account(
        &self,
        rows: &AccountRows,
        pointer: impl FnOnce(Version) -> Vec<u8> + Send,
    ) -> Result<Option<Version>, CatalogueError> {
        let mut transaction = self.write().await?;
        let is_taken: bool = sqlx::query_scalar(
            "SELECT EXISTS (SELECT 1 FROM environments WHERE domain_name = ?1) \
                                OR EXISTS (SELECT 1 FROM services WHERE domain_base = ?2) \
                                OR EXISTS (SELECT 1 FROM domains WHERE domain_name = ?1 AND verified_at IS NOT NULL)",
        )
        .bind(&rows.domain)
        .bind(rows.domain.split('.').next())
        .fetch_one(&mut *transaction)
        .await?;
        if is_taken {
            return Ok(None);
        }
        sqlx::query(
            "INSERT INTO accounts (sid, friendly_name, is_operator, created_at) \
             VALUES (?1, ?2, NOT EXISTS (SELECT 1 FROM accounts), ?3)",
        )
        .bind(rows.account.as_str())
        .bind(&rows.friendly_name)
        .bind(rows.created_at)
        .execute(&mut *transaction)
        .await?;
        sqlx::query(
            "INSERT INTO auth_tokens (account_sid, slot, token_hash, midstates, created_at) VALUES (?1, 1, ?2, ?3, ?4)",
        )
        .bind(rows.account.as_str())
        .bind(&rows.token_hash[..])
        .bind(&rows.token_midstates)
        .bind(rows.created_at)
        .execute(&mut *transaction)
        .await?;
        sqlx::query(
            "INSERT INTO services (sid, account_sid, unique_name, friendly_name, domain_base, created_at, updated_at) \
             VALUES (?1, ?2, ?3, ?3, ?4, ?5, ?5)",
        )
        .bind(rows.service.as_str())
        .bind(rows.account.as_str())
        .bind(&rows.unique_name)
        .bind(rows.domain.split('.').next())
        .bind(rows.created_at)
        .execute(&mut *transaction)
        .await?;
        sqlx::query(
            "INSERT INTO environments (sid, service_sid, unique_name, domain_name, created_at, updated_at) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?5)",
        )
        .bind(rows.environment.as_str())
        .bind(rows.service.as_str())
        .bind(&rows.unique_name)
        .bind(&rows.domain)
        .bind(rows.created_at)
        .execute(&mut *transaction)
        .await?;
        let actor = Actor::origin(rows.account.clone());
        for sid in [rows.account.as_str(), rows.service.as_str(), rows.environment.as_str()] {
            audit::append(&mut transaction, &actor, Action::Create, sid, rows.created_at).await?;
        }
        let version = events::append(&mut transaction, &rows.domain, pointer).await?;
        transaction.commit().await?;
        self.announce(version);
        Ok(Some(version))
    }

    /// An account by its SID.
    ///
    /// # Errors
    /// Any [`CatalogueError`].
    pub(crate) async fn account(&self, sid: &str) -> Result<Option<Account>, CatalogueError> {
        type Row = (String, bool, bool, Option<u8>, Option<Vec<u8>>, bool);
        let rows: Vec<Row> = sqlx::query_as(
            "SELECT sid, is_operator, keys_only, slot, token_hash, midstates IS NOT NULL \
             FROM accounts LEFT JOIN auth_tokens ON account_sid = sid WHERE sid = ?1",
        )
        .bind(sid)
        .fetch_all(self.reader())
        .await?;
        let Some((sid, is_operator, keys_only, ..)) = rows.first() else { return Ok(None) };
        let (sid, is_operator, keys_only) = (AccountSid::from(sid.clone()), *is_operator, *keys_only);
        let tokens = rows
            .iter()
            .filter_map(|(_, _, _, slot, hash, has_midstates)| {
                Some((slot.as_ref()?, hash.as_ref()?, *has_midstates))
            })
            .map(|(slot, hash, has_midstates)| {
                Ok(Token { slot: *slot, hash: bytes_32(hash)?, has_midstates })
            })
            .collect::<Result<_, CatalogueError>>()?;
        Ok(Some(Account { sid, is_operator, keys_only, tokens }))
    }

    /// The services of an account with their environments, each ascending by unique name.
    ///
    /// # Errors
    /// Any [`CatalogueError`].
    pub(crate) async fn services(&self, account: &AccountSid) -> Result<Vec<ServiceRow>, CatalogueError> {
        #[derive(sqlx::FromRow)]
        struct Row {
            service_sid: String,
            service_name: String,
            sid: String,
            unique_name: String,
            domain_name: String,
            live_build_sid: Option<String>,
            deployment_number: i64,
            #[sqlx(flatten)]
            settings: SettingsColumns,
        }
        let rows: Vec<Row> = sqlx::query_as(
            "SELECT services.sid AS service_sid, services.unique_name AS service_name, environments.sid, \
                    environments.unique_name, domain_name, live_build_sid, deployment_number, post_as_get, \
                    untrusted_uploads, public_stale_seconds, protected_stale_seconds \
             FROM services JOIN environments ON service_sid = services.sid \
             WHERE account_sid = ?1 ORDER BY services.unique_name, environments.unique_name",
        )
        .bind(account.as_str())
        .fetch_all(self.reader())
        .await?;
        let mut services: Vec<ServiceRow> = Vec::new();
        for row in rows {
            let environment = EnvironmentRow {
                sid: row.sid.into(),
                unique_name: row.unique_name,
                domain: row.domain_name,
                live_build: row.live_build_sid.map(Into::into),
                deployment_number: row.deployment_number,
                settings: settings(row.settings)?,
            };
            match services.last_mut() {
                Some(last) if last.sid.as_str() == row.service_sid => last.environments.push(environment),
                _ => services.push(ServiceRow {
                    sid: row.service_sid.into(),
                    unique_name: row.service_name,
                    environments: vec![environment],
                }),
            }
        }
        Ok(services)
    }
}
