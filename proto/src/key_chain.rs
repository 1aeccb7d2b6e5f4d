//! The chain of key sets: how whoever trusts one set comes to trust those after it.
//!
//! Each set is signed by all of its own keys, which shows that they are there, and by all keys of the set before, which hands the
//! trust on. So an edge that was away for several rotations follows one link after the other, from the set that it joined with. A
//! set that was not signed by the keys held, that leaves one out, or that is another one of the same number, is refused; the chain
//! stays as it was. What is new must be signed by the newest set; what was taken before stays good.

use crate::document::DocumentError;
use crate::pointer::{Pointer, PointerError};
use crate::signature::{Context, KeyId, KeySet, SigningKey};
use crate::wire;
use bytes::Bytes;

/// Sets in a chain at most: a rotation every day for eleven years.
const SETS_MAX: usize = 4096;

/// Bytes of a key set at most: eight keys have less than 400.
const SET_SIZE_MAX: usize = 1024;

/// Why a key set does not continue a chain.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChainError {
    /// Not signed by all keys of the newest set that is held.
    #[error("the key set is not signed by the keys of the set before it that is held")]
    NotSigned,
    /// Signed by an older set, which has another successor.
    #[error("the key set is a second successor of a set that has one")]
    Branch,
    /// It does not count on by one.
    #[error("the key set has number {found}, where {expected} would be next")]
    Gap {
        /// Its number.
        found: u64,
        /// The next one.
        expected: u64,
    },
    /// Not signed by all of its own keys.
    #[error("the key set is not signed by all of its own keys")]
    NotOwned,
    /// Of another cluster.
    #[error("the key set is of another cluster")]
    OtherCluster,
    /// Malformed.
    #[error("the key set cannot be read: {0}")]
    Document(#[from] DocumentError),
    /// More sets than anybody needs.
    #[error("a chain has at most {SETS_MAX} key sets")]
    TooLong,
}

impl ChainError {
    /// A stable code for reports.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NotSigned => "key_set_not_signed",
            Self::Branch => "key_set_branch",
            Self::Gap { .. } => "key_set_gap",
            Self::NotOwned => "key_set_not_owned",
            Self::OtherCluster => "key_set_other_cluster",
            Self::Document(_) => "key_set_document",
            Self::TooLong => "key_set_too_many",
        }
    }
}

/// Key sets that follow each other.
#[derive(Debug, Clone, PartialEq)]
pub struct KeyChain {
    anchor: KeySet,
    /// Those after the anchor: as they are, and as they came.
    links: Vec<(KeySet, wire::SignedKeySet)>,
}

impl KeyChain {
    /// A chain that begins with a set that is trusted for another reason.
    pub const fn new(anchor: KeySet) -> Self {
        Self { anchor, links: Vec::new() }
    }

    /// A chain as it was kept. Nothing of it is believed: each link is verified again.
    ///
    /// # Errors
    /// Any [`ChainError`].
    pub fn resume(anchor: KeySet, kept: &wire::KeyChain) -> Result<Self, ChainError> {
        let mut chain = Self::new(anchor);
        for signed in &kept.sets {
            chain.extend(signed)?;
        }
        Ok(chain)
    }

    /// What is to be kept: all but the anchor.
    pub fn to_wire(&self) -> wire::KeyChain {
        wire::KeyChain { sets: self.links.iter().map(|(_, signed)| signed.clone()).collect() }
    }

    /// The newest set: its keys sign what is new.
    pub fn current(&self) -> &KeySet {
        self.links.last().map_or(&self.anchor, |(set, _)| set)
    }

