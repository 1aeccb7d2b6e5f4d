//! What a disk can do to the cache: rot, lose, swap, refuse. Nothing wrong is ever served, the edge goes on, and it heals.

use crate::harness::{
    Dev, Edge, FakeOrigin, Lie, Origin, Protocol, Random, bytes, eventually, files_below, full,
};
use bytes::Bytes;
use std::fs::{self, File};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::PathBuf;

const SLICE: usize = 262_144;
const MIB: u64 = 1 << 20;

/// Of a blob each: part of a slice, a slice, several.
fn files() -> Vec<(String, Bytes)> {
    let sizes = [1000, SLICE, SLICE + 1, 5 * SLICE + 77, 9 * SLICE];
    sizes.into_iter().map(|size| (format!("/{size}.bin"), bytes(size as u64, size))).collect()
}

/// A server whose edge has shown all files, and stopped: so they are on its disk.
fn stopped_with(files: &[(String, Bytes)]) -> Dev {
    let mut dev = Dev::start();
    for (path, content) in files {
        dev.cli().put(path, content);
    }
    assert_all_right(&dev, files);
    assert!(dev.stop().success());
    dev
}

#[track_caller]
fn assert_all_right(dev: &Dev, files: &[(String, Bytes)]) {
    for (number, (path, content)) in files.iter().enumerate() {
        let protocol = Protocol::ALL[number % 3];
        let response = dev.site().get(protocol, path);
        assert_eq!(response.status, 200, "{path} over {protocol}");
        assert!(response.body == *content, "{path} over {protocol}: wrong bytes reached a client");
    }
}

/// Everything comes from disk, and nothing on it is wrong.
#[track_caller]
fn assert_healed(dev: &mut Dev, files: &[(String, Bytes)]) {
    dev.restart();
    assert_all_right(dev, files);
    assert_eq!(dev.figures().metric("skerry_edge_fill_slices_total", &[]), 0.0);
    assert_eq!(dev.figures().metric("skerry_edge_integrity_failures_total", &[]), 0.0);
}

/// The files of the cache that hold something, and how far.
fn blocks(dev: &Dev) -> Vec<(PathBuf, u64)> {
    let files = files_below(&dev.data().join("edge-1/cache"));
    let written = files.into_iter().filter_map(|path| {
        // Blocks that were never written hold nothing, in many megabytes.
        if fs::metadata(&path).expect("there").blocks() == 0 {
            return None;
        }
        let content = fs::read(&path).expect("reads");
        let len = content.iter().rposition(|&byte| byte != 0)? as u64 + 1;
        Some((path, len))
    });
    written.collect()
}

fn open(path: &PathBuf) -> File {
    File::options().read(true).write(true).open(path).expect("a file of the cache")
}

#[test]
fn random_flips_on_disk_never_reach_a_client_and_heal() {
    let files = files();
    let mut dev = stopped_with(&files);
    let mut random = Random::printed("the flips");
    let (rounds, flips) = if full() { (20, 50) } else { (2, 25) };
    let mut counted = 0.0;
    for _ in 0..rounds {
        let blocks = blocks(&dev);
        for _ in 0..flips {
            let (path, len) = &blocks[random.below(blocks.len() as u64) as usize];
            let (file, at) = (open(path), random.below(*len));
            let mut byte = [0];
            file.read_exact_at(&mut byte, at).expect("reads");
            file.write_all_at(&[byte[0] ^ (1 << random.below(8))], at).expect("writes");
        }
        dev.start_again();
        assert_all_right(&dev, &files);
        counted += dev.figures().metric("skerry_edge_integrity_failures_total", &[("source", "disk")]);
        assert!(dev.stop().success());
    }
    assert!(counted > 0.0, "flips in slices are counted");
    dev.start_again();
    assert_all_right(&dev, &files);
    assert_healed(&mut dev, &files);
}

/// What happens to the files of the disk tier, each with its length.
type Damage = fn(&[(PathBuf, u64)]);

#[test]
fn files_that_are_truncated_swapped_or_gone_are_misses_that_heal() {
    let files = files();
    let mut dev = stopped_with(&files);
    let damages: [Damage; 4] = [
        |blocks| blocks.iter().for_each(|(path, len)| open(path).set_len(len / 2).expect("truncates")),
        |blocks| blocks.iter().for_each(|(path, _)| open(path).set_len(0).expect("truncates")),
        |blocks| blocks.iter().for_each(|(path, _)| fs::remove_file(path).expect("removes")),
        |blocks| {
            let [(first, _), (second, _), ..] = blocks else { return };
            let aside = first.with_extension("aside");
            fs::rename(first, &aside).and_then(|()| fs::rename(second, first)).expect("swaps");
            fs::rename(&aside, second).expect("swaps");
        },
    ];
    for damage in damages {
        damage(&blocks(&dev));
        dev.start_again();
        assert_all_right(&dev, &files);
        assert_healed(&mut dev, &files);
        assert!(dev.stop().success());
    }
}

