//! The settings of an edge.

mod tiers;

use super::layers::Fault;
use super::value::{self, ADDRESSES, COUNT, SECONDS, put};
use super::{ConfigOptions, Setting, Shape, Table, load_role};
use crate::environment::Environment;
use crate::failure::Failure;
use skerry_edge::cache::DISK_SIZE_MIN;
use skerry_edge::config::{
    AdmissionPolicy, CacheConfig, FillLimits, GiveConfig, ListenLimits, ReadyConfig, ServeConfig, TierConfig,
};
use skerry_proto::join::JoinToken;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// Names that the certificate of an edge without one covers, and that those of a development server cover.
/// Without `*.localhost`: hardly any client takes a wildcard directly under a top-level name, and some refuse the whole certificate.
pub(crate) const HTTPS_NAMES: &str = "localhost,127.0.0.1,::1";

/// An edge, before its certificate and join token are read.
#[derive(Debug, Clone)]
pub(crate) struct EdgeSettings {
    pub(crate) data: PathBuf,
    pub(crate) name: String,
    pub(crate) https_addresses: Vec<SocketAddr>,
    pub(crate) https_certificate: Option<PathBuf>,
    pub(crate) https_key: Option<PathBuf>,
    pub(crate) https_names: Vec<String>,
    pub(crate) public_port: Option<u16>,
    pub(crate) origin_url: String,
    pub(crate) join_token: Option<JoinToken>,
    pub(crate) join_token_file: Option<PathBuf>,
    pub(crate) admin_addresses: Vec<SocketAddr>,
    pub(crate) worker_count: usize,
    pub(crate) cache: CacheConfig,
    pub(crate) fills: FillLimits,
    pub(crate) tiers: TierConfig,
    pub(crate) give: GiveConfig,
    pub(crate) ready: ReadyConfig,
    pub(crate) documents_size_max: u64,
    pub(crate) faults: bool,
    pub(crate) limits: ListenLimits,
    pub(crate) serve: ServeConfig,
    pub(crate) secrets_on_disk: bool,
    pub(crate) lease: Duration,
    pub(crate) drain_time_max: Duration,
}

impl EdgeSettings {
    /// Before any layer; every setting has a default that goes through the table.
    pub(super) fn blank() -> Self {
        Self {
            data: PathBuf::new(),
            name: String::new(),
            https_addresses: Vec::new(),
            https_certificate: None,
            https_key: None,
            https_names: Vec::new(),
            public_port: None,
            origin_url: String::new(),
            join_token: None,
            join_token_file: None,
            admin_addresses: Vec::new(),
            worker_count: 1,
            cache: CacheConfig::default(),
            fills: FillLimits::default(),
            tiers: TierConfig::default(),
            give: GiveConfig::default(),
            ready: ReadyConfig::default(),
            documents_size_max: 0,
            faults: false,
            limits: ListenLimits::default(),
            serve: ServeConfig::default(),
            secrets_on_disk: false,
            lease: Duration::from_secs(10),
            drain_time_max: Duration::from_secs(30),
        }
    }
}

/// Settings of `skerry edge`. `None`: they were asked for, and are printed.
///
/// # Errors
/// All faults at once, as a failure of usage.
pub(crate) fn load(
    options: &ConfigOptions,
    environment: &Environment,
) -> Result<Option<EdgeSettings>, Failure> {
    let table = Table { settings: ALL, prefix: "", variables: VARIABLES, fixed: &[], defaults: &[] };
    load_role(&table, EdgeSettings::blank(), options, environment, check)
}

fn check(settings: &EdgeSettings, faults: &mut Vec<Fault>) {
    tiers::check(settings, faults);
    if settings.origin_url.is_empty() {
        faults.push(Fault::new("origin.url is needed: where the origin's gRPC listener is, such as https://origin.example.com:8081"));
    }
    if settings.https_certificate.is_some() != settings.https_key.is_some() {
        faults.push(Fault::new("https.certificate and https.key belong together: set both, or none for a certificate of a local authority"));
    }
    if !settings.serve.hsts.is_fit_for_preload() {
        faults.push(Fault::new("https.hsts_preload = true needs https.hsts_include_subdomains = true and https.hsts_max_age of 31536000 or more, else no list takes the host"));
    }
    if settings.join_token.is_some() && settings.join_token_file.is_some() {
        faults.push(Fault::new("origin.join_token and origin.join_token_file are both set; one is enough"));
    }
}

