//! Random bytes, and what is kept of a secret: never itself.

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand;

/// The system gave no random bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the system gives no random bytes")]
pub struct NoRandomness;

/// `N` random bytes.
pub(crate) fn random<const N: usize>() -> Result<[u8; N], NoRandomness> {
    let mut bytes = [0; N];
    rand::fill(&mut bytes).map_err(|_| NoRandomness)?;
    Ok(bytes)
}

/// What a secret of ours is recognised by: its SHA-256. Ours are random and long, so nobody finds one by trying.
pub(crate) fn secret_hash(secret: &[u8]) -> [u8; 32] {
    let mut hash = [0; 32];
    // A SHA-256 has 32 bytes.
    hash.copy_from_slice(digest(&SHA256, secret).as_ref());
    hash
}

/// Lower-case hexadecimal digits of `bytes`.
pub(crate) fn hex(bytes: &[u8]) -> String {
    const DIGITS: [char; 16] =
        ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f'];
    let digit = |nibble: u8| DIGITS.get(usize::from(nibble)).copied().unwrap_or('0');
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hexadecimal_digits_are_those_of_the_bytes() {
        assert_eq!(hex(&[0x00, 0x9f, 0xe1]), "009fe1");
    }
}
