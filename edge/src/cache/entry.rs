//! What lies in the cache: keys, values, and how they look on disk.

use super::buffers::filled;
use bytes::Bytes;
use foyer::{Code, Error, Result};
use skerry_proto::hash::Hash;
use skerry_proto::slices::{SLICE_SIZE, SliceList, VerifiedSlice};
use std::io::{Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

/// An account, as the first part of every key: the first 16 bytes of the hash of its SID.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct AccountKey([u8; 16]);

impl AccountKey {
    /// The key of the account with this SID.
    pub fn of(account_sid: &str) -> Self {
        let hash = Hash::of(account_sid.as_bytes());
        let mut key = [0; 16];
        key.copy_from_slice(&hash.as_bytes()[..16]);
        Self(key)
    }

    /// The 16 bytes.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

/// An account, for keys and for questions to an upstream.
#[derive(Debug, Clone)]
pub struct Account {
    /// First part of cache keys.
    pub key: AccountKey,
    /// `AC…`
    pub sid: Arc<str>,
}

impl Account {
    /// The account with this SID.
    pub fn new(sid: &str) -> Self {
        Self { key: AccountKey::of(sid), sid: sid.into() }
    }
}

/// Names one slice of one blob of one account, or the blob's slice list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SliceKey {
    /// Whose blob.
    pub account: AccountKey,
    /// Which blob.
    pub hash: Hash,
    /// Which slice.
    pub slice: u64,
}

/// Stands for the slice list; no blob has that many slices.
const LIST: u64 = u64::MAX;

/// Account and blob are hashes already: a part of each tells keys apart as well as all of it, for a third of the work.
impl std::hash::Hash for SliceKey {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        let mut parts = [0; 24];
        let (account, rest) = parts.split_at_mut(8);
        let (blob, slice) = rest.split_at_mut(8);
        account.copy_from_slice(&self.account.0[..8]);
        blob.copy_from_slice(&self.hash.as_bytes()[..8]);
        slice.copy_from_slice(&self.slice.to_le_bytes());
        state.write(&parts);
    }
}

impl SliceKey {
    /// The key of a blob's slice list.
    pub const fn list(account: AccountKey, hash: Hash) -> Self {
        Self { account, hash, slice: LIST }
    }
}

/// Proof that the bytes are right. It never goes to disk.
#[derive(Debug, Clone)]
pub(super) enum Proof {
    Slice(VerifiedSlice),
    List(SliceList),
}

/// Bytes in the cache, and the proof that they are right. Only what comes from disk lacks one, and nothing without it enters memory.
#[derive(Debug)]
pub(super) struct Cached {
    bytes: Bytes,
    proof: Option<Proof>,
    asks: AtomicU8,
}

/// As many asks as count.
const ASKS_MAX: u8 = 2;

impl Cached {
    /// Right bytes that were asked for so often; what has no need to go to disk any more counts as asked for often.
    pub(super) fn proven(proof: Proof, asks: Asks) -> Self {
        let bytes = match &proof {
            Proof::Slice(slice) => slice.bytes().clone(),
            Proof::List(list) => list.values().clone(),
        };
        Self { bytes, proof: Some(proof), asks: AtomicU8::new(asks as u8) }
    }

    /// Bytes that nobody has checked.
    pub(super) const fn unproven(bytes: Bytes) -> Self {
        Self { bytes, proof: None, asks: AtomicU8::new(0) }
    }

    pub(super) const fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    pub(super) const fn len(&self) -> usize {
        self.bytes.len()
    }

    pub(super) const fn proof(&self) -> Option<&Proof> {
        self.proof.as_ref()
    }

    /// Counts that it was asked for. True once: at the second ask.
    pub(super) fn ask(&self) -> bool {
        // A load costs nothing beside the lookup; nearly all asks end here.
        self.asks.load(Ordering::Relaxed) < ASKS_MAX && self.asks.fetch_add(1, Ordering::Relaxed) == 1
    }

