//! The whole origin in one process, called over TLS as edges and publishers call it.

mod edges;
mod keys;
mod publishing;
mod receipts;
mod rotation;
mod site;
mod stopping;
mod trust;
mod watch;

use crate::{AuthLimits, EdgeRules, Limits, NewAccount, Origin, OriginConfig, OriginError};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use rustls::pki_types::PrivatePkcs8KeyDer;
use skerry_proto::authority::{certificate_request, pem};
use skerry_proto::hash::Hash;
use skerry_proto::pointer::Pointer;
use skerry_proto::signature::KeySet;
use skerry_proto::slices::{BlobId, SLICE_SIZE, SliceList};
use skerry_proto::twilio::Secret;
use skerry_proto::wire::enrol_client::EnrolClient;
use skerry_proto::wire::fill_client::FillClient;
use skerry_proto::wire::operator_client::OperatorClient;
use skerry_proto::wire::publish_client::PublishClient;
use skerry_proto::wire::watch_client::WatchClient;
use skerry_proto::wire::{
    self, CommitRequest, CommitResponse, EnrolRequest, FillRequest, Ping, UploadHead, UploadRequest,
    UploadResponse, Visibility, WatchRequest, WatchResponse, fill_response, upload_request, watch_request,
    watch_response,
};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint};
use tonic::{Request, Status, Streaming};

/// An origin that serves, with its first account.
struct Served {
    folder: tempfile::TempDir,
    address: SocketAddr,
    ca: String,
    keys: KeySet,
    account: NewAccount,
    /// A second account, and two join tokens.
    other: NewAccount,
    join: [[u8; 32]; 2],
    rules: EdgeRules,
    stop: CancellationToken,
    serving: JoinHandle<Result<(), OriginError>>,
}

/// An edge as it is kept on its disk.
#[derive(Clone)]
struct Enrolled {
    id: String,
    certificate: Bytes,
    key: Vec<u8>,
}

fn config(folder: &Path) -> OriginConfig {
    OriginConfig {
        data: folder.join("data"),
        grpc_addresses: vec!["127.0.0.1:0".parse().expect("address")],
        grpc_names: vec!["localhost".into(), "127.0.0.1".into()],
        api: crate::ApiConfig {
            addresses: vec!["127.0.0.1:0".parse().expect("address")],
            ..crate::ApiConfig::default()
        },
        base_domain: "localhost".into(),
        public_port: 8443,
        limits: Limits { served_size_max: 4 << 20, served_count_max: 3, ..Limits::default() },
        publish: crate::PublishBounds::default(),
        warm: crate::WarmBounds::default(),
        grpc_connection_count_max: crate::CONNECTION_COUNT_MAX,
        console: crate::config::ConsoleConfig::default(),
        domains: crate::DomainConfig::default(),
        compression: crate::Compression::default(),
        auth: AuthLimits::default(),
        edges: EdgeRules::default(),
    }
}

impl Served {
    async fn start() -> Self {
        Self::start_with(EdgeRules::default()).await
    }

    async fn start_with(rules: EdgeRules) -> Self {
        // Another test may have installed it.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let folder = tempfile::tempdir().expect("temp");
        let origin =
            Origin::open(OriginConfig { edges: rules, ..config(folder.path()) }).await.expect("opens");
        assert!(origin.is_new().await.expect("answers"));
        let account = origin.create_account("first").await.expect("makes");
        let other = origin.create_account("second").await.expect("makes");
        assert!(!origin.is_new().await.expect("answers"));
        let token = origin.create_join_token(Duration::from_secs(60)).await.expect("makes");
        let second = origin.create_join_token(Duration::from_secs(60)).await.expect("makes");
        let ca = pem("CERTIFICATE", origin.authority().certificate());
        let bound = origin.bind().await.expect("binds");
        let address = bound.addresses().grpc;
        let stop = CancellationToken::new();
        let serving = tokio::spawn(bound.serve(stop.clone()));
        let join = [token.secret, second.secret];
        Self { folder, address, ca, keys: token.keys, account, other, join, rules, stop, serving }
    }

    /// Stops it, and serves the same folder again after `between`.
    async fn restart(mut self, between: impl AsyncFnOnce(&Path)) -> Self {
        self.stop.cancel();
        self.serving.await.expect("joins").expect("stops cleanly");
        between(&config(self.folder.path()).data).await;
        let again = OriginConfig { edges: self.rules, ..config(self.folder.path()) };
        let origin = Origin::open(again).await.expect("opens again");
        let bound = origin.bind().await.expect("binds");
        self.address = bound.addresses().grpc;
        self.stop = CancellationToken::new();
        self.serving = tokio::spawn(bound.serve(self.stop.clone()));
        self
    }

