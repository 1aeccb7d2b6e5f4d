//! The blob store: bytes named by their BLAKE3 hash, in files under the data folder.
//!
//! Guarantees:
//! - A blob is there wholly or not at all. Bytes go to a temporary file, which is renamed when all of them are durable.
//! - When [`BlobStore`] answers that it holds a blob, that outlives a power cut: the file was fsynced, then renamed, then every
//!   folder on the way to it was fsynced.
//! - A blob is stored once, however often it arrives, and never changed. Each arrival is followed by the same writes and syncs.
//! - No async worker hashes, reads or writes.
//!
//! It does not know who may have a blob, nor which are in use: that is the catalogue's.
//!
//! Layout: `blobs/ab/cd/<hash>` with the slice list beside it as `<hash>.slices` where there is more than one slice, and
//! `blobs/tmp`, which is emptied at start.

mod read;
mod temporary;
mod upload;

pub(crate) use read::BlobReader;
pub(crate) use upload::BlobUpload;

use bytes::Bytes;
use skerry_folder::sync_folder;
use skerry_proto::hash::Hash;
use skerry_proto::slices::BlobId;
use std::fs::{self, DirBuilder};
use std::io;
use std::ops::RangeInclusive;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use temporary::TemporaryBlob;

/// Why a blob was not stored, or cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum BlobError {
    /// The disk is full.
    #[error("no space left on the origin's disk; free some there, then try again")]
    NoSpace,
    /// The system refuses to read or write.
    #[error("the blob store cannot read or write")]
    Io(#[source] io::Error),
    /// More bytes came than were announced.
    #[error("more bytes came than the {announced} that were announced")]
    TooLong {
        /// Bytes announced.
        announced: u64,
    },
    /// Fewer bytes came than were announced.
    #[error("only {arrived} of the {announced} bytes that were announced came")]
    TooShort {
        /// Bytes announced.
        announced: u64,
        /// Bytes that came.
        arrived: u64,
    },
    /// Other bytes came than were declared.
    #[error(
        "the bytes that came have another {algorithm} digest than was declared; nothing was stored; send them again"
    )]
    OtherDigest {
        /// By which digest that is known.
        algorithm: &'static str,
    },
    /// A file is missing or has another length than the catalogue says.
    #[error("blob {hash} is damaged: {what}")]
    Damaged {
        /// Which blob.
        hash: Hash,
        /// What is wrong.
        what: &'static str,
    },
}

impl From<io::Error> for BlobError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::NoSpace,
            _ => Self::Io(error),
        }
    }
}

/// What is known of a blob that is stored durably.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct StoredBlob {
    /// Its name.
    pub(crate) id: BlobId,
    /// SHA-256 of its bytes.
    pub(crate) sha256: [u8; 32],
}

/// What a sender said of the bytes before, or while, they came.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Declared {
    /// Their BLAKE3 hash.
    pub(crate) blake3: Option<Hash>,
    /// Their SHA-256; it may be said in several places.
    pub(crate) sha256: Vec<[u8; 32]>,
}

impl Declared {
    /// Refuses bytes that are others.
    fn check(&self, blob: &StoredBlob) -> Result<(), BlobError> {
        if self.blake3.is_some_and(|declared| declared != blob.id.hash) {
            return Err(BlobError::OtherDigest { algorithm: "BLAKE3" });
        }
        if self.sha256.iter().any(|declared| *declared != blob.sha256) {
            return Err(BlobError::OtherDigest { algorithm: "SHA-256" });
        }
        Ok(())
    }
}

/// The blob store. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct BlobStore {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    root: PathBuf,
}

