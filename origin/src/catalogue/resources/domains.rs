//! Domains that accounts bring along: claimed by any, had by one.
//!
//! The pointer of an environment names the domains that it has, so each change of these is one more pointer, made of the newest one in
//! the transaction that changes them. Whose a domain is, is for the caller to find out; here only one can have it.

use super::super::{Catalogue, CatalogueError, events};
use super::audit::{self, Action, Actor};
use super::page::{Page, PageWanted};
use crate::sid::{AccountSid, DomainSid, EnvironmentSid};
use skerry_proto::pointer::Version;
use sqlx::{AssertSqlSafe, Sqlite, SqliteConnection, Transaction};

/// A domain that an environment claims or has.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub(crate) struct DomainDetails {
    /// `DN…`
    #[sqlx(try_from = "String")]
    pub(crate) sid: DomainSid,
    #[sqlx(try_from = "String")]
    pub(crate) environment_sid: EnvironmentSid,
    pub(crate) domain_name: String,
    /// Since when it is proven; `None` while it is only claimed.
    pub(crate) verified_at: Option<i64>,
    pub(crate) created_at: i64,
    pub(crate) updated_at: i64,
}

/// What became of a claim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ClaimOutcome {
    /// It is there; it may have been before.
    Claimed(DomainDetails),
    /// The environment has as many domains as it may.
    TooMany,
}

/// Who has a domain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Holder {
    /// An environment that has proven it.
    Proven {
        /// The domain there.
        sid: DomainSid,
        /// Whose environment it is.
        account: AccountSid,
        /// Which one.
        environment: EnvironmentSid,
    },
    /// An environment of which it is the own domain, given out by the origin.
    GivenOut,
}

/// A pointer made of one that was signed before, at a version, with these aliases; `None` for one that this origin did not sign.
type Restamp<'a> = &'a (dyn Fn(&[u8], Version, Vec<String>) -> Option<Vec<u8>> + Send + Sync);

const COLUMNS: &str = "sid, environment_sid, domain_name, verified_at, created_at, updated_at";

impl Catalogue {
    /// Adds a claim, unless the environment has it already, or as many domains as it may.
    ///
    /// # Errors
    /// Any [`CatalogueError`].
    pub(crate) async fn add_domain(
        &self,
        actor: &Actor,
        environment: &EnvironmentSid,
        domain_name: &str,
        count_max: u32,
        now: i64,
    ) -> Result<ClaimOutcome, CatalogueError> {
        let sid = DomainSid::random()?;
        let mut transaction = self.write().await?;
        let there: Option<DomainDetails> = sqlx::query_as(AssertSqlSafe(format!(
            "SELECT {COLUMNS} FROM domains WHERE environment_sid = ?1 AND domain_name = ?2"
        )))
        .bind(environment.as_str())
        .bind(domain_name)
        .fetch_optional(&mut *transaction)
        .await?;
        if let Some(there) = there {
            return Ok(ClaimOutcome::Claimed(there));
        }
        let added: Option<DomainDetails> = sqlx::query_as(AssertSqlSafe(format!(
            "INSERT INTO domains (sid, environment_sid, domain_name, created_at, updated_at) SELECT ?1, ?2, ?3, ?4, ?4 \
             WHERE (SELECT count(*) FROM domains WHERE environment_sid = ?2) < ?5 RETURNING {COLUMNS}"
        )))
        .bind(sid.as_str())
        .bind(environment.as_str())
        .bind(domain_name)
        .bind(now)
        .bind(count_max)
        .fetch_optional(&mut *transaction)
        .await?;
        let Some(added) = added else { return Ok(ClaimOutcome::TooMany) };
        audit::append(&mut transaction, actor, Action::Create, sid.as_str(), now).await?;
        transaction.commit().await?;
        Ok(ClaimOutcome::Claimed(added))
    }

    /// The domains of an environment.
    ///
    /// # Errors
    /// Any [`CatalogueError`].
    pub(crate) async fn list_domains(
        &self,
        environment: &EnvironmentSid,
        wanted: &PageWanted,
    ) -> Result<Page<DomainDetails>, CatalogueError> {
        self.page(COLUMNS, "domains", "environment_sid = ?1", environment.as_str(), wanted).await
    }

    /// A domain of an environment, by SID or name.
    ///
    /// # Errors
    /// Any [`CatalogueError`].
    pub(crate) async fn domain(
        &self,
        environment: &EnvironmentSid,
        name: &str,
    ) -> Result<Option<DomainDetails>, CatalogueError> {
        Ok(sqlx::query_as(AssertSqlSafe(format!(
            "SELECT {COLUMNS} FROM domains WHERE environment_sid = ?1 AND (sid = ?2 OR domain_name = ?2)"
        )))
        .bind(environment.as_str())
        .bind(name)
        .fetch_optional(self.reader())
        .await?)
    }

    /// Who has a domain.
    ///
    /// # Errors
    /// Any [`CatalogueError`].
    pub(crate) async fn domain_holder(&self, domain_name: &str) -> Result<Option<Holder>, CatalogueError> {
        let mut reader = self.reader().acquire().await?;
        holder(&mut reader, domain_name).await
    }

