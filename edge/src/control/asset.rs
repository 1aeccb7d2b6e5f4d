//! Assets, ready to be served: every header value that does not depend on the request was made when the pointer was taken.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{HeaderName, HeaderValue};
use nix::time::{ClockId, clock_gettime};
use skerry_proto::manifest::Entry;
use skerry_proto::slices::BlobId;
use skerry_proto::visibility::Visibility;
use skerry_proto::{history, manifest};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A path may change with the next deployment, so every use is revalidated; the strong `ETag` makes that cheap.
const REVALIDATE: HeaderValue = HeaderValue::from_static("public, max-age=0, must-revalidate");

/// What one signature opened must not be kept for the next client.
const PRIVATE: HeaderValue = HeaderValue::from_static("private, no-cache");

/// What one path shows, or showed.
#[derive(Debug)]
pub struct Asset {
    /// Public or protected.
    pub visibility: Visibility,
    /// `Content-Type`.
    pub content_type: HeaderValue,
    /// What the bytes may do in a browser.
    pub activity: Activity,
    /// `Last-Modified`, unless the environment's floor is later. What only a history names has none.
    pub modified: Option<Modified>,
    /// `Cache-Control` at its path.
    pub cache_control: HeaderValue,
    /// Coded forms; the first one is identity, but in a history, which names single forms.
    pub representations: Box<[Representation]>,
    /// Declared with the build.
    pub fields: Box<[(HeaderName, HeaderValue)]>,
}

/// One coded form of an asset.
#[derive(Debug)]
pub struct Representation {
    /// How it is coded.
    pub coding: Coding,
    /// Its bytes.
    pub blob: BlobId,
    /// Strong `ETag` (RFC 9110 §8.8.3): the hash.
    pub etag: HeaderValue,
    /// `Content-Length` of the whole.
    pub content_length: HeaderValue,
    /// `Repr-Digest` (RFC 9530).
    pub digest: HeaderValue,
}

/// A content coding (RFC 9110 §8.4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coding {
    /// The bytes as uploaded.
    Identity,
    /// RFC 7932
    Brotli,
    /// RFC 8878
    Zstd,
    /// RFC 1952
    Gzip,
}

impl Coding {
    /// All that a manifest may name.
    pub const ALL: [Self; 4] = [Self::Identity, Self::Brotli, Self::Zstd, Self::Gzip];

    /// Its name in `Accept-Encoding` and `Content-Encoding`.
    pub const fn token(self) -> &'static str {
        match self {
            Self::Identity => "identity",
            Self::Brotli => "br",
            Self::Zstd => "zstd",
            Self::Gzip => "gzip",
        }
    }

    /// The coding of a manifest or history, where identity has an empty name.
    fn from_document(name: &str) -> Option<Self> {
        match name {
            "" => Some(Self::Identity),
            name => Self::ALL[1..].iter().copied().find(|coding| coding.token() == name),
        }
    }
}

/// What a browser may run when it opens an asset as a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activity {
    /// Nothing.
    Inert,
    /// SVG and XML, which few know to hold scripts.
    Xml,
    /// A page.
    Html,
}

impl Activity {
    fn of(content_type: &str) -> Self {
        let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        match essence.as_str() {
            "text/html" | "application/xhtml+xml" => Self::Html,
            "text/xml" | "application/xml" | "text/xsl" => Self::Xml,
            essence if essence.ends_with("+xml") => Self::Xml,
            _ => Self::Inert,
        }
    }
}

/// A time in whole seconds, and its header.
#[derive(Debug, Clone)]
pub struct Modified {
    /// Unix seconds.
    pub seconds: i64,
    /// As an HTTP date (RFC 9110 §5.6.7).
    pub header: HeaderValue,
}

impl Modified {
    pub(super) fn at(seconds: i64) -> Self {
        let time = u64::try_from(seconds)
            .ok()
            .and_then(|seconds| UNIX_EPOCH.checked_add(Duration::from_secs(seconds)))
            .filter(|time| *time < latest_http_date())
            .unwrap_or(UNIX_EPOCH);
        Self { seconds, header: value(&httpdate::fmt_http_date(time)) }
    }

    /// Whether this clock is there yet. The origin's may be ahead, and going back to an older version moves a date forward.
    pub fn has_come(&self) -> bool {
        // The coarse clock costs some nanoseconds; unknown, it counts as right.
        let now = clock_gettime(ClockId::CLOCK_REALTIME_COARSE).map_or(i64::MAX, |time| time.tv_sec());
        self.seconds <= now
    }
}

