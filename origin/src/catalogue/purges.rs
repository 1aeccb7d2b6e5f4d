//! What accounts have revoked: blobs that no edge shows, passes on or fills until they are lifted.
//!
//! A change is one transaction with the account's pointers at new revisions, so that edges learn of it, and acknowledge it, like of a
//! deployment. What is revoked is in memory, too: a fill asks for it each time.

use super::resources::audit::{self, Action, Actor};
use super::{Catalogue, CatalogueError, add_blob, bytes_32, events, signed, unsigned};
use crate::blobs::StoredBlob;
use crate::sid::{AccountSid, EnvironmentSid};
use skerry_proto::hash::Hash;
use skerry_proto::pointer::Version;
use skerry_proto::slices::BlobId;
use sqlx::{Sqlite, SqlitePool, Transaction};
use std::collections::HashSet;
use std::sync::{PoisonError, RwLock};

/// A revoked blob, as it was named: by the bytes as uploaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PurgeRow {
    pub(crate) blob: BlobId,
    /// Unix seconds.
    pub(crate) purged_at: i64,
    /// At which version edges learned of it.
    pub(crate) version: Version,
}

/// What is to change.
#[derive(Debug, Clone)]
pub(crate) enum PurgeChange {
    /// These are revoked, with their coded forms.
    Purge(Vec<BlobId>),
    /// These are not any more.
    Lift(Vec<BlobId>),
}

impl PurgeChange {
    const fn blobs(&self) -> &Vec<BlobId> {
        match self {
            Self::Purge(blobs) | Self::Lift(blobs) => blobs,
        }
    }
}

/// What is revoked, of all accounts.
#[derive(Debug, Default)]
pub(super) struct Revoked(RwLock<HashSet<(String, Hash)>>);

impl Revoked {
    /// Reads all of it.
    pub(super) async fn load(pool: &SqlitePool) -> Result<Self, CatalogueError> {
        let rows: Vec<(String, Vec<u8>)> =
            sqlx::query_as("SELECT account_sid, blob_hash FROM purges").fetch_all(pool).await?;
        let revoked = rows
            .into_iter()
            .map(|(account, hash)| Ok((account, Hash::from(bytes_32(&hash)?))))
            .collect::<Result<_, CatalogueError>>()?;
        Ok(Self(RwLock::new(revoked)))
    }

    fn replace(&self, account: &AccountSid, blobs: &[BlobId]) {
        let mut revoked = self.0.write().unwrap_or_else(PoisonError::into_inner);
        revoked.retain(|(of, _)| of != account.as_str());
        revoked.extend(blobs.iter().map(|blob| (account.to_string(), blob.hash)));
    }
}

impl Catalogue {
    /// Whether an account has revoked a blob.
    pub(crate) fn is_purged(&self, account: &str, hash: &Hash) -> bool {
        let revoked = self.shared.revoked.0.read().unwrap_or_else(PoisonError::into_inner);
        !revoked.is_empty() && revoked.contains(&(account.to_owned(), *hash))
    }

    /// What an account has revoked, newest first.
    ///
    /// # Errors
    /// Any [`CatalogueError`].
    pub(crate) async fn purges(&self, account: &AccountSid) -> Result<Vec<PurgeRow>, CatalogueError> {
        let rows: Vec<(Vec<u8>, i64, i64, i64, i64)> = sqlx::query_as(
            "SELECT blob_hash, size, purged_at, epoch, revision FROM purges \
             WHERE account_sid = ?1 AND blob_hash = source_hash ORDER BY epoch DESC, revision DESC, blob_hash",
        )
        .bind(account.as_str())
        .fetch_all(self.reader())
        .await?;
        rows.into_iter()
            .map(|(hash, size, purged_at, epoch, revision)| {
                let version = Version { epoch: unsigned(epoch)?, revision: unsigned(revision)? };
                Ok(PurgeRow { blob: blob(&hash, size)?, purged_at, version })
            })
            .collect()
    }

    /// A blob that an account has published, by its hash.
    ///
    /// # Errors
    /// Any [`CatalogueError`].
    pub(crate) async fn published_blob(
        &self,
        account: &AccountSid,
        hash: &Hash,
    ) -> Result<Option<BlobId>, CatalogueError> {
        let size: Option<i64> = sqlx::query_scalar(
            "SELECT blobs.size FROM asset_versions v JOIN assets ON assets.sid = asset_sid JOIN services s ON s.sid = service_sid \
             JOIN blobs ON hash = v.blob_hash WHERE account_sid = ?1 AND v.blob_hash = ?2 AND visibility <> 'private' LIMIT 1",
        )
        .bind(account.as_str())
        .bind(&hash.as_bytes()[..])
        .fetch_optional(self.reader())
        .await?;
        size.map(|size| Ok(BlobId { hash: *hash, size: unsigned(size)? })).transpose()
    }

    /// The coded forms that were made of a blob for an account.
    ///
    /// # Errors
    /// Any [`CatalogueError`].
    pub(crate) async fn coded_forms(
        &self,
        account: &AccountSid,
        source: &Hash,
    ) -> Result<Vec<BlobId>, CatalogueError> {
        let coded: Vec<(Vec<u8>, i64)> = sqlx::query_as(
            "SELECT hash, size FROM derived_blobs JOIN blobs ON hash = blob_hash WHERE account_sid = ?1 AND source_hash = ?2",
        )
        .bind(account.as_str())
        .bind(&source.as_bytes()[..])
        .fetch_all(self.reader())
        .await?;
        coded.into_iter().map(|(hash, size)| blob(&hash, size)).collect()
    }

