//! One fill: asks upstreams in turn for a run of slices, verifies each as it arrives, and goes on where one broke off.
//!
//! An upstream that is not the last one is asked once: what it does not give, the next one is asked for. The last one is asked
//! again and again.

use super::FillError;
use super::tier::Tier;
use super::tiers::Route;
use super::upstream::{SliceStream, UpstreamError};
use crate::cache::copied;
use crate::metrics::{IntegritySource, Metrics, UpstreamFailure, UpstreamKind};
use bytes::Bytes;
use futures_util::StreamExt;
use skerry_proto::slices::{BlobId, SliceList, VerifiedSlice};
use skerry_proto::wire::{self, fill_response::Kind};
use std::time::{Duration, Instant};
use tokio::time::timeout;

/// How often the last upstream is asked, the first time included.
const ATTEMPTS: u32 = 3;

/// Between attempts: long enough for a connection to be made anew, short enough for a client that waits.
const PAUSE: Duration = Duration::from_millis(100);

/// What becomes of the slices of a fill.
pub(super) trait Sink: Send {
    /// The verified slice list; comes before the first slice, and again when an upstream is asked again.
    fn list(&mut self, list: &SliceList, from: UpstreamKind);
    /// The next slice, verified.
    fn slice(&mut self, index: u64, slice: VerifiedSlice, from: UpstreamKind);
    /// Whether anybody wants more.
    fn wants_more(&mut self) -> bool;
}

/// What to fetch, and from where.
pub(super) struct Flight<'a> {
    route: &'a Route,
    metrics: &'a Metrics,
    account_sid: &'a str,
    blob: BlobId,
}

/// Why an attempt brought less than was asked for: for clients, and for the upstream's record.
#[derive(Debug, Clone, Copy)]
struct Shortfall {
    error: FillError,
    why: UpstreamFailure,
}

impl<'a> Flight<'a> {
    pub(super) fn new(route: &'a Route, metrics: &'a Metrics, account_sid: &'a str, blob: BlobId) -> Self {
        Self { route, metrics, account_sid, blob }
    }

    /// Fetches `count` slices from `first` on, as long as the sink wants more.
    pub(super) async fn run(&self, first: u64, count: u64, sink: &mut impl Sink) -> Result<(), FillError> {
        let started = Instant::now();
        self.metrics.fills_in_flight.increment(1);
        let mut next = first;
        let result = self.ask_all(&mut next, first + count, sink).await;
        self.metrics.fills_in_flight.decrement(1);
        self.metrics.fill_duration.record(started.elapsed());
        if let Err(error) = result {
            self.metrics.fill_errors.increment(1);
            tracing::warn!(hash = %self.blob.hash, slice = next, %error, "a fill failed");
        }
        result
    }

    async fn ask_all(&self, next: &mut u64, end: u64, sink: &mut impl Sink) -> Result<(), FillError> {
        let Some((last, others)) = self.route.split() else { return Err(FillError::Unavailable) };
        for tier in others {
            match self.ask(tier, next, end, sink).await {
                Ok(()) => return Ok(()),
                Err(shortfall) if !sink.wants_more() => return Err(shortfall.error),
                Err(_) => {}
            }
        }
        let mut result = Ok(());
        for attempt in 0..ATTEMPTS {
            if attempt > 0 {
                tokio::time::sleep(PAUSE * attempt).await;
            }
            result = self.ask(last, next, end, sink).await.map_err(|shortfall| shortfall.error);
            if matches!(result, Ok(()) | Err(FillError::NotFound)) || !sink.wants_more() {
                break;
            }
        }
        result
    }

    /// Asks one upstream once, and notes how it did.
    async fn ask(
        &self,
        tier: &Tier,
        next: &mut u64,
        end: u64,
        sink: &mut impl Sink,
    ) -> Result<(), Shortfall> {
        let (started, first) = (Instant::now(), *next);
        let figures = self.metrics.tiers.of(tier.kind);
        figures.fills.increment(1);
        let _in_flight = InFlight::begin(&figures.in_flight);
        let result = self.attempt(tier, next, end, sink).await;
        figures.duration.record(started.elapsed());
        match &result {
            Ok(()) => tier.succeeded(),
            Err(shortfall) => {
                if *next > first {
                    tier.succeeded();
                }
                tier.failed(shortfall.why, &shortfall.error);
            }
        }
        result
    }

