//! The way back in for an account that has lost everything it could prove itself with.

use super::{CredentialError, Credentials};
use crate::catalogue::{AccountChange, Actor};
use crate::publish::unix_seconds;
use std::time::SystemTime;

/// What an account proves itself with from now on.
pub struct Recovered {
    /// `AC…`
    pub account_sid: String,
    /// A new auth token; told once.
    pub auth_token: String,
    /// The account had two; the older one is valid no more.
    pub revoked_older: bool,
}

impl std::fmt::Debug for Recovered {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Recovered").field("account_sid", &self.account_sid).finish_non_exhaustive()
    }
}

impl Credentials {
    /// Makes a new auth token, for which the older one of two goes, and lets tokens in where only API keys were.
    ///
    /// # Errors
    /// [`CredentialError::Catalogue`], [`CredentialError::NoRandomness`].
    pub(crate) async fn recover(&self, actor: &Actor) -> Result<Recovered, CredentialError> {
        let revoked_older = match self.promote_token(actor).await {
            Ok(_) => true,
            Err(CredentialError::NoSecondary) => false,
            Err(error) => return Err(error),
        };
        let auth_token = self.create_token(actor).await?.secret;
        let change = AccountChange { keys_only: Some(false), ..AccountChange::default() };
        let now = unix_seconds(SystemTime::now());
        self.catalogue.update_account(actor, &actor.account, &change, now).await?;
        Ok(Recovered { account_sid: actor.account.to_string(), auth_token, revoked_older })
    }
}
