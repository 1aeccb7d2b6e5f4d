//! One upload: pieces are gathered into batches, and one batch is hashed and written while the next one arrives.
//!
//! Between batches no thread is held, so slow clients cost memory of at most two batches, and nothing else.

use super::temporary::TemporaryBlob;
use super::{BlobError, BlobStore, Declared, StoredBlob, blocking};
use bytes::Bytes;
use std::io;
use std::ops::RangeInclusive;
use tokio::task::JoinHandle;

/// Bytes that are gathered before they go to a thread: large enough that the hand-over costs nothing beside the hashing.
const BATCH_SIZE: usize = 1 << 20;

/// A blob that is being stored. Dropping it removes what was written.
pub(crate) struct BlobUpload {
    store: BlobStore,
    /// At rest, or being written to.
    temporary: Temporary,
    batch: Vec<Bytes>,
    batch_len: usize,
    size_min: u64,
    size_max: u64,
    arrived: u64,
    declared: Declared,
}

enum Temporary {
    AtRest(Box<TemporaryBlob>),
    Writing(JoinHandle<Result<Box<TemporaryBlob>, BlobError>>),
    Lost,
}

impl BlobUpload {
    pub(super) fn new(store: BlobStore, temporary: TemporaryBlob, sizes: RangeInclusive<u64>) -> Self {
        let temporary = Temporary::AtRest(Box::new(temporary));
        let (size_min, size_max) = sizes.into_inner();
        let declared = Declared::default();
        Self { store, temporary, batch: Vec::new(), batch_len: 0, size_min, size_max, arrived: 0, declared }
    }

    /// Keeps no other bytes than these.
    pub(crate) fn declare(&mut self, declared: Declared) {
        self.declared = declared;
    }

    /// Takes the next bytes; waits while the disk is slower than the client.
    ///
    /// # Errors
    /// [`BlobError::TooLong`] before anything of the piece is written, [`BlobError::NoSpace`] or [`BlobError::Io`].
    ///
    /// # Cancel safety
    /// After a cancelled call the upload is lost; drop it.
    pub(crate) async fn push(&mut self, piece: Bytes) -> Result<(), BlobError> {
        self.arrived += piece.len() as u64;
        if self.arrived > self.size_max {
            return Err(BlobError::TooLong { announced: self.size_max });
        }
        self.batch_len += piece.len();
        self.batch.push(piece);
        // The second bound is for clients that send tiny pieces: each costs its handle, too.
        if self.batch_len >= BATCH_SIZE || self.batch.len() >= 1024 {
            self.write_batch().await?;
        }
        Ok(())
    }

    /// Whether all bytes came that were announced.
    pub(crate) const fn is_complete(&self) -> bool {
        self.arrived >= self.size_min
    }

    /// Ends the upload: when this returns, the blob is durable.
    ///
    /// # Errors
    /// [`BlobError::TooShort`], [`BlobError::OtherDigest`], [`BlobError::NoSpace`] or [`BlobError::Io`].
    pub(crate) async fn finish(mut self) -> Result<StoredBlob, BlobError> {
        if self.arrived < self.size_min {
            let (announced, arrived) = (self.size_min, self.arrived);
            self.rest().await?;
            return Err(BlobError::TooShort { announced, arrived });
        }
        let mut temporary = self.rest().await?;
        let (store, batch, declared) = (self.store, self.batch, self.declared);
        blocking(move || {
            temporary.append(&batch)?;
            store.keep(*temporary, &declared)
        })
        .await
    }

    async fn write_batch(&mut self) -> Result<(), BlobError> {
        let mut temporary = self.rest().await?;
        let batch = std::mem::take(&mut self.batch);
        self.batch_len = 0;
        self.temporary = Temporary::Writing(tokio::task::spawn_blocking(move || {
            temporary.append(&batch)?;
            Ok(temporary)
        }));
        Ok(())
    }

    /// Waits until the batch before is written.
    async fn rest(&mut self) -> Result<Box<TemporaryBlob>, BlobError> {
        match std::mem::replace(&mut self.temporary, Temporary::Lost) {
            Temporary::AtRest(temporary) => Ok(temporary),
            Temporary::Writing(writing) => match writing.await {
                Ok(result) => result,
                Err(_) => Err(BlobError::Io(io::Error::other("the write did not finish"))),
            },
            Temporary::Lost => Err(BlobError::Io(io::Error::other("an earlier write failed"))),
        }
    }

    #[cfg(test)]
    pub(super) fn break_file(&mut self) {
        if let Temporary::AtRest(temporary) = &mut self.temporary {
            temporary.break_file();
        }
    }
}
