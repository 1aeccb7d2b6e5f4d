//! Why a request gets no asset, and how it is told: in one line for people, or as problem details (RFC 9457) for programs.
//!
//! Nothing here depends on whether something stands where the client may not look: what is private, of another account or not there
//! at all is the same refusal.

use super::body::Body;
use super::respond::{Common, NO_STORE, VARY_BY_ENCODING, shared};
use super::weight::weight;
use crate::fill::FillError;
use bytes::Bytes;
use http::header::{
    ACCEPT, ACCESS_CONTROL_ALLOW_ORIGIN, ALLOW, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE,
    HeaderMap, HeaderValue, RETRY_AFTER, VARY, X_CONTENT_TYPE_OPTIONS,
};
use http::{Response, StatusCode};
use skerry_proto::signed_url::TokenError;
use skerry_proto::twilio::Malformed;

/// Why a request gets no asset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// `Host` is missing, repeated or malformed (RFC 9112 §3.2).
    BadHost,
    /// This edge does not serve that host, or this connection was made for another (RFC 9110 §7.4).
    Misdirected,
    /// The request is past a bound of the listeners.
    Excess(Excess),
    /// Not a method of assets; these are.
    Method { allow: &'static str },
    /// No such asset; private ones look the same.
    NotFound,
    /// The owner has purged these bytes.
    Gone,
    /// The asset is protected, and the request shows nothing for it.
    Forbidden,
    /// A signature that cannot be read.
    MalformedSignature(Malformed),
    /// A signature of somebody else, or of something else.
    WrongSignature,
    /// A form with more fields, or a body with more bytes, than signatures are checked over.
    FormTooLarge,
    /// The token of a signed URL does not let its bearer in.
    Token(TokenError),
    /// What signatures are checked with has not come from the origin yet.
    NoSecrets,
    /// No representation is acceptable.
    NotAcceptable,
    /// A condition of the request does not hold.
    PreconditionFailed,
    /// No byte of the range is within these many.
    Unsatisfiable { size: u64 },
    /// The lease is over, and the environment refuses past it.
    LeaseOver,
    /// The bytes cannot be had.
    Fill(FillError),
}

/// A bound of the listeners that a request is past.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Excess {
    /// Its target is too long.
    Target,
    /// Its header fields are too large.
    Head,
    /// Too much is in flight already, in all or for its address.
    InFlight,
}

impl Refusal {
    /// Status, a code that stays the same, and a line for people without quotation marks.
    #[expect(clippy::too_many_lines, reason = "a table: a row for each refusal")]
    const fn say(self) -> (StatusCode, &'static str, &'static str) {
        match self {
            Self::BadHost => {
                (StatusCode::BAD_REQUEST, "bad_host", "the request needs exactly one valid host")
            }
            Self::Misdirected => (
                StatusCode::MISDIRECTED_REQUEST,
                "misdirected",
                "no environment of this host name is served on this connection",
            ),
            Self::Excess(Excess::Target) => {
                (StatusCode::URI_TOO_LONG, "target_too_long", "the path and query are too long")
            }
            Self::Excess(Excess::Head) => (
                StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
                "head_too_large",
                "the header fields are too large",
            ),
            Self::Excess(Excess::InFlight) => {
                (StatusCode::SERVICE_UNAVAILABLE, "too_many_requests", "too many requests are under way")
            }
            Self::Method { .. } => {
                (StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "assets do not answer this method")
            }
            Self::NotFound => (StatusCode::NOT_FOUND, "not_found", "no such asset"),
            Self::Gone => (StatusCode::GONE, "purged", "the owner of this asset has purged it"),
            Self::Forbidden => (
                StatusCode::FORBIDDEN,
                "signature_required",
                "this asset is protected: sign the URL or the request",
            ),
            Self::MalformedSignature(malformed) => {
                (StatusCode::BAD_REQUEST, "signature_malformed", explain(malformed))
            }
            Self::WrongSignature => (
                StatusCode::FORBIDDEN,
                "signature_wrong",
                "the signature was not made for this request with a secret of this site's account",
            ),
            Self::FormTooLarge => (
                StatusCode::PAYLOAD_TOO_LARGE,
                "form_too_large",
                "the body is too large for its signature to be checked",
            ),
            Self::Token(error) => {
                let status =
                    if error.is_malformed() { StatusCode::BAD_REQUEST } else { StatusCode::FORBIDDEN };
                (status, error.code(), error.advice())
            }
            Self::NoSecrets => (
                StatusCode::SERVICE_UNAVAILABLE,
                "secrets_unknown",
                "this edge has only just started and cannot check signatures yet",
            ),
            Self::NotAcceptable => (
                StatusCode::NOT_ACCEPTABLE,
                "not_acceptable",
                "this asset has no representation that Accept-Encoding allows",
            ),
            Self::PreconditionFailed => (
                StatusCode::PRECONDITION_FAILED,
                "precondition_failed",
                "the asset is not the one that the request is conditional on",
            ),
            Self::Unsatisfiable { .. } => (
                StatusCode::RANGE_NOT_SATISFIABLE,
                "range_not_satisfiable",
                "the range is past the end of the asset",
            ),
            Self::LeaseOver => (
                StatusCode::SERVICE_UNAVAILABLE,
                "lease_over",
                "this edge has not heard from its origin for too long",
            ),
            Self::Fill(FillError::TimedOut) => {
                (StatusCode::GATEWAY_TIMEOUT, "origin_timeout", "the origin does not answer in time")
            }
            Self::Fill(FillError::Busy) => (
                StatusCode::SERVICE_UNAVAILABLE,
                "too_many_fills",
                "too many assets are being fetched from the origin",
            ),
            Self::Fill(
                FillError::Unavailable | FillError::NotFound | FillError::Integrity | FillError::TooManyHops,
            ) => (
                StatusCode::BAD_GATEWAY,
                "origin_unavailable",
                "the origin does not give the bytes of this asset",
            ),
        }
    }

