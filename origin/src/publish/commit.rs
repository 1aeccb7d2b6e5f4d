//! One-step publishing: the current assets with some changes become a build, and the build goes live.
//!
//! Serialised for each environment, so that sixteen who publish at once all find theirs live. Documents are written and durable
//! before the transaction that names them; that transaction compares the live build, so nothing is lost even without the turn.

use super::derive::representations;
use super::pointer::Subject;
use super::site_file::{self, SiteFile};
use super::{Place, PublishError, Publisher, TURN_WAIT_MAX, Target, contents, history, unix_seconds};
use crate::catalogue::{AssetVersion, DeployOutcome, Document, NewDeployment, PastVersion};
use crate::sid::{AccountSid, BuildSid, DeploymentSid, EnvironmentSid};
use skerry_proto::hash::Hash;
use skerry_proto::manifest;
use skerry_proto::paging::Documents;
use skerry_proto::pointer::Version;
use std::sync::{Arc, PoisonError};
use std::time::SystemTime;
use tokio::sync::OwnedMutexGuard;

/// Deployments of an environment whose builds are retained.
const RETAINED_COUNT: i64 = 10;

/// Builds deployed within this time are retained, too: 30 days.
const RETAINED_SECONDS: i64 = 30 * 86_400;

/// What a commit changes.
#[derive(Debug, Clone, Default)]
pub(crate) struct Changes {
    /// SIDs of versions that were uploaded before.
    pub(crate) versions: Vec<String>,
    /// Paths that the build is without.
    pub(crate) removed_paths: Vec<String>,
}

/// What a commit made.
#[derive(Debug, Clone)]
pub(crate) struct Committed {
    pub(crate) build: BuildSid,
    pub(crate) deployment: DeploymentSid,
    pub(crate) environment: EnvironmentSid,
    pub(crate) version: Version,
    pub(crate) domain: String,
}

/// The documents of a build, stored durably.
struct StoredDocuments {
    manifest: Document,
    history: Option<Document>,
    pages: Vec<Document>,
    /// The derived blobs that the manifest names.
    derived: Vec<Hash>,
}

impl Publisher {
    /// Makes a build of the environment's live assets with these changes, and deploys it.
    ///
    /// # Errors
    /// [`PublishError::Refused`], [`PublishError::NotFound`], [`PublishError::NothingToCommit`]: what is live stays.
    /// [`PublishError::Busy`], and those of blob store and catalogue.
    pub(crate) async fn commit(
        &self,
        account: &AccountSid,
        target: &Target,
        changes: Changes,
    ) -> Result<Committed, PublishError> {
        if changes.versions.is_empty() && changes.removed_paths.is_empty() {
            return Err(PublishError::NothingToCommit);
        }
        let place = self.place(account, target).await?;
        let environment = place.environment.sid;
        let (publisher, account, target) = (self.clone(), account.clone(), target.clone());
        self.to_the_end(async move {
            // Takes longest, and needs no turn.
            let added = publisher.shared.catalogue.versions(&place.service, &changes.versions).await?;
            publisher.derive(&added).await?;
            let _turn = publisher.turn(&environment).await?;
            // Read again: what was live may have changed while this waited.
            let place = publisher.place(&account, &target).await?;
            publisher.commit_in_turn(account, place, &changes).await
        })
        .await
    }

    async fn commit_in_turn(
        &self,
        account: AccountSid,
        place: Place,
        changes: &Changes,
    ) -> Result<Committed, PublishError> {
        let shared = &self.shared;
        let now = unix_seconds(SystemTime::now());
        let environment = place.environment;
        let live = self.live_versions(&environment).await?;
        let added = shared.catalogue.versions(&place.service, &changes.versions).await?;
        let site_file_before = self.site_file(&live).await?;
        let modified_last = live.iter().map(|version| version.created_at).max();
        let build = contents::apply(live, added, &changes.versions, &changes.removed_paths, &shared.limits)?;
        let site_file = self.site_file(&build).await?;
        let may_show_older = site_file::may_show_older(
            &site_file_before.rules,
            &site_file.rules,
            !changes.removed_paths.is_empty(),
        );
        // The deployment that is being made is one of the ten.
        let number_min = environment.deployment_number + 2 - RETAINED_COUNT;
        let made_min = now - RETAINED_SECONDS;
        let past = shared.catalogue.past_versions(&account, &environment.sid, number_min, made_min).await?;
        let versions = build.iter().map(|version| version.number).collect();
        let documents = self.store_documents(build, past, site_file).await?;
        let new = NewDeployment {
            account,
            service: place.service,
            environment: environment.sid,
            domain: environment.domain,
            build: BuildSid::random()?,
            deployment: DeploymentSid::random()?,
            replaces: environment.live_build,
            versions,
            manifest: documents.manifest,
            history: documents.history,
            pages: documents.pages,
            derived: documents.derived,
            older_than: modified_last.filter(|_| may_show_older),
            created_at: now,
        };
        let subject = Subject { account: &new.account, environment: &new.environment, domain: &new.domain };
        let pointer = |version, standing: &_| self.signed_pointer(subject, version, standing, now);
        let outcome = shared.catalogue.deploy(&new, pointer).await?;
        let DeployOutcome::Live(version) = outcome else { return Err(PublishError::Superseded) };
        shared.metrics.deployed(version);
        Ok(Committed {
            build: new.build,
            deployment: new.deployment,
            environment: new.environment,
            version,
            domain: new.domain,
        })
    }

