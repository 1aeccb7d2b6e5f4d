//! The proof with which an edge whose certificate expired gets a new one: the old certificate, and a signature by its key.
//!
//! A handshake refuses an expired certificate, so the proof travels in the request. The signature covers the request for the new
//! certificate, which names a new key and is signed by that: whoever repeats a proof gets a certificate for a key that they do not
//! have.

use crate::authority::{edge_id, not_after};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, UnparsedPublicKey,
};
use bytes::Bytes;
use std::time::{Duration, SystemTime};
use x509_parser::prelude::{FromDer, X509Certificate};

const CONTEXT: &[u8] = b"skerry renewal v1\0";

/// Bytes of a certificate at most; ours have about 500.
const CERTIFICATE_SIZE_MAX: usize = 4096;

/// Why a proof does not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RenewalError {
    /// It is no certificate that this cluster's authority gave to an edge.
    #[error("the certificate is none that this origin gave to an edge; enrol with a join token")]
    Certificate,
    /// It expired too long ago.
    #[error("the certificate expired too long ago to be renewed; enrol with a new join token")]
    TooLate,
    /// The signature is not by the key of the certificate.
    #[error("the proof is not by the key of the certificate")]
    Wrong,
    /// A private key that cannot sign.
    #[error("the key of the certificate cannot be used")]
    Key,
}

/// Signs a certificate request with the key of the certificate that it is to succeed, PKCS #8.
///
/// # Errors
/// [`RenewalError::Key`].
pub fn prove(key: &[u8], request: &[u8]) -> Result<Bytes, RenewalError> {
    let key =
        EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, key).map_err(|_| RenewalError::Key)?;
    let message = [CONTEXT, request].concat();
    let signature = key.sign(&SystemRandom::new(), &message).map_err(|_| RenewalError::Key)?;
    Ok(Bytes::copy_from_slice(signature.as_ref()))
}

/// Checks a proof at `now`; the id of the edge. A certificate counts until `grace` after its end.
///
/// # Errors
/// [`RenewalError`], but for that of the signer.
pub fn check(
    authority: &[u8],
    certificate: &[u8],
    request: &[u8],
    proof: &[u8],
    now: SystemTime,
    grace: Duration,
) -> Result<String, RenewalError> {
    if certificate.len() > CERTIFICATE_SIZE_MAX {
        return Err(RenewalError::Certificate);
    }
    let (_, authority) = X509Certificate::from_der(authority).map_err(|_| RenewalError::Certificate)?;
    let (_, parsed) = X509Certificate::from_der(certificate).map_err(|_| RenewalError::Certificate)?;
    // The authority has a key of this kind alone; whatever else a certificate claims to be signed with does not verify.
    verify(&authority, parsed.tbs_certificate.as_ref(), &parsed.signature_value.data)
        .ok_or(RenewalError::Certificate)?;
    let id = edge_id(certificate).ok_or(RenewalError::Certificate)?;
    let end = not_after(certificate).ok_or(RenewalError::Certificate)?;
    if end.checked_add(grace).is_some_and(|last| last < now) {
        return Err(RenewalError::TooLate);
    }
    verify(&parsed, &[CONTEXT, request].concat(), proof).ok_or(RenewalError::Wrong)?;
    Ok(id)
}

/// Checks a signature by the key of a certificate.
fn verify(signer: &X509Certificate<'_>, message: &[u8], signature: &[u8]) -> Option<()> {
    let key = &signer.public_key().subject_public_key.data;
    UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, key).verify(message, signature).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::authority::{Authority, certificate_request};

    const DAY: Duration = Duration::from_secs(86_400);

    fn authority() -> Authority {
        let identity = Authority::generate("test", SystemTime::now()).expect("randomness");
        Authority::new(&identity).expect("own authority")
    }

    #[test]
    fn the_key_of_an_expired_certificate_proves_the_edge_for_a_while() {
        let authority = authority();
        let (request, key) = certificate_request().expect("randomness");
        let now = SystemTime::now();
        let old = authority.issue_edge(&request, "E1", now, DAY).expect("issues");
        let (next, _) = certificate_request().expect("randomness");
        let proof = prove(key.secret_pkcs8_der(), &next).expect("signs");
        let check = |certificate: &[u8], request: &[u8], proof: &[u8], now| {
            check(authority.certificate(), certificate, request, proof, now, 90 * DAY)
        };
        for days in [0, 2, 90] {
            assert_eq!(check(&old, &next, &proof, now + days * DAY), Ok("E1".into()), "{days}");
        }
        assert_eq!(check(&old, &next, &proof, now + 92 * DAY), Err(RenewalError::TooLate));
        assert_eq!(check(&old, &request, &proof, now), Err(RenewalError::Wrong), "of another request");
        assert_eq!(check(&old, &next, b"", now), Err(RenewalError::Wrong));
        let (_, stranger) = certificate_request().expect("randomness");
        let forged = prove(stranger.secret_pkcs8_der(), &next).expect("signs");
        assert_eq!(check(&old, &next, &forged, now), Err(RenewalError::Wrong));
    }

    #[test]
    fn only_certificates_that_the_authority_gave_to_an_edge_count() {
        let (ours, theirs) = (authority(), authority());
        let (request, key) = certificate_request().expect("randomness");
        let now = SystemTime::now();
        let proof = prove(key.secret_pkcs8_der(), &request).expect("signs");
        let foreign = theirs.issue_edge(&request, "E1", now, DAY).expect("issues");
        let server = ours.issue_server(&["localhost".into()], now, DAY).expect("issues").certificate;
        let mut flipped = ours.issue_edge(&request, "E1", now, DAY).expect("issues").to_vec();
        let at = flipped.windows(2).position(|pair| pair == b"E1").expect("named");
        flipped[at + 1] = b'2';
        for wrong in [&foreign[..], &server, &flipped, b"", b"garbage", &[0x30; 5000]] {
            let checked = check(ours.certificate(), wrong, &request, &proof, now, DAY);
            assert_eq!(checked, Err(RenewalError::Certificate));
        }
    }
}
