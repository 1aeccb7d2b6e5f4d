//! The edges of the cluster: who is enrolled, who is connected, and what each of them shows.
//!
//! Enrolment and expulsion are in the catalogue; this holds a copy in memory, so that a fill costs no query, and beside it what is
//! only known while the origin runs: the watch stream of an edge and the versions it acknowledged.

mod enrol;
mod wait;
mod warm;

pub(crate) use enrol::EnrolError;
pub(crate) use wait::{Receipt, Receipts};
pub(crate) use warm::{Report, WarmLimits, Warming, Warmings};

use crate::catalogue::{Catalogue, CatalogueError};
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
    edges: Mutex<BTreeMap<String, Edge>>,
    changed: watch::Sender<()>,
}

#[derive(Debug, Default)]
struct Edge {
    name: String,
    enrolled_at: i64,
    has_left: bool,
    is_expelled: bool,
    program: String,
    session: Option<(u64, CancellationToken)>,
    sessions: u64,
    acks: VecDeque<(Version, Instant)>,
    overwritten: Version,
}

impl Edge {
    fn ack(&mut self, version: Version) {
        let newest = self.acks.back().map(|(newest, _)| *newest).unwrap_or_default();
        if version > newest {
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
    pub(crate) async fn load(catalogue: Catalogue, keys: Arc<Keys>) -> Result<Self, CatalogueError> {
        let edges = catalogue.edges().await?.into_iter().map(|row| {
            let edge = Edge {
                name: row.name,
                enrolled_at: row.enrolled_at,
                has_left: row.has_left,
                is_expelled: row.is_expelled,
                ..Edge::default()
            };
            (row.id, edge)
        });
        let (edges, changed) = (Mutex::new(edges.collect()), watch::Sender::new(()));
        Ok(Self { shared: Arc::new(Shared { catalogue, keys, edges, changed }) })
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

    /// What is known of all edges that are not expelled, ascending by id.
    pub(crate) fn states(&self) -> Vec<EdgeState> {
        let edges = self.lock();
        let states = edges.iter().filter(|(_, edge)| !edge.is_expelled).map(|(id, edge)| EdgeState {
            id: id.clone(),
            name: edge.name.clone(),
            is_connected: edge.session.is_some(),
            acked: edge.acks.back().map(|(version, _)| *version).unwrap_or_default(),
            overwritten: edge.overwritten,
            program: edge.program.clone(),
            enrolled_at: edge.enrolled_at,
            counts: !edge.has_left,
        });
        states.collect()
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
    /// Any [`CatalogueError`].
    pub(crate) async fn connect(
        &self,
        id: &str,
        program: String,
        shows: Version,
    ) -> Result<Session, CatalogueError> {
        let (session, had_left) = {
            let mut edges = self.lock();
            let edge = edges.entry(id.to_owned()).or_default();
            edge.sessions += 1;
            edge.program = program;
            // An edge that lost its disk shows less than it once did.
            edge.acks.retain(|(acked, _)| *acked <= shows);
            edge.ack(shows);
            let had_left = std::mem::take(&mut edge.has_left);
            let ended = CancellationToken::new();
            if let Some((_, earlier)) = edge.session.replace((edge.sessions, ended.clone())) {
                earlier.cancel();
            }
            (Session { edges: self.clone(), id: id.to_owned(), number: edge.sessions, ended }, had_left)
        };
        self.shared.changed.send_replace(());
        if had_left {
            self.shared.catalogue.note_here(id).await?;
        }
        Ok(session)
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
    /// Waits until another stream of the same edge takes this one's place.
    pub(crate) async fn replaced(&self) {
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
