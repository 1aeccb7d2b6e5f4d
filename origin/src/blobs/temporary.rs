//! A blob on its way: a temporary file that is hashed as it is written, and removed unless it is renamed. Everything here blocks.

use super::{BlobError, StoredBlob, slice_list_path};
use crate::secret;
use aws_lc_rs::digest::{Context, SHA256};
use bytes::Bytes;
use skerry_proto::slices::{HashedBlob, SliceHasher};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// A file in the temporary folder. Dropping it removes the file.
#[derive(Debug)]
struct TemporaryFile {
    file: File,
    path: PathBuf,
    is_renamed: bool,
}

impl TemporaryFile {
    fn create(folder: &Path) -> io::Result<Self> {
        let name = secret::hex(&secret::random::<16>().map_err(io::Error::other)?);
        let path = folder.join(name);
        let file = OpenOptions::new().create_new(true).write(true).mode(0o600).open(&path)?;
        Ok(Self { file, path, is_renamed: false })
    }

    fn rename(&mut self, to: &Path) -> io::Result<()> {
        fs::rename(&self.path, to)?;
        self.is_renamed = true;
        Ok(())
    }
}

impl Drop for TemporaryFile {
    fn drop(&mut self) {
        if !self.is_renamed {
            // What stays behind here is removed at the next start.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// A blob that is being written.
pub(super) struct TemporaryBlob {
    file: TemporaryFile,
    blake3: SliceHasher,
    sha256: Context,
}

impl TemporaryBlob {
    /// Starts with no bytes.
    pub(super) fn create(folder: &Path) -> Result<Self, BlobError> {
        let file = TemporaryFile::create(folder)?;
        Ok(Self { file, blake3: SliceHasher::new(), sha256: Context::new(&SHA256) })
    }

    /// Hashes and writes the next bytes.
    pub(super) fn append(&mut self, pieces: &[Bytes]) -> Result<(), BlobError> {
        for piece in pieces {
            self.blake3.update(piece);
            self.sha256.update(piece);
            self.file.file.write_all(piece)?;
        }
        Ok(())
    }

    /// Ends the blob: its name is known now. Nothing is durable yet.
    pub(super) fn finish(self) -> FinishedBlob {
        let mut sha256 = [0; 32];
        // A SHA-256 has 32 bytes.
        sha256.copy_from_slice(self.sha256.finish().as_ref());
        FinishedBlob { file: self.file, hashed: self.blake3.finish(), sha256 }
    }

    /// Replaces the file by one that takes no bytes.
    #[cfg(test)]
    pub(super) fn break_file(&mut self) {
        self.file.file = File::open(&self.file.path).expect("there, opened for reading only");
    }
}

/// A blob whose bytes are all written and whose name is known.
pub(super) struct FinishedBlob {
    file: TemporaryFile,
    hashed: HashedBlob,
    sha256: [u8; 32],
}

impl FinishedBlob {
    /// What is known of it.
    pub(super) fn stored(&self) -> StoredBlob {
        StoredBlob { id: self.hashed.id, sha256: self.sha256 }
    }

    /// Makes the bytes durable, and those of the slice list, which gets a file of its own in `folder`.
    pub(super) fn sync(self, folder: &Path) -> io::Result<DurableBlob> {
        self.file.file.sync_all()?;
        let list = match self.hashed.slice_list.is_empty() {
            true => None,
            false => {
                let mut list = TemporaryFile::create(folder)?;
                list.file.write_all(&self.hashed.slice_list)?;
                list.file.sync_all()?;
                Some(list)
            }
        };
        Ok(DurableBlob { file: self.file, list })
    }
}

/// A blob whose bytes are durable, but not yet under its name.
pub(super) struct DurableBlob {
    file: TemporaryFile,
    list: Option<TemporaryFile>,
}

impl DurableBlob {
    /// Gives the blob its name; the slice list first, so that no blob is without. The folder is for the caller to fsync.
    pub(super) fn rename_to(mut self, path: &Path) -> io::Result<()> {
        if let Some(list) = &mut self.list {
            list.rename(&slice_list_path(path))?;
        }
        self.file.rename(path)
    }
}
