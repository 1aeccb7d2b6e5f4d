//! `X-Twilio-Signature`: was this request signed by someone who knows a secret of the account?
//!
//! Accepts what any current official validator (PyPI twilio 9.13, npm twilio 6.2) accepts for the exact bytes that were sent:
//! nothing is decoded, ordered or normalised but the fields of a form, which the scheme says are. What one of them alone accepts
//! after rewriting the URL is not accepted here, but for the case of the host, which has none (RFC 9110 §4.2.3).
//!
//! The scheme has no time in it: a signature is good for its URL until the secret is revoked.

mod form;

use crate::hmac::{Algorithm, InvalidMidstates, Midstates};
use crate::wire;
use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use form::{decoded, fields};
use std::borrow::Cow;

pub use form::{FORM_FIELDS_MAX, TooManyFields};

/// The field with the signature.
pub const SIGNATURE_FIELD: &str = "x-twilio-signature";

/// The field that names a shared key and an algorithm; without it, the auth token and HMAC-SHA-1.
pub const SETTINGS_FIELD: &str = "x-twilio-webhooks-signature-settings";

/// The parameter that holds the hash of a body that is no form.
const BODY_HASH: &str = "bodySHA256";

/// Why a signature cannot be read. The client sent no signature at all, rather than a wrong one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// A field came twice.
    #[error("the signature, or its settings, came more than once")]
    Repeated,
    /// Not base64 with padding (RFC 4648 §4).
    #[error("the signature is not base64")]
    NotBase64,
    /// Base64 of something else than a tag.
    #[error("the signature does not have the length of its algorithm")]
    WrongLength,
}

/// A signature that came with a request, and what it claims to be made with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Presented {
    tag: Vec<u8>,
    /// `None`: one that does not exist.
    algorithm: Option<Algorithm>,
    /// Id of a shared key; `None`: an auth token.
    key_id: Option<String>,
}

impl Presented {
    /// Reads all values of [`SIGNATURE_FIELD`] and of [`SETTINGS_FIELD`]; `None` where no signature came.
    ///
    /// # Errors
    /// Any [`Malformed`].
    pub fn read<'a>(
        signatures: impl IntoIterator<Item = &'a [u8]>,
        settings: impl IntoIterator<Item = &'a [u8]>,
    ) -> Result<Option<Self>, Malformed> {
        let (Some(signature), settings) = (only(signatures)?, only(settings)?) else { return Ok(None) };
        let tag = STANDARD.decode(signature).map_err(|_| Malformed::NotBase64)?;
        let settings = Settings::read(&String::from_utf8_lossy(settings.unwrap_or_default()));
        let fits = match settings.algorithm {
            Some(algorithm) => tag.len() == algorithm.tag_len(),
            // No length is wrong, and no signature right.
            None => true,
        };
        if !fits {
            return Err(Malformed::WrongLength);
        }
        Ok(Some(Self { tag, algorithm: settings.algorithm, key_id: settings.key_id }))
    }
}

/// The one value of a field.
fn only<'a>(values: impl IntoIterator<Item = &'a [u8]>) -> Result<Option<&'a [u8]>, Malformed> {
    let mut values = values.into_iter();
    let first = values.next();
    if values.next().is_some() { Err(Malformed::Repeated) } else { Ok(first) }
}

struct Settings {
    algorithm: Option<Algorithm>,
    key_id: Option<String>,
}

impl Settings {
    /// `key=<id>,algorithm=HMAC_SHA1|HMAC_SHA256`, as the official validators read it: what is empty or unknown is passed over.
    fn read(text: &str) -> Self {
        let mut read = Self { algorithm: Some(Algorithm::Sha1), key_id: None };
        for (name, value) in text.split(',').filter_map(|part| part.split_once('=')) {
            match (name.trim(), value.trim()) {
                (_, "") => {}
                ("key", id) => read.key_id = Some(id.to_owned()),
                ("algorithm", name) => read.algorithm = algorithm(name),
                _ => {}
            }
        }
        read
    }
}

fn algorithm(name: &str) -> Option<Algorithm> {
    [("HMAC_SHA1", Algorithm::Sha1), ("HMAC_SHA256", Algorithm::Sha256)]
        .into_iter()
        .find_map(|(known, algorithm)| known.eq_ignore_ascii_case(name).then_some(algorithm))
}

/// What signatures of an account may be made with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Secret {
    /// Id of a shared key; `None`: an auth token.
    pub key_id: Option<String>,
    /// Of the secret, under one algorithm.
    pub midstates: Midstates,
}

impl From<&Secret> for wire::SignatureSecret {
    fn from(secret: &Secret) -> Self {
        Self {
            key_id: secret.key_id.clone().unwrap_or_default(),
            algorithm: wire::SignatureAlgorithm::from(secret.midstates.algorithm()).into(),
            midstates: secret.midstates.to_bytes().into(),
        }
    }
}

