//! What a server uses, from `/proc`: CPU time of all threads of a process and of its descendants, and resident memory.
//!
//! The kernel adds up the threads of a process itself. A child that ended counts in its parent once the parent has waited for it.

use anyhow::Context;
use std::collections::HashMap;
use std::fs;
use std::time::Duration;

/// Ticks per second in `/proc/PID/stat`; `USER_HZ` is 100 on every architecture that Rust's Linux targets have.
const TICKS_PER_SECOND: u64 = 100;

/// What one line of `/proc/PID/stat` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stat {
    parent: u32,
    ticks: u64,
}

/// CPU time that process `root` and all its descendants have used since they began.
pub(crate) fn used_by_tree(root: u32) -> anyhow::Result<Duration> {
    let all = read_all()?;
    anyhow::ensure!(all.contains_key(&root), "process {root} has ended");
    let mut ticks = 0;
    let mut rest = vec![root];
    while let Some(pid) = rest.pop() {
        ticks += all.get(&pid).map_or(0, |stat| stat.ticks);
        rest.extend(all.iter().filter(|(_, stat)| stat.parent == pid).map(|(&child, _)| child));
    }
    Ok(time(ticks))
}

/// CPU time of one process and of its children that have ended.
pub(crate) fn used_by_process(pid: u32) -> anyhow::Result<Duration> {
    let line = fs::read_to_string(format!("/proc/{pid}/stat"))
        .with_context(|| format!("process {pid} has ended"))?;
    let stat = parse(&line).with_context(|| format!("/proc/{pid}/stat does not read as expected"))?;
    Ok(time(stat.ticks))
}

/// Resident memory of a process now, and the most it ever was, in bytes.
pub(crate) fn resident_memory(pid: u32) -> anyhow::Result<(u64, u64)> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))
        .with_context(|| format!("process {pid} has ended"))?;
    let kib = |key: &str| {
        status
            .lines()
            .find_map(|line| line.strip_prefix(key)?.trim().strip_suffix(" kB")?.parse::<u64>().ok())
            .with_context(|| format!("/proc/{pid}/status has no {key}"))
    };
    Ok((kib("VmRSS:")? * 1024, kib("VmHWM:")? * 1024))
}

/// Lets the most that a process ever had begin anew, at what it has now.
pub(crate) fn forget_peak(pid: u32) -> anyhow::Result<()> {
    // proc(5): 5 resets the peak resident set size.
    fs::write(format!("/proc/{pid}/clear_refs"), "5").with_context(|| format!("process {pid} has ended"))
}

/// CPU time of the calling thread, to the nanosecond.
pub(crate) fn used_by_this_thread() -> anyhow::Result<Duration> {
    let line = fs::read_to_string("/proc/thread-self/schedstat").context("CPU time is read from /proc")?;
    let nanoseconds = line.split(' ').next().and_then(|field| field.parse().ok());
    Ok(Duration::from_nanos(nanoseconds.context("/proc/thread-self/schedstat does not read as expected")?))
}

const fn time(ticks: u64) -> Duration {
    Duration::from_millis(ticks * 1000 / TICKS_PER_SECOND)
}

fn read_all() -> anyhow::Result<HashMap<u32, Stat>> {
    let mut all = HashMap::new();
    for entry in fs::read_dir("/proc").context("CPU time is read from /proc")? {
        let Some(pid) = entry?.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        // A process may end between the listing and the reading.
        let Ok(line) = fs::read_to_string(format!("/proc/{pid}/stat")) else { continue };
        if let Some(stat) = parse(&line) {
            all.insert(pid, stat);
        }
    }
    Ok(all)
}

/// The name of the program stands in parentheses and may hold anything, so fields are counted from the last one.
fn parse(line: &str) -> Option<Stat> {
    let (_, fields) = line.rsplit_once(')')?;
    let fields: Vec<&str> = fields.split_ascii_whitespace().collect();
    let number = |index: usize| fields.get(index)?.parse::<u64>().ok();
    // proc(5): ppid is field 4; utime, stime, cutime, cstime are 14 to 17. The first field after the name is 3.
    let ticks = number(11)? + number(12)? + number(13)? + number(14)?;
    Some(Stat { parent: number(1)?.try_into().ok()?, ticks })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_name_with_parentheses_and_spaces_misleads_nobody() {
        let line = "7 (a) b (c) S 3 7 7 0 -1 0 1 2 3 4 100 20 3 1 20 0 5 0 99 1 1";
        assert_eq!(parse(line), Some(Stat { parent: 3, ticks: 124 }));
    }

    #[test]
    fn this_process_is_found() {
        assert!(used_by_tree(std::process::id()).is_ok());
        let (now, most) = resident_memory(std::process::id()).expect("own status");
        assert!(now > 0 && most >= now);
    }
}
