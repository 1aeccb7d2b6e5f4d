//! Slices for those who serve: from the cache, else from an upstream, one fill for each slice however many wait.
//!
//! A lookup that memory cannot answer moves to the multi-threaded runtime: disk, verification and fills never hold up a worker.

mod coalesce;
mod flight;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
mod upstream;

pub use upstream::{OriginUpstream, SliceStream, Upstream, UpstreamError};

use crate::cache::{Account, Found, SliceCache, SliceKey, Tier};
use crate::metrics::{CacheResult, Metrics};
use bytes::{Bytes, BytesMut};
use coalesce::{Claim, Flights, Ticket};
use flight::Flight;
use skerry_proto::slices::{BlobId, SliceList, VerifiedSlice};
use std::ops::Range;
use std::sync::Arc;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;

/// Slices that one fill asks for at most. With the next fill asked for at half of it, a sequential reader has 2 to 4 MiB ahead.
const FILL_SLICES_MAX: u64 = 16;

/// How far before the end of what is asked for the next fill is asked for.
const READ_AHEAD: u64 = FILL_SLICES_MAX / 2;

/// Fills under way at most; further ones wait their turn.
const FILLS_MAX: usize = 128;

/// Why a slice cannot be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FillError {
    /// No upstream answers.
    #[error("no upstream answers")]
    Unavailable,
    /// No upstream answers in time.
    #[error("no upstream answers in time")]
    TimedOut,
    /// The upstream has no such blob for this account.
    #[error("the upstream does not give this blob")]
    NotFound,
    /// What came does not verify.
    #[error("what the upstream sent does not verify")]
    Integrity,
}

/// Where slices come from.
pub struct Slices {
    shared: Arc<Shared>,
    runtime: Handle,
}

/// What fills work with.
struct Shared {
    cache: SliceCache,
    upstream: Box<dyn Upstream>,
    flights: Flights,
    permits: Semaphore,
    metrics: Arc<Metrics>,
}

impl Slices {
    /// Puts a cache before an upstream. What may wait runs on `runtime`.
    pub fn new(
        cache: SliceCache,
        upstream: Box<dyn Upstream>,
        runtime: Handle,
        metrics: Arc<Metrics>,
    ) -> Self {
        let shared = Shared {
            cache,
            upstream,
            flights: Flights::default(),
            permits: Semaphore::new(FILLS_MAX),
            metrics,
        };
        Self { shared: Arc::new(shared), runtime }
    }

    /// A slice from memory, without waiting.
    pub fn in_memory(&self, account: &Account, blob: &BlobId, index: u64) -> Option<VerifiedSlice> {
        self.shared.cache.in_memory(&SliceKey { account: account.key, hash: blob.hash, slice: index })
    }

    /// A slice from wherever it can be had, and where that was. A fill takes those after it along, but none from `until` on. A caller
    /// that goes away cancels nobody's fill.
    ///
    /// # Errors
    /// Any [`FillError`].
    pub async fn get(
        &self,
        account: &Account,
        blob: BlobId,
        index: u64,
        until: u64,
    ) -> Result<(VerifiedSlice, CacheResult), FillError> {
        let (shared, account) = (Arc::clone(&self.shared), account.clone());
        // A panic there is a bug; the client sees a failed fill.
        let task = self.runtime.spawn(async move { shared.get(&account, blob, index..until).await });
        task.await.unwrap_or(Err(FillError::Unavailable))
    }

    /// Starts to fetch what a sequential reader that has reached slice `index`, and stops before `until`, will want next.
    pub fn read_ahead(&self, account: &Account, blob: BlobId, index: u64, until: u64) {
        let from = index + READ_AHEAD;
        if !index.is_multiple_of(READ_AHEAD) || from >= until {
            return;
        }
        let ahead = from..until.min(from + READ_AHEAD);
        let (shared, account) = (Arc::clone(&self.shared), account.clone());
        self.runtime.spawn(async move { shared.start_fill(&account, blob, ahead) });
    }

