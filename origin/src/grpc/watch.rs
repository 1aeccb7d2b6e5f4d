//! The service by which edges learn of changes: a snapshot or the missed events, then every change exactly once, in order.
//!
//! One task for each stream does everything that is sent, so the order is one. It is woken by commits and pings, and reads events
//! by revision, so nothing is missed and nothing comes twice. A heartbeat says how far the stream came: whatever was committed
//! before it is answered has been sent before it. Key sets come before the first pointer that they sign, and after the last one that they
//! do not. Secrets are sent ahead of the changes that they belong to, and only those of accounts
//! that show protected assets.

use super::Services;
use super::caller::EdgeCaller;
use super::status::{self, refusal};
use crate::edges::{Figures, Session, Standing};
use bytes::Bytes;
use prost::Message;
use skerry_proto::document;
use skerry_proto::pointer::Version;
use skerry_proto::twilio::Secret;
use skerry_proto::wire;
use skerry_proto::wire::watch_response::Kind as Out;
use skerry_proto::wire::watch_server::Watch;
use skerry_proto::wire::{
    AccountSecrets, Change, Expelled, Heartbeat, Hello, Refusal, Secrets, SignedPointer, Snapshot,
    WatchRequest, WatchResponse, watch_request::Kind as In,
};
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime};
use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Request, Response, Status, Streaming};

/// Messages between the task and the socket.
const QUEUE: usize = 16;

/// Pointers in one part of a snapshot: about 200 KB; and their bytes, for those with many names. An edge takes 4 MiB.
const SNAPSHOT_PART: usize = 500;
const SNAPSHOT_PART_SIZE: usize = 2 << 20;

/// Accounts in one part of the secrets: about 3 KB each at most.
const SECRETS_PART: usize = 500;

/// Events that are read at once.
const EVENTS_MAX: u32 = 256;

/// How long an edge may take to say hello, and to take a message.
const PATIENCE: Duration = Duration::from_secs(30);

/// Characters of an edge's program version that are kept.
const PROGRAM_CHARS_MAX: usize = 64;

pub(super) struct WatchService(pub(super) Services);

#[tonic::async_trait]
impl Watch for WatchService {
    type WatchStream = ReceiverStream<Result<WatchResponse, Status>>;

    async fn watch(
        &self,
        request: Request<Streaming<WatchRequest>>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let edge = self.0.edge(&request)?;
        let (tx, rx) = mpsc::channel(QUEUE);
        let (services, inbound) = (self.0.clone(), request.into_inner());
        self.0.tasks.spawn(async move {
            if let Err(status) = services.watch(&edge, inbound, &tx).await {
                let _ = tokio::time::timeout(PATIENCE, tx.send(Err(status))).await;
            }
        });
        Ok(Response::new(ReceiverStream::new(rx)))
    }
}

impl Services {
    /// The whole life of a watch stream. Ends without an error when the edge or the origin stops.
    async fn watch(
        &self,
        caller: &EdgeCaller,
        mut inbound: Streaming<WatchRequest>,
        tx: &mpsc::Sender<Result<WatchResponse, Status>>,
    ) -> Result<(), Status> {
        let edge = &caller.id;
        let hello = tokio::time::timeout(PATIENCE, inbound.message()).await;
        let Ok(Some(WatchRequest { kind: Some(In::Hello(hello)) })) = hello.unwrap_or(Ok(None)) else {
            return Err(refusal(Code::InvalidArgument, "no_hello", "a watch stream begins with a hello"));
        };
        let program = hello.version.chars().filter(|c| !c.is_control()).take(PROGRAM_CHARS_MAX).collect();
        self.same_lease(&hello)?;
        let shows = self.known(&hello).await?;
        let session = self.edges.connect(edge, program, shows.unwrap_or_default()).await;
        let Some(session) = session.map_err(status::of_catalogue)? else {
            return self.admit(Standing::Expelled);
        };
        self.metrics.edges_connected.increment(1.0);
        tracing::info!(edge, revision = hello.revision, "an edge watches");
        let begun = Begun { session, shows, key_set: hello.key_set };
        let result = self.exchange(caller, begun, inbound, tx).await;
        self.metrics.edges_connected.decrement(1.0);
        match &result {
            Ok(()) => tracing::info!(edge, "an edge stopped watching"),
            Err(status) => tracing::warn!(edge, reason = status.message(), "an edge's watch stream ended"),
        }
        result
    }