/// The first second of the year 10000, which an HTTP date cannot say.
fn latest_http_date() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(253_402_300_800)
}

impl Asset {
    /// What an entry of a manifest shows. Its rules were checked when it was read.
    pub(super) fn of_entry(entry: &Entry) -> Self {
        let representation = |form: &manifest::Representation| {
            Some(Representation::new(Coding::from_document(&form.encoding)?, form.blob, &form.sha256))
        };
        let field = |field: &skerry_proto::rules::HeaderField| {
            Some((HeaderName::try_from(field.name()).ok()?, value(field.value())))
        };
        Self {
            visibility: entry.visibility,
            content_type: value(&entry.content_type),
            activity: Activity::of(&entry.content_type),
            modified: Some(Modified::at(entry.modified)),
            cache_control: match (entry.visibility, &entry.cache_control) {
                (Visibility::Public, None) => REVALIDATE,
                (Visibility::Public, Some(declared)) => value(declared),
                (Visibility::Protected | Visibility::Private, _) => PRIVATE,
            },
            representations: entry.representations.iter().filter_map(representation).collect(),
            fields: entry.fields.iter().filter_map(field).collect(),
        }
    }

    /// What an entry of a history showed; `None` for a coding that this program does not know.
    pub(super) fn of_past(entry: &history::Entry) -> Option<Self> {
        let coding = Coding::from_document(&entry.encoding)?;
        Some(Self {
            visibility: Visibility::Public,
            content_type: value(&entry.content_type),
            activity: Activity::of(&entry.content_type),
            modified: None,
            cache_control: REVALIDATE,
            representations: [Representation::new(coding, entry.blob, &entry.sha256)].into(),
            fields: [].into(),
        })
    }
}

impl Representation {
    pub(crate) fn new(coding: Coding, blob: BlobId, sha256: &[u8; 32]) -> Self {
        Self {
            coding,
            blob,
            etag: value(&format!("\"{}\"", blob.hash)),
            content_length: HeaderValue::from(blob.size),
            digest: value(&format!("sha-256=:{}:", STANDARD.encode(sha256))),
        }
    }
}

/// A header value that is shared, not copied, by every response.
fn value(text: &str) -> HeaderValue {
    HeaderValue::from_maybe_shared(Bytes::copy_from_slice(text.as_bytes()))
        .unwrap_or_else(|_| HeaderValue::from_static("application/octet-stream"))
}

/// One form of an asset.
#[derive(Debug, Clone)]
pub struct Form {
    asset: Arc<Asset>,
    /// Of one of its representations.
    position: usize,
}

impl Form {
    /// The form of an asset at this position among its representations.
    pub fn new(asset: Arc<Asset>, position: usize) -> Option<Self> {
        (position < asset.representations.len()).then_some(Self { asset, position })
    }

    /// Of what.
    pub fn asset(&self) -> &Arc<Asset> {
        &self.asset
    }

    /// The form itself.
    pub fn representation(&self) -> &Representation {
        // No form is made with a position past the end, and an asset is never changed.
        &self.asset.representations[self.position]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_that_no_http_date_can_say_becomes_the_epoch() {
        for odd in [-1, i64::MIN, i64::MAX, 253_402_300_800] {
            assert_eq!(Modified::at(odd).header, "Thu, 01 Jan 1970 00:00:00 GMT");
        }
        assert_eq!(Modified::at(784_111_777).header, "Sun, 06 Nov 1994 08:49:37 GMT");
    }

    #[test]
    fn an_etag_is_the_quoted_hash_and_a_digest_is_base64() {
        let representation = Representation::new(Coding::Identity, BlobId::of(b"x"), &[0xff; 32]);
        assert_eq!(representation.etag, format!("\"{}\"", BlobId::of(b"x").hash));
        assert_eq!(representation.content_length, "1");
        assert_eq!(representation.digest, "sha-256=://////////////////////////////////////////8=:");
    }

    #[test]
    fn what_may_hold_scripts_is_known_by_its_type() {
        for xml in ["image/svg+xml", "Text/XML; charset=utf-8", "application/xml", "application/atom+xml"] {
            assert_eq!(Activity::of(xml), Activity::Xml, "{xml}");
        }
        for html in ["text/html", "TEXT/HTML ;charset=utf-8", "application/xhtml+xml"] {
            assert_eq!(Activity::of(html), Activity::Html, "{html}");
        }
        for inert in ["audio/mpeg", "image/png", "text/plain", "application/json", ""] {
            assert_eq!(Activity::of(inert), Activity::Inert, "{inert}");
        }
    }
}
