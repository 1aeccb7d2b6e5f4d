//! Which host a request means, and what stands at its path.

use super::redirect::{self, Splat};
use super::refuse::Refusal;
use crate::control::{Asset, Environment, Form};
use http::header::{HOST, HeaderValue};
use http::request::Parts;
use http::uri::Authority;
use http::{StatusCode, Version};
use percent_encoding::percent_decode_str;
use skerry_proto::path::PATH_CHARS_MAX;
use skerry_proto::rules::RedirectStatus;
use std::borrow::Cow;
use std::sync::Arc;

/// The host that a request is for, without a port: of the request target if it has one, else of `Host` (RFC 9110 §7.2).
///
/// | | RFC |
/// | --- | --- |
/// | a field that is repeated or malformed is refused, also where the target names the host | 9112 §3.2 |
/// | HTTP/1.1 needs the field, and a target of absolute form goes before it | 9112 §3.2, §3.2.2 |
/// | over HTTP/2 and HTTP/3 a field beside the pseudo-header says the same | 9113 §8.3.1, 9114 §4.3.1 |
pub(super) fn host(request: &Parts) -> Result<&str, Refusal> {
    let mut values = request.headers.get_all(HOST).iter();
    let field = match (values.next(), values.next()) {
        (None, _) => None,
        (Some(value), None) => {
            let value = value.to_str().map_err(|_| Refusal::BadHost)?;
            Some((value, without_port(value).ok_or(Refusal::BadHost)?))
        }
        (Some(_), Some(_)) => return Err(Refusal::BadHost),
    };
    let Some(authority) = request.uri.authority().map(Authority::as_str) else {
        return field.map(|(_, host)| host).ok_or(Refusal::BadHost);
    };
    let fits = match request.version {
        Version::HTTP_2 | Version::HTTP_3 => {
            field.is_none_or(|(value, _)| plain(value).eq_ignore_ascii_case(plain(authority)))
        }
        Version::HTTP_11 => field.is_some(),
        _ => true,
    };
    without_port(authority).filter(|_| fits).ok_or(Refusal::BadHost)
}

/// Without the port that goes without saying.
fn plain(authority: &str) -> &str {
    authority.strip_suffix(":443").unwrap_or(authority)
}

/// What stands at a request's path.
#[derive(Debug)]
pub(super) enum Route {
    /// An asset, by its path.
    Asset(Arc<Asset>),
    /// One form of an asset, by its hash.
    Form(Form),
    /// Something elsewhere.
    Redirect(StatusCode, HeaderValue),
    /// Nothing.
    Nowhere,
}

/// Where content-addressed URLs begin; no asset has such a path.
const BY_HASH: &str = "/.skerry/b3/";

/// Finds what stands at a path: an asset, else the index of the folder, else what the build's redirects say.
///
/// The path is looked up as it was sent, and then once percent-decoded, so that an asset answers by the name that its publisher gave
/// and by the name that a browser makes of it. Nothing is normalised.
pub(super) fn route(environment: &Environment, sent: &str, query: Option<&str>) -> Route {
    if let Some(name) = sent.strip_prefix(BY_HASH) {
        return by_hash(environment, name).cloned().map_or(Route::Nowhere, Route::Form);
    }
    match asset(environment, sent) {
        Some(asset) => Route::Asset(asset),
        None => elsewhere(environment, sent, query),
    }
}

/// The asset that a path shows.
fn asset(environment: &Environment, sent: &str) -> Option<Arc<Asset>> {
    let shown = match shown(environment, sent) {
        None if sent.contains('%') => {
            let mut decoded = PathBuffer::new();
            decoded.push(percent_decode_str(sent))?;
            shown(environment, decoded.as_str()?)
        }
        shown => shown,
    };
    shown.cloned()
}

/// The asset of exactly this name, or the index of the folder of this name.
fn shown<'a>(environment: &'a Environment, path: &str) -> Option<&'a Arc<Asset>> {
    let folder = if path.is_empty() { "/" } else { path };
    match &environment.rules.index {
        Some(index) if folder.ends_with('/') => {
            let mut path = PathBuffer::new();
            path.push(folder.bytes().chain(index.bytes()))?;
            environment.asset(path.as_str()?)
        }
        None if folder == "/" => environment.asset("/index.html"),
        _ => environment.asset(path),
    }
}

/// The form that `hash/name` shows. The name is there for people alone.
fn by_hash<'a>(environment: &'a Environment, name: &str) -> Option<&'a Form> {
    let (hash, _) = name.split_once('/')?;
    environment.by_hash(&hash.parse().ok()?)
}

