//! What goes out where something is shown: status and header fields. Nothing here is computed that was not computed with the pointer.

use super::body::Body;
use super::multipart::content_range;
use crate::config::Hsts;
use crate::control::{Activity, Coding, Environment, Form, Modified};
use crate::metrics::CacheResult;
use bytes::Bytes;
use http::header::{
    ACCEPT_RANGES, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, AGE, ALLOW, ALT_SVC, CACHE_CONTROL,
    CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, HeaderMap,
    HeaderName, HeaderValue, LAST_MODIFIED, LOCATION, STRICT_TRANSPORT_SECURITY, VARY,
    X_CONTENT_TYPE_OPTIONS,
};
use http::{Response, StatusCode};
use skerry_proto::visibility::Visibility;
use std::ops::Range;

/// RFC 9211
const CACHE_STATUS: HeaderName = HeaderName::from_static("cache-status");

/// RFC 9530
const REPR_DIGEST: HeaderName = HeaderName::from_static("repr-digest");

/// Of responses that are nobody's to keep.
pub(super) const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");

/// `Vary` where a path has several representations (RFC 9110 §12.5.5).
pub(super) const VARY_BY_ENCODING: HeaderValue = HeaderValue::from_static("accept-encoding");

/// What a redirect leads to may change with the next deployment.
const REVALIDATE: HeaderValue = HeaderValue::from_static("public, max-age=0, must-revalidate");

/// What a hash names never changes (RFC 8246).
const IMMUTABLE: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");

/// Scripts of other origins may read these, besides those that the Fetch standard always lets them.
const EXPOSED: HeaderValue = HeaderValue::from_static(
    "accept-ranges, age, cache-status, content-encoding, content-length, content-range, date, etag, repr-digest",
);

/// An opaque origin, and no scripts: what is opened as a document cannot act for the site. Images in pages look as before.
const SANDBOX: HeaderValue = HeaderValue::from_static("sandbox");

/// Our fields at most, and `Date` and `Connection` of the protocols, so that the map is allocated once.
const FIELDS_MAX: usize = 24;

/// What every response of an edge says.
#[derive(Debug)]
pub(super) struct Common {
    alt_svc: HeaderValue,
    hsts: Option<HeaderValue>,
}

impl Common {
    /// `public_port` is the one that clients use.
    pub(super) fn new(public_port: u16, hsts: Hsts) -> Self {
        Self {
            alt_svc: shared(format!("h3=\":{public_port}\"; ma=86400")),
            hsts: (!hsts.max_age.is_zero()).then(|| shared(strict_transport_security(hsts))),
        }
    }

    pub(super) fn add_to(&self, headers: &mut HeaderMap) {
        headers.insert(ALT_SVC, self.alt_svc.clone());
        if let Some(hsts) = &self.hsts {
            headers.insert(STRICT_TRANSPORT_SECURITY, hsts.clone());
        }
    }
}

/// RFC 6797 §6.1; `preload` is of the lists that browsers are shipped with.
fn strict_transport_security(hsts: Hsts) -> String {
    let subdomains = if hsts.include_subdomains { "; includeSubDomains" } else { "" };
    let preload = if hsts.preload { "; preload" } else { "" };
    format!("max-age={}{subdomains}{preload}", hsts.max_age.as_secs())
}

/// By what name a form of an asset was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Address {
    /// A path, which may show something else tomorrow.
    Path,
    /// The hash.
    Hash,
}

/// What the responses about one form of an asset have in common.
#[derive(Debug, Clone, Copy)]
pub(super) struct Head<'a> {
    pub(super) common: &'a Common,
    pub(super) environment: &'a Environment,
    pub(super) form: &'a Form,
    pub(super) address: Address,
    /// Seconds for which the origin has not confirmed this; `None` while it answers.
    pub(super) age: Option<u64>,
}