    async fn stop(self) {
        self.stop.cancel();
        self.serving.await.expect("joins").expect("stops cleanly");
    }

    async fn channel(&self, edge: Option<&Enrolled>) -> Channel {
        self.endpoint(edge).connect().await.expect("connects")
    }

    fn endpoint(&self, edge: Option<&Enrolled>) -> Endpoint {
        let mut tls =
            ClientTlsConfig::new().ca_certificate(Certificate::from_pem(&self.ca)).domain_name("localhost");
        if let Some(edge) = edge {
            let certificate = pem("CERTIFICATE", &edge.certificate);
            let key = pem("PRIVATE KEY", &edge.key);
            tls = tls.identity(tonic::transport::Identity::from_pem(certificate, key));
        }
        Endpoint::from_shared(format!("https://{}", self.address)).expect("url").tls_config(tls).expect("tls")
    }

    async fn publish(&self) -> PublishClient<Channel> {
        PublishClient::new(self.channel(None).await)
    }

    async fn operator(&self) -> OperatorClient<Channel> {
        OperatorClient::new(self.channel(None).await)
    }

    async fn enrol_with(&self, secret: &[u8]) -> Result<Enrolled, Status> {
        let (request, key) = certificate_request().expect("request");
        let mut client = EnrolClient::new(self.channel(None).await);
        let request = EnrolRequest {
            token_secret: Bytes::copy_from_slice(secret),
            certificate_request: request.into(),
            name: "edge-1".into(),
        };
        let enrolled = client.enrol(request).await?.into_inner();
        let key = PrivatePkcs8KeyDer::secret_pkcs8_der(&key).to_vec();
        Ok(Enrolled { id: enrolled.edge_id, certificate: enrolled.certificate, key })
    }

    async fn enrol(&self) -> Enrolled {
        self.enrol_with(&self.join[0]).await.expect("enrols")
    }

    async fn upload(&self, path: &str, bytes: &Bytes) -> Result<UploadResponse, Status> {
        self.upload_as(path, bytes, Visibility::Public).await
    }

    async fn upload_as(
        &self,
        path: &str,
        bytes: &Bytes,
        visibility: Visibility,
    ) -> Result<UploadResponse, Status> {
        let head = UploadHead {
            target: None,
            path: path.into(),
            visibility: visibility.into(),
            content_type: String::new(),
            size: bytes.len() as u64,
            ..UploadHead::default()
        };
        self.upload_raw(head, bytes.clone()).await
    }

    async fn upload_raw(&self, head: UploadHead, bytes: Bytes) -> Result<UploadResponse, Status> {
        let mut messages = vec![upload_request::Kind::Head(head)];
        for start in (0..bytes.len()).step_by(SLICE_SIZE) {
            let piece = bytes.slice(start..(start + SLICE_SIZE).min(bytes.len()));
            messages.push(upload_request::Kind::Data(piece));
        }
        let messages = messages.into_iter().map(|kind| UploadRequest { kind: Some(kind) });
        let request = as_account(&self.account, tokio_stream::iter(messages));
        Ok(self.publish().await.upload(request).await?.into_inner())
    }

    async fn commit(&self, versions: &[&str], removed: &[&str]) -> Result<CommitResponse, Status> {
        let request = CommitRequest {
            target: None,
            version_sids: versions.iter().map(|sid| (*sid).to_owned()).collect(),
            removed_paths: removed.iter().map(|path| (*path).to_owned()).collect(),
        };
        Ok(self.publish().await.commit(as_account(&self.account, request)).await?.into_inner())
    }

    /// Uploads and commits one public file.
    async fn put(&self, path: &str, bytes: &Bytes) -> CommitResponse {
        let version = self.upload(path, bytes).await.expect("uploads").version_sid;
        self.commit(&[&version], &[]).await.expect("commits")
    }

