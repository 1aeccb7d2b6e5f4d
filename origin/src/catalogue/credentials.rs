//! What accounts prove themselves and sign with: auth tokens, signature keys, keys for signed URLs.
//!
//! Each change is one transaction with the account's pointers at new revisions, so that edges learn of it, and acknowledge it, like of
//! a deployment.

use super::resources::audit::{self, Action, Actor};
use super::{Catalogue, CatalogueError, events};
use crate::sid::{AccountSid, EnvironmentSid, SignatureKeyId};
use skerry_proto::hmac::{Algorithm, Midstates};
use skerry_proto::pointer::Version;
use skerry_proto::signed_url::key::PublicKey;
use skerry_proto::twilio::Secret;
use sqlx::sqlite::SqliteArguments;
use sqlx::{Sqlite, SqliteConnection, Transaction};
use std::collections::BTreeMap;

/// An auth token, as it is listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TokenRow {
    /// 1 or 2.
    pub(crate) slot: u8,
    pub(crate) created_at: i64,
}

/// A shared key for signatures, as it is listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SignatureKeyRow {
    pub(crate) id: String,
    pub(crate) algorithm: Algorithm,
    pub(crate) created_at: i64,
}

/// A key for signed URLs, as it is listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct UrlKeyRow {
    pub(crate) key: PublicKey,
    pub(crate) created_at: i64,
}

/// All that an account has.
#[derive(Debug, Clone, Default)]
pub(crate) struct CredentialRows {
    pub(crate) tokens: Vec<TokenRow>,
    pub(crate) signature_keys: Vec<SignatureKeyRow>,
    pub(crate) url_keys: Vec<UrlKeyRow>,
}

/// One change of what an account has.
#[derive(Debug, Clone)]
pub(crate) enum CredentialChange {
    /// A token into a slot that is free.
    AddToken {
        slot: u8,
        hash: [u8; 32],
        midstates: Vec<u8>,
    },
    /// The midstates of a token that was made before they were kept.
    FillToken {
        slot: u8,
        midstates: Vec<u8>,
    },
    RemoveToken {
        slot: u8,
    },
    AddSignatureKey {
        id: SignatureKeyId,
        midstates: Midstates,
    },
    RemoveSignatureKey {
        id: String,
    },
    AddUrlKey {
        key: PublicKey,
    },
    RemoveUrlKey {
        id: String,
    },
}

impl CredentialChange {
    /// What the audit log says of it. Nothing of a token that is what it was.
    fn audited(&self) -> Option<(Action, String)> {
        Some(match self {
            Self::AddToken { slot, .. } => (Action::Create, token_name(*slot)),
            Self::FillToken { .. } => return None,
            Self::RemoveToken { slot } => (Action::Delete, token_name(*slot)),
            Self::AddSignatureKey { id, .. } => (Action::Create, id.as_str().to_owned()),
            Self::AddUrlKey { key } => (Action::Create, key.id().to_owned()),
            Self::RemoveSignatureKey { id } | Self::RemoveUrlKey { id } => (Action::Delete, id.clone()),
        })
    }
}

impl Catalogue {
    /// All credentials of an account, each kind by age: of two tokens the first is the one that was made first.
    ///
    /// # Errors
    /// Any [`CatalogueError`].
    pub(crate) async fn credentials(&self, account: &AccountSid) -> Result<CredentialRows, CatalogueError> {
        let mut reader = self.reader().begin().await?;
        let tokens: Vec<(u8, i64)> = sqlx::query_as(
            "SELECT slot, created_at FROM auth_tokens WHERE account_sid = ?1 ORDER BY created_at, rowid",
        )
        .bind(account.as_str())
        .fetch_all(&mut *reader)
        .await?;
        let signature_keys: Vec<(String, String, i64)> = sqlx::query_as(
            "SELECT id, algorithm, created_at FROM signature_keys WHERE account_sid = ?1 ORDER BY created_at, id",
        )
        .bind(account.as_str())
        .fetch_all(&mut *reader)
        .await?;
        let url_keys = url_keys(&mut reader, account.as_str()).await?;
        Ok(CredentialRows {
            tokens: tokens.into_iter().map(|(slot, created_at)| TokenRow { slot, created_at }).collect(),
            signature_keys: signature_keys
                .into_iter()
                .map(|(id, name, created_at)| {
                    Ok(SignatureKeyRow { id, algorithm: algorithm(&name)?, created_at })
                })
                .collect::<Result<_, CatalogueError>>()?,
            url_keys,
        })
    }

