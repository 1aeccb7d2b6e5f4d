//! The service by which a machine becomes an edge, and stays one.

use super::Services;
use super::status;
use crate::edges::EnrolError;
use crate::metrics::AuthFailure;
use bytes::Bytes;
use skerry_proto::wire::enrol_server::Enrol;
use skerry_proto::wire::{EnrolRequest, EnrolResponse, RenewRequest, RenewResponse};
use tonic::{Request, Response, Status};

pub(super) struct EnrolService(pub(super) Services);

#[tonic::async_trait]
impl Enrol for EnrolService {
    async fn enrol(&self, request: Request<EnrolRequest>) -> Result<Response<EnrolResponse>, Status> {
        let request = request.into_inner();
        let enrolled =
            self.0.edges.enrol(&request.token_secret, &request.certificate_request, &request.name).await;
        let enrolled = enrolled.map_err(|error| {
            if matches!(error, EnrolError::UnknownToken | EnrolError::UsedToken | EnrolError::ExpiredToken) {
                self.0.metrics.auth_failure(AuthFailure::JoinToken);
            }
            status::of_enrol(error)
        })?;
        tracing::info!(edge = %enrolled.id, "an edge enrolled");
        Ok(Response::new(EnrolResponse {
            edge_id: enrolled.id.into(),
            certificate: Bytes::copy_from_slice(&enrolled.certificate),
            cluster_id: Bytes::copy_from_slice(&enrolled.cluster_id),
        }))
    }

    async fn renew(&self, request: Request<RenewRequest>) -> Result<Response<RenewResponse>, Status> {
        let edge = match request.get_ref() {
            proven if !proven.certificate.is_empty() => self.proven(proven)?,
            _ => self.0.edge(&request)?.id,
        };
        let request = request.into_inner();
        let certificate =
            self.0.edges.renew(&edge, &request.certificate_request).await.map_err(status::of_enrol)?;
        tracing::info!(edge, "an edge renewed its certificate");
        Ok(Response::new(RenewResponse { certificate: Bytes::copy_from_slice(&certificate) }))
    }
}

impl EnrolService {
    /// The edge that proves itself in the request, since no handshake takes an expired certificate.
    fn proven(&self, request: &RenewRequest) -> Result<String, Status> {
        let RenewRequest { certificate_request, certificate, proof } = request;
        let proven = self.0.edges.prover(certificate, certificate_request, proof);
        let (edge, standing) = proven.map_err(|error| {
            self.0.metrics.auth_failure(AuthFailure::Expired);
            status::of_enrol(error)
        })?;
        self.0.admit(standing)?;
        Ok(edge)
    }
}
