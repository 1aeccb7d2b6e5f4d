//! Domains that accounts bring along: claimed by anyone, had by who proves it, shown by edges from then on.
//!
//! The proof is a TXT record below the domain that names the account. It is looked at once, when the owner asks for that; what was
//! proven stays, also without the record, until its owner gives it up or somebody else proves the domain while the record of the
//! former owner is gone. So a domain that was sold moves on, and one whose records are in order cannot be taken away.

use super::{PublishError, Publisher, unix_seconds};
use crate::catalogue::{Actor, ClaimOutcome, DomainDetails, Holder};
use crate::metrics::DomainProof;
use crate::sid::EnvironmentSid;
use bytes::Bytes;
use prost::Message;
use skerry_proto::domain::{CustomDomain, record_name, record_value};
use skerry_proto::pointer::{Pointer, Version};
use skerry_proto::wire::SignedPointer;
use std::time::SystemTime;

/// Texts that a message shows at most, and how much of each.
const TEXTS_SHOWN_MAX: usize = 3;
const TEXT_SHOWN_MAX: usize = 80;

impl Publisher {
    /// Proofs of domains that are being looked up.
    pub(crate) fn proofs_under_way(&self) -> usize {
        self.shared.dns.lookups()
    }

    /// Claims a domain for an environment; one that it has already is answered as it is.
    ///
    /// # Errors
    /// [`PublishError::InvalidDomain`], [`PublishError::TooManyDomains`], [`PublishError::Catalogue`].
    pub(crate) async fn add_domain(
        &self,
        actor: &Actor,
        environment: &EnvironmentSid,
        name: &str,
    ) -> Result<DomainDetails, PublishError> {
        let domain = CustomDomain::parse(name, &self.shared.naming.base_domain)
            .map_err(|source| PublishError::InvalidDomain { name: shown(name.as_bytes()), source })?;
        let count_max = self.shared.domains.count_max;
        let now = unix_seconds(SystemTime::now());
        let claimed =
            self.shared.catalogue.add_domain(actor, environment, domain.as_str(), count_max, now).await?;
        match claimed {
            ClaimOutcome::Claimed(domain) => Ok(domain),
            ClaimOutcome::TooMany => Err(PublishError::TooManyDomains { count_max }),
        }
    }

    /// A domain of an environment, by SID, or by name in any spelling.
    ///
    /// # Errors
    /// [`PublishError::NoDomain`], [`PublishError::Catalogue`].
    pub(crate) async fn domain(
        &self,
        environment: &EnvironmentSid,
        name: &str,
    ) -> Result<DomainDetails, PublishError> {
        let parsed = CustomDomain::parse(name, &self.shared.naming.base_domain);
        let wanted = parsed.as_ref().map_or(name, CustomDomain::as_str);
        let found = self.shared.catalogue.domain(environment, wanted).await?;
        found.ok_or_else(|| PublishError::NoDomain { name: shown(name.as_bytes()) })
    }

    /// Looks for the proof of a claimed domain, and gives it to its environment. One that it has already is answered as it is, with
    /// nothing to wait for.
    ///
    /// # Errors
    /// [`PublishError::NotProven`], [`PublishError::Held`], [`PublishError::Taken`], [`PublishError::Superseded`],
    /// [`PublishError::Dns`], [`PublishError::Catalogue`]; what edges show stays as it is.
    pub(crate) async fn verify_domain(
        &self,
        actor: &Actor,
        domain: DomainDetails,
    ) -> Result<(DomainDetails, Option<Version>), PublishError> {
        if domain.verified_at.is_some() {
            return Ok((domain, None));
        }
        let proof = self.prove(actor, &domain).await;
        self.shared.metrics.domain_proof(match &proof {
            Ok(_) => DomainProof::Proven,
            Err(PublishError::Dns(_) | PublishError::Catalogue(_)) => DomainProof::Failed,
            Err(_) => DomainProof::Refused,
        });
        let former = proof?;
        let (publisher, actor) = (self.clone(), actor.clone());
        self.to_the_end(async move {
            let now = unix_seconds(SystemTime::now());
            let restamp = |signed: &[u8], version, aliases| publisher.renamed(signed, version, aliases, now);
            let catalogue = &publisher.shared.catalogue;
            let given = catalogue.give_domain(&actor, &domain, former.as_ref(), now, &restamp).await?;
            let (domain, version) = given.ok_or(PublishError::Superseded)?;
            publisher.shared.metrics.version(version);
            Ok((domain, Some(version)))
        })
        .await
    }

