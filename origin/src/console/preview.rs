//! The bytes of a version, live or not, for its owner: to be looked at, listened to, or saved.
//!
//! Whatever was uploaded, nothing of it acts for the console: only types that cannot run are named, everything is sandboxed into an
//! origin of its own without a right to anything, and no other page may show it.

use super::Console;
use crate::api::{Call, Refusal};
use crate::blobs::{BlobError, BlobReader};
use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_RANGE,
    CONTENT_SECURITY_POLICY, CONTENT_TYPE, RANGE,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::stream;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use skerry_proto::slices::SLICE_SIZE;
use std::ops::Range;

/// Media types that browsers show without running anything.
const SHOWN: [&str; 14] = [
    "image/png",
    "image/jpeg",
    "image/gif",
    "image/webp",
    "image/avif",
    "image/bmp",
    "audio/mpeg",
    "audio/mp4",
    "audio/ogg",
    "audio/wav",
    "audio/flac",
    "video/mp4",
    "video/webm",
    "video/ogg",
];

/// How it is wanted.
#[derive(Debug, Deserialize)]
pub(super) struct Wanted {
    /// To be saved, not shown.
    #[serde(default)]
    download: Option<String>,
}

/// Answers with the bytes, or with the part that a player asks for.
pub(super) async fn show(
    State(console): State<Console>,
    call: Call,
    Path(sid): Path<String>,
    Query(wanted): Query<Wanted>,
    request_headers: HeaderMap,
) -> Result<Response, Refusal> {
    let version = console.api.catalogue.own_version(call.account(), &sid).await?;
    let version = version.ok_or_else(|| Refusal::unknown("asset version"))?;
    let size = version.blob.id.size;
    let range = request_headers.get(RANGE).and_then(|value| value.to_str().ok());
    let part = match range.map(|range| part(range, size)) {
        None | Some(Part::Ignored) => None,
        Some(Part::Of(part)) => Some(part),
        Some(Part::Outside) => {
            let outside = [(CONTENT_RANGE, format!("bytes */{size}"))];
            return Ok((StatusCode::RANGE_NOT_SATISFIABLE, outside).into_response());
        }
    };
    let blob = console.api.blobs.open_blob(version.blob.id).await?;
    let mut headers = headers(&version.content_type, wanted.download.is_some(), &version.path);
    let bytes = part.clone().unwrap_or(0..size);
    headers.insert(CONTENT_LENGTH, HeaderValue::from(bytes.end - bytes.start));
    let status = match part {
        None => StatusCode::OK,
        Some(part) => {
            let range = format!("bytes {}-{}/{size}", part.start, part.end - 1);
            headers.extend(HeaderValue::from_str(&range).map(|range| (CONTENT_RANGE, range)));
            StatusCode::PARTIAL_CONTENT
        }
    };
    Ok((status, headers, body(blob, bytes)).into_response())
}

