//! What is worth a write to disk: a pure decision of facts and `now`.
//!
//! While the disk tier has room and the write budget lasts, everything is. Beyond that a write pushes something else out, or wears
//! the disk, so only what was asked for twice is: a scan of objects that are fetched once each then leaves the tier as it was. What
//! was asked for once is remembered for a while by its key alone.

use crate::config::AdmissionPolicy;
use std::collections::HashSet;
use std::time::Instant;

use super::entry::Asks;

/// Keys remembered in each of two generations: 2 MB in all.
const SEEN_MAX: usize = 65_536;

/// The budget may be spent ahead by what it brings in so many seconds: misses come in bursts.
const BURST_SECONDS: f64 = 10.0;

/// Decides which entries go to disk.
#[derive(Debug)]
pub(super) struct Admission {
    policy: AdmissionPolicy,
    budget: Budget,
    seen: Seen,
}

impl Admission {
    /// A full budget, and nothing seen.
    pub(super) fn new(policy: AdmissionPolicy, write_rate_max: u64, now: Instant) -> Self {
        Self { policy, budget: Budget::new(write_rate_max, now), seen: Seen::default() }
    }

    /// Whether an entry of `size` bytes whose key hashes to `key`, just fetched, goes to disk. `has_room` says that nothing is pushed
    /// out by it.
    pub(super) fn admits(&mut self, key: u64, asks: Asks, size: usize, has_room: bool, now: Instant) -> bool {
        let wanted_again = match asks {
            Asks::Never => self.seen.contains(key),
            Asks::Once => self.seen.contains(key) || !self.seen.insert(key),
            Asks::Often => true,
        };
        let admitted = match self.policy {
            AdmissionPolicy::All => true,
            AdmissionPolicy::Room => wanted_again || (has_room && self.budget.covers(size, now)),
            AdmissionPolicy::Twice => wanted_again,
        };
        if admitted {
            self.budget.spend(size, now);
        }
        admitted
    }
}

/// Bytes that may be written, refilled at a rate. What is written in any case is taken from it too, below nothing if need be.
#[derive(Debug)]
struct Budget {
    rate: f64,
    left: f64,
    counted_at: Instant,
}

impl Budget {
    fn new(rate: u64, now: Instant) -> Self {
        let rate = rate as f64;
        Self { rate, left: rate * BURST_SECONDS, counted_at: now }
    }

    fn covers(&mut self, size: usize, now: Instant) -> bool {
        self.refill(now);
        self.left >= size as f64
    }

    fn spend(&mut self, size: usize, now: Instant) {
        self.refill(now);
        // A debt of one burst at most, so that what is asked for twice never starves the rest for longer than that.
        self.left = (self.left - size as f64).max(-self.rate * BURST_SECONDS);
    }

    fn refill(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(self.counted_at).as_secs_f64();
        self.counted_at = now;
        self.left = (self.left + passed * self.rate).min(self.rate * BURST_SECONDS);
    }
}

/// Keys that were asked for lately, in two generations: when one is full, the older one is forgotten.
#[derive(Debug, Default)]
struct Seen {
    young: HashSet<u64>,
    old: HashSet<u64>,
}

impl Seen {
    fn contains(&self, key: u64) -> bool {
        self.young.contains(&key) || self.old.contains(&key)
    }

    /// False where it was there already.
    fn insert(&mut self, key: u64) -> bool {
        if self.young.len() >= SEEN_MAX {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const SLICE: usize = 262_144;
    const ROOM: bool = true;
    const FULL: bool = false;

    fn admission(policy: AdmissionPolicy, slices_per_second: u64) -> (Admission, Instant) {
        let now = Instant::now();
        (Admission::new(policy, slices_per_second * SLICE as u64, now), now)
    }

    #[test]
    fn while_there_is_room_everything_is_admitted() {
        let (mut admission, now) = admission(AdmissionPolicy::Room, 100);
        assert!((0..100).all(|key| admission.admits(key, Asks::Never, SLICE, ROOM, now)));
    }

    #[test]
    fn a_full_tier_takes_only_what_is_asked_for_twice() {
        let (mut admission, now) = admission(AdmissionPolicy::Room, 100);
        assert!(!admission.admits(1, Asks::Once, SLICE, FULL, now));
        assert!(!admission.admits(2, Asks::Never, SLICE, FULL, now), "read ahead is not asked for");
        assert!(!admission.admits(2, Asks::Once, SLICE, FULL, now));
        assert!(admission.admits(1, Asks::Once, SLICE, FULL, now), "the second time");
        assert!(admission.admits(3, Asks::Often, SLICE, FULL, now), "many who waited for one fill");
    }

    #[test]
    fn past_the_budget_only_what_is_asked_for_twice_is_written_until_time_has_passed() {
        let (mut admission, now) = admission(AdmissionPolicy::Room, 1);
        let written = (0..100).filter(|&key| admission.admits(key, Asks::Once, SLICE, ROOM, now)).count();
        assert_eq!(written, 10, "one burst");
        assert!(admission.admits(50, Asks::Once, SLICE, ROOM, now), "the second time");
        let later = now + Duration::from_secs(3);
        let written = (200..300).filter(|&key| admission.admits(key, Asks::Once, SLICE, ROOM, later)).count();
        assert_eq!(written, 2, "three seconds, less the debt");
    }

    #[test]
    fn the_other_policies_look_at_nothing_else() {
        let (mut all, now) = admission(AdmissionPolicy::All, 1);
        assert!((0..100).all(|key| all.admits(key, Asks::Never, SLICE, FULL, now)));
        let (mut twice, now) = admission(AdmissionPolicy::Twice, 100);
        assert!(
            !twice.admits(1, Asks::Once, SLICE, ROOM, now) && twice.admits(1, Asks::Once, SLICE, ROOM, now)
        );
    }

    #[test]
    fn what_was_seen_is_bounded() {
        let mut seen = Seen::default();
        for key in 0..3 * SEEN_MAX as u64 {
            seen.insert(key);
        }
        assert!(seen.young.len() + seen.old.len() <= 2 * SEEN_MAX);
        assert!(!seen.contains(0) && seen.contains(3 * SEEN_MAX as u64 - 1));
    }
}
