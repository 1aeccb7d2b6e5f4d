//! How long an edge may go on serving that did not take the newest pointers: by the rules of those that it may hold.

use super::{Catalogue, CatalogueError, signed, unsigned};
use skerry_proto::pointer::{StaleRule, Version};
use std::time::Duration;

impl Catalogue {
    /// The slackest rule that an edge may go by which acknowledged everything up to `acked` and nothing after, for what changed since then
    /// up to `version` in the account that `version` is of. It may hold any pointer from the one that was the newest at `acked` on.
    /// [`StaleRule::Unbounded`] where that is not known, too.
    ///
    /// # Errors
    /// Any [`CatalogueError`].
    pub(crate) async fn slackest_rule(
        &self,
        version: Version,
        acked: Version,
    ) -> Result<StaleRule, CatalogueError> {
        let acked = if acked.epoch == version.epoch { acked.revision } else { 0 };
        let (count, unbounded, seconds): (i64, i64, Option<i64>) = sqlx::query_as(SLACKEST)
            .bind(signed(version.revision))
            .bind(signed(acked))
            .fetch_one(self.reader())
            .await?;
        match seconds {
            Some(seconds) if count > 0 && unbounded == 0 => {
                Ok(StaleRule::AtMost(Duration::from_secs(unsigned(seconds)?)))
            }
            _ => Ok(StaleRule::Unbounded),
        }
    }
}

/// ?1: the version, ?2: what was acknowledged. A change of an account's keys is a pointer for each of its environments, of which the
/// version is the last: so all domains of the account are looked at that changed.
const SLACKEST: &str = "\
WITH told (domain) AS ( \
    SELECT domain FROM events WHERE revision = ?1 \
    UNION SELECT of_account.domain_name FROM events \
    JOIN environments ON environments.domain_name = events.domain \
    JOIN services ON services.sid = environments.service_sid \
    JOIN services siblings ON siblings.account_sid = services.account_sid \
    JOIN environments of_account ON of_account.service_sid = siblings.sid WHERE events.revision = ?1), \
changed (domain, newest, held) AS ( \
    SELECT domain, (SELECT max(revision) FROM events WHERE events.domain = told.domain AND revision <= ?1), \
           coalesce((SELECT max(revision) FROM events WHERE events.domain = told.domain AND revision <= ?2), 0) FROM told) \
SELECT count(*), coalesce(sum(stale_seconds IS NULL), 0), max(stale_seconds) FROM changed \
JOIN events ON events.domain = changed.domain AND events.revision >= held AND events.revision < newest WHERE newest > ?2";