fn headers(content_type: &str, is_download: bool, path: &str) -> HeaderMap {
    let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let is_text = essence.starts_with("text/")
        || ["json", "xml", "yaml", "toml", "javascript"].iter().any(|end| essence.ends_with(end));
    let shown = match SHOWN.iter().find(|shown| **shown == essence) {
        Some(shown) => shown,
        None if is_text => "text/plain; charset=utf-8",
        None => "application/octet-stream",
    };
    let mut headers = HeaderMap::from_iter(
        [
            (CONTENT_TYPE, shown),
            (CONTENT_SECURITY_POLICY, "sandbox; default-src 'none'"),
            (HeaderName::from_static("x-content-type-options"), "nosniff"),
            (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
            // Whoever signs out, or loses the right to it, must not find it in the browser any more.
            (CACHE_CONTROL, "no-store"),
            (ACCEPT_RANGES, "bytes"),
        ]
        .map(|(name, value)| (name, HeaderValue::from_static(value))),
    );
    let name = utf8_percent_encode(path.rsplit('/').next().unwrap_or_default(), NON_ALPHANUMERIC);
    let kind = if is_download || shown == "application/octet-stream" { "attachment" } else { "inline" };
    // RFC 8187 §3.2
    let disposition = HeaderValue::from_str(&format!("{kind}; filename*=UTF-8''{name}"));
    headers.extend(disposition.map(|disposition| (CONTENT_DISPOSITION, disposition)));
    headers
}

/// What a `Range` asks for.
#[derive(Debug, PartialEq, Eq)]
enum Part {
    Of(Range<u64>),
    Outside,
    /// Several ranges, or none that is understood: all of it is the answer (RFC 9110 §14.2).
    Ignored,
}

/// One range of bytes (RFC 9110 §14.1.2): all that players ask for.
fn part(range: &str, size: u64) -> Part {
    let Some((first, last)) = range.strip_prefix("bytes=").and_then(|range| range.split_once('-')) else {
        return Part::Ignored;
    };
    let (first, last) = (first.trim().parse::<u64>(), last.trim());
    match (first, last.parse::<u64>()) {
        (Ok(first), _) if first >= size => Part::Outside,
        (Ok(first), Ok(last)) if last >= first => Part::Of(first..last.saturating_add(1).min(size)),
        (Ok(first), Err(_)) if last.is_empty() => Part::Of(first..size),
        (Err(_), Ok(0)) => Part::Outside,
        (Err(_), Ok(suffix)) if range.starts_with("bytes=-") && size > 0 => {
            Part::Of(size.saturating_sub(suffix)..size)
        }
        _ => Part::Ignored,
    }
}

/// Streams the bytes, a slice at a time. One that cannot be read ends the connection before its promised length.
fn body(blob: BlobReader, bytes: Range<u64>) -> Body {
    Body::from_stream(stream::try_unfold((blob, bytes), async |(blob, bytes)| {
        if bytes.is_empty() {
            return Ok::<_, BlobError>(None);
        }
        let slice_size = SLICE_SIZE as u64;
        let (index, skipped) = (bytes.start / slice_size, (bytes.start % slice_size) as usize);
        let mut slice: Bytes = blob.slices(index, 1).await?.pop().unwrap_or_default();
        drop(slice.split_to(skipped.min(slice.len())));
        slice.truncate(usize::try_from(bytes.end - bytes.start).unwrap_or(usize::MAX));
        let next = bytes.start + slice.len() as u64;
        // No progress would be no end.
        let rest = if slice.is_empty() { bytes.end..bytes.end } else { next..bytes.end };
        Ok(Some((slice, (blob, rest))))
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn players_get_the_part_that_they_ask_for() {
        for (range, expected) in [
            ("bytes=0-", Part::Of(0..10)),
            ("bytes=2-4", Part::Of(2..5)),
            ("bytes=2-99", Part::Of(2..10)),
            ("bytes=-3", Part::Of(7..10)),
            ("bytes=-30", Part::Of(0..10)),
            ("bytes=10-", Part::Outside),
            ("bytes=-0", Part::Outside),
            ("bytes=4-2", Part::Ignored),
            ("bytes=0-1,3-4", Part::Ignored),
            ("lines=0-1", Part::Ignored),
        ] {
            assert_eq!(part(range, 10), expected, "{range}");
        }
        assert_eq!(part("bytes=0-", 0), Part::Outside);
    }

    #[test]
    fn nothing_that_could_run_keeps_its_type() {
        for (given, expected) in [
            ("image/png", "image/png"),
            ("image/svg+xml", "text/plain; charset=utf-8"),
            ("text/html; charset=utf-8", "text/plain; charset=utf-8"),
            ("application/xhtml+xml", "text/plain; charset=utf-8"),
            ("text/javascript", "text/plain; charset=utf-8"),
            ("application/pdf", "application/octet-stream"),
            ("application/x-shockwave-flash", "application/octet-stream"),
        ] {
            let headers = headers(given, false, "/a\"\r\n<b>.x");
            assert_eq!(headers[CONTENT_TYPE], expected, "{given}");
            assert_eq!(headers[CONTENT_SECURITY_POLICY], "sandbox; default-src 'none'");
            let name = headers[CONTENT_DISPOSITION].to_str().expect("visible");
            assert!(name.ends_with("; filename*=UTF-8''a%22%0D%0A%3Cb%3E%2Ex"), "{name}");
        }
    }
}
