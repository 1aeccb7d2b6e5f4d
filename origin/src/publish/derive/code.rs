//! Coding many blobs: as many at once as there are slots, until there is no more time for it.
//!
//! Guarantees:
//! - What is begun is finished and noted, whoever waits for it; only when the origin stops it is given up.
//! - No blob is coded twice at the same time for an account. Who finds it being coded waits for that.
//! - No async worker compresses.

use super::super::{PublishError, Publisher, unix_seconds};
use crate::blobs::BlobReader;
use crate::catalogue::Derivation;
use crate::coding::Coding;
use crate::sid::AccountSid;
use bytes::Bytes;
use futures_util::StreamExt;
use nix::time::{ClockId, clock_gettime};
use skerry_proto::hash::Hash;
use skerry_proto::slices::BlobId;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};
use tokio::sync::{Semaphore, oneshot, watch};
use tokio::time::Instant;

/// A blob, and how it is to be coded. Each coding is for itself: the fast ones of a large blob need not wait for a dense one.
#[derive(Debug, Clone, Copy)]
pub(super) struct Job {
    pub(super) source: BlobId,
    pub(super) coding: Coding,
}

/// How long, and how many at once.
#[derive(Debug)]
pub(super) struct Pace {
    /// Nothing is begun later.
    pub(super) until: Instant,
    /// One is taken for each blob that is being coded.
    pub(super) slots: Arc<Semaphore>,
    /// Nothing is begun when so much processor time was spent.
    pub(super) cpu_time_max: Duration,
}

/// What is being coded: a blob for an account in one way.
type Key = (AccountSid, Hash, Coding);

/// All that is being coded.
#[derive(Debug, Default)]
pub(in super::super) struct InFlight {
    blobs: Mutex<HashMap<Key, watch::Receiver<()>>>,
}

/// The right to code a blob. Given back when what came of it is in the catalogue.
struct Claim {
    publisher: Publisher,
    key: Key,
    /// Its end wakes those who wait.
    _sender: watch::Sender<()>,
}

impl Claim {
    /// `Err`: somebody else has it, and the receiver ends with that.
    fn take(publisher: &Publisher, account: &AccountSid, job: Job) -> Result<Self, watch::Receiver<()>> {
        let key = (account.clone(), job.source.hash, job.coding);
        let mut blobs = publisher.shared.in_flight.blobs.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(other) = blobs.get(&key) {
            return Err(other.clone());
        }
        let (sender, receiver) = watch::channel(());
        blobs.insert(key.clone(), receiver);
        Ok(Self { publisher: publisher.clone(), key, _sender: sender })
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        let in_flight = &self.publisher.shared.in_flight;
        in_flight.blobs.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.key);
    }
}

/// What came of coding one blob, and the right to it until that is noted.
type Coded = (Claim, Derivation);

/// Processor time that several threads spend on the same build.
#[derive(Debug, Default)]
struct CpuTime(AtomicU64);

impl CpuTime {
    fn total(&self) -> Duration {
        Duration::from_nanos(self.0.load(Ordering::Relaxed))
    }

