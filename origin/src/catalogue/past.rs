//! What was live in an environment before, as far as it is retained.

use super::derived::{self, Derived, DerivedColumns};
use super::{Catalogue, CatalogueError, stored_blob};
use crate::blobs::StoredBlob;
use crate::sid::{AccountSid, EnvironmentSid};

/// A public version that was live in an environment and is retained, or is live now.
#[derive(Debug, Clone)]
pub(crate) struct PastVersion {
    pub(crate) path: String,
    pub(crate) blob: StoredBlob,
    /// Coded forms of the blob that a manifest or history of the account named.
    pub(crate) derived: Vec<Derived>,
    pub(crate) content_type: String,
}

/// A past version beside one of its derived blobs, or none.
#[derive(sqlx::FromRow)]
struct PastRow {
    path: String,
    content_type: String,
    hash: Vec<u8>,
    size: i64,
    sha256: Vec<u8>,
    #[sqlx(flatten)]
    derived: DerivedColumns,
}

impl Catalogue {
    /// The public versions of an environment's live build and of those earlier ones that are retained: whose last deployment is
    /// numbered `number_min` or more, or was made at `made_min` or later.
    ///
    /// # Errors
    /// Any [`CatalogueError`].
    pub(crate) async fn past_versions(
        &self,
        account: &AccountSid,
        environment: &EnvironmentSid,
        number_min: i64,
        made_min: i64,
    ) -> Result<Vec<PastVersion>, CatalogueError> {
        // Deployment numbers and times rise together, so the first deployment that is young enough bounds both.
        let rows: Vec<PastRow> = sqlx::query_as(
            "WITH retained AS (SELECT min(?2, coalesce((SELECT min(number) FROM deployments \
                 WHERE environment_sid = ?1 AND created_at >= ?3), ?2)) AS number) \
             SELECT DISTINCT path, content_type, blobs.hash, blobs.size, blobs.sha256, encoding, \
                    coded.hash AS derived_hash, coded.size AS derived_size, coded.sha256 AS derived_sha256 \
             FROM environment_versions ev JOIN asset_versions v ON v.number = ev.version_number \
             JOIN blobs ON blobs.hash = v.blob_hash \
             LEFT JOIN derived_blobs d ON d.account_sid = ?4 AND source_hash = v.blob_hash AND EXISTS (SELECT 1 FROM named_blobs n \
                 WHERE n.account_sid = ?4 AND n.blob_hash = d.blob_hash) \
             LEFT JOIN blobs coded ON coded.hash = d.blob_hash \
             WHERE ev.environment_sid = ?1 AND visibility = 'public' \
             AND (ev.last_deployment IS NULL OR ev.last_deployment >= (SELECT number FROM retained)) \
             ORDER BY path, content_type, blobs.hash, encoding",
        )
        .bind(environment.as_str())
        .bind(number_min)
        .bind(made_min)
        .bind(account.as_str())
        .fetch_all(self.reader())
        .await?;
        past_versions(rows)
    }
}

/// The versions of rows in which those of one version stand together.
fn past_versions(rows: Vec<PastRow>) -> Result<Vec<PastVersion>, CatalogueError> {
    let mut versions: Vec<PastVersion> = Vec::new();
    for row in rows {
        let blob = stored_blob(&row.hash, row.size, &row.sha256)?;
        let derived = derived::derived(&row.derived)?.and_then(|(_, derived)| derived);
        match versions.last_mut() {
            Some(last)
                if last.path == row.path && last.content_type == row.content_type && last.blob == blob =>
            {
                last.derived.extend(derived);
            }
            _ => versions.push(PastVersion {
                path: row.path,
                blob,
                derived: derived.into_iter().collect(),
                content_type: row.content_type,
            }),
        }
    }
    Ok(versions)
}
