//! The catalogue: everything the origin knows but the bytes themselves, in SQLite.
//!
//! Guarantees:
//! - Each operation is one transaction, durable when it returns (`synchronous=FULL`).
//! - One connection writes. Revisions are counted inside the transaction that they name, so their order is the order of commits.
//! - Whoever waits on [`Catalogue::committed`] is woken after every event, and reads the events themselves by revision: nothing is
//!   missed, nothing comes twice.
//!
//! It decides nothing: rules are in `publish`. sqlx is named here and below only.

mod accounts;
mod assets;
mod builds;
mod bundle;
mod console;
mod credentials;
mod deploy;
mod derivations;
mod derived;
mod edges;
mod environments;
mod events;
mod key_sets;
mod past;
mod purges;
mod resources;
mod staleness;

pub(crate) use accounts::{AccountRows, EnvironmentRow, ServiceRow};
pub(crate) use assets::{AssetVersion, NewVersion};
pub(crate) use builds::{BuildDocuments, NewBuild};
pub(crate) use console::{NewSession, Session};
pub(crate) use credentials::{CredentialChange, CredentialRows, token_midstates, token_name};
pub(crate) use deploy::{DeployOutcome, Document, NewDeployment};
pub(crate) use derivations::{DerivationRound, Showing};
pub(crate) use derived::{Derivation, Derived};
pub(crate) use edges::{EdgeRow, JoinOutcome};
pub(crate) use environments::{Settings, Standing};
pub(crate) use key_sets::Rotation;
pub(crate) use past::{Difference, PastVersion};
pub(crate) use purges::{PurgeChange, PurgeRow};
pub(crate) use resources::{
    AccountChange, AccountChanged, AccountDetails, Actor, ApiKey, AuditEntry, AuditFilter, BuildDetails,
    ClaimOutcome, Content, ContentVersion, DeploymentDetails, DomainDetails, EnvironmentDetails,
    EnvironmentUsage, Holder, KeyRevoked, Kind, NamedEnvironment, NamedService, NewContentVersion,
    NewEnvironment, Page, PageWanted, ServiceChange, ServiceDetails, ServiceLimits, Stored, Variable,
};

use crate::blobs::StoredBlob;
use crate::secret::{NoRandomness, random};
use skerry_proto::hash::Hash;
use skerry_proto::pointer::Version;
use skerry_proto::slices::BlobId;
use sqlx::migrate::MigrateError;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{ConnectOptions, Connection, Sqlite, Transaction};
use std::collections::VecDeque;
use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// Connections that read; each is a thread.
const READERS: u32 = 4;

/// How long an operation waits for a connection. Transactions take milliseconds; past this the disk is in trouble.
const WAIT_MAX: Duration = Duration::from_secs(20);

