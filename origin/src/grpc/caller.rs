//! Who calls: an enrolled edge by its certificate, or an account by its token. Each call is checked on its own.

use super::Services;
use super::gate::caller;
use super::status::{self, refusal};
use crate::basic;
use crate::edges::Standing;
use crate::metrics::AuthFailure;
use crate::publish::Caller;
use skerry_proto::authority::edge_id;
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

    /// The account that calls.
    pub(super) async fn account(&self, metadata: &MetadataMap) -> Result<Caller, Status> {
        let value = metadata.get("authorization").and_then(|value| value.to_str().ok());
        let caller = match value.and_then(basic::credentials) {
            Some((sid, token)) => {
                self.publisher.authenticate(&sid, &token).await.map_err(status::of_publish)?
            }
            None => None,
        };
        caller.ok_or_else(|| {
            self.metrics.auth_failure(AuthFailure::Token);
            let message = "account SID or auth token is missing or wrong; give both as `skerry login` or SKERRY_ACCOUNT_SID and SKERRY_AUTH_TOKEN do";
            refusal(Code::Unauthenticated, "unauthenticated", message)
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
