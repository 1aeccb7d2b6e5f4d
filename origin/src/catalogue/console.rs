//! What only the console asks: its sessions, versions by their SID alone, what was ever at a path, and what somebody was warned of.

use super::resources::audit::{self, Action, Actor};
use super::{Catalogue, CatalogueError, bytes_32, stored_blob, unsigned};
use crate::blobs::StoredBlob;
use crate::sid::{AccountSid, ServiceSid};
use skerry_proto::pointer::Version;

/// A session that is about to begin.
#[derive(Debug, Clone)]
pub(crate) struct NewSession {
    /// SHA-256 of the cookie.
    pub(crate) session_hash: [u8; 32],
    /// SHA-256 of the secret that the page holds.
    pub(crate) page_hash: [u8; 32],
    /// SHA-256 of the token or key that it was begun with.
    pub(crate) credential_hash: [u8; 32],
    pub(crate) created_at: i64,
    pub(crate) expires_at: i64,
}

/// A session that goes on.
#[derive(Debug, Clone)]
pub(crate) struct Session {
    pub(crate) account: AccountSid,
    pub(crate) is_operator: bool,
    pub(crate) credential: String,
    pub(crate) page_hash: [u8; 32],
    pub(crate) expires_at: i64,
}

#[derive(sqlx::FromRow)]
struct SessionRow {
    account_sid: String,
    is_operator: bool,
    credential: String,
    page_hash: Vec<u8>,
    expires_at: i64,
}

/// A version, wherever in the account it is.
#[derive(Debug, Clone)]
pub(crate) struct OwnVersion {
    pub(crate) path: String,
    pub(crate) visibility: String,
    pub(crate) content_type: String,
    pub(crate) blob: StoredBlob,
}

#[derive(sqlx::FromRow)]
struct OwnVersionRow {
    path: String,
    visibility: String,
    content_type: String,
    hash: Vec<u8>,
    size: i64,
    sha256: Vec<u8>,
}

/// A version that was uploaded for a path.
#[derive(Debug, Clone, sqlx::FromRow)]
pub(crate) struct PathVersion {
    pub(crate) sid: String,
    pub(crate) visibility: String,
    pub(crate) content_type: String,
    pub(crate) size: i64,
    pub(crate) created_at: i64,
}

/// A deployment with the revision that edges were told.
#[derive(Debug, Clone)]
pub(crate) struct DeployedRevision {
    pub(crate) sid: String,
    pub(crate) build: Option<String>,
    pub(crate) version: Version,
    pub(crate) created_at: i64,
}

