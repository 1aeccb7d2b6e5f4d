//! Up to which version everything that was purged is on this edge's disk no more.
//!
//! A purged slice is unreachable at once, but its bytes stay in a block of the disk tier until the block is reclaimed. Blocks are
//! reclaimed in the order in which they were filled, so what was there at some moment is gone once as much as the whole tier holds was
//! written after it. How much was written before a restart is not remembered: then it is counted from the restart on.

use skerry_proto::pointer::Version;
use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

/// What waits for enough to be written. Purges are told in order.
#[derive(Debug, Default)]
pub(crate) struct Overwritten(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// Versions at which something was purged, and bytes written by then.
    waiting: VecDeque<(Version, u64)>,
    /// Everything up to here is overwritten.
    reached: Version,
}

impl Overwritten {
    /// Something was purged at `version`, when `written` bytes had been written.
    pub(super) fn purged(&self, version: Version, written: u64) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if state.waiting.back().is_none_or(|(last, _)| version > *last) {
            state.waiting.push_back((version, written));
        }
    }

    /// Up to which version everything is overwritten, when this edge shows `position`, and `written` bytes have been written to a
    /// tier that turns over after `turnover` of them.
    pub(super) fn reached(&self, position: Version, written: u64, turnover: u64) -> Version {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some((version, at)) = state.waiting.front().copied() {
            if written.saturating_sub(at) < turnover {
                return state.reached;
            }
            state.reached = version;
            state.waiting.pop_front();
        }
        // Nothing waits, so all that was purged up to what is shown is gone.
        state.reached = state.reached.max(position);
        state.reached
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_purged_is_overwritten_when_the_tier_has_turned_over_since() {
        let overwritten = Overwritten::default();
        let at = |revision| Version { epoch: 1, revision };
        assert_eq!(overwritten.reached(at(3), 0, 100), at(3), "nothing was purged");
        overwritten.purged(at(5), 10);
        overwritten.purged(at(5), 30);
        overwritten.purged(at(8), 60);
        assert_eq!(overwritten.reached(at(9), 109, 100), at(3));
        assert_eq!(overwritten.reached(at(9), 110, 100), at(5));
        assert_eq!(overwritten.reached(at(9), 160, 100), at(9));
        // Without a disk everything is gone at once.
        overwritten.purged(at(10), 160);
        assert_eq!(overwritten.reached(at(10), 160, 0), at(10));
    }
}
