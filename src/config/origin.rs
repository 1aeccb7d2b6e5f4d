//! The settings of an origin.

use super::layers::Fault;
use super::value::{self, ADDRESSES, COUNT, SECONDS, SIZE, put};
use super::{ConfigOptions, Setting, Shape, Table, load_role};
use crate::environment::Environment;
use crate::failure::Failure;
use skerry_origin::{
    ApiConfig, AuthLimits, CONNECTION_COUNT_MAX, Compression, ConsoleConfig, DomainConfig, EdgeRules, Levels,
    Limits, OriginConfig, PublishBounds, WarmBounds,
};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// An origin before its certificate is read, and the pages that the program adds.
#[derive(Debug, Clone)]
pub(crate) struct OriginSettings {
    pub(crate) role: OriginConfig,
    pub(crate) admin_addresses: Vec<SocketAddr>,
    pub(crate) api_certificate: Option<PathBuf>,
    pub(crate) api_key: Option<PathBuf>,
    pub(crate) is_insecure: bool,
}

impl OriginSettings {
    /// Before any layer; every setting has a default that goes through the table.
    pub(super) fn blank() -> Self {
        let role = OriginConfig {
            data: PathBuf::new(),
            grpc_addresses: Vec::new(),
            grpc_names: Vec::new(),
            api: ApiConfig::default(),
            base_domain: String::new(),
            public_port: 443,
            limits: Limits::default(),
            publish: PublishBounds::default(),
            warm: WarmBounds::default(),
            grpc_connection_count_max: CONNECTION_COUNT_MAX,
            console: ConsoleConfig::default(),
            domains: DomainConfig::default(),
            compression: Compression::default(),
            auth: AuthLimits::default(),
            edges: EdgeRules::default(),
        };
        Self { role, admin_addresses: Vec::new(), api_certificate: None, api_key: None, is_insecure: false }
    }
}

/// Settings of `skerry origin`. `None`: they were asked for, and are printed.
///
/// # Errors
/// All faults at once, as a failure of usage.
pub(crate) fn load(
    options: &ConfigOptions,
    environment: &Environment,
) -> Result<Option<OriginSettings>, Failure> {
    let table = Table { settings: &[SETTINGS], prefix: "", variables: VARIABLES, fixed: &[], defaults: &[] };
    load_role(&table, OriginSettings::blank(), options, environment, check)
}

/// What no single setting can tell.
fn check(settings: &OriginSettings, faults: &mut Vec<Fault>) {
    if settings.api_certificate.is_some() != settings.api_key.is_some() {
        faults.push(Fault::new("api.certificate and api.key belong together: set both, or none"));
    }
    let exposed = settings.role.api.addresses.iter().find(|address| !address.ip().is_loopback());
    if let (Some(address), None, false) = (exposed, &settings.api_certificate, settings.is_insecure) {
        faults.push(Fault::new(format!(
            "api.addresses has {address}, which is not loopback, and there is no TLS: set api.certificate and api.key, \
             or insecure = true where something else encrypts"
        )));
    }
}

pub(super) const VARIABLES: &str = "SKERRY_ORIGIN_";

/// A whole asset must fit the arithmetic of sizes.
const SIZE_MAX: u64 = skerry_proto::slices::BLOB_SIZE_MAX;

/// What one pointer names.
const DOMAIN_COUNT_MAX: u32 = skerry_proto::pointer::ALIASES_MAX as u32;

