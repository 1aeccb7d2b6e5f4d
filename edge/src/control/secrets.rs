//! What signatures are checked with, of accounts that show protected assets: HMAC midstates, which check signatures and log nobody in.
//!
//! In memory only, unless the operator chose that a stolen disk may sign: then also in a file of mode 0600, so that a restarted edge
//! need not wait for its origin. Until an edge has them, [`Secrets::of`] says so: nobody must be refused for what is not known.

use super::state::{StateError, failed};
use arc_swap::ArcSwapOption;
use skerry_folder::{Readers, write};
use skerry_proto::document;
use skerry_proto::twilio::Secret;
use skerry_proto::wire;
use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

type ByAccount = HashMap<Box<str>, Arc<[Secret]>>;

/// The secrets of all accounts. Readers see one state or the next, and wait for nobody; only the watcher writes.
#[derive(Debug)]
pub struct Secrets {
    /// `None` before the origin has said all.
    by_account: ArcSwapOption<ByAccount>,
    file: PathBuf,
    is_kept: bool,
}

impl Secrets {
    /// None yet, or those of the last run where they are kept. Where they are not, a file that an earlier choice left is removed.
    ///
    /// # Errors
    /// [`StateError`] when it cannot be removed.
    pub fn load(file: PathBuf, is_kept: bool) -> Result<Self, StateError> {
        let mut by_account = None;
        if is_kept {
            // What cannot be read is asked for anew.
            let kept = fs::read(&file).ok().and_then(|bytes| document::decode::<wire::Secrets>(&bytes).ok());
            by_account = kept.map(|kept| Arc::new(read(kept.accounts).collect()));
        } else if let Err(source) = fs::remove_file(&file)
            && source.kind() != io::ErrorKind::NotFound
        {
            return Err(failed(&file, source));
        }
        Ok(Self { by_account: ArcSwapOption::new(by_account), file, is_kept })
    }

    /// The secrets of an account, none where it has none; `None` while they are not known.
    pub fn of(&self, account_sid: &str) -> Option<Arc<[Secret]>> {
        let by_account = self.by_account.load();
        Some(by_account.as_ref()?.get(account_sid).cloned().unwrap_or_default())
    }

    /// Takes the secrets of all accounts. Blocks where they are kept.
    ///
    /// # Errors
    /// [`StateError`] when they cannot be kept; they count all the same.
    pub(super) fn replace(&self, accounts: Vec<wire::AccountSecrets>) -> Result<(), StateError> {
        self.by_account.store(Some(Arc::new(read(accounts).collect())));
        self.keep()
    }

    /// Takes the secrets of some accounts, in place of those that they had. Blocks where they are kept.
    ///
    /// # Errors
    /// As [`Self::replace`].
    pub(super) fn update(&self, accounts: Vec<wire::AccountSecrets>) -> Result<(), StateError> {
        // Before the first word on all accounts there is nothing to change, and that word will say it.
        let Some(held) = self.by_account.load_full() else { return Ok(()) };
        let mut next = ByAccount::clone(&held);
        next.extend(read(accounts));
        next.retain(|_, secrets| !secrets.is_empty());
        self.by_account.store(Some(Arc::new(next)));
        self.keep()
    }

    fn keep(&self) -> Result<(), StateError> {
        let Some(held) = self.by_account.load_full().filter(|_| self.is_kept) else { return Ok(()) };
        let accounts = held.iter().map(|(account, secrets)| wire::AccountSecrets {
            account_sid: account.to_string(),
            secrets: secrets.iter().map(Into::into).collect(),
        });
        let all = wire::Secrets { accounts: accounts.collect(), snapshot: true, last: true };
        write(&self.file, &document::encode(&all), Readers::Owner)
            .map_err(|source| failed(&self.file, source))
    }
}

/// What this program can use; a newer origin may know other algorithms.
fn read(accounts: Vec<wire::AccountSecrets>) -> impl Iterator<Item = (Box<str>, Arc<[Secret]>)> {
    accounts.into_iter().map(|account| {
        let secrets = account.secrets.iter().filter_map(|secret| secret.try_into().ok()).collect();
        (account.account_sid.into(), secrets)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use skerry_proto::hmac::{Algorithm, Midstates};

    fn account(sid: &str, token: &str) -> wire::AccountSecrets {
        let secret = Secret { key_id: None, midstates: Midstates::of(Algorithm::Sha1, token.as_bytes()) };
        wire::AccountSecrets { account_sid: sid.into(), secrets: vec![(&secret).into()] }
    }

    fn load(folder: &tempfile::TempDir, is_kept: bool) -> Secrets {
        Secrets::load(folder.path().join("secrets"), is_kept).expect("loads")
    }

    #[test]
    fn nothing_is_known_before_the_origin_has_said_all() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let secrets = load(&folder, false);
        assert_eq!(secrets.of("AC1"), None);
        secrets.update(vec![account("AC1", "a")]).expect("takes");
        assert_eq!(secrets.of("AC1"), None);
        secrets.replace(vec![account("AC1", "a")]).expect("takes");
        assert_eq!(secrets.of("AC1").expect("known").len(), 1);
        assert_eq!(secrets.of("AC2").expect("known").len(), 0);
        secrets
            .update(vec![wire::AccountSecrets { account_sid: "AC1".into(), secrets: vec![] }])
            .expect("takes");
        assert_eq!(secrets.of("AC1").expect("known").len(), 0);
        assert!(!folder.path().join("secrets").exists());
    }

    #[test]
    fn they_are_on_disk_only_where_that_was_chosen() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        load(&folder, true).replace(vec![account("AC1", "a")]).expect("keeps");
        assert_eq!(load(&folder, true).of("AC1").expect("known").len(), 1);
        assert_eq!(load(&folder, false).of("AC1"), None);
        assert!(!folder.path().join("secrets").exists());
    }
}
