//! What a memory hit costs from the head of a request to the last byte of its body, without sockets; and how often it allocates.
//!
//! An allocation that is not one of the map of header fields, which the HTTP libraries want, is a fault, and fails the run.

use crate::allocations;
use crate::harness::{Bench, Unit};
use crate::slices::sample;
use anyhow::{Context, ensure};
use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt;
use skerry_edge::cache::{AccountKey, Asks, SliceCache, SliceKey};
use skerry_edge::config::{CacheConfig, FillLimits, ServeConfig};
use skerry_edge::control::{Environment, Environments, Lease, Secrets, Told};
use skerry_edge::fill::{SliceStream, Slices, Upstream, UpstreamError};
use skerry_edge::metrics::Metrics;
use skerry_edge::serve::{Connection, Protocol, Site};
use skerry_proto::manifest::{Entry, Representation};
use skerry_proto::pointer::{Pointer, Version};
use skerry_proto::rules::SiteRules;
use skerry_proto::slices::{BlobId, SliceList};
use skerry_proto::visibility::Visibility;
use skerry_proto::wire::FillRequest;
use std::net::Ipv4Addr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll, Waker};
use std::time::Duration;

const DOMAIN: &str = "bench.example";
const ACCOUNT: &str = "AC0123";

/// The path, fields and status of each request.
type Case = (&'static str, &'static str, &'static [(&'static str, &'static str)], StatusCode);

/// Responses that must allocate nothing but the map.
const LEAN: [Case; 6] = [
    ("response, 1 KiB", "/song.mp3", &[], StatusCode::OK),
    ("response, coded", "/app.js", &[("accept-encoding", "gzip, deflate, br, zstd")], StatusCode::OK),
    ("response, index of a folder", "/docs/", &[], StatusCode::OK),
    ("response, path percent-encoded", "/a%20b", &[], StatusCode::OK),
    ("response, 304", "/song.mp3", &[("if-none-match", "*")], StatusCode::NOT_MODIFIED),
    ("response, by a browser", "/song.mp3", BROWSER, StatusCode::OK),
];

const BROWSER: &[(&str, &str)] = &[
    ("accept", "*/*"),
    ("accept-encoding", "identity;q=1, *;q=0"),
    ("accept-language", "en-GB,en;q=0.9"),
    (
        "user-agent",
        "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36",
    ),
    ("sec-fetch-mode", "no-cors"),
    ("sec-fetch-dest", "audio"),
];

/// Responses whose head is made for the request.
const OTHERS: [Case; 3] = [
    ("response, range", "/song.mp3", &[("range", "bytes=0-99")], StatusCode::PARTIAL_CONTENT),
    ("response, two ranges", "/song.mp3", &[("range", "bytes=0-9,20-29")], StatusCode::PARTIAL_CONTENT),
    ("response, 404", "/nothing", &[], StatusCode::NOT_FOUND),
];

/// An upstream that nobody should ask.
struct Nowhere;

impl Upstream for Nowhere {
    fn open(
        &self,
        _request: FillRequest,
    ) -> Pin<Box<dyn Future<Output = Result<SliceStream, UpstreamError>> + Send + '_>> {
        Box::pin(std::future::ready(Err(UpstreamError::NotFound)))
    }
}