    /// Takes the next set; `false` where it is held already.
    ///
    /// # Errors
    /// Any [`ChainError`]; the chain is as it was.
    pub fn extend(&mut self, signed: &wire::SignedKeySet) -> Result<bool, ChainError> {
        if signed.key_set.len() > SET_SIZE_MAX {
            return Err(DocumentError::TooLarge { size: signed.key_set.len() }.into());
        }
        if self.sets().any(|held| held.encode() == signed.key_set) {
            return Ok(false);
        }
        let current = self.current();
        if !is_signed_by_all(current, signed) {
            let is_branch = self.sets().any(|held| is_signed_by_all(held, signed));
            return Err(if is_branch { ChainError::Branch } else { ChainError::NotSigned });
        }
        let set = KeySet::decode(&signed.key_set)?;
        if set.cluster_id != current.cluster_id {
            return Err(ChainError::OtherCluster);
        }
        let expected = current.number.saturating_add(1);
        if set.number != expected {
            return Err(ChainError::Gap { found: set.number, expected });
        }
        if !is_signed_by_all(&set, signed) {
            return Err(ChainError::NotOwned);
        }
        if self.links.len() >= SETS_MAX {
            return Err(ChainError::TooLong);
        }
        self.links.push((set, signed.clone()));
        Ok(true)
    }

    /// Opens a pointer that was taken before, by the keys of its time: the newest set or any before it.
    ///
    /// # Errors
    /// Any [`PointerError`]: that of the newest set.
    pub fn open_kept(&self, signed: &wire::SignedPointer) -> Result<Pointer, PointerError> {
        let newest = Pointer::open(signed, self.current());
        if newest.is_ok() {
            return newest;
        }
        self.sets().find_map(|set| Pointer::open(signed, set).ok()).map_or(newest, Ok)
    }

    /// All sets, oldest first.
    pub fn sets(&self) -> impl Iterator<Item = &KeySet> {
        std::iter::once(&self.anchor).chain(self.links.iter().map(|(set, _)| set))
    }
}

/// Signs a set by its own keys and those of its predecessor. A first set has none.
pub fn sign<'a>(set: &KeySet, keys: impl IntoIterator<Item = &'a SigningKey>) -> wire::SignedKeySet {
    let key_set = set.encode();
    let signature = |key: &SigningKey| wire::KeySetSignature {
        key_id: Bytes::copy_from_slice(key.id().as_bytes()),
        signature: key.sign(Context::KeySet, &key_set),
    };
    let signatures = keys.into_iter().map(signature).collect();
    wire::SignedKeySet { key_set, signatures }
}

