//! Slices for those who serve: from the cache, else from an upstream, one fill for each slice however many wait.
//!
//! A lookup that memory cannot answer moves to the multi-threaded runtime: disk, verification and fills never hold up a worker. What
//! was started goes on without whoever started it as long as somebody awaits any of it, and ends soon after nobody does. Nobody who
//! is slow holds it up: slices go to the cache, and to those who wait at that moment.
//!
//! What a neighbour owns is asked of it and kept by it alone; see [`Tiers`] for who is asked for what.
//!
//! Fills are bounded in all and for each client. Who waits for a turn too long is turned away, and a blob that could not be had is
//! not asked for again for a moment.

mod clients;
mod coalesce;
mod discovery;
mod failures;
mod fetch;
mod flight;
mod health;
pub(crate) mod hot;
mod neighbours;
mod peer;
#[cfg(test)]
mod place;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
mod tier;
mod tiers;
mod upstream;
mod warm;

pub(crate) use hot::Named;
pub(crate) use tiers::HOPS_MAX;
pub use tiers::{Journey, Tiers};
pub use upstream::{OriginUpstream, SliceStream, Upstream, UpstreamError};
pub(crate) use warm::Warming;

use crate::cache::{Account, CorruptError, DiskCondition, SliceCache, SliceKey};
use crate::config::FillLimits;
use crate::control::Revoked;
use crate::metrics::{CacheResult, FillBound, Metrics, UpstreamKind};
use bytes::{Bytes, BytesMut};
use clients::{Client, Clients, Turn};
use coalesce::{Claim, Flights, Ticket};
use failures::Failures;
use fetch::Fetch;
use flight::{Flight, Sink};
use hot::Hot;
use skerry_proto::slices::{BlobId, SliceList, VerifiedSlice};
use std::net::IpAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tiers::{Rank, Route};
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::time::timeout;

/// Slices that one fill asks for at most. With the next fill asked for at half of it, a sequential reader has 2 to 4 MiB ahead.
const FILL_SLICES_MAX: u64 = 16;

/// How far before the end of what is asked for the next fill is asked for.
const READ_AHEAD: u64 = FILL_SLICES_MAX / 2;

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
    /// Too many fills are under way, in all or for this client.
    #[error("too many fills are under way")]
    Busy,
    /// It came through as many edges as a fill may. Of a client's own it never did.
    #[error("the fill came through too many edges; look for a circle among their upstreams")]
    TooManyHops,
}

/// Which slices of a blob are meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// One, by its number.
    One(u64),
    /// All of them.
    All,
}

/// Where slices come from.
pub struct Slices {
    shared: Arc<Shared>,
    runtime: Handle,
}

/// What fills work with.
struct Shared {
    cache: SliceCache,
    tiers: Arc<Tiers>,
    flights: Flights,
    limits: FillLimits,
    turns: Semaphore,
    clients: Clients,
    failures: Failures,
    hot: Hot,
    revoked: Revoked,
    metrics: Arc<Metrics>,
}

/// For whom a fill is.
#[derive(Debug, Clone, Copy)]
enum Asker {
    /// A client of this edge.
    Client(Client),
    /// Another edge, which came by its question so.
    Edge(Journey),
}

impl Asker {
    fn journey(self) -> Option<Journey> {
        match self {
            Self::Client(_) => None,
            Self::Edge(journey) => Some(journey),
        }
    }

    fn rank(self) -> Rank {
        Rank::of(self.journey())
    }
}

/// A blob that one client, or another edge, reads. What is fetched ahead for it stops when it is dropped.
pub struct SliceReader {
    slices: Arc<Slices>,
    account: Account,
    blob: BlobId,
    asker: Asker,
    /// Shared by the clones; fills hold it weakly. Made when it is needed, which it is not by a hit in memory.
    presence: OnceLock<Arc<()>>,
}

impl Clone for SliceReader {
    fn clone(&self) -> Self {
        let presence = OnceLock::from(Arc::clone(self.presence()));
        let Self { slices, account, blob, asker, .. } = self;
        Self { slices: Arc::clone(slices), account: account.clone(), blob: *blob, asker: *asker, presence }
    }
}

