//! Slices: the parts of a blob that can be verified on their own.
//!
//! A slice is 256 KiB of a blob, aligned, and so a whole subtree of its BLAKE3 tree. A *slice list* holds the chaining value of
//! every slice; it merges to the blob's hash. A blob of no or one slice needs no list: its only slice is compared with the hash.
//!
//! Invariant: lengths are checked before anything is hashed. A wrong length or offset panics inside blake3, and a list of too few
//! values can merge to the right root; both would be reachable from the network.
//!
//! The only ways to a [`VerifiedSlice`] are [`SliceList::check`] and nothing else, so bytes that nobody verified cannot be sent.

use crate::hash::Hash;
use crate::wire;
use blake3::hazmat::{
    ChainingValue, HasherExt, Mode, left_subtree_len, merge_subtrees_non_root, merge_subtrees_root,
};
use bytes::Bytes;

/// Bytes in a slice; the last slice of a blob may be shorter.
///
/// A list for 100 MiB is then 12.8 KB, and hashing in steps of this size runs at the full speed of the processor.
pub const SLICE_SIZE: usize = 262_144;

/// Bytes in a blob at most, so that arithmetic on sizes and its slice list stay small: 1 TiB, a list of 128 MiB.
pub const BLOB_SIZE_MAX: u64 = 1 << 40;

/// A blob as a signed document names it: hash and exact size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct BlobId {
    /// Hash of all bytes.
    pub hash: Hash,
    /// Number of bytes.
    pub size: u64,
}

/// A blob reference that no origin of ours writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a blob reference needs a hash of 32 bytes and a size of at most {BLOB_SIZE_MAX} bytes")]
pub struct InvalidBlobId;

impl BlobId {
    /// The name of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        Self { hash: Hash::of(bytes), size: bytes.len() as u64 }
    }

    /// Number of slices; none for an empty blob.
    pub const fn slice_count(&self) -> u64 {
        self.size.div_ceil(SLICE_SIZE as u64)
    }

    /// Bytes in slice `index`, or `None` past the end.
    pub fn slice_len(&self, index: u64) -> Option<usize> {
        let start = index.checked_mul(SLICE_SIZE as u64)?;
        let rest = self.size.checked_sub(start).filter(|rest| *rest > 0)?;
        Some(rest.min(SLICE_SIZE as u64) as usize)
    }

    /// Bytes in the slice list: none for a blob of no or one slice.
    pub const fn slice_list_len(&self) -> u64 {
        match self.slice_count() {
            0 | 1 => 0,
            count => count * Hash::LEN as u64,
        }
    }
}

impl From<BlobId> for wire::BlobRef {
    fn from(blob: BlobId) -> Self {
        Self { hash: Bytes::copy_from_slice(blob.hash.as_bytes()), size: blob.size }
    }
}

impl TryFrom<&wire::BlobRef> for BlobId {
    type Error = InvalidBlobId;

    fn try_from(blob: &wire::BlobRef) -> Result<Self, InvalidBlobId> {
        let hash = Hash::try_from(&blob.hash[..]).map_err(|_| InvalidBlobId)?;
        if blob.size > BLOB_SIZE_MAX {
            return Err(InvalidBlobId);
        }
        Ok(Self { hash, size: blob.size })
    }
}

/// Why bytes are not what they were said to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError {
    /// The list has another length than the size of the blob demands.
    #[error("slice list has {actual} bytes, the size of the blob demands {expected}")]
    ListLength {
        /// Bytes the size demands.
        expected: u64,
        /// Bytes that came.
        actual: u64,
    },
    /// The list does not merge to the hash of the blob.
    #[error("slice list does not merge to the hash of the blob")]
    ListRoot,
    /// The blob has no such slice.
    #[error("the blob has no slice {index}")]
    NoSuchSlice {
        /// The number asked for.
        index: u64,
    },
    /// The slice has another length than the size of the blob demands.
    #[error("slice has {actual} bytes, the size of the blob demands {expected}")]
    SliceLength {
        /// Bytes the size demands.
        expected: usize,
        /// Bytes that came.
        actual: usize,
    },
    /// The bytes of the slice are not those that the hash commits to.
    #[error("slice does not verify against the hash of the blob")]
    SliceHash,
}