    /// Changes what an account has, and tells edges by new revisions of all its pointers; the last one is returned. `None` when
    /// there was nothing to change: the slot is taken, the key is there already, or what is to go is not there. `restamp` makes a
    /// pointer anew from its last form, at a version, with the keys for signed URLs as they then are; `None` where it is damaged.
    ///
    /// # Errors
    /// Any [`CatalogueError`].
    pub(crate) async fn change_credentials(
        &self,
        actor: &Actor,
        change: &CredentialChange,
        now: i64,
        restamp: impl Fn(&[u8], Version, Vec<PublicKey>) -> Option<Vec<u8>> + Send + Sync,
    ) -> Result<Option<Version>, CatalogueError> {
        let account = &actor.account;
        let mut transaction = self.write().await?;
        if statement(account, change, now).execute(&mut *transaction).await?.rows_affected() == 0 {
            return Ok(None);
        }
        if let Some((action, subject)) = change.audited() {
            audit::append(&mut transaction, actor, action, &subject, now).await?;
        }
        let keys: Vec<_> =
            url_keys(&mut transaction, account.as_str()).await?.into_iter().map(|row| row.key).collect();
        let stamp = |pointer: &[u8], version| restamp(pointer, version, keys.clone());
        let version = events::restamp(&mut transaction, account, stamp).await?;
        let version = version.unwrap_or_else(|| self.version());
        transaction.commit().await?;
        self.announce(version);
        Ok(Some(version))
    }

    /// What signatures are checked with, of one account or of all that show protected assets. An account that shows none has none
    /// here.
    ///
    /// # Errors
    /// Any [`CatalogueError`].
    pub(crate) async fn signature_secrets(
        &self,
        account: Option<&str>,
    ) -> Result<BTreeMap<String, Vec<Secret>>, CatalogueError> {
        let mut reader = self.reader().begin().await?;
        let tokens: Vec<(String, Vec<u8>)> = sqlx::query_as(
            "SELECT account_sid, midstates FROM accounts_showing_protected JOIN auth_tokens USING (account_sid) \
             WHERE midstates IS NOT NULL AND (?1 IS NULL OR account_sid = ?1) ORDER BY account_sid, slot",
        )
        .bind(account)
        .fetch_all(&mut *reader)
        .await?;
        let keys: Vec<(String, String, String, Vec<u8>)> = sqlx::query_as(
            "SELECT account_sid, id, algorithm, midstates FROM accounts_showing_protected \
             JOIN signature_keys USING (account_sid) WHERE ?1 IS NULL OR account_sid = ?1 ORDER BY account_sid, created_at, id",
        )
        .bind(account)
        .fetch_all(&mut *reader)
        .await?;
        let mut secrets: BTreeMap<String, Vec<Secret>> = BTreeMap::new();
        for (account, bytes) in tokens {
            secrets.entry(account).or_default().extend(token_secrets(&bytes)?);
        }
        for (account, id, name, bytes) in keys {
            let midstates = midstates(algorithm(&name)?, &bytes)?;
            secrets.entry(account).or_default().push(Secret { key_id: Some(id), midstates });
        }
        Ok(secrets)
    }
}

type Statement<'a> = sqlx::query::Query<'a, Sqlite, SqliteArguments>;