impl Slices {
    /// Puts a cache before one upstream. What may wait runs on `runtime`.
    pub fn new(
        cache: SliceCache,
        upstream: Box<dyn Upstream>,
        limits: FillLimits,
        runtime: Handle,
        metrics: Arc<Metrics>,
    ) -> Self {
        let tiers = Arc::new(Tiers::only(upstream, Arc::clone(&metrics)));
        Self::before(cache, tiers, limits, runtime, metrics)
    }

    /// Puts a cache before several upstreams.
    pub(crate) fn before(
        cache: SliceCache,
        tiers: Arc<Tiers>,
        limits: FillLimits,
        runtime: Handle,
        metrics: Arc<Metrics>,
    ) -> Self {
        metrics.fills_in_flight_max.set(limits.fill_count_max as f64);
        metrics.client_fills_in_flight_max.set(limits.client_fill_count_max as f64);
        let shared = Shared {
            cache,
            tiers,
            flights: Flights::default(),
            limits,
            turns: Semaphore::new(limits.fill_count_max),
            clients: Clients::new(limits.client_fill_count_max),
            failures: Failures::new(limits.retry_pause),
            hot: Hot::default(),
            revoked: Revoked::default(),
            metrics,
        };
        Self { shared: Arc::new(shared), runtime }
    }

    /// Reads a blob for the client at `peer`.
    pub fn reader(self: &Arc<Self>, account: &Account, blob: BlobId, peer: IpAddr) -> SliceReader {
        self.shared.hot.note(account, blob);
        self.reader_of_nobody(account, blob, peer)
    }

    /// The same, uncounted: for what nobody has asked for yet.
    fn reader_of_nobody(self: &Arc<Self>, account: &Account, blob: BlobId, peer: IpAddr) -> SliceReader {
        SliceReader {
            slices: Arc::clone(self),
            account: account.clone(),
            blob,
            asker: Asker::Client(peer.into()),
            presence: OnceLock::new(),
        }
    }

    /// Reads a blob for another edge, which bounds how much at once.
    pub(crate) fn reader_for_edge(
        self: &Arc<Self>,
        account: &Account,
        blob: BlobId,
        journey: Journey,
    ) -> SliceReader {
        SliceReader {
            slices: Arc::clone(self),
            account: account.clone(),
            blob,
            asker: Asker::Edge(journey),
            presence: OnceLock::new(),
        }
    }

    /// A whole small blob, such as a manifest, verified. It is not cached as slices.
    ///
    /// # Errors
    /// Any [`FillError`]; [`FillError::Integrity`] also for a blob over `size_max`.
    pub async fn document(&self, account_sid: &str, blob: BlobId, size_max: u64) -> Result<Bytes, FillError> {
        if blob.size > size_max {
            return Err(FillError::Integrity);
        }
        // Of the origin alone: a shield learns of the same pointer at about the same time, and does not keep documents as slices.
        let route = self.shared.tiers.to_origin();
        let flight = Flight::new(&route, &self.shared.metrics, account_sid, blob);
        let mut document = Document(BytesMut::with_capacity(blob.size as usize));
        flight.run(0, blob.slice_count(), &mut document).await?;
        let bytes = document.0.freeze();
        // A blob without bytes has no slice that could be checked.
        if bytes.is_empty() && BlobId::of(&[]) != blob {
            return Err(FillError::Integrity);
        }
        Ok(bytes)
    }

    /// Corrupts a slice of a blob in the disk cache, or all that it holds of it: for operators who want to see it heal. Says how many
    /// were corrupted, at least one.
    ///
    /// # Errors
    /// [`CorruptError`].
    pub async fn corrupt(&self, account: &Account, blob: BlobId, which: Which) -> Result<u64, CorruptError> {
        let chosen = match which {
            Which::One(slice) if slice >= blob.slice_count() => {
                return Err(CorruptError::NoSuchSlice { slice_count: blob.slice_count() });
            }
            Which::One(slice) => slice..slice + 1,
            Which::All => 0..blob.slice_count(),
        };
        let mut count = 0;
        for slice in chosen {
            let key = SliceKey { account: account.key, hash: blob.hash, slice };
            match self.shared.cache.corrupt(&key, blob).await {
                Ok(()) => count += 1,
                Err(CorruptError::NotHeld) => {}
                Err(error) => return Err(error),
            }
        }
        if count == 0 { Err(CorruptError::NotHeld) } else { Ok(count) }
    }

