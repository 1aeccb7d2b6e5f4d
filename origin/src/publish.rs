//! Publishing: what an account may do with its services, one file an operation.
//!
//! Guarantees:
//! - Whatever is acknowledged is durable, and what is refused leaves nothing behind.
//! - What must not stop halfway runs in a task of its own, so a client that goes away does not interrupt it; all such tasks are
//!   tracked, and joined when the origin stops.
//! - An account sees nothing of another: a foreign SID is answered like one that does not exist.
//!
//! How requests arrive, and how errors travel, is for `grpc`.

mod account;
mod build;
mod bundle;
mod check;
mod commit;
pub(crate) mod content_type;
mod contents;
mod deploy;
mod derive;
mod domains;
mod environments;
mod fault;
mod history;
mod limits;
mod named;
mod pointer;
mod prove;
mod purge;
mod read;
mod receive;
mod reuse;
mod revise;
mod rotate;
mod services;
mod settings;
mod site_file;
mod turns;
mod upload;
mod variables;
mod warm;

pub use account::NewAccount;
pub(crate) use build::Chosen;
pub(crate) use bundle::{Bundle, BundleOf};
pub(crate) use check::Planned;
pub(crate) use commit::Changes;
pub(crate) use deploy::{Deployed, Wanted};
pub(crate) use derive::representations;
pub(crate) use fault::Fault;
pub(crate) use limits::{LimitChange, LimitsChange, LimitsOfService};
pub(crate) use prove::Proof;
pub(crate) use purge::PurgeWanted;
pub(crate) use receive::{Part, Said};
pub(crate) use reuse::Known;
pub(crate) use settings::SettingsChange;
pub use site_file::apply_site_file;
pub(crate) use upload::UploadHead;
pub(crate) use warm::Coming;

