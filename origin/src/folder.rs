//! The data folder: made, locked, and of a version that this program understands.
//!
//! A folder of a newer version is refused before anything in it is changed. The lock is an advisory one on an open file, so it
//! goes with the process, however that ends. Everything here blocks: call it off the async workers.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// The version of the folder that this program writes, and the newest it reads.
const FORMAT: u32 = 1;

const FORMAT_FILE: &str = "format";
const LOCK_FILE: &str = "lock";

/// Why a data folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// Another process has it.
    #[error("the data folder {} is in use by another skerry process; stop that one, or choose another folder", .0.display())]
    Locked(PathBuf),
    /// It cannot be written to.
    #[error("the data folder {} is not writable; give this user write permission, or choose another folder", .folder.display())]
    NotWritable {
        /// The folder.
        folder: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It was written by a newer program.
    #[error("the data folder {} has format {found}, this program reads up to {FORMAT}; use the newer skerry that wrote it", .folder.display())]
    Newer {
        /// The folder.
        folder: PathBuf,
        /// Its version.
        found: u32,
    },
    /// Its version cannot be read.
    #[error("{} does not hold the version of a data folder", .0.display())]
    Format(PathBuf),
    /// Anything else that the system refuses.
    #[error("cannot use {}", .path.display())]
    Io {
        /// What was used.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// A locked data folder. The lock ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Folder {
    path: PathBuf,
    _lock: File,
}

impl Folder {
    /// Makes the folder where it is missing, checks its version, and locks it.
    pub(crate) fn open(path: &Path) -> Result<Self, FolderError> {
        let refused = |source: io::Error| match source.kind() {
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                FolderError::NotWritable { folder: path.to_owned(), source }
            }
            _ => FolderError::Io { path: path.to_owned(), source },
        };
        make_durably(path).map_err(refused)?;
        check_format(path, refused)?;
        let mode = fs::metadata(path).map_err(refused)?.permissions().mode();
        if mode & 0o077 != 0 {
            fs::set_permissions(path, fs::Permissions::from_mode(0o700)).map_err(refused)?;
        }
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(path.join(LOCK_FILE))
            .map_err(refused)?;
        lock.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => FolderError::Locked(path.to_owned()),
            TryLockError::Error(source) => refused(source),
        })?;
        // Somebody may have written it between the first look and the lock.
        if !check_format(path, refused)? {
            write_durably(path, FORMAT_FILE, format!("{FORMAT}\n").as_bytes()).map_err(refused)?;
        }
        Ok(Self { path: path.to_owned(), _lock: lock })
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

/// Makes a folder with those that it is in, where they are missing, each durable in its parent.
fn make_durably(path: &Path) -> io::Result<()> {
    let missing: Vec<_> =
        path.ancestors().take_while(|folder| !folder.as_os_str().is_empty() && !folder.exists()).collect();
    DirBuilder::new().recursive(true).mode(0o700).create(path)?;
    for folder in missing.into_iter().rev() {
        match folder.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => sync_folder(parent)?,
            _ => sync_folder(Path::new("."))?,
        }
    }
    Ok(())
}

/// Whether the folder has a version; an error if it is not ours to read.
fn check_format(path: &Path, refused: impl Fn(io::Error) -> FolderError) -> Result<bool, FolderError> {
    let file = path.join(FORMAT_FILE);
    let text = match fs::read_to_string(&file) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(refused(error)),
    };
    match text.trim().parse::<u32>() {
        Ok(found) if found > FORMAT => Err(FolderError::Newer { folder: path.to_owned(), found }),
        Ok(0) | Err(_) => Err(FolderError::Format(file)),
        Ok(_) => Ok(true),
    }
}

/// Makes or replaces `folder/name` with mode 0600: after a power cut it holds the old bytes or the new, never a mixture.
pub(crate) fn write_durably(folder: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
    let temporary = folder.join(format!("{name}.new"));
    let mut file = OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(&temporary)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&temporary, folder.join(name))?;
    sync_folder(folder)
}

/// Makes the entries of a folder durable.
pub(crate) fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn snapshot(folder: &Path) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(folder)
            .expect("reads")
            .map(|entry| entry.expect("entry").file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn a_new_folder_is_closed_to_others() {
        let parent = tempfile::tempdir().expect("temp");
        let path = parent.path().join("a/b");
        let folder = Folder::open(&path).expect("opens");
        assert_eq!(fs::metadata(folder.path()).expect("there").permissions().mode() & 0o777, 0o700);
        assert_eq!(fs::read_to_string(path.join("format")).expect("there"), "1\n");
    }

    #[test]
    fn a_second_user_is_told_which_folder_is_locked() {
        let folder = tempfile::tempdir().expect("temp");
        let first = Folder::open(folder.path()).expect("opens");
        let error = Folder::open(folder.path()).expect_err("locked");
        assert!(matches!(error, FolderError::Locked(_)));
        assert!(error.to_string().contains(&folder.path().display().to_string()));
        drop(first);
        Folder::open(folder.path()).expect("free again");
    }

    #[test]
    fn a_newer_folder_is_refused_and_left_as_it_was() {
        let folder = tempfile::tempdir().expect("temp");
        fs::write(folder.path().join("format"), "2\n").expect("writes");
        let error = Folder::open(folder.path()).expect_err("newer");
        assert!(matches!(error, FolderError::Newer { found: 2, .. }));
        assert_eq!(snapshot(folder.path()), ["format"]);
    }

    #[test]
    fn a_folder_whose_version_is_no_number_is_refused() {
        let folder = tempfile::tempdir().expect("temp");
        for text in ["", "zero", "0", "-1"] {
            fs::write(folder.path().join("format"), text).expect("writes");
            assert!(matches!(Folder::open(folder.path()), Err(FolderError::Format(_))), "{text:?}");
        }
    }

    #[test]
    fn a_file_in_the_place_of_the_folder_is_an_error_that_names_it() {
        let parent = tempfile::tempdir().expect("temp");
        let path = parent.path().join("file");
        fs::write(&path, "x").expect("writes");
        let error = Folder::open(&path).expect_err("no folder");
        assert!(error.to_string().contains(&path.display().to_string()));
    }
}
