//! Small files that must be whole: written beside their name, made durable, then renamed.

use anyhow::Context;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Who may read a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Readers {
    /// Its owner: it is a secret.
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

/// Makes or replaces a file: after a power cut it holds the old bytes or the new. Blocks.
///
/// # Errors
/// Names the file.
pub(crate) fn write(path: &Path, bytes: &[u8], readers: Readers) -> anyhow::Result<()> {
    let temporary = beside(path);
    let written = (|| {
        let _ = fs::remove_file(&temporary);
        let mut file =
            OpenOptions::new().create_new(true).write(true).mode(readers.mode()).open(&temporary)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&temporary, path)?;
        sync_folder_of(path)
    })();
    if written.is_err() {
        let _ = fs::remove_file(&temporary);
    }
    written.with_context(|| format!("cannot write {}", path.display()))
}

/// Removes a file, durably; one that is not there is fine. Blocks.
///
/// # Errors
/// Names the file.
pub(crate) fn remove(path: &Path) -> anyhow::Result<()> {
    match fs::remove_file(path) {
        Ok(()) => sync_folder_of(path),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
    .with_context(|| format!("cannot remove {}", path.display()))
}

/// A name in the same folder that nobody else uses.
pub(crate) fn beside(path: &Path) -> PathBuf {
    let mut name = std::ffi::OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(format!(".{}.new", std::process::id()));
    path.with_file_name(name)
}

fn sync_folder_of(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
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
    fn a_file_that_cannot_be_written_is_named() {
        let error = write(Path::new("/nowhere/at/all"), b"x", Readers::All).expect_err("no such folder");
        assert!(error.to_string().contains("/nowhere/at/all"));
    }
}
