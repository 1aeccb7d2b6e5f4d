//! Which slices are on their way, so that each is read from disk or fetched once however many want it.
//!
//! Whoever wants a slice that nobody fetches claims it. A claim begins with one slice, because the disk may have it; it grows by
//! those after it when an upstream must be asked.
//!
//! With several edges, who waits for whom must not become a circle: see [`Rank`].

use super::FillError;
use super::tiers::Rank;
use crate::cache::{Asks, SliceKey};
use crate::metrics::CacheResult;
use skerry_proto::slices::VerifiedSlice;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;

/// What comes of a slice that was on its way: the slice and where it was, or why it cannot be had.
pub(super) type Outcome = Result<(VerifiedSlice, CacheResult), FillError>;

type Table = HashMap<(SliceKey, Rank), watch::Receiver<Option<Outcome>>>;

/// The slices on their way.
#[derive(Default, Clone)]
pub(super) struct Flights(Arc<Mutex<Table>>);

/// How somebody who wants a slice gets it.
pub(super) enum Ticket {
    /// It arrived a moment ago.
    Here(VerifiedSlice),
    /// Somebody fetches it.
    Wait(Waiter),
    /// The caller must fetch it.
    Fetch(Waiter, Claim),
}

/// Waits for one slice.
pub(super) struct Waiter(watch::Receiver<Option<Outcome>>);

impl Waiter {
    pub(super) async fn outcome(mut self) -> Outcome {
        match self.0.wait_for(Option::is_some).await {
            Ok(outcome) => outcome.clone().unwrap_or(Err(FillError::Unavailable)),
            Err(_) => Err(FillError::Unavailable),
        }
    }
}

/// The right and the duty to fetch a run of slices. Dropped early, it tells all who wait that nothing comes.
pub(super) struct Claim {
    table: Flights,
    rank: Rank,
    /// Slices not delivered yet, ascending; the last entry is the first slice.
    rest: Vec<(SliceKey, watch::Sender<Option<Outcome>>)>,
}

impl Flights {
    /// Joins the flight of a slice, if there is one for which a fill of rank `own` may wait.
    pub(super) fn find(&self, key: &SliceKey, own: Rank) -> Option<Waiter> {
        joinable(&self.lock(), key, own)
    }

