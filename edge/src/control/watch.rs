//! Follows the origin: one stream that brings a snapshot or what was missed, then every change in order.
//!
//! The stream is taken up again after a failure, with growing pauses that differ from edge to edge. Messages are worked through one
//! by one, so a heartbeat counts only when everything sent before it is shown.

use super::apply::{Applier, ApplyError, blocking};
use super::backoff::{Backoff, PAUSE_MAX};
use super::channel::OriginChannel;
use super::keys::KeysError;
use super::lease::Lease;
use super::pings::{Pings, Vitals};
use super::state::StateError;
use crate::cache::Account;
use crate::fill::Warming;
use crate::metrics::Metrics;
use skerry_proto::pointer::Version;
use skerry_proto::signature::KeySet;
use skerry_proto::slices::BlobId;
use skerry_proto::wire::{self, watch_request, watch_response};
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;

/// Pings in one lease. With four, two may get lost.
const PINGS_PER_LEASE: u32 = 4;

/// Requests on their way to the origin at most.
const REQUESTS_MAX: usize = 64;

/// Warmings at once at most.
const WARMINGS_MAX: usize = 4;

/// How long after its time other edges may still ask for what is warmed; then the deployment names it.
const WARM_LINGER: Duration = Duration::from_secs(10);

/// Bytes of one message at most: a part of a snapshot holds 500 pointers of less than 1 KiB.
const MESSAGE_SIZE_MAX: usize = 4 << 20;

/// How far this edge is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct WatcherStatus {
    /// Everything up to this version is shown and was acknowledged.
    pub position: Version,
    /// The stream is up, and all that came with it at first is shown.
    pub current: bool,
    /// It was so once since the start.
    pub was_current: bool,
    /// The last try to follow the origin failed, and none has succeeded since.
    pub origin_is_away: bool,
}

/// Follows the origin.
pub struct Watcher {
    applier: Applier,
    channel: OriginChannel,
    lease: Arc<Lease>,
    lease_length: Duration,
    metrics: Arc<Metrics>,
    status: watch::Sender<WatcherStatus>,
    warm_turns: Arc<Semaphore>,
}

/// How a stream ended that did not fail.
enum Ended {
    /// The edge stops, and said goodbye.
    Stopped,
    /// The edge has another certificate, with which it goes on where it was.
    Renewed,
}

