//! Services: made, changed and deleted by their owner.

use super::pointer::Subject;
use super::{PublishError, Publisher, pick, unix_seconds};
use crate::catalogue::{Actor, ServiceChange, ServiceDetails, Standing};
use crate::secret::random;
use crate::sid::{AccountSid, EnvironmentSid, ServiceSid};
use std::time::SystemTime;

/// Characters of a unique name at most.
const UNIQUE_NAME_MAX: usize = 50;

/// Characters of a friendly name at most.
const FRIENDLY_NAME_MAX: usize = 255;

/// Characters of a domain's first label at most (RFC 1035 §2.3.4), without four digits, a suffix of 16, and two hyphens.
const LABEL_NAME_MAX: usize = 63 - 4 - 16 - 2;

/// Digits that are tried: some may be taken.
const DIGITS_TRIES: usize = 64;

const TAKEN: PublishError = PublishError::Taken("Service with this UniqueName already exists.");

impl Publisher {
    /// Makes a service without environments.
    ///
    /// # Errors
    /// [`PublishError::Invalid`], [`PublishError::Taken`], [`PublishError::Busy`] when no domain is free, [`PublishError::Catalogue`].
    pub(crate) async fn create_service(
        &self,
        actor: &Actor,
        unique_name: &str,
        settings: ServiceChange,
    ) -> Result<ServiceDetails, PublishError> {
        check_unique_name(unique_name)?;
        check_settings(&settings)?;
        let catalogue = &self.shared.catalogue;
        for _ in 0..DIGITS_TRIES {
            if catalogue.service(&actor.account, unique_name).await?.is_some() {
                return Err(TAKEN);
            }
            let digits = u16::from_be_bytes(random::<2>()?) % 10_000;
            let domain_base = format!("{}-{digits:04}", label(unique_name));
            let now = unix_seconds(SystemTime::now());
            if let Some(service) =
                catalogue.add_service(actor, unique_name, &domain_base, &settings, now).await?
            {
                return Ok(service);
            }
        }
        Err(PublishError::Busy)
    }

    /// The service of this SID or unique name, or the only one there is.
    ///
    /// # Errors
    /// [`PublishError::NotFound`], [`PublishError::Ambiguous`], [`PublishError::Catalogue`].
    pub(crate) async fn service(
        &self,
        account: &AccountSid,
        name: &str,
    ) -> Result<ServiceDetails, PublishError> {
        let catalogue = &self.shared.catalogue;
        if !name.is_empty() {
            let found = catalogue.service(account, name).await?;
            return found.ok_or_else(|| PublishError::NotFound { noun: "service", name: name.to_owned() });
        }
        let services = catalogue.named_services(account).await?;
        Ok(pick("service", services, name, |service| {
            [service.service.sid.as_str(), &service.service.unique_name]
        })?
        .service)
    }

    /// Changes settings and names. The domains of its environments stay what they are.
    ///
    /// # Errors
    /// [`PublishError::Invalid`], [`PublishError::NotFound`], [`PublishError::Taken`], [`PublishError::Catalogue`].
    pub(crate) async fn update_service(
        &self,
        actor: &Actor,
        service: &ServiceSid,
        change: ServiceChange,
    ) -> Result<ServiceDetails, PublishError> {
        check_settings(&change)?;
        change.unique_name.as_deref().map_or(Ok(()), check_unique_name)?;
        let now = unix_seconds(SystemTime::now());
        let catalogue = &self.shared.catalogue;
        if let Some(changed) = catalogue.update_service(actor, service, &change, now).await? {
            return Ok(changed);
        }
        match catalogue.service(&actor.account, service.as_str()).await? {
            Some(_) => Err(TAKEN),
            None => Err(PublishError::NotFound { noun: "service", name: service.to_string() }),
        }
    }

    /// Deletes a service with all that it has. The names of its environments are those of nobody from then on.
    ///
    /// # Errors
    /// [`PublishError::NotFound`], [`PublishError::Catalogue`].
    pub(crate) async fn delete_service(
        &self,
        actor: &Actor,
        service: &ServiceSid,
    ) -> Result<(), PublishError> {
        let (publisher, actor, service) = (self.clone(), actor.clone(), service.clone());
        self.to_the_end(async move {
            let now = unix_seconds(SystemTime::now());
            let pointer = |environment: &EnvironmentSid, domain: &str, version| {
                let subject = Subject { account: &actor.account, environment, domain };
                publisher.signed_pointer(subject, version, &Standing::deleted(), now)
            };
            match publisher.shared.catalogue.delete_service(&actor, &service, now, pointer).await? {
                true => Ok(()),
                false => Err(PublishError::NotFound { noun: "service", name: service.to_string() }),
            }
        })
        .await
    }
}

fn check_settings(settings: &ServiceChange) -> Result<(), PublishError> {
    settings.friendly_name.as_deref().map_or(Ok(()), check_friendly_name)
}

/// Refuses what is no friendly name.
pub(super) fn check_friendly_name(name: &str) -> Result<(), PublishError> {
    if (1..=FRIENDLY_NAME_MAX).contains(&name.chars().count()) && !name.contains('\0') {
        return Ok(());
    }
    Err(PublishError::Invalid { parameter: "FriendlyName", accepts: "a text of 1 to 255 characters" })
}

/// A unique name stands in URLs where a SID could, so it is none, and needs no coding there.
fn check_unique_name(name: &str) -> Result<(), PublishError> {
    let is_sid = name.len() == 34 && name.starts_with("ZS");
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let has_length = (1..=UNIQUE_NAME_MAX).contains(&name.len());
    if has_length && !is_sid && name.chars().all(is_plain) && name.chars().any(|c| c.is_ascii_alphanumeric())
    {
        return Ok(());
    }
    Err(PublishError::Invalid {
        parameter: "UniqueName",
        accepts: "a name of 1 to 50 letters, digits, hyphens, dots and underscores, and not a SID",
    })
}

/// A name as the beginning of a domain's label (RFC 1123 §2.1).
fn label(name: &str) -> String {
    let mut label = String::new();
    for c in name.chars().take(LABEL_NAME_MAX) {
        let c = if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' };
        if c != '-' || !(label.is_empty() || label.ends_with('-')) {
            label.push(c);
        }
    }
    label.trim_end_matches('-').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unique_name_needs_no_coding_and_is_no_sid() {
        for name in ["a", "My_project-1.2", &"x".repeat(50)] {
            assert!(check_unique_name(name).is_ok(), "{name}");
        }
        let sid = format!("ZS{}", "0".repeat(32));
        for name in ["", "-", "a b", "a/b", "caf\u{e9}", &sid, &"x".repeat(51)] {
            assert!(check_unique_name(name).is_err(), "{name}");
        }
    }

    #[test]
    fn a_name_becomes_a_label_that_leaves_room_for_digits_and_a_suffix() {
        assert_eq!(label("My_project..1"), "my-project-1");
        assert_eq!(label("-a-"), "a");
        assert_eq!(label(&"x".repeat(50)).len(), LABEL_NAME_MAX);
        assert_eq!("-1234-".len() + LABEL_NAME_MAX + 16, 63);
    }
}
