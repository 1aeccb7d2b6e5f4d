//! Environments: what they were told beside their builds, and what they show.

use super::resources::audit::{self, Action, Actor};
use super::resources::domains;
use super::{Catalogue, CatalogueError, credentials, events, purges, signed, unsigned};
use crate::sid::EnvironmentSid;
use skerry_proto::hash::Hash;
use skerry_proto::pointer::{AccessRules, ServingRules, StaleRule, Version};
use skerry_proto::signed_url::key::PublicKey;
use skerry_proto::slices::BlobId;
use sqlx::{Sqlite, Transaction};
use std::time::Duration;

/// What an environment was told beside its builds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Settings {
    /// How it answers.
    pub(crate) serving: ServingRules,
    /// What an edge does past its lease.
    pub(crate) access: AccessRules,
}

/// What the next pointer of an environment says beside where and when.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Standing {
    /// Of the live build.
    pub(crate) manifest: Option<BlobId>,
    /// Of the newest deployment.
    pub(crate) history: Option<BlobId>,
    /// What it was told.
    pub(crate) settings: Settings,
    /// No `Last-Modified` is earlier.
    pub(crate) modified_floor: i64,
    /// Whose signed URLs count.
    pub(crate) url_keys: Vec<PublicKey>,
    /// Domains that it has beside its own.
    pub(crate) aliases: Vec<String>,
    /// It is no more.
    pub(crate) is_deleted: bool,
    /// What the account has revoked.
    pub(crate) purged: Option<BlobId>,
}

impl Standing {
    /// Of an environment that is deleted: it shows nothing, and its names are those of nobody.
    pub(crate) fn deleted() -> Self {
        Self { is_deleted: true, ..Self::default() }
    }
}

/// Columns of settings.
#[derive(sqlx::FromRow)]
pub(super) struct SettingsColumns {
    post_as_get: bool,
    untrusted_uploads: bool,
    public_stale_seconds: Option<i64>,
    protected_stale_seconds: Option<i64>,
}

/// Settings from their columns.
pub(super) fn settings(columns: SettingsColumns) -> Result<Settings, CatalogueError> {
    let SettingsColumns { post_as_get, untrusted_uploads, public_stale_seconds, protected_stale_seconds } =
        columns;
    Ok(Settings {
        serving: ServingRules { post_as_get, untrusted_uploads },
        access: AccessRules {
            public_stale: stale_rule(public_stale_seconds)?,
            protected_stale: stale_rule(protected_stale_seconds)?,
        },
    })
}

impl Catalogue {
    /// Tells an environment its settings, and the edges by a pointer to what it shows already.
    ///
    /// # Errors
    /// Any [`CatalogueError`].
    pub(crate) async fn update_environment(
        &self,
        actor: &Actor,
        now: i64,
        environment: &EnvironmentSid,
        domain: &str,
        settings: Settings,
        pointer: impl FnOnce(Version, &Standing) -> Vec<u8> + Send,
    ) -> Result<Version, CatalogueError> {
        let mut transaction = self.write().await?;
        sqlx::query(
            "UPDATE environments SET post_as_get = ?2, untrusted_uploads = ?3, public_stale_seconds = ?4, \
             protected_stale_seconds = ?5 WHERE sid = ?1",
        )
        .bind(environment.as_str())
        .bind(settings.serving.post_as_get)
        .bind(settings.serving.untrusted_uploads)
        .bind(stale_seconds(settings.access.public_stale))
        .bind(stale_seconds(settings.access.protected_stale))
        .execute(&mut *transaction)
        .await?;
        let standing = standing(&mut transaction, environment).await?;
        let version = events::append(&mut transaction, domain, |version| pointer(version, &standing)).await?;
        audit::append(&mut transaction, actor, Action::Update, environment.as_str(), now).await?;
        transaction.commit().await?;
        self.announce(version);
        Ok(version)
    }
}

/// What an environment shows, and how.
#[derive(sqlx::FromRow)]
struct Shown {
    manifest: Option<Vec<u8>>,
    manifest_size: Option<i64>,
    history: Option<Vec<u8>>,
    history_size: Option<i64>,
    modified_floor: i64,
    #[sqlx(flatten)]
    settings: SettingsColumns,
}

/// What the next pointer of an environment says that shows what it shows already.
pub(super) async fn standing(
    transaction: &mut Transaction<'static, Sqlite>,
    environment: &EnvironmentSid,
) -> Result<Standing, CatalogueError> {
    let shown: Shown = sqlx::query_as(
        "SELECT m.hash AS manifest, m.size AS manifest_size, h.hash AS history, h.size AS history_size, modified_floor, \
                post_as_get, untrusted_uploads, public_stale_seconds, protected_stale_seconds FROM environments e \
         LEFT JOIN builds ON builds.sid = live_build_sid LEFT JOIN blobs m ON m.hash = manifest_hash \
         LEFT JOIN deployments d ON d.environment_sid = e.sid AND d.number = deployment_number \
         LEFT JOIN blobs h ON h.hash = history_hash WHERE e.sid = ?1",
    )
    .bind(environment.as_str())
    .fetch_one(&mut **transaction)
    .await?;
    Ok(Standing {
        manifest: optional_blob(shown.manifest, shown.manifest_size)?,
        history: optional_blob(shown.history, shown.history_size)?,
        settings: settings(shown.settings)?,
        modified_floor: shown.modified_floor,
        url_keys: credentials::pointer_keys(transaction, environment).await?,
        aliases: domains::aliases(transaction, environment.as_str()).await?,
        is_deleted: false,
        purged: purges::pointer_document(transaction, environment).await?,
    })
}

fn optional_blob(hash: Option<Vec<u8>>, size: Option<i64>) -> Result<Option<BlobId>, CatalogueError> {
    let (Some(hash), Some(size)) = (hash, size) else { return Ok(None) };
    Ok(Some(BlobId { hash: Hash::from(super::bytes_32(&hash)?), size: unsigned(size)? }))
}

fn stale_rule(seconds: Option<i64>) -> Result<StaleRule, CatalogueError> {
    let Some(seconds) = seconds else { return Ok(StaleRule::Unbounded) };
    Ok(StaleRule::AtMost(Duration::from_secs(unsigned(seconds)?)))
}

fn stale_seconds(rule: StaleRule) -> Option<i64> {
    match rule {
        StaleRule::Unbounded => None,
        StaleRule::AtMost(time) => Some(signed(time.as_secs())),
    }
}
