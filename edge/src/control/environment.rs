//! What each domain shows, ready to be served: everything that a response needs was computed when the pointer was taken.

use crate::cache::Account;
use arc_swap::ArcSwap;
use bytes::Bytes;
use http::HeaderValue;
use skerry_proto::manifest::{self, Entry};
use skerry_proto::paging;
use skerry_proto::pointer::{AccessRules, Pointer, Version};
use skerry_proto::slices::BlobId;
use skerry_proto::visibility::Visibility;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// One environment at one version. Never changed; a deployment puts another in its place.
#[derive(Debug)]
pub struct Environment {
    /// Host name without a port, lower case.
    pub domain: Box<str>,
    /// Whose blobs it shows.
    pub account: Account,
    /// When this was decided, in the order of all changes.
    pub version: Version,
    /// What to do past the lease.
    pub access: AccessRules,
    /// No `Last-Modified` is earlier.
    pub modified_floor: Modified,
    pub(super) pages: Pages,
}

/// The entries of a manifest, by page.
#[derive(Debug, Clone, Default)]
pub(super) struct Pages {
    /// Bits of a page number; 0: one page.
    pub(super) bits: u32,
    /// Each page with the document it was read from, so that the next pointer need not read it again.
    pub(super) pages: Vec<(BlobId, Arc<Page>)>,
}

pub(super) type Page = HashMap<Box<str>, Arc<Asset>>;

/// What one path shows.
#[derive(Debug)]
pub struct Asset {
    /// Public or protected.
    pub visibility: Visibility,
    /// `Content-Type`.
    pub content_type: HeaderValue,
    /// `Last-Modified`, unless the environment's floor is later.
    pub modified: Modified,
    /// The bytes as uploaded.
    pub identity: Representation,
}

/// One coded form of an asset.
#[derive(Debug)]
pub struct Representation {
    /// Its bytes.
    pub blob: BlobId,
    /// Strong `ETag` (RFC 9110 §8.8.3): the hash.
    pub etag: HeaderValue,
    /// `Content-Length` of the whole.
    pub content_length: HeaderValue,
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
    fn at(seconds: i64) -> Self {
        let time = u64::try_from(seconds)
            .ok()
            .and_then(|seconds| UNIX_EPOCH.checked_add(Duration::from_secs(seconds)))
            .filter(|time| *time < latest_http_date())
            .unwrap_or(UNIX_EPOCH);
        Self { seconds, header: value(&httpdate::fmt_http_date(time)) }
    }
}

/// The first second of the year 10000, which an HTTP date cannot say.
fn latest_http_date() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(253_402_300_800)
}

impl Environment {
    pub(super) fn new(pointer: &Pointer, pages: Pages) -> Self {
        Self {
            domain: pointer.domain.as_str().into(),
            account: Account::new(&pointer.account_sid),
            version: pointer.version,
            access: pointer.access,
            modified_floor: Modified::at(pointer.modified_floor),
            pages,
        }
    }

    /// What a path shows.
    pub fn asset(&self, path: &str) -> Option<&Arc<Asset>> {
        let number = match self.pages.bits {
            0 => 0,
            bits => paging::page_number(&manifest::key(path), bits),
        };
        let (_, page) = self.pages.pages.get(number)?;
        page.get(path)
    }

    /// The later of an asset's time and the environment's floor.
    pub fn last_modified<'a>(&'a self, asset: &'a Asset) -> &'a Modified {
        if self.modified_floor.seconds > asset.modified.seconds {
            &self.modified_floor
        } else {
            &asset.modified
        }
    }
}

/// Makes a page of entries that were verified and checked.
pub(super) fn page(entries: Vec<Entry>) -> Page {
    entries
        .into_iter()
        .filter_map(|entry| {
            let identity = entry.representations.first()?;
            let asset = Asset {
                visibility: entry.visibility,
                content_type: value(&entry.content_type),
                modified: Modified::at(entry.modified),
                identity: Representation::new(identity.blob),
            };
            Some((entry.path.as_str().into(), Arc::new(asset)))
        })
        .collect()
}

impl Representation {
    fn new(blob: BlobId) -> Self {
        Self {
            blob,
            etag: value(&format!("\"{}\"", blob.hash)),
            content_length: HeaderValue::from(blob.size),
        }
    }
}

/// A header value that is shared, not copied, by every response.
fn value(text: &str) -> HeaderValue {
    HeaderValue::from_maybe_shared(Bytes::copy_from_slice(text.as_bytes()))
        .unwrap_or_else(|_| HeaderValue::from_static("application/octet-stream"))
}

/// All environments of this edge, by domain. Readers see one state or the next, never a mixture, and wait for nobody.
#[derive(Debug, Default)]
pub struct Environments {
    by_domain: ArcSwap<HashMap<Box<str>, Arc<Environment>>>,
}

impl Environments {
    /// What a domain shows now.
    pub fn find(&self, domain: &str) -> Option<Arc<Environment>> {
        self.by_domain.load().get(domain).cloned()
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.by_domain.load().len()
    }

    /// Domains that are shown.
    pub(super) fn domains(&self) -> Vec<Box<str>> {
        self.by_domain.load().keys().cloned().collect()
    }

    /// Shows an environment from now on, at every worker. Only the watcher writes, so nothing is lost between load and store.
    pub(crate) fn show(&self, environment: Arc<Environment>) {
        let mut next = HashMap::clone(&self.by_domain.load());
        next.insert(environment.domain.clone(), environment);
        self.by_domain.store(Arc::new(next));
    }

    /// Shows a domain no more.
    pub(super) fn forget(&self, domain: &str) {
        let mut next = HashMap::clone(&self.by_domain.load());
        next.remove(domain);
        self.by_domain.store(Arc::new(next));
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
    fn an_etag_is_the_quoted_hash() {
        let representation = Representation::new(BlobId::of(b"x"));
        assert_eq!(representation.etag, format!("\"{}\"", BlobId::of(b"x").hash));
        assert_eq!(representation.content_length, "1");
    }
}
