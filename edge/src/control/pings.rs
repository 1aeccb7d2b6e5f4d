//! Pings: numbered, each with what the edge says of itself, and the moment at which it was sent, from which the lease runs once it is
//! answered.

use super::lease::Lease;
use skerry_proto::wire::{self, watch_request};
use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval};

/// Pings whose answers are still awaited at most.
const PINGS_KEPT: usize = 64;

/// What the edge says of itself with each ping.
pub(crate) type Vitals = Box<dyn Fn() -> wire::Figures + Send + Sync>;

/// Pings that were sent, and when.
#[derive(Default)]
pub(super) struct Pings {
    sent: Mutex<VecDeque<(u64, i64)>>,
}

impl Pings {
    /// Sends pings until the stream is gone, each with what `said` says by then. Reading that may touch a small file of the system.
    pub(super) async fn send_all(
        &self,
        requests: &mpsc::Sender<wire::WatchRequest>,
        every: Duration,
        said: impl Fn() -> wire::Ping,
    ) {
        let mut ticks = interval(every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        for number in 1.. {
            ticks.tick().await;
            let ping = wire::Ping { number, ..tokio::task::block_in_place(&said) };
            {
                let mut sent = self.sent.lock().unwrap_or_else(PoisonError::into_inner);
                sent.push_back((number, Lease::now()));
                if sent.len() > PINGS_KEPT {
                    sent.pop_front();
                }
            }
            let kind = Some(watch_request::Kind::Ping(ping));
            if requests.send(wire::WatchRequest { kind }).await.is_err() {
                return;
            }
        }
    }

    /// When the answered ping was sent; it and all before it are done.
    pub(super) fn answered(&self, number: u64) -> Option<i64> {
        let mut sent = self.sent.lock().unwrap_or_else(PoisonError::into_inner);
        let at = sent.iter().find(|(sent, _)| *sent == number).map(|(_, at)| *at);
        sent.retain(|(sent, _)| *sent > number);
        at
    }
}
