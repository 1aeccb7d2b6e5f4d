//! Accounts: made with a first service and environment.

use super::pointer::Subject;
use super::{PublishError, Publisher, unix_seconds};
use crate::catalogue::{AccountRows, Standing, token_midstates};
use crate::secret::{hex, random, secret_hash};
use crate::sid::{AccountSid, EnvironmentSid, ServiceSid};
use std::time::SystemTime;

/// Unique name of the service and the environment that every account begins with.
const FIRST_NAME: &str = "default";

/// Domains that are tried: names have four random digits, and some may be taken.
const DOMAIN_TRIES: usize = 64;

/// An account as it is shown once, when it is made, with its first service and environment.
#[derive(Clone)]
pub struct NewAccount {
    /// `AC…`
    pub account_sid: String,
    /// A secret.
    pub auth_token: String,
    /// `ZS…`
    pub service_sid: String,
    /// `ZE…`
    pub environment_sid: String,
    /// Domain of the environment, without a port.
    pub domain: String,
}

impl std::fmt::Debug for NewAccount {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NewAccount").field("account_sid", &self.account_sid).finish_non_exhaustive()
    }
}

impl Publisher {
    /// Makes an account with one service and one environment, of whose domain the edges learn at once.
    ///
    /// # Errors
    /// [`PublishError::Catalogue`], [`PublishError::NoRandomness`], [`PublishError::Busy`] when no domain is free.
    pub(crate) async fn create_account(&self, friendly_name: &str) -> Result<NewAccount, PublishError> {
        self.create_account_below(&self.shared.naming.base_domain, friendly_name).await
    }

    /// The same, with the environment named below a domain of the caller's choice.
    ///
    /// # Errors
    /// As [`Self::create_account`].
    pub(crate) async fn create_account_below(
        &self,
        base_domain: &str,
        friendly_name: &str,
    ) -> Result<NewAccount, PublishError> {
        let auth_token = hex(&random::<16>()?);
        let mut rows = AccountRows {
            account: AccountSid::random()?,
            friendly_name: friendly_name.chars().take(256).collect(),
            token_hash: secret_hash(auth_token.as_bytes()),
            token_midstates: token_midstates(&auth_token),
            service: ServiceSid::random()?,
            environment: EnvironmentSid::random()?,
            unique_name: FIRST_NAME.to_owned(),
            domain: String::new(),
            created_at: unix_seconds(SystemTime::now()),
        };
        let (publisher, base_domain) = (self.clone(), base_domain.to_owned());
        self.to_the_end(async move {
            for _ in 0..DOMAIN_TRIES {
                let digits = u16::from_be_bytes(random::<2>()?) % 10_000;
                rows.domain = format!("{FIRST_NAME}-{digits:04}.{base_domain}");
                if publisher.add_account(&rows).await? {
                    return Ok(NewAccount {
                        account_sid: rows.account.into(),
                        auth_token,
                        service_sid: rows.service.into(),
                        environment_sid: rows.environment.into(),
                        domain: rows.domain,
                    });
                }
            }
            Err(PublishError::Busy)
        })
        .await
    }

    async fn add_account(&self, rows: &AccountRows) -> Result<bool, PublishError> {
        let subject =
            Subject { account: &rows.account, environment: &rows.environment, domain: &rows.domain };
        let pointer = |version| self.signed_pointer(subject, version, &Standing::default(), rows.created_at);
        let version = self.shared.catalogue.add_account(rows, pointer).await?;
        Ok(version.is_some())
    }
}
