//! What a build declares beside its assets: response header fields, redirects, an index and an error page.
//!
//! Whoever publishes declares these, so nothing here may change what HTTP itself, the edge, or the connection means by a response:
//! [`HeaderField`] cannot be made of a field that they own.

use crate::document::DocumentError;
use crate::path::AssetPath;
use crate::wire;

/// Path of the file that declares it, at the root of a service. It is never served.
pub const SITE_FILE: &str = "/_skerry.toml";

/// Bytes in the value of a declared field at most: room for a long `Content-Security-Policy`.
pub const FIELD_VALUE_LEN_MAX: usize = 4096;

/// Redirects of one build at most.
pub const REDIRECTS_MAX: usize = 1000;

/// Bytes in the target of a redirect at most.
pub const TARGET_LEN_MAX: usize = 2048;

/// Fields that no build may declare: framing and hop-by-hop fields (RFC 9110 §7.6.1, RFC 9112 §6), what the edge says of the
/// representation and of itself, and what would act on the whole origin.
const OWNED: [&str; 40] = [
    "accept-ranges",
    "access-control-allow-credentials",
    "access-control-allow-headers",
    "access-control-allow-methods",
    "access-control-allow-origin",
    "access-control-expose-headers",
    "access-control-max-age",
    "age",
    "allow",
    "alt-svc",
    "cache-status",
    "connection",
    "content-digest",
    "content-encoding",
    "content-length",
    "content-range",
    "content-type",
    "date",
    "etag",
    "expires",
    "host",
    "keep-alive",
    "last-modified",
    "location",
    "pragma",
    "proxy-authenticate",
    "proxy-connection",
    "repr-digest",
    "retry-after",
    "server",
    "set-cookie",
    "strict-transport-security",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "vary",
    "via",
    "www-authenticate",
    "x-content-type-options",
];

/// A response header field that a build declares. Cannot be made of a field that is not the publisher's to set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeaderField {
    name: String,
    value: String,
}

/// Why a field cannot be declared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidField {
    /// No token (RFC 9110 §5.1).
    #[error("the name is no name of a header field")]
    Name,
    /// The edge, or HTTP itself, sets it.
    #[error("this field is set by the edge and cannot be declared")]
    Owned,
    /// Not fit for a header (RFC 9110 §5.5).
    #[error("the value is not 1 to {FIELD_VALUE_LEN_MAX} visible ASCII characters and spaces")]
    Value,
}

impl HeaderField {
    /// Checks a field; the name is kept in lower case.
    ///
    /// # Errors
    /// Any [`InvalidField`].
    pub fn new(name: &str, value: &str) -> Result<Self, InvalidField> {
        let name = name.to_ascii_lowercase();
        if !is_token(&name) || name.len() > 100 {
            return Err(InvalidField::Name);
        }
        // `Cache-Control` is the manifest entry's own field.
        if OWNED.contains(&name.as_str()) || name == "cache-control" {
            return Err(InvalidField::Owned);
        }
        if !is_field_value(value) {
            return Err(InvalidField::Value);
        }
        Ok(Self { name, value: value.to_owned() })
    }

    /// Lower case.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Visible ASCII and spaces.
    pub fn value(&self) -> &str {
        &self.value
    }
}

/// RFC 9110 §5.6.2.
fn is_token(text: &str) -> bool {
    let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !text.is_empty() && text.bytes().all(token)
}

/// Whether a text may be the value of a declared field: `field-content` of RFC 9110 §5.5 without `obs-text`, not empty, bounded.
pub fn is_field_value(text: &str) -> bool {
    let visible = |byte: u8| matches!(byte, 0x21..=0x7e);
    (1..=FIELD_VALUE_LEN_MAX).contains(&text.len())
        && text.bytes().all(|byte| visible(byte) || byte == b' ')
        && text.bytes().next().is_some_and(visible)
        && text.bytes().last().is_some_and(visible)
}

/// How a redirect is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RedirectStatus {
    /// 200: no redirect for the client; the asset at the target is shown.
    Rewrite,
    /// 301
    MovedPermanently,
    /// 302
    Found,
    /// 303
    SeeOther,
    /// 307
    TemporaryRedirect,
    /// 308
    PermanentRedirect,
}

impl RedirectStatus {
    /// The status code (RFC 9110 §15).
    pub const fn code(self) -> u16 {
        match self {
            Self::Rewrite => 200,
            Self::MovedPermanently => 301,
            Self::Found => 302,
            Self::SeeOther => 303,
            Self::TemporaryRedirect => 307,
            Self::PermanentRedirect => 308,
        }
    }