    /// All that an account will have revoked after a change, coded forms included, and what the change adds.
    ///
    /// # Errors
    /// Any [`CatalogueError`].
    pub(crate) async fn purged_after(
        &self,
        account: &AccountSid,
        change: &PurgeChange,
    ) -> Result<Vec<(BlobId, Hash)>, CatalogueError> {
        let rows: Vec<(Vec<u8>, i64, Vec<u8>)> =
            sqlx::query_as("SELECT blob_hash, size, source_hash FROM purges WHERE account_sid = ?1")
                .bind(account.as_str())
                .fetch_all(self.reader())
                .await?;
        let mut revoked = rows
            .into_iter()
            .map(|(hash, size, source)| Ok((blob(&hash, size)?, Hash::from(bytes_32(&source)?))))
            .collect::<Result<Vec<_>, CatalogueError>>()?;
        let named: HashSet<Hash> = change.blobs().iter().map(|blob| blob.hash).collect();
        revoked.retain(|(_, source)| !named.contains(source));
        let PurgeChange::Purge(blobs) = change else { return Ok(revoked) };
        for source in blobs {
            revoked.push((*source, source.hash));
            let coded = self.coded_forms(account, &source.hash).await?;
            revoked.extend(coded.into_iter().map(|blob| (blob, source.hash)));
        }
        Ok(revoked)
    }

    /// Changes what an account has revoked to `revoked`, which `document` names, and tells edges by new revisions of all its pointers;
    /// the last one is returned. `restamp` makes a pointer anew from its last form.
    ///
    /// # Errors
    /// Any [`CatalogueError`].
    pub(crate) async fn change_purges(
        &self,
        actor: &Actor,
        change: &PurgeChange,
        revoked: &[(BlobId, Hash)],
        document: Option<&StoredBlob>,
        now: i64,
        restamp: impl Fn(&[u8], Version) -> Option<Vec<u8>> + Send + Sync,
    ) -> Result<Version, CatalogueError> {
        let account = &actor.account;
        let mut transaction = self.write().await?;
        if let Some(document) = document {
            add_blob(&mut transaction, document, now).await?;
            sqlx::query(
                "INSERT INTO named_blobs (account_sid, blob_hash) VALUES (?1, ?2) ON CONFLICT DO NOTHING",
            )
            .bind(account.as_str())
            .bind(&document.id.hash.as_bytes()[..])
            .execute(&mut *transaction)
            .await?;
        }
        sqlx::query("UPDATE accounts SET purged_hash = ?2 WHERE sid = ?1")
            .bind(account.as_str())
            .bind(document.map(|document| document.id.hash.as_bytes().to_vec()))
            .execute(&mut *transaction)
            .await?;
        let version = events::restamp(&mut transaction, account, restamp).await?;
        let version = version.unwrap_or_else(|| self.version());
        for named in change.blobs() {
            let action = match change {
                PurgeChange::Purge(_) => Action::Create,
                PurgeChange::Lift(_) => Action::Delete,
            };
            let subject = format!("purge of {}", named.hash);
            audit::append(&mut transaction, actor, action, &subject, now).await?;
            sqlx::query("DELETE FROM purges WHERE account_sid = ?1 AND source_hash = ?2")
                .bind(account.as_str())
                .bind(&named.hash.as_bytes()[..])
                .execute(&mut *transaction)
                .await?;
        }
        let named: HashSet<Hash> = change.blobs().iter().map(|blob| blob.hash).collect();
        for (blob, source) in revoked.iter().filter(|(_, source)| named.contains(source)) {
            sqlx::query(
                "INSERT INTO purges (account_sid, blob_hash, source_hash, size, purged_at, epoch, revision) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            )
            .bind(account.as_str())
            .bind(&blob.hash.as_bytes()[..])
            .bind(&source.as_bytes()[..])
            .bind(signed(blob.size))
            .bind(now)
            .bind(signed(version.epoch))
            .bind(signed(version.revision))
            .execute(&mut *transaction)
            .await?;
        }
        // Before edges hear of it: they may ask at once.
        let blobs: Vec<BlobId> = revoked.iter().map(|(blob, _)| *blob).collect();
        transaction.commit().await?;
        self.shared.revoked.replace(account, &blobs);
        self.announce(version);
        Ok(version)
    }
}

/// The document of an environment's account, for its next pointer.
pub(super) async fn pointer_document(
    transaction: &mut Transaction<'static, Sqlite>,
    environment: &EnvironmentSid,
) -> Result<Option<BlobId>, CatalogueError> {
    let row: Option<(Vec<u8>, i64)> = sqlx::query_as(
        "SELECT hash, size FROM environments e JOIN services s ON s.sid = service_sid JOIN accounts a ON a.sid = account_sid \
         JOIN blobs ON hash = purged_hash WHERE e.sid = ?1",
    )
    .bind(environment.as_str())
    .fetch_optional(&mut **transaction)
    .await?;
    row.map(|(hash, size)| blob(&hash, size)).transpose()
}

fn blob(hash: &[u8], size: i64) -> Result<BlobId, CatalogueError> {
    Ok(BlobId { hash: Hash::from(bytes_32(hash)?), size: unsigned(size)? })
}
