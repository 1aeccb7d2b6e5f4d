//! Receipts: what can be said of each edge and a version, as soon as it can be said.
//!
//! They cover every enrolled edge that did not say goodbye at a clean stop, connected or not, and every expelled one whose lease may
//! not be over. One that comes to be live or refusing is reported at that moment; those that may serve older when the time is over are
//! reported then.

use super::judge::{Showing, counts, judge};
use super::{EdgeState, Edges};
use crate::catalogue::Catalogue;
use crate::cause;
use skerry_proto::pointer::{StaleRule, Version};
use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// Receipts that wait to be taken.
const RECEIPTS_AHEAD: usize = 16;

/// Time for whoever waits to take a receipt.
const SEND_TIME_MAX: Duration = Duration::from_secs(60);

/// What an edge shows of a version.
#[derive(Debug, Clone)]
pub(crate) struct Receipt {
    pub(crate) edge_id: String,
    pub(crate) name: String,
    pub(crate) showing: Showing,
    /// From the commit until it was so; `None` where the origin does not remember either.
    pub(crate) after: Option<Duration>,
    /// Edges that showed it by now, and edges that may serve something.
    pub(crate) live_count: u32,
    pub(crate) edge_count: u32,
}

/// What receipts are made from. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct Receipts {
    edges: Edges,
    catalogue: Catalogue,
    /// Ends all waiting.
    stopping: CancellationToken,
}

/// Rules that edges go by which acknowledged no more than a version; they never change while one waits.
type Rules = HashMap<Version, StaleRule>;

/// An edge, what it shows, and since when or until when.
struct Judged {
    edge: EdgeState,
    showing: Showing,
    at: Option<Instant>,
}

impl Receipts {
    pub(crate) fn new(edges: Edges, catalogue: Catalogue, stopping: CancellationToken) -> Self {
        Self { edges, catalogue, stopping }
    }

    /// Reports each edge as it comes to show `version`, or to refuse; those that may serve older at the end of `time`. Receipts are sent
    /// as `say` makes them; the waiting ends when nobody takes them any more.
    pub(crate) async fn wait<T: Send>(
        &self,
        version: Version,
        time: Duration,
        tx: mpsc::Sender<T>,
        say: impl Fn(Receipt) -> T + Send,
    ) {
        let deadline = tokio::time::sleep(time);
        tokio::pin!(deadline);
        let mut changed = self.edges.changed();
        let (mut reported, mut rules, mut is_over) = (HashSet::new(), Rules::new(), false);
        loop {
            changed.mark_unchanged();
            let judged = self.judge(version, &mut rules).await;
            let waits = |one: &&Judged| one.showing == Showing::MayServeOlder;
            let is_settled = !judged.iter().any(|one| waits(&one));
            let next = judged.iter().filter(waits).filter_map(|one| one.at).min();
            for receipt in self.tell(version, judged, &mut reported, is_over) {
                if tx.send_timeout(say(receipt), SEND_TIME_MAX).await.is_err() {
                    return;
                }
            }
            if is_settled || is_over {
                return;
            }
            tokio::select! {
                changed = changed.changed() => is_over = changed.is_err(),
                () = until(next) => {}
                () = &mut deadline => is_over = true,
                () = self.stopping.cancelled() => is_over = true,
                () = tx.closed() => return,
            }
        }
    }

    /// What can be said now.
    pub(crate) async fn now(&self, version: Version) -> Vec<Receipt> {
        let judged = self.judge(version, &mut Rules::new()).await;
        self.tell(version, judged, &mut HashSet::new(), true)
    }

    /// What can be said as soon as no edge may serve older, or after `time`; ascending by id.
    pub(crate) async fn settled(&self, version: Version, time: Duration) -> Vec<Receipt> {
        if time.is_zero() {
            return self.now(version).await;
        }
        let (tx, mut rx) = mpsc::channel(RECEIPTS_AHEAD);
        let mut receipts = Vec::new();
        let gathering = async {
            while let Some(receipt) = rx.recv().await {
                receipts.push(receipt);
            }
        };
        tokio::join!(self.wait(version, time, tx, |receipt| receipt), gathering);
        receipts.sort_by(|one: &Receipt, other| one.edge_id.cmp(&other.edge_id));
        receipts
    }

    async fn judge(&self, version: Version, rules: &mut Rules) -> Vec<Judged> {
        let lease = self.edges.rules().lease;
        let edges = self.edges.states();
        for edge in edges.iter().filter(|edge| edge.acked < version) {
            if let Entry::Vacant(unknown) = rules.entry(edge.acked) {
                unknown.insert(self.rule(version, edge.acked).await);
            }
        }
        let now = Instant::now();
        let judged = edges.into_iter().filter(|edge| counts(edge, lease, now)).map(|edge| {
            let rule = || rules.get(&edge.acked).copied().unwrap_or(StaleRule::Unbounded);
            let (showing, at) = judge(&edge, version, lease, rule, now);
            Judged { edge, showing, at }
        });
        judged.collect()
    }

    /// The slackest rule that an edge may go by which acknowledged `acked` and no more.
    async fn rule(&self, version: Version, acked: Version) -> StaleRule {
        self.catalogue.slackest_rule(version, acked).await.unwrap_or_else(|error| {
            tracing::error!(
                error = cause::chain(&error),
                "what edges go by is not known; receipts assume the worst"
            );
            StaleRule::Unbounded
        })
    }

    /// What is to be said that was not said before.
    fn tell(
        &self,
        version: Version,
        judged: Vec<Judged>,
        reported: &mut HashSet<String>,
        is_over: bool,
    ) -> Vec<Receipt> {
        let edge_count = u32::try_from(judged.len()).unwrap_or(u32::MAX);
        let is_live = |one: &Judged| one.showing == Showing::Live;
        let live_before = judged.iter().filter(|one| is_live(one) && reported.contains(&one.edge.id));
        let mut live_count = u32::try_from(live_before.count()).unwrap_or(u32::MAX);
        let committed = self.catalogue.committed_at(version);
        let now = Instant::now();
        let mut receipts = Vec::new();
        for Judged { edge, showing, at } in judged {
            let is_settled = showing != Showing::MayServeOlder;
            if !(is_settled || is_over) || !reported.insert(edge.id.clone()) {
                continue;
            }
            live_count += u32::from(showing == Showing::Live);
            let since = match showing {
                Showing::Live => self.edges.live_since(&edge.id, version),
                Showing::Refusing => at,
                Showing::MayServeOlder => None,
            };
            let after = committed.map(|committed| since.unwrap_or(now).saturating_duration_since(committed));
            let (edge_id, name) = (edge.id, edge.name);
            receipts.push(Receipt { edge_id, name, showing, after, live_count, edge_count });
        }
        receipts
    }
}

/// Waits for a moment, or for ever.
async fn until(moment: Option<Instant>) {
    match moment {
        Some(moment) => tokio::time::sleep_until(moment.into()).await,
        None => std::future::pending().await,
    }
}
