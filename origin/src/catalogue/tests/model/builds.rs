//! Builds, deployments, and coded forms that join builds.

use super::*;

impl Pair {
    pub(super) async fn begin_build(&mut self, service: u8, versions: &[u8]) {
        let Some(place) = choose(&self.services, service, |_| true) else { return };
        let service = self.services[place].sid.clone();
        // Of any service: those of another one, and of deleted assets, are not found.
        let chosen: Vec<&ModelVersion> = versions
            .iter()
            .filter_map(|number| Some(&self.versions[choose(&self.versions, *number, |_| true)?]))
            .collect();
        let sids: Vec<String> = chosen.iter().map(|version| version.sid.to_string()).collect();
        let found = self.catalogue.versions(&service, &sids).await.expect("answers");
        let is_usable = |version: &&&ModelVersion| {
            let asset = self.assets.iter().find(|asset| asset.sid == version.asset);
            version.service == service && asset.is_some_and(|asset| !asset.is_deleted)
        };
        let usable: Vec<&ModelVersion> = chosen.iter().filter(is_usable).copied().collect();
        let numbers = |numbers: &mut dyn Iterator<Item = i64>| numbers.collect::<Vec<_>>();
        assert_eq!(
            numbers(&mut found.iter().map(|version| version.number)),
            numbers(&mut usable.iter().map(|version| version.number))
        );
        // A build has a path once.
        let by_path: BTreeMap<&str, &ModelVersion> =
            usable.iter().map(|version| (version.path.as_str(), *version)).collect();
        let versions: Vec<ModelVersion> = by_path.into_values().cloned().collect();
        let new = NewBuild {
            build: BuildSid::random().expect("random"),
            service: service.clone(),
            versions: versions.iter().map(|version| version.number).collect(),
            functions: Vec::new(),
            dependencies: "[]".into(),
            runtime: String::new(),
            created_at: 100,
        };
        self.catalogue.begin_build(&self.actor_of(&service), &new).await.expect("begins");
        self.builds.push(Build {
            service,
            manifest: format!("manifest of {}", new.build),
            sid: new.build,
            status: "building",
            versions,
            is_deleted: false,
            unfinished: None,
        });
    }

    pub(super) async fn complete_build(&mut self, build: u8, unfinished: bool) {
        let Some(place) = choose(&self.builds, build, |build| build.status == "building") else { return };
        let account = self.actor_of(&self.builds[place].service).account;
        let build = &mut self.builds[place];
        let unfinished = unfinished.then_some(Duration::ZERO);
        let documents = BuildDocuments { unfinished, ..documents(build.manifest.as_bytes()) };
        self.catalogue.complete_build(&account, &build.sid, &documents, 200).await.expect("completes");
        build.status = "completed";
        build.unfinished = unfinished.map(|_| 0);
    }

    pub(super) async fn fail_build(&mut self, build: u8) {
        let Some(place) = choose(&self.builds, build, |_| true) else { return };
        let build = &mut self.builds[place];
        self.catalogue.fail_build(&build.sid, "why", 200).await.expect("answers");
        if build.status == "building" {
            build.status = "failed";
        }
    }

    pub(super) async fn delete_build(&mut self, build: u8) {
        let Some(place) = choose(&self.builds, build, |_| true) else { return };
        let actor = self.actor_of(&self.builds[place].service);
        let build = &mut self.builds[place];
        let is_live =
            self.environments.iter().any(|environment| environment.live.as_ref() == Some(&build.sid));
        let deleted = self.catalogue.delete_build(&actor, &build.sid, 300).await.expect("answers");
        assert_eq!(deleted, !is_live && !build.is_deleted);
        build.is_deleted |= deleted;
    }

    /// A build that may go live in an environment.
    pub(super) fn deployable(&self, environment: usize, build: u8) -> Option<BuildSid> {
        let service = &self.environments[environment].service;
        let place = choose(&self.builds, build, |build| {
            build.service == *service && build.status == "completed" && !build.is_deleted
        })?;
        Some(self.builds[place].sid.clone())
    }

