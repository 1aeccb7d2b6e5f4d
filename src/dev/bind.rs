//! Everything that can fail before anything is served: the origin is opened, every socket is bound.

use super::folder::DevFolder;
use super::hint::Hints;
use crate::admin_socket::AdminSocket;
use crate::certificate;
use crate::client::Credentials;
use crate::commands::dev::Options;
use crate::config::{DevSettings, EdgeSettings, HTTPS_NAMES};
use crate::failure::Failure;
use crate::listener::{self, HttpListener};
use metrics_exporter_prometheus::PrometheusHandle;
use skerry_edge::config::{EdgeConfig, GiveConfig, ServerIdentity, TierConfig};
use skerry_edge::control::Identity;
use skerry_edge::run::Edge;
use skerry_folder::DataFolder;
use skerry_origin::{ApiConfig, BoundOrigin, Origin, OriginConfig};
use skerry_proto::authority::pem;
use skerry_proto::join::JoinToken;
use skerry_proto::signed_url::key::{Algorithm, SigningKey};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// Join tokens are used within a moment, by this process.
const JOIN_TOKEN_VALID: Duration = Duration::from_secs(600);

/// Domain of the first environment: its name is short, and stands in the certificate.
const FIRST_BASE_DOMAIN: &str = "localhost";

/// Domain of all further environments: one label more, since hardly any client takes a wildcard directly under a top-level name.
const BASE_DOMAIN: &str = "skerry.localhost";

/// Roles whose sockets are bound.
pub(super) struct Bound {
    pub(super) origin: BoundOrigin,
    pub(super) origin_metrics: PrometheusHandle,
    pub(super) origin_admin: Vec<HttpListener>,
    pub(super) edges: Vec<BoundEdge>,
    pub(super) credentials: Credentials,
    /// Secret of a sign-in link for the console.
    pub(super) console_link: String,
    pub(super) ca_pem: String,
}

/// An edge whose sockets are bound.
pub(super) struct BoundEdge {
    /// First, because its file goes before the folder does.
    pub(super) admin_socket: Option<AdminSocket>,
    pub(super) edge: Edge,
    pub(super) admin: Vec<HttpListener>,
    /// For an edge that is not enrolled yet.
    pub(super) join_token: Option<JoinToken>,
}

/// Opens and binds. The caller undoes a first start when this fails.
pub(super) async fn bind(
    options: &Options,
    settings: DevSettings,
    folder: &DevFolder,
    hints: &Hints,
) -> Result<Bound, Failure> {
    let of_origin = |error| hints.of_origin(&error);
    let config = origin_config(options, settings.origin.role, folder);
    let origin = Origin::open(config).await.map_err(of_origin)?;
    let ca_pem = pem("CERTIFICATE", origin.authority().certificate());
    let credentials = account(&origin, folder).await?;
    folder.keep_ca(&ca_pem)?;

    let mut names: Vec<String> = HTTPS_NAMES.split(',').map(str::to_owned).collect();
    names.extend([credentials.domain_name.clone(), format!("*.{BASE_DOMAIN}")]);
    let identity = Arc::new(certificate::issue(origin.authority(), &names, SystemTime::now())?);
    let configs = edge_configs(options, &settings.edge, folder, &identity, &credentials.domain_name);
    let bound = bind_edges(configs, hints).await?;

    // The URLs that publishers are told carry the port of the first edge, which is known only now if it was picked.
    if let Some(edge) = bound.first() {
        origin.set_public_port(edge.address().port());
    }
    let enrolled = enrolled(folder, options.edges);
    for (number, id) in (1..).zip(&enrolled) {
        if id.as_ref().is_some_and(|id| origin.has_expelled(id)) {
            let folder = folder.edge(number);
            let message =
                format!("edge-{number} was expelled, and cannot start again as the edge that it was");
            let hint = format!("remove {}; it comes back as a new edge", folder.display());
            return Err(Failure::new(message).hint(hint));
        }
    }
    let running: Vec<_> = enrolled.iter().flatten().cloned().collect();
    origin.only_edges(&running).await.map_err(of_origin)?;
    let mut edges = Vec::new();
    for ((edge, number), enrolled) in bound.into_iter().zip(1..).zip(enrolled) {
        let address = nth(options.admin, number - 1)?;
        let what = format!("admin of edge-{number}, --admin");
        let admin = bind_page(address, &what, hints).await?;
        let join_token = match enrolled {
            Some(_) => None,
            None => Some(origin.create_join_token(JOIN_TOKEN_VALID).await.map_err(of_origin)?),
        };
        let admin_socket = AdminSocket::bind(&folder.edge(number), settings.edge.faults);
        edges.push(BoundEdge { edge, admin, admin_socket, join_token });
    }
    let origin_metrics = origin.metrics();
    let console_link = origin
        .create_console_link(&credentials.account_sid, &credentials.auth_token)
        .map_err(|error| Failure::of(&error))?;
    Ok(Bound {
        origin: origin.bind().await.map_err(of_origin)?,
        origin_metrics,
        origin_admin: bind_page(options.origin_admin(), "admin of the origin, --origin-admin", hints).await?,
        edges,
        credentials,
        console_link,
        ca_pem,
    })
}

