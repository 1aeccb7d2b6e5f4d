//! Pulling blobs ahead of those who will ask for them, within a bound.

use super::Slices;
use crate::cache::{Account, SliceKey};
use futures_util::stream::{self, StreamExt};
use skerry_proto::slices::BlobId;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::time::timeout;

/// Blobs that are pulled at once: enough to hide round trips, few enough to leave turns for clients.
const AT_ONCE: usize = 4;

/// What is pulled.
#[derive(Debug, Clone)]
pub(crate) struct Warming {
    pub(crate) account: Account,
    pub(crate) blobs: Vec<BlobId>,
    /// Bytes.
    pub(crate) size_max: u64,
    pub(crate) time_max: Duration,
}

/// How far that came.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Warmth {
    /// Blobs that are held whole, but for what neighbours keep.
    pub(crate) blob_count: u32,
    /// Bytes that were pulled.
    pub(crate) size: u64,
}

/// One after the other of a warming's blobs.
struct Puller<'a> {
    slices: &'a Arc<Slices>,
    account: &'a Account,
    size_max: u64,
    pulled: AtomicU64,
    whole: AtomicU64,
}

impl Slices {
    /// Pulls what is not held and what this edge is to keep. Ends at a bound; what was pulled stays.
    pub(crate) async fn warm(self: &Arc<Self>, warming: &Warming) -> Warmth {
        let Warming { account, blobs, size_max, time_max } = warming;
        let (pulled, whole) = (AtomicU64::new(0), AtomicU64::new(0));
        let puller = Puller { slices: self, account, size_max: *size_max, pulled, whole };
        let all = stream::iter(blobs).for_each_concurrent(AT_ONCE, |blob| puller.pull(*blob));
        // What was not pulled in time is counted as missing.
        let _ = timeout(*time_max, all).await;
        let size = puller.pulled.load(Ordering::Relaxed);
        self.shared.metrics.warm_bytes.increment(size);
        let blob_count = u32::try_from(puller.whole.load(Ordering::Relaxed)).unwrap_or(u32::MAX);
        Warmth { blob_count, size }
    }
}

impl Puller<'_> {
    async fn pull(&self, blob: BlobId) {
        let missing: Vec<u64> =
            (0..blob.slice_count()).filter(|index| !self.is_in_place(blob, *index)).collect();
        let mut wanted = missing.iter().copied().take_while(|index| self.spend(blob, *index)).peekable();
        // A client of its own, whose turns are nobody else's.
        let reader = self.slices.reader_of_nobody(self.account, blob, IpAddr::V4(Ipv4Addr::UNSPECIFIED));
        let mut came = 0;
        while let Some(first) = wanted.next() {
            let mut run = vec![first];
            while let Some(next) = wanted.next_if_eq(&(first + run.len() as u64)) {
                run.push(next);
            }
            let until = first + run.len() as u64;
            for index in run {
                match reader.get(index, until).await {
                    Ok(_) => came += 1,
                    Err(_) => self.give_back(blob, index),
                }
            }
        }
        if came == missing.len() {
            self.whole.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Whether a slice is where it should be: here, or with the neighbour that keeps it.
    fn is_in_place(&self, blob: BlobId, index: u64) -> bool {
        let shared = &self.slices.shared;
        let key = SliceKey { account: self.account.key, hash: blob.hash, slice: index };
        shared.cache.may_hold(&key) || !shared.tiers.keeps(key.account, &key.hash, index)
    }

    /// Whether a slice may still be pulled.
    fn spend(&self, blob: BlobId, index: u64) -> bool {
        let size = size(blob, index);
        let fits = self.pulled.fetch_add(size, Ordering::Relaxed) + size <= self.size_max;
        if !fits {
            self.give_back(blob, index);
        }
        fits
    }

    fn give_back(&self, blob: BlobId, index: u64) {
        self.pulled.fetch_sub(size(blob, index), Ordering::Relaxed);
    }
}

fn size(blob: BlobId, index: u64) -> u64 {
    blob.slice_len(index).unwrap_or(0) as u64
}
