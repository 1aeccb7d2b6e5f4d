//! Builds and deployments: the one transaction that changes what an environment shows.

use super::{Catalogue, CatalogueError, bytes_32, events, signed, unsigned};
use crate::blobs::StoredBlob;
use crate::sid::{AccountSid, BuildSid, DeploymentSid, EnvironmentSid, ServiceSid};
use skerry_proto::hash::Hash;
use skerry_proto::pointer::Version;
use skerry_proto::slices::BlobId;
use sqlx::{Sqlite, Transaction};

/// A manifest or history document: a blob that this origin wrote.
pub(crate) type Document = StoredBlob;

/// A build that is about to be made and deployed.
#[derive(Debug, Clone)]
pub(crate) struct NewDeployment {
    pub(crate) account: AccountSid,
    pub(crate) service: ServiceSid,
    pub(crate) environment: EnvironmentSid,
    pub(crate) domain: String,
    pub(crate) build: BuildSid,
    pub(crate) deployment: DeploymentSid,
    /// The build that must still be live.
    pub(crate) replaces: Option<BuildSid>,
    /// Numbers of the build's versions.
    pub(crate) versions: Vec<i64>,
    pub(crate) manifest: Document,
    pub(crate) history: Option<Document>,
    /// Pages of both.
    pub(crate) pages: Vec<Document>,
    pub(crate) created_at: i64,
}

/// What became of a deployment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DeployOutcome {
    /// It is live at this version.
    Live(Version),
    /// Another build became live meanwhile; nothing was changed.
    Superseded,
}

/// Path, hash, size, SHA-256, media type.
type PastRow = (String, Vec<u8>, i64, Vec<u8>, String);

/// A public version that was live in an environment and is retained, or is live now.
#[derive(Debug, Clone)]
pub(crate) struct PastVersion {
    pub(crate) path: String,
    pub(crate) blob: StoredBlob,
    pub(crate) content_type: String,
}

impl Catalogue {
    /// The public versions of an environment's live build and of those earlier ones that are retained: whose last deployment is
    /// numbered `number_min` or more, or was made at `made_min` or later.
    ///
    /// # Errors
    /// Any [`CatalogueError`].
    pub(crate) async fn past_versions(
        &self,
        environment: &EnvironmentSid,
        number_min: i64,
        made_min: i64,
    ) -> Result<Vec<PastVersion>, CatalogueError> {
        // Deployment numbers and times rise together, so the first deployment that is young enough bounds both.
        let rows: Vec<PastRow> = sqlx::query_as(
            "WITH retained AS (SELECT min(?2, coalesce((SELECT min(number) FROM deployments \
                 WHERE environment_sid = ?1 AND created_at >= ?3), ?2)) AS number) \
             SELECT DISTINCT path, hash, blobs.size, sha256, content_type FROM environment_versions ev \
             JOIN asset_versions v ON v.number = ev.version_number JOIN blobs ON hash = blob_hash \
             WHERE ev.environment_sid = ?1 AND visibility = 'public' \
             AND (ev.last_deployment IS NULL OR ev.last_deployment >= (SELECT number FROM retained))",
        )
        .bind(environment.as_str())
        .bind(number_min)
        .bind(made_min)
        .fetch_all(self.reader())
        .await?;
        rows.into_iter()
            .map(|(path, hash, size, sha256, content_type)| {
                let id = BlobId { hash: Hash::from(bytes_32(&hash)?), size: unsigned(size)? };
                let blob = StoredBlob { id, sha256: bytes_32(&sha256)? };
                Ok(PastVersion { path, blob, content_type })
            })
            .collect()
    }

