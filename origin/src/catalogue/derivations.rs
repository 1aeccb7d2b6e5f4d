//! Builds that coded forms are still to join: completed ones, shown or not, whose assets are not all compressed yet.
//!
//! They are worked on in rounds, so that none waits for the end of another. A round is counted when it begins, and the count goes back
//! when it ends: what ends the process each time it is tried is known after some starts.

use super::builds::{self, BuildDocuments};
use super::environments::{self, Standing};
use super::{Catalogue, CatalogueError, events, signed, unsigned};
use crate::sid::{AccountSid, BuildSid, EnvironmentSid};
use skerry_proto::hash::Hash;
use skerry_proto::pointer::Version;
use sqlx::{Sqlite, Transaction};
use std::time::Duration;

/// A build whose round begins.
#[derive(Debug, Clone)]
pub(crate) struct DerivationRound {
    pub(crate) account: AccountSid,
    pub(crate) build: BuildSid,
    /// The manifest that it has.
    pub(crate) manifest: Hash,
    /// Rounds that were begun and not ended before this one.
    pub(crate) failed_attempts: u64,
    /// Processor time that was spent on it so far.
    pub(crate) cpu_time: Duration,
}

/// An environment whose pointer is made anew.
#[derive(Debug, Clone, sqlx::FromRow)]
pub(crate) struct Showing {
    #[sqlx(try_from = "String")]
    pub(crate) environment: EnvironmentSid,
    pub(crate) domain: String,
}

type RoundRow = (String, String, Vec<u8>, i64, i64);

impl Catalogue {
    /// Begins a round of the build that has waited longest; of those that have had none, of what is shown first, then of the newest.
    ///
    /// # Errors
    /// Any [`CatalogueError`].
    pub(crate) async fn begin_derivation_round(&self) -> Result<Option<DerivationRound>, CatalogueError> {
        let mut transaction = self.write().await?;
        // Nobody can deploy a build that was deleted.
        sqlx::query(
            "DELETE FROM derivations WHERE build_sid IN (SELECT sid FROM derivations JOIN builds ON sid = build_sid \
             WHERE is_deleted = 1)",
        )
        .execute(&mut *transaction)
        .await?;
        let row: Option<RoundRow> = sqlx::query_as(
            "SELECT account_sid, builds.sid, manifest_hash, attempts, cpu_milliseconds FROM derivations \
             JOIN builds ON builds.sid = build_sid JOIN services ON services.sid = service_sid \
             ORDER BY turn, EXISTS (SELECT 1 FROM environments WHERE live_build_sid = build_sid) DESC, builds.rowid DESC \
             LIMIT 1",
        )
        .fetch_optional(&mut *transaction)
        .await?;
        let round = row.map(|(account, build, manifest, attempts, cpu_milliseconds)| {
            Ok::<_, CatalogueError>(DerivationRound {
                account: account.into(),
                build: build.into(),
                manifest: Hash::from(super::bytes_32(&manifest)?),
                failed_attempts: unsigned(attempts)?,
                cpu_time: Duration::from_millis(unsigned(cpu_milliseconds)?),
            })
        });
        let round = round.transpose()?;
        if let Some(round) = &round {
            sqlx::query(
                "UPDATE derivations SET attempts = attempts + 1, turn = 1 + (SELECT max(turn) FROM derivations) \
                 WHERE build_sid = ?1",
            )
            .bind(round.build.as_str())
            .execute(&mut *transaction)
            .await?;
        }
        transaction.commit().await?;
        Ok(round)
    }

