//! What was live in an environment before, as far as it is retained.

use super::derived::{self, Derived, DerivedColumns};
use super::{Catalogue, CatalogueError, stored_blob};
use crate::blobs::StoredBlob;
use crate::sid::{AccountSid, BuildSid, EnvironmentSid};

/// A public version that was live in an environment and is retained, or is live now and will not be.
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
    /// The public versions of an environment that were live before and are retained: whose last deployment is numbered `number_min`
    /// or more, or was made at `made_min` or later. And those that are `removed` by what comes next.
    ///
    /// # Errors
    /// Any [`CatalogueError`].
    pub(crate) async fn past_versions(
        &self,
        account: &AccountSid,
        environment: &EnvironmentSid,
        number_min: i64,
        made_min: i64,
        removed: &[i64],
    ) -> Result<Vec<PastVersion>, CatalogueError> {
        let removed =
            serde_json::to_string(removed).map_err(|_| CatalogueError::Damaged("numbers are JSON"))?;
        // Deployment numbers and times rise together, so the first deployment that is young enough bounds both.
        let rows: Vec<PastRow> = sqlx::query_as(
            "WITH retained AS (SELECT min(?2, coalesce((SELECT min(number) FROM deployments \
                 WHERE environment_sid = ?1 AND created_at >= ?3), ?2)) AS number), \
             past AS (SELECT version_number FROM environment_versions WHERE environment_sid = ?1 \
                      AND last_deployment >= (SELECT number FROM retained) UNION SELECT value FROM json_each(?5)) \
             SELECT DISTINCT path, content_type, blobs.hash, blobs.size, blobs.sha256, encoding, \
                    coded.hash AS derived_hash, coded.size AS derived_size, coded.sha256 AS derived_sha256 \
             FROM past JOIN asset_versions v ON v.number = past.version_number \
             JOIN blobs ON blobs.hash = v.blob_hash \
             LEFT JOIN derived_blobs d ON d.account_sid = ?4 AND source_hash = v.blob_hash AND EXISTS (SELECT 1 FROM named_blobs n \
                 WHERE n.account_sid = ?4 AND n.blob_hash = d.blob_hash) \
             LEFT JOIN blobs coded ON coded.hash = d.blob_hash \
             WHERE visibility = 'public' ORDER BY path, content_type, blobs.hash, encoding",
        )
        .bind(environment.as_str())
        .bind(number_min)
        .bind(made_min)
        .bind(account.as_str())
        .bind(removed)
        .fetch_all(self.reader())
        .await?;
        past_versions(rows)
    }
}

/// What the next build changes of what is live.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Difference {
    /// Numbers of versions that are live, and will not be.
    pub(crate) removed: Vec<i64>,
    /// Whether a path that is live will not be.
    pub(crate) removes_paths: bool,
}

impl Catalogue {
    /// What changes when `next` takes the place of `live`; `None` for no build.
    ///
    /// # Errors
    /// Any [`CatalogueError`].
    pub(crate) async fn difference(
        &self,
        live: Option<&BuildSid>,
        next: Option<&BuildSid>,
    ) -> Result<Difference, CatalogueError> {
        let (live, next) = (live.map(BuildSid::as_str), next.map(BuildSid::as_str));
        // One value: rows cost more than what they hold.
        let numbers: String = sqlx::query_scalar(
            "SELECT json_group_array(version_number) FROM (SELECT version_number FROM build_versions WHERE build_sid = ?1 \
             EXCEPT SELECT version_number FROM build_versions WHERE build_sid = ?2)",
        )
        .bind(live)
        .bind(next)
        .fetch_one(self.reader())
        .await?;
        let removed: Vec<i64> =
            serde_json::from_str(&numbers).map_err(|_| CatalogueError::Damaged("numbers are JSON"))?;
        if removed.is_empty() {
            return Ok(Difference::default());
        }
        let removes_paths = sqlx::query_scalar(
            "SELECT EXISTS (SELECT 1 FROM json_each(?3) JOIN asset_versions gone ON gone.number = value \
             WHERE gone.path NOT IN (SELECT path FROM build_versions b JOIN asset_versions ON number = b.version_number \
                 WHERE b.build_sid = ?2 AND NOT EXISTS (SELECT 1 FROM build_versions live \
                     WHERE live.build_sid = ?1 AND live.version_number = b.version_number)))",
        )
        .bind(live)
        .bind(next)
        .bind(numbers)
        .fetch_one(self.reader())
        .await?;
        Ok(Difference { removed, removes_paths })
    }

    /// When the youngest version of a build was made.
    ///
    /// # Errors
    /// Any [`CatalogueError`].
    pub(crate) async fn modified_last(&self, build: &BuildSid) -> Result<Option<i64>, CatalogueError> {
        Ok(sqlx::query_scalar(
            "SELECT max(created_at) FROM build_versions JOIN asset_versions ON number = version_number WHERE build_sid = ?1",
        )
        .bind(build.as_str())
        .fetch_one(self.reader())
        .await?)
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
