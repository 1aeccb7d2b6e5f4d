//! Edges that are enrolled, and the tokens with which they enrol.

use super::resources::audit::{self, Action, Actor};
use super::{Catalogue, CatalogueError, signed};
use crate::sid::EdgeId;
use skerry_proto::pointer::Version;

/// An enrolled edge.
#[derive(Debug, Clone, sqlx::FromRow)]
pub(crate) struct EdgeRow {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) enrolled_at: i64,
    /// Unix seconds.
    pub(crate) certificate_end: i64,
    /// It said goodbye at its last stop.
    pub(crate) has_left: bool,
    pub(crate) is_expelled: bool,
    acked_epoch: i64,
    acked_revision: i64,
}

impl EdgeRow {
    /// An edge that has just enrolled.
    pub(crate) fn new(id: String, name: String, enrolled_at: i64, certificate_end: i64) -> Self {
        let (has_left, is_expelled, acked_epoch, acked_revision) = (false, false, 0, 0);
        Self { id, name, enrolled_at, certificate_end, has_left, is_expelled, acked_epoch, acked_revision }
    }

    /// What it was last known to show.
    pub(crate) fn acked(&self) -> Version {
        let count = |number| u64::try_from(number).unwrap_or(0);
        Version { epoch: count(self.acked_epoch), revision: count(self.acked_revision) }
    }
}

/// What became of a join token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum JoinOutcome {
    /// It is good; after [`Catalogue::enrol`], used up.
    Good,
    /// Nobody made it here.
    Unknown,
    /// It was used before.
    Used,
    /// Its time is over.
    Expired,
}

impl Catalogue {
    /// Adds a join token, of which only a hash is known.
    ///
    /// # Errors
    /// Any [`CatalogueError`].
    pub(crate) async fn add_join_token(
        &self,
        secret_hash: [u8; 32],
        now: i64,
        expires_at: i64,
    ) -> Result<(), CatalogueError> {
        let mut transaction = self.write().await?;
        sqlx::query("INSERT INTO join_tokens (secret_hash, created_at, expires_at) VALUES (?1, ?2, ?3)")
            .bind(&secret_hash[..])
            .bind(now)
            .bind(expires_at)
            .execute(&mut *transaction)
            .await?;
        Ok(transaction.commit().await?)
    }

    /// Whether a join token could be used now. Changes nothing.
    ///
    /// # Errors
    /// Any [`CatalogueError`].
    pub(crate) async fn join_token(
        &self,
        secret_hash: [u8; 32],
        now: i64,
    ) -> Result<JoinOutcome, CatalogueError> {
        let row = sqlx::query_as(JOIN_TOKEN).bind(&secret_hash[..]).fetch_optional(self.reader()).await?;
        Ok(outcome(row, now))
    }

    /// Uses a join token up and adds the edge, or neither.
    ///
    /// # Errors
    /// Any [`CatalogueError`].
    pub(crate) async fn enrol(
        &self,
        secret_hash: [u8; 32],
        edge: &EdgeId,
        name: &str,
        now: i64,
        certificate_end: i64,
    ) -> Result<JoinOutcome, CatalogueError> {
        let mut transaction = self.write().await?;
        let row = sqlx::query_as(JOIN_TOKEN).bind(&secret_hash[..]).fetch_optional(&mut *transaction).await?;
        let outcome = outcome(row, now);
        if outcome != JoinOutcome::Good {
            transaction.rollback().await?;
            return Ok(outcome);
        }
        sqlx::query("UPDATE join_tokens SET used_at = ?2 WHERE secret_hash = ?1")
            .bind(&secret_hash[..])
            .bind(now)
            .execute(&mut *transaction)
            .await?;
        sqlx::query("INSERT INTO edges (id, name, certificate_end, enrolled_at) VALUES (?1, ?2, ?3, ?4)")
            .bind(edge.as_str())
            .bind(name)
            .bind(certificate_end)
            .bind(now)
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(outcome)
    }

