//! The proof of what an environment shows at a path: signed pointer, manifest, page, slice list. Whoever trusts the signing keys can
//! check it without trusting where it came from.

use crate::document::DocumentError;
use crate::manifest::{self, Entry};
use crate::paging::{Root, page_number};
use crate::pointer::{Pointer, PointerError, Version};
use crate::rules::SiteRules;
use crate::signature::KeySet;
use crate::slices::{BlobId, SliceList, VerifyError};
use crate::wire;
use bytes::Bytes;

/// What was proved.
#[derive(Debug)]
pub struct Proved {
    /// The domain that the pointer is of.
    pub domain: String,
    /// When it was decided, in the order of all changes.
    pub version: Version,
    /// What stands at the path: of identity coding. `None`: nothing does.
    pub shown: Option<SliceList>,
    /// What the build declares for the whole site.
    pub rules: SiteRules,
}

/// Why something is no proof.
#[derive(Debug, thiserror::Error)]
pub enum ProofError {
    /// The pointer does not count.
    #[error("the pointer: {0}")]
    Pointer(#[from] PointerError),
    /// A document is not the one that is named.
    #[error("the {0} is not the one that the signature leads to")]
    OtherDocument(&'static str),
    /// A document that is rightly named cannot be read.
    #[error("the manifest: {0}")]
    Document(#[from] DocumentError),
    /// The slice list is not that of the blob.
    #[error("the slice list: {0}")]
    SliceList(#[from] VerifyError),
}

impl Proved {
    /// Follows the chain from the signature to the slices of what stands at `path`.
    ///
    /// # Errors
    /// [`ProofError`] at the first link that does not hold.
    pub fn check(proof: wire::ProveResponse, keys: &KeySet, path: &str) -> Result<Self, ProofError> {
        let pointer = Pointer::open(&proof.pointer.unwrap_or_default(), keys)?;
        let mut proved = Self {
            domain: pointer.domain,
            version: pointer.version,
            shown: None,
            rules: SiteRules::default(),
        };
        let Some(name) = pointer.manifest else { return Ok(proved) };
        let root = manifest::read_root(named(name, &proof.manifest, "manifest")?)?;
        proved.rules = root.rules;
        let entries = match root.entries {
            Root::Single(entries) => entries,
            Root::Pages { bits, pages } => {
                let number = page_number(&manifest::key(path), bits);
                let name = *pages.get(number).ok_or(ProofError::OtherDocument("page"))?;
                manifest::read_page(named(name, &proof.page, "page")?, bits, number)?
            }
        };
        if let Some(blob) = blob_at(&entries, path) {
            proved.shown = Some(SliceList::verify(blob, proof.slice_list)?);
        }
        Ok(proved)
    }
}

/// What `entries` show at a path, as it was uploaded.
pub fn blob_at(entries: &[Entry], path: &str) -> Option<BlobId> {
    let entry = entries.iter().find(|entry| entry.path.as_str() == path)?;
    entry.representations.iter().find(|form| form.encoding.is_empty()).map(|form| form.blob)
}

/// Bytes that are those of `blob`.
fn named<'a>(blob: BlobId, bytes: &'a Bytes, what: &'static str) -> Result<&'a Bytes, ProofError> {
    if BlobId::of(bytes) == blob { Ok(bytes) } else { Err(ProofError::OtherDocument(what)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::Representation;
    use crate::signature::SigningKey;
    use crate::slices::{SLICE_SIZE, SliceHasher};
    use crate::visibility::Visibility;

    const CLUSTER: [u8; 16] = [7; 16];

    fn key() -> SigningKey {
        SigningKey::from_pkcs8(&SigningKey::generate().expect("randomness")).expect("a key")
    }

    fn keys(key: &SigningKey) -> KeySet {
        let key = key.public_key().try_into().expect("32 bytes");
        KeySet { number: 1, cluster_id: CLUSTER, keys: vec![key] }
    }

    /// An honest proof for `/n`, in a manifest of so many paths.
    fn honest(signing: &SigningKey, count: usize, path: &str) -> wire::ProveResponse {
        let content = vec![3; 2 * SLICE_SIZE + 9];
        let mut hasher = SliceHasher::new();
        hasher.update(&content);
        let hashed = hasher.finish();
        let entry = |number: usize| Entry {
            path: format!("/{number}").parse().expect("a path"),
            visibility: Visibility::Public,
            content_type: "text/plain".into(),
            modified: 0,
            representations: vec![Representation {
                encoding: String::new(),
                blob: hashed.id,
                sha256: [0; 32],
            }],
            cache_control: None,
            fields: Vec::new(),
        };
        let entries: Vec<Entry> = (0..count).map(entry).collect();
        let documents = manifest::write(&entries, &SiteRules::default()).expect("writes");
        let page = match manifest::read_root(&documents.root).expect("reads").entries {
            Root::Single(_) => Bytes::new(),
            Root::Pages { bits, .. } => documents.pages[page_number(&manifest::key(path), bits)].clone(),
        };
        let pointer = Pointer {
            cluster_id: CLUSTER,
            version: Version { epoch: 1, revision: 2 },
            domain: "a.test".into(),
            account_sid: "AC".into(),
            environment_sid: "ZE".into(),
            manifest: Some(BlobId::of(&documents.root)),
            ..Pointer::default()
        };
        wire::ProveResponse {
            pointer: Some(pointer.sign(signing)),
            manifest: documents.root,
            page,
            slice_list: hashed.slice_list,
            key_set: Bytes::new(),
        }
    }

    #[test]
    fn an_honest_proof_leads_from_the_signature_to_every_slice() {
        let signing = key();
        for count in [3, 3000] {
            let proved =
                Proved::check(honest(&signing, count, "/2"), &keys(&signing), "/2").expect("a proof");
            let list = proved.shown.expect("shown");
            assert!(list.check(2, Bytes::from_static(&[3; 9])).is_ok());
            assert!(list.check(2, Bytes::from_static(&[4; 9])).is_err());
            let absent = Proved::check(honest(&signing, count, "/nothing"), &keys(&signing), "/nothing");
            assert!(absent.expect("a proof").shown.is_none(), "that nothing is there is proved too");
        }
    }

    #[test]
    fn every_link_that_was_changed_is_found() {
        let signing = key();
        let refused = |change: fn(&mut wire::ProveResponse)| {
            let mut proof = honest(&signing, 3000, "/2");
            change(&mut proof);
            Proved::check(proof, &keys(&signing), "/2").expect_err("no proof")
        };
        assert!(matches!(refused(|proof| proof.pointer = None), ProofError::Pointer(_)));
        assert!(matches!(
            refused(|proof| {
                let pointer = proof.pointer.as_mut().expect("there");
                pointer.pointer = [&pointer.pointer[..], b"x"].concat().into();
            }),
            ProofError::Pointer(_)
        ));
        assert!(matches!(
            refused(|proof| proof.manifest = [&proof.manifest[..], b"x"].concat().into()),
            ProofError::OtherDocument("manifest")
        ));
        assert!(matches!(refused(|proof| proof.page = Bytes::new()), ProofError::OtherDocument("page")));
        assert!(matches!(
            refused(|proof| proof.slice_list = proof.slice_list.slice(32..)),
            ProofError::SliceList(_)
        ));
    }

    #[test]
    fn another_key_proves_nothing() {
        let proof = honest(&key(), 3, "/2");
        assert!(matches!(Proved::check(proof, &keys(&key()), "/2"), Err(ProofError::Pointer(_))));
    }
}
