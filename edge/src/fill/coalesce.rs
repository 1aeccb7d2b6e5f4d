//! Which slices are on their way, so that each is fetched once however many want it.

use super::FillError;
use crate::cache::SliceKey;
use skerry_proto::slices::VerifiedSlice;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;

/// What comes of a slice that was on its way.
pub(super) type Outcome = Result<VerifiedSlice, FillError>;

type Table = HashMap<SliceKey, watch::Receiver<Option<Outcome>>>;

/// The slices on their way.
#[derive(Default, Clone)]
pub(super) struct Flights(Arc<Mutex<Table>>);

/// How somebody who wants a slice gets it.
pub(super) enum Ticket {
    /// It arrived a moment ago.
    Here(VerifiedSlice),
    /// Somebody fetches it.
    Wait(Waiter),
    /// The caller must fetch it, and those after it that it claimed too.
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
    /// Slices not delivered yet, ascending; the last entry is the first slice.
    rest: Vec<(SliceKey, watch::Sender<Option<Outcome>>)>,
}

impl Flights {
    /// Joins the flight of a slice, or claims it and up to `run_max - 1` slices after it as long as `wanted` says so.
    ///
    /// `arrived` looks into the memory cache: a flight that ended just now has put its slice there before it left the table.
    pub(super) fn join(
        &self,
        key: SliceKey,
        run_max: u64,
        arrived: impl FnOnce() -> Option<VerifiedSlice>,
        wanted: impl Fn(&SliceKey) -> bool,
    ) -> Ticket {
        let mut table = self.lock();
        if let Some(flight) = table.get(&key) {
            return Ticket::Wait(Waiter(flight.clone()));
        }
        if let Some(slice) = arrived() {
            return Ticket::Here(slice);
        }
        let mut rest = Vec::new();
        let mut first = None;
        for slice in key.slice..key.slice.saturating_add(run_max) {
            let key = SliceKey { slice, ..key };
            if first.is_some() && (table.contains_key(&key) || !wanted(&key)) {
                break;
            }
            let (sender, receiver) = watch::channel(None);
            first.get_or_insert_with(|| Waiter(receiver.clone()));
            table.insert(key, receiver);
            rest.push((key, sender));
        }
        rest.reverse();
        let claim = Claim { table: self.clone(), rest };
        match first {
            Some(waiter) => Ticket::Fetch(waiter, claim),
            // Only for a run of none, which nobody asks for; dropping the claim changes nothing.
            None => Ticket::Wait(Waiter(watch::channel(None).1)),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
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

    /// Delivers the first slice that is left. It must be in the cache already.
    pub(super) fn deliver(&mut self, slice: VerifiedSlice) {
        if let Some((key, sender)) = self.rest.pop() {
            self.table.lock().remove(&key);
            sender.send_replace(Some(Ok(slice)));
        }
    }

    /// Tells all who still wait why nothing comes.
    pub(super) fn fail(&mut self, error: FillError) {
        let mut table = self.table.lock();
        for (key, sender) in self.rest.drain(..) {
            table.remove(&key);
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

    fn key(slice: u64) -> SliceKey {
        SliceKey { account: AccountKey::of("AC"), hash: Hash::of(b"blob"), slice }
    }

    fn slice() -> VerifiedSlice {
        let list = SliceList::trivial(BlobId::of(b"a")).expect("one slice");
        list.check(0, Bytes::from_static(b"a")).expect("right")
    }

    fn join(flights: &Flights, index: u64, run: u64) -> Ticket {
        flights.join(key(index), run, || None, |_| true)
    }

    #[tokio::test]
    async fn one_fetches_and_all_who_wait_get_the_slice() {
        let flights = Flights::default();
        let Ticket::Fetch(first, mut claim) = join(&flights, 0, 4) else { panic!("nobody fetches yet") };
        let Ticket::Wait(second) = join(&flights, 0, 4) else { panic!("somebody fetches") };
        let Ticket::Wait(third) = join(&flights, 3, 4) else { panic!("claimed along") };
        assert_eq!((claim.first(), claim.count()), (Some(0), 4));
        for _ in 0..4 {
            claim.deliver(slice());
        }
        for waiter in [first, second, third] {
            assert!(waiter.outcome().await.is_ok());
        }
        assert!(flights.lock().is_empty());
    }

    #[tokio::test]
    async fn a_claim_that_is_dropped_leaves_nobody_waiting() {
        let flights = Flights::default();
        let Ticket::Fetch(waiter, claim) = join(&flights, 0, 2) else { panic!("nobody fetches yet") };
        drop(claim);
        assert_eq!(waiter.outcome().await.err(), Some(FillError::Unavailable));
        assert!(flights.lock().is_empty());
    }

    #[test]
    fn a_claim_ends_before_what_is_held_or_on_its_way() {
        let flights = Flights::default();
        let _later = join(&flights, 5, 1);
        let Ticket::Fetch(_, claim) = join(&flights, 0, 16) else { panic!("nobody fetches yet") };
        assert_eq!(claim.count(), 5);
        drop(claim);
        let Ticket::Fetch(_, claim) = flights.join(key(0), 16, || None, |key| key.slice < 2) else {
            panic!("nobody fetches yet")
        };
        assert_eq!(claim.count(), 2);
    }

    #[test]
    fn a_slice_that_has_just_arrived_is_not_fetched_again() {
        let flights = Flights::default();
        assert!(matches!(flights.join(key(0), 1, || Some(slice()), |_| true), Ticket::Here(_)));
    }
}
