//! Settings of an environment: told to its edges at once, by a new pointer to what it shows already.

use super::pointer::Subject;
use super::{Fault, Place, PublishError, Publisher, Target, unix_seconds};
use crate::catalogue::{Actor, Settings};
use skerry_proto::pointer::{StaleRule, Version};
use std::time::{Duration, SystemTime};

/// Longest time past a lease that can be set: a year. Whoever means longer means without end.
const STALE_TIME_MAX: Duration = Duration::from_secs(366 * 86_400);

/// What is to be set; the rest stays.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct SettingsChange {
    pub(crate) post_as_get: Option<bool>,
    pub(crate) untrusted_uploads: Option<bool>,
    pub(crate) public_stale: Option<StaleRule>,
    pub(crate) protected_stale: Option<StaleRule>,
}

impl SettingsChange {
    fn faults(&self) -> Vec<Fault> {
        [("public_stale", self.public_stale), ("protected_stale", self.protected_stale)]
            .into_iter()
            .filter(|(_, rule)| matches!(rule, Some(StaleRule::AtMost(time)) if *time > STALE_TIME_MAX))
            .map(|(key, _)| Fault::StaleTooLong { key, seconds_max: STALE_TIME_MAX.as_secs() })
            .collect()
    }

    fn of(&self, settings: Settings) -> Settings {
        let Settings { mut serving, mut access } = settings;
        serving.post_as_get = self.post_as_get.unwrap_or(serving.post_as_get);
        serving.untrusted_uploads = self.untrusted_uploads.unwrap_or(serving.untrusted_uploads);
        access.public_stale = self.public_stale.unwrap_or(access.public_stale);
        access.protected_stale = self.protected_stale.unwrap_or(access.protected_stale);
        Settings { serving, access }
    }
}

impl Publisher {
    /// Changes settings of an environment. Answers with the environment as it is then, and since when.
    ///
    /// # Errors
    /// [`PublishError::Refused`], [`PublishError::Busy`], those of [`Publisher::place`], [`PublishError::Catalogue`].
    pub(crate) async fn update_environment(
        &self,
        actor: &Actor,
        target: &Target,
        change: SettingsChange,
    ) -> Result<(Place, Version), PublishError> {
        let faults = change.faults();
        if !faults.is_empty() {
            return Err(PublishError::Refused(faults));
        }
        let environment = self.place(&actor.account, target).await?.environment.sid;
        let (publisher, actor, target) = (self.clone(), actor.clone(), target.clone());
        self.to_the_end(async move {
            let _turn = publisher.turn(&environment).await?;
            // Read again: somebody may have changed other settings while this waited.
            let mut place = publisher.place(&actor.account, &target).await?;
            let environment = &mut place.environment;
            environment.settings = change.of(environment.settings);
            let now = unix_seconds(SystemTime::now());
            let (sid, domain) = (&environment.sid, &environment.domain);
            let subject = Subject { account: &actor.account, environment: sid, domain };
            let catalogue = &publisher.shared.catalogue;
            let version = catalogue
                .update_environment(
                    &actor,
                    now,
                    subject.environment,
                    domain,
                    environment.settings,
                    |version, standing| publisher.signed_pointer(subject, version, standing, now),
                )
                .await?;
            publisher.shared.metrics.version(version);
            Ok((place, version))
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_named_stays() {
        let all = SettingsChange {
            post_as_get: Some(true),
            untrusted_uploads: Some(true),
            public_stale: Some(StaleRule::AtMost(Duration::from_secs(5))),
            protected_stale: Some(StaleRule::Unbounded),
        };
        let changed = all.of(Settings::default());
        assert!(changed.serving.post_as_get && changed.serving.untrusted_uploads);
        assert_eq!(changed.access.public_stale, StaleRule::AtMost(Duration::from_secs(5)));
        assert_eq!(changed.access.protected_stale, StaleRule::Unbounded);
        assert_eq!(SettingsChange::default().of(changed), changed);
    }

    #[test]
    fn more_than_a_year_is_refused_with_the_key() {
        let rule = |seconds| Some(StaleRule::AtMost(Duration::from_secs(seconds)));
        let change = SettingsChange { public_stale: rule(366 * 86_400), ..SettingsChange::default() };
        assert_eq!(change.faults(), []);
        let change = SettingsChange { protected_stale: rule(u64::MAX), ..change };
        assert!(matches!(change.faults()[..], [Fault::StaleTooLong { key: "protected_stale", .. }]));
    }
}
