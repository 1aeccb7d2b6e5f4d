//! How this edge is doing: what it tells the origin with each ping, for operators.

use crate::control::Vitals;
use crate::fill::Slices;
use crate::metrics::{CacheResult, Metrics};
use skerry_proto::wire::Figures;
use std::sync::Arc;
use std::time::Instant;

/// What takes the figures; `connections` counts those that are open. They are cheap: a few counters, and one small file of the system.
pub(crate) fn vitals(
    metrics: Arc<Metrics>,
    slices: Arc<Slices>,
    connections: impl Fn() -> u64 + Send + Sync + 'static,
) -> Vitals {
    let started = Instant::now();
    Box::new(move || {
        let answered = metrics.answered();
        let of = |result: CacheResult| answered[result as usize];
        Figures {
            requests: answered.iter().sum(),
            hits: of(CacheResult::Memory) + of(CacheResult::Disk),
            misses: of(CacheResult::Miss) + of(CacheResult::Neighbour),
            connections: connections(),
            memory_bytes: resident_bytes().unwrap_or(0),
            disk_bytes: slices.disk_used(),
            uptime_seconds: started.elapsed().as_secs(),
        }
    })
}

/// Resident memory of this process (proc_pid_status(5)).
fn resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kibibytes.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_has_some_memory() {
        assert!(resident_bytes().is_some_and(|bytes| bytes > 1 << 20));
    }
}
