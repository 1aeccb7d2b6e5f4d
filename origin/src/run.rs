//! The life of an origin: open, bind, serve, stop.

use crate::api::{self, Api, ApiError, Bounds, Hosts};
use crate::blobs::{BlobError, BlobStore};
use crate::catalogue::{Actor, Catalogue, CatalogueError};
use crate::cause;
use crate::config::OriginConfig;
use crate::console::{self, Console, Links};
use crate::credentials::{CredentialError, Credentials, Recovered};
use crate::edges::{Edges, EnrolError, Standing};
use crate::grpc::{self, ServeError, Services};
use crate::keys::{Keys, KeysError};
use crate::metrics::Metrics;
use crate::publish::{NewAccount, PublishError, Publisher, unix_seconds};
use crate::sid::AccountSid;
use crate::sockets::{self, BoundSockets, ListenError};
use crate::throttle::Throttle;
use metrics_exporter_prometheus::PrometheusHandle;
use skerry_folder::{DataFolder, FolderError};
use skerry_proto::authority::{Authority, AuthorityError, Identity};
use skerry_proto::document;
use skerry_proto::join::JoinToken;
use skerry_proto::signature::KeySet;
use skerry_proto::signed_url::key::PublicKey;
use skerry_proto::wire::SignedKeySet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant, SystemTime};
use tokio_util::sync::CancellationToken;

/// How long the certificate of the gRPC listener lasts: as long as its authority. It is made afresh at each start, its key is only
/// in memory, and nothing renews it while the origin runs.
const CERTIFICATE_LIFETIME: Duration = Duration::from_secs(3650 * 86_400);

/// How long calls may take to finish when the origin stops; then their connections are cut.
const STOP_TIME_MAX: Duration = Duration::from_secs(10);

/// How often histograms are drained and totals are read.
const UPKEEP_INTERVAL: Duration = Duration::from_secs(5);

/// An origin whose data folder is locked and whose catalogue is open; nothing is listening yet.
#[derive(Debug)]
pub struct Origin {
    config: OriginConfig,
    folder: DataFolder,
    keys: Arc<Keys>,
    services: Services,
    links: Arc<Links>,
}

/// An origin whose sockets are bound; nothing is accepted yet.
#[derive(Debug)]
pub struct BoundOrigin {
    origin: Origin,
    sockets: BoundSockets,
    api: Option<BoundSockets>,
}

/// Where an origin listens.
#[derive(Debug, Clone, Copy)]
pub struct OriginAddresses {
    /// gRPC with TLS.
    pub grpc: SocketAddr,
    /// The REST API, where there is one.
    pub api: Option<SocketAddr>,
}