fn statement<'a>(account: &'a AccountSid, change: &'a CredentialChange, now: i64) -> Statement<'a> {
    let query = |sql: &'static str| sqlx::query(sql).bind(account.as_str());
    match change {
        CredentialChange::AddToken { slot, hash, midstates } => query(
            "INSERT INTO auth_tokens (account_sid, slot, token_hash, midstates, created_at) \
             VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT DO NOTHING",
        )
        .bind(slot)
        .bind(&hash[..])
        .bind(midstates)
        .bind(now),
        CredentialChange::FillToken { slot, midstates } => query(
            "UPDATE auth_tokens SET midstates = ?3 WHERE account_sid = ?1 AND slot = ?2 AND midstates IS NULL",
        )
        .bind(slot)
        .bind(midstates),
        // The last token stays: without one nobody could make another.
        CredentialChange::RemoveToken { slot } => query(
            "DELETE FROM auth_tokens WHERE account_sid = ?1 AND slot = ?2 \
             AND EXISTS (SELECT 1 FROM auth_tokens WHERE account_sid = ?1 AND slot <> ?2)",
        )
        .bind(slot),
        CredentialChange::AddSignatureKey { id, midstates } => query(
            "INSERT INTO signature_keys (account_sid, id, algorithm, midstates, created_at) VALUES (?1, ?2, ?3, ?4, ?5)",
        )
        .bind(id.as_str())
        .bind(name(midstates.algorithm()))
        .bind(midstates.to_bytes())
        .bind(now),
        CredentialChange::RemoveSignatureKey { id } => {
            query("DELETE FROM signature_keys WHERE account_sid = ?1 AND id = ?2").bind(id)
        }
        CredentialChange::AddUrlKey { key } => query(
            "INSERT INTO url_keys (account_sid, id, algorithm, public_key, created_at) VALUES (?1, ?2, ?3, ?4, ?5) \
             ON CONFLICT DO NOTHING",
        )
        .bind(key.id())
        .bind(key.algorithm().label())
        .bind(key.as_bytes())
        .bind(now),
        CredentialChange::RemoveUrlKey { id } => {
            query("DELETE FROM url_keys WHERE account_sid = ?1 AND id = ?2").bind(id)
        }
    }
}

/// The keys that go into a pointer of an environment: those of its account.
pub(super) async fn pointer_keys(
    transaction: &mut Transaction<'static, Sqlite>,
    environment: &EnvironmentSid,
) -> Result<Vec<PublicKey>, CatalogueError> {
    let account: String = sqlx::query_scalar(
        "SELECT account_sid FROM environments JOIN services ON services.sid = service_sid WHERE environments.sid = ?1",
    )
    .bind(environment.as_str())
    .fetch_one(&mut **transaction)
    .await?;
    Ok(url_keys(transaction, &account).await?.into_iter().map(|row| row.key).collect())
}

async fn url_keys(
    connection: &mut SqliteConnection,
    account: &str,
) -> Result<Vec<UrlKeyRow>, CatalogueError> {
    let rows: Vec<(String, Vec<u8>, i64)> = sqlx::query_as(
        "SELECT algorithm, public_key, created_at FROM url_keys WHERE account_sid = ?1 ORDER BY created_at, id",
    )
    .bind(account)
    .fetch_all(connection)
    .await?;
    let damaged = CatalogueError::Damaged("a key for signed URLs is one that was checked");
    rows.into_iter()
        .map(|(algorithm, bytes, created_at)| {
            let key = PublicKey::new(algorithm.parse().ok()?, &bytes).ok()?;
            Some(UrlKeyRow { key, created_at })
        })
        .collect::<Option<_>>()
        .ok_or(damaged)
}

/// What the slot of a token is called where it was used or changed.
pub(crate) fn token_name(slot: u8) -> String {
    format!("auth_token_{slot}")
}

/// The midstates of a token, under each algorithm, as they are kept.
pub(crate) fn token_midstates(token: &str) -> Vec<u8> {
    Algorithm::ALL
        .iter()
        .flat_map(|algorithm| Midstates::of(*algorithm, token.as_bytes()).to_bytes())
        .collect()
}

fn token_secrets(mut bytes: &[u8]) -> Result<Vec<Secret>, CatalogueError> {
    let mut secrets = Vec::new();
    for algorithm in Algorithm::ALL {
        let (own, others) = bytes.split_at_checked(2 * algorithm.tag_len()).unwrap_or((bytes, &[]));
        secrets.push(Secret { key_id: None, midstates: midstates(algorithm, own)? });
        bytes = others;
    }
    Ok(secrets)
}

fn midstates(algorithm: Algorithm, bytes: &[u8]) -> Result<Midstates, CatalogueError> {
    Midstates::from_bytes(algorithm, bytes)
        .map_err(|_| CatalogueError::Damaged("midstates are as long as their algorithm says"))
}

const fn name(algorithm: Algorithm) -> &'static str {
    match algorithm {
        Algorithm::Sha1 => "hmac_sha1",
        Algorithm::Sha256 => "hmac_sha256",
    }
}

fn algorithm(text: &str) -> Result<Algorithm, CatalogueError> {
    Algorithm::ALL
        .into_iter()
        .find(|algorithm| name(*algorithm) == text)
        .ok_or(CatalogueError::Damaged("a signature key has an algorithm"))
}
