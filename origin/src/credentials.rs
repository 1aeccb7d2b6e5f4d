//! What accounts prove themselves and sign with: two auth tokens, of which one can take the other's place while both are valid; shared
//! keys for signatures; keys for signed URLs, of which the origin has the public half; keys of the API (`api_keys`).
//!
//! Guarantees:
//! - No secret is kept. A token is recognised by its hash; signatures are checked with midstates (see `skerry_proto::hmac`).
//! - A change is told to edges with new revisions of all the account's pointers. When an edge has acknowledged the last of them, it
//!   acts by the change. API keys are nothing to edges: a change of them holds at once.

mod api_keys;
mod recover;

pub use recover::Recovered;

use crate::catalogue::{
    Actor, Catalogue, CatalogueError, CredentialChange, CredentialRows, token_midstates, token_name,
};
use crate::keys::Keys;
use crate::metrics::Metrics;
use crate::publish::unix_seconds;
use crate::secret::{NoRandomness, hex, random, secret_hash};
use crate::sid::{AccountSid, SignatureKeyId};
use crate::throttle::Throttle;
use aws_lc_rs::constant_time::verify_slices_are_equal;
use bytes::Bytes;
use prost::Message;
use skerry_proto::hmac::{Algorithm, Midstates};
use skerry_proto::pointer::{Pointer, URL_KEYS_MAX, Version};
use skerry_proto::signed_url::key::PublicKey;
use skerry_proto::wire::SignedPointer;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use std::time::{Instant, SystemTime};
use tokio_util::task::TaskTracker;

/// Shared keys for signatures in an account at most: as many as keys for signed URLs.
const SIGNATURE_KEYS_MAX: usize = URL_KEYS_MAX;

/// Slots of auth tokens.
const SLOTS: [u8; 2] = [1, 2];

/// Why credentials were not changed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CredentialError {
    /// Two tokens exist.
    #[error("the account has two auth tokens already; revoke the one that nobody uses any more first")]
    NoFreeSlot,
    /// One token exists, and it was to go.
    #[error("this is the account's only auth token; create another one first")]
    OnlyToken,
    /// It is there already.
    #[error("the account has this key already")]
    Exists,
    /// The account has as many as it can.
    #[error("the account has {limit} such keys, which is the limit; revoke one that nobody uses any more")]
    TooMany {
        /// How many.
        limit: usize,
    },
    /// There is no second token to take the first one's place.
    #[error("the account has one auth token; create a second one, which can then take its place")]
    NoSecondary,
    /// The last API key of an account that takes keys only.
    #[error("this is the only API key of an account that takes API keys only; create another one first")]
    OnlyKey,
    /// An account without an API key cannot do without its tokens.
    #[error("the account has no API key, so nobody could use it any more; create one first")]
    NoKey,
    /// A name that is none.
    #[error("FriendlyName is invalid; it is a text of at most 255 characters")]
    InvalidName,
    /// The account has no such token or key.
    #[error("the account has no token or key {id:?}; `skerry key ls` shows them")]
    NotFound {
        /// As given.
        id: String,
    },
    /// The origin stops.
    #[error("the origin is stopping; try again in a moment")]
    Stopping,
    /// The catalogue.
    #[error(transparent)]
    Catalogue(#[from] CatalogueError),
    /// No secret can be made.
    #[error(transparent)]
    NoRandomness(#[from] NoRandomness),
}

/// Why nobody was recognised.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AuthError {
    /// Nothing was shown, or what fits no account.
    #[error("account SID or auth token is missing or wrong")]
    Wrong,
    /// The right token of an account that takes none.
    #[error(
        "this account takes API keys only; show the SID and secret of one in place of account SID and auth token"
    )]
    KeysOnly,
    /// Too much that was wrong came before.
    #[error("too many wrong tokens came from this address; try again in a minute")]
    TooMany,
    /// It cannot be looked up.
    #[error(transparent)]
    Failed(#[from] CredentialError),
}

impl From<CatalogueError> for AuthError {
    fn from(error: CatalogueError) -> Self {
        Self::Failed(error.into())
    }
}

/// Who calls: an account that showed one of its tokens or API keys.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    pub(crate) account: AccountSid,
    pub(crate) is_operator: bool,
    /// What it was recognised by: the name of a token, or the SID of an API key.
    pub(crate) credential: String,
}

/// A secret that is told once.
pub(crate) struct NewSecret {
    /// Slot of a token, id of a key.
    pub(crate) id: String,
    pub(crate) secret: String,
    pub(crate) version: Version,
}

