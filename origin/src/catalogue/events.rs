//! Events: every change that edges are told of, in order, as the signed pointer that tells of it.

use super::{Catalogue, CatalogueError, signed, unsigned};
use crate::sid::AccountSid;
use skerry_proto::pointer::Version;
use sqlx::{Sqlite, Transaction};

/// One change: its revision, and the signed pointer as it travels.
pub(crate) type Event = (u64, Vec<u8>);

impl Catalogue {
    /// At most `limit` events after `revision`, in order.
    ///
    /// # Errors
    /// Any [`CatalogueError`].
    pub(crate) async fn events_after(&self, revision: u64, limit: u32) -> Result<Vec<Event>, CatalogueError> {
        let rows: Vec<(i64, Vec<u8>)> = sqlx::query_as(
            "SELECT revision, pointer FROM events WHERE revision > ?1 ORDER BY revision LIMIT ?2",
        )
        .bind(signed(revision))
        .bind(limit)
        .fetch_all(self.reader())
        .await?;
        rows.into_iter().map(|(revision, pointer)| Ok((unsigned(revision)?, pointer))).collect()
    }

    /// The newest pointer of a domain, as it travels.
    ///
    /// # Errors
    /// Any [`CatalogueError`].
    pub(crate) async fn newest_pointer(&self, domain: &str) -> Result<Option<Vec<u8>>, CatalogueError> {
        Ok(sqlx::query_scalar(
            "SELECT pointer FROM pointers JOIN events USING (revision) WHERE pointers.domain = ?1",
        )
        .bind(domain)
        .fetch_optional(self.reader())
        .await?)
    }

    /// The newest pointer of every domain, and the version at which they are that.
    ///
    /// # Errors
    /// Any [`CatalogueError`].
    pub(crate) async fn snapshot(&self) -> Result<(Version, Vec<Vec<u8>>), CatalogueError> {
        let mut transaction = self.reader().begin().await?;
        let (epoch, revision): (i64, i64) =
            sqlx::query_as("SELECT epoch, revision FROM cluster").fetch_one(&mut *transaction).await?;
        let pointers = sqlx::query_scalar(
            "SELECT pointer FROM pointers JOIN events USING (revision) ORDER BY pointers.domain",
        )
        .fetch_all(&mut *transaction)
        .await?;
        transaction.rollback().await?;
        Ok((Version { epoch: unsigned(epoch)?, revision: unsigned(revision)? }, pointers))
    }
}

/// Appends an event for each pointer of an account, made anew from its last form; the last version, `None` where it has no pointers.
/// `stamp` gives `None` for a pointer that is damaged.
pub(super) async fn restamp(
    transaction: &mut Transaction<'static, Sqlite>,
    account: &AccountSid,
    stamp: impl Fn(&[u8], Version) -> Option<Vec<u8>>,
) -> Result<Option<Version>, CatalogueError> {
    let pointers: Vec<(String, Vec<u8>)> = sqlx::query_as(
        "SELECT pointers.domain, pointer FROM services JOIN environments ON service_sid = services.sid \
         JOIN pointers ON pointers.domain = domain_name JOIN events USING (revision) WHERE account_sid = ?1",
    )
    .bind(account.as_str())
    .fetch_all(&mut **transaction)
    .await?;
    let mut last = None;
    for (domain, pointer) in pointers {
        let mut is_damaged = false;
        let stamp = |version| {
            stamp(&pointer, version).unwrap_or_else(|| {
                is_damaged = true;
                Vec::new()
            })
        };
        last = Some(append(transaction, &domain, stamp).await?);
        if is_damaged {
            return Err(CatalogueError::Damaged("a pointer is one that this origin signed"));
        }
    }
    Ok(last)
}

/// Counts a revision and appends the event that `pointer` makes for it.
pub(super) async fn append(
    transaction: &mut Transaction<'_, Sqlite>,
    domain: &str,
    pointer: impl FnOnce(Version) -> Vec<u8>,
) -> Result<Version, CatalogueError> {
    let (epoch, revision): (i64, i64) =
        sqlx::query_as("UPDATE cluster SET revision = revision + 1 RETURNING epoch, revision")
            .fetch_one(&mut **transaction)
            .await?;
    let version = Version { epoch: unsigned(epoch)?, revision: unsigned(revision)? };
    // What ends the answers of an edge ends with the slacker of both rules; NULL, which stands for no end, is the slackest.
    sqlx::query(
        "INSERT INTO events (revision, epoch, domain, pointer, stale_seconds) VALUES (?1, ?2, ?3, ?4, \
         (SELECT max(public_stale_seconds, protected_stale_seconds) FROM environments WHERE domain_name = ?3))",
    )
        .bind(revision)
        .bind(epoch)
        .bind(domain)
        .bind(pointer(version))
        .execute(&mut **transaction)
        .await?;
    sqlx::query(
        "INSERT INTO pointers (domain, revision) VALUES (?1, ?2) ON CONFLICT DO UPDATE SET revision = excluded.revision",
    )
    .bind(domain)
    .bind(revision)
    .execute(&mut **transaction)
    .await?;
    Ok(version)
}
