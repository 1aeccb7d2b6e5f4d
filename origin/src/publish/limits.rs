//! What a service may hold: as the configuration says, unless an operator set something else for it.

use super::{PublishError, Publisher, unix_seconds};
use crate::catalogue::{Actor, ServiceLimits};
use crate::config::Limits;
use crate::sid::{AccountSid, ServiceSid};
use skerry_proto::slices::BLOB_SIZE_MAX;
use std::time::SystemTime;

/// Paths that a limit allows at most: what the configuration takes, too.
const COUNT_MAX: u64 = 10_000_000;

/// What becomes of one limit of a service.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum LimitChange {
    /// It stays.
    #[default]
    Keep,
    /// It is what the configuration says.
    Default,
    /// It is this.
    To(u64),
}

impl LimitChange {
    const fn of(self, before: Option<u64>) -> Option<u64> {
        match self {
            Self::Keep => before,
            Self::Default => None,
            Self::To(limit) => Some(limit),
        }
    }

    const fn is_within(self, max: u64) -> bool {
        match self {
            Self::Keep | Self::Default => true,
            Self::To(limit) => 1 <= limit && limit <= max,
        }
    }
}

/// What becomes of the limits of a service.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct LimitsChange {
    pub(crate) served_size_max: LimitChange,
    pub(crate) served_count_max: LimitChange,
    pub(crate) private_size_max: LimitChange,
    pub(crate) private_count_max: LimitChange,
}

impl LimitsChange {
    fn check(&self) -> Result<(), PublishError> {
        let size = "a number of bytes from 1 to 1099511627776, or nothing for the origin's default";
        let count = "a number of paths from 1 to 10000000, or nothing for the origin's default";
        let rules = [
            ("ServedSizeMax", self.served_size_max, BLOB_SIZE_MAX, size),
            ("ServedCountMax", self.served_count_max, COUNT_MAX, count),
            ("PrivateSizeMax", self.private_size_max, BLOB_SIZE_MAX, size),
            ("PrivateCountMax", self.private_count_max, COUNT_MAX, count),
        ];
        match rules.into_iter().find(|(_, change, max, _)| !change.is_within(*max)) {
            Some((parameter, _, _, accepts)) => Err(PublishError::Invalid { parameter, accepts }),
            None => Ok(()),
        }
    }

    fn of(&self, before: ServiceLimits) -> ServiceLimits {
        ServiceLimits {
            served_size_max: self.served_size_max.of(before.served_size_max),
            served_count_max: self.served_count_max.of(before.served_count_max),
            private_size_max: self.private_size_max.of(before.private_size_max),
            private_count_max: self.private_count_max.of(before.private_count_max),
        }
    }
}

/// The limits of a service, and which of them were set for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LimitsOfService {
    pub(crate) limits: Limits,
    pub(crate) set: ServiceLimits,
}

impl Publisher {
    /// What a service may hold.
    ///
    /// # Errors
    /// [`PublishError::Catalogue`].
    pub(crate) async fn limits(&self, service: &ServiceSid) -> Result<LimitsOfService, PublishError> {
        let set = self.shared.catalogue.service_limits(service).await?;
        Ok(LimitsOfService { limits: self.shared.limits.but(set), set })
    }

    /// Sets what a service may hold, for an operator. What it holds already stays.
    ///
    /// # Errors
    /// [`PublishError::Invalid`], [`PublishError::NotFound`] when the service is gone, [`PublishError::Catalogue`].
    pub(crate) async fn set_limits(
        &self,
        actor: &Actor,
        owner: &AccountSid,
        service: &ServiceSid,
        change: LimitsChange,
    ) -> Result<LimitsOfService, PublishError> {
        change.check()?;
        let now = unix_seconds(SystemTime::now());
        let set =
            self.shared.catalogue.set_service_limits(actor, owner, service, |before| change.of(before), now);
        let set = set.await?;
        let set = set.ok_or_else(|| PublishError::NotFound { noun: "service", name: service.to_string() })?;
        Ok(LimitsOfService { limits: self.shared.limits.but(set), set })
    }
}

impl Limits {
    /// These, but for what was set.
    fn but(self, set: ServiceLimits) -> Self {
        Self {
            served_size_max: set.served_size_max.unwrap_or(self.served_size_max),
            served_count_max: set.served_count_max.unwrap_or(self.served_count_max),
            private_size_max: set.private_size_max.unwrap_or(self.private_size_max),
            private_count_max: set.private_count_max.unwrap_or(self.private_count_max),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_set_holds_and_the_rest_is_as_configured() {
        let change = LimitsChange { served_count_max: LimitChange::To(1000), ..LimitsChange::default() };
        let set = change.of(ServiceLimits { private_count_max: Some(3), ..ServiceLimits::default() });
        let limits = Limits::default().but(set);
        assert_eq!((limits.served_count_max, limits.private_count_max), (1000, 3));
        assert_eq!(limits.served_size_max, Limits::default().served_size_max);
        let back = LimitsChange { served_count_max: LimitChange::Default, ..LimitsChange::default() };
        assert_eq!(back.of(set).served_count_max, None);
        assert_eq!(back.of(set).private_count_max, Some(3));
    }

    #[test]
    fn a_limit_is_within_what_the_configuration_takes() {
        let size =
            |limit| LimitsChange { served_size_max: LimitChange::To(limit), ..LimitsChange::default() };
        assert!(size(BLOB_SIZE_MAX).check().is_ok());
        assert!(size(0).check().is_err() && size(BLOB_SIZE_MAX + 1).check().is_err());
        let count =
            |limit| LimitsChange { private_count_max: LimitChange::To(limit), ..LimitsChange::default() };
        assert!(count(COUNT_MAX).check().is_ok());
        assert!(count(0).check().is_err() && count(COUNT_MAX + 1).check().is_err());
    }
}
