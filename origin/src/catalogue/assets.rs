//! Assets and their versions.

use super::derived::{self, Derived, DerivedColumns, hex_list};
use super::past::PastVersion;
use super::resources::audit::{self, Action, Actor};
use super::{Catalogue, CatalogueError, add_blob, bytes_32, signed, stored_blob, unsigned};
use crate::blobs::StoredBlob;
use crate::coding::Coding;
use crate::sid::{AccountSid, AssetSid, BuildSid, ServiceSid, VersionSid};
use skerry_proto::hash::Hash;
use skerry_proto::path::AssetPath;
use skerry_proto::slices::BlobId;
use skerry_proto::visibility::Visibility;
use sqlx::{Sqlite, Transaction};
use std::collections::{BTreeSet, HashMap};

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
    /// Coded forms of the blob that its account had made, by name of the coding.
    pub(crate) derived: Vec<Derived>,
    /// Codings that were tried, whatever came of them.
    pub(crate) tried: Vec<Coding>,
    pub(crate) created_at: i64,
}

/// A version beside one of its derived blobs, or none.
#[derive(sqlx::FromRow)]
struct Row {
    /// The same in all rows of a version, and in no others.
    place: i64,
    number: i64,
    sid: String,
    asset_sid: String,
    path: String,
    visibility: String,
    content_type: String,
    hash: Vec<u8>,
    size: i64,
    sha256: Vec<u8>,
    created_at: i64,
    #[sqlx(flatten)]
    derived: DerivedColumns,
}

/// Those of the blobs `?2`, a JSON list of hashes, of which the account `?1` has versions. In this order of tables, so that nothing is
/// read on the way that another account has.
pub(super) const ACCOUNT_BLOBS: &str = "SELECT hash, size, sha256 FROM json_each(?2) wanted CROSS JOIN account_blobs \
    CROSS JOIN blobs ON hash = blob_hash WHERE account_sid = ?1 AND blob_hash = unhex(wanted.value)";

/// From which versions of builds are read, each beside its derived blobs.
macro_rules! build_versions {
    () => {
        "SELECT number AS place, number, v.sid, asset_sid, v.path, visibility, content_type, blobs.hash, v.size, \
                blobs.sha256, v.created_at, encoding, coded.hash AS derived_hash, coded.size AS derived_size, \
                coded.sha256 AS derived_sha256 \
         FROM build_versions JOIN asset_versions v ON number = version_number \
         JOIN blobs ON blobs.hash = v.blob_hash \
         JOIN builds ON builds.sid = build_sid JOIN services ON services.sid = builds.service_sid \
         LEFT JOIN derived_blobs d ON d.account_sid = services.account_sid AND source_hash = v.blob_hash \
         LEFT JOIN blobs coded ON coded.hash = d.blob_hash "
    };
}

impl Catalogue {
    /// Adds a version of a blob that is durable already; the asset, too, where the service has none of this name.
    ///
    /// # Errors
    /// Any [`CatalogueError`].
    pub(crate) async fn add_version(
        &self,
        actor: &Actor,
        version: &NewVersion,
    ) -> Result<(AssetSid, VersionSid), CatalogueError> {
        let mut transaction = self.write().await?;
        add_blob(&mut transaction, &version.blob, version.created_at).await?;
        let added = add(&mut transaction, actor, version).await?;
        transaction.commit().await?;
        Ok(added)
    }

    /// Those of some blobs of which the account has versions. Other accounts' are not even looked at.
    ///
    /// # Errors
    /// Any [`CatalogueError`].
    pub(crate) async fn account_blobs(
        &self,
        account: &AccountSid,
        hashes: &[Hash],
    ) -> Result<HashMap<Hash, StoredBlob>, CatalogueError> {
        let hashes: Vec<String> = hashes.iter().map(Hash::to_string).collect();
        let hashes = serde_json::to_string(&hashes).map_err(|_| CatalogueError::Damaged("texts are JSON"))?;
        let rows: Vec<(Vec<u8>, i64, Vec<u8>)> = sqlx::query_as(ACCOUNT_BLOBS)
            .bind(account.as_str())
            .bind(hashes)
            .fetch_all(self.reader())
            .await?;
        let blobs = rows.into_iter().map(|(hash, size, sha256)| {
            let blob = stored_blob(&hash, size, &sha256)?;
            Ok((blob.id.hash, blob))
        });
        blobs.collect()
    }

