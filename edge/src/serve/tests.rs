//! Requests through all steps, against a site with assets in memory.

use super::*;
use crate::cache::SliceCache;
use crate::config::{CacheConfig, FillLimits};
use crate::control::Secrets;
use crate::control::testing::{Sketch, entry};
use crate::fill::testing::{Fault, MemoryUpstream, sample};
use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::BodyExt;
use skerry_proto::manifest::Entry;
use skerry_proto::pointer::{AccessRules, StaleRule};
use skerry_proto::slices::{BlobId, SLICE_SIZE};
use std::time::Duration;
use tokio::runtime::Handle;

const DOMAIN: &str = "default-1234.localhost";

struct Fixture {
    site: Site,
    upstream: MemoryUpstream,
    _temp: tempfile::TempDir,
}

/// A site with `/song.mp3` of two and a half slices, `/empty`, `/index.html`, and `/sp ace.txt`.
async fn fixture(access: AccessRules, fallback: Option<&str>) -> Fixture {
    let temp = tempfile::tempdir().expect("a temporary folder");
    let upstream = MemoryUpstream::default();
    let assets = [
        ("/song.mp3", "audio/mpeg", song()),
        ("/empty", "text/plain", Bytes::new()),
        ("/index.html", "text/html; charset=utf-8", "<p>hello".into()),
        ("/sp ace.txt", "text/plain", "a space".into()),
        ("/a%20b", "text/plain", "a literal percent".into()),
    ];
    let mut sketch = Sketch::new(DOMAIN);
    for (path, content_type, bytes) in assets {
        sketch.entries.push(Entry { content_type: content_type.into(), ..entry(path, &bytes) });
        upstream.add(bytes);
    }
    sketch.pointer.access = access;
    let environments = Arc::new(Environments::default());
    environments.show(Arc::new(sketch.environment()));
    let metrics = Arc::new(Metrics::new("test").expect("registers"));
    let config = CacheConfig { memory_size: 16 << 20, disk_size: 256 << 20, ..CacheConfig::default() };
    let cache =
        SliceCache::start(&temp.path().join("cache"), config, &Handle::current(), Arc::clone(&metrics));
    let slices = Slices::new(
        cache,
        Box::new(upstream.clone()),
        FillLimits { retry_pause: Duration::ZERO, ..FillLimits::default() },
        Handle::current(),
        Arc::clone(&metrics),
    );
    let lease = Arc::new(Lease::load(temp.path().join("lease"), Duration::from_secs(10)));
    let secrets = Arc::new(Secrets::load(temp.path().join("secrets"), false).expect("loads"));
    let site = Site::new(
        Told { environments, lease, secrets },
        Arc::new(slices),
        metrics,
        8443,
        fallback,
        &ServeConfig::default(),
    );
    Fixture { site, upstream, _temp: temp }
}

async fn open() -> Fixture {
    fixture(AccessRules::default(), None).await
}

fn song() -> Bytes {
    sample(2 * SLICE_SIZE + SLICE_SIZE / 2)
}

impl Fixture {
    async fn ask(&self, method: &str, target: &str, fields: &[(&str, &str)]) -> Response<Body> {
        let mut request = Request::builder().method(method).uri(target);
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        let (parts, ()) = request.body(()).expect("a request").into_parts();
        let connection =
            Connection { protocol: Protocol::Http1, sni: None, peer: IpAddr::from([127, 0, 0, 1]) };
        self.site.respond(&parts, &connection).await
    }

    async fn get(&self, path: &str, fields: &[(&str, &str)]) -> Response<Body> {
        let fields: Vec<_> = [("host", DOMAIN)].into_iter().chain(fields.iter().copied()).collect();
        self.ask("GET", path, &fields).await
    }
}

fn field<'a>(response: &'a Response<Body>, name: &str) -> &'a str {
    response.headers().get(name).map_or("", |value| value.to_str().expect("text"))
}

