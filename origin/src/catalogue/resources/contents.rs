//! Assets and functions, and their versions: two kinds of one shape, in tables of the same columns.

use super::super::{Catalogue, CatalogueError, add_blob, bytes_32, signed, unsigned};
use super::audit::{self, Action, Actor};
use super::page::{Page, PageWanted};
use crate::blobs::StoredBlob;
use crate::sid::{AssetSid, ServiceSid, VersionSid};
use skerry_proto::hash::Hash;
use skerry_proto::path::AssetPath;
use skerry_proto::slices::BlobId;
use skerry_proto::visibility::Visibility;
use sqlx::AssertSqlSafe;
use std::collections::BTreeMap;

/// Which of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Assets are served, or bundled.
    Asset,
    /// Functions are kept, and run elsewhere.
    Function,
}

impl Kind {
    const fn table(self) -> &'static str {
        match self {
            Self::Asset => "assets",
            Self::Function => "functions",
        }
    }

    const fn versions(self) -> &'static str {
        match self {
            Self::Asset => "asset_versions",
            Self::Function => "function_versions",
        }
    }

    /// The column of a version that names what it is of.
    const fn parent(self) -> &'static str {
        match self {
            Self::Asset => "asset_sid",
            Self::Function => "function_sid",
        }
    }

    /// Which versions a build has.
    const fn of_build(self) -> &'static str {
        match self {
            Self::Asset => "build_versions",
            Self::Function => "build_functions",
        }
    }
}

/// An asset or a function: a name within a service.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub(crate) struct Content {
    /// `ZH…`
    #[sqlx(try_from = "String")]
    pub(crate) sid: AssetSid,
    pub(crate) friendly_name: String,
    pub(crate) created_at: i64,
    pub(crate) updated_at: i64,
}

/// A version of an asset or a function.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub(crate) struct ContentVersion {
    /// `ZN…`
    #[sqlx(try_from = "String")]
    pub(crate) sid: VersionSid,
    /// Of which asset or function.
    #[sqlx(try_from = "String")]
    pub(crate) parent_sid: AssetSid,
    pub(crate) path: String,
    pub(crate) visibility: String,
    pub(crate) created_at: i64,
}

/// A version that is about to be added, of a blob that is durable already.
#[derive(Debug, Clone)]
pub(crate) struct NewContentVersion {
    pub(crate) kind: Kind,
    pub(crate) parent: AssetSid,
    pub(crate) path: AssetPath,
    pub(crate) visibility: Visibility,
    pub(crate) content_type: String,
    pub(crate) blob: StoredBlob,
    pub(crate) created_at: i64,
}

const COLUMNS: &str = "sid, friendly_name, created_at, updated_at";

/// Columns of a version; its parent is called the same for both kinds.
fn version_columns(kind: Kind) -> String {
    format!("sid, {} AS parent_sid, path, visibility, created_at", kind.parent())
}

impl Catalogue {
    /// Adds an asset or a function; the one that has the name, where there is one.
    ///
    /// # Errors
    /// Any [`CatalogueError`].
    pub(crate) async fn add_content(
        &self,
        actor: &Actor,
        kind: Kind,
        service: &ServiceSid,
        friendly_name: &str,
        now: i64,
    ) -> Result<Content, CatalogueError> {
        let sid = AssetSid::random()?;
        let table = kind.table();
        let mut transaction = self.write().await?;
        let content: Content = sqlx::query_as(AssertSqlSafe(format!(
            "INSERT INTO {table} (sid, service_sid, friendly_name, created_at, updated_at) VALUES (?1, ?2, ?3, ?4, ?4) \
             ON CONFLICT (service_sid, friendly_name) WHERE is_deleted = 0 DO UPDATE SET friendly_name = excluded.friendly_name \
             RETURNING {COLUMNS}"
        )))
        .bind(sid.as_str())
        .bind(service.as_str())
        .bind(friendly_name)
        .bind(now)
        .fetch_one(&mut *transaction)
        .await?;
        if content.sid == sid {
            audit::append(&mut transaction, actor, Action::Create, sid.as_str(), now).await?;
        }
        transaction.commit().await?;
        Ok(content)
    }

