//! What has names: services, environments, assets with their versions.

use super::*;

impl Pair {
    pub(super) async fn add_service(&mut self, account: u8, name: u8, base: u8) {
        let account = usize::from(account) % 2;
        let (name, base) = (format!("service-{name}"), format!("base-{base}"));
        let actor = Actor::origin(self.accounts[account].clone());
        let change = ServiceChange::default();
        let added = self.catalogue.add_service(&actor, &name, &base, &change, 100).await.expect("answers");
        let is_taken = self
            .services
            .iter()
            .any(|known| (known.account, &known.name) == (account, &name) || known.base == base);
        assert_eq!(added.is_none(), is_taken, "{name} {base}");
        if let Some(added) = added {
            self.services.push(Service { account, sid: added.sid, name, base });
        }
    }

    pub(super) async fn delete_service(&mut self, service: u8) {
        let Some(place) = choose(&self.services, service, |_| true) else { return };
        let sid = self.services[place].sid.clone();
        let actor = self.actor_of(&sid);
        let pointer = |_: &EnvironmentSid, _: &str, _| b"nothing".to_vec();
        assert!(self.catalogue.delete_service(&actor, &sid, 100, pointer).await.expect("deletes"));
        let domains: Vec<String> = self
            .environments
            .iter()
            .filter(|environment| environment.service == sid)
            .map(|environment| environment.domain.clone())
            .collect();
        for domain in domains {
            self.told(&domain, None);
        }
        self.services.remove(place);
        self.environments.retain(|environment| environment.service != sid);
        self.assets.retain(|asset| asset.service != sid);
        self.versions.retain(|version| version.service != sid);
        self.builds.retain(|build| build.service != sid);
    }

    pub(super) async fn add_environment(&mut self, service: u8, name: u8, suffix: u8) {
        let Some(place) = choose(&self.services, service, |_| true) else { return };
        let Service { sid, base, .. } = &self.services[place];
        let (name, suffix) =
            (format!("environment-{name}"), ["", "dev", "stage"][usize::from(suffix)].to_owned());
        let new = NewEnvironment {
            service: sid.clone(),
            sid: EnvironmentSid::random().expect("random"),
            unique_name: name.clone(),
            domain_suffix: Some(suffix.clone()).filter(|suffix| !suffix.is_empty()),
            domain_name: format!("{base}{suffix}.example"),
            created_at: 100,
        };
        let actor = self.actor_of(sid);
        let added = self.catalogue.add_environment(&actor, &new, |_| b"nothing".to_vec()).await;
        let is_taken = self.environments.iter().any(|known| {
            known.domain == new.domain_name
                || (known.service == new.service && (known.name == name || known.suffix == suffix))
        });
        assert_eq!(added.expect("answers").is_none(), is_taken, "{new:?}");
        if !is_taken {
            self.told(&new.domain_name, None);
            self.environments.push(Environment {
                service: new.service,
                sid: new.sid,
                name,
                suffix,
                domain: new.domain_name,
                live: None,
                deployments: Vec::new(),
            });
        }
    }

    pub(super) async fn delete_environment(&mut self, environment: u8) {
        let Some(place) = choose(&self.environments, environment, |_| true) else { return };
        let known = self.environments.remove(place);
        let actor = self.actor_of(&known.service);
        let details = self.catalogue.environment(&known.service, known.sid.as_str()).await.expect("answers");
        let details = details.expect("it is there");
        let deleted = self.catalogue.delete_environment(&actor, &details, 100, |_| b"nothing".to_vec()).await;
        assert!(deleted.expect("deletes"));
        self.told(&known.domain, None);
    }

    pub(super) async fn add_asset(&mut self, service: u8, name: u8) {
        let Some(place) = choose(&self.services, service, |_| true) else { return };
        let (service, name) = (self.services[place].sid.clone(), format!("asset-{name}"));
        let actor = self.actor_of(&service);
        let added =
            self.catalogue.add_content(&actor, Kind::Asset, &service, &name, 100).await.expect("adds");
        let known = self
            .assets
            .iter()
            .find(|asset| asset.service == service && asset.name == name && !asset.is_deleted);
        match known {
            Some(known) => assert_eq!(added.sid, known.sid, "a name is of one asset"),
            None => self.assets.push(Asset { service, sid: added.sid, name, is_deleted: false }),
        }
    }

    pub(super) async fn rename_asset(&mut self, asset: u8, name: u8) {
        let Some(place) = choose(&self.assets, asset, |asset| !asset.is_deleted) else { return };
        let (service, sid, name) =
            (self.assets[place].service.clone(), self.assets[place].sid.clone(), format!("asset-{name}"));
        let actor = self.actor_of(&service);
        let renamed = self.catalogue.rename_content(&actor, Kind::Asset, &sid, &name, 200).await;
        let is_taken = self.assets.iter().any(|known| {
            known.service == service && known.name == name && !known.is_deleted && known.sid != sid
        });
        assert_eq!(renamed.expect("answers").is_none(), is_taken, "{name}");
        if !is_taken {
            self.assets[place].name = name;
        }
    }

    pub(super) async fn delete_asset(&mut self, asset: u8) {
        let Some(place) = choose(&self.assets, asset, |_| true) else { return };
        let actor = self.actor_of(&self.assets[place].service);
        let sid = &self.assets[place].sid;
        let deleted = self.catalogue.delete_content(&actor, Kind::Asset, sid, 100).await.expect("answers");
        assert_eq!(deleted, !self.assets[place].is_deleted);
        self.assets[place].is_deleted = true;
    }

    pub(super) async fn add_version(&mut self, asset: u8, path: u8, visibility: u8, content: u8) {
        let Some(place) = choose(&self.assets, asset, |_| true) else { return };
        let Asset { service, sid, is_deleted, .. } = &self.assets[place];
        let visibility =
            [Visibility::Public, Visibility::Protected, Visibility::Private][usize::from(visibility)];
        let (path, content) = (format!("/{path}"), vec![b'c', content]);
        let new = NewContentVersion {
            kind: Kind::Asset,
            parent: sid.clone(),
            path: path.parse().expect("valid"),
            visibility,
            content_type: "text/plain".into(),
            blob: blob(&content),
            created_at: 100,
        };
        let added = self.catalogue.add_content_version(&self.actor_of(service), &new).await.expect("answers");
        assert_eq!(added.is_none(), *is_deleted);
        if let Some(added) = added {
            let found = self.catalogue.versions(service, &[added.sid.to_string()]).await.expect("answers");
            self.versions.push(ModelVersion {
                service: service.clone(),
                asset: sid.clone(),
                sid: added.sid,
                number: found[0].number,
                path,
                visibility,
                content,
            });
        }
    }
}
