//! The chain of key sets: which keys sign for the cluster, and from which revision on.

use super::resources::audit::{self, Action, Actor};
use super::{Catalogue, CatalogueError, events, signed, unsigned};
use skerry_proto::pointer::Version;
use sqlx::Connection;

/// A key set of the chain.
#[derive(Debug, Clone)]
pub(crate) struct KeySetRow {
    pub(crate) number: u64,
    /// As it travels.
    pub(crate) signed: Vec<u8>,
    /// From here on everything is signed by its keys.
    pub(crate) first_revision: u64,
}

/// The next key set, about to come into force.
#[derive(Debug, Clone)]
pub(crate) struct Rotation {
    pub(crate) number: u64,
    /// As it travels.
    pub(crate) signed: Vec<u8>,
    /// For the audit log.
    pub(crate) detail: String,
    pub(crate) created_at: i64,
}

impl Catalogue {
    /// The key sets after `number`, in order.
    ///
    /// # Errors
    /// Any [`CatalogueError`].
    pub(crate) async fn key_sets_after(&self, number: u64) -> Result<Vec<KeySetRow>, CatalogueError> {
        let rows: Vec<(i64, Vec<u8>, i64)> = sqlx::query_as(
            "SELECT number, signed, first_revision FROM key_sets WHERE number > ?1 ORDER BY number",
        )
        .bind(signed(number))
        .fetch_all(self.reader())
        .await?;
        let read = |(number, signed, first): (i64, Vec<u8>, i64)| {
            Ok(KeySetRow { number: unsigned(number)?, signed, first_revision: unsigned(first)? })
        };
        rows.into_iter().map(read).collect()
    }

    /// Adds the first key set of a cluster.
    ///
    /// # Errors
    /// Any [`CatalogueError`].
    pub(crate) async fn begin_key_sets(&self, signed: &[u8], now: i64) -> Result<(), CatalogueError> {
        let mut transaction = self.write().await?;
        sqlx::query(
            "INSERT INTO key_sets (number, signed, first_revision, created_at) VALUES (1, ?1, 0, ?2)",
        )
        .bind(signed)
        .bind(now)
        .execute(&mut *transaction)
        .await?;
        Ok(transaction.commit().await?)
    }

    /// Brings the next key set into force: every pointer is signed again, at a revision of its own, by `restamp`. `take_over` is called
    /// when that is durable, and before anybody else can write. The newest version; `None`, and nothing changed, where the set is not the
    /// next one.
    ///
    /// # Errors
    /// Any [`CatalogueError`].
    pub(crate) async fn rotate_keys(
        &self,
        actor: &Actor,
        rotation: &Rotation,
        restamp: impl Fn(&[u8], Version) -> Option<Vec<u8>> + Send + Sync,
        take_over: impl FnOnce() + Send,
    ) -> Result<Option<Version>, CatalogueError> {
        // There is one connection that writes. It is kept until the new key has taken over.
        let mut connection = self.shared.writer.acquire().await?;
        let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
        let added = sqlx::query(
            "INSERT INTO key_sets (number, signed, first_revision, created_at) \
             SELECT ?1, ?2, revision + 1, ?3 FROM cluster WHERE ?1 = (SELECT max(number) + 1 FROM key_sets)",
        )
        .bind(signed(rotation.number))
        .bind(&rotation.signed)
        .bind(rotation.created_at)
        .execute(&mut *transaction)
        .await?;
        if added.rows_affected() == 0 {
            transaction.rollback().await?;
            return Ok(None);
        }
        let pointers: Vec<(String, Vec<u8>)> = sqlx::query_as(
            "SELECT pointers.domain, pointer FROM pointers JOIN events USING (revision) ORDER BY pointers.domain",
        )
        .fetch_all(&mut *transaction)
        .await?;
        let mut version = self.version();
        for (domain, pointer) in pointers {
            let mut is_damaged = false;
            let stamp = |version| {
                restamp(&pointer, version).unwrap_or_else(|| {
                    is_damaged = true;
                    Vec::new()
                })
            };
            version = events::append(&mut transaction, &domain, stamp).await?;
            if is_damaged {
                return Err(CatalogueError::Damaged("a pointer is one that this origin signed"));
            }
        }
        let subject = format!("key-set-{}", rotation.number);
        let (detail, now) = (Some(rotation.detail.as_str()), rotation.created_at);
        audit::append_detailed(&mut transaction, actor, Action::Create, &subject, detail, now).await?;
        transaction.commit().await?;
        take_over();
        drop(connection);
        self.announce(version);
        Ok(Some(version))
    }
}
