//! Join tokens: one line of text with which a machine becomes an edge.
//!
//! A token carries a secret, used once, and all that the edge needs to trust the origin at first sight: the certificate of its
//! authority and its signing keys.

use crate::document::DocumentError;
use crate::signature::KeySet;
use crate::wire;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use prost::Message;
use rustls::pki_types::CertificateDer;
use std::fmt;
use std::str::FromStr;

const PREFIX: &str = "skerry-join-1.";

/// Characters in a token at most; ours have about 800.
const LEN_MAX: usize = 8192;

/// Bytes of the secret.
pub const SECRET_LEN: usize = 32;

/// A join token. Its text is a secret.
#[derive(Clone)]
pub struct JoinToken {
    /// What the origin recognises it by; it keeps only a hash.
    pub secret: [u8; SECRET_LEN],
    /// The cluster's authority.
    pub authority: CertificateDer<'static>,
    /// The keys that may sign pointers.
    pub keys: KeySet,
}

/// Why a text is no join token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidJoinToken {
    /// Not of the form of a token.
    #[error("not a join token; it begins with {PREFIX} and is made by `skerry join-token`")]
    Form,
    /// Its key set cannot be used.
    #[error("the key set in the join token cannot be used: {0}")]
    Keys(#[from] DocumentError),
}

impl JoinToken {
    /// The text that the operator passes on.
    pub fn to_text(&self) -> String {
        let message = wire::JoinToken {
            secret: Bytes::copy_from_slice(&self.secret),
            ca_certificate: Bytes::copy_from_slice(&self.authority),
            key_set: self.keys.encode(),
        };
        format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(message.encode_to_vec()))
    }
}

impl FromStr for JoinToken {
    type Err = InvalidJoinToken;

    fn from_str(text: &str) -> Result<Self, InvalidJoinToken> {
        let body = text
            .trim()
            .strip_prefix(PREFIX)
            .filter(|body| body.len() <= LEN_MAX)
            .ok_or(InvalidJoinToken::Form)?;
        let bytes = URL_SAFE_NO_PAD.decode(body).map_err(|_| InvalidJoinToken::Form)?;
        let token = wire::JoinToken::decode(&bytes[..]).map_err(|_| InvalidJoinToken::Form)?;
        let secret = token.secret[..].try_into().map_err(|_| InvalidJoinToken::Form)?;
        let authority = CertificateDer::from(token.ca_certificate.to_vec());
        Ok(Self { secret, authority, keys: KeySet::decode(&token.key_set)? })
    }
}

impl fmt::Debug for JoinToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JoinToken(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_survives_its_text_and_hides_itself() {
        let token = JoinToken {
            secret: [9; SECRET_LEN],
            authority: CertificateDer::from(vec![1, 2, 3]),
            keys: KeySet { number: 1, cluster_id: [2; 16], keys: vec![[5; 32]] },
        };
        let read: JoinToken = token.to_text().parse().expect("own text");
        assert_eq!(
            (read.secret, read.authority, read.keys),
            (token.secret, token.authority.clone(), token.keys.clone())
        );
        assert_eq!(format!("{token:?}"), "JoinToken(…)");
    }

    #[test]
    fn other_texts_are_refused() {
        for wrong in ["", "hello", PREFIX, "skerry-join-1.!!!!", "skerry-join-2.AAAA"] {
            assert!(wrong.parse::<JoinToken>().is_err(), "{wrong}");
        }
    }
}
