//! The life of an edge: bind, start, stop.
//!
//! All sockets are bound before anything is served. An edge that was enrolled once starts without its origin, and serves what is on
//! its disk. At a stop the listeners finish first, then the origin is told, then the cache is flushed.

use crate::cache::{CorruptError, DiskCondition, SliceCache};
use crate::config::{CacheConfig, EdgeConfig, OriginAddress};
use crate::control::{
    Applier, Backoff, Environments, Expelled, Identity, IdentityError, Lease, OriginChannel, Overwritten,
    Secrets, StateError, StateFolder, Told, Trust, TrustError, TrustedKeys, Watcher, WatcherStatus, enrol,
    renew,
};
use crate::fill::{OriginUpstream, Slices, Tiers, Which};
use crate::give::{BoundGive, GiveError, Stock};
use crate::listen::{BoundListeners, ListenError, Usage};
use crate::metrics::Metrics;
use crate::serve::Site;
use crate::vitals::vitals;
use crate::warm_up::WarmUp;
use metrics_exporter_prometheus::{BuildError, PrometheusHandle};
use skerry_folder::{DataFolder, FolderError};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;

/// How often figures that nobody pushes are taken, and histograms drained.
const UPKEEP: Duration = Duration::from_secs(5);

/// How often the certificate is looked at, at least: a clock may be set.
const RENEWAL_CHECK: Duration = Duration::from_secs(600);

/// How soon after a renewal the next one may be: an origin may give out certificates that a wrong clock here finds old.
const RENEWAL_PAUSE: Duration = Duration::from_secs(1);

/// An edge whose data folder is locked and whose sockets are bound; nothing is accepted yet.
#[derive(Debug)]
pub struct Edge {
    config: EdgeConfig,
    folder: DataFolder,
    listeners: BoundListeners,
    give: BoundGive,
    metrics: Arc<Metrics>,
}

/// An edge that serves.
#[derive(Debug)]
pub struct RunningEdge {
    status: watch::Receiver<WatcherStatus>,
    /// What is asked for most was pulled, or the time for that is over.
    is_warm: watch::Receiver<bool>,
    environments: Arc<Environments>,
    slices: Arc<Slices>,
    stop: CancellationToken,
    ended: JoinHandle<()>,
}

