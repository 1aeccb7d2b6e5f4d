//! Bundles: the private assets of a build, for whoever runs its functions.
//!
//! No manifest names a private asset, so no edge can ask for one. A bundle is how their owner gets them: signed contents that name
//! every file by its hashes, in an [`archive`] together with the files themselves.

pub mod archive;

use crate::document::{self, DOCUMENT_SIZE_MAX, DocumentError};
use crate::manifest::{blob_from_wire, is_content_type, sha256_from_wire};
use crate::path::AssetPath;
use crate::signature::{Context, KeySet, SignatureError, SigningKey};
use crate::slices::BlobId;
use crate::wire;
use bytes::Bytes;
use std::collections::HashSet;

/// What a bundle holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contents {
    /// The cluster whose origin made it.
    pub cluster_id: [u8; 16],
    /// Owner of the service.
    pub account_sid: String,
    /// Service of the build.
    pub service_sid: String,
    /// The build.
    pub build_sid: String,
    /// When the build was made, Unix seconds.
    pub created_at: i64,
    /// Its private assets, ascending by path.
    pub files: Vec<File>,
}

/// One private asset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// What functions know it by.
    pub path: AssetPath,
    /// The version that the build shows: `ZN` and 32 hexadecimal digits, so it names a file safely.
    pub version_sid: String,
    /// Media type.
    pub content_type: String,
    /// Its bytes.
    pub blob: BlobId,
    /// SHA-256 of its bytes.
    pub sha256: [u8; 32],
}

