//! What was measured, as tables for people and as JSON for programs.

mod json;
mod table;

use crate::assets::Size;
use crate::options::Output;
use crate::selection::{Concurrency, Protocol};
use std::time::Duration;

/// All results of one run.
#[derive(Debug, Default)]
pub(crate) struct Report {
    pub(crate) load: Option<LoadReport>,
    pub(crate) start: Option<StartReport>,
    pub(crate) upload: Option<UploadReport>,
    pub(crate) publish: Option<PublishReport>,
    pub(crate) memory: Option<MemoryReport>,
    pub(crate) cache: Option<CacheReport>,
}

/// Result of `load`.
#[derive(Debug, Default)]
pub(crate) struct LoadReport {
    pub(crate) cells: Vec<Cell>,
    /// What a reader of the table has to know.
    pub(crate) notes: Vec<String>,
}

/// One protocol with one size.
#[derive(Debug)]
pub(crate) struct Cell {
    pub(crate) protocol: Protocol,
    pub(crate) size: Size,
    pub(crate) concurrency: Concurrency,
    /// Ours first, where both were measured.
    pub(crate) results: Vec<(&'static str, Measured)>,
}

/// The rounds of one server in one cell.
#[derive(Debug)]
pub(crate) struct Measured {
    /// The round with the median cost.
    pub(crate) median: Sample,
    /// Least and greatest cost of the rounds.
    pub(crate) cost_range: (f64, f64),
    /// Errors in all rounds.
    pub(crate) errors: u64,
    /// The first of them.
    pub(crate) first_error: Option<String>,
}

/// One measurement.
#[derive(Debug, Clone)]
pub(crate) struct Sample {
    pub(crate) seconds: f64,
    pub(crate) requests: u64,
    pub(crate) bytes: u64,
    pub(crate) errors: u64,
    pub(crate) server_cpu_s: f64,
    pub(crate) generator_cpu_s: f64,
    pub(crate) first_error: Option<String>,
}

/// Result of `start`.
#[derive(Debug)]
pub(crate) struct StartReport {
    /// The first start of all, which makes keys and publishes the demo assets.
    pub(crate) new_folder: Duration,
    /// Starts on the folder that exists.
    pub(crate) existing_folder: Vec<Duration>,
}

/// Result of `upload`: pairs of `skerry put` and of a plain write with fsync.
#[derive(Debug)]
pub(crate) struct UploadReport {
    pub(crate) size: u64,
    pub(crate) put: Vec<Duration>,
    pub(crate) plain_write: Vec<Duration>,
}

/// Result of `publish`.
#[derive(Debug)]
pub(crate) struct PublishReport {
    pub(crate) assets: u32,
    /// `skerry put --wait` of the assets: uploads, build, deployment, and the edge shows it.
    pub(crate) put: Duration,
    pub(crate) large: u32,
    /// The same of the further ones.
    pub(crate) put_large: Duration,
    /// The same of one more.
    pub(crate) put_one: Duration,
    /// Deployments of builds of all of them, over REST.
    pub(crate) deploy: Vec<Duration>,
    /// Pages of lists, over REST.
    pub(crate) pages: Vec<Duration>,
}

/// Result of `memory`.
#[derive(Debug)]
pub(crate) struct MemoryReport {
    pub(crate) clients: u32,
    pub(crate) memory_tier: u64,
    /// Of the edge, before the first client.
    pub(crate) idle: u64,
    pub(crate) protocols: Vec<ProtocolMemory>,
    pub(crate) origin: OriginMemory,
}

/// Memory of the origin: the most since it began (`VmHWM`), but for the first.
#[derive(Debug)]
pub(crate) struct OriginMemory {
    /// `VmRSS` before the upload.
    pub(crate) idle: u64,
    /// When the upload had been acknowledged.
    pub(crate) upload: u64,
    /// When all clients were served, most of them from what the edge had filled.
    pub(crate) fills: u64,
}

/// Memory while clients stream over one protocol.
#[derive(Debug)]
pub(crate) struct ProtocolMemory {
    pub(crate) protocol: Protocol,
    /// Greatest of all readings of `VmRSS` while they streamed.
    pub(crate) resident_max: u64,
    /// `VmHWM` at the end: the most since the process began.
    pub(crate) high_water: u64,
    pub(crate) seconds: f64,
    pub(crate) bytes: u64,
    pub(crate) errors: u64,
    pub(crate) first_error: Option<String>,
}

/// Result of `cache`.
#[derive(Debug)]
pub(crate) struct CacheReport {
    pub(crate) marks: Vec<Mark>,
    /// Median time to the first byte of a miss of one slice.
    pub(crate) miss_first_byte: Duration,
    /// Median time to the first byte of the same when it is in memory.
    pub(crate) memory_hit_first_byte: Duration,
    /// Median time to the same slice of a bare gRPC client.
    pub(crate) bare_first_slice: Duration,
    /// What was on disk when disk hits and restarts were measured.
    pub(crate) disk_bytes: u64,
    pub(crate) disk_entries: u64,
    /// Seconds of CPU for a gigabyte of memory hits, TLS included.
    pub(crate) memory_cost: f64,
    /// The same of disk hits.
    pub(crate) disk_cost: f64,
    /// Requests while the origin was away.
    pub(crate) outage_requests: u64,
    /// From the start of the process to the first byte from disk.
    pub(crate) restarts: Vec<Duration>,
}

/// A figure, and what it may be at most.
#[derive(Debug)]
pub(crate) struct Mark {
    /// Its name for programs.
    pub(crate) key: String,
    /// Its name for people.
    pub(crate) name: String,
    pub(crate) value: f64,
    pub(crate) bound: f64,
    pub(crate) unit: &'static str,
}

impl Mark {
    pub(crate) fn new(
        key: impl Into<String>,
        name: impl Into<String>,
        value: f64,
        bound: f64,
        unit: &'static str,
    ) -> Self {
        Self { key: key.into(), name: name.into(), value, bound, unit }
    }