/// Why the stream ended.
#[derive(Debug, thiserror::Error)]
enum WatchError {
    #[error("{}", .0.message())]
    Status(#[from] tonic::Status),
    #[error("the origin closed the stream")]
    Closed,
    #[error("nothing came from the origin for the time of a lease")]
    Silent,
    #[error("the origin offers an older state than the one held")]
    Older,
    #[error(transparent)]
    Apply(#[from] ApplyError),
    #[error(transparent)]
    State(#[from] StateError),
}

impl WatchError {
    /// Whether the origin shut this edge out.
    fn is_expulsion(&self) -> bool {
        match self {
            Self::Status(status) => {
                status.metadata().get("skerry-code").is_some_and(|code| code.as_bytes() == b"expelled")
            }
            _ => false,
        }
    }
}

impl Watcher {
    pub(crate) fn new(
        applier: Applier,
        channel: OriginChannel,
        lease: Arc<Lease>,
        lease_length: Duration,
        metrics: Arc<Metrics>,
    ) -> Self {
        let status = watch::Sender::new(WatcherStatus::default());
        let warm_turns = Arc::new(Semaphore::new(WARMINGS_MAX));
        Self { applier, channel, lease, lease_length, metrics, status, warm_turns }
    }

    /// How far this edge is, now and from now on.
    pub fn status(&self) -> watch::Receiver<WatcherStatus> {
        self.status.subscribe()
    }

    /// Shows what the last run kept, without asking the origin.
    pub async fn restore(&self) {
        let whole = self.applier.restore().await;
        if whole {
            self.set_position(self.applier.state.position(), false);
        }
    }

    /// Follows the origin until `stop` is cancelled, and then says goodbye.
    pub async fn run(self, vitals: Vitals, stop: CancellationToken) {
        let (mut backoff, mut is_expelled) = (Backoff::new(), false);
        let mut replaced = self.channel.replaced();
        while !stop.is_cancelled() {
            replaced.mark_unchanged();
            let error = match self.follow(&vitals, &mut replaced, &stop).await {
                Ok(Ended::Stopped) => return,
                Ok(Ended::Renewed) => continue,
                Err(error) => error,
            };
            if self.status.borrow().current {
                backoff = Backoff::new();
            }
            if error.is_expulsion() && !is_expelled {
                is_expelled = true;
                tracing::error!("the origin expelled this edge; its lease is over");
                tokio::task::block_in_place(|| self.lease.end());
            }
            self.lease.lost();
            self.metrics.watch_connected.set(0.0);
            self.status.send_modify(|status| {
                status.current = false;
                status.origin_is_away = true;
            });
            let pause = backoff.pause();
            tracing::warn!(%error, retry_milliseconds = pause.as_millis() as u64, "the origin cannot be followed; serving what is held");
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                // What failed may have been the certificate.
                _ = replaced.changed() => {}
                () = stop.cancelled() => {}
            }
        }
    }

    /// One stream, until it fails, the certificate is replaced, or `stop` is cancelled.
    async fn follow(
        &self,
        vitals: &Vitals,
        replaced: &mut watch::Receiver<()>,
        stop: &CancellationToken,
    ) -> Result<Ended, WatchError> {
        let set = self.applier.keys.chain();
        let KeySet { cluster_id, number: key_set, .. } = set.current();
        let (requests, stream) = mpsc::channel(REQUESTS_MAX);
        let position = self.status.borrow().position;
        send(
            &requests,
            watch_request::Kind::Hello(wire::Hello {
                cluster_id: cluster_id.to_vec().into(),
                epoch: position.epoch,
                revision: position.revision,
                version: env!("CARGO_PKG_VERSION").to_owned(),
                key_set: *key_set,
                lease_milliseconds: u64::try_from(self.lease_length.as_millis()).unwrap_or(u64::MAX),
            }),
        )
        .await;
        let mut client = wire::watch_client::WatchClient::new(self.channel.current())
            .max_decoding_message_size(MESSAGE_SIZE_MAX);
        let opening = timeout(self.lease_length, client.watch(ReceiverStream::new(stream)));
        let mut responses = tokio::select! {
            opened = opening => opened.map_err(|_| WatchError::Silent)??.into_inner(),
            () = stop.cancelled() => return Ok(Ended::Stopped),
        };
        let pings = Pings::default();
        let mut stream = Stream {
            watcher: self,
            requests: &requests,
            pings: &pings,
            snapshot: None,
            secrets: Vec::new(),
            refused: false,
        };
        let following = async {
            loop {
                let response = timeout(self.lease_length, responses.message()).await;
                let response = response.map_err(|_| WatchError::Silent)??.ok_or(WatchError::Closed)?;
                stream.take(response).await?;
            }
        };
        tokio::select! {
            result = following => result,
            () = pings.send_all(&requests, self.lease_length / PINGS_PER_LEASE, || self.ping(vitals)) => Err(WatchError::Closed),
            _ = replaced.changed() => Ok(Ended::Renewed),
            () = stop.cancelled() => {
                send(&requests, watch_request::Kind::Goodbye(wire::Goodbye {})).await;
                drop(requests);
                // The origin closes its side when it has read the goodbye.
                let _ = timeout(PAUSE_MAX, async { while let Ok(Some(_)) = responses.message().await {} }).await;
                Ok(Ended::Stopped)
            }
        }
    }

    /// What the next ping says, but for its number.
    fn ping(&self, vitals: &Vitals) -> wire::Ping {
        let Version { epoch, revision } = self.overwritten();
        wire::Ping {
            figures: Some(vitals()),
            overwritten_epoch: epoch,
            overwritten_revision: revision,
            ..wire::Ping::default()
        }
    }

    /// Up to which version everything that was purged is on the disk no more.
    fn overwritten(&self) -> Version {
        let Applier { overwritten, slices, .. } = &self.applier;
        overwritten.reached(self.status.borrow().position, slices.written(), slices.turnover())
    }

    fn set_position(&self, position: Version, current: bool) {
        self.metrics.watch_epoch.set(position.epoch as f64);
        self.metrics.watch_revision.set(position.revision as f64);
        self.status.send_modify(|status| {
            status.position = position;
            status.current = current;
            status.was_current |= current;
            status.origin_is_away &= !current;
        });
    }
}

impl std::fmt::Debug for Watcher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Watcher").field("status", &*self.status.borrow()).finish_non_exhaustive()
    }
}