    /// The answer to a request with these fields.
    pub(super) fn response(self, request: &HeaderMap, common: &Common) -> Response<Body> {
        let (status, code, detail) = self.say();
        let (content_type, text) = if prefers_json(request) {
            let title = status.canonical_reason().unwrap_or_default();
            let status = status.as_u16();
            let json = format!(
                r#"{{"type":"about:blank","title":"{title}","status":{status},"detail":"{detail}","code":"{code}"}}"#
            );
            (PROBLEM_JSON, json)
        } else {
            ("text/plain; charset=utf-8", format!("{detail}\n"))
        };
        let length = text.len();
        let mut response = Response::new(Body::whole(Bytes::from(text)));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
        // RFC 9111 §4.2.2 would let caches keep some of these by heuristics.
        headers.insert(CACHE_CONTROL, NO_STORE);
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        // So that a page of another origin can tell a refusal from a network that fails.
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
        common.add_to(headers);
        match self {
            Self::Method { allow } => {
                headers.insert(ALLOW, HeaderValue::from_static(allow));
            }
            Self::Unsatisfiable { size } => {
                // RFC 9110 §15.5.17
                headers.insert(CONTENT_RANGE, shared(format!("bytes */{size}")));
            }
            Self::NotAcceptable => {
                headers.insert(VARY, VARY_BY_ENCODING);
            }
            Self::LeaseOver | Self::NoSecrets | Self::Fill(_) | Self::Excess(Excess::InFlight) => {
                headers.insert(RETRY_AFTER, HeaderValue::from_static("5"));
            }
            Self::BadHost
            | Self::Misdirected
            | Self::Excess(Excess::Target | Excess::Head)
            | Self::NotFound
            | Self::Gone
            | Self::Forbidden
            | Self::MalformedSignature(_)
            | Self::WrongSignature
            | Self::FormTooLarge
            | Self::Token(_)
            | Self::PreconditionFailed => {}
        }
        response
    }
}

const fn explain(malformed: Malformed) -> &'static str {
    match malformed {
        Malformed::Repeated => "the signature, or its settings, came more than once",
        Malformed::NotBase64 => "the signature is not base64",
        Malformed::WrongLength => "the signature does not have the length of its algorithm",
    }
}

const PROBLEM_JSON: &str = "application/problem+json";

/// Whether `Accept` names JSON and does not weigh plain text higher (RFC 9110 §12.5.1).
fn prefers_json(request: &HeaderMap) -> bool {
    let (mut json, mut text) = (0, 0);
    for line in request.get_all(ACCEPT) {
        for range in line.as_bytes().split(|byte| *byte == b',') {
            let end = range.iter().position(|byte| *byte == b';').unwrap_or(range.len());
            let (name, parameters) = range.split_at(end);
            let Some(weight) = weight(parameters) else { continue };
            let name = name.trim_ascii();
            if [PROBLEM_JSON, "application/json"]
                .iter()
                .any(|json| name.eq_ignore_ascii_case(json.as_bytes()))
            {
                json = weight.max(json);
            } else if name.eq_ignore_ascii_case(b"text/plain") {
                text = weight.max(text);
            }
        }
    }
    json > 0 && json >= text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_preferred_where_it_is_named_and_text_not_weighed_higher() {
        let cases = [
            ("application/json", true),
            ("Application/Problem+JSON", true),
            ("application/json, text/plain, */*", true),
            ("text/html, application/json;q=0.9", true),
            ("application/json;q=0.5, text/plain", false),
            ("application/json;q=0", false),
            ("*/*", false),
            ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", false),
            ("application/jsonp", false),
            ("", false),
        ];
        for (accept, expected) in cases {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT, HeaderValue::from_static(accept));
            assert_eq!(prefers_json(&headers), expected, "{accept}");
        }
        assert!(!prefers_json(&HeaderMap::new()));
    }

    #[test]
    fn no_text_of_a_refusal_needs_escapes_in_json() {
        let fills = [FillError::TimedOut, FillError::Unavailable, FillError::Busy];
        let refusals = [
            Refusal::BadHost,
            Refusal::Misdirected,
            Refusal::Excess(Excess::Target),
            Refusal::Excess(Excess::Head),
            Refusal::Excess(Excess::InFlight),
            Refusal::Method { allow: "GET" },
            Refusal::NotFound,
            Refusal::Gone,
            Refusal::Forbidden,
            Refusal::MalformedSignature(Malformed::Repeated),
            Refusal::MalformedSignature(Malformed::NotBase64),
            Refusal::MalformedSignature(Malformed::WrongLength),
            Refusal::WrongSignature,
            Refusal::FormTooLarge,
            Refusal::NoSecrets,
            Refusal::NotAcceptable,
            Refusal::PreconditionFailed,
            Refusal::Unsatisfiable { size: 1 },
            Refusal::LeaseOver,
        ];
        for refusal in
            refusals.into_iter().chain(fills.map(Refusal::Fill)).chain(TokenError::ALL.map(Refusal::Token))
        {
            let (_, code, detail) = refusal.say();
            assert!(code.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'), "{code}");
            assert!(
                detail.bytes().all(|byte| (b' '..=b'~').contains(&byte) && byte != b'"' && byte != b'\\')
            );
        }
    }
}
