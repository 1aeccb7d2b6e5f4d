//! Environments: made and deleted by their owner. Edges learn of a domain when it is made, so that it answers at once.

use super::pointer::Subject;
use super::{PublishError, Publisher, unix_seconds};
use crate::catalogue::{Actor, EnvironmentDetails, NewEnvironment, ServiceDetails, Standing};
use crate::sid::EnvironmentSid;
use std::time::SystemTime;

/// Characters of a unique name at most.
const UNIQUE_NAME_MAX: usize = 100;

/// Characters of a domain's suffix at most.
const SUFFIX_MAX: usize = 16;

impl Publisher {
    /// Makes an environment that shows nothing yet. Without a suffix it is the one for production.
    ///
    /// # Errors
    /// [`PublishError::Invalid`], [`PublishError::Taken`], [`PublishError::Catalogue`].
    pub(crate) async fn create_environment(
        &self,
        actor: &Actor,
        service: &ServiceDetails,
        unique_name: &str,
        suffix: Option<&str>,
    ) -> Result<EnvironmentDetails, PublishError> {
        check(unique_name, suffix)?;
        let label = match suffix {
            Some(suffix) => format!("{}-{}", service.domain_base, suffix.to_ascii_lowercase()),
            None => service.domain_base.clone(),
        };
        let new = NewEnvironment {
            service: service.sid.clone(),
            sid: EnvironmentSid::random()?,
            unique_name: unique_name.to_owned(),
            domain_suffix: suffix.map(str::to_owned),
            domain_name: format!("{label}.{}", self.shared.naming.base_domain),
            created_at: unix_seconds(SystemTime::now()),
        };
        let (publisher, actor) = (self.clone(), actor.clone());
        self.to_the_end(async move {
            let pointer = |version| {
                let subject =
                    Subject { account: &actor.account, environment: &new.sid, domain: &new.domain_name };
                publisher.signed_pointer(subject, version, &Standing::default(), new.created_at)
            };
            let added = publisher.shared.catalogue.add_environment(&actor, &new, pointer).await?;
            added.ok_or(PublishError::Taken(
                "Environment with this UniqueName or DomainSuffix already exists.",
            ))
        })
        .await
    }

    /// Deletes an environment with all that it has. Its names are those of nobody from then on.
    ///
    /// # Errors
    /// [`PublishError::NotFound`], [`PublishError::Catalogue`].
    pub(crate) async fn delete_environment(
        &self,
        actor: &Actor,
        environment: EnvironmentDetails,
    ) -> Result<(), PublishError> {
        let (publisher, actor) = (self.clone(), actor.clone());
        self.to_the_end(async move {
            let now = unix_seconds(SystemTime::now());
            let pointer = |version| {
                let (environment, domain) = (&environment.sid, environment.domain_name.as_str());
                let subject = Subject { account: &actor.account, environment, domain };
                publisher.signed_pointer(subject, version, &Standing::deleted(), now)
            };
            let catalogue = &publisher.shared.catalogue;
            match catalogue.delete_environment(&actor, &environment, now, pointer).await? {
                true => Ok(()),
                false => {
                    Err(PublishError::NotFound { noun: "environment", name: environment.sid.to_string() })
                }
            }
        })
        .await
    }
}

fn check(unique_name: &str, suffix: Option<&str>) -> Result<(), PublishError> {
    if !(1..=UNIQUE_NAME_MAX).contains(&unique_name.chars().count())
        || unique_name.chars().any(char::is_control)
    {
        return Err(PublishError::Invalid {
            parameter: "UniqueName",
            accepts: "a text of 1 to 100 characters",
        });
    }
    let fits = |suffix: &str| {
        (1..=SUFFIX_MAX).contains(&suffix.len())
            && suffix.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && !suffix.ends_with('-')
    };
    if suffix.is_some_and(|suffix| !fits(suffix)) {
        return Err(PublishError::Invalid {
            parameter: "DomainSuffix",
            accepts: "a text of 1 to 16 letters, digits and hyphens that ends with no hyphen",
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_suffix_is_the_end_of_a_label() {
        for suffix in [None, Some("dev"), Some("Stage-2"), Some("0123456789abcdef")] {
            assert!(check("dev-environment", suffix).is_ok(), "{suffix:?}");
        }
        for suffix in ["", "a.b", "a_b", "dev-", "0123456789abcdefg"] {
            assert!(check("dev-environment", Some(suffix)).is_err(), "{suffix:?}");
        }
        assert!(check("", None).is_err());
        assert!(check(&"x".repeat(101), None).is_err());
    }
}
