//! Signed URLs (RFC 9246): a JWT in the query, or in a cookie, that lets whoever has it fetch what it describes until it expires.
//!
//! A [`Token`] is verified once, with public keys only; whether it permits a URL now is asked each time. Everything that a token
//! says must be understood: one with a claim that is not enforced here is refused, never taken for less than its issuer meant.
//! An edge renews no token (RFC 9246 §3).

mod claims;
mod container;
pub mod key;
mod uri;

pub use container::PATTERN_SIZE_MAX;
pub use uri::{Package, normalised};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use claims::Claims;
use container::Container;
use key::{PublicKey, SigningKey};
use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer};
use std::time::Duration;

/// Name of the query parameter and of the cookie (RFC 9246 §6.3: the default of the URI Signing Package Attribute).
pub const PACKAGE: &str = "URISigningPackage";

/// Bytes of a token at most; it has to fit a URL.
pub const TOKEN_LEN_MAX: usize = 4096; // said in `TokenError::advice`

/// Why a token does not let its bearer fetch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[error("{}", self.advice())]
pub enum TokenError {
    /// No JWT in compact form (RFC 7515 §7.1), or its JSON is not what it should be.
    Malformed,
    /// Longer than [`TOKEN_LEN_MAX`].
    TooLong,
    /// The parameter came twice.
    Repeated,
    /// Another algorithm than that of the key, or none.
    Algorithm,
    /// None of the account's keys has this id.
    UnknownKey,
    /// The signature does not verify.
    Signature,
    /// It says something that is not enforced here.
    Claim,
    /// Made by somebody else, or for somebody else.
    Party,
    /// A pattern that is too large or that is none.
    Pattern,
    /// Not valid yet.
    NotYet,
    /// Not valid any more.
    Expired,
    /// It permits other URLs.
    OtherUrl,
}

impl TokenError {
    /// All of them.
    pub const ALL: [Self; 12] = [
        Self::Malformed,
        Self::TooLong,
        Self::Repeated,
        Self::Algorithm,
        Self::UnknownKey,
        Self::Signature,
        Self::Claim,
        Self::Party,
        Self::Pattern,
        Self::NotYet,
        Self::Expired,
        Self::OtherUrl,
    ];

    /// A stable code for clients and metrics.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Malformed => "token_malformed",
            Self::TooLong => "token_too_long",
            Self::Repeated => "token_repeated",
            Self::Algorithm => "token_algorithm",
            Self::UnknownKey => "token_unknown_key",
            Self::Signature => "token_signature",
            Self::Claim => "token_claim",
            Self::Party => "token_party",
            Self::Pattern => "token_pattern",
            Self::NotYet => "token_not_yet_valid",
            Self::Expired => "token_expired",
            Self::OtherUrl => "token_other_url",
        }
    }

    /// One line for people.
    pub const fn advice(self) -> &'static str {
        match self {
            Self::Malformed => "the signed URL's token cannot be read",
            Self::TooLong => "the signed URL's token is longer than 4096 bytes",
            Self::Repeated => "the URL has more than one token",
            Self::Algorithm => "the signed URL's token names an algorithm that its key is not for",
            Self::UnknownKey => "the signed URL was made with a key that this site does not have",
            Self::Signature => "the signed URL's signature is wrong",
            Self::Claim => "the signed URL's token has a claim that is not supported",
            Self::Party => "the signed URL was issued by another account or for another site",
            Self::Pattern => "the signed URL's pattern cannot be used",
            Self::NotYet => "the signed URL is not valid yet",
            Self::Expired => "the signed URL has expired",
            Self::OtherUrl => "the signed URL was made for another URL",
        }
    }

    /// Whether the request could not be understood, rather than not permitted.
    pub const fn is_malformed(self) -> bool {
        matches!(self, Self::Malformed | Self::TooLong | Self::Repeated)
    }
}

/// Who a token must be from, and for whom, if it says so.
#[derive(Debug, Clone, Copy)]
pub struct Parties<'a> {
    /// The account.
    pub issuer: &'a str,
    /// The site's domain.
    pub audience: &'a str,
    /// Further names of the site.
    pub aliases: &'a [Box<str>],
}

/// A token whose signature is right and whose claims are understood.
#[derive(Debug)]
pub struct Token {
    not_before: Option<f64>,
    expires: Option<f64>,
    container: Container,
}

/// The JOSE header. What it has beside these has no say (RFC 7515 §4).
#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: String,
    typ: Option<String>,
    #[serde(default, deserialize_with = "present")]
    crit: Option<IgnoredAny>,
}

