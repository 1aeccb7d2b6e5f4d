//! An origin with the right keys and the wrong intentions: its certificates and signatures are good, its slices are what a test says.
//!
//! It enrols anybody, watches nobody, and answers fills with a [`Lie`]. What it was told by edges can be awaited.

mod watching;

use super::showing::Showing;
use super::{DEADLINE, RUNTIME, block_on};
use bytes::{Bytes, BytesMut};
use skerry_proto::authority::Authority;
use skerry_proto::hash::Hash;
use skerry_proto::join::JoinToken;
use skerry_proto::paging::Documents;
use skerry_proto::pointer::{Pointer, Version};
use skerry_proto::signature::{KeySet, SigningKey};
use skerry_proto::slices::{BlobId, SLICE_SIZE, SliceHasher};
use skerry_proto::{document, history, manifest, wire};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};
use tokio::net::TcpListener;
use tokio::sync::{broadcast, mpsc, watch};
use tokio::task::JoinHandle;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Certificate, Identity, Server, ServerTlsConfig};
use tonic::{Request, Response, Status};

const DAY: Duration = Duration::from_secs(86_400);

/// The account whose assets it shows.
const ACCOUNT: &str = "AC00000000000000000000000000000000";

/// How fills of a blob are answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lie {
    /// None.
    Honest,
    /// One bit of this slice is wrong.
    FlippedBit { slice: u64 },
    /// A slice list with one value wrong.
    WrongList,
    /// The list of another blob of the same size, and that blob's bytes: consistent in itself.
    OtherBlob,
    /// A list that lacks its last value.
    ShortList,
    /// A list with a value too many.
    LongList,
    /// A list of two values that merge to the root, whatever the size: the right and the left subtree.
    MergedList,
    /// A list of an odd number of bytes.
    OddList,
    /// Every slice lacks its last byte.
    ShortSlices,
    /// Every slice has a byte too many.
    LongSlices,
    /// Every slice is empty.
    EmptySlices,
    /// Slices come with the number of their successor.
    WrongNumbers,
    /// A head that names another size.
    WrongSize,
    /// No head.
    NoHead,
    /// "No such blob".
    Missing,
    /// Nothing at all.
    Silence,
    /// The stream breaks off after this many slices.
    BreaksOff { after: u64 },
}

/// A running origin of lies.
pub(crate) struct FakeOrigin {
    shared: Arc<Shared>,
    url: String,
    token: JoinToken,
    server: JoinHandle<()>,
}

/// The three services, over one state.
#[derive(Clone)]
struct Service(Arc<Shared>);

struct Shared {
    authority: Authority,
    key: SigningKey,
    cluster_id: [u8; 16],
    state: Mutex<State>,
    changes: broadcast::Sender<wire::watch_response::Kind>,
    key_sets: broadcast::Sender<wire::SignedKeySet>,
    told: watch::Sender<Told>,
}

#[derive(Default)]
struct State {
    blobs: HashMap<Hash, (Bytes, Lie)>,
    pointers: Vec<wire::SignedPointer>,
    revision: u64,
    /// Before each slice.
    pause: Duration,
    enrolled: u64,
    expelled: Vec<String>,
    /// Messages after which each watch stream is cut, when one more is to be sent.
    cut_after: Option<u64>,
}

/// What edges said.
#[derive(Debug, Clone, Default)]
struct Told {
    acked: u64,
    refused: Vec<String>,
    /// Revisions that edges said they hold, when they came.
    greeted: Vec<u64>,
    fills: u64,
    slices: u64,
}

