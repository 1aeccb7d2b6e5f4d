//! Pulling blobs ahead of those who will ask for them, within a bound.

use super::{SliceReader, Slices};
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
        // A client of its own, whose turns are nobody else's.
        let reader = self.slices.reader(self.account, blob, IpAddr::V4(Ipv4Addr::UNSPECIFIED));
        for index in 0..blob.slice_count() {
            if !self.pull_slice(&reader, blob, index).await {
                return;
            }
        }
        self.whole.fetch_add(1, Ordering::Relaxed);
    }

    /// Whether the slice is where it should be now.
    async fn pull_slice(&self, reader: &SliceReader, blob: BlobId, index: u64) -> bool {
        let shared = &self.slices.shared;
        let key = SliceKey { account: self.account.key, hash: blob.hash, slice: index };
        if shared.cache.may_hold(&key) || !shared.tiers.keeps(key.account, &key.hash, index) {
            return true;
        }
        let size = blob.slice_len(index).unwrap_or(0) as u64;
        if self.pulled.fetch_add(size, Ordering::Relaxed) + size > self.size_max {
            self.pulled.fetch_sub(size, Ordering::Relaxed);
            return false;
        }
        let came = reader.get(index, blob.slice_count()).await.is_ok();
        if !came {
            self.pulled.fetch_sub(size, Ordering::Relaxed);
        }
        came
    }
}
