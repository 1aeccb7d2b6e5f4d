//! From a request to a response. One handler for all protocols; everything here is independent of how the request came.
//!
//! A request passes through steps, each a file: which environment, and what stands at the path ([`route`], [`redirect`]), may it be
//! had ([`access`]), in which coded form ([`negotiate`], [`weight`]), has the client got it already ([`conditional`]), which parts are
//! wanted ([`range`]), and what goes out ([`respond`], [`refuse`], [`multipart`], [`body`]). All but the last are pure decisions. A
//! response comes wholly from one build: the environment that was current when its head was decided.

mod access;
mod body;
mod conditional;
mod multipart;
mod negotiate;
mod range;
mod redirect;
mod refuse;
mod respond;
mod route;
#[cfg(test)]
mod tests;
mod weight;

pub use body::{Body, BodyError};
pub use refuse::Excess;

use crate::config::ServeConfig;
use crate::control::{Environment, Environments, Form, Lease, Told};
use crate::fill::{FillError, Slices};
use crate::metrics::{CacheResult, Metrics};
use access::Gate;
use bytes::Bytes;
use conditional::{Validators, Verdict};
use http::request::Parts;
use http::{HeaderValue, Method, Response, StatusCode};
use multipart::Multipart;
use range::Selection;
use refuse::Refusal;
use respond::{Address, Common, Head};
use route::Route;
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

/// The body of a POST, as far as it was read.
#[derive(Debug, Clone)]
pub enum RequestBody {
    /// All of it.
    Whole(Bytes),
    /// It was too large, or did not come.
    Unread,
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
    gate: Gate,
    metrics: Arc<Metrics>,
    common: Common,
    fallback_domain: Option<Box<str>>,
}

/// What was decided before any byte was looked at.
enum Decision {
    /// A form of an asset, as the conditions and ranges of the request want it.
    Show(Plan),
    /// Elsewhere.
    Redirect(StatusCode, HeaderValue),
    /// The page for what is not there.
    NotFound(Arc<Environment>, Form),
    /// What may be asked; these methods are allowed.
    Preflight(&'static str),
}

/// Which form of which asset is shown, and how much of it.
struct Plan {
    environment: Arc<Environment>,
    form: Form,
    address: Address,
    answer: Answer,
}

/// What the conditions and ranges of a request come to.
enum Answer {
    /// 304
    NotModified,
    /// 200 or 206
    Content(Selection),
}

impl Site {
    /// Puts a site together. `public_port` is the one that clients use, for `Alt-Svc`; a request for no known host shows
    /// `fallback_domain` where there is one.
    pub fn new(
        told: Told,
        slices: Arc<Slices>,
        metrics: Arc<Metrics>,
        public_port: u16,
        fallback_domain: Option<&str>,
        config: &ServeConfig,
    ) -> Self {
        let Told { environments, lease, secrets } = told;
        let common = Common::new(public_port, config.hsts);
        let fallback_domain = fallback_domain.map(Into::into);
        Self {
            shared: Arc::new(Shared {
                environments,
                slices,
                lease,
                gate: Gate::new(secrets, public_port, config, Arc::clone(&metrics)),
                metrics,
                common,
                fallback_domain,
            }),
        }
    }

    /// Answers one request. Memory hits are answered without waiting.
    ///
    /// `request` is the head. Only of POST the listener keeps the body, as a [`RequestBody`] among the extensions: an answer may
    /// depend on its signature.
    pub async fn respond(&self, request: &Parts, connection: &Connection) -> Response<Body> {
        let arrived = Instant::now();
        let protocol = connection.protocol;
        let shared = &self.shared;
        let refuse = |refusal: Refusal| refusal.response(&request.headers, &shared.common);
        let (mut response, cache) = match shared.decide(request, connection) {
            Ok(Decision::Show(plan)) => shared
                .show(plan, request.method == Method::HEAD, connection.peer)
                .await
                .unwrap_or_else(|error| (refuse(Refusal::Fill(error)), CacheResult::Miss)),
            Ok(Decision::NotFound(environment, page)) => {
                let head_only = request.method == Method::HEAD;
                let page = shared.not_found(&environment, &page, head_only, connection.peer);
                let page = Box::pin(page).await;
                // Without its bytes a page for what is not there is one more thing that is not there.
                page.unwrap_or_else(|_| (refuse(Refusal::NotFound), CacheResult::Miss))
            }
            Ok(Decision::Redirect(status, location)) => {
                (respond::redirect(status, location, &shared.common), CacheResult::None)
            }
            Ok(Decision::Preflight(allow)) => (respond::preflight(allow, &shared.common), CacheResult::None),
            Err(refusal) => (refuse(refusal), CacheResult::None),
        };
        shared.finish(&mut response, request, protocol, cache, arrived);
        response
    }

