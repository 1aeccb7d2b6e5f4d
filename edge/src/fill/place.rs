//! Several edges of one place, with the real caches and the real way of asking, and without sockets: what they have together.

use super::testing::MemoryUpstream;
use super::tiers::{Journey, Tiers};
use super::upstream::{SliceStream, Upstream, UpstreamError};
use super::{CacheResult, FillError, SliceReader, Slices};
use crate::cache::{Account, SliceCache};
use crate::config::{CacheConfig, FillLimits};
use crate::metrics::Metrics;
use futures_util::future::BoxFuture;
use futures_util::stream::{self, StreamExt};
use skerry_proto::hash::Hash;
use skerry_proto::slices::BlobId;
use skerry_proto::wire::{self, fill_response::Kind};
use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock, Weak};
use std::time::Duration;
use tokio::runtime::Handle;

/// What all of them name.
type Named = Arc<Mutex<HashMap<Hash, BlobId>>>;

/// An edge as its neighbours see it.
#[derive(Clone, Default)]
struct Peer {
    slices: Arc<OnceLock<Weak<Slices>>>,
    named: Named,
    /// It answers nothing.
    is_away: Arc<std::sync::atomic::AtomicBool>,
}

impl Peer {
    async fn give(&self, request: wire::FillRequest) -> Result<Vec<wire::FillResponse>, FillError> {
        let hash = Hash::try_from(&request.hash[..]).expect("a hash");
        let blob = *self.named.lock().expect("no panic").get(&hash).ok_or(FillError::NotFound)?;
        let slices = self.slices.get().and_then(Weak::upgrade).ok_or(FillError::Unavailable)?;
        let journey = Journey { hops: request.hops, from_neighbour: request.neighbour };
        let reader = slices.reader_for_edge(&account(), blob, journey);
        let end = request.first_slice + request.slice_count;
        let mut messages = Vec::new();
        for index in request.first_slice..end {
            let slice = match reader.in_memory(index) {
                Some(slice) => slice,
                None => reader.get(index, end).await?.0,
            };
            messages.push(Kind::Slice(wire::FillSlice { index, data: slice.bytes().clone() }));
        }
        let list = reader.slice_list().await?;
        messages.insert(0, Kind::Head(wire::FillHead { size: blob.size, slice_list: list.values().clone() }));
        Ok(messages.into_iter().map(|kind| wire::FillResponse { kind: Some(kind) }).collect())
    }
}

impl Upstream for Peer {
    fn open(&self, request: wire::FillRequest) -> BoxFuture<'_, Result<SliceStream, UpstreamError>> {
        Box::pin(async move {
            if self.is_away.load(std::sync::atomic::Ordering::Relaxed) {
                return Err(UpstreamError::Unavailable("away".into()));
            }
            let given =
                self.give(request).await.map_err(|error| UpstreamError::Declined(error.to_string()))?;
            Ok(stream::iter(given.into_iter().map(Ok)).boxed())
        })
    }
}

/// Edges that take each other for neighbours.
struct Place {
    edges: Vec<Arc<Slices>>,
    peers: Vec<Peer>,
    origin: MemoryUpstream,
    named: Named,
}

impl Place {
    /// Edges of which each knows the others, with so many bytes of memory each and no disk.
    fn new(count: usize, memory_size: u64) -> Self {
        let mut place = Self {
            edges: Vec::new(),
            peers: Vec::new(),
            origin: MemoryUpstream::default(),
            named: Named::default(),
        };
        place.peers =
            (0..count).map(|_| Peer { named: Arc::clone(&place.named), ..Peer::default() }).collect();
        for number in 0..count {
            place.edges.push(place.edge(number, memory_size));
        }
        place
    }

    /// The edge of a number, as the peers of now have it for a neighbour and it them.
    fn edge(&self, number: usize, memory_size: u64) -> Arc<Slices> {
        let metrics = Arc::new(Metrics::new("test").expect("registers"));
        let borrowed_size = if self.peers.len() > 1 { memory_size / 8 } else { 0 };
        let config = CacheConfig { memory_size, borrowed_size, ..CacheConfig::default() };
        // No folder can be made there, so there is no disk tier.
        let cache =
            SliceCache::start(Path::new("/dev/null/cache"), config, &Handle::current(), Arc::clone(&metrics));
        let tiers = Tiers::among(
            &id(number),
            self.others(number),
            Box::new(self.origin.clone()),
            Arc::clone(&metrics),
        );
        let limits = FillLimits { retry_pause: Duration::ZERO, ..FillLimits::default() };
        let slices = Slices::before(cache, Arc::new(tiers), limits, Handle::current(), metrics);
        let slices = Arc::new(slices);
        self.peers[number].slices.set(Arc::downgrade(&slices)).expect("set once");
        slices
    }

