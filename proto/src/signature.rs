//! Signatures of the origin: Ed25519 (RFC 8032) over the exact bytes of a document, prefixed by a context for each type.
//!
//! The context keeps a signature over one type of document from being shown for another.

use crate::document::{self, DocumentError};
use crate::hash::Hash;
use crate::wire;
use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use bytes::Bytes;

/// Bytes of a public key.
pub const PUBLIC_KEY_LEN: usize = 32;

/// What kind of document a signature is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Context {
    /// A [`crate::pointer::Pointer`].
    Pointer,
    /// A [`crate::bundle::Contents`].
    Bundle,
    /// A [`KeySet`], by its own keys and those of its predecessor.
    KeySet,
}

impl Context {
    const fn prefix(self) -> &'static [u8] {
        match self {
            Self::Pointer => b"skerry pointer v1\0",
            Self::Bundle => b"skerry bundle v1\0",
            Self::KeySet => b"skerry key set v1\0",
        }
    }
}

/// Names a key among those of a set: the first 8 bytes of the BLAKE3 hash of the public key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeyId([u8; 8]);

impl KeyId {
    pub(crate) fn of(public_key: &[u8]) -> Self {
        let [a, b, c, d, e, f, g, h, ..] = *Hash::of(public_key).as_bytes();
        Self([a, b, c, d, e, f, g, h])
    }

    /// The 8 bytes.
    pub const fn as_bytes(&self) -> &[u8; 8] {
        &self.0
    }
}

/// Why a signature does not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// None of the trusted keys has this id.
    #[error("signed by a key that is not trusted")]
    UnknownKey,
    /// The signature does not verify.
    #[error("signature does not verify")]
    Wrong,
    /// A private key that cannot be read.
    #[error("signing key cannot be read")]
    InvalidKey,
}

/// The origin's private key. Never printed.
pub struct SigningKey(pub(crate) Ed25519KeyPair);

impl SigningKey {
    /// Makes a key; returns its PKCS #8 form, to be kept in a file of mode 0600.
    ///
    /// # Errors
    /// [`SignatureError::InvalidKey`] when the system gives no randomness.
    pub fn generate() -> Result<Vec<u8>, SignatureError> {
        let pair = Ed25519KeyPair::generate().map_err(|_| SignatureError::InvalidKey)?;
        let document = pair.to_pkcs8().map_err(|_| SignatureError::InvalidKey)?;
        Ok(document.as_ref().to_vec())
    }

    /// Reads a key from its PKCS #8 form.
    ///
    /// # Errors
    /// [`SignatureError::InvalidKey`].
    pub fn from_pkcs8(bytes: &[u8]) -> Result<Self, SignatureError> {
        Ed25519KeyPair::from_pkcs8(bytes).map(Self).map_err(|_| SignatureError::InvalidKey)
    }

    /// The public half, 32 bytes.
    pub fn public_key(&self) -> &[u8] {
        self.0.public_key().as_ref()
    }

    /// The name of this key in a [`KeySet`].
    pub fn id(&self) -> KeyId {
        KeyId::of(self.public_key())
    }

    /// Signs a document of the given kind: 64 bytes.
    pub fn sign(&self, context: Context, document: &[u8]) -> Bytes {
        let message = [context.prefix(), document].concat();
        Bytes::copy_from_slice(self.0.sign(&message).as_ref())
    }
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("SigningKey").field(&self.id()).finish()
    }
}

/// The public keys that may sign for a cluster, as a numbered document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeySet {
    /// Counts up with every rotation.
    pub number: u64,
    /// The cluster that they sign for.
    pub cluster_id: [u8; 16],
    /// Ed25519 public keys.
    pub keys: Vec<[u8; PUBLIC_KEY_LEN]>,
}

/// Keys in a set at most: the current one, its successor, and room for an interrupted rotation.
const KEYS_MAX: usize = 8;

impl KeySet {
    /// The document of this set.
    pub fn encode(&self) -> Bytes {
        document::encode(&wire::KeySet {
            number: self.number,
            cluster_id: Bytes::copy_from_slice(&self.cluster_id),
            keys: self.keys.iter().map(|key| Bytes::copy_from_slice(key)).collect(),
        })
    }

    /// Reads a set from a document that came from a trusted place.
    ///
    /// # Errors
    /// Any [`DocumentError`].
    pub fn decode(bytes: &[u8]) -> Result<Self, DocumentError> {
        let set: wire::KeySet = document::decode(bytes)?;
        if set.keys.is_empty() || set.keys.len() > KEYS_MAX {
            return Err(DocumentError::Rule("a key set has one to eight keys"));
        }
        let keys = set
            .keys
            .iter()
            .map(|key| key[..].try_into())
            .collect::<Result<_, _>>()
            .map_err(|_| DocumentError::Rule("a public key has 32 bytes"))?;
        let cluster_id =
            set.cluster_id[..].try_into().map_err(|_| DocumentError::Rule("a cluster id has 16 bytes"))?;
        Ok(Self { number: set.number, cluster_id, keys })
    }

    /// Checks a signature over the exact bytes of a document. About 66 µs.
    ///
    /// # Errors
    /// [`SignatureError::UnknownKey`] or [`SignatureError::Wrong`].
    pub fn verify(
        &self,
        context: Context,
        key_id: &[u8],
        document: &[u8],
        signature: &[u8],
    ) -> Result<(), SignatureError> {
        let key = self
            .keys
            .iter()
            .find(|key| KeyId::of(&key[..]).as_bytes() == key_id)
            .ok_or(SignatureError::UnknownKey)?;
        let message = [context.prefix(), document].concat();
        UnparsedPublicKey::new(&ED25519, key).verify(&message, signature).map_err(|_| SignatureError::Wrong)
    }
}