/// Why a bundle's contents are not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// The signature does not count.
    #[error(transparent)]
    Signature(#[from] SignatureError),
    /// Signed, but not contents of the expected format.
    #[error(transparent)]
    Document(#[from] DocumentError),
    /// Signed by a trusted key, for another cluster.
    #[error("the bundle is of another cluster")]
    OtherCluster,
}

impl Contents {
    /// Encodes and signs. The same contents and key give the same bytes: Ed25519 draws no randomness (RFC 8032 §5.1.6).
    ///
    /// # Errors
    /// [`DocumentError::TooLarge`] for contents that nobody would read.
    pub fn sign(&self, key: &SigningKey) -> Result<Bytes, DocumentError> {
        let bundle = document::encode(&self.to_wire());
        let signature = key.sign(Context::Bundle, &bundle);
        let key_id = Bytes::copy_from_slice(key.id().as_bytes());
        let signed = document::encode(&wire::SignedBundle { bundle, signature, key_id });
        match signed.len() {
            size if size > DOCUMENT_SIZE_MAX => Err(DocumentError::TooLarge { size }),
            _ => Ok(signed),
        }
    }

    /// Verifies, then reads.
    ///
    /// # Errors
    /// Any [`OpenError`].
    pub fn open(signed: &[u8], keys: &KeySet) -> Result<Self, OpenError> {
        let signed: wire::SignedBundle = document::decode(signed)?;
        keys.verify(Context::Bundle, &signed.key_id, &signed.bundle, &signed.signature)?;
        let contents = Self::from_wire(document::decode(&signed.bundle)?)?;
        match contents.cluster_id == keys.cluster_id {
            true => Ok(contents),
            false => Err(OpenError::OtherCluster),
        }
    }

    fn to_wire(&self) -> wire::Bundle {
        wire::Bundle {
            cluster_id: Bytes::copy_from_slice(&self.cluster_id),
            account_sid: self.account_sid.clone(),
            service_sid: self.service_sid.clone(),
            build_sid: self.build_sid.clone(),
            created_at: self.created_at,
            files: self.files.iter().map(File::to_wire).collect(),
        }
    }

    fn from_wire(bundle: wire::Bundle) -> Result<Self, DocumentError> {
        let cluster_id =
            bundle.cluster_id[..].try_into().map_err(|_| DocumentError::Rule("a cluster id has 16 bytes"))?;
        let files = bundle.files.into_iter().map(File::from_wire).collect::<Result<Vec<_>, _>>()?;
        if !files.is_sorted_by(|one, next| one.path < next.path) {
            return Err(DocumentError::Rule("files ascend by path"));
        }
        let mut versions = HashSet::new();
        if !files.iter().all(|file| versions.insert(file.version_sid.as_str())) {
            return Err(DocumentError::Rule("a version stands in a bundle once"));
        }
        Ok(Self {
            cluster_id,
            account_sid: bundle.account_sid,
            service_sid: bundle.service_sid,
            build_sid: bundle.build_sid,
            created_at: bundle.created_at,
            files,
        })
    }
}

impl File {
    fn to_wire(&self) -> wire::BundleFile {
        wire::BundleFile {
            path: self.path.to_string(),
            version_sid: self.version_sid.clone(),
            content_type: self.content_type.clone(),
            blob: Some(self.blob.into()),
            sha256: Bytes::copy_from_slice(&self.sha256),
        }
    }

    fn from_wire(file: wire::BundleFile) -> Result<Self, DocumentError> {
        if !is_version_sid(&file.version_sid) {
            return Err(DocumentError::Rule("a version is ZN and 32 hexadecimal digits"));
        }
        if !is_content_type(&file.content_type) {
            return Err(DocumentError::Rule("a file has a media type fit for a header"));
        }
        Ok(Self {
            path: file.path.parse().map_err(|_| DocumentError::Rule("a file has a valid path"))?,
            version_sid: file.version_sid,
            content_type: file.content_type,
            blob: blob_from_wire(file.blob.as_ref())?,
            sha256: sha256_from_wire(&file.sha256)?,
        })
    }
}

fn is_version_sid(text: &str) -> bool {
    text.strip_prefix("ZN").is_some_and(|digits| {
        digits.len() == 32 && digits.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    })
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use aws_lc_rs::digest::{SHA256, digest};

    pub(crate) fn key() -> (SigningKey, KeySet) {
        let key = SigningKey::from_pkcs8(&SigningKey::generate().expect("randomness")).expect("own key");
        let public = key.public_key().try_into().expect("32 bytes");
        (key, KeySet { number: 1, cluster_id: [7; 16], keys: vec![public] })
    }

    pub(crate) fn file(number: u8, path: &str, bytes: &[u8]) -> File {
        File {
            path: path.parse().expect("valid"),
            version_sid: format!("ZN{number:032x}"),
            content_type: "audio/mpeg".into(),
            blob: BlobId::of(bytes),
            sha256: digest(&SHA256, bytes).as_ref().try_into().expect("32 bytes"),
        }
    }

    pub(crate) fn contents(files: Vec<File>) -> Contents {
        Contents {
            cluster_id: [7; 16],
            account_sid: "AC1".into(),
            service_sid: "ZS1".into(),
            build_sid: "ZB1".into(),
            created_at: 1_700_000_000,
            files,
        }
    }

    #[test]
    fn contents_survive_their_bytes_which_are_always_the_same() {
        let (key, keys) = key();
        let contents = contents(vec![file(1, "/a.mp3", b"a"), file(2, "/ünï.bin", b"")]);
        let signed = contents.sign(&key).expect("small");
        assert_eq!(contents.sign(&key).expect("small"), signed);
        assert_eq!(Contents::open(&signed, &keys), Ok(contents));
    }

    #[test]
    fn contents_of_another_key_cluster_or_context_are_refused() {
        let (key, keys) = key();
        let contents = contents(vec![file(1, "/a.mp3", b"a")]);
        let signed = contents.sign(&key).expect("small");
        assert_eq!(
            Contents::open(&signed, &self::key().1),
            Err(OpenError::Signature(SignatureError::UnknownKey))
        );
        let other = KeySet { cluster_id: [8; 16], ..keys.clone() };
        assert_eq!(Contents::open(&signed, &other), Err(OpenError::OtherCluster));
        let mut message: wire::SignedBundle = document::decode(&signed).expect("own");
        message.signature = key.sign(Context::Pointer, &message.bundle);
        assert_eq!(
            Contents::open(&document::encode(&message), &keys),
            Err(OpenError::Signature(SignatureError::Wrong))
        );
    }

    #[test]
    fn files_that_could_fall_on_one_another_or_elsewhere_are_refused() {
        let (key, keys) = key();
        let version = |sid: &str| File { version_sid: sid.to_owned(), ..file(1, "/a.mp3", b"a") };
        let wrong = [
            vec![file(1, "/b.mp3", b"b"), file(2, "/a.mp3", b"a")],
            vec![file(1, "/a.mp3", b"b"), file(2, "/a.mp3", b"a")],
            vec![file(1, "/a.mp3", b"a"), file(1, "/b.mp3", b"b")],
            vec![version("ZN../../../../../../../etc/passwd0")],
            vec![version("ZN0000000000000000000000000000000A")],
            vec![version("ZH00000000000000000000000000000001")],
            vec![version("")],
        ];
        for files in wrong {
            let signed = contents(files.clone()).sign(&key).expect("small");
            let opened = Contents::open(&signed, &keys);
            assert!(matches!(opened, Err(OpenError::Document(DocumentError::Rule(_)))), "{files:?}");
        }
    }
}