/// Whether every key of `set` signed a document. At most as many signatures are looked at as a set has keys.
fn is_signed_by_all(set: &KeySet, signed: &wire::SignedKeySet) -> bool {
    set.keys.iter().all(|key| {
        let id = KeyId::of(key);
        signed.signatures.iter().find(|one| one.key_id[..] == id.as_bytes()[..]).is_some_and(|one| {
            set.verify(Context::KeySet, &one.key_id, &signed.key_set, &one.signature).is_ok()
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pointer::Version;

    fn key() -> SigningKey {
        SigningKey::from_pkcs8(&SigningKey::generate().expect("randomness")).expect("own key")
    }

    fn set(number: u64, keys: &[&SigningKey]) -> KeySet {
        let keys = keys.iter().map(|key| key.public_key().try_into().expect("32 bytes")).collect();
        KeySet { number, cluster_id: [1; 16], keys }
    }

    /// Three rotations of one key: the keys, and the signed sets after the first.
    fn rotated() -> ([SigningKey; 4], KeyChain, Vec<wire::SignedKeySet>) {
        let keys = [key(), key(), key(), key()];
        let signed = (1..4).map(|at| sign(&set(at as u64 + 1, &[&keys[at]]), [&keys[at], &keys[at - 1]]));
        let signed = signed.collect();
        let chain = KeyChain::new(set(1, &[&keys[0]]));
        (keys, chain, signed)
    }

    #[test]
    fn whoever_was_away_for_several_rotations_follows_one_link_after_the_other() {
        let (keys, mut chain, signed) = rotated();
        for link in &signed {
            assert_eq!(chain.extend(link), Ok(true));
        }
        assert_eq!(chain.current(), &set(4, &[&keys[3]]));
        assert_eq!(chain.extend(&signed[1]), Ok(false), "what is held changes nothing");
        let resumed = KeyChain::resume(set(1, &[&keys[0]]), &chain.to_wire());
        assert_eq!(resumed.as_ref(), Ok(&chain));
        let later = KeyChain::resume(set(3, &[&keys[2]]), &wire::KeyChain { sets: vec![signed[2].clone()] });
        assert_eq!(later.expect("a later anchor").current(), chain.current());
    }

    #[test]
    fn a_set_with_several_keys_needs_all_of_them() {
        let (old, new, further) = (key(), key(), key());
        let mut chain = KeyChain::new(set(1, &[&old]));
        let both = set(2, &[&old, &new]);
        assert_eq!(chain.extend(&sign(&both, [&old])), Err(ChainError::NotOwned));
        assert_eq!(chain.extend(&sign(&both, [&old, &new])), Ok(true));
        let next = set(3, &[&further]);
        assert_eq!(chain.extend(&sign(&next, [&further, &new])), Err(ChainError::NotSigned));
        assert_eq!(chain.extend(&sign(&next, [&further, &new, &old])), Ok(true));
    }

    #[test]
    fn forged_gapped_and_branching_sets_are_refused_and_change_nothing() {
        let (keys, mut chain, signed) = rotated();
        let stranger = key();
        let before = chain.clone();
        let mut flipped = signed[0].clone();
        flipped.key_set = flipped.key_set.iter().map(|byte| byte ^ 1).collect();
        let mut borrowed = sign(&set(2, &[&stranger]), [&stranger, &stranger]);
        borrowed.signatures[1].key_id = Bytes::copy_from_slice(keys[0].id().as_bytes());
        let mut foreign = set(2, &[&keys[1]]);
        foreign.cluster_id = [2; 16];
        let refused = [
            (flipped, ChainError::NotSigned),
            (borrowed, ChainError::NotSigned),
            (sign(&set(2, &[&stranger]), [&stranger]), ChainError::NotSigned),
            (signed[1].clone(), ChainError::NotSigned),
            (sign(&set(2, &[&keys[1]]), [&keys[0]]), ChainError::NotOwned),
            (sign(&foreign, [&keys[0], &keys[1]]), ChainError::OtherCluster),
            (sign(&set(3, &[&keys[1]]), [&keys[0], &keys[1]]), ChainError::Gap { found: 3, expected: 2 }),
            (sign(&set(1, &[&keys[1]]), [&keys[0], &keys[1]]), ChainError::Gap { found: 1, expected: 2 }),
        ];
        for (link, why) in refused {
            assert_eq!(chain.extend(&link), Err(why));
            assert_eq!(chain, before);
        }
        assert_eq!(chain.extend(&signed[0]), Ok(true));
        let branch = sign(&set(2, &[&stranger]), [&stranger, &keys[0]]);
        assert_eq!(chain.extend(&branch), Err(ChainError::Branch));
        let large = wire::SignedKeySet { key_set: vec![0; 2000].into(), signatures: Vec::new() };
        assert!(matches!(chain.extend(&large), Err(ChainError::Document(_))));
        assert_eq!(chain.current(), &set(2, &[&keys[1]]));
    }

    #[test]
    fn what_an_old_key_signed_is_good_if_it_was_kept_and_not_if_it_is_new() {
        let (keys, mut chain, signed) = rotated();
        let version = Version { epoch: 1, revision: 1 };
        let pointer = Pointer {
            cluster_id: [1; 16],
            version,
            domain: "a.test".into(),
            account_sid: "AC".into(),
            environment_sid: "ZE".into(),
            ..Pointer::default()
        };
        let old = pointer.sign(&keys[0]);
        chain.extend(&signed[0]).expect("the next link");
        assert_eq!(chain.open_kept(&old).expect("kept").version, version);
        assert!(Pointer::open(&old, chain.current()).is_err(), "not as something new");
        assert!(chain.open_kept(&pointer.sign(&keys[2])).is_err(), "of a set that is not held yet");
    }
}
