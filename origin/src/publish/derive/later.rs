//! Derived representations that join a build later: one worker, which goes on after a restart.
//!
//! It works in rounds: some seconds of coding for one build, then the build's manifest is succeeded by one that only adds what was
//! made, and every environment that shows the build gets a pointer to it, in one transaction. A deployment takes the manifest that
//! the build has at that moment, so neither can come between the other. What was coded is noted before, so that a process that ends
//! in a round loses some seconds of work.

use super::super::pointer::Subject;
use super::super::{PublishError, Publisher, unix_seconds};
use super::code::Pace;
use super::missing;
use crate::catalogue::{AssetVersion, DerivationRound, Showing};
use crate::cause;
use crate::metrics::DerivationEnd;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::time::Instant;

/// How long blobs are begun in one round.
const ROUND_TIME: Duration = Duration::from_secs(10);

/// Rounds of a build that may be begun and not ended, one after the other, before it is left as it is. A stop ends no round either.
const ATTEMPTS_MAX: u64 = 20;

/// How long the worker rests after a round that failed: a full disk or a damaged blob does not mend in a moment.
const REST_TIME: Duration = Duration::from_secs(30);

impl Publisher {
    /// Works on builds that coded forms are to join, those of an earlier process first, until the origin stops.
    pub(crate) fn derive_later(&self) {
        let publisher = self.clone();
        self.shared.tasks.spawn(async move {
            tokio::select! {
                biased;
                () = publisher.shared.stopping.cancelled() => {}
                () = publisher.work() => {}
            }
        });
    }

    async fn work(&self) {
        loop {
            match self.next_round().await {
                Ok(true) => {}
                Ok(false) => self.shared.unfinished.notified().await,
                Err(_) if self.shared.stopping.is_cancelled() => return,
                Err(error) => {
                    tracing::warn!(
                        error = cause::chain(&error),
                        "compressed forms cannot join a build now; it is tried again"
                    );
                    tokio::time::sleep(REST_TIME).await;
                }
            }
        }
    }

    /// One round of the build whose turn it is; whether there was one.
    async fn next_round(&self) -> Result<bool, PublishError> {
        let (catalogue, metrics) = (&self.shared.catalogue, &self.shared.metrics);
        let round = catalogue.begin_derivation_round().await?;
        metrics.derivations.set(catalogue.derivation_count().await? as f64);
        let Some(round) = round else { return Ok(false) };
        let end = if round.failed_attempts >= ATTEMPTS_MAX {
            catalogue.give_up_derivation(&round.build).await?;
            Some(DerivationEnd::Failed)
        } else {
            self.round(&round).await?
        };
        let build = &round.build;
        match end {
            Some(DerivationEnd::Failed) => tracing::error!(
                %build,
                attempts = round.failed_attempts,
                "some of a build stays uncompressed: each attempt failed"
            ),
            Some(DerivationEnd::OutOfTime) => tracing::warn!(
                %build,
                "some of a build stays uncompressed: it has had its processor time (compression.build_cpu_seconds_max)"
            ),
            Some(DerivationEnd::Joined) => tracing::info!(%build, "a build has all its compressed forms"),
            None => {}
        }
        if let Some(end) = end {
            metrics.derivation_ended(end);
        }
        Ok(true)
    }

    /// `None`: the build is not at its end yet.
    async fn round(&self, round: &DerivationRound) -> Result<Option<DerivationEnd>, PublishError> {
        let shared = &self.shared;
        let jobs = missing(&shared.catalogue.build_versions(&round.build).await?, &shared.compression);
        let pace = Pace {
            until: Instant::now() + ROUND_TIME,
            slots: Arc::clone(&shared.later_coders),
            cpu_time_max: shared.compression.build_cpu_max.saturating_sub(round.cpu_time),
        };
        let cpu_time = round.cpu_time + self.code_all(&round.account, jobs, pace, None).await?;
        // Read again: now with what was made.
        let versions: Arc<[AssetVersion]> = shared.catalogue.build_versions(&round.build).await?.into();
        let is_whole = missing(&versions, &shared.compression).is_empty();
        let unfinished = self.unfinished(&versions, cpu_time);
        let site_file = self.site_file(&versions).await?;
        let documents = self.write_build(versions, site_file, unfinished).await?;
        let now = unix_seconds(SystemTime::now());
        let pointer = |showing: &Showing, version, standing: &_| {
            let (environment, domain) = (&showing.environment, &showing.domain);
            let subject = Subject { account: &round.account, environment, domain };
            self.signed_pointer(subject, version, standing, now)
        };
        let version = shared.catalogue.end_derivation_round(round, &documents, now, pointer).await?;
        if let Some(version) = version {
            shared.metrics.version(version);
        }
        Ok(match (unfinished, is_whole) {
            (Some(_), _) => None,
            (None, true) => Some(DerivationEnd::Joined),
            (None, false) => Some(DerivationEnd::OutOfTime),
        })
    }
}
