//! Which earlier public hashes of an environment stay reachable after a deployment. Pure.
//!
//! The public hashes of the retained builds that were live there, minus every hash whose path the newest versions make protected,
//! private or removed: only a path replaced by a newer public version keeps its old hashes reachable. Hashes that the live build
//! shows in public need no entry.

use super::derive::representations;
use crate::catalogue::{AssetVersion, PastVersion};
use skerry_proto::hash::Hash;
use skerry_proto::history::Entry;
use skerry_proto::manifest::Representation;
use skerry_proto::visibility::Visibility;
use std::collections::{BTreeMap, HashSet};

/// The entries of the history beside a build that is about to be live and whose versions are the newest.
pub(super) fn entries(past: &[PastVersion], build: &[AssetVersion]) -> Vec<Entry> {
    let (public, hidden): (Vec<_>, Vec<_>) =
        build.iter().partition(|version| version.visibility == Visibility::Public);
    let public_paths: HashSet<&str> = public.iter().map(|version| version.path.as_str()).collect();
    // One path that was taken away is enough, even where another path showed the same bytes; and what the build itself keeps
    // from the public is not to be had by its hash either. Coded forms go with the bytes that they are forms of.
    let withdrawn: HashSet<Hash> = past
        .iter()
        .filter(|version| !public_paths.contains(version.path.as_str()))
        .map(|version| (&version.blob, &version.derived))
        .chain(hidden.iter().map(|version| (&version.blob, &version.derived)))
        .flat_map(|(blob, derived)| derived.iter().map(|derived| &derived.blob).chain([blob]))
        .map(|blob| blob.id.hash)
        .collect();
    let live: HashSet<Hash> = public
        .iter()
        .flat_map(|version| representations(&version.content_type, &version.blob, &version.derived))
        .map(|representation| representation.blob.hash)
        .collect();
    let mut entries = BTreeMap::new();
    for version in past {
        for Representation { encoding, blob, sha256 } in
            representations(&version.content_type, &version.blob, &version.derived)
        {
            if withdrawn.contains(&blob.hash) || live.contains(&blob.hash) {
                continue;
            }
            let entry = Entry { blob, content_type: version.content_type.clone(), encoding, sha256 };
            // Bytes that were served as several types, or as a form of others and by themselves, keep one, always the same.
            let order = |entry: &Entry| (entry.content_type.clone(), entry.encoding.clone());
            entries
                .entry(blob.hash)
                .and_modify(|kept: &mut Entry| {
                    if order(&entry) < order(kept) {
                        kept.clone_from(&entry);
                    }
                })
                .or_insert(entry);
        }
    }
    entries.into_values().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::blobs::StoredBlob;
    use crate::catalogue::Derived;
    use crate::coding::Coding;
    use crate::publish::contents::tests::version;
    use skerry_proto::slices::BlobId;

    fn past(number: i64, path: &str) -> PastVersion {
        let version = version(number, path, Visibility::Public);
        PastVersion {
            path: path.into(),
            blob: version.blob,
            derived: Vec::new(),
            content_type: version.content_type,
        }
    }

    fn hashes(past: &[PastVersion], build: &[AssetVersion]) -> HashSet<Hash> {
        entries(past, build).iter().map(|entry| entry.blob.hash).collect()
    }

    fn hash(number: i64) -> Hash {
        Hash::of(&number.to_be_bytes())
    }

    #[test]
    fn a_path_replaced_by_a_newer_public_version_keeps_its_old_hashes() {
        let build = [version(3, "/a", Visibility::Public)];
        assert_eq!(
            hashes(&[past(1, "/a"), past(2, "/a"), past(3, "/a")], &build),
            HashSet::from([hash(1), hash(2)])
        );
    }

    #[test]
    fn a_path_that_became_private_protected_or_was_removed_loses_its_old_hashes() {
        for visibility in [Visibility::Private, Visibility::Protected] {
            let build = [version(2, "/a", visibility)];
            assert_eq!(hashes(&[past(1, "/a")], &build), HashSet::new());
        }
        assert_eq!(hashes(&[past(1, "/a")], &[]), HashSet::new());
    }

    #[test]
    fn a_hash_that_one_path_lost_is_gone_though_another_path_was_replaced() {
        let build = [version(2, "/a", Visibility::Public)];
        assert_eq!(hashes(&[past(1, "/a"), past(1, "/removed")], &build), HashSet::new());
    }

    #[test]
    fn bytes_that_the_build_keeps_private_are_in_no_history() {
        let build = [version(2, "/a", Visibility::Public), version(1, "/kept", Visibility::Private)];
        assert_eq!(hashes(&[past(1, "/a")], &build), HashSet::new());
    }

    /// A past version of which a coded form was made; its bytes are 100 more.
    fn coded(number: i64, path: &str) -> PastVersion {
        PastVersion { derived: vec![derived(number)], ..past(number, path) }
    }

    fn derived(number: i64) -> Derived {
        let id = BlobId::of(&(number + 100).to_be_bytes());
        Derived { coding: Coding::Brotli, blob: StoredBlob { id, sha256: [1; 32] } }
    }

    #[test]
    fn coded_forms_stay_with_the_bytes_that_they_are_forms_of() {
        let build = [version(3, "/a", Visibility::Public)];
        let entries = entries(&[coded(1, "/a"), past(2, "/a")], &build);
        let mut found: Vec<_> =
            entries.iter().map(|entry| (entry.blob.hash, entry.encoding.as_str())).collect();
        found.sort_by_key(|(_, encoding)| *encoding);
        let (identities, coded) = found.split_at(2);
        let identities: HashSet<_> = identities.iter().map(|(hash, _)| *hash).collect();
        assert_eq!(identities, HashSet::from([hash(1), hash(2)]));
        assert_eq!(coded, [(hash(101), "br")]);
    }

    #[test]
    fn what_is_withdrawn_takes_its_coded_forms_along() {
        for build in [
            vec![version(2, "/a", Visibility::Private)],
            vec![version(2, "/a", Visibility::Protected)],
            vec![],
            // The bytes are public elsewhere, too, but one path that was taken away is enough.
            vec![version(2, "/b", Visibility::Public)],
        ] {
            assert_eq!(hashes(&[coded(1, "/a"), coded(1, "/b")], &build), HashSet::new());
        }
    }

    #[test]
    fn coded_forms_of_what_the_build_keeps_private_are_in_no_history() {
        let kept = AssetVersion { derived: vec![derived(1)], ..version(1, "/kept", Visibility::Private) };
        let build = [version(2, "/a", Visibility::Public), kept];
        assert_eq!(hashes(&[coded(1, "/a")], &build), HashSet::new());
        // Also where those bytes were published by themselves.
        assert_eq!(hashes(&[past(101, "/a")], &build), HashSet::new());
    }

    #[test]
    fn coded_forms_that_the_build_shows_need_no_entry() {
        let live = AssetVersion { derived: vec![derived(1)], ..version(1, "/a", Visibility::Public) };
        assert_eq!(hashes(&[coded(1, "/a")], &[live]), HashSet::new());
    }

    #[test]
    fn bytes_served_as_two_types_keep_one_whatever_the_order() {
        let build = [version(2, "/a", Visibility::Public), version(3, "/b", Visibility::Public)];
        let mut pasts = [past(1, "/a"), past(1, "/b")];
        pasts[1].content_type = "audio/mpeg".into();
        let first = entries(&pasts, &build);
        pasts.reverse();
        assert_eq!(entries(&pasts, &build), first);
        assert_eq!(first.len(), 1);
    }
}
