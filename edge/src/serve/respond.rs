//! What goes out: status, header fields, and the small bodies of refusals.

use super::body::Body;
use super::range::Selection;
use crate::control::{Asset, Environment};
use crate::fill::FillError;
use crate::metrics::CacheResult;
use bytes::Bytes;
use http::header::{
    ACCEPT_RANGES, ACCESS_CONTROL_ALLOW_ORIGIN, ALLOW, ALT_SVC, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_RANGE,
    CONTENT_TYPE, ETAG, HeaderMap, HeaderName, HeaderValue, LAST_MODIFIED, RETRY_AFTER,
    X_CONTENT_TYPE_OPTIONS,
};
use http::{Response, StatusCode};

/// RFC 9211
const CACHE_STATUS: HeaderName = HeaderName::from_static("cache-status");

/// A path may change with the next deployment, so every use is revalidated; the strong `ETag` makes that cheap.
const REVALIDATE: HeaderValue = HeaderValue::from_static("public, max-age=0, must-revalidate");

/// Fields of a response at most, so that the map is allocated once.
const FIELDS_MAX: usize = 16;

/// What the responses about one asset have in common.
pub(super) struct Head<'a> {
    pub(super) environment: &'a Environment,
    pub(super) asset: &'a Asset,
    pub(super) alt_svc: &'a HeaderValue,
}

impl Head<'_> {
    /// 200 or 206, as selected.
    pub(super) fn ok(&self, selection: &Selection, body: Body, cache: CacheResult) -> Response<Body> {
        let mut response = self.response(StatusCode::OK, body);
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, self.asset.content_type.clone());
        headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        headers.insert(CACHE_STATUS, cache_status(cache));
        match *selection {
            Selection::Part { start, end } => {
                let size = self.asset.identity.blob.size;
                headers.insert(CONTENT_LENGTH, HeaderValue::from(end - start));
                headers.insert(CONTENT_RANGE, shared(format!("bytes {start}-{}/{size}", end - 1)));
                *response.status_mut() = StatusCode::PARTIAL_CONTENT;
            }
            Selection::Whole | Selection::Unsatisfiable | Selection::NotModified => {
                headers.insert(CONTENT_LENGTH, self.asset.identity.content_length.clone());
            }
        }
        response
    }

    /// 304 with the fields that RFC 9110 §15.4.5 asks for.
    pub(super) fn not_modified(&self) -> Response<Body> {
        self.response(StatusCode::NOT_MODIFIED, Body::empty())
    }

    /// 416 with the size (RFC 9110 §15.5.17).
    pub(super) fn unsatisfiable(&self) -> Response<Body> {
        let mut response =
            text(StatusCode::RANGE_NOT_SATISFIABLE, "the range is past the end of the asset\n");
        let range = format!("bytes */{}", self.asset.identity.blob.size);
        response.headers_mut().insert(CONTENT_RANGE, shared(range));
        response.headers_mut().insert(ALT_SVC, self.alt_svc.clone());
        response
    }

    fn response(&self, status: StatusCode, body: Body) -> Response<Body> {
        let mut response = Response::new(body);
        *response.status_mut() = status;
        let mut headers = HeaderMap::with_capacity(FIELDS_MAX);
        headers.insert(ETAG, self.asset.identity.etag.clone());
        headers.insert(LAST_MODIFIED, self.environment.last_modified(self.asset).header.clone());
        headers.insert(CACHE_CONTROL, REVALIDATE);
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
        headers.insert(ALT_SVC, self.alt_svc.clone());
        *response.headers_mut() = headers;
        response
    }
}

/// Why a request gets no asset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// `Host` is missing, repeated or malformed (RFC 9112 §3.2).
    BadHost,
    /// This edge does not serve that host (RFC 9110 §7.4).
    Misdirected,
    /// Neither GET nor HEAD.
    Method,
    /// No such asset; private ones look the same.
    NotFound,
    /// The asset is protected.
    Forbidden,
    /// The lease is over, and the environment refuses past it.
    LeaseOver,
    /// The bytes cannot be had.
    Fill(FillError),
}

impl Refusal {
    /// The answer. Its body is one line for people.
    pub(super) fn response(self, alt_svc: &HeaderValue) -> Response<Body> {
        let (status, line) = match self {
            Self::BadHost => (StatusCode::BAD_REQUEST, "the request needs exactly one valid host\n"),
            Self::Misdirected => {
                (StatusCode::MISDIRECTED_REQUEST, "no environment of this host name is served here\n")
            }
            Self::Method => (StatusCode::METHOD_NOT_ALLOWED, "assets answer GET and HEAD\n"),
            Self::NotFound => (StatusCode::NOT_FOUND, "no such asset\n"),
            Self::Forbidden => (StatusCode::FORBIDDEN, "this asset needs a signed request\n"),
            Self::LeaseOver => {
                (StatusCode::SERVICE_UNAVAILABLE, "this edge has not heard from its origin for too long\n")
            }
            Self::Fill(FillError::TimedOut) => {
                (StatusCode::GATEWAY_TIMEOUT, "the origin does not answer in time\n")
            }
            Self::Fill(FillError::Busy) => {
                (StatusCode::SERVICE_UNAVAILABLE, "too many assets are being fetched from the origin\n")
            }
            Self::Fill(FillError::Unavailable | FillError::NotFound | FillError::Integrity) => {
                (StatusCode::BAD_GATEWAY, "the origin does not give the bytes of this asset\n")
            }
        };
        let mut response = text(status, line);
        let headers = response.headers_mut();
        headers.insert(ALT_SVC, alt_svc.clone());
        match self {
            Self::Method => {
                headers.insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
            }
            Self::LeaseOver | Self::Fill(_) => {
                headers.insert(RETRY_AFTER, HeaderValue::from_static("5"));
            }
            Self::BadHost | Self::Misdirected | Self::NotFound | Self::Forbidden => {}
        }
        response
    }
}

fn text(status: StatusCode, line: &'static str) -> Response<Body> {
    let mut response = Response::new(Body::whole(Bytes::from_static(line.as_bytes())));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    headers.insert(CONTENT_LENGTH, HeaderValue::from(line.len()));
    // RFC 9111 §4.2.2 would let caches keep some of these by heuristics.
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

/// RFC 9211: what this cache did.
fn cache_status(cache: CacheResult) -> HeaderValue {
    HeaderValue::from_static(match cache {
        CacheResult::None => "skerry; hit",
        CacheResult::Memory => "skerry; hit; detail=memory",
        CacheResult::Disk => "skerry; hit; detail=disk",
        CacheResult::Miss => "skerry; fwd=miss; stored",
    })
}

/// A header value made of digits and a few signs.
fn shared(text: String) -> HeaderValue {
    HeaderValue::from_maybe_shared(Bytes::from(text)).expect("digits, spaces and signs are valid in a header")
}
