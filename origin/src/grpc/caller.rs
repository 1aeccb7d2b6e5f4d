//! Who calls: an enrolled edge by its certificate, or an account by its token. Each call is checked on its own.

use super::Services;
use super::gate::caller;
use super::status::{self, refusal};
use crate::basic;
use crate::credentials::{AuthError, Caller};
use crate::edges::Standing;
use crate::metrics::AuthFailure;
use skerry_proto::authority::{edge_id, not_after};
use std::net::IpAddr;
use std::time::SystemTime;
use tonic::metadata::MetadataMap;
use tonic::{Code, Request, Status};

/// An edge that calls, by its certificate.
#[derive(Debug, Clone)]
pub(super) struct EdgeCaller {
    pub(super) id: String,
    /// When its certificate ends.
    pub(super) until: SystemTime,
}

impl Services {
    /// The edge that calls.
    pub(super) fn edge<T>(&self, request: &Request<T>) -> Result<EdgeCaller, Status> {
        // The chain was verified in the handshake; that it is an edge's decides what it may call.
        let certificates = request.peer_certs();
        let shown = certificates.as_ref().and_then(|chain| {
            let certificate = chain.first()?;
            Some(EdgeCaller { id: edge_id(certificate)?, until: not_after(certificate)? })
        });
        let Some(caller) = shown else {
            self.metrics.auth_failure(AuthFailure::Certificate);
            let message = "this call needs the certificate of an edge; enrol with a join token first";
            return Err(refusal(Code::Unauthenticated, "no_certificate", message));
        };
        // It was good in the handshake, which may be long ago.
        if caller.until < SystemTime::now() {
            return Err(self.certificate_over());
        }
        self.admit(self.edges.standing(&caller.id))?;
        Ok(caller)
    }

    /// The refusal of a certificate whose time is over.
    pub(super) fn certificate_over(&self) -> Status {
        self.metrics.auth_failure(AuthFailure::Expired);
        let message = "the certificate of this edge has expired; renew it by proof of its key";
        refusal(Code::Unauthenticated, "certificate_expired", message)
    }

    /// Refuses an edge that may not call.
    pub(super) fn admit(&self, standing: Standing) -> Result<(), Status> {
        match standing {
            Standing::Enrolled => Ok(()),
            Standing::Expelled => {
                self.metrics.auth_failure(AuthFailure::Expelled);
                let message =
                    "this edge was expelled; its machine may enrol as a new edge with a new join token";
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