/// Where a path leads that shows no asset.
fn elsewhere(environment: &Environment, sent: &str, query: Option<&str>) -> Route {
    let decoded = match percent_decode_str(sent).decode_utf8() {
        Ok(Cow::Owned(decoded)) => Some(decoded),
        Ok(Cow::Borrowed(_)) | Err(_) => None,
    };
    let rules = &environment.rules;
    let mut names = [Some(sent), decoded.as_deref()].into_iter().flatten();
    let is_folder = |name: &str| {
        let index = rules.index.as_ref().filter(|_| !name.ends_with('/'));
        index.is_some_and(|index| environment.asset(&format!("{name}/{index}")).is_some())
    };
    if names.any(is_folder) {
        let location = redirect::folder(sent, query);
        return location
            .map_or(Route::Nowhere, |location| Route::Redirect(StatusCode::PERMANENT_REDIRECT, location));
    }
    let as_sent = rules.redirect(sent).map(|fit| (fit.place, fit.redirect, Splat::Sent(fit.splat)));
    let as_decoded = decoded
        .as_deref()
        .and_then(|decoded| rules.redirect(decoded))
        .map(|fit| (fit.place, fit.redirect, Splat::Decoded(fit.splat)));
    // Of two with one place, the first.
    let first = as_sent.into_iter().chain(as_decoded).min_by_key(|(place, ..)| *place);
    let Some((_, rule, splat)) = first else { return Route::Nowhere };
    if rule.status == RedirectStatus::Rewrite {
        // Rules are not asked again, so no rewrite leads in a circle.
        return asset(environment, &redirect::rewritten(rule, splat)).map_or(Route::Nowhere, Route::Asset);
    }
    let status = StatusCode::from_u16(rule.status.code()).ok();
    match status.zip(redirect::location(rule, splat, query)) {
        Some((status, location)) => Route::Redirect(status, location),
        None => Route::Nowhere,
    }
}

/// A path on the stack, so that a hit allocates nothing; it holds the longest path that an asset can have.
struct PathBuffer {
    bytes: [u8; Self::SIZE],
    len: usize,
}

impl PathBuffer {
    /// Characters of UTF-8 have at most four bytes.
    const SIZE: usize = 4 * PATH_CHARS_MAX;

    const fn new() -> Self {
        Self { bytes: [0; Self::SIZE], len: 0 }
    }

    /// `None` where the path would be longer than any asset's.
    fn push(&mut self, bytes: impl IntoIterator<Item = u8>) -> Option<()> {
        for byte in bytes {
            *self.bytes.get_mut(self.len)? = byte;
            self.len += 1;
        }
        Some(())
    }

    /// `None` where it is no UTF-8.
    fn as_str(&self) -> Option<&str> {
        std::str::from_utf8(self.bytes.get(..self.len)?).ok()
    }
}

