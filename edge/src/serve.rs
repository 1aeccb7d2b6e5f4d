//! From a request to a response. One handler for all protocols; everything here is independent of how the request came.
//!
//! A request passes through steps, each a file: which environment and asset ([`route`]), may it be had ([`access`]), has the client
//! got it already ([`conditional`]), which part is wanted ([`range`]), and what goes out ([`respond`], [`body`]). All but the last
//! are pure decisions. A response comes wholly from one build: the environment that was current when its head was decided.

mod access;
mod body;
mod conditional;
mod range;
mod respond;
mod route;
#[cfg(test)]
mod tests;

pub use body::{Body, BodyError};
pub use route::asset_path;

use crate::control::{Asset, Environment, Environments, Lease};
use crate::fill::Slices;
use crate::metrics::{CacheResult, Metrics};
use http::request::Parts;
use http::{HeaderValue, Method, Response};
use range::Selection;
use respond::{Head, Refusal};
use skerry_proto::slices::SLICE_SIZE;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

/// The protocol that a request came by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/1.1 (RFC 9112); 1.0 counts as this.
    Http1,
    /// HTTP/2 (RFC 9113).
    Http2,
    /// HTTP/3 (RFC 9114).
    Http3,
}

/// The connection that a request came by, as far as answers depend on it.
#[derive(Debug, Clone)]
pub struct Connection {
    /// What is spoken on it.
    pub protocol: Protocol,
    /// The host that the client asked for in its TLS handshake (SNI, RFC 6066 §3).
    pub sni: Option<Arc<str>>,
    /// Where it comes from.
    pub peer: IpAddr,
}

/// Everything that an answer needs, shared by all workers. Cloning it is cheap.
#[derive(Debug, Clone)]
pub struct Site {
    shared: Arc<Shared>,
}

/// What a site is made of.
#[derive(Debug)]
struct Shared {
    environments: Arc<Environments>,
    slices: Arc<Slices>,
    lease: Arc<Lease>,
    metrics: Arc<Metrics>,
    alt_svc: HeaderValue,
    fallback_domain: Option<Box<str>>,
}

/// What was decided before any byte was looked at.
struct Plan {
    environment: Arc<Environment>,
    asset: Arc<Asset>,
    head_only: bool,
    selection: Selection,
}

impl Site {
    /// Puts a site together. `public_port` is the one that clients use, for `Alt-Svc`; a request for no known host shows
    /// `fallback_domain` where there is one.
    pub fn new(
        environments: Arc<Environments>,
        slices: Arc<Slices>,
        lease: Arc<Lease>,
        metrics: Arc<Metrics>,
        public_port: u16,
        fallback_domain: Option<&str>,
    ) -> Self {
        let alt_svc =
            HeaderValue::from_maybe_shared(bytes::Bytes::from(format!("h3=\":{public_port}\"; ma=86400")))
                .unwrap_or_else(|_| HeaderValue::from_static("clear"));
        let fallback_domain = fallback_domain.map(Into::into);
        Self { shared: Arc::new(Shared { environments, slices, lease, metrics, alt_svc, fallback_domain }) }
    }

    /// Answers one request. Memory hits are answered without waiting.
    ///
    /// `request` is the head alone: the listener has read and dropped any body.
    pub async fn respond(&self, request: &Parts, connection: &Connection) -> Response<Body> {
        let arrived = Instant::now();
        let protocol = connection.protocol;
        let shared = &self.shared;
        let (mut response, cache) = match shared.decide(request) {
            Ok(plan) => shared.fulfil(plan, connection.peer).await,
            Err(refusal) => (refusal.response(&shared.alt_svc), CacheResult::None),
        };
        if request.method == Method::HEAD {
            // RFC 9110 §9.3.2. HTTP/2 and HTTP/3 send what they are given, also the line of a refusal.
            *response.body_mut() = Body::empty();
        }
        shared.metrics.request(protocol, response.status(), cache);
        response.body_mut().account(Arc::clone(&shared.metrics), protocol, arrived);
        response
    }
}

impl Shared {
    fn decide(&self, request: &Parts) -> Result<Plan, Refusal> {
        let environment = self.environment(route::host(request)?)?;
        let head_only = match request.method {
            Method::GET => false,
            Method::HEAD => true,
            _ => return Err(Refusal::Method),
        };
        let asset = route::asset(&environment, request.uri.path()).ok_or(Refusal::NotFound)?;
        access::check(&environment, &asset, &self.lease)?;
        let etag = &asset.identity.etag;
        let modified = environment.last_modified(&asset);
        let selection = if conditional::is_current(&request.headers, etag, modified.seconds) {
            Selection::NotModified
        } else if head_only {
            // RFC 9110 §14.2: Range is defined for GET only.
            Selection::Whole
        } else {
            range::select(&request.headers, etag, modified.seconds, asset.identity.blob.size)
        };
        Ok(Plan { environment, asset, head_only, selection })
    }

    fn environment(&self, host: &str) -> Result<Arc<Environment>, Refusal> {
        let found = if host.bytes().any(|byte| byte.is_ascii_uppercase()) {
            self.environments.find(&host.to_ascii_lowercase())
        } else {
            self.environments.find(host)
        };
        found.or_else(|| self.environments.find(self.fallback_domain.as_deref()?)).ok_or(Refusal::Misdirected)
    }

    async fn fulfil(&self, plan: Plan, peer: IpAddr) -> (Response<Body>, CacheResult) {
        let head = Head { environment: &plan.environment, asset: &plan.asset, alt_svc: &self.alt_svc };
        let blob = plan.asset.identity.blob;
        let (start, end) = match plan.selection {
            Selection::NotModified => return (head.not_modified(), CacheResult::None),
            Selection::Unsatisfiable => return (head.unsatisfiable(), CacheResult::None),
            Selection::Whole => (0, blob.size),
            Selection::Part { start, end } => (start, end),
        };
        if plan.head_only || start == end {
            return (head.ok(&plan.selection, Body::empty(), CacheResult::None), CacheResult::None);
        }
        let until = end.div_ceil(SLICE_SIZE as u64);
        let slices = self.slices.reader(&plan.environment.account, blob, until, peer);
        match Body::open(slices, start, end).await {
            Ok((body, cache)) => (head.ok(&plan.selection, body, cache), cache),
            Err(error) => (Refusal::Fill(error).response(&self.alt_svc), CacheResult::Miss),
        }
    }
}
