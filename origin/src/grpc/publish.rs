//! The service for publishers. Each call is of the account whose token it carries; rules and order are in `publish`.

use super::gate::{actor, caller};
use super::status::{self, refusal};
use super::wait::wait_time;
use super::{Gone, Services, send};
use crate::blobs::{BlobReader, Declared};
use crate::catalogue::{AssetVersion, EnvironmentRow, ServiceRow};
use crate::config::WarmBounds;
use crate::edges::WarmLimits;
use crate::publish::{
    Bundle, BundleOf, Changes, Coming, Deployed, Known, Planned, Proof, PublishError, SettingsChange, Target,
    UploadHead, Wanted, representations,
};
use bytes::Bytes;
use skerry_proto::hash::Hash;
use skerry_proto::pointer::{StaleRule, Version};
use skerry_proto::slices::BlobId;
use skerry_proto::visibility::Visibility;
use skerry_proto::wire;
use skerry_proto::wire::publish_server::Publish;
use skerry_proto::wire::{
    BundleHead, BundleRequest, BundleResponse, CheckRequest, CheckResponse, CommitRequest, CommitResponse,
    DeployRequest, DescribeRequest, DescribeResponse, DownloadRequest, DownloadResponse, ListRequest,
    ListResponse, ProveRequest, ProveResponse, ReuseRequest, ReuseResponse, UpdateEnvironmentRequest,
    UpdateEnvironmentResponse, UploadRequest, UploadResponse, WaitLiveRequest, WaitLiveResponse, WarmRequest,
    WarmResponse, bundle_response, deploy_request, download_response, upload_request,
};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Request, Response, Status, Streaming};

/// How long an upload may bring nothing.
const UPLOAD_IDLE_MAX: Duration = Duration::from_secs(60);

/// Messages between the disk and the socket of a download.
const READ_AHEAD: usize = 4;

pub(super) struct PublishService(pub(super) Services);

#[tonic::async_trait]
impl Publish for PublishService {
    type BundleStream = ReceiverStream<Result<BundleResponse, Status>>;
    type DownloadStream = ReceiverStream<Result<DownloadResponse, Status>>;
    type WarmStream = ReceiverStream<Result<WarmResponse, Status>>;
    type WaitLiveStream = ReceiverStream<Result<WaitLiveResponse, Status>>;

    async fn describe(
        &self,
        request: Request<DescribeRequest>,
    ) -> Result<Response<DescribeResponse>, Status> {
        let caller = caller(&request)?;
        let services = self.0.publisher.services(&caller.account).await.map_err(status::of_publish)?;
        let mut shown = Vec::new();
        for service in services {
            shown.push(self.0.service(service).await?);
        }
        Ok(Response::new(DescribeResponse { account_sid: caller.account.into(), services: shown }))
    }

    async fn check(&self, request: Request<CheckRequest>) -> Result<Response<CheckResponse>, Status> {
        let caller = caller(&request)?;
        let CheckRequest { target: place, assets } = request.into_inner();
        let planned: Vec<_> = assets
            .into_iter()
            .map(|asset| Planned {
                visibility: Visibility::try_from(asset.visibility).ok(),
                path: asset.path,
                size: asset.size,
            })
            .collect();
        let now_public = self.0.publisher.check(&caller.account, &target(place), &planned).await;
        Ok(Response::new(CheckResponse { now_public: now_public.map_err(status::of_publish)? }))
    }

    async fn upload(
        &self,
        request: Request<Streaming<UploadRequest>>,
    ) -> Result<Response<UploadResponse>, Status> {
        let actor = actor(&request)?;
        let mut inbound = request.into_inner();
        let Some(upload_request::Kind::Head(head)) = next(&mut inbound).await? else {
            return Err(refusal(Code::InvalidArgument, "no_head", "an upload begins with a head"));
        };
        let head = UploadHead {
            target: target(head.target),
            path: head.path,
            visibility: Visibility::try_from(head.visibility).ok(),
            content_type: head.content_type,
            size: head.size,
            declared: declared(&head.blake3, &head.sha256)?,
        };
        let upload = self.0.publisher.begin_upload(&actor, head).await;
        let mut upload = upload.map_err(status::of_publish)?;
        while let Some(kind) = next(&mut inbound).await? {
            let upload_request::Kind::Data(piece) = kind else {
                return Err(refusal(Code::InvalidArgument, "second_head", "an upload has one head"));
            };
            upload.push(piece).await.map_err(status::of_publish)?;
        }
        let uploaded = upload.finish().await.map_err(status::of_publish)?;
        Ok(Response::new(UploadResponse {
            asset_sid: uploaded.asset.into(),
            version_sid: uploaded.version.into(),
            hash: Bytes::copy_from_slice(uploaded.blob.hash.as_bytes()),
            size: uploaded.blob.size,
        }))
    }

