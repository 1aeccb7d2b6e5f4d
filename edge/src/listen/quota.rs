//! Bounds on what clients take up at once: connections, requests in flight and the bytes that their responses hold, of all workers
//! together and for each address.
//!
//! An address is an IPv4 address or an IPv6 /64, which is what one site is given (RFC 6177); loopback is an address like any other.
//! What an address uses is looked up when a connection is accepted. From then on a request costs four atomic additions, as workers
//! contend for these counters: no lock, no allocation. That is why requests and their bytes are counted in one word.

use crate::config::{ListenLimits, QuotaLimits};
use crate::metrics::Metrics;
use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What one response may hold while it is under way: a slice.
const RESPONSE_SIZE_MAX: u64 = 256 << 10;

/// What any response counts for. Most are smaller, and need no more than that.
const RESPONSE_SIZE_MIN: u64 = 16 << 10;

/// In the word of a [`FlightQuota`] the bytes are below the requests.
const BYTES_BITS: u32 = 40;
const BYTES_MASK: u64 = (1 << BYTES_BITS) - 1;

/// The bounds, and what is used.
#[derive(Debug, Clone)]
pub(super) struct Quotas(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    all: Share,
    address_limits: QuotaLimits,
    /// Of the addresses that have a connection.
    addresses: Mutex<HashMap<IpAddr, Arc<Share>>>,
    metrics: Arc<Metrics>,
}

/// What all clients use, or those of one address.
#[derive(Debug)]
struct Share {
    connections: Quota,
    flights: FlightQuota,
}

/// Requests and bytes in flight, in one word, and their bounds.
#[derive(Debug)]
struct FlightQuota {
    used: AtomicU64,
    request_count_max: u64,
    byte_count_max: u64,
}

/// The bound that is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Full {
    Requests,
    Bytes,
}

/// An amount in use, and its bound.
#[derive(Debug)]
struct Quota {
    used: AtomicU64,
    max: u64,
}

/// The right to one connection; given back when dropped.
#[derive(Debug)]
pub(super) struct Slot {
    quotas: Quotas,
    address: IpAddr,
    share: Arc<Share>,
}

/// The right to one request, and to the bytes that its response may hold; given back when dropped.
#[derive(Debug)]
pub(super) struct Flight {
    slot: Arc<Slot>,
    bytes: u64,
}

impl Quotas {
    pub(super) fn new(limits: &ListenLimits, metrics: &Arc<Metrics>) -> Self {
        let all = Share::new(limits.all);
        let address = Share::new(limits.address);
        // A gauge is a float; whoever allows more than 2^53 of anything may see a rounded bound.
        for (figures, max) in [
            (&metrics.connections, all.connections.max),
            (&metrics.requests_in_flight, all.flights.request_count_max),
            (&metrics.bytes_in_flight, all.flights.byte_count_max),
            (&metrics.address_connections, address.connections.max),
            (&metrics.address_requests_in_flight, address.flights.request_count_max),
            (&metrics.address_bytes_in_flight, address.flights.byte_count_max),
        ] {
            figures.max.set(max as f64);
        }
        Self(Arc::new(Inner {
            all,
            address_limits: limits.address,
            addresses: Mutex::default(),
            metrics: Arc::clone(metrics),
        }))
    }

    /// A slot for a client, or `None` at a bound, which is counted.
    pub(super) fn take(&self, client: IpAddr) -> Option<Arc<Slot>> {
        let Inner { all, address_limits, metrics, .. } = &*self.0;
        if !all.connections.take(1) {
            metrics.connections.refused.increment(1);
            return None;
        }
        let address = site_of(client);
        let mut addresses = self.addresses();
        let share = addresses.entry(address).or_insert_with(|| Arc::new(Share::new(*address_limits)));
        if !share.connections.take(1) {
            all.connections.give(1);
            metrics.address_connections.refused.increment(1);
            return None;
        }
        let share = Arc::clone(share);
        drop(addresses);
        metrics.connections.used.increment(1.0);
        Some(Arc::new(Slot { quotas: self.clone(), address, share }))
    }

    /// Whether more than half of the slots are taken, of all or of this address: time to ask strangers for proof of their address.
    pub(super) fn are_scarce(&self, client: IpAddr) -> bool {
        let is_scarce = |quota: &Quota| quota.used() > quota.max / 2;
        is_scarce(&self.0.all.connections)
            || self.addresses().get(&site_of(client)).is_some_and(|share| is_scarce(&share.connections))
    }