    /// The assets or functions of a service.
    ///
    /// # Errors
    /// Any [`CatalogueError`].
    pub(crate) async fn list_contents(
        &self,
        kind: Kind,
        service: &ServiceSid,
        wanted: &PageWanted,
    ) -> Result<Page<Content>, CatalogueError> {
        self.page(COLUMNS, kind.table(), "service_sid = ?1 AND is_deleted = 0", service.as_str(), wanted)
            .await
    }

    /// An asset or a function of a service.
    ///
    /// # Errors
    /// Any [`CatalogueError`].
    pub(crate) async fn content(
        &self,
        kind: Kind,
        service: &ServiceSid,
        sid: &str,
    ) -> Result<Option<Content>, CatalogueError> {
        Ok(sqlx::query_as(AssertSqlSafe(format!(
            "SELECT {COLUMNS} FROM {} WHERE service_sid = ?1 AND sid = ?2 AND is_deleted = 0",
            kind.table()
        )))
        .bind(service.as_str())
        .bind(sid)
        .fetch_optional(self.reader())
        .await?)
    }

    /// Gives an asset or a function another name; `None` when it is gone, or another one has the name.
    ///
    /// # Errors
    /// Any [`CatalogueError`].
    pub(crate) async fn rename_content(
        &self,
        actor: &Actor,
        kind: Kind,
        sid: &AssetSid,
        friendly_name: &str,
        now: i64,
    ) -> Result<Option<Content>, CatalogueError> {
        let mut transaction = self.write().await?;
        let content: Option<Content> = sqlx::query_as(AssertSqlSafe(format!(
            "UPDATE OR IGNORE {} SET friendly_name = ?2, updated_at = ?3 WHERE sid = ?1 AND is_deleted = 0 RETURNING {COLUMNS}",
            kind.table()
        )))
        .bind(sid.as_str())
        .bind(friendly_name)
        .bind(now)
        .fetch_optional(&mut *transaction)
        .await?;
        if content.is_some() {
            audit::append(&mut transaction, actor, Action::Update, sid.as_str(), now).await?;
            transaction.commit().await?;
        }
        Ok(content)
    }

    /// Deletes an asset or a function: its name is free, and its versions go into no further build. Whether it was there.
    ///
    /// # Errors
    /// Any [`CatalogueError`].
    pub(crate) async fn delete_content(
        &self,
        actor: &Actor,
        kind: Kind,
        sid: &AssetSid,
        now: i64,
    ) -> Result<bool, CatalogueError> {
        let mut transaction = self.write().await?;
        let deleted = sqlx::query(AssertSqlSafe(format!(
            "UPDATE {} SET is_deleted = 1, updated_at = ?2 WHERE sid = ?1 AND is_deleted = 0",
            kind.table()
        )))
        .bind(sid.as_str())
        .bind(now)
        .execute(&mut *transaction)
        .await?;
        if deleted.rows_affected() == 0 {
            return Ok(false);
        }
        audit::append(&mut transaction, actor, Action::Delete, sid.as_str(), now).await?;
        transaction.commit().await?;
        Ok(true)
    }