/// Why the catalogue did not answer.
#[derive(Debug, thiserror::Error)]
pub enum CatalogueError {
    /// It was written by a newer program.
    #[error("the catalogue was changed by a newer skerry; use that one")]
    Newer,
    /// The disk is full.
    #[error("no space left on the origin's disk; free some there, then try again")]
    NoSpace,
    /// Too many operations wait for it.
    #[error("the catalogue is overloaded")]
    Busy,
    /// SQLite refuses.
    #[error("the catalogue cannot be read or written")]
    Sql(#[source] sqlx::Error),
    /// A migration failed.
    #[error("the catalogue cannot be brought up to date")]
    Migrate(#[source] MigrateError),
    /// Its file cannot be made.
    #[error("the catalogue cannot be made")]
    Create(#[source] io::Error),
    /// A value is not what this program writes.
    #[error("the catalogue is damaged: {0}")]
    Damaged(&'static str),
    /// No identifiers can be made.
    #[error(transparent)]
    NoRandomness(#[from] NoRandomness),
}

impl CatalogueError {
    fn of_create(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::NoSpace,
            _ => Self::Create(error),
        }
    }

    fn of_migration(error: MigrateError) -> Self {
        match error {
            MigrateError::VersionMissing(_) => Self::Newer,
            MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => error.into(),
            other => Self::Migrate(other),
        }
    }
}

impl From<sqlx::Error> for CatalogueError {
    fn from(error: sqlx::Error) -> Self {
        // Primary result codes of SQLite; the extended ones carry them in their low byte.
        const SQLITE_FULL: i64 = 13;
        // The index of the journal could not grow; only for files does SQLITE_FULL say so.
        const SQLITE_IOERR_SHMSIZE: i64 = 10 | 19 << 8;
        let code = match &error {
            sqlx::Error::Database(database) => database.code().and_then(|code| code.parse::<i64>().ok()),
            sqlx::Error::PoolTimedOut => return Self::Busy,
            _ => None,
        };
        match code {
            Some(code) if code & 0xff == SQLITE_FULL || code == SQLITE_IOERR_SHMSIZE => Self::NoSpace,
            _ => Self::Sql(error),
        }
    }
}

/// The catalogue. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct Catalogue {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    writer: SqlitePool,
    reader: SqlitePool,
    cluster_id: [u8; 16],
    committed: watch::Sender<Version>,
    /// When the newest versions were committed, for those who measure how long edges take to show them.
    times: Mutex<VecDeque<(Version, Instant)>>,
    revoked: purges::Revoked,
}

/// Versions whose time of commit is remembered: those that somebody may still wait for.
const TIMES_MAX: usize = 1024;

impl Catalogue {
    /// Opens the catalogue of a data folder, makes it where it is missing, and brings it up to date.
    ///
    /// # Errors
    /// Any [`CatalogueError`].
    pub(crate) async fn open(data: &Path) -> Result<Self, CatalogueError> {
        let file = data.join("catalogue.sqlite");
        // SQLite would make it readable to others; its journals take their mode from it.
        OpenOptions::new()
            .create(true)
            .append(true)
            .mode(0o600)
            .open(&file)
            .map_err(CatalogueError::of_create)?;
        let options = SqliteConnectOptions::new()
            .filename(&file)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(WAIT_MAX)
            .disable_statement_logging();
        let pool = |connections| {
            SqlitePoolOptions::new()
                .max_connections(connections)
                .acquire_timeout(WAIT_MAX)
                .max_lifetime(None)
                .idle_timeout(None)
                .after_release(|connection, _| {
                    Box::pin(async move {
                        // SQLite ends a transaction by itself when the disk is full. sqlx then believes that one is still
                        // open, and would refuse to begin another: such a connection is given up. The ping waits for the
                        // rollback that was queued before it.
                        connection.ping().await?;
                        Ok(!connection.is_in_transaction())
                    })
                })
        };
        migrate(&options).await?;
        let writer = pool(1).connect_with(options.clone()).await?;
        let reader = pool(READERS).connect_with(options.pragma("query_only", "on")).await?;
        let (cluster_id, version) = cluster(&writer).await?;
        let committed = watch::Sender::new(version);
        let times = Mutex::default();
        let revoked = purges::Revoked::load(&reader).await?;
        Ok(Self { shared: Arc::new(Shared { writer, reader, cluster_id, committed, times, revoked }) })
    }

    /// The cluster that this catalogue is of.
    pub(crate) fn cluster_id(&self) -> [u8; 16] {
        self.shared.cluster_id
    }

    /// The newest committed version, and a wake-up after each.
    pub(crate) fn committed(&self) -> watch::Receiver<Version> {
        self.shared.committed.subscribe()
    }

    /// The newest committed version.
    pub(crate) fn version(&self) -> Version {
        *self.shared.committed.borrow()
    }

    /// When a version was committed, if that was lately and by this process.
    pub(crate) fn committed_at(&self, version: Version) -> Option<Instant> {
        let times = self.shared.times.lock().unwrap_or_else(PoisonError::into_inner);
        times.iter().rev().find(|(committed, _)| *committed == version).map(|(_, at)| *at)
    }

    /// Ends all connections, so that the journal is folded into the catalogue.
    pub(crate) async fn close(&self) {
        self.shared.reader.close().await;
        self.shared.writer.close().await;
    }

    /// The size of a blob that `account` may fill: a retained manifest or history names it.
    ///
    /// # Errors
    /// Any [`CatalogueError`].
    pub(crate) async fn named_blob(
        &self,
        account: &str,
        hash: Hash,
    ) -> Result<Option<BlobId>, CatalogueError> {
        let size: Option<i64> = sqlx::query_scalar(
            "SELECT size FROM named_blobs JOIN blobs ON hash = blob_hash WHERE account_sid = ?1 AND blob_hash = ?2",
        )
        .bind(account)
        .bind(&hash.as_bytes()[..])
        .fetch_optional(self.reader())
        .await?;
        size.map(|size| Ok(BlobId { hash, size: unsigned(size)? })).transpose()
    }

    /// Blobs that are stored: how many, and their bytes.
    ///
    /// # Errors
    /// Any [`CatalogueError`].
    pub(crate) async fn blob_totals(&self) -> Result<(u64, u64), CatalogueError> {
        let (count, bytes): (i64, i64) = sqlx::query_as("SELECT count(*), coalesce(sum(size), 0) FROM blobs")
            .fetch_one(self.reader())
            .await?;
        Ok((unsigned(count)?, unsigned(bytes)?))
    }

    fn reader(&self) -> &SqlitePool {
        &self.shared.reader
    }

    /// A transaction that writes: it has the lock from its start, so it never fails halfway for want of it.
    async fn write(&self) -> Result<Transaction<'static, Sqlite>, CatalogueError> {
        Ok(self.shared.writer.begin_with("BEGIN IMMEDIATE").await?)
    }

    /// Wakes those who wait for events.
    fn announce(&self, version: Version) {
        {
            let mut times = self.shared.times.lock().unwrap_or_else(PoisonError::into_inner);
            times.push_back((version, Instant::now()));
            if times.len() > TIMES_MAX {
                times.pop_front();
            }
        }
        self.shared.committed.send_if_modified(|newest| {
            let is_newer = version > *newest;
            *newest = version.max(*newest);
            is_newer
        });
    }
}

/// Brings a catalogue up to date. Migrations may make tables anew, which references to them would forbid while they are enforced;
/// so they are looked at when all is done (the procedure of SQLite's documentation of ALTER TABLE, section 7).
async fn migrate(options: &SqliteConnectOptions) -> Result<(), CatalogueError> {
    let mut connection = options.clone().foreign_keys(false).connect().await?;
    sqlx::migrate!("./migrations").run(&mut connection).await.map_err(CatalogueError::of_migration)?;
    let broken: Vec<sqlx::sqlite::SqliteRow> =
        sqlx::query("PRAGMA foreign_key_check").fetch_all(&mut connection).await?;
    connection.close().await?;
    if broken.is_empty() { Ok(()) } else { Err(CatalogueError::Damaged("what is referred to is there")) }
}

/// The cluster's row; made in a new catalogue.
async fn cluster(writer: &SqlitePool) -> Result<([u8; 16], Version), CatalogueError> {
    // Epochs count from one: (0, 0) is an edge that knows nothing.
    sqlx::query(
        "INSERT INTO cluster (only_row, id, epoch, revision) VALUES (1, ?1, 1, 0) ON CONFLICT DO NOTHING",
    )
    .bind(&random::<16>()?[..])
    .execute(writer)
    .await?;
    let (id, epoch, revision): (Vec<u8>, i64, i64) =
        sqlx::query_as("SELECT id, epoch, revision FROM cluster").fetch_one(writer).await?;
    let id = id.try_into().map_err(|_| CatalogueError::Damaged("a cluster id has 16 bytes"))?;
    Ok((id, Version { epoch: unsigned(epoch)?, revision: unsigned(revision)? }))
}

/// SQLite has signed integers; ours are sizes and counts, far below their end.
fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn unsigned(number: i64) -> Result<u64, CatalogueError> {
    u64::try_from(number).map_err(|_| CatalogueError::Damaged("a count is not negative"))
}

/// A blob from its columns.
fn stored_blob(hash: &[u8], size: i64, sha256: &[u8]) -> Result<StoredBlob, CatalogueError> {
    let id = BlobId { hash: Hash::from(bytes_32(hash)?), size: unsigned(size)? };
    Ok(StoredBlob { id, sha256: bytes_32(sha256)? })
}

/// Adds the row of a blob that is durable already, unless it is there.
async fn add_blob(
    transaction: &mut Transaction<'static, Sqlite>,
    blob: &StoredBlob,
    created_at: i64,
) -> Result<(), CatalogueError> {
    sqlx::query(
        "INSERT INTO blobs (hash, size, sha256, created_at) VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING",
    )
    .bind(&blob.id.hash.as_bytes()[..])
    .bind(signed(blob.id.size))
    .bind(&blob.sha256[..])
    .bind(created_at)
    .execute(&mut **transaction)
    .await?;
    Ok(())
}

fn bytes_32(bytes: &[u8]) -> Result<[u8; 32], CatalogueError> {
    bytes.try_into().map_err(|_| CatalogueError::Damaged("a hash has 32 bytes"))
}

#[cfg(test)]
mod tests;
