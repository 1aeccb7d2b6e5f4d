//! The edges of the cluster: who is enrolled, who is connected, and what each of them shows.
//!
//! Enrolment and expulsion are in the catalogue; this holds a copy in memory, so that a fill costs no query, and beside it what is
//! only known while the origin runs: the watch stream of an edge, the versions it acknowledged, its figures, and when its lease was
//! last renewed. What an edge shows is noted in the catalogue, late when it grows and at once when it shrinks, so that it never says too
//! much. Of leases an origin that just began assumes the worst: that the one before it answered a ping a moment ago.

mod enrol;
mod evict;
mod expel;
mod figures;
mod judge;
mod wait;
mod warm;

pub(crate) use enrol::EnrolError;
pub(crate) use evict::{Eviction, Evictions};
pub(crate) use expel::ExpelError;
pub(crate) use figures::Figures;
pub(crate) use judge::Showing;
pub(crate) use wait::{Receipt, Receipts};
pub(crate) use warm::{Report, WarmLimits, Warming, Warmings};

use crate::catalogue::{Catalogue, CatalogueError, EdgeRow};
use crate::config::EdgeRules;
use crate::keys::Keys;
use skerry_proto::pointer::Version;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// Acknowledgements of an edge that are remembered with their times: enough for those who still wait for one of them.
const ACKS_MAX: usize = 256;

/// Whether an edge may call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Enrolled.
    Enrolled,
    /// Was enrolled, and expelled.
    Expelled,
    /// Never enrolled here.
    Unknown,
}

/// What is known of an edge now.
#[derive(Debug, Clone)]
pub(crate) struct EdgeState {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) is_connected: bool,
    pub(crate) acked: Version,
    /// Whatever was purged up to this version is on its disk no more.
    pub(crate) overwritten: Version,
    /// Version of its program; empty before it connected.
    pub(crate) program: String,
    pub(crate) enrolled_at: i64,
    /// It may still serve something: it neither said goodbye nor was expelled.
    pub(crate) counts: bool,
    /// It said goodbye at its last stop.
    pub(crate) has_left: bool,
    pub(crate) is_expelled: bool,
    /// Unix seconds.
    pub(crate) certificate_end: i64,
    /// The latest moment at which its lease may have been renewed.
    pub(crate) renewed_at: Instant,
    /// What it said of itself last, and when.
    pub(crate) figures: Option<(Figures, Instant)>,
}

/// The edges of the cluster. Clones share them.
#[derive(Debug, Clone)]
pub(crate) struct Edges {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    catalogue: Catalogue,
    keys: Arc<Keys>,
    rules: EdgeRules,
    edges: Mutex<BTreeMap<String, Edge>>,
    changed: watch::Sender<()>,
}

#[derive(Debug)]
struct Edge {
    name: String,
    enrolled_at: i64,
    certificate_end: i64,
    has_left: bool,
    is_expelled: bool,
    program: String,
    session: Option<(u64, CancellationToken)>,
    sessions: u64,
    acks: VecDeque<(Version, Instant)>,
    overwritten: Version,
    /// What the catalogue says that it shows.
    noted: Version,
    renewed_at: Instant,
    figures: Option<(Figures, Instant)>,
}

impl Edge {
    /// An edge of which this process knows no more than the catalogue does. Its lease may have been renewed a moment ago.
    fn new(row: EdgeRow) -> (String, Self) {
        let (now, noted) = (Instant::now(), row.acked());
        let edge = Self {
            name: row.name,
            enrolled_at: row.enrolled_at,
            certificate_end: row.certificate_end,
            has_left: row.has_left,
            is_expelled: row.is_expelled,
            program: String::new(),
            session: None,
            sessions: 0,
            acks: (noted > Version::default()).then_some((noted, now)).into_iter().collect(),
            overwritten: Version::default(),
            noted,
            renewed_at: now,
            figures: None,
        };
        (row.id, edge)
    }