    /// Gives up a domain, claimed or had. Edges stop to serve it; since when, where they were told of it.
    ///
    /// # Errors
    /// [`PublishError::NotFound`], [`PublishError::Catalogue`].
    pub(crate) async fn remove_domain(
        &self,
        actor: &Actor,
        domain: DomainDetails,
    ) -> Result<Option<Version>, PublishError> {
        let (publisher, actor) = (self.clone(), actor.clone());
        self.to_the_end(async move {
            let now = unix_seconds(SystemTime::now());
            let restamp = |signed: &[u8], version, aliases| publisher.renamed(signed, version, aliases, now);
            let removed = publisher.shared.catalogue.remove_domain(&actor, &domain, now, &restamp).await?;
            let version =
                removed.ok_or(PublishError::NotFound { noun: "domain", name: domain.domain_name })?;
            if let Some(version) = version {
                publisher.shared.metrics.version(version);
            }
            Ok(version)
        })
        .await
    }

    /// Who has the domain now, and has to give it up to the actor, who has proven it.
    async fn prove(&self, actor: &Actor, domain: &DomainDetails) -> Result<Option<Holder>, PublishError> {
        let record = record_name(&domain.domain_name);
        let found = self.shared.dns.texts(&record).await?;
        let says =
            |account: &str| found.iter().any(|text| text.trim_ascii() == record_value(account).as_bytes());
        if !says(actor.account.as_str()) {
            return Err(PublishError::NotProven {
                domain: domain.domain_name.clone(),
                record,
                value: record_value(actor.account.as_str()),
                found: described(&found),
            });
        }
        let holder = self.shared.catalogue.domain_holder(&domain.domain_name).await?;
        match &holder {
            None => Ok(None),
            Some(Holder::GivenOut) => {
                Err(PublishError::Taken("The origin gave this name to an environment."))
            }
            Some(Holder::Proven { account, environment, .. }) if *account == actor.account => {
                Err(PublishError::Held {
                    domain: domain.domain_name.clone(),
                    by: format!("your environment {environment}; remove it there first"),
                })
            }
            Some(Holder::Proven { account, .. }) if says(account.as_str()) => Err(PublishError::Held {
                domain: domain.domain_name.clone(),
                by: format!(
                    "another account, whose value {record} has as well; take that one away to have it"
                ),
            }),
            Some(Holder::Proven { .. }) => Ok(holder),
        }
    }

    /// A pointer to what one says that this origin signed, with other domains.
    fn renamed(&self, signed: &[u8], version: Version, aliases: Vec<String>, now: i64) -> Option<Vec<u8>> {
        let signed = SignedPointer::decode(Bytes::copy_from_slice(signed)).ok()?;
        let signer = self.shared.keys.signer();
        let pointer = Pointer::open(&signed, &signer.set).ok()?;
        let pointer = Pointer { version, aliases, issued_at: now, ..pointer };
        Some(pointer.sign(&signer.key).encode_to_vec())
    }
}

/// What stands at a record, for the message that says why it does not do.
fn described(found: &[Vec<u8>]) -> String {
    if found.is_empty() {
        return "has no TXT record".to_owned();
    }
    let listed: Vec<_> =
        found.iter().take(TEXTS_SHOWN_MAX).map(|text| format!("{:?}", shown(text))).collect();
    let more = if found.len() > TEXTS_SHOWN_MAX { " and more" } else { "" };
    format!("says {}{more}", listed.join(", "))
}

/// Text from somebody else, as far as it can be shown anywhere.
fn shown(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text);
    text.chars().filter(|c| !c.is_control()).take(TEXT_SHOWN_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_record_says_instead_is_shown_and_cut() {
        let texts = |texts: &[&str]| texts.iter().map(|text| text.as_bytes().to_vec()).collect::<Vec<_>>();
        assert_eq!(described(&[]), "has no TXT record");
        assert_eq!(described(&texts(&["a", "b\n\u{1b}[2J"])), "says \"a\", \"b[2J\"");
        assert_eq!(described(&texts(&["a", "b", "c", "d"])), "says \"a\", \"b\", \"c\" and more");
        assert_eq!(described(&texts(&[&"x".repeat(255)])).len(), TEXT_SHOWN_MAX + "says \"\"".len());
    }
}