    fn others(&self, number: usize) -> Vec<(String, Box<dyn Upstream>)> {
        let others = self.peers.iter().enumerate().filter(|(other, _)| *other != number);
        others.map(|(other, peer)| (id(other), Box::new(peer.clone()) as Box<dyn Upstream>)).collect()
    }

    /// One more edge, which all know from now on.
    fn grow(&mut self, memory_size: u64) {
        self.peers.push(Peer { named: Arc::clone(&self.named), ..Peer::default() });
        let newest = self.edge(self.edges.len(), memory_size);
        self.edges.push(newest);
        for (number, edge) in self.edges.iter().enumerate() {
            edge.shared.tiers.know(self.others(number));
        }
    }

    fn add(&self, bytes: Vec<u8>) -> BlobId {
        let blob = self.origin.add(bytes);
        self.named.lock().expect("no panic").insert(blob.hash, blob);
        blob
    }

    /// What a client of an edge gets for the first slice of a blob, and from where.
    async fn ask(&self, edge: usize, blob: BlobId) -> Result<CacheResult, FillError> {
        let reader = self.reader(edge, blob);
        match reader.in_memory(0) {
            Some(_) => Ok(CacheResult::Memory),
            None => reader.get(0, blob.slice_count()).await.map(|(_, from)| from),
        }
    }

    fn reader(&self, edge: usize, blob: BlobId) -> SliceReader {
        self.edges[edge].reader(&account(), blob, Ipv4Addr::LOCALHOST.into())
    }

    /// Slices that the origin sent.
    fn sent_by_origin(&self) -> usize {
        self.origin.sent().len()
    }
}

fn account() -> Account {
    Account::new("AC0123")
}

fn id(number: usize) -> String {
    format!("ED{number}")
}

/// The same numbers in every run.
struct Random(u64);