impl<'a> Head<'a> {
    /// `Last-Modified`, which is never later than `Date` (RFC 9110 §8.8.2.1). What a hash names has no history.
    pub(super) fn modified(&self) -> Option<&'a Modified> {
        match self.address {
            Address::Path => self.environment.last_modified(self.form.asset()).filter(|time| time.has_come()),
            Address::Hash => None,
        }
    }

    /// 200
    pub(super) fn whole(&self, body: Body, cache: CacheResult) -> Response<Body> {
        let mut response = self.content(StatusCode::OK, body, cache);
        let representation = self.form.representation();
        let headers = response.headers_mut();
        headers.insert(CONTENT_LENGTH, representation.content_length.clone());
        self.describe(headers);
        self.declare(headers);
        response
    }

    /// 206 with one part.
    pub(super) fn part(&self, part: &Range<u64>, body: Body, cache: CacheResult) -> Response<Body> {
        let mut response = self.content(StatusCode::PARTIAL_CONTENT, body, cache);
        let headers = response.headers_mut();
        headers.insert(CONTENT_LENGTH, HeaderValue::from(part.end - part.start));
        headers.insert(CONTENT_RANGE, content_range(part, self.form.representation().blob.size));
        self.describe(headers);
        self.declare(headers);
        response
    }

    /// 206 with several parts, each of which says its type and coding itself.
    pub(super) fn several(
        &self,
        content_type: HeaderValue,
        content_length: u64,
        body: Body,
        cache: CacheResult,
    ) -> Response<Body> {
        let mut response = self.content(StatusCode::PARTIAL_CONTENT, body, cache);
        let headers = response.headers_mut();
        headers.insert(CONTENT_LENGTH, HeaderValue::from(content_length));
        headers.insert(CONTENT_TYPE, content_type);
        self.declare(headers);
        response
    }

    /// 304 with the fields that RFC 9110 §15.4.5 asks for, and with those that a deployment may have changed while the bytes stayed:
    /// a cache takes them over (RFC 9111 §3.2).
    pub(super) fn not_modified(&self) -> Response<Body> {
        let mut response = self.response(StatusCode::NOT_MODIFIED, Body::empty(), CacheResult::None);
        self.declare(response.headers_mut());
        response
    }

    /// 404 with the page that the build declares for it, in the coded form that the client wants. It is no representation of what was
    /// asked for, so nothing of it can be kept, compared or had in part.
    pub(super) fn not_found_page(&self, body: Body, cache: CacheResult) -> Response<Body> {
        let mut response = self.whole(body, cache);
        *response.status_mut() = StatusCode::NOT_FOUND;
        let headers = response.headers_mut();
        headers.insert(CACHE_CONTROL, NO_STORE);
        for name in [ETAG, LAST_MODIFIED, ACCEPT_RANGES, AGE, REPR_DIGEST] {
            headers.remove(name);
        }
        response
    }

    /// What 200 and 206 have in common.
    fn content(&self, status: StatusCode, body: Body, cache: CacheResult) -> Response<Body> {
        let mut response = self.response(status, body, cache);
        let headers = response.headers_mut();
        headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        headers.insert(REPR_DIGEST, self.form.representation().digest.clone());
        response
    }

    /// Type and coding of content that is one piece.
    fn describe(&self, headers: &mut HeaderMap) {
        headers.insert(CONTENT_TYPE, self.form.asset().content_type.clone());
        let coding = self.form.representation().coding;
        if coding != Coding::Identity {
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static(coding.token()));
        }
    }

    fn response(&self, status: StatusCode, body: Body, cache: CacheResult) -> Response<Body> {
        let mut response = Response::new(body);
        *response.status_mut() = status;
        let mut headers = HeaderMap::with_capacity(FIELDS_MAX + self.form.asset().fields.len());
        headers.insert(ETAG, self.form.representation().etag.clone());
        if let Some(modified) = self.modified() {
            headers.insert(LAST_MODIFIED, modified.header.clone());
        }
        let cache_control = match self.address {
            Address::Path => self.form.asset().cache_control.clone(),
            Address::Hash => IMMUTABLE,
        };
        headers.insert(CACHE_CONTROL, cache_control);
        headers.insert(AGE, self.age.map_or(HeaderValue::from_static("0"), HeaderValue::from));
        headers.insert(CACHE_STATUS, cache_status(cache));
        if self.address == Address::Path && self.form.asset().representations.len() > 1 {
            headers.insert(VARY, VARY_BY_ENCODING);
        }
        if self.form.asset().visibility == Visibility::Public {
            headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
            headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
        }
        self.common.add_to(&mut headers);
        *response.headers_mut() = headers;
        response
    }

    /// The sandbox, and what the build declares; a declared policy stands beside ours, and browsers keep both.
    fn declare(&self, headers: &mut HeaderMap) {
        let sandboxed = match self.form.asset().activity {
            Activity::Inert => false,
            Activity::Xml => true,
            Activity::Html => self.environment.serving.untrusted_uploads,
        };
        if sandboxed {
            headers.insert(CONTENT_SECURITY_POLICY, SANDBOX);
        }
        for (name, value) in &self.form.asset().fields {
            headers.append(name, value.clone());
        }
    }
}

/// The methods that assets answer, as `Allow` says it.
pub(super) const fn allowed_methods(post_as_get: bool) -> &'static str {
    if post_as_get { "GET, HEAD, OPTIONS, POST" } else { "GET, HEAD, OPTIONS" }
}

/// The answer to OPTIONS, a CORS preflight among them: the same for every path, so it tells nothing of any.
pub(super) fn preflight(allow: &'static str, common: &Common) -> Response<Body> {
    const HEADERS: HeaderValue = HeaderValue::from_static(
        "range, if-range, if-match, if-none-match, if-modified-since, if-unmodified-since, cache-control, pragma, x-twilio-signature",
    );
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    let headers = response.headers_mut();
    headers.insert(ALLOW, HeaderValue::from_static(allow));
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    headers.insert(ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static(allow));
    headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, HEADERS);
    headers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("86400"));
    common.add_to(headers);
    response
}

/// A redirect that the build declares.
pub(super) fn redirect(status: StatusCode, location: HeaderValue, common: &Common) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(LOCATION, location);
    headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
    headers.insert(CACHE_CONTROL, REVALIDATE);
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    common.add_to(headers);
    response
}

/// RFC 9211: what this cache did.
fn cache_status(cache: CacheResult) -> HeaderValue {
    HeaderValue::from_static(match cache {
        CacheResult::None => "skerry; hit",
        CacheResult::Memory => "skerry; hit; detail=memory",
        CacheResult::Disk => "skerry; hit; detail=disk",
        CacheResult::Miss => "skerry; fwd=miss; stored",
        // It is kept by whose it is.
        CacheResult::Neighbour => "skerry; fwd=miss; detail=neighbour",
    })
}

/// A header value made of letters, digits and a few signs.
pub(super) fn shared(text: String) -> HeaderValue {
    HeaderValue::from_maybe_shared(Bytes::from(text))
        .expect("letters, digits and signs are valid in a header")
}
