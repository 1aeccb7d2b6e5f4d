//! The data folder: one process at a time, closed to other users, of a version that this program knows.
//!
//! Whatever speaks against a folder is found before anything in it is changed: another version, other people's files, missing
//! permission. What was made for a start that fails is taken away again: a new folder goes, with all that was put into it, unless
//! [`DataFolder::keep`] was called. The lock is an advisory one on an open file, so it ends with the process, however that ends.

use crate::file::{self, Readers, folder_of, sync_folder};
use std::ffi::OsStr;
use std::fs::{self, DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

/// The version of the folder that this program writes, and the newest it reads.
const FORMAT: u32 = 1;

const FORMAT_FILE: &str = "format";
const LOCK_FILE: &str = "lock";

/// Every new ext file system has it.
const LOST_AND_FOUND: &str = "lost+found";

/// Why a data folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// Another process has it.
    #[error("the data folder {} is in use by another skerry process; stop that one, or choose another folder", .0.display())]
    Locked(PathBuf),
    /// It holds files, and none that says that they are ours.
    #[error("the folder {} is not empty, and no data folder of skerry; choose another folder", .0.display())]
    Foreign(PathBuf),
    /// It cannot be written to.
    #[error("the data folder {} is not writable; give this user write permission, or choose another folder", .folder.display())]
    NotWritable {
        /// The folder.
        folder: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It belongs to somebody else, so that its mode cannot be changed.
    #[error("the data folder {} is open to other users and cannot be closed to them (mode 0700); give it to this user, or choose another folder", .folder.display())]
    NotClosed {
        /// The folder.
        folder: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The disk is full.
    #[error("no space is left on the disk of the data folder {}; free some, or choose a folder on another disk", .0.display())]
    NoSpace(PathBuf),
    /// It was written by a newer program.
    #[error("the data folder {} has format {found}, this program reads up to {FORMAT}; use the newer skerry that wrote it", .folder.display())]
    Newer {
        /// The folder.
        folder: PathBuf,
        /// Its version.
        found: u32,
    },
    /// Its version cannot be read.
    #[error(
        "{} does not say which version the data folder has, as after a disk that was full; write {FORMAT} into it if this version made the folder, or choose another folder",
        .0.display()
    )]
    Unreadable(PathBuf),
    /// Anything else that the system refuses.
    #[error("cannot use the data folder {}", .folder.display())]
    Io {
        /// The folder.
        folder: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// A data folder that this process has to itself, until this is dropped.
#[derive(Debug)]
pub struct DataFolder {
    path: PathBuf,
    /// Folders that were made for it, outermost first.
    made: Vec<PathBuf>,
    is_kept: AtomicBool,
    _lock: File,
}

impl DataFolder {
    /// Takes the folder, and makes it where it is missing.
    ///
    /// # Errors
    /// Any [`FolderError`]; the disk is then as it was.
    pub fn take(path: &Path) -> Result<Self, FolderError> {
        inspect(path)?;
        let refused = |source| refused(path, source);
        let made = make_durably(path).map_err(refused)?;
        let lock = match lock(path) {
            Ok(lock) => lock,
            Err(error) => {
                remove_made(&made);
                return Err(error);
            }
        };
        // From here on an error takes away what was made.
        let mut folder = Self { path: path.to_owned(), made, is_kept: AtomicBool::new(false), _lock: lock };
        // Somebody may have written it between the first look and the lock.
        let is_ours = inspect(path);
        *folder.is_kept.get_mut() = !matches!(is_ours, Ok(false));
        if !is_ours? {
            let version = format!("{FORMAT}\n");
            file::write(&path.join(FORMAT_FILE), version.as_bytes(), Readers::Owner).map_err(refused)?;
        }
        close_to_others(path)?;
        Ok(folder)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// From now on it holds what must not be lost, even if the start fails later.
    pub fn keep(&self) {
        self.is_kept.store(true, Ordering::Relaxed);
    }

    /// A folder inside, closed to others as well; made where it is missing.
    ///
    /// # Errors
    /// [`FolderError::NotWritable`], [`FolderError::NotClosed`], [`FolderError::NoSpace`], [`FolderError::Io`].
    pub fn inner(&self, name: &str) -> Result<PathBuf, FolderError> {
        let path = self.path.join(name);
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&path)
            .map_err(|source| refused(&path, source))?;
        close_to_others(&path)?;
        Ok(path)
    }

    /// Takes away what was made; nothing else was there. What cannot be removed stays, since the start has failed already.
    fn undo(&self) {
        for entry in entries(&self.path).unwrap_or_default() {
            if entry != LOCK_FILE && entry != LOST_AND_FOUND {
                let entry = self.path.join(entry);
                let _ = fs::remove_dir_all(&entry).or_else(|_| fs::remove_file(&entry));
            }
        }
        // The lock last: up to here nobody else takes the folder.
        let _ = fs::remove_file(self.path.join(LOCK_FILE));
        remove_made(&self.made);
    }
}

impl Drop for DataFolder {
    fn drop(&mut self) {
        if !*self.is_kept.get_mut() {
            self.undo();
        }
    }
}

/// Whether a folder that may be used has a version already. Changes nothing.
fn inspect(path: &Path) -> Result<bool, FolderError> {
    let names = match entries(path) {
        Ok(names) => names,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(source) => return Err(refused(path, source)),
    };
    let mode = fs::metadata(path).map_err(|source| refused(path, source))?.permissions().mode();
    if mode & 0o200 == 0 {
        // A superuser could write, but whoever took the permission away meant it.
        let source = io::ErrorKind::PermissionDenied.into();
        return Err(FolderError::NotWritable { folder: path.to_owned(), source });
    }
    let file = path.join(FORMAT_FILE);
    let text = match fs::read_to_string(&file) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let is_empty = names.iter().all(|name| is_nobodys(name));
            return if is_empty { Ok(false) } else { Err(FolderError::Foreign(path.to_owned())) };
        }
        Err(source) => return Err(refused(path, source)),
    };
    match text.trim().parse() {
        Ok(found) if found > FORMAT => Err(FolderError::Newer { folder: path.to_owned(), found }),
        Ok(0) | Err(_) => Err(FolderError::Unreadable(file)),
        Ok(_) => Ok(true),
    }
}

