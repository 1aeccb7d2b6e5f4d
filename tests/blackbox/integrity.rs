//! Bits that flip in the edge's disk cache never reach a client.
//!
//! The cache library has a checksum of its own, which catches a bit that flips by itself. Here the checksum is also made right
//! again, as an attacker or a bug would: then only our own verification is between the bytes and the client.

use crate::harness::{Dev, Protocol, bytes, files_below};
use bytes::Bytes;
use std::fs::{self, File};
use std::hash::Hasher;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::PathBuf;
use twox_hash::XxHash64;

const SLICE: usize = 262_144;
const SIZE: usize = 2 * SLICE + 1000;

/// A stopped server whose edge has `content` on disk.
fn stopped_with(content: &Bytes) -> Dev {
    let mut dev = Dev::start();
    dev.cli().put("/sound.mp3", content);
    assert!(dev.site().get(Protocol::Http1, "/sound.mp3").body == *content);
    assert!(dev.stop().success());
    dev
}

/// Where the cache keeps one slice.
#[derive(Debug)]
struct Place {
    path: PathBuf,
    offset: u64,
}

impl Place {
    fn file(&self) -> File {
        File::options().read(true).write(true).open(&self.path).expect("a file of the cache")
    }

    fn flip_a_bit(&self) {
        let mut byte = [0];
        let (file, at) = (self.file(), self.offset + 500);
        file.read_exact_at(&mut byte, at).expect("reads");
        file.write_all_at(&[byte[0] ^ 1], at).expect("writes");
    }

    /// An entry of foyer is a head of 36 bytes, big-endian (key length, value length, hash, sequence, checksum, magic), the value,
    /// and the key; it begins at a page of 4 KiB.
    fn forge(&self) {
        let head = self.offset / 4096 * 4096;
        let file = self.file();
        let checksum = || {
            let mut lengths = [0; 8];
            file.read_exact_at(&mut lengths, head).expect("reads");
            let (key, value) =
                ((u64::from_be_bytes(lengths) >> 32) as u32, u64::from_be_bytes(lengths) as u32);
            let mut body = vec![0; (key + value) as usize];
            file.read_exact_at(&mut body, head + 36).expect("reads");
            let mut hasher = XxHash64::with_seed(0);
            hasher.write(&body);
            hasher.finish().to_be_bytes()
        };
        let mut stored = [0; 8];
        file.read_exact_at(&mut stored, head + 24).expect("reads");
        assert_eq!(stored, checksum(), "the cache library keeps entries in another form now");
        self.flip_a_bit();
        file.write_all_at(&checksum(), head + 24).expect("writes");
    }
}

/// Where the cache keeps each slice of `content`.
fn places(dev: &Dev, content: &Bytes) -> Vec<Place> {
    let origin = dev.data().join("origin");
    let mut places = Vec::new();
    for path in files_below(&dev.data()) {
        // Blocks that were never written hold nothing, in many megabytes.
        if path.starts_with(&origin) || fs::metadata(&path).expect("there").blocks() == 0 {
            continue;
        }
        let file = fs::read(&path).expect("reads");
        for slice in content.chunks(SLICE) {
            let found = memchr::memmem::find(&file, &slice[..64]);
            places.extend(found.map(|at| Place { path: path.clone(), offset: at as u64 }));
        }
    }
    assert_eq!(places.len(), 3, "all three slices are on disk: {places:?}");
    places
}

#[track_caller]
fn assert_right_bytes(dev: &Dev, content: &Bytes) {
    for protocol in Protocol::ALL {
        let response = dev.site().get(protocol, "/sound.mp3");
        assert_eq!(response.status, 200, "{protocol}");
        assert!(response.body == *content, "{protocol}: wrong bytes reached a client");
    }
}

#[test]
fn a_bit_that_flips_on_disk_is_a_miss() {
    let content = bytes(1, SIZE);
    let mut dev = stopped_with(&content);
    places(&dev, &content).iter().for_each(Place::flip_a_bit);
    dev.start_again();
    assert_right_bytes(&dev, &content);
    assert_eq!(dev.figures().metric("skerry_edge_fill_slices_total", &[]), 3.0);
}

#[test]
fn bytes_forged_on_disk_with_the_right_checksum_are_dropped_counted_and_fetched_again() {
    let content = bytes(2, SIZE);
    let mut dev = stopped_with(&content);
    places(&dev, &content).iter().for_each(Place::forge);
    dev.start_again();
    let before = dev.figures().metric("skerry_edge_integrity_failures_total", &[("source", "disk")]);
    assert_eq!(before, 0.0);
    assert_right_bytes(&dev, &content);
    let counted = dev.figures().metric("skerry_edge_integrity_failures_total", &[("source", "disk")]);
    assert!(counted >= 3.0, "{counted}");

    // What was fetched again replaced it on disk.
    dev.restart();
    assert_right_bytes(&dev, &content);
    assert_eq!(dev.figures().metric("skerry_edge_integrity_failures_total", &[("source", "disk")]), 0.0);
}

#[test]
fn a_cache_folder_full_of_garbage_is_an_empty_cache() {
    let content = bytes(3, SIZE);
    let mut dev = stopped_with(&content);
    for place in places(&dev, &content) {
        // From the beginning of the block, over everything that describes its entries, to the end of what was written.
        place.file().write_all_at(&bytes(4, 4 * SLICE), 0).expect("writes");
    }
    dev.start_again();
    assert_right_bytes(&dev, &content);
}
