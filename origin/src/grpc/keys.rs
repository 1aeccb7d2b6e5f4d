//! The service for an account's keys. What it says once, it says here; rules are in `credentials`.

use super::Services;
use super::gate::{actor, caller};
use super::status::{self, refusal};
use crate::catalogue::{ApiKey, PageWanted};
use skerry_proto::hmac::Algorithm;
use skerry_proto::pointer::Version;
use skerry_proto::signed_url::key::PublicKey;
use skerry_proto::wire;
use skerry_proto::wire::keys_server::Keys;
use skerry_proto::wire::{
    AddUrlKeyRequest, AddUrlKeyResponse, CreateApiKeyRequest, CreateApiKeyResponse,
    CreateSignatureKeyRequest, CreateSignatureKeyResponse, CreateTokenRequest, CreateTokenResponse,
    KeyRevision, ListKeysRequest, ListKeysResponse, PromoteTokenRequest, PromoteTokenResponse,
    RevokeKeyRequest, RevokeKeyResponse,
};
use tonic::{Code, Request, Response, Status};

pub(super) struct KeysService(pub(super) Services);

#[tonic::async_trait]
impl Keys for KeysService {
    async fn list_keys(
        &self,
        request: Request<ListKeysRequest>,
    ) -> Result<Response<ListKeysResponse>, Status> {
        let account = caller(&request)?.account;
        let held = self.0.credentials.list(&account).await.map_err(status::of_credentials)?;
        let all = PageWanted { size: u32::MAX, before: None, skip: 0 };
        let api_keys = self.0.credentials.api_keys(&account, &all).await.map_err(status::of_credentials)?;
        Ok(Response::new(ListKeysResponse {
            api_keys: api_keys.items.into_iter().map(api_key).collect(),
            tokens: held
                .tokens
                .into_iter()
                .map(|row| wire::AuthToken { slot: row.slot.into(), created_at: row.created_at })
                .collect(),
            signature_keys: held
                .signature_keys
                .into_iter()
                .map(|row| wire::SignatureKey {
                    id: row.id,
                    algorithm: wire::SignatureAlgorithm::from(row.algorithm).into(),
                    created_at: row.created_at,
                })
                .collect(),
            url_keys: held
                .url_keys
                .into_iter()
                .map(|row| wire::NamedUrlKey {
                    id: row.key.id().to_owned(),
                    key: Some((&row.key).into()),
                    created_at: row.created_at,
                })
                .collect(),
        }))
    }

    async fn create_token(
        &self,
        request: Request<CreateTokenRequest>,
    ) -> Result<Response<CreateTokenResponse>, Status> {
        let actor = actor(&request)?;
        let made = self.0.credentials.create_token(&actor).await.map_err(status::of_credentials)?;
        tracing::info!(account = actor.account.as_str(), slot = made.id, "an auth token was made");
        Ok(Response::new(CreateTokenResponse {
            slot: made.id.parse().unwrap_or_default(),
            auth_token: made.secret,
            revision: Some(revision(made.version)),
        }))
    }

    async fn promote_token(
        &self,
        request: Request<PromoteTokenRequest>,
    ) -> Result<Response<PromoteTokenResponse>, Status> {
        let actor = actor(&request)?;
        let version = self.0.credentials.promote_token(&actor).await.map_err(status::of_credentials)?;
        let left = self.0.credentials.list(&actor.account).await.map_err(status::of_credentials)?.tokens;
        let slot = left.first().map_or(0, |token| token.slot.into());
        tracing::info!(account = actor.account.as_str(), slot, "an auth token took the other one's place");
        Ok(Response::new(PromoteTokenResponse { slot, revision: Some(revision(version)) }))
    }

    async fn create_api_key(
        &self,
        request: Request<CreateApiKeyRequest>,
    ) -> Result<Response<CreateApiKeyResponse>, Status> {
        let actor = actor(&request)?;
        let name = request.into_inner().friendly_name;
        let made = self.0.credentials.create_api_key(&actor, &name).await;
        let (key, secret) = made.map_err(status::of_credentials)?;
        tracing::info!(account = actor.account.as_str(), key = key.sid.as_str(), "an API key was made");
        Ok(Response::new(CreateApiKeyResponse { key: Some(api_key(key)), secret }))
    }

    async fn create_signature_key(
        &self,
        request: Request<CreateSignatureKeyRequest>,
    ) -> Result<Response<CreateSignatureKeyResponse>, Status> {
        let actor = actor(&request)?;
        let algorithm = Algorithm::try_from(request.get_ref().algorithm()).map_err(|_| {
            let message = "a signature key needs an algorithm, HMAC-SHA-1 or HMAC-SHA-256";
            refusal(Code::InvalidArgument, "invalid_algorithm", message)
        })?;
        let made = self.0.credentials.create_signature_key(&actor, algorithm).await;
        let made = made.map_err(status::of_credentials)?;
        tracing::info!(account = actor.account.as_str(), key = made.id, "a signature key was made");
        let revision = Some(revision(made.version));
        Ok(Response::new(CreateSignatureKeyResponse { id: made.id, secret: made.secret, revision }))
    }

    async fn add_url_key(
        &self,
        request: Request<AddUrlKeyRequest>,
    ) -> Result<Response<AddUrlKeyResponse>, Status> {
        let actor = actor(&request)?;
        let key = request.get_ref().key.as_ref().and_then(|key| PublicKey::try_from(key).ok());
        let key = key.ok_or_else(|| {
            let message = "not the public half of an Ed25519 or P-256 key";
            refusal(Code::InvalidArgument, "invalid_key", message)
        })?;
        let id = key.id().to_owned();
        let version = self.0.credentials.add_url_key(&actor, key).await.map_err(status::of_credentials)?;
        tracing::info!(account = actor.account.as_str(), key = id, "a key for signed URLs was added");
        Ok(Response::new(AddUrlKeyResponse { id, revision: Some(revision(version)) }))
    }

    async fn revoke_key(
        &self,
        request: Request<RevokeKeyRequest>,
    ) -> Result<Response<RevokeKeyResponse>, Status> {
        let actor = actor(&request)?;
        let id = request.into_inner().id;
        let revoked = match id.starts_with("SK") {
            true => self.0.credentials.revoke_api_key(&actor, &id).await.map(|()| None),
            false => self.0.credentials.revoke(&actor, &id).await.map(Some),
        };
        let version = revoked.map_err(status::of_credentials)?;
        tracing::info!(account = actor.account.as_str(), key = id, "a token or key was revoked");
        Ok(Response::new(RevokeKeyResponse { revision: version.map(revision) }))
    }
}

fn api_key(key: ApiKey) -> wire::ApiKey {
    wire::ApiKey { sid: key.sid.into(), friendly_name: key.friendly_name, created_at: key.created_at }
}

fn revision(version: Version) -> KeyRevision {
    KeyRevision { epoch: version.epoch, revision: version.revision }
}