/// The chaining values of a blob's slices, merged to its hash and found right.
///
/// For a blob of no or one slice it is empty, and trivially right.
#[derive(Debug, Clone)]
pub struct SliceList {
    blob: BlobId,
    values: Bytes,
}

impl SliceList {
    /// Takes a list that came with, or was kept for, `blob`.
    ///
    /// # Errors
    /// [`VerifyError::ListLength`] before anything is hashed, [`VerifyError::ListRoot`] after.
    pub fn verify(blob: BlobId, values: Bytes) -> Result<Self, VerifyError> {
        let (expected, actual) = (blob.slice_list_len(), values.len() as u64);
        if expected != actual {
            return Err(VerifyError::ListLength { expected, actual });
        }
        let (chunks, _) = values.as_chunks::<{ Hash::LEN }>();
        if blob.slice_count() > 1 && merge_root(chunks, blob.size) != *blob.hash.as_bytes() {
            return Err(VerifyError::ListRoot);
        }
        Ok(Self { blob, values })
    }

    /// The list of a blob of no or one slice, or `None` for a larger one, whose list must be fetched.
    pub fn trivial(blob: BlobId) -> Option<Self> {
        (blob.slice_list_len() == 0).then(|| Self { blob, values: Bytes::new() })
    }

    /// The blob whose slices these values commit to.
    pub const fn blob(&self) -> BlobId {
        self.blob
    }

    /// The values, 32 bytes each, as they travel.
    pub const fn values(&self) -> &Bytes {
        &self.values
    }

    /// Verifies slice `index`. Hashes up to 256 KiB: about 30 µs.
    ///
    /// # Errors
    /// [`VerifyError::NoSuchSlice`] and [`VerifyError::SliceLength`] before anything is hashed, [`VerifyError::SliceHash`] after.
    pub fn check(&self, index: u64, bytes: Bytes) -> Result<VerifiedSlice, VerifyError> {
        let expected = self.blob.slice_len(index).ok_or(VerifyError::NoSuchSlice { index })?;
        if bytes.len() != expected {
            return Err(VerifyError::SliceLength { expected, actual: bytes.len() });
        }
        let right = if self.values.is_empty() {
            Hash::of(&bytes) == self.blob.hash
        } else {
            let (chunks, _) = self.values.as_chunks::<{ Hash::LEN }>();
            chunks.get(index as usize) == Some(&slice_value(index, &bytes))
        };
        if right { Ok(VerifiedSlice(bytes)) } else { Err(VerifyError::SliceHash) }
    }
}

/// Bytes of a slice that were found to be what the blob's hash commits to.
#[derive(Debug, Clone)]
pub struct VerifiedSlice(Bytes);

impl VerifiedSlice {
    /// The bytes; cloning them copies nothing.
    pub const fn bytes(&self) -> &Bytes {
        &self.0
    }
}

/// Hashes a blob as it arrives, in pieces of any size, and collects its slice list.
#[derive(Debug, Clone, Default)]
pub struct SliceHasher {
    slice: blake3::Hasher,
    filled: usize,
    values: Vec<ChainingValue>,
    size: u64,
}

/// What is known of a blob once all of it has been hashed.
#[derive(Debug, Clone)]
pub struct HashedBlob {
    /// Its name.
    pub id: BlobId,
    /// Its slice list, empty for no or one slice.
    pub slice_list: Bytes,
}

