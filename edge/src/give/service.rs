//! The fill service of an edge.

use super::Stock;
use super::incoming::Peer;
use super::quota::{Held, Place, Quota};
use crate::cache::Account;
use crate::fill::{FillError, HOPS_MAX, Journey, SliceReader, hot};
use crate::metrics::{CacheResult, GiveRefusal};
use futures_util::stream::{BoxStream, StreamExt};
use skerry_proto::hash::Hash;
use skerry_proto::slices::{BlobId, VerifiedSlice};
use skerry_proto::wire::fill_response::Kind;
use skerry_proto::wire::fill_server::Fill;
use skerry_proto::wire::peer_server::Peer as PeerService;
use skerry_proto::wire::{FillHead, FillRequest, FillResponse, FillSlice, HotRequest, HotSet};
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Request, Response, Status};

/// Messages between the cache and the socket.
const QUEUE: usize = 2;

/// How long an edge may take no message of a stream before it is given up.
const SEND_TIME_MAX: Duration = Duration::from_secs(60);

/// Answers fills, and what else edges ask each other.
#[derive(Clone)]
pub(super) struct FillService {
    stock: Arc<Stock>,
    quota: Arc<Quota>,
}

/// A message, and the room that it takes up until the socket has it.
type Message = (Result<FillResponse, Status>, Option<Held>);

/// The edge went away, or takes nothing.
struct Gone;

/// One fill under way.
struct Giving {
    stock: Arc<Stock>,
    place: Place,
    reader: SliceReader,
    blob: BlobId,
    slices: Range<u64>,
    to: mpsc::Sender<Message>,
}

impl FillService {
    pub(super) fn new(stock: Stock, quota: Arc<Quota>) -> Self {
        Self { stock: Arc::new(stock), quota }
    }

    fn refuse(&self, why: GiveRefusal, code: Code, message: &str) -> Status {
        self.stock.metrics.tiers.give.refused(why);
        Status::new(code, message)
    }

    /// Who calls. A connection may be older than the caller's expulsion.
    fn caller<T>(&self, request: &Request<T>) -> Result<Arc<str>, Status> {
        let peer = request.extensions().get::<Peer>();
        let peer = peer.filter(|peer| self.stock.trust.may_call(&peer.edge_id));
        peer.map(|peer| Arc::clone(&peer.edge_id)).ok_or_else(|| {
            let message = "this edge gives to edges of its cluster alone, and not to one that was expelled";
            self.refuse(GiveRefusal::Certificate, Code::PermissionDenied, message)
        })
    }

    fn blob(&self, account: &Account, request: &FillRequest) -> Result<BlobId, Status> {
        let hash = Hash::try_from(&request.hash[..]).map_err(|error| {
            self.refuse(GiveRefusal::Malformed, Code::InvalidArgument, &error.to_string())
        })?;
        // Also of what was announced, and of a form that one environment has not heard of yet.
        let is_revoked = self.stock.slices.revoked().contains(account.key, &hash);
        let named = self.stock.environments.named(account.key, &hash).filter(|_| !is_revoked);
        named.ok_or_else(|| {
            let message = "no manifest or history of the account that this edge holds names this hash";
            self.refuse(GiveRefusal::NotNamed, Code::NotFound, message)
        })
    }

    fn range(&self, request: &FillRequest, blob: BlobId) -> Result<Range<u64>, Status> {
        let count = blob.slice_count();
        match request.first_slice.checked_add(request.slice_count) {
            Some(end) if end <= count => Ok(request.first_slice..end),
            _ => {
                let message = format!("the blob has {count} slices");
                Err(self.refuse(GiveRefusal::Malformed, Code::InvalidArgument, &message))
            }
        }
    }
}

#[tonic::async_trait]
impl Fill for FillService {
    type FillStream = BoxStream<'static, Result<FillResponse, Status>>;