    fn state(&self, id: &str) -> EdgeState {
        EdgeState {
            id: id.to_owned(),
            name: self.name.clone(),
            is_connected: self.session.is_some(),
            acked: self.acked(),
            overwritten: self.overwritten,
            program: self.program.clone(),
            enrolled_at: self.enrolled_at,
            counts: !self.has_left && !self.is_expelled,
            has_left: self.has_left,
            is_expelled: self.is_expelled,
            certificate_end: self.certificate_end,
            renewed_at: self.renewed_at,
            figures: self.figures,
        }
    }

    fn acked(&self) -> Version {
        self.acks.back().map(|(version, _)| *version).unwrap_or_default()
    }

    fn ack(&mut self, version: Version) {
        if version > self.acked() {
            self.acks.push_back((version, Instant::now()));
        }
        if self.acks.len() > ACKS_MAX {
            self.acks.pop_front();
        }
    }
}

impl Edges {
    /// Reads who is enrolled.
    ///
    /// # Errors
    /// Any [`CatalogueError`].
    pub(crate) async fn load(
        catalogue: Catalogue,
        keys: Arc<Keys>,
        rules: EdgeRules,
    ) -> Result<Self, CatalogueError> {
        let edges = Mutex::new(catalogue.edges().await?.into_iter().map(Edge::new).collect());
        let changed = watch::Sender::new(());
        Ok(Self { shared: Arc::new(Shared { catalogue, keys, rules, edges, changed }) })
    }

    /// Whether an edge may call.
    pub(crate) fn standing(&self, id: &str) -> Standing {
        match self.lock().get(id) {
            Some(edge) if edge.is_expelled => Standing::Expelled,
            Some(_) => Standing::Enrolled,
            None => Standing::Unknown,
        }
    }

    /// Ids of all edges that were expelled, ascending.
    pub(crate) fn expelled(&self) -> Vec<String> {
        let edges = self.lock();
        edges.iter().filter(|(_, edge)| edge.is_expelled).map(|(id, _)| id.clone()).collect()
    }

    /// A wake-up after every change of what [`Self::states`] answers.
    pub(crate) fn changed(&self) -> watch::Receiver<()> {
        self.shared.changed.subscribe()
    }

    /// What is known of all edges, also of those that were expelled, ascending by id.
    pub(crate) fn states(&self) -> Vec<EdgeState> {
        self.lock().iter().map(|(id, edge)| edge.state(id)).collect()
    }

    /// How long leases last, and the like.
    pub(crate) fn rules(&self) -> &EdgeRules {
        &self.shared.rules
    }

    /// When an edge first acknowledged `version` or a later one.
    pub(crate) fn live_since(&self, id: &str, version: Version) -> Option<Instant> {
        let edges = self.lock();
        let acks = &edges.get(id)?.acks;
        acks.iter().find(|(acked, _)| *acked >= version).map(|(_, at)| *at)
    }

    /// Takes up the watch stream of an edge. A stream of the same edge that is still up ends: its connection is lost, or somebody
    /// copied the edge's key. `shows` is what the edge says that it shows already.
    ///
    /// # Errors
    /// Any [`CatalogueError`]. `Ok(None)`: it was expelled while it connected.
    pub(crate) async fn connect(
        &self,
        id: &str,
        program: String,
        shows: Version,
    ) -> Result<Option<Session>, CatalogueError> {
        let (session, had_left, shrank) = {
            let mut edges = self.lock();
            let Some(edge) = edges.get_mut(id).filter(|edge| !edge.is_expelled) else { return Ok(None) };
            edge.sessions += 1;
            edge.program = program;
            // An edge that lost its disk shows less than it once did.
            edge.acks.retain(|(acked, _)| *acked <= shows);
            edge.ack(shows);
            let had_left = std::mem::take(&mut edge.has_left);
            let shrank = edge.acked() < edge.noted;
            if shrank {
                edge.noted = edge.acked();
            }
            let ended = CancellationToken::new();
            if let Some((_, earlier)) = edge.session.replace((edge.sessions, ended.clone())) {
                earlier.cancel();
            }
            (
                Session { edges: self.clone(), id: id.to_owned(), number: edge.sessions, ended },
                had_left,
                shrank,
            )
        };
        self.shared.changed.send_replace(());
        if had_left {
            self.shared.catalogue.note_here(id).await?;
        }
        if shrank {
            // What it said, not what it has said since: that is more.
            self.shared.catalogue.note_acked(&[(id.to_owned(), shows)]).await?;
        }
        Ok(Some(session))
    }