    /// Whether it is met.
    pub(crate) fn is_met(&self) -> bool {
        self.value <= self.bound
    }
}

impl Report {
    /// Prints everything that was measured.
    pub(crate) fn print(&self, output: &Output) {
        if output.json {
            println!("{}", json::render(self));
        } else {
            print!("{}", table::render(self));
        }
    }

    /// Whether no request failed, and every mark is met.
    pub(crate) fn is_clean(&self) -> bool {
        let load = self.load.iter().flat_map(|load| &load.cells).flat_map(|cell| &cell.results);
        let memory = self.memory.iter().flat_map(|memory| &memory.protocols);
        load.map(|(_, measured)| measured.errors).sum::<u64>() == 0
            && memory.map(|protocol| protocol.errors).sum::<u64>() == 0
            && self.cache.iter().flat_map(|cache| &cache.marks).all(Mark::is_met)
    }
}

impl Sample {
    pub(crate) fn requests_per_second(&self) -> f64 {
        self.requests as f64 / self.seconds
    }

    pub(crate) fn megabytes_per_second(&self) -> f64 {
        self.bytes as f64 / 1e6 / self.seconds
    }

    /// Server CPU: milliseconds for 1,000 requests where requests matter, seconds for a gigabyte where bytes do.
    pub(crate) fn cost(&self, size: Size) -> f64 {
        // Seconds for a request are milliseconds for a thousand, times a thousand.
        if size.is_small() {
            self.server_cpu_s * 1e6 / self.requests.max(1) as f64
        } else {
            self.server_cpu_s * 1e9 / self.bytes.max(1) as f64
        }
    }
}

impl Cell {
    /// Our cost over the peer's, where both were measured.
    pub(crate) fn ratio(&self) -> Option<f64> {
        let [(_, ours), (_, peer)] = &self.results[..] else { return None };
        Some(ours.median.cost(self.size) / peer.median.cost(self.size))
    }

    /// Unit of [`Sample::cost`].
    pub(crate) const fn unit(&self) -> &'static str {
        if self.size.is_small() { "ms/1k" } else { "s/GB" }
    }
}

/// The sample with the median cost, and how far the others were from it. `None` without samples.
pub(crate) fn median_sample(mut samples: Vec<Sample>, size: Size) -> Option<Measured> {
    samples.sort_by(|a, b| a.cost(size).total_cmp(&b.cost(size)));
    let cost_range = (samples.first()?.cost(size), samples.last()?.cost(size));
    let errors = samples.iter().map(|sample| sample.errors).sum();
    let first_error = samples.iter().find_map(|sample| sample.first_error.clone());
    let median = samples.swap_remove((samples.len() - 1) / 2);
    Some(Measured { median, cost_range, errors, first_error })
}

/// The median; of an even number of times, the lower of the two in the middle.
pub(crate) fn median(times: &[Duration]) -> Duration {
    let mut sorted = times.to_vec();
    sorted.sort_unstable();
    sorted.get(sorted.len().saturating_sub(1) / 2).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(cpu: f64) -> Sample {
        Sample {
            seconds: 2.0,
            requests: 1000,
            bytes: 1_000_000_000,
            errors: 1,
            server_cpu_s: cpu,
            generator_cpu_s: 0.0,
            first_error: None,
        }
    }

    #[test]
    fn a_second_for_a_thousand_requests_is_a_thousand_milliseconds() {
        assert_eq!(sample(1.0).cost(Size::Kib1), 1000.0);
        assert_eq!(sample(1.0).cost(Size::Mib1), 1.0);
    }

    #[test]
    fn the_median_round_counts_and_errors_of_all_rounds() {
        let measured =
            median_sample(vec![sample(3.0), sample(1.0), sample(2.0)], Size::Mib1).expect("samples");
        assert_eq!(measured.median.server_cpu_s, 2.0);
        assert_eq!(measured.cost_range, (1.0, 3.0));
        assert_eq!(measured.errors, 3);
    }

    #[test]
    fn the_median_of_times_is_one_of_them() {
        let times = [5, 1, 9, 3].map(Duration::from_millis);
        assert_eq!(median(&times), Duration::from_millis(3));
        assert_eq!(median(&[]), Duration::ZERO);
    }
}