impl Random {
    /// From 0 to 1.
    fn next(&mut self) -> f64 {
        // SplitMix64.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// Which of so many things is asked for next: the n-th most popular one with a weight of 1/n^exponent.
struct Popularity(Vec<f64>);

impl Popularity {
    fn new(count: usize, exponent: f64) -> Self {
        let mut sum = 0.0;
        let weights = (1..=count).map(|rank| {
            sum += (rank as f64).powf(-exponent);
            sum
        });
        Self(weights.collect())
    }

    fn pick(&self, random: &mut Random) -> usize {
        let at = random.next() * self.0.last().copied().unwrap_or_default();
        self.0.partition_point(|sum| *sum < at).min(self.0.len() - 1)
    }
}

/// Bytes of an asset in these tests: with what memory counts beside them, 4 KiB.
const ASSET_SIZE: usize = 4096 - 512;

const MEMORY: u64 = 4 << 20;

fn assets(place: &Place, count: usize) -> Vec<BlobId> {
    let asset = |number: usize| {
        let mut bytes = vec![7; ASSET_SIZE];
        bytes[..8].copy_from_slice(&number.to_le_bytes());
        place.add(bytes)
    };
    (0..count).map(asset).collect()
}

/// The share of requests that the origin is not asked for, once the place is warm. Each goes to an edge by chance.
async fn hit_ratio(place: &Place, assets: &[BlobId], popularity: &Popularity) -> f64 {
    let mut random = Random(8);
    let requests = 4 * assets.len();
    let mut before = 0;
    for round in 0..2 {
        before = if round == 1 { place.sent_by_origin() } else { 0 };
        for _ in 0..requests {
            let edge = (random.next() * place.edges.len() as f64) as usize;
            place.ask(edge, assets[popularity.pick(&mut random)]).await.expect("comes");
        }
    }
    1.0 - (place.sent_by_origin() - before) as f64 / requests as f64
}

/// The mark: within 5 points of one edge with three times the cache.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_neighbours_hit_as_often_as_one_edge_with_three_times_the_cache() {
    // Three times what one edge has room for.
    let count = 3 * (MEMORY as usize / 4096);
    for exponent in [0.7, 1.0] {
        let popularity = Popularity::new(count, exponent);
        let (three, one) = (Place::new(3, MEMORY), Place::new(1, 3 * MEMORY));
        let alone = Place::new(1, MEMORY);
        let together = hit_ratio(&three, &assets(&three, count), &popularity).await;
        let large = hit_ratio(&one, &assets(&one, count), &popularity).await;
        let small = hit_ratio(&alone, &assets(&alone, count), &popularity).await;
        println!(
            "exponent {exponent}: three {together:.3}, one of three times the size {large:.3}, one alone {small:.3}"
        );
        assert!(together > large - 0.05, "exponent {exponent}: {together:.3} against {large:.3}");
        assert!(small < large - 0.05, "the load tells sizes apart: {small:.3} against {large:.3}");
    }
}

/// The mark: a fourth edge moves no more than its share.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fourth_neighbour_moves_no_more_than_its_share() {
    let mut place = Place::new(3, 32 * MEMORY);
    let assets = assets(&place, 2000);
    for (number, asset) in assets.iter().enumerate() {
        place.ask(number % 3, *asset).await.expect("comes");
    }
    assert_eq!(place.sent_by_origin(), 2000, "each slice was fetched once for all three");
    place.grow(32 * MEMORY);
    for (number, asset) in assets.iter().enumerate() {
        place.ask(number % 4, *asset).await.expect("comes");
    }
    let moved = place.sent_by_origin() - 2000;
    println!("a fourth edge moved {moved} of 2000");
    // Less than the 500 of its share, because those who held them before still answer their own clients.
    assert!((100..=500).contains(&moved), "{moved} of 2000");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_neighbour_owns_is_kept_by_it_alone_and_the_origin_is_asked_once() {
    let place = Place::new(3, 64 << 20);
    let blob = place.add(super::testing::sample(20 * 262_144).to_vec());
    for edge in 0..3 {
        let reader = place.reader(edge, blob);
        for index in 0..20 {
            let slice = match reader.in_memory(index) {
                Some(slice) => slice,
                None => reader.get(index, 20).await.expect("comes").0,
            };
            let at = index as usize * 262_144;
            assert_eq!(slice.bytes()[..], super::testing::sample(20 * 262_144)[at..at + 262_144]);
        }
    }
    let mut sent = place.origin.sent();
    sent.sort_unstable();
    assert_eq!(sent, (0..20).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_neighbour_that_is_away_is_passed_over_and_its_share_goes_to_the_others() {
    let place = Place::new(3, 32 * MEMORY);
    let assets = assets(&place, 300);
    place.peers[2].is_away.store(true, std::sync::atomic::Ordering::Relaxed);
    for round in 0..2 {
        for (number, asset) in assets.iter().enumerate() {
            place.ask((number + round) % 2, *asset).await.expect("comes");
        }
    }
    let asked = place.sent_by_origin();
    assert!(
        (300..305).contains(&asked),
        "{asked} of 300: the two that are left share all, but for what the first failure cost"
    );
}

/// Edges that do not agree on who is there may each take the other for the owner.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn edges_that_take_each_other_for_the_owner_do_not_wait_for_each_other() {
    let place = Place::new(2, 32 * MEMORY);
    let assets = assets(&place, 100);
    // Each knows the other by many ids, so that one of these owns nearly everything.
    for (number, edge) in place.edges.iter().enumerate() {
        let other = &place.peers[1 - number];
        let many = (0..50)
            .map(|alias| (format!("ED-{number}-{alias}"), Box::new(other.clone()) as Box<dyn Upstream>));
        edge.shared.tiers.know(many.collect());
    }
    let asking = assets.iter().flat_map(|asset| [place.ask(0, *asset), place.ask(1, *asset)]);
    let all = tokio::time::timeout(Duration::from_secs(20), futures_util::future::join_all(asking)).await;
    let all = all.expect("nobody waits for ever");
    assert!(all.iter().all(Result::is_ok));
    let of_neighbours = all.iter().filter(|from| **from == Ok(CacheResult::Neighbour)).count();
    assert!(of_neighbours > 50, "they did ask each other: {of_neighbours} of 200");
}