impl FakeOrigin {
    /// Starts on a port of its own.
    pub(crate) fn start() -> Self {
        let now = SystemTime::now();
        let authority = Authority::generate("origin of lies", now).expect("randomness");
        let authority = Authority::new(&authority).expect("own authority");
        let key = SigningKey::from_pkcs8(&SigningKey::generate().expect("randomness")).expect("own key");
        let cluster_id = [7; 16];
        let keys =
            KeySet { number: 1, cluster_id, keys: vec![key.public_key().try_into().expect("32 bytes")] };
        let token = JoinToken { secret: [1; 32], authority: authority.certificate().clone(), keys };
        let names = ["127.0.0.1".to_owned(), "localhost".to_owned()];
        let identity = authority.issue_server(&names, now, DAY).expect("issues");
        let tls = ServerTlsConfig::new()
            .identity(Identity::from_pem(identity.certificate_pem(), identity.key_pem()))
            .client_ca_root(Certificate::from_pem(skerry_proto::authority::pem(
                "CERTIFICATE",
                authority.certificate(),
            )))
            .client_auth_optional(true);
        let shared = Arc::new(Shared {
            authority,
            key,
            cluster_id,
            state: Mutex::default(),
            changes: broadcast::channel(16).0,
            key_sets: broadcast::channel(16).0,
            told: watch::channel(Told::default()).0,
        });
        let listener = block_on(TcpListener::bind("127.0.0.1:0")).expect("a free port");
        let url = format!("https://{}", listener.local_addr().expect("bound"));
        let service = Service(Arc::clone(&shared));
        let services = Server::builder()
            .tls_config(tls)
            .expect("own certificate")
            .add_service(wire::enrol_server::EnrolServer::new(service.clone()))
            .add_service(wire::watch_server::WatchServer::new(service.clone()))
            .add_service(wire::fill_server::FillServer::new(service.clone()));
        let server = RUNTIME.spawn(async move {
            // Else a slice waits 40 ms for the acknowledgement of the head before it (RFC 1122 §4.2.3.2).
            let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
            services.serve_with_incoming(incoming).await.expect("serves");
        });
        Self { shared, url, token, server }
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// A token that can be used as often as wanted.
    pub(crate) const fn token(&self) -> &JoinToken {
        &self.token
    }

    /// Shows files at a domain, each filled with its lie, at the next revision. Returns the revision.
    pub(crate) fn show(&self, domain: &str, files: &[(&str, &Bytes, Lie)]) -> u64 {
        self.show_with(domain, files, Lie::Honest)
    }

    /// The same, with a lie about the manifest.
    pub(crate) fn show_with(&self, domain: &str, files: &[(&str, &Bytes, Lie)], about: Lie) -> u64 {
        let manifest = self.add_files(files, about);
        let revision = self.next_revision();
        self.send(self.pointer(domain, revision, Some(manifest)).sign(&self.shared.key));
        revision
    }

    /// Shows all that a test can say, at the next revision. Returns the revision.
    pub(crate) fn show_all(&self, domain: &str, showing: &Showing) -> u64 {
        let manifest = self
            .add_documents(manifest::write(&showing.entries, &showing.rules).expect("writes"), Lie::Honest);
        let history = self.add_documents(history::write(&showing.history).expect("writes"), Lie::Honest);
        for (content, lie) in &showing.contents {
            self.lie_about(content, *lie);
        }
        let revision = self.next_revision();
        let pointer = Pointer {
            history: Some(history),
            access: showing.access,
            serving: showing.serving,
            modified_floor: showing.modified_floor,
            ..self.pointer(domain, revision, Some(manifest))
        };
        self.send(pointer.sign(&self.shared.key));
        revision
    }

    /// Keeps files and their manifest, and names the manifest.
    pub(crate) fn add_files(&self, files: &[(&str, &Bytes, Lie)], about: Lie) -> BlobId {
        let mut showing = Showing::default();
        for (path, content, lie) in files {
            showing.asset(path, "application/octet-stream", content);
            self.lie_about(content, *lie);
        }
        self.add_documents(manifest::write(&showing.entries, &showing.rules).expect("writes"), about)
    }

    /// Keeps a document with its pages, and names it.
    fn add_documents(&self, documents: Documents, about: Lie) -> BlobId {
        for page in &documents.pages {
            self.lie_about(page, Lie::Honest);
        }
        self.lie_about(&documents.root, about);
        BlobId::of(&documents.root)
    }

    /// A pointer of this cluster, not signed yet.
    pub(crate) fn pointer(&self, domain: &str, revision: u64, manifest: Option<BlobId>) -> Pointer {
        Pointer {
            cluster_id: self.shared.cluster_id,
            version: Version { epoch: 1, revision },
            domain: domain.into(),
            account_sid: ACCOUNT.into(),
            environment_sid: "ZE00000000000000000000000000000000".into(),
            manifest,
            issued_at: 1_000_000_000,
            ..Pointer::default()
        }
    }

    pub(crate) fn key(&self) -> &SigningKey {
        &self.shared.key
    }

    pub(crate) fn next_revision(&self) -> u64 {
        let mut state = self.shared.state();
        state.revision += 1;
        state.revision
    }

    /// Sends a pointer to every edge, and shows it to those who come later.
    pub(crate) fn send(&self, pointer: wire::SignedPointer) {
        let domain = |signed: &wire::SignedPointer| {
            document::decode(&signed.pointer).map_or(String::new(), |pointer: wire::Pointer| pointer.domain)
        };
        {
            let mut state = self.shared.state();
            state.pointers.retain(|held| domain(held) != domain(&pointer));
            state.pointers.push(pointer.clone());
        }
        self.send_to_watchers(pointer);
    }

    /// Sends a pointer to the edges that watch now, and to nobody later.
    pub(crate) fn send_to_watchers(&self, pointer: wire::SignedPointer) {
        let revision = self.shared.state().revision;
        let change = wire::Change { revision, pointer: Some(pointer) };
        // Nobody may be watching yet.
        let _ = self.shared.changes.send(wire::watch_response::Kind::Change(change));
    }

    /// Tells every edge that one is expelled, now and whenever one comes.
    pub(crate) fn expel(&self, edge_id: &str) {
        self.shared.state().expelled.push(edge_id.to_owned());
        // Nobody may be watching yet.
        let _ = self.shared.changes.send(self.shared.expelled());
    }

    /// Sends a key set to the edges that watch now.
    pub(crate) fn send_key_set(&self, signed: wire::SignedKeySet) {
        let _ = self.shared.key_sets.send(signed);
    }

    /// The keys that a joining edge is told to trust.
    pub(crate) const fn keys(&self) -> &KeySet {
        &self.token.keys
    }

    /// Cuts every watch stream after so many messages, from now on; `None`: none.
    pub(crate) fn cut_after(&self, messages: Option<u64>) {
        self.shared.state().cut_after = messages;
    }

    /// Says from now on another thing about a blob.
    pub(crate) fn lie_about(&self, content: &Bytes, lie: Lie) {
        self.shared.state().blobs.insert(BlobId::of(content).hash, (content.clone(), lie));
    }

    /// Waits until an edge shows a revision.
    #[track_caller]
    pub(crate) fn until_acked(&self, revision: u64) {
        self.until(&format!("revision {revision} is acknowledged"), |told| told.acked >= revision);
    }

    /// Waits until edges have come so many times, and returns the revisions that they said they hold.
    pub(crate) fn until_greeted(&self, count: usize) -> Vec<u64> {
        self.until(&format!("edges come {count} times"), |told| told.greeted.len() >= count).greeted
    }

    /// Waits until an edge has refused so many pointers, and returns the reasons.
    #[track_caller]
    pub(crate) fn until_refused(&self, count: usize) -> Vec<String> {
        self.until(&format!("{count} pointers are refused"), |told| told.refused.len() >= count).refused
    }

    /// Newest revision that an edge acknowledged.
    pub(crate) fn acked(&self) -> u64 {
        self.shared.told.borrow().acked
    }

    /// Fills that were asked for.
    pub(crate) fn fills(&self) -> u64 {
        self.shared.told.borrow().fills
    }

    /// Slices that were sent.
    pub(crate) fn slices(&self) -> u64 {
        self.shared.told.borrow().slices
    }

    /// From now on it takes so long for each slice.
    pub(crate) fn slow_down(&self, pause: Duration) {
        self.shared.state().pause = pause;
    }

    #[track_caller]
    fn until(&self, what: &str, right: impl Fn(&Told) -> bool) -> Told {
        let mut told = self.shared.told.subscribe();
        let waited = block_on(async {
            tokio::time::timeout(DEADLINE, told.wait_for(right))
                .await
                .map(|told| told.map(|told| told.clone()))
        });
        match waited {
            Ok(Ok(told)) => told,
            _ => panic!("not within {DEADLINE:?}: {what}; told so far: {:?}", self.shared.told.borrow()),
        }
    }
}

impl Drop for FakeOrigin {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Shared {
    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn expelled(&self) -> wire::watch_response::Kind {
        let edge_ids = self.state().expelled.clone();
        wire::watch_response::Kind::Expelled(wire::Expelled { edge_ids })
    }
}

#[tonic::async_trait]
impl wire::enrol_server::Enrol for Service {
    async fn enrol(
        &self,
        request: Request<wire::EnrolRequest>,
    ) -> Result<Response<wire::EnrolResponse>, Status> {
        let request = request.into_inner().certificate_request;
        let id = {
            let mut state = self.0.state();
            state.enrolled += 1;
            format!("EDGE{}", state.enrolled)
        };
        let certificate =
            self.0.authority.issue_edge(&request, &id, SystemTime::now(), 30 * DAY).expect("an honest edge");
        Ok(Response::new(wire::EnrolResponse {
            edge_id: id,
            certificate: Bytes::copy_from_slice(&certificate),
            cluster_id: Bytes::copy_from_slice(&self.0.cluster_id),
        }))
    }

