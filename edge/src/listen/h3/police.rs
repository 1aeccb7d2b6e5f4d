//! What a client of HTTP/3 may ask of us that is no request: one credit for each connection, as for HTTP/2, and its end when that has
//! run out.
//!
//! Frames of HTTP/3 are counted where they are read ([`super::transport`]), requests that come to nothing where they end. Of the frames
//! of QUIC itself, which quinn answers on its own, only their numbers are known: they are looked at now and then, more often while
//! much comes.

use crate::listen::credit::Credit;
use crate::metrics::{CutOff, Metrics};
use h3::error::Code;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// What a whole head earns: the priority that often comes with it.
const REQUEST_CREDIT: u64 = 2;

/// Bytes sent that earn one credit, as over HTTP/2: a client acknowledges them and moves its windows.
const BYTES_PER_CREDIT: u64 = 512;

/// How often the frames of QUIC are looked at: from the shortest time on, twice as long each time that few came.
const LOOK_EVERY_MIN: Duration = Duration::from_secs(1);
const LOOK_EVERY_MAX: Duration = Duration::from_secs(16);

/// Few is what a client costs that does no more than keep its connection alive.
const FEW: u64 = 64;

/// Watches over one connection.
#[derive(Debug)]
pub(super) struct Police {
    quic: quinn::Connection,
    started: Instant,
    state: Mutex<State>,
    is_over: AtomicBool,
    metrics: Arc<Metrics>,
}

#[derive(Debug)]
struct State {
    credit: Credit,
    /// What the frames of QUIC had cost, and how many bytes had been sent, when they were looked at last.
    seen_cost: u64,
    seen_sent: u64,
    look_every: Duration,
}

impl Police {
    pub(super) fn new(quic: quinn::Connection, credit_max: u64, metrics: Arc<Metrics>) -> Self {
        let state =
            State { credit: Credit::new(credit_max), seen_cost: 0, seen_sent: 0, look_every: LOOK_EVERY_MIN };
        Self {
            quic,
            started: Instant::now(),
            state: Mutex::new(state),
            is_over: AtomicBool::new(false),
            metrics,
        }
    }

    /// A whole head has come.
    pub(super) fn earn_request(&self) {
        self.state().credit.earn(REQUEST_CREDIT);
    }

    /// Takes credit; where none is left, ends the connection. Says whether it goes on.
    pub(super) fn spend(&self, amount: u64) -> bool {
        if amount > 0 {
            let mut state = self.state();
            let is_paid = self.refilled(&mut state).spend(amount);
            drop(state);
            if !is_paid {
                self.end();
            }
        }
        !self.is_over.load(Ordering::Relaxed)
    }

    /// Ends the connection of a client that asks too much (RFC 9114 §10.5), and counts it once.
    pub(super) fn end(&self) {
        if !self.is_over.swap(true, Ordering::Relaxed) {
            tracing::debug!("HTTP/3 client sends too much that is no request");
            self.metrics.cut_off(CutOff::Flood);
            self.quic.close(super::transport::varint(Code::H3_EXCESSIVE_LOAD.value()), b"");
        }
    }

    /// Ends the connection of a client that breaks a rule which h3 does not look at, and counts it once.
    pub(super) fn refuse(&self, code: Code) {
        if !self.is_over.swap(true, Ordering::Relaxed) {
            tracing::debug!(%code, "HTTP/3 client breaks a rule");
            self.metrics.cut_off(CutOff::Malformed);
            self.quic.close(super::transport::varint(code.value()), b"");
        }
    }

    /// Takes the frames of QUIC into account that have come since this was called last; says when to do so again.
    pub(super) fn look(&self) -> Instant {
        let stats = self.quic.stats();
        let (cost, sent) = (cost(&stats.frame_rx), stats.udp_tx.bytes);
        let mut state = self.state();
        let (new_cost, new_sent) = (cost - state.seen_cost, sent - state.seen_sent);
        (state.seen_cost, state.seen_sent) = (cost, sent);
        let owed = new_cost.saturating_sub(new_sent / BYTES_PER_CREDIT);
        state.look_every =
            if owed > FEW { LOOK_EVERY_MIN } else { (2 * state.look_every).min(LOOK_EVERY_MAX) };
        let next = Instant::now() + state.look_every;
        let is_paid = self.refilled(&mut state).spend(owed);
        drop(state);
        if !is_paid {
            self.end();
        }
        next
    }

    fn refilled<'a>(&self, state: &'a mut State) -> &'a mut Credit {
        if state.credit.is_low() {
            state.credit.refill(u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX));
        }
        &mut state.credit
    }

    /// Touched by one thread only, so the lock is never waited for.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the frames of QUIC cost (RFC 9000 §19). Those that downloads need are paid for by the bytes sent, those of requests by these.
fn cost(frames: &quinn::FrameStats) -> u64 {
    let windows = frames.max_data
        + frames.max_stream_data
        + frames.max_streams_bidi
        + frames.max_streams_uni
        + frames.data_blocked
        + frames.stream_data_blocked
        + frames.streams_blocked_bidi
        + frames.streams_blocked_uni;
    let ids = frames.new_connection_id + frames.retire_connection_id;
    // An answer.
    let answered = frames.ping + frames.path_challenge;
    let ends = frames.reset_stream + frames.stop_sending;
    windows
        + ends
        + 2 * ids
        + 2 * answered
        + frames.path_response
        + frames.crypto
        + frames.acks / 2
        + frames.stream / 4
}
