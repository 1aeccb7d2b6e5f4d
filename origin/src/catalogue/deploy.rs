//! Deployments: the one transaction that changes what an environment shows.

use super::builds::{self, BuildDocuments, NewBuild};
use super::environments::{SettingsColumns, Standing, settings};
use super::resources::audit::{self, Action, Actor};
use super::resources::domains;
use super::{Catalogue, CatalogueError, bytes_32, credentials, events, purges, signed, unsigned};
use crate::blobs::StoredBlob;
use crate::sid::{AccountSid, BuildSid, DeploymentSid, EnvironmentSid};
use skerry_proto::hash::Hash;
use skerry_proto::pointer::Version;
use skerry_proto::slices::BlobId;
use sqlx::{Sqlite, Transaction};

/// A manifest or history document: a blob that this origin wrote.
pub(crate) type Document = StoredBlob;

/// A deployment that is about to be made.
#[derive(Debug, Clone)]
pub(crate) struct NewDeployment {
    pub(crate) account: AccountSid,
    pub(crate) environment: EnvironmentSid,
    pub(crate) domain: String,
    pub(crate) deployment: DeploymentSid,
    /// The build that must still be live.
    pub(crate) replaces: Option<BuildSid>,
    /// `None`: the environment goes off the net.
    pub(crate) build: Option<BuildSid>,
    pub(crate) history: Option<Document>,
    /// Pages of the history.
    pub(crate) pages: Vec<Document>,
    /// Where something older is shown now than before, for another reason than an older version at the same path: the youngest
    /// date that was sent there.
    pub(crate) older_than: Option<i64>,
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

impl Catalogue {
    /// Points an environment at a build, if nobody else did meanwhile. With `made`, the build is new, and is added in the same
    /// transaction.
    ///
    /// # Errors
    /// Any [`CatalogueError`].
    pub(crate) async fn deploy(
        &self,
        actor: &Actor,
        new: &NewDeployment,
        made: Option<(&NewBuild, &BuildDocuments)>,
        pointer: impl FnOnce(Version, &Standing) -> Vec<u8> + Send,
    ) -> Result<DeployOutcome, CatalogueError> {
        let mut transaction = self.write().await?;
        if let Some((build, documents)) = made {
            builds::add(&mut transaction, actor, build).await?;
            builds::complete(&mut transaction, &new.account, &build.build, documents, new.created_at).await?;
        }
        builds::add_documents(
            &mut transaction,
            &new.account,
            new.history.iter().chain(&new.pages),
            new.created_at,
        )
        .await?;
        let added = added(&mut transaction, new).await?;
        let older_than = older_than(&mut transaction, new, &added).await?;
        let environment = point(&mut transaction, new, older_than).await?;
        let Some(EnvironmentColumns { deployment_number: number, modified_floor, settings: columns }) =
            environment
        else {
            transaction.rollback().await?;
            return Ok(DeployOutcome::Superseded);
        };
        move_versions(&mut transaction, new, &added, number).await?;
        let standing = Standing {
            manifest: manifest(&mut transaction, new.build.as_ref()).await?,
            history: new.history.map(|history| history.id),
            settings: settings(columns)?,
            modified_floor,
            url_keys: credentials::pointer_keys(&mut transaction, &new.environment).await?,
            aliases: domains::aliases(&mut transaction, new.environment.as_str()).await?,
            is_deleted: false,
            purged: purges::pointer_document(&mut transaction, &new.environment).await?,
        };
        let version =
            events::append(&mut transaction, &new.domain, |version| pointer(version, &standing)).await?;
        sqlx::query(
            "INSERT INTO deployments (sid, environment_sid, number, build_sid, history_hash, epoch, revision, created_at) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        )
        .bind(new.deployment.as_str())
        .bind(new.environment.as_str())
        .bind(number)
        .bind(new.build.as_ref().map(BuildSid::as_str))
        .bind(new.history.map(|history| history.id.hash.as_bytes().to_vec()))
        .bind(signed(version.epoch))
        .bind(signed(version.revision))
        .bind(new.created_at)
        .execute(&mut *transaction)
        .await?;
        audit::append(&mut transaction, actor, Action::Create, new.deployment.as_str(), new.created_at)
            .await?;
        transaction.commit().await?;
        self.announce(version);
        Ok(DeployOutcome::Live(version))
    }
}

/// The manifest of a build as it is now: another may have succeeded the one that the deployment was prepared with.
async fn manifest(
    transaction: &mut Transaction<'static, Sqlite>,
    build: Option<&BuildSid>,
) -> Result<Option<BlobId>, CatalogueError> {
    let Some(build) = build else { return Ok(None) };
    let (hash, size): (Vec<u8>, i64) =
        sqlx::query_as("SELECT hash, size FROM builds JOIN blobs ON hash = manifest_hash WHERE sid = ?1")
            .bind(build.as_str())
            .fetch_one(&mut **transaction)
            .await?;
    Ok(Some(BlobId { hash: Hash::from(bytes_32(&hash)?), size: unsigned(size)? }))
}

/// Numbers of the build's versions that are not live, as a JSON list: a deployment costs what it changes, but for comparing numbers.
async fn added(
    transaction: &mut Transaction<'static, Sqlite>,
    new: &NewDeployment,
) -> Result<String, CatalogueError> {
    Ok(sqlx::query_scalar(
        "SELECT json_group_array(version_number) FROM build_versions b WHERE build_sid = ?2 \
         AND NOT EXISTS (SELECT 1 FROM environment_versions live WHERE live.environment_sid = ?1 \
                         AND live.version_number = b.version_number AND live.last_deployment IS NULL)",
    )
    .bind(new.environment.as_str())
    .bind(new.build.as_ref().map(BuildSid::as_str))
    .fetch_one(&mut **transaction)
    .await?)
}

/// The youngest date that clients may hold of a path at which this deployment puts an older version. What they hold is the greatest
/// version that was ever live there, though another may have been live since.
async fn older_than(
    transaction: &mut Transaction<'static, Sqlite>,
    new: &NewDeployment,
    added: &str,
) -> Result<Option<i64>, CatalogueError> {
    let date: Option<i64> = sqlx::query_scalar(
        "SELECT max(newest.created_at) FROM json_each(?2) JOIN asset_versions v ON v.number = value \
         JOIN environment_paths p ON p.environment_sid = ?1 AND p.path = v.path AND p.version_number > v.number \
         JOIN asset_versions newest ON newest.number = p.version_number",
    )
    .bind(new.environment.as_str())
    .bind(added)
    .fetch_one(&mut **transaction)
    .await?;
    Ok(date.max(new.older_than))
}

/// What a deployment finds in its environment.
#[derive(sqlx::FromRow)]
struct EnvironmentColumns {
    deployment_number: i64,
    modified_floor: i64,
    #[sqlx(flatten)]
    settings: SettingsColumns,
}

/// Points the environment at the build, unless another one is live than the one to be replaced. Where something older is shown, no
/// `Last-Modified` may be one that was sent before: dates are whole seconds, so the floor passes each of them by one.
async fn point(
    transaction: &mut Transaction<'static, Sqlite>,
    new: &NewDeployment,
    older_than: Option<i64>,
) -> Result<Option<EnvironmentColumns>, CatalogueError> {
    Ok(sqlx::query_as(
        "UPDATE environments SET live_build_sid = ?2, deployment_number = deployment_number + 1, \
         modified_floor = CASE WHEN ?4 IS NULL THEN modified_floor ELSE max(?5, ?4 + 1, modified_floor + 1) END \
         WHERE sid = ?1 AND live_build_sid IS ?3 \
         RETURNING deployment_number, modified_floor, post_as_get, untrusted_uploads, public_stale_seconds, \
                   protected_stale_seconds",
    )
    .bind(new.environment.as_str())
    .bind(new.build.as_ref().map(BuildSid::as_str))
    .bind(new.replaces.as_ref().map(BuildSid::as_str))
    .bind(older_than)
    .bind(new.created_at)
    .fetch_optional(&mut **transaction)
    .await?)
}

/// Notes which versions were live until the deployment before `number`, and which are from it on.
async fn move_versions(
    transaction: &mut Transaction<'static, Sqlite>,
    new: &NewDeployment,
    added: &str,
    number: i64,
) -> Result<(), CatalogueError> {
    sqlx::query(
        "UPDATE environment_versions SET last_deployment = ?3 WHERE environment_sid = ?1 AND last_deployment IS NULL \
         AND NOT EXISTS (SELECT 1 FROM build_versions b WHERE b.build_sid = ?2 \
                         AND b.version_number = environment_versions.version_number)",
    )
    .bind(new.environment.as_str())
    .bind(new.build.as_ref().map(BuildSid::as_str))
    .bind(number - 1)
    .execute(&mut **transaction)
    .await?;
    sqlx::query(
        "INSERT INTO environment_versions (environment_sid, version_number, last_deployment) \
         SELECT ?1, value, NULL FROM json_each(?2) WHERE true ON CONFLICT DO UPDATE SET last_deployment = NULL",
    )
    .bind(new.environment.as_str())
    .bind(added)
    .execute(&mut **transaction)
    .await?;
    sqlx::query(
        "INSERT INTO environment_paths (environment_sid, path, version_number) \
         SELECT ?1, v.path, number FROM json_each(?2) JOIN asset_versions v ON number = value WHERE true \
         ON CONFLICT DO UPDATE SET version_number = excluded.version_number \
         WHERE excluded.version_number > version_number",
    )
    .bind(new.environment.as_str())
    .bind(added)
    .execute(&mut **transaction)
    .await?;
    Ok(())
}
