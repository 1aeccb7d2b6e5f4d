//! One-step publishing: the current assets with some changes become a build, and the build goes live.
//!
//! Serialised for each environment, so that sixteen who publish at once all find theirs live. Documents are written and durable
//! before the transaction that names them; that transaction compares the live build, so nothing is lost even without the turn.

use super::{Place, PublishError, Publisher, TURN_WAIT_MAX, Target, contents, history, unix_seconds};
use crate::catalogue::{AssetVersion, DeployOutcome, Document, NewDeployment, PastVersion};
use crate::sid::{AccountSid, BuildSid, DeploymentSid, EnvironmentSid};
use prost::Message;
use skerry_proto::manifest::{self, Representation};
use skerry_proto::paging::Documents;
use skerry_proto::pointer::{AccessRules, Pointer, ServingRules, Version};
use skerry_proto::rules::SiteRules;
use skerry_proto::signed_url::key::PublicKey;
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
        let environment = self.place(account, target).await?.environment.sid;
        let (publisher, account, target) = (self.clone(), account.clone(), target.clone());
        self.to_the_end(async move {
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
        let build = contents::apply(live, added, &changes.versions, &changes.removed_paths, &shared.limits)?;
        // The deployment that is being made is one of the ten.
        let number_min = environment.deployment_number + 2 - RETAINED_COUNT;
        let past =
            shared.catalogue.past_versions(&environment.sid, number_min, now - RETAINED_SECONDS).await?;
        let versions = build.iter().map(|version| version.number).collect();
        let documents = self.store_documents(build, past).await?;
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
            created_at: now,
        };
        let outcome = shared
            .catalogue
            .deploy(&new, |version, url_keys| {
                self.signed_pointer(&new, version, environment.modified_floor, url_keys)
            })
            .await?;
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

    fn signed_pointer(
        &self,
        new: &NewDeployment,
        version: Version,
        modified_floor: i64,
        url_keys: Vec<PublicKey>,
    ) -> Vec<u8> {
        let pointer = Pointer {
            cluster_id: self.shared.catalogue.cluster_id(),
            version,
            domain: new.domain.clone(),
            account_sid: new.account.to_string(),
            environment_sid: new.environment.to_string(),
            manifest: Some(new.manifest.id),
            history: new.history.map(|history| history.id),
            access: AccessRules::default(),
            serving: ServingRules::default(),
            modified_floor,
            issued_at: new.created_at,
            url_keys,
        };
        pointer.sign(&self.shared.keys.signing).encode_to_vec()
    }

    /// Writes manifest and history of a build, on a thread that may block and compute.
    async fn store_documents(
        &self,
        build: Vec<AssetVersion>,
        past: Vec<PastVersion>,
    ) -> Result<StoredDocuments, PublishError> {
        let publisher = self.clone();
        let work = tokio::task::spawn_blocking(move || {
            let mut pages = Vec::new();
            let manifest = publisher
                .store_all(&manifest::write(&entries(&build), &SiteRules::default())?, &mut pages)?;
            let past = history::entries(&past, &build);
            let history = match past.is_empty() {
                true => None,
                false => Some(publisher.store_all(&skerry_proto::history::write(&past)?, &mut pages)?),
            };
            Ok(StoredDocuments { manifest, history, pages })
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

    /// Waits until nobody else publishes to the environment.
    async fn turn(&self, environment: &EnvironmentSid) -> Result<OwnedMutexGuard<()>, PublishError> {
        let turn = {
            let mut turns = self.shared.turns.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(turns.entry(environment.to_string()).or_default())
        };
        tokio::time::timeout(TURN_WAIT_MAX, turn.lock_owned()).await.map_err(|_| PublishError::Busy)
    }
}

/// What edges learn of a build: everything but what is private.
fn entries(build: &[AssetVersion]) -> Vec<manifest::Entry> {
    build
        .iter()
        .filter(|version| version.visibility.is_served())
        .map(|version| manifest::Entry {
            path: version.path.clone(),
            visibility: version.visibility,
            content_type: version.content_type.clone(),
            modified: version.created_at,
            representations: vec![Representation {
                encoding: String::new(),
                blob: version.blob.id,
                sha256: version.blob.sha256,
            }],
            cache_control: None,
            fields: Vec::new(),
        })
        .collect()
}