/// What lies in a folder that nobody uses: what the file system puts there, and what a process leaves that was killed at the very
/// beginning.
fn is_nobodys(name: &OsStr) -> bool {
    let is_unfinished = || {
        let name = name.to_string_lossy();
        name.starts_with(&format!(".{FORMAT_FILE}.")) && name.ends_with(".new")
    };
    name == LOCK_FILE || name == LOST_AND_FOUND || is_unfinished()
}

fn entries(path: &Path) -> io::Result<Vec<std::ffi::OsString>> {
    fs::read_dir(path)?.map(|entry| entry.map(|entry| entry.file_name())).collect()
}

/// Makes a folder with those that it is in, where they are missing, each durable in its parent; all of them or none. Which.
fn make_durably(path: &Path) -> io::Result<Vec<PathBuf>> {
    let missing = path.ancestors().take_while(|folder| !folder.as_os_str().is_empty() && !folder.exists());
    let mut missing: Vec<_> = missing.map(Path::to_owned).collect();
    missing.reverse();
    let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
    let made = made.and_then(|()| missing.iter().try_for_each(|folder| sync_folder(folder_of(folder))));
    match made {
        Ok(()) => Ok(missing),
        Err(error) => {
            remove_made(&missing);
            Err(error)
        }
    }
}

fn remove_made(made: &[PathBuf]) {
    for folder in made.iter().rev() {
        // Fails where somebody else put something there, which is right.
        let _ = fs::remove_dir(folder);
    }
}

fn lock(path: &Path) -> Result<File, FolderError> {
    let refused = |source| refused(path, source);
    let locked = || FolderError::Locked(path.to_owned());
    let file = path.join(LOCK_FILE);
    let mut options = OpenOptions::new();
    options.create(true).truncate(false).write(true).mode(0o600);
    let lock = options.open(&file).map_err(refused)?;
    lock.try_lock().map_err(|error| match error {
        TryLockError::WouldBlock => locked(),
        TryLockError::Error(source) => refused(source),
    })?;
    // Whoever had it may have taken it away between the two calls; then it locks nothing.
    let is_there = fs::metadata(&file).is_ok_and(|there| {
        lock.metadata().is_ok_and(|ours| (ours.dev(), ours.ino()) == (there.dev(), there.ino()))
    });
    if is_there { Ok(lock) } else { Err(locked()) }
}

fn close_to_others(path: &Path) -> Result<(), FolderError> {
    let mode = fs::metadata(path).map_err(|source| refused(path, source))?.permissions().mode();
    if mode & 0o077 == 0 {
        return Ok(());
    }
    fs::set_permissions(path, Permissions::from_mode(0o700))
        .map_err(|source| FolderError::NotClosed { folder: path.to_owned(), source })
}

