//! Keys of the API (`SK…`), and accounts that take nothing else.
//!
//! A key stands for its account in place of an auth token. Its secret is told once; only a hash is kept. An account that takes keys only
//! has one at any time: neither can it become so without, nor can its last one be revoked.

use super::{AuthError, Caller, CredentialError, Credentials};
use crate::catalogue::{
    AccountChange, AccountChanged, AccountDetails, Actor, ApiKey, KeyRevoked, Page, PageWanted,
};
use crate::publish::unix_seconds;
use crate::secret::{hex, random, secret_hash};
use crate::sid::{AccountSid, ApiKeySid};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use std::time::SystemTime;

/// Characters of a key's or an account's name at most.
const NAME_MAX: usize = 255;

impl Credentials {
    pub(super) async fn by_api_key(&self, sid: &str, secret: &str) -> Result<Option<Caller>, AuthError> {
        let shown = secret_hash(secret.as_bytes());
        let key = self.catalogue.api_key_secret(sid).await?;
        // A key that does not exist takes the same comparison.
        let known = key.as_ref().map_or([0; 32], |key| key.hash);
        let is_right = verify_slices_are_equal(&shown, &known).is_ok();
        let caller = |account, is_operator| Caller { account, is_operator, credential: sid.to_owned() };
        Ok(key.filter(|_| is_right).map(|key| caller(key.account, key.is_operator)))
    }

    /// Makes a key: what it is listed as, and its secret.
    ///
    /// # Errors
    /// [`CredentialError::InvalidName`], [`CredentialError::TooMany`], and those of making it.
    pub(crate) async fn create_api_key(
        &self,
        actor: &Actor,
        friendly_name: &str,
    ) -> Result<(ApiKey, String), CredentialError> {
        check_name(friendly_name)?;
        let (sid, secret) = (ApiKeySid::random()?, hex(&random::<32>()?));
        let hash = secret_hash(secret.as_bytes());
        let (this, actor, friendly_name) = (self.clone(), actor.clone(), friendly_name.to_owned());
        let limit = this.api_key_count_max;
        let key = self.to_the_end(async move {
            let now = unix_seconds(SystemTime::now());
            Ok(this.catalogue.add_api_key(&actor, &sid, &friendly_name, &hash, limit, now).await?)
        });
        let Some(key) = key.await? else {
            self.metrics.api_key_refusals.increment(1);
            return Err(CredentialError::TooMany { limit: usize::try_from(limit).unwrap_or(usize::MAX) });
        };
        Ok((key, secret))
    }

    /// The keys of an account that are not revoked.
    ///
    /// # Errors
    /// [`CredentialError::Catalogue`].
    pub(crate) async fn api_keys(
        &self,
        account: &AccountSid,
        wanted: &PageWanted,
    ) -> Result<Page<ApiKey>, CredentialError> {
        Ok(self.catalogue.list_api_keys(account, wanted).await?)
    }

    /// Names a key anew.
    ///
    /// # Errors
    /// [`CredentialError::InvalidName`], [`CredentialError::NotFound`], [`CredentialError::Catalogue`].
    pub(crate) async fn rename_api_key(
        &self,
        actor: &Actor,
        sid: &str,
        friendly_name: &str,
    ) -> Result<ApiKey, CredentialError> {
        check_name(friendly_name)?;
        let now = unix_seconds(SystemTime::now());
        let key = self.catalogue.rename_api_key(actor, sid, friendly_name, now).await?;
        key.ok_or_else(|| CredentialError::NotFound { id: sid.to_owned() })
    }

    /// Revokes a key, at once.
    ///
    /// # Errors
    /// [`CredentialError::NotFound`], [`CredentialError::OnlyKey`], [`CredentialError::Catalogue`].
    pub(crate) async fn revoke_api_key(&self, actor: &Actor, sid: &str) -> Result<(), CredentialError> {
        let (this, actor, key) = (self.clone(), actor.clone(), sid.to_owned());
        let revoked = self.to_the_end(async move {
            Ok(this.catalogue.revoke_api_key(&actor, &key, unix_seconds(SystemTime::now())).await?)
        });
        match revoked.await? {
            KeyRevoked::Revoked => Ok(()),
            KeyRevoked::NotFound => Err(CredentialError::NotFound { id: sid.to_owned() }),
            KeyRevoked::Last => Err(CredentialError::OnlyKey),
        }
    }

    /// Changes an account, the actor's own or, for an operator, any.
    ///
    /// # Errors
    /// [`CredentialError::InvalidName`], [`CredentialError::NoKey`], [`CredentialError::NotFound`], [`CredentialError::Catalogue`].
    pub(crate) async fn update_account(
        &self,
        actor: &Actor,
        account: &AccountSid,
        change: AccountChange,
    ) -> Result<AccountDetails, CredentialError> {
        if let Some(name) = change.friendly_name.as_deref() {
            check_name(name)?;
        }
        let (this, actor, sid) = (self.clone(), actor.clone(), account.clone());
        let changed = self.to_the_end(async move {
            Ok(this.catalogue.update_account(&actor, &sid, &change, unix_seconds(SystemTime::now())).await?)
        });
        match changed.await? {
            AccountChanged::Changed(account) => Ok(account),
            AccountChanged::NotFound => Err(CredentialError::NotFound { id: account.to_string() }),
            AccountChanged::NoKey => Err(CredentialError::NoKey),
        }
    }

    /// Runs a change to its end, even when nobody waits for it any more.
    async fn to_the_end<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, CredentialError>> + Send + 'static,
    ) -> Result<T, CredentialError> {
        self.tasks.spawn(work).await.unwrap_or(Err(CredentialError::Stopping))
    }
}

fn check_name(name: &str) -> Result<(), CredentialError> {
    if name.chars().count() <= NAME_MAX && !name.contains('\0') {
        return Ok(());
    }
    Err(CredentialError::InvalidName)
}