/// Every setting of an origin.
pub(super) const SETTINGS: &[Setting<OriginSettings>] = &[
    Setting {
        name: "data",
        default: "skerry-origin",
        shape: Shape::Text,
        accepts: "a folder",
        doc: "Folder for everything that the origin keeps; made with mode 0700 where it is missing.",
        set: |to, text| put(&mut to.role.data, value::optional_path(text)),
    },
    Setting {
        name: "grpc.addresses",
        default: "0.0.0.0:8081",
        shape: Shape::List,
        accepts: ADDRESSES,
        doc: "Addresses of the gRPC listener (TLS), for edges and publishers.",
        set: |to, text| put(&mut to.role.grpc_addresses, value::addresses(text)),
    },
    Setting {
        name: "grpc.names",
        default: "localhost,127.0.0.1,::1",
        shape: Shape::List,
        accepts: "host names and IP addresses; at least one",
        doc: "Names by which edges and publishers reach the gRPC listener; its certificate covers them.",
        set: |to, text| put(&mut to.role.grpc_names, value::names(text)),
    },
    Setting {
        name: "grpc.connection_count_max",
        default: "4096",
        shape: Shape::Number,
        accepts: COUNT,
        doc: "Connections of the gRPC listener at most; further ones wait in the system's queue.",
        set: |to, text| put(&mut to.role.grpc_connection_count_max, value::number(text, CONNECTIONS)),
    },
    Setting {
        name: "api.addresses",
        default: "127.0.0.1:8080",
        shape: Shape::List,
        accepts: "addresses with a port, such as 127.0.0.1:8080 or [::1]:8080; none for no API",
        doc: "Addresses of the REST API. One that is not loopback needs api.certificate, or insecure = true.",
        set: |to, text| put(&mut to.role.api.addresses, value::optional_addresses(text)),
    },
    Setting {
        name: "api.names",
        default: "",
        shape: Shape::List,
        accepts: "host names",
        doc: "Host names by which the REST API may be reached, beside localhost, addresses, and those of Twilio's API.",
        set: |to, text| put(&mut to.role.api.names, Some(value::list(text))),
    },
    Setting {
        name: "api.certificate",
        default: "",
        shape: Shape::Text,
        accepts: "a PEM file with the certificate and its chain, leaf first; empty for plain HTTP",
        doc: "Certificate of the REST API.",
        set: |to, text| put(&mut to.api_certificate, Some(value::optional_path(text))),
    },
    Setting {
        name: "api.key",
        default: "",
        shape: Shape::Text,
        accepts: "a PEM file with the private key",
        doc: "Private key of api.certificate.",
        set: |to, text| put(&mut to.api_key, Some(value::optional_path(text))),
    },
    Setting {
        name: "api.connection_count_max",
        default: "4096",
        shape: Shape::Number,
        accepts: COUNT,
        doc: "Connections of the REST API at most; further ones wait in the system's queue.",
        set: |to, text| put(&mut to.role.api.connection_count_max, value::number(text, CONNECTIONS)),
    },
    Setting {
        name: "api.form_size_max",
        default: "2097152",
        shape: Shape::Text,
        accepts: SIZE,
        doc: "Bytes of the parameters of one request at most; files count against limits.* alone. A build of 20,000 versions needs 1 MiB.",
        set: |to, text| put(&mut to.role.api.form_size_max, memory_size(text)),
    },
    Setting {
        name: "api.form_seconds",
        default: "30",
        shape: Shape::Number,
        accepts: SECONDS,
        doc: "Seconds for the parameters of a request to arrive.",
        set: |to, text| put(&mut to.role.api.form_time_max, value::seconds(text)),
    },
    Setting {
        name: "api.upload_pause_seconds",
        default: "60",
        shape: Shape::Number,
        accepts: SECONDS,
        doc: "Seconds for the next bytes of an upload to arrive.",
        set: |to, text| put(&mut to.role.api.upload_pause_max, value::seconds(text)),
    },
    Setting {
        name: "api.key_count_max",
        default: "100",
        shape: Shape::Number,
        accepts: COUNT,
        doc: "API keys of one account at most.",
        set: |to, text| put(&mut to.role.api.key_count_max, value::number(text, 1..=1_000_000)),
    },
    Setting {
        name: "publish.upload_count_max",
        default: "256",
        shape: Shape::Number,
        accepts: COUNT,
        doc: "Uploads under way at once; further ones wait for their turn. Each takes up to 2 MiB of memory, and a window of its connection.",
        set: |to, text| put(&mut to.role.publish.upload_count_max, value::number(text, 1..=100_000)),
    },
    Setting {
        name: "publish.build_count_max",
        default: "1024",
        shape: Shape::Number,
        accepts: COUNT,
        doc: "Builds that are begun over REST and not finished; further ones are answered 503.",
        set: |to, text| put(&mut to.role.publish.build_count_max, value::number(text, 1..=1_000_000)),
    },
    Setting {
        name: "warm.size_max",
        default: "1GiB",
        shape: Shape::Text,
        accepts: SIZE,
        doc: "Bytes that each edge pulls ahead of a deployment with --warm; what is more is fetched when it is asked for.",
        set: |to, text| put(&mut to.role.warm.size_max, value::size(text).filter(|size| *size > 0)),
    },
    Setting {
        name: "warm.seconds_max",
        default: "30",
        shape: Shape::Number,
        accepts: SECONDS,
        doc: "Seconds that a deployment with --warm waits for edges, before it goes live all the same.",
        set: |to, text| put(&mut to.role.warm.time_max, value::seconds(text)),
    },
    Setting {
        name: "publish.turn_seconds",
        default: "30",
        shape: Shape::Number,
        accepts: SECONDS,
        doc: "Seconds that an upload waits for its turn, or a deployment for its environment, before it is refused.",
        set: |to, text| put(&mut to.role.publish.turn_time_max, value::seconds(text)),
    },
    Setting {
        name: "console.origin",
        default: "",
        shape: Shape::Text,
        accepts: "an origin, such as https://cdn.example.com or https://cdn.example.com:8443; empty where nothing is before it",
        doc: "How browsers reach the console, where something before it ends TLS.",
        set: |to, text| put(&mut to.role.console.origin, browser_origin(text)),
    },
    Setting {
        name: "console.session_minutes",
        default: "720",
        shape: Shape::Number,
        accepts: "minutes, from 1 to 43200",
        doc: "Minutes that a session of the console lasts.",
        set: |to, text| put(&mut to.role.console.session_time, value::number(text, 1..=43_200).map(minutes)),
    },
    Setting {
        name: "console.session_count_max",
        default: "100",
        shape: Shape::Number,
        accepts: COUNT,
        doc: "Sessions of the console for each account at most; a further one ends the oldest.",
        set: |to, text| put(&mut to.role.console.session_count_max, value::number(text, 1..=1_000_000)),
    },
    Setting {
        name: "console.upload_pause_seconds",
        default: "60",
        shape: Shape::Number,
        accepts: SECONDS,
        doc: "Seconds that an upload of the console may bring nothing before it is cut off.",
        set: |to, text| put(&mut to.role.console.upload_pause_max, value::seconds(text)),
    },
    Setting {
        name: "insecure",
        default: "false",
        shape: Shape::Text,
        accepts: "true or false",
        doc: "Whether the REST API may answer plain HTTP on an address that is not loopback.",
        set: |to, text| put(&mut to.is_insecure, text.parse().ok()),
    },
    Setting {
        name: "base_domain",
        default: "localhost",
        shape: Shape::Text,
        accepts: "a domain, such as cdn.example.com",
        doc: "Domain under which environments get their names. A wildcard record of it leads to the edges.",
        set: |to, text| put(&mut to.role.base_domain, domain(text)),
    },
    Setting {
        name: "public_port",
        default: "443",
        shape: Shape::Number,
        accepts: "a port, from 1 to 65535",
        doc: "Port of the edges as clients see it, for the URLs that publishers are told.",
        set: |to, text| put(&mut to.role.public_port, value::number(text, 1..=u16::MAX)),
    },
    Setting {
        name: "admin.addresses",
        default: "127.0.0.1:9090",
        shape: Shape::List,
        accepts: ADDRESSES,
        doc: "Addresses of /metrics, /livez and /readyz, plain HTTP, readable by whoever reaches them.",
        set: |to, text| put(&mut to.admin_addresses, value::addresses(text)),
    },
    Setting {
        name: "limits.served_size_max",
        default: "104857600",
        shape: Shape::Text,
        accepts: SIZE,
        doc: "Bytes of a public or protected asset at most.",
        set: |to, text| put(&mut to.role.limits.served_size_max, size(text)),
    },
    Setting {
        name: "limits.served_count_max",
        default: "500",
        shape: Shape::Number,
        accepts: COUNT,
        doc: "Public and protected paths in one build at most.",
        set: |to, text| put(&mut to.role.limits.served_count_max, value::number(text, 1..=10_000_000)),
    },
    Setting {
        name: "limits.private_size_max",
        default: "5242880",
        shape: Shape::Text,
        accepts: SIZE,
        doc: "Bytes of a private asset at most.",
        set: |to, text| put(&mut to.role.limits.private_size_max, size(text)),
    },
    Setting {
        name: "limits.private_count_max",
        default: "10",
        shape: Shape::Number,
        accepts: COUNT,
        doc: "Private paths in one build at most.",
        set: |to, text| put(&mut to.role.limits.private_count_max, value::number(text, 1..=10_000_000)),
    },
    Setting {
        name: "domains.count_max",
        default: "20",
        shape: Shape::Number,
        accepts: "a whole number, from 1 to 100",
        doc: "Domains of its own that one environment may claim or have.",
        set: |to, text| put(&mut to.role.domains.count_max, value::number(text, 1..=DOMAIN_COUNT_MAX)),
    },
    Setting {
        name: "domains.dns_servers",
        default: "",
        shape: Shape::List,
        accepts: "IP addresses, with a port where that is not 53, such as 9.9.9.9 or [2620:fe::9]:53; none for the system's",
        doc: "DNS servers that are asked whether a domain is proven.",
        set: |to, text| put(&mut to.role.domains.dns_servers, value::servers(text, 53)),
    },
    Setting {
        name: "domains.dns_timeout_seconds",
        default: "5",
        shape: Shape::Number,
        accepts: SECONDS,
        doc: "Seconds that a DNS server has for an answer; it is asked twice.",
        set: |to, text| put(&mut to.role.domains.dns_timeout, value::seconds(text)),
    },
    Setting {
        name: "domains.lookup_count_max",
        default: "16",
        shape: Shape::Number,
        accepts: "a whole number, from 1 to 1000",
        doc: "Proofs of domains that are looked up in DNS at once; who asks for one more is told to come back.",
        set: |to, text| put(&mut to.role.domains.lookup_count_max, value::number(text, 1..=1000)),
    },
    Setting {
        name: "compression.size_max",
        default: "16MiB",
        shape: Shape::Text,
        accepts: "bytes, such as 65536 or 16MiB, at most 256MiB; 0 for no compression",
        doc: "Bytes of an asset that is compressed at most.",
        set: |to, text| put(&mut to.role.compression.size_max, compressed_size(text)),
    },
    Setting {
        name: "compression.small_size_max",
        default: "256KiB",
        shape: Shape::Text,
        accepts: "bytes, such as 65536 or 256KiB, at most 256MiB",
        doc: "Bytes up to which an asset is compressed with the levels for small ones.",
        set: |to, text| put(&mut to.role.compression.small_size_max, compressed_size(text)),
    },
    Setting {
        name: "compression.brotli_level_small",
        default: "11",
        shape: Shape::Number,
        accepts: "a level, from 1 to 11; 0 for none",
        doc: "Level of brotli for small assets.",
        set: |to, text| {
            put(&mut to.role.compression.brotli.small, value::number(text, 0..=Levels::BROTLI_MAX))
        },
    },
    Setting {
        name: "compression.brotli_level_large",
        default: "5",
        shape: Shape::Number,
        accepts: "a level, from 1 to 11; 0 for none",
        doc: "Level of brotli for assets that are not small.",
        set: |to, text| {
            put(&mut to.role.compression.brotli.large, value::number(text, 0..=Levels::BROTLI_MAX))
        },
    },
    Setting {
        name: "compression.zstd_level_small",
        default: "19",
        shape: Shape::Number,
        accepts: "a level, from 1 to 19; 0 for none",
        doc: "Level of zstd for small assets.",
        set: |to, text| put(&mut to.role.compression.zstd.small, value::number(text, 0..=Levels::ZSTD_MAX)),
    },
    Setting {
        name: "compression.zstd_level_large",
        default: "9",
        shape: Shape::Number,
        accepts: "a level, from 1 to 19; 0 for none",
        doc: "Level of zstd for assets that are not small.",
        set: |to, text| put(&mut to.role.compression.zstd.large, value::number(text, 0..=Levels::ZSTD_MAX)),
    },
    Setting {
        name: "compression.gzip_level_small",
        default: "9",
        shape: Shape::Number,
        accepts: "a level, from 1 to 9; 0 for none",
        doc: "Level of gzip for small assets.",
        set: |to, text| put(&mut to.role.compression.gzip.small, value::number(text, 0..=Levels::GZIP_MAX)),
    },
    Setting {
        name: "compression.gzip_level_large",
        default: "6",
        shape: Shape::Number,
        accepts: "a level, from 1 to 9; 0 for none",
        doc: "Level of gzip for assets that are not small.",
        set: |to, text| put(&mut to.role.compression.gzip.large, value::number(text, 0..=Levels::GZIP_MAX)),
    },
    Setting {
        name: "compression.wait_seconds",
        default: "2",
        shape: Shape::Number,
        accepts: "whole seconds, from 0 to 3600",
        doc: "Seconds that a build waits for compressed forms. Those that are not ready join it later.",
        set: |to, text| put(&mut to.role.compression.wait, seconds_max(text, 3600)),
    },
    Setting {
        name: "compression.build_cpu_seconds_max",
        default: "600",
        shape: Shape::Number,
        accepts: "whole seconds, from 0 to 86400",
        doc: "Processor seconds for the compressed forms of one build. Past them the rest of it stays as it is.",
        set: |to, text| put(&mut to.role.compression.build_cpu_max, seconds_max(text, 86_400)),
    },
    Setting {
        name: "compression.thread_count_max",
        default: "0",
        shape: Shape::Number,
        accepts: "a whole number, at most 1024; 0 for one for each processor",
        doc: "Assets that are compressed at once. What joins builds later takes half of them.",
        set: |to, text| put(&mut to.role.compression.thread_count_max, value::number(text, 0..=1024)),
    },
    Setting {
        name: "auth.failure_count_max",
        default: "10",
        shape: Shape::Number,
        accepts: COUNT,
        doc: "Wrong tokens that one address may show for one account before it has to wait.",
        set: |to, text| put(&mut to.role.auth.failure_count_max, value::number(text, 1..=1_000_000)),
    },
    Setting {
        name: "auth.address_failure_count_max",
        default: "100",
        shape: Shape::Number,
        accepts: COUNT,
        doc: "Wrong tokens that one address may show for all accounts before it has to wait.",
        set: |to, text| put(&mut to.role.auth.address_failure_count_max, value::number(text, 1..=1_000_000)),
    },
    Setting {
        name: "auth.recovery_seconds",
        default: "6",
        shape: Shape::Number,
        accepts: SECONDS,
        doc: "Seconds after which one wrong token is forgiven.",
        set: |to, text| put(&mut to.role.auth.recovery, value::seconds(text)),
    },
    Setting {
        name: "auth.entry_count_max",
        default: "10000",
        shape: Shape::Number,
        accepts: COUNT,
        doc: "Addresses with wrong tokens that are remembered, in memory.",
        set: |to, text| put(&mut to.role.auth.entry_count_max, value::number(text, 1..=10_000_000)),
    },
    Setting {
        name: "lease_seconds",
        default: "10",
        shape: Shape::Number,
        accepts: SECONDS,
        doc: "Seconds that an edge's lease lasts; the same number as at the edges. An edge with a longer one is refused.",
        set: |to, text| put(&mut to.role.edges.lease, value::seconds(text)),
    },
    Setting {
        name: "edges.certificate_seconds",
        default: "604800",
        shape: Shape::Number,
        accepts: "a whole number of seconds, from 10 to 31536000 (a year)",
        doc: "Seconds that the certificate of an edge lasts. Edges renew theirs when two thirds of that are over.",
        set: |to, text| {
            let life = value::number(text, 10..=31_536_000).map(Duration::from_secs);
            put(&mut to.role.edges.certificate_life, life)
        },
    },
    Setting {
        name: "edges.renewal_seconds_max",
        default: "7776000",
        shape: Shape::Number,
        accepts: "a whole number of seconds, at most 31536000 (a year); 0: expired certificates are not renewed",
        doc: "Seconds after its end for which an edge's certificate is still renewed, by proof of its key.",
        set: |to, text| put(&mut to.role.edges.renewal_time_max, seconds_max(text, 31_536_000)),
    },
];

