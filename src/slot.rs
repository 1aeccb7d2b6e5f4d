//! A running edge, as its probes see it while it starts, serves and drains.

use skerry_edge::fill::Which;
use skerry_edge::run::{FaultError, RunningEdge};
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};

/// Where a starting, running or draining edge is kept. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct EdgeSlot(Arc<Mutex<State>>);

#[derive(Debug)]
enum State {
    Starting,
    Running(RunningEdge),
    Draining,
}

impl EdgeSlot {
    /// For an edge that is about to start.
    pub(crate) fn starting() -> Self {
        Self(Arc::new(Mutex::new(State::Starting)))
    }

    /// The edge serves.
    pub(crate) fn running(&self, edge: RunningEdge) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = State::Running(edge);
    }

    /// Takes the edge out, to wait for its end.
    pub(crate) fn take(&self) -> Option<RunningEdge> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match std::mem::replace(&mut *state, State::Draining) {
            State::Running(edge) => Some(edge),
            State::Starting | State::Draining => None,
        }
    }

    /// Why it should get no traffic now.
    pub(crate) fn not_ready(&self) -> Vec<&'static str> {
        match &*self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            State::Starting => vec!["starting: not enrolled yet"],
            State::Running(edge) => edge.not_ready(),
            State::Draining => vec!["draining"],
        }
    }

    /// What is wrong with it although it serves.
    pub(crate) fn degraded(&self) -> Vec<&'static str> {
        match &*self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            State::Running(edge) => edge.degraded(),
            State::Starting | State::Draining => Vec::new(),
        }
    }

    /// Corrupts an asset in the disk cache of an edge that runs.
    pub(crate) fn corrupt(
        &self,
        domain: &str,
        path: &str,
        which: Which,
    ) -> Option<impl Future<Output = Result<u64, FaultError>> + Send + use<>> {
        match &*self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            State::Running(edge) => Some(edge.corrupt(domain, path, which)),
            State::Starting | State::Draining => None,
        }
    }
}