    /// A whole small blob, such as a manifest, verified. It is not cached as slices.
    ///
    /// # Errors
    /// Any [`FillError`]; [`FillError::Integrity`] also for a blob over `size_max`.
    pub async fn document(&self, account_sid: &str, blob: BlobId, size_max: u64) -> Result<Bytes, FillError> {
        if blob.size > size_max {
            return Err(FillError::Integrity);
        }
        let flight = Flight::new(&*self.shared.upstream, &self.shared.metrics, account_sid, blob);
        let mut bytes = BytesMut::with_capacity(blob.size as usize);
        flight.run(0, blob.slice_count(), |_| (), |_, slice| bytes.extend_from_slice(slice.bytes())).await?;
        // A blob without bytes has no slice that could be checked.
        if bytes.is_empty() && BlobId::of(&[]) != blob {
            return Err(FillError::Integrity);
        }
        Ok(bytes.freeze())
    }

    /// Bytes of slices in memory.
    pub fn memory_used(&self) -> usize {
        self.shared.cache.memory_used()
    }

    /// Writes what waits for the disk, and closes the cache.
    pub async fn close(&self) {
        self.shared.cache.close().await;
    }
}

impl Shared {
    async fn get(
        self: Arc<Self>,
        account: &Account,
        blob: BlobId,
        wanted: Range<u64>,
    ) -> Result<(VerifiedSlice, CacheResult), FillError> {
        let key = SliceKey { account: account.key, hash: blob.hash, slice: wanted.start };
        if let Some((slice, tier)) = self.held(&key, blob).await {
            let result = match tier {
                Tier::Memory => CacheResult::Memory,
                Tier::Disk => CacheResult::Disk,
            };
            return Ok((slice, result));
        }
        let run_max = wanted.end.saturating_sub(wanted.start).clamp(1, FILL_SLICES_MAX);
        let waiter = match self.join(key, run_max) {
            Ticket::Here(slice) => return Ok((slice, CacheResult::Memory)),
            Ticket::Wait(waiter) => waiter,
            Ticket::Fetch(waiter, claim) => {
                self.fetch(account, blob, claim);
                waiter
            }
        };
        waiter.outcome().await.map(|slice| (slice, CacheResult::Miss))
    }

    /// From memory or disk; what comes from disk is checked here.
    async fn held(&self, key: &SliceKey, blob: BlobId) -> Option<(VerifiedSlice, Tier)> {
        match self.cache.find(key).await {
            Found::Verified(slice, tier) => Some((slice, tier)),
            Found::Missing => None,
            Found::Unverified(found) => {
                let list = self.cache.slice_list(key.account, blob).await?;
                self.cache.confirm(key, &found, &list)
            }
        }
    }

    /// Fetches the first run of slices in a range that is neither held nor on its way.
    fn start_fill(self: &Arc<Self>, account: &Account, blob: BlobId, ahead: Range<u64>) {
        let end = ahead.end;
        let missing = ahead
            .map(|slice| SliceKey { account: account.key, hash: blob.hash, slice })
            .find(|key| !self.cache.may_hold(key));
        let Some(key) = missing else { return };
        if let Ticket::Fetch(_, claim) = self.join(key, end - key.slice) {
            self.fetch(account, blob, claim);
        }
    }

    fn join(&self, key: SliceKey, run_max: u64) -> Ticket {
        self.flights.join(key, run_max, || self.cache.in_memory(&key), |key| !self.cache.may_hold(key))
    }

    /// Fetches what was claimed, whoever goes on waiting.
    fn fetch(self: &Arc<Self>, account: &Account, blob: BlobId, mut claim: Claim) {
        let (shared, account) = (Arc::clone(self), account.clone());
        tokio::spawn(async move {
            let (Ok(_permit), Some(first)) = (shared.permits.acquire().await, claim.first()) else { return };
            let flight = Flight::new(&*shared.upstream, &shared.metrics, &account.sid, blob);
            let count = claim.count();
            let on_list = |list: &SliceList| shared.cache.insert_list(account.key, list);
            let on_slice = |slice: u64, verified: VerifiedSlice| {
                shared.cache.insert(SliceKey { account: account.key, hash: blob.hash, slice }, &verified);
                claim.deliver(verified);
            };
            if let Err(error) = flight.run(first, count, on_list, on_slice).await {
                claim.fail(error);
            }
        });
    }
}

impl std::fmt::Debug for Slices {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Slices").field("cache", &self.shared.cache).finish_non_exhaustive()
    }
}
