//! Pointers: what an environment shows, signed by the origin. The one thing that changes.
//!
//! An edge accepts a pointer only if its signature verifies over the exact bytes received, it is of the edge's cluster, and its
//! [`Version`] is greater than the one held. Nothing is parsed before it verifies.

use crate::document::{self, DocumentError};
use crate::manifest::blob_from_wire;
use crate::signature::{Context, KeySet, SignatureError, SigningKey};
use crate::signed_url::key::{Algorithm, PublicKey};
use crate::slices::BlobId;
use crate::wire;
use bytes::Bytes;
use std::time::Duration;

/// Orders everything an origin ever says: the epoch counts restored backups, the revision counts changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Version {
    /// Raised when a backup is restored.
    pub epoch: u64,
    /// Raised with every change, over the whole cluster.
    pub revision: u64,
}

/// How long past its lease an edge may serve what it holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StaleRule {
    /// Without end.
    Unbounded,
    /// For this long, then 503. Zero refuses at once.
    AtMost(Duration),
}

/// What an edge does for an environment when its lease is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AccessRules {
    /// For public assets.
    pub public_stale: StaleRule,
    /// For protected assets.
    pub protected_stale: StaleRule,
}

impl Default for AccessRules {
    fn default() -> Self {
        Self {
            public_stale: StaleRule::Unbounded,
            protected_stale: StaleRule::AtMost(Duration::from_secs(3600)),
        }
    }
}

/// How an environment answers, beside what its build says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ServingRules {
    /// POST is answered like GET, for webhooks that post for a static document.
    pub post_as_get: bool,
    /// The publisher is not trusted: HTML documents are sandboxed like SVG and XML ones.
    pub untrusted_uploads: bool,
}

/// What an environment shows. By default nothing, and nobody's.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pointer {
    /// Which cluster says so.
    pub cluster_id: [u8; 16],
    /// When, in the order of all changes.
    pub version: Version,
    /// Host name without a port, lower case.
    pub domain: String,
    /// Owner, and first part of every cache key.
    pub account_sid: String,
    /// The environment.
    pub environment_sid: String,
    /// Manifest of the live build; `None`: the environment shows nothing.
    pub manifest: Option<BlobId>,
    /// Public hashes of earlier builds.
    pub history: Option<BlobId>,
    /// What to do past the lease.
    pub access: AccessRules,
    /// How to answer.
    pub serving: ServingRules,
    /// No `Last-Modified` is earlier; Unix seconds.
    pub modified_floor: i64,
    /// When it was signed; Unix seconds.
    pub issued_at: i64,
    /// Whose signed URLs open protected assets; at most [`URL_KEYS_MAX`].
    pub url_keys: Vec<PublicKey>,
    /// Further host names that show the same; at most [`ALIASES_MAX`].
    pub aliases: Vec<String>,
    /// The environment is no more: its names are those of nobody, which is not the same as one that shows nothing.
    pub deleted: bool,
    /// What the account has revoked ([`crate::purged`]); `None`: nothing.
    pub purged: Option<BlobId>,
}

/// Keys for signed URLs in a pointer at most: every service of an account may have its own, and each its successor.
pub const URL_KEYS_MAX: usize = 16;

/// Further host names of an environment at most: the longest ones are 25 KB, and every deployment sends them.
pub const ALIASES_MAX: usize = 100;

/// Why a signed pointer is not taken.
#[derive(Debug, thiserror::Error)]
pub enum PointerError {
    /// The signature does not count.
    #[error(transparent)]
    Signature(#[from] SignatureError),
    /// Rightly signed, but not of the format this program reads.
    #[error(transparent)]
    Document(#[from] DocumentError),
    /// Rightly signed, for another cluster.
    #[error("pointer is of another cluster")]
    OtherCluster,
}

impl PointerError {
    /// A stable code for reports and metrics.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Signature(_) => "signature",
            Self::Document(_) => "format",
            Self::OtherCluster => "cluster",
        }
    }
}

impl Pointer {
    /// Encodes and signs.
    pub fn sign(&self, key: &SigningKey) -> wire::SignedPointer {
        let pointer = document::encode(&self.to_wire());
        let signature = key.sign(Context::Pointer, &pointer);
        let key_id = Bytes::copy_from_slice(key.id().as_bytes());
        wire::SignedPointer { pointer, signature, key_id }
    }

    /// Verifies, then reads.
    ///
    /// # Errors
    /// Any [`PointerError`]; whether the version is greater than the one held is for the caller to check.
    pub fn open(signed: &wire::SignedPointer, keys: &KeySet) -> Result<Self, PointerError> {
        keys.verify(Context::Pointer, &signed.key_id, &signed.pointer, &signed.signature)?;
        let pointer = Self::from_wire(document::decode(&signed.pointer)?)?;
        if pointer.cluster_id != keys.cluster_id {
            return Err(PointerError::OtherCluster);
        }
        Ok(pointer)
    }