pub(crate) fn run(bench: &mut Bench) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let metrics = Arc::new(Metrics::new("bench")?);
    let handle = runtime.handle();
    let cache = SliceCache::start(folder.path(), CacheConfig::default(), handle, Arc::clone(&metrics));
    let environments = Arc::new(Environments::default());
    environments.show(Arc::new(environment(&cache)?));
    let (nowhere, limits) = (Box::new(Nowhere), FillLimits::default());
    let slices = Arc::new(Slices::new(cache, nowhere, limits, handle.clone(), Arc::clone(&metrics)));
    let lease = Arc::new(Lease::load(folder.path().join("lease"), Duration::from_secs(10)));
    lease.renew(Lease::now());
    let secrets = Arc::new(Secrets::load(folder.path().join("secrets"), false)?);
    let told = Told { environments, lease, secrets };
    let config = ServeConfig::default();
    let site = Site::new(told, Arc::clone(&slices), metrics, 443, None, &config);
    let connection =
        Connection { protocol: Protocol::Http1, sni: Some(DOMAIN.into()), peer: Ipv4Addr::LOCALHOST.into() };

    let map = allocations::during(|| drop(HeaderMap::<()>::with_capacity(24)));
    for (number, (name, path, fields, status)) in LEAN.into_iter().chain(OTHERS).enumerate() {
        let request = request(path, fields)?;
        let (found, _) = exchange(&site, &request, &connection).context(name)?;
        ensure!(found == status, "{name}: {found}");
        bench.run(name, Unit::Once, || exchange(&site, &request, &connection));
        let count = allocations_of(&site, &request, &connection);
        bench.say(name, &format!("{count} allocations, {map} of them the map of header fields"));
        ensure!(number >= LEAN.len() || count == map, "{name}: {count} allocations where {map} are due");
    }
    runtime.block_on(slices.close());
    Ok(())
}

/// Allocations of one request: the least of several, because the histograms grow now and then.
fn allocations_of(site: &Site, request: &Parts, connection: &Connection) -> u64 {
    let once = || {
        allocations::during(|| {
            let _ = exchange(site, request, connection);
        })
    };
    (0..16).map(|_| once()).min().unwrap_or_default()
}

/// Status and size of a response that needs no waiting, read to its end as a protocol does; `None` where it had to wait.
fn exchange(site: &Site, request: &Parts, connection: &Connection) -> Option<(StatusCode, usize)> {
    let mut context = TaskContext::from_waker(Waker::noop());
    let Poll::Ready(response) = pin!(site.respond(request, connection)).poll(&mut context) else {
        return None;
    };
    let (head, mut body) = response.into_parts();
    let mut size = 0;
    loop {
        match pin!(body.frame()).poll(&mut context) {
            Poll::Ready(Some(Ok(frame))) => size += frame.data_ref().map_or(0, Bytes::len),
            Poll::Ready(None) => return Some((head.status, size)),
            Poll::Ready(Some(Err(_))) | Poll::Pending => return None,
        }
    }
}

fn request(path: &str, fields: &[(&str, &str)]) -> anyhow::Result<Parts> {
    let mut request = Request::get(path).header("host", DOMAIN);
    for (name, value) in fields {
        request = request.header(*name, *value);
    }
    Ok(request.body(())?.into_parts().0)
}

fn environment(cache: &SliceCache) -> anyhow::Result<Environment> {
    let pointer = Pointer {
        version: Version::default(),
        domain: DOMAIN.into(),
        account_sid: ACCOUNT.into(),
        environment_sid: "ZE0123".into(),
        ..Pointer::default()
    };
    let mut entries = Vec::new();
    for (path, sizes) in [
        ("/song.mp3", &[1024][..]),
        ("/app.js", &[4096, 1000]),
        ("/docs/index.html", &[512]),
        ("/a b", &[10]),
    ] {
        let codings = ["", "br"];
        let representations =
            codings.iter().zip(sizes).map(|(coding, size)| representation(cache, coding, *size));
        entries.push(Entry {
            path: path.parse()?,
            visibility: Visibility::Public,
            content_type: "audio/mpeg".into(),
            modified: 1_700_000_000,
            representations: representations.collect::<anyhow::Result<_>>()?,
            cache_control: None,
            fields: Vec::new(),
        });
    }
    let rules = SiteRules { index: Some("index.html".into()), ..SiteRules::default() };
    Ok(Environment::of_entries(&pointer, entries, rules, Vec::new()))
}

/// A form whose bytes are in memory.
fn representation(cache: &SliceCache, coding: &str, size: usize) -> anyhow::Result<Representation> {
    let bytes = sample(size);
    let blob = BlobId::of(&bytes);
    let slice = SliceList::trivial(blob).context("one slice needs no list")?.check(0, bytes)?;
    cache.insert(
        SliceKey { account: AccountKey::of(ACCOUNT), hash: blob.hash, slice: 0 },
        &slice,
        Asks::Once,
    );
    Ok(Representation { encoding: coding.into(), blob, sha256: [0; 32] })
}
