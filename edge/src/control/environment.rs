//! What each domain shows, ready to be served: everything that a response needs was computed when the pointer was taken.

use super::announced::Announced;
use super::asset::{Asset, Form, Modified};
use super::footprint::Footprint;
use super::pages::{HashIndex, HistoryPage, ManifestPage, Pages};
use super::revoked::Hashes;
use super::rules::Rules;
use crate::cache::{Account, AccountKey};
use arc_swap::ArcSwap;
use foldhash::HashMap;
use skerry_proto::hash::Hash;
use skerry_proto::history;
use skerry_proto::manifest::{self, Entry};
use skerry_proto::pointer::{AccessRules, Pointer, ServingRules, Version};
use skerry_proto::rules::SiteRules;
use skerry_proto::signed_url::key::PublicKey;
use skerry_proto::slices::BlobId;
use skerry_proto::visibility::Visibility;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// One environment at one version. Never changed; a deployment puts another in its place.
#[derive(Debug)]
pub struct Environment {
    /// Host name without a port, lower case.
    pub domain: Box<str>,
    /// Further host names that show the same.
    pub aliases: Box<[Box<str>]>,
    /// It is no more: nobody finds it, and no older pointer brings it back.
    deleted: bool,
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
    /// What the account has revoked.
    pub(super) purged: Hashes,
}

/// What the documents say that a pointer names.
#[derive(Debug, Default)]
pub(super) struct Documents {
    pub(super) rules: SiteRules,
    pub(super) manifest: Pages<ManifestPage>,
    pub(super) history: Pages<HistoryPage>,
    pub(super) purged: Hashes,
}