#[test]
fn files_that_are_truncated_under_a_running_edge_cost_a_fill_and_are_counted() {
    let files = files();
    let mut dev = stopped_with(&files);
    dev.start_again();
    for (path, _) in blocks(&dev) {
        open(&path).set_len(0).expect("truncates");
    }
    assert_all_right(&dev, &files);
    let errors = dev.figures().metric("skerry_edge_cache_disk_errors_total", &[("operation", "read")]);
    assert!(errors > 0.0, "{errors}");
}

#[test]
fn an_edge_whose_disk_cache_cannot_be_opened_serves_from_memory_and_says_so() {
    let origin = Origin::start();
    let mut edge = Edge::join(&origin);
    let content = bytes(1, 3 * SLICE);
    origin.cli().put("/a.bin", &content);
    assert!(edge.stop().success());
    let cache = edge.data().join("cache");
    fs::remove_dir_all(&cache).expect("removes");
    fs::write(&cache, "not a folder").expect("writes");
    edge.start_again();
    for protocol in Protocol::ALL {
        assert!(edge.site(origin.domain()).get(protocol, "/a.bin").body == content, "{protocol}");
    }
    let again = edge.site(origin.domain()).get(Protocol::Http1, "/a.bin");
    assert_eq!(again.header("cache-status"), "skerry; hit; detail=memory");
    let (status, said) = edge.figures().get("/readyz").expect("answers");
    assert_eq!(status, 200);
    assert!(said.contains("degraded: the disk cache cannot be used"), "{said}");
    edge.figures()
        .until("skerry_edge_cache_disk_errors_total", &[("operation", "open")], |count| count >= 1.0);
    edge.figures().until("skerry_edge_cache_disk_writable", &[], |writable| writable == 0.0);

    // What was in the way goes, and the edge finds out by itself.
    fs::remove_file(&cache).expect("removes");
    edge.figures().until("skerry_edge_cache_disk_writable", &[], |writable| writable == 1.0);
    let (_, said) = edge.figures().get("/readyz").expect("answers");
    assert_eq!(said, "ready\n");
}

#[test]
fn a_slice_that_an_operator_corrupts_heals_before_his_eyes() {
    let dev = Dev::with(&["--set", "edge.admin.faults=true"]);
    let content = bytes(2, 2 * SLICE);
    dev.cli().put("/a.bin", &content);
    assert!(dev.site().get(Protocol::Http1, "/a.bin").body == content);
    let url = format!("https://{}/a.bin", dev.line().text("/domain_name"));
    let edge = dev.data().join("edge-1");
    let edge = edge.to_str().expect("UTF-8");
    for round in 1..=3 {
        dev.cli().run(&["fault", "corrupt", &url, "--edge-data", edge]);
        for protocol in Protocol::ALL {
            assert!(dev.site().get(protocol, "/a.bin").body == content, "{protocol}");
        }
        let counted = dev.figures().metric("skerry_edge_integrity_failures_total", &[("source", "disk")]);
        assert_eq!(counted, f64::from(round));
    }
    // Any slice, or all of them.
    let before = f64::from(3);
    for (slice, corrupted) in [("1", 1), ("all", 2)] {
        let arguments = ["fault", "corrupt", &url, "--edge-data", edge, "--slice", slice, "--json"];
        assert_eq!(dev.cli().run(&arguments).json()["corrupted"], corrupted);
        assert!(dev.site().get(Protocol::Http2, "/a.bin").body == content, "slice {slice}");
    }
    let counted = dev.figures().metric("skerry_edge_integrity_failures_total", &[("source", "disk")]);
    assert_eq!(counted - before, 3.0);
    let beyond = ["fault", "corrupt", &url, "--edge-data", edge, "--slice", "2"];
    dev.cli().refused(&beyond, &["2 slices", "counted from 0"]);
    let absent = format!("https://{}/nothing", dev.line().text("/domain_name"));
    dev.cli().refused(&["fault", "corrupt", &absent, "--edge-data", edge], &["nothing at that path"]);
}

#[test]
fn faults_are_off_by_default() {
    let dev = Dev::start();
    dev.cli().put("/a.bin", b"content");
    let url = format!("https://{}/a.bin", dev.line().text("/domain_name"));
    let edge = dev.data().join("edge-1");
    let edge = edge.to_str().expect("UTF-8");
    dev.cli().refused(&["fault", "corrupt", &url, "--edge-data", edge], &["admin.faults"]);
    let mode = fs::metadata(dev.data().join("edge-1/admin.sock")).expect("there").mode();
    assert_eq!(mode & 0o777, 0o600);
}

