//! Deployments: the one way in which an environment comes to show a build, whether it was just made, made long ago, or there is none.
//!
//! Serialised for each environment. The history is written and durable before the transaction that names it; that transaction
//! compares the live build, so nothing is lost even without the turn.

use super::pointer::Subject;
use super::site_file::may_show_older;
use super::{PublishError, Publisher, Target, history, unix_seconds};
use crate::catalogue::{
    Actor, AssetVersion, BuildDocuments, DeployOutcome, Document, EnvironmentRow, NewBuild, NewDeployment,
    PastVersion,
};
use crate::sid::{BuildSid, DeploymentSid, EnvironmentSid};
use skerry_proto::pointer::Version;
use skerry_proto::rules::SiteRules;
use skerry_proto::slices::BlobId;
use std::collections::HashSet;
use std::sync::{Arc, PoisonError};
use std::time::SystemTime;
use tokio::sync::OwnedMutexGuard;

/// Deployments of an environment whose builds are retained.
const RETAINED_COUNT: i64 = 10;

/// Builds deployed within this time are retained, too: 30 days.
const RETAINED_SECONDS: i64 = 30 * 86_400;

/// What a deployment made live.
#[derive(Debug, Clone)]
pub(crate) struct Deployed {
    /// `None`: the environment shows nothing.
    pub(crate) build: Option<BuildSid>,
    pub(crate) deployment: DeploymentSid,
    pub(crate) environment: EnvironmentSid,
    pub(crate) version: Version,
    pub(crate) domain: String,
}

/// What an environment is about to show.
#[derive(Debug, Clone, Default)]
pub(super) struct Next {
    pub(super) build: Option<BuildSid>,
    pub(super) manifest: Option<BlobId>,
    pub(super) versions: Arc<[AssetVersion]>,
    pub(super) rules: SiteRules,
}

/// What an environment shows.
#[derive(Debug)]
pub(super) struct Before {
    rules: SiteRules,
    paths: HashSet<String>,
    /// Date of the youngest version.
    modified_last: Option<i64>,
}

/// Which build is to be deployed.
#[derive(Debug, Clone)]
pub(crate) enum Wanted {
    /// The one of this SID.
    Build(String),
    /// The one that was live before the one that is.
    Previous,
    /// None: the environment goes off the net.
    Nothing,
}

impl Publisher {
    /// Makes an environment show a completed build of its service, or nothing.
    ///
    /// # Errors
    /// [`PublishError::Unknown`] for a build that is not there, [`PublishError::NotCompleted`], [`PublishError::NothingBefore`],
    /// those of [`Publisher::place`], [`PublishError::Busy`], and those of blob store and catalogue.
    pub(crate) async fn deploy(
        &self,
        actor: &Actor,
        target: &Target,
        wanted: Wanted,
    ) -> Result<Deployed, PublishError> {
        let environment = self.place(&actor.account, target).await?.environment.sid;
        let (publisher, actor, target) = (self.clone(), actor.clone(), target.clone());
        self.to_the_end(async move {
            let _turn = publisher.turn(&environment).await?;
            // Read again: what was live may have changed while this waited.
            let place = publisher.place(&actor.account, &target).await?;
            let catalogue = &publisher.shared.catalogue;
            let build = match wanted {
                Wanted::Build(build) => Some(build),
                Wanted::Previous => {
                    let previous = catalogue.previous_build(&place.environment.sid).await?;
                    Some(previous.ok_or(PublishError::NothingBefore)?)
                }
                Wanted::Nothing => None,
            };
            let next = match build {
                Some(build) => {
                    let details = catalogue.build(&place.service, &build).await?;
                    let name = build.clone();
                    let details = details.ok_or(PublishError::Unknown { noun: "build", name })?;
                    let manifest = catalogue.build_manifest(&place.service, &build).await?;
                    let manifest = manifest.ok_or(PublishError::NotCompleted { build })?;
                    let versions: Arc<[AssetVersion]> = catalogue.build_versions(&details.sid).await?.into();
                    let rules = publisher.site_file(&versions).await?.rules;
                    Next { build: Some(details.sid), manifest: Some(manifest), versions, rules }
                }
                None => Next::default(),
            };
            let live = publisher.live_versions(&place.environment).await?;
            let before = publisher.before(&live).await;
            publisher.deploy_in_turn(&actor, place.environment, &before, next, None).await
        })
        .await
    }

    /// What an environment shows with these versions.
    pub(super) async fn before(&self, live: &[AssetVersion]) -> Before {
        Before {
            // One that cannot be read any more must not stand in the way of its own removal.
            rules: self.site_file(live).await.unwrap_or_default().rules,
            paths: live.iter().map(|version| version.path.to_string()).collect(),
            modified_last: live.iter().map(|version| version.created_at).max(),
        }
    }

    /// Makes an environment, whose turn the caller has, show what comes next. A build that was just made comes along, to be added in
    /// the same transaction.
    pub(super) async fn deploy_in_turn(
        &self,
        actor: &Actor,
        environment: EnvironmentRow,
        before: &Before,
        next: Next,
        made: Option<(&NewBuild, &BuildDocuments)>,
    ) -> Result<Deployed, PublishError> {
        let shared = &self.shared;
        let now = unix_seconds(SystemTime::now());
        // The deployment that is being made is one of the ten.
        let number_min = environment.deployment_number + 2 - RETAINED_COUNT;
        let made_min = now - RETAINED_SECONDS;
        let past = shared.catalogue.past_versions(&actor.account, &environment.sid, number_min, made_min);
        let (history, pages) = self.write_history(past.await?, Arc::clone(&next.versions)).await?;
        let shown: HashSet<&str> = next.versions.iter().map(|version| version.path.as_str()).collect();
        let has_removed = before.paths.iter().any(|path| !shown.contains(path.as_str()));
        let may_show_older = may_show_older(&before.rules, &next.rules, has_removed);
        let new = NewDeployment {
            account: actor.account.clone(),
            environment: environment.sid,
            domain: environment.domain,
            deployment: DeploymentSid::random()?,
            replaces: environment.live_build,
            build: next.build,
            versions: next.versions.iter().map(|version| version.number).collect(),
            manifest: next.manifest,
            history,
            pages,
            older_than: before.modified_last.filter(|_| may_show_older),
            created_at: now,
        };
        let subject = Subject { account: &new.account, environment: &new.environment, domain: &new.domain };
        let pointer = |version, standing: &_| self.signed_pointer(subject, version, standing, now);
        let outcome = shared.catalogue.deploy(actor, &new, made, pointer).await?;
        let DeployOutcome::Live(version) = outcome else { return Err(PublishError::Superseded) };
        shared.metrics.deployed(version);
        Ok(Deployed {
            build: new.build,
            deployment: new.deployment,
            environment: new.environment,
            version,
            domain: new.domain,
        })
    }

    /// Writes the history beside a build, on a thread that may block and compute.
    async fn write_history(
        &self,
        past: Vec<PastVersion>,
        versions: Arc<[AssetVersion]>,
    ) -> Result<(Option<Document>, Vec<Document>), PublishError> {
        let publisher = self.clone();
        let work = tokio::task::spawn_blocking(move || {
            let past = history::entries(&past, &versions);
            if past.is_empty() {
                return Ok((None, Vec::new()));
            }
            let (history, pages) = publisher.store_all(&skerry_proto::history::write(&past)?)?;
            Ok((Some(history), pages))
        });
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
        tokio::time::timeout(self.shared.turn_time_max, turn.lock_owned())
            .await
            .map_err(|_| PublishError::Busy)
    }
}
