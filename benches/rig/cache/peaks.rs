//! The most that an edge's memory was under each load, beside what it may be.

use super::{MEMORY_TIER, WRITE_BUFFER};
use crate::report::Mark;
use crate::servers::Roles;
use crate::usage;

/// Bytes of the disk index for each entry, as the guide for operators says; `cargo bench -- index` measures them.
const INDEX_ENTRY: u64 = 64;

/// Peaks of each load.
#[derive(Debug, Default)]
pub(super) struct Peaks(Vec<(&'static str, u64, u64)>);

impl Peaks {
    /// Notes the peak since the last one was taken, or since the edge began, with so many entries on its disk.
    pub(super) fn take(&mut self, load: &'static str, roles: &Roles, entries: u64) -> anyhow::Result<()> {
        let pid = roles.edge.process.pid();
        let (_, peak) = usage::resident_memory(pid)?;
        usage::forget_peak(pid)?;
        let bound = (MEMORY_TIER + WRITE_BUFFER + INDEX_ENTRY * entries) * 13 / 10 + (64 << 20);
        match self.0.iter_mut().find(|(held, ..)| *held == load) {
            Some((_, greatest, _)) => *greatest = peak.max(*greatest),
            None => self.0.push((load, peak, bound)),
        }
        Ok(())
    }

    pub(super) fn marks(&self) -> impl Iterator<Item = Mark> {
        self.0.iter().map(|&(load, peak, bound)| {
            let key = format!("resident_{load}_bytes");
            Mark::new(key, format!("resident memory, {load}"), peak as f64 / 1e6, bound as f64 / 1e6, "MB")
        })
    }
}
