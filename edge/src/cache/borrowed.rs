//! Slices that a neighbour owns: in memory alone and in a part of it that they cannot outgrow, so that edges of one place do not hold
//! the same things each. What is asked for often stays; the rest is there until its reader has had it, and is asked of its owner again.

use super::disk::Memory;
use super::entry::{Asks, Cached, Proof, SliceKey};
use super::{ENTRY_OVERHEAD, MEMORY_SHARDS};
use foyer::{CacheBuilder, S3FifoConfig};
use skerry_proto::slices::{SliceList, VerifiedSlice};

/// Slices that a neighbour owns; none are kept by an edge without neighbours.
pub(super) struct Borrowed(Option<Memory>);

impl Borrowed {
    /// With room for so many bytes; 0: for none.
    pub(super) fn new(size: u64) -> Self {
        let memory = || {
            CacheBuilder::new(size as usize)
                .with_shards(MEMORY_SHARDS)
                // Half is for what is new: slices read ahead must be there when their reader comes to them.
                .with_eviction_config(S3FifoConfig {
                    small_queue_capacity_ratio: 0.5,
                    ..S3FifoConfig::default()
                })
                .with_weighter(|_, value: &Cached| value.len() + ENTRY_OVERHEAD)
                .build()
        };
        Self((size > 0).then(memory))
    }

    pub(super) fn slice(&self, key: &SliceKey) -> Option<VerifiedSlice> {
        match self.0.as_ref()?.get(key)?.value().proof() {
            Some(Proof::Slice(slice)) => Some(slice.clone()),
            Some(Proof::List(_)) | None => None,
        }
    }

    pub(super) fn list(&self, key: &SliceKey) -> Option<SliceList> {
        match self.0.as_ref()?.get(key)?.value().proof() {
            Some(Proof::List(list)) => Some(list.clone()),
            Some(Proof::Slice(_)) | None => None,
        }
    }

    pub(super) fn holds(&self, key: &SliceKey) -> bool {
        self.0.as_ref().is_some_and(|memory| memory.contains(key))
    }

    pub(super) fn keep(&self, key: SliceKey, proof: Proof) {
        if let Some(memory) = &self.0 {
            memory.insert(key, Cached::proven(proof, Asks::Often));
        }
    }

    pub(super) fn remove(&self, key: &SliceKey) {
        if let Some(memory) = &self.0 {
            memory.remove(key);
        }
    }

    pub(super) fn used(&self) -> usize {
        self.0.as_ref().map_or(0, Memory::usage)
    }
}
