//! Files that must be whole: written beside their name, made durable, then renamed.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Who may read a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Readers {
    /// Its owner: it is a secret, or nobody else's business.
    Owner,
    /// Everybody.
    All,
}

impl Readers {
    const fn mode(self) -> u32 {
        match self {
            Self::Owner => 0o600,
            Self::All => 0o644,
        }
    }
}

/// Makes or replaces a file: after a power cut it holds the old bytes or the new. Leaves nothing else behind when it fails.
///
/// # Errors
/// What the system said.
pub fn write(path: &Path, bytes: &[u8], readers: Readers) -> io::Result<()> {
    let temporary = beside(path);
    let written = (|| {
        remove_if_there(&temporary)?;
        let mut file =
            OpenOptions::new().create_new(true).write(true).mode(readers.mode()).open(&temporary)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&temporary, path)?;
        sync_folder(folder_of(path))
    })();
    if written.is_err() {
        // It failed already; why is in that error.
        let _ = fs::remove_file(&temporary);
    }
    written
}

/// Removes a file, durably; one that is not there is fine.
///
/// # Errors
/// What the system said.
pub fn remove(path: &Path) -> io::Result<()> {
    remove_if_there(path)?;
    sync_folder(folder_of(path))
}

/// A name in the same folder that no other process uses.
pub fn beside(path: &Path) -> PathBuf {
    let mut name = OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(format!(".{}.new", std::process::id()));
    path.with_file_name(name)
}

/// Makes the entries of a folder durable.
///
/// # Errors
/// What the system said.
pub fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// The folder that a file or folder lies in.
pub(crate) fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn remove_if_there(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_secret_is_readable_by_its_owner_alone_and_nothing_else_is_left() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("secret");
        write(&path, b"one", Readers::Owner).expect("writes");
        write(&path, b"two", Readers::Owner).expect("writes again");
        assert_eq!(fs::read(&path).expect("reads"), b"two");
        assert_eq!(fs::metadata(&path).expect("there").permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(folder.path()).expect("reads").count(), 1);
        remove(&path).expect("removes");
        remove(&path).expect("fine when it is not there");
    }

    #[test]
    fn a_file_that_cannot_be_written_leaves_nothing() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("taken");
        fs::create_dir(&path).expect("a folder in its place");
        write(&path, b"x", Readers::All).expect_err("a folder is there");
        assert_eq!(fs::read_dir(folder.path()).expect("reads").count(), 1);
    }
}
