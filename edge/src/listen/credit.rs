//! How much a client may ask of us that is not a request: a bucket of credit, which time and honest traffic fill up.
//!
//! Pure; the clock is the caller's, and is asked only when credit runs low.

/// Time fills an empty bucket.
const REFILL_MS: u64 = 16_000;

/// What is left, and its bound.
#[derive(Debug)]
pub(super) struct Credit {
    left: u64,
    max: u64,
    /// When time was last taken into account.
    refilled_ms: u64,
}

impl Credit {
    /// A full bucket.
    pub(super) fn new(max: u64) -> Self {
        Self { left: max, max, refilled_ms: 0 }
    }

    /// Takes into account the time that has passed; `now_ms` never goes back.
    pub(super) fn refill(&mut self, now_ms: u64) {
        let earned = self.max.saturating_mul(now_ms.saturating_sub(self.refilled_ms)) / REFILL_MS;
        if earned > 0 {
            self.earn(earned);
            self.refilled_ms = now_ms;
        }
    }

    /// Adds what honest traffic has earned.
    pub(super) fn earn(&mut self, amount: u64) {
        self.left = self.left.saturating_add(amount).min(self.max);
    }

    /// Takes an amount; false where there is not so much.
    pub(super) fn spend(&mut self, amount: u64) -> bool {
        let left = self.left.checked_sub(amount);
        self.left = left.unwrap_or(0);
        left.is_some()
    }

    /// Whether it is time to look at the clock.
    pub(super) fn is_low(&self) -> bool {
        self.left < self.max / 2
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credit_is_spent_and_comes_back_with_time_but_never_above_the_bound() {
        let mut credit = Credit::new(160);
        assert!(credit.spend(100));
        assert!(credit.is_low());
        credit.refill(1000);
        assert!(!credit.spend(71), "60 left and 10 earned");
        credit.earn(5);
        assert!(credit.spend(5));
        assert!(!credit.spend(1));
        credit.refill(1_000_000);
        assert!(credit.spend(160));
        assert!(!credit.spend(1));
    }

    #[test]
    fn time_that_is_too_short_to_earn_anything_adds_up() {
        let mut credit = Credit::new(16);
        assert!(credit.spend(16));
        (1..=1000).for_each(|now_ms| credit.refill(now_ms));
        assert!(credit.spend(1));
    }
}
