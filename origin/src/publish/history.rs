//! Which earlier public hashes of an environment stay reachable after a deployment. Pure.
//!
//! The public hashes of the retained builds that were live there, minus every hash whose path the newest versions make protected,
//! private or removed: only a path replaced by a newer public version keeps its old hashes reachable. Hashes that the live build
//! shows in public need no entry.

use crate::catalogue::{AssetVersion, PastVersion};
use skerry_proto::hash::Hash;
use skerry_proto::history::Entry;
use skerry_proto::visibility::Visibility;
use std::collections::{BTreeMap, HashSet};

/// The entries of the history beside a build that is about to be live and whose versions are the newest.
pub(super) fn entries(past: &[PastVersion], build: &[AssetVersion]) -> Vec<Entry> {
    let (public, hidden): (Vec<_>, Vec<_>) =
        build.iter().partition(|version| version.visibility == Visibility::Public);
    let public_paths: HashSet<&str> = public.iter().map(|version| version.path.as_str()).collect();
    // One path that was taken away is enough, even where another path showed the same bytes; and what the build itself keeps
    // from the public is not to be had by its hash either.
    let withdrawn: HashSet<Hash> = past
        .iter()
        .filter(|version| !public_paths.contains(version.path.as_str()))
        .map(|version| version.blob.id.hash)
        .chain(hidden.iter().map(|version| version.blob.id.hash))
        .collect();
    let live: HashSet<Hash> = public.iter().map(|version| version.blob.id.hash).collect();
    let mut entries = BTreeMap::new();
    for version in past {
        let hash = version.blob.id.hash;
        if withdrawn.contains(&hash) || live.contains(&hash) {
            continue;
        }
        let entry = Entry {
            blob: version.blob.id,
            content_type: version.content_type.clone(),
            encoding: String::new(),
            sha256: version.blob.sha256,
        };
        // Bytes that were served as several types keep one, always the same.
        entries
            .entry(hash)
            .and_modify(|kept: &mut Entry| {
                if entry.content_type < kept.content_type {
                    kept.content_type.clone_from(&entry.content_type);
                }
            })
            .or_insert(entry);
    }
    entries.into_values().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::publish::contents::tests::version;

    fn past(number: i64, path: &str) -> PastVersion {
        let version = version(number, path, Visibility::Public);
        PastVersion { path: path.into(), blob: version.blob, content_type: version.content_type }
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
