//! HMAC (RFC 2104) from its two midstates: the states of the hash after the block of the inner and of the outer pad.
//!
//! Whoever holds the midstates of a secret makes and checks its tags, and learns neither the secret nor what else it opens
//! (RFC 2104 §4). They are what an edge gets instead of a token. The states are the words of FIPS 180-4 as big-endian bytes, so
//! they depend on no library; hence the block functions here, and not a hash object, whose insides are its own.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use std::fmt;

/// Bytes that both hashes take at a time.
const BLOCK_LEN: usize = 64;

/// Bytes of a length at the end of the last block.
const LENGTH_LEN: usize = 8;

/// Bytes of the longer tag.
const TAG_LEN_MAX: usize = 32;

/// A hash that tags are made with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Algorithm {
    /// HMAC-SHA-1: nothing known breaks it (RFC 6194 §3.3), and deployed clients sign with nothing else.
    Sha1,
    /// HMAC-SHA-256.
    Sha256,
}

impl Algorithm {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Sha1, Self::Sha256];

    /// Bytes of a tag, and of a midstate.
    pub const fn tag_len(self) -> usize {
        match self {
            Self::Sha1 => 20,
            Self::Sha256 => TAG_LEN_MAX,
        }
    }

    /// The state before the first block (FIPS 180-4 §5.3.1, §5.3.3). SHA-1 has five words.
    const fn start(self) -> Words {
        match self {
            Self::Sha1 => [0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476, 0xc3d2_e1f0, 0, 0, 0],
            Self::Sha256 => [
                0x6a09_e667,
                0xbb67_ae85,
                0x3c6e_f372,
                0xa54f_f53a,
                0x510e_527f,
                0x9b05_688c,
                0x1f83_d9ab,
                0x5be0_cd19,
            ],
        }
    }

    fn compress(self, words: &mut Words, block: &[u8; BLOCK_LEN]) {
        match self {
            Self::Sha1 => {
                let five = words.first_chunk_mut().expect("eight words begin with five");
                sha1::block_api::compress(five, std::slice::from_ref(block));
            }
            Self::Sha256 => sha2::block_api::compress256(words, std::slice::from_ref(block)),
        }
    }
}

type Words = [u32; 8];

/// The tag of a message, as long as its algorithm says.
#[derive(Clone, Copy)]
pub struct Tag {
    bytes: [u8; TAG_LEN_MAX],
    len: usize,
}

impl Tag {
    fn of(algorithm: Algorithm, words: &Words) -> Self {
        let mut bytes = [0; TAG_LEN_MAX];
        for (to, word) in bytes.chunks_exact_mut(4).zip(words) {
            to.copy_from_slice(&word.to_be_bytes());
        }
        Self { bytes, len: algorithm.tag_len() }
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    /// Whether these are the bytes; takes the same time wherever they differ.
    pub fn is(&self, bytes: &[u8]) -> bool {
        verify_slices_are_equal(self.as_bytes(), bytes).is_ok()
    }
}

/// What makes and checks the tags of one secret under one algorithm.
#[derive(Clone, PartialEq, Eq)]
pub struct Midstates {
    algorithm: Algorithm,
    inner: Words,
    outer: Words,
}

/// What is no midstates of an algorithm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("midstates have an algorithm, and are twice as long as its tag")]
pub struct InvalidMidstates;

impl Midstates {
    /// The midstates of a secret.
    pub fn of(algorithm: Algorithm, secret: &[u8]) -> Self {
        let mut key = [0; BLOCK_LEN];
        if let Some(start) = key.get_mut(..secret.len()) {
            start.copy_from_slice(secret);
        } else {
            // RFC 2104 §2: a key longer than a block is hashed first.
            let mut hash = Hasher::new(algorithm, algorithm.start(), 0);
            hash.update(secret);
            let digest = hash.finish();
            key[..digest.len].copy_from_slice(digest.as_bytes());
        }
        let after = |pad: u8| {
            let mut words = algorithm.start();
            algorithm.compress(&mut words, &key.map(|byte| byte ^ pad));
            words
        };
        Self { algorithm, inner: after(0x36), outer: after(0x5c) }
    }

    /// Which tags these make.
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The tag of a message that comes in parts.
    pub fn tag<'a>(&self, parts: impl IntoIterator<Item = &'a [u8]>) -> Tag {
        let mut inner = Hasher::new(self.algorithm, self.inner, BLOCK_LEN);
        for part in parts {
            inner.update(part);
        }
        let mut outer = Hasher::new(self.algorithm, self.outer, BLOCK_LEN);
        outer.update(inner.finish().as_bytes());
        outer.finish()
    }

    /// Inner, then outer state. As secret as the signatures that they make.
    pub fn to_bytes(&self) -> Vec<u8> {
        let states = [Tag::of(self.algorithm, &self.inner), Tag::of(self.algorithm, &self.outer)];
        states.iter().flat_map(Tag::as_bytes).copied().collect()
    }

