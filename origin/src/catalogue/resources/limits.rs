//! What a service may hold, where that is not what the configuration says.

use super::super::{Catalogue, CatalogueError, signed, unsigned};
use super::audit::{self, Action, Actor};
use crate::sid::{AccountSid, ServiceSid};
use sqlx::SqliteConnection;

/// What was set for one service; `None` where the configuration holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct ServiceLimits {
    pub(crate) served_size_max: Option<u64>,
    pub(crate) served_count_max: Option<u64>,
    pub(crate) private_size_max: Option<u64>,
    pub(crate) private_count_max: Option<u64>,
}

impl ServiceLimits {
    /// Each limit with its name.
    pub(crate) fn named(&self) -> [(&'static str, Option<u64>); 4] {
        [
            ("served_size_max", self.served_size_max),
            ("served_count_max", self.served_count_max),
            ("private_size_max", self.private_size_max),
            ("private_count_max", self.private_count_max),
        ]
    }
}

impl Catalogue {
    /// What was set for a service; nothing for one that is gone.
    ///
    /// # Errors
    /// Any [`CatalogueError`].
    pub(crate) async fn service_limits(&self, service: &ServiceSid) -> Result<ServiceLimits, CatalogueError> {
        let mut reader = self.reader().acquire().await?;
        Ok(limits(&mut reader, service).await?.unwrap_or_default())
    }

    /// Sets what a service may hold, as `change` makes it of what was set before: `None` when the service is gone.
    ///
    /// # Errors
    /// Any [`CatalogueError`].
    pub(crate) async fn set_service_limits(
        &self,
        actor: &Actor,
        owner: &AccountSid,
        service: &ServiceSid,
        change: impl FnOnce(ServiceLimits) -> ServiceLimits + Send,
        now: i64,
    ) -> Result<Option<ServiceLimits>, CatalogueError> {
        let mut transaction = self.write().await?;
        let Some(before) = limits(&mut transaction, service).await? else { return Ok(None) };
        let after = change(before);
        sqlx::query(
            "UPDATE services SET served_size_max = ?2, served_count_max = ?3, private_size_max = ?4, private_count_max = ?5 \
             WHERE sid = ?1",
        )
        .bind(service.as_str())
        .bind(after.served_size_max.map(signed))
        .bind(after.served_count_max.map(signed))
        .bind(after.private_size_max.map(signed))
        .bind(after.private_count_max.map(signed))
        .execute(&mut *transaction)
        .await?;
        let (action, subject) = (Action::Update, service.as_str());
        audit::append_for_owner(&mut transaction, actor, owner, action, subject, &detail(before, after), now)
            .await?;
        transaction.commit().await?;
        Ok(Some(after))
    }

    /// The account of a service, by SID.
    ///
    /// # Errors
    /// Any [`CatalogueError`].
    pub(crate) async fn service_owner(&self, sid: &str) -> Result<Option<AccountSid>, CatalogueError> {
        let owner: Option<String> = sqlx::query_scalar("SELECT account_sid FROM services WHERE sid = ?1")
            .bind(sid)
            .fetch_optional(self.reader())
            .await?;
        Ok(owner.map(Into::into))
    }
}

type Row = (Option<i64>, Option<i64>, Option<i64>, Option<i64>);

async fn limits(
    connection: &mut SqliteConnection,
    service: &ServiceSid,
) -> Result<Option<ServiceLimits>, CatalogueError> {
    let row: Option<Row> = sqlx::query_as(
        "SELECT served_size_max, served_count_max, private_size_max, private_count_max FROM services WHERE sid = ?1",
    )
    .bind(service.as_str())
    .fetch_optional(connection)
    .await?;
    let limit = |value: Option<i64>| value.map(unsigned).transpose();
    row.map(|(served_size, served_count, private_size, private_count)| {
        Ok(ServiceLimits {
            served_size_max: limit(served_size)?,
            served_count_max: limit(served_count)?,
            private_size_max: limit(private_size)?,
            private_count_max: limit(private_count)?,
        })
    })
    .transpose()
}

/// What the audit log says: what changed.
fn detail(before: ServiceLimits, after: ServiceLimits) -> String {
    let changed = before.named().into_iter().zip(after.named()).filter(|(before, after)| before != after);
    let said = changed.map(|(_, (name, value))| match value {
        Some(value) => format!("{name}={value}"),
        None => format!("{name}=default"),
    });
    said.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_audit_log_says_what_changed() {
        let before = ServiceLimits { served_count_max: Some(7), ..ServiceLimits::default() };
        let after = ServiceLimits { private_count_max: Some(20), ..ServiceLimits::default() };
        assert_eq!(detail(before, after), "served_count_max=default private_count_max=20");
        assert_eq!(detail(before, before), "");
    }
}
