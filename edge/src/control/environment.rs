//! What each domain shows, ready to be served: everything that a response needs was computed when the pointer was taken.

use super::asset::{Asset, Form, Modified};
use super::footprint::Footprint;
use super::pages::{HashIndex, HistoryPage, ManifestPage, Pages};
use super::rules::Rules;
use crate::cache::Account;
use arc_swap::ArcSwap;
use skerry_proto::hash::Hash;
use skerry_proto::history;
use skerry_proto::manifest::{self, Entry};
use skerry_proto::pointer::{AccessRules, Pointer, ServingRules, Version};
use skerry_proto::rules::SiteRules;
use skerry_proto::signed_url::key::PublicKey;
use skerry_proto::slices::BlobId;
use skerry_proto::visibility::Visibility;
use std::collections::HashMap;
use std::sync::Arc;

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
    /// How to answer.
    pub serving: ServingRules,
    /// Whose signed URLs open protected assets.
    pub url_keys: Box<[PublicKey]>,
    /// No `Last-Modified` is earlier.
    pub modified_floor: Modified,
    /// What the build declares for the whole site.
    pub rules: Rules,
    pub(super) manifest: Pages<ManifestPage>,
    pub(super) history: Pages<HistoryPage>,
    by_hash: HashIndex,
}

/// What the documents say that a pointer names.
#[derive(Debug, Default)]
pub(super) struct Documents {
    pub(super) rules: SiteRules,
    pub(super) manifest: Pages<ManifestPage>,
    pub(super) history: Pages<HistoryPage>,
}

impl Environment {
    pub(super) fn new(pointer: &Pointer, documents: Documents) -> Self {
        let Documents { rules, manifest, history } = documents;
        // A page that not everybody may see is none that everybody is shown.
        let not_found = rules
            .not_found
            .as_ref()
            .and_then(|path| find(&manifest, path.as_str()))
            .filter(|asset| asset.visibility == Visibility::Public)
            .cloned();
        Self {
            domain: pointer.domain.as_str().into(),
            account: Account::new(&pointer.account_sid),
            version: pointer.version,
            access: pointer.access,
            serving: pointer.serving,
            url_keys: pointer.url_keys.as_slice().into(),
            modified_floor: Modified::at(pointer.modified_floor),
            rules: Rules::new(rules, not_found),
            by_hash: HashIndex::new(&manifest),
            manifest,
            history,
        }
    }

    /// The environment of a pointer whose documents have no pages, for those who have the entries at hand: tests and measurements.
    pub fn of_entries(
        pointer: &Pointer,
        entries: Vec<Entry>,
        rules: SiteRules,
        history: Vec<history::Entry>,
    ) -> Self {
        // Nobody asks which documents these were.
        let nameless = BlobId::of(b"");
        let documents = Documents {
            rules,
            manifest: Pages::new(0, vec![(nameless, Arc::new(ManifestPage::new(entries)))]),
            history: Pages::new(0, vec![(nameless, Arc::new(HistoryPage::new(history)))]),
        };
        Self::new(pointer, documents)
    }

    /// Bytes that its documents take in memory.
    pub fn footprint(&self) -> u64 {
        self.manifest.footprint() + self.history.footprint() + self.by_hash.footprint()
    }

    /// What a path shows.
    pub fn asset(&self, path: &str) -> Option<&Arc<Asset>> {
        find(&self.manifest, path)
    }

    /// What a hash shows to everybody: what the live build shows in public, and what the history names, unless the live build
    /// protects it.
    pub fn by_hash(&self, hash: &Hash) -> Option<&Form> {
        match self.by_hash.find(&self.manifest, hash) {
            Some(form) => Some(form).filter(|form| form.asset().visibility == Visibility::Public),
            None => self.history.find(hash),
        }
    }

    /// The later of an asset's time and the environment's floor.
    pub fn last_modified<'a>(&'a self, asset: &'a Asset) -> Option<&'a Modified> {
        let own = asset.modified.as_ref()?;
        Some(if self.modified_floor.seconds > own.seconds { &self.modified_floor } else { own })
    }
}

fn find<'a>(manifest: &'a Pages<ManifestPage>, path: &str) -> Option<&'a Arc<Asset>> {
    manifest.page(|| manifest::key(path))?.by_path.get(path)
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

    /// Whether a domain is shown.
    pub fn knows(&self, domain: &str) -> bool {
        self.by_domain.load().contains_key(domain)
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.by_domain.load().len()
    }

    /// Bytes that all documents take in memory.
    pub fn footprint(&self) -> u64 {
        self.by_domain.load().values().map(|environment| environment.footprint()).sum()
    }

    /// Domains that are shown.
    pub(super) fn domains(&self) -> Vec<Box<str>> {
        self.by_domain.load().keys().cloned().collect()
    }

    /// Shows an environment from now on, at every worker. Only the watcher writes, so nothing is lost between load and store.
    pub fn show(&self, environment: Arc<Environment>) {
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
