//! Keys of signed URLs: the private half stays with who makes them, the public half is all that origin and edges have.
//!
//! A key is named by the thumbprint of its public half (RFC 7638), so that anybody who has the key knows its name, and no two
//! keys share one.

use crate::authority::pem;
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, ED25519, EcdsaKeyPair, Ed25519KeyPair, KeyPair,
    ParsedPublicKey,
};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{PrivatePkcs8KeyDer, SubjectPublicKeyInfoDer};
use std::fmt;
use std::str::FromStr;
use x509_parser::oid_registry::{OID_EC_P256, OID_KEY_TYPE_EC_PUBLIC_KEY, OID_SIG_ED25519};
use x509_parser::prelude::FromDer;
use x509_parser::x509::SubjectPublicKeyInfo;

/// Bytes of a coordinate of P-256, and of an Ed25519 key.
const COORDINATE_LEN: usize = 32;

/// What a key signs with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// Ed25519 (RFC 8037 §3.1).
    Ed25519,
    /// ECDSA with P-256 and SHA-256 (RFC 7518 §3.4).
    Es256,
}

impl Algorithm {
    /// The name in the header of a token.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ed25519 => "EdDSA",
            Self::Es256 => "ES256",
        }
    }

    /// The name that people choose it by.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Ed25519 => "ed25519",
            Self::Es256 => "es256",
        }
    }
}

/// A text that names no algorithm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an algorithm is ed25519 or es256")]
pub struct InvalidAlgorithm;

impl FromStr for Algorithm {
    type Err = InvalidAlgorithm;

    fn from_str(text: &str) -> Result<Self, InvalidAlgorithm> {
        [Self::Ed25519, Self::Es256]
            .into_iter()
            .find(|algorithm| algorithm.label() == text)
            .ok_or(InvalidAlgorithm)
    }
}

/// Bytes that are no key of a supported kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an Ed25519 or P-256 key")]
pub struct InvalidKey;

/// The public half of a key.
#[derive(Clone)]
pub struct PublicKey {
    algorithm: Algorithm,
    bytes: Vec<u8>,
    parsed: ParsedPublicKey,
    id: String,
}

impl PublicKey {
    /// A key of 32 bytes (Ed25519), or an uncompressed point of 65 (ES256; SEC 1 §2.3.3).
    ///
    /// # Errors
    /// [`InvalidKey`].
    pub fn new(algorithm: Algorithm, bytes: &[u8]) -> Result<Self, InvalidKey> {
        let (parsed, jwk) = match (algorithm, bytes) {
            (Algorithm::Ed25519, bytes) if bytes.len() == COORDINATE_LEN => {
                let x = URL_SAFE_NO_PAD.encode(bytes);
                (
                    ParsedPublicKey::new(&ED25519, bytes),
                    format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#),
                )
            }
            (Algorithm::Es256, [4, point @ ..]) if point.len() == 2 * COORDINATE_LEN => {
                let (x, y) = point.split_at(COORDINATE_LEN);
                let (x, y) = (URL_SAFE_NO_PAD.encode(x), URL_SAFE_NO_PAD.encode(y));
                let jwk = format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#);
                (ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, bytes), jwk)
            }
            _ => return Err(InvalidKey),
        };
        let parsed = parsed.map_err(|_| InvalidKey)?;
        // RFC 7638 §3: over the required members, in this order, without white space.
        let id = URL_SAFE_NO_PAD.encode(digest(&SHA256, jwk.as_bytes()));
        Ok(Self { algorithm, bytes: bytes.to_vec(), parsed, id })
    }

    /// Reads `-----BEGIN PUBLIC KEY-----` (RFC 7468 §13).
    ///
    /// # Errors
    /// [`InvalidKey`].
    pub fn from_pem(text: &[u8]) -> Result<Self, InvalidKey> {
        let der = SubjectPublicKeyInfoDer::from_pem_slice(text).map_err(|_| InvalidKey)?;
        let (_, info) = SubjectPublicKeyInfo::from_der(&der).map_err(|_| InvalidKey)?;
        let kind = &info.algorithm;
        let curve = kind.parameters.as_ref().and_then(|parameters| parameters.as_oid().ok());
        let algorithm = if kind.algorithm == OID_SIG_ED25519 {
            Algorithm::Ed25519
        } else if kind.algorithm == OID_KEY_TYPE_EC_PUBLIC_KEY && curve == Some(OID_EC_P256) {
            Algorithm::Es256
        } else {
            return Err(InvalidKey);
        };
        Self::new(algorithm, &info.subject_public_key.data)
    }

    /// What it signs with.
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The bytes that [`Self::new`] takes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Its name: the `kid` of tokens.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Whether the private half signed the message.
    pub fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        self.parsed.verify_sig(message, signature).is_ok()
    }
}