impl Environment {
    pub(super) fn new(pointer: &Pointer, documents: Documents) -> Self {
        let Documents { rules, manifest, history, purged } = documents;
        // A page that not everybody may see is none that everybody is shown.
        let not_found = rules
            .not_found
            .as_ref()
            .and_then(|path| find(&manifest, path.as_str()))
            .filter(|asset| asset.visibility == Visibility::Public)
            .cloned();
        Self {
            domain: pointer.domain.as_str().into(),
            aliases: pointer.aliases.iter().map(|alias| alias.as_str().into()).collect(),
            deleted: pointer.deleted,
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
            purged,
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
            purged: Hashes::default(),
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

    /// The blob of a hash that the live build or the history names, whoever may see it; none that the account has revoked.
    fn blob(&self, hash: &Hash) -> Option<BlobId> {
        let form = self.by_hash.find(&self.manifest, hash).or_else(|| self.history.find(hash))?;
        (!self.is_purged(form)).then(|| form.representation().blob)
    }

    /// Whether the account has revoked a form, or what it is a form of.
    pub fn is_purged(&self, form: &Form) -> bool {
        let source = || form.asset().representations.first().map(|source| &source.blob.hash);
        !self.purged.is_empty()
            && (self.purged.contains(&form.representation().blob.hash)
                || source().is_some_and(|source| self.purged.contains(source)))
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

/// All environments of this edge. Readers see one state or the next, never a mixture, and wait for nobody: all names of an environment
/// change together.
#[derive(Debug, Default)]
pub struct Environments {
    /// What was told of each domain; a name of its own, or of an environment that is no more, is there, too.
    told: Mutex<HashMap<Box<str>, Arc<Environment>>>,
    /// What each name shows.
    shown: ArcSwap<HashMap<Box<str>, Arc<Environment>>>,
    /// What each account shows.
    of_accounts: ArcSwap<HashMap<AccountKey, Vec<Arc<Environment>>>>,
    /// What is about to be shown.
    announced: Announced,
}

impl Environments {
    /// What a name shows now.
    pub fn find(&self, name: &str) -> Option<Arc<Environment>> {
        self.shown.load().get(name).cloned()
    }

    /// Whether a name is that of another environment than this one.
    pub fn is_of_another(&self, name: &str, environment: &Environment) -> bool {
        self.shown.load().get(name).is_some_and(|named| named.domain != environment.domain)
    }

    /// The blob of a hash, if an environment of an account names it, or is about to.
    pub(crate) fn named(&self, account: AccountKey, hash: &Hash) -> Option<BlobId> {
        let of_accounts = self.of_accounts.load();
        let mut shown = of_accounts.get(&account).into_iter().flatten();
        let named = shown.find_map(|environment| environment.blob(hash));
        named.or_else(|| self.announced.find(account, hash, Instant::now()))
    }

    /// Environments of an account are about to name these, within a time.
    pub(super) fn announce(&self, account: AccountKey, blobs: &[BlobId], time: Duration) {
        self.announced.add(account, blobs, Instant::now(), time);
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.told().values().filter(|environment| !environment.deleted).count()
    }

    /// Bytes that all documents take in memory.
    pub fn footprint(&self) -> u64 {
        self.told().values().map(|environment| environment.footprint()).sum()
    }

    /// What was told last of the environment with this domain, also of one that is no more.
    pub(super) fn held(&self, domain: &str) -> Option<Arc<Environment>> {
        self.told().get(domain).cloned()
    }

    /// Domains that something was told of.
    pub(super) fn domains(&self) -> Vec<Box<str>> {
        self.told().keys().cloned().collect()
    }

    /// Shows an environment by all its names from now on, at every worker.
    pub fn show(&self, environment: Arc<Environment>) {
        let mut told = self.told();
        told.insert(environment.domain.clone(), environment);
        self.publish(&told);
    }

    /// Shows a domain no more.
    pub(super) fn forget(&self, domain: &str) {
        let mut told = self.told();
        told.remove(domain);
        self.publish(&told);
    }

    fn publish(&self, told: &HashMap<Box<str>, Arc<Environment>>) {
        self.shown.store(Arc::new(shown(told)));
        let mut of_accounts: HashMap<AccountKey, Vec<Arc<Environment>>> = HashMap::default();
        for environment in told.values().filter(|environment| !environment.deleted) {
            of_accounts.entry(environment.account.key).or_default().push(Arc::clone(environment));
        }
        self.of_accounts.store(Arc::new(of_accounts));
    }

    fn told(&self) -> MutexGuard<'_, HashMap<Box<str>, Arc<Environment>>> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What each name shows. A name that two environments claim, because it moved and the one that lost it was not told yet, is that of
/// the one that was told last; a domain is nobody else's alias.
fn shown(told: &HashMap<Box<str>, Arc<Environment>>) -> HashMap<Box<str>, Arc<Environment>> {
    let mut shown: HashMap<Box<str>, Arc<Environment>> = HashMap::default();
    shown.reserve(told.len());
    for environment in told.values().filter(|environment| !environment.deleted) {
        for alias in &environment.aliases {
            let newer = shown.get(alias).filter(|other| other.version > environment.version);
            if newer.is_none() {
                shown.insert(alias.clone(), Arc::clone(environment));
            }
        }
    }
    let domains = told.values().filter(|environment| !environment.deleted);
    shown.extend(domains.map(|environment| (environment.domain.clone(), Arc::clone(environment))));
    shown
}

#[cfg(test)]
mod tests {
    use super::super::testing::Sketch;
    use super::*;

    fn environment(domain: &str, aliases: &[&str], revision: u64) -> Arc<Environment> {
        let mut sketch = Sketch::new(domain);
        sketch.pointer.aliases = aliases.iter().map(|&alias| alias.to_owned()).collect();
        sketch.pointer.version.revision = revision;
        Arc::new(sketch.environment())
    }

    fn shows(environments: &Environments, name: &str) -> Option<String> {
        environments.find(name).map(|found| found.domain.to_string())
    }

    #[test]
    fn all_names_of_an_environment_show_the_same_and_change_together() {
        let environments = Environments::default();
        environments.show(environment("a.test", &["music.test", "radio.test"], 1));
        let by_alias = environments.find("music.test").expect("an alias");
        assert!(Arc::ptr_eq(&by_alias, &environments.find("a.test").expect("a domain")));
        environments.show(environment("a.test", &["radio.test"], 2));
        assert_eq!(shows(&environments, "music.test"), None);
        assert_eq!(environments.find("radio.test").expect("an alias").version.revision, 2);
        assert_eq!(environments.count(), 1);
        environments.forget("a.test");
        assert_eq!(shows(&environments, "radio.test"), None);
    }

    #[test]
    fn a_name_that_moved_is_that_of_the_newer_pointer_in_whatever_order_they_come() {
        let (before, after) =
            (environment("a.test", &["music.test"], 1), environment("b.test", &["music.test"], 2));
        for pair in [[&before, &after], [&after, &before]] {
            let environments = Environments::default();
            for environment in pair {
                environments.show(Arc::clone(environment));
            }
            assert_eq!(shows(&environments, "music.test").as_deref(), Some("b.test"));
            environments.show(environment("a.test", &[], 3));
            assert_eq!(shows(&environments, "music.test").as_deref(), Some("b.test"));
        }
    }

    #[test]
    fn a_domain_is_nobody_elses_alias() {
        let environments = Environments::default();
        environments.show(environment("a.test", &[], 1));
        environments.show(environment("b.test", &["a.test"], 2));
        assert_eq!(shows(&environments, "a.test").as_deref(), Some("a.test"));
    }

    #[test]
    fn a_deleted_environment_is_found_by_nobody_and_still_held() {
        let environments = Environments::default();
        let mut sketch = Sketch::new("a.test");
        sketch.pointer.aliases = vec!["music.test".into()];
        sketch.pointer.deleted = true;
        environments.show(Arc::new(sketch.environment()));
        assert_eq!((shows(&environments, "a.test"), shows(&environments, "music.test")), (None, None));
        assert!(environments.held("a.test").is_some());
        assert_eq!((environments.count(), environments.domains().len()), (0, 1));
    }

    #[test]
    fn only_the_names_of_other_environments_are_of_another() {
        let environments = Environments::default();
        let own = environment("a.test", &["music.test"], 1);
        environments.show(Arc::clone(&own));
        environments.show(environment("b.test", &[], 2));
        let table = [("a.test", false), ("music.test", false), ("b.test", true), ("unknown.test", false)];
        for (name, expected) in table {
            assert_eq!(environments.is_of_another(name, &own), expected, "{name}");
        }
    }
}
