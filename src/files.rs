//! Small files that must be whole, with errors that name them.

use anyhow::Context;
use skerry_folder::Readers;
use std::path::Path;

/// Makes or replaces a file: after a power cut it holds the old bytes or the new. Blocks.
///
/// # Errors
/// Names the file.
pub(crate) fn write(path: &Path, bytes: &[u8], readers: Readers) -> anyhow::Result<()> {
    skerry_folder::write(path, bytes, readers).with_context(|| format!("cannot write {}", path.display()))
}

/// Removes a file, durably; one that is not there is fine. Blocks.
///
/// # Errors
/// Names the file.
pub(crate) fn remove(path: &Path) -> anyhow::Result<()> {
    skerry_folder::remove(path).with_context(|| format!("cannot remove {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_cannot_be_written_is_named() {
        let error = write(Path::new("/nowhere/at/all"), b"x", Readers::All).expect_err("no such folder");
        assert!(error.to_string().contains("/nowhere/at/all"));
    }
}
