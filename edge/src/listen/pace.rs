//! The least pace at which a client must take what it asked for.

use crate::config::ListenLimits;
use std::time::Duration;

/// Progress is seen in steps of this size, and not between them: a frame of a body, or what Linux lets the unsent data of a socket
/// shrink by before it says so.
pub(super) const STEP_SIZE_MAX: u32 = 64 << 10;

impl ListenLimits {
    /// The pace that clients must keep.
    pub(super) fn pace(&self) -> Pace {
        Pace { rate_min: self.rate_min, patience: self.rate_time_max }
    }
}

/// A rate, and the patience with a client that falls behind it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pace {
    /// Bytes in a second, at least 1.
    pub(super) rate_min: u64,
    /// Added to the time that the rate allows.
    pub(super) patience: Duration,
}

impl Pace {
    /// The time that the rate allows for so many bytes, but for no more than one step.
    pub(super) fn time_for(self, bytes: u64) -> Duration {
        let bytes = bytes.min(STEP_SIZE_MAX.into());
        Duration::from_millis((bytes * 1000).checked_div(self.rate_min).unwrap_or(0))
    }

    /// Who has just taken so many bytes may take this long before anything more is taken.
    pub(super) fn time_after(self, bytes: u64) -> Duration {
        self.time_for(bytes) + self.patience
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_at_the_rate_is_never_late_and_one_that_stands_still_soon_is() {
        let pace = Pace { rate_min: 1024, patience: Duration::from_secs(30) };
        assert!(pace.time_after(STEP_SIZE_MAX.into()) > Duration::from_secs(64));
        assert_eq!(pace.time_after(0), Duration::from_secs(30));
        assert_eq!(pace.time_after(u64::MAX), Duration::from_secs(94));
    }
}