fn origin_config(options: &Options, role: OriginConfig, folder: &DevFolder) -> OriginConfig {
    let mut names = ["localhost", "127.0.0.1", "::1"].map(str::to_owned).to_vec();
    let ip = options.grpc.ip();
    if !ip.is_loopback() && !ip.is_unspecified() {
        names.push(ip.to_string());
    }
    OriginConfig {
        data: folder.origin(),
        grpc_addresses: with_both_loopbacks(options.grpc),
        grpc_names: names,
        api: ApiConfig { addresses: with_both_loopbacks(options.api), ..role.api },
        base_domain: BASE_DOMAIN.into(),
        public_port: options.https.port(),
        ..role
    }
}

async fn account(origin: &Origin, folder: &DevFolder) -> Result<Credentials, Failure> {
    if !folder.is_first_start() {
        return folder.credentials();
    }
    let account =
        origin.create_account_below(FIRST_BASE_DOMAIN, "dev").await.map_err(|error| Failure::of(&error))?;
    let credentials = Credentials {
        account_sid: account.account_sid,
        auth_token: account.auth_token,
        service_sid: account.service_sid,
        environment_sid: account.environment_sid,
        domain_name: account.domain,
    };
    let key = SigningKey::generate(Algorithm::Ed25519)
        .ok_or_else(|| Failure::new("the system gives no random bytes"))?;
    let public = SigningKey::from_pem(key.as_bytes()).map_err(|error| Failure::of(&error))?.public().clone();
    origin.add_url_key(&credentials.account_sid, public).await.map_err(|error| Failure::of(&error))?;
    folder.keep_url_key(&key)?;
    folder.keep_credentials(&credentials)?;
    Ok(credentials)
}

fn edge_configs(
    options: &Options,
    settings: &EdgeSettings,
    folder: &DevFolder,
    identity: &Arc<ServerIdentity>,
    domain: &str,
) -> Vec<Result<(PathBuf, EdgeConfig), Failure>> {
    // Only on loopback does a request for no known host show the default environment.
    let fallback_domain = options.https.ip().is_loopback().then(|| domain.to_owned());
    let config = |number: u16| {
        let config = EdgeConfig {
            name: format!("edge-{number}"),
            https_addresses: with_both_loopbacks(nth(options.https, number - 1)?),
            identity: Arc::clone(identity),
            public_port: None,
            fallback_domain: fallback_domain.clone(),
            worker_count: settings.worker_count,
            cache: settings.cache,
            fills: settings.fills,
            tiers: TierConfig::default(),
            give: GiveConfig::default(),
            ready: settings.ready,
            documents_size_max: settings.documents_size_max,
            limits: settings.limits,
            serve: settings.serve.clone(),
            secrets_on_disk: settings.secrets_on_disk,
            lease: settings.lease,
            drain_time_max: settings.drain_time_max,
        };
        Ok((folder.edge(number), config))
    };
    (1..=options.edges).map(config).collect()
}

async fn bind_edges(
    configs: Vec<Result<(PathBuf, EdgeConfig), Failure>>,
    hints: &Hints,
) -> Result<Vec<Edge>, Failure> {
    let mut edges = Vec::new();
    for config in configs {
        let (folder, config) = config?;
        let bound = tokio::task::spawn_blocking(move || Edge::bind(config, DataFolder::take(&folder)?)).await;
        let bound = bound.map_err(|_| Failure::new("binding an edge ended unexpectedly"))?;
        edges.push(bound.map_err(|error| hints.of_edge(&error))?);
    }
    Ok(edges)
}

/// Ids of the edges that run now; `None` for one that is not enrolled yet.
fn enrolled(folder: &DevFolder, edges: u16) -> Vec<Option<String>> {
    let id = |number| Identity::load(&folder.edge(number)).ok().flatten().map(|identity| identity.edge_id);
    (1..=edges).map(id).collect()
}

async fn bind_page(address: SocketAddr, what: &str, hints: &Hints) -> Result<Vec<HttpListener>, Failure> {
    listener::bind(&with_both_loopbacks(address), what).await.map_err(|failure| hints.other_ports(failure))
}

/// In development 127.0.0.1 also means `::1`: `localhost` may be either.
fn with_both_loopbacks(address: SocketAddr) -> Vec<SocketAddr> {
    if address.ip() == IpAddr::V4(Ipv4Addr::LOCALHOST) {
        return vec![address, SocketAddr::new(IpAddr::V6(Ipv6Addr::LOCALHOST), address.port())];
    }
    vec![address]
}

/// The address of a further edge: the next ports, or again one that is picked.
fn nth(first: SocketAddr, number: u16) -> Result<SocketAddr, Failure> {
    if first.port() == 0 {
        return Ok(first);
    }
    let port = first.port().checked_add(number).ok_or_else(|| {
        Failure::usage(format!("{first} and {number} ports after it: ports end at 65535; choose a lower one"))
    })?;
    Ok(SocketAddr::new(first.ip(), port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn further_edges_take_the_next_ports_or_free_ones() {
        let address = |text: &str| text.parse::<SocketAddr>().expect("an address");
        assert_eq!(nth(address("127.0.0.1:8443"), 2).expect("fits"), address("127.0.0.1:8445"));
        assert_eq!(nth(address("127.0.0.1:0"), 2).expect("fits"), address("127.0.0.1:0"));
        assert!(nth(address("127.0.0.1:65535"), 1).is_err());
    }

    #[test]
    fn only_127_0_0_1_means_both_loopbacks() {
        assert_eq!(with_both_loopbacks("127.0.0.1:1".parse().expect("address")).len(), 2);
        assert_eq!(with_both_loopbacks("127.0.0.2:1".parse().expect("address")).len(), 1);
        assert_eq!(with_both_loopbacks("0.0.0.0:1".parse().expect("address")).len(), 1);
    }
}
