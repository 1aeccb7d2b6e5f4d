//! May this asset be had by this request, now?
//!
//! What is public, by anybody. What is protected, by who shows one of these proofs, the first that is good: a signed URL, a signature
//! of the request, a signed URL's token in a cookie. It is looked for on every request, whatever the answer will be and wherever the
//! bytes are; nothing of it is part of any cache's key. On a public asset nobody looks.

mod sender;
mod tokens;

use super::refuse::Refusal;
use super::{Connection, RequestBody, route};
use crate::config::ServeConfig;
use crate::control::{Asset, Environment, Lease, Secrets};
use crate::metrics::{AccessResult, Metrics, SignatureResult};
use crate::network::Network;
use http::Method;
use http::header::{CONTENT_TYPE, COOKIE};
use http::request::Parts;
use sender::Sender;
use skerry_proto::signed_url::{PACKAGE, Package, TokenError, normalised};
use skerry_proto::twilio::{Body, Presented, SETTINGS_FIELD, SIGNATURE_FIELD, SignedRequest};
use skerry_proto::visibility::Visibility;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokens::Tokens;

/// Everything that proofs are checked with.
#[derive(Debug)]
pub(super) struct Gate {
    secrets: Arc<Secrets>,
    tokens: Tokens,
    /// Port of the listener as clients see it.
    public_port: u16,
    trusted_peers: Box<[Network]>,
    metrics: Arc<Metrics>,
}

impl Gate {
    pub(super) fn new(
        secrets: Arc<Secrets>,
        public_port: u16,
        config: &ServeConfig,
        metrics: Arc<Metrics>,
    ) -> Self {
        let tokens = Tokens::new(config.token_count_max, Arc::clone(&metrics));
        let trusted_peers = config.trusted_peers.clone().into();
        Self { secrets, tokens, public_port, trusted_peers, metrics }
    }

    /// Checks visibility, proof, and past the lease the environment's rule.
    pub(super) fn check(
        &self,
        environment: &Environment,
        asset: &Asset,
        lease: &Lease,
        request: &Parts,
        connection: &Connection,
    ) -> Result<(), Refusal> {
        match asset.visibility {
            Visibility::Public => is_fresh(environment, lease),
            Visibility::Protected => {
                self.prove(environment, request, connection)?;
                let allows = lease.allows(environment.access.protected_stale);
                if allows { Ok(()) } else { Err(Refusal::LeaseOver) }
            }
            // No manifest names a private asset.
            Visibility::Private => Err(Refusal::NotFound),
        }
    }

    /// Looks for a proof that is good; else the first one that was shown says what is wrong.
    fn prove(
        &self,
        environment: &Environment,
        request: &Parts,
        connection: &Connection,
    ) -> Result<(), Refusal> {
        let host = route::host(request)?;
        let trusts = self.trusted_peers.iter().any(|network| network.holds(connection.peer));
        let sender = Sender::of(request, host, self.public_port, trusts);
        let target = request.uri.path_and_query().map_or("/", |target| target.as_str());
        let proofs: [&dyn Fn() -> Option<Result<(), Refusal>>; 3] = [
            &|| self.signed_url(environment, &sender, target),
            &|| self.signature(environment, &sender, target, request),
            &|| self.cookie(environment, &sender, target, request),
        ];
        let mut refusal = None;
        for proof in proofs {
            match proof() {
                Some(Ok(())) => return Ok(()),
                Some(Err(wrong)) => refusal = refusal.or(Some(wrong)),
                None => {}
            }
        }
        Err(refusal.unwrap_or_else(|| {
            self.metrics.access(AccessResult::Missing);
            Refusal::Forbidden
        }))
    }

    fn signed_url(
        &self,
        environment: &Environment,
        sender: &Sender<'_>,
        target: &str,
    ) -> Option<Result<(), Refusal>> {
        let package = Package::find(target).transpose()?;
        let result =
            package.and_then(|package| self.token(environment, sender, package.token, &package.target));
        Some(self.counted(result))
    }