/// Why an edge does not start, or stopped.
#[derive(Debug, thiserror::Error)]
pub enum EdgeError {
    /// The data folder cannot be used.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// The listeners do not start.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// The fill listener does not start.
    #[error(transparent)]
    Give(#[from] GiveError),
    /// The certificate cannot be used between edges.
    #[error(transparent)]
    Trust(#[from] TrustError),
    /// There is no identity.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// What was kept cannot be used.
    #[error(transparent)]
    State(#[from] StateError),
    /// The figures cannot be set up.
    #[error("the metrics cannot be set up: {0}")]
    Metrics(#[from] BuildError),
    /// The URL of the origin, or a certificate, cannot be used.
    #[error("the connection to the origin cannot be set up: {0}")]
    Channel(#[from] tonic::transport::Error),
    /// It was told to stop before it had started.
    #[error("stopped before the edge was enrolled")]
    Stopped,
    /// The part that ends an edge has panicked: a bug.
    #[error("the edge did not end cleanly")]
    Panicked,
}

/// Why a fault cannot be made on purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FaultError {
    /// No such domain or path is shown.
    #[error("this edge shows no such domain, or nothing at that path")]
    NoSuchAsset,
    /// The cache cannot be corrupted there.
    #[error(transparent)]
    Cache(#[from] CorruptError),
}

impl Edge {
    /// Binds all sockets. A new folder goes again with this value, unless the edge starts.
    ///
    /// # Errors
    /// [`EdgeError::Metrics`], [`EdgeError::Listen`] and [`EdgeError::Give`].
    pub fn bind(config: EdgeConfig, folder: DataFolder) -> Result<Self, EdgeError> {
        let metrics = Arc::new(Metrics::new(&config.name)?);
        let listeners = BoundListeners::bind(&config, Arc::clone(&metrics))?;
        let give = BoundGive::bind(&config.give.addresses)?;
        Ok(Self { config, folder, listeners, give, metrics })
    }

    /// The first address at which other edges are given slices, with the port that was picked; `None` where they are given nothing.
    pub fn fill_address(&self) -> Option<SocketAddr> {
        self.give.address()
    }

    /// The first HTTPS address, with the port that was picked.
    pub fn address(&self) -> SocketAddr {
        self.listeners.address()
    }

    /// The metrics of this edge.
    pub fn metrics(&self) -> PrometheusHandle {
        self.metrics.handle()
    }

    /// Enrols if need be, starts serving what is on disk, and follows the origin. Must be called on the
    /// multi-threaded runtime, which carries all that may wait. When `stop` is cancelled the edge drains and ends.
    ///
    /// # Errors
    /// Any [`EdgeError`]. While the origin is away an edge that is not enrolled yet waits for it.
    pub async fn start(
        self,
        origin: OriginAddress,
        stop: CancellationToken,
    ) -> Result<RunningEdge, EdgeError> {
        let Self { config, folder, listeners, give, metrics } = self;
        let identity = tokio::select! {
            identity = identity(&folder, &config.name, &origin) => identity?,
            () = stop.cancelled() => return Err(EdgeError::Stopped),
        };
        // Two connections, so that the bytes of fills never stand before the origin's word.
        let control = OriginChannel::new(&origin.url, &identity)?;
        let fills = OriginChannel::new(&origin.url, &identity)?;

        let expelled = Arc::new(Expelled::load(folder.path().join("expelled")));
        let trust = Arc::new(Trust::new(&identity, Arc::clone(&expelled))?);
        let upstream = OriginUpstream::new(fills.clone());
        let (slices, tiers) = filling(&config, &folder, upstream, &trust, &metrics);
        let lease = Arc::new(Lease::load(folder.path().join("lease"), config.lease));
        let environments = Arc::new(Environments::default());
        let secrets = Arc::new(Secrets::load(folder.path().join("secrets"), config.secrets_on_disk)?);
        let keys = Arc::new(TrustedKeys::load(folder.path(), &identity));
        metrics.trust.key_set_number.set(keys.chain().current().number as f64);
        let applier = Applier {
            keys: Arc::clone(&keys),
            state: StateFolder::open(folder.inner("state")?)?,
            slices: Arc::clone(&slices),
            environments: Arc::clone(&environments),
            secrets: Arc::clone(&secrets),
            expelled,
            documents_size_max: config.documents_size_max,
            overwritten: Overwritten::default(),
            metrics: Arc::clone(&metrics),
        };
        metrics.documents_bytes_max.set(config.documents_size_max as f64);
        let watcher =
            Watcher::new(applier, control.clone(), Arc::clone(&lease), config.lease, Arc::clone(&metrics));
        watcher.restore().await;

        let port = config.public_port.unwrap_or_else(|| listeners.address().port());
        let site = Site::new(
            Told { environments: Arc::clone(&environments), lease: Arc::clone(&lease), secrets },
            Arc::clone(&slices),
            Arc::clone(&metrics),
            port,
            config.fallback_domain.as_deref(),
            &config.serve,
        );
        let serving = listeners.serve(Arc::new(site), stop.clone())?;
        let stock = Stock::new(&slices, &environments, &trust, &metrics);
        let giving = tokio::spawn(give.serve(stock, config.give, config.drain_time_max, stop.clone()));

        let status = watcher.status();
        let shown = Arc::clone(&slices);
        let ending = CancellationToken::new();
        let mut tasks = JoinSet::new();
        let (usage, open) = (serving.usage(), serving.usage());
        let vitals = vitals(Arc::clone(&metrics), Arc::clone(&slices), move || open.connections());
        tasks.spawn(watcher.run(vitals, ending.clone()));
        tasks.spawn(upkeep(Arc::clone(&metrics), lease, Arc::clone(&slices), usage, ending.clone()));
        let (warmed, is_warm) = watch::channel(false);
        let warm_up = WarmUp::new(config.ready, &slices, &environments, &tiers, folder.path().join("hot"));
        tasks.spawn(warm_up.run(status.clone(), warmed, ending.clone()));
        let until = ending.clone();
        tasks.spawn(async move { tiers.keep_up(until).await });
        let certified = Certified { control, fills, trust };
        tasks.spawn(keep_certified(folder.path().to_owned(), identity, certified, metrics, ending.clone()));
        let ended = tokio::spawn(async move {
            serving.stopped().await;
            // It ends by itself at the stop; a panic in it is no reason not to flush the cache.
            let _ = giving.await;
            ending.cancel();
            while tasks.join_next().await.is_some() {}
            slices.close().await;
            drop(folder);
        });
        Ok(RunningEdge { status, is_warm, environments, slices: shown, stop, ended })
    }
}

impl RunningEdge {
    /// Resolves when the edge shows what the origin said.
    pub fn ready(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut status = self.status.clone();
        async move {
            // An error means that the edge has ended; whoever waits sees that elsewhere.
            let _ = status.wait_for(|status| status.current).await;
        }
    }

    /// Why this edge should get no traffic now; empty when it should. The origin may be away: an edge that holds what it shows is
    /// ready, as soon as it has found that out.
    pub fn not_ready(&self) -> Vec<&'static str> {
        let mut reasons = Vec::new();
        if self.stop.is_cancelled() {
            reasons.push("draining");
        }
        let status = *self.status.borrow();
        if !status.current && self.environments.count() == 0 {
            reasons.push("nothing heard from the origin yet, and nothing kept");
        } else if !status.current && !status.was_current && !status.origin_is_away {
            reasons.push("asking the origin what changed while this edge was stopped");
        } else if status.current && !*self.is_warm.borrow() {
            reasons.push("pulling what is asked for most; see ready.warm_share and ready.seconds_max");
        }
        reasons
    }

    /// What is wrong with an edge that serves all the same.
    pub fn degraded(&self) -> Vec<&'static str> {
        let mut faults = Vec::new();
        match self.slices.disk_condition() {
            DiskCondition::Healthy => {}
            DiskCondition::Opening => faults.push("the disk cache is being opened"),
            DiskCondition::ReadOnly => faults.push("the disk cache takes no writes"),
            DiskCondition::Away => faults.push("the disk cache cannot be used; serving from memory"),
        }
        if !self.status.borrow().current {
            faults.push("the origin cannot be followed; serving what is held");
        }
        faults
    }

    /// Corrupts slices of what a domain shows at a path, in the disk cache: for operators who want to see it heal. Says how many.
    ///
    /// # Errors
    /// [`FaultError`].
    pub fn corrupt(
        &self,
        domain: &str,
        path: &str,
        which: Which,
    ) -> impl Future<Output = Result<u64, FaultError>> + Send + use<> {
        let found = self.environments.find(domain).and_then(|environment| {
            let asset = environment.asset(path)?;
            Some((environment.account.clone(), asset.representations.first()?.blob))
        });
        let slices = Arc::clone(&self.slices);
        async move {
            let (account, blob) = found.ok_or(FaultError::NoSuchAsset)?;
            Ok(slices.corrupt(&account, blob, which).await?)
        }
    }

    /// Waits until the edge has drained and ended.
    ///
    /// # Errors
    /// [`EdgeError::Panicked`].
    pub async fn stopped(self) -> Result<(), EdgeError> {
        self.ended.await.map_err(|_| EdgeError::Panicked)
    }
}

/// Cache and upstreams, as configured.
fn filling(
    config: &EdgeConfig,
    folder: &DataFolder,
    upstream: OriginUpstream,
    trust: &Arc<Trust>,
    metrics: &Arc<Metrics>,
) -> (Arc<Slices>, Arc<Tiers>) {
    let runtime = Handle::current();
    // An edge does without its disk cache, which itself says what is wrong and tries again.
    let disk = folder.inner("cache").unwrap_or_else(|_| folder.path().join("cache"));
    // Without neighbours nothing is ever borrowed.
    let borrowed_size = if config.tiers.neighbours.is_empty() { 0 } else { config.cache.borrowed_size };
    let cache = CacheConfig { borrowed_size, ..config.cache };
    let cache = SliceCache::start(&disk, cache, &runtime, Arc::clone(metrics));
    let tiers = Arc::new(Tiers::new(&config.tiers, trust, Box::new(upstream), Arc::clone(metrics)));
    let slices = Slices::before(cache, Arc::clone(&tiers), config.fills, runtime, Arc::clone(metrics));
    (Arc::new(slices), tiers)
}

/// The identity on disk, else a new one for the join token. Waits for an origin that is away.
async fn identity(folder: &DataFolder, name: &str, origin: &OriginAddress) -> Result<Identity, EdgeError> {
    if let Some(identity) = Identity::load(folder.path())? {
        return Ok(identity);
    }
    let token = origin.join_token.as_ref().ok_or(IdentityError::NoJoinToken)?;
    // The token is used up here.
    folder.keep();
    let (mut backoff, mut logged) = (Backoff::new(), String::new());
    loop {
        match enrol(folder.path(), &origin.url, token, name).await {
            Ok(identity) => {
                tracing::info!(edge_id = identity.edge_id, origin = origin.url, "enrolled");
                return Ok(identity);
            }
            Err(error) if error.is_transient() => {
                // It may be away for hours: once for each reason is enough.
                let reason = error.to_string();
                if reason != logged {
                    tracing::warn!(%error, origin = origin.url, "cannot enrol yet; trying again until it works");
                    logged = reason;
                }
                tokio::time::sleep(backoff.pause()).await;
            }
            Err(error) => return Err(error.into()),
        }
    }
}

async fn upkeep(
    metrics: Arc<Metrics>,
    lease: Arc<Lease>,
    slices: Arc<Slices>,
    usage: Usage,
    stop: CancellationToken,
) {
    let mut ticks = tokio::time::interval(UPKEEP);
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            () = stop.cancelled() => return,
        }
        metrics.handle().run_upkeep();
        usage.report();
        slices.measure();
        metrics.lease_remaining.set(lease.remaining() as f64 / 1000.0);
    }
}

/// Who shows the certificate of this edge.
struct Certified {
    control: OriginChannel,
    fills: OriginChannel,
    trust: Arc<Trust>,
}

impl Certified {
    /// Shows another one from now on.
    fn replace(&self, identity: &Identity) -> Result<(), EdgeError> {
        self.control.replace(identity)?;
        self.fills.replace(identity)?;
        Ok(self.trust.replace(identity)?)
    }
}

/// Renews the certificate when two thirds of its life are over. Whoever shows it shows the new one from the next call or handshake on.
async fn keep_certified(
    folder: PathBuf,
    mut identity: Identity,
    certified: Certified,
    metrics: Arc<Metrics>,
    stop: CancellationToken,
) {
    let (mut backoff, mut logged) = (Backoff::new(), String::new());
    loop {
        let now = SystemTime::now();
        metrics.trust.certificate_remaining.set(identity.remaining_seconds(now));
        let due = identity.renewal_is_in(now);
        let pause = if !due.is_zero() {
            due.min(RENEWAL_CHECK)
        } else {
            match renew(&folder, &certified.control, &identity).await {
                Ok(renewed) => {
                    if let Err(error) = certified.replace(&renewed) {
                        tracing::error!(%error, "the renewed certificate cannot be used");
                    }
                    identity = renewed;
                    (backoff, logged) = (Backoff::new(), String::new());
                    tracing::info!("renewed the certificate of this edge");
                    RENEWAL_PAUSE
                }
                Err(error) => {
                    // The origin may be away for days: once for each reason is enough.
                    let reason = error.to_string();
                    if reason != logged {
                        tracing::warn!(%error, "the certificate of this edge cannot be renewed yet; trying again until it is");
                        logged = reason;
                    }
                    backoff.pause()
                }
            }
        };
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = stop.cancelled() => return,
        }
    }
}
