//! Checking a publication before any byte of it is sent. Changes nothing, and finds all faults at once.

use super::contents;
use super::fault::{AssetClass, Fault, check_asset, check_count};
use super::site_file::is_site_file;
use super::{PublishError, Publisher, Target};
use crate::catalogue::AssetVersion;
use crate::config::Limits;
use crate::sid::AccountSid;
use skerry_proto::path::AssetPath;
use skerry_proto::visibility::Visibility;
use std::collections::{HashMap, HashSet};

/// One file that a client means to publish, as it says so.
#[derive(Debug, Clone)]
pub(crate) struct Planned {
    pub(crate) path: String,
    /// `None` for one that does not exist.
    pub(crate) visibility: Option<Visibility>,
    pub(crate) size: u64,
}

impl Publisher {
    /// Checks names, sizes and counts. Answers with the paths that are private today and would become public.
    ///
    /// # Errors
    /// [`PublishError::Refused`] with all faults, and those of [`Publisher::place`].
    pub(crate) async fn check(
        &self,
        account: &AccountSid,
        target: &Target,
        planned: &[Planned],
    ) -> Result<Vec<String>, PublishError> {
        let place = self.place(account, target).await?;
        let live = self.live_versions(&place.environment).await?;
        let limits = self.limits(&place.service).await?.limits;
        let faults = faults(&live, planned, &limits);
        if !faults.is_empty() {
            return Err(PublishError::Refused(faults));
        }
        Ok(now_public(&live, planned))
    }
}

fn faults(live: &[AssetVersion], planned: &[Planned], limits: &Limits) -> Vec<Fault> {
    let mut faults = Vec::new();
    let mut seen = HashSet::new();
    let mut chosen: HashMap<&str, Visibility> = HashMap::new();
    for asset in planned {
        let path = &asset.path;
        if let Err(source) = path.parse::<AssetPath>() {
            faults.push(Fault::InvalidPath { path: path.clone(), source });
            continue;
        }
        if !seen.insert(path) {
            faults.push(Fault::DuplicatePath { path: path.clone() });
        }
        match asset.visibility {
            None => faults.push(Fault::InvalidVisibility { path: path.clone() }),
            Some(visibility) => {
                faults.extend(check_asset(path, visibility, asset.size, limits));
                chosen.insert(path, visibility);
            }
        }
    }
    let chosen: Vec<_> = chosen.into_iter().collect();
    for class in [AssetClass::Served, AssetClass::Private] {
        let (kept, new) = contents::counts(live, &chosen, &[], class);
        faults.extend(check_count(class, kept, new, limits));
    }
    faults
}

fn now_public(live: &[AssetVersion], planned: &[Planned]) -> Vec<String> {
    let private: HashSet<&str> = live
        .iter()
        .filter(|version| version.visibility == Visibility::Private)
        .map(|version| version.path.as_str())
        // Private, whatever is asked.
        .filter(|path| !is_site_file(path))
        .collect();
    planned
        .iter()
        .filter(|asset| asset.visibility == Some(Visibility::Public) && private.contains(asset.path.as_str()))
        .map(|asset| asset.path.clone())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::publish::contents::tests::version;

    fn planned(path: &str, visibility: Visibility, size: u64) -> Planned {
        Planned { path: path.into(), visibility: Some(visibility), size }
    }

    #[test]
    fn all_faults_are_found_at_once() {
        let limits = Limits { served_size_max: 5, served_count_max: 1, ..Limits::default() };
        let plan = [
            planned("no-slash", Visibility::Public, 1),
            planned("/a", Visibility::Public, 6),
            planned("/b", Visibility::Protected, 1),
            planned("/b", Visibility::Public, 1),
            Planned { path: "/c".into(), visibility: None, size: 0 },
        ];
        let codes: Vec<_> = faults(&[], &plan, &limits).iter().map(Fault::code).collect();
        assert_eq!(codes, ["invalid_path", "too_large", "duplicate_path", "invalid_visibility", "too_many"]);
    }

    #[test]
    fn paths_that_replace_live_ones_do_not_count_twice() {
        let limits = Limits { served_count_max: 2, ..Limits::default() };
        let live = [version(1, "/a", Visibility::Public), version(2, "/b", Visibility::Public)];
        assert_eq!(faults(&live, &[planned("/a", Visibility::Public, 1)], &limits), []);
        assert_eq!(faults(&live, &[planned("/c", Visibility::Public, 1)], &limits).len(), 1);
    }

    #[test]
    fn private_paths_that_would_become_public_are_named() {
        let live = [version(1, "/a", Visibility::Private), version(2, "/b", Visibility::Public)];
        let plan = [planned("/a", Visibility::Public, 1), planned("/b", Visibility::Public, 1)];
        assert_eq!(now_public(&live, &plan), ["/a"]);
    }
}