impl Catalogue {
    /// Begins a session. Those that are over go, and so do the oldest of the account beyond `count_max`.
    ///
    /// # Errors
    /// Any [`CatalogueError`].
    pub(crate) async fn add_session(
        &self,
        actor: &Actor,
        new: &NewSession,
        count_max: u32,
    ) -> Result<(), CatalogueError> {
        let mut transaction = self.write().await?;
        sqlx::query("DELETE FROM console_sessions WHERE expires_at <= ?1")
            .bind(new.created_at)
            .execute(&mut *transaction)
            .await?;
        sqlx::query(
            "INSERT INTO console_sessions (session_hash, page_hash, account_sid, credential, credential_hash, created_at, expires_at) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        )
        .bind(&new.session_hash[..])
        .bind(&new.page_hash[..])
        .bind(actor.account.as_str())
        .bind(&actor.credential)
        .bind(&new.credential_hash[..])
        .bind(new.created_at)
        .bind(new.expires_at)
        .execute(&mut *transaction)
        .await?;
        sqlx::query(
            "DELETE FROM console_sessions WHERE account_sid = ?1 AND session_hash NOT IN (SELECT session_hash \
             FROM console_sessions WHERE account_sid = ?1 ORDER BY created_at DESC, session_hash = ?3 DESC LIMIT ?2)",
        )
        .bind(actor.account.as_str())
        .bind(count_max)
        .bind(&new.session_hash[..])
        .execute(&mut *transaction)
        .await?;
        let subject = actor.account.as_str();
        let detail = Some("signed in to the console");
        audit::append_detailed(&mut transaction, actor, Action::Create, subject, detail, new.created_at)
            .await?;
        Ok(transaction.commit().await?)
    }

    /// The session of a cookie, as long as it lasts and what it was begun with is valid.
    ///
    /// # Errors
    /// Any [`CatalogueError`].
    pub(crate) async fn session(
        &self,
        session_hash: &[u8; 32],
        now: i64,
    ) -> Result<Option<Session>, CatalogueError> {
        let row: Option<SessionRow> = sqlx::query_as(
            "SELECT account_sid, is_operator, credential, page_hash, expires_at \
             FROM console_sessions s JOIN accounts a ON a.sid = account_sid \
             WHERE session_hash = ?1 AND expires_at > ?2 AND (\
             NOT keys_only AND EXISTS (SELECT 1 FROM auth_tokens t WHERE t.account_sid = a.sid AND t.token_hash = s.credential_hash) \
             OR EXISTS (SELECT 1 FROM api_keys k WHERE k.sid = s.credential AND k.account_sid = a.sid \
                 AND k.secret_hash = s.credential_hash AND revoked_at IS NULL))",
        )
        .bind(&session_hash[..])
        .bind(now)
        .fetch_optional(self.reader())
        .await?;
        row.map(|row| {
            Ok(Session {
                account: row.account_sid.into(),
                is_operator: row.is_operator,
                credential: row.credential,
                page_hash: bytes_32(&row.page_hash)?,
                expires_at: row.expires_at,
            })
        })
        .transpose()
    }

    /// Ends a session.
    ///
    /// # Errors
    /// Any [`CatalogueError`].
    pub(crate) async fn end_session(&self, session_hash: &[u8; 32]) -> Result<(), CatalogueError> {
        let mut transaction = self.write().await?;
        sqlx::query("DELETE FROM console_sessions WHERE session_hash = ?1")
            .bind(&session_hash[..])
            .execute(&mut *transaction)
            .await?;
        Ok(transaction.commit().await?)
    }

    /// An asset version of an account by its SID, live or not.
    ///
    /// # Errors
    /// Any [`CatalogueError`].
    pub(crate) async fn own_version(
        &self,
        account: &AccountSid,
        sid: &str,
    ) -> Result<Option<OwnVersion>, CatalogueError> {
        let row: Option<OwnVersionRow> = sqlx::query_as(
            "SELECT path, visibility, content_type, hash, blobs.size, sha256 FROM asset_versions v \
             JOIN assets ON assets.sid = asset_sid JOIN services ON services.sid = service_sid \
             JOIN blobs ON hash = blob_hash WHERE v.sid = ?1 AND account_sid = ?2",
        )
        .bind(sid)
        .bind(account.as_str())
        .fetch_optional(self.reader())
        .await?;
        row.map(|row| {
            let blob = stored_blob(&row.hash, row.size, &row.sha256)?;
            let OwnVersionRow { path, visibility, content_type, .. } = row;
            Ok(OwnVersion { path, visibility, content_type, blob })
        })
        .transpose()
    }

    /// What was ever uploaded for a path of a service, newest first, at most `count_max`.
    ///
    /// # Errors
    /// Any [`CatalogueError`].
    pub(crate) async fn path_versions(
        &self,
        service: &ServiceSid,
        path: &str,
        count_max: u32,
    ) -> Result<Vec<PathVersion>, CatalogueError> {
        Ok(sqlx::query_as(
            "SELECT v.sid, visibility, content_type, size, v.created_at FROM asset_versions v \
             JOIN assets ON assets.sid = asset_sid WHERE path = ?1 AND service_sid = ?2 ORDER BY number DESC LIMIT ?3",
        )
        .bind(path)
        .bind(service.as_str())
        .bind(count_max)
        .fetch_all(self.reader())
        .await?)
    }

    /// The newest deployments of an environment, newest first.
    ///
    /// # Errors
    /// Any [`CatalogueError`].
    pub(crate) async fn deployed_revisions(
        &self,
        environment: &str,
        count_max: u32,
    ) -> Result<Vec<DeployedRevision>, CatalogueError> {
        let rows: Vec<(String, Option<String>, i64, i64, i64)> = sqlx::query_as(
            "SELECT sid, build_sid, epoch, revision, created_at FROM deployments WHERE environment_sid = ?1 \
             ORDER BY number DESC LIMIT ?2",
        )
        .bind(environment)
        .bind(count_max)
        .fetch_all(self.reader())
        .await?;
        let deployed = rows.into_iter().map(|(sid, build, epoch, revision, created_at)| {
            let version = Version { epoch: unsigned(epoch)?, revision: unsigned(revision)? };
            Ok(DeployedRevision { sid, build, version, created_at })
        });
        deployed.collect()
    }

    /// Notes what somebody was told of versions, and that they published them all the same: subject and what it was, each.
    ///
    /// # Errors
    /// Any [`CatalogueError`].
    pub(crate) async fn note_warnings(
        &self,
        actor: &Actor,
        warnings: &[(String, String)],
        now: i64,
    ) -> Result<(), CatalogueError> {
        let mut transaction = self.write().await?;
        for (subject, detail) in warnings {
            audit::append_detailed(&mut transaction, actor, Action::Update, subject, Some(detail), now)
                .await?;
        }
        Ok(transaction.commit().await?)
    }
}
