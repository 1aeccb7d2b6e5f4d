//! The service for purges. Rules are in `publish`.

use super::Services;
use super::gate::{actor, caller};
use super::publish::target;
use super::status::{self, refusal};
use crate::catalogue::PurgeRow;
use crate::edges::Eviction;
use crate::publish::PurgeWanted;
use skerry_proto::hash::Hash;
use skerry_proto::pointer::Version;
use skerry_proto::slices::BlobId;
use skerry_proto::wire::purges_server::Purges;
use skerry_proto::wire::{
    EvictRequest, EvictResponse, EvictedAtEdge, LiftRequest, ListPurgesRequest, ListPurgesResponse, Purge,
    PurgeRequest, PurgeResponse, PurgedAtEdge,
};
use std::collections::HashMap;
use std::time::Duration;
use tonic::{Code, Request, Response, Status};

/// Time for edges to drop copies.
const EVICTION_TIME_MAX: Duration = Duration::from_secs(10);

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

    async fn evict(&self, request: Request<EvictRequest>) -> Result<Response<EvictResponse>, Status> {
        let account = caller(&request)?.account;
        let request = request.into_inner();
        let hashes = hashes(&request.hashes)?;
        let wanted = PurgeWanted { target: target(request.target), paths: request.paths, hashes };
        let blobs = self.0.publisher.evictable(&account, &wanted).await.map_err(status::of_publish)?;
        tracing::info!(account = account.as_str(), count = blobs.len(), "blobs are evicted");
        let eviction = self.0.evictions.begin(account.as_str(), blobs).ok_or_else(|| {
            refusal(Code::Unavailable, "busy", "too many evictions are under way; try again in a moment")
        })?;
        Ok(Response::new(EvictResponse { edges: self.0.evicted(eviction).await }))
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
    /// What edges say that may serve something; one that is away, or does not answer in time, said nothing.
    async fn evicted(&self, mut eviction: Eviction) -> Vec<EvictedAtEdge> {
        let edges: Vec<_> = self.edges.states().into_iter().filter(|edge| edge.counts).collect();
        let connected = edges.iter().filter(|edge| edge.is_connected).count();
        let mut counts = HashMap::new();
        let gathering = async {
            while counts.len() < connected
                && let Some((edge, count)) = eviction.report().await
            {
                counts.insert(edge, count);
            }
        };
        let _ = tokio::time::timeout(EVICTION_TIME_MAX, gathering).await;
        edges
            .into_iter()
            .map(|edge| {
                let count = counts.get(&edge.id).copied();
                EvictedAtEdge {
                    name: edge.name,
                    answered: count.is_some(),
                    slice_count: count.unwrap_or_default(),
                }
            })
            .collect()
    }

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
