//! Many connections that ask for one asset again and again, on a bounded number of threads.
//!
//! Closed loop: each stream asks again when it has its answer. Each thread has a runtime and connections of its own, so that the
//! generator takes as little of the machine as it can.

use crate::client::{Connection, Target};
use crate::selection::{Concurrency, Protocol};
use http::Request;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::task::JoinSet;

/// Wait before a connection that failed is made again, so that a dead server is not hammered.
const RECONNECT_PAUSE: Duration = Duration::from_millis(50);

/// How often a thread looks whether it should stop.
const STOP_CHECK: Duration = Duration::from_millis(10);

/// Time for QUIC connections to say that they end: a server that is not told waits for them, and shows it in what is measured next.
const GOODBYE_TIME: Duration = Duration::from_millis(100);

/// What to ask, and how hard.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) protocol: Protocol,
    pub(crate) path: String,
    /// Bytes that each answer must have.
    pub(crate) size: u64,
    pub(crate) concurrency: Concurrency,
    pub(crate) threads: u32,
}

/// What was counted since the start.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Counts {
    pub(crate) requests: u64,
    pub(crate) bytes: u64,
    pub(crate) errors: u64,
}

impl Counts {
    /// What was counted since `earlier`.
    pub(crate) const fn since(self, earlier: Self) -> Self {
        Self {
            requests: self.requests - earlier.requests,
            bytes: self.bytes - earlier.bytes,
            errors: self.errors - earlier.errors,
        }
    }
}

/// Requests under way. Dropped without [`Running::stop`], its threads end a moment later.
pub(crate) struct Running {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

struct Shared {
    target: Target,
    plan: Plan,
    request: Request<()>,
    stop: AtomicBool,
    requests: AtomicU64,
    bytes: AtomicU64,
    errors: AtomicU64,
    first_error: Mutex<Option<String>>,
}

impl Running {
    /// Starts to ask.
    pub(crate) fn start(target: &Target, plan: Plan) -> anyhow::Result<Self> {
        let request = target.request(plan.protocol, &plan.path)?;
        let threads = plan.threads.min(plan.concurrency.connections);
        let shared = Arc::new(Shared {
            target: target.clone(),
            plan,
            request,
            stop: AtomicBool::new(false),
            requests: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            errors: AtomicU64::new(0),
            first_error: Mutex::new(None),
        });
        let mut running = Self { shared, threads: Vec::new() };
        for number in 0..threads {
            // Connections that cannot be shared out evenly go to the first threads.
            let connections = running.shared.plan.concurrency.connections;
            let own = connections / threads + u32::from(number < connections % threads);
            let shared = Arc::clone(&running.shared);
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            let thread = std::thread::Builder::new().name(format!("generator-{number}"));
            running.threads.push(thread.spawn(move || runtime.block_on(run_thread(shared, own)))?);
        }
        Ok(running)
    }

    /// What was counted so far.
    pub(crate) fn counts(&self) -> Counts {
        Counts {
            requests: self.shared.requests.load(Ordering::Relaxed),
            bytes: self.shared.bytes.load(Ordering::Relaxed),
            errors: self.shared.errors.load(Ordering::Relaxed),
        }
    }

    /// Drops what is under way, and tells the first error.
    pub(crate) fn stop(mut self) -> Option<String> {
        self.shared.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                self.shared.count_error(&anyhow::anyhow!("a generator thread panicked"));
            }
        }
        self.shared.first_error.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
    }
}

impl Shared {
    fn count_error(&self, error: &anyhow::Error) {
        self.errors.fetch_add(1, Ordering::Relaxed);
        let mut first = self.first_error.lock().unwrap_or_else(PoisonError::into_inner);
        first.get_or_insert_with(|| format!("{error:#}"));
    }
}

/// Runs `connections` connections until it is time to stop; what is then under way is dropped.
async fn run_thread(shared: Arc<Shared>, connections: u32) {
    let mut tasks = JoinSet::new();
    for _ in 0..connections {
        tasks.spawn(run_connection(Arc::clone(&shared)));
    }
    let mut check = tokio::time::interval(STOP_CHECK);
    while !shared.stop.load(Ordering::Relaxed) {
        check.tick().await;
    }
    tasks.shutdown().await;
    tokio::time::sleep(GOODBYE_TIME).await;
}

async fn run_connection(shared: Arc<Shared>) {
    loop {
        match Connection::open(&shared.target, shared.plan.protocol).await {
            Ok(connection) => run_streams(&shared, connection).await,
            Err(error) => shared.count_error(&error),
        }
        tokio::time::sleep(RECONNECT_PAUSE).await;
    }
}

/// Returns when the first stream has failed; the connection is then made anew.
async fn run_streams(shared: &Arc<Shared>, connection: Connection) {
    let mut streams = JoinSet::new();
    for _ in 1..shared.plan.concurrency.streams {
        if let Some(another) = connection.another() {
            streams.spawn(run_stream(Arc::clone(shared), another));
        }
    }
    streams.spawn(run_stream(Arc::clone(shared), connection));
    streams.join_next().await;
}

async fn run_stream(shared: Arc<Shared>, mut connection: Connection) {
    let mut on_data = |data: &[u8]| {
        shared.bytes.fetch_add(data.len() as u64, Ordering::Relaxed);
    };
    loop {
        match connection.fetch_exactly(shared.request.clone(), shared.plan.size, &mut on_data).await {
            Ok(_) => shared.requests.fetch_add(1, Ordering::Relaxed),
            Err(error) => return shared.count_error(&error),
        };
    }
}