pub(super) const VARIABLES: &str = "SKERRY_EDGE_";

/// A slice list and some slices must fit.
const MEMORY_SIZE_MIN: u64 = 4 << 20;

/// A thousand paths must fit.
const DOCUMENTS_SIZE_MIN: u64 = 1 << 20;

/// Counts that are more than any machine has room for, but no more than add up.
const COUNTS: std::ops::RangeInclusive<u64> = 1..=8_000_000;

/// Four slices a second; with less hardly anything would ever be written.
const WRITE_RATE_MIN: u64 = 1 << 20;

/// Every setting of an edge.
pub(super) const ALL: &[&[Setting<EdgeSettings>]] = &[SETTINGS, tiers::SETTINGS];

/// Those that are not about other edges.
const SETTINGS: &[Setting<EdgeSettings>] = &[
    Setting {
        name: "data",
        default: "skerry-edge",
        shape: Shape::Text,
        accepts: "a folder",
        doc: "Folder for everything that the edge keeps; made with mode 0700 where it is missing.",
        set: |to, text| put(&mut to.data, value::optional_path(text)),
    },
    Setting {
        name: "name",
        default: "edge",
        shape: Shape::Text,
        accepts: "1 to 100 characters",
        doc: "What people call this edge, in lists and in its metrics.",
        set: |to, text| {
            let fits = (1..=100).contains(&text.chars().count()) && !text.chars().any(char::is_control);
            fits.then(|| to.name = text.to_owned())
        },
    },
    Setting {
        name: "https.addresses",
        default: "0.0.0.0:443",
        shape: Shape::List,
        accepts: ADDRESSES,
        doc: "Addresses of the HTTPS listeners: TCP for HTTP/1.1 and HTTP/2, UDP for HTTP/3.",
        set: |to, text| put(&mut to.https_addresses, value::addresses(text)),
    },
    Setting {
        name: "https.certificate",
        default: "",
        shape: Shape::Text,
        accepts: "a PEM file with the certificate and its chain, leaf first; empty for a certificate of a local authority",
        doc: "Certificate of the HTTPS listeners.",
        set: |to, text| put(&mut to.https_certificate, Some(value::optional_path(text))),
    },
    Setting {
        name: "https.key",
        default: "",
        shape: Shape::Text,
        accepts: "a PEM file with the private key",
        doc: "Private key of the certificate.",
        set: |to, text| put(&mut to.https_key, Some(value::optional_path(text))),
    },
    Setting {
        name: "https.names",
        default: HTTPS_NAMES,
        shape: Shape::List,
        accepts: "host names, *.host names and IP addresses; at least one",
        doc: "Names that the certificate of the local authority covers, where https.certificate is empty.",
        set: |to, text| put(&mut to.https_names, value::names(text)),
    },
    Setting {
        name: "https.public_port",
        default: "",
        shape: Shape::Text,
        accepts: "a port, from 1 to 65535; empty for the port that is bound",
        doc: "Port of the HTTPS listeners as clients see it, for Alt-Svc.",
        set: |to, text| {
            let port = if text.is_empty() { None } else { Some(value::number(text, 1..=u16::MAX)?) };
            put(&mut to.public_port, Some(port))
        },
    },
    Setting {
        name: "https.hsts_max_age",
        default: "0",
        shape: Shape::Number,
        accepts: "seconds, such as 31536000 for a year; 0 to say nothing",
        doc: "Seconds for which browsers are to use HTTPS alone for a host that they have seen (HSTS). Only when all of a host is on HTTPS for good.",
        set: |to, text| {
            let seconds: u32 = value::number(text, 0..=u32::MAX)?;
            put(&mut to.serve.hsts.max_age, Some(Duration::from_secs(seconds.into())))
        },
    },
    Setting {
        name: "https.hsts_include_subdomains",
        default: "false",
        shape: Shape::Text,
        accepts: "true or false",
        doc: "Whether https.hsts_max_age counts for all names below a host, too.",
        set: |to, text| put(&mut to.serve.hsts.include_subdomains, text.parse().ok()),
    },
    Setting {
        name: "https.hsts_preload",
        default: "false",
        shape: Shape::Text,
        accepts: "true or false; true needs https.hsts_include_subdomains and an https.hsts_max_age of a year",
        doc: "Whether browsers may be shipped with the host as one that uses HTTPS alone. That cannot be taken back in less than months.",
        set: |to, text| put(&mut to.serve.hsts.preload, text.parse().ok()),
    },
    Setting {
        name: "trusted_peers",
        default: "",
        shape: Shape::List,
        accepts: "networks, such as 10.0.0.0/8 or ::1; empty for none",
        doc: "Proxies before this edge. What they say with X-Forwarded-Proto, -Host and -Port counts for signatures; nobody else's word does.",
        set: |to, text| put(&mut to.serve.trusted_peers, value::networks(text)),
    },
    Setting {
        name: "secrets_on_disk",
        default: "false",
        shape: Shape::Text,
        accepts: "true or false",
        doc: "Whether what X-Twilio-Signature is checked with is kept on disk, too. Then a restarted edge need not wait for its origin, and a stolen disk can sign.",
        set: |to, text| put(&mut to.secrets_on_disk, text.parse().ok()),
    },
    Setting {
        name: "origin.url",
        default: "",
        shape: Shape::Text,
        accepts: "https://HOST:PORT",
        doc: "URL of the origin's gRPC listener.",
        set: |to, text| put(&mut to.origin_url, origin_url(text)),
    },
    Setting {
        name: "origin.join_token",
        default: "",
        shape: Shape::Secret,
        accepts: "a join token, made by `skerry join-token`",
        doc: "Join token, needed once: by an edge that is not enrolled yet. Better in a file.",
        set: |to, text| {
            let token = if text.is_empty() { None } else { Some(text.parse().ok()?) };
            put(&mut to.join_token, Some(token))
        },
    },
    Setting {
        name: "origin.join_token_file",
        default: "",
        shape: Shape::Text,
        accepts: "a file that holds a join token",
        doc: "File with the join token. Not read by an edge that is enrolled already.",
        set: |to, text| put(&mut to.join_token_file, Some(value::optional_path(text))),
    },
    Setting {
        name: "admin.addresses",
        default: "127.0.0.1:9100",
        shape: Shape::List,
        accepts: ADDRESSES,
        doc: "Addresses of /metrics, /livez and /readyz, plain HTTP, readable by whoever reaches them.",
        set: |to, text| put(&mut to.admin_addresses, value::addresses(text)),
    },
    Setting {
        name: "admin.faults",
        default: "false",
        shape: Shape::Text,
        accepts: "true or false",
        doc: "Whether `skerry fault` may damage this edge's cache on purpose, over the admin socket in the data folder.",
        set: |to, text| put(&mut to.faults, text.parse().ok()),
    },
    Setting {
        name: "workers",
        default: "0",
        shape: Shape::Number,
        accepts: "a whole number up to 256; 0 for one for each processor",
        doc: "Threads that serve connections.",
        set: |to, text| {
            to.worker_count = match value::number(text, 0..=256)? {
                0 => std::thread::available_parallelism().map_or(1, usize::from).min(256),
                count => count,
            };
            Some(())
        },
    },
    Setting {
        name: "cache.memory_size",
        default: "256MiB",
        shape: Shape::Text,
        accepts: "bytes, such as 64MiB; at least 4MiB",
        doc: "Bytes of slices in memory.",
        set: |to, text| {
            let size = value::size(text).filter(|size| *size >= MEMORY_SIZE_MIN)?;
            put(&mut to.cache.memory_size, Some(size))
        },
    },
    Setting {
        name: "cache.disk_size",
        default: "10GiB",
        shape: Shape::Text,
        accepts: "bytes, such as 10GiB; at least 128MiB",
        doc: "Bytes of slices on disk.",
        set: |to, text| {
            let size = value::size(text).filter(|size| *size >= DISK_SIZE_MIN)?;
            put(&mut to.cache.disk_size, Some(size))
        },
    },
    Setting {
        name: "cache.write_buffer_size",
        default: "32MiB",
        shape: Shape::Text,
        accepts: "bytes, such as 32MiB; at least 4MiB",
        doc: "Bytes of slices on their way to disk; what does not fit is not written. Up to twice this stays in memory.",
        set: |to, text| {
            let size = value::size(text).filter(|size| *size >= MEMORY_SIZE_MIN)?;
            put(&mut to.cache.write_buffer_size, Some(size))
        },
    },
    Setting {
        name: "cache.write_rate_max",
        default: "100MiB",
        shape: Shape::Text,
        accepts: "bytes a second, such as 20MiB; at least 1MiB",
        doc: "Bytes a second that are written to disk for what was asked for once; ten seconds' worth may come at once.",
        set: |to, text| {
            let rate = value::size(text).filter(|rate| *rate >= WRITE_RATE_MIN)?;
            put(&mut to.cache.write_rate_max, Some(rate))
        },
    },
    Setting {
        name: "cache.admission",
        default: "room",
        shape: Shape::Text,
        accepts: "room, twice or all",
        doc: "What goes to disk. room: everything while there is room and cache.write_rate_max lasts, beyond that what was asked for twice. twice: only that. all: everything, whatever it pushes out.",
        set: |to, text| {
            let policy = match text {
                "room" => AdmissionPolicy::Room,
                "twice" => AdmissionPolicy::Twice,
                "all" => AdmissionPolicy::All,
                _ => return None,
            };
            put(&mut to.cache.admission, Some(policy))
        },
    },
    Setting {
        name: "limits.disk_read_count_max",
        default: "16",
        shape: Shape::Number,
        accepts: COUNT,
        doc: "Slices that are read from the disk cache at once; each takes a thread and half a megabyte. What waits for its turn for 2 seconds is fetched from the origin.",
        set: |to, text| put(&mut to.cache.disk_read_count_max, value::number(text, 1..=10_000)),
    },
    Setting {
        name: "limits.fill_count_max",
        default: "128",
        shape: Shape::Number,
        accepts: COUNT,
        doc: "Fills for clients under way in all.",
        set: |to, text| put(&mut to.fills.fill_count_max, value::number(text, 1..=100_000)),
    },
    Setting {
        name: "limits.client_fill_count_max",
        default: "32",
        shape: Shape::Number,
        accepts: COUNT,
        doc: "Fills under way for one client: an IPv4 address, or an IPv6 network of 64 bits.",
        set: |to, text| put(&mut to.fills.client_fill_count_max, value::number(text, 1..=100_000)),
    },
    Setting {
        name: "limits.fill_wait_seconds_max",
        default: "10",
        shape: Shape::Number,
        accepts: SECONDS,
        doc: "Seconds that a fill waits for its turn, before its clients are answered with 503.",
        set: |to, text| put(&mut to.fills.wait_time_max, value::seconds(text)),
    },
    Setting {
        name: "limits.fill_retry_seconds",
        default: "2",
        shape: Shape::Number,
        accepts: "whole seconds, from 0 to 3600",
        doc: "Seconds after a failed fill in which the origin is not asked for that blob again.",
        set: |to, text| {
            let seconds = value::number(text, 0..=3600).map(Duration::from_secs);
            put(&mut to.fills.retry_pause, seconds)
        },
    },
    Setting {
        name: "limits.documents_size_max",
        default: "512MiB",
        shape: Shape::Text,
        accepts: "bytes, such as 64MiB; at least 1MiB",
        doc: "Bytes of memory for manifests and histories of all environments. A deployment for which there is no room is refused by this edge, which shows the build before on.",
        set: |to, text| {
            let size = value::size(text).filter(|size| *size >= DOCUMENTS_SIZE_MIN)?;
            put(&mut to.documents_size_max, Some(size))
        },
    },
    Setting {
        name: "limits.token_count_max",
        default: "1000",
        shape: Shape::Number,
        accepts: COUNT,
        doc: "Tokens of signed URLs that are remembered once they were verified, some kilobytes each.",
        set: |to, text| put(&mut to.serve.token_count_max, value::number(text, 1..=10_000_000)),
    },
    Setting {
        name: "limits.connection_count_max",
        default: "10000",
        shape: Shape::Number,
        accepts: COUNT,
        doc: "Connections in all, TCP and QUIC together.",
        set: |to, text| put(&mut to.limits.all.connection_count_max, value::number(text, COUNTS)),
    },
    Setting {
        name: "limits.request_count_max",
        default: "20000",
        shape: Shape::Number,
        accepts: COUNT,
        doc: "Requests under way in all; one more is answered with 503.",
        set: |to, text| put(&mut to.limits.all.request_count_max, value::number(text, COUNTS)),
    },
    Setting {
        name: "limits.in_flight_size_max",
        default: "2GiB",
        shape: Shape::Text,
        accepts: "bytes, such as 1GiB; from 1MiB to 500GiB",
        doc: "Bytes that responses under way may hold in all, 256 KiB each at most; past it requests are answered with 503.",
        set: |to, text| put(&mut to.limits.all.byte_count_max, in_flight_size(text)),
    },
    Setting {
        name: "limits.address.connection_count_max",
        default: "1024",
        shape: Shape::Number,
        accepts: COUNT,
        doc: "Connections of one client address: an IPv4 address, or an IPv6 /64.",
        set: |to, text| put(&mut to.limits.address.connection_count_max, value::number(text, COUNTS)),
    },
    Setting {
        name: "limits.address.request_count_max",
        default: "4096",
        shape: Shape::Number,
        accepts: COUNT,
        doc: "Requests under way of one client address; one more is answered with 503.",
        set: |to, text| put(&mut to.limits.address.request_count_max, value::number(text, COUNTS)),
    },
    Setting {
        name: "limits.address.in_flight_size_max",
        default: "512MiB",
        shape: Shape::Text,
        accepts: "bytes, such as 256MiB; from 1MiB to 500GiB",
        doc: "Bytes that responses under way to one client address may hold; past it requests are answered with 503.",
        set: |to, text| put(&mut to.limits.address.byte_count_max, in_flight_size(text)),
    },
    Setting {
        name: "limits.target_size_max",
        default: "8KiB",
        shape: Shape::Text,
        accepts: "bytes, such as 8KiB; from 255 to 1MiB",
        doc: "Bytes of a request target; a longer one is answered with 414.",
        set: |to, text| put(&mut to.limits.target_size_max, head_size(text)),
    },
    Setting {
        name: "limits.head_size_max",
        default: "16KiB",
        shape: Shape::Text,
        accepts: "bytes, such as 16KiB; from 255 to 1MiB",
        doc: "Bytes of the head of a request; a larger one is answered with 431.",
        set: |to, text| put(&mut to.limits.head_size_max, head_size(text)),
    },
    Setting {
        name: "limits.body_size_max",
        default: "64KiB",
        shape: Shape::Text,
        accepts: "bytes, such as 64KiB; up to 1MiB",
        doc: "Bytes that are read of the body of a request: of POST for its signature, of any other so that its answer arrives.",
        set: |to, text| {
            let size = value::size(text).filter(|size| *size <= 1 << 20);
            put(&mut to.limits.body_size_max, size.and_then(|size| usize::try_from(size).ok()))
        },
    },
    Setting {
        name: "limits.frame_credit_max",
        default: "4096",
        shape: Shape::Number,
        accepts: "a whole number, at least 100",
        doc: "How many HTTP/2 and HTTP/3 frames that are no requests a connection may send at once, and requests taken back; requests, bytes sent and time give credit again.",
        set: |to, text| put(&mut to.limits.frame_credit_max, value::number(text, 100..=100_000_000)),
    },
    Setting {
        name: "limits.stream_count_max",
        default: "128",
        shape: Shape::Number,
        accepts: COUNT,
        doc: "Streams that one HTTP/2 or HTTP/3 connection may have open.",
        set: |to, text| put(&mut to.limits.stream_count_max, value::number(text, 1..=100_000)),
    },
    Setting {
        name: "limits.handshake_seconds_max",
        default: "10",
        shape: Shape::Number,
        accepts: SECONDS,
        doc: "Seconds for a TLS handshake.",
        set: |to, text| put(&mut to.limits.handshake_time_max, value::seconds(text)),
    },
    Setting {
        name: "limits.head_seconds_max",
        default: "10",
        shape: Shape::Number,
        accepts: SECONDS,
        doc: "Seconds for the head of a request.",
        set: |to, text| put(&mut to.limits.head_time_max, value::seconds(text)),
    },
    Setting {
        name: "limits.idle_seconds_max",
        default: "75",
        shape: Shape::Number,
        accepts: SECONDS,
        doc: "Seconds without a request after which a connection is closed.",
        set: |to, text| put(&mut to.limits.idle_time_max, value::seconds(text)),
    },
    Setting {
        name: "limits.rate_min",
        default: "1KiB",
        shape: Shape::Text,
        accepts: "bytes, such as 1KiB; at least 1",
        doc: "Bytes in a second that a client must take of what it asked for; a slower one is dropped.",
        set: |to, text| put(&mut to.limits.rate_min, value::size(text).filter(|size| *size > 0)),
    },
    Setting {
        name: "limits.rate_seconds",
        default: "30",
        shape: Shape::Number,
        accepts: SECONDS,
        doc: "Seconds that a client may fall behind limits.rate_min.",
        set: |to, text| put(&mut to.limits.rate_time_max, value::seconds(text)),
    },
    Setting {
        name: "lease_seconds",
        default: "10",
        shape: Shape::Number,
        accepts: SECONDS,
        doc: "Seconds that the lease lasts after the ping that was answered; the same number as at the origin.",
        set: |to, text| put(&mut to.lease, value::seconds(text)),
    },
    Setting {
        name: "drain_seconds",
        default: "30",
        shape: Shape::Number,
        accepts: SECONDS,
        doc: "Seconds that requests may take to finish at a stop.",
        set: |to, text| put(&mut to.drain_time_max, value::seconds(text)),
    },
];

