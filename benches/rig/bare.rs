//! The least that can be done for a slice: one gRPC call over a connection that stands, nothing verified, nothing kept.

use anyhow::Context;
use bytes::Bytes;
use skerry_proto::authority::{certificate_request, pem};
use skerry_proto::hash::Hash;
use skerry_proto::join::JoinToken;
use skerry_proto::wire::{self, fill_response::Kind};
use std::time::{Duration, Instant};
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};

/// As an edge sets them, so that both sides are the same there.
const STREAM_WINDOW: u32 = 4 << 20;
const CONNECTION_WINDOW: u32 = 16 << 20;

/// A client that an origin takes for an edge.
pub(crate) struct BareClient {
    channel: Channel,
    account_sid: String,
}

impl BareClient {
    /// Enrols with an origin.
    pub(crate) async fn enrol(url: &str, token: &JoinToken, account_sid: &str) -> anyhow::Result<Self> {
        let (request, key) = certificate_request()?;
        let anonymous = connect(url, token, None).await?;
        let request = wire::EnrolRequest {
            token_secret: Bytes::copy_from_slice(&token.secret),
            certificate_request: request.into(),
            name: "rig".into(),
        };
        let enrolled = wire::enrol_client::EnrolClient::new(anonymous).enrol(request).await?.into_inner();
        let certificate = pem("CERTIFICATE", &enrolled.certificate);
        let identity = Identity::from_pem(certificate, pem("PRIVATE KEY", key.secret_pkcs8_der()));
        let channel = connect(url, token, Some(identity)).await?;
        Ok(Self { channel, account_sid: account_sid.to_owned() })
    }

    /// Time until the first slice of a blob is there.
    pub(crate) async fn first_slice(&self, hash: Hash) -> anyhow::Result<Duration> {
        let request = wire::FillRequest {
            account_sid: self.account_sid.clone(),
            hash: Bytes::copy_from_slice(hash.as_bytes()),
            first_slice: 0,
            slice_count: 1,
            hops: 0,
            neighbour: false,
        };
        let began = Instant::now();
        let mut client = wire::fill_client::FillClient::new(self.channel.clone());
        let mut stream = client.fill(request).await?.into_inner();
        while let Some(message) = stream.message().await? {
            if let Some(Kind::Slice(_)) = message.kind {
                return Ok(began.elapsed());
            }
        }
        anyhow::bail!("the origin sent no slice")
    }
}

async fn connect(url: &str, token: &JoinToken, identity: Option<Identity>) -> anyhow::Result<Channel> {
    let authority = Certificate::from_pem(pem("CERTIFICATE", &token.authority));
    let mut tls = ClientTlsConfig::new().ca_certificate(authority);
    if let Some(identity) = identity {
        tls = tls.identity(identity);
    }
    let endpoint = Endpoint::from_shared(url.to_owned())?
        .tls_config(tls)?
        .tcp_nodelay(true)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW);
    endpoint.connect().await.context("cannot connect to the origin")
}
