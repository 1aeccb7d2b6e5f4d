//! How often a stranger may fail to prove who they are: counted for each address, and for each account as seen from an address.
//!
//! Never for an account alone: who does not know a token could lock its owner out. In memory, and bounded: what was counted longest ago
//! makes room, which costs a guesser of 128 random bits nothing that matters. One place for every way in, gRPC, REST and console.

use crate::config::AuthLimits;
use skerry_proto::recent::Recent;
use std::hash::{BuildHasher, RandomState};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// Counts failures. Time is an argument.
#[derive(Debug)]
pub(crate) struct Throttle {
    limits: AuthLimits,
    hasher: RandomState,
    counts: Mutex<Recent<Key, Count>>,
}

/// An address, and the hash of an account that it names. Hashed, because a stranger chooses what is there.
type Key = (IpAddr, Option<u64>);

/// Failures that are not forgiven yet, as of a moment.
#[derive(Debug, Clone, Copy)]
struct Count {
    failures: f64,
    at: Instant,
}

impl Throttle {
    pub(crate) fn new(limits: AuthLimits) -> Self {
        let counts = Mutex::new(Recent::new(limits.entry_count_max));
        Self { limits, hasher: RandomState::new(), counts }
    }

    /// Whether somebody at this address may try to be this account.
    pub(crate) fn admits(&self, address: IpAddr, account: &str, now: Instant) -> bool {
        let counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        self.keys(address, account).into_iter().all(|(key, limit)| {
            counts.peek(&key).is_none_or(|count| self.unforgiven(*count, now).ceil() < f64::from(limit))
        })
    }

    /// Counts a failure.
    pub(crate) fn failed(&self, address: IpAddr, account: &str, now: Instant) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        for (key, _) in self.keys(address, account) {
            let count = counts.peek(&key).copied();
            let failures = count.map_or(0.0, |count| self.unforgiven(count, now)) + 1.0;
            counts.insert(key, Count { failures, at: now });
        }
    }

    /// Entries that are held, at most `entry_count_max`.
    pub(crate) fn entries(&self) -> usize {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    fn keys(&self, address: IpAddr, account: &str) -> [(Key, u32); 2] {
        let address = network(address);
        [
            ((address, None), self.limits.address_failure_count_max),
            ((address, Some(self.hasher.hash_one(account))), self.limits.failure_count_max),
        ]
    }

    /// One is forgiven in each recovery time.
    fn unforgiven(&self, count: Count, now: Instant) -> f64 {
        let forgiven = now.saturating_duration_since(count.at).div_duration_f64(self.limits.recovery);
        (count.failures - forgiven).max(0.0)
    }
}

/// What one client has: an IPv4 address, or the 64 bits of an IPv6 network (RFC 4291 §2.5.1).
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const LIMITS: AuthLimits = AuthLimits {
        failure_count_max: 3,
        address_failure_count_max: 5,
        recovery: Duration::from_secs(10),
        entry_count_max: 100,
    };

    fn address(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn an_account_cannot_be_locked_out_from_another_address() {
        let (throttle, now) = (Throttle::new(LIMITS), Instant::now());
        for _ in 0..3 {
            assert!(throttle.admits(address("192.0.2.1"), "AC1", now));
            throttle.failed(address("192.0.2.1"), "AC1", now);
        }
        assert!(!throttle.admits(address("192.0.2.1"), "AC1", now));
        assert!(throttle.admits(address("192.0.2.1"), "AC2", now));
        assert!(throttle.admits(address("192.0.2.2"), "AC1", now));
    }

    #[test]
    fn an_address_may_not_try_account_after_account() {
        let (throttle, now) = (Throttle::new(LIMITS), Instant::now());
        for number in 0..5 {
            throttle.failed(address("192.0.2.1"), &format!("AC{number}"), now);
        }
        assert!(!throttle.admits(address("192.0.2.1"), "AC9", now));
        assert!(throttle.admits(address("192.0.2.2"), "AC9", now));
    }

    #[test]
    fn failures_are_forgiven_with_time() {
        let (throttle, now) = (Throttle::new(LIMITS), Instant::now());
        for _ in 0..3 {
            throttle.failed(address("192.0.2.1"), "AC1", now);
        }
        let later = |seconds| now + Duration::from_secs(seconds);
        assert!(!throttle.admits(address("192.0.2.1"), "AC1", now));
        assert!(!throttle.admits(address("192.0.2.1"), "AC1", later(9)));
        assert!(throttle.admits(address("192.0.2.1"), "AC1", later(10)), "one is forgiven");
        throttle.failed(address("192.0.2.1"), "AC1", later(10));
        assert!(!throttle.admits(address("192.0.2.1"), "AC1", later(19)));
        assert!(throttle.admits(address("192.0.2.1"), "AC1", later(40)));
    }

    #[test]
    fn a_whole_ipv6_network_is_one_client() {
        let (throttle, now) = (Throttle::new(LIMITS), Instant::now());
        for host in 1..=3 {
            throttle.failed(address(&format!("2001:db8::{host}")), "AC1", now);
        }
        assert!(!throttle.admits(address("2001:db8::9"), "AC1", now));
        assert!(throttle.admits(address("2001:db8:0:1::1"), "AC1", now));
    }

    #[test]
    fn memory_is_bounded_whoever_comes() {
        let (throttle, now) = (Throttle::new(LIMITS), Instant::now());
        for number in 0..10_000_u32 {
            throttle.failed(IpAddr::from(number.to_be_bytes()), &number.to_string(), now);
            assert!(throttle.entries() <= LIMITS.entry_count_max);
        }
    }
}