    /// Adds a version; `None` when its asset or function is gone.
    ///
    /// # Errors
    /// Any [`CatalogueError`].
    pub(crate) async fn add_content_version(
        &self,
        actor: &Actor,
        new: &NewContentVersion,
    ) -> Result<Option<ContentVersion>, CatalogueError> {
        let sid = VersionSid::random()?;
        let (kind, columns) = (new.kind, version_columns(new.kind));
        let mut transaction = self.write().await?;
        add_blob(&mut transaction, &new.blob, new.created_at).await?;
        let version: Option<ContentVersion> = sqlx::query_as(AssertSqlSafe(format!(
            "INSERT INTO {} (sid, {}, path, visibility, blob_hash, content_type, size, created_at) \
             SELECT ?1, sid, ?3, ?4, ?5, ?6, ?7, ?8 FROM {} WHERE sid = ?2 AND is_deleted = 0 RETURNING {columns}",
            kind.versions(),
            kind.parent(),
            kind.table()
        )))
        .bind(sid.as_str())
        .bind(new.parent.as_str())
        .bind(new.path.as_str())
        .bind(new.visibility.as_str())
        .bind(&new.blob.id.hash.as_bytes()[..])
        .bind(&new.content_type)
        .bind(signed(new.blob.id.size))
        .bind(new.created_at)
        .fetch_optional(&mut *transaction)
        .await?;
        if version.is_some() {
            audit::append(&mut transaction, actor, Action::Create, sid.as_str(), new.created_at).await?;
            transaction.commit().await?;
        }
        Ok(version)
    }

    /// The versions of an asset or a function.
    ///
    /// # Errors
    /// Any [`CatalogueError`].
    pub(crate) async fn list_content_versions(
        &self,
        kind: Kind,
        parent: &AssetSid,
        wanted: &PageWanted,
    ) -> Result<Page<ContentVersion>, CatalogueError> {
        let condition = format!("{} = ?1", kind.parent());
        self.page(&version_columns(kind), kind.versions(), &condition, parent.as_str(), wanted).await
    }

    /// A version of an asset or a function, and its bytes.
    ///
    /// # Errors
    /// Any [`CatalogueError`].
    pub(crate) async fn content_version(
        &self,
        kind: Kind,
        parent: &AssetSid,
        sid: &str,
    ) -> Result<Option<(ContentVersion, BlobId)>, CatalogueError> {
        #[derive(sqlx::FromRow)]
        struct Row {
            #[sqlx(flatten)]
            version: ContentVersion,
            blob_hash: Vec<u8>,
            size: i64,
        }
        let row: Option<Row> = sqlx::query_as(AssertSqlSafe(format!(
            "SELECT {}, blob_hash, size FROM {} WHERE {} = ?1 AND sid = ?2",
            version_columns(kind),
            kind.versions(),
            kind.parent()
        )))
        .bind(parent.as_str())
        .bind(sid)
        .fetch_optional(self.reader())
        .await?;
        row.map(|row| {
            let hash = Hash::from(bytes_32(&row.blob_hash)?);
            Ok((row.version, BlobId { hash, size: unsigned(row.size)? }))
        })
        .transpose()
    }

    /// SIDs and numbers of those of the named function versions that the service has.
    ///
    /// # Errors
    /// Any [`CatalogueError`].
    pub(crate) async fn function_versions(
        &self,
        service: &ServiceSid,
        sids: &[String],
    ) -> Result<BTreeMap<String, i64>, CatalogueError> {
        let sids = serde_json::to_string(sids).map_err(|_| CatalogueError::Damaged("texts are JSON"))?;
        let rows: Vec<(String, i64)> = sqlx::query_as(
            "SELECT v.sid, number FROM json_each(?1) wanted JOIN function_versions v ON v.sid = wanted.value \
             JOIN functions ON functions.sid = function_sid WHERE service_sid = ?2 AND is_deleted = 0",
        )
        .bind(sids)
        .bind(service.as_str())
        .fetch_all(self.reader())
        .await?;
        Ok(rows.into_iter().collect())
    }

    /// The versions of a kind that a build has, by path.
    ///
    /// # Errors
    /// Any [`CatalogueError`].
    pub(crate) async fn build_contents(
        &self,
        kind: Kind,
        build: &str,
    ) -> Result<Vec<ContentVersion>, CatalogueError> {
        Ok(sqlx::query_as(AssertSqlSafe(format!(
            "SELECT {} FROM {} JOIN {} ON number = version_number WHERE build_sid = ?1 ORDER BY path",
            version_columns(kind),
            kind.of_build(),
            kind.versions()
        )))
        .bind(build)
        .fetch_all(self.reader())
        .await?)
    }
}