/// A member that may be absent, but that null is no value of.
fn present<'de, D: Deserializer<'de>, T: Deserialize<'de>>(from: D) -> Result<Option<T>, D::Error> {
    T::deserialize(from).map(Some)
}

impl Token {
    /// Reads a token that one of `keys` signed.
    ///
    /// # Errors
    /// Any [`TokenError`] but those of time and URL.
    pub fn verify(text: &str, keys: &[PublicKey], parties: Parties<'_>) -> Result<Self, TokenError> {
        if text.len() > TOKEN_LEN_MAX {
            return Err(TokenError::TooLong);
        }
        let (signed, signature) = text.rsplit_once('.').ok_or(TokenError::Malformed)?;
        let (header, claims) = signed.split_once('.').ok_or(TokenError::Malformed)?;
        let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).map_err(|_| TokenError::Malformed);
        let (header, claims, signature) = (decode(header)?, decode(claims)?, decode(signature)?);
        let header: Header = serde_json::from_slice(&header).map_err(|_| TokenError::Malformed)?;
        let is_jwt = header.typ.is_none_or(|typ| typ.eq_ignore_ascii_case("JWT"));
        // RFC 7515 §4.1.11: what is critical and not understood makes the token invalid. Nothing critical is understood.
        if header.crit.is_some() || !is_jwt {
            return Err(TokenError::Malformed);
        }
        // The key decides on the algorithm, whatever the token says; it may only say the same (RFC 8725 §3.1).
        let key = keys.iter().find(|key| key.id() == header.kid).ok_or(TokenError::UnknownKey)?;
        if key.algorithm().name() != header.alg {
            return Err(TokenError::Algorithm);
        }
        if !key.verifies(signed.as_bytes(), &signature) {
            return Err(TokenError::Signature);
        }
        // Nothing of the claims is read, and no pattern compiled, before the signature is right (RFC 9246 §2.1.15.2).
        let claims = Claims::read(&claims, parties)?;
        Ok(Self {
            not_before: claims.not_before,
            expires: claims.expires,
            container: Container::read(&claims.container)?,
        })
    }

    /// Whether the bearer may fetch `url` when it is `now` since the Unix epoch.
    ///
    /// `url` is [`normalised`], with the package taken out.
    ///
    /// # Errors
    /// [`TokenError::NotYet`], [`TokenError::Expired`] and [`TokenError::OtherUrl`].
    pub fn permits(&self, url: &str, now: Duration) -> Result<(), TokenError> {
        // RFC 9246 §2.1.4, §2.1.5: without leeway; over at the very second that it says.
        let now = now.as_secs_f64();
        if self.not_before.is_some_and(|not_before| now < not_before) {
            return Err(TokenError::NotYet);
        }
        if self.expires.is_some_and(|expires| now >= expires) {
            return Err(TokenError::Expired);
        }
        if self.container.holds(url) { Ok(()) } else { Err(TokenError::OtherUrl) }
    }
}

/// What a token that is to be made permits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// The account, if it is to be named.
    pub issuer: Option<String>,
    /// Unix seconds.
    pub expires: i64,
    /// Unix seconds.
    pub not_before: Option<i64>,
    /// Which URLs.
    pub urls: Urls,
}

/// The URLs that a token permits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Urls {
    /// This one, [`normalised`].
    One(String),
    /// All that this pattern matches from their beginning to their end.
    Pattern(String),
}

impl Grant {
    /// The token, signed.
    ///
    /// # Errors
    /// [`TokenError::Pattern`] for one that no edge would take, [`TokenError::TooLong`].
    pub fn sign(&self, key: &SigningKey) -> Result<String, TokenError> {
        let header = serde_json::json!({
            "alg": key.public().algorithm().name(), "kid": key.public().id(), "typ": "JWT",
        });
        let container = match &self.urls {
            Urls::One(url) => container::hash_of(url),
            Urls::Pattern(pattern) => container::pattern(pattern),
        };
        Container::read(&container)?;
        let mut claims = serde_json::json!({ "cdniuc": container, "exp": self.expires });
        if let Some(issuer) = &self.issuer {
            claims["iss"] = issuer.as_str().into();
        }
        if let Some(not_before) = self.not_before {
            claims["nbf"] = not_before.into();
        }
        let part = |json: serde_json::Value| URL_SAFE_NO_PAD.encode(json.to_string());
        let signed = format!("{}.{}", part(header), part(claims));
        let signature = key.sign(signed.as_bytes()).ok_or(TokenError::Signature)?;
        let token = format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature));
        if token.len() > TOKEN_LEN_MAX { Err(TokenError::TooLong) } else { Ok(token) }
    }
}

#[cfg(test)]
mod tests;