    async fn reuse(&self, request: Request<ReuseRequest>) -> Result<Response<ReuseResponse>, Status> {
        let actor = actor(&request)?;
        let ReuseRequest { target: place, assets } = request.into_inner();
        let known = assets.into_iter().map(known).collect::<Result<Vec<_>, _>>()?;
        let reused = self.0.publisher.reuse(&actor, &target(place), known).await;
        let assets = reused.map_err(status::of_publish)?.into_iter().map(|reused| match reused {
            Some((asset, version)) => {
                wire::ReusedAsset { asset_sid: asset.into(), version_sid: version.into() }
            }
            None => wire::ReusedAsset::default(),
        });
        Ok(Response::new(ReuseResponse { assets: assets.collect() }))
    }

    async fn commit(&self, request: Request<CommitRequest>) -> Result<Response<CommitResponse>, Status> {
        let actor = actor(&request)?;
        let CommitRequest { target: place, version_sids, removed_paths } = request.into_inner();
        let changes = Changes { versions: version_sids, removed_paths };
        let committed = self.0.publisher.commit(&actor, &target(place), changes).await;
        let committed = committed.map_err(|error| {
            self.0.metrics.commits_refused.increment(1);
            status::of_publish(error)
        })?;
        self.0.metrics.commits_live.increment(1);
        Ok(Response::new(self.0.deployed(committed)))
    }

    async fn deploy(&self, request: Request<DeployRequest>) -> Result<Response<CommitResponse>, Status> {
        let actor = actor(&request)?;
        let DeployRequest { target: place, build } = request.into_inner();
        let wanted = match build {
            Some(deploy_request::Build::BuildSid(sid)) => Wanted::Build(sid),
            Some(deploy_request::Build::Previous(_)) => Wanted::Previous,
            None => return Err(refusal(Code::InvalidArgument, "no_build", "name the build to deploy")),
        };
        let deployed = self.0.publisher.deploy(&actor, &target(place), wanted).await;
        Ok(Response::new(self.0.deployed(deployed.map_err(status::of_publish)?)))
    }

    async fn list(&self, request: Request<ListRequest>) -> Result<Response<ListResponse>, Status> {
        let caller = caller(&request)?;
        let place = target(request.into_inner().target);
        let listed = self.0.publisher.list(&caller.account, &place).await;
        let (environment, versions) = listed.map_err(status::of_publish)?;
        Ok(Response::new(ListResponse {
            assets: versions.into_iter().map(asset).collect(),
            public_url: self.0.publisher.naming().public_url(&environment.domain),
            build_sid: environment.live_build.map(Into::into).unwrap_or_default(),
        }))
    }

    async fn download(
        &self,
        request: Request<DownloadRequest>,
    ) -> Result<Response<Self::DownloadStream>, Status> {
        let caller = caller(&request)?;
        let DownloadRequest { target: place, path } = request.into_inner();
        let found = self.0.publisher.download(&caller.account, &target(place), &path).await;
        let (version, blob) = found.map_err(status::of_publish)?;
        let (tx, rx) = mpsc::channel(READ_AHEAD);
        self.0.tasks.spawn(send_asset(version, blob, tx));
        Ok(Response::new(ReceiverStream::new(rx)))
    }

    async fn prove(&self, request: Request<ProveRequest>) -> Result<Response<ProveResponse>, Status> {
        let caller = caller(&request)?;
        let ProveRequest { target: place, path } = request.into_inner();
        let proof = self.0.publisher.proof(&caller.account, &target(place), &path).await;
        let Proof { pointer, manifest, page, slice_list, keys } = proof.map_err(status::of_publish)?;
        let key_set = keys.encode();
        Ok(Response::new(ProveResponse { pointer: Some(pointer), manifest, page, slice_list, key_set }))
    }

    async fn update_environment(
        &self,
        request: Request<UpdateEnvironmentRequest>,
    ) -> Result<Response<UpdateEnvironmentResponse>, Status> {
        let actor = actor(&request)?;
        let UpdateEnvironmentRequest {
            target: place,
            post_as_get,
            untrusted_uploads,
            public_stale,
            protected_stale,
        } = request.into_inner();
        let change = SettingsChange {
            post_as_get,
            untrusted_uploads,
            public_stale: stale_rule(public_stale)?,
            protected_stale: stale_rule(protected_stale)?,
        };
        let updated = self.0.publisher.update_environment(&actor, &target(place), change).await;
        let (place, version) = updated.map_err(status::of_publish)?;
        Ok(Response::new(UpdateEnvironmentResponse {
            environment: Some(self.0.environment(place.environment)),
            epoch: version.epoch,
            revision: version.revision,
        }))
    }

