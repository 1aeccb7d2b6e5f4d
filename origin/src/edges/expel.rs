//! Expelling an edge: it is refused from this moment on, whatever it shows, and so is every certificate that it will show.
//!
//! What it already holds stays with it. Its lease is not renewed any more, so what a rule ends with the lease it serves no longer than
//! that; nobody waits for it once the lease is surely over. The machine may come back with a new join token: as another edge, of which
//! this one's id and certificates say nothing.

use super::judge::surely_over;
use super::{EdgeState, Edges};
use crate::catalogue::{Actor, CatalogueError};
use crate::publish::unix_seconds;
use std::time::{Duration, Instant, SystemTime};

/// Why no edge is expelled.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ExpelError {
    /// There is none.
    #[error("no edge has the id or name {0:?}; `skerry edges` lists them")]
    Unknown(String),
    /// Several have the name.
    #[error("{count} edges are called {name:?}; say the id of one: {ids}")]
    Ambiguous {
        /// The name.
        name: String,
        /// How many have it.
        count: usize,
        /// Some of them.
        ids: String,
    },
    /// The catalogue.
    #[error(transparent)]
    Catalogue(#[from] CatalogueError),
}

/// Ids that a message lists at most.
const IDS_LISTED_MAX: usize = 8;

/// Characters of what was asked for that a message repeats at most.
const SHOWN_MAX: usize = 128;

/// An edge that is out.
#[derive(Debug, Clone)]
pub(crate) struct Expelled {
    pub(crate) id: String,
    pub(crate) name: String,
    /// It was out already.
    pub(crate) was_expelled: bool,
    /// Until its lease is surely over.
    pub(crate) lease_left: Duration,
}

impl Edges {
    /// Expels the edge of this id or name, durably; its calls are refused when this returns, and its watch stream is cut. Whoever is out
    /// already stays out.
    ///
    /// # Errors
    /// Any [`ExpelError`]; nothing is changed then.
    pub(crate) async fn expel(&self, actor: &Actor, wanted: &str) -> Result<Expelled, ExpelError> {
        let found = find(self.states(), wanted)?;
        let now = unix_seconds(SystemTime::now());
        let is_new = self.shared.catalogue.expel(actor, &found.id, &found.name, now).await?;
        let renewed_at = {
            let mut edges = self.lock();
            let edge = edges.get_mut(&found.id);
            edge.map_or(found.renewed_at, |edge| {
                edge.is_expelled = true;
                if let Some((_, ended)) = &edge.session {
                    ended.cancel();
                }
                edge.renewed_at
            })
        };
        self.shared.changed.send_replace(());
        let over = surely_over(renewed_at, self.shared.rules.lease);
        let lease_left = over.map_or(Duration::MAX, |over| over.saturating_duration_since(Instant::now()));
        Ok(Expelled { id: found.id, name: found.name, was_expelled: !is_new, lease_left })
    }
}

/// The edge of an id; else the one of a name that is not out yet, or the only one of that name.
fn find(states: Vec<EdgeState>, wanted: &str) -> Result<EdgeState, ExpelError> {
    if let Some(found) = states.iter().find(|edge| edge.id == wanted) {
        return Ok(found.clone());
    }
    let named: Vec<_> = states.into_iter().filter(|edge| edge.name == wanted && !wanted.is_empty()).collect();
    let is_in = |edge: &&EdgeState| !edge.is_expelled;
    let (mut of_name, count) = match named.iter().filter(is_in).count() {
        0 => (named.clone(), named.len()),
        count => (named.into_iter().filter(|edge| !edge.is_expelled).collect(), count),
    };
    match (of_name.pop(), count) {
        (None, _) => Err(ExpelError::Unknown(wanted.chars().take(SHOWN_MAX).collect())),
        (Some(only), 1) => Ok(only),
        (Some(last), _) => {
            of_name.push(last);
            let ids: Vec<_> = of_name.iter().take(IDS_LISTED_MAX).map(|edge| edge.id.as_str()).collect();
            let name = wanted.chars().take(SHOWN_MAX).collect();
            Err(ExpelError::Ambiguous { name, count, ids: ids.join(", ") })
        }
    }
}
