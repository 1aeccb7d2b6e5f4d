//! The service for purges. Rules are in `publish`.

use super::Services;
use super::gate::{actor, caller};
use super::publish::target;
use super::status::{self, refusal};
use crate::catalogue::PurgeRow;
use crate::publish::PurgeWanted;
use skerry_proto::hash::Hash;
use skerry_proto::pointer::Version;
use skerry_proto::slices::BlobId;
use skerry_proto::wire::purges_server::Purges;
use skerry_proto::wire::{
    LiftRequest, ListPurgesRequest, ListPurgesResponse, Purge, PurgeRequest, PurgeResponse, PurgedAtEdge,
};
use tonic::{Code, Request, Response, Status};

pub(super) struct PurgesService(pub(super) Services);

#[tonic::async_trait]
impl Purges for PurgesService {
    async fn purge(&self, request: Request<PurgeRequest>) -> Result<Response<PurgeResponse>, Status> {
        let actor = actor(&request)?;
        let request = request.into_inner();
        let hashes = hashes(&request.hashes)?;
        let wanted = PurgeWanted { target: target(request.target), paths: request.paths, hashes };
        let purged = self.0.publisher.purge(&actor, wanted).await.map_err(status::of_publish)?;
        let rows = self.0.publisher.purges(&actor.account).await.map_err(status::of_publish)?;
        let (version, blobs) = purged;
        tracing::info!(account = actor.account.as_str(), count = blobs.len(), "blobs were purged");
        let rows = rows.into_iter().filter(|row| blobs.contains(&row.blob));
        let purges = rows.map(|row| self.0.purge_response(row)).collect();
        Ok(Response::new(response(version, purges)))
    }

    async fn lift(&self, request: Request<LiftRequest>) -> Result<Response<PurgeResponse>, Status> {
        let actor = actor(&request)?;
        let hashes = hashes(&request.into_inner().hashes)?;
        let (version, blobs) = self.0.publisher.lift(&actor, &hashes).await.map_err(status::of_publish)?;
        tracing::info!(account = actor.account.as_str(), count = blobs.len(), "purges were lifted");
        Ok(Response::new(response(version, blobs.into_iter().map(lifted).collect())))
    }

    async fn list_purges(
        &self,
        request: Request<ListPurgesRequest>,
    ) -> Result<Response<ListPurgesResponse>, Status> {
        let account = caller(&request)?.account;
        let rows = self.0.publisher.purges(&account).await.map_err(status::of_publish)?;
        let purges = rows.into_iter().map(|row| self.0.purge_response(row)).collect();
        Ok(Response::new(ListPurgesResponse { purges }))
    }
}

impl Services {
    fn purge_response(&self, row: PurgeRow) -> Purge {
        let edges = self.edges.states().into_iter().filter(|edge| edge.counts).map(|edge| PurgedAtEdge {
            unreachable: edge.acked >= row.version,
            overwritten: edge.overwritten >= row.version,
            name: edge.name,
        });
        Purge {
            blob: Some(row.blob.into()),
            purged_at: row.purged_at,
            epoch: row.version.epoch,
            revision: row.version.revision,
            edges: edges.collect(),
        }
    }
}

fn lifted(blob: BlobId) -> Purge {
    Purge { blob: Some(blob.into()), ..Purge::default() }
}

fn response(version: Version, purges: Vec<Purge>) -> PurgeResponse {
    PurgeResponse { epoch: version.epoch, revision: version.revision, purges }
}

fn hashes(hashes: &[bytes::Bytes]) -> Result<Vec<Hash>, Status> {
    let hash = |bytes: &bytes::Bytes| Hash::try_from(&bytes[..]);
    let hashes: Result<_, _> = hashes.iter().map(hash).collect();
    hashes.map_err(|error| refusal(Code::InvalidArgument, "invalid_hash", &error.to_string()))
}