    /// Joins the flight of a slice, or claims it for a flight of rank `claimed`.
    ///
    /// `arrived` looks into the memory cache: a flight that ended just now has put its slice there before it left the table.
    pub(super) fn join(
        &self,
        key: SliceKey,
        own: Rank,
        claimed: Rank,
        arrived: impl FnOnce() -> Option<VerifiedSlice>,
    ) -> Ticket {
        let mut table = self.lock();
        if let Some(waiter) = joinable(&table, &key, own) {
            return Ticket::Wait(waiter);
        }
        if let Some(slice) = arrived() {
            return Ticket::Here(slice);
        }
        let (sender, receiver) = watch::channel(None);
        let waiter = Waiter(receiver.clone());
        table.insert((key, claimed), receiver);
        Ticket::Fetch(waiter, Claim { table: self.clone(), rank: claimed, rest: vec![(key, sender)] })
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn joinable(table: &Table, key: &SliceKey, own: Rank) -> Option<Waiter> {
    own.joinable().find_map(|rank| table.get(&(*key, rank))).cloned().map(Waiter)
}

impl Claim {
    /// First slice not delivered yet.
    pub(super) fn first(&self) -> Option<u64> {
        self.rest.last().map(|(key, _)| key.slice)
    }

    /// Slices not delivered yet.
    pub(super) fn count(&self) -> u64 {
        self.rest.len() as u64
    }

    /// Claims slices after the only one, up to `count_max` in all, as long as `wanted` says so and nobody else fetches them.
    pub(super) fn extend(&mut self, count_max: u64, wanted: impl Fn(&SliceKey) -> bool) {
        let [(first, _)] = &self.rest[..] else { return };
        let first = *first;
        let mut table = self.table.lock();
        for slice in first.slice + 1..first.slice.saturating_add(count_max) {
            let key = SliceKey { slice, ..first };
            if table.contains_key(&(key, self.rank)) || !wanted(&key) {
                break;
            }
            let (sender, receiver) = watch::channel(None);
            table.insert((key, self.rank), receiver);
            self.rest.push((key, sender));
        }
        drop(table);
        self.rest.reverse();
    }

    /// How many wait for the first slice that is left.
    pub(super) fn asks(&self) -> Asks {
        // The table has a receiver too.
        match self.rest.last().map_or(0, |(_, sender)| sender.receiver_count().saturating_sub(1)) {
            0 => Asks::Never,
            1 => Asks::Once,
            _ => Asks::Often,
        }
    }

    /// Delivers the first slice that is left. It must be in the cache already.
    pub(super) fn deliver(&mut self, slice: VerifiedSlice, from: CacheResult) {
        if let Some((key, sender)) = self.rest.pop() {
            self.table.lock().remove(&(key, self.rank));
            sender.send_replace(Some(Ok((slice, from))));
        }
    }

    /// Gives the claim up if nobody waits for any of it; false where somebody does. Whoever comes later claims anew.
    pub(super) fn abandon(&mut self) -> bool {
        let mut table = self.table.lock();
        // Receivers are added under this lock alone.
        if self.rest.iter().any(|(_, sender)| sender.receiver_count() > 1) {
            return false;
        }
        for (key, _) in self.rest.drain(..) {
            table.remove(&(key, self.rank));
        }
        true
    }

    /// Tells all who still wait why nothing comes.
    pub(super) fn fail(&mut self, error: FillError) {
        let mut table = self.table.lock();
        for (key, sender) in self.rest.drain(..) {
            table.remove(&(key, self.rank));
            sender.send_replace(Some(Err(error)));
        }
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.fail(FillError::Unavailable);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::AccountKey;
    use bytes::Bytes;
    use skerry_proto::hash::Hash;
    use skerry_proto::slices::{BlobId, SliceList};

    /// Of a fill for a client of this edge.
    const CLIENT: Rank = Rank(0);

    fn key(slice: u64) -> SliceKey {
        SliceKey { account: AccountKey::of("AC"), hash: Hash::of(b"blob"), slice }
    }

    fn slice() -> VerifiedSlice {
        let list = SliceList::trivial(BlobId::of(b"a")).expect("one slice");
        list.check(0, Bytes::from_static(b"a")).expect("right")
    }

    fn claim(flights: &Flights, index: u64) -> (Waiter, Claim) {
        match flights.join(key(index), CLIENT, Rank::LAST, || None) {
            Ticket::Fetch(waiter, claim) => (waiter, claim),
            Ticket::Wait(_) | Ticket::Here(_) => panic!("nobody fetches {index} yet"),
        }
    }

    fn wait(flights: &Flights, index: u64) -> Waiter {
        flights.find(&key(index), CLIENT).expect("somebody fetches it")
    }

    #[tokio::test]
    async fn one_fetches_and_all_who_wait_get_the_slice() {
        let flights = Flights::default();
        let (first, mut claim) = claim(&flights, 0);
        claim.extend(4, |_| true);
        let (second, third) = (wait(&flights, 0), wait(&flights, 3));
        assert_eq!((claim.first(), claim.count()), (Some(0), 4));
        for _ in 0..4 {
            claim.deliver(slice(), CacheResult::Miss);
        }
        for waiter in [first, second, third] {
            assert!(waiter.outcome().await.is_ok());
        }
        assert!(flights.lock().is_empty());
    }

    #[tokio::test]
    async fn a_claim_that_is_dropped_leaves_nobody_waiting() {
        let flights = Flights::default();
        let (waiter, claim) = claim(&flights, 0);
        drop(claim);
        assert_eq!(waiter.outcome().await.err(), Some(FillError::Unavailable));
        assert!(flights.lock().is_empty());
    }

    #[test]
    fn a_claim_ends_before_what_is_held_or_on_its_way() {
        let flights = Flights::default();
        let _later = claim(&flights, 5);
        let (_, mut first) = claim(&flights, 0);
        first.extend(16, |_| true);
        assert_eq!(first.count(), 5);
        drop(first);
        let (_, mut first) = claim(&flights, 0);
        first.extend(16, |key| key.slice < 2);
        assert_eq!(first.count(), 2);
    }

    #[test]
    fn a_slice_that_has_just_arrived_is_not_fetched_again() {
        let flights = Flights::default();
        assert!(matches!(flights.join(key(0), CLIENT, Rank::LAST, || Some(slice())), Ticket::Here(_)));
    }

    #[test]
    fn those_who_wait_are_counted() {
        let flights = Flights::default();
        let (waiter, mut claim) = claim(&flights, 0);
        assert_eq!(claim.asks(), Asks::Once);
        let second = wait(&flights, 0);
        assert_eq!(claim.asks(), Asks::Often);
        drop((waiter, second));
        assert_eq!(claim.asks(), Asks::Never);
        claim.extend(2, |_| true);
        assert_eq!(claim.count(), 2);
    }

    #[test]
    fn a_claim_is_abandoned_only_when_nobody_waits_for_any_of_it() {
        let flights = Flights::default();
        let (waiter, mut first) = claim(&flights, 0);
        first.extend(4, |_| true);
        assert!(!first.abandon());
        drop(waiter);
        let last = wait(&flights, 3);
        assert!(!first.abandon());
        drop(last);
        assert!(first.abandon());
        assert!(flights.lock().is_empty());
        let _again = claim(&flights, 0);
    }

    #[test]
    fn a_fill_of_another_edge_waits_for_none_that_may_come_back_to_that_edge() {
        let flights = Flights::default();
        let may_ask_edges = flights.join(key(0), CLIENT, CLIENT, || None);
        assert!(flights.find(&key(0), Rank(1)).is_none());
        let Ticket::Fetch(_, of_edge) = flights.join(key(0), Rank(1), Rank(1), || None) else {
            panic!("it fetches for itself")
        };
        assert!(flights.find(&key(0), CLIENT).is_some() && flights.find(&key(0), Rank(1)).is_some());
        assert!(flights.find(&key(0), Rank(2)).is_none());
        drop(may_ask_edges);
        assert!(flights.find(&key(0), CLIENT).is_some(), "a client may wait for that of an edge");
        drop(of_edge);
        let _to_origin = flights.join(key(0), CLIENT, Rank::LAST, || None);
        assert!(flights.find(&key(0), Rank(3)).is_some(), "what goes to the origin waits for nobody");
    }
}