    /// The redirect with this status code.
    pub const fn from_code(code: u32) -> Option<Self> {
        Some(match code {
            200 => Self::Rewrite,
            301 => Self::MovedPermanently,
            302 => Self::Found,
            303 => Self::SeeOther,
            307 => Self::TemporaryRedirect,
            308 => Self::PermanentRedirect,
            _ => return None,
        })
    }
}

/// Where a path leads that shows no asset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redirect {
    /// A path; with `/*` at its end everything below it.
    pub from: String,
    /// A path or an absolute URL. `:splat` stands for what `*` matched.
    pub to: String,
    /// How it is answered.
    pub status: RedirectStatus,
}

/// What stands in a target for the part that `*` matched.
pub const SPLAT: &str = ":splat";

/// Why a redirect cannot be declared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidRedirect {
    /// `from` is neither a path nor a path with `/*` at its end.
    #[error("`from` is a path, such as /old, or everything below one, such as /old/*")]
    From,
    /// `to` is neither a path nor an absolute URL.
    #[error("`to` is a path, such as /new, or a URL that begins with https:// or http://")]
    To,
    /// A rewrite shows an asset of the same build.
    #[error("with status 200, `to` is a path without a query")]
    Rewrite,
    /// `:splat` without `*`.
    #[error("`to` names :splat, but `from` does not end in /*")]
    Splat,
}

impl Redirect {
    /// What `*` stands below, if `from` ends in it: `/old/*` gives `/old/`.
    pub fn prefix(&self) -> Option<&str> {
        self.from.strip_suffix('*').filter(|prefix| prefix.ends_with('/'))
    }

    /// Checks the rules of a redirect.
    ///
    /// # Errors
    /// Any [`InvalidRedirect`].
    pub fn check(&self) -> Result<(), InvalidRedirect> {
        let plain = self.prefix().unwrap_or(&self.from);
        // What may stand below a folder makes a path of it.
        let file = if plain.ends_with('/') { format!("{plain}x") } else { plain.to_owned() };
        if file.parse::<AssetPath>().is_err() || plain.contains('*') {
            return Err(InvalidRedirect::From);
        }
        let visible = self.to.bytes().all(|byte| matches!(byte, 0x21..=0x7e));
        let is_path = self.to.starts_with('/') && !self.to.starts_with("//");
        let is_url = ["https://", "http://"].iter().any(|scheme| {
            self.to.strip_prefix(scheme).is_some_and(|rest| {
                let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
                // What a client asks for must not say to which host it is sent.
                !authority.contains(SPLAT)
                    && rest.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric() || byte == b'[')
            })
        });
        if !visible || self.to.len() > TARGET_LEN_MAX || !(is_path || is_url) {
            return Err(InvalidRedirect::To);
        }
        if self.status == RedirectStatus::Rewrite && (!is_path || self.to.contains(['?', '#'])) {
            return Err(InvalidRedirect::Rewrite);
        }
        if self.to.contains(SPLAT) && self.prefix().is_none() {
            return Err(InvalidRedirect::Splat);
        }
        Ok(())
    }
}

/// What a build declares for the whole site.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SiteRules {
    /// The first that fits counts, where no asset stands at the path.
    pub redirects: Vec<Redirect>,
    /// Name of the asset that a path ending in `/` shows. Without it, `/` alone shows `/index.html`.
    pub index: Option<String>,
    /// The asset whose bytes a 404 shows.
    pub not_found: Option<AssetPath>,
}

/// Whether a text can be the name of an index: one segment of a path.
pub fn is_index_name(text: &str) -> bool {
    !text.contains('/') && format!("/{text}").parse::<AssetPath>().is_ok()
}

impl From<&HeaderField> for wire::HeaderField {
    fn from(field: &HeaderField) -> Self {
        Self { name: field.name.clone(), value: field.value.clone() }
    }
}

impl TryFrom<wire::HeaderField> for HeaderField {
    type Error = DocumentError;

    fn try_from(field: wire::HeaderField) -> Result<Self, DocumentError> {
        Self::new(&field.name, &field.value)
            .map_err(|_| DocumentError::Rule("a declared header field is the publisher's to set"))
    }
}

impl From<&SiteRules> for wire::SiteRules {
    fn from(rules: &SiteRules) -> Self {
        let redirects = rules.redirects.iter().map(|redirect| wire::Redirect {
            from: redirect.from.clone(),
            to: redirect.to.clone(),
            status: redirect.status.code().into(),
        });
        Self {
            redirects: redirects.collect(),
            index: rules.index.clone().unwrap_or_default(),
            not_found: rules.not_found.as_ref().map(ToString::to_string).unwrap_or_default(),
        }
    }
}

