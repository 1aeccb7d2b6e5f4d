//! Requests to a whole site: everything that decides about a response, without sockets.

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, HOST};
use http::{Method, Request};
use http_body_util::BodyExt;
use skerry_edge::cache::{AccountKey, Asks, SliceCache, SliceKey};
use skerry_edge::config::{CacheConfig, FillLimits, ServeConfig};
use skerry_edge::control::{Environment, Environments, Lease, Secrets, Told};
use skerry_edge::fill::{SliceStream, Slices, Upstream, UpstreamError};
use skerry_edge::metrics::Metrics;
use skerry_edge::serve::{Connection, Protocol, Site};
use skerry_proto::manifest::{Entry, Representation};
use skerry_proto::pointer::{Pointer, ServingRules, Version};
use skerry_proto::rules::{Redirect, RedirectStatus, SiteRules};
use skerry_proto::slices::{BlobId, SliceList};
use skerry_proto::visibility::Visibility;
use skerry_proto::wire::FillRequest;
use std::net::Ipv4Addr;
use std::pin::Pin;
use std::sync::{Arc, LazyLock};
use std::time::Duration;
use tempfile::TempDir;
use tokio::runtime::Runtime;

const DOMAIN: &str = "site.test";
const ACCOUNT: &str = "AC0123";

/// What nobody may see who has no proof.
const SECRET: &[u8] = b"for those who sign";

/// First line: method and target. Further lines: a field each. Whatever it is, the answer is whole and is allowed.
pub(crate) fn request(bytes: &[u8]) {
    let mut lines = bytes.split(|byte| *byte == b'\n');
    let first = lines.next().unwrap_or_default();
    let (method, target) = first.split_at(first.iter().position(|byte| *byte == b' ').unwrap_or(0));
    let Ok(method) = Method::from_bytes(method) else { return };
    let mut request = Request::builder().method(method.clone()).uri(target.trim_ascii()).header(HOST, DOMAIN);
    for line in lines {
        let (name, value) = line.split_at(line.iter().position(|byte| *byte == b':').unwrap_or(0));
        request = request.header(name, value.get(1..).unwrap_or_default());
    }
    // What is no request for the parser of a protocol never comes here.
    let Ok(request) = request.body(()) else { return };
    let (head, ()) = request.into_parts();
    let fixture = &*FIXTURE;
    let connection = Connection { protocol: Protocol::Http1, sni: None, peer: Ipv4Addr::LOCALHOST.into() };
    let (parts, body) = fixture.runtime.block_on(async {
        let (parts, body) = fixture.site.respond(&head, &connection).await.into_parts();
        (parts, body.collect().await.expect("a body that is begun is in memory").to_bytes())
    });
    let stated = parts.headers.get(CONTENT_LENGTH).map(|length| length.to_str().expect("digits"));
    if method != Method::HEAD && parts.status != 304 && parts.status != 204 {
        assert_eq!(
            stated,
            Some(body.len().to_string().as_str()),
            "{}: the stated length is right",
            parts.status
        );
    }
    assert!(!body.windows(SECRET.len()).any(|window| window == SECRET), "nothing protected without proof");
    assert!(!parts.status.is_server_error() || parts.status == 503, "{} of bytes in memory", parts.status);
}

struct Fixture {
    runtime: Runtime,
    site: Site,
    _folder: TempDir,
}

static FIXTURE: LazyLock<Fixture> = LazyLock::new(|| {
    let folder = tempfile::tempdir().expect("a folder");
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let runtime = runtime.expect("a runtime");
    let metrics = Arc::new(Metrics::new("fuzz").expect("buckets"));
    let cache =
        SliceCache::start(folder.path(), CacheConfig::default(), runtime.handle(), Arc::clone(&metrics));
    let environments = Arc::new(Environments::default());
    environments.show(Arc::new(environment(&cache)));
    let upstream = Box::new(Nowhere);
    let slices =
        Slices::new(cache, upstream, FillLimits::default(), runtime.handle().clone(), Arc::clone(&metrics));
    let lease = Arc::new(Lease::load(folder.path().join("lease"), Duration::from_secs(3600)));
    lease.renew(Lease::now());
    let secrets = Arc::new(Secrets::load(folder.path().join("secrets"), false).expect("an empty folder"));
    let told = Told { environments, lease, secrets };
    // What a proxy says is read, too.
    let trusted_peers = vec![Ipv4Addr::LOCALHOST.to_string().parse().expect("a network")];
    let config = ServeConfig { trusted_peers, ..ServeConfig::default() };
    let site = Site::new(told, Arc::new(slices), metrics, 443, None, &config);
    Fixture { runtime, site, _folder: folder }
});

/// A build with one of everything.
fn environment(cache: &SliceCache) -> Environment {
    let pointer = Pointer {
        version: Version::default(),
        domain: DOMAIN.into(),
        account_sid: ACCOUNT.into(),
        environment_sid: "ZE0123".into(),
        serving: ServingRules { post_as_get: true, untrusted_uploads: true },
        ..Pointer::default()
    };
    let entry = |path: &str, visibility, content_type: &str, forms: &[(&str, &[u8])]| Entry {
        path: path.parse().expect("a path"),
        visibility,
        content_type: content_type.into(),
        modified: 1_700_000_000,
        representations: forms
            .iter()
            .map(|(encoding, bytes)| representation(cache, encoding, bytes))
            .collect(),
        cache_control: None,
        fields: Vec::new(),
    };
    let (public, protected) = (Visibility::Public, Visibility::Protected);
    let entries = vec![
        entry("/a.txt", public, "text/plain", &[("", &[b'a'; 100]), ("br", b"br"), ("gzip", b"gzip")]),
        entry("/empty", public, "audio/mpeg", &[("", b"")]),
        entry("/docs/index.html", public, "text/html", &[("", b"<p>docs</p>")]),
        entry("/404.html", public, "text/html", &[("", b"<p>nothing here</p>")]),
        entry("/a b/\u{fc}.svg", public, "image/svg+xml", &[("", b"<svg/>")]),
        entry("/secret.txt", protected, "text/plain", &[("", SECRET)]),
    ];
    let redirect = |from: &str, to: &str, status| Redirect { from: from.into(), to: to.into(), status };
    let rules = SiteRules {
        redirects: vec![
            redirect("/old/*", "/new/:splat", RedirectStatus::PermanentRedirect),
            redirect("/away/*", "https://example.com/:splat", RedirectStatus::Found),
            redirect("/app/*", "/a.txt", RedirectStatus::Rewrite),
            redirect("/sneak/*", "/:splat", RedirectStatus::Rewrite),
        ],
        index: Some("index.html".into()),
        not_found: Some("/404.html".parse().expect("a path")),
    };
    Environment::of_entries(&pointer, entries, rules, Vec::new())
}

/// A form whose bytes are in memory.
fn representation(cache: &SliceCache, encoding: &str, bytes: &[u8]) -> Representation {
    let blob = BlobId::of(bytes);
    if !bytes.is_empty() {
        let list = SliceList::trivial(blob).expect("one slice needs no list");
        let slice = list.check(0, Bytes::copy_from_slice(bytes)).expect("its own bytes");
        cache.insert(
            SliceKey { account: AccountKey::of(ACCOUNT), hash: blob.hash, slice: 0 },
            &slice,
            Asks::Once,
        );
    }
    Representation { encoding: encoding.into(), blob, sha256: [0; 32] }
}

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
