//! The secrets of a cluster: the key of its authority and the key that signs pointers, as files of mode 0600.
//!
//! They are made together, once. A catalogue without its keys is an error, never a reason to make new ones: every edge would
//! refuse what they sign. Which signing key is in force, the chain of key sets in the catalogue says; the key of set 1 is in
//! `signing-key.pem`, that of a later set in `signing-key-NUMBER.pem`, which is durable before its set is in force, and goes when that
//! is succeeded. What touches files blocks: call it off the async workers.

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use skerry_folder::{Readers, sync_folder, write};
use skerry_proto::authority::{Authority, AuthorityError, Identity, pem};
use skerry_proto::key_chain;
use skerry_proto::signature::{KeySet, SignatureError, SigningKey};
use skerry_proto::wire::SignedKeySet;
use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::SystemTime;

const FOLDER: &str = "keys";
const AUTHORITY_CERTIFICATE: &str = "authority.pem";
const AUTHORITY_KEY: &str = "authority-key.pem";

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
    /// A file has another key than the one that the catalogue says is in force.
    #[error(
        "{} is not the key of key set {number}, which is in force; restore keys and catalogue from one backup", path.display()
    )]
    OtherKey {
        /// The file.
        path: PathBuf,
        /// The key set.
        number: u64,
    },
}

/// The keys of a cluster.
#[derive(Debug)]
pub(crate) struct Keys {
    pub(crate) authority: AuthorityWithDebug,
    folder: PathBuf,
    signer: RwLock<Arc<Signer>>,
}

/// Who signs: a key, and the set that says that it counts.
#[derive(Debug)]
pub(crate) struct Signer {
    pub(crate) key: SigningKey,
    pub(crate) set: KeySet,
}

