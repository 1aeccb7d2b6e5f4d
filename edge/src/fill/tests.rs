//! Lookups through cache and upstream together.

use super::testing::{Fault, MemoryUpstream, sample};
use super::*;
use crate::config::CacheConfig;
use skerry_proto::slices::SLICE_SIZE;
use std::path::Path;

const CONFIG: CacheConfig =
    CacheConfig { memory_size: 64 << 20, disk_size: 256 << 20, write_buffer_size: 32 << 20 };

async fn slices(folder: &Path, upstream: &MemoryUpstream) -> (Arc<Slices>, Arc<Metrics>) {
    let metrics = Arc::new(Metrics::new("test").expect("registers"));
    let cache =
        SliceCache::open(folder, CONFIG, Handle::current(), Arc::clone(&metrics)).await.expect("opens");
    let slices = Slices::new(cache, Box::new(upstream.clone()), Handle::current(), Arc::clone(&metrics));
    (Arc::new(slices), metrics)
}

fn account() -> Account {
    Account::new("AC0123")
}

fn figure(metrics: &Metrics, series: &str) -> f64 {
    let text = metrics.handle().render();
    let line =
        text.lines().find(|line| line.starts_with(series)).unwrap_or_else(|| panic!("no {series} in {text}"));
    line.rsplit(' ').next().and_then(|value| value.parse().ok()).expect("a number")
}

const UPSTREAM_FAILURES: &str = "skerry_edge_integrity_failures_total{edge=\"test\",source=\"upstream\"}";
const DISK_FAILURES: &str = "skerry_edge_integrity_failures_total{edge=\"test\",source=\"disk\"}";

