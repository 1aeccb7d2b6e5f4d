//! Who calls: an enrolled edge by its certificate, or an account by its token. Each call is checked on its own.

use super::Services;
use super::gate::caller;
use super::status::{self, refusal};
use crate::basic;
use crate::credentials::{AuthError, Caller};
use crate::edges::Standing;
use crate::metrics::AuthFailure;
use skerry_proto::authority::edge_id;
use std::net::IpAddr;
use tonic::metadata::MetadataMap;
use tonic::{Code, Request, Status};

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
        let value = metadata.get("authorization").and_then(|value| value.to_str().ok());
        let caller = self.credentials.authenticate(value.and_then(basic::credentials), address).await;
        caller.map_err(|error| {
            let message = error.to_string();
            match error {
                AuthError::Wrong => {
                    self.metrics.auth_failure(AuthFailure::Token);
                    let message = "account SID or auth token is missing or wrong; set SKERRY_ACCOUNT_SID and SKERRY_AUTH_TOKEN to a pair that was made here";
                    refusal(Code::Unauthenticated, "unauthenticated", message)
                }
                AuthError::KeysOnly => {
                    self.metrics.auth_failure(AuthFailure::Token);
                    refusal(Code::Unauthenticated, "keys_only", &message)
                }
                AuthError::TooMany => {
                    self.metrics.auth_failure(AuthFailure::TooMany);
                    refusal(Code::ResourceExhausted, "too_many_attempts", &message)
                }
                AuthError::Failed(error) => status::of_credentials(error),
            }
        })
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