    pub(super) async fn deploy(&mut self, place: usize, build: Option<BuildSid>, replaces: Option<BuildSid>) {
        let environment = &self.environments[place];
        let made = self.builds.iter().find(|known| Some(&known.sid) == build.as_ref());
        let new = NewDeployment {
            account: self.actor_of(&environment.service).account,
            environment: environment.sid.clone(),
            domain: environment.domain.clone(),
            deployment: DeploymentSid::random().expect("random"),
            replaces: replaces.clone(),
            build: build.clone(),
            history: None,
            pages: Vec::new(),
            older_than: None,
            created_at: 400,
        };
        let manifest = made.map(|build| build.manifest.clone());
        let actor = Actor::origin(new.account.clone());
        let outcome = self.catalogue.deploy(&actor, &new, None, |_, standing| say(standing)).await;
        let is_right = replaces == environment.live;
        assert_eq!(matches!(outcome.expect("answers"), DeployOutcome::Live(_)), is_right, "{new:?}");
        if is_right {
            let domain = new.domain.clone();
            self.told(&domain, manifest.as_deref());
            let environment = &mut self.environments[place];
            environment.live.clone_from(&build);
            environment.deployments.push((new.deployment, build));
        }
    }

    pub(super) async fn roll_back(&mut self, environment: u8) {
        let Some(place) = choose(&self.environments, environment, |_| true) else { return };
        let environment = &self.environments[place];
        let is_there =
            |sid: &BuildSid| self.builds.iter().any(|build| build.sid == *sid && !build.is_deleted);
        let expected = environment.deployments.iter().rev().filter_map(|(_, build)| build.clone());
        let expected = expected.filter(|build| Some(build) != environment.live.as_ref()).find(is_there);
        let found = self.catalogue.previous_build(&environment.sid).await.expect("answers");
        assert_eq!(found.as_deref(), expected.as_ref().map(BuildSid::as_str));
        if let Some(build) = expected {
            let live = environment.live.clone();
            self.deploy(place, Some(build), live).await;
        }
    }

    pub(super) async fn join(&mut self) {
        // Those that were deleted are given up.
        for build in self.builds.iter_mut().filter(|build| build.is_deleted) {
            build.unfinished = None;
        }
        let is_live = |build: &Build| {
            self.environments.iter().any(|environment| environment.live.as_ref() == Some(&build.sid))
        };
        let waiting = self.builds.iter().enumerate().filter(|(_, build)| build.unfinished.is_some());
        let next =
            waiting.min_by_key(|(place, build)| (build.unfinished, !is_live(build), usize::MAX - place));
        let place = next.map(|(place, _)| place);
        let round = self.catalogue.begin_derivation_round().await.expect("answers");
        assert_eq!(
            round.as_ref().map(|round| &round.build),
            place.map(|place| &self.builds[place].sid),
            "whose turn it is"
        );
        let (Some(round), Some(place)) = (round, place) else { return };
        // Every second one goes on.
        self.turn += 1;
        let goes_on = self.turn.is_multiple_of(2);
        let build = &mut self.builds[place];
        build.manifest.push('+');
        build.unfinished = goes_on.then_some(self.turn);
        let unfinished = goes_on.then_some(Duration::ZERO);
        let next = BuildDocuments { unfinished, ..documents(build.manifest.as_bytes()) };
        let (sid, manifest) = (build.sid.clone(), build.manifest.clone());
        let pointer = |_: &Showing, _: Version, standing: &Standing| say(standing);
        self.catalogue.end_derivation_round(&round, &next, 500, pointer).await.expect("ends");
        let showing: Vec<String> = self
            .environments
            .iter()
            .filter(|environment| environment.live.as_ref() == Some(&sid))
            .map(|environment| environment.domain.clone())
            .collect();
        for domain in showing {
            self.told(&domain, Some(&manifest));
        }
    }
}