impl SliceHasher {
    /// Starts with no bytes.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next bytes. CPU-bound: call it on a blocking thread for more than a few kilobytes.
    pub fn update(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            if self.filled == SLICE_SIZE {
                self.next_slice();
            }
            let (now, later) = bytes.split_at(bytes.len().min(SLICE_SIZE - self.filled));
            self.slice.update(now);
            self.filled += now.len();
            self.size += now.len() as u64;
            bytes = later;
        }
    }

    /// Bytes taken so far.
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// Ends the blob.
    pub fn finish(mut self) -> HashedBlob {
        if self.values.is_empty() {
            let hash = Hash::from(*self.slice.finalize().as_bytes());
            return HashedBlob { id: BlobId { hash, size: self.size }, slice_list: Bytes::new() };
        }
        self.values.push(self.slice.finalize_non_root());
        let hash = Hash::from(merge_root(&self.values, self.size));
        HashedBlob { id: BlobId { hash, size: self.size }, slice_list: Bytes::from(self.values.concat()) }
    }

    /// Closes a full slice. Only called when more bytes follow, so it is never the root.
    fn next_slice(&mut self) {
        self.values.push(self.slice.finalize_non_root());
        let mut next = blake3::Hasher::new();
        next.set_input_offset(self.values.len() as u64 * SLICE_SIZE as u64);
        self.slice = next;
        self.filled = 0;
    }
}

/// Chaining value of a slice of a blob that has several. `bytes` must not be empty nor longer than a slice.
fn slice_value(index: u64, bytes: &[u8]) -> ChainingValue {
    debug_assert!(!bytes.is_empty() && bytes.len() <= SLICE_SIZE);
    let mut hasher = blake3::Hasher::new();
    hasher.set_input_offset(index * SLICE_SIZE as u64);
    hasher.update(bytes);
    hasher.finalize_non_root()
}

/// Root of a tree over at least two slices that together hold `size` bytes.
fn merge_root(values: &[ChainingValue], size: u64) -> [u8; 32] {
    let left_size = left_subtree_len(size);
    let (left, right) = values.split_at((left_size / SLICE_SIZE as u64) as usize);
    let root = merge_subtrees_root(&merge(left, left_size), &merge(right, size - left_size), Mode::Hash);
    *root.as_bytes()
}