    /// Makes a build and points the environment at it, if nobody else did meanwhile.
    ///
    /// # Errors
    /// Any [`CatalogueError`].
    pub(crate) async fn deploy(
        &self,
        new: &NewDeployment,
        pointer: impl FnOnce(Version) -> Vec<u8> + Send,
    ) -> Result<DeployOutcome, CatalogueError> {
        let versions =
            serde_json::to_string(&new.versions).map_err(|_| CatalogueError::Damaged("numbers are JSON"))?;
        let mut transaction = self.write().await?;
        add_documents(&mut transaction, new).await?;
        add_build(&mut transaction, new, &versions).await?;
        let number: Option<i64> = sqlx::query_scalar(
            "UPDATE environments SET live_build_sid = ?2, deployment_number = deployment_number + 1 \
             WHERE sid = ?1 AND live_build_sid IS ?3 RETURNING deployment_number",
        )
        .bind(new.environment.as_str())
        .bind(new.build.as_str())
        .bind(new.replaces.as_ref().map(BuildSid::as_str))
        .fetch_optional(&mut *transaction)
        .await?;
        let Some(number) = number else {
            transaction.rollback().await?;
            return Ok(DeployOutcome::Superseded);
        };
        move_versions(&mut transaction, new, &versions, number).await?;
        let version = events::append(&mut transaction, &new.domain, pointer).await?;
        sqlx::query(
            "INSERT INTO deployments (sid, environment_sid, number, build_sid, history_hash, epoch, revision, created_at) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        )
        .bind(new.deployment.as_str())
        .bind(new.environment.as_str())
        .bind(number)
        .bind(new.build.as_str())
        .bind(new.history.map(|history| history.id.hash.as_bytes().to_vec()))
        .bind(signed(version.epoch))
        .bind(signed(version.revision))
        .bind(new.created_at)
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        self.announce(version);
        Ok(DeployOutcome::Live(version))
    }
}

async fn add_documents(
    transaction: &mut Transaction<'static, Sqlite>,
    new: &NewDeployment,
) -> Result<(), CatalogueError> {
    for document in std::iter::once(&new.manifest).chain(&new.history).chain(&new.pages) {
        let hash = &document.id.hash.as_bytes()[..];
        sqlx::query("INSERT INTO blobs (hash, size, sha256, created_at) VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING")
            .bind(hash)
            .bind(signed(document.id.size))
            .bind(&document.sha256[..])
            .bind(new.created_at)
            .execute(&mut **transaction)
            .await?;
        sqlx::query(
            "INSERT INTO named_blobs (account_sid, blob_hash) VALUES (?1, ?2) ON CONFLICT DO NOTHING",
        )
        .bind(new.account.as_str())
        .bind(hash)
        .execute(&mut **transaction)
        .await?;
    }
    Ok(())
}

async fn add_build(
    transaction: &mut Transaction<'static, Sqlite>,
    new: &NewDeployment,
    versions: &str,
) -> Result<(), CatalogueError> {
    sqlx::query("INSERT INTO builds (sid, service_sid, status, manifest_hash, created_at, updated_at) VALUES (?1, ?2, 'completed', ?3, ?4, ?4)")
        .bind(new.build.as_str())
        .bind(new.service.as_str())
        .bind(&new.manifest.id.hash.as_bytes()[..])
        .bind(new.created_at)
        .execute(&mut **transaction)
        .await?;
    sqlx::query("INSERT INTO build_versions (build_sid, version_number) SELECT ?1, value FROM json_each(?2)")
        .bind(new.build.as_str())
        .bind(versions)
        .execute(&mut **transaction)
        .await?;
    // What is private is in no manifest, so no edge may ask for it.
    sqlx::query(
        "INSERT INTO named_blobs (account_sid, blob_hash) SELECT ?1, blob_hash FROM json_each(?2) \
         JOIN asset_versions ON number = value WHERE visibility <> 'private' ON CONFLICT DO NOTHING",
    )
    .bind(new.account.as_str())
    .bind(versions)
    .execute(&mut **transaction)
    .await?;
    Ok(())
}

/// Notes which versions were live until the deployment before `number`, and which are from it on.
async fn move_versions(
    transaction: &mut Transaction<'static, Sqlite>,
    new: &NewDeployment,
    versions: &str,
    number: i64,
) -> Result<(), CatalogueError> {
    sqlx::query(
        "UPDATE environment_versions SET last_deployment = ?3 WHERE environment_sid = ?1 AND last_deployment IS NULL \
         AND version_number NOT IN (SELECT value FROM json_each(?2))",
    )
    .bind(new.environment.as_str())
    .bind(versions)
    .bind(number - 1)
    .execute(&mut **transaction)
    .await?;
    sqlx::query(
        "INSERT INTO environment_versions (environment_sid, version_number, last_deployment) \
         SELECT ?1, value, NULL FROM json_each(?2) WHERE true \
         ON CONFLICT DO UPDATE SET last_deployment = NULL WHERE last_deployment IS NOT NULL",
    )
    .bind(new.environment.as_str())
    .bind(versions)
    .execute(&mut **transaction)
    .await?;
    Ok(())
}