impl PartialEq for PublicKey {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
    }
}

impl Eq for PublicKey {}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PublicKey").field("algorithm", &self.algorithm).field("id", &self.id).finish()
    }
}

/// Both halves of a key. Never printed.
pub struct SigningKey {
    pair: Pair,
    public: PublicKey,
}

enum Pair {
    Ed25519(Ed25519KeyPair),
    Es256(EcdsaKeyPair),
}

impl SigningKey {
    /// Makes a key, and returns its PEM (PKCS #8; a secret, for a file of mode 0600); `None` when the system gives no randomness.
    pub fn generate(algorithm: Algorithm) -> Option<String> {
        let der = match algorithm {
            // Version 1 is what other programs read.
            Algorithm::Ed25519 => Ed25519KeyPair::generate().and_then(|pair| pair.to_pkcs8v1()),
            Algorithm::Es256 => {
                EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).and_then(|pair| pair.to_pkcs8v1())
            }
        };
        der.ok().map(|der| pem("PRIVATE KEY", der.as_ref()))
    }

    /// Reads `-----BEGIN PRIVATE KEY-----` (RFC 7468 §10).
    ///
    /// # Errors
    /// [`InvalidKey`].
    pub fn from_pem(text: &[u8]) -> Result<Self, InvalidKey> {
        let der = PrivatePkcs8KeyDer::from_pem_slice(text).map_err(|_| InvalidKey)?;
        let der = der.secret_pkcs8_der();
        if let Ok(pair) = Ed25519KeyPair::from_pkcs8(der) {
            let public = PublicKey::new(Algorithm::Ed25519, pair.public_key().as_ref())?;
            return Ok(Self { pair: Pair::Ed25519(pair), public });
        }
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der).map_err(|_| InvalidKey)?;
        let public = PublicKey::new(Algorithm::Es256, pair.public_key().as_ref())?;
        Ok(Self { pair: Pair::Es256(pair), public })
    }

    /// The public half.
    pub const fn public(&self) -> &PublicKey {
        &self.public
    }

    /// Signs a message: 64 bytes; `None` when the system gives no randomness.
    pub fn sign(&self, message: &[u8]) -> Option<Vec<u8>> {
        let signature = match &self.pair {
            Pair::Ed25519(pair) => pair.try_sign(message),
            Pair::Es256(pair) => pair.sign(&SystemRandom::new(), message),
        };
        signature.ok().map(|signature| signature.as_ref().to_vec())
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SigningKey").field(&self.public).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_named_by_the_thumbprint_of_its_public_half() {
        // RFC 8037 appendix A.3
        let x = URL_SAFE_NO_PAD.decode("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo").expect("base64");
        let key = PublicKey::new(Algorithm::Ed25519, &x).expect("a key");
        assert_eq!(key.id(), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
    }

    #[test]
    fn a_key_survives_its_pem() {
        for algorithm in [Algorithm::Ed25519, Algorithm::Es256] {
            let text = SigningKey::generate(algorithm).expect("a key");
            let key = SigningKey::from_pem(text.as_bytes()).expect("own text");
            assert_eq!(key.public().algorithm(), algorithm);
            let signature = key.sign(b"x").expect("a signature");
            let public = PublicKey::new(algorithm, key.public().as_bytes()).expect("a public key");
            assert!(public.verifies(b"x", &signature));
            assert!(!public.verifies(b"y", &signature));
            assert!(PublicKey::from_pem(text.as_bytes()).is_err(), "a private key is no public one");
        }
    }

    #[test]
    fn keys_that_openssl_makes_are_read() {
        let ed25519 = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAk5jqi4q5qL5MIY+3QpOeld65Ztk/eS+fg6F3J5oTZZ4=\n-----END PUBLIC KEY-----\n";
        let es256 = "-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEy6Qc2tPxx6dySf1nkcQwS9CjvKIj\nQV2cjFwACZGY4PyjwcV+w6ZJdTWAtlqhbYsp3KQKffX5FeqHvcfnddr+Ug==\n-----END PUBLIC KEY-----\n";
        for (text, algorithm) in [(ed25519, Algorithm::Ed25519), (es256, Algorithm::Es256)] {
            assert_eq!(PublicKey::from_pem(text.as_bytes()).map(|key| key.algorithm()), Ok(algorithm));
        }
    }

    #[test]
    fn other_keys_are_refused() {
        assert_eq!(PublicKey::new(Algorithm::Ed25519, &[1; 31]), Err(InvalidKey));
        assert_eq!(PublicKey::new(Algorithm::Es256, &[4; 65]), Err(InvalidKey), "not on the curve");
        assert_eq!(
            PublicKey::from_pem(b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"),
            Err(InvalidKey)
        );
        assert_eq!("rs256".parse::<Algorithm>(), Err(InvalidAlgorithm));
    }
}
