//! A client that behaves well while others do not.

use super::{Dev, Protocol, Site};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Asks for one path again and again, a new connection each time.
pub(crate) struct Companion {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Vec<Duration>>,
}

impl Companion {
    /// Begins; every answer must be whole and the one that is expected.
    pub(crate) fn start(site: &Site, path: &'static str, expected: &'static [u8]) -> Self {
        let (site, stop) = (site.clone(), Arc::new(AtomicBool::new(false)));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            let mut times = Vec::new();
            while !stopped.load(Ordering::Relaxed) {
                for protocol in Protocol::ALL {
                    let began = Instant::now();
                    assert_eq!(site.get(protocol, path).body, expected, "{protocol}");
                    times.push(began.elapsed());
                }
            }
            times
        });
        Self { stop, thread }
    }

    /// Ends, and says in which time 99 of 100 requests were answered.
    #[track_caller]
    pub(crate) fn stop(self) -> Duration {
        self.stop.store(true, Ordering::Relaxed);
        let mut times = self.thread.join().expect("a well-behaved client has every answer");
        times.sort_unstable();
        times[times.len() * 99 / 100 - usize::from(times.len() < 100)]
    }
}

impl Dev {
    /// Resident memory, bytes.
    pub(crate) fn resident_memory(&self) -> u64 {
        let pid = self.line().0["pid"].as_u64().expect("a process");
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("runs");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("Linux says so");
        line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") << 10
    }
}