/// The state of one stream.
struct Stream<'a> {
    watcher: &'a Watcher,
    requests: &'a mpsc::Sender<wire::WatchRequest>,
    pings: &'a Pings,
    /// Domains that the parts of a snapshot named so far.
    snapshot: Option<HashSet<String>>,
    /// Secrets that the parts of a snapshot named so far.
    secrets: Vec<wire::AccountSecrets>,
    /// A pointer was refused, so that no later revision may be acknowledged on this stream.
    refused: bool,
}

impl Stream<'_> {
    async fn take(&mut self, response: wire::WatchResponse) -> Result<(), WatchError> {
        match response.kind {
            Some(watch_response::Kind::Snapshot(part)) => self.snapshot_part(part).await,
            Some(watch_response::Kind::Change(change)) => self.change(change).await,
            Some(watch_response::Kind::Secrets(part)) => self.secrets_part(part).await,
            Some(watch_response::Kind::Expelled(told)) => {
                let expelled = Arc::clone(&self.watcher.applier.expelled);
                Ok(blocking(move || expelled.replace(told)).await.map_err(ApplyError::from)?)
            }
            Some(watch_response::Kind::Warm(warm)) => {
                self.warm(warm);
                Ok(())
            }
            Some(watch_response::Kind::Evict(evict)) => {
                self.evict(evict).await;
                Ok(())
            }
            Some(watch_response::Kind::KeySet(signed)) => self.key_set(signed).await,
            Some(watch_response::Kind::Heartbeat(heartbeat)) => {
                self.heartbeat(heartbeat);
                Ok(())
            }
            // A kind that a newer origin knows.
            None => Ok(()),
        }
    }

    async fn snapshot_part(&mut self, part: wire::Snapshot) -> Result<(), WatchError> {
        let version = Version { epoch: part.epoch, revision: part.revision };
        if version < self.position() {
            return Err(WatchError::Older);
        }
        let mut domains = self.snapshot.take().unwrap_or_default();
        for pointer in &part.pointers {
            if let Some(domain) = self.apply(pointer, version).await? {
                domains.insert(domain);
            }
        }
        if !part.last {
            self.snapshot = Some(domains);
            return Ok(());
        }
        if !self.refused {
            for domain in self.watcher.applier.environments.domains() {
                if !domains.contains(&*domain) {
                    self.watcher.applier.forget(&domain).await?;
                }
            }
        }
        self.acknowledge(version).await
    }

    /// Pulls what is coming, beside the stream, and says how far that came. The origin bounds how many of these there are.
    fn warm(&self, warm: wire::Warm) {
        let Ok(turn) = Arc::clone(&self.watcher.warm_turns).try_acquire_owned() else { return };
        let blobs: Vec<BlobId> = warm.blobs.iter().filter_map(|blob| BlobId::try_from(blob).ok()).collect();
        let time_max = Duration::from_secs(warm.seconds_max.into());
        let account = Account::new(&warm.account_sid);
        self.watcher.applier.environments.announce(account.key, &blobs, time_max + WARM_LINGER);
        let warming = Warming { account, blobs, size_max: warm.size_max, time_max };
        let (slices, requests) = (Arc::clone(&self.watcher.applier.slices), self.requests.clone());
        tokio::spawn(async move {
            let warmth = slices.warm(&warming).await;
            drop(turn);
            let warmed =
                wire::Warmed { number: warm.number, blob_count: warmth.blob_count, size: warmth.size };
            send(&requests, watch_request::Kind::Warmed(warmed)).await;
        });
    }

    /// Drops copies, and says how many that were.
    async fn evict(&self, evict: wire::Evict) {
        let slices = Arc::clone(&self.watcher.applier.slices);
        let number = evict.number;
        let slice_count = blocking(move || {
            let account = Account::new(&evict.account_sid);
            let blobs = evict.blobs.iter().filter_map(|blob| BlobId::try_from(blob).ok());
            blobs.map(|blob| slices.evict(&account, blob)).sum()
        });
        let evicted = wire::Evicted { number, slice_count: slice_count.await };
        send(self.requests, watch_request::Kind::Evicted(evicted)).await;
    }

    /// Comes before the change that it belongs to, so it counts when that is acknowledged.
    async fn secrets_part(&mut self, part: wire::Secrets) -> Result<(), WatchError> {
        let secrets = Arc::clone(&self.watcher.applier.secrets);
        let taken = if part.snapshot {
            self.secrets.extend(part.accounts);
            if !part.last {
                return Ok(());
            }
            let all = std::mem::take(&mut self.secrets);
            blocking(move || secrets.replace(all)).await
        } else {
            blocking(move || secrets.update(part.accounts)).await
        };
        Ok(taken.map_err(ApplyError::from)?)
    }

    /// Takes a key set. One that must not count is reported, and what only its keys signed is refused then.
    async fn key_set(&mut self, signed: wire::SignedKeySet) -> Result<(), WatchError> {
        let keys = Arc::clone(&self.watcher.applier.keys);
        match blocking(move || keys.take(&signed)).await {
            Ok(_) => {
                let number = self.watcher.applier.keys.chain().current().number;
                self.watcher.metrics.trust.key_set_number.set(number as f64);
                tracing::info!(number, "pointers are signed by the keys of this set from now on");
                Ok(())
            }
            Err(KeysError::Refused(error)) => {
                self.watcher.metrics.trust.key_sets_refused.increment(1);
                tracing::error!(%error, "refused a key set");
                self.refuse(self.position(), error.code()).await;
                Ok(())
            }
            Err(KeysError::State(error)) => Err(error.into()),
        }
    }

    /// Reports what is refused; nothing later is acknowledged on this stream.
    async fn refuse(&mut self, version: Version, code: &str) {
        self.refused = true;
        let refusal = wire::Refusal {
            epoch: version.epoch,
            revision: version.revision,
            domain: String::new(),
            reason: code.to_owned(),
        };
        send(self.requests, watch_request::Kind::Refusal(refusal)).await;
    }

    async fn change(&mut self, change: wire::Change) -> Result<(), WatchError> {
        let version = Version { epoch: self.position().epoch, revision: change.revision };
        if let Some(pointer) = &change.pointer {
            self.apply(pointer, version).await?;
        }
        self.acknowledge(version).await
    }

    /// Shows a pointer. One that must not be shown is reported, and the stream goes on; what cannot be had ends the stream, so that
    /// it is asked for again.
    async fn apply(
        &mut self,
        pointer: &wire::SignedPointer,
        version: Version,
    ) -> Result<Option<String>, WatchError> {
        match self.watcher.applier.apply(pointer).await {
            Ok(domain) => Ok(Some(domain)),
            Err(ApplyError::Refused(refusal)) => {
                self.watcher.metrics.watch_refused.increment(1);
                tracing::error!(epoch = version.epoch, revision = version.revision, error = %refusal, "refused a pointer");
                self.refuse(version, refusal.code()).await;
                Ok(None)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Says that everything up to `version` is shown, after remembering it.
    async fn acknowledge(&mut self, version: Version) -> Result<(), WatchError> {
        if self.refused {
            return Ok(());
        }
        let state = self.watcher.applier.state.clone();
        blocking(move || state.set_position(version)).await.map_err(ApplyError::from)?;
        // Read first: the guard of a borrow must be gone when the status is changed.
        let current = self.watcher.status.borrow().current;
        self.watcher.set_position(version, current);
        send(
            self.requests,
            watch_request::Kind::Ack(wire::Ack { epoch: version.epoch, revision: version.revision }),
        )
        .await;
        Ok(())
    }

    fn heartbeat(&self, heartbeat: wire::Heartbeat) {
        let Some(sent_at) = self.pings.answered(heartbeat.ping) else { return };
        // A file of 50 bytes, four times in a lease.
        tokio::task::block_in_place(|| self.watcher.lease.renew(sent_at));
        self.watcher.metrics.watch_connected.set(1.0);
        let said = Version { epoch: heartbeat.epoch, revision: heartbeat.revision };
        if self.position() >= said && !self.watcher.status.borrow().current {
            self.watcher.set_position(self.position(), true);
            tracing::info!(epoch = said.epoch, revision = said.revision, "following the origin");
        }
    }

    fn position(&self) -> Version {
        self.watcher.status.borrow().position
    }
}

/// A request that cannot be sent needs no answer: the stream is ending, and the loop sees it.
async fn send(requests: &mpsc::Sender<wire::WatchRequest>, kind: watch_request::Kind) {
    let _ = requests.send(wire::WatchRequest { kind: Some(kind) }).await;
}