async fn bytes(response: Response<Body>) -> Bytes {
    response.into_body().collect().await.expect("whole").to_bytes()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_asset_comes_whole_with_its_fields() {
    let site = open().await;
    let response = site.get("/song.mp3", &[]).await;
    assert_eq!(response.status(), StatusCode::OK);
    let etag = format!("\"{}\"", BlobId::of(&song()).hash);
    let expected = [
        ("content-type", "audio/mpeg"),
        ("content-length", "655360"),
        ("etag", etag.as_str()),
        ("accept-ranges", "bytes"),
        ("cache-control", "public, max-age=0, must-revalidate"),
        ("cache-status", "skerry; fwd=miss; stored"),
        ("alt-svc", "h3=\":8443\"; ma=86400"),
        ("x-content-type-options", "nosniff"),
        ("last-modified", "Tue, 14 Nov 2023 22:13:20 GMT"),
    ];
    for (name, value) in expected {
        assert_eq!(field(&response, name), value, "{name}");
    }
    assert_eq!(bytes(response).await, song());
    let again = site.get("/song.mp3", &[]).await;
    assert_eq!(field(&again, "cache-status"), "skerry; hit; detail=memory");
    assert_eq!(bytes(again).await, song());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_of_head_has_the_length_of_its_line_and_no_content() {
    let site = open().await;
    for target in ["/nothing", "/song.mp3"] {
        let response = site
            .ask("HEAD", target, &[("host", if target == "/nothing" { DOMAIN } else { "other.test" })])
            .await;
        assert!(response.status().is_client_error(), "{target}");
        assert_ne!(field(&response, "content-length"), "0", "{target}");
        assert!(bytes(response).await.is_empty(), "{target}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn frames_are_at_most_64_kib() {
    let site = open().await;
    let mut body = site.get("/song.mp3", &[]).await.into_body();
    while let Some(frame) = body.frame().await {
        assert!(frame.expect("comes").data_ref().expect("data").len() <= 64 << 10);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn head_has_the_fields_of_get_and_no_body() {
    let site = open().await;
    let response = site.ask("HEAD", "/song.mp3", &[("host", DOMAIN), ("range", "bytes=0-0")]).await;
    assert_eq!((response.status(), field(&response, "content-length")), (StatusCode::OK, "655360"));
    assert!(bytes(response).await.is_empty());
    assert!(site.upstream.sent().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_range_across_slices_is_exact() {
    let site = open().await;
    for (start, end) in
        [(0, 1), (SLICE_SIZE - 1, SLICE_SIZE + 1), (5, 2 * SLICE_SIZE + 9), (655_359, 655_360)]
    {
        let range = format!("bytes={start}-{}", end - 1);
        let response = site.get("/song.mp3", &[("range", &range)]).await;
        assert_eq!(response.status(), StatusCode::PARTIAL_CONTENT);
        assert_eq!(field(&response, "content-range"), format!("bytes {start}-{}/655360", end - 1));
        assert_eq!(field(&response, "content-length"), (end - start).to_string());
        assert_eq!(bytes(response).await, song()[start..end], "{range}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_range_past_the_end_answers_416_with_the_size() {
    let site = open().await;
    let response = site.get("/song.mp3", &[("range", "bytes=655360-")]).await;
    assert_eq!(response.status(), StatusCode::RANGE_NOT_SATISFIABLE);
    assert_eq!(field(&response, "content-range"), "bytes */655360");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_has_it_gets_304_without_a_fill() {
    let site = open().await;
    let etag = format!("W/\"{}\"", BlobId::of(&song()).hash);
    let response = site.get("/song.mp3", &[("if-none-match", &etag)]).await;
    assert_eq!(response.status(), StatusCode::NOT_MODIFIED);
    assert_eq!((field(&response, "content-length"), field(&response, "etag")), ("", &etag[2..]));
    assert!(bytes(response).await.is_empty() && site.upstream.sent().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn empty_assets_and_indexes_are_served() {
    let site = open().await;
    let empty = site.get("/empty", &[]).await;
    assert_eq!((empty.status(), field(&empty, "content-length")), (StatusCode::OK, "0"));
    assert_eq!(bytes(site.get("/", &[]).await).await, "<p>hello");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_path_is_looked_up_as_sent_then_decoded_once() {
    let site = open().await;
    assert_eq!(bytes(site.get("/sp%20ace.txt", &[]).await).await, "a space");
    assert_eq!(bytes(site.get("/a%20b", &[]).await).await, "a literal percent");
    assert_eq!(bytes(site.get("/a%2520b", &[]).await).await, "a literal percent");
    for nothing in
        ["/sp%2520ace.txt", "/%2e/empty", "//empty", "/empty/", "/x/../empty", "/empty%00", "/%ff", "/EMPTY"]
    {
        assert_eq!(site.get(nothing, &[]).await.status(), StatusCode::NOT_FOUND, "{nothing}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn other_methods_are_told_which_are_allowed() {
    let site = open().await;
    for method in ["POST", "PUT", "DELETE", "TRACE", "BREW"] {
        let response = site.ask(method, "/empty", &[("host", DOMAIN)]).await;
        assert_eq!(
            (response.status(), field(&response, "allow")),
            (StatusCode::METHOD_NOT_ALLOWED, "GET, HEAD, OPTIONS"),
            "{method}"
        );
    }
}

/// RFC 9110 §9.3.7: `*` asks about the server, whatever it shows.
#[tokio::test(flavor = "multi_thread")]
async fn options_of_everything_is_answered_like_options_of_a_path() {
    let site = open().await;
    for target in ["*", "/song.mp3", "/nothing"] {
        let response = site.ask("OPTIONS", target, &[("host", DOMAIN)]).await;
        assert_eq!(response.status(), StatusCode::NO_CONTENT, "{target}");
        assert_eq!(field(&response, "allow"), "GET, HEAD, OPTIONS", "{target}");
    }
    assert_eq!(site.get("*", &[]).await.status(), StatusCode::NOT_FOUND);
}

/// A body holds one slice, however many parts it has; and the parts of a cold asset cost the slices that they touch.
#[tokio::test(flavor = "multi_thread")]
async fn several_ranges_come_from_the_slices_that_they_touch() {
    let site = open().await;
    let last = format!("bytes=0-0,{0}-{0}", 2 * SLICE_SIZE + 5);
    let response = site.get("/song.mp3", &[("range", &last)]).await;
    assert_eq!(response.status(), StatusCode::PARTIAL_CONTENT);
    let length: usize = field(&response, "content-length").parse().expect("a number");
    let content = bytes(response).await;
    assert_eq!(content.len(), length);
    assert_eq!(site.upstream.sent().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_host_decides_and_an_unknown_one_is_misdirected() {
    let site = open().await;
    for host in ["DEFAULT-1234.localhost", "default-1234.localhost:8443"] {
        assert_eq!(site.ask("GET", "/empty", &[("host", host)]).await.status(), StatusCode::OK, "{host}");
    }
    for host in ["127.0.0.1", "other.localhost"] {
        assert_eq!(
            site.ask("GET", "/empty", &[("host", host)]).await.status(),
            StatusCode::MISDIRECTED_REQUEST,
            "{host}"
        );
    }
    assert_eq!(site.ask("GET", "/empty", &[]).await.status(), StatusCode::BAD_REQUEST);
    let dev = fixture(AccessRules::default(), Some(DOMAIN)).await;
    assert_eq!(dev.ask("GET", "/empty", &[("host", "127.0.0.1:8443")]).await.status(), StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_that_cannot_be_had_answer_502_and_later_ones_cut_the_body() {
    let site = open().await;
    site.upstream.fail([Fault::Refuse; 3]);
    let response = site.get("/song.mp3", &[]).await;
    assert_eq!((response.status(), field(&response, "cache-control")), (StatusCode::BAD_GATEWAY, "no-store"));

    site.upstream.fail([
        Fault::BreakAfter(1),
        Fault::Refuse,
        Fault::Refuse,
        Fault::Refuse,
        Fault::Refuse,
        Fault::Refuse,
    ]);
    let response = site.get("/song.mp3", &[]).await;
    assert_eq!(response.status(), StatusCode::OK);
    assert!(response.into_body().collect().await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn past_the_lease_the_environment_decides() {
    let refuse = AccessRules { public_stale: StaleRule::AtMost(Duration::ZERO), ..AccessRules::default() };
    let site = fixture(refuse, None).await;
    let response = site.get("/empty", &[]).await;
    assert_eq!((response.status(), field(&response, "retry-after")), (StatusCode::SERVICE_UNAVAILABLE, "5"));
    site.site.shared.lease.renew(Lease::now());
    assert_eq!(site.get("/empty", &[]).await.status(), StatusCode::OK);
}
