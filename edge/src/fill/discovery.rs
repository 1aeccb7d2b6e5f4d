//! Finds the neighbours of an edge: resolves their names again and again, and asks each new address who is there.
//!
//! A name may be a host, or a DNS name that has all edges of a place, this one among them, such as a headless service of Kubernetes.
//! Whoever answers with the id of this edge is this edge. One that does not answer is no neighbour until it does.

use super::health::Benches;
use super::neighbours::{Neighbour, Neighbours};
use super::peer::{PeerUpstream, identify};
use super::tier::{Patience, Tier};
use crate::control::Trust;
use crate::metrics::{Metrics, UpstreamKind};
use futures_util::future::join_all;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::lookup_host;
use tokio::time::{MissedTickBehavior, interval, timeout};

/// Neighbours at most: each fill looks at all of them.
const NEIGHBOURS_MAX: usize = 256;

/// Time for a name.
const RESOLVE_TIME_MAX: Duration = Duration::from_secs(5);

/// How often an address that does not answer, or whose edge is not known yet, is asked.
const RETRY: Duration = Duration::from_secs(1);

/// What finding neighbours needs.
pub(super) struct Discovery {
    /// `HOST:PORT`.
    pub(super) names: Vec<String>,
    /// How often names are resolved.
    pub(super) interval: Duration,
    pub(super) patience: Patience,
    pub(super) benches: Benches,
    pub(super) trust: Arc<Trust>,
    pub(super) neighbours: Arc<Neighbours>,
    pub(super) metrics: Arc<Metrics>,
}

/// Who was found at an address.
#[derive(Clone)]
enum Found {
    /// This edge itself.
    Itself,
    /// A neighbour.
    Neighbour(Neighbour),
}

impl Discovery {
    /// Goes on for ever.
    pub(super) async fn run(&self) {
        let mut found: HashMap<SocketAddr, Found> = HashMap::new();
        let mut resolved: BTreeMap<String, BTreeSet<SocketAddr>> = BTreeMap::new();
        let mut ticks = interval(RETRY.min(self.interval));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut resolved_at: Option<tokio::time::Instant> = None;
        loop {
            let now = ticks.tick().await;
            if resolved_at.is_none_or(|at| now >= at + self.interval) {
                self.resolve(&mut resolved).await;
                resolved_at = Some(now);
            }
            let addresses: BTreeSet<SocketAddr> =
                resolved.values().flatten().copied().take(NEIGHBOURS_MAX).collect();
            found.retain(|address, _| addresses.contains(address));
            self.identify(&addresses, &mut found).await;
            self.publish(&found);
        }
    }

    /// A name that cannot be resolved now keeps the addresses that it had.
    async fn resolve(&self, resolved: &mut BTreeMap<String, BTreeSet<SocketAddr>>) {
        for name in &self.names {
            match timeout(RESOLVE_TIME_MAX, lookup_host(name)).await {
                Ok(Ok(addresses)) => {
                    resolved.insert(name.clone(), addresses.collect());
                }
                Ok(Err(error)) => self.unresolved(name, &error),
                Err(late) => self.unresolved(name, &late),
            }
        }
    }

    fn unresolved(&self, name: &str, error: &dyn std::fmt::Display) {
        self.metrics.tiers.resolve_failures.increment(1);
        tracing::warn!(name, %error, "the name of neighbours cannot be resolved; those known before stay");
    }

    /// Asks who is at addresses at which nobody is known, or one who is benched: somebody else may be there now.
    async fn identify(&self, addresses: &BTreeSet<SocketAddr>, found: &mut HashMap<SocketAddr, Found>) {
        let is_settled = |address: &SocketAddr| found.get(address).is_some_and(Found::is_settled);
        let unknown = addresses.iter().copied().filter(|address| !is_settled(address));
        let asked = unknown.map(|address| async move {
            let id = identify(&self.trust, &address.to_string(), self.patience.open).await;
            (address, id)
        });
        for (address, id) in join_all(asked.collect::<Vec<_>>()).await {
            match id {
                Ok(id) if id == self.trust.own_id() => {
                    found.insert(address, Found::Itself);
                }
                Ok(id) => {
                    found.insert(address, Found::Neighbour(self.neighbour(address, id.into())));
                }
                Err(error) => tracing::debug!(%address, %error, "no neighbour answers there yet"),
            }
        }
    }

    fn neighbour(&self, address: SocketAddr, id: Arc<str>) -> Neighbour {
        let known = self.neighbours.known();
        let address = address.to_string();
        // One that was benched stays so: it has not become better by being asked who it is.
        let same = known.iter().find(|known| known.id == id && *known.tier.name == *address);
        if let Some(same) = same {
            return same.clone();
        }
        tracing::info!(address, edge_id = &*id, "found a neighbour");
        let peer =
            PeerUpstream::new(Arc::clone(&self.trust), &address, Some(Arc::clone(&id)), self.patience.open);
        let (kind, metrics) = (UpstreamKind::Neighbour, Arc::clone(&self.metrics));
        let tier = Tier::new(kind, &address, Box::new(peer), self.patience, self.benches, metrics);
        Neighbour { id, tier: Arc::new(tier) }
    }

    /// Whoever is found at several addresses is asked at the first of them.
    fn publish(&self, found: &HashMap<SocketAddr, Found>) {
        let mut neighbours: BTreeMap<Arc<str>, Neighbour> = BTreeMap::new();
        for neighbour in found.values() {
            let Found::Neighbour(neighbour) = neighbour else { continue };
            let known = neighbours.entry(Arc::clone(&neighbour.id)).or_insert_with(|| neighbour.clone());
            if (!neighbour.tier.is_well(), &neighbour.tier.name) < (!known.tier.is_well(), &known.tier.name) {
                *known = neighbour.clone();
            }
        }
        self.metrics.tiers.neighbours.set(neighbours.len() as f64);
        self.neighbours.replace(neighbours.into_values().collect());
    }
}

impl Found {
    fn is_settled(&self) -> bool {
        match self {
            Self::Itself => true,
            Self::Neighbour(neighbour) => neighbour.tier.is_well(),
        }
    }
}