/// Some slices must fit.
fn in_flight_size(text: &str) -> Option<u64> {
    value::size(text).filter(|size| (1 << 20..=500 << 30).contains(size))
}

/// The longest path of an asset must fit; what is read before a verdict is bounded by the other end.
fn head_size(text: &str) -> Option<usize> {
    let size = value::size(text).filter(|size| (255..=1 << 20).contains(size))?;
    usize::try_from(size).ok()
}

/// `https://host[:port]`, without a path; or empty.
fn origin_url(text: &str) -> Option<String> {
    if text.is_empty() {
        return Some(String::new());
    }
    let url: http::Uri = text.parse().ok()?;
    let plain = url.scheme_str() == Some("https") && matches!(url.path(), "" | "/") && url.query().is_none();
    (plain && url.host().is_some_and(|host| !host.is_empty())).then(|| text.trim_end_matches('/').to_owned())
}

#[cfg(test)]
mod tests {
    use super::{DISK_SIZE_MIN, SETTINGS, origin_url};

    #[test]
    fn what_a_disk_cache_accepts_is_what_it_needs() {
        let setting = SETTINGS.iter().find(|setting| setting.name == "cache.disk_size").expect("it is there");
        assert!(setting.accepts.ends_with(&format!("at least {}MiB", DISK_SIZE_MIN >> 20)));
    }

    #[test]
    fn the_origin_is_named_by_an_https_url_without_a_path() {
        assert_eq!(origin_url("https://o.example:8081/").as_deref(), Some("https://o.example:8081"));
        assert_eq!(origin_url("").as_deref(), Some(""));
        for wrong in ["http://o.example:8081", "o.example:8081", "https://", "https://o/x", "https://o?x"] {
            assert_eq!(origin_url(wrong), None, "{wrong:?}");
        }
    }
}