    /// Notes that every edge that is not in `staying` stopped, as if it had said goodbye: nobody need wait for it.
    ///
    /// # Errors
    /// Any [`CatalogueError`].
    pub(crate) async fn left_but(&self, staying: &[String]) -> Result<(), CatalogueError> {
        let gone: Vec<String> = {
            let mut edges = self.lock();
            let gone = edges.iter_mut().filter(|(id, edge)| !edge.has_left && !staying.contains(id));
            gone.map(|(id, edge)| {
                edge.has_left = true;
                id.clone()
            })
            .collect()
        };
        for id in &gone {
            self.shared.catalogue.note_left(id).await?;
        }
        self.shared.changed.send_replace(());
        Ok(())
    }

    /// Notes what edges show, where that is more than is noted.
    ///
    /// # Errors
    /// Any [`CatalogueError`]; it is tried again the next time.
    pub(crate) async fn note_acks(&self) -> Result<(), CatalogueError> {
        let (mut grown, mut before) = (Vec::new(), Vec::new());
        for (id, edge) in self.lock().iter_mut().filter(|(_, edge)| edge.acked() > edge.noted) {
            before.push((id.clone(), edge.noted));
            // Before it is so, so that an edge that comes back with less meanwhile is seen to.
            edge.noted = edge.acked();
            grown.push((id.clone(), edge.noted));
        }
        if grown.is_empty() {
            return Ok(());
        }
        let noted = self.shared.catalogue.note_acked(&grown).await;
        if noted.is_err() {
            let mut edges = self.lock();
            for (id, before) in before {
                if let Some(edge) = edges.get_mut(&id) {
                    edge.noted = edge.noted.min(before);
                }
            }
        }
        noted
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Edge>> {
        self.shared.edges.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The watch stream of an edge, for as long as it is up.
#[derive(Debug)]
pub(crate) struct Session {
    edges: Edges,
    id: String,
    number: u64,
    ended: CancellationToken,
}

impl Session {
    /// Waits until another stream of the same edge takes this one's place, or the edge is expelled.
    pub(crate) async fn ended(&self) {
        self.ended.cancelled().await;
    }

    /// Notes that the edge shows `version`.
    pub(crate) fn ack(&self, version: Version) {
        self.with_edge(|edge| edge.ack(version));
        self.edges.shared.changed.send_replace(());
    }

    /// Notes that what was purged up to `version` is on the edge's disk no more. It can only say so of what it has acknowledged.
    pub(crate) fn overwritten(&self, version: Version) {
        self.with_edge(|edge| {
            if edge.acks.back().is_some_and(|(acked, _)| version <= *acked) {
                edge.overwritten = version;
            }
        });
    }

    /// Notes that a ping of the edge is about to be answered, so that its lease may be renewed. It counts whichever stream it is: two
    /// machines may have the same key.
    pub(crate) fn answers(&self) {
        if let Some(edge) = self.edges.lock().get_mut(&self.id) {
            edge.renewed_at = Instant::now();
        }
    }

    /// Notes what the edge says of itself.
    pub(crate) fn figures(&self, figures: Figures) {
        self.with_edge(|edge| edge.figures = Some((figures, Instant::now())));
    }

    /// Notes that the edge stops cleanly: nobody need wait for it.
    ///
    /// # Errors
    /// Any [`CatalogueError`].
    pub(crate) async fn goodbye(self) -> Result<(), CatalogueError> {
        self.with_edge(|edge| edge.has_left = true);
        self.edges.shared.catalogue.note_left(&self.id).await
    }

    /// Touches the edge, unless another stream took this one's place.
    fn with_edge(&self, touch: impl FnOnce(&mut Edge)) {
        let mut edges = self.edges.lock();
        if let Some(edge) = edges.get_mut(&self.id)
            && edge.session.as_ref().is_some_and(|(number, _)| *number == self.number)
        {
            touch(edge);
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.with_edge(|edge| edge.session = None);
        self.edges.shared.changed.send_replace(());
    }
}
