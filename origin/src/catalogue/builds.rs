//! Builds on their way: begun with what they are made of, then completed with the documents that show it, or failed.

use super::derived::hex_list;
use super::resources::BuildDetails;
use super::resources::audit::{self, Action, Actor};
use super::{Catalogue, CatalogueError, add_blob, derivations};
use crate::blobs::StoredBlob;
use crate::sid::{AccountSid, BuildSid, ServiceSid};
use skerry_proto::hash::Hash;
use skerry_proto::slices::BlobId;
use sqlx::{Sqlite, Transaction};
use std::time::Duration;

/// A build that is about to be begun.
#[derive(Debug, Clone)]
pub(crate) struct NewBuild {
    pub(crate) build: BuildSid,
    pub(crate) service: ServiceSid,
    /// Numbers of its asset versions.
    pub(crate) versions: Vec<i64>,
    /// Numbers of its function versions.
    pub(crate) functions: Vec<i64>,
    /// JSON.
    pub(crate) dependencies: String,
    pub(crate) runtime: String,
    pub(crate) created_at: i64,
}

/// What a build shows: blobs that are durable already.
#[derive(Debug, Clone)]
pub(crate) struct BuildDocuments {
    pub(crate) manifest: StoredBlob,
    /// Pages of the manifest.
    pub(crate) pages: Vec<StoredBlob>,
    /// The derived blobs that the manifest names.
    pub(crate) derived: Vec<Hash>,
    /// `Some`: others are to join them later. How much processor time was spent on the build so far.
    pub(crate) unfinished: Option<Duration>,
}

/// A build that was begun, and neither completed nor failed.
#[derive(Debug, Clone, sqlx::FromRow)]
pub(crate) struct UnfinishedBuild {
    #[sqlx(try_from = "String")]
    pub(crate) account: AccountSid,
    #[sqlx(try_from = "String")]
    pub(crate) build: BuildSid,
}

impl Catalogue {
    /// Begins a build.
    ///
    /// # Errors
    /// Any [`CatalogueError`].
    pub(crate) async fn begin_build(
        &self,
        actor: &Actor,
        new: &NewBuild,
    ) -> Result<BuildDetails, CatalogueError> {
        let mut transaction = self.write().await?;
        let build = add(&mut transaction, actor, new).await?;
        transaction.commit().await?;
        Ok(build)
    }

    /// Completes a build. Nothing changes where it was deleted meanwhile.
    ///
    /// # Errors
    /// Any [`CatalogueError`].
    pub(crate) async fn complete_build(
        &self,
        account: &AccountSid,
        build: &BuildSid,
        documents: &BuildDocuments,
        now: i64,
    ) -> Result<(), CatalogueError> {
        let mut transaction = self.write().await?;
        if complete(&mut transaction, account, build, documents, now).await? {
            transaction.commit().await?;
        }
        Ok(())
    }

    /// Says why a build failed.
    ///
    /// # Errors
    /// Any [`CatalogueError`].
    pub(crate) async fn fail_build(
        &self,
        build: &BuildSid,
        failure: &str,
        now: i64,
    ) -> Result<(), CatalogueError> {
        let mut transaction = self.write().await?;
        sqlx::query(
            "UPDATE builds SET status = 'failed', failure = ?2, updated_at = ?3 WHERE sid = ?1 AND status = 'building'",
        )
        .bind(build.as_str())
        .bind(failure)
        .bind(now)
        .execute(&mut *transaction)
        .await?;
        Ok(transaction.commit().await?)
    }

    /// Builds that an earlier process did not finish.
    ///
    /// # Errors
    /// Any [`CatalogueError`].
    pub(crate) async fn unfinished_builds(&self) -> Result<Vec<UnfinishedBuild>, CatalogueError> {
        Ok(sqlx::query_as(
            "SELECT account_sid AS account, builds.sid AS build FROM builds JOIN services ON services.sid = service_sid \
             WHERE status = 'building' ORDER BY builds.rowid",
        )
        .fetch_all(self.reader())
        .await?)
    }

    /// The manifest of a completed build of a service.
    ///
    /// # Errors
    /// Any [`CatalogueError`].
    pub(crate) async fn build_manifest(
        &self,
        service: &ServiceSid,
        build: &str,
    ) -> Result<Option<BlobId>, CatalogueError> {
        let row: Option<(Vec<u8>, i64, Vec<u8>)> = sqlx::query_as(
            "SELECT hash, size, sha256 FROM builds JOIN blobs ON hash = manifest_hash \
             WHERE service_sid = ?1 AND sid = ?2 AND is_deleted = 0",
        )
        .bind(service.as_str())
        .bind(build)
        .fetch_optional(self.reader())
        .await?;
        row.map(|(hash, size, sha256)| Ok(super::stored_blob(&hash, size, &sha256)?.id)).transpose()
    }
}