    /// Takes the figures that nobody pushes: what is in flight, and the most that any address uses.
    pub(super) fn report(&self) {
        let Inner { all, metrics, .. } = &*self.0;
        metrics.requests_in_flight.used.set(all.flights.requests() as f64);
        metrics.bytes_in_flight.used.set(all.flights.bytes() as f64);
        let addresses = self.addresses();
        let most = |used: fn(&Share) -> u64| addresses.values().map(|share| used(share)).max().unwrap_or(0);
        metrics.address_connections.used.set(most(|share| share.connections.used()) as f64);
        metrics.address_requests_in_flight.used.set(most(|share| share.flights.requests()) as f64);
        metrics.address_bytes_in_flight.used.set(most(|share| share.flights.bytes()) as f64);
    }

    /// Connections that are open.
    pub(super) fn connections(&self) -> u64 {
        self.0.all.connections.used()
    }

    fn addresses(&self) -> MutexGuard<'_, HashMap<IpAddr, Arc<Share>>> {
        self.0.addresses.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The address that a client counts for.
fn site_of(client: IpAddr) -> IpAddr {
    match client.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
        address @ IpAddr::V4(_) => address,
    }
}

impl Share {
    fn new(limits: QuotaLimits) -> Self {
        Self {
            connections: Quota { used: AtomicU64::new(0), max: limits.connection_count_max },
            flights: FlightQuota {
                used: AtomicU64::new(0),
                // Well below what the word has room for, as both may be passed for a moment.
                request_count_max: limits.request_count_max.min(u64::MAX >> (BYTES_BITS + 1)),
                byte_count_max: limits.byte_count_max.min(BYTES_MASK >> 1),
            },
        }
    }
}

impl FlightQuota {
    /// Takes a request and some bytes, or either; see [`Quota::take`].
    fn take(&self, requests: u64, bytes: u64) -> Result<(), Full> {
        let used = self.used.fetch_add(requests << BYTES_BITS | bytes, Ordering::Relaxed);
        let full = if (used >> BYTES_BITS) + requests > self.request_count_max {
            Full::Requests
        } else if (used & BYTES_MASK) + bytes > self.byte_count_max {
            Full::Bytes
        } else {
            return Ok(());
        };
        self.give(requests, bytes);
        Err(full)
    }

    fn give(&self, requests: u64, bytes: u64) {
        self.used.fetch_sub(requests << BYTES_BITS | bytes, Ordering::Relaxed);
    }

    fn requests(&self) -> u64 {
        self.used.load(Ordering::Relaxed) >> BYTES_BITS
    }

    fn bytes(&self) -> u64 {
        self.used.load(Ordering::Relaxed) & BYTES_MASK
    }
}

impl Quota {
    /// Added first and taken back at the bound: one operation where there is room. Two that meet at the bound may both be refused.
    fn take(&self, amount: u64) -> bool {
        let used = self.used.fetch_add(amount, Ordering::Relaxed);
        let fits = used.saturating_add(amount) <= self.max;
        if !fits {
            self.give(amount);
        }
        fits
    }

    fn give(&self, amount: u64) {
        self.used.fetch_sub(amount, Ordering::Relaxed);
    }

    fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }
}

impl Slot {
    /// The right to a request, or `None` at a bound, which is counted.
    pub(super) fn begin(self: &Arc<Self>) -> Option<Flight> {
        self.take(1, RESPONSE_SIZE_MIN)?;
        Some(Flight { slot: Arc::clone(self), bytes: RESPONSE_SIZE_MIN })
    }

    fn take(&self, requests: u64, bytes: u64) -> Option<()> {
        let Inner { all, metrics, .. } = &*self.quotas.0;
        if let Err(full) = self.share.flights.take(requests, bytes) {
            let figures = match full {
                Full::Requests => &metrics.address_requests_in_flight,
                Full::Bytes => &metrics.address_bytes_in_flight,
            };
            figures.refused.increment(1);
            return None;
        }
        if let Err(full) = all.flights.take(requests, bytes) {
            self.share.flights.give(requests, bytes);
            let figures = match full {
                Full::Requests => &metrics.requests_in_flight,
                Full::Bytes => &metrics.bytes_in_flight,
            };
            figures.refused.increment(1);
            return None;
        }
        Some(())
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let Inner { all, metrics, .. } = &*self.quotas.0;
        all.connections.give(1);
        metrics.connections.used.decrement(1.0);
        let mut addresses = self.quotas.addresses();
        self.share.connections.give(1);
        if self.share.connections.used() == 0 {
            addresses.remove(&self.address);
        }
    }
}

impl Flight {
    /// Takes so many bytes of the request's body, or `None` at a bound, which is counted.
    pub(super) fn hold(&mut self, size: u64) -> Option<()> {
        self.slot.take(0, size)?;
        self.bytes += size;
        Some(())
    }

