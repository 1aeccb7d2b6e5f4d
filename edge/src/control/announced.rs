//! Blobs that a deployment is about to show: other edges may be given them before any manifest names them, because they pull them
//! ahead, too.

use crate::cache::AccountKey;
use skerry_proto::hash::Hash;
use skerry_proto::slices::BlobId;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Blobs at most; the origin announces ten thousand at once at most.
const ANNOUNCED_MAX: usize = 40_000;

/// Blobs, and until when they are announced.
#[derive(Debug, Default)]
pub(super) struct Announced(Mutex<HashMap<(AccountKey, Hash), (BlobId, Instant)>>);

impl Announced {
    /// Announces blobs for a time. Beyond the bound they are not: then they are asked of the origin.
    pub(super) fn add(&self, account: AccountKey, blobs: &[BlobId], now: Instant, time: Duration) {
        let mut announced = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        announced.retain(|_, (_, until)| now < *until);
        let room = ANNOUNCED_MAX.saturating_sub(announced.len());
        announced.extend(blobs.iter().take(room).map(|blob| ((account, blob.hash), (*blob, now + time))));
    }

    /// The blob of a hash that is announced.
    pub(super) fn find(&self, account: AccountKey, hash: &Hash, now: Instant) -> Option<BlobId> {
        let announced = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (blob, until) = announced.get(&(account, *hash))?;
        (now < *until).then_some(*blob)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_announced_is_so_for_its_account_and_for_a_time() {
        let (announced, now, time) = (Announced::default(), Instant::now(), Duration::from_secs(1));
        let (one, other, blob) = (AccountKey::of("AC1"), AccountKey::of("AC2"), BlobId::of(b"a"));
        announced.add(one, &[blob], now, time);
        assert_eq!(announced.find(one, &blob.hash, now), Some(blob));
        assert_eq!(announced.find(other, &blob.hash, now), None);
        assert_eq!(announced.find(one, &blob.hash, now + time), None);
    }
}
