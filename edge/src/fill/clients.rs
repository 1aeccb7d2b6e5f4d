//! How many fills each client has under way: so that one who misses all the time leaves turns for the others.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Whom a fill is for: an IPv4 address, or an IPv6 network of 64 bits, which is what one customer of a provider gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Client(IpAddr);

impl From<IpAddr> for Client {
    fn from(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self(address.into()),
            IpAddr::V6(address) => {
                let network = u128::from(address) >> 64 << 64;
                Self(Ipv6Addr::from(network).into())
            }
        }
    }
}

/// The clients that have fills under way, or wait for one. Clones share them.
#[derive(Debug, Clone)]
pub(super) struct Clients {
    turns: Arc<Mutex<HashMap<Client, Arc<Semaphore>>>>,
    count_max: usize,
}

/// The right to one fill of a client; it ends with its value.
#[derive(Debug)]
pub(super) struct Turn {
    clients: Clients,
    client: Client,
    permit: Option<OwnedSemaphorePermit>,
}

impl Clients {
    pub(super) fn new(count_max: usize) -> Self {
        Self { turns: Arc::default(), count_max }
    }

    /// Waits for a turn.
    ///
    /// # Cancel safety
    /// Whoever goes away while waiting has taken nothing.
    pub(super) async fn turn(&self, client: Client) -> Turn {
        // Made first, so that the entry goes when the wait is given up.
        let mut turn = Turn { clients: self.clone(), client, permit: None };
        // The semaphore is never closed.
        turn.permit = self.turns_of(client).acquire_owned().await.ok();
        turn
    }

    /// A turn, if one is free.
    pub(super) fn turn_now(&self, client: Client) -> Option<Turn> {
        let mut turn = Turn { clients: self.clone(), client, permit: None };
        turn.permit = Some(self.turns_of(client).try_acquire_owned().ok()?);
        Some(turn)
    }

    /// Most turns that one client has taken.
    pub(super) fn busiest(&self) -> usize {
        let turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        turns.values().map(|turns| self.count_max - turns.available_permits()).max().unwrap_or(0)
    }

    fn turns_of(&self, client: Client) -> Arc<Semaphore> {
        let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(turns.entry(client).or_insert_with(|| Arc::new(Semaphore::new(self.count_max))))
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.permit = None;
        let mut turns = self.clients.turns.lock().unwrap_or_else(PoisonError::into_inner);
        // Whoever holds a turn or waits for one shares the semaphore, and takes its share under this lock.
        if turns.get(&self.client).is_some_and(|turns| Arc::strong_count(turns) == 1) {
            turns.remove(&self.client);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(address: &str) -> Client {
        address.parse::<IpAddr>().expect("an address").into()
    }

    #[tokio::test]
    async fn one_client_waits_for_its_own_turns_and_others_do_not() {
        let clients = Clients::new(2);
        let (first, _second) =
            (clients.turn(client("10.0.0.1")).await, clients.turn(client("10.0.0.1")).await);
        assert!(clients.turn_now(client("10.0.0.1")).is_none());
        assert!(clients.turn_now(client("10.0.0.2")).is_some());
        assert_eq!(clients.busiest(), 2);
        let waiting = tokio::spawn({
            let clients = clients.clone();
            async move { clients.turn(client("10.0.0.1")).await }
        });
        drop(first);
        drop(waiting.await.expect("no panic"));
        assert!(clients.turn_now(client("10.0.0.1")).is_some());
    }

    #[tokio::test]
    async fn a_client_without_fills_is_forgotten() {
        let clients = Clients::new(1);
        let held = clients.turn(client("10.0.0.1")).await;
        assert!(clients.turn_now(client("10.0.0.1")).is_none());
        drop(held);
        assert!(clients.turns.lock().expect("no panic").is_empty());
    }

    #[test]
    fn an_ipv6_client_is_its_network() {
        assert_eq!(client("2001:db8::1"), client("2001:db8::ffff:1"));
        assert_ne!(client("2001:db8::1"), client("2001:db8:0:1::1"));
        assert_eq!(client("::ffff:10.0.0.1"), client("10.0.0.1"));
    }
}