    /// What clients ask for most, most first.
    pub(crate) fn hot(&self, count_max: usize) -> Vec<Named> {
        self.shared.hot.most(count_max)
    }

    /// Waits until it is known what the disk tier holds, or that there is none.
    pub(crate) async fn disk_opened(&self) {
        /// Opening takes some 20 ms for a full tier.
        const LOOK: Duration = Duration::from_millis(20);
        while self.disk_condition() == DiskCondition::Opening {
            tokio::time::sleep(LOOK).await;
        }
    }

    /// What accounts have revoked: it is neither fetched nor passed on.
    pub fn revoked(&self) -> &Revoked {
        &self.shared.revoked
    }

    /// Drops all copies of a blob: how many slices and lists were probably held.
    pub fn evict(&self, account: &Account, blob: BlobId) -> u64 {
        let cache = &self.shared.cache;
        let slices =
            (0..blob.slice_count()).map(|slice| SliceKey { account: account.key, hash: blob.hash, slice });
        let mut count = 0;
        for key in slices.chain([SliceKey::list(account.key, blob.hash)]) {
            if cache.may_hold(&key) {
                cache.evict(&key);
                count += 1;
            }
        }
        count
    }

    /// Bytes that were handed to the disk since the start.
    pub fn written(&self) -> u64 {
        self.shared.cache.written()
    }

    /// Bytes after whose writing nothing is on disk any more that was there before.
    pub fn turnover(&self) -> u64 {
        self.shared.cache.turnover()
    }

    /// What the disk tier of the cache can do now.
    pub fn disk_condition(&self) -> DiskCondition {
        self.shared.cache.disk_condition()
    }

    /// Takes the figures that nobody pushes.
    pub fn measure(&self) {
        let Shared { cache, metrics, clients, .. } = &*self.shared;
        metrics.cache_memory_bytes.set(cache.memory_used() as f64);
        metrics.cache_disk_bytes.set(cache.disk_used() as f64);
        metrics.client_fills_in_flight.set(clients.busiest() as f64);
        let (readable, writable) = match cache.disk_condition() {
            DiskCondition::Healthy => (1.0, 1.0),
            DiskCondition::ReadOnly => (1.0, 0.0),
            DiskCondition::Opening | DiskCondition::Away => (0.0, 0.0),
        };
        metrics.cache_disk_readable.set(readable);
        metrics.cache_disk_writable.set(writable);
    }

    /// Bytes of disk that hold slices.
    pub fn disk_used(&self) -> u64 {
        self.shared.cache.disk_used()
    }

    /// Writes what waits for the disk, and closes the cache.
    pub async fn close(&self) {
        self.shared.cache.close().await;
    }
}

impl SliceReader {
    /// The slice list of the blob, from the cache, else from an upstream.
    ///
    /// # Errors
    /// Any [`FillError`].
    pub(crate) async fn slice_list(&self) -> Result<SliceList, FillError> {
        let (shared, account) = (&self.slices.shared, &self.account);
        if let Some(list) = shared.cache.slice_list(account.key, self.blob).await {
            return Ok(list);
        }
        let route = shared.tiers.route(account.key, &self.blob.hash, 0, self.asker.journey())?;
        let mut list = HeadAlone(None);
        Flight::new(&route, &shared.metrics, &account.sid, self.blob).run(0, 0, &mut list).await?;
        let list = list.0.ok_or(FillError::Unavailable)?;
        shared.cache.insert_list(account.key, &list);
        Ok(list)
    }

    /// A slice from memory, without waiting.
    pub fn in_memory(&self, index: u64) -> Option<VerifiedSlice> {
        self.slices.shared.cache.in_memory(&self.key(index))
    }

