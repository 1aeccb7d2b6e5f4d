//! Edges that were expelled, as the origin says: other edges take no calls of theirs, and make none to them.
//!
//! Kept on disk, so that an edge that starts while its origin is away still knows. What was expelled since the origin was last heard
//! is not known; certificates that end bound for how long that can matter.

use arc_swap::ArcSwap;
use skerry_folder::{Readers, write};
use skerry_proto::{document, wire};
use std::collections::HashSet;
use std::path::PathBuf;

use super::state::{StateError, failed};

/// Ids of edges that were expelled.
#[derive(Debug, Default)]
pub struct Expelled {
    /// Where they are kept; nowhere in tests.
    path: Option<PathBuf>,
    ids: ArcSwap<HashSet<String>>,
}

impl Expelled {
    /// What was kept; nobody where nothing was, or where it cannot be read, which the origin's next word mends.
    pub fn load(path: PathBuf) -> Self {
        let kept =
            std::fs::read(&path).ok().and_then(|bytes| document::decode::<wire::Expelled>(&bytes).ok());
        let ids = kept.map(|kept| kept.edge_ids.into_iter().collect()).unwrap_or_default();
        Self { path: Some(path), ids: ArcSwap::from_pointee(ids) }
    }

    /// Whether an edge was expelled.
    pub fn contains(&self, id: &str) -> bool {
        self.ids.load().contains(id)
    }

    /// Takes the origin's word: all who are expelled now. It counts from here on, whether it can be kept or not. Blocks.
    ///
    /// # Errors
    /// [`StateError`] when it cannot be kept.
    pub(super) fn replace(&self, told: wire::Expelled) -> Result<(), StateError> {
        let ids: HashSet<String> = told.edge_ids.iter().cloned().collect();
        if **self.ids.load() == ids {
            return Ok(());
        }
        self.ids.store(ids.into());
        let Some(path) = &self.path else { return Ok(()) };
        write(path, &document::encode(&told), Readers::Owner).map_err(|source| failed(path, source))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(ids: &[&str]) -> wire::Expelled {
        wire::Expelled { edge_ids: ids.iter().map(|&id| id.to_owned()).collect() }
    }

    #[test]
    fn who_was_expelled_stays_so_after_a_restart_until_the_origin_says_otherwise() {
        let temp = tempfile::tempdir().expect("a temporary folder");
        let path = temp.path().join("expelled");
        let expelled = Expelled::load(path.clone());
        assert!(!expelled.contains("ED1"));
        expelled.replace(told(&["ED1", "ED2"])).expect("writes");
        let again = Expelled::load(path.clone());
        assert!(again.contains("ED1") && again.contains("ED2") && !again.contains("ED3"));
        again.replace(told(&["ED2"])).expect("writes");
        assert!(!Expelled::load(path).contains("ED1"));
    }

    #[test]
    fn a_file_that_rotted_is_as_good_as_none() {
        let temp = tempfile::tempdir().expect("a temporary folder");
        let path = temp.path().join("expelled");
        std::fs::write(&path, [0xff; 7]).expect("writes");
        assert!(!Expelled::load(path).contains("ED1"));
    }
}