    /// Sends and receives side by side until either ends.
    async fn exchange(
        &self,
        caller: &EdgeCaller,
        begun: Begun,
        inbound: Streaming<WatchRequest>,
        tx: &mpsc::Sender<Result<WatchResponse, Status>>,
    ) -> Result<(), Status> {
        let Begun { session, shows, key_set } = begun;
        let edge = &caller.id;
        let (ping_tx, ping_rx) = watch::channel(None);
        let (sent_tx, sent_rx) = watch::channel(Version::default());
        let outbound = Outbound {
            services: self,
            session: &session,
            tx,
            sent: sent_tx,
            key_set,
            secrets: BTreeMap::new(),
            expelled: Vec::new(),
        };
        let certified = caller.until.duration_since(SystemTime::now()).unwrap_or_default();
        let said_goodbye = tokio::select! {
            // A goodbye counts although the connection ends right behind it.
            biased;
            result = self.receive(edge, &session, inbound, ping_tx, sent_rx) => result?,
            result = outbound.run(shows, ping_rx) => return result,
            () = session.ended() => {
                self.admit(self.edges.standing(edge))?;
                let message = "another watch stream of this edge took this one's place";
                return Err(refusal(Code::Aborted, "replaced", message));
            }
            () = tokio::time::sleep(certified) => return Err(self.certificate_over()),
            () = self.stopping.cancelled() => false,
            () = tx.closed() => false,
        };
        if said_goodbye {
            session.goodbye().await.map_err(status::of_catalogue)?;
        }
        Ok(())
    }

    /// Takes what the edge says; ends with whether it said goodbye.
    async fn receive(
        &self,
        edge: &str,
        session: &Session,
        mut inbound: Streaming<WatchRequest>,
        ping: watch::Sender<Option<u64>>,
        sent: watch::Receiver<Version>,
    ) -> Result<bool, Status> {
        // A stream that breaks is the everyday end of a lost connection.
        while let Ok(Some(message)) = inbound.message().await {
            match message.kind {
                Some(In::Ping(message)) => {
                    match message.figures.as_ref().map(Figures::read) {
                        Some(Some(figures)) => session.figures(figures),
                        Some(None) => self.metrics.fleet.figure_refusals.increment(1),
                        None => {}
                    }
                    let (epoch, revision) = (message.overwritten_epoch, message.overwritten_revision);
                    session.overwritten(Version { epoch, revision });
                    ping.send_replace(Some(message.number));
                }
                Some(In::Ack(ack)) => {
                    let acked = Version { epoch: ack.epoch, revision: ack.revision };
                    if acked > *sent.borrow() {
                        let message = "acknowledged a revision that was not sent";
                        return Err(refusal(Code::InvalidArgument, "ack_ahead", message));
                    }
                    session.ack(acked);
                }
                Some(In::Refusal(refused)) => self.note_refusal(edge, &refused),
                Some(In::Warmed(warmed)) => self.warmings.report(edge, warmed),
                Some(In::Evicted(evicted)) => self.evictions.report(edge, &evicted),
                Some(In::Goodbye(_)) => return Ok(true),
                Some(In::Hello(_)) => {
                    return Err(refusal(
                        Code::InvalidArgument,
                        "second_hello",
                        "a watch stream has one hello",
                    ));
                }
                // Of a newer edge; what an origin does not know it cannot answer.
                None => {}
            }
        }
        Ok(false)
    }

    /// Refuses an edge that would serve for longer than receipts believe.
    fn same_lease(&self, hello: &Hello) -> Result<(), Status> {
        let (said, ours) = (Duration::from_millis(hello.lease_milliseconds), self.edges.rules().lease);
        if said <= ours {
            return Ok(());
        }
        let (said, ours) = (said.as_secs(), ours.as_secs());
        let message = format!(
            "the edge takes its lease to be {said} s, the origin {ours} s; set lease_seconds to the same number"
        );
        Err(refusal(Code::FailedPrecondition, "lease_too_long", &message))
    }

    /// The version from which on an edge needs events only; `None`: it needs a snapshot.
    async fn known(&self, hello: &Hello) -> Result<Option<Version>, Status> {
        let current = self.catalogue.version();
        let shows = Version { epoch: hello.epoch, revision: hello.revision };
        let is_ours = hello.cluster_id[..] == self.catalogue.cluster_id()[..];
        if !(is_ours && shows.epoch == current.epoch && shows.revision > 0 && shows <= current) {
            return Ok(None);
        }
        // Of one that has keys already which sign only what comes later, the pointers up to there would be refused.
        if hello.key_set <= 1 {
            return Ok(Some(shows));
        }
        let sets = self.catalogue.key_sets_after(hello.key_set - 1).await.map_err(status::of_catalogue)?;
        let is_ahead = sets.first().is_none_or(|set| set.first_revision > shows.revision + 1);
        Ok((!is_ahead).then_some(shows))
    }