    async fn attempt(
        &self,
        tier: &Tier,
        next: &mut u64,
        end: u64,
        sink: &mut impl Sink,
    ) -> Result<(), Shortfall> {
        let request = wire::FillRequest {
            account_sid: self.account_sid.to_owned(),
            hash: Bytes::copy_from_slice(self.blob.hash.as_bytes()),
            first_slice: *next,
            slice_count: end - *next,
            hops: self.route.hops,
            neighbour: tier.kind == UpstreamKind::Neighbour,
        };
        let opening = timeout(tier.patience.open, tier.upstream.open(request)).await;
        // Whoever does not even take a question is as good as away.
        let late = Shortfall { error: FillError::TimedOut, why: UpstreamFailure::Away };
        let mut stream = opening.map_err(|_| late)?.map_err(|error| shortfall(&error))?;
        let list = self.head(tier, &mut stream).await?;
        sink.list(&list, tier.kind);
        while *next < end {
            let Some(Kind::Slice(slice)) = message(tier, &mut stream).await? else { return Err(BROKE_OFF) };
            let verified = self.verify(&list, *next, slice)?;
            let size = verified.bytes().len() as u64;
            self.metrics.fill_slices.increment(1);
            self.metrics.fill_bytes.increment(size);
            self.metrics.tiers.of(tier.kind).bytes.increment(size);
            sink.slice(*next, verified, tier.kind);
            *next += 1;
            if *next < end && !sink.wants_more() {
                // Dropping the stream tells the upstream.
                self.metrics.fills_abandoned.increment(1);
                return Ok(());
            }
        }
        Ok(())
    }

    /// The head comes first. The size it names is not trusted; the signed one counts.
    async fn head(&self, tier: &Tier, stream: &mut SliceStream) -> Result<SliceList, Shortfall> {
        let Some(Kind::Head(head)) = message(tier, stream).await? else { return Err(BROKE_OFF) };
        SliceList::verify(self.blob, head.slice_list).map_err(|error| {
            self.metrics.integrity_failure(IntegritySource::Upstream);
            tracing::warn!(hash = %self.blob.hash, %error, "dropped a slice list from the upstream that does not verify");
            LIE
        })
    }

    fn verify(
        &self,
        list: &SliceList,
        index: u64,
        slice: wire::FillSlice,
    ) -> Result<VerifiedSlice, Shortfall> {
        // A copy, because the message is a part of a larger receive buffer, which it would keep in memory.
        let bytes = copied(&slice.data);
        list.check(index, bytes).map_err(|error| {
            self.metrics.integrity_failure(IntegritySource::Upstream);
            tracing::warn!(hash = %self.blob.hash, slice = index, %error, "dropped a slice from the upstream that does not verify");
            LIE
        })
    }
}

const BROKE_OFF: Shortfall = Shortfall { error: FillError::Unavailable, why: UpstreamFailure::Away };
const LIE: Shortfall = Shortfall { error: FillError::Integrity, why: UpstreamFailure::Lied };

async fn message(tier: &Tier, stream: &mut SliceStream) -> Result<Option<Kind>, Shortfall> {
    match timeout(tier.patience.message, stream.next()).await {
        // It took the question, and may itself wait for somebody.
        Err(_) => Err(Shortfall { error: FillError::TimedOut, why: UpstreamFailure::Slow }),
        Ok(None) => Err(BROKE_OFF),
        Ok(Some(Err(error))) => Err(shortfall(&error)),
        Ok(Some(Ok(message))) => Ok(message.kind),
    }
}

fn shortfall(error: &UpstreamError) -> Shortfall {
    match error {
        UpstreamError::NotFound => Shortfall { error: FillError::NotFound, why: UpstreamFailure::NotFound },
        UpstreamError::Declined(reason) => {
            tracing::debug!(reason, "an upstream declined a fill");
            Shortfall { error: FillError::Unavailable, why: UpstreamFailure::Declined }
        }
        UpstreamError::Unavailable(reason) => {
            tracing::debug!(reason, "an upstream cannot be reached or broke off");
            BROKE_OFF
        }
    }
}

/// Counts a fill while it is under way, also if that ends early.
struct InFlight<'a>(&'a metrics::Gauge);

impl<'a> InFlight<'a> {
    fn begin(gauge: &'a metrics::Gauge) -> Self {
        gauge.increment(1);
        Self(gauge)
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.decrement(1);
    }
}