    fn to_wire(&self) -> wire::Pointer {
        wire::Pointer {
            cluster_id: Bytes::copy_from_slice(&self.cluster_id),
            epoch: self.version.epoch,
            revision: self.version.revision,
            domain: self.domain.clone(),
            account_sid: self.account_sid.clone(),
            environment_sid: self.environment_sid.clone(),
            manifest: self.manifest.map(Into::into),
            history: self.history.map(Into::into),
            access: Some(self.access.into()),
            modified_floor: self.modified_floor,
            issued_at: self.issued_at,
            serving: Some(self.serving.into()),
            url_keys: self.url_keys.iter().map(Into::into).collect(),
            aliases: self.aliases.clone(),
            deleted: self.deleted,
            purged: self.purged.map(Into::into),
        }
    }

    fn from_wire(pointer: wire::Pointer) -> Result<Self, DocumentError> {
        let optional = |blob: Option<&wire::BlobRef>| blob.map(|blob| blob_from_wire(Some(blob))).transpose();
        let access = pointer.access.ok_or(DocumentError::Rule("a pointer has access rules"))?;
        if ![&pointer.domain].into_iter().chain(&pointer.aliases).all(|domain| is_host_name(domain)) {
            return Err(DocumentError::Rule("a domain is a lower-case host name"));
        }
        if pointer.aliases.len() > ALIASES_MAX {
            return Err(DocumentError::Rule("a pointer has at most a hundred further names"));
        }
        if pointer.url_keys.len() > URL_KEYS_MAX {
            return Err(DocumentError::Rule("a pointer has at most sixteen keys for signed URLs"));
        }
        Ok(Self {
            cluster_id: pointer.cluster_id[..]
                .try_into()
                .map_err(|_| DocumentError::Rule("a cluster id has 16 bytes"))?,
            version: Version { epoch: pointer.epoch, revision: pointer.revision },
            manifest: optional(pointer.manifest.as_ref())?,
            history: optional(pointer.history.as_ref())?,
            purged: optional(pointer.purged.as_ref())?,
            access: AccessRules {
                public_stale: access.public_stale.try_into()?,
                protected_stale: access.protected_stale.try_into()?,
            },
            serving: pointer.serving.map_or_else(ServingRules::default, |serving| ServingRules {
                post_as_get: serving.post_as_get,
                untrusted_uploads: serving.untrusted_uploads,
            }),
            domain: pointer.domain,
            account_sid: pointer.account_sid,
            environment_sid: pointer.environment_sid,
            modified_floor: pointer.modified_floor,
            issued_at: pointer.issued_at,
            url_keys: pointer.url_keys.iter().map(TryInto::try_into).collect::<Result<_, _>>()?,
            aliases: pointer.aliases,
            deleted: pointer.deleted,
        })
    }
}

fn is_host_name(domain: &str) -> bool {
    (1..=DOMAIN_LEN_MAX).contains(&domain.len())
        && domain.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.'))
}

/// Bytes in a host name at most (RFC 1035 §2.3.4, without the trailing dot).
pub const DOMAIN_LEN_MAX: usize = 253;

impl From<&PublicKey> for wire::UrlKey {
    fn from(key: &PublicKey) -> Self {
        let algorithm = match key.algorithm() {
            Algorithm::Ed25519 => wire::UrlAlgorithm::Ed25519,
            Algorithm::Es256 => wire::UrlAlgorithm::Es256,
        };
        Self { algorithm: algorithm.into(), public_key: Bytes::copy_from_slice(key.as_bytes()) }
    }
}

impl TryFrom<&wire::UrlKey> for PublicKey {
    type Error = DocumentError;

    fn try_from(key: &wire::UrlKey) -> Result<Self, DocumentError> {
        let algorithm = match key.algorithm() {
            wire::UrlAlgorithm::Ed25519 => Algorithm::Ed25519,
            wire::UrlAlgorithm::Es256 => Algorithm::Es256,
            wire::UrlAlgorithm::Unspecified => {
                return Err(DocumentError::Rule("a key for signed URLs has an algorithm"));
            }
        };
        Self::new(algorithm, &key.public_key)
            .map_err(|_| DocumentError::Rule("a key for signed URLs is of its algorithm"))
    }
}

impl From<AccessRules> for wire::AccessRules {
    fn from(rules: AccessRules) -> Self {
        Self {
            public_stale: Some(rules.public_stale.into()),
            protected_stale: Some(rules.protected_stale.into()),
        }
    }
}

impl From<ServingRules> for wire::ServingRules {
    fn from(rules: ServingRules) -> Self {
        Self { post_as_get: rules.post_as_get, untrusted_uploads: rules.untrusted_uploads }
    }
}