    /// Notes the end of a renewed certificate.
    ///
    /// # Errors
    /// Any [`CatalogueError`].
    pub(crate) async fn renew(&self, edge: &str, certificate_end: i64) -> Result<(), CatalogueError> {
        let mut transaction = self.write().await?;
        sqlx::query("UPDATE edges SET certificate_end = ?2 WHERE id = ?1")
            .bind(edge)
            .bind(certificate_end)
            .execute(&mut *transaction)
            .await?;
        Ok(transaction.commit().await?)
    }

    /// Notes that an edge said goodbye.
    ///
    /// # Errors
    /// Any [`CatalogueError`].
    pub(crate) async fn note_left(&self, edge: &str) -> Result<(), CatalogueError> {
        self.note(edge, true).await
    }

    /// Notes that an edge is here again.
    ///
    /// # Errors
    /// Any [`CatalogueError`].
    pub(crate) async fn note_here(&self, edge: &str) -> Result<(), CatalogueError> {
        self.note(edge, false).await
    }

    /// Notes what edges show.
    ///
    /// # Errors
    /// Any [`CatalogueError`].
    pub(crate) async fn note_acked(&self, edges: &[(String, Version)]) -> Result<(), CatalogueError> {
        let mut transaction = self.write().await?;
        for (edge, acked) in edges {
            sqlx::query("UPDATE edges SET acked_epoch = ?2, acked_revision = ?3 WHERE id = ?1")
                .bind(edge)
                .bind(signed(acked.epoch))
                .bind(signed(acked.revision))
                .execute(&mut *transaction)
                .await?;
        }
        Ok(transaction.commit().await?)
    }

    /// All edges that ever enrolled, in that order.
    ///
    /// # Errors
    /// Any [`CatalogueError`].
    pub(crate) async fn edges(&self) -> Result<Vec<EdgeRow>, CatalogueError> {
        Ok(sqlx::query_as(
            "SELECT id, name, enrolled_at, certificate_end, has_left, is_expelled, acked_epoch, acked_revision FROM edges ORDER BY enrolled_at, id",
        )
        .fetch_all(self.reader())
        .await?)
    }

    async fn note(&self, edge: &str, has_left: bool) -> Result<(), CatalogueError> {
        let mut transaction = self.write().await?;
        sqlx::query("UPDATE edges SET has_left = ?2 WHERE id = ?1")
            .bind(edge)
            .bind(has_left)
            .execute(&mut *transaction)
            .await?;
        Ok(transaction.commit().await?)
    }

    /// Expels an edge. Whether it was in until now.
    ///
    /// # Errors
    /// Any [`CatalogueError`].
    pub(crate) async fn expel(
        &self,
        actor: &Actor,
        edge: &str,
        name: &str,
        now: i64,
    ) -> Result<bool, CatalogueError> {
        let mut transaction = self.write().await?;
        let done = sqlx::query("UPDATE edges SET is_expelled = 1 WHERE id = ?1 AND is_expelled = 0")
            .bind(edge)
            .execute(&mut *transaction)
            .await?;
        if done.rows_affected() == 0 {
            transaction.rollback().await?;
            return Ok(false);
        }
        let detail = format!("expelled {name}");
        audit::append_detailed(&mut transaction, actor, Action::Delete, edge, Some(&detail), now).await?;
        transaction.commit().await?;
        Ok(true)
    }
}

const JOIN_TOKEN: &str = "SELECT expires_at, used_at FROM join_tokens WHERE secret_hash = ?1";

fn outcome(row: Option<(i64, Option<i64>)>, now: i64) -> JoinOutcome {
    match row {
        None => JoinOutcome::Unknown,
        Some((_, Some(_))) => JoinOutcome::Used,
        Some((expires_at, None)) if expires_at <= now => JoinOutcome::Expired,
        Some((_, None)) => JoinOutcome::Good,
    }
}