    async fn bundle(&self, request: Request<BundleRequest>) -> Result<Response<Self::BundleStream>, Status> {
        let caller = caller(&request)?;
        let BundleRequest { target: place, build_sid } = request.into_inner();
        let of = match build_sid.is_empty() {
            true => BundleOf::Live(target(place)),
            false => BundleOf::Build(build_sid.into()),
        };
        let bundle = self.0.publisher.bundle(&caller.account, of).await.map_err(status::of_publish)?;
        let (tx, rx) = mpsc::channel(READ_AHEAD);
        self.0.tasks.spawn(send_bundle(bundle, tx));
        Ok(Response::new(ReceiverStream::new(rx)))
    }

    async fn warm(&self, request: Request<WarmRequest>) -> Result<Response<Self::WarmStream>, Status> {
        let caller = caller(&request)?;
        let WarmRequest { target: place, build_sid, previous, version_sids } = request.into_inner();
        let coming = match (build_sid.is_empty(), previous) {
            (true, false) if !version_sids.is_empty() => Coming::Versions(version_sids),
            (true, true) => Coming::Build(Wanted::Previous),
            (false, false) => Coming::Build(Wanted::Build(build_sid)),
            _ => {
                let message = "name what is to be deployed: a build, the previous one, or asset versions";
                return Err(refusal(Code::InvalidArgument, "no_build", message));
            }
        };
        let blobs = self.0.publisher.coming(&caller.account, &target(place), coming).await;
        let blobs = blobs.map_err(status::of_publish)?;
        let WarmBounds { size_max, time_max } = self.0.warm_bounds;
        let seconds_max = u32::try_from(time_max.as_secs()).unwrap_or(u32::MAX);
        let limits = WarmLimits { size_max, seconds_max };
        let warming = self.0.begin_warming(caller.account.as_str(), blobs, limits)?;
        let (tx, rx) = mpsc::channel(READ_AHEAD);
        let services = self.0.clone();
        self.0.tasks.spawn(async move { services.follow_warming(warming, limits, tx).await });
        Ok(Response::new(ReceiverStream::new(rx)))
    }

    async fn wait_live(
        &self,
        request: Request<WaitLiveRequest>,
    ) -> Result<Response<Self::WaitLiveStream>, Status> {
        caller(&request)?;
        let request = request.into_inner();
        let version = Version { epoch: request.epoch, revision: request.revision };
        if version > self.0.catalogue.version() {
            let message = format!("there is no revision {} in epoch {} yet", version.revision, version.epoch);
            return Err(refusal(Code::NotFound, "not_found", &message));
        }
        let (tx, rx) = mpsc::channel(READ_AHEAD);
        let services = self.0.clone();
        let time = wait_time(request.timeout_seconds);
        self.0.tasks.spawn(async move { services.wait_live(version, time, tx).await });
        Ok(Response::new(ReceiverStream::new(rx)))
    }
}

impl Services {
    fn deployed(&self, deployed: Deployed) -> CommitResponse {
        CommitResponse {
            build_sid: deployed.build.map(Into::into).unwrap_or_default(),
            deployment_sid: deployed.deployment.into(),
            epoch: deployed.version.epoch,
            revision: deployed.version.revision,
            public_url: self.publisher.naming().public_url(&deployed.domain),
            domain: deployed.domain,
            environment_sid: deployed.environment.into(),
        }
    }

    async fn service(&self, service: ServiceRow) -> Result<wire::Service, Status> {
        let limits = self.publisher.limits(&service.sid).await.map_err(status::of_publish)?.limits;
        Ok(wire::Service {
            sid: service.sid.into(),
            unique_name: service.unique_name,
            environments: service.environments.into_iter().map(|row| self.environment(row)).collect(),
            limits: Some(limits.into()),
        })
    }

    fn environment(&self, environment: EnvironmentRow) -> wire::Environment {
        wire::Environment {
            sid: environment.sid.into(),
            unique_name: environment.unique_name,
            public_url: self.publisher.naming().public_url(&environment.domain),
            domain: environment.domain,
            build_sid: environment.live_build.map(Into::into).unwrap_or_default(),
            serving: Some(environment.settings.serving.into()),
            access: Some(environment.settings.access.into()),
        }
    }
}

