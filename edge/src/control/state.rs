//! What an edge keeps of what it was told: a folder for each environment with its pointer, manifest and history, and the position
//! up to which everything is held. With it an edge serves after a restart while the origin is away.
//!
//! Documents are written and fsynced before the pointer that names them; every file is replaced by a rename. Nothing read from here
//! is trusted: pointers are verified again, documents are compared with the hash that names them.

use skerry_folder::{Readers, sync_folder, write};
use skerry_proto::document;
use skerry_proto::hash::Hash;
use skerry_proto::pointer::Version;
use skerry_proto::slices::BlobId;
use skerry_proto::wire;
use std::collections::HashSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Why state cannot be kept.
#[derive(Debug, thiserror::Error)]
#[error("the state file {path}: {source}")]
pub struct StateError {
    path: String,
    source: io::Error,
}

/// The folder. All methods block; async callers use a blocking thread.
#[derive(Debug, Clone)]
pub struct StateFolder {
    root: PathBuf,
}

const POINTER: &str = "pointer";
const POSITION: &str = "position";

impl StateFolder {
    /// Opens the folder, making it where it is missing.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn open(root: PathBuf) -> Result<Self, StateError> {
        let environments = root.join("environments");
        fs::create_dir_all(&environments).map_err(|source| failed(&environments, source))?;
        Ok(Self { root })
    }

    /// All pointers that are kept. What cannot be read is left out, with a line in the log.
    ///
    /// # Errors
    /// [`StateError`] when the folder itself cannot be read.
    pub fn pointers(&self) -> Result<Vec<wire::SignedPointer>, StateError> {
        let environments = self.root.join("environments");
        let entries = fs::read_dir(&environments).map_err(|source| failed(&environments, source))?;
        let mut pointers = Vec::new();
        for entry in entries.flatten() {
            let path = entry.path().join(POINTER);
            match fs::read(&path).map(|bytes| document::decode(&bytes)) {
                Ok(Ok(pointer)) => pointers.push(pointer),
                Ok(Err(error)) => {
                    tracing::warn!(path = %path.display(), %error, "a pointer on disk cannot be used")
                }
                Err(error) => {
                    tracing::warn!(path = %path.display(), %error, "a pointer on disk cannot be read")
                }
            }
        }
        Ok(pointers)
    }

    /// A document of an environment, if it is kept and right.
    pub fn document(&self, domain: &str, blob: BlobId) -> Option<Vec<u8>> {
        let bytes = fs::read(self.folder(domain).join(blob.hash.to_string())).ok()?;
        (BlobId::of(&bytes) == blob).then_some(bytes)
    }

    /// Keeps a document.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn keep_document(&self, domain: &str, hash: Hash, bytes: &[u8]) -> Result<(), StateError> {
        let folder = self.folder(domain);
        fs::create_dir_all(&folder).map_err(|source| failed(&folder, source))?;
        let path = folder.join(hash.to_string());
        write(&path, bytes, Readers::Owner).map_err(|source| failed(&path, source))
    }

    /// Keeps a pointer whose documents are kept, and drops the environment's documents that it does not name.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn keep_pointer(
        &self,
        domain: &str,
        pointer: &wire::SignedPointer,
        named: &HashSet<Hash>,
    ) -> Result<(), StateError> {
        let folder = self.folder(domain);
        fs::create_dir_all(&folder).map_err(|source| failed(&folder, source))?;
        let path = folder.join(POINTER);
        write(&path, &document::encode(pointer), Readers::Owner).map_err(|source| failed(&path, source))?;
        sync_folder(&self.root.join("environments")).map_err(|source| failed(&folder, source))?;
        for entry in fs::read_dir(&folder).map_err(|source| failed(&folder, source))?.flatten() {
            let name = entry.file_name();
            let unnamed = name
                .to_str()
                .and_then(|name| name.parse::<Hash>().ok())
                .is_some_and(|hash| !named.contains(&hash));
            if unnamed {
                // What stays behind is dropped with the next pointer.
                let _ = fs::remove_file(entry.path());
            }
        }
        Ok(())
    }

    /// Forgets an environment.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn forget(&self, domain: &str) -> Result<(), StateError> {
        let folder = self.folder(domain);
        match fs::remove_dir_all(&folder) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => Err(failed(&folder, source)),
            _ => Ok(()),
        }
    }

    /// Everything up to this version is held. Zero where nothing is known.
    pub fn position(&self) -> Version {
        let read = || {
            let bytes = fs::read(self.root.join(POSITION)).ok()?;
            let ack: wire::Ack = document::decode(&bytes).ok()?;
            Some(Version { epoch: ack.epoch, revision: ack.revision })
        };
        read().unwrap_or_default()
    }

    /// Remembers the position.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn set_position(&self, position: Version) -> Result<(), StateError> {
        let path = self.root.join(POSITION);
        let bytes = document::encode(&wire::Ack { epoch: position.epoch, revision: position.revision });
        write(&path, &bytes, Readers::Owner).map_err(|source| failed(&path, source))
    }

    fn folder(&self, domain: &str) -> PathBuf {
        // The hash keeps any domain a valid and short file name.
        self.root.join("environments").join(Hash::of(domain.as_bytes()).to_string())
    }
}

pub(super) fn failed(path: &Path, source: io::Error) -> StateError {
    StateError { path: path.display().to_string(), source }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder() -> (tempfile::TempDir, StateFolder) {
        let temp = tempfile::tempdir().expect("a temporary folder");
        let state = StateFolder::open(temp.path().join("state")).expect("opens");
        (temp, state)
    }

    fn pointer() -> wire::SignedPointer {
        wire::SignedPointer { pointer: "p".into(), signature: "s".into(), key_id: "k".into() }
    }

    #[test]
    fn pointers_and_the_position_survive_a_restart() {
        let (temp, state) = folder();
        assert_eq!(state.position(), Version::default());
        let position = Version { epoch: 2, revision: 40 };
        state.set_position(position).expect("writes");
        state.keep_pointer("a.test", &pointer(), &HashSet::new()).expect("writes");
        let again = StateFolder::open(temp.path().join("state")).expect("opens");
        assert_eq!(again.position(), position);
        assert_eq!(again.pointers().expect("reads"), vec![pointer()]);
        again.forget("a.test").expect("forgets");
        assert!(again.pointers().expect("reads").is_empty());
    }

    #[test]
    fn documents_that_rot_are_not_given_out() {
        let (_temp, state) = folder();
        let blob = BlobId::of(b"manifest");
        state.keep_document("a.test", blob.hash, b"manifest").expect("writes");
        assert_eq!(state.document("a.test", blob).as_deref(), Some(&b"manifest"[..]));
        state.keep_document("a.test", blob.hash, b"manifesT").expect("writes");
        assert_eq!(state.document("a.test", blob), None);
    }

    #[test]
    fn a_new_pointer_drops_documents_that_it_does_not_name() {
        let (_temp, state) = folder();
        let (old, new) = (BlobId::of(b"old"), BlobId::of(b"new"));
        state.keep_document("a.test", old.hash, b"old").expect("writes");
        state.keep_document("a.test", new.hash, b"new").expect("writes");
        state.keep_pointer("a.test", &pointer(), &HashSet::from([new.hash])).expect("writes");
        assert_eq!(state.document("a.test", old), None);
        assert!(state.document("a.test", new).is_some());
    }
}