    async fn renew(
        &self,
        _request: Request<wire::RenewRequest>,
    ) -> Result<Response<wire::RenewResponse>, Status> {
        Err(Status::unimplemented("certificates of a test last longer than the test"))
    }
}

#[tonic::async_trait]
impl wire::fill_server::Fill for Service {
    type FillStream = ReceiverStream<Result<wire::FillResponse, Status>>;

    async fn fill(&self, request: Request<wire::FillRequest>) -> Result<Response<Self::FillStream>, Status> {
        let request = request.into_inner();
        self.0.told.send_modify(|told| told.fills += 1);
        let hash = Hash::try_from(&request.hash[..]).map_err(|_| Status::invalid_argument("no hash"))?;
        let (content, lie) =
            self.0.state().blobs.get(&hash).cloned().ok_or_else(|| Status::not_found("no such blob"))?;
        if lie == Lie::Missing {
            return Err(Status::not_found("no such blob"));
        }
        let (sender, responses) = mpsc::channel(4);
        let shared = Arc::clone(&self.0);
        RUNTIME.spawn(async move {
            for message in lie.messages(content, request.first_slice, request.slice_count) {
                if matches!(
                    &message,
                    Ok(wire::FillResponse { kind: Some(wire::fill_response::Kind::Slice(_)) })
                ) {
                    let pause = shared.state().pause;
                    tokio::time::sleep(pause).await;
                    shared.told.send_modify(|told| told.slices += 1);
                }
                if sender.send(message).await.is_err() {
                    return;
                }
            }
            if lie == Lie::Silence {
                sender.closed().await;
            }
        });
        Ok(Response::new(ReceiverStream::new(responses)))
    }
}

impl Lie {
    /// What a fill of `count` slices from `first` on is answered with.
    pub(super) fn messages(
        self,
        content: Bytes,
        first: u64,
        count: u64,
    ) -> Vec<Result<wire::FillResponse, Status>> {
        let content = match self {
            Self::OtherBlob => content.iter().map(|byte| byte ^ 0x55).collect(),
            _ => content,
        };
        let mut messages = Vec::new();
        if !matches!(self, Self::NoHead | Self::Silence) {
            let head = wire::FillHead { size: self.size(&content), slice_list: self.list(&content) };
            messages.push(Ok(wire::FillResponse { kind: Some(wire::fill_response::Kind::Head(head)) }));
        }
        if self == Self::Silence {
            return messages;
        }
        for index in first..first + count {
            if let Self::BreaksOff { after } = self
                && index - first >= after
            {
                messages.push(Err(Status::unavailable("as a test wants it")));
                break;
            }
            let slice = wire::FillSlice { index: self.number(index), data: self.slice(&content, index) };
            messages.push(Ok(wire::FillResponse { kind: Some(wire::fill_response::Kind::Slice(slice)) }));
        }
        messages
    }

