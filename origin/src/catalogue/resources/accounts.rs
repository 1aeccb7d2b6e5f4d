//! Accounts, as they and operators read and change them.

use super::super::{Catalogue, CatalogueError};
use super::audit::{self, Action, Actor};
use super::page::{Page, PageWanted};
use crate::sid::AccountSid;
use sqlx::AssertSqlSafe;

/// An account.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub(crate) struct AccountDetails {
    /// `AC…`
    #[sqlx(try_from = "String")]
    pub(crate) sid: AccountSid,
    pub(crate) friendly_name: String,
    pub(crate) is_operator: bool,
    /// Whether its auth tokens let nobody in; they sign requests all the same.
    pub(crate) keys_only: bool,
    pub(crate) created_at: i64,
}

/// What changes of an account; `None` stays as it is.
#[derive(Debug, Clone, Default)]
pub(crate) struct AccountChange {
    pub(crate) friendly_name: Option<String>,
    pub(crate) keys_only: Option<bool>,
}

/// What came of changing an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum AccountChanged {
    /// So it is now.
    Changed(AccountDetails),
    /// There is no such account.
    NotFound,
    /// It was to take keys only, and has none.
    NoKey,
}

const COLUMNS: &str = "sid, friendly_name, is_operator, keys_only, created_at";

impl Catalogue {
    /// All accounts, or only one.
    ///
    /// # Errors
    /// Any [`CatalogueError`].
    pub(crate) async fn list_accounts(
        &self,
        only: Option<&AccountSid>,
        wanted: &PageWanted,
    ) -> Result<Page<AccountDetails>, CatalogueError> {
        self.filtered_page(COLUMNS, "accounts", wanted, |query| {
            if let Some(sid) = only {
                query.push(" AND sid = ").push_bind(sid.as_str().to_owned());
            }
        })
        .await
    }

    /// An account by its SID.
    ///
    /// # Errors
    /// Any [`CatalogueError`].
    pub(crate) async fn account_details(&self, sid: &str) -> Result<Option<AccountDetails>, CatalogueError> {
        Ok(sqlx::query_as(AssertSqlSafe(format!("SELECT {COLUMNS} FROM accounts WHERE sid = ?1")))
            .bind(sid)
            .fetch_optional(self.reader())
            .await?)
    }

    /// The operator's account; of several the oldest.
    ///
    /// # Errors
    /// Any [`CatalogueError`].
    pub(crate) async fn first_operator(&self) -> Result<Option<AccountSid>, CatalogueError> {
        let sid: Option<String> =
            sqlx::query_scalar("SELECT sid FROM accounts WHERE is_operator ORDER BY rowid LIMIT 1")
                .fetch_optional(self.reader())
                .await?;
        Ok(sid.map(AccountSid::from))
    }

    /// Changes an account, the actor's own or another. One without an API key cannot take keys only.
    ///
    /// # Errors
    /// Any [`CatalogueError`].
    pub(crate) async fn update_account(
        &self,
        actor: &Actor,
        account: &AccountSid,
        change: &AccountChange,
        now: i64,
    ) -> Result<AccountChanged, CatalogueError> {
        let mut transaction = self.write().await?;
        let has_key: bool = sqlx::query_scalar(
            "SELECT EXISTS (SELECT 1 FROM api_keys WHERE account_sid = ?1 AND revoked_at IS NULL)",
        )
        .bind(account.as_str())
        .fetch_one(&mut *transaction)
        .await?;
        if change.keys_only == Some(true) && !has_key {
            return Ok(AccountChanged::NoKey);
        }
        let changed: Option<AccountDetails> = sqlx::query_as(AssertSqlSafe(format!(
            "UPDATE accounts SET friendly_name = coalesce(?2, friendly_name), keys_only = coalesce(?3, keys_only) \
             WHERE sid = ?1 RETURNING {COLUMNS}"
        )))
        .bind(account.as_str())
        .bind(&change.friendly_name)
        .bind(change.keys_only)
        .fetch_optional(&mut *transaction)
        .await?;
        let Some(changed) = changed else { return Ok(AccountChanged::NotFound) };
        let detail = change.detail();
        audit::append_for_owner(
            &mut transaction,
            actor,
            account,
            Action::Update,
            account.as_str(),
            &detail,
            now,
        )
        .await?;
        transaction.commit().await?;
        Ok(AccountChanged::Changed(changed))
    }
}

impl AccountChange {
    /// What the audit log says of it.
    fn detail(&self) -> String {
        let name = self.friendly_name.as_ref().map(|_| "friendly_name".to_owned());
        let keys_only = self.keys_only.map(|keys_only| format!("keys_only={keys_only}"));
        name.into_iter().chain(keys_only).collect::<Vec<_>>().join(" ")
    }
}
