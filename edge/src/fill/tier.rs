//! One upstream among several: who it is, how long it may take, and how it did lately.

use super::health::{Benches, Health};
use super::upstream::Upstream;
use crate::metrics::{Metrics, UpstreamFailure, UpstreamKind};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long an upstream may take.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    /// To take a question.
    pub(super) open: Duration,
    /// For each message.
    pub(super) message: Duration,
}

/// An upstream.
pub(super) struct Tier {
    pub(super) kind: UpstreamKind,
    /// For people: an address.
    pub(super) name: Arc<str>,
    pub(super) upstream: Box<dyn Upstream>,
    pub(super) patience: Patience,
    benches: Benches,
    health: Mutex<Health>,
    metrics: Arc<Metrics>,
}

impl Tier {
    pub(super) fn new(
        kind: UpstreamKind,
        name: &str,
        upstream: Box<dyn Upstream>,
        patience: Patience,
        benches: Benches,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self { kind, name: name.into(), upstream, patience, benches, health: Mutex::default(), metrics }
    }

    /// Whether it may be asked.
    pub(super) fn is_well(&self) -> bool {
        self.health().is_well()
    }

    /// It gave something.
    pub(super) fn succeeded(&self) {
        self.health().succeeded();
    }

    /// It gave less than was asked for. It is benched if that is its fault.
    pub(super) fn failed(&self, why: UpstreamFailure, error: &dyn std::fmt::Display) {
        self.metrics.tiers.of(self.kind).failed(why);
        let (kind, upstream) = (self.kind.name(), &*self.name);
        match why {
            UpstreamFailure::Away => {
                let benched = self.health().failed(Instant::now(), random(), &self.benches);
                if let Some(time) = benched {
                    let bench_milliseconds = time.as_millis() as u64;
                    tracing::warn!(kind, upstream, %error, bench_milliseconds, "an upstream is benched");
                }
            }
            UpstreamFailure::Lied => {
                self.health().lied(Instant::now(), &self.benches);
                let bench_seconds = self.benches.liar.as_secs();
                tracing::error!(kind, upstream, %error, bench_seconds, "an upstream sent what does not verify, and is benched");
            }
            UpstreamFailure::Slow | UpstreamFailure::NotFound | UpstreamFailure::Declined => {
                tracing::debug!(kind, upstream, %error, "an upstream does not give what it was asked for");
            }
        }
    }

    /// Looks whether it can be reached again, if it is time for that.
    pub(super) async fn probe(&self) {
        if !self.health().wants_probe(Instant::now()) {
            return;
        }
        let reached = self.upstream.probe().await;
        self.health().probed(reached, Instant::now(), random(), &self.benches);
        if reached {
            tracing::info!(kind = self.kind.name(), upstream = &*self.name, "an upstream is asked again");
        }
    }

    fn health(&self) -> MutexGuard<'_, Health> {
        self.health.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// From 0 to 1, so that edges do not come back all at once.
fn random() -> f64 {
    (RandomState::new().build_hasher().finish() % 1024) as f64 / 1024.0
}