#[tokio::test(flavor = "multi_thread")]
async fn each_slice_is_fetched_once_however_many_want_it() {
    let temp = tempfile::tempdir().expect("a temporary folder");
    let upstream = MemoryUpstream::default();
    let bytes = sample(20 * SLICE_SIZE + 17);
    let blob = upstream.add(bytes.clone());
    let (slices, _) = slices(temp.path(), &upstream).await;
    let mut readers = tokio::task::JoinSet::new();
    for _ in 0..50 {
        let slices = Arc::clone(&slices);
        readers.spawn(async move {
            let mut all = BytesMut::new();
            for index in 0..blob.slice_count() {
                let (slice, _) =
                    slices.get(&account(), blob, index, blob.slice_count()).await.expect("comes");
                all.extend_from_slice(slice.bytes());
            }
            all.freeze()
        });
    }
    while let Some(read) = readers.join_next().await {
        assert_eq!(read.expect("no panic"), bytes);
    }
    let mut sent = upstream.sent();
    sent.sort_unstable();
    assert_eq!(sent, (0..blob.slice_count()).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_second_lookup_is_a_memory_hit_and_after_a_restart_a_disk_hit() {
    let temp = tempfile::tempdir().expect("a temporary folder");
    let upstream = MemoryUpstream::default();
    let blob = upstream.add(sample(3 * SLICE_SIZE));
    let (first, _) = slices(temp.path(), &upstream).await;
    assert_eq!(first.get(&account(), blob, 1, 3).await.expect("comes").1, CacheResult::Miss);
    assert_eq!(first.get(&account(), blob, 1, 3).await.expect("comes").1, CacheResult::Memory);
    first.close().await;
    drop(first);

    let (second, _) = slices(temp.path(), &MemoryUpstream::default()).await;
    assert!(second.in_memory(&account(), &blob, 1).is_none());
    assert_eq!(second.get(&account(), blob, 1, 3).await.expect("kept").1, CacheResult::Disk);
    assert_eq!(second.get(&account(), blob, 1, 3).await.expect("kept").1, CacheResult::Memory);
    second.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_blob_is_on_disk_whole_after_a_clean_stop() {
    let temp = tempfile::tempdir().expect("a temporary folder");
    let upstream = MemoryUpstream::default();
    let blob = upstream.add(sample(200 * SLICE_SIZE));
    let (first, metrics) = slices(temp.path(), &upstream).await;
    for index in 0..blob.slice_count() {
        first.get(&account(), blob, index, blob.slice_count()).await.expect("comes");
    }
    first.close().await;
    assert_eq!(figure(&metrics, "skerry_edge_cache_write_skipped_total"), 0.0);
    let (second, _) = slices(temp.path(), &MemoryUpstream::default()).await;
    for index in 0..blob.slice_count() {
        assert_eq!(
            second.get(&account(), blob, index, blob.slice_count()).await.expect("kept").1,
            CacheResult::Disk
        );
    }
    second.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_account_does_not_see_what_is_cached() {
    let temp = tempfile::tempdir().expect("a temporary folder");
    let upstream = MemoryUpstream::default();
    let blob = upstream.add(sample(100));
    let (slices, _) = slices(temp.path(), &upstream).await;
    slices.get(&account(), blob, 0, 1).await.expect("comes");
    let other = Account::new("AC4567");
    assert!(slices.in_memory(&other, &blob, 0).is_none());
    assert_eq!(slices.get(&other, blob, 0, 1).await.expect("comes").1, CacheResult::Miss);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_verify_is_dropped_and_asked_for_again() {
    for fault in [Fault::FlipSlices, Fault::ShortSlices, Fault::LongSlices, Fault::FlipList, Fault::ShortList]
    {
        let temp = tempfile::tempdir().expect("a temporary folder");
        let upstream = MemoryUpstream::default();
        let bytes = sample(2 * SLICE_SIZE);
        let blob = upstream.add(bytes.clone());
        let (slices, metrics) = slices(temp.path(), &upstream).await;
        upstream.fail([fault]);
        let (slice, _) = slices.get(&account(), blob, 0, 2).await.expect("heals");
        assert_eq!(slice.bytes(), &bytes[..SLICE_SIZE], "{fault:?}");
        assert_eq!(figure(&metrics, UPSTREAM_FAILURES), 1.0, "{fault:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upstream_that_only_lies_is_given_up() {
    let temp = tempfile::tempdir().expect("a temporary folder");
    let upstream = MemoryUpstream::default();
    let blob = upstream.add(sample(2 * SLICE_SIZE));
    let (slices, metrics) = slices(temp.path(), &upstream).await;
    upstream.fail([Fault::FlipSlices; 3]);
    assert_eq!(slices.get(&account(), blob, 0, 2).await.expect_err("only lies"), FillError::Integrity);
    assert_eq!(figure(&metrics, UPSTREAM_FAILURES), 3.0);
    assert_eq!(slices.get(&account(), blob, 0, 2).await.expect("honest again").1, CacheResult::Miss);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fill_that_breaks_off_goes_on_where_it_stopped() {
    let temp = tempfile::tempdir().expect("a temporary folder");
    let upstream = MemoryUpstream::default();
    let blob = upstream.add(sample(6 * SLICE_SIZE));
    let (slices, _) = slices(temp.path(), &upstream).await;
    upstream.fail([Fault::BreakAfter(4), Fault::Refuse]);
    for index in 0..6 {
        slices.get(&account(), blob, index, 6).await.expect("comes");
    }
    assert_eq!(upstream.sent(), [0, 1, 2, 3, 4, 5]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_part_fetches_only_the_slices_that_it_needs() {
    let temp = tempfile::tempdir().expect("a temporary folder");
    let upstream = MemoryUpstream::default();
    let blob = upstream.add(sample(40 * SLICE_SIZE));
    let (slices, _) = slices(temp.path(), &upstream).await;
    slices.get(&account(), blob, 7, 9).await.expect("comes");
    slices.get(&account(), blob, 8, 9).await.expect("comes");
    assert_eq!(upstream.sent(), [7, 8]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_blob_is_not_found_at_once() {
    let temp = tempfile::tempdir().expect("a temporary folder");
    let (slices, _) = slices(temp.path(), &MemoryUpstream::default()).await;
    assert_eq!(
        slices.get(&account(), BlobId::of(b"x"), 0, 1).await.expect_err("unknown"),
        FillError::NotFound
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn documents_are_verified_whole() {
    let temp = tempfile::tempdir().expect("a temporary folder");
    let upstream = MemoryUpstream::default();
    let bytes = sample(SLICE_SIZE + 9);
    let blob = upstream.add(bytes.clone());
    let (slices, _) = slices(temp.path(), &upstream).await;
    assert_eq!(slices.document("AC", blob, 1 << 20).await.expect("comes"), bytes);
    assert_eq!(slices.document("AC", blob, 1000).await.expect_err("too large"), FillError::Integrity);
    let empty = upstream.add(Bytes::new());
    let claimed = BlobId { hash: blob.hash, size: 0 };
    assert!(slices.document("AC", empty, 1000).await.expect("comes").is_empty());
    assert_eq!(slices.document("AC", claimed, 1000).await.expect_err("not empty"), FillError::Integrity);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slice_that_rots_on_disk_is_healed_for_all_who_wait() {
    let temp = tempfile::tempdir().expect("a temporary folder");
    let upstream = MemoryUpstream::default();
    let bytes = sample(SLICE_SIZE);
    let blob = upstream.add(bytes.clone());
    let (first, _) = slices(temp.path(), &upstream).await;
    first.get(&account(), blob, 0, 1).await.expect("comes");
    first.close().await;
    drop(first);
    rot(temp.path(), &bytes[1000..1032]);

    let (second, metrics) = slices(temp.path(), &upstream).await;
    let mut readers = tokio::task::JoinSet::new();
    for _ in 0..100 {
        let slices = Arc::clone(&second);
        readers.spawn(async move { slices.get(&account(), blob, 0, 1).await.expect("heals").0 });
    }
    while let Some(slice) = readers.join_next().await {
        assert_eq!(slice.expect("no panic").bytes(), &bytes);
    }
    // foyer's own checksum may find it first; then it is a miss and nothing of ours to count.
    assert!(figure(&metrics, DISK_FAILURES) <= 100.0);
    assert_eq!(upstream.sent(), [0, 0]);
    second.close().await;
}

/// Flips a bit of `needle` wherever it lies in a file below `folder`.
fn rot(folder: &Path, needle: &[u8]) {
    let mut found = 0;
    for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
        let mut content = std::fs::read(entry.path()).expect("a file");
        if let Some(at) = content.windows(needle.len()).position(|window| window == needle) {
            content[at] ^= 0x40;
            std::fs::write(entry.path(), content).expect("writes");
            found += 1;
        }
    }
    assert!(found > 0, "the slice is on disk");
}
