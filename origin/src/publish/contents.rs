//! What a build is made of: the live versions with some replaced, added or removed. Pure.

use super::PublishError;
use super::fault::{AssetClass, Fault, check_count};
use super::site_file::is_site_file;
use crate::catalogue::{AssetVersion, Difference};
use crate::config::Limits;
use skerry_proto::visibility::Visibility;
use std::collections::{BTreeMap, HashMap, HashSet};

/// The versions of the next build, ascending by path.
///
/// # Errors
/// [`PublishError::NotFound`] for a version or path that is not there, [`PublishError::Refused`] for duplicates and counts over
/// the limit.
pub(super) fn apply(
    live: Vec<AssetVersion>,
    added: Vec<AssetVersion>,
    added_sids: &[String],
    removed: &[String],
    limits: &Limits,
) -> Result<Vec<AssetVersion>, PublishError> {
    let known: HashSet<&str> = added.iter().map(|version| version.sid.as_str()).collect();
    if let Some(sid) = added_sids.iter().find(|sid| !known.contains(sid.as_str())) {
        return Err(PublishError::NotFound { noun: "asset version", name: sid.clone() });
    }
    let mut faults = duplicates(&added, removed);
    let chosen: Vec<_> = added.iter().map(|version| (version.path.as_str(), version.visibility)).collect();
    for class in [AssetClass::Served, AssetClass::Private] {
        let (kept, new) = counts(&live, &chosen, removed, class);
        faults.extend(check_count(class, kept, new, limits));
    }
    let mut versions: BTreeMap<_, _> =
        live.into_iter().map(|version| (version.path.as_str().to_owned(), version)).collect();
    for path in removed {
        if versions.remove(path).is_none() {
            return Err(PublishError::NotFound { noun: "path", name: path.clone() });
        }
    }
    if !faults.is_empty() {
        return Err(PublishError::Refused(faults));
    }
    versions.extend(added.into_iter().map(|version| (version.path.as_str().to_owned(), version)));
    Ok(versions.into_values().collect())
}

/// What the next build changes of what is live.
pub(super) fn difference(live: &[AssetVersion], next: &[AssetVersion]) -> Difference {
    let numbers: HashSet<i64> = next.iter().map(|version| version.number).collect();
    let paths: HashSet<&str> = next.iter().map(|version| version.path.as_str()).collect();
    let removed = live.iter().map(|version| version.number).filter(|number| !numbers.contains(number));
    Difference {
        removed: removed.collect(),
        removes_paths: live.iter().any(|version| !paths.contains(version.path.as_str())),
    }
}

/// Paths of a class that stay as they are or are replaced by one of the same class, and paths that are new to it. The site file counts
/// in none.
pub(super) fn counts(
    live: &[AssetVersion],
    chosen: &[(&str, Visibility)],
    removed: &[String],
    class: AssetClass,
) -> (u64, u64) {
    let chosen: HashMap<&str, Visibility> = chosen.iter().copied().collect();
    let removed: HashSet<&str> = removed.iter().map(String::as_str).collect();
    let of_class: HashSet<&str> = live
        .iter()
        .filter(|version| AssetClass::of(version.visibility) == class)
        .map(|version| version.path.as_str())
        .filter(|path| !is_site_file(path))
        .collect();
    let stays = |path: &&&str| {
        !removed.contains(**path)
            && chosen.get(**path).is_none_or(|visibility| AssetClass::of(*visibility) == class)
    };
    let kept = of_class.iter().filter(stays).count();
    let is_new = |(path, visibility): &(&&str, &Visibility)| {
        AssetClass::of(**visibility) == class && !of_class.contains(**path) && !is_site_file(path)
    };
    let new = chosen.iter().filter(is_new).count();
    (kept as u64, new as u64)
}