/// Host of `host [":" port]`; `None` where it is none or has user information.
fn without_port(authority: &str) -> Option<&str> {
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let (address, port) = rest.split_once(']')?;
            (&authority[..address.len() + 2], port)
        }
        None => authority.find(':').map_or((authority, ""), |colon| authority.split_at(colon)),
    };
    let port_fits = port.is_empty()
        || port.strip_prefix(':').is_some_and(|port| port.bytes().all(|byte| byte.is_ascii_digit()));
    let host_fits =
        host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~[]:%!$&'()*+,;=".contains(&byte));
    (!host.is_empty() && port_fits && host_fits).then_some(host)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::testing::{Sketch, entry};
    use http::Request;
    use skerry_proto::rules::{Redirect, SiteRules};
    use skerry_proto::slices::BlobId;

    fn host_of(uri: &str, hosts: &[&str]) -> Option<String> {
        let mut request = Request::builder().uri(uri);
        for host in hosts {
            request = request.header(HOST, *host);
        }
        let (parts, ()) = request.body(()).expect("a request").into_parts();
        host(&parts).ok().map(str::to_owned)
    }

    #[test]
    fn the_host_comes_from_the_target_else_from_the_field() {
        assert_eq!(host_of("/x", &["a.test"]).as_deref(), Some("a.test"));
        assert_eq!(host_of("/x", &["a.test:8443"]).as_deref(), Some("a.test"));
        assert_eq!(host_of("/x", &["[::1]:8443"]).as_deref(), Some("[::1]"));
        assert_eq!(host_of("https://b.test:1/x", &["a.test"]).as_deref(), Some("b.test"));
    }

    #[test]
    fn beside_a_host_in_the_target_the_field_still_has_to_be_right() {
        let table: [(Version, &[&str], bool); 11] = [
            (Version::HTTP_11, &["a.test"], true),
            (Version::HTTP_11, &["b.test"], true),
            (Version::HTTP_11, &[], false),
            (Version::HTTP_11, &["a.test", "a.test"], false),
            (Version::HTTP_11, &["a b"], false),
            (Version::HTTP_10, &[], true),
            (Version::HTTP_2, &[], true),
            (Version::HTTP_2, &["A.test:1"], true),
            (Version::HTTP_2, &["a.test"], false),
            (Version::HTTP_2, &["b.test:1"], false),
            (Version::HTTP_3, &["b.test:1"], false),
        ];
        for (version, hosts, is_right) in table {
            let mut request = Request::builder().version(version).uri("https://a.test:1/x");
            for host in hosts {
                request = request.header(HOST, *host);
            }
            let (parts, ()) = request.body(()).expect("a request").into_parts();
            let expected = if is_right { Ok("a.test") } else { Err(Refusal::BadHost) };
            assert_eq!(host(&parts), expected, "{version:?} {hosts:?}");
        }
    }

    #[test]
    fn a_missing_repeated_or_malformed_host_is_refused() {
        // RFC 9112 §3.2
        let cases: [&[&str]; 8] =
            [&[], &["a.test", "a.test"], &[""], &["a b"], &["u@a.test"], &["a.test:x"], &[":80"], &["[::1"]];
        for hosts in cases {
            assert_eq!(host_of("/x", hosts), None, "{hosts:?}");
        }
    }

    fn environment(paths: &[&str], rules: SiteRules) -> Environment {
        let mut sketch = Sketch::new("a.test");
        sketch.entries = paths.iter().map(|path| entry(path, path.as_bytes())).collect();
        sketch.rules = rules;
        sketch.environment()
    }

    /// The bytes that a path shows, which are the asset's own path; or where it leads.
    fn routed(environment: &Environment, path: &str) -> Result<String, (u16, String)> {
        match route(environment, path, None) {
            Route::Asset(asset) => {
                let hash = asset.representations[0].blob.hash;
                let paths = ["/index.html", "/a b", "/docs/index.html", "/docs/a", "/app.html", "/%41"];
                Ok(paths
                    .into_iter()
                    .find(|path| BlobId::of(path.as_bytes()).hash == hash)
                    .expect("known")
                    .into())
            }
            Route::Form(_) => Err((200, "a form".into())),
            Route::Redirect(status, to) => Err((status.as_u16(), to.to_str().expect("text").into())),
            Route::Nowhere => Err((404, String::new())),
        }
    }

    #[test]
    fn without_a_declared_index_the_root_alone_has_one() {
        let environment = environment(&["/index.html", "/docs/index.html"], SiteRules::default());
        assert_eq!(routed(&environment, "/").as_deref(), Ok("/index.html"));
        for nowhere in ["/docs/", "/docs", "//"] {
            assert_eq!(routed(&environment, nowhere), Err((404, String::new())), "{nowhere}");
        }
    }

    #[test]
    fn a_declared_index_shows_folders_and_leads_to_them() {
        let rules = SiteRules { index: Some("index.html".into()), ..SiteRules::default() };
        let environment = environment(&["/index.html", "/docs/index.html", "/docs/a"], rules);
        assert_eq!(routed(&environment, "/").as_deref(), Ok("/index.html"));
        assert_eq!(routed(&environment, "/docs/").as_deref(), Ok("/docs/index.html"));
        assert_eq!(routed(&environment, "/%64ocs/").as_deref(), Ok("/docs/index.html"));
        assert_eq!(routed(&environment, "/docs"), Err((308, "/docs/".into())));
        assert_eq!(routed(&environment, "/%64ocs"), Err((308, "/%64ocs/".into())));
        for nowhere in ["/docs//", "/docs/a/", "/nothing/"] {
            assert_eq!(routed(&environment, nowhere), Err((404, String::new())), "{nowhere}");
        }
    }

    #[test]
    fn redirects_count_where_no_asset_stands() {
        let redirect = |from: &str, to: &str, status| Redirect { from: from.into(), to: to.into(), status };
        let redirects = vec![
            redirect("/docs/*", "/d/:splat", RedirectStatus::MovedPermanently),
            redirect("/ü/*", "/u/:splat", RedirectStatus::SeeOther),
            redirect("/loop", "/loop/again", RedirectStatus::Rewrite),
            redirect("/loop/again", "/loop", RedirectStatus::Rewrite),
            redirect("/s/*", "/:splat", RedirectStatus::Rewrite),
            redirect("/*", "/app.html", RedirectStatus::Rewrite),
        ];
        let rules = SiteRules { redirects, ..SiteRules::default() };
        let environment = environment(&["/docs/a", "/app.html", "/a b", "/%41"], rules);
        let shown = [
            ("/docs/a", "/docs/a"),
            ("/anything", "/app.html"),
            ("/", "/app.html"),
            ("/s/a%20b", "/a b"),
            ("/s/%41", "/%41"),
        ];
        for (path, asset) in shown {
            assert_eq!(routed(&environment, path).as_deref(), Ok(asset), "{path}");
        }
        assert_eq!(routed(&environment, "/docs/b%20c"), Err((301, "/d/b%20c".into())));
        assert_eq!(routed(&environment, "/%C3%BC/x%2520"), Err((303, "/u/x%2520".into())));
        for nowhere in ["/loop", "/loop/again", "/s/nothing"] {
            assert_eq!(routed(&environment, nowhere), Err((404, String::new())), "{nowhere}");
        }
    }

    #[test]
    fn a_path_longer_than_any_asset_s_is_nowhere() {
        let environment = environment(&["/index.html"], SiteRules::default());
        let long = format!("/{}", "%41".repeat(PathBuffer::SIZE));
        assert_eq!(routed(&environment, &long), Err((404, String::new())));
    }
}
