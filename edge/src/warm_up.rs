//! What an edge does before it says that it is ready: it pulls a share of what it, or its neighbours, were asked for most.
//!
//! Bounded in time and bytes: an edge that cannot have it gets traffic all the same, and fetches what it is asked for.

use crate::cache::AccountKey;
use crate::config::ReadyConfig;
use crate::control::{Environments, WatcherStatus};
use crate::fill::{Named, Slices, Tiers, Warming, hot};
use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_util::sync::CancellationToken;

/// How often what is hot is kept: an edge that is killed knows what was so a minute ago.
const KEEP: Duration = Duration::from_secs(60);

/// What warming up needs.
pub(crate) struct WarmUp {
    config: ReadyConfig,
    slices: Arc<Slices>,
    environments: Arc<Environments>,
    tiers: Arc<Tiers>,
    path: PathBuf,
}

impl WarmUp {
    /// What is hot is kept in the file at `path`.
    pub(crate) fn new(
        config: ReadyConfig,
        slices: &Arc<Slices>,
        environments: &Arc<Environments>,
        tiers: &Arc<Tiers>,
        path: PathBuf,
    ) -> Self {
        let (slices, environments, tiers) = (Arc::clone(slices), Arc::clone(environments), Arc::clone(tiers));
        Self { config, slices, environments, tiers, path }
    }

    /// Pulls what is hot, then says so, at the latest when the time for it is over; and keeps what is hot from then on.
    pub(crate) async fn run(
        self,
        status: watch::Receiver<WatcherStatus>,
        is_warm: watch::Sender<bool>,
        stop: CancellationToken,
    ) {
        let path = self.path.clone();
        let past = blocking(move || hot::kept(&path)).await.unwrap_or_default();
        if self.config.share_percent > 0 {
            tokio::select! {
                _ = timeout(self.config.time_max, self.pull(past, status)) => {}
                () = stop.cancelled() => {}
            }
        }
        is_warm.send_replace(true);
        let mut ticks = tokio::time::interval(KEEP);
        ticks.tick().await;
        loop {
            let is_over = tokio::select! {
                _ = ticks.tick() => false,
                () = stop.cancelled() => true,
            };
            self.keep().await;
            if is_over {
                return;
            }
        }
    }

    async fn pull(&self, past: Vec<Named>, mut status: watch::Receiver<WatcherStatus>) {
        let deadline = Instant::now() + self.config.time_max;
        // Manifests first: what they do not name is not pulled.
        if status.wait_for(|status| status.current).await.is_err() {
            return;
        }
        self.slices.disk_opened().await;
        let mut hot = past;
        hot.extend(timeout_at(deadline, self.tiers.hot()).await.unwrap_or_default());
        let chosen = self.choose(hot);
        let mut left = self.config.size_max;
        for (account, blobs) in chosen {
            let time_max = deadline.saturating_duration_since(Instant::now());
            let warmth = self.slices.warm(&Warming { account, blobs, size_max: left, time_max }).await;
            left = left.saturating_sub(warmth.size);
        }
        tracing::info!(bytes = self.config.size_max - left, "pulled what is asked for most");
    }

    /// The share of what is hot and still shown, by account.
    fn choose(&self, hot: Vec<Named>) -> Vec<(crate::cache::Account, Vec<skerry_proto::slices::BlobId>)> {
        let mut seen = HashSet::new();
        let is_shown =
            |(account, blob): &Named| self.environments.named(account.key, &blob.hash) == Some(*blob);
        let hot: Vec<Named> = hot
            .into_iter()
            .filter(|(account, blob)| seen.insert((account.key, blob.hash)))
            .filter(is_shown)
            .collect();
        let all: u64 = hot.iter().map(|(_, blob)| blob.size).sum();
        let share = all.saturating_mul(self.config.share_percent.into()).div_ceil(100);
        let (mut size, mut places, mut chosen) = (0_u64, HashMap::<AccountKey, usize>::new(), Vec::new());
        for (account, blob) in hot {
            if size >= share {
                break;
            }
            size += blob.size;
            let place = *places.entry(account.key).or_insert_with(|| {
                chosen.push((account, Vec::new()));
                chosen.len() - 1
            });
            if let Some((_, blobs)) = chosen.get_mut(place) {
                blobs.push(blob);
            }
        }
        chosen
    }

    async fn keep(&self) {
        let (path, hot) = (self.path.clone(), self.slices.hot(hot::HOT_MAX));
        if hot.is_empty() {
            return;
        }
        if let Some(Err(error)) = blocking(move || hot::keep(&path, &hot)).await {
            tracing::warn!(%error, "what is asked for most cannot be kept");
        }
    }
}

/// Runs file work off the async workers; `None` where that panicked or the runtime ends.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    tokio::task::spawn_blocking(work).await.ok()
}
