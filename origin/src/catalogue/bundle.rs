//! What the bundle of a build is made from.

use super::{Catalogue, CatalogueError, bytes_32, unsigned};
use crate::sid::{AccountSid, BuildSid, ServiceSid};
use skerry_proto::bundle::File;
use skerry_proto::hash::Hash;
use skerry_proto::rules::SITE_FILE;
use skerry_proto::slices::BlobId;

/// A build with its private versions.
#[derive(Debug, Clone)]
pub(crate) struct PrivateVersions {
    pub(crate) service: ServiceSid,
    /// When the build was made, Unix seconds.
    pub(crate) created_at: i64,
    /// Ascending by path.
    pub(crate) files: Vec<File>,
}

/// Path, SID, media type, hash, size, SHA-256.
type Row = (String, String, String, Vec<u8>, i64, Vec<u8>);

impl Catalogue {
    /// The private versions of a build, if the account has that build.
    ///
    /// # Errors
    /// Any [`CatalogueError`].
    pub(crate) async fn private_versions(
        &self,
        account: &AccountSid,
        build: &BuildSid,
    ) -> Result<Option<PrivateVersions>, CatalogueError> {
        let found: Option<(String, i64)> = sqlx::query_as(
            "SELECT service_sid, builds.created_at FROM builds JOIN services ON services.sid = service_sid \
             WHERE builds.sid = ?1 AND account_sid = ?2 AND is_deleted = 0",
        )
        .bind(build.as_str())
        .bind(account.as_str())
        .fetch_optional(self.reader())
        .await?;
        let Some((service, created_at)) = found else { return Ok(None) };
        // Builds do not change, so a second statement sees what the first one saw. Texts are ordered by their bytes, as in Rust.
        let rows: Vec<Row> = sqlx::query_as(
            "SELECT path, v.sid, content_type, hash, v.size, sha256 \
             FROM build_versions JOIN asset_versions v ON number = version_number JOIN blobs ON hash = blob_hash \
             WHERE build_sid = ?1 AND visibility = 'private' AND path <> ?2 ORDER BY path",
        )
        .bind(build.as_str())
        // What a build declares is kept as privately, but is no asset of its functions.
        .bind(SITE_FILE)
        .fetch_all(self.reader())
        .await?;
        let files = rows.into_iter().map(file).collect::<Result<_, _>>()?;
        Ok(Some(PrivateVersions { service: service.into(), created_at, files }))
    }
}

fn file((path, version_sid, content_type, hash, size, sha256): Row) -> Result<File, CatalogueError> {
    Ok(File {
        path: path.parse().map_err(|_| CatalogueError::Damaged("a path is valid"))?,
        version_sid,
        content_type,
        blob: BlobId { hash: Hash::from(bytes_32(&hash)?), size: unsigned(size)? },
        sha256: bytes_32(&sha256)?,
    })
}