    /// Reads what [`Self::to_bytes`] wrote.
    ///
    /// # Errors
    /// [`InvalidMidstates`] for another length.
    pub fn from_bytes(algorithm: Algorithm, bytes: &[u8]) -> Result<Self, InvalidMidstates> {
        if bytes.len() != 2 * algorithm.tag_len() {
            return Err(InvalidMidstates);
        }
        let (inner, outer) = bytes.split_at(algorithm.tag_len());
        Ok(Self { algorithm, inner: words(inner), outer: words(outer) })
    }
}

impl fmt::Debug for Midstates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Midstates").field("algorithm", &self.algorithm).finish_non_exhaustive()
    }
}

fn words(bytes: &[u8]) -> Words {
    let mut words = Words::default();
    for (word, bytes) in words.iter_mut().zip(bytes.as_chunks().0) {
        *word = u32::from_be_bytes(*bytes);
    }
    words
}

/// Either hash, begun anywhere (FIPS 180-4 §6.1, §6.2).
struct Hasher {
    algorithm: Algorithm,
    words: Words,
    block: [u8; BLOCK_LEN],
    /// Bytes of the message so far, those in whole blocks included.
    len: usize,
}

impl Hasher {
    /// Goes on from the state after `len` bytes, which are whole blocks.
    fn new(algorithm: Algorithm, words: Words, len: usize) -> Self {
        Self { algorithm, words, block: [0; BLOCK_LEN], len }
    }

    fn update(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let at = self.len % BLOCK_LEN;
            let (now, later) = bytes.split_at(bytes.len().min(BLOCK_LEN - at));
            self.block[at..at + now.len()].copy_from_slice(now);
            self.len += now.len();
            bytes = later;
            if self.len.is_multiple_of(BLOCK_LEN) {
                self.algorithm.compress(&mut self.words, &self.block);
            }
        }
    }

    /// Pads to a whole block: a one bit, zeros, the length in bits (FIPS 180-4 §5.1.1).
    fn finish(mut self) -> Tag {
        let bits = (self.len as u64) * 8;
        let at = self.len % BLOCK_LEN;
        let zeros = (2 * BLOCK_LEN - LENGTH_LEN - 1 - at) % BLOCK_LEN;
        self.update(&[0x80]);
        self.update(&[0; BLOCK_LEN][..zeros]);
        self.update(&bits.to_be_bytes());
        Tag::of(self.algorithm, &self.words)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_lc_rs::hmac;

    /// The same from another implementation.
    fn expected(algorithm: Algorithm, secret: &[u8], message: &[u8]) -> Vec<u8> {
        let algorithm = match algorithm {
            Algorithm::Sha1 => hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
            Algorithm::Sha256 => hmac::HMAC_SHA256,
        };
        hmac::sign(&hmac::Key::new(algorithm, secret), message).as_ref().to_vec()
    }

    #[test]
    fn every_length_of_secret_and_message_around_a_block_gives_the_tag_of_another_implementation() {
        let bytes: Vec<u8> = (0..200).map(|number: u8| number.wrapping_mul(31)).collect();
        for algorithm in Algorithm::ALL {
            for secret in [0, 1, 20, 63, 64, 65, 128, 200] {
                let midstates = Midstates::of(algorithm, &bytes[..secret]);
                for message in 0..bytes.len() {
                    let tag = midstates.tag([&bytes[..message]]);
                    assert!(
                        tag.is(&expected(algorithm, &bytes[..secret], &bytes[..message])),
                        "{algorithm:?}, secret of {secret}, message of {message}"
                    );
                }
            }
        }
    }

    #[test]
    fn the_tag_does_not_depend_on_how_the_message_is_cut() {
        let midstates = Midstates::of(Algorithm::Sha1, b"key");
        let message = [7; 150];
        for cut in 0..message.len() {
            let (left, right) = message.split_at(cut);
            assert_eq!(midstates.tag([left, right]).as_bytes(), midstates.tag([&message[..]]).as_bytes());
        }
    }

    #[test]
    fn midstates_survive_their_bytes_and_other_lengths_are_refused() {
        for algorithm in Algorithm::ALL {
            let midstates = Midstates::of(algorithm, b"12345");
            let bytes = midstates.to_bytes();
            assert_eq!(Midstates::from_bytes(algorithm, &bytes), Ok(midstates));
            assert_eq!(Midstates::from_bytes(algorithm, &bytes[1..]), Err(InvalidMidstates));
        }
    }

    #[test]
    fn midstates_do_not_show_themselves() {
        let shown = format!("{:?}", Midstates::of(Algorithm::Sha1, b"12345"));
        assert_eq!(shown, "Midstates { algorithm: Sha1, .. }");
    }
}
