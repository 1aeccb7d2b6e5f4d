//! Whether both are the same.

use super::*;

impl Pair {
    /// Compares every list, what each environment shows, and what edges were told.
    pub(super) async fn compare(&self) {
        for (number, account) in self.accounts.iter().enumerate() {
            let listed = self.catalogue.list_services(account, &all()).await.expect("lists");
            let listed: Vec<_> =
                listed.items.iter().map(|item| (item.sid.as_str(), item.unique_name.as_str())).collect();
            let known = self.services.iter().rev().filter(|service| service.account == number);
            let known: Vec<_> = known.map(|service| (service.sid.as_str(), service.name.as_str())).collect();
            assert_eq!(listed, known, "services of {number}");
        }
        for service in &self.services {
            let stranger = &self.accounts[1 - service.account];
            let found = self.catalogue.service(stranger, service.sid.as_str()).await.expect("answers");
            assert_eq!(found, None, "another account's service");
            self.compare_service(&service.sid).await;
        }
        for environment in &self.environments {
            self.compare_environment(environment).await;
        }
        let (version, pointers) = self.catalogue.snapshot().await.expect("answers");
        assert_eq!(version.revision, self.revision, "revisions");
        let pointers: Vec<_> =
            pointers.into_iter().map(|pointer| String::from_utf8(pointer).expect("text")).collect();
        assert_eq!(pointers, self.pointers.values().cloned().collect::<Vec<_>>(), "of {:?}", self.pointers);
    }

    async fn compare_service(&self, service: &ServiceSid) {
        let listed = self.catalogue.list_environments(service, &all()).await.expect("lists");
        let listed: Vec<_> = listed
            .items
            .iter()
            .map(|item| (item.sid.as_str(), item.domain_name.as_str(), item.live_build_sid.as_deref()))
            .collect();
        let known = self.environments.iter().rev().filter(|environment| environment.service == *service);
        let known: Vec<_> = known
            .map(|one| (one.sid.as_str(), one.domain.as_str(), one.live.as_ref().map(BuildSid::as_str)))
            .collect();
        assert_eq!(listed, known, "environments");

        let listed = self.catalogue.list_contents(Kind::Asset, service, &all()).await.expect("lists");
        let listed: Vec<_> =
            listed.items.iter().map(|item| (item.sid.as_str(), item.friendly_name.as_str())).collect();
        let known = self.assets.iter().rev().filter(|asset| asset.service == *service && !asset.is_deleted);
        let known: Vec<_> = known.map(|asset| (asset.sid.as_str(), asset.name.as_str())).collect();
        assert_eq!(listed, known, "assets");

        for asset in self.assets.iter().filter(|asset| asset.service == *service) {
            let listed = self.catalogue.list_content_versions(Kind::Asset, &asset.sid, &all()).await;
            let listed = listed.expect("lists");
            let listed: Vec<_> = listed
                .items
                .iter()
                .map(|item| (item.sid.as_str(), item.path.as_str(), item.visibility.as_str()))
                .collect();
            let known = self.versions.iter().rev().filter(|version| version.asset == asset.sid);
            let known: Vec<_> = known
                .map(|version| (version.sid.as_str(), version.path.as_str(), version.visibility.as_str()))
                .collect();
            assert_eq!(listed, known, "versions");
        }

        let listed = self.catalogue.list_builds(service, &all()).await.expect("lists");
        let listed: Vec<_> =
            listed.items.iter().map(|item| (item.sid.as_str(), item.status.as_str())).collect();
        let known = self.builds.iter().rev().filter(|build| build.service == *service && !build.is_deleted);
        let known: Vec<_> = known.map(|build| (build.sid.as_str(), build.status)).collect();
        assert_eq!(listed, known, "builds");
    }

    async fn compare_environment(&self, environment: &Environment) {
        let listed = self.catalogue.list_deployments(&environment.sid, &all()).await.expect("lists");
        let listed: Vec<_> =
            listed.items.iter().map(|item| (item.sid.as_str(), item.build_sid.as_deref())).collect();
        let known = environment.deployments.iter().rev();
        let known: Vec<_> =
            known.map(|(sid, build)| (sid.as_str(), build.as_ref().map(BuildSid::as_str))).collect();
        assert_eq!(listed, known, "deployments");

        let Some(live) = &environment.live else { return };
        let shown = self.catalogue.build_versions(live).await.expect("answers");
        let shown: Vec<_> = shown
            .iter()
            .map(|version| (version.path.as_str(), version.visibility, version.blob.id))
            .collect();
        let known = self.builds.iter().find(|build| build.sid == *live).expect("a live build stays");
        let expected: Vec<_> = known
            .versions
            .iter()
            .map(|version| (version.path.as_str(), version.visibility, BlobId::of(&version.content)))
            .collect();
        assert_eq!(shown, expected, "what {} shows", environment.domain);
        // What an edge may ask for is what the build serves, for its account.
        let account = self.actor_of(&environment.service).account;
        for version in known.versions.iter().filter(|version| version.visibility.is_served()) {
            let hash = Hash::of(&version.content);
            let named = self.catalogue.named_blob(account.as_str(), hash).await.expect("answers");
            assert!(named.is_some(), "{} can be filled", version.path);
        }
    }
}
