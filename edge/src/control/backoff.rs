//! Pauses between tries to reach the origin: they grow, and differ from edge to edge, so that edges do not come back all at once.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::Duration;

const PAUSE_MIN: Duration = Duration::from_millis(50);

/// The longest pause, but for its random part: the origin is back for all edges this long after it is back.
pub(crate) const PAUSE_MAX: Duration = Duration::from_secs(5);

/// The next pause.
#[derive(Debug)]
pub(crate) struct Backoff(Duration);

impl Backoff {
    /// Begins with the shortest pause, as after a success.
    pub(crate) const fn new() -> Self {
        Self(PAUSE_MIN)
    }

    /// How long to wait now; the next answer is about twice as long.
    pub(crate) fn pause(&mut self) -> Duration {
        let pause = self.0;
        self.0 = (pause * 2).min(PAUSE_MAX);
        jittered(pause)
    }
}

/// Between half of a pause and one and a half.
fn jittered(pause: Duration) -> Duration {
    let random = RandomState::new().build_hasher().finish();
    pause / 2 + pause.mul_f64((random % 1024) as f64 / 1024.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_up_to_their_bound() {
        let mut backoff = Backoff::new();
        assert!(backoff.pause() < PAUSE_MIN * 2);
        let pauses: Vec<_> = (0..20).map(|_| backoff.pause()).collect();
        assert!(pauses.iter().all(|pause| *pause <= PAUSE_MAX * 3 / 2));
        assert!(pauses[10..].iter().all(|pause| *pause >= PAUSE_MAX / 2));
    }
}