    fn note_refusal(&self, edge: &str, refused: &Refusal) {
        self.metrics.watch_refusals.increment(1);
        let shown = |text: &str| text.chars().filter(|c| !c.is_control()).take(253).collect::<String>();
        tracing::warn!(
            edge,
            domain = shown(&refused.domain),
            reason = shown(&refused.reason),
            epoch = refused.epoch,
            revision = refused.revision,
            "an edge refused a pointer or a key set; it goes on with the last good one"
        );
    }
}

/// What a hello came to.
struct Begun {
    session: Session,
    /// From where on events are enough.
    shows: Option<Version>,
    /// Number of the key set that the edge holds.
    key_set: u64,
}

/// The sending half of a watch stream.
struct Outbound<'a> {
    services: &'a Services,
    session: &'a Session,
    tx: &'a mpsc::Sender<Result<WatchResponse, Status>>,
    /// Everything up to this was sent.
    sent: watch::Sender<Version>,
    /// Number of the newest key set that the edge has.
    key_set: u64,
    /// The secrets that the edge has, by account.
    secrets: BTreeMap<String, Vec<Secret>>,
    /// Edges that it was told on this stream to be expelled. Nobody comes back from that, so an edge that is told of none misses nothing.
    expelled: Vec<String>,
}

impl Outbound<'_> {
    async fn run(
        mut self,
        shows: Option<Version>,
        mut ping: watch::Receiver<Option<u64>>,
    ) -> Result<(), Status> {
        let mut committed = self.services.catalogue.committed();
        let mut warms = self.services.warmings.told();
        let mut evictions = self.services.evictions.told();
        match shows {
            Some(version) => {
                self.sent.send_replace(version);
                self.send_all_secrets().await?;
            }
            None => self.send_snapshot().await?,
        }
        self.send_expelled().await?;
        let mut answered = None;
        loop {
            // Pings are looked at before events are, so that a heartbeat follows all that was committed before its ping came.
            let newest_ping = *ping.borrow_and_update();
            committed.mark_unchanged();
            self.send_events().await?;
            if newest_ping != answered
                && let Some(number) = newest_ping
            {
                answered = newest_ping;
                self.send_expelled().await?;
                // Before the edge can hear of it.
                self.session.answers();
                let sent = *self.sent.borrow();
                let heartbeat = Heartbeat { ping: number, epoch: sent.epoch, revision: sent.revision };
                self.send(Out::Heartbeat(heartbeat)).await?;
            }
            tokio::select! {
                changed = committed.changed() => if changed.is_err() { return Ok(()) },
                warm = warms.recv() => if let Ok(warm) = warm {
                    self.send(Out::Warm(wire::Warm::clone(&warm))).await?;
                },
                evict = evictions.recv() => if let Ok(evict) = evict {
                    self.send(Out::Evict(wire::Evict::clone(&evict))).await?;
                },
                // The other half ends the stream when it ends.
                changed = ping.changed() => if changed.is_err() { std::future::pending::<()>().await },
            }
        }
    }

    async fn send_snapshot(&mut self) -> Result<(), Status> {
        let (version, pointers) = self.services.catalogue.snapshot().await.map_err(status::of_catalogue)?;
        // Read after the version that the edge will acknowledge, and sent before it.
        self.send_all_secrets().await?;
        self.send_key_sets(version.revision).await?;
        let mut rest = pointers.into_iter().peekable();
        loop {
            let (mut pointers, mut size) = (Vec::new(), 0);
            while pointers.len() < SNAPSHOT_PART
                && size < SNAPSHOT_PART_SIZE
                && let Some(pointer) = rest.next()
            {
                size += pointer.len();
                pointers.push(signed(&pointer)?);
            }
            let last = rest.peek().is_none();
            if last {
                // Before the edge can answer it.
                self.sent.send_replace(version);
            }
            let part = Snapshot { epoch: version.epoch, revision: version.revision, pointers, last };
            self.send(Out::Snapshot(part)).await?;
            if last {
                return Ok(());
            }
        }
    }

    /// Sends all events that were committed and not sent.
    async fn send_events(&mut self) -> Result<(), Status> {
        loop {
            let sent = *self.sent.borrow();
            if sent >= self.services.catalogue.version() {
                return Ok(());
            }
            let events = self.services.catalogue.events_after(sent.revision, EVENTS_MAX).await;
            let events = events.map_err(status::of_catalogue)?;
            if events.is_empty() {
                return Ok(());
            }
            let events = events
                .into_iter()
                .map(|(revision, pointer)| Ok((revision, signed(&pointer)?)))
                .collect::<Result<Vec<_>, Status>>()?;
            self.send_changed_secrets(&events).await?;
            for (revision, pointer) in events {
                self.send_key_sets(revision).await?;
                // Before the edge can answer it.
                self.sent.send_replace(Version { epoch: sent.epoch, revision });
                self.send(Out::Change(Change { revision, pointer: Some(pointer) })).await?;
            }
        }
    }

    /// Says who is expelled, if that is news: with each ping, so that edges refuse each other within a quarter of a lease.
    async fn send_expelled(&mut self) -> Result<(), Status> {
        let edge_ids = self.services.edges.expelled();
        if self.expelled == edge_ids {
            return Ok(());
        }
        self.send(Out::Expelled(Expelled { edge_ids: edge_ids.clone() })).await?;
        self.expelled = edge_ids;
        Ok(())
    }

    /// Sends the key sets that sign what is at `revision` or before, and that the edge does not have.
    async fn send_key_sets(&mut self, revision: u64) -> Result<(), Status> {
        if self.key_set >= self.services.publisher.key_set_number() {
            return Ok(());
        }
        let sets = self.services.catalogue.key_sets_after(self.key_set).await;
        for set in sets.map_err(status::of_catalogue)? {
            if set.first_revision > revision {
                return Ok(());
            }
            let signed = document::decode(&set.signed).map_err(|_| {
                tracing::error!(number = set.number, "a key set in the catalogue is damaged");
                refusal(Code::DataLoss, "damaged", "a key set is damaged at the origin")
            })?;
            self.send(Out::KeySet(signed)).await?;
            self.key_set = set.number;
        }
        Ok(())
    }

    /// Sends the secrets of all accounts that show protected assets: an edge may have forgotten them.
    async fn send_all_secrets(&mut self) -> Result<(), Status> {
        self.secrets = self.services.catalogue.signature_secrets(None).await.map_err(status::of_catalogue)?;
        let mut rest = self.secrets.iter().map(account_secrets).peekable();
        loop {
            let accounts = rest.by_ref().take(SECRETS_PART).collect();
            let last = rest.peek().is_none();
            self.send(Out::Secrets(Secrets { accounts, snapshot: true, last })).await?;
            if last {
                return Ok(());
            }
        }
    }

    /// Sends what is new of the secrets of the accounts that events are of, ahead of these. What is read is at least as new.
    async fn send_changed_secrets(&mut self, events: &[(u64, SignedPointer)]) -> Result<(), Status> {
        let pointers = events.iter().filter_map(|(_, signed)| {
            document::decode::<wire::Pointer>(&signed.pointer).ok().map(|pointer| pointer.account_sid)
        });
        for account in pointers.collect::<BTreeSet<_>>() {
            let now = self.services.catalogue.signature_secrets(Some(&account)).await;
            let now = now.map_err(status::of_catalogue)?.remove(&account).unwrap_or_default();
            let before = self.secrets.get(&account);
            if before.map_or(&[][..], Vec::as_slice) == now {
                continue;
            }
            let accounts = vec![account_secrets((&account, &now))];
            self.send(Out::Secrets(Secrets { accounts, snapshot: false, last: true })).await?;
            self.secrets.insert(account, now);
        }
        Ok(())
    }

    async fn send(&self, kind: Out) -> Result<(), Status> {
        match tokio::time::timeout(PATIENCE, self.tx.send(Ok(WatchResponse { kind: Some(kind) }))).await {
            Ok(Ok(())) => Ok(()),
            // The stream is gone, and the other half notices.
            Ok(Err(_)) => std::future::pending().await,
            Err(_) => {
                Err(refusal(Code::DeadlineExceeded, "too_slow", "the edge does not take what is sent to it"))
            }
        }
    }
}

fn account_secrets((account, secrets): (&String, &Vec<Secret>)) -> AccountSecrets {
    AccountSecrets { account_sid: account.clone(), secrets: secrets.iter().map(Into::into).collect() }
}

fn signed(pointer: &[u8]) -> Result<SignedPointer, Status> {
    SignedPointer::decode(Bytes::copy_from_slice(pointer)).map_err(|_| {
        tracing::error!("a pointer in the catalogue is damaged");
        refusal(Code::DataLoss, "damaged", "a pointer is damaged at the origin")
    })
}
