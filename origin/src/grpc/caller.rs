//! Who calls: an enrolled edge by its certificate, or an account by its token. Each call is checked on its own.

use super::Services;
use super::gate::caller;
use super::status::{self, refusal};
use crate::credentials::Caller;
use crate::edges::Standing;
use crate::metrics::AuthFailure;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use skerry_proto::authority::edge_id;
use std::net::{IpAddr, Ipv6Addr};
use std::time::Instant;
use tonic::metadata::MetadataMap;
use tonic::{Code, Request, Status};

/// Bytes of an `authorization` value at most; ours have 96.
const AUTHORIZATION_LEN_MAX: usize = 1024;

impl Services {
    /// The id of the edge that calls.
    pub(super) fn edge<T>(&self, request: &Request<T>) -> Result<String, Status> {
        // The chain was verified in the handshake; that it is an edge's decides what it may call.
        let certificates = request.peer_certs();
        let id = certificates.as_ref().and_then(|chain| edge_id(chain.first()?));
        let Some(id) = id else {
            self.metrics.auth_failure(AuthFailure::Certificate);
            let message = "this call needs the certificate of an edge; enrol with a join token first";
            return Err(refusal(Code::Unauthenticated, "no_certificate", message));
        };
        match self.edges.standing(&id) {
            Standing::Enrolled => Ok(id),
            Standing::Expelled => {
                self.metrics.auth_failure(AuthFailure::Expelled);
                let message = "this edge was expelled; enrol it again with a new join token";
                Err(refusal(Code::PermissionDenied, "expelled", message))
            }
            Standing::Unknown => {
                self.metrics.auth_failure(AuthFailure::Certificate);
                let message = "this origin does not know the edge; enrol it with a new join token";
                Err(refusal(Code::PermissionDenied, "unknown_edge", message))
            }
        }
    }

    /// The account that calls, from this address.
    pub(super) async fn account(
        &self,
        metadata: &MetadataMap,
        address: Option<IpAddr>,
    ) -> Result<Caller, Status> {
        let Some((sid, token)) = basic(metadata) else { return Err(self.nobody()) };
        // Only a connection that is gone already has no address.
        let address = address.unwrap_or(IpAddr::V6(Ipv6Addr::UNSPECIFIED));
        if !self.throttle.admits(address, &sid, Instant::now()) {
            self.metrics.auth_failure(AuthFailure::TooMany);
            let message = "too many wrong tokens came from this address; try again in a minute";
            return Err(refusal(Code::ResourceExhausted, "too_many_attempts", message));
        }
        let caller = self.credentials.authenticate(&sid, &token).await.map_err(status::of_credentials)?;
        caller.ok_or_else(|| {
            self.throttle.failed(address, &sid, Instant::now());
            self.nobody()
        })
    }

    fn nobody(&self) -> Status {
        self.metrics.auth_failure(AuthFailure::Token);
        let message = "account SID or auth token is missing or wrong; set SKERRY_ACCOUNT_SID and SKERRY_AUTH_TOKEN to a pair that was made here";
        refusal(Code::Unauthenticated, "unauthenticated", message)
    }

    /// The account that calls, if it is the operator's.
    pub(super) fn operator<T>(&self, request: &Request<T>) -> Result<Caller, Status> {
        let caller = caller(request)?;
        if !caller.is_operator {
            self.metrics.auth_failure(AuthFailure::Operator);
            let message = "this call is for the operator account, the first one that was made";
            return Err(refusal(Code::PermissionDenied, "not_operator", message));
        }
        Ok(caller)
    }
}

/// Account SID and token of `authorization: Basic …` (RFC 7617 §2).
fn basic(metadata: &MetadataMap) -> Option<(String, String)> {
    let value = metadata.get("authorization")?.to_str().ok()?;
    if value.len() > AUTHORIZATION_LEN_MAX {
        return None;
    }
    let (scheme, credentials) = value.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = String::from_utf8(STANDARD.decode(credentials.trim()).ok()?).ok()?;
    let (sid, token) = decoded.split_once(':')?;
    Some((sid.to_owned(), token.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(value: &str) -> Option<(String, String)> {
        let mut metadata = MetadataMap::new();
        metadata.insert("authorization", value.parse().expect("ascii"));
        basic(&metadata)
    }

    #[test]
    fn basic_credentials_are_sid_and_token() {
        let encoded = STANDARD.encode("AC1:to:ken");
        let expected = Some(("AC1".to_owned(), "to:ken".to_owned()));
        assert_eq!(parsed(&format!("Basic {encoded}")), expected);
        assert_eq!(parsed(&format!("basic {encoded}")), expected);
    }

    #[test]
    fn anything_else_is_nobody() {
        let long = format!("Basic {}", "QUFB".repeat(300));
        for wrong in ["", "Basic", "Basic !!!", "Bearer QTpi", "Basic QUFB", long.as_str()] {
            assert_eq!(parsed(wrong), None, "{wrong}");
        }
        assert_eq!(basic(&MetadataMap::new()), None);
    }
}
