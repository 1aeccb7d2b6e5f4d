//! What proving bytes costs: a slice when it arrives or comes back from disk, a list when it does, a blob when it is uploaded.

use crate::harness::{Bench, Unit};
use anyhow::Context;
use bytes::Bytes;
use skerry_proto::slices::{BlobId, SLICE_SIZE, SliceHasher, SliceList};
use std::hint::black_box;

/// Slices of the largest asset that the default limits take.
const LIST_LEN: usize = 400;

/// Bytes that a client might send; what they are does not matter to a hash.
pub(crate) fn sample(size: usize) -> Bytes {
    (0..size).map(|index| (index.wrapping_mul(31) ^ (index >> 8)) as u8).collect()
}

pub(crate) fn run(bench: &mut Bench) -> anyhow::Result<()> {
    slices(bench)?;
    lists(bench)?;
    uploads(bench);
    Ok(())
}

fn slices(bench: &mut Bench) -> anyhow::Result<()> {
    let small = sample(1 << 10);
    let list = SliceList::trivial(BlobId::of(&small)).context("one slice needs no list")?;
    bench.run("slice check, 1 KiB, the only one", Unit::Bytes(1 << 10), || {
        black_box(&list).check(0, small.clone()).is_ok()
    });

    let blob = sample(4 * SLICE_SIZE);
    let hashed = hash(&blob);
    let list = SliceList::verify(hashed.id, hashed.slice_list)?;
    let slice = blob.slice(SLICE_SIZE..2 * SLICE_SIZE);
    bench.run("slice check, 256 KiB of 1 MiB", Unit::Bytes(SLICE_SIZE as u64), || {
        black_box(&list).check(1, slice.clone()).is_ok()
    });
    Ok(())
}

fn lists(bench: &mut Bench) -> anyhow::Result<()> {
    let hashed = hash(&sample(LIST_LEN * SLICE_SIZE));
    anyhow::ensure!(hashed.slice_list.len() == LIST_LEN * 32, "a value for each slice");
    bench.run("slice list merge, 400 values", Unit::Once, || {
        SliceList::verify(hashed.id, black_box(&hashed.slice_list).clone()).is_ok()
    });
    Ok(())
}

fn uploads(bench: &mut Bench) {
    let blob = sample(4 * SLICE_SIZE);
    bench.run("slice hasher, 1 MiB in pieces of 64 KiB", Unit::Bytes(blob.len() as u64), || {
        let mut hasher = SliceHasher::new();
        black_box(&blob).chunks(64 << 10).for_each(|piece| hasher.update(piece));
        hasher.finish().id
    });
}

fn hash(bytes: &[u8]) -> skerry_proto::slices::HashedBlob {
    let mut hasher = SliceHasher::new();
    hasher.update(bytes);
    hasher.finish()
}
