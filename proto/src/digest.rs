//! Digests that a sender declares (RFC 9530): `Repr-Digest` and `Content-Digest`, dictionaries of algorithms and bytes.
//!
//! Of the algorithms that RFC 9530 §5 registers, SHA-256 counts here; the others, and those that nobody knows, are ignored (§2, §3).

use sfv::{BareItem, Dictionary, ListEntry, Parser};

/// Bytes of a field's value at most: a handful of digests of the longest algorithms fit many times.
pub const FIELD_SIZE_MAX: usize = 2048;

/// The one that counts, by its name in the registry.
const SHA_256: &str = "sha-256";

/// Why a field cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidDigest {
    /// It is no dictionary of byte sequences.
    #[error("it is no list of algorithms with their digests, such as sha-256=:BASE64: (RFC 9530)")]
    Malformed,
    /// Another length than the algorithm's.
    #[error("a sha-256 digest has 32 bytes")]
    Length,
}

/// The SHA-256 digest that a field declares; `None` where it declares others only.
///
/// # Errors
/// Any [`InvalidDigest`].
pub fn sha256(field: &[u8]) -> Result<Option<[u8; 32]>, InvalidDigest> {
    if field.len() > FIELD_SIZE_MAX {
        return Err(InvalidDigest::Malformed);
    }
    let digests: Dictionary = Parser::new(field).parse().map_err(|_| InvalidDigest::Malformed)?;
    let mut sha256 = None;
    for (algorithm, value) in &digests {
        // RFC 9530 §2, §3: each value is a byte sequence, whatever its algorithm.
        let ListEntry::Item(item) = value else { return Err(InvalidDigest::Malformed) };
        let BareItem::ByteSequence(bytes) = &item.bare_item else { return Err(InvalidDigest::Malformed) };
        if algorithm.as_str() == SHA_256 {
            sha256 = Some(bytes[..].try_into().map_err(|_| InvalidDigest::Length)?);
        }
    }
    Ok(sha256)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of `hello`.
    const DIGEST: &str = "sha-256=:LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ=:";

    #[test]
    fn sha_256_counts_and_other_algorithms_are_ignored() {
        let hello = sha256(DIGEST.as_bytes()).expect("well formed").expect("declared");
        assert_eq!(hello[..4], [0x2c, 0xf2, 0x4d, 0xba]);
        for field in [
            format!("sha-512=:AAAA:, {DIGEST}"),
            format!("{DIGEST}, unixsum=:AAA=:"),
            format!("sha-256=:AAAA:, {DIGEST}"),
            format!("  {DIGEST};note=\"x\"  "),
        ] {
            assert_eq!(sha256(field.as_bytes()), Ok(Some(hello)), "{field}");
        }
        for field in ["", "sha-512=:AAAA:", "blake3=:AAAA:", "md5=:AAAA:;a=1, x=::"] {
            assert_eq!(sha256(field.as_bytes()), Ok(None), "{field}");
        }
    }

    #[test]
    fn what_is_no_dictionary_of_byte_sequences_is_refused() {
        let long = format!("a=:{}:", "A".repeat(FIELD_SIZE_MAX));
        for field in [
            "sha-256",
            "sha-256=LPJN",
            "sha-256=\"LPJN\"",
            "sha-256=(:AAAA:)",
            "SHA-256=:AAAA:",
            "a=:AAAA:,",
            "x=:\u{ff}:",
            &long,
        ] {
            assert_eq!(sha256(field.as_bytes()), Err(InvalidDigest::Malformed), "{field}");
        }
        for field in ["sha-256=::", "sha-256=:AAAA:"] {
            assert_eq!(sha256(field.as_bytes()), Err(InvalidDigest::Length), "{field}");
        }
    }
}