    /// Writes manifest and history of a build, on a thread that may block and compute.
    async fn store_documents(
        &self,
        build: Vec<AssetVersion>,
        past: Vec<PastVersion>,
        site_file: SiteFile,
    ) -> Result<StoredDocuments, PublishError> {
        let publisher = self.clone();
        let work = tokio::task::spawn_blocking(move || {
            let entries = entries(&build, &site_file);
            let missing = site_file.missing_targets(&entries);
            if !missing.is_empty() {
                return Err(PublishError::Refused(missing));
            }
            let mut pages = Vec::new();
            let manifest = publisher.store_all(&manifest::write(&entries, &site_file.rules)?, &mut pages)?;
            let past = history::entries(&past, &build);
            let history = match past.is_empty() {
                true => None,
                false => Some(publisher.store_all(&skerry_proto::history::write(&past)?, &mut pages)?),
            };
            Ok(StoredDocuments { manifest, history, pages, derived: derived(&entries) })
        });
        work.await.unwrap_or(Err(PublishError::Stopping))
    }

    /// Stores pages, then the root that names them. Blocks.
    fn store_all(&self, documents: &Documents, pages: &mut Vec<Document>) -> Result<Document, PublishError> {
        for page in &documents.pages {
            pages.push(self.shared.blobs.store(page)?);
        }
        Ok(self.shared.blobs.store(&documents.root)?)
    }

    /// What the site file of a build declares; nothing without one.
    async fn site_file(&self, build: &[AssetVersion]) -> Result<SiteFile, PublishError> {
        let Some(version) = site_file::find(build) else { return Ok(SiteFile::default()) };
        let blob = self.shared.blobs.open_blob(version.blob.id).await?;
        let work = tokio::task::spawn_blocking(move || Ok(SiteFile::parse(&blob.verified()?)?));
        work.await.unwrap_or(Err(PublishError::Stopping))
    }

    /// Waits until nobody else changes the environment.
    pub(super) async fn turn(
        &self,
        environment: &EnvironmentSid,
    ) -> Result<OwnedMutexGuard<()>, PublishError> {
        let turn = {
            let mut turns = self.shared.turns.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(turns.entry(environment.to_string()).or_default())
        };
        tokio::time::timeout(TURN_WAIT_MAX, turn.lock_owned()).await.map_err(|_| PublishError::Busy)
    }
}

/// What edges learn of a build: everything but what is private, with the header fields that are declared for it.
fn entries(build: &[AssetVersion], site_file: &SiteFile) -> Vec<manifest::Entry> {
    let served = build.iter().filter(|version| version.visibility.is_served());
    let entry = |version: &AssetVersion| {
        let mut entry = manifest::Entry {
            path: version.path.clone(),
            visibility: version.visibility,
            content_type: version.content_type.clone(),
            modified: version.created_at,
            representations: representations(&version.content_type, &version.blob, &version.derived),
            cache_control: None,
            fields: Vec::new(),
        };
        site_file.declare(&mut entry);
        entry
    };
    served.map(entry).collect()
}

/// Hashes of all representations but identity.
fn derived(entries: &[manifest::Entry]) -> Vec<Hash> {
    let representations = entries.iter().flat_map(|entry| &entry.representations);
    let derived = representations.filter(|representation| !representation.encoding.is_empty());
    derived.map(|representation| representation.blob.hash).collect()
}