/// Objects that are fetched once each push out neither what is hot nor the memory bound nor the disk's.
#[test]
fn a_scan_leaves_the_hot_set_in_memory_and_both_tiers_within_their_bounds() {
    const MEMORY: u64 = 16 * MIB;
    const WRITE_BUFFER: u64 = 8 * MIB;
    const DISK: u64 = 256 * MIB;
    let origin = FakeOrigin::start();
    let settings = [
        format!("cache.memory_size={MEMORY}"),
        format!("cache.write_buffer_size={WRITE_BUFFER}"),
        format!("cache.disk_size={DISK}"),
    ];
    let edge = Edge::of_fake_with(&origin, &settings.each_ref().map(String::as_str));
    let hot: Vec<(String, Bytes)> =
        (0..20).map(|number| (format!("/hot/{number}"), bytes(number, 100_000))).collect();
    let (rounds, count, size) = if full() { (200, 500, 8_000) } else { (3, 200, 100_000) };
    let mut objects = 0;
    for round in 0..rounds {
        let scanned: Vec<(String, Bytes)> = (0..count)
            .map(|number| (format!("/scan/{number}"), bytes(1_000_000 + round * count + number, size)))
            .collect();
        let shown: Vec<_> =
            hot.iter().chain(&scanned).map(|(path, content)| (path.as_str(), content, Lie::Honest)).collect();
        let revision = origin.show("scan.sites.test", &shown);
        origin.until_acked(revision);
        let site = edge.site("scan.sites.test");
        for _ in 0..if round == 0 { 3 } else { 1 } {
            site.get_all(hot.iter().map(|(path, _)| path.as_str()));
        }
        let bodies = site.get_all(scanned.iter().map(|(path, _)| path.as_str()));
        assert!(bodies.iter().zip(&scanned).all(|(body, (_, content))| body.body == *content));
        objects += scanned.len();
    }
    let again = edge.site("scan.sites.test").get_all(hot.iter().map(|(path, _)| path.as_str()));
    let kept =
        again.iter().filter(|response| response.header("cache-status").contains("detail=memory")).count();
    assert!(kept >= 19, "{kept} of 20 hot objects are in memory after a scan of {objects}");
    let used = edge.figures().metric("skerry_edge_cache_memory_bytes", &[]);
    assert!(used <= MEMORY as f64, "{used}");
    // About 64 bytes for each entry of the disk index, and what a process takes in any case.
    let bound = (MEMORY + WRITE_BUFFER + 64 * objects as u64) as f64 * 1.3 + (64 * MIB) as f64;
    let resident = edge.resident_max();
    assert!(resident as f64 <= bound, "{resident} bytes resident, {bound} allowed");
    let on_disk: u64 = files_below(&edge.data().join("cache"))
        .iter()
        .filter_map(|path| fs::metadata(path).ok())
        .map(|file| file.blocks() * 512)
        .sum();
    assert!(on_disk <= DISK, "{on_disk}");
    println!(
        "{objects} objects: {resident} bytes resident of {bound} allowed, {on_disk} on disk, {kept} hot"
    );
}

#[test]
fn a_smaller_disk_tier_keeps_within_its_size_after_a_restart() {
    let origin = Origin::start();
    let mut edge = Edge::join_set(&origin, &["cache.disk_size=512MiB"]);
    let content = bytes(3, SLICE);
    origin.cli().put("/a.bin", &content);
    assert!(edge.site(origin.domain()).get(Protocol::Http1, "/a.bin").body == content);
    let blocks = |edge: &Edge| files_below(&edge.data().join("cache")).len();
    assert_eq!(blocks(&edge), 32);
    assert!(edge.stop().success());
    edge.set(&["cache.disk_size=256MiB"]);
    edge.start_again();
    assert!(edge.site(origin.domain()).get(Protocol::Http1, "/a.bin").body == content);
    assert_eq!(blocks(&edge), 16);
}

/// The disk folder of a running edge vanishes: what is open stays readable, and nothing is served wrongly.
#[test]
fn an_edge_whose_cache_folder_is_removed_goes_on() {
    let files = files();
    let mut dev = stopped_with(&files);
    dev.start_again();
    fs::remove_dir_all(dev.data().join("edge-1/cache")).expect("removes");
    assert_all_right(&dev, &files);
    dev.restart();
    assert_all_right(&dev, &files);
    eventually("it is on disk again", || {
        let pending = dev.figures().metric("skerry_edge_cache_write_pending_bytes", &[]);
        (pending == 0.0).then_some(())
    });
    assert_healed(&mut dev, &files);
}