    fn size(self, content: &Bytes) -> u64 {
        match self {
            Self::WrongSize => content.len() as u64 + 1,
            _ => content.len() as u64,
        }
    }

    fn number(self, index: u64) -> u64 {
        match self {
            Self::WrongNumbers => index + 1,
            _ => index,
        }
    }

    fn list(self, content: &Bytes) -> Bytes {
        let mut hasher = SliceHasher::new();
        hasher.update(content);
        let right = hasher.finish().slice_list;
        let mut list = BytesMut::from(&right[..]);
        match self {
            Self::WrongList if !list.is_empty() => list[40 % right.len()] ^= 1,
            Self::WrongList => list.extend_from_slice(&[1; 32]),
            Self::ShortList => list.truncate(right.len().saturating_sub(32)),
            Self::LongList => list.extend_from_slice(&[2; 32]),
            Self::OddList => list.extend_from_slice(&[3; 5]),
            Self::MergedList => return merged(content),
            _ => {}
        }
        list.freeze()
    }

    fn slice(self, content: &Bytes, index: u64) -> Bytes {
        let start = content.len().min(index as usize * SLICE_SIZE);
        let right = content.slice(start..content.len().min(start + SLICE_SIZE));
        let mut slice = BytesMut::from(&right[..]);
        match self {
            Self::FlippedBit { slice: wrong } if wrong == index && !slice.is_empty() => {
                let middle = slice.len() / 2;
                slice[middle] ^= 0b100;
            }
            Self::ShortSlices => slice.truncate(right.len().saturating_sub(1)),
            Self::LongSlices => slice.extend_from_slice(b"!"),
            Self::EmptySlices => slice.clear(),
            _ => {}
        }
        slice.freeze()
    }
}

/// The two children of the root, computed with blake3 itself: they merge to the hash, but are no list of this blob's slices.
fn merged(content: &Bytes) -> Bytes {
    use blake3::hazmat::{HasherExt, left_subtree_len};
    if content.len() <= SLICE_SIZE {
        return Bytes::from_static(&[4; 64]);
    }
    let left = left_subtree_len(content.len() as u64) as usize;
    let mut first = blake3::Hasher::new();
    first.update(&content[..left]);
    let mut second = blake3::Hasher::new();
    second.set_input_offset(left as u64);
    second.update(&content[left..]);
    [first.finalize_non_root(), second.finalize_non_root()].concat().into()
}
