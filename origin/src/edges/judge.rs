//! What can be said of an edge and a version: pure, of what is known and the time.
//!
//! An edge that acknowledged the version shows it, or something newer. Another one certainly shows nothing older only when its lease
//! is surely over, by the clock of the origin and 1 % more, and the rules that it goes by end its answers then. In every other case it
//! may serve older, connected or not.

use super::EdgeState;
use skerry_proto::pointer::{StaleRule, Version};
use std::time::{Duration, Instant};

/// What an edge shows, as far as a version is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Showing {
    /// The version, or a newer one.
    Live,
    /// Nothing older: it refuses until it has heard from the origin.
    Refusing,
    /// Something older, for all that is known.
    MayServeOlder,
}

impl Showing {
    /// Its name for programs.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Refusing => "refusing",
            Self::MayServeOlder => "may_serve_older",
        }
    }
}

/// The moment from which on a lease of this length is surely over, if it was renewed at `renewed_at` at the latest: clocks differ in
/// rate by less than 1 %. `None`: never.
pub(crate) fn surely_over(renewed_at: Instant, time: Duration) -> Option<Instant> {
    renewed_at.checked_add(time.checked_add(time / 100)?)
}

/// What an edge shows at `now`, and since when; else when it is to be looked at again. `rule` is the slackest of those that it may go by
/// while it has not acknowledged the version.
pub(super) fn judge(
    edge: &EdgeState,
    version: Version,
    lease: Duration,
    rule: impl FnOnce() -> StaleRule,
    now: Instant,
) -> (Showing, Option<Instant>) {
    if edge.acked >= version {
        return (Showing::Live, None);
    }
    // Who was expelled is out of reach: it refuses nothing that it does not refuse by itself.
    let grace = match (edge.is_expelled, rule()) {
        (true, _) => Duration::ZERO,
        (false, StaleRule::AtMost(grace)) => grace,
        (false, StaleRule::Unbounded) => return (Showing::MayServeOlder, None),
    };
    let over = surely_over(edge.renewed_at, lease.saturating_add(grace));
    match over {
        Some(over) if over <= now && !edge.is_expelled => (Showing::Refusing, Some(over)),
        over => (Showing::MayServeOlder, over),
    }
}

/// Whether an edge belongs into receipts: it may serve something, or was expelled and its lease may not be over yet.
pub(super) fn counts(edge: &EdgeState, lease: Duration, now: Instant) -> bool {
    let is_out = || surely_over(edge.renewed_at, lease).is_some_and(|over| over <= now);
    !(edge.has_left || edge.is_expelled && is_out())
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEASE: Duration = Duration::from_secs(10);
    const VERSION: Version = Version { epoch: 1, revision: 5 };
    const AT_ONCE: StaleRule = StaleRule::AtMost(Duration::ZERO);

    fn edge(acked: u64, renewed_at: Instant) -> EdgeState {
        EdgeState {
            id: "ED1".into(),
            name: "one".into(),
            is_connected: false,
            acked: Version { epoch: 1, revision: acked },
            overwritten: Version::default(),
            program: String::new(),
            enrolled_at: 0,
            counts: true,
            has_left: false,
            is_expelled: false,
            certificate_end: 0,
            renewed_at,
            figures: None,
        }
    }

    #[test]
    fn an_edge_that_acknowledged_is_live_whatever_became_of_its_lease() {
        let start = Instant::now();
        for (acked, after) in [(5, 0), (5, 1000), (9, 1000)] {
            let now = start + Duration::from_secs(after);
            assert_eq!(judge(&edge(acked, start), VERSION, LEASE, || AT_ONCE, now).0, Showing::Live);
        }
    }

    #[test]
    fn an_edge_refuses_from_the_end_of_its_lease_and_one_percent_on_where_its_rule_says_so() {
        let start = Instant::now();
        let at = |milliseconds, rule| {
            judge(&edge(4, start), VERSION, LEASE, || rule, start + Duration::from_millis(milliseconds))
        };
        let over = start + Duration::from_millis(10_100);
        assert_eq!(at(0, AT_ONCE), (Showing::MayServeOlder, Some(over)));
        assert_eq!(at(10_099, AT_ONCE), (Showing::MayServeOlder, Some(over)));
        assert_eq!(at(10_100, AT_ONCE), (Showing::Refusing, Some(over)));
        let hour = StaleRule::AtMost(Duration::from_secs(3600));
        assert_eq!(at(3_646_099, hour).0, Showing::MayServeOlder);
        assert_eq!(at(3_646_100, hour).0, Showing::Refusing);
        assert_eq!(at(u64::from(u32::MAX), StaleRule::Unbounded), (Showing::MayServeOlder, None));
        let for_ever = StaleRule::AtMost(Duration::MAX);
        assert_eq!(at(u64::from(u32::MAX), for_ever), (Showing::MayServeOlder, None));
    }

    #[test]
    fn an_expelled_edge_may_serve_older_until_its_lease_is_over_and_is_not_spoken_of_then() {
        let start = Instant::now();
        let expelled = EdgeState { is_expelled: true, ..edge(4, start) };
        let rule = || StaleRule::Unbounded;
        let over = start + Duration::from_millis(10_100);
        assert_eq!(judge(&expelled, VERSION, LEASE, rule, start), (Showing::MayServeOlder, Some(over)));
        assert!(counts(&expelled, LEASE, start) && !counts(&expelled, LEASE, over));
        let left = EdgeState { has_left: true, ..edge(4, start) };
        assert!(!counts(&left, LEASE, start) && counts(&edge(4, start), LEASE, over));
    }
}
