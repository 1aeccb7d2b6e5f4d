//! Questions to DNS: which texts (TXT records, RFC 1035 §3.3.14) stand at a name.
//!
//! Nothing is remembered: whoever has just set a record asks at once, and is to be answered by what is there now. hickory is named here
//! only.

use crate::config::DomainConfig;
use crate::metrics::Metrics;
use hickory_resolver::TokioResolver;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig, ResolverOpts};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError as Answered, NetError};
use hickory_resolver::proto::op::ResponseCode;
use hickory_resolver::proto::rr::RData;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;

/// Times that servers which do not answer are asked again.
const RETRIES: usize = 1;

/// Why it is not known what stands at a name.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DnsError {
    /// None is configured, and the system has none.
    #[error("this origin knows no DNS server; set domains.dns_servers in its configuration")]
    NoServers,
    /// Too many lookups at once.
    #[error("too many domains are being verified; try again in a moment")]
    Busy,
    /// They did not answer, or not with an answer.
    #[error("the DNS servers gave no answer for {name}; try again in a moment")]
    Failed {
        /// What was asked for.
        name: String,
        /// What went wrong.
        #[source]
        source: NetError,
    },
    /// They took too long.
    #[error("the DNS servers took too long to answer for {name}; try again in a moment")]
    TimedOut {
        /// What was asked for.
        name: String,
    },
}

/// Asks DNS. Clones share it.
#[derive(Clone)]
pub(crate) struct Dns {
    resolver: Option<TokioResolver>,
    lookups: Arc<Semaphore>,
    lookup_count_max: usize,
    time_max: Duration,
    metrics: Arc<Metrics>,
}

impl std::fmt::Debug for Dns {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Dns").field("has_servers", &self.resolver.is_some()).finish_non_exhaustive()
    }
}

impl Dns {
    /// Of the configured servers, else of the system's. A system without any is told of when somebody asks.
    pub(crate) fn new(config: &DomainConfig, metrics: Arc<Metrics>) -> Self {
        let resolver = resolver(config).inspect_err(|error| {
            tracing::warn!(%error, "the system names no DNS servers; no domain can be verified until domains.dns_servers does");
        });
        // Each try may use up its own time.
        let time_max = config.dns_timeout * (RETRIES as u32 + 1) + Duration::from_secs(1);
        metrics.dns_lookups_max.set(config.lookup_count_max as f64);
        Self {
            resolver: resolver.ok(),
            lookups: Arc::new(Semaphore::new(config.lookup_count_max)),
            lookup_count_max: config.lookup_count_max,
            time_max,
            metrics,
        }
    }

    /// Lookups under way.
    pub(crate) fn lookups(&self) -> usize {
        self.lookup_count_max - self.lookups.available_permits()
    }

    /// The texts at a name; none where there is no such name.
    ///
    /// # Errors
    /// Any [`DnsError`].
    pub(crate) async fn texts(&self, name: &str) -> Result<Vec<Vec<u8>>, DnsError> {
        let resolver = self.resolver.as_ref().ok_or(DnsError::NoServers)?;
        let _turn = self.lookups.try_acquire().map_err(|_| {
            self.metrics.dns_lookups_refused.increment(1);
            DnsError::Busy
        })?;
        // With the dot at its end no search list of the system is tried.
        let lookup = tokio::time::timeout(self.time_max, resolver.txt_lookup(format!("{name}."))).await;
        match lookup.map_err(|_| DnsError::TimedOut { name: name.to_owned() })? {
            Ok(found) => Ok(found
                .answers()
                .iter()
                .filter_map(|record| match &record.data {
                    // RFC 7208 §3.3, as everybody does: the strings of a record are one text.
                    RData::TXT(text) => Some(text.txt_data.concat()),
                    _ => None,
                })
                .collect()),
            Err(error) if is_absent(&error) => Ok(Vec::new()),
            Err(source) => Err(DnsError::Failed { name: name.to_owned(), source }),
        }
    }
}

/// Whether a server said that there is nothing, which is an answer.
fn is_absent(error: &NetError) -> bool {
    match error {
        NetError::Dns(Answered::NoRecordsFound(none)) => {
            matches!(none.response_code, ResponseCode::NXDomain | ResponseCode::NoError)
        }
        _ => false,
    }
}

fn resolver(config: &DomainConfig) -> Result<TokioResolver, NetError> {
    let mut builder = match &config.dns_servers[..] {
        [] => TokioResolver::builder_tokio()?,
        servers => {
            let mut config = ResolverConfig::default();
            config.name_servers = servers.iter().map(name_server).collect();
            TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
        }
    };
    let options: &mut ResolverOpts = builder.options_mut();
    options.timeout = config.dns_timeout;
    options.attempts = RETRIES;
    options.cache_size = 0;
    builder.build()
}

fn name_server(address: &SocketAddr) -> NameServerConfig {
    let mut server = NameServerConfig::udp_and_tcp(address.ip());
    server.connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()]
        .map(|mut connection| {
            connection.port = address.port();
            connection
        })
        .into();
    server
}
