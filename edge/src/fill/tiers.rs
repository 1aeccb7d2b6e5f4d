//! The upstreams of an edge, and in which order a fill asks them.
//!
//! First the neighbour that owns the slice, if it is not this edge; then shields, in the order configured; the origin last, unless it
//! is configured elsewhere. Who is benched is passed over; the last one is always asked. A fill that came from a neighbour never goes
//! to a neighbour.
//!
//! Fills wait for each other only in one direction: one that came through so many edges waits for none that came through fewer, so
//! that no circle of edges can wait for itself. A fill that can only go to the origin waits for nobody, and so anybody may wait for
//! it: behind a shield each slice is asked for once, whoever wants it.

use super::discovery::Discovery;
use super::health::Benches;
use super::hot::Named;
use super::neighbours::{GROUP_SLICES, Neighbours};
use super::peer::PeerUpstream;
use super::tier::{Patience, Tier};
use super::upstream::Upstream;
use super::{FILL_SLICES_MAX, FillError};
use crate::cache::AccountKey;
use crate::config::{TierConfig, UpstreamAddress};
use crate::control::Trust;
use crate::metrics::{Metrics, UpstreamKind};
use skerry_proto::hash::Hash;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Edges that a fill may have come through when it is sent on; the origin counts the same way.
pub(crate) const HOPS_MAX: u32 = 3;

/// Neighbours that are asked what is hot: they are asked for much the same.
const HOT_FROM_MAX: usize = 3;

/// The origin may take its time: it may be far away, and nobody is asked after it.
const ORIGIN_PATIENCE: Patience =
    Patience { open: Duration::from_secs(10), message: Duration::from_secs(10) };

/// A message may take so many times what an answer may: it may have to come from further away.
const MESSAGE_FACTOR: u32 = 4;

/// How a fill came here from another edge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Journey {
    /// Edges that it came through before the one that sent it.
    pub hops: u32,
    /// That one takes this edge for a neighbour.
    pub from_neighbour: bool,
}

/// Through how many edges a fill came, from 0 for a client's; and the least that a fill may have come through for this one to wait
/// for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Rank(pub(super) u32);

impl Rank {
    /// Of a fill that waits for no other edge.
    pub(super) const LAST: Self = Self(u32::MAX);

    /// Of a fill that came here so; `None`: for a client of this edge.
    pub(super) fn of(journey: Option<Journey>) -> Self {
        Self(journey.map_or(0, |journey| journey.hops.saturating_add(1)))
    }

    /// All ranks of fills for which one of this rank may wait, those that most may wait for first.
    pub(super) fn joinable(self) -> impl Iterator<Item = Self> {
        std::iter::once(Self::LAST).chain((self.0..=HOPS_MAX + 1).map(Self))
    }
}

/// Whom a fill asks, in order.
#[derive(Clone)]
pub(super) struct Route {
    tiers: Arc<[Arc<Tier>]>,
    pub(super) rank: Rank,
    /// What a request says: edges that the fill came through.
    pub(super) hops: u32,
    /// Slices from the one asked for on that go the same way.
    pub(super) slice_count_max: u64,
}

impl Route {
    /// Those that are asked once each, and the one that is asked last, again and again.
    pub(super) fn split(&self) -> Option<(&Arc<Tier>, &[Arc<Tier>])> {
        self.tiers.split_last()
    }
}

/// All upstreams of an edge.
pub struct Tiers {
    /// In order; at least one.
    upstreams: Arc<[Arc<Tier>]>,
    origin: Arc<Tier>,
    neighbours: Option<Arc<Neighbours>>,
    discovery: Option<Discovery>,
    metrics: Arc<Metrics>,
}

impl Tiers {
    /// One upstream, and nobody else.
    pub fn only(upstream: Box<dyn Upstream>, metrics: Arc<Metrics>) -> Self {
        let benches = Benches { time_max: Duration::from_secs(60), liar: Duration::from_secs(600) };
        let origin = origin(upstream, benches, &metrics);
        let upstreams = Arc::from([Arc::clone(&origin)]);
        Self { upstreams, origin, neighbours: None, discovery: None, metrics }
    }