    /// Counts no further asks: it is on its way to disk.
    pub(super) fn settle(&self) {
        self.asks.store(ASKS_MAX, Ordering::Relaxed);
    }
}

/// How often something was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asks {
    /// Never: it was read ahead.
    Never,
    /// Once.
    Once,
    /// More than once.
    Often,
}

impl Code for SliceKey {
    fn encode(&self, writer: &mut impl Write) -> Result<()> {
        writer.write_all(&self.account.0).map_err(Error::io_error)?;
        writer.write_all(self.hash.as_bytes()).map_err(Error::io_error)?;
        self.slice.encode(writer)
    }

    fn decode(reader: &mut impl Read) -> Result<Self> {
        let mut account = [0; 16];
        reader.read_exact(&mut account).map_err(Error::io_error)?;
        let mut hash = [0; Hash::LEN];
        reader.read_exact(&mut hash).map_err(Error::io_error)?;
        Ok(Self { account: AccountKey(account), hash: Hash::from(hash), slice: u64::decode(reader)? })
    }

    fn estimated_size(&self) -> usize {
        16 + Hash::LEN + 8
    }
}

/// Bytes that a value on disk can have at most: a slice, or the slice list of the largest blob that an edge takes.
const VALUE_SIZE_MAX: u64 = 64 * SLICE_SIZE as u64;

impl Code for Cached {
    fn encode(&self, writer: &mut impl Write) -> Result<()> {
        (self.bytes.len() as u64).encode(writer)?;
        writer.write_all(&self.bytes).map_err(Error::io_error)
    }

    fn decode(reader: &mut impl Read) -> Result<Self> {
        let len = u64::decode(reader)?.min(VALUE_SIZE_MAX);
        let read = |bytes: &mut Vec<u8>| reader.take(len).read_to_end(bytes).map(drop);
        Ok(Self::unproven(filled(len as usize, read).map_err(Error::io_error)?))
    }

    fn estimated_size(&self) -> usize {
        8 + self.bytes.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use skerry_proto::slices::BlobId;

    #[test]
    fn a_key_survives_the_disk() {
        let key = SliceKey { account: AccountKey::of("AC1"), hash: Hash::of(b"x"), slice: 7 };
        let mut bytes = Vec::new();
        key.encode(&mut bytes).expect("writes");
        assert_eq!(bytes.len(), key.estimated_size());
        assert_eq!(SliceKey::decode(&mut &bytes[..]).expect("reads"), key);
    }

    #[test]
    fn a_value_comes_back_from_disk_without_its_proof() {
        let blob = BlobId::of(b"hello");
        let list = SliceList::trivial(blob).expect("one slice");
        let slice = list.check(0, Bytes::from_static(b"hello")).expect("right");
        let value = Cached::proven(Proof::Slice(slice), Asks::Once);
        let mut bytes = Vec::new();
        value.encode(&mut bytes).expect("writes");
        assert_eq!(bytes.len(), value.estimated_size());
        let read = Cached::decode(&mut &bytes[..]).expect("reads");
        assert_eq!(read.bytes(), value.bytes());
        assert!(value.proof().is_some() && read.proof().is_none());
    }

    #[test]
    fn the_second_ask_is_told_once() {
        let list = SliceList::trivial(BlobId::of(b"a")).expect("one slice");
        let slice = list.check(0, Bytes::from_static(b"a")).expect("right");
        let told = |asks| {
            let value = Cached::proven(Proof::Slice(slice.clone()), asks);
            [value.ask(), value.ask(), value.ask()]
        };
        assert_eq!(told(Asks::Never), [false, true, false]);
        assert_eq!(told(Asks::Once), [true, false, false]);
        assert_eq!(told(Asks::Often), [false, false, false]);
    }

    #[test]
    fn a_length_that_rot_made_huge_reads_what_is_there() {
        let mut bytes = u64::MAX.to_le_bytes().to_vec();
        bytes.extend_from_slice(b"abc");
        assert_eq!(Cached::decode(&mut &bytes[..]).expect("reads").bytes(), &b"abc"[..]);
    }
}
