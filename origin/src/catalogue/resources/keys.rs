//! Keys of the API: an account shows one in place of its auth token.

use super::super::{Catalogue, CatalogueError, bytes_32, signed};
use super::audit::{self, Action, Actor};
use super::page::{Page, PageWanted};
use crate::sid::{AccountSid, ApiKeySid};
use sqlx::AssertSqlSafe;

/// A key, as it is listed.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub(crate) struct ApiKey {
    /// `SK…`
    #[sqlx(try_from = "String")]
    pub(crate) sid: ApiKeySid,
    pub(crate) friendly_name: String,
    pub(crate) created_at: i64,
    pub(crate) updated_at: i64,
}

/// What a key is recognised by, and whose it is.
#[derive(Debug, Clone)]
pub(crate) struct ApiKeySecret {
    pub(crate) account: AccountSid,
    pub(crate) is_operator: bool,
    pub(crate) hash: [u8; 32],
}

/// What came of revoking a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum KeyRevoked {
    /// It recognises nobody any more.
    Revoked,
    /// The account has no such key.
    NotFound,
    /// It is the last key of an account that takes keys only.
    Last,
}

const COLUMNS: &str = "sid, friendly_name, created_at, updated_at";

impl Catalogue {
    /// What a key that is not revoked is recognised by.
    ///
    /// # Errors
    /// Any [`CatalogueError`].
    pub(crate) async fn api_key_secret(&self, sid: &str) -> Result<Option<ApiKeySecret>, CatalogueError> {
        let row: Option<(String, bool, Vec<u8>)> = sqlx::query_as(
            "SELECT account_sid, is_operator, secret_hash FROM api_keys JOIN accounts ON accounts.sid = account_sid \
             WHERE api_keys.sid = ?1 AND revoked_at IS NULL",
        )
        .bind(sid)
        .fetch_optional(self.reader())
        .await?;
        row.map(|(account, is_operator, hash)| {
            Ok(ApiKeySecret { account: account.into(), is_operator, hash: bytes_32(&hash)? })
        })
        .transpose()
    }

    /// Adds a key. `None` when the account has `count_max` already.
    ///
    /// # Errors
    /// Any [`CatalogueError`].
    pub(crate) async fn add_api_key(
        &self,
        actor: &Actor,
        sid: &ApiKeySid,
        friendly_name: &str,
        hash: &[u8; 32],
        count_max: u64,
        now: i64,
    ) -> Result<Option<ApiKey>, CatalogueError> {
        let mut transaction = self.write().await?;
        let key: Option<ApiKey> = sqlx::query_as(AssertSqlSafe(format!(
            "INSERT INTO api_keys (sid, account_sid, friendly_name, secret_hash, created_at, updated_at) \
             SELECT ?1, ?2, ?3, ?4, ?5, ?5 \
             WHERE (SELECT count(*) FROM api_keys WHERE account_sid = ?2 AND revoked_at IS NULL) < ?6 RETURNING {COLUMNS}"
        )))
        .bind(sid.as_str())
        .bind(actor.account.as_str())
        .bind(friendly_name)
        .bind(&hash[..])
        .bind(now)
        .bind(signed(count_max))
        .fetch_optional(&mut *transaction)
        .await?;
        if key.is_some() {
            audit::append(&mut transaction, actor, Action::Create, sid.as_str(), now).await?;
            transaction.commit().await?;
        }
        Ok(key)
    }

    /// The keys of an account that are not revoked.
    ///
    /// # Errors
    /// Any [`CatalogueError`].
    pub(crate) async fn list_api_keys(
        &self,
        account: &AccountSid,
        wanted: &PageWanted,
    ) -> Result<Page<ApiKey>, CatalogueError> {
        let condition = "account_sid = ?1 AND revoked_at IS NULL";
        self.page(COLUMNS, "api_keys", condition, account.as_str(), wanted).await
    }

    /// A key of an account that is not revoked.
    ///
    /// # Errors
    /// Any [`CatalogueError`].
    pub(crate) async fn api_key(
        &self,
        account: &AccountSid,
        sid: &str,
    ) -> Result<Option<ApiKey>, CatalogueError> {
        Ok(sqlx::query_as(AssertSqlSafe(format!(
            "SELECT {COLUMNS} FROM api_keys WHERE account_sid = ?1 AND sid = ?2 AND revoked_at IS NULL"
        )))
        .bind(account.as_str())
        .bind(sid)
        .fetch_optional(self.reader())
        .await?)
    }

    /// Names a key anew; `None` when it is gone.
    ///
    /// # Errors
    /// Any [`CatalogueError`].
    pub(crate) async fn rename_api_key(
        &self,
        actor: &Actor,
        sid: &str,
        friendly_name: &str,
        now: i64,
    ) -> Result<Option<ApiKey>, CatalogueError> {
        let mut transaction = self.write().await?;
        let key: Option<ApiKey> = sqlx::query_as(AssertSqlSafe(format!(
            "UPDATE api_keys SET friendly_name = ?3, updated_at = ?4 \
             WHERE account_sid = ?1 AND sid = ?2 AND revoked_at IS NULL RETURNING {COLUMNS}"
        )))
        .bind(actor.account.as_str())
        .bind(sid)
        .bind(friendly_name)
        .bind(now)
        .fetch_optional(&mut *transaction)
        .await?;
        if key.is_some() {
            audit::append(&mut transaction, actor, Action::Update, sid, now).await?;
            transaction.commit().await?;
        }
        Ok(key)
    }

    /// Revokes a key. The last one of an account that takes keys only stays: without it nobody could let the account in again.
    ///
    /// # Errors
    /// Any [`CatalogueError`].
    pub(crate) async fn revoke_api_key(
        &self,
        actor: &Actor,
        sid: &str,
        now: i64,
    ) -> Result<KeyRevoked, CatalogueError> {
        let mut transaction = self.write().await?;
        let is_there: bool = sqlx::query_scalar(
            "SELECT EXISTS (SELECT 1 FROM api_keys WHERE account_sid = ?1 AND sid = ?2 AND revoked_at IS NULL)",
        )
        .bind(actor.account.as_str())
        .bind(sid)
        .fetch_one(&mut *transaction)
        .await?;
        if !is_there {
            return Ok(KeyRevoked::NotFound);
        }
        let revoked = sqlx::query(
            "UPDATE api_keys SET revoked_at = ?3 WHERE account_sid = ?1 AND sid = ?2 \
             AND (NOT (SELECT keys_only FROM accounts WHERE sid = ?1) \
                  OR EXISTS (SELECT 1 FROM api_keys WHERE account_sid = ?1 AND sid <> ?2 AND revoked_at IS NULL))",
        )
        .bind(actor.account.as_str())
        .bind(sid)
        .bind(now)
        .execute(&mut *transaction)
        .await?;
        if revoked.rows_affected() == 0 {
            return Ok(KeyRevoked::Last);
        }
        audit::append(&mut transaction, actor, Action::Delete, sid, now).await?;
        transaction.commit().await?;
        Ok(KeyRevoked::Revoked)
    }
}