fn refused(folder: &Path, source: io::Error) -> FolderError {
    let folder = folder.to_owned();
    match source.kind() {
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            FolderError::NotWritable { folder, source }
        }
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => FolderError::NoSpace(folder),
        _ => FolderError::Io { folder, source },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<_> =
            entries(folder).expect("reads").iter().map(|name| name.to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).expect("there").permissions().mode() & 0o777
    }

    #[test]
    fn a_new_folder_is_closed_to_others_and_says_its_version() {
        let parent = tempfile::tempdir().expect("a temporary folder");
        let path = parent.path().join("a/b");
        let folder = DataFolder::take(&path).expect("takes");
        let inner = folder.inner("cache").expect("makes");
        assert_eq!((mode(&path), mode(&inner)), (0o700, 0o700));
        assert_eq!(fs::read_to_string(path.join("format")).expect("there"), "1\n");
    }

    #[test]
    fn a_folder_that_was_open_to_others_is_closed() {
        let parent = tempfile::tempdir().expect("a temporary folder");
        let path = parent.path().join("data");
        fs::create_dir_all(path.join("cache")).expect("makes");
        fs::write(path.join("format"), "1\n").expect("writes");
        for folder in [path.clone(), path.join("cache")] {
            fs::set_permissions(folder, Permissions::from_mode(0o755)).expect("our own");
        }
        DataFolder::take(&path).expect("takes").inner("cache").expect("there");
        assert_eq!((mode(&path), mode(&path.join("cache"))), (0o700, 0o700));
    }

    #[test]
    fn a_second_process_is_told_which_folder_is_locked() {
        let parent = tempfile::tempdir().expect("a temporary folder");
        let first = DataFolder::take(parent.path()).expect("takes");
        let error = DataFolder::take(parent.path()).expect_err("locked");
        assert!(matches!(error, FolderError::Locked(_)));
        assert!(error.to_string().contains(&parent.path().display().to_string()));
        drop(first);
        DataFolder::take(parent.path()).expect("free again");
    }

    #[test]
    fn a_new_folder_goes_again_unless_it_is_kept() {
        let parent = tempfile::tempdir().expect("a temporary folder");
        let path = parent.path().join("a/b");
        let folder = DataFolder::take(&path).expect("takes");
        fs::write(folder.inner("keys").expect("makes").join("key"), "k").expect("writes");
        drop(folder);
        assert!(names(parent.path()).is_empty());
        DataFolder::take(&path).expect("takes").keep();
        assert_eq!(names(&path), ["format", "lock"]);
        drop(DataFolder::take(&path).expect("takes what was kept"));
        assert_eq!(names(&path), ["format", "lock"]);
    }

    #[test]
    fn an_empty_folder_stays_and_so_does_what_its_file_system_put_there() {
        let parent = tempfile::tempdir().expect("a temporary folder");
        fs::create_dir(parent.path().join("lost+found")).expect("makes");
        drop(DataFolder::take(parent.path()).expect("takes"));
        assert_eq!(names(parent.path()), ["lost+found"]);
    }

    #[test]
    fn what_a_process_left_that_was_killed_at_the_very_beginning_is_no_hindrance() {
        let parent = tempfile::tempdir().expect("a temporary folder");
        for name in ["lock", ".format.7.new"] {
            fs::write(parent.path().join(name), "").expect("writes");
        }
        DataFolder::take(parent.path()).expect("takes");
    }

    #[test]
    fn a_folder_with_other_files_is_refused_and_left_as_it_was() {
        let parent = tempfile::tempdir().expect("a temporary folder");
        fs::set_permissions(parent.path(), Permissions::from_mode(0o755)).expect("our own");
        fs::write(parent.path().join("thesis.txt"), "x").expect("writes");
        let error = DataFolder::take(parent.path()).expect_err("foreign");
        assert!(matches!(error, FolderError::Foreign(_)));
        assert_eq!((names(parent.path()), mode(parent.path())), (vec!["thesis.txt".into()], 0o755));
    }

    #[test]
    fn a_folder_that_its_owner_may_not_write_stays_so() {
        let parent = tempfile::tempdir().expect("a temporary folder");
        let path = parent.path().join("data");
        fs::create_dir(&path).expect("makes");
        fs::set_permissions(&path, Permissions::from_mode(0o555)).expect("our own");
        let error = DataFolder::take(&path).expect_err("not writable");
        assert!(matches!(error, FolderError::NotWritable { .. }));
        assert_eq!((names(&path), mode(&path)), (Vec::new(), 0o555));
    }

    #[test]
    fn a_newer_folder_is_refused_and_left_as_it_was() {
        let parent = tempfile::tempdir().expect("a temporary folder");
        fs::write(parent.path().join("format"), "2\n").expect("writes");
        let error = DataFolder::take(parent.path()).expect_err("newer");
        assert!(matches!(error, FolderError::Newer { found: 2, .. }));
        assert_eq!(names(parent.path()), ["format"]);
    }

    #[test]
    fn a_folder_whose_version_is_no_number_is_told_what_to_do() {
        let parent = tempfile::tempdir().expect("a temporary folder");
        for text in ["", "zero", "0", "-1"] {
            fs::write(parent.path().join("format"), text).expect("writes");
            let error = DataFolder::take(parent.path()).expect_err("unreadable").to_string();
            assert!(error.contains("write 1 into it"), "{error}");
            assert_eq!(names(parent.path()), ["format"]);
        }
    }

    #[test]
    fn a_file_in_the_place_of_the_folder_is_an_error_that_names_it() {
        let parent = tempfile::tempdir().expect("a temporary folder");
        let path = parent.path().join("file");
        fs::write(&path, "x").expect("writes");
        let error = DataFolder::take(&path).expect_err("no folder");
        assert!(error.to_string().contains(&path.display().to_string()));
    }
}
