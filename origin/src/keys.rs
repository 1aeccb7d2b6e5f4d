//! The secrets of a cluster: the key of its authority and the key that signs pointers, as files of mode 0600.
//!
//! They are made together, once. A catalogue without its keys is an error, never a reason to make new ones: every edge would
//! refuse what they sign. Everything here blocks: call it off the async workers.

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use skerry_folder::{Readers, sync_folder, write};
use skerry_proto::authority::{Authority, AuthorityError, Identity, pem};
use skerry_proto::signature::{KeySet, SignatureError, SigningKey};
use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

const FOLDER: &str = "keys";
const AUTHORITY_CERTIFICATE: &str = "authority.pem";
const AUTHORITY_KEY: &str = "authority-key.pem";
const SIGNING_KEY: &str = "signing-key.pem";

/// Why the keys of a cluster cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// A file cannot be read or written.
    #[error("cannot use the key file {}", .path.display())]
    Io {
        /// Which one.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file is not what it should be.
    #[error("{} is not the PEM file that was written there; restore it from a backup", .0.display())]
    Malformed(PathBuf),
    /// The authority cannot be made or taken up.
    #[error("the cluster's authority cannot be used")]
    Authority(#[from] AuthorityError),
    /// The signing key cannot be made or taken up.
    #[error("the cluster's signing key cannot be used")]
    Signing(#[from] SignatureError),
}

/// The keys of a cluster.
#[derive(Debug)]
pub(crate) struct Keys {
    pub(crate) authority: AuthorityWithDebug,
    pub(crate) signing: SigningKey,
}

/// An [`Authority`] that does not print itself.
pub(crate) struct AuthorityWithDebug(pub(crate) Authority);

impl std::fmt::Debug for AuthorityWithDebug {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Authority(…)")
    }
}

impl Keys {
    /// Whether the data folder has keys.
    pub(crate) fn exist(data: &Path) -> bool {
        data.join(FOLDER).exists()
    }

    /// Makes new keys, durably: all of them or none.
    pub(crate) fn generate(data: &Path, now: SystemTime) -> Result<(), KeysError> {
        let authority = Authority::generate("Skerry cluster authority", now)?;
        let signing = pem("PRIVATE KEY", &SigningKey::generate()?);
        let unfinished = data.join("keys.new");
        let keep = |name: &str, bytes: &[u8]| write(&unfinished.join(name), bytes, Readers::Owner);
        let all = || {
            match fs::remove_dir_all(&unfinished) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => DirBuilder::new().mode(0o700).create(&unfinished)?,
            }
            keep(AUTHORITY_CERTIFICATE, authority.certificate_pem().as_bytes())?;
            keep(AUTHORITY_KEY, authority.key_pem().as_bytes())?;
            keep(SIGNING_KEY, signing.as_bytes())?;
            fs::rename(&unfinished, data.join(FOLDER))?;
            sync_folder(data)
        };
        all().map_err(|source| KeysError::Io { path: data.join(FOLDER), source })
    }

    /// Reads the keys of the data folder.
    pub(crate) fn load(data: &Path) -> Result<Self, KeysError> {
        let folder = data.join(FOLDER);
        let read = |name: &str| {
            let path = folder.join(name);
            fs::read(&path)
                .map(|bytes| (path.clone(), bytes))
                .map_err(|source| KeysError::Io { path, source })
        };
        let (path, bytes) = read(AUTHORITY_CERTIFICATE)?;
        let certificate = CertificateDer::from_pem_slice(&bytes).map_err(|_| KeysError::Malformed(path))?;
        let (path, bytes) = read(AUTHORITY_KEY)?;
        let key = PrivatePkcs8KeyDer::from_pem_slice(&bytes).map_err(|_| KeysError::Malformed(path))?;
        let (path, bytes) = read(SIGNING_KEY)?;
        let signing = PrivatePkcs8KeyDer::from_pem_slice(&bytes).map_err(|_| KeysError::Malformed(path))?;
        Ok(Self {
            authority: AuthorityWithDebug(Authority::new(&Identity { certificate, key })?),
            signing: SigningKey::from_pkcs8(signing.secret_pkcs8_der())?,
        })
    }

    /// The public keys that edges trust.
    pub(crate) fn key_set(&self, cluster_id: [u8; 16]) -> Result<KeySet, KeysError> {
        let key = self.signing.public_key().try_into().map_err(|_| SignatureError::InvalidKey)?;
        Ok(KeySet { number: 1, cluster_id, keys: vec![key] })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn keys_survive_their_files_which_only_their_owner_reads() {
        let folder = tempfile::tempdir().expect("temp");
        assert!(!Keys::exist(folder.path()));
        Keys::generate(folder.path(), SystemTime::now()).expect("makes");
        let first = Keys::load(folder.path()).expect("reads");
        let second = Keys::load(folder.path()).expect("reads again");
        assert_eq!(first.signing.public_key(), second.signing.public_key());
        assert_eq!(first.authority.0.certificate(), second.authority.0.certificate());
        for entry in fs::read_dir(folder.path().join(FOLDER)).expect("there") {
            let mode = entry.expect("entry").metadata().expect("there").permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
    }

    #[test]
    fn a_damaged_key_is_named() {
        let folder = tempfile::tempdir().expect("temp");
        Keys::generate(folder.path(), SystemTime::now()).expect("makes");
        fs::write(folder.path().join("keys/signing-key.pem"), "nothing").expect("writes");
        let error = Keys::load(folder.path()).expect_err("damaged");
        assert!(error.to_string().contains("signing-key.pem"));
    }
}
