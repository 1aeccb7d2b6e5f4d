//! The keys that may sign for the cluster: a chain that begins with the set that the edge joined with, and grows by what the origin says.
//!
//! Each link is verified before it counts, and is on disk before anything that it signs is taken; what is read from there is verified
//! again. A chain that is lost is asked for anew, and until then what its later keys signed is not shown.

use super::identity::Identity;
use super::state::{StateError, failed};
use arc_swap::ArcSwap;
use skerry_folder::{Readers, write};
use skerry_proto::document;
use skerry_proto::key_chain::{ChainError, KeyChain};
use skerry_proto::wire;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

const FILE: &str = "key-chain";

/// The chain, and the file that it is kept in.
#[derive(Debug)]
pub(crate) struct TrustedKeys {
    chain: ArcSwap<KeyChain>,
    file: PathBuf,
}

/// Why a key set does not count.
#[derive(Debug, thiserror::Error)]
pub(super) enum KeysError {
    /// It must not.
    #[error("refused: {0}")]
    Refused(#[from] ChainError),
    /// It cannot be kept.
    #[error(transparent)]
    State(#[from] StateError),
}

impl TrustedKeys {
    /// Takes the chain up where the last run left it. Blocks.
    pub(crate) fn load(folder: &Path, identity: &Identity) -> Self {
        let chain = key_chain(folder, identity).unwrap_or_else(|error| {
            tracing::error!(%error, "the keys that came after the first ones are not known; the origin is asked for them");
            KeyChain::new(identity.keys.clone())
        });
        Self { chain: ArcSwap::from_pointee(chain), file: folder.join(FILE) }
    }

    /// The chain as it is now.
    pub(crate) fn chain(&self) -> Arc<KeyChain> {
        self.chain.load_full()
    }

    /// Takes the next set, and keeps it; `false` where it is held already. Blocks. One caller at a time.
    ///
    /// # Errors
    /// Any [`KeysError`]; the chain is as it was.
    pub(super) fn take(&self, signed: &wire::SignedKeySet) -> Result<bool, KeysError> {
        let mut chain = KeyChain::clone(&self.chain());
        if !chain.extend(signed)? {
            return Ok(false);
        }
        let bytes = document::encode(&chain.to_wire());
        write(&self.file, &bytes, Readers::Owner).map_err(|source| failed(&self.file, source))?;
        self.chain.store(Arc::new(chain));
        Ok(true)
    }
}

/// The chain that is kept in the data folder of an edge.
///
/// # Errors
/// What is wrong with the file.
pub fn key_chain(folder: &Path, identity: &Identity) -> Result<KeyChain, KeyChainError> {
    let path = folder.join(FILE);
    let kept = match std::fs::read(&path) {
        Ok(bytes) => document::decode(&bytes).map_err(ChainError::from)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => wire::KeyChain::default(),
        Err(source) => return Err(KeyChainError::File { path: path.display().to_string(), source }),
    };
    Ok(KeyChain::resume(identity.keys.clone(), &kept)?)
}

/// Why a chain that was kept cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyChainError {
    /// The file cannot be read.
    #[error("the key chain {path}: {source}")]
    File {
        /// Where it is.
        path: String,
        /// Why.
        source: io::Error,
    },
    /// It is not what was written.
    #[error("the key chain on disk cannot be used: {0}")]
    Chain(#[from] ChainError),
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
    use skerry_proto::key_chain::sign;
    use skerry_proto::signature::{KeySet, SigningKey};
    use std::os::unix::fs::PermissionsExt;

    fn key() -> SigningKey {
        SigningKey::from_pkcs8(&SigningKey::generate().expect("randomness")).expect("own key")
    }

    fn set(number: u64, key: &SigningKey) -> KeySet {
        KeySet { number, cluster_id: [1; 16], keys: vec![key.public_key().try_into().expect("32 bytes")] }
    }

    fn identity(keys: KeySet) -> Identity {
        Identity {
            edge_id: "ED1".into(),
            certificate: CertificateDer::from(Vec::new()),
            key: PrivatePkcs8KeyDer::from(Vec::new()),
            authority: CertificateDer::from(Vec::new()),
            keys,
        }
    }

    #[test]
    fn what_was_taken_is_there_after_a_restart_and_is_for_its_owner_alone() {
        let folder = tempfile::tempdir().expect("temp");
        let (first, second) = (key(), key());
        let identity = identity(set(1, &first));
        let keys = TrustedKeys::load(folder.path(), &identity);
        let signed = sign(&set(2, &second), [&first, &second]);
        assert!(keys.take(&signed).expect("the next one"));
        assert!(!keys.take(&signed).expect("the same again"));
        assert_eq!(TrustedKeys::load(folder.path(), &identity).chain(), keys.chain());
        let mode = std::fs::metadata(folder.path().join(FILE)).expect("written").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn what_is_refused_or_damaged_changes_nothing() {
        let folder = tempfile::tempdir().expect("temp");
        let (first, stranger) = (key(), key());
        let identity = identity(set(1, &first));
        let keys = TrustedKeys::load(folder.path(), &identity);
        let forged = sign(&set(2, &stranger), [&stranger]);
        assert!(matches!(keys.take(&forged), Err(KeysError::Refused(ChainError::NotSigned))));
        assert!(!folder.path().join(FILE).exists(), "and is not kept");
        let planted = wire::KeyChain { sets: vec![forged] };
        std::fs::write(folder.path().join(FILE), document::encode(&planted)).expect("writes");
        assert_eq!(TrustedKeys::load(folder.path(), &identity).chain().current(), &identity.keys);
    }
}
