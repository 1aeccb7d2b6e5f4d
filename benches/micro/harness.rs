//! A harness in a few lines: the median of many samples, each long enough for the clock.
//!
//! It prints the fastest sample too. On a machine that does other things the two drift apart, and then neither should be trusted to
//! a few percent.

use std::hint::black_box;
use std::time::{Duration, Instant};

/// Time of one sample at least: far above what reading the clock costs.
const SAMPLE_TIME_MIN: Duration = Duration::from_millis(5);

/// Samples of each piece.
const SAMPLES: usize = 41;

/// Runs pieces, and prints a line for each.
#[derive(Debug)]
pub(crate) struct Bench {
    /// Only names that contain this.
    filter: Option<String>,
    /// Whether to measure, or only to run each piece once.
    measures: bool,
}

/// What one run of a piece works on.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Unit {
    /// One thing.
    Once,
    /// So many bytes.
    Bytes(u64),
}

impl Bench {
    /// Cargo passes `--bench` to what it runs for `cargo bench`, and nothing for `cargo test`.
    pub(crate) fn from_arguments(arguments: impl Iterator<Item = String>) -> Self {
        let (flags, words): (Vec<_>, Vec<_>) = arguments.partition(|argument| argument.starts_with("--"));
        Self { filter: words.into_iter().next(), measures: flags.iter().any(|flag| flag == "--bench") }
    }

    /// Whether something is to be measured that takes too long to be run otherwise.
    pub(crate) fn measures(&self, name: &str) -> bool {
        self.measures && self.filter.as_ref().is_none_or(|filter| name.contains(filter.as_str()))
    }

    /// Prints something else that is known of a piece.
    pub(crate) fn say(&self, name: &str, what: &str) {
        if self.measures && self.filter.as_ref().is_none_or(|filter| name.contains(filter.as_str())) {
            println!("{name:<44} {what}");
        }
    }

    /// Measures `piece`, whose result is kept from being optimised away.
    pub(crate) fn run<T>(&mut self, name: &str, unit: Unit, mut piece: impl FnMut() -> T) {
        if self.filter.as_ref().is_some_and(|filter| !name.contains(filter.as_str())) {
            return;
        }
        if !self.measures {
            black_box(piece());
            return;
        }
        let repetitions = repetitions(&mut piece);
        let mut samples: Vec<f64> = (0..SAMPLES).map(|_| sample(&mut piece, repetitions)).collect();
        samples.sort_by(f64::total_cmp);
        let (Some(&fastest), Some(&median)) = (samples.first(), samples.get(SAMPLES / 2)) else { return };
        let rate = match unit {
            Unit::Once => String::new(),
            Unit::Bytes(bytes) => format!("{:>8.2} GB/s", bytes as f64 / median),
        };
        println!("{name:<44} {median:>12.1} ns  (fastest {fastest:>12.1} ns) {rate}");
    }
}

/// How often a piece must run to fill a sample.
fn repetitions<T>(piece: &mut impl FnMut() -> T) -> u32 {
    let mut repetitions = 1;
    loop {
        let began = Instant::now();
        for _ in 0..repetitions {
            black_box(piece());
        }
        if began.elapsed() >= SAMPLE_TIME_MIN || repetitions > u32::MAX / 2 {
            return repetitions;
        }
        repetitions *= 2;
    }
}

/// Nanoseconds for one run.
fn sample<T>(piece: &mut impl FnMut() -> T, repetitions: u32) -> f64 {
    let began = Instant::now();
    for _ in 0..repetitions {
        black_box(piece());
    }
    began.elapsed().as_nanos() as f64 / f64::from(repetitions)
}