    /// Adds versions of blobs of which the account has others; `None` in the place of one of which it has no more.
    ///
    /// What decides is read in the transaction that adds. A blob goes only in a transaction of its own, and only when no version names
    /// it; writers come one after the other, so a version that is added here keeps its blob, and one whose blob went is not added.
    ///
    /// # Errors
    /// Any [`CatalogueError`].
    pub(crate) async fn add_known_versions(
        &self,
        actor: &Actor,
        versions: &[NewVersion],
    ) -> Result<Vec<Option<(AssetSid, VersionSid)>>, CatalogueError> {
        let mut added = Vec::with_capacity(versions.len());
        let mut transaction = self.write().await?;
        for version in versions {
            let is_known: bool = sqlx::query_scalar(
                "SELECT EXISTS (SELECT 1 FROM account_blobs WHERE account_sid = ?1 AND blob_hash = ?2)",
            )
            .bind(actor.account.as_str())
            .bind(&version.blob.id.hash.as_bytes()[..])
            .fetch_one(&mut *transaction)
            .await?;
            added.push(match is_known {
                true => Some(add(&mut transaction, actor, version).await?),
                false => None,
            });
        }
        transaction.commit().await?;
        Ok(added)
    }
    /// The versions of a build, ascending by path.
    ///
    /// # Errors
    /// Any [`CatalogueError`].
    pub(crate) async fn build_versions(&self, build: &BuildSid) -> Result<Vec<AssetVersion>, CatalogueError> {
        let rows: Vec<Row> =
            sqlx::query_as(concat!(build_versions!(), "WHERE build_sid = ?1 ORDER BY v.path, encoding"))
                .bind(build.as_str())
                .fetch_all(self.reader())
                .await?;
        versions(rows)
    }

    /// Those versions of a build that have a path or bytes in common with past ones, or a coded form that is the bytes of one.
    ///
    /// # Errors
    /// Any [`CatalogueError`].
    pub(crate) async fn build_versions_like(
        &self,
        account: &AccountSid,
        build: &BuildSid,
        past: &[PastVersion],
    ) -> Result<Vec<AssetVersion>, CatalogueError> {
        let paths: BTreeSet<&str> = past.iter().map(|version| version.path.as_str()).collect();
        let paths = serde_json::to_string(&paths).map_err(|_| CatalogueError::Damaged("texts are JSON"))?;
        let of_version = |version: &PastVersion| -> Vec<Hash> {
            version
                .derived
                .iter()
                .map(|derived| &derived.blob)
                .chain([&version.blob])
                .map(|blob| blob.id.hash)
                .collect()
        };
        let hashes: BTreeSet<Hash> = past.iter().flat_map(of_version).collect();
        let rows: Vec<Row> = sqlx::query_as(concat!(
            build_versions!(),
            "WHERE build_sid = ?1 AND (v.path IN (SELECT value FROM json_each(?2)) \
             OR v.blob_hash IN (SELECT unhex(value) FROM json_each(?3)) \
             OR v.blob_hash IN (SELECT source_hash FROM json_each(?3) JOIN derived_blobs x \
                                ON x.account_sid = ?4 AND x.blob_hash = unhex(value))) ORDER BY v.path, encoding"
        ))
        .bind(build.as_str())
        .bind(paths)
        .bind(hex_list(&hashes.into_iter().collect::<Vec<_>>())?)
        .bind(account.as_str())
        .fetch_all(self.reader())
        .await?;
        versions(rows)
    }

