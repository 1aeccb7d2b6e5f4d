//! The audit log: who did what to what, when and from where. Only added to, in the transaction of what it tells of.

use super::super::{Catalogue, CatalogueError};
use super::page::{Page, PageWanted};
use crate::sid::AccountSid;
use sqlx::{Sqlite, Transaction};

/// Who acts, and how that is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Actor {
    /// The account.
    pub(crate) account: AccountSid,
    /// What it was recognised by: the name of a token, or the SID of an API key.
    pub(crate) credential: String,
    /// Where the call came from.
    pub(crate) address: String,
}

impl Actor {
    /// The origin itself, for an account: nobody had to be recognised for it.
    pub(crate) fn origin(account: AccountSid) -> Self {
        Self { account, credential: "origin".into(), address: String::new() }
    }
}

/// What was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    /// It was made.
    Create,
    /// It was changed.
    Update,
    /// It was deleted.
    Delete,
}

impl Action {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Update => "update",
            Self::Delete => "delete",
        }
    }
}

/// Appends an entry.
pub(crate) async fn append(
    transaction: &mut Transaction<'_, Sqlite>,
    actor: &Actor,
    action: Action,
    subject: &str,
    now: i64,
) -> Result<(), CatalogueError> {
    append_detailed(transaction, actor, action, subject, None, now).await
}

/// Appends an entry that says more.
pub(crate) async fn append_detailed(
    transaction: &mut Transaction<'_, Sqlite>,
    actor: &Actor,
    action: Action,
    subject: &str,
    detail: Option<&str>,
    now: i64,
) -> Result<(), CatalogueError> {
    sqlx::query(
        "INSERT INTO audit_log (account_sid, credential, address, action, subject_sid, detail, created_at) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )
    .bind(actor.account.as_str())
    .bind(&actor.credential)
    .bind(&actor.address)
    .bind(action.as_str())
    .bind(subject)
    .bind(detail)
    .bind(now)
    .execute(&mut **transaction)
    .await?;
    Ok(())
}

/// Appends an entry of what was done to something of `owner`. Where that is another account than the one that acts, each finds it among
/// its own entries; the owner reads there that it was an operator, and not from where.
pub(crate) async fn append_for_owner(
    transaction: &mut Transaction<'_, Sqlite>,
    actor: &Actor,
    owner: &AccountSid,
    action: Action,
    subject: &str,
    detail: &str,
    now: i64,
) -> Result<(), CatalogueError> {
    append_detailed(transaction, actor, action, subject, Some(detail), now).await?;
    if *owner == actor.account {
        return Ok(());
    }
    let told = Actor { account: owner.clone(), credential: "operator".into(), address: String::new() };
    append_detailed(transaction, &told, action, subject, Some(detail), now).await
}

/// An entry, as it is listed.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub(crate) struct AuditEntry {
    /// Newer ones are greater.
    pub(crate) number: i64,
    /// The account that acted, or whose things were changed by an operator.
    #[sqlx(try_from = "String")]
    pub(crate) account_sid: AccountSid,
    pub(crate) credential: String,
    pub(crate) address: String,
    pub(crate) action: String,
    pub(crate) subject_sid: String,
    pub(crate) detail: Option<String>,
    pub(crate) created_at: i64,
}

/// Which entries are wanted: those that fulfil all that is named.
#[derive(Debug, Clone, Default)]
pub(crate) struct AuditFilter {
    /// `None`: of all accounts.
    pub(crate) account: Option<AccountSid>,
    pub(crate) action: Option<String>,
    pub(crate) subject: Option<String>,
    pub(crate) credential: Option<String>,
    /// Unix seconds, included.
    pub(crate) from: Option<i64>,
    /// Unix seconds, not included.
    pub(crate) until: Option<i64>,
}

impl Catalogue {
    /// Entries of the audit log, newest first.
    ///
    /// # Errors
    /// Any [`CatalogueError`].
    pub(crate) async fn list_audit_log(
        &self,
        filter: &AuditFilter,
        wanted: &PageWanted,
    ) -> Result<Page<AuditEntry>, CatalogueError> {
        let columns = "number, account_sid, credential, address, action, subject_sid, detail, created_at";
        self.filtered_page(columns, "audit_log", wanted, |query| {
            let texts = [
                ("account_sid", filter.account.as_ref().map(AccountSid::as_str)),
                ("action", filter.action.as_deref()),
                ("subject_sid", filter.subject.as_deref()),
                ("credential", filter.credential.as_deref()),
            ];
            for (column, value) in texts {
                if let Some(value) = value {
                    query.push(" AND ").push(column).push(" = ").push_bind(value.to_owned());
                }
            }
            for (comparison, value) in [("created_at >= ", filter.from), ("created_at < ", filter.until)] {
                if let Some(value) = value {
                    query.push(" AND ").push(comparison).push_bind(value);
                }
            }
        })
        .await
    }
}

#[cfg(test)]
impl Catalogue {
    /// Action and subject of every entry of an account, oldest first.
    pub(crate) async fn audited(
        &self,
        account: &AccountSid,
    ) -> Result<Vec<(String, String)>, CatalogueError> {
        Ok(sqlx::query_as("SELECT action, subject_sid FROM audit_log WHERE account_sid = ?1 ORDER BY number")
            .bind(account.as_str())
            .fetch_all(self.reader())
            .await?)
    }
}