/// Digests that a client declares.
fn declared(blake3: &[u8], sha256: &[u8]) -> Result<Declared, Status> {
    let invalid = || refusal(Code::InvalidArgument, "invalid_digest", "a declared digest has 32 bytes");
    let digest = |bytes: &[u8]| match bytes {
        [] => Ok(None),
        bytes => <[u8; 32]>::try_from(bytes).map(Some).map_err(|_| invalid()),
    };
    Ok(Declared { blake3: digest(blake3)?.map(Hash::from), sha256: digest(sha256)?.into_iter().collect() })
}

fn known(asset: wire::KnownAsset) -> Result<Known, Status> {
    let blob = asset.blob.as_ref().map(|blob| (Hash::try_from(&blob.hash[..]), blob.size));
    let Some((Ok(hash), size)) = blob else {
        let message = "what is to be reused is named by the 32 bytes of its BLAKE3 hash, and its size";
        return Err(refusal(Code::InvalidArgument, "invalid_digest", message));
    };
    Ok(Known {
        visibility: Visibility::try_from(asset.visibility).ok(),
        path: asset.path,
        content_type: asset.content_type,
        blob: BlobId { hash, size },
    })
}

/// A rule that a client set, or `None` for one that stays.
fn stale_rule(rule: Option<wire::StaleRule>) -> Result<Option<StaleRule>, Status> {
    let rule = rule.map(|rule| StaleRule::try_from(Some(rule))).transpose();
    rule.map_err(|error| refusal(Code::InvalidArgument, "invalid_setting", &error.to_string()))
}

/// The next part of an upload, or `None` at its end.
async fn next(inbound: &mut Streaming<UploadRequest>) -> Result<Option<upload_request::Kind>, Status> {
    let message = tokio::time::timeout(UPLOAD_IDLE_MAX, inbound.message()).await.map_err(|_| {
        refusal(Code::DeadlineExceeded, "too_slow", "the upload brought nothing for a minute")
    })??;
    match message {
        None => Ok(None),
        Some(UploadRequest { kind: Some(kind) }) => Ok(Some(kind)),
        Some(UploadRequest { kind: None }) => {
            Err(refusal(Code::InvalidArgument, "empty_message", "an upload consists of a head and data"))
        }
    }
}

async fn send_asset(
    version: AssetVersion,
    blob: BlobReader,
    tx: mpsc::Sender<Result<DownloadResponse, Status>>,
) {
    let head = DownloadResponse { kind: Some(download_response::Kind::Asset(asset(version))) };
    if send(&tx, Ok(head)).await.is_err() {
        return;
    }
    for index in 0..blob.id().slice_count() {
        let messages = match blob.slices(index, 1).await {
            Ok(slices) => slices,
            Err(error) => {
                let _ = send(&tx, Err(status::of_publish(PublishError::Blob(error)))).await;
                return;
            }
        };
        for data in messages {
            let message = DownloadResponse { kind: Some(download_response::Kind::Data(data)) };
            if send(&tx, Ok(message)).await.is_err() {
                return;
            }
        }
    }
}

async fn send_bundle(mut bundle: Bundle, tx: mpsc::Sender<Result<BundleResponse, Status>>) {
    use bundle_response::Kind;
    let message = |kind| BundleResponse { kind: Some(kind) };
    let head = BundleHead {
        build_sid: bundle.build_sid().to_owned(),
        size: bundle.size(),
        key_set: bundle.keys().encode(),
    };
    let mut sent = send(&tx, Ok(message(Kind::Head(head)))).await;
    while sent.is_ok() {
        sent = match bundle.next().await {
            Ok(Some(data)) => send(&tx, Ok(message(Kind::Data(data)))).await,
            Ok(None) => return,
            Err(error) => send(&tx, Err(status::of_publish(error))).await.and(Err(Gone)),
        };
    }
}

fn asset(version: AssetVersion) -> wire::Asset {
    // Nobody is served what is private, so it has no representations, even where the same bytes have some elsewhere.
    let served = version.visibility.is_served();
    let representations = representations(&version.content_type, &version.blob, &version.derived);
    wire::Asset {
        representations: representations.iter().filter(|_| served).map(Into::into).collect(),
        asset_sid: version.asset.into(),
        version_sid: version.sid.into(),
        path: version.path.to_string(),
        visibility: wire::Visibility::from(version.visibility).into(),
        content_type: version.content_type,
        blob: Some(version.blob.id.into()),
        created_at: version.created_at,
    }
}

pub(super) fn target(target: Option<wire::Target>) -> Target {
    let target = target.unwrap_or_default();
    Target { service: target.service, environment: target.environment }
}
