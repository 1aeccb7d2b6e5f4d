//! Assets and their versions.

use super::{Catalogue, CatalogueError, bytes_32, signed, unsigned};
use crate::blobs::StoredBlob;
use crate::sid::{AssetSid, BuildSid, ServiceSid, VersionSid};
use skerry_proto::hash::Hash;
use skerry_proto::path::AssetPath;
use skerry_proto::slices::BlobId;
use skerry_proto::visibility::Visibility;

/// An asset version that is about to be added.
#[derive(Debug, Clone)]
pub(crate) struct NewVersion {
    pub(crate) service: ServiceSid,
    pub(crate) path: AssetPath,
    pub(crate) visibility: Visibility,
    pub(crate) content_type: String,
    pub(crate) blob: StoredBlob,
    pub(crate) created_at: i64,
}

/// An asset version.
#[derive(Debug, Clone)]
pub(crate) struct AssetVersion {
    /// Counts up: newer ones are greater.
    pub(crate) number: i64,
    pub(crate) sid: VersionSid,
    pub(crate) asset: AssetSid,
    pub(crate) path: AssetPath,
    pub(crate) visibility: Visibility,
    pub(crate) content_type: String,
    pub(crate) blob: StoredBlob,
    pub(crate) created_at: i64,
}

type Row = (i64, String, String, String, String, String, Vec<u8>, i64, Vec<u8>, i64);

impl Catalogue {
    /// Adds a version of a blob that is durable already; the asset, too, where the service has none of this name.
    ///
    /// # Errors
    /// Any [`CatalogueError`].
    pub(crate) async fn add_version(
        &self,
        version: &NewVersion,
    ) -> Result<(AssetSid, VersionSid), CatalogueError> {
        let sid = VersionSid::random()?;
        let new_asset = AssetSid::random()?;
        let mut transaction = self.write().await?;
        sqlx::query("INSERT INTO blobs (hash, size, sha256, created_at) VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING")
            .bind(&version.blob.id.hash.as_bytes()[..])
            .bind(signed(version.blob.id.size))
            .bind(&version.blob.sha256[..])
            .bind(version.created_at)
            .execute(&mut *transaction)
            .await?;
        // An asset is named by its path here. The update changes nothing; without it nothing would be returned.
        let asset: String = sqlx::query_scalar(
            "INSERT INTO assets (sid, service_sid, friendly_name, created_at, updated_at) VALUES (?1, ?2, ?3, ?4, ?4) \
             ON CONFLICT (service_sid, friendly_name) WHERE is_deleted = 0 DO UPDATE SET friendly_name = excluded.friendly_name RETURNING sid",
        )
        .bind(new_asset.as_str())
        .bind(version.service.as_str())
        .bind(version.path.as_str())
        .bind(version.created_at)
        .fetch_one(&mut *transaction)
        .await?;
        sqlx::query(
            "INSERT INTO asset_versions (sid, asset_sid, path, visibility, blob_hash, content_type, size, created_at) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        )
        .bind(sid.as_str())
        .bind(&asset)
        .bind(version.path.as_str())
        .bind(version.visibility.as_str())
        .bind(&version.blob.id.hash.as_bytes()[..])
        .bind(&version.content_type)
        .bind(signed(version.blob.id.size))
        .bind(version.created_at)
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok((asset.into(), sid))
    }

    /// The versions of a build, ascending by path.
    ///
    /// # Errors
    /// Any [`CatalogueError`].
    pub(crate) async fn build_versions(&self, build: &BuildSid) -> Result<Vec<AssetVersion>, CatalogueError> {
        let rows: Vec<Row> = sqlx::query_as(
            "SELECT number, v.sid, asset_sid, v.path, visibility, content_type, hash, v.size, sha256, v.created_at \
             FROM build_versions JOIN asset_versions v ON number = version_number JOIN blobs ON hash = blob_hash \
             WHERE build_sid = ?1 ORDER BY path",
        )
        .bind(build.as_str())
        .fetch_all(self.reader())
        .await?;
        rows.into_iter().map(version).collect()
    }

    /// Those of the named versions that the service has.
    ///
    /// # Errors
    /// Any [`CatalogueError`].
    pub(crate) async fn versions(
        &self,
        service: &ServiceSid,
        sids: &[String],
    ) -> Result<Vec<AssetVersion>, CatalogueError> {
        let sids = serde_json::to_string(sids).map_err(|_| CatalogueError::Damaged("texts are JSON"))?;
        let rows: Vec<Row> = sqlx::query_as(
            "SELECT number, v.sid, asset_sid, v.path, visibility, content_type, hash, v.size, sha256, v.created_at \
             FROM json_each(?1) wanted JOIN asset_versions v ON v.sid = wanted.value \
             JOIN assets ON assets.sid = asset_sid JOIN blobs ON hash = blob_hash WHERE service_sid = ?2",
        )
        .bind(sids)
        .bind(service.as_str())
        .fetch_all(self.reader())
        .await?;
        rows.into_iter().map(version).collect()
    }
}

fn version(row: Row) -> Result<AssetVersion, CatalogueError> {
    let (number, sid, asset, path, visibility, content_type, hash, size, sha256, created_at) = row;
    let hash = Hash::from(bytes_32(&hash)?);
    Ok(AssetVersion {
        number,
        sid: sid.into(),
        asset: asset.into(),
        path: path.parse().map_err(|_| CatalogueError::Damaged("a path is valid"))?,
        visibility: visibility.parse().map_err(|_| CatalogueError::Damaged("a visibility is known"))?,
        content_type,
        blob: StoredBlob { id: BlobId { hash, size: unsigned(size)? }, sha256: bytes_32(&sha256)? },
        created_at,
    })
}
