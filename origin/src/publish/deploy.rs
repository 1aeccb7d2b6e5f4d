//! Deployments: the one way in which an environment comes to show a build, whether it was just made, made long ago, or there is none.
//!
//! Serialised for each environment. The history is written and durable before the transaction that names it; that transaction
//! compares the live build, so nothing is lost even without the turn.

use super::pointer::Subject;
use super::site_file::may_show_older;
use super::{Place, PublishError, Publisher, Target, history, unix_seconds};
use crate::catalogue::{
    Actor, AssetVersion, BuildDocuments, DeployOutcome, Difference, Document, EnvironmentRow, NewBuild,
    NewDeployment, PastVersion,
};
use crate::sid::{BuildSid, DeploymentSid, EnvironmentSid};
use skerry_proto::pointer::Version;
use skerry_proto::rules::SiteRules;
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

/// What an environment is about to show, and what that changes.
#[derive(Debug, Clone, Default)]
pub(super) struct Next {
    pub(super) build: Option<BuildSid>,
    /// What the build declares.
    pub(super) rules: SiteRules,
    /// What the one declared that is live.
    pub(super) rules_before: SiteRules,
    pub(super) difference: Difference,
    /// All versions of a build that was just made. Of another one, those are read that matter.
    pub(super) versions: Option<Arc<[AssetVersion]>>,
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
            let build = match build {
                Some(build) => Some(publisher.completed(&place, build).await?),
                None => None,
            };
            let live = place.environment.live_build.as_ref();
            let next = Next {
                rules: publisher.rules(build.as_ref()).await?,
                // One that cannot be read any more must not stand in the way of its own removal.
                rules_before: publisher.rules(live).await.unwrap_or_default(),
                difference: catalogue.difference(live, build.as_ref()).await?,
                build,
                versions: None,
            };
            publisher.deploy_in_turn(&actor, place.environment, next, None).await
        })
        .await
    }

    /// A build of a place's service that can be deployed.
    pub(super) async fn completed(&self, place: &Place, build: String) -> Result<BuildSid, PublishError> {
        let details = self.shared.catalogue.build(&place.service, &build).await?;
        let Some(details) = details else { return Err(PublishError::Unknown { noun: "build", name: build }) };
        match self.shared.catalogue.build_manifest(&place.service, &build).await? {
            Some(_) => Ok(details.sid),
            None => Err(PublishError::NotCompleted { build }),
        }
    }

    /// What a build declares; nothing without one.
    async fn rules(&self, build: Option<&BuildSid>) -> Result<SiteRules, PublishError> {
        let Some(build) = build else { return Ok(SiteRules::default()) };
        let site_file = self.shared.catalogue.build_site_file(build).await?;
        Ok(self.read_site_file(site_file).await?.rules)
    }

    /// Makes an environment, whose turn the caller has, show what comes next. A build that was just made comes along, to be added in
    /// the same transaction.
    pub(super) async fn deploy_in_turn(
        &self,
        actor: &Actor,
        environment: EnvironmentRow,
        next: Next,
        made: Option<(&NewBuild, &BuildDocuments)>,
    ) -> Result<Deployed, PublishError> {
        let shared = &self.shared;
        let now = unix_seconds(SystemTime::now());
        // The deployment that is being made is one of the ten.
        let number_min = environment.deployment_number + 2 - RETAINED_COUNT;
        let made_min = now - RETAINED_SECONDS;
        let catalogue = &shared.catalogue;
        let (account, removed) = (&actor.account, &next.difference.removed);
        let past = catalogue.past_versions(account, &environment.sid, number_min, made_min, removed).await?;
        let versions: Arc<[AssetVersion]> = match (next.versions, &next.build) {
            (Some(versions), _) => versions,
            (None, Some(build)) if !past.is_empty() => {
                catalogue.build_versions_like(account, build, &past).await?.into()
            }
            (None, _) => Arc::default(),
        };
        let is_purged = |version: &PastVersion| catalogue.is_purged(account.as_str(), &version.blob.id.hash);
        let past = past.into_iter().filter(|version| !is_purged(version)).collect();
        let (history, pages) = self.write_history(past, versions).await?;
        let may_show_older = may_show_older(&next.rules_before, &next.rules, next.difference.removes_paths);
        let older_than = match &environment.live_build {
            Some(live) if may_show_older => catalogue.modified_last(live).await?,
            _ => None,
        };
        let new = NewDeployment {
            account: actor.account.clone(),
            environment: environment.sid,
            domain: environment.domain,
            deployment: DeploymentSid::random()?,
            replaces: environment.live_build,
            build: next.build,
            history,
            pages,
            older_than,
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
        self.turn_of(environment.as_str()).await
    }

    /// Waits until nobody else changes what has this SID.
    pub(super) async fn turn_of(&self, sid: &str) -> Result<OwnedMutexGuard<()>, PublishError> {
        let turn = {
            let mut turns = self.shared.turns.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(turns.entry(sid.to_owned()).or_default())
        };
        tokio::time::timeout(self.shared.turn_time_max, turn.lock_owned())
            .await
            .map_err(|_| PublishError::Busy)
    }
}