fn duplicates(added: &[AssetVersion], removed: &[String]) -> Vec<Fault> {
    // A version that was named twice is in `added` twice.
    let mut seen = HashSet::new();
    added
        .iter()
        .map(|version| version.path.as_str())
        .chain(removed.iter().map(String::as_str))
        .filter(|path| !seen.insert(*path))
        .map(|path| Fault::DuplicatePath { path: path.to_owned() })
        .collect()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::blobs::StoredBlob;
    use skerry_proto::slices::BlobId;

    /// A version whose bytes are its number.
    pub(crate) fn version(number: i64, path: &str, visibility: Visibility) -> AssetVersion {
        AssetVersion {
            number,
            sid: format!("ZN{number:032x}").into(),
            asset: format!("ZH{number:032x}").into(),
            path: path.parse().expect("valid"),
            visibility,
            content_type: "text/plain".into(),
            blob: StoredBlob { id: BlobId::of(&number.to_be_bytes()), sha256: [0; 32] },
            derived: Vec::new(),
            tried: Vec::new(),
            created_at: number,
        }
    }

    fn applied(
        live: &[AssetVersion],
        added: &[AssetVersion],
        removed: &[&str],
        limits: &Limits,
    ) -> Result<Vec<(String, i64)>, PublishError> {
        let sids: Vec<_> = added.iter().map(|version| version.sid.to_string()).collect();
        let removed: Vec<_> = removed.iter().map(|path| (*path).to_owned()).collect();
        let versions = apply(live.to_vec(), added.to_vec(), &sids, &removed, limits)?;
        Ok(versions.into_iter().map(|version| (version.path.to_string(), version.number)).collect())
    }

    #[test]
    fn what_is_not_named_stays_private_assets_included() {
        let live = [
            version(1, "/a", Visibility::Public),
            version(2, "/b", Visibility::Private),
            version(3, "/c", Visibility::Public),
        ];
        let added = [version(4, "/c", Visibility::Public), version(5, "/d", Visibility::Public)];
        let next = applied(&live, &added, &["/a"], &Limits::default()).expect("applies");
        assert_eq!(next, [("/b".into(), 2), ("/c".into(), 4), ("/d".into(), 5)]);
    }

    #[test]
    fn removing_an_unknown_path_is_not_found() {
        let live = [version(1, "/a", Visibility::Public)];
        let error = applied(&live, &[], &["/b"], &Limits::default()).expect_err("unknown");
        assert!(matches!(error, PublishError::NotFound { noun: "path", .. }));
    }

    #[test]
    fn an_unknown_version_is_not_found() {
        let error = apply(vec![], vec![], &["ZNx".into()], &[], &Limits::default()).expect_err("unknown");
        assert!(matches!(error, PublishError::NotFound { noun: "asset version", .. }));
    }

    #[test]
    fn a_path_is_changed_once() {
        let added = [version(1, "/a", Visibility::Public), version(2, "/a", Visibility::Public)];
        assert!(matches!(applied(&[], &added, &[], &Limits::default()), Err(PublishError::Refused(_))));
        let live = [version(3, "/a", Visibility::Public)];
        assert!(applied(&live, &added[..1], &["/a"], &Limits::default()).is_err());
    }

    #[test]
    fn counts_are_of_each_class_and_a_replaced_path_is_not_new() {
        let limits = Limits { served_count_max: 2, private_count_max: 1, ..Limits::default() };
        let live = [version(1, "/a", Visibility::Public), version(2, "/b", Visibility::Private)];
        let replace = [version(3, "/a", Visibility::Public), version(4, "/c", Visibility::Public)];
        applied(&live, &replace, &[], &limits).expect("two of two");
        let over = [version(5, "/c", Visibility::Public), version(6, "/d", Visibility::Public)];
        let Err(PublishError::Refused(faults)) = applied(&live, &over, &[], &limits) else {
            panic!("three of two");
        };
        assert_eq!(faults, [Fault::TooMany { chosen: 2, free: 1, limit: 2, class: AssetClass::Served }]);
        applied(&live, &over, &["/a"], &limits).expect("one is removed");
        let moved = [version(7, "/a", Visibility::Private)];
        assert!(applied(&live, &moved, &[], &limits).is_err(), "a second private path");
        let site_file = [version(8, "/_skerry.toml", Visibility::Private)];
        applied(&live, &site_file, &[], &limits).expect("counts in no class");
    }
}
