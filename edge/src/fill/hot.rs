//! What clients ask for most, by blob: so that this edge after a restart, and a new one beside it, have that before they get traffic.
//!
//! An estimate in little room: requests are sampled once there are many, and counts are halved when too many blobs have one.

use crate::cache::{Account, AccountKey};
use skerry_folder::{Readers, write};
use skerry_proto::hash::Hash;
use skerry_proto::slices::BlobId;
use skerry_proto::{document, wire};
use std::collections::HashMap;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// Blobs that are counted: half a megabyte.
const COUNTED_MAX: usize = 4096;

/// Requests that are all counted; of further ones, one of so many is.
const ALL_COUNTED: u64 = 1024;
const SAMPLE: u64 = 8;

/// Blobs that are told to others, and kept.
pub(crate) const HOT_MAX: usize = 1000;

/// A blob of an account.
pub(crate) type Named = (Account, BlobId);

/// Counts what is asked for.
#[derive(Debug, Default)]
pub(super) struct Hot {
    asked: AtomicU64,
    counts: Mutex<HashMap<(AccountKey, Hash), Count>>,
}

#[derive(Debug)]
struct Count {
    account: Account,
    blob: BlobId,
    count: u32,
}

impl Hot {
    /// Counts a request. Never waits: one that comes while another is counted is not.
    pub(super) fn note(&self, account: &Account, blob: BlobId) {
        let number = self.asked.fetch_add(1, Ordering::Relaxed);
        if number >= ALL_COUNTED && !number.is_multiple_of(SAMPLE) {
            return;
        }
        let Ok(mut counts) = self.counts.try_lock() else { return };
        if counts.len() >= COUNTED_MAX && !counts.contains_key(&(account.key, blob.hash)) {
            counts.retain(|_, count| {
                count.count /= 2;
                count.count > 0
            });
            if counts.len() >= COUNTED_MAX {
                return;
            }
        }
        let new = || Count { account: account.clone(), blob, count: 0 };
        let count = counts.entry((account.key, blob.hash)).or_insert_with(new);
        count.count = count.count.saturating_add(1);
    }

    /// What was asked for most, most first.
    pub(super) fn most(&self, count_max: usize) -> Vec<Named> {
        let counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let mut all: Vec<_> = counts.values().map(|count| (count.count, count)).collect();
        // Of the same count the same order each time.
        all.sort_by_key(|(count, of)| (std::cmp::Reverse(*count), of.blob.hash));
        let most = all.into_iter().take(count_max.min(HOT_MAX));
        most.map(|(_, count)| (count.account.clone(), count.blob)).collect()
    }
}

/// As it travels and is kept.
pub(crate) fn to_wire(hot: &[Named]) -> wire::HotSet {
    let blob = |(account, blob): &Named| wire::HotBlob {
        account_sid: account.sid.to_string(),
        blob: Some((*blob).into()),
    };
    wire::HotSet { blobs: hot.iter().map(blob).collect() }
}

/// What makes sense of what another edge, or a file, says.
pub(crate) fn from_wire(said: &wire::HotSet) -> Vec<Named> {
    let named = |hot: &wire::HotBlob| {
        let blob = BlobId::try_from(hot.blob.as_ref()?).ok()?;
        Some((Account::new(&hot.account_sid), blob))
    };
    said.blobs.iter().take(HOT_MAX).filter_map(named).collect()
}

/// Keeps it. Blocks.
pub(crate) fn keep(path: &Path, hot: &[Named]) -> io::Result<()> {
    write(path, &document::encode(&to_wire(hot)), Readers::Owner)
}

/// What was kept; nothing where that cannot be read. Blocks.
pub(crate) fn kept(path: &Path) -> Vec<Named> {
    let said = std::fs::read(path).ok().and_then(|bytes| document::decode::<wire::HotSet>(&bytes).ok());
    said.map(|said| from_wire(&said)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blob(number: u32) -> BlobId {
        BlobId::of(&number.to_le_bytes())
    }

    #[test]
    fn what_is_asked_for_most_comes_first() {
        let (hot, account) = (Hot::default(), Account::new("AC1"));
        for (number, times) in [(1, 3), (2, 7), (3, 5)] {
            (0..times).for_each(|_| hot.note(&account, blob(number)));
        }
        let most: Vec<_> = hot.most(2).into_iter().map(|(_, blob)| blob).collect();
        assert_eq!(most, [blob(2), blob(3)]);
    }

    #[test]
    fn what_is_counted_is_bounded_and_the_hot_stays() {
        let (hot, account) = (Hot::default(), Account::new("AC1"));
        for number in 0..100_000 {
            hot.note(&account, blob(number));
            hot.note(&account, blob(u32::MAX));
        }
        assert!(hot.counts.lock().expect("no panic").len() <= COUNTED_MAX);
        assert_eq!(hot.most(1)[0].1, blob(u32::MAX));
    }

    #[test]
    fn what_is_kept_comes_back_and_a_file_that_rotted_is_none() {
        let temp = tempfile::tempdir().expect("a temporary folder");
        let path = temp.path().join("hot");
        assert!(kept(&path).is_empty());
        keep(&path, &[(Account::new("AC1"), blob(1)), (Account::new("AC2"), blob(2))]).expect("writes");
        let again: Vec<_> = kept(&path).into_iter().map(|(account, blob)| (account.sid, blob)).collect();
        assert_eq!(again, [("AC1".into(), blob(1)), ("AC2".into(), blob(2))]);
        std::fs::write(&path, [0xff; 9]).expect("writes");
        assert!(kept(&path).is_empty());
    }
}
