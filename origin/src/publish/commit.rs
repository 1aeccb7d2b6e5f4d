//! One-step publishing: the current assets with some changes become a build, and the build goes live.
//!
//! It has its turn in the environment from reading what is live to replacing it, so that sixteen who publish at once all find theirs
//! live.

use super::deploy::{Deployed, Next};
use super::{Place, PublishError, Publisher, Target, contents, unix_seconds};
use crate::catalogue::{Actor, AssetVersion, NewBuild};
use crate::sid::BuildSid;
use std::sync::Arc;
use std::time::SystemTime;

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
            publisher.derive(&actor.account, &added).await?;
            let _turn = publisher.turn(&place.environment.sid).await?;
            // Read again: what was live may have changed while this waited.
            let place = publisher.place(&actor.account, &target).await?;
            publisher.commit_in_turn(&actor, place, &changes).await
        })
        .await
    }

    async fn commit_in_turn(
        &self,
        actor: &Actor,
        place: Place,
        changes: &Changes,
    ) -> Result<Deployed, PublishError> {
        let shared = &self.shared;
        let live = self.live_versions(&place.environment).await?;
        let before = self.before(&live).await;
        let added = shared.catalogue.versions(&place.service, &changes.versions).await?;
        let limits = self.limits(&place.service).await?.limits;
        let versions: Arc<[AssetVersion]> =
            contents::apply(live, added, &changes.versions, &changes.removed_paths, &limits)?.into();
        let site_file = self.site_file(&versions).await?;
        let rules = site_file.rules.clone();
        let documents = self.write_build(Arc::clone(&versions), site_file).await?;
        let new = NewBuild {
            build: BuildSid::random()?,
            service: place.service,
            versions: versions.iter().map(|version| version.number).collect(),
            functions: Vec::new(),
            dependencies: "[]".to_owned(),
            runtime: String::new(),
            created_at: unix_seconds(SystemTime::now()),
        };
        let (build, manifest) = (Some(new.build.clone()), Some(documents.manifest.id));
        let next = Next { build, manifest, versions, rules };
        self.deploy_in_turn(actor, place.environment, &before, next, Some((&new, &documents))).await
    }
}
