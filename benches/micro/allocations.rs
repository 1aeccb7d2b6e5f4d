//! The allocator of the micro-benchmarks: the program's own, counting.

use mimalloc::MiMalloc;
use std::alloc::{GlobalAlloc, Layout};
use std::cell::Cell;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

/// Whether bytes are counted; they are not where only time matters.
static COUNTS_BYTES: AtomicBool = AtomicBool::new(false);

/// Bytes that all threads have asked for and not given back, since they are counted.
static BYTES: AtomicI64 = AtomicI64::new(0);

thread_local! {
    /// What this thread has asked for. A constant without a destructor, so that counting allocates nothing itself.
    static COUNT: Cell<u64> = const { Cell::new(0) };
}

/// Allocations of this thread while `work` runs.
pub(crate) fn during(work: impl FnOnce()) -> u64 {
    let before = COUNT.get();
    work();
    COUNT.get() - before
}

/// Counts bytes from now on.
pub(crate) fn count_bytes() {
    COUNTS_BYTES.store(true, Ordering::Relaxed);
}

/// Bytes that are held, as far as they were counted.
pub(crate) fn bytes_held() -> i64 {
    BYTES.load(Ordering::Relaxed)
}

/// Counts, and hands on.
#[derive(Debug)]
pub(crate) struct Counting;

fn count(bytes: i64) {
    // A thread that ends has nobody who asks.
    let _ = COUNT.try_with(|count| count.set(count.get() + 1));
    hold(bytes);
}

fn hold(bytes: i64) {
    if COUNTS_BYTES.load(Ordering::Relaxed) {
        BYTES.fetch_add(bytes, Ordering::Relaxed);
    }
}

#[expect(
    unsafe_code,
    reason = "every call is handed on as it came, so what its caller promised holds for mimalloc too"
)]
// SAFETY: nothing is done to pointers, layouts or sizes here; mimalloc keeps the contract.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as i64);
        // SAFETY: as above.
        unsafe { MiMalloc.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as i64);
        // SAFETY: as above.
        unsafe { MiMalloc.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size as i64 - layout.size() as i64);
        // SAFETY: as above.
        unsafe { MiMalloc.realloc(pointer, layout, size) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        hold(-(layout.size() as i64));
        // SAFETY: as above.
        unsafe { MiMalloc.dealloc(pointer, layout) }
    }
}