    /// As configured, with the origin at the end where it is not named.
    pub(crate) fn new(
        config: &TierConfig,
        trust: &Arc<Trust>,
        upstream: Box<dyn Upstream>,
        metrics: Arc<Metrics>,
    ) -> Self {
        let benches = Benches { time_max: config.bench_time_max, liar: config.liar_bench_time };
        let origin = origin(upstream, benches, &metrics);
        let mut upstreams: Vec<Arc<Tier>> = Vec::new();
        for address in &config.upstreams {
            upstreams.push(match address {
                UpstreamAddress::Origin => Arc::clone(&origin),
                UpstreamAddress::Shield(address) => {
                    let patience = patience(config.shield_answer_time_max);
                    let peer = PeerUpstream::new(Arc::clone(trust), address, None, patience.open);
                    let kind = UpstreamKind::Shield;
                    Arc::new(Tier::new(
                        kind,
                        address,
                        Box::new(peer),
                        patience,
                        benches,
                        Arc::clone(&metrics),
                    ))
                }
            });
        }
        if !config.upstreams.contains(&UpstreamAddress::Origin) {
            upstreams.push(Arc::clone(&origin));
        }
        let neighbours = (!config.neighbours.is_empty()).then(|| Arc::new(Neighbours::new(trust.own_id())));
        let discovery = neighbours.as_ref().map(|neighbours| Discovery {
            names: config.neighbours.clone(),
            interval: config.resolve_interval,
            patience: patience(config.neighbour_answer_time_max),
            benches,
            trust: Arc::clone(trust),
            neighbours: Arc::clone(neighbours),
            metrics: Arc::clone(&metrics),
        });
        Self { upstreams: upstreams.into(), origin, neighbours, discovery, metrics }
    }

    /// The origin alone.
    pub(super) fn to_origin(&self) -> Route {
        let tiers = Arc::from([Arc::clone(&self.origin)]);
        Route { tiers, rank: Rank::LAST, hops: 0, slice_count_max: FILL_SLICES_MAX }
    }

    /// The way of a fill that begins with this slice, and came here so.
    ///
    /// # Errors
    /// [`FillError::TooManyHops`].
    pub(super) fn route(
        &self,
        account: AccountKey,
        hash: &Hash,
        slice: u64,
        journey: Option<Journey>,
    ) -> Result<Route, FillError> {
        let rank = Rank::of(journey);
        if rank.0 > HOPS_MAX {
            return Err(FillError::TooManyHops);
        }
        let slice_count_max = match self.neighbours {
            Some(_) => GROUP_SLICES - slice % GROUP_SLICES,
            None => FILL_SLICES_MAX,
        };
        let may_ask_neighbours = journey.is_none_or(|journey| !journey.from_neighbour);
        let neighbours = self.neighbours.as_ref().filter(|_| may_ask_neighbours);
        let owner = neighbours.and_then(|neighbours| neighbours.owner(account, hash, slice));
        let (tiers, is_last) = match (&owner, self.upstreams.len()) {
            (None, 1) => (Arc::clone(&self.upstreams), true),
            _ => (self.well(owner), false),
        };
        let rank = if is_last { Rank::LAST } else { rank };
        Ok(Route { tiers, rank, hops: Rank::of(journey).0, slice_count_max })
    }

    /// An owner, then those who are not benched, and the last one in any case.
    fn well(&self, owner: Option<Arc<Tier>>) -> Arc<[Arc<Tier>]> {
        let last = self.upstreams.len() - 1;
        let well =
            self.upstreams.iter().enumerate().filter(|(number, tier)| *number == last || tier.is_well());
        owner.into_iter().chain(well.map(|(_, tier)| Arc::clone(tier))).collect()
    }

    /// Whether this edge is to keep a slice: no neighbour owns it.
    pub(super) fn keeps(&self, account: AccountKey, hash: &Hash, slice: u64) -> bool {
        self.neighbours.as_ref().is_none_or(|neighbours| neighbours.owner(account, hash, slice).is_none())
    }

    /// What clients of the neighbours ask for most, of each in turn.
    pub(crate) async fn hot(&self) -> Vec<Named> {
        let Some(neighbours) = &self.neighbours else { return Vec::new() };
        neighbours.looked_for().await;
        let known = neighbours.known();
        let asked = known.iter().filter(|known| known.tier.is_well()).take(HOT_FROM_MAX);
        let said = futures_util::future::join_all(asked.map(|known| known.tier.upstream.hot())).await;
        let longest = said.iter().map(Vec::len).max().unwrap_or(0);
        (0..longest).flat_map(|rank| said.iter().filter_map(move |hot| hot.get(rank).cloned())).collect()
    }

