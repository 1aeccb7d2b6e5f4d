//! The lease: how long after the last word of the origin an edge may take what it holds for current.
//!
//! It runs from the moment the edge *sent* the ping that the origin answered, on the clock that also runs during suspend. The time
//! of the last renewal is on disk: within one boot that clock counts on after a restart, after a reboot the wall clock does. What
//! is unknown or lies in the future counts as past every limit.

use nix::time::{ClockId, clock_gettime};
use skerry_proto::document;
use skerry_proto::pointer::StaleRule;
use skerry_proto::wire;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Stands for "never renewed".
const NEVER: i64 = i64::MIN;

/// RFC 9111 §1.2.2: what stands for any longer time.
const AGE_MAX: u64 = 1 << 31;

/// When the lease was last renewed, and for how long.
#[derive(Debug)]
pub struct Lease {
    /// Milliseconds of the boot clock, or [`NEVER`]. Negative for a renewal before this boot.
    renewed_at: AtomicI64,
    /// Whether the origin answers: then what is held is what it says.
    live: AtomicBool,
    length: Duration,
    file: PathBuf,
}

impl Lease {
    /// Takes up the lease where the last run left it.
    pub fn load(file: PathBuf, length: Duration) -> Self {
        let renewed_at = read(&file).unwrap_or(NEVER);
        Self { renewed_at: AtomicI64::new(renewed_at), live: AtomicBool::new(false), length, file }
    }

    /// Milliseconds of the clock that runs during suspend.
    pub fn now() -> i64 {
        clock_gettime(ClockId::CLOCK_BOOTTIME).map_or(i64::MAX, |time| {
            time.tv_sec().saturating_mul(1000).saturating_add(time.tv_nsec() / 1_000_000)
        })
    }

    /// The origin answered the ping that was sent at `sent_at`. Remembers it on disk; blocks for a file of 50 bytes.
    pub fn renew(&self, sent_at: i64) {
        self.renewed_at.fetch_max(sent_at, Ordering::Relaxed);
        self.live.store(true, Ordering::Relaxed);
        let age = Duration::from_millis(u64::try_from(Self::now() - sent_at).unwrap_or(0));
        let wall = SystemTime::now().checked_sub(age).and_then(unix_milliseconds).unwrap_or(0);
        let renewal = wire::LeaseRenewal {
            boot_id: boot_id().unwrap_or_default(),
            boot_milliseconds: sent_at,
            unix_milliseconds: wall,
        };
        let partial = self.file.with_extension("partial");
        // Not fsynced: after a power cut an older time counts, which is on the safe side.
        let written = std::fs::write(&partial, document::encode(&renewal))
            .and_then(|()| std::fs::rename(&partial, &self.file));
        if let Err(error) = written {
            tracing::warn!(%error, "the time of the last lease cannot be kept");
        }
    }

    /// The origin answers no more; the next renewal says that it does again.
    pub fn lost(&self) {
        self.live.store(false, Ordering::Relaxed);
    }

    /// The origin shut this edge out: there is no lease any more, also after a restart. Blocks for a file.
    pub fn end(&self) {
        self.live.store(false, Ordering::Relaxed);
        self.renewed_at.store(NEVER, Ordering::Relaxed);
        if let Err(error) = std::fs::remove_file(&self.file)
            && error.kind() != std::io::ErrorKind::NotFound
        {
            tracing::warn!(%error, "the time of the last lease cannot be forgotten");
        }
    }

    /// For how many seconds the origin has not confirmed what is held. `None` while it answers, without reading a clock.
    pub fn age(&self) -> Option<u64> {
        if self.live.load(Ordering::Relaxed) {
            return None;
        }
        let milliseconds = match self.renewed_at.load(Ordering::Relaxed) {
            NEVER => i64::MAX,
            renewed_at => Self::now().saturating_sub(renewed_at),
        };
        Some(u64::try_from(milliseconds / 1000).unwrap_or(0).min(AGE_MAX))
    }

    /// How long the lease still runs; negative when it is over. In milliseconds.
    pub fn remaining(&self) -> i64 {
        match self.renewed_at.load(Ordering::Relaxed) {
            NEVER => i64::MIN,
            renewed_at => milliseconds(self.length) - (Self::now() - renewed_at),
        }
    }

    /// Whether this rule lets the edge serve now. Reads no clock where the rule has no end.
    pub fn allows(&self, rule: StaleRule) -> bool {
        match rule {
            StaleRule::Unbounded => true,
            StaleRule::AtMost(grace) => self.remaining().saturating_add(milliseconds(grace)) > 0,
        }
    }
}

/// Time of the last renewal on this boot's clock.
fn read(file: &std::path::Path) -> Option<i64> {
    let renewal: wire::LeaseRenewal = document::decode(&std::fs::read(file).ok()?).ok()?;
    let now = Lease::now();
    if boot_id().is_some_and(|boot_id| boot_id == renewal.boot_id) {
        return (renewal.boot_milliseconds <= now).then_some(renewal.boot_milliseconds);
    }
    let wall_now = unix_milliseconds(SystemTime::now())?;
    let age = wall_now.checked_sub(renewal.unix_milliseconds).filter(|age| *age >= 0)?;
    now.checked_sub(age)
}