    async fn fill(&self, request: Request<FillRequest>) -> Result<Response<Self::FillStream>, Status> {
        let caller = self.caller(&request)?;
        let request = request.into_inner();
        if request.hops > HOPS_MAX {
            let message = format!(
                "the fill came through more than {HOPS_MAX} edges; look for a circle among their upstreams"
            );
            return Err(self.refuse(GiveRefusal::TooManyHops, Code::InvalidArgument, &message));
        }
        let account = Account::new(&request.account_sid);
        let blob = self.blob(&account, &request)?;
        let slices = self.range(&request, blob)?;
        let Some(place) = self.quota.place(&caller) else {
            return Err(Status::resource_exhausted("too many fills of other edges are under way"));
        };
        let journey = Journey { hops: request.hops, from_neighbour: request.neighbour };
        let reader = self.stock.slices.reader_for_edge(&account, blob, journey);
        let (to, messages) = mpsc::channel(QUEUE);
        let stock = Arc::clone(&self.stock);
        let giving = Giving { stock, place, reader, blob, slices, to };
        tokio::spawn(giving.run());
        // The answer begins at once, so that whoever asks knows that this edge is there, however long the bytes take.
        Ok(Response::new(ReceiverStream::new(messages).map(|(message, _held)| message).boxed()))
    }
}

#[tonic::async_trait]
impl PeerService for FillService {
    async fn hot(&self, request: Request<HotRequest>) -> Result<Response<HotSet>, Status> {
        self.caller(&request)?;
        let count_max = usize::try_from(request.get_ref().count_max).unwrap_or(usize::MAX);
        Ok(Response::new(hot::to_wire(&self.stock.slices.hot(count_max))))
    }
}

impl Giving {
    async fn run(self) {
        // Whoever went away needs no answer.
        let gave = tokio::select! {
            gave = self.give() => gave,
            () = self.to.closed() => return,
        };
        match gave {
            Ok(Ok(())) => self.stock.metrics.tiers.give.given.increment(1),
            Ok(Err(Gone)) => {}
            Err(error) => {
                let _: Result<(), Gone> = self.send(Err(self.refusal(error)), None).await;
            }
        }
    }

    async fn give(&self) -> Result<Result<(), Gone>, FillError> {
        let mut slices = self.slices.clone();
        // The first slice before the list: if both must be fetched, one fill brings both.
        let mut next = match slices.next() {
            Some(index) => Some((index, self.next(index).await?)),
            None => None,
        };
        let list = self.reader.slice_list().await?;
        let head = FillHead { size: self.blob.size, slice_list: list.values().clone() };
        if self.send(Ok(FillResponse { kind: Some(Kind::Head(head)) }), None).await.is_err() {
            return Ok(Err(Gone));
        }
        let give = &self.stock.metrics.tiers.give;
        while let Some((index, (slice, from))) = next {
            let data = slice.bytes().clone();
            let size = data.len() as u64;
            let Some(held) = timeout(SEND_TIME_MAX, self.place.bytes(size)).await.ok().flatten() else {
                return Ok(Err(Gone));
            };
            let message = FillResponse { kind: Some(Kind::Slice(FillSlice { index, data })) };
            if self.send(Ok(message), Some(held)).await.is_err() {
                return Ok(Err(Gone));
            }
            give.slice(from);
            give.bytes.increment(size);
            next = match slices.next() {
                Some(index) => Some((index, self.next(index).await?)),
                None => None,
            };
        }
        Ok(Ok(()))
    }

    async fn next(&self, index: u64) -> Result<(VerifiedSlice, CacheResult), FillError> {
        match self.reader.in_memory(index) {
            Some(slice) => Ok((slice, CacheResult::Memory)),
            None => self.reader.get(index, self.slices.end).await,
        }
    }

    async fn send(&self, message: Result<FillResponse, Status>, held: Option<Held>) -> Result<(), Gone> {
        match timeout(SEND_TIME_MAX, self.to.send((message, held))).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(Gone),
        }
    }

    /// What another edge makes of it: whether to ask elsewhere, and whether this edge is to blame.
    fn refusal(&self, error: FillError) -> Status {
        let (why, code) = match error {
            FillError::NotFound => (GiveRefusal::NotHad, Code::NotFound),
            FillError::TooManyHops => (GiveRefusal::TooManyHops, Code::InvalidArgument),
            FillError::Unavailable | FillError::TimedOut | FillError::Integrity | FillError::Busy => {
                (GiveRefusal::NotHad, Code::Aborted)
            }
        };
        self.stock.metrics.tiers.give.refused(why);
        Status::new(code, error.to_string())
    }
}