    /// Finds neighbours, and probes those who are benched, until `stop` is cancelled.
    pub(crate) async fn keep_up(&self, stop: CancellationToken) {
        let discovering = async {
            match &self.discovery {
                Some(discovery) => discovery.run().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = discovering => {}
            () = self.probe_all() => {}
            () = stop.cancelled() => {}
        }
    }

    async fn probe_all(&self) {
        /// Often enough for the shortest bench.
        const INTERVAL: Duration = Duration::from_millis(250);
        let mut ticks = tokio::time::interval(INTERVAL);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let known = self.neighbours.as_ref().map(|neighbours| neighbours.known()).unwrap_or_default();
            let all = self.upstreams.iter().chain(known.iter().map(|neighbour| &neighbour.tier));
            futures_util::future::join_all(all.map(|tier| tier.probe())).await;
            self.measure();
        }
    }

    /// Counts who is benched.
    fn measure(&self) {
        let benched = |tiers: &mut dyn Iterator<Item = &Arc<Tier>>, kind| {
            let count = tiers.filter(|tier| tier.kind == kind && !tier.is_well()).count();
            self.metrics.tiers.of(kind).benched.set(count as f64);
        };
        benched(&mut self.upstreams.iter(), UpstreamKind::Origin);
        benched(&mut self.upstreams.iter(), UpstreamKind::Shield);
        let known = self.neighbours.as_ref().map(|neighbours| neighbours.known()).unwrap_or_default();
        benched(&mut known.iter().map(|neighbour| &neighbour.tier), UpstreamKind::Neighbour);
        self.metrics.tiers.neighbours.set(known.len() as f64);
    }
}

/// For tests in which neighbours are in memory.
#[cfg(test)]
impl Tiers {
    pub(super) fn among(
        own_id: &str,
        neighbours: Vec<(String, Box<dyn Upstream>)>,
        origin: Box<dyn Upstream>,
        metrics: Arc<Metrics>,
    ) -> Self {
        let known = Some(Arc::new(Neighbours::new(own_id)));
        let tiers = Self { neighbours: known, ..Self::only(origin, metrics) };
        tiers.know(neighbours);
        tiers
    }

    /// Takes these for its neighbours from now on.
    pub(super) fn know(&self, neighbours: Vec<(String, Box<dyn Upstream>)>) {
        use super::neighbours::Neighbour;
        let benches = Benches { time_max: Duration::from_secs(60), liar: Duration::from_secs(600) };
        let tiers = neighbours.into_iter().map(|(id, upstream)| {
            let patience = patience(Duration::from_secs(5));
            let (kind, metrics) = (UpstreamKind::Neighbour, Arc::clone(&self.metrics));
            let tier = Tier::new(kind, &id, upstream, patience, benches, metrics);
            Neighbour { id: id.into(), tier: Arc::new(tier) }
        });
        self.neighbours.as_ref().expect("it has neighbours").replace(tiers.collect());
    }
}

fn origin(upstream: Box<dyn Upstream>, benches: Benches, metrics: &Arc<Metrics>) -> Arc<Tier> {
    let kind = UpstreamKind::Origin;
    Arc::new(Tier::new(kind, kind.name(), upstream, ORIGIN_PATIENCE, benches, Arc::clone(metrics)))
}

fn patience(open: Duration) -> Patience {
    Patience { open, message: (open * MESSAGE_FACTOR).min(ORIGIN_PATIENCE.message) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fill_waits_only_for_those_that_came_through_as_many_edges_or_can_wait_for_nobody() {
        let ranks = |journey| Rank::of(journey).joinable().map(|rank| rank.0).collect::<Vec<_>>();
        assert_eq!(ranks(None), [u32::MAX, 0, 1, 2, 3, 4]);
        let journey = Journey { hops: 1, from_neighbour: false };
        assert_eq!(ranks(Some(journey)), [u32::MAX, 2, 3, 4]);
    }
}