    /// Ends a round: the manifest of the build is succeeded, and every environment that shows the build gets a pointer to the new
    /// one, in one transaction. With the same manifest, or where the build is gone, nothing of that changes. The newest version, if
    /// there is one.
    ///
    /// # Errors
    /// Any [`CatalogueError`].
    pub(crate) async fn end_derivation_round(
        &self,
        round: &DerivationRound,
        documents: &BuildDocuments,
        now: i64,
        pointer: impl Fn(&Showing, Version, &Standing) -> Vec<u8> + Send + Sync,
    ) -> Result<Option<Version>, CatalogueError> {
        let mut transaction = self.write().await?;
        let mut newest = None;
        let succeeded = documents.manifest.id.hash != round.manifest
            && succeed(&mut transaction, round, documents, now).await?;
        if succeeded {
            let showing: Vec<Showing> = sqlx::query_as(
                "SELECT sid AS environment, domain_name AS domain FROM environments WHERE live_build_sid = ?1 ORDER BY domain_name",
            )
            .bind(round.build.as_str())
            .fetch_all(&mut *transaction)
            .await?;
            for shown in showing {
                let standing = environments::standing(&mut transaction, &shown.environment).await?;
                let stamp = |version| pointer(&shown, version, &standing);
                newest = Some(events::append(&mut transaction, &shown.domain, stamp).await?);
            }
        }
        match documents.unfinished {
            Some(cpu_time) => {
                sqlx::query(
                    "UPDATE derivations SET attempts = 0, cpu_milliseconds = ?2 WHERE build_sid = ?1",
                )
                .bind(round.build.as_str())
                .bind(milliseconds(cpu_time))
                .execute(&mut *transaction)
                .await?;
            }
            None => remove(&mut transaction, &round.build).await?,
        }
        transaction.commit().await?;
        if let Some(version) = newest {
            self.announce(version);
        }
        Ok(newest)
    }

    /// Leaves a build with the coded forms that it has.
    ///
    /// # Errors
    /// Any [`CatalogueError`].
    pub(crate) async fn give_up_derivation(&self, build: &BuildSid) -> Result<(), CatalogueError> {
        let mut transaction = self.write().await?;
        remove(&mut transaction, build).await?;
        Ok(transaction.commit().await?)
    }

    /// How many builds wait for coded forms.
    ///
    /// # Errors
    /// Any [`CatalogueError`].
    pub(crate) async fn derivation_count(&self) -> Result<u64, CatalogueError> {
        let count: i64 =
            sqlx::query_scalar("SELECT count(*) FROM derivations").fetch_one(self.reader()).await?;
        unsigned(count)
    }
}

/// Notes that coded forms are to join a build.
pub(super) async fn add(
    transaction: &mut Transaction<'static, Sqlite>,
    build: &BuildSid,
    cpu_time: Duration,
) -> Result<(), CatalogueError> {
    sqlx::query("INSERT INTO derivations (build_sid, cpu_milliseconds) VALUES (?1, ?2)")
        .bind(build.as_str())
        .bind(milliseconds(cpu_time))
        .execute(&mut **transaction)
        .await?;
    Ok(())
}

async fn remove(
    transaction: &mut Transaction<'static, Sqlite>,
    build: &BuildSid,
) -> Result<(), CatalogueError> {
    sqlx::query("DELETE FROM derivations WHERE build_sid = ?1")
        .bind(build.as_str())
        .execute(&mut **transaction)
        .await?;
    Ok(())
}

/// Gives a build its next manifest, unless it is gone.
async fn succeed(
    transaction: &mut Transaction<'static, Sqlite>,
    round: &DerivationRound,
    documents: &BuildDocuments,
    now: i64,
) -> Result<bool, CatalogueError> {
    let is_there: bool = sqlx::query_scalar(
        "SELECT EXISTS (SELECT 1 FROM builds WHERE sid = ?1 AND manifest_hash = ?2 AND is_deleted = 0)",
    )
    .bind(round.build.as_str())
    .bind(&round.manifest.as_bytes()[..])
    .fetch_one(&mut **transaction)
    .await?;
    if is_there {
        builds::add_manifest(transaction, &round.account, documents, now).await?;
        sqlx::query("UPDATE builds SET manifest_hash = ?2 WHERE sid = ?1")
            .bind(round.build.as_str())
            .bind(&documents.manifest.id.hash.as_bytes()[..])
            .execute(&mut **transaction)
            .await?;
    }
    Ok(is_there)
}

fn milliseconds(time: Duration) -> i64 {
    signed(u64::try_from(time.as_millis()).unwrap_or(u64::MAX))
}