/// Adds a build that has no manifest yet.
pub(super) async fn add(
    transaction: &mut Transaction<'static, Sqlite>,
    actor: &Actor,
    new: &NewBuild,
) -> Result<BuildDetails, CatalogueError> {
    let build = sqlx::query_as(
        "INSERT INTO builds (sid, service_sid, status, dependencies, runtime, created_at, updated_at) \
         VALUES (?1, ?2, 'building', ?3, ?4, ?5, ?5) \
         RETURNING sid, status, failure, dependencies, runtime, created_at, updated_at",
    )
    .bind(new.build.as_str())
    .bind(new.service.as_str())
    .bind(&new.dependencies)
    .bind(&new.runtime)
    .bind(new.created_at)
    .fetch_one(&mut **transaction)
    .await?;
    for (statement, numbers) in [
        (
            "INSERT INTO build_versions (build_sid, version_number) SELECT ?1, value FROM json_each(?2)",
            &new.versions,
        ),
        (
            "INSERT INTO build_functions (build_sid, version_number) SELECT ?1, value FROM json_each(?2)",
            &new.functions,
        ),
    ] {
        let numbers =
            serde_json::to_string(numbers).map_err(|_| CatalogueError::Damaged("numbers are JSON"))?;
        sqlx::query(statement).bind(new.build.as_str()).bind(numbers).execute(&mut **transaction).await?;
    }
    audit::append(transaction, actor, Action::Create, new.build.as_str(), new.created_at).await?;
    Ok(build)
}

/// Gives a build its manifest, and lets edges ask for what it names; whether it was still to be completed.
pub(super) async fn complete(
    transaction: &mut Transaction<'static, Sqlite>,
    account: &AccountSid,
    build: &BuildSid,
    documents: &BuildDocuments,
    now: i64,
) -> Result<bool, CatalogueError> {
    add_manifest(transaction, account, documents, now).await?;
    let completed = sqlx::query(
        "UPDATE builds SET status = 'completed', manifest_hash = ?2, updated_at = ?3 WHERE sid = ?1 AND status = 'building'",
    )
    .bind(build.as_str())
    .bind(&documents.manifest.id.hash.as_bytes()[..])
    .bind(now)
    .execute(&mut **transaction)
    .await?;
    // What is private is in no manifest, so no edge may ask for it.
    sqlx::query(
        "INSERT INTO named_blobs (account_sid, blob_hash) SELECT ?1, blob_hash FROM build_versions \
         JOIN asset_versions ON number = version_number WHERE build_sid = ?2 AND visibility <> 'private' \
         ON CONFLICT DO NOTHING",
    )
    .bind(account.as_str())
    .bind(build.as_str())
    .execute(&mut **transaction)
    .await?;
    if let Some(cpu_time) = documents.unfinished {
        derivations::add(transaction, build, cpu_time).await?;
    }
    Ok(completed.rows_affected() > 0)
}

/// Adds a manifest with its pages, and lets edges ask for them and for the derived blobs that they name.
pub(super) async fn add_manifest(
    transaction: &mut Transaction<'static, Sqlite>,
    account: &AccountSid,
    documents: &BuildDocuments,
    now: i64,
) -> Result<(), CatalogueError> {
    let all = std::iter::once(&documents.manifest).chain(&documents.pages);
    add_documents(transaction, account, all, now).await?;
    sqlx::query(
        "INSERT INTO named_blobs (account_sid, blob_hash) SELECT ?1, unhex(value) FROM json_each(?2) \
         WHERE true ON CONFLICT DO NOTHING",
    )
    .bind(account.as_str())
    .bind(hex_list(&documents.derived)?)
    .execute(&mut **transaction)
    .await?;
    Ok(())
}

/// Adds documents, and lets edges ask for them.
pub(super) async fn add_documents(
    transaction: &mut Transaction<'static, Sqlite>,
    account: &AccountSid,
    documents: impl Iterator<Item = &StoredBlob>,
    now: i64,
) -> Result<(), CatalogueError> {
    for document in documents {
        add_blob(transaction, document, now).await?;
        sqlx::query(
            "INSERT INTO named_blobs (account_sid, blob_hash) VALUES (?1, ?2) ON CONFLICT DO NOTHING",
        )
        .bind(account.as_str())
        .bind(&document.id.hash.as_bytes()[..])
        .execute(&mut **transaction)
        .await?;
    }
    Ok(())
}
