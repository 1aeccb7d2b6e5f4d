//! One-step publishing: the current assets with some changes become a build, and the build goes live.
//!
//! It has its turn in the environment from reading what is live to replacing it, so that sixteen who publish at once all find theirs
//! live.

use super::deploy::{Deployed, Next};
use super::{Place, PublishError, Publisher, Target, contents, unix_seconds};
use crate::catalogue::{Actor, AssetVersion, NewBuild};
use crate::sid::BuildSid;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// What a commit changes.
#[derive(Debug, Clone, Default)]
pub(crate) struct Changes {
    /// SIDs of versions that were uploaded before.
    pub(crate) versions: Vec<String>,
    /// Paths that the build is without.
    pub(crate) removed_paths: Vec<String>,
}

impl Publisher {
    /// Makes a build of the environment's live assets with these changes, and deploys it.
    ///
    /// # Errors
    /// [`PublishError::Refused`], [`PublishError::NotFound`], [`PublishError::NothingToCommit`]: what is live stays.
    /// [`PublishError::Busy`], and those of blob store and catalogue.
    pub(crate) async fn commit(
        &self,
        actor: &Actor,
        target: &Target,
        changes: Changes,
    ) -> Result<Deployed, PublishError> {
        if changes.versions.is_empty() && changes.removed_paths.is_empty() {
            return Err(PublishError::NothingToCommit);
        }
        let place = self.place(&actor.account, target).await?;
        let (publisher, actor, target) = (self.clone(), actor.clone(), target.clone());
        self.to_the_end(async move {
            // Takes longest, and needs no turn.
            let added = publisher.shared.catalogue.versions(&place.service, &changes.versions).await?;
            let cpu_time = publisher.derive(&actor.account, &added).await;
            let _turn = publisher.turn(&place.environment.sid).await?;
            // Read again: what was live may have changed while this waited.
            let place = publisher.place(&actor.account, &target).await?;
            publisher.commit_in_turn(&actor, place, &changes, cpu_time).await
        })
        .await
    }

    async fn commit_in_turn(
        &self,
        actor: &Actor,
        place: Place,
        changes: &Changes,
        cpu_time: Duration,
    ) -> Result<Deployed, PublishError> {
        let shared = &self.shared;
        let live = self.live_versions(&place.environment).await?;
        // One that cannot be read any more must not stand in the way of its own removal.
        let rules_before = self.site_file(&live).await.unwrap_or_default().rules;
        let added = shared.catalogue.versions(&place.service, &changes.versions).await?;
        self.refuse_purged(&actor.account, &added)?;
        let limits = self.limits(&place.service).await?.limits;
        let versions: Arc<[AssetVersion]> =
            contents::apply(live.clone(), added, &changes.versions, &changes.removed_paths, &limits)?.into();
        let difference = contents::difference(&live, &versions);
        let site_file = self.site_file(&versions).await?;
        let rules = site_file.rules.clone();
        let unfinished = self.unfinished(&versions, cpu_time);
        let documents = self.write_build(Arc::clone(&versions), site_file, unfinished).await?;
        let new = NewBuild {
            build: BuildSid::random()?,
            service: place.service,
            versions: versions.iter().map(|version| version.number).collect(),
            functions: Vec::new(),
            dependencies: "[]".to_owned(),
            runtime: String::new(),
            created_at: unix_seconds(SystemTime::now()),
        };
        let build = Some(new.build.clone());
        let next = Next { build, rules, rules_before, difference, versions: Some(versions) };
        let made = Some((&new, &documents));
        let deployed = self.deploy_in_turn(actor, place.environment, next, made).await?;
        if unfinished.is_some() {
            self.shared.unfinished.notify_one();
        }
        Ok(deployed)
    }
}