fn boot_id() -> Option<String> {
    Some(std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?.trim().to_owned())
}

fn unix_milliseconds(time: SystemTime) -> Option<i64> {
    i64::try_from(time.duration_since(UNIX_EPOCH).ok()?.as_millis()).ok()
}

fn milliseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LENGTH: Duration = Duration::from_secs(10);
    const HOUR: StaleRule = StaleRule::AtMost(Duration::from_secs(3600));
    const AT_ONCE: StaleRule = StaleRule::AtMost(Duration::ZERO);

    fn file() -> (tempfile::TempDir, PathBuf) {
        let temp = tempfile::tempdir().expect("a temporary folder");
        let file = temp.path().join("lease");
        (temp, file)
    }

    fn keep(file: &PathBuf, renewal: wire::LeaseRenewal) {
        std::fs::write(file, document::encode(&renewal)).expect("writes");
    }

    #[test]
    fn a_lease_runs_from_the_moment_the_ping_was_sent() {
        let (_temp, file) = file();
        let lease = Lease::load(file, LENGTH);
        lease.renew(Lease::now() - 4_000);
        assert!((5_000..=6_000).contains(&lease.remaining()), "{}", lease.remaining());
        assert!(lease.allows(AT_ONCE));
    }

    #[test]
    fn past_the_lease_the_rule_decides() {
        let (_temp, file) = file();
        let lease = Lease::load(file, LENGTH);
        lease.renew(Lease::now() - 11_000);
        assert!(!lease.allows(AT_ONCE) && lease.allows(HOUR) && lease.allows(StaleRule::Unbounded));
    }

    #[test]
    fn the_age_counts_from_the_last_renewal_once_the_origin_is_lost() {
        let (_temp, file) = file();
        let lease = Lease::load(file.clone(), LENGTH);
        assert_eq!(lease.age(), Some(AGE_MAX), "never heard of");
        lease.renew(Lease::now() - 7_000);
        assert_eq!(lease.age(), None);
        lease.lost();
        assert!(lease.age().is_some_and(|age| (7..=8).contains(&age)), "{:?}", lease.age());
        assert!(Lease::load(file, LENGTH).age().is_some_and(|age| (7..=8).contains(&age)), "after a restart");
        lease.renew(Lease::now());
        assert_eq!(lease.age(), None);
    }

    #[test]
    fn a_lease_that_the_origin_ended_is_past_every_limit_also_after_a_restart() {
        let (_temp, file) = file();
        let lease = Lease::load(file.clone(), LENGTH);
        lease.renew(Lease::now());
        lease.end();
        lease.end();
        assert!(!lease.allows(HOUR) && lease.age().is_some());
        assert!(!Lease::load(file, LENGTH).allows(HOUR));
        lease.renew(Lease::now());
        assert!(lease.allows(AT_ONCE), "it may be let in again as another edge");
    }

    #[test]
    fn an_older_answer_does_not_shorten_the_lease() {
        let (_temp, file) = file();
        let lease = Lease::load(file, LENGTH);
        lease.renew(Lease::now());
        lease.renew(Lease::now() - 9_000);
        assert!(lease.remaining() > 9_000);
    }

    #[test]
    fn the_last_renewal_survives_a_restart() {
        let (_temp, file) = file();
        Lease::load(file.clone(), LENGTH).renew(Lease::now() - 2_000);
        assert!(Lease::load(file, LENGTH).remaining() > 7_000);
    }

    #[test]
    fn after_a_reboot_the_wall_clock_counts() {
        let (_temp, file) = file();
        let now = unix_milliseconds(SystemTime::now()).expect("after 1970");
        let before = wire::LeaseRenewal {
            boot_id: "another boot".into(),
            boot_milliseconds: 5,
            unix_milliseconds: now - 60_000,
        };
        keep(&file, before);
        let lease = Lease::load(file, LENGTH);
        assert!(lease.allows(HOUR) && !lease.allows(AT_ONCE));
    }

    #[test]
    fn what_is_unknown_or_in_the_future_is_past_every_limit() {
        let (_temp, file) = file();
        assert!(!Lease::load(file.clone(), LENGTH).allows(HOUR));
        std::fs::write(&file, b"garbage").expect("writes");
        assert!(!Lease::load(file.clone(), LENGTH).allows(HOUR));
        let now = unix_milliseconds(SystemTime::now()).expect("after 1970");
        let future = wire::LeaseRenewal {
            boot_id: "another boot".into(),
            boot_milliseconds: 5,
            unix_milliseconds: now + 60_000,
        };
        keep(&file, future);
        assert!(!Lease::load(file, LENGTH).allows(HOUR));
    }
}