    /// Counts what this thread spends on `work`.
    fn of<T>(&self, work: impl FnOnce() -> T) -> T {
        let begun = thread_cpu_time();
        let done = work();
        let spent = thread_cpu_time().saturating_sub(begun);
        self.0.fetch_add(u64::try_from(spent.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
        done
    }
}

impl Publisher {
    /// Codes blobs for an account. `ready` is told when all are coded or the time is over, with the processor time until then; what
    /// was begun goes on. The processor time in all.
    ///
    /// # Errors
    /// The first that came up, after all else was done: those of blob store and catalogue, [`PublishError::Coding`].
    /// [`PublishError::Stopping`]: what was not finished is given up.
    pub(super) async fn code_all(
        &self,
        account: &AccountSid,
        jobs: Vec<Job>,
        pace: Pace,
        mut ready: Option<oneshot::Sender<Duration>>,
    ) -> Result<Duration, PublishError> {
        let cpu_time = Arc::new(CpuTime::default());
        let count_max = pace.slots.available_permits().max(1);
        let coding = futures_util::stream::iter(jobs)
            .map(|job| self.code(account, job, &pace, &cpu_time))
            .buffer_unordered(count_max);
        let mut coding = std::pin::pin!(coding);
        let mut is_over = std::pin::pin!(tokio::time::sleep_until(pace.until));
        let (mut coded, mut failure) = (Vec::new(), None);
        loop {
            let next = tokio::select! {
                next = coding.next() => next,
                () = &mut is_over, if ready.is_some() => {
                    self.note(account, &mut coded).await?;
                    tell(&mut ready, cpu_time.total());
                    continue;
                }
                () = self.shared.stopping.cancelled() => return Err(PublishError::Stopping),
            };
            match next {
                None => break,
                Some(Ok(one)) => coded.extend(one),
                Some(Err(error)) => failure = failure.or(Some(error)),
            }
        }
        self.note(account, &mut coded).await?;
        tell(&mut ready, cpu_time.total());
        failure.map_or_else(|| Ok(cpu_time.total()), Err)
    }

    /// Puts what was coded into the catalogue, and gives it free.
    async fn note(&self, account: &AccountSid, coded: &mut Vec<Coded>) -> Result<(), PublishError> {
        if coded.is_empty() {
            return Ok(());
        }
        let noted = std::mem::take(coded);
        let derivations: Vec<Derivation> = noted.iter().map(|(_, derivation)| *derivation).collect();
        let now = unix_seconds(SystemTime::now());
        Ok(self.shared.catalogue.add_derivations(account, &derivations, now).await?)
    }

    /// Codes one blob, when there is a slot for it. `None`: there was no time for it, or somebody else did it.
    async fn code(
        &self,
        account: &AccountSid,
        job: Job,
        pace: &Pace,
        cpu_time: &Arc<CpuTime>,
    ) -> Result<Option<Coded>, PublishError> {
        if Instant::now() >= pace.until {
            return Ok(None);
        }
        let claim = match Claim::take(self, account, job) {
            Ok(claim) => claim,
            Err(mut other) => {
                // Ends with an error when the other is done, which is what is waited for.
                let _ = tokio::time::timeout_at(pace.until, other.changed()).await;
                return Ok(None);
            }
        };
        let slot = tokio::time::timeout_at(pace.until, Arc::clone(&pace.slots).acquire_owned()).await;
        let Ok(slot) = slot else { return Ok(None) };
        let slot = slot.map_err(|_| PublishError::Stopping)?;
        if cpu_time.total() >= pace.cpu_time_max {
            return Ok(None);
        }
        let blob = self.shared.blobs.open_blob(job.source).await?;
        let (publisher, cpu_time) = (self.clone(), Arc::clone(cpu_time));
        let work = tokio::task::spawn_blocking(move || {
            let _slot = slot;
            publisher.shared.metrics.coders.increment(1);
            let coded = publisher.code_blocking(&blob, job.coding, &cpu_time);
            publisher.shared.metrics.coders.decrement(1);
            coded
        });
        let derivation = work.await.unwrap_or(Err(PublishError::Stopping))?;
        Ok(Some((claim, derivation)))
    }

    fn code_blocking(
        &self,
        blob: &BlobReader,
        coding: Coding,
        cpu_time: &CpuTime,
    ) -> Result<Derivation, PublishError> {
        let shared = &self.shared;
        let (source, bytes) = (blob.id().hash, blob.verified()?);
        let coded = cpu_time.of(|| coding.encode(&bytes, &shared.compression));
        let coded = coded.map_err(PublishError::Coding)?;
        shared.metrics.coded(coding, coded.is_some());
        let blob = coded.map(|coded| shared.blobs.store(&Bytes::from(coded))).transpose()?;
        Ok(Derivation { source, coding, blob })
    }
}

fn tell(ready: &mut Option<oneshot::Sender<Duration>>, cpu_time: Duration) {
    if let Some(ready) = ready.take() {
        // Whoever waited may have gone.
        let _ = ready.send(cpu_time);
    }
}

/// Processor time of this thread. Linux has this clock always; where it fails, nothing counts, and rounds alone bound the work.
fn thread_cpu_time() -> Duration {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).map_or(Duration::ZERO, Duration::from)
}
