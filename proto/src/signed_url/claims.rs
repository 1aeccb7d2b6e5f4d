//! The claims of a token (RFC 9246 §2.1): each is enforced, or the token is refused.

use super::{Parties, TokenError, present};
use serde::Deserialize;
use serde::de::IgnoredAny;
use std::collections::HashMap;

/// What counts of the claims once they were checked.
pub(super) struct Claims {
    pub(super) not_before: Option<f64>,
    pub(super) expires: Option<f64>,
    pub(super) container: String,
}

/// As they were sent. An absent claim and one that is null are not the same: null is of no claim's type.
#[derive(Deserialize)]
struct Raw {
    #[serde(default, deserialize_with = "present")]
    iss: Option<String>,
    #[serde(default, deserialize_with = "present")]
    aud: Option<Audience>,
    #[serde(default, deserialize_with = "present")]
    exp: Option<f64>,
    #[serde(default, deserialize_with = "present")]
    nbf: Option<f64>,
    /// Says when it was made, which restricts nothing (RFC 7519 §4.1.6).
    #[serde(default, deserialize_with = "present", rename = "iat")]
    _iat: Option<f64>,
    /// Says for whom, encrypted for its issuer; a recipient need not look (RFC 9246 §2.1.2).
    #[serde(default, deserialize_with = "present", rename = "sub")]
    _sub: Option<String>,
    #[serde(default, deserialize_with = "present")]
    cdniv: Option<u64>,
    cdniuc: String,
    /// Of renewal, which `cdnistt` asks for.
    #[serde(default, deserialize_with = "present", rename = "cdniets")]
    _cdniets: Option<f64>,
    #[serde(default, deserialize_with = "present")]
    cdnistt: Option<u64>,
    /// Of renewal, too; not negative (RFC 9246 §2.1.14).
    #[serde(default, deserialize_with = "present", rename = "cdnistd")]
    _cdnistd: Option<u64>,
    /// `jti` (seen once only: needs a memory that all edges share), `cdniip` (the client's address, encrypted), `cdnicrit`
    /// (extensions), and whatever else somebody may have meant.
    #[serde(flatten)]
    others: HashMap<String, IgnoredAny>,
}

/// One, or several (RFC 7519 §4.1.3).
#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Several(Vec<String>),
}

impl Claims {
    /// Reads and checks the claims of a token whose signature is right.
    pub(super) fn read(json: &[u8], parties: Parties<'_>) -> Result<Self, TokenError> {
        let raw: Raw = serde_json::from_slice(json).map_err(|_| TokenError::Malformed)?;
        // RFC 9246 §2.1.8: other versions must be refused. §2.1.13: 0 asks for no renewal.
        if raw.cdniv.unwrap_or(1) != 1 || raw.cdnistt.unwrap_or(0) != 0 || !raw.others.is_empty() {
            return Err(TokenError::Claim);
        }
        let is_us =
            |name: &String| name == parties.audience || parties.aliases.iter().any(|alias| **alias == **name);
        let is_for_us = match &raw.aud {
            None => true,
            Some(Audience::One(audience)) => is_us(audience),
            Some(Audience::Several(audiences)) => audiences.iter().any(is_us),
        };
        let is_by_owner = raw.iss.is_none_or(|issuer| issuer == parties.issuer);
        if !is_for_us || !is_by_owner {
            return Err(TokenError::Party);
        }
        Ok(Self { not_before: raw.nbf, expires: raw.exp, container: raw.cdniuc })
    }
}