/// Everything that credentials are looked up and changed with. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct Credentials {
    catalogue: Catalogue,
    keys: Arc<Keys>,
    metrics: Arc<Metrics>,
    throttle: Arc<Throttle>,
    /// API keys of an account at most.
    api_key_count_max: u64,
    tasks: TaskTracker,
}

impl Credentials {
    /// Puts it together.
    pub(crate) fn new(
        catalogue: Catalogue,
        keys: Arc<Keys>,
        metrics: Arc<Metrics>,
        throttle: Throttle,
        api_key_count_max: u64,
    ) -> Self {
        let (throttle, tasks) = (Arc::new(throttle), TaskTracker::new());
        Self { catalogue, keys, metrics, throttle, api_key_count_max, tasks }
    }

    /// How often strangers failed.
    pub(crate) fn throttle(&self) -> &Throttle {
        &self.throttle
    }

    /// Waits for all changes that must not stop halfway.
    pub(crate) async fn finish(&self) {
        self.tasks.close();
        self.tasks.wait().await;
    }

    /// Recognises an account by what somebody at an address shows: its SID and one of its tokens, or an API key's SID and secret.
    ///
    /// # Errors
    /// [`AuthError::Wrong`], which says nothing about whether there is such an account or key; [`AuthError::KeysOnly`], which only
    /// somebody with a valid token learns; [`AuthError::TooMany`]; those of the catalogue.
    pub(crate) async fn authenticate(
        &self,
        shown: Option<(String, String)>,
        address: Option<IpAddr>,
    ) -> Result<Caller, AuthError> {
        let (sid, secret) = shown.ok_or(AuthError::Wrong)?;
        // Only a connection that is gone already has no address.
        let address = address.unwrap_or(IpAddr::V6(Ipv6Addr::UNSPECIFIED));
        if !self.throttle.admits(address, &sid, Instant::now()) {
            return Err(AuthError::TooMany);
        }
        let caller = match sid.starts_with("SK") {
            true => self.by_api_key(&sid, &secret).await?,
            false => self.by_token(&sid, &secret).await?,
        };
        caller.ok_or_else(|| {
            self.throttle.failed(address, &sid, Instant::now());
            AuthError::Wrong
        })
    }

    async fn by_token(&self, sid: &str, token: &str) -> Result<Option<Caller>, AuthError> {
        let shown = secret_hash(token.as_bytes());
        let account = self.catalogue.account(sid).await?;
        // An account that does not exist takes the same comparison.
        let nobody = verify_slices_are_equal(&shown, &[0; 32]).is_ok();
        let Some(account) = account.filter(|_| !nobody) else { return Ok(None) };
        let mut right = None;
        for known in &account.tokens {
            if verify_slices_are_equal(&shown, &known.hash).is_ok() {
                right = Some(known);
            }
        }
        let Some(right) = right else { return Ok(None) };
        if !right.has_midstates {
            let midstates = token_midstates(token);
            let actor = Actor::origin(account.sid.clone());
            self.change(&actor, CredentialChange::FillToken { slot: right.slot, midstates }).await?;
        }
        if account.keys_only {
            return Err(AuthError::KeysOnly);
        }
        let (account, is_operator) = (account.sid, account.is_operator);
        Ok(Some(Caller { account, is_operator, credential: token_name(right.slot) }))
    }

    /// All that an account has.
    ///
    /// # Errors
    /// [`CredentialError::Catalogue`].
    pub(crate) async fn list(&self, account: &AccountSid) -> Result<CredentialRows, CredentialError> {
        Ok(self.catalogue.credentials(account).await?)
    }

    /// Makes a second token.
    ///
    /// # Errors
    /// [`CredentialError::NoFreeSlot`], and those of making it.
    pub(crate) async fn create_token(&self, actor: &Actor) -> Result<NewSecret, CredentialError> {
        let held = self.list(&actor.account).await?.tokens;
        let slot = SLOTS.into_iter().find(|slot| held.iter().all(|token| token.slot != *slot));
        let slot = slot.ok_or(CredentialError::NoFreeSlot)?;
        let secret = hex(&random::<16>()?);
        let (hash, midstates) = (secret_hash(secret.as_bytes()), token_midstates(&secret));
        let change = CredentialChange::AddToken { slot, hash, midstates };
        let version = self.change(actor, change).await?.ok_or(CredentialError::NoFreeSlot)?;
        Ok(NewSecret { id: slot.to_string(), secret, version })
    }

    /// The second token takes the first one's place, which is revoked.
    ///
    /// # Errors
    /// [`CredentialError::NoSecondary`], [`CredentialError::Catalogue`].
    pub(crate) async fn promote_token(&self, actor: &Actor) -> Result<Version, CredentialError> {
        self.remove_token(actor, 0).await
    }