    fn cookie(
        &self,
        environment: &Environment,
        sender: &Sender<'_>,
        target: &str,
        request: &Parts,
    ) -> Option<Result<(), Refusal>> {
        // A URL with a token of its own was judged by that.
        let target = Package::find(target).ok()?.map_or(target.into(), |package| package.target);
        let lines = request.headers.get_all(COOKIE).iter().filter_map(|line| line.to_str().ok());
        let mut cookies =
            lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
        // Of several with one name, the first is that of the longest path (RFC 6265 §5.4).
        let (_, token) = cookies.find(|(name, _)| *name == PACKAGE)?;
        Some(self.counted(self.token(environment, sender, token, &target)))
    }

    fn token(
        &self,
        environment: &Environment,
        sender: &Sender<'_>,
        token: &str,
        target: &str,
    ) -> Result<(), TokenError> {
        let token = self.tokens.verified(environment, token)?;
        let Sender { scheme, host, port } = sender;
        let url = normalised(&format!("{scheme}://{host}:{port}{target}")).ok_or(TokenError::OtherUrl)?;
        token.permits(&url, since_epoch())
    }

    fn counted(&self, result: Result<(), TokenError>) -> Result<(), Refusal> {
        self.metrics.access(AccessResult::Token(result));
        result.map_err(Refusal::Token)
    }

    fn signature(
        &self,
        environment: &Environment,
        sender: &Sender<'_>,
        target: &str,
        request: &Parts,
    ) -> Option<Result<(), Refusal>> {
        let values = |name| request.headers.get_all(name).iter().map(|value| value.as_bytes());
        let presented = Presented::read(values(SIGNATURE_FIELD), values(SETTINGS_FIELD)).transpose()?;
        let judged = presented.map_err(Refusal::MalformedSignature).and_then(|presented| {
            let secrets = self.secrets.of(&environment.account.sid).ok_or(Refusal::NoSecrets)?;
            let Sender { scheme, host, port } = *sender;
            let signed = SignedRequest { scheme, host, port, target, body: body(request)? };
            match signed.is_signed_by(&secrets, &presented) {
                Ok(true) => Ok(()),
                Ok(false) => Err(Refusal::WrongSignature),
                Err(_) => Err(Refusal::FormTooLarge),
            }
        });
        self.metrics.access(AccessResult::Signature(match judged {
            Ok(()) => SignatureResult::Valid,
            Err(Refusal::NoSecrets) => SignatureResult::NoSecrets,
            Err(Refusal::WrongSignature) => SignatureResult::Wrong,
            Err(_) => SignatureResult::Malformed,
        }));
        Some(judged)
    }
}

/// Checks whether what everybody may see counts now; what is not there, too, is said only while that is known.
pub(super) fn is_fresh(environment: &Environment, lease: &Lease) -> Result<(), Refusal> {
    if lease.allows(environment.access.public_stale) { Ok(()) } else { Err(Refusal::LeaseOver) }
}

/// The body, as far as it is signed: that of POST, which only some environments answer.
fn body(request: &Parts) -> Result<Body<'_>, Refusal> {
    if request.method != Method::POST {
        return Ok(Body::Empty);
    }
    let bytes = match request.extensions.get::<RequestBody>() {
        None => return Ok(Body::Empty),
        Some(RequestBody::Whole(bytes)) if bytes.is_empty() => return Ok(Body::Empty),
        Some(RequestBody::Whole(bytes)) => bytes,
        Some(RequestBody::Unread) => return Err(Refusal::FormTooLarge),
    };
    let content_type = request.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let essence = content_type.and_then(|value| value.split(';').next()).unwrap_or_default().trim();
    let is_form = essence.eq_ignore_ascii_case("application/x-www-form-urlencoded");
    Ok(if is_form { Body::Form(bytes) } else { Body::Other(bytes) })
}

fn since_epoch() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}
