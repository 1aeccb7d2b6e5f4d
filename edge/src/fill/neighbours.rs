//! Whose slice a slice is, among the edges of one place: rendezvous hashing, so that an edge that comes or goes moves its share
//! alone.
//!
//! The edge whose hash with a group of slices is the greatest owns the group. Edges are told apart by their ids, which their
//! certificates name, so all of them come to the same answer, and one that moves to another address keeps its share.

use super::tier::Tier;
use crate::cache::AccountKey;
use arc_swap::ArcSwap;
use skerry_proto::hash::Hash;
use std::sync::Arc;
use tokio::sync::watch;

/// Slices that have one owner: 2 MiB, so that a sequential reader asks one edge for a run of them, and large assets spread all the
/// same.
pub(super) const GROUP_SLICES: u64 = 8;

/// A neighbour.
#[derive(Clone)]
pub(super) struct Neighbour {
    /// Of the edge, from its certificate.
    pub(super) id: Arc<str>,
    pub(super) tier: Arc<Tier>,
}

/// The edges of one place, as this one sees them.
pub(super) struct Neighbours {
    own_id: Arc<str>,
    known: ArcSwap<Vec<Neighbour>>,
    /// All of them were looked for once.
    looked: watch::Sender<bool>,
}

impl Neighbours {
    /// This edge, which knows no other yet.
    pub(super) fn new(own_id: &str) -> Self {
        Self { own_id: own_id.into(), known: ArcSwap::default(), looked: watch::Sender::new(false) }
    }

    /// Those that are known.
    pub(super) fn known(&self) -> Arc<Vec<Neighbour>> {
        self.known.load_full()
    }

    /// From now on, these.
    pub(super) fn replace(&self, neighbours: Vec<Neighbour>) {
        self.known.store(Arc::new(neighbours));
        self.looked.send_replace(true);
    }

    /// Waits until they were looked for once.
    pub(super) async fn looked_for(&self) {
        // The sender lives as long as this does.
        let _ = self.looked.subscribe().wait_for(|looked| *looked).await;
    }

    /// The neighbour that owns a slice; `None`: this edge does. One that is benched owns nothing, so that its share is spread over
    /// the others meanwhile.
    pub(super) fn owner(&self, account: AccountKey, hash: &Hash, slice: u64) -> Option<Arc<Tier>> {
        let known = self.known.load();
        if known.is_empty() {
            return None;
        }
        let group = Group::of(account, hash, slice);
        let well = known.iter().filter(|neighbour| neighbour.tier.is_well());
        let best =
            well.map(|neighbour| (group.weight(&neighbour.id), neighbour)).max_by_key(|(weight, _)| *weight);
        best.filter(|(weight, _)| *weight > group.weight(&self.own_id))
            .map(|(_, best)| Arc::clone(&best.tier))
    }
}

/// Slices that have one owner.
pub(super) struct Group([u8; 16 + Hash::LEN + 8]);

impl Group {
    pub(super) fn of(account: AccountKey, hash: &Hash, slice: u64) -> Self {
        let mut name = [0; 16 + Hash::LEN + 8];
        let (of_account, rest) = name.split_at_mut(16);
        let (of_blob, of_group) = rest.split_at_mut(Hash::LEN);
        of_account.copy_from_slice(account.as_bytes());
        of_blob.copy_from_slice(hash.as_bytes());
        of_group.copy_from_slice(&(slice / GROUP_SLICES).to_le_bytes());
        Self(name)
    }

    /// How much an edge is its owner. Two edges of the same weight would be two of the same hash.
    pub(super) fn weight(&self, edge_id: &str) -> [u8; Hash::LEN] {
        let mut input = Vec::with_capacity(self.0.len() + edge_id.len());
        input.extend_from_slice(&self.0);
        input.extend_from_slice(edge_id.as_bytes());
        *Hash::of(&input).as_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    /// Owner of each of many groups among edges with these ids.
    fn owners<'a>(ids: &[&'a str]) -> Vec<&'a str> {
        let account = AccountKey::of("AC1");
        (0..6000_u64)
            .map(|number| {
                let group =
                    Group::of(account, &Hash::of(&(number / 3).to_le_bytes()), (number % 3) * GROUP_SLICES);
                *ids.iter().max_by_key(|id| group.weight(id)).expect("one at least")
            })
            .collect()
    }

    #[test]
    fn shares_are_equal_within_a_few_percent() {
        let mut shares = HashMap::new();
        for owner in owners(&["ED1", "ED2", "ED3"]) {
            *shares.entry(owner).or_insert(0) += 1;
        }
        assert!(shares.values().all(|share| (1850..2150).contains(share)), "{shares:?}");
    }

    #[test]
    fn a_fourth_edge_moves_its_share_alone() {
        let (before, after) = (owners(&["ED1", "ED2", "ED3"]), owners(&["ED1", "ED2", "ED3", "ED4"]));
        let moved: Vec<_> = before.iter().zip(&after).filter(|(before, after)| before != after).collect();
        assert!(moved.iter().all(|(_, after)| **after == "ED4"), "what moved went to the fourth");
        assert!((1350..1650).contains(&moved.len()), "{} of 6000", moved.len());
    }

    #[test]
    fn slices_of_a_group_have_one_owner_and_accounts_have_their_own() {
        let (one, other, hash) = (AccountKey::of("AC1"), AccountKey::of("AC2"), Hash::of(b"x"));
        let weight = |account, slice| Group::of(account, &hash, slice).weight("ED1");
        assert_eq!(weight(one, 0), weight(one, GROUP_SLICES - 1));
        assert_ne!(weight(one, 0), weight(one, GROUP_SLICES));
        assert_ne!(weight(one, 0), weight(other, 0));
    }
}