/// Why an origin does not start, or stopped.
#[derive(Debug, thiserror::Error)]
pub enum OriginError {
    /// The data folder cannot be used.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// The keys of the cluster cannot be used.
    #[error(transparent)]
    Keys(#[from] KeysError),
    /// There is a catalogue, but the keys that its edges trust are gone.
    #[error(
        "the keys folder is missing beside the catalogue; restore it from a backup, or every edge must enrol again"
    )]
    KeysMissing,
    /// The blob store cannot be used.
    #[error(transparent)]
    Blobs(#[from] BlobError),
    /// The catalogue cannot be used.
    #[error(transparent)]
    Catalogue(#[from] CatalogueError),
    /// An address is in use, or cannot be bound.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// The certificate of the gRPC listener cannot be made.
    #[error("the certificate of the gRPC listener cannot be made")]
    Certificate(#[source] AuthorityError),
    /// The gRPC listener failed.
    #[error(transparent)]
    Serve(#[from] ServeError),
    /// The certificate of the API cannot be used.
    #[error(transparent)]
    Api(#[from] ApiError),
    /// Figures cannot be kept.
    #[error("metrics cannot be set up")]
    Metrics(#[source] metrics_exporter_prometheus::BuildError),
    /// The system gives no random bytes.
    #[error(transparent)]
    NoRandomness(#[from] crate::secret::NoRandomness),
    /// No domain name is free for a new environment.
    #[error("no free name for the environment was found under {0}; choose another base domain")]
    NoDomain(String),
    /// Nobody to help.
    #[error("this origin has no account {0}; `skerry account ls` shows which there are")]
    NoAccount(String),
    /// It has none at all.
    #[error("this origin has no account yet; make the first one with `skerry origin init`")]
    IsNew,
    /// The runtime is being torn down.
    #[error("the origin is stopping")]
    Stopping,
}

impl Origin {
    /// Locks the data folder, opens and migrates the catalogue, loads keys; makes all of them in a new folder. A new folder goes
    /// again with this value, unless an account was made or the origin was served.
    ///
    /// # Errors
    /// Any [`OriginError`] but those of listening and serving.
    pub async fn open(config: OriginConfig) -> Result<Self, OriginError> {
        let data = config.data.clone();
        let prepared = tokio::task::spawn_blocking(move || prepare(&data)).await;
        let (folder, blobs) = prepared.unwrap_or(Err(OriginError::Stopping))?;
        let metrics = Arc::new(Metrics::new().map_err(OriginError::Metrics)?);
        let catalogue = Catalogue::open(folder.path()).await?;
        metrics.version(catalogue.version());
        let keys = Arc::new(keys(&config.data, &catalogue).await?);
        metrics.fleet.key_set_number.set(keys.signer().set.number as f64);
        let edges = Edges::load(catalogue.clone(), Arc::clone(&keys), config.edges).await?;
        let publisher = Publisher::new(
            catalogue.clone(),
            blobs.clone(),
            Arc::clone(&keys),
            &config,
            Arc::clone(&metrics),
        );
        metrics.auth_entries_max.set(config.auth.entry_count_max as f64);
        let throttle = Throttle::new(config.auth);
        let key_count_max = config.api.key_count_max;
        let credentials = Credentials::new(
            catalogue.clone(),
            Arc::clone(&keys),
            Arc::clone(&metrics),
            throttle,
            key_count_max,
        );
        let services = Services::new(publisher, credentials, catalogue, blobs, edges, config.warm, metrics);
        Ok(Self { config, folder, keys, services, links: Arc::default() })
    }

    /// Whether there is no account yet.
    ///
    /// # Errors
    /// [`OriginError::Catalogue`].
    pub async fn is_new(&self) -> Result<bool, OriginError> {
        Ok(!self.services.catalogue.has_accounts().await?)
    }

    /// Makes an account with one service (`default`) and one environment. The first account is the operator's.
    ///
    /// # Errors
    /// [`OriginError::Catalogue`], [`OriginError::NoDomain`], [`OriginError::NoRandomness`].
    pub async fn create_account(&self, friendly_name: &str) -> Result<NewAccount, OriginError> {
        self.create_account_below(&self.config.base_domain, friendly_name).await
    }

    /// Makes an account whose environment is named below another domain than the configured one.
    ///
    /// # Errors
    /// As [`Self::create_account`].
    pub async fn create_account_below(
        &self,
        base_domain: &str,
        friendly_name: &str,
    ) -> Result<NewAccount, OriginError> {
        self.folder.keep();
        let made = self.services.publisher.create_account_below(base_domain, friendly_name).await;
        made.map_err(|error| match error {
            PublishError::Catalogue(error) => error.into(),
            PublishError::NoRandomness(error) => error.into(),
            PublishError::Busy => OriginError::NoDomain(base_domain.to_owned()),
            _ => OriginError::Stopping,
        })
    }

    /// Makes a new auth token for an account that has lost everything else; without a SID, for the operator's.
    ///
    /// # Errors
    /// [`OriginError::NoAccount`], [`OriginError::IsNew`], [`OriginError::Catalogue`], [`OriginError::NoRandomness`].
    pub async fn recover(&self, account_sid: Option<&str>) -> Result<Recovered, OriginError> {
        let catalogue = &self.services.catalogue;
        let account = match account_sid {
            Some(sid) => {
                let found = catalogue.account_details(sid).await?;
                found.ok_or_else(|| OriginError::NoAccount(sid.to_owned()))?.sid
            }
            None => catalogue.first_operator().await?.ok_or(OriginError::IsNew)?,
        };
        self.services.credentials.recover(&Actor::origin(account)).await.map_err(|error| match error {
            CredentialError::Catalogue(error) => error.into(),
            CredentialError::NoRandomness(error) => error.into(),
            _ => OriginError::Stopping,
        })
    }

    /// Makes a sign-in link for the console that works once, within an hour: the secret that stands in its fragment. The session ends
    /// with the auth token.
    ///
    /// # Errors
    /// [`OriginError::NoRandomness`].
    pub fn create_console_link(&self, account_sid: &str, auth_token: &str) -> Result<String, OriginError> {
        Ok(self.links.create(AccountSid::from(account_sid.to_owned()), auth_token, Instant::now())?)
    }

    /// Adds the public half of a key for signed URLs to an account that exists.
    ///
    /// # Errors
    /// [`OriginError::Catalogue`].
    pub async fn add_url_key(&self, account_sid: &str, key: PublicKey) -> Result<(), OriginError> {
        let actor = Actor::origin(AccountSid::from(account_sid.to_owned()));
        let added = self.services.credentials.add_url_key(&actor, key).await;
        added.map(drop).map_err(|error| match error {
            CredentialError::Catalogue(error) => error.into(),
            // A new account has no such key yet.
            _ => OriginError::Stopping,
        })
    }

    /// Makes a join token, to be used once within `valid`.
    ///
    /// # Errors
    /// [`OriginError::Catalogue`], [`OriginError::NoRandomness`].
    pub async fn create_join_token(&self, valid: Duration) -> Result<JoinToken, OriginError> {
        let made = self.services.edges.create_join_token(valid).await;
        made.map(|(token, _)| token).map_err(|error| match error {
            EnrolError::Catalogue(error) => error.into(),
            EnrolError::NoRandomness(error) => error.into(),
            EnrolError::Request(error) => OriginError::Certificate(error),
            EnrolError::UnknownToken
            | EnrolError::UsedToken
            | EnrolError::ExpiredToken
            | EnrolError::Proof(_) => OriginError::Stopping,
        })
    }

    /// Notes that no enrolled edge runs but those with these ids: a development server knows which edges it runs, also after one
    /// that was killed and could not say goodbye for more of them.
    ///
    /// # Errors
    /// [`OriginError::Catalogue`].
    pub async fn only_edges(&self, ids: &[String]) -> Result<(), OriginError> {
        Ok(self.services.edges.left_but(ids).await?)
    }

    /// Whether an edge was expelled.
    pub fn has_expelled(&self, edge_id: &str) -> bool {
        self.services.edges.standing(edge_id) == Standing::Expelled
    }

    /// Tells publishers this port from now on, in place of the configured one: a development server knows it only when its edges
    /// are bound, which needs the origin's authority first.
    pub fn set_public_port(&self, port: u16) {
        self.services.publisher.naming().public_port.store(port, Ordering::Relaxed);
    }

    /// The cluster's authority. A development server also signs its edges' HTTPS certificates with it.
    pub fn authority(&self) -> &Authority {
        &self.keys.authority.0
    }

    /// The metrics of this origin.
    pub fn metrics(&self) -> PrometheusHandle {
        self.services.metrics.handle()
    }

    /// Ends an origin that is not to serve: folds the catalogue's journal, and frees the data folder.
    pub async fn close(self) {
        self.services.publisher.finish().await;
        self.services.credentials.finish().await;
        self.services.catalogue.close().await;
        drop(self.folder);
    }

    /// Binds all sockets.
    ///
    /// # Errors
    /// [`OriginError::Listen`].
    pub async fn bind(self) -> Result<BoundOrigin, OriginError> {
        match self.sockets() {
            Ok((sockets, api)) => Ok(BoundOrigin { origin: self, sockets, api }),
            Err(error) => {
                self.close().await;
                Err(error.into())
            }
        }
    }
}

impl BoundOrigin {
    /// Where it listens.
    pub fn addresses(&self) -> OriginAddresses {
        OriginAddresses { grpc: self.sockets.address(), api: self.api.as_ref().map(BoundSockets::address) }
    }

    /// Serves until `stop` is cancelled, then finishes what is under way within a deadline.
    ///
    /// # Errors
    /// [`OriginError::Certificate`], [`OriginError::Serve`].
    pub async fn serve(self, stop: CancellationToken) -> Result<(), OriginError> {
        let Self { origin, sockets, api } = self;
        origin.folder.keep();
        let identity = origin.identity()?;
        let authority = origin.authority().certificate().clone();
        let services = origin.services.clone();
        let abort = CancellationToken::new();
        let grpc = grpc::serve(services.clone(), sockets, &identity, &authority, abort.clone());
        services.publisher.resume_builds().await?;
        services.publisher.derive_later();
        let acceptor = origin.config.api.certificate.as_ref().map(api::acceptor).transpose()?;
        let (of_api, console) = (origin.api(), console::router(origin.console()));
        let api = api::serve(of_api, console, api, acceptor, services.stopping.clone(), abort.clone());
        let serving = async { tokio::join!(grpc, api).0 };
        let stopping = async {
            stop.cancelled().await;
            services.stopping.cancel();
            tokio::time::sleep(STOP_TIME_MAX).await;
            tracing::warn!("some calls did not finish in time; their connections are cut");
            abort.cancel();
            std::future::pending::<()>().await;
        };
        let result = tokio::select! {
            result = serving => result.map_err(OriginError::from),
            () = stopping => Ok(()),
            () = upkeep(&services) => Ok(()),
        };
        services.stopping.cancel();
        abort.cancel();
        services.tasks.close();
        services.tasks.wait().await;
        if let Err(error) = services.edges.note_acks().await {
            tracing::warn!(error = cause::chain(&error), "what edges show cannot be noted");
        }
        origin.close().await;
        result
    }
}

impl Origin {
    fn sockets(&self) -> Result<(BoundSockets, Option<BoundSockets>), ListenError> {
        let config = &self.config;
        let grpc = sockets::bind("gRPC", &config.grpc_addresses, config.grpc_connection_count_max)?;
        let api = match &config.api.addresses[..] {
            [] => None,
            addresses => Some(sockets::bind("API", addresses, config.api.connection_count_max)?),
        };
        Ok((grpc, api))
    }

    fn api(&self) -> Api {
        let receipts = self.services.receipts();
        let Services { publisher, credentials, catalogue, blobs, metrics, tasks, .. } = self.services.clone();
        Api {
            receipts,
            publisher,
            credentials,
            catalogue,
            blobs,
            metrics,
            tasks,
            hosts: Arc::new(Hosts::new(&self.config.api.names, self.config.console.origin.as_deref())),
            bounds: Bounds::of(&self.config.api),
        }
    }

    fn console(&self) -> Console {
        Console {
            api: self.api(),
            edges: self.services.edges.clone(),
            links: Arc::clone(&self.links),
            config: self.config.console.clone(),
        }
    }

    fn identity(&self) -> Result<Identity, OriginError> {
        self.authority()
            .issue_server(&self.config.grpc_names, SystemTime::now(), CERTIFICATE_LIFETIME)
            .map_err(OriginError::Certificate)
    }
}

/// The keys, of which the catalogue says which one signs. A new catalogue is told of the first.
async fn keys(data: &std::path::Path, catalogue: &Catalogue) -> Result<Keys, OriginError> {
    const DAMAGED: CatalogueError = CatalogueError::Damaged("a key set is one that this origin signed");
    let newest = match catalogue.key_sets_after(0).await?.pop() {
        None => None,
        Some(row) => {
            let signed: SignedKeySet = document::decode(&row.signed).map_err(|_| DAMAGED)?;
            Some(KeySet::decode(&signed.key_set).map_err(|_| DAMAGED)?)
        }
    };
    let is_first = newest.is_none();
    let (data, cluster_id) = (data.to_owned(), catalogue.cluster_id());
    let loaded = tokio::task::spawn_blocking(move || Keys::load(&data, cluster_id, newest)).await;
    let keys = loaded.map_err(|_| OriginError::Stopping)??;
    if is_first {
        let now = unix_seconds(SystemTime::now());
        catalogue.begin_key_sets(&document::encode(&keys.first_set()), now).await?;
    }
    Ok(keys)
}

/// Everything on disk but the catalogue, and keys to be read. Blocks.
fn prepare(data: &std::path::Path) -> Result<(DataFolder, BlobStore), OriginError> {
    let folder = DataFolder::take(data)?;
    if !Keys::exist(data) {
        if data.join("catalogue.sqlite").exists() {
            return Err(OriginError::KeysMissing);
        }
        Keys::generate(data, SystemTime::now())?;
    }
    let blobs = BlobStore::open(data)?;
    Ok((folder, blobs))
}

/// Drains histograms and reads totals, as long as it is polled.
async fn upkeep(services: &Services) {
    let handle = services.metrics.handle();
    let mut ticks = tokio::time::interval(UPKEEP_INTERVAL);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        handle.run_upkeep();
        if let Err(error) = services.edges.note_acks().await {
            tracing::warn!(error = cause::chain(&error), "what edges show cannot be noted; trying again");
        }
        let states = services.edges.states();
        let expelled = states.iter().filter(|edge| edge.is_expelled).count();
        services.metrics.fleet.enrolled.set((states.len() - expelled) as f64);
        services.metrics.fleet.expelled.set(expelled as f64);
        services.metrics.dns_lookups.set(services.publisher.proofs_under_way() as f64);
        services.metrics.auth_entries.set(services.credentials.throttle().entries() as f64);
        if let Ok((count, bytes)) = services.catalogue.blob_totals().await {
            services.metrics.blobs.set(count as f64);
            services.metrics.blob_bytes.set(bytes as f64);
        }
    }
}