    /// Gives a claimed domain to its environment, from `former` if another one has it; edges learn of it at once. `None` when somebody
    /// else has it than the caller believes, or the claim is gone: nothing is changed then.
    ///
    /// # Errors
    /// Any [`CatalogueError`].
    pub(crate) async fn give_domain(
        &self,
        actor: &Actor,
        domain: &DomainDetails,
        former: Option<&Holder>,
        now: i64,
        restamp: Restamp<'_>,
    ) -> Result<Option<(DomainDetails, Version)>, CatalogueError> {
        let mut transaction = self.write().await?;
        if holder(&mut transaction, &domain.domain_name).await?.as_ref() != former {
            return Ok(None);
        }
        if let Some(Holder::Proven { sid, account, .. }) = former {
            sqlx::query("UPDATE domains SET verified_at = NULL, updated_at = ?2 WHERE sid = ?1")
                .bind(sid.as_str())
                .bind(now)
                .execute(&mut *transaction)
                .await?;
            // It is said in the log of who loses it, too.
            let loser = Actor::origin(account.clone());
            audit::append(&mut transaction, &loser, Action::Update, sid.as_str(), now).await?;
        }
        let given: Option<DomainDetails> = sqlx::query_as(AssertSqlSafe(format!(
            "UPDATE domains SET verified_at = ?2, updated_at = ?2 WHERE sid = ?1 RETURNING {COLUMNS}"
        )))
        .bind(domain.sid.as_str())
        .bind(now)
        .fetch_optional(&mut *transaction)
        .await?;
        let Some(given) = given else { return Ok(None) };
        audit::append(&mut transaction, actor, Action::Update, domain.sid.as_str(), now).await?;
        // The new environment first: edges take the newest word on a name, so at no moment is it nobody's.
        let mut version = point(&mut transaction, &domain.environment_sid, restamp).await?;
        if let Some(Holder::Proven { environment, .. }) = former {
            version = point(&mut transaction, environment, restamp).await?;
        }
        transaction.commit().await?;
        self.announce(version);
        Ok(Some((given, version)))
    }

    /// Takes a domain, claimed or had, from its environment. Edges learn of it where they were told of it. `None` when it was not there
    /// any more; else since when, where edges had to be told.
    ///
    /// # Errors
    /// Any [`CatalogueError`].
    pub(crate) async fn remove_domain(
        &self,
        actor: &Actor,
        domain: &DomainDetails,
        now: i64,
        restamp: Restamp<'_>,
    ) -> Result<Option<Option<Version>>, CatalogueError> {
        let mut transaction = self.write().await?;
        let removed: Option<Option<i64>> =
            sqlx::query_scalar("DELETE FROM domains WHERE sid = ?1 RETURNING verified_at")
                .bind(domain.sid.as_str())
                .fetch_optional(&mut *transaction)
                .await?;
        let Some(verified_at) = removed else { return Ok(None) };
        audit::append(&mut transaction, actor, Action::Delete, domain.sid.as_str(), now).await?;
        let mut version = None;
        if verified_at.is_some() {
            version = Some(point(&mut transaction, &domain.environment_sid, restamp).await?);
        }
        transaction.commit().await?;
        if let Some(version) = version {
            self.announce(version);
        }
        Ok(Some(version))
    }
}

/// The domains that a pointer of an environment names beside its own.
pub(in crate::catalogue) async fn aliases(
    transaction: &mut Transaction<'static, Sqlite>,
    environment: &str,
) -> Result<Vec<String>, CatalogueError> {
    Ok(sqlx::query_scalar(
        "SELECT domain_name FROM domains WHERE environment_sid = ?1 AND verified_at IS NOT NULL ORDER BY domain_name",
    )
    .bind(environment)
    .fetch_all(&mut **transaction)
    .await?)
}

async fn holder(
    connection: &mut SqliteConnection,
    domain_name: &str,
) -> Result<Option<Holder>, CatalogueError> {
    let proven: Option<(String, String, String)> = sqlx::query_as(
        "SELECT domains.sid, account_sid, environment_sid FROM domains \
         JOIN environments ON environments.sid = environment_sid JOIN services ON services.sid = service_sid \
         WHERE domains.domain_name = ?1 AND verified_at IS NOT NULL",
    )
    .bind(domain_name)
    .fetch_optional(&mut *connection)
    .await?;
    if let Some((sid, account, environment)) = proven {
        let (sid, account, environment) = (sid.into(), account.into(), environment.into());
        return Ok(Some(Holder::Proven { sid, account, environment }));
    }
    let given_out: bool =
        sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM environments WHERE domain_name = ?1)")
            .bind(domain_name)
            .fetch_one(connection)
            .await?;
    Ok(given_out.then_some(Holder::GivenOut))
}

/// Appends a pointer to what an environment shows already, with the domains that it has now.
async fn point(
    transaction: &mut Transaction<'static, Sqlite>,
    environment: &EnvironmentSid,
    restamp: Restamp<'_>,
) -> Result<Version, CatalogueError> {
    let aliases = aliases(transaction, environment.as_str()).await?;
    let (domain, newest): (String, Vec<u8>) = sqlx::query_as(
        "SELECT domain_name, pointer FROM environments JOIN pointers ON pointers.domain = domain_name \
         JOIN events USING (revision) WHERE environments.sid = ?1",
    )
    .bind(environment.as_str())
    .fetch_one(&mut **transaction)
    .await?;
    let mut is_damaged = false;
    let stamp = |version| {
        restamp(&newest, version, aliases).unwrap_or_else(|| {
            is_damaged = true;
            Vec::new()
        })
    };
    let version = events::append(transaction, &domain, stamp).await?;
    if is_damaged {
        Err(CatalogueError::Damaged("a pointer is one that this origin signed"))
    } else {
        Ok(version)
    }
}
