//! Lookups through cache and upstream together.

use super::testing::{Fault, MemoryUpstream, sample};
use super::*;
use crate::config::{AdmissionPolicy, CacheConfig};
use skerry_proto::slices::SLICE_SIZE;
use std::net::Ipv4Addr;
use std::path::Path;
use std::time::Duration;

/// Failures are not remembered, except where a test is about that.
const LIMITS: FillLimits = FillLimits {
    fill_count_max: 8,
    client_fill_count_max: 4,
    wait_time_max: Duration::from_secs(30),
    retry_pause: Duration::ZERO,
};

fn config() -> CacheConfig {
    CacheConfig { memory_size: 64 << 20, disk_size: 256 << 20, ..CacheConfig::default() }
}

fn slices(folder: &Path, upstream: &MemoryUpstream) -> (Arc<Slices>, Arc<Metrics>) {
    slices_with(folder, upstream, config(), LIMITS)
}

fn slices_with(
    folder: &Path,
    upstream: &MemoryUpstream,
    config: CacheConfig,
    limits: FillLimits,
) -> (Arc<Slices>, Arc<Metrics>) {
    let metrics = Arc::new(Metrics::new("test").expect("registers"));
    let cache = SliceCache::start(folder, config, &Handle::current(), Arc::clone(&metrics));
    let upstream = Box::new(upstream.clone());
    (Arc::new(Slices::new(cache, upstream, limits, Handle::current(), Arc::clone(&metrics))), metrics)
}

/// Reads up to before a slice, as one client of ours would.
fn reader(slices: &Arc<Slices>, blob: BlobId, until: u64) -> TestReader {
    reader_as(slices, &account(), blob, until, Ipv4Addr::LOCALHOST)
}

fn reader_as(
    slices: &Arc<Slices>,
    account: &Account,
    blob: BlobId,
    until: u64,
    peer: Ipv4Addr,
) -> TestReader {
    TestReader { slices: slices.reader(account, blob, peer.into()), until }
}

/// A reader that knows where it stops.
struct TestReader {
    slices: SliceReader,
    until: u64,
}

impl TestReader {
    fn in_memory(&self, index: u64) -> Option<VerifiedSlice> {
        self.slices.in_memory(index)
    }

