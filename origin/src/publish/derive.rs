//! Derived representations: coded forms of what a publication adds, made before it waits for its turn. The bytes as uploaded stay.
//!
//! Each blob is coded once for an account, however often it is published; what came of it is in the catalogue. A build names what the catalogue
//! knows when it is made, so forms that are ready later join it with a later manifest.

use super::{PublishError, Publisher, unix_seconds};
use crate::blobs::{BlobReader, StoredBlob};
use crate::catalogue::{AssetVersion, Derivation, Derived};
use crate::coding::{self, Coding};
use crate::sid::AccountSid;
use bytes::Bytes;
use skerry_proto::hash::Hash;
use skerry_proto::manifest::Representation;
use skerry_proto::slices::BlobId;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::SystemTime;
use tokio::task::JoinSet;

impl Publisher {
    /// Makes the coded forms that versions lack. When this returns, they are durable, and known to the catalogue.
    ///
    /// # Errors
    /// Those of blob store and catalogue, [`PublishError::Coding`].
    pub(super) async fn derive(
        &self,
        account: &AccountSid,
        versions: &[AssetVersion],
    ) -> Result<(), PublishError> {
        let sources: HashMap<Hash, BlobId> = versions
            .iter()
            .filter(|version| is_derived_from(version))
            .map(|version| version.blob.id)
            .map(|id| (id.hash, id))
            .collect();
        if sources.is_empty() {
            return Ok(());
        }
        let hashes: Vec<Hash> = sources.keys().copied().collect();
        let tried = self.shared.catalogue.derivations(account, &hashes).await?;
        let mut jobs = JoinSet::new();
        for source in sources.into_values() {
            let missing = missing(source.hash, &tried);
            if !missing.is_empty() {
                let publisher = self.clone();
                jobs.spawn(async move { publisher.code(source, missing).await });
            }
        }
        let mut derivations = Vec::new();
        while let Some(coded) = jobs.join_next().await {
            derivations.extend(coded.unwrap_or(Err(PublishError::Stopping))?);
        }
        if !derivations.is_empty() {
            let now = unix_seconds(SystemTime::now());
            self.shared.catalogue.add_derivations(&derivations, now).await?;
        }
        Ok(())
    }

    /// Codes one blob, when a processor is free for it.
    async fn code(&self, source: BlobId, codings: Vec<Coding>) -> Result<Vec<Derivation>, PublishError> {
        let slot = Arc::clone(&self.shared.coders).acquire_owned().await;
        let slot = slot.map_err(|_| PublishError::Stopping)?;
        let blob = self.shared.blobs.open_blob(source).await?;
        let publisher = self.clone();
        let work = tokio::task::spawn_blocking(move || {
            let _slot = slot;
            publisher.shared.metrics.coders.increment(1);
            let coded = publisher.code_blocking(&blob, &codings);
            publisher.shared.metrics.coders.decrement(1);
            coded
        });
        work.await.unwrap_or(Err(PublishError::Stopping))
    }

    fn code_blocking(&self, blob: &BlobReader, codings: &[Coding]) -> Result<Vec<Derivation>, PublishError> {
        let shared = &self.shared;
        let (source, bytes) = (blob.id().hash, blob.verified()?);
        let derivation = |coding: &Coding| {
            let coded = coding.encode(&bytes).map_err(PublishError::Coding)?;
            shared.metrics.coded(*coding, coded.is_some());
            let blob = coded.map(|coded| shared.blobs.store(&Bytes::from(coded))).transpose()?;
            Ok(Derivation { source, coding: *coding, blob })
        };
        codings.iter().map(derivation).collect()
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

fn is_derived_from(version: &AssetVersion) -> bool {
    version.visibility.is_served()
        && (1..=coding::INPUT_SIZE_MAX).contains(&version.blob.id.size)
        && coding::is_compressible(&version.content_type)
}

fn missing(source: Hash, tried: &HashSet<(Hash, Coding)>) -> Vec<Coding> {
    Coding::ALL.into_iter().filter(|coding| !tried.contains(&(source, *coding))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::publish::contents::tests::version;
    use skerry_proto::visibility::Visibility;

    #[test]
    fn only_what_is_served_and_compressible_and_not_too_large_is_coded() {
        let text = version(1, "/a", Visibility::Public);
        assert!(is_derived_from(&text));
        assert!(is_derived_from(&version(1, "/a", Visibility::Protected)));
        assert!(!is_derived_from(&version(1, "/a", Visibility::Private)));
        assert!(!is_derived_from(&AssetVersion { content_type: "audio/mpeg".into(), ..text.clone() }));
        for (size, expected) in
            [(0, false), (1, true), (coding::INPUT_SIZE_MAX, true), (coding::INPUT_SIZE_MAX + 1, false)]
        {
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
    fn what_was_tried_is_not_tried_again() {
        let hash = Hash::of(b"a");
        assert_eq!(missing(hash, &HashSet::new()), Coding::ALL);
        let tried = HashSet::from([(hash, Coding::Brotli), (Hash::of(b"b"), Coding::Zstd)]);
        assert_eq!(missing(hash, &tried), [Coding::Zstd, Coding::Gzip]);
    }
}
