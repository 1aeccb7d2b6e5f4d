//! The service for the operator account.

use super::Services;
use super::gate::actor;
use super::status;
use crate::edges::EdgeState;
use skerry_proto::wire::operator_server::Operator;
use skerry_proto::wire::{
    CreateAccountRequest, CreateAccountResponse, CreateJoinTokenRequest, CreateJoinTokenResponse, Edge,
    ExpelEdgeRequest, ExpelEdgeResponse, ListEdgesRequest, ListEdgesResponse, RotateKeysRequest,
    RotateKeysResponse,
};
use std::time::{Duration, Instant};
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
        let (version, now) = (self.0.catalogue.version(), Instant::now());
        let with_expelled = request.into_inner().expelled;
        let states = self.0.edges.states().into_iter();
        let edges = states.filter(|edge| with_expelled || !edge.is_expelled).map(|state| edge(state, now));
        Ok(Response::new(ListEdgesResponse {
            edges: edges.collect(),
            epoch: version.epoch,
            revision: version.revision,
        }))
    }

    async fn expel_edge(
        &self,
        request: Request<ExpelEdgeRequest>,
    ) -> Result<Response<ExpelEdgeResponse>, Status> {
        self.0.operator(&request)?;
        let actor = actor(&request)?;
        let wanted = request.into_inner().edge;
        let expelled = self.0.edges.expel(&actor, &wanted).await.map_err(status::of_expel)?;
        if !expelled.was_expelled {
            tracing::warn!(edge = expelled.id, name = expelled.name, "an edge was expelled");
        }
        Ok(Response::new(ExpelEdgeResponse {
            edge_id: expelled.id,
            name: expelled.name,
            was_expelled: expelled.was_expelled,
            lease_milliseconds: milliseconds(expelled.lease_left),
        }))
    }

    async fn rotate_keys(
        &self,
        request: Request<RotateKeysRequest>,
    ) -> Result<Response<RotateKeysResponse>, Status> {
        self.0.operator(&request)?;
        let actor = actor(&request)?;
        let rotated = self.0.publisher.rotate_keys(&actor).await.map_err(status::of_publish)?;
        Ok(Response::new(RotateKeysResponse {
            number: rotated.number,
            public_key: rotated.public_key.into(),
            epoch: rotated.version.epoch,
            revision: rotated.version.revision,
        }))
    }
}

fn edge(state: EdgeState, now: Instant) -> Edge {
    let age = state.figures.map_or(Duration::ZERO, |(_, said)| now.saturating_duration_since(said));
    Edge {
        edge_id: state.id,
        name: state.name,
        connected: state.is_connected,
        acked_epoch: state.acked.epoch,
        acked_revision: state.acked.revision,
        version: state.program,
        enrolled_at: state.enrolled_at,
        expelled: state.is_expelled,
        left: state.has_left,
        figures: state.figures.map(|(figures, _)| figures.into()),
        figures_age_milliseconds: milliseconds(age),
        certificate_end: state.certificate_end,
    }
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