impl Signer {
    fn new(key: SigningKey, number: u64, cluster_id: [u8; 16]) -> Result<Self, KeysError> {
        let public = key.public_key().try_into().map_err(|_| SignatureError::InvalidKey)?;
        Ok(Self { key, set: KeySet { number, cluster_id, keys: vec![public] } })
    }
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
            keep(&signing_file(1), signing.as_bytes())?;
            fs::rename(&unfinished, data.join(FOLDER))?;
            sync_folder(data)
        };
        all().map_err(|source| KeysError::Io { path: data.join(FOLDER), source })
    }

    /// Reads the keys of the data folder, of which that of `set` signs; without one, the first, for a set that is to be the first.
    pub(crate) fn load(data: &Path, cluster_id: [u8; 16], set: Option<KeySet>) -> Result<Self, KeysError> {
        let folder = data.join(FOLDER);
        let certificate = folder.join(AUTHORITY_CERTIFICATE);
        let certificate = CertificateDer::from_pem_slice(&read(&certificate)?)
            .map_err(|_| KeysError::Malformed(certificate))?;
        let key = private_key(&folder.join(AUTHORITY_KEY))?;
        let number = set.as_ref().map_or(1, |set| set.number);
        let path = folder.join(signing_file(number));
        let signing = SigningKey::from_pkcs8(private_key(&path)?.secret_pkcs8_der())?;
        let signer = Signer::new(signing, number, cluster_id)?;
        if set.is_some_and(|set| set != signer.set) {
            return Err(KeysError::OtherKey { path, number });
        }
        Ok(Self {
            authority: AuthorityWithDebug(Authority::new(&Identity { certificate, key })?),
            folder,
            signer: RwLock::new(Arc::new(signer)),
        })
    }

    /// Who signs now.
    pub(crate) fn signer(&self) -> Arc<Signer> {
        Arc::clone(&self.signer.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The first key set of a cluster, as it travels.
    pub(crate) fn first_set(&self) -> SignedKeySet {
        let signer = self.signer();
        key_chain::sign(&signer.set, [&signer.key])
    }

    /// Makes the key that is to sign next, durably, and its set, which hands the trust on to it. Nothing is signed by it yet.
    pub(crate) fn prepare_next(&self) -> Result<(Arc<Signer>, SignedKeySet), KeysError> {
        let now = self.signer();
        let bytes = SigningKey::generate()?;
        let next = Signer::new(SigningKey::from_pkcs8(&bytes)?, now.set.number + 1, now.set.cluster_id)?;
        let path = self.folder.join(signing_file(next.set.number));
        // One of this name that is there already was never in force.
        write(&path, pem("PRIVATE KEY", &bytes).as_bytes(), Readers::Owner)
            .and_then(|()| sync_folder(&self.folder))
            .map_err(|source| KeysError::Io { path, source })?;
        let signed = key_chain::sign(&next.set, [&next.key, &now.key]);
        Ok((Arc::new(next), signed))
    }

    /// Signs with another key from now on.
    pub(crate) fn take_over(&self, next: Arc<Signer>) {
        *self.signer.write().unwrap_or_else(PoisonError::into_inner) = next;
    }

    /// Removes the keys of sets before the one in force: nothing needs them, and who finds one might wish to.
    pub(crate) fn remove_older(&self) -> Result<(), KeysError> {
        for number in 1..self.signer().set.number {
            let path = self.folder.join(signing_file(number));
            match fs::remove_file(&path) {
                Err(source) if source.kind() != io::ErrorKind::NotFound => {
                    return Err(KeysError::Io { path, source });
                }
                _ => {}
            }
        }
        Ok(())
    }
}

fn signing_file(number: u64) -> String {
    if number == 1 { "signing-key.pem".to_owned() } else { format!("signing-key-{number}.pem") }
}

fn read(path: &Path) -> Result<Vec<u8>, KeysError> {
    fs::read(path).map_err(|source| KeysError::Io { path: path.to_owned(), source })
}

fn private_key(path: &Path) -> Result<PrivatePkcs8KeyDer<'static>, KeysError> {
    PrivatePkcs8KeyDer::from_pem_slice(&read(path)?).map_err(|_| KeysError::Malformed(path.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use skerry_proto::key_chain::KeyChain;
    use std::os::unix::fs::PermissionsExt;

    fn load(data: &Path, set: Option<KeySet>) -> Result<Keys, KeysError> {
        Keys::load(data, [3; 16], set)
    }

    #[test]
    fn keys_survive_their_files_which_only_their_owner_reads() {
        let folder = tempfile::tempdir().expect("temp");
        assert!(!Keys::exist(folder.path()));
        Keys::generate(folder.path(), SystemTime::now()).expect("makes");
        let first = load(folder.path(), None).expect("reads");
        let (next, _) = first.prepare_next().expect("makes");
        let set = first.signer().set.clone();
        let second = load(folder.path(), Some(set.clone())).expect("reads again");
        assert_eq!(second.signer().set, set, "what was only prepared is not in force");
        assert_eq!(first.authority.0.certificate(), second.authority.0.certificate());
        let third = load(folder.path(), Some(next.set.clone())).expect("reads the next");
        assert_eq!(third.signer().set, next.set);
        for entry in fs::read_dir(folder.path().join(FOLDER)).expect("there") {
            let mode = entry.expect("entry").metadata().expect("there").permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
    }

    #[test]
    fn a_key_that_was_succeeded_is_removed_and_its_successors_are_trusted_for_it() {
        let folder = tempfile::tempdir().expect("temp");
        Keys::generate(folder.path(), SystemTime::now()).expect("makes");
        let keys = load(folder.path(), None).expect("reads");
        let mut chain = KeyChain::new(keys.signer().set.clone());
        for _ in 0..2 {
            let (next, signed) = keys.prepare_next().expect("makes");
            assert_eq!(chain.extend(&signed), Ok(true));
            keys.take_over(next);
            keys.remove_older().expect("removes");
        }
        assert_eq!(chain.current(), &keys.signer().set);
        assert!(load(folder.path(), None).is_err(), "the first key is gone");
        load(folder.path(), Some(chain.current().clone())).expect("the third is there");
    }

    #[test]
    fn a_damaged_key_is_named() {
        let folder = tempfile::tempdir().expect("temp");
        Keys::generate(folder.path(), SystemTime::now()).expect("makes");
        let file = folder.path().join("keys/signing-key.pem");
        let other = KeySet { number: 1, cluster_id: [3; 16], keys: vec![[0; 32]] };
        let error = load(folder.path(), Some(other)).expect_err("of another catalogue");
        assert!(error.to_string().contains("one backup"), "{error}");
        fs::write(file, "nothing").expect("writes");
        let error = load(folder.path(), None).expect_err("damaged");
        assert!(error.to_string().contains("signing-key.pem"));
    }
}
