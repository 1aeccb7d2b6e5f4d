//! What accounts have revoked: told by their pointers, asked for before a blob is shown, passed on or fetched.

use crate::cache::AccountKey;
use arc_swap::ArcSwap;
use foldhash::{HashMap, HashSet};
use skerry_proto::hash::Hash;
use skerry_proto::pointer::Version;
use std::sync::Arc;

/// Hashes that an account has revoked.
pub(super) type Hashes = Arc<HashSet<Hash>>;

/// What all accounts have revoked, as their newest pointers say. Readers wait for nobody.
#[derive(Debug, Default)]
pub struct Revoked(ArcSwap<HashMap<AccountKey, (Version, Hashes)>>);

impl Revoked {
    /// Whether an account has revoked a blob.
    pub fn contains(&self, account: AccountKey, hash: &Hash) -> bool {
        let accounts = self.0.load();
        !accounts.is_empty() && accounts.get(&account).is_some_and(|(_, hashes)| hashes.contains(hash))
    }

    /// Takes what a pointer of the account says at `version`. The pointers of an account say the same one after the other; an older
    /// one changes nothing.
    pub(super) fn tell(&self, account: AccountKey, version: Version, hashes: &Hashes) {
        self.0.rcu(|accounts| {
            let is_newer = accounts.get(&account).is_none_or(|(held, _)| version >= *held);
            // An account that has revoked nothing needs no entry, unless it had one.
            if !is_newer || (hashes.is_empty() && !accounts.contains_key(&account)) {
                return Arc::clone(accounts);
            }
            let mut changed = HashMap::clone(accounts);
            changed.insert(account, (version, Arc::clone(hashes)));
            Arc::new(changed)
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hashes(names: &[&str]) -> Hashes {
        Arc::new(names.iter().map(|name| Hash::of(name.as_bytes())).collect())
    }

    #[test]
    fn the_newest_pointer_of_an_account_counts_and_of_no_other() {
        let (revoked, a, b) = (Revoked::default(), AccountKey::of("A"), AccountKey::of("B"));
        let (at, film) = (|revision| Version { epoch: 1, revision }, Hash::of(b"film"));
        revoked.tell(a, at(1), &hashes(&[]));
        assert!(!revoked.contains(a, &film));
        revoked.tell(a, at(5), &hashes(&["film"]));
        assert!(revoked.contains(a, &film) && !revoked.contains(b, &film));
        revoked.tell(a, at(4), &hashes(&[]));
        assert!(revoked.contains(a, &film), "an older pointer lifts nothing");
        revoked.tell(a, at(6), &hashes(&[]));
        assert!(!revoked.contains(a, &film));
    }
}
