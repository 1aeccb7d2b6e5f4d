//! The origin's gRPC services, called by hand: what the command line does, and what nobody should.

use super::{RUNTIME, block_on};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use skerry_proto::authority::{self, pem};
use skerry_proto::join::JoinToken;
use skerry_proto::wire;
use std::future::Future;
use std::time::Duration;
use tonic::metadata::MetadataValue;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint};
use tonic::{Request, Status};

/// Bytes in one message of an upload.
const MESSAGE_SIZE: usize = 64 << 10;

/// Time for a call, so that one that hangs fails its test.
const CALL_TIME_MAX: Duration = Duration::from_secs(60);

/// Who publishes.
#[derive(Debug, Clone)]
pub(crate) struct Account {
    pub(crate) sid: String,
    pub(crate) token: String,
}

/// A client of the Publish and Operator services.
#[derive(Debug, Clone)]
pub(crate) struct Publisher {
    channel: Channel,
    account: Account,
}

/// A client that is, or is not, an edge.
#[derive(Debug)]
pub(crate) struct EdgeCertificate {
    pub(crate) edge_id: String,
    pub(super) certificate: CertificateDer<'static>,
    pub(super) key: PrivatePkcs8KeyDer<'static>,
}

/// A channel that trusts `authority`, and shows a certificate or none.
pub(crate) fn channel(url: &str, authority: &CertificateDer<'_>, shown: Option<&EdgeCertificate>) -> Channel {
    let mut tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(pem("CERTIFICATE", authority)));
    if let Some(shown) = shown {
        let certificate = pem("CERTIFICATE", &shown.certificate);
        let key = pem("PRIVATE KEY", shown.key.secret_pkcs8_der());
        tls = tls.identity(tonic::transport::Identity::from_pem(certificate, key));
    }
    let endpoint =
        Endpoint::from_shared(url.to_owned()).expect("a URL").tls_config(tls).expect("a certificate");
    let _runtime = RUNTIME.enter();
    endpoint.timeout(CALL_TIME_MAX).connect_lazy()
}

impl Publisher {
    pub(crate) fn new(url: &str, authority: &CertificateDer<'_>, account: Account) -> Self {
        Self { channel: channel(url, authority, None), account }
    }

    /// The same connection with other credentials.
    pub(crate) fn with_account(&self, account: Account) -> Self {
        Self { channel: self.channel.clone(), account }
    }

    /// Uploads and commits; what was acknowledged is in the answer.
    pub(crate) async fn publish(&self, path: &str, content: Bytes) -> Result<wire::CommitResponse, Status> {
        let version = self.upload(path, wire::Visibility::Public, content).await?.version_sid;
        self.commit(vec![version]).await
    }

    /// Uploads one asset version.
    pub(crate) async fn upload(
        &self,
        path: &str,
        visibility: wire::Visibility,
        content: Bytes,
    ) -> Result<wire::UploadResponse, Status> {
        let size = content.len() as u64;
        self.upload_as(path, visibility.into(), size, content).await
    }

    /// Uploads with a head that may be wrong.
    pub(crate) async fn upload_as(
        &self,
        path: &str,
        visibility: i32,
        announced: u64,
        content: Bytes,
    ) -> Result<wire::UploadResponse, Status> {
        let head = wire::UploadHead {
            path: path.to_owned(),
            visibility,
            size: announced,
            ..wire::UploadHead::default()
        };
        self.upload_with(head, content).await
    }

    /// Uploads with any head.
    pub(crate) async fn upload_with(
        &self,
        head: wire::UploadHead,
        content: Bytes,
    ) -> Result<wire::UploadResponse, Status> {
        use wire::upload_request::Kind;
        let pieces: Vec<Bytes> = (0..content.len())
            .step_by(MESSAGE_SIZE)
            .map(|at| content.slice(at..content.len().min(at + MESSAGE_SIZE)))
            .collect();
        let kinds = std::iter::once(Kind::Head(head)).chain(pieces.into_iter().map(Kind::Data));
        let requests = tokio_stream::iter(kinds.map(|kind| wire::UploadRequest { kind: Some(kind) }));
        Ok(self.publish_client().upload(self.signed(requests)).await?.into_inner())
    }

    /// Asks for versions of bytes that the account is believed to have; whether each was made.
    pub(crate) async fn reuse(&self, assets: &[(&str, &[u8])]) -> Result<Vec<bool>, Status> {
        let known = |(path, content): &(&str, &[u8])| wire::KnownAsset {
            path: (*path).to_owned(),
            visibility: wire::Visibility::Public.into(),
            content_type: String::new(),
            blob: Some(skerry_proto::slices::BlobId::of(content).into()),
        };
        let request = wire::ReuseRequest { target: None, assets: assets.iter().map(known).collect() };
        let answer = self.publish_client().reuse(self.signed(request)).await?.into_inner();
        Ok(answer.assets.iter().map(|asset| !asset.version_sid.is_empty()).collect())
    }

    /// Makes versions current and live.
    pub(crate) async fn commit(&self, version_sids: Vec<String>) -> Result<wire::CommitResponse, Status> {
        let request = wire::CommitRequest {
            target: Some(wire::Target::default()),
            version_sids,
            removed_paths: Vec::new(),
        };
        Ok(self.publish_client().commit(self.signed(request)).await?.into_inner())
    }

    /// Current assets.
    pub(crate) async fn list(&self) -> Result<Vec<wire::Asset>, Status> {
        let request = wire::ListRequest { target: Some(wire::Target::default()) };
        Ok(self.publish_client().list(self.signed(request)).await?.into_inner().assets)
    }

