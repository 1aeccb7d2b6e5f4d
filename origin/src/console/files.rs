//! The page: files of the folder `origin/page`, embedded as they are, compressed once when the router is made.
//!
//! Nothing of the page is loaded from elsewhere, and nothing runs in it that is not one of these files.

use crate::api::Refusal;
use crate::coding::Coding;
use crate::secret::hex;
use axum::Router;
use axum::extract::Path;
use axum::http::header::{
    ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG,
    IF_NONE_MATCH, REFERRER_POLICY, VARY,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use bytes::Bytes;
use std::collections::HashMap;
use std::sync::Arc;

/// Only our own files, calls of our own origin, and pictures and sounds of it; nobody frames the page, and no text becomes markup.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; media-src 'self'; \
    connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
    require-trusted-types-for 'script'; trusted-types 'none'";

macro_rules! files {
    ($($name:literal),* $(,)?) => {
        &[$(($name, include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/page/", $name)))),*]
    };
}

/// Names and bytes.
const FILES: &[(&str, &[u8])] = files![
    "index.html",
    "app.css",
    "icon.svg",
    "en.json",
    "ja.json",
    "access.js",
    "api.js",
    "app.js",
    "assets.js",
    "audit.js",
    "chooser.js",
    "deployments.js",
    "detail.js",
    "dialog.js",
    "dom.js",
    "domains.js",
    "edges.js",
    "format.js",
    "i18n.js",
    "icons.js",
    "sign.js",
    "signin.js",
    "uploads.js",
    "usage.js",
];

/// A file, ready to be sent.
struct File {
    content_type: &'static str,
    etag: HeaderValue,
    plain: Bytes,
    /// None where compressing gains nothing.
    brotli: Option<Bytes>,
    gzip: Option<Bytes>,
}

/// The page at `/`, its files below `/console/page/`.
pub(super) fn router() -> Router {
    let files: Arc<HashMap<&'static str, File>> =
        Arc::new(FILES.iter().map(|(name, bytes)| (*name, file(name, bytes))).collect());
    let named = Arc::clone(&files);
    Router::new()
        .route("/", get(move |headers: HeaderMap| async move { answer(files.get("index.html"), &headers) }))
        .route(
            "/console/page/{name}",
            get(move |Path(name): Path<String>, headers: HeaderMap| async move {
                answer(named.get(name.as_str()), &headers)
            }),
        )
}

fn file(name: &str, bytes: &'static [u8]) -> File {
    let content_type = match name.rsplit('.').next() {
        Some("html") => "text/html; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("svg") => "image/svg+xml",
        _ => "application/json",
    };
    let tag = format!("\"{}\"", hex(&blake3::hash(bytes).as_bytes()[..16]));
    // A compressor that gives up leaves the plain file.
    let coded = |coding: Coding| coding.encode_quickly(bytes).ok().flatten().map(Bytes::from);
    File {
        content_type,
        // Hexadecimal digits in quotes.
        etag: HeaderValue::from_str(&tag).unwrap_or(HeaderValue::from_static("")),
        plain: Bytes::from_static(bytes),
        brotli: coded(Coding::Brotli),
        gzip: coded(Coding::Gzip),
    }
}

fn answer(file: Option<&File>, request: &HeaderMap) -> Response {
    let Some(file) = file else { return Refusal::unknown("file").into_response() };
    let mut headers = HeaderMap::from_iter(
        [
            (CONTENT_TYPE, file.content_type),
            (CONTENT_SECURITY_POLICY, POLICY),
            (REFERRER_POLICY, "no-referrer"),
            // Always asked for: the answer is mostly a 304 of a few bytes.
            (CACHE_CONTROL, "no-cache"),
            (VARY, "accept-encoding"),
            (HeaderName::from_static("x-content-type-options"), "nosniff"),
            (HeaderName::from_static("x-frame-options"), "DENY"),
            (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
            (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
            (HeaderName::from_static("permissions-policy"), "camera=(), microphone=(), geolocation=()"),
        ]
        .map(|(name, value)| (name, HeaderValue::from_static(value))),
    );
    headers.insert(ETAG, file.etag.clone());
    if request.get(IF_NONE_MATCH) == Some(&file.etag) {
        return (StatusCode::NOT_MODIFIED, headers).into_response();
    }
    let accepted = request.get(ACCEPT_ENCODING).and_then(|value| value.to_str().ok()).unwrap_or_default();
    // Browsers give no weights; whoever refuses a coding by a weight of zero gets the plain file.
    let accepts = |coding: &str| {
        !accepted.contains("q=0")
            && accepted.split(',').any(|one| one.split(';').next().unwrap_or_default().trim() == coding)
    };
    let coded = [("br", &file.brotli), ("gzip", &file.gzip)]
        .into_iter()
        .find_map(|(name, body)| Some((name, body.as_ref().filter(|_| accepts(name))?)));
    let body = match coded {
        Some((name, body)) => {
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static(name));
            body.clone()
        }
        None => file.plain.clone(),
    };
    (headers, body).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_whole_page_is_light_when_it_is_compressed() {
        let total: usize = FILES
            .iter()
            .map(|(name, bytes)| file(name, bytes))
            .map(|file| file.brotli.unwrap_or(file.plain).len())
            .sum();
        assert!(total < 150_000, "{total} bytes");
    }

    #[test]
    fn no_file_names_another_host_or_makes_markup_of_text() {
        for (name, bytes) in FILES {
            let text = String::from_utf8_lossy(bytes);
            for word in [
                "innerHTML",
                "outerHTML",
                "insertAdjacentHTML",
                "document.write",
                "eval(",
                "style=\"",
                "<script>",
            ] {
                assert!(!text.contains(word), "{word} in {name}");
            }
            let without_names = text.replace("http://www.w3.org/2000/svg", "").replace("https://HOST", "");
            assert!(!without_names.contains("//cdn") && !without_names.contains("src=\"http"), "{name}");
        }
    }

    #[test]
    fn both_languages_say_everything() {
        let catalogue = |name: &str| {
            let (_, bytes) = FILES.iter().find(|(file, _)| *file == name).expect("is there");
            serde_json::from_slice::<std::collections::BTreeMap<String, String>>(bytes).expect("texts by key")
        };
        let (english, japanese) = (catalogue("en.json"), catalogue("ja.json"));
        assert_eq!(english.keys().collect::<Vec<_>>(), japanese.keys().collect::<Vec<_>>());
        let holes = |text: &str| {
            let mut holes: Vec<String> =
                text.split('{').skip(1).filter_map(|rest| Some(rest.split_once('}')?.0.to_owned())).collect();
            holes.sort();
            holes
        };
        for (key, text) in &english {
            assert!(!text.is_empty() && !japanese[key].is_empty(), "{key}");
            assert_eq!(holes(text), holes(&japanese[key]), "{key}");
        }
    }

    #[test]
    fn every_text_that_the_page_names_is_in_the_catalogue() {
        let (_, bytes) = FILES.iter().find(|(file, _)| *file == "en.json").expect("is there");
        let english: std::collections::BTreeMap<String, String> =
            serde_json::from_slice(bytes).expect("texts by key");
        for (name, bytes) in FILES.iter().filter(|(name, _)| name.ends_with(".js")) {
            let text = String::from_utf8_lossy(bytes);
            for rest in text.split(" t(\"").skip(1).chain(text.split("(t(\"").skip(1)) {
                let key = rest.split('"').next().unwrap_or_default();
                assert!(english.contains_key(key), "{key} of {name}");
            }
        }
    }

    #[test]
    fn a_known_tag_is_answered_without_the_file() {
        let file = file("app.css", b"body{}");
        let mut request = HeaderMap::new();
        request.insert(IF_NONE_MATCH, file.etag.clone());
        assert_eq!(answer(Some(&file), &request).status(), StatusCode::NOT_MODIFIED);
        assert_eq!(answer(None, &request).status(), StatusCode::NOT_FOUND);
    }
}