    /// Revokes the second token.
    ///
    /// # Errors
    /// [`CredentialError::NoSecondary`], [`CredentialError::Catalogue`].
    pub(crate) async fn revoke_second_token(&self, actor: &Actor) -> Result<Version, CredentialError> {
        self.remove_token(actor, 1).await
    }

    /// Revokes one of two tokens, which are listed in the order that they were made in.
    async fn remove_token(&self, actor: &Actor, position: usize) -> Result<Version, CredentialError> {
        let held = self.list(&actor.account).await?.tokens;
        let (Some(token), 2) = (held.get(position), held.len()) else {
            return Err(CredentialError::NoSecondary);
        };
        let change = CredentialChange::RemoveToken { slot: token.slot };
        self.change(actor, change).await?.ok_or(CredentialError::NoSecondary)
    }

    /// Makes a shared key for signatures under one algorithm.
    ///
    /// # Errors
    /// [`CredentialError::TooMany`], and those of making it.
    pub(crate) async fn create_signature_key(
        &self,
        actor: &Actor,
        algorithm: Algorithm,
    ) -> Result<NewSecret, CredentialError> {
        if self.list(&actor.account).await?.signature_keys.len() >= SIGNATURE_KEYS_MAX {
            return Err(CredentialError::TooMany { limit: SIGNATURE_KEYS_MAX });
        }
        let (id, secret) = (SignatureKeyId::random()?, hex(&random::<32>()?));
        let midstates = Midstates::of(algorithm, secret.as_bytes());
        let change = CredentialChange::AddSignatureKey { id: id.clone(), midstates };
        let version = self.change(actor, change).await?.ok_or(CredentialError::Exists)?;
        Ok(NewSecret { id: id.into(), secret, version })
    }

    /// Adds the public half of a key for signed URLs.
    ///
    /// # Errors
    /// [`CredentialError::TooMany`], [`CredentialError::Exists`], [`CredentialError::Catalogue`].
    pub(crate) async fn add_url_key(
        &self,
        actor: &Actor,
        key: PublicKey,
    ) -> Result<Version, CredentialError> {
        if self.list(&actor.account).await?.url_keys.len() >= URL_KEYS_MAX {
            return Err(CredentialError::TooMany { limit: URL_KEYS_MAX });
        }
        self.change(actor, CredentialChange::AddUrlKey { key }).await?.ok_or(CredentialError::Exists)
    }

    /// Revokes a token by its slot, or a key by its id.
    ///
    /// # Errors
    /// [`CredentialError::OnlyToken`], [`CredentialError::NotFound`], [`CredentialError::Catalogue`].
    pub(crate) async fn revoke(&self, actor: &Actor, id: &str) -> Result<Version, CredentialError> {
        let held = self.list(&actor.account).await?;
        let slot = held.tokens.iter().map(|token| token.slot).find(|slot| slot.to_string() == id);
        let change = match slot {
            Some(_) if held.tokens.len() == 1 => return Err(CredentialError::OnlyToken),
            Some(slot) => CredentialChange::RemoveToken { slot },
            None if held.url_keys.iter().any(|row| row.key.id() == id) => {
                CredentialChange::RemoveUrlKey { id: id.to_owned() }
            }
            None => CredentialChange::RemoveSignatureKey { id: id.to_owned() },
        };
        let changed = self.change(actor, change).await?;
        changed.ok_or_else(|| CredentialError::NotFound { id: id.to_owned() })
    }

    /// One change, to its end even when nobody waits for it any more.
    async fn change(
        &self,
        actor: &Actor,
        change: CredentialChange,
    ) -> Result<Option<Version>, CredentialError> {
        let (this, actor) = (self.clone(), actor.clone());
        let work = self.tasks.spawn(async move {
            let now = unix_seconds(SystemTime::now());
            let restamp = |pointer: &[u8], version, url_keys| this.restamp(pointer, version, url_keys, now);
            let changed = this.catalogue.change_credentials(&actor, &change, now, restamp).await?;
            if let Some(version) = changed {
                this.metrics.version(version);
            }
            Ok(changed)
        });
        work.await.unwrap_or(Err(CredentialError::Stopping))
    }

    /// Signs a pointer of ours again, with other keys.
    fn restamp(
        &self,
        signed: &[u8],
        version: Version,
        url_keys: Vec<PublicKey>,
        now: i64,
    ) -> Option<Vec<u8>> {
        let signed = SignedPointer::decode(Bytes::copy_from_slice(signed)).ok()?;
        let signer = self.keys.signer();
        let pointer = Pointer::open(&signed, &signer.set).ok()?;
        let pointer = Pointer { version, url_keys, issued_at: now, ..pointer };
        Some(pointer.sign(&signer.key).encode_to_vec())
    }
}