    /// Fills all slices of a blob, and verifies each.
    async fn fill(&self, edge: &Enrolled, blob: BlobId) -> Result<Vec<u8>, Status> {
        let request = FillRequest {
            account_sid: self.account.account_sid.clone(),
            hash: Bytes::copy_from_slice(blob.hash.as_bytes()),
            first_slice: 0,
            slice_count: blob.slice_count(),
            hops: 0,
            neighbour: false,
        };
        let mut client = FillClient::new(self.channel(Some(edge)).await);
        let mut answer = client.fill(request).await?.into_inner();
        let Some(fill_response::Kind::Head(head)) = answer.message().await?.and_then(|first| first.kind)
        else {
            panic!("a fill begins with a head");
        };
        assert_eq!(head.size, blob.size);
        let list = SliceList::verify(blob, head.slice_list).expect("verifies");
        let mut bytes = Vec::new();
        let mut index = 0;
        while let Some(message) = answer.message().await? {
            let Some(fill_response::Kind::Slice(slice)) = message.kind else { panic!("then slices") };
            assert_eq!(slice.index, index);
            bytes.extend_from_slice(list.check(index, slice.data).expect("verifies").bytes());
            index += 1;
        }
        assert_eq!(index, blob.slice_count());
        Ok(bytes)
    }

    async fn watch(&self, edge: &Enrolled, hello: wire::Hello) -> Result<Watching, Status> {
        let (tx, rx) = mpsc::channel(8);
        tx.send(message(watch_request::Kind::Hello(hello))).await.expect("room");
        let mut client = WatchClient::new(self.channel(Some(edge)).await);
        let answers = client.watch(ReceiverStream::new(rx)).await?.into_inner();
        Ok(Watching { tx, answers, secrets: BTreeMap::new() })
    }

    fn pointer(&self, signed: Option<&wire::SignedPointer>) -> Pointer {
        Pointer::open(signed.expect("there"), &self.keys).expect("verifies")
    }

    fn hello(&self, epoch: u64, revision: u64) -> wire::Hello {
        let cluster_id = Bytes::copy_from_slice(&self.keys.cluster_id);
        wire::Hello {
            cluster_id,
            epoch,
            revision,
            version: "test".into(),
            key_set: self.keys.number,
            lease_milliseconds: 0,
        }
    }
}

/// A watch stream as an edge has it.
struct Watching {
    tx: mpsc::Sender<WatchRequest>,
    answers: Streaming<WatchResponse>,
    /// Secrets that came so far, by account.
    secrets: BTreeMap<String, Vec<Secret>>,
}

impl Watching {
    async fn say(&self, kind: watch_request::Kind) {
        self.tx.send(message(kind)).await.expect("the stream is up");
    }

    /// Pings, and waits for the answer: everything that was said before has been taken, and the lease is renewed.
    async fn renew_lease(&mut self, number: u64) {
        self.say(watch_request::Kind::Ping(Ping { number, ..Ping::default() })).await;
        while !matches!(self.next().await, watch_response::Kind::Heartbeat(beat) if beat.ping == number) {}
    }

    /// The next message but secrets, which are kept.
    async fn next(&mut self) -> watch_response::Kind {
        loop {
            let message = self.answers.message().await.expect("no error").expect("no end");
            let watch_response::Kind::Secrets(secrets) = message.kind.clone().expect("known") else {
                return message.kind.expect("known");
            };
            for account in secrets.accounts {
                let read = account.secrets.iter().map(Secret::try_from).collect::<Result<_, _>>();
                self.secrets.insert(account.account_sid, read.expect("midstates"));
            }
        }
    }

    async fn snapshot(&mut self) -> wire::Snapshot {
        match self.next().await {
            watch_response::Kind::Snapshot(snapshot) => snapshot,
            other => panic!("a snapshot was expected, not {other:?}"),
        }
    }

    async fn change(&mut self) -> wire::Change {
        match self.next().await {
            watch_response::Kind::Change(change) => change,
            other => panic!("a change was expected, not {other:?}"),
        }
    }
}

fn message(kind: watch_request::Kind) -> WatchRequest {
    WatchRequest { kind: Some(kind) }
}

fn as_account<T>(account: &NewAccount, message: T) -> Request<T> {
    with_credentials(&account.account_sid, &account.auth_token, message)
}

fn with_credentials<T>(sid: &str, token: &str, message: T) -> Request<T> {
    let mut request = Request::new(message);
    let value = format!("Basic {}", STANDARD.encode(format!("{sid}:{token}")));
    request.metadata_mut().insert("authorization", value.parse().expect("ascii"));
    request
}

fn stable_code(status: &Status) -> &str {
    status.metadata().get("skerry-code").map_or("", |code| code.to_str().expect("ascii"))
}

fn sample(size: usize) -> Bytes {
    (0..size).map(|i| (i * 31 + i / 251) as u8).collect()
}

fn hash_of(response: &UploadResponse) -> Hash {
    Hash::try_from(&response.hash[..]).expect("a hash")
}