impl From<StaleRule> for wire::StaleRule {
    fn from(rule: StaleRule) -> Self {
        use wire::stale_rule::Rule;
        let rule = match rule {
            StaleRule::Unbounded => Rule::Unbounded(true),
            StaleRule::AtMost(time) => Rule::SecondsMax(time.as_secs()),
        };
        Self { rule: Some(rule) }
    }
}

impl TryFrom<Option<wire::StaleRule>> for StaleRule {
    type Error = DocumentError;

    fn try_from(rule: Option<wire::StaleRule>) -> Result<Self, DocumentError> {
        use wire::stale_rule::Rule;
        match rule.and_then(|rule| rule.rule) {
            Some(Rule::Unbounded(true)) => Ok(Self::Unbounded),
            Some(Rule::SecondsMax(seconds)) => Ok(Self::AtMost(Duration::from_secs(seconds))),
            Some(Rule::Unbounded(false)) | None => {
                Err(DocumentError::Rule("a stale rule is unbounded or has seconds"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> SigningKey {
        SigningKey::from_pkcs8(&SigningKey::generate().expect("randomness")).expect("own key")
    }

    fn keys(key: &SigningKey) -> KeySet {
        KeySet { number: 1, cluster_id: [3; 16], keys: vec![key.public_key().try_into().expect("32 bytes")] }
    }

    fn pointer() -> Pointer {
        Pointer {
            cluster_id: [3; 16],
            version: Version { epoch: 1, revision: 9 },
            domain: "default-1234.localhost".into(),
            account_sid: "AC00".into(),
            environment_sid: "ZE00".into(),
            manifest: Some(BlobId::of(b"manifest")),
            serving: ServingRules { post_as_get: true, untrusted_uploads: false },
            issued_at: 1_700_000_000,
            url_keys: vec![PublicKey::new(Algorithm::Ed25519, &[1; 32]).expect("a key")],
            aliases: vec!["music.test".into()],
            ..Pointer::default()
        }
    }

    #[test]
    fn a_signed_pointer_opens_to_what_was_signed() {
        let key = key();
        let opened = Pointer::open(&pointer().sign(&key), &keys(&key)).expect("own pointer");
        assert_eq!(opened, pointer());
    }

    #[test]
    fn a_deleted_environment_is_not_one_that_shows_nothing() {
        let key = key();
        let gone = Pointer { manifest: None, deleted: true, ..pointer() };
        assert_eq!(Pointer::open(&gone.sign(&key), &keys(&key)).expect("own pointer"), gone);
    }

    #[test]
    fn further_names_are_host_names_and_not_too_many() {
        let key = key();
        let several = |aliases: Vec<String>| {
            Pointer::open(&Pointer { aliases, ..pointer() }.sign(&key), &keys(&key)).is_ok()
        };
        assert!(several(vec!["a.test".into(); ALIASES_MAX]));
        assert!(!several(vec!["a.test".into(); ALIASES_MAX + 1]));
        for wrong in ["", "A.test", "a.test:443", "*.test"] {
            assert!(!several(vec!["a.test".into(), wrong.into()]), "{wrong}");
        }
    }

    #[test]
    fn every_changed_byte_is_refused_before_parsing() {
        let key = key();
        let signed = pointer().sign(&key);
        for at in 0..signed.pointer.len() {
            let mut bytes = signed.pointer.to_vec();
            bytes[at] ^= 1;
            let forged = wire::SignedPointer { pointer: bytes.into(), ..signed.clone() };
            let error = Pointer::open(&forged, &keys(&key)).expect_err("forged");
            assert!(matches!(error, PointerError::Signature(SignatureError::Wrong)), "byte {at}");
        }
    }

    #[test]
    fn another_key_or_cluster_is_refused() {
        let (ours, theirs) = (key(), key());
        let signed = pointer().sign(&theirs);
        let error = Pointer::open(&signed, &keys(&ours)).expect_err("other key");
        assert!(matches!(error, PointerError::Signature(SignatureError::UnknownKey)));

        let elsewhere = KeySet { cluster_id: [4; 16], ..keys(&theirs) };
        let error = Pointer::open(&signed, &elsewhere).expect_err("other cluster");
        assert!(matches!(error, PointerError::OtherCluster));
    }

    #[test]
    fn a_signature_for_another_context_does_not_count() {
        let key = key();
        let mut signed = pointer().sign(&key);
        signed.signature = {
            let pair = [b"skerry purge v1\0", &signed.pointer[..]].concat();
            Bytes::copy_from_slice(key.0.sign(&pair).as_ref())
        };
        assert!(Pointer::open(&signed, &keys(&key)).is_err());
    }

    #[test]
    fn versions_order_by_epoch_then_revision() {
        let version = |epoch, revision| Version { epoch, revision };
        assert!(version(2, 1) > version(1, 99));
        assert!(version(1, 100) > version(1, 99));
    }

    #[test]
    fn a_key_set_survives_its_document() {
        let set = keys(&key());
        assert_eq!(KeySet::decode(&set.encode()), Ok(set));
    }
}
