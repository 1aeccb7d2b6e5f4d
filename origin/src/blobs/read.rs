//! Reading blobs. What is read is not verified here: whoever receives it does that, against the hash.

use super::{BlobError, blocking, slice_list_path};
use bytes::Bytes;
use skerry_proto::slices::{BlobId, SLICE_SIZE};
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

/// An open blob. Clones share the file.
#[derive(Debug, Clone)]
pub(crate) struct BlobReader {
    file: Arc<File>,
    id: BlobId,
    slice_list: Bytes,
}

impl BlobReader {
    /// Opens the file and reads its slice list. Blocks.
    pub(super) fn open(path: &Path, id: BlobId) -> Result<Self, BlobError> {
        let damaged = |what| BlobError::Damaged { hash: id.hash, what };
        let missing = |what| {
            move |error: io::Error| match error.kind() {
                io::ErrorKind::NotFound => BlobError::Damaged { hash: id.hash, what },
                _ => BlobError::from(error),
            }
        };
        let file = File::open(path).map_err(missing("its file is missing"))?;
        if file.metadata()?.len() != id.size {
            return Err(damaged("its file has another length"));
        }
        let slice_list = match id.slice_list_len() {
            0 => Bytes::new(),
            expected => {
                let list = fs::read(slice_list_path(path)).map_err(missing("its slice list is missing"))?;
                if list.len() as u64 != expected {
                    return Err(damaged("its slice list has another length"));
                }
                list.into()
            }
        };
        Ok(Self { file: Arc::new(file), id, slice_list })
    }

    /// What it is.
    pub(crate) fn id(&self) -> BlobId {
        self.id
    }

    /// Its slice list, 32 bytes for each slice; empty for no or one slice.
    pub(crate) fn slice_list(&self) -> &Bytes {
        &self.slice_list
    }

    /// Reads `count` slices from number `first` on; what is past the end is left out.
    ///
    /// # Errors
    /// [`BlobError::Damaged`] when the file is shorter than it was, [`BlobError::Io`].
    pub(crate) async fn slices(&self, first: u64, count: usize) -> Result<Vec<Bytes>, BlobError> {
        let reader = self.clone();
        blocking(move || (first..).take(count).map_while(|index| reader.slice(index).transpose()).collect())
            .await
    }

    /// Reads all of it, and verifies it: what is made of these bytes gets a name of its own, under which nobody could tell. Blocks.
    ///
    /// # Errors
    /// [`BlobError::Damaged`] when the file is not what its name says, [`BlobError::Io`].
    pub(crate) fn verified(&self) -> Result<Bytes, BlobError> {
        let mut bytes = Vec::with_capacity(usize::try_from(self.id.size).unwrap_or_default());
        for index in 0..self.id.slice_count() {
            bytes.extend(self.slice(index)?.into_iter().flatten());
        }
        if BlobId::of(&bytes) != self.id {
            return Err(BlobError::Damaged { hash: self.id.hash, what: "its bytes are others" });
        }
        Ok(bytes.into())
    }

    /// Reads the bytes from `offset` on. Blocks.
    ///
    /// # Errors
    /// [`BlobError::Io`], also where there are fewer.
    pub(crate) fn bytes_at(&self, offset: u64, into: &mut [u8]) -> Result<(), BlobError> {
        Ok(self.file.read_exact_at(into, offset)?)
    }

    fn slice(&self, index: u64) -> Result<Option<Bytes>, BlobError> {
        let Some(len) = self.id.slice_len(index) else { return Ok(None) };
        let mut slice = vec![0; len];
        match self.file.read_exact_at(&mut slice, index * SLICE_SIZE as u64) {
            Ok(()) => Ok(Some(slice.into())),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                Err(BlobError::Damaged { hash: self.id.hash, what: "its file became shorter" })
            }
            Err(error) => Err(error.into()),
        }
    }
}
