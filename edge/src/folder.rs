//! The data folder: one process at a time, readable by its owner alone, of a version that this program knows.

use std::fs::{self, DirBuilder, File, TryLockError};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// Version of the folder's layout that this program writes.
const VERSION: u32 = 1;

/// A data folder that this process has to itself until it ends.
#[derive(Debug)]
pub struct DataFolder {
    path: PathBuf,
    _lock: File,
}

/// Why a data folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// Another process has it.
    #[error("the data folder {0} is in use by another process")]
    Locked(PathBuf),
    /// It was written by a newer program.
    #[error(
        "the data folder {path} has version {found}, this program reads version {VERSION}; use a newer skerry or another folder"
    )]
    Newer {
        /// Which folder.
        path: PathBuf,
        /// What its file `format` says.
        found: String,
    },
    /// It cannot be made, read or written.
    #[error("the data folder {path}: {source}")]
    Io {
        /// Which file or folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl DataFolder {
    /// Takes the folder, making it with mode 0700 where it is missing. Blocks.
    ///
    /// # Errors
    /// Any [`FolderError`]; nothing is changed in a folder of a newer version.
    pub fn take(path: &Path) -> Result<Self, FolderError> {
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |source| FolderError::Io { path, source }
        };
        DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(failed(path))?;
        let lock_path = path.join("lock");
        let lock = File::options()
            .write(true)
            .create(true)
            .truncate(false)
            .open(&lock_path)
            .map_err(failed(&lock_path))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(FolderError::Locked(path.to_owned())),
            Err(TryLockError::Error(source)) => return Err(failed(&lock_path)(source)),
        }
        let format = path.join("format");
        match fs::read_to_string(&format) {
            Ok(found) if found.trim() == VERSION.to_string() => {}
            Ok(found) => {
                return Err(FolderError::Newer { path: path.to_owned(), found: found.trim().to_owned() });
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                fs::write(&format, format!("{VERSION}\n")).map_err(failed(&format))?;
            }
            Err(source) => return Err(failed(&format)(source)),
        }
        Ok(Self { path: path.to_owned(), _lock: lock })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_for_one_process_and_its_owner() {
        use std::os::unix::fs::PermissionsExt;
        let temp = tempfile::tempdir().expect("a temporary folder");
        let path = temp.path().join("data");
        let held = DataFolder::take(&path).expect("free");
        assert_eq!(fs::metadata(&path).expect("there").permissions().mode() & 0o777, 0o700);
        assert!(matches!(DataFolder::take(&path), Err(FolderError::Locked(_))));
        drop(held);
        assert!(DataFolder::take(&path).is_ok());
    }

    #[test]
    fn a_folder_of_a_newer_version_is_refused() {
        let temp = tempfile::tempdir().expect("a temporary folder");
        drop(DataFolder::take(temp.path()).expect("free"));
        fs::write(temp.path().join("format"), "2\n").expect("writes");
        let error = DataFolder::take(temp.path()).expect_err("newer").to_string();
        assert!(error.contains("has version 2"), "{error}");
    }
}