    /// A slice from wherever it can be had, and where that was. A fill takes those after it along, but none from `until` on.
    /// A caller that goes away cancels nobody's fill.
    ///
    /// # Errors
    /// Any [`FillError`].
    pub async fn get(&self, index: u64, until: u64) -> Result<(VerifiedSlice, CacheResult), FillError> {
        let (key, shared, rank) = (self.key(index), &self.slices.shared, self.asker.rank());
        if let Some(waiter) = shared.flights.find(&key, rank) {
            return waiter.outcome().await;
        }
        // Who must ask an upstream for it waits for a turn first, so that nobody else waits for that too.
        let turn = if shared.cache.may_hold(&key) { None } else { shared.turn_of(self.asker).await? };
        let route = match shared.tiers.route(key.account, &key.hash, index, self.asker.journey()) {
            Ok(route) => route,
            // Nobody may be asked for it, but what is held may be given.
            Err(error) => {
                let (slice, tier) = shared.cache.find(&key, self.blob).await.ok_or(error)?;
                return Ok((slice, tier.into()));
            }
        };
        match shared.flights.join(key, rank, route.rank, || shared.cache.in_memory(&key)) {
            Ticket::Here(slice) => Ok((slice, CacheResult::Memory)),
            Ticket::Wait(waiter) => waiter.outcome().await,
            Ticket::Fetch(waiter, claim) => {
                self.start(claim, route, until, turn);
                waiter.outcome().await
            }
        }
    }

    /// Starts to fetch what a sequential reader that has reached slice `index`, and stops before `until`, will want next.
    pub fn read_ahead(&self, index: u64, until: u64) {
        let from = index + READ_AHEAD;
        if !index.is_multiple_of(READ_AHEAD) || from >= until {
            return;
        }
        let shared = &self.slices.shared;
        let ahead = from..until.min(from + READ_AHEAD);
        let end = ahead.end;
        let missing = ahead.map(|slice| self.key(slice)).find(|key| !shared.cache.may_hold(key));
        let Some(key) = missing else { return };
        // An edge asks for what it wants ahead; a client whose turns are all taken gets nothing ahead.
        let Asker::Client(client) = self.asker else { return };
        let Some(turn) = shared.clients.turn_now(client) else { return };
        let Ok(route) = shared.tiers.route(key.account, &key.hash, key.slice, None) else { return };
        let joined = shared.flights.join(key, self.asker.rank(), route.rank, || shared.cache.in_memory(&key));
        if let Ticket::Fetch(_, claim) = joined {
            self.start(claim, route, end, Some(turn));
        }
    }

    fn presence(&self) -> &Arc<()> {
        self.presence.get_or_init(Arc::default)
    }

    fn key(&self, slice: u64) -> SliceKey {
        SliceKey { account: self.account.key, hash: self.blob.hash, slice }
    }

    /// Fetches what was claimed and what comes after it up to before `until`, whoever goes on waiting.
    fn start(&self, claim: Claim, route: Route, until: u64, turn: Option<Turn>) {
        let fetch = Fetch {
            shared: Arc::clone(&self.slices.shared),
            account: self.account.clone(),
            blob: self.blob,
            claim,
            asker: self.asker,
            route,
            reader: Arc::downgrade(self.presence()),
        };
        self.slices.runtime.spawn(fetch.run(until, turn));
    }
}

impl Shared {
    /// A client's turn. Edges have none: the fill listener bounds what each may ask for.
    async fn turn_of(&self, asker: Asker) -> Result<Option<Turn>, FillError> {
        let Asker::Client(client) = asker else { return Ok(None) };
        match timeout(self.limits.wait_time_max, self.clients.turn(client)).await {
            Ok(turn) => Ok(Some(turn)),
            Err(_) => {
                self.metrics.fill_refused(FillBound::Client);
                Err(FillError::Busy)
            }
        }
    }
}

/// A document that is gathered.
struct Document(BytesMut);

/// A slice list without slices.
struct HeadAlone(Option<SliceList>);

impl Sink for HeadAlone {
    fn list(&mut self, list: &SliceList, _: UpstreamKind) {
        self.0 = Some(list.clone());
    }

    fn slice(&mut self, _: u64, _: VerifiedSlice, _: UpstreamKind) {}

    fn wants_more(&mut self) -> bool {
        true
    }
}

impl Sink for Document {
    fn list(&mut self, _: &SliceList, _: UpstreamKind) {}

    fn slice(&mut self, _: u64, slice: VerifiedSlice, _: UpstreamKind) {
        self.0.extend_from_slice(slice.bytes());
    }

    fn wants_more(&mut self) -> bool {
        true
    }
}

impl std::fmt::Debug for Slices {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Slices").field("cache", &self.shared.cache).finish_non_exhaustive()
    }
}