impl BlobStore {
    /// Opens the store under a data folder, makes it where it is missing, and drops what unfinished uploads left. Blocks.
    ///
    /// # Errors
    /// [`BlobError::NoSpace`] or [`BlobError::Io`].
    pub(crate) fn open(data: &Path) -> Result<Self, BlobError> {
        let root = data.join("blobs");
        make_folder(&root)?;
        sync_folder(data)?;
        let temporary = root.join("tmp");
        match fs::remove_dir_all(&temporary) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
            _ => make_folder(&temporary)?,
        }
        sync_folder(&root)?;
        Ok(Self { shared: Arc::new(Shared { root }) })
    }

    /// Begins to store a blob of `announced` bytes.
    ///
    /// # Errors
    /// [`BlobError::NoSpace`] or [`BlobError::Io`].
    pub(crate) async fn begin(&self, announced: u64) -> Result<BlobUpload, BlobError> {
        self.begin_within(announced..=announced).await
    }

    /// Begins to store a blob whose size is known only when it has arrived.
    ///
    /// # Errors
    /// [`BlobError::NoSpace`] or [`BlobError::Io`].
    pub(crate) async fn begin_within(&self, sizes: RangeInclusive<u64>) -> Result<BlobUpload, BlobError> {
        let store = self.clone();
        let temporary = blocking(move || TemporaryBlob::create(&store.temporary_folder())).await?;
        Ok(BlobUpload::new(self.clone(), temporary, sizes))
    }

    /// Stores bytes that are in memory already. Blocks.
    ///
    /// # Errors
    /// [`BlobError::NoSpace`] or [`BlobError::Io`].
    pub(crate) fn store(&self, bytes: &Bytes) -> Result<StoredBlob, BlobError> {
        let mut temporary = TemporaryBlob::create(&self.temporary_folder())?;
        temporary.append(std::slice::from_ref(bytes))?;
        self.keep(temporary, &Declared::default())
    }

    /// Opens a blob to be read.
    ///
    /// # Errors
    /// [`BlobError::Damaged`] when it is not as the catalogue says, [`BlobError::Io`].
    pub(crate) async fn open_blob(&self, id: BlobId) -> Result<BlobReader, BlobError> {
        let path = self.path(&id.hash);
        blocking(move || BlobReader::open(&path, id)).await
    }

    /// Makes a temporary blob durable under its name. This is the order that durability hangs on: fsync the files, rename them,
    /// fsync the folders.
    ///
    /// A blob that is there already is replaced by its like. Less work for it would be an answer sooner, and tell one account
    /// which bytes another has.
    fn keep(&self, temporary: TemporaryBlob, declared: &Declared) -> Result<StoredBlob, BlobError> {
        let finished = temporary.finish();
        let stored = finished.stored();
        // Before anything lasts.
        declared.check(&stored)?;
        let hash = stored.id.hash;
        let durable = finished.sync(&self.temporary_folder())?;
        self.make_folders(&hash)?;
        durable.rename_to(&self.path(&hash))?;
        self.sync_folders(&hash)?;
        Ok(stored)
    }

    fn make_folders(&self, hash: &Hash) -> io::Result<()> {
        let (outer, inner) = self.folders(hash);
        make_folder(&outer)?;
        make_folder(&inner)
    }

    /// Makes the folder of a blob durable, and those that it is in.
    ///
    /// Also where they were before: each of these waits for the disk, and fewer of them would tell that a blob of such a hash is
    /// there already.
    fn sync_folders(&self, hash: &Hash) -> io::Result<()> {
        let (outer, inner) = self.folders(hash);
        sync_folder(&inner)?;
        sync_folder(&outer)?;
        sync_folder(&self.shared.root)
    }

    fn folders(&self, hash: &Hash) -> (PathBuf, PathBuf) {
        let [first, second, ..] = *hash.as_bytes();
        let outer = self.shared.root.join(format!("{first:02x}"));
        let inner = outer.join(format!("{second:02x}"));
        (outer, inner)
    }

    fn path(&self, hash: &Hash) -> PathBuf {
        self.folders(hash).1.join(hash.to_string())
    }

    fn temporary_folder(&self) -> PathBuf {
        self.shared.root.join("tmp")
    }
}

fn slice_list_path(blob: &Path) -> PathBuf {
    blob.with_added_extension("slices")
}

fn make_folder(path: &Path) -> io::Result<()> {
    match DirBuilder::new().mode(0o700).create(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        other => other,
    }
}

