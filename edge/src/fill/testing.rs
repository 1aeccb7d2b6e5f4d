//! An upstream in memory, for tests: it holds blobs, does as it is told to fail or to wait, and remembers what it sent.

use super::upstream::{SliceStream, Upstream, UpstreamError};
use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::stream::{self, StreamExt};
use skerry_proto::hash::Hash;
use skerry_proto::slices::{BlobId, HashedBlob, SLICE_SIZE, SliceHasher};
use skerry_proto::wire::{self, fill_response::Kind};
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex};
use tokio::sync::Semaphore;

/// What goes wrong with one fill.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It cannot be opened.
    Refuse,
    /// It breaks off after the head and this many slices.
    BreakAfter(usize),
    /// A bit of every slice is flipped.
    FlipSlices,
    /// A bit of the slice list is flipped.
    FlipList,
    /// Slices are one byte short.
    ShortSlices,
    /// A slice of twice the size comes.
    LongSlices,
    /// The slice list lacks its last value.
    ShortList,
}

#[derive(Default)]
struct Shelf {
    blobs: HashMap<Hash, (Bytes, HashedBlob)>,
    faults: VecDeque<Fault>,
    sent: Vec<u64>,
    opened: u64,
    /// Slices wait for permits, where there is a gate.
    gate: Option<Arc<Semaphore>>,
}

/// The upstream. Clones share everything.
#[derive(Clone, Default)]
pub(crate) struct MemoryUpstream(Arc<Mutex<Shelf>>);

impl MemoryUpstream {
    pub(crate) fn add(&self, bytes: impl Into<Bytes>) -> BlobId {
        let bytes = bytes.into();
        let mut hasher = SliceHasher::new();
        hasher.update(&bytes);
        let hashed = hasher.finish();
        let id = hashed.id;
        self.0.lock().expect("no panic").blobs.insert(id.hash, (bytes, hashed));
        id
    }

    /// The next fills fail like this, one each.
    pub(crate) fn fail(&self, faults: impl IntoIterator<Item = Fault>) {
        self.0.lock().expect("no panic").faults.extend(faults);
    }

    /// Numbers of all slices that were sent so far, in order.
    pub(crate) fn sent(&self) -> Vec<u64> {
        self.0.lock().expect("no panic").sent.clone()
    }

    /// Fills that were opened so far, or would have been.
    pub(crate) fn opened(&self) -> u64 {
        self.0.lock().expect("no panic").opened
    }

    /// From now on a slice is sent for each permit.
    pub(crate) fn gate(&self) -> Arc<Semaphore> {
        let gate = Arc::new(Semaphore::new(0));
        self.0.lock().expect("no panic").gate = Some(Arc::clone(&gate));
        gate
    }

    /// Waits until a slice may be sent, and remembers it.
    async fn pass(
        self,
        message: Result<wire::FillResponse, UpstreamError>,
    ) -> Result<wire::FillResponse, UpstreamError> {
        if let Ok(wire::FillResponse { kind: Some(Kind::Slice(slice)) }) = &message {
            let gate = self.0.lock().expect("no panic").gate.clone();
            if let Some(gate) = gate {
                gate.acquire().await.expect("never closed").forget();
            }
            self.0.lock().expect("no panic").sent.push(slice.index);
        }
        message
    }

    fn messages(
        &self,
        request: &wire::FillRequest,
    ) -> Result<Vec<Result<wire::FillResponse, UpstreamError>>, UpstreamError> {
        let mut shelf = self.0.lock().expect("no panic");
        shelf.opened += 1;
        let fault = shelf.faults.pop_front();
        if fault == Some(Fault::Refuse) {
            return Err(UpstreamError::Unavailable("refused".into()));
        }
        let hash = Hash::try_from(&request.hash[..]).expect("a hash");
        let Some((bytes, hashed)) = shelf.blobs.get(&hash).cloned() else {
            return Err(UpstreamError::NotFound);
        };
        let mut list = hashed.slice_list.to_vec();
        match fault {
            Some(Fault::FlipList) if !list.is_empty() => list[0] ^= 1,
            Some(Fault::ShortList) => list.truncate(list.len().saturating_sub(32)),
            _ => {}
        }
        let head = wire::FillHead { size: hashed.id.size, slice_list: list.into() };
        let mut messages = vec![Ok(wire::FillResponse { kind: Some(Kind::Head(head)) })];
        for index in request.first_slice..request.first_slice + request.slice_count {
            if fault == Some(Fault::BreakAfter(messages.len() - 1)) {
                messages.push(Err(UpstreamError::Unavailable("broke off".into())));
                break;
            }
            let start = index as usize * SLICE_SIZE;
            let mut data = bytes[start..(start + SLICE_SIZE).min(bytes.len())].to_vec();
            match fault {
                Some(Fault::FlipSlices) => data[0] ^= 1,
                Some(Fault::ShortSlices) => data.truncate(data.len() - 1),
                Some(Fault::LongSlices) => data.extend_from_within(..),
                _ => {}
            }
            let slice = wire::FillSlice { index, data: data.into() };
            messages.push(Ok(wire::FillResponse { kind: Some(Kind::Slice(slice)) }));
        }
        Ok(messages)
    }
}

impl Upstream for MemoryUpstream {
    fn open(&self, request: wire::FillRequest) -> BoxFuture<'_, Result<SliceStream, UpstreamError>> {
        Box::pin(async move {
            let upstream = self.clone();
            let messages = stream::iter(self.messages(&request)?);
            Ok(messages.then(move |message| upstream.clone().pass(message)).boxed())
        })
    }
}

/// Bytes that differ everywhere.
pub(crate) fn sample(size: usize) -> Bytes {
    (0..size).map(|i| (i * 31 + i / 251) as u8).collect()
}
