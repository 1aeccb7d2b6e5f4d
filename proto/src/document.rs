//! The frame of every stored or sent format: one byte that says which version follows, then a protobuf message.
//!
//! Nothing is decoded beyond a size limit, and nothing here decides whether to trust the bytes: signatures and hashes are checked
//! over the exact bytes, before they come here.

use bytes::{BufMut, Bytes, BytesMut};
use prost::Message;

/// The format that this program writes, and the only one it reads so far.
pub const FORMAT: u8 = 1;

/// Bytes in a document at most. A page of 1,024 entries with the longest paths and types stays under 4 MiB.
pub const DOCUMENT_SIZE_MAX: usize = 8 << 20;

/// Why bytes are no document of the expected kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DocumentError {
    /// Larger than [`DOCUMENT_SIZE_MAX`].
    #[error("document of {size} bytes is over the limit of {DOCUMENT_SIZE_MAX}")]
    TooLarge {
        /// Its size in bytes.
        size: usize,
    },
    /// Written by a newer program, or no document at all.
    #[error("document has format {found:?}, this program reads {FORMAT}")]
    Format {
        /// Its first byte, if it has one.
        found: Option<u8>,
    },
    /// Not the protobuf message that was expected.
    #[error("document does not decode: {0}")]
    Decode(#[from] prost::DecodeError),
    /// Decoded, but a value breaks a rule of the format.
    #[error("document breaks a rule: {0}")]
    Rule(&'static str),
}

/// Encodes a document: the same message gives the same bytes.
pub fn encode(message: &impl Message) -> Bytes {
    let mut bytes = BytesMut::with_capacity(1 + message.encoded_len());
    bytes.put_u8(FORMAT);
    message.encode(&mut bytes).expect("a growable buffer takes every message");
    bytes.freeze()
}

/// Decodes a document whose bytes were found right.
///
/// # Errors
/// [`DocumentError::TooLarge`], [`DocumentError::Format`] and [`DocumentError::Decode`], in this order.
pub fn decode<M: Message + Default>(bytes: &[u8]) -> Result<M, DocumentError> {
    if bytes.len() > DOCUMENT_SIZE_MAX {
        return Err(DocumentError::TooLarge { size: bytes.len() });
    }
    match bytes.split_first() {
        Some((&FORMAT, message)) => Ok(M::decode(message)?),
        other => Err(DocumentError::Format { found: other.map(|(first, _)| *first) }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire;

    #[test]
    fn a_document_survives_its_bytes() {
        let message = wire::Ping { number: 7, ..wire::Ping::default() };
        assert_eq!(decode::<wire::Ping>(&encode(&message)), Ok(message));
    }

    #[test]
    fn other_formats_sizes_and_garbage_are_refused() {
        assert_eq!(decode::<wire::Ping>(&[]), Err(DocumentError::Format { found: None }));
        assert_eq!(decode::<wire::Ping>(&[2, 8, 7]), Err(DocumentError::Format { found: Some(2) }));
        assert!(matches!(decode::<wire::Ping>(&[1, 0xff]), Err(DocumentError::Decode(_))));
        let large = vec![1; DOCUMENT_SIZE_MAX + 1];
        assert_eq!(
            decode::<wire::Ping>(&large),
            Err(DocumentError::TooLarge { size: DOCUMENT_SIZE_MAX + 1 })
        );
    }
}