/// Runs work that blocks or computes on a thread that may.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, BlobError> + Send + 'static,
) -> Result<T, BlobError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        // Only a panic of the work, or a runtime that is being torn down.
        Err(_) => Err(BlobError::Io(io::Error::other("the work did not finish"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use skerry_proto::slices::{SLICE_SIZE, SliceList};
    use std::os::unix::fs::MetadataExt;

    fn sample(size: usize) -> Bytes {
        (0..size).map(|i| (i * 31 + i / 251) as u8).collect()
    }

    fn store() -> (tempfile::TempDir, BlobStore) {
        let folder = tempfile::tempdir().expect("temp");
        let store = BlobStore::open(folder.path()).expect("opens");
        (folder, store)
    }

    async fn upload(store: &BlobStore, bytes: &Bytes, announced: u64) -> Result<StoredBlob, BlobError> {
        let mut upload = store.begin(announced).await?;
        for start in (0..bytes.len()).step_by(SLICE_SIZE) {
            upload.push(bytes.slice(start..(start + SLICE_SIZE).min(bytes.len()))).await?;
        }
        upload.finish().await
    }

    fn temporary_files(store: &BlobStore) -> usize {
        fs::read_dir(store.temporary_folder()).expect("there").count()
    }

    fn files(folder: &Path) -> usize {
        fs::read_dir(folder).expect("there").fold(0, |count, entry| {
            let path = entry.expect("entry").path();
            count + if path.is_dir() { files(&path) } else { 1 }
        })
    }

    #[tokio::test]
    async fn blobs_of_every_size_read_back_slice_by_slice() {
        let (_folder, store) = store();
        for size in [0, 1, SLICE_SIZE - 1, SLICE_SIZE, SLICE_SIZE + 1, 9 * SLICE_SIZE + 77] {
            let bytes = sample(size);
            let stored = upload(&store, &bytes, size as u64).await.expect("stores");
            assert_eq!(stored.id, BlobId::of(&bytes));
            let reader = store.open_blob(stored.id).await.expect("opens");
            let list = SliceList::verify(stored.id, reader.slice_list().clone()).expect("verifies");
            let slices = reader.slices(0, stored.id.slice_count() as usize).await.expect("reads");
            let mut read = Vec::new();
            for (index, slice) in slices.into_iter().enumerate() {
                read.extend_from_slice(list.check(index as u64, slice).expect("verifies").bytes());
            }
            assert_eq!(read, bytes);
        }
        assert_eq!(temporary_files(&store), 0);
    }

    #[tokio::test]
    async fn bytes_that_are_others_than_declared_are_not_kept() {
        let (folder, store) = store();
        let bytes = sample(2 * SLICE_SIZE);
        let (right, files_before) = (BlobId::of(&bytes).hash, files(folder.path()));
        let sha256 = store.store(&bytes).expect("stores").sha256;
        let files_after = files(folder.path());
        let declared = |blake3, sha256: &[[u8; 32]]| Declared { blake3, sha256: sha256.to_vec() };
        let other = BlobId::of(b"other").hash;
        let cases = [
            (declared(Some(right), &[sha256, sha256]), None),
            (declared(Some(other), &[sha256]), Some("BLAKE3")),
            (declared(Some(right), &[sha256, [0; 32]]), Some("SHA-256")),
            (declared(None, &[[0; 32]]), Some("SHA-256")),
        ];
        for (declared, expected) in cases {
            let mut upload = store.begin(bytes.len() as u64).await.expect("begins");
            upload.declare(declared.clone());
            upload.push(bytes.clone()).await.expect("pushes");
            let refused = match upload.finish().await {
                Ok(_) => None,
                Err(BlobError::OtherDigest { algorithm }) => Some(algorithm),
                Err(error) => panic!("{error}"),
            };
            assert_eq!(refused, expected, "{declared:?}");
            assert_eq!((files(folder.path()), temporary_files(&store)), (files_after, 0));
        }
        assert!(files_before < files_after);
    }

    #[tokio::test]
    async fn the_same_bytes_are_stored_once() {
        let (folder, store) = store();
        let bytes = sample(3 * SLICE_SIZE);
        let first = upload(&store, &bytes, bytes.len() as u64).await.expect("stores");
        let before = files(folder.path());
        assert_eq!(upload(&store, &bytes, bytes.len() as u64).await.expect("stores"), first);
        let in_memory = store.clone();
        let again = blocking(move || in_memory.store(&bytes)).await.expect("stores");
        assert_eq!((again, files(folder.path())), (first, before));
    }

    #[tokio::test]
    async fn bytes_that_are_there_already_cost_the_same_work_again() {
        let (_folder, store) = store();
        let bytes = sample(3 * SLICE_SIZE);
        let stored = upload(&store, &bytes, bytes.len() as u64).await.expect("stores");
        let inodes = || {
            let blob = store.path(&stored.id.hash);
            [slice_list_path(&blob), blob].map(|path| fs::metadata(path).expect("there").ino())
        };
        // Held open, so that the numbers of the first files are not given out again.
        let _reader = store.open_blob(stored.id).await.expect("opens");
        let _list = fs::File::open(slice_list_path(&store.path(&stored.id.hash))).expect("opens");
        let before = inodes();
        upload(&store, &bytes, bytes.len() as u64).await.expect("stores");
        let after = inodes();
        assert!(before.iter().zip(after).all(|(before, after)| *before != after), "{before:?} {after:?}");
    }

    #[tokio::test]
    async fn a_blob_whose_slice_list_is_missing_is_stored_again() {
        let (_folder, store) = store();
        let bytes = sample(3 * SLICE_SIZE);
        let stored = upload(&store, &bytes, bytes.len() as u64).await.expect("stores");
        fs::remove_file(slice_list_path(&store.path(&stored.id.hash))).expect("removes");
        assert!(matches!(store.open_blob(stored.id).await, Err(BlobError::Damaged { .. })));
        upload(&store, &bytes, bytes.len() as u64).await.expect("stores");
        store.open_blob(stored.id).await.expect("whole again");
    }

    #[tokio::test]
    async fn more_bytes_than_announced_are_refused_as_they_arrive() {
        let (_folder, store) = store();
        let mut upload = store.begin(10).await.expect("begins");
        upload.push(sample(10)).await.expect("as announced");
        let error = upload.push(sample(1)).await.expect_err("one too many");
        assert!(matches!(error, BlobError::TooLong { announced: 10 }));
        drop(upload);
        assert_eq!(temporary_files(&store), 0);
    }

    #[tokio::test]
    async fn fewer_bytes_than_announced_leave_nothing_behind() {
        let (folder, store) = store();
        let error = upload(&store, &sample(9), 10).await.expect_err("one too few");
        assert!(matches!(error, BlobError::TooShort { announced: 10, arrived: 9 }));
        assert_eq!((temporary_files(&store), files(folder.path())), (0, 0));
    }

    #[tokio::test]
    async fn a_failing_write_loses_the_upload_and_nothing_else() {
        let (folder, store) = store();
        let mut upload = store.begin(4 * SLICE_SIZE as u64).await.expect("begins");
        upload.break_file();
        let mut result = Ok(());
        for _ in 0..4 {
            result = upload.push(sample(SLICE_SIZE)).await;
            if result.is_err() {
                break;
            }
        }
        let error = match result {
            Err(error) => error,
            Ok(()) => upload.finish().await.map(|_| ()).expect_err("no write succeeded"),
        };
        assert!(matches!(error, BlobError::Io(_)), "{error:?}");
        assert_eq!((temporary_files(&store), files(folder.path())), (0, 0));
    }

    #[tokio::test]
    async fn an_upload_that_is_dropped_leaves_nothing_behind() {
        let (_folder, store) = store();
        let mut upload = store.begin(5).await.expect("begins");
        upload.push(sample(4)).await.expect("takes");
        drop(upload);
        assert_eq!(temporary_files(&store), 0);
    }

    #[test]
    fn a_start_drops_what_unfinished_uploads_left() {
        let (folder, store) = store();
        fs::write(store.temporary_folder().join("left"), "x").expect("writes");
        let store = BlobStore::open(folder.path()).expect("opens again");
        assert_eq!(temporary_files(&store), 0);
    }

    #[tokio::test]
    async fn a_blob_that_became_shorter_is_damaged_not_missing() {
        let (_folder, store) = store();
        let bytes = sample(2 * SLICE_SIZE);
        let stored = upload(&store, &bytes, bytes.len() as u64).await.expect("stores");
        let file = fs::OpenOptions::new().write(true).open(store.path(&stored.id.hash)).expect("there");
        file.set_len(SLICE_SIZE as u64).expect("cuts");
        assert!(matches!(store.open_blob(stored.id).await, Err(BlobError::Damaged { .. })));
    }

    #[tokio::test]
    async fn a_blob_is_verified_before_anything_is_made_of_it() {
        let (_folder, store) = store();
        let bytes = sample(2 * SLICE_SIZE + 7);
        let stored = upload(&store, &bytes, bytes.len() as u64).await.expect("stores");
        let reader = store.open_blob(stored.id).await.expect("opens");
        assert_eq!(reader.verified().expect("whole"), bytes);
        let mut changed = bytes.to_vec();
        changed[SLICE_SIZE] ^= 1;
        fs::write(store.path(&stored.id.hash), &changed).expect("writes");
        assert!(matches!(reader.verified(), Err(BlobError::Damaged { .. })));
    }

    #[test]
    fn a_full_disk_is_told_apart() {
        assert!(matches!(BlobError::from(io::Error::from(io::ErrorKind::StorageFull)), BlobError::NoSpace));
        assert!(matches!(BlobError::from(io::Error::from(io::ErrorKind::Other)), BlobError::Io(_)));
    }
}