impl TryFrom<wire::SiteRules> for SiteRules {
    type Error = DocumentError;

    fn try_from(rules: wire::SiteRules) -> Result<Self, DocumentError> {
        if rules.redirects.len() > REDIRECTS_MAX {
            return Err(DocumentError::Rule("a build has at most a thousand redirects"));
        }
        let redirect = |redirect: wire::Redirect| {
            let status = RedirectStatus::from_code(redirect.status)?;
            let redirect = Redirect { from: redirect.from, to: redirect.to, status };
            redirect.check().is_ok().then_some(redirect)
        };
        let redirects: Option<_> = rules.redirects.into_iter().map(redirect).collect();
        let index = Some(rules.index).filter(|index| !index.is_empty());
        if index.as_deref().is_some_and(|index| !is_index_name(index)) {
            return Err(DocumentError::Rule("an index is a name"));
        }
        let not_found = match rules.not_found.as_str() {
            "" => None,
            path => Some(path.parse().map_err(|_| DocumentError::Rule("a 404 page has a valid path"))?),
        };
        let redirects = redirects.ok_or(DocumentError::Rule("a redirect is valid"))?;
        Ok(Self { redirects, index, not_found })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_of_the_edge_and_of_http_cannot_be_declared() {
        for name in ["Set-Cookie", "content-length", "Transfer-Encoding", "Alt-Svc", "ETag", "Cache-Control"]
        {
            assert_eq!(HeaderField::new(name, "x"), Err(InvalidField::Owned), "{name}");
        }
        let field = HeaderField::new("X-Frame-Options", "DENY").expect("the publisher's");
        assert_eq!((field.name(), field.value()), ("x-frame-options", "DENY"));
    }

    #[test]
    fn names_and_values_are_fit_for_a_header() {
        for name in ["", "a b", "a:", "a\r\nb", "\u{fc}"] {
            assert_eq!(HeaderField::new(name, "x"), Err(InvalidField::Name), "{name:?}");
        }
        for value in ["", " a", "a ", "a\r\nb: c", "\u{fc}", &"a".repeat(FIELD_VALUE_LEN_MAX + 1)] {
            assert_eq!(HeaderField::new("x-a", value), Err(InvalidField::Value), "{value:?}");
        }
    }

    fn checked(from: &str, to: &str, status: RedirectStatus) -> Result<(), InvalidRedirect> {
        Redirect { from: from.into(), to: to.into(), status }.check()
    }

    #[test]
    fn redirects_lead_from_a_path_or_all_below_one_to_a_path_or_url() {
        let found = RedirectStatus::Found;
        for (from, to) in [
            ("/a", "/b"),
            ("/a/*", "/b/:splat"),
            ("/*", "https://example.com/:splat"),
            ("/a", "/b?x=1#y"),
            ("/", "/home"),
        ] {
            assert_eq!(checked(from, to, found), Ok(()), "{from} {to}");
        }
        for from in ["", "a", "/a*", "/a/*/b", "/a/*/*", "/../a", "/.skerry/x"] {
            assert_eq!(checked(from, "/b", found), Err(InvalidRedirect::From), "{from}");
        }
        for to in
            ["", "b", "//evil.example", "javascript:alert(1)", "https://", "/a b", "/a\r\nx: y", "/\u{fc}"]
        {
            assert_eq!(checked("/a", to, found), Err(InvalidRedirect::To), "{to:?}");
        }
        assert_eq!(checked("/a", "/:splat", found), Err(InvalidRedirect::Splat));
        for host in ["https://a.example:splat", "https://a:splat/x", "https://a.:splat?x"] {
            assert_eq!(checked("/a/*", host, found), Err(InvalidRedirect::To), "{host}");
        }
    }

    #[test]
    fn a_rewrite_shows_an_asset_of_the_same_build() {
        assert_eq!(checked("/*", "/index.html", RedirectStatus::Rewrite), Ok(()));
        for to in ["https://example.com/", "/a?b"] {
            assert_eq!(checked("/*", to, RedirectStatus::Rewrite), Err(InvalidRedirect::Rewrite), "{to}");
        }
    }

    #[test]
    fn every_status_survives_its_code() {
        for code in [200, 301, 302, 303, 307, 308] {
            assert_eq!(RedirectStatus::from_code(code).map(|status| u32::from(status.code())), Some(code));
        }
        assert_eq!(RedirectStatus::from_code(304), None);
    }

    #[test]
    fn an_index_is_one_segment() {
        assert!(is_index_name("index.html"));
        for wrong in ["", "a/b", "..", "."] {
            assert!(!is_index_name(wrong), "{wrong:?}");
        }
    }
}