    /// Whether the answer may depend on the request's body: of a POST that is answered like GET, for its signature.
    pub fn wants_body(&self, request: &Parts) -> bool {
        request.method == Method::POST
            && route::host(request)
                .ok()
                .and_then(|host| self.shared.find(host))
                .is_some_and(|environment| environment.serving.post_as_get)
    }

    /// Answers a request that is past a bound of the listeners.
    pub fn refuse(&self, request: &Parts, connection: &Connection, excess: Excess) -> Response<Body> {
        let mut response = Refusal::Excess(excess).response(&request.headers, &self.shared.common);
        let (protocol, arrived) = (connection.protocol, Instant::now());
        self.shared.finish(&mut response, request, protocol, CacheResult::None, arrived);
        response
    }
}

impl Shared {
    /// What every response has in common: no content for HEAD, and being counted.
    fn finish(
        &self,
        response: &mut Response<Body>,
        request: &Parts,
        protocol: Protocol,
        cache: CacheResult,
        arrived: Instant,
    ) {
        if request.method == Method::HEAD {
            // RFC 9110 §9.3.2. HTTP/2 and HTTP/3 send what they are given, also the line of a refusal.
            *response.body_mut() = Body::empty();
        }
        self.metrics.request(protocol, response.status(), cache);
        response.body_mut().account(Arc::clone(&self.metrics), protocol, arrived);
    }

    fn decide(&self, request: &Parts, connection: &Connection) -> Result<Decision, Refusal> {
        let environment = self.environment(route::host(request)?, connection)?;
        let allow = respond::allowed_methods(environment.serving.post_as_get);
        match request.method {
            Method::GET | Method::HEAD => {}
            Method::POST if environment.serving.post_as_get => {}
            Method::OPTIONS => return Ok(Decision::Preflight(allow)),
            _ => return Err(Refusal::Method { allow }),
        }
        let (asset, form) = match route::route(&environment, request.uri.path(), request.uri.query()) {
            Route::Asset(asset) => (asset, None),
            Route::Form(form) => (Arc::clone(form.asset()), Some(form)),
            Route::Redirect(status, location) => {
                access::is_fresh(&environment, &self.lease)?;
                return Ok(Decision::Redirect(status, location));
            }
            Route::Nowhere => {
                access::is_fresh(&environment, &self.lease)?;
                let page = environment.rules.not_found.clone().and_then(|page| {
                    // Who takes no form of the page gets it as it is: better than no word of what is wrong.
                    let position = negotiate::choose(&request.headers, &page.representations);
                    Form::new(page, position.unwrap_or(0)).filter(|page| !environment.is_purged(page))
                });
                return Ok(Decision::NotFound(environment, page.ok_or(Refusal::NotFound)?));
            }
        };
        self.gate.check(&environment, &asset, &self.lease, request, connection)?;
        let (form, address) = match form {
            Some(form) => (form, Address::Hash),
            None => {
                let position = negotiate::choose(&request.headers, &asset.representations);
                let form = position.and_then(|position| Form::new(asset, position));
                (form.ok_or(Refusal::NotAcceptable)?, Address::Path)
            }
        };
        if environment.is_purged(&form) {
            return Err(Refusal::Gone);
        }
        let answer = self.head(&environment, &form, address).answer(request)?;
        Ok(Decision::Show(Plan { environment, form, address, answer }))
    }