use crate::blobs::{BlobError, BlobStore};
use crate::catalogue::{Catalogue, CatalogueError, EnvironmentRow};
use crate::config::{Compression, DomainConfig, Limits, OriginConfig};
use crate::dns::{Dns, DnsError};
use crate::keys::{Keys, KeysError};
use crate::metrics::Metrics;
use crate::secret::NoRandomness;
use crate::sid::{AccountSid, ServiceSid};
use skerry_proto::document::DocumentError;
use skerry_proto::domain::InvalidDomain;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};
use tokio::sync::{Notify, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Why an operation was refused or failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PublishError {
    /// The account has no such thing.
    #[error("there is no {noun} {name:?} in this account")]
    NotFound {
        /// What was looked for.
        noun: &'static str,
        /// Under which name.
        name: String,
    },
    /// A name is needed, because the account has several.
    #[error("there are {count} {noun}s; name one of {names}")]
    Ambiguous {
        /// What was looked for.
        noun: &'static str,
        /// How many there are.
        count: usize,
        /// Their unique names, the first few.
        names: String,
    },
    /// What was given breaks rules: all that were found.
    #[error("{}", fault::list(.0))]
    Refused(Vec<Fault>),
    /// A parameter is missing or breaks its rule.
    #[error("{parameter} is missing or invalid; it is {accepts}")]
    Invalid {
        /// Which one, as clients call it.
        parameter: &'static str,
        /// What it has to be.
        accepts: &'static str,
    },
    /// What a request names is not there.
    #[error("there is no {noun} {name:?} in this service")]
    Unknown {
        /// What was looked for.
        noun: &'static str,
        /// Under which name.
        name: String,
    },
    /// A build that is not completed cannot be deployed.
    #[error("build {build} is not completed; see its status")]
    NotCompleted {
        /// Which one.
        build: String,
    },
    /// There is no build to go back to.
    #[error("no other build was live in this environment before; name the build to deploy")]
    NothingBefore,
    /// A name is taken.
    #[error("{0}")]
    Taken(&'static str),
    /// A name that cannot be claimed.
    #[error("{name:?} cannot be added: {source}")]
    InvalidDomain {
        /// As given.
        name: String,
        /// Why.
        source: InvalidDomain,
    },
    /// An environment has no such domain.
    #[error("this environment has no domain {name:?}; add it first")]
    NoDomain {
        /// Under which name or SID it was looked for.
        name: String,
    },
    /// A service that nothing can be published to yet.
    #[error(
        "service {service:?} has no environment yet; make one, such as: skerry env create production --service {service}"
    )]
    NoEnvironment {
        /// As it was named.
        service: String,
    },
    /// An environment has as many domains as it may.
    #[error(
        "the environment has {count_max} domains, which is as many as it may; remove one, or raise domains.count_max in the origin's configuration"
    )]
    TooManyDomains {
        /// What is allowed.
        count_max: u32,
    },
    /// The account has revoked as much as it can.
    #[error(
        "an account can have at most {limit} blobs purged, coded forms included; lift those whose assets are gone"
    )]
    TooManyPurges {
        /// How many.
        limit: usize,
    },
    /// Nothing in DNS says that the domain is the account's.
    #[error(
        "{domain} is not proven: {record} {found}; set a TXT record there with the value {value}, wait until it is public, then verify again"
    )]
    NotProven {
        /// Which domain.
        domain: String,
        /// Where the record has to stand.
        record: String,
        /// What it has to say.
        value: String,
        /// What was found instead.
        found: String,
    },
    /// A domain that somebody else has, rightly.
    #[error("{domain} is live in {by}")]
    Held {
        /// Which domain.
        domain: String,
        /// Who has it, and what to do.
        by: String,
    },
    /// DNS did not answer.
    #[error(transparent)]
    Dns(#[from] DnsError),
    /// A build that an environment shows.
    #[error("the build is live in an environment; deploy another one there first")]
    IsLive,
    /// A commit that changes nothing.
    #[error("nothing to publish: name at least one version, or one path to remove")]
    NothingToCommit,
    /// Somebody else deployed in between.
    #[error("another deployment came in between; try again")]
    Superseded,
    /// Too many wait for the same thing.
    #[error("too many operations wait for their turn; try again in a moment")]
    Busy,
    /// The origin stops.
    #[error("the origin is stopping; try again in a moment")]
    Stopping,
    /// The blob store.
    #[error(transparent)]
    Blob(#[from] BlobError),
    /// The catalogue.
    #[error(transparent)]
    Catalogue(#[from] CatalogueError),
    /// A manifest or history that no edge would read.
    #[error("the build is too large for a manifest: {0}")]
    Document(#[from] DocumentError),
    /// A compressor gave up.
    #[error("an asset cannot be compressed")]
    Coding(#[source] std::io::Error),
    /// The cluster's keys.
    #[error(transparent)]
    Keys(#[from] KeysError),
    /// No identifiers can be made.
    #[error(transparent)]
    NoRandomness(#[from] NoRandomness),
}

impl From<Fault> for PublishError {
    fn from(fault: Fault) -> Self {
        Self::Refused(vec![fault])
    }
}

/// A service and an environment by SID or unique name; empty where the account has only one.
#[derive(Debug, Clone, Default)]
pub(crate) struct Target {
    pub(crate) service: String,
    pub(crate) environment: String,
}

/// What a [`Target`] names.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    pub(crate) service: ServiceSid,
    pub(crate) environment: EnvironmentRow,
}

/// How environments are named, and how clients reach them.
#[derive(Debug)]
pub(crate) struct Naming {
    /// Domain under which environments get their names.
    pub(crate) base_domain: String,
    /// Port of the edges as clients see it. A development server only learns it when its edges are bound.
    pub(crate) public_port: AtomicU16,
}

impl Naming {
    /// URL of an environment.
    pub(crate) fn public_url(&self, domain: &str) -> String {
        format!("https://{}", self.public_name(domain))
    }

    /// A domain as it stands in URLs: with the port where it is not that of HTTPS.
    pub(crate) fn public_name(&self, domain: &str) -> String {
        match self.public_port.load(Ordering::Relaxed) {
            443 => domain.to_owned(),
            port => format!("{domain}:{port}"),
        }
    }
}

/// Everything that publishing needs. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct Publisher {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    catalogue: Catalogue,
    blobs: BlobStore,
    keys: Arc<Keys>,
    limits: Limits,
    /// How long an operation waits for its turn, in an environment or among the uploads, before it is refused.
    turn_time_max: Duration,
    domains: DomainConfig,
    dns: Dns,
    naming: Naming,
    metrics: Arc<Metrics>,
    tasks: TaskTracker,
    uploads: Arc<Semaphore>,
    /// Builds that are begun and not finished.
    builds: Arc<Semaphore>,
    /// Cancelled when the origin stops: builds go on at the next start.
    stopping: CancellationToken,
    compression: Compression,
    /// One permit for each blob that is coded while a build waits for it.
    coders: Arc<Semaphore>,
    /// One for each that is coded for builds that wait no more: fewer, so that compressing does not starve what answers.
    later_coders: Arc<Semaphore>,
    in_flight: derive::InFlight,
    /// Wakes the worker when coded forms are to join a build.
    unfinished: Notify,
    /// Whoever has it rotates the signing key.
    rotation: Arc<tokio::sync::Mutex<()>>,
    /// One lock for each environment that was published to.
    turns: Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>,
}

impl Publisher {
    /// Puts a publisher together.
    pub(crate) fn new(
        catalogue: Catalogue,
        blobs: BlobStore,
        keys: Arc<Keys>,
        config: &OriginConfig,
        metrics: Arc<Metrics>,
    ) -> Self {
        let (bounds, compression) = (config.publish, config.compression);
        let naming = Naming {
            base_domain: config.base_domain.to_ascii_lowercase(),
            public_port: config.public_port.into(),
        };
        let uploads = Arc::new(Semaphore::new(bounds.upload_count_max));
        let builds = Arc::new(Semaphore::new(bounds.build_count_max));
        metrics.uploads_active_max.set(bounds.upload_count_max as f64);
        metrics.builds_max.set(bounds.build_count_max as f64);
        let coder_count = match compression.thread_count_max {
            0 => std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
            count => count,
        };
        let later_count = (coder_count / 2).max(1);
        metrics.coders_max.set((coder_count + later_count) as f64);
        let shared = Shared {
            catalogue,
            blobs,
            keys,
            limits: config.limits,
            turn_time_max: bounds.turn_time_max,
            dns: Dns::new(&config.domains, Arc::clone(&metrics)),
            domains: config.domains.clone(),
            naming,
            metrics,
            tasks: TaskTracker::new(),
            uploads,
            builds,
            stopping: CancellationToken::new(),
            compression,
            coders: Arc::new(Semaphore::new(coder_count)),
            later_coders: Arc::new(Semaphore::new(later_count)),
            in_flight: derive::InFlight::default(),
            unfinished: Notify::new(),
            rotation: Arc::default(),
            turns: Mutex::default(),
        };
        Self { shared: Arc::new(shared) }
    }

    /// How environments are named.
    pub(crate) fn naming(&self) -> &Naming {
        &self.shared.naming
    }

    /// Ends builds, which go on at the next start, and waits for all tasks that must not stop halfway.
    pub(crate) async fn finish(&self) {
        self.shared.stopping.cancel();
        self.shared.tasks.close();
        self.shared.tasks.wait().await;
    }

    /// Finds a service of an account, which may have no environment; the only one without a name.
    ///
    /// # Errors
    /// [`PublishError::NotFound`], [`PublishError::Ambiguous`], [`PublishError::Catalogue`].
    pub(crate) async fn own_service(
        &self,
        account: &AccountSid,
        name: &str,
    ) -> Result<ServiceSid, PublishError> {
        let catalogue = &self.shared.catalogue;
        if name.is_empty() {
            let services = catalogue.services(account).await?;
            return Ok(pick("service", services, name, |service| {
                [service.sid.as_str(), &service.unique_name]
            })?
            .sid);
        }
        let found = catalogue.service(account, name).await?;
        let found = found.ok_or_else(|| PublishError::NotFound { noun: "service", name: name.to_owned() });
        Ok(found?.sid)
    }

    /// Finds a service and an environment of an account.
    ///
    /// # Errors
    /// [`PublishError::NotFound`], [`PublishError::Ambiguous`], [`PublishError::Catalogue`].
    pub(crate) async fn place(&self, account: &AccountSid, target: &Target) -> Result<Place, PublishError> {
        let services = self.shared.catalogue.services(account).await?;
        let service = pick("service", services, &target.service, |service| {
            [service.sid.as_str(), &service.unique_name]
        });
        let service = match service {
            // Only those with environments are among them.
            Err(PublishError::NotFound { name, .. })
                if self.shared.catalogue.service(account, &name).await?.is_some() =>
            {
                return Err(PublishError::NoEnvironment { service: name });
            }
            service => service?,
        };
        let environment = pick("environment", service.environments, &target.environment, |environment| {
            [environment.sid.as_str(), &environment.unique_name]
        })?;
        Ok(Place { service: service.sid, environment })
    }

    /// Runs work that must not stop halfway, even when nobody waits for it any more.
    async fn to_the_end<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, PublishError>> + Send + 'static,
    ) -> Result<T, PublishError> {
        // Fails only by a panic of the work, or when the runtime is torn down.
        self.shared.tasks.spawn(work).await.unwrap_or(Err(PublishError::Stopping))
    }
}

/// Names that a refusal lists at most.
const NAMES_LISTED_MAX: usize = 8;

/// The one thing that `name` names, by SID or unique name, or the only one there is.
fn pick<T>(
    noun: &'static str,
    mut things: Vec<T>,
    name: &str,
    names: impl Fn(&T) -> [&str; 2],
) -> Result<T, PublishError> {
    if !name.is_empty() {
        let found = things.into_iter().find(|thing| names(thing).contains(&name));
        return found.ok_or_else(|| PublishError::NotFound { noun, name: name.to_owned() });
    }
    if things.len() > 1 {
        let mut listed: Vec<_> = things.iter().take(NAMES_LISTED_MAX).map(|thing| names(thing)[1]).collect();
        if things.len() > NAMES_LISTED_MAX {
            listed.push("…");
        }
        return Err(PublishError::Ambiguous { noun, count: things.len(), names: listed.join(", ") });
    }
    things.pop().ok_or(PublishError::NotFound { noun, name: String::new() })
}

/// Seconds since the beginning of 1970.
pub(crate) fn unix_seconds(now: SystemTime) -> i64 {
    let since = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_public_url_has_a_port_only_where_it_is_not_443() {
        let naming = |public_port: u16| Naming {
            base_domain: "localhost".into(),
            public_port: AtomicU16::new(public_port),
        };
        assert_eq!(naming(443).public_url("a.example"), "https://a.example");
        assert_eq!(naming(8443).public_url("a.example"), "https://a.example:8443");
    }

    #[test]
    fn no_name_means_the_only_one() {
        let pick =
            |things: Vec<&'static str>, name: &str| pick("service", things, name, |thing| ["ZS00", *thing]);
        assert_eq!(pick(vec!["a"], "").expect("the only one"), "a");
        assert_eq!(pick(vec!["a", "b"], "b").expect("named"), "b");
        assert_eq!(
            pick(vec!["a", "b"], "").expect_err("which one?").to_string(),
            "there are 2 services; name one of a, b"
        );
        assert!(matches!(pick(vec!["a"], "b"), Err(PublishError::NotFound { .. })));
    }
}