impl TryFrom<&wire::SignatureSecret> for Secret {
    type Error = InvalidMidstates;

    fn try_from(secret: &wire::SignatureSecret) -> Result<Self, InvalidMidstates> {
        let algorithm = Algorithm::try_from(secret.algorithm())?;
        Ok(Self {
            key_id: Some(secret.key_id.clone()).filter(|id| !id.is_empty()),
            midstates: Midstates::from_bytes(algorithm, &secret.midstates)?,
        })
    }
}

impl From<Algorithm> for wire::SignatureAlgorithm {
    fn from(algorithm: Algorithm) -> Self {
        match algorithm {
            Algorithm::Sha1 => Self::HmacSha1,
            Algorithm::Sha256 => Self::HmacSha256,
        }
    }
}

impl TryFrom<wire::SignatureAlgorithm> for Algorithm {
    type Error = InvalidMidstates;

    fn try_from(algorithm: wire::SignatureAlgorithm) -> Result<Self, InvalidMidstates> {
        match algorithm {
            wire::SignatureAlgorithm::HmacSha1 => Ok(Self::Sha1),
            wire::SignatureAlgorithm::HmacSha256 => Ok(Self::Sha256),
            wire::SignatureAlgorithm::Unspecified => Err(InvalidMidstates),
        }
    }
}

/// The body of a request, as far as it is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Body<'a> {
    /// None, or an empty one.
    Empty,
    /// `application/x-www-form-urlencoded`.
    Form(&'a [u8]),
    /// Anything else.
    Other(&'a [u8]),
}

/// A request as its sender saw it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SignedRequest<'a> {
    /// Of the listener, as clients see it.
    pub scheme: &'a str,
    /// As sent, without a port.
    pub host: &'a str,
    /// Of the listener, as clients see it.
    pub port: u16,
    /// Path and query, as sent.
    pub target: &'a str,
    /// Only its form fields, or its hash, are signed.
    pub body: Body<'a>,
}

impl SignedRequest<'_> {
    /// Whether one of `secrets` made the signature.
    ///
    /// Compares all that could be meant, in the same time whichever it is.
    ///
    /// # Errors
    /// [`TooManyFields`] of a form.
    pub fn is_signed_by(&self, secrets: &[Secret], presented: &Presented) -> Result<bool, TooManyFields> {
        let Some(algorithm) = presented.algorithm else { return Ok(false) };
        let endings = self.endings()?;
        let lower = self.host.to_ascii_lowercase();
        let hosts = [self.host, &lower];
        let hosts = if self.host == lower { &hosts[..1] } else { &hosts[..] };
        let port = format!(":{}", self.port);
        let mut is_signed = false;
        for secret in secrets {
            if secret.midstates.algorithm() != algorithm || secret.key_id != presented.key_id {
                continue;
            }
            for ending in &endings {
                for host in hosts {
                    // Senders sign with or without the port, and so official validators try both.
                    for port in ["", port.as_str()] {
                        let url = [self.scheme, "://", host, port, self.target];
                        let parts =
                            url.into_iter().map(str::as_bytes).chain(ending.iter().map(|part| &**part));
                        is_signed |= secret.midstates.tag(parts).is(&presented.tag);
                    }
                }
            }
        }
        Ok(is_signed)
    }

    /// What may follow the URL in the signed text: nothing, or the fields of a form by name and value, each value once.
    fn endings(&self) -> Result<Vec<Vec<Cow<'_, [u8]>>>, TooManyFields> {
        let url_alone = Vec::new;
        Ok(match self.body {
            Body::Empty => vec![url_alone()],
            Body::Form(form) => {
                let fields = fields(form)?.into_iter().flat_map(|(name, value)| [name, value]).collect();
                // npm's validator takes the hash of a form for its fields; PyPI's never does.
                match self.has_hash_of(form) {
                    true => vec![fields, url_alone()],
                    false => vec![fields],
                }
            }
            Body::Other(body) if self.has_hash_of(body) => vec![url_alone()],
            // Nothing vouches for the body.
            Body::Other(_) => Vec::new(),
        })
    }

    /// Whether the query holds the body's hash: lower-case hexadecimal, the first one counts.
    fn has_hash_of(&self, body: &[u8]) -> bool {
        let query = self.target.split_once('?').map_or("", |(_, query)| query);
        let stated = query
            .split('&')
            .filter_map(|pair| pair.split_once('='))
            .find(|(name, _)| *name == BODY_HASH)
            .map(|(_, value)| decoded(value.as_bytes()));
        let hash: String = digest(&SHA256, body).as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        stated.is_some_and(|stated| verify_slices_are_equal(&stated, hash.as_bytes()).is_ok())
    }
}

/// The value of [`SIGNATURE_FIELD`] for a request without a body.
pub fn sign(midstates: &Midstates, url: &str) -> String {
    STANDARD.encode(midstates.tag([url.as_bytes()]).as_bytes())
}

#[cfg(test)]
mod tests;
