//! Accounts: made with a first service and environment, and recognised by their tokens.

use super::pointer::Subject;
use super::{PublishError, Publisher, unix_seconds};
use crate::catalogue::{AccountRows, Standing};
use crate::secret::{hex, random, secret_hash};
use crate::sid::{AccountSid, EnvironmentSid, ServiceSid};
use aws_lc_rs::constant_time::verify_slices_are_equal;
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

/// Who calls: an account that showed one of its tokens or API keys.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    pub(crate) account: AccountSid,
    pub(crate) is_operator: bool,
    /// What it was recognised by: `auth_token`, or the SID of an API key.
    pub(crate) credential: String,
}

impl Publisher {
    /// Makes an account with one service and one environment, of whose domain the edges learn at once.
    ///
    /// # Errors
    /// [`PublishError::Catalogue`], [`PublishError::NoRandomness`], [`PublishError::Busy`] when no domain is free.
    pub(crate) async fn create_account(&self, friendly_name: &str) -> Result<NewAccount, PublishError> {
        let auth_token = hex(&random::<16>()?);
        let mut rows = AccountRows {
            account: AccountSid::random()?,
            friendly_name: friendly_name.chars().take(256).collect(),
            token_hash: secret_hash(auth_token.as_bytes()),
            service: ServiceSid::random()?,
            environment: EnvironmentSid::random()?,
            unique_name: FIRST_NAME.to_owned(),
            domain: String::new(),
            created_at: unix_seconds(SystemTime::now()),
        };
        let publisher = self.clone();
        self.to_the_end(async move {
            for _ in 0..DOMAIN_TRIES {
                let digits = u16::from_be_bytes(random::<2>()?) % 10_000;
                rows.domain = format!("{FIRST_NAME}-{digits:04}.{}", publisher.shared.naming.base_domain);
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

    /// Recognises an account by one of its tokens or API keys. `None` says nothing about whether there is such an account or key.
    ///
    /// # Errors
    /// [`PublishError::Catalogue`].
    pub(crate) async fn authenticate(&self, sid: &str, secret: &str) -> Result<Option<Caller>, PublishError> {
        let shown = secret_hash(secret.as_bytes());
        let (known, hashes) = if sid.starts_with("SK") {
            let key = self.shared.catalogue.api_key(sid).await?;
            let hash = key.as_ref().map(|(.., hash)| vec![*hash]);
            (key.map(|(account, is_operator, _)| (account, is_operator, sid.to_owned())), hash)
        } else {
            let account = self.shared.catalogue.account(sid).await?;
            let hashes = account.as_ref().map(|account| account.token_hashes.clone());
            (account.map(|account| (account.sid, account.is_operator, "auth_token".to_owned())), hashes)
        };
        // What does not exist takes the same comparison.
        let hashes = hashes.unwrap_or_else(|| vec![[0; 32]]);
        let is_right =
            hashes.iter().fold(false, |right, hash| right | verify_slices_are_equal(&shown, hash).is_ok());
        let caller = |(account, is_operator, credential)| Caller { account, is_operator, credential };
        Ok(known.filter(|_| is_right).map(caller))
    }
}