    /// What a host shows.
    fn find(&self, host: &str) -> Option<Arc<Environment>> {
        let found = if host.bytes().any(|byte| byte.is_ascii_uppercase()) {
            self.environments.find(&host.to_ascii_lowercase())
        } else {
            self.environments.find(host)
        };
        found.or_else(|| self.environments.find(self.fallback_domain.as_deref()?))
    }

    /// What the host of a request shows, unless the connection was made for another environment: its certificate, and what stands
    /// before us, then did not mean this one (RFC 9110 §7.4).
    fn environment(&self, host: &str, connection: &Connection) -> Result<Arc<Environment>, Refusal> {
        let environment = self.find(host).ok_or(Refusal::Misdirected)?;
        match connection.sni.as_deref() {
            Some(sni)
                if *sni != *environment.domain && self.environments.is_of_another(sni, &environment) =>
            {
                Err(Refusal::Misdirected)
            }
            _ => Ok(environment),
        }
    }

    fn head<'a>(&'a self, environment: &'a Environment, form: &'a Form, address: Address) -> Head<'a> {
        Head { common: &self.common, environment, form, address, age: self.lease.age() }
    }

    async fn show(
        &self,
        plan: Plan,
        head_only: bool,
        peer: IpAddr,
    ) -> Result<(Response<Body>, CacheResult), FillError> {
        let head = self.head(&plan.environment, &plan.form, plan.address);
        let Answer::Content(selection) = plan.answer else {
            return Ok((head.not_modified(), CacheResult::None));
        };
        let blob = head.form.representation().blob;
        let slices = self.slices.reader(&plan.environment.account, blob, peer);
        let range = match selection {
            Selection::Parts(parts) => {
                let multipart = Multipart::new(head.form, parts);
                let size = multipart.content_length;
                let (body, cache) = Box::pin(Body::assemble(slices, multipart.pieces, size)).await?;
                return Ok((head.several(multipart.content_type, size, body, cache), cache));
            }
            Selection::Part(range) => Some(range),
            Selection::Whole => None,
        };
        let bytes = range.clone().unwrap_or(0..blob.size);
        let (body, cache) = match head_only || bytes.is_empty() {
            true => (Body::empty(), CacheResult::None),
            false => Body::open(slices, bytes).await?,
        };
        let response = match range {
            Some(range) => head.part(&range, body, cache),
            None => head.whole(body, cache),
        };
        Ok((response, cache))
    }

    /// The page that a build declares for what is not there.
    async fn not_found(
        &self,
        environment: &Environment,
        page: &Form,
        head_only: bool,
        peer: IpAddr,
    ) -> Result<(Response<Body>, CacheResult), FillError> {
        let blob = page.representation().blob;
        let slices = self.slices.reader(&environment.account, blob, peer);
        let (body, cache) = match head_only || blob.size == 0 {
            true => (Body::empty(), CacheResult::None),
            false => Body::open(slices, 0..blob.size).await?,
        };
        Ok((self.head(environment, page, Address::Path).not_found_page(body, cache), cache))
    }
}

impl Head<'_> {
    /// What the conditions and ranges of a request come to.
    fn answer(&self, request: &Parts) -> Result<Answer, Refusal> {
        let representation = self.form.representation();
        let now = Validators {
            etag: &representation.etag,
            modified: self.modified().map(|modified| modified.seconds),
        };
        if !request.headers.keys().any(conditional::may_change_the_answer) {
            return Ok(Answer::Content(Selection::Whole));
        }
        match conditional::judge(&request.headers, now) {
            Verdict::Failed => Err(Refusal::PreconditionFailed),
            Verdict::NotModified => Ok(Answer::NotModified),
            // RFC 9110 §14.2: Range is defined for GET only.
            Verdict::Proceed
                if request.method == Method::GET && conditional::range_counts(&request.headers, now) =>
            {
                let size = representation.blob.size;
                range::select(&request.headers, size)
                    .map(Answer::Content)
                    .ok_or(Refusal::Unsatisfiable { size })
            }
            Verdict::Proceed => Ok(Answer::Content(Selection::Whole)),
        }
    }
}
