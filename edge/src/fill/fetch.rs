//! What becomes of a claim: its slice is read from disk, else fetched from an upstream, and given to all who wait.

use super::clients::Turn;
use super::coalesce::{Claim, Ticket};
use super::flight::{Flight, Sink};
use super::tiers::Route;
use super::{Asker, FillError, Shared};
use crate::cache::{Account, SliceKey};
use crate::metrics::{CacheResult, FillBound, UpstreamKind};
use futures_util::future::{join, join_all};
use skerry_proto::slices::{BlobId, SliceList, VerifiedSlice};
use std::sync::{Arc, Weak};
use std::time::Instant;
use tokio::time::timeout;

/// Slices that are read from disk at once for a sequential reader: 1 MiB.
const DISK_SLICES_MAX: u64 = 4;

/// One claim on its way.
pub(super) struct Fetch {
    pub(super) shared: Arc<Shared>,
    pub(super) account: Account,
    pub(super) blob: BlobId,
    pub(super) claim: Claim,
    pub(super) asker: Asker,
    /// Whom to ask; the claim has its rank.
    pub(super) route: Route,
    /// Gone when the client is for whom this was begun.
    pub(super) reader: Weak<()>,
}

impl Fetch {
    /// Gets what was claimed, and what a sequential reader that stops before `until` will want next.
    pub(super) async fn run(self, until: u64, turn: Option<Turn>) {
        let ahead = self.ahead_on_disk(until);
        if ahead.is_empty() {
            return self.get(until, turn).await;
        }
        // Once, so that those ahead find it in memory.
        self.shared.cache.slice_list(self.account.key, self.blob).await;
        let ahead = ahead.into_iter().map(|fetch| {
            let index = fetch.claim.first().unwrap_or(until);
            fetch.get(index + 1, None)
        });
        // In one task: while the disk reads one, another is verified, and threads that are awake need not be woken for each.
        join(self.get(until, turn), join_all(ahead)).await;
    }

    /// Claims of the next slices, as far as they lie on disk and nobody reads them.
    fn ahead_on_disk(&self, until: u64) -> Vec<Self> {
        let Self { shared, account, blob, claim, asker, route, reader } = self;
        let Some(index) = claim.first() else { return Vec::new() };
        let key = |slice| SliceKey { account: account.key, hash: blob.hash, slice };
        if !shared.cache.may_hold_on_disk_alone(&key(index)) {
            return Vec::new();
        }
        let next = index + 1..until.min(index + DISK_SLICES_MAX);
        let claimed = next.map(key).map_while(|key| {
            if !shared.cache.may_hold_on_disk_alone(&key) {
                return None;
            }
            match shared.flights.join(key, asker.rank(), route.rank, || shared.cache.in_memory(&key)) {
                Ticket::Fetch(_, claim) => Some(claim),
                Ticket::Here(_) | Ticket::Wait(_) => None,
            }
        });
        let fetch = |claim| Self {
            shared: Arc::clone(shared),
            account: account.clone(),
            blob: *blob,
            claim,
            asker: *asker,
            route: route.clone(),
            reader: Weak::clone(reader),
        };
        claimed.map(fetch).collect()
    }

    /// The disk first, then an upstream.
    async fn get(mut self, until: u64, turn: Option<Turn>) {
        let Some(index) = self.claim.first() else { return };
        let key = SliceKey { account: self.account.key, hash: self.blob.hash, slice: index };
        if let Some((slice, tier)) = self.shared.cache.find(&key, self.blob).await {
            return self.claim.deliver(slice, tier.into());
        }
        if let Err(error) = self.fill(index, until, turn).await {
            self.claim.fail(error);
        }
    }

    async fn fill(&mut self, index: u64, until: u64, turn: Option<Turn>) -> Result<(), FillError> {
        let shared = Arc::clone(&self.shared);
        let (account, hash) = (self.account.clone(), self.blob.hash);
        // Also where somebody began to read before it was revoked.
        if shared.revoked.contains(account.key, &hash) {
            return Err(FillError::NotFound);
        }
        if let Some(error) = shared.failures.recall(account.key, hash, Instant::now()) {
            shared.metrics.fill_failures_recalled.increment(1);
            return Err(error);
        }
        let _turn = match turn {
            Some(turn) => Some(turn),
            // The disk seemed to hold it.
            None => shared.turn_of(self.asker).await?,
        };
        let _permit = match self.asker {
            Asker::Client(_) => match timeout(shared.limits.wait_time_max, shared.turns.acquire()).await {
                Ok(Ok(permit)) => Some(permit),
                Ok(Err(_)) | Err(_) => {
                    shared.metrics.fill_refused(FillBound::All);
                    return Err(FillError::Busy);
                }
            },
            // The fill listener bounds these. With a bound in common, edges that ask each other could take each other's turns away.
            Asker::Edge(_) => None,
        };
        let route = self.route.clone();
        let count_max = until.saturating_sub(index).clamp(1, route.slice_count_max);
        self.claim.extend(count_max, |key| !shared.cache.may_hold(key));
        let count = self.claim.count();
        let flight = Flight::new(&route, &shared.metrics, &account.sid, self.blob);
        let result = flight.run(index, count, self).await;
        match result {
            Ok(()) => shared.failures.forget(account.key, hash),
            Err(error) => shared.failures.remember(account.key, hash, error, Instant::now()),
        }
        result
    }
}

impl Sink for Fetch {
    fn list(&mut self, list: &SliceList, from: UpstreamKind) {
        match from {
            UpstreamKind::Neighbour => self.shared.cache.borrow_list(self.account.key, list),
            UpstreamKind::Origin | UpstreamKind::Shield => {
                self.shared.cache.insert_list(self.account.key, list)
            }
        }
    }

    fn slice(&mut self, index: u64, slice: VerifiedSlice, from: UpstreamKind) {
        let key = SliceKey { account: self.account.key, hash: self.blob.hash, slice: index };
        let from = match from {
            // It is kept by whose it is.
            UpstreamKind::Neighbour => {
                self.shared.cache.borrow(key, &slice);
                CacheResult::Neighbour
            }
            UpstreamKind::Origin | UpstreamKind::Shield => {
                self.shared.cache.insert(key, &slice, self.claim.asks());
                CacheResult::Miss
            }
        };
        self.claim.deliver(slice, from);
    }

    fn wants_more(&mut self) -> bool {
        self.reader.strong_count() > 0 || !self.claim.abandon()
    }
}
