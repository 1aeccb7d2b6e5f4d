//! Derived representations: coded forms of what a build shows. The bytes as uploaded stay, and wait for none of them for long.
//!
//! A build that is made waits a moment for the forms that it lacks, and then shows what there is; the rest joins it with a later
//! manifest (`later`). Which forms a version has, and which were tried, is one answer of the catalogue, so a manifest never lacks a
//! form without a note that it is to join. Each blob is coded once for an account, however often it is published.

mod code;
mod later;

pub(super) use code::InFlight;

use super::Publisher;
use crate::blobs::StoredBlob;
use crate::catalogue::{AssetVersion, Derived};
use crate::cause;
use crate::coding::{self, Coding};
use crate::config::Compression;
use crate::sid::AccountSid;
use code::{Job, Pace};
use skerry_proto::hash::Hash;
use skerry_proto::manifest::Representation;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::Instant;

impl Publisher {
    /// Makes the coded forms that versions lack, for as long as a build may wait for them. What is made when this returns is durable,
    /// and known to the catalogue; what was begun goes on. The processor time that it took so far.
    ///
    /// A form that cannot be made is no reason to refuse a publication: it is tried again later.
    pub(super) async fn derive(&self, account: &AccountSid, versions: &[AssetVersion]) -> Duration {
        let compression = &self.shared.compression;
        let jobs = missing(versions, compression);
        if jobs.is_empty() || compression.wait.is_zero() {
            return Duration::ZERO;
        }
        let pace = Pace {
            until: Instant::now() + compression.wait,
            slots: Arc::clone(&self.shared.coders),
            cpu_time_max: compression.build_cpu_max,
        };
        let (ready, is_ready) = oneshot::channel();
        let (publisher, account) = (self.clone(), account.clone());
        self.shared.tasks.spawn(async move {
            if let Err(error) = publisher.code_all(&account, jobs, pace, Some(ready)).await {
                tracing::warn!(
                    error = cause::chain(&error),
                    "a compressed form cannot be made now; it is tried again"
                );
            }
        });
        // It says nothing when the origin stops, or fails before the time is over.
        is_ready.await.unwrap_or_default()
    }

    /// Whether coded forms of these versions are to join their build later. Said with the processor time that was spent on it so far.
    pub(super) fn unfinished(&self, versions: &[AssetVersion], cpu_time: Duration) -> Option<Duration> {
        let compression = &self.shared.compression;
        let has_time = cpu_time < compression.build_cpu_max;
        (has_time && !missing(versions, compression).is_empty()).then_some(cpu_time)
    }
}

/// All forms of a blob that is served as a media type, identity first. Bytes that have coded forms because they were also published
/// as text are still served as media without them.
pub(crate) fn representations(
    content_type: &str,
    blob: &StoredBlob,
    derived: &[Derived],
) -> Vec<Representation> {
    let identity = Representation { encoding: String::new(), blob: blob.id, sha256: blob.sha256 };
    let coded =
        derived.iter().filter(|_| coding::is_compressible(content_type)).map(|derived| Representation {
            encoding: derived.coding.as_str().to_owned(),
            blob: derived.blob.id,
            sha256: derived.blob.sha256,
        });
    std::iter::once(identity).chain(coded).collect()
}

/// What is to be coded for versions, each blob once in each way; the smallest first, so that most are there soonest.
fn missing(versions: &[AssetVersion], compression: &Compression) -> Vec<Job> {
    let is_derived_from = |version: &&AssetVersion| {
        version.visibility.is_served() && coding::is_compressible(&version.content_type)
    };
    let mut jobs: BTreeMap<(u64, Hash, Coding), Job> = BTreeMap::new();
    for version in versions.iter().filter(is_derived_from) {
        let source = version.blob.id;
        for coding in Coding::ALL {
            if coding.is_wanted(source.size, compression) && !version.tried.contains(&coding) {
                jobs.insert((source.size, source.hash, coding), Job { source, coding });
            }
        }
    }
    jobs.into_values().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::publish::contents::tests::version;
    use skerry_proto::visibility::Visibility;

    fn is_derived_from(version: &AssetVersion) -> bool {
        !missing(std::slice::from_ref(version), &Compression::default()).is_empty()
    }

    #[test]
    fn only_what_is_served_and_compressible_and_not_too_large_is_coded() {
        let text = version(1, "/a", Visibility::Public);
        assert!(is_derived_from(&text));
        assert!(is_derived_from(&version(1, "/a", Visibility::Protected)));
        assert!(!is_derived_from(&version(1, "/a", Visibility::Private)));
        assert!(!is_derived_from(&AssetVersion { content_type: "audio/mpeg".into(), ..text.clone() }));
        let size_max = Compression::default().size_max;
        for (size, expected) in [(0, false), (1, true), (size_max, true), (size_max + 1, false)] {
            let mut sized = text.clone();
            sized.blob.id.size = size;
            assert_eq!(is_derived_from(&sized), expected, "{size} bytes");
        }
    }

    #[test]
    fn identity_comes_first_and_media_have_nothing_else() {
        let version = version(1, "/a", Visibility::Public);
        let derived = [Derived { coding: Coding::Brotli, blob: version.blob }];
        let names = |content_type| -> Vec<String> {
            let all = representations(content_type, &version.blob, &derived);
            all.into_iter().map(|one| one.encoding).collect()
        };
        assert_eq!(names("text/plain"), ["", "br"]);
        assert_eq!(names("audio/mpeg"), [""]);
    }

    #[test]
    fn a_blob_is_coded_once_the_smallest_first_and_what_was_tried_is_not_tried_again() {
        let sized = |number, path, size| {
            let mut version = version(number, path, Visibility::Public);
            version.blob.id.size = size;
            version
        };
        let tried = AssetVersion { tried: vec![Coding::Brotli], ..sized(1, "/large", 9000) };
        let done = AssetVersion { tried: Coding::ALL.to_vec(), ..sized(2, "/done", 10) };
        let versions = [tried, done, sized(3, "/small", 100), sized(3, "/again", 100)];
        let jobs = missing(&versions, &Compression::default());
        let found: Vec<_> = jobs.iter().map(|job| (job.source.size, job.coding)).collect();
        let small = Coding::ALL.map(|coding| (100, coding));
        assert_eq!(found, [&small[..], &[(9000, Coding::Zstd), (9000, Coding::Gzip)]].concat());
    }
}
