//! The audit log: who did what to what, when and from where. Only added to, in the transaction of what it tells of.

#[cfg(test)]
use super::super::Catalogue;
use super::super::CatalogueError;
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
    transaction: &mut Transaction<'static, Sqlite>,
    actor: &Actor,
    action: Action,
    subject: &str,
    now: i64,
) -> Result<(), CatalogueError> {
    sqlx::query(
        "INSERT INTO audit_log (account_sid, credential, address, action, subject_sid, created_at) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )
    .bind(actor.account.as_str())
    .bind(&actor.credential)
    .bind(&actor.address)
    .bind(action.as_str())
    .bind(subject)
    .bind(now)
    .execute(&mut **transaction)
    .await?;
    Ok(())
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