    /// Takes what a response of this size may hold besides, or `None` at a bound, which is counted.
    pub(super) fn grow(&mut self, size: u64) -> Option<()> {
        let more = size.min(RESPONSE_SIZE_MAX).saturating_sub(self.bytes);
        if more > 0 {
            self.slot.take(0, more)?;
            self.bytes += more;
        }
        Some(())
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        self.slot.share.flights.give(1, self.bytes);
        self.slot.quotas.0.all.flights.give(1, self.bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MANY: QuotaLimits =
        QuotaLimits { connection_count_max: 100, request_count_max: 100, byte_count_max: 1 << 30 };

    fn quotas(all: QuotaLimits, address: QuotaLimits) -> (Quotas, Arc<Metrics>) {
        let metrics = Arc::new(Metrics::new("test").expect("buckets"));
        (Quotas::new(&ListenLimits { all, address, ..ListenLimits::default() }, &metrics), metrics)
    }

    fn client(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[track_caller]
    fn assert_figures(metrics: &Metrics, expected: &[&str]) {
        let figures = metrics.handle().render().replace("{edge=\"test\"}", "");
        for line in expected {
            assert!(figures.lines().any(|figure| figure == *line), "{line} in {figures}");
        }
    }

    #[test]
    fn a_slot_is_refused_at_the_bound_and_free_again_when_dropped() {
        let (quotas, metrics) = quotas(QuotaLimits { connection_count_max: 2, ..MANY }, MANY);
        let first = quotas.take(client("192.0.2.1")).expect("free");
        assert!(!quotas.are_scarce(client("192.0.2.9")));
        let _second = quotas.take(client("192.0.2.2")).expect("free");
        assert!(quotas.are_scarce(client("192.0.2.9")));
        assert!(quotas.take(client("192.0.2.3")).is_none());
        drop(first);
        assert!(quotas.take(client("192.0.2.3")).is_some());
        assert_figures(&metrics, &["skerry_edge_connections_refused_total 1", "skerry_edge_connections 1"]);
    }

    #[test]
    fn an_address_has_a_bound_of_its_own_and_an_ipv6_site_is_one_address() {
        let (quotas, metrics) = quotas(MANY, QuotaLimits { connection_count_max: 2, ..MANY });
        let slots = ["2001:db8::1", "2001:db8::2:1", "::ffff:192.0.2.1", "192.0.2.1", "192.0.2.2"]
            .map(|address| quotas.take(client(address)).expect("free"));
        assert!(quotas.take(client("2001:db8::3")).is_none());
        assert!(quotas.take(client("192.0.2.1")).is_none());
        assert!(quotas.take(client("2001:db8:0:1::3")).is_some());
        quotas.report();
        assert_figures(
            &metrics,
            &[
                "skerry_edge_address_connections 2",
                "skerry_edge_address_connections_max 2",
                "skerry_edge_address_connections_refused_total 2",
            ],
        );
        drop(slots);
        assert!(quotas.addresses().is_empty(), "nothing is kept of an address without a connection");
    }

    #[test]
    fn requests_and_bytes_are_refused_at_their_bounds_and_nothing_stays_taken() {
        let address = QuotaLimits { request_count_max: 3, byte_count_max: 2 * RESPONSE_SIZE_MAX, ..MANY };
        let (quotas, metrics) = quotas(MANY, address);
        let slot = quotas.take(client("192.0.2.1")).expect("free");
        let mut flights: Vec<_> = (0..3).map(|_| slot.begin().expect("free")).collect();
        assert!(slot.begin().is_none(), "no request is left");
        let grown: Vec<_> = flights.iter_mut().map(|flight| flight.grow(u64::MAX)).collect();
        assert_eq!(grown, [Some(()), None, None], "the least that the others take leaves too little");
        assert_eq!(flights[1].grow(1), Some(()), "a small response needs no more");
        quotas.report();
        assert_figures(
            &metrics,
            &[
                "skerry_edge_address_requests_in_flight 3",
                "skerry_edge_requests_in_flight 3",
                "skerry_edge_bytes_in_flight 294912",
            ],
        );
        drop(flights);
        quotas.report();
        assert_figures(
            &metrics,
            &[
                "skerry_edge_address_bytes_in_flight_refused_total 2",
                "skerry_edge_address_requests_in_flight_refused_total 1",
                "skerry_edge_requests_in_flight 0",
                "skerry_edge_bytes_in_flight 0",
                "skerry_edge_address_bytes_in_flight 0",
            ],
        );
    }
}