/// A listener takes one at least, and more than a process may have open files is no bound.
const CONNECTIONS: std::ops::RangeInclusive<usize> = 1..=1_000_000;

/// What is held in memory for one request.
fn memory_size(text: &str) -> Option<usize> {
    value::size(text)
        .filter(|size| (1024..=1 << 30).contains(size))
        .and_then(|size| usize::try_from(size).ok())
}

fn size(text: &str) -> Option<u64> {
    value::size(text).filter(|size| (1..=SIZE_MAX).contains(size))
}

fn minutes(minutes: u64) -> Duration {
    Duration::from_secs(60 * minutes)
}

/// Scheme, host and port, as browsers send them (RFC 6454 §6.1); `Some(None)` where there is none.
fn browser_origin(text: &str) -> Option<Option<String>> {
    if text.is_empty() {
        return Some(None);
    }
    let (scheme, authority) = text.split_once("://")?;
    let (host, port) = authority.split_once(':').unwrap_or((authority, "1"));
    let is_one = matches!(scheme, "http" | "https") && port.parse::<u16>().is_ok() && domain(host).is_some();
    is_one.then(|| Some(text.to_ascii_lowercase()))
}

/// Bytes of what is compressed: it is in memory as a whole meanwhile, once for each thread.
fn compressed_size(text: &str) -> Option<u64> {
    value::size(text).filter(|size| *size <= 256 << 20)
}

/// Seconds, from none to some.
fn seconds_max(text: &str, max: u64) -> Option<Duration> {
    value::number(text, 0..=max).map(Duration::from_secs)
}

/// A host name in lower case, without a port (RFC 1123 §2.1).
fn domain(text: &str) -> Option<String> {
    let label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    // Environments put a label of at most 63 characters before it.
    (text.len() <= 189 && text.split('.').all(label)).then(|| text.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::domain;

    #[test]
    fn a_domain_is_a_host_name_without_a_port() {
        assert_eq!(domain("CDN.Example.com").as_deref(), Some("cdn.example.com"));
        for wrong in ["", ".", "a..b", "a.", "-a", "a_b", "example.com:443", "https://example.com"] {
            assert_eq!(domain(wrong), None, "{wrong:?}");
        }
    }
}