fn merge(values: &[ChainingValue], size: u64) -> ChainingValue {
    if let [value] = values {
        return *value;
    }
    let left_size = left_subtree_len(size);
    let (left, right) = values.split_at((left_size / SLICE_SIZE as u64) as usize);
    merge_subtrees_non_root(&merge(left, left_size), &merge(right, size - left_size), Mode::Hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZES: [usize; 12] = [
        0,
        1,
        1024,
        SLICE_SIZE - 1,
        SLICE_SIZE,
        SLICE_SIZE + 1,
        2 * SLICE_SIZE - 1,
        2 * SLICE_SIZE,
        3 * SLICE_SIZE,
        3 * SLICE_SIZE + 5,
        8 * SLICE_SIZE,
        13 * SLICE_SIZE + 77,
    ];

    fn sample(size: usize) -> Bytes {
        (0..size).map(|i| (i * 31 + i / 251) as u8).collect()
    }

    fn hashed(bytes: &[u8], step: usize) -> HashedBlob {
        let mut hasher = SliceHasher::new();
        bytes.chunks(step).for_each(|piece| hasher.update(piece));
        hasher.finish()
    }

    #[test]
    fn the_streamed_hash_is_the_plain_hash_whatever_the_pieces() {
        for size in SIZES {
            let bytes = sample(size);
            for step in [1021, SLICE_SIZE, 1 << 20] {
                let blob = hashed(&bytes, step);
                assert_eq!(blob.id, BlobId::of(&bytes), "{size} by {step}");
                assert_eq!(blob.slice_list.len() as u64, blob.id.slice_list_len());
            }
        }
    }

    #[test]
    fn every_slice_of_every_size_verifies() {
        for size in SIZES {
            let bytes = sample(size);
            let blob = hashed(&bytes, 1 << 20);
            let list = SliceList::verify(blob.id, blob.slice_list).expect("own list");
            for index in 0..blob.id.slice_count() {
                let start = index as usize * SLICE_SIZE;
                let end = (start + SLICE_SIZE).min(size);
                let slice = list.check(index, bytes.slice(start..end)).expect("own slice");
                assert_eq!(slice.bytes(), &bytes[start..end]);
            }
            let past = blob.id.slice_count();
            assert_eq!(
                list.check(past, Bytes::from_static(b"x")).expect_err("past the end"),
                VerifyError::NoSuchSlice { index: past }
            );
        }
    }

    #[test]
    fn one_flipped_bit_anywhere_is_refused() {
        for size in [1, SLICE_SIZE, 3 * SLICE_SIZE + 5] {
            let bytes = sample(size);
            let blob = hashed(&bytes, 1 << 20);
            let list = SliceList::verify(blob.id, blob.slice_list).expect("own list");
            for index in 0..blob.id.slice_count() {
                let start = index as usize * SLICE_SIZE;
                let mut slice = bytes[start..(start + SLICE_SIZE).min(size)].to_vec();
                for at in [0, slice.len() / 2, slice.len() - 1] {
                    slice[at] ^= 0x10;
                    let error = list.check(index, slice.clone().into()).expect_err("flipped");
                    assert_eq!(error, VerifyError::SliceHash);
                    slice[at] ^= 0x10;
                }
            }
        }
    }

    #[test]
    fn wrong_lengths_are_refused_before_hashing() {
        let bytes = sample(2 * SLICE_SIZE + 9);
        let blob = hashed(&bytes, 1 << 20);
        let list = SliceList::verify(blob.id, blob.slice_list.clone()).expect("own list");
        for wrong in [0, 8, 10, SLICE_SIZE, SLICE_SIZE + 1] {
            let error = list.check(2, sample(wrong)).expect_err("wrong length");
            assert_eq!(error, VerifyError::SliceLength { expected: 9, actual: wrong });
        }
        for wrong in [0, 32, 64, 95, 97, 128] {
            let error = SliceList::verify(blob.id, sample(wrong)).expect_err("wrong list");
            assert_eq!(error, VerifyError::ListLength { expected: 96, actual: wrong as u64 });
        }
    }

    #[test]
    fn a_list_of_merged_values_is_refused_though_it_has_the_right_root() {
        // Two values that merge to the right root, for a blob of four slices.
        let blob = hashed(&sample(4 * SLICE_SIZE), 1 << 20);
        let (values, _) = blob.slice_list.as_chunks::<32>();
        let short: Vec<u8> = values
            .chunks(2)
            .flat_map(|pair| merge_subtrees_non_root(&pair[0], &pair[1], Mode::Hash))
            .collect();
        let error = SliceList::verify(blob.id, short.into()).expect_err("short list");
        assert_eq!(error, VerifyError::ListLength { expected: 128, actual: 64 });
    }

    #[test]
    fn a_list_of_another_blob_is_refused() {
        let blob = hashed(&sample(4 * SLICE_SIZE), 1 << 20);
        let mut other = blob.slice_list.to_vec();
        other[40] ^= 1;
        let error = SliceList::verify(blob.id, other.into()).expect_err("forged list");
        assert_eq!(error, VerifyError::ListRoot);
    }

    #[test]
    fn a_claimed_size_with_the_same_number_of_slices_fails_at_the_last_slice() {
        let bytes = sample(4 * SLICE_SIZE);
        let blob = hashed(&bytes, 1 << 20);
        let claimed = BlobId { hash: blob.id.hash, size: blob.id.size - 1 };
        let list = SliceList::verify(claimed, blob.slice_list).expect("the values are right");
        let short = bytes.slice(3 * SLICE_SIZE..4 * SLICE_SIZE - 1);
        assert_eq!(list.check(3, short).expect_err("one byte less"), VerifyError::SliceHash);
    }

    #[test]
    fn slice_lengths_add_up_to_the_size() {
        for size in SIZES {
            let blob = BlobId { hash: Hash::of(b""), size: size as u64 };
            let total: usize = (0..blob.slice_count()).map(|i| blob.slice_len(i).expect("in range")).sum();
            assert_eq!(total, size);
            assert_eq!(blob.slice_len(blob.slice_count()), None);
        }
        assert_eq!(BlobId { hash: Hash::of(b""), size: 5 }.slice_len(u64::MAX), None);
    }
}