    async fn get(&self, index: u64) -> Result<(VerifiedSlice, CacheResult), FillError> {
        self.slices.get(index, self.until).await
    }
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

fn skipped(reason: &str) -> String {
    format!("skerry_edge_cache_write_skipped_total{{edge=\"test\",reason=\"{reason}\"}}")
}

const UPSTREAM_FAILURES: &str = "skerry_edge_integrity_failures_total{edge=\"test\",source=\"upstream\"}";
const DISK_FAILURES: &str = "skerry_edge_integrity_failures_total{edge=\"test\",source=\"disk\"}";

#[tokio::test(flavor = "multi_thread")]
async fn each_slice_is_fetched_once_however_many_want_it() {
    let temp = tempfile::tempdir().expect("a temporary folder");
    let upstream = MemoryUpstream::default();
    let bytes = sample(20 * SLICE_SIZE + 17);
    let blob = upstream.add(bytes.clone());
    let (slices, _) = slices(temp.path(), &upstream);
    let mut readers = tokio::task::JoinSet::new();
    for _ in 0..50 {
        let slices = Arc::clone(&slices);
        readers.spawn(async move {
            let mut all = BytesMut::new();
            let reader = reader(&slices, blob, blob.slice_count());
            for index in 0..blob.slice_count() {
                let (slice, _) = reader.get(index).await.expect("comes");
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
    let (first, _) = slices(temp.path(), &upstream);
    assert_eq!(reader(&first, blob, 3).get(1).await.expect("comes").1, CacheResult::Miss);
    assert_eq!(reader(&first, blob, 3).get(1).await.expect("comes").1, CacheResult::Memory);
    first.close().await;
    drop(first);

    let (second, _) = slices(temp.path(), &MemoryUpstream::default());
    assert!(reader(&second, blob, 3).in_memory(1).is_none());
    assert_eq!(reader(&second, blob, 3).get(1).await.expect("kept").1, CacheResult::Disk);
    assert_eq!(reader(&second, blob, 3).get(1).await.expect("kept").1, CacheResult::Memory);
    second.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_blob_is_on_disk_whole_after_a_clean_stop() {
    let temp = tempfile::tempdir().expect("a temporary folder");
    let upstream = MemoryUpstream::default();
    let blob = upstream.add(sample(200 * SLICE_SIZE));
    let (first, metrics) = slices(temp.path(), &upstream);
    let reading = reader(&first, blob, blob.slice_count());
    for index in 0..blob.slice_count() {
        reading.get(index).await.expect("comes");
    }
    first.close().await;
    for reason in ["not_worth_it", "queue_full", "disk_failed", "disk_away"] {
        assert_eq!(figure(&metrics, &skipped(reason)), 0.0, "{reason}");
    }
    // Nobody else has it.
    let (second, _) = slices(temp.path(), &MemoryUpstream::default());
    let reading = reader(&second, blob, blob.slice_count());
    for index in 0..blob.slice_count() {
        let from = reading.get(index).await.expect("kept").1;
        assert_ne!(from, CacheResult::Miss, "{index}");
    }
    second.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_of_the_disk_has_a_few_slices_ahead_and_none_past_its_end() {
    let temp = tempfile::tempdir().expect("a temporary folder");
    let upstream = MemoryUpstream::default();
    let blob = upstream.add(sample(12 * SLICE_SIZE));
    let (first, _) = slices(temp.path(), &upstream);
    let reading = reader(&first, blob, 12);
    for index in 0..12 {
        reading.get(index).await.expect("comes");
    }
    first.close().await;
    drop(first);

    let (second, _) = slices(temp.path(), &MemoryUpstream::default());
    let ahead =
        |from: u64| (from..12).filter(|&index| reader(&second, blob, 12).in_memory(index).is_some()).count();
    reader(&second, blob, 2).get(0).await.expect("kept");
    reader(&second, blob, 2).get(1).await.expect("kept");
    assert_eq!(ahead(2), 0, "a part needs no more");
    reader(&second, blob, 12).get(4).await.expect("kept");
    for index in 5..8 {
        reader(&second, blob, 12).get(index).await.expect("kept");
    }
    assert_eq!(ahead(8), 0, "four at once, and no more");
    second.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_account_does_not_see_what_is_cached() {
    let temp = tempfile::tempdir().expect("a temporary folder");
    let upstream = MemoryUpstream::default();
    let blob = upstream.add(sample(100));
    let (slices, _) = slices(temp.path(), &upstream);
    reader(&slices, blob, 1).get(0).await.expect("comes");
    let other = Account::new("AC4567");
    let other = reader_as(&slices, &other, blob, 1, Ipv4Addr::LOCALHOST);
    assert!(other.in_memory(0).is_none());
    assert_eq!(other.get(0).await.expect("comes").1, CacheResult::Miss);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_verify_is_dropped_and_asked_for_again() {
    for fault in [Fault::FlipSlices, Fault::ShortSlices, Fault::LongSlices, Fault::FlipList, Fault::ShortList]
    {
        let temp = tempfile::tempdir().expect("a temporary folder");
        let upstream = MemoryUpstream::default();
        let bytes = sample(2 * SLICE_SIZE);
        let blob = upstream.add(bytes.clone());
        let (slices, metrics) = slices(temp.path(), &upstream);
        upstream.fail([fault]);
        let (slice, _) = reader(&slices, blob, 2).get(0).await.expect("heals");
        assert_eq!(slice.bytes(), &bytes[..SLICE_SIZE], "{fault:?}");
        assert_eq!(figure(&metrics, UPSTREAM_FAILURES), 1.0, "{fault:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upstream_that_only_lies_is_given_up() {
    let temp = tempfile::tempdir().expect("a temporary folder");
    let upstream = MemoryUpstream::default();
    let blob = upstream.add(sample(2 * SLICE_SIZE));
    let (slices, metrics) = slices(temp.path(), &upstream);
    upstream.fail([Fault::FlipSlices; 3]);
    assert_eq!(reader(&slices, blob, 2).get(0).await.expect_err("only lies"), FillError::Integrity);
    assert_eq!(figure(&metrics, UPSTREAM_FAILURES), 3.0);
    assert_eq!(reader(&slices, blob, 2).get(0).await.expect("honest again").1, CacheResult::Miss);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fill_that_breaks_off_goes_on_where_it_stopped() {
    let temp = tempfile::tempdir().expect("a temporary folder");
    let upstream = MemoryUpstream::default();
    let blob = upstream.add(sample(6 * SLICE_SIZE));
    let (slices, _) = slices(temp.path(), &upstream);
    upstream.fail([Fault::BreakAfter(4), Fault::Refuse]);
    let reader = reader(&slices, blob, 6);
    for index in 0..6 {
        reader.get(index).await.expect("comes");
    }
    assert_eq!(upstream.sent(), [0, 1, 2, 3, 4, 5]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_part_fetches_only_the_slices_that_it_needs() {
    let temp = tempfile::tempdir().expect("a temporary folder");
    let upstream = MemoryUpstream::default();
    let blob = upstream.add(sample(40 * SLICE_SIZE));
    let (slices, _) = slices(temp.path(), &upstream);
    let reader = reader(&slices, blob, 9);
    reader.get(7).await.expect("comes");
    reader.get(8).await.expect("comes");
    assert_eq!(upstream.sent(), [7, 8]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_blob_is_not_found_at_once() {
    let temp = tempfile::tempdir().expect("a temporary folder");
    let (slices, _) = slices(temp.path(), &MemoryUpstream::default());
    assert_eq!(reader(&slices, BlobId::of(b"x"), 1).get(0).await.expect_err("unknown"), FillError::NotFound);
}

#[tokio::test(flavor = "multi_thread")]
async fn documents_are_verified_whole() {
    let temp = tempfile::tempdir().expect("a temporary folder");
    let upstream = MemoryUpstream::default();
    let bytes = sample(SLICE_SIZE + 9);
    let blob = upstream.add(bytes.clone());
    let (slices, _) = slices(temp.path(), &upstream);
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
    let (first, _) = slices(temp.path(), &upstream);
    reader(&first, blob, 1).get(0).await.expect("comes");
    first.close().await;
    drop(first);
    rot(temp.path(), &bytes[1000..1032]);

    let (second, metrics) = slices(temp.path(), &upstream);
    read_by_many(&second, blob, &bytes).await;
    assert_eq!(figure(&metrics, DISK_FAILURES), 1.0, "found by the checksum of the cache library");
    assert_eq!(upstream.sent(), [0, 0]);
    second.close().await;
}

/// With a right checksum, as a bug or an attacker would leave it: only our own verification is between it and the clients.
#[tokio::test(flavor = "multi_thread")]
async fn a_slice_that_was_corrupted_with_a_right_checksum_is_healed_for_all_who_wait() {
    let temp = tempfile::tempdir().expect("a temporary folder");
    let upstream = MemoryUpstream::default();
    let bytes = sample(2 * SLICE_SIZE);
    let blob = upstream.add(bytes.clone());
    let (slices, metrics) = slices(temp.path(), &upstream);
    let reading = reader(&slices, blob, 2);
    for index in 0..2 {
        reading.get(index).await.expect("comes");
    }
    assert_eq!(slices.corrupt(&account(), blob, Which::One(0)).await, Ok(1));
    read_by_many(&slices, blob, &bytes[..SLICE_SIZE]).await;
    assert_eq!(figure(&metrics, DISK_FAILURES), 1.0);
    assert_eq!(upstream.sent(), [0, 1, 0]);
    slices.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_cache_does_not_hold_cannot_be_corrupted() {
    let temp = tempfile::tempdir().expect("a temporary folder");
    let (slices, _) = slices(temp.path(), &MemoryUpstream::default());
    for which in [Which::One(0), Which::All] {
        assert_eq!(slices.corrupt(&account(), BlobId::of(b"x"), which).await, Err(CorruptError::NotHeld));
    }
    let beyond = slices.corrupt(&account(), BlobId::of(b"x"), Which::One(1)).await;
    assert_eq!(beyond, Err(CorruptError::NoSuchSlice { slice_count: 1 }));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_disk_slices_stay_in_memory_and_that_is_said() {
    let temp = tempfile::tempdir().expect("a temporary folder");
    let in_the_way = temp.path().join("cache");
    std::fs::write(&in_the_way, "not a folder").expect("writes");
    let upstream = MemoryUpstream::default();
    let blob = upstream.add(sample(3 * SLICE_SIZE));
    let (slices, metrics) = slices(&in_the_way, &upstream);
    let reading = reader(&slices, blob, 3);
    for index in 0..3 {
        reading.get(index).await.expect("comes");
    }
    assert_eq!(reading.get(0).await.expect("comes").1, CacheResult::Memory);
    assert_eq!(slices.disk_condition(), DiskCondition::Away);
    slices.close().await;
    assert_eq!(figure(&metrics, &skipped("disk_away")), 4.0, "three slices and their list");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blob_that_cannot_be_had_is_not_asked_for_again_for_a_moment() {
    let temp = tempfile::tempdir().expect("a temporary folder");
    let upstream = MemoryUpstream::default();
    let limits = FillLimits { retry_pause: Duration::from_secs(600), ..LIMITS };
    let (slices, metrics) = slices_with(temp.path(), &upstream, config(), limits);
    let blob = BlobId::of(b"nobody has it");
    for _ in 0..20 {
        assert_eq!(reader(&slices, blob, 1).get(0).await.expect_err("unknown"), FillError::NotFound);
    }
    assert_eq!(upstream.opened(), 1);
    assert_eq!(figure(&metrics, "skerry_edge_fill_failures_recalled_total"), 19.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_goes_away_ends_what_is_fetched_ahead_for_it() {
    let temp = tempfile::tempdir().expect("a temporary folder");
    let upstream = MemoryUpstream::default();
    let blob = upstream.add(sample(16 * SLICE_SIZE));
    let gate = upstream.gate();
    let (slices, metrics) = slices(temp.path(), &upstream);
    let reading = reader(&slices, blob, 16);
    gate.add_permits(1);
    reading.get(0).await.expect("comes");
    drop(reading);
    // The slice that is under way comes, and then nothing is asked for any more.
    gate.add_permits(15);
    while figure(&metrics, "skerry_edge_fills_abandoned_total") < 1.0 {
        tokio::task::yield_now().await;
    }
    assert!(upstream.sent().len() <= 2, "{:?}", upstream.sent());
    // Whoever comes later gets everything all the same.
    let later = reader(&slices, blob, 16);
    for index in 0..16 {
        gate.add_permits(1);
        later.get(index).await.expect("comes");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_goes_away_takes_nothing_from_the_others() {
    let temp = tempfile::tempdir().expect("a temporary folder");
    let upstream = MemoryUpstream::default();
    let blob = upstream.add(sample(4 * SLICE_SIZE));
    let gate = upstream.gate();
    let (slices, _) = slices(temp.path(), &upstream);
    let (goes, stays) = (reader(&slices, blob, 4), reader(&slices, blob, 4));
    let starting = tokio::spawn(async move { goes.get(0).await.map(drop) });
    while upstream.opened() == 0 {
        tokio::task::yield_now().await;
    }
    let waiting = tokio::spawn(async move {
        for index in 0..4 {
            stays.get(index).await.expect("comes");
        }
    });
    starting.abort();
    gate.add_permits(8);
    waiting.await.expect("all slices came");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_client_cannot_take_all_fills() {
    let temp = tempfile::tempdir().expect("a temporary folder");
    let upstream = MemoryUpstream::default();
    let blobs: Vec<_> = (1..=6).map(|size| upstream.add(sample(size))).collect();
    let gate = upstream.gate();
    let limits = FillLimits { wait_time_max: Duration::from_millis(200), ..LIMITS };
    let (slices, metrics) = slices_with(temp.path(), &upstream, config(), limits);
    let mut greedy = tokio::task::JoinSet::new();
    for &blob in &blobs[..5] {
        let reader = reader(&slices, blob, 1);
        greedy.spawn(async move { reader.get(0).await.map(drop) });
    }
    // Four are under way, the fifth waits in vain.
    let first = greedy.join_next().await.expect("five").expect("no panic");
    assert_eq!(first, Err(FillError::Busy));
    assert_eq!(upstream.opened(), 4);
    let other = reader_as(&slices, &account(), blobs[5], 1, Ipv4Addr::new(10, 0, 0, 1));
    let other = tokio::spawn(async move { other.get(0).await.map(drop) });
    gate.add_permits(5);
    assert_eq!(other.await.expect("no panic"), Ok(()));
    while let Some(came) = greedy.join_next().await {
        assert_eq!(came.expect("no panic"), Ok(()));
    }
    let refusals = "skerry_edge_fill_refusals_total{edge=\"test\",bound=\"client\"}";
    assert_eq!(figure(&metrics, refusals), 1.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn beyond_the_write_rate_only_what_is_asked_for_twice_is_written() {
    let temp = tempfile::tempdir().expect("a temporary folder");
    let upstream = MemoryUpstream::default();
    let blobs: Vec<_> = (1..=3).map(|size| upstream.add(sample(size))).collect();
    let config = CacheConfig { admission: AdmissionPolicy::Twice, ..config() };
    let (first, metrics) = slices_with(temp.path(), &upstream, config, LIMITS);
    for &blob in &blobs {
        reader(&first, blob, 1).get(0).await.expect("comes");
    }
    assert!(reader(&first, blobs[1], 1).in_memory(0).is_some(), "the second ask");
    first.close().await;
    assert_eq!(figure(&metrics, &skipped("not_worth_it")), 3.0);
    drop(first);
    let (second, _) = slices(temp.path(), &upstream);
    let mut found = Vec::new();
    for &blob in &blobs {
        found.push(reader(&second, blob, 1).get(0).await.expect("comes").1);
    }
    assert_eq!(found, [CacheResult::Miss, CacheResult::Disk, CacheResult::Miss]);
    second.close().await;
}

/// A hundred readers of the first slice at once; all get the right bytes.
async fn read_by_many(slices: &Arc<Slices>, blob: BlobId, right: &[u8]) {
    let mut readers = tokio::task::JoinSet::new();
    for _ in 0..100 {
        let reader = reader(slices, blob, 1);
        readers.spawn(async move { reader.get(0).await.expect("heals").0 });
    }
    while let Some(slice) = readers.join_next().await {
        assert_eq!(slice.expect("no panic").bytes(), right);
    }
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
