//! Turns: how many uploads and builds are under way at once. Uploads wait for theirs, builds are refused.

use super::{PublishError, Publisher};
use metrics::Gauge;
use tokio::sync::{OwnedSemaphorePermit, TryAcquireError};

/// A turn; dropping it gives it to the next. It is counted while it is held.
#[derive(Debug)]
pub(super) struct Turn {
    _permit: OwnedSemaphorePermit,
    held: Gauge,
}

impl Turn {
    fn new(permit: OwnedSemaphorePermit, held: &Gauge) -> Self {
        held.increment(1.0);
        Self { _permit: permit, held: held.clone() }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.held.decrement(1.0);
    }
}

impl Publisher {
    /// Waits until there are few enough uploads.
    ///
    /// # Errors
    /// [`PublishError::Busy`] when that takes too long, [`PublishError::Stopping`].
    pub(super) async fn upload_turn(&self) -> Result<Turn, PublishError> {
        let (shared, metrics) = (&self.shared, &self.shared.metrics);
        let waited = tokio::time::timeout(shared.turn_time_max, shared.uploads.clone().acquire_owned()).await;
        let Ok(turn) = waited else {
            metrics.upload_refusals.increment(1);
            return Err(PublishError::Busy);
        };
        Ok(Turn::new(turn.map_err(|_| PublishError::Stopping)?, &metrics.uploads_active))
    }

    /// A turn to build, if there is one.
    ///
    /// # Errors
    /// [`PublishError::Busy`], [`PublishError::Stopping`].
    pub(super) fn build_turn(&self) -> Result<Turn, PublishError> {
        let metrics = &self.shared.metrics;
        match self.shared.builds.clone().try_acquire_owned() {
            Ok(permit) => Ok(Turn::new(permit, &metrics.builds)),
            Err(TryAcquireError::Closed) => Err(PublishError::Stopping),
            Err(TryAcquireError::NoPermits) => {
                metrics.build_refusals.increment(1);
                Err(PublishError::Busy)
            }
        }
    }
}
