//! The service for the operator account.

use super::Services;
use super::status;
use skerry_proto::wire::operator_server::Operator;
use skerry_proto::wire::{
    CreateAccountRequest, CreateAccountResponse, CreateJoinTokenRequest, CreateJoinTokenResponse, Edge,
    ListEdgesRequest, ListEdgesResponse,
};
use std::time::Duration;
use tonic::{Request, Response, Status};

/// How long a join token is valid unless it is said: an hour.
const VALID_SECONDS: u32 = 3600;

pub(super) struct OperatorService(pub(super) Services);

#[tonic::async_trait]
impl Operator for OperatorService {
    async fn create_account(
        &self,
        request: Request<CreateAccountRequest>,
    ) -> Result<Response<CreateAccountResponse>, Status> {
        self.0.operator(&request)?;
        let name = request.into_inner().friendly_name;
        let account = self.0.publisher.create_account(&name).await.map_err(status::of_publish)?;
        tracing::info!(account = account.account_sid, "an account was made");
        Ok(Response::new(CreateAccountResponse {
            account_sid: account.account_sid,
            auth_token: account.auth_token,
            service_sid: account.service_sid,
            environment_sid: account.environment_sid,
            domain: account.domain,
        }))
    }

    async fn create_join_token(
        &self,
        request: Request<CreateJoinTokenRequest>,
    ) -> Result<Response<CreateJoinTokenResponse>, Status> {
        self.0.operator(&request)?;
        let seconds = match request.into_inner().valid_seconds {
            0 => VALID_SECONDS,
            seconds => seconds,
        };
        let valid = Duration::from_secs(seconds.into());
        let (token, expires_at) = self.0.edges.create_join_token(valid).await.map_err(status::of_enrol)?;
        Ok(Response::new(CreateJoinTokenResponse { token: token.to_text(), expires_at }))
    }

    async fn list_edges(
        &self,
        request: Request<ListEdgesRequest>,
    ) -> Result<Response<ListEdgesResponse>, Status> {
        self.0.operator(&request)?;
        let version = self.0.catalogue.version();
        let edges = self.0.edges.states().into_iter().map(|edge| Edge {
            edge_id: edge.id,
            name: edge.name,
            connected: edge.is_connected,
            acked_revision: edge.acked.revision,
            version: edge.program,
            enrolled_at: edge.enrolled_at,
        });
        Ok(Response::new(ListEdgesResponse {
            edges: edges.collect(),
            epoch: version.epoch,
            revision: version.revision,
        }))
    }
}
