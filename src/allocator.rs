//! The allocator's one setting: how soon what became free goes back to the system.
//!
//! mimalloc keeps it for a second by default. Where hundreds of megabytes of slices pass in that time, this is as much as all that an
//! edge holds: with 32 MB of memory tier, 206 MB were resident with a tenth of a second, and 140 MB with a hundredth. Without any
//! delay it is no less, and an answer of 1 KiB over HTTP/2 costs 10 % more.

use std::ffi::{c_int, c_long};

/// `mi_option_purge_delay` of `mimalloc.h`, versions 2 and 3.
const PURGE_DELAY: c_int = 15;

/// Milliseconds.
const GIVEN_BACK_AFTER: c_long = 10;

#[expect(
    unsafe_code,
    reason = "mimalloc.h declares it so; it takes and returns plain numbers, and may be called at any time"
)]
unsafe extern "C" {
    safe fn mi_option_set_default(option: c_int, value: c_long);
}

/// Lets free memory go back soon. `MIMALLOC_PURGE_DELAY` in the environment, which mimalloc reads itself, comes before it.
pub(crate) fn give_back_soon() {
    mi_option_set_default(PURGE_DELAY, GIVEN_BACK_AFTER);
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::hint::black_box;

    /// Blocks of a slice each, of which no other test has nearly as many.
    const BLOCK: usize = 256 << 10;
    const COUNT: usize = 1024;

    fn resident() -> usize {
        let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
        let line = status.lines().find(|line| line.starts_with("RssAnon:")).expect("it is there");
        line.split_ascii_whitespace().nth(1).and_then(|kib| kib.parse::<usize>().ok()).expect("a number")
            << 10
    }

    #[test]
    fn what_is_free_goes_back_to_the_system() {
        give_back_soon();
        let before = resident();
        let blocks: Vec<Vec<u8>> = (0..COUNT).map(|_| black_box(vec![1; BLOCK])).collect();
        assert!(resident() >= before + COUNT * BLOCK / 2);
        drop(blocks);
        // The next page that is freed takes along what has waited long enough. Without the setting, that is a second.
        let until = std::time::Instant::now() + std::time::Duration::from_millis(900);
        while resident() > before + COUNT * BLOCK / 4 {
            assert!(std::time::Instant::now() < until, "{} bytes are still resident", resident() - before);
            drop((0..64).map(|_| black_box(vec![1_u8; BLOCK])).collect::<Vec<_>>());
        }
    }
}