    /// The bytes of a build's site file.
    ///
    /// # Errors
    /// Any [`CatalogueError`].
    pub(crate) async fn build_site_file(&self, build: &BuildSid) -> Result<Option<BlobId>, CatalogueError> {
        let row: Option<(Vec<u8>, i64)> = sqlx::query_as(
            "SELECT blob_hash, size FROM builds JOIN asset_versions ON number = site_file WHERE builds.sid = ?1",
        )
        .bind(build.as_str())
        .fetch_optional(self.reader())
        .await?;
        row.map(|(hash, size)| Ok(BlobId { hash: Hash::from(bytes_32(&hash)?), size: unsigned(size)? }))
            .transpose()
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
            "SELECT wanted.key AS place, number, v.sid, asset_sid, v.path, visibility, content_type, blobs.hash, v.size, \
                    blobs.sha256, v.created_at, encoding, coded.hash AS derived_hash, coded.size AS derived_size, \
                    coded.sha256 AS derived_sha256 \
             FROM json_each(?1) wanted JOIN asset_versions v ON v.sid = wanted.value \
             JOIN assets ON assets.sid = asset_sid JOIN blobs ON blobs.hash = v.blob_hash \
             JOIN services ON services.sid = service_sid \
             LEFT JOIN derived_blobs d ON d.account_sid = services.account_sid AND source_hash = v.blob_hash \
             LEFT JOIN blobs coded ON coded.hash = d.blob_hash \
             WHERE service_sid = ?2 AND assets.is_deleted = 0 ORDER BY wanted.key, encoding",
        )
        .bind(sids)
        .bind(service.as_str())
        .fetch_all(self.reader())
        .await?;
        versions(rows)
    }
}

/// Adds a version of a blob that is there, and the asset where the service has none of this name.
async fn add(
    transaction: &mut Transaction<'static, Sqlite>,
    actor: &Actor,
    version: &NewVersion,
) -> Result<(AssetSid, VersionSid), CatalogueError> {
    let sid = VersionSid::random()?;
    let new_asset = AssetSid::random()?;
    // An asset is named by its path here. The update changes nothing; without it nothing would be returned.
    let asset: String = sqlx::query_scalar(
        "INSERT INTO assets (sid, service_sid, friendly_name, created_at, updated_at) VALUES (?1, ?2, ?3, ?4, ?4) \
         ON CONFLICT (service_sid, friendly_name) WHERE is_deleted = 0 DO UPDATE SET friendly_name = excluded.friendly_name RETURNING sid",
    )
    .bind(new_asset.as_str())
    .bind(version.service.as_str())
    .bind(version.path.as_str())
    .bind(version.created_at)
    .fetch_one(&mut **transaction)
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
    .execute(&mut **transaction)
    .await?;
    if asset == new_asset.as_str() {
        audit::append(transaction, actor, Action::Create, &asset, version.created_at).await?;
    }
    audit::append(transaction, actor, Action::Create, sid.as_str(), version.created_at).await?;
    Ok((asset.into(), sid))
}

/// The versions of rows in which those of one version stand together.
fn versions(rows: Vec<Row>) -> Result<Vec<AssetVersion>, CatalogueError> {
    let mut versions: Vec<AssetVersion> = Vec::new();
    let mut place = None;
    for row in rows {
        let derived = derived::derived(&row.derived)?;
        if place != Some(row.place) {
            place = Some(row.place);
            versions.push(version(row)?);
        }
        if let (Some(version), Some((coding, derived))) = (versions.last_mut(), derived) {
            version.tried.push(coding);
            version.derived.extend(derived);
        }
    }
    Ok(versions)
}

fn version(row: Row) -> Result<AssetVersion, CatalogueError> {
    Ok(AssetVersion {
        number: row.number,
        sid: row.sid.into(),
        asset: row.asset_sid.into(),
        path: row.path.parse().map_err(|_| CatalogueError::Damaged("a path is valid"))?,
        visibility: row.visibility.parse().map_err(|_| CatalogueError::Damaged("a visibility is known"))?,
        content_type: row.content_type,
        blob: stored_blob(&row.hash, row.size, &row.sha256)?,
        derived: Vec::new(),
        tried: Vec::new(),
        created_at: row.created_at,
    })
}
