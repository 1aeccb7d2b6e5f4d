//! Whether an upstream is to be asked: a pure decision of what became of earlier fills, and of `now`.
//!
//! One failure benches it, for a time that doubles with each further one and differs from edge to edge. When the time is over it is
//! probed; only a fill that brings something makes the failures forgotten.

use std::time::{Duration, Instant};

/// The first bench: a process that restarts is away for about so long.
const BENCH_MIN: Duration = Duration::from_secs(1);

/// How an upstream did lately.
#[derive(Debug, Default)]
pub(super) struct Health {
    failures: u32,
    benched_until: Option<Instant>,
}

/// The longest benches.
#[derive(Debug, Clone, Copy)]
pub(super) struct Benches {
    /// For one that fails again and again.
    pub(super) time_max: Duration,
    /// For one that lied.
    pub(super) liar: Duration,
}

impl Health {
    /// Whether it may be asked.
    pub(super) const fn is_well(&self) -> bool {
        self.benched_until.is_none()
    }

    /// Whether it is to be probed now.
    pub(super) fn wants_probe(&self, now: Instant) -> bool {
        self.benched_until.is_some_and(|until| now >= until)
    }

    /// It gave something. One that is benched stays so: that fill had begun before.
    pub(super) fn succeeded(&mut self) {
        if self.benched_until.is_none() {
            self.failures = 0;
        }
    }

    /// It failed: for how long it is benched, if it was not before. `random` is from 0 to 1.
    pub(super) fn failed(&mut self, now: Instant, random: f64, benches: &Benches) -> Option<Duration> {
        if self.benched_until.is_some() {
            // Many fills fail together; that is one failure.
            return None;
        }
        Some(self.bench(now, random, benches))
    }

    /// It sent what does not verify.
    pub(super) fn lied(&mut self, now: Instant, benches: &Benches) {
        self.failures = self.failures.saturating_add(1);
        self.benched_until = Some(now + benches.liar);
    }

    /// A probe reached it, or did not.
    pub(super) fn probed(&mut self, reached: bool, now: Instant, random: f64, benches: &Benches) {
        if reached {
            self.benched_until = None;
        } else {
            self.bench(now, random, benches);
        }
    }

    fn bench(&mut self, now: Instant, random: f64, benches: &Benches) -> Duration {
        let doubled = BENCH_MIN.saturating_mul(1 << self.failures.min(20));
        let time = doubled.min(benches.time_max).mul_f64(0.5 + random.clamp(0.0, 1.0) / 2.0);
        self.failures = self.failures.saturating_add(1);
        self.benched_until = Some(now + time);
        time
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BENCHES: Benches = Benches { time_max: Duration::from_secs(60), liar: Duration::from_secs(600) };

    #[test]
    fn a_failure_benches_until_a_probe_reaches_it() {
        let (mut health, now) = (Health::default(), Instant::now());
        assert!(health.is_well() && !health.wants_probe(now));
        assert_eq!(health.failed(now, 1.0, &BENCHES), Some(BENCH_MIN));
        assert!(!health.is_well() && !health.wants_probe(now) && health.wants_probe(now + BENCH_MIN));
        health.probed(true, now + BENCH_MIN, 1.0, &BENCHES);
        assert!(health.is_well());
    }

    #[test]
    fn fills_that_fail_together_are_one_failure() {
        let (mut health, now) = (Health::default(), Instant::now());
        assert!(health.failed(now, 0.0, &BENCHES).is_some());
        assert!(health.failed(now, 0.0, &BENCHES).is_none());
        assert!(health.wants_probe(now + BENCH_MIN / 2), "half of the time at least, with jitter");
    }

    #[test]
    fn benches_grow_up_to_their_bound_and_shrink_only_after_a_fill() {
        let (mut health, now) = (Health::default(), Instant::now());
        let mut times = Vec::new();
        for _ in 0..10 {
            times.extend(health.failed(now, 1.0, &BENCHES));
            health.probed(true, now, 1.0, &BENCHES);
        }
        let seconds: Vec<_> = times.iter().map(Duration::as_secs).collect();
        assert_eq!(seconds, [1, 2, 4, 8, 16, 32, 60, 60, 60, 60]);
        health.succeeded();
        assert_eq!(health.failed(now, 1.0, &BENCHES), Some(BENCH_MIN));
    }

    #[test]
    fn a_probe_that_fails_is_a_failure_more() {
        let (mut health, now) = (Health::default(), Instant::now());
        health.failed(now, 1.0, &BENCHES);
        health.probed(false, now, 1.0, &BENCHES);
        assert!(!health.wants_probe(now + BENCH_MIN) && health.wants_probe(now + 2 * BENCH_MIN));
    }

    #[test]
    fn a_liar_is_benched_for_long_whatever_came_before() {
        let (mut health, now) = (Health::default(), Instant::now());
        health.failed(now, 1.0, &BENCHES);
        health.lied(now, &BENCHES);
        assert!(
            !health.wants_probe(now + BENCHES.liar - BENCH_MIN) && health.wants_probe(now + BENCHES.liar)
        );
    }
}
