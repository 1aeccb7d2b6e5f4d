//! Blobs that could not be had a moment ago: for a bounded time nobody is asked again, however many clients want them.

use super::FillError;
use crate::cache::AccountKey;
use skerry_proto::hash::Hash;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Failures remembered at most. Beyond it some are forgotten early, which costs the upstream one question each.
const FAILURES_MAX: usize = 4096;

/// A blob of an account.
type Key = (AccountKey, Hash);

/// What failed lately.
#[derive(Debug)]
pub(super) struct Failures {
    recent: Mutex<HashMap<Key, (FillError, Instant)>>,
    /// How long a failure is remembered.
    pause: Duration,
}

impl Failures {
    pub(super) fn new(pause: Duration) -> Self {
        Self { recent: Mutex::default(), pause }
    }

    /// How the last fill of a blob failed, if that was a moment ago.
    pub(super) fn recall(&self, account: AccountKey, hash: Hash, now: Instant) -> Option<FillError> {
        let recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        let (error, at) = recent.get(&(account, hash))?;
        (now.saturating_duration_since(*at) < self.pause).then_some(*error)
    }

    /// Remembers a failure.
    pub(super) fn remember(&self, account: AccountKey, hash: Hash, error: FillError, now: Instant) {
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        if recent.len() >= FAILURES_MAX {
            recent.retain(|_, (_, at)| now.saturating_duration_since(*at) < self.pause);
        }
        if recent.len() >= FAILURES_MAX {
            recent.clear();
        }
        recent.insert((account, hash), (error, now));
    }

    /// Forgets a failure: the blob came.
    pub(super) fn forget(&self, account: AccountKey, hash: Hash) {
        self.recent.lock().unwrap_or_else(PoisonError::into_inner).remove(&(account, hash));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAUSE: Duration = Duration::from_secs(2);

    #[test]
    fn a_failure_is_recalled_for_a_moment_and_for_its_account_alone() {
        let (failures, now) = (Failures::new(PAUSE), Instant::now());
        let (account, other, hash) = (AccountKey::of("AC1"), AccountKey::of("AC2"), Hash::of(b"x"));
        failures.remember(account, hash, FillError::NotFound, now);
        assert_eq!(failures.recall(account, hash, now), Some(FillError::NotFound));
        assert_eq!(failures.recall(other, hash, now), None);
        assert_eq!(failures.recall(account, hash, now + PAUSE), None);
        failures.forget(account, hash);
        assert_eq!(failures.recall(account, hash, now), None);
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let (failures, now) = (Failures::new(PAUSE), Instant::now());
        for number in 0..3 * FAILURES_MAX {
            let hash = Hash::of(&number.to_le_bytes());
            failures.remember(AccountKey::of("AC"), hash, FillError::Unavailable, now);
        }
        assert!(failures.recent.lock().expect("no panic").len() <= FAILURES_MAX);
    }
}