    /// The archive of a build's private assets, of as many bytes as its head says.
    pub(crate) async fn bundle(&self, build_sid: &str) -> Result<Vec<u8>, Status> {
        use wire::bundle_response::Kind;
        let request =
            wire::BundleRequest { target: Some(wire::Target::default()), build_sid: build_sid.to_owned() };
        let mut stream = self.publish_client().bundle(self.signed(request)).await?.into_inner();
        let (mut size, mut bytes) = (0, Vec::new());
        while let Some(message) = stream.message().await? {
            match message.kind {
                Some(Kind::Head(head)) => size = head.size,
                Some(Kind::Data(data)) => bytes.extend_from_slice(&data),
                None => {}
            }
        }
        assert_eq!(bytes.len() as u64, size);
        Ok(bytes)
    }

    /// Another account, with its domain.
    #[track_caller]
    pub(crate) fn create_account(&self, name: &str) -> (Account, String) {
        let request = wire::CreateAccountRequest { friendly_name: name.to_owned() };
        let answer = block_on(self.operator_client().create_account(self.signed(request)));
        let answer = answer.expect("the operator may make accounts").into_inner();
        (Account { sid: answer.account_sid, token: answer.auth_token }, answer.domain)
    }

    /// A join token.
    pub(crate) async fn join_token(&self) -> Result<JoinToken, Status> {
        let request = wire::CreateJoinTokenRequest { valid_seconds: 0 };
        let text = self.operator_client().create_join_token(self.signed(request)).await?.into_inner().token;
        Ok(text.parse().expect("our own token"))
    }

    fn publish_client(&self) -> wire::publish_client::PublishClient<Channel> {
        wire::publish_client::PublishClient::new(self.channel.clone())
    }

    fn operator_client(&self) -> wire::operator_client::OperatorClient<Channel> {
        wire::operator_client::OperatorClient::new(self.channel.clone())
    }

    fn signed<T>(&self, message: T) -> Request<T> {
        let basic = STANDARD.encode(format!("{}:{}", self.account.sid, self.account.token));
        let mut request = Request::new(message);
        let value = MetadataValue::try_from(format!("Basic {basic}")).expect("ASCII");
        request.metadata_mut().insert("authorization", value);
        request
    }
}

impl EdgeCertificate {
    /// Uses a join token.
    pub(crate) async fn enrol(url: &str, token: &JoinToken) -> Result<Self, Status> {
        let (request, key) = authority::certificate_request().expect("randomness");
        let mut client = wire::enrol_client::EnrolClient::new(channel(url, &token.authority, None));
        let request = wire::EnrolRequest {
            token_secret: Bytes::copy_from_slice(&token.secret),
            certificate_request: request.into(),
            name: "by hand".into(),
        };
        let answer = client.enrol(request).await?.into_inner();
        Ok(Self { edge_id: answer.edge_id, certificate: answer.certificate.to_vec().into(), key })
    }
}

/// How a fill is asked for.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Asked {
    pub(crate) hops: u32,
    pub(crate) neighbour: bool,
}

/// Asks for the whole of a blob; the size that the head names and the bytes that came.
pub(crate) fn fill(
    channel: Channel,
    account: &str,
    hash: &str,
    slices: u64,
) -> Result<(u64, Vec<u8>), Status> {
    fill_as(channel, account, hash, slices, Asked::default())
}

/// The same, as it may have come through other edges.
pub(crate) fn fill_as(
    channel: Channel,
    account: &str,
    hash: &str,
    slices: u64,
    asked: Asked,
) -> Result<(u64, Vec<u8>), Status> {
    use wire::fill_response::Kind;
    let hash: skerry_proto::hash::Hash = hash.parse().expect("a hash");
    block_on(within(async {
        let request = wire::FillRequest {
            account_sid: account.to_owned(),
            hash: Bytes::copy_from_slice(hash.as_bytes()),
            first_slice: 0,
            slice_count: slices,
            hops: asked.hops,
            neighbour: asked.neighbour,
        };
        let mut stream = wire::fill_client::FillClient::new(channel).fill(request).await?.into_inner();
        let (mut size, mut bytes) = (0, Vec::new());
        while let Some(message) = stream.message().await? {
            match message.kind {
                Some(Kind::Head(head)) => size = head.size,
                Some(Kind::Slice(slice)) => bytes.extend_from_slice(&slice.data),
                None => {}
            }
        }
        Ok((size, bytes))
    }))
}

/// Opens a watch stream and says hello; what comes first.
pub(crate) fn watch(channel: Channel) -> Result<Option<wire::WatchResponse>, Status> {
    use wire::watch_request::Kind;
    block_on(within(async {
        let (sender, receiver) = tokio::sync::mpsc::channel(1);
        let hello = wire::WatchRequest { kind: Some(Kind::Hello(wire::Hello::default())) };
        sender.send(hello).await.expect("room for one");
        let requests = tokio_stream::wrappers::ReceiverStream::new(receiver);
        let mut stream = wire::watch_client::WatchClient::new(channel).watch(requests).await?.into_inner();
        stream.message().await
    }))
}

async fn within<T>(call: impl Future<Output = Result<T, Status>>) -> Result<T, Status> {
    let late = |_| Err(Status::deadline_exceeded("no answer within the time of a test"));
    tokio::time::timeout(CALL_TIME_MAX, call).await.unwrap_or_else(late)
}
