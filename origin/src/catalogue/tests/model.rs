//! The catalogue beside a model of a few vectors: random operations of two accounts, after which every list, what each environment
//! shows, and what each domain's newest pointer says are the same in both.
//!
//! A sequence that fails is shrunk and printed as a list of operations; it becomes a test of its own below. Twenty-four sequences by
//! default, a thousand with `SKERRY_TEST_FULL=1`.

use super::*;
use crate::sid::{AssetSid, VersionSid};
use proptest::prelude::{Strategy, any, prop_oneof};
use proptest::test_runner::{Config, TestRunner};
use std::collections::BTreeMap;

/// One operation. Numbers choose among what is there, modulo how much that is; with nothing to choose from, nothing happens.
#[derive(Debug, Clone)]
enum Op {
    AddService {
        account: u8,
        name: u8,
        base: u8,
    },
    DeleteService {
        service: u8,
    },
    AddEnvironment {
        service: u8,
        name: u8,
        suffix: u8,
    },
    DeleteEnvironment {
        environment: u8,
    },
    AddAsset {
        service: u8,
        name: u8,
    },
    RenameAsset {
        asset: u8,
        name: u8,
    },
    DeleteAsset {
        asset: u8,
    },
    AddVersion {
        asset: u8,
        path: u8,
        visibility: u8,
        content: u8,
    },
    BeginBuild {
        service: u8,
        versions: Vec<u8>,
    },
    CompleteBuild {
        build: u8,
        unfinished: bool,
    },
    FailBuild {
        build: u8,
    },
    DeleteBuild {
        build: u8,
    },
    Deploy {
        environment: u8,
        build: u8,
    },
    TakeOffTheNet {
        environment: u8,
    },
    /// By somebody who believes that another build is live.
    DeployLate {
        environment: u8,
        build: u8,
        believed: u8,
    },
    Rollback {
        environment: u8,
    },
    /// Coded forms join a build.
    Join,
}

fn op() -> impl Strategy<Value = Op> {
    let n = any::<u8>;
    prop_oneof![
        2 => (0..2_u8, 0..3_u8, 0..4_u8).prop_map(|(account, name, base)| Op::AddService { account, name, base }),
        1 => n().prop_map(|service| Op::DeleteService { service }),
        3 => (n(), 0..2_u8, 0..3_u8)
            .prop_map(|(service, name, suffix)| Op::AddEnvironment { service, name, suffix }),
        1 => n().prop_map(|environment| Op::DeleteEnvironment { environment }),
        3 => (n(), 0..3_u8).prop_map(|(service, name)| Op::AddAsset { service, name }),
        1 => (n(), 0..3_u8).prop_map(|(asset, name)| Op::RenameAsset { asset, name }),
        1 => n().prop_map(|asset| Op::DeleteAsset { asset }),
        6 => (n(), 0..3_u8, 0..3_u8, 0..4_u8).prop_map(|(asset, path, visibility, content)| {
            Op::AddVersion { asset, path, visibility, content }
        }),
        4 => (n(), proptest::collection::vec(n(), 0..4))
            .prop_map(|(service, versions)| Op::BeginBuild { service, versions }),
        4 => (n(), any::<bool>()).prop_map(|(build, unfinished)| Op::CompleteBuild { build, unfinished }),
        1 => n().prop_map(|build| Op::FailBuild { build }),
        1 => n().prop_map(|build| Op::DeleteBuild { build }),
        4 => (n(), n()).prop_map(|(environment, build)| Op::Deploy { environment, build }),
        1 => n().prop_map(|environment| Op::TakeOffTheNet { environment }),
        1 => (n(), n(), n())
            .prop_map(|(environment, build, believed)| Op::DeployLate { environment, build, believed }),
        2 => n().prop_map(|environment| Op::Rollback { environment }),
        2 => proptest::strategy::Just(Op::Join),
    ]
}

#[derive(Debug)]
struct Service {
    account: usize,
    sid: ServiceSid,
    name: String,
    base: String,
}

#[derive(Debug)]
struct Environment {
    service: ServiceSid,
    sid: EnvironmentSid,
    name: String,
    suffix: String,
    domain: String,
    live: Option<BuildSid>,
    deployments: Vec<(DeploymentSid, Option<BuildSid>)>,
}

#[derive(Debug)]
struct Asset {
    service: ServiceSid,
    sid: AssetSid,
    name: String,
    is_deleted: bool,
}

#[derive(Debug, Clone)]
struct ModelVersion {
    service: ServiceSid,
    asset: AssetSid,
    sid: VersionSid,
    number: i64,
    path: String,
    visibility: Visibility,
    content: Vec<u8>,
}

#[derive(Debug)]
struct Build {
    service: ServiceSid,
    sid: BuildSid,
    status: &'static str,
    versions: Vec<ModelVersion>,
    is_deleted: bool,
    /// Bytes of its manifest.
    manifest: String,
    /// Whether coded forms are to join it, and when its turn was.
    unfinished: Option<u64>,
}

/// Both, side by side.
struct Pair {
    _folder: tempfile::TempDir,
    catalogue: Catalogue,
    accounts: [AccountSid; 2],
    services: Vec<Service>,
    environments: Vec<Environment>,
    assets: Vec<Asset>,
    versions: Vec<ModelVersion>,
    builds: Vec<Build>,
    /// What the newest pointer of each domain says.
    pointers: BTreeMap<String, String>,
    revision: u64,
    turn: u64,
}

/// The place of what a number chooses among those that fulfil a condition.
fn choose<T>(things: &[T], number: u8, is_meant: impl Fn(&T) -> bool) -> Option<usize> {
    let places: Vec<usize> =
        things.iter().enumerate().filter(|(_, thing)| is_meant(thing)).map(|(place, _)| place).collect();
    (!places.is_empty()).then(|| places[usize::from(number) % places.len()])
}

/// What a pointer says in this test: which manifest.
fn said(manifest: Option<&str>) -> String {
    manifest.map_or_else(|| "nothing".to_owned(), |manifest| BlobId::of(manifest.as_bytes()).hash.to_string())
}

fn say(standing: &Standing) -> Vec<u8> {
    let manifest = standing.manifest.map(|manifest| manifest.hash.to_string());
    manifest.unwrap_or_else(|| "nothing".to_owned()).into_bytes()
}

impl Pair {
    async fn new() -> Self {
        let folder = tempfile::tempdir().expect("temp");
        let catalogue = Catalogue::open(folder.path()).await.expect("opens");
        let mut pair = Self {
            _folder: folder,
            catalogue,
            accounts: [account("first.example").account, account("second.example").account],
            services: Vec::new(),
            environments: Vec::new(),
            assets: Vec::new(),
            versions: Vec::new(),
            builds: Vec::new(),
            pointers: BTreeMap::new(),
            revision: 0,
            turn: 0,
        };
        for number in 0..2 {
            let rows = AccountRows {
                account: pair.accounts[number].clone(),
                unique_name: format!("default-{number}"),
                ..account(&format!("default-{number}.example"))
            };
            let added = pair.catalogue.add_account(&rows, |_| b"nothing".to_vec()).await.expect("adds");
            added.expect("free");
            pair.services.push(Service {
                account: number,
                sid: rows.service.clone(),
                name: rows.unique_name.clone(),
                base: format!("default-{number}"),
            });
            let listed = pair.catalogue.list_environments(&rows.service, &all()).await.expect("lists");
            pair.environments.push(Environment {
                service: rows.service,
                sid: rows.environment,
                name: listed.items[0].unique_name.clone(),
                suffix: String::new(),
                domain: rows.domain.clone(),
                live: None,
                deployments: Vec::new(),
            });
            pair.told(&rows.domain, None);
        }
        pair
    }

    fn told(&mut self, domain: &str, manifest: Option<&str>) {
        self.revision += 1;
        self.pointers.insert(domain.to_owned(), said(manifest));
    }

    fn actor_of(&self, service: &ServiceSid) -> Actor {
        let owner = self.services.iter().find(|known| known.sid == *service).expect("of the model");
        Actor::origin(self.accounts[owner.account].clone())
    }

    async fn run(&mut self, op: &Op) {
        match op {
            Op::AddService { account, name, base } => self.add_service(*account, *name, *base).await,
            Op::DeleteService { service } => self.delete_service(*service).await,
            Op::AddEnvironment { service, name, suffix } => {
                self.add_environment(*service, *name, *suffix).await;
            }
            Op::DeleteEnvironment { environment } => self.delete_environment(*environment).await,
            Op::AddAsset { service, name } => self.add_asset(*service, *name).await,
            Op::RenameAsset { asset, name } => self.rename_asset(*asset, *name).await,
            Op::DeleteAsset { asset } => self.delete_asset(*asset).await,
            Op::AddVersion { asset, path, visibility, content } => {
                self.add_version(*asset, *path, *visibility, *content).await;
            }
            Op::BeginBuild { service, versions } => self.begin_build(*service, versions).await,
            Op::CompleteBuild { build, unfinished } => self.complete_build(*build, *unfinished).await,
            Op::FailBuild { build } => self.fail_build(*build).await,
            Op::DeleteBuild { build } => self.delete_build(*build).await,
            Op::Deploy { environment, build } => {
                let Some(place) = choose(&self.environments, *environment, |_| true) else { return };
                let Some(build) = self.deployable(place, *build) else { return };
                let live = self.environments[place].live.clone();
                self.deploy(place, Some(build), live).await;
            }
            Op::TakeOffTheNet { environment } => {
                let Some(place) = choose(&self.environments, *environment, |_| true) else { return };
                let live = self.environments[place].live.clone();
                self.deploy(place, None, live).await;
            }
            Op::DeployLate { environment, build, believed } => {
                let Some(place) = choose(&self.environments, *environment, |_| true) else { return };
                let (Some(build), Some(believed)) =
                    (self.deployable(place, *build), self.deployable(place, *believed))
                else {
                    return;
                };
                self.deploy(place, Some(build), Some(believed)).await;
            }
            Op::Rollback { environment } => self.roll_back(*environment).await,
            Op::Join => self.join().await,
        }
    }

    async fn add_service(&mut self, account: u8, name: u8, base: u8) {
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

    async fn delete_service(&mut self, service: u8) {
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

    async fn add_environment(&mut self, service: u8, name: u8, suffix: u8) {
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

    async fn delete_environment(&mut self, environment: u8) {
        let Some(place) = choose(&self.environments, environment, |_| true) else { return };
        let known = self.environments.remove(place);
        let actor = self.actor_of(&known.service);
        let details = self.catalogue.environment(&known.service, known.sid.as_str()).await.expect("answers");
        let details = details.expect("it is there");
        let deleted = self.catalogue.delete_environment(&actor, &details, 100, |_| b"nothing".to_vec()).await;
        assert!(deleted.expect("deletes"));
        self.told(&known.domain, None);
    }

    async fn add_asset(&mut self, service: u8, name: u8) {
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

    async fn rename_asset(&mut self, asset: u8, name: u8) {
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

    async fn delete_asset(&mut self, asset: u8) {
        let Some(place) = choose(&self.assets, asset, |_| true) else { return };
        let actor = self.actor_of(&self.assets[place].service);
        let sid = &self.assets[place].sid;
        let deleted = self.catalogue.delete_content(&actor, Kind::Asset, sid, 100).await.expect("answers");
        assert_eq!(deleted, !self.assets[place].is_deleted);
        self.assets[place].is_deleted = true;
    }

    async fn add_version(&mut self, asset: u8, path: u8, visibility: u8, content: u8) {
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

    async fn begin_build(&mut self, service: u8, versions: &[u8]) {
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

    async fn complete_build(&mut self, build: u8, unfinished: bool) {
        let Some(place) = choose(&self.builds, build, |build| build.status == "building") else { return };
        let account = self.actor_of(&self.builds[place].service).account;
        let build = &mut self.builds[place];
        let unfinished = unfinished.then_some(Duration::ZERO);
        let documents = BuildDocuments { unfinished, ..documents(build.manifest.as_bytes()) };
        self.catalogue.complete_build(&account, &build.sid, &documents, 200).await.expect("completes");
        build.status = "completed";
        build.unfinished = unfinished.map(|_| 0);
    }

    async fn fail_build(&mut self, build: u8) {
        let Some(place) = choose(&self.builds, build, |_| true) else { return };
        let build = &mut self.builds[place];
        self.catalogue.fail_build(&build.sid, "why", 200).await.expect("answers");
        if build.status == "building" {
            build.status = "failed";
        }
    }

    async fn delete_build(&mut self, build: u8) {
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
    fn deployable(&self, environment: usize, build: u8) -> Option<BuildSid> {
        let service = &self.environments[environment].service;
        let place = choose(&self.builds, build, |build| {
            build.service == *service && build.status == "completed" && !build.is_deleted
        })?;
        Some(self.builds[place].sid.clone())
    }

    async fn deploy(&mut self, place: usize, build: Option<BuildSid>, replaces: Option<BuildSid>) {
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

    async fn roll_back(&mut self, environment: u8) {
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

    async fn join(&mut self) {
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

    /// Compares every list, what each environment shows, and what edges were told.
    async fn compare(&self) {
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

fn all() -> PageWanted {
    PageWanted { size: 1000, before: None, skip: 0 }
}

/// Runs a sequence beside the model.
fn check(ops: &[Op]) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let mut pair = Pair::new().await;
        pair.compare().await;
        for op in ops {
            pair.run(op).await;
            pair.compare().await;
        }
    });
}

#[test]
fn random_operations_of_two_accounts_leave_the_catalogue_as_the_model_says() {
    let is_full = std::env::var_os("SKERRY_TEST_FULL").is_some_and(|value| value == "1");
    let config = Config {
        cases: if is_full { 1000 } else { 24 },
        // What fails becomes a named test; there is no file of seeds beside the tests.
        failure_persistence: None,
        // Each step runs a whole sequence on a disk.
        max_shrink_iters: 400,
        ..Config::default()
    };
    let sequences = proptest::collection::vec(op(), 1..50);
    let run = TestRunner::new(config).run(&sequences, |ops| {
        check(&ops);
        Ok(())
    });
    if let Err(error) = run {
        panic!("{error}");
    }
}

#[test]
fn a_deleted_asset_stays_in_the_build_that_is_live_and_its_name_is_free() {
    check(&[
        Op::AddAsset { service: 0, name: 0 },
        Op::AddVersion { asset: 0, path: 0, visibility: 0, content: 1 },
        Op::BeginBuild { service: 0, versions: vec![0] },
        Op::CompleteBuild { build: 0, unfinished: false },
        Op::Deploy { environment: 0, build: 0 },
        Op::DeleteAsset { asset: 0 },
        Op::AddVersion { asset: 0, path: 1, visibility: 0, content: 2 },
        Op::BeginBuild { service: 0, versions: vec![0] },
        Op::AddAsset { service: 0, name: 0 },
        Op::RenameAsset { asset: 0, name: 1 },
        Op::AddAsset { service: 0, name: 0 },
    ]);
}

#[test]
fn a_build_joined_between_two_rollbacks_is_shown_with_its_newest_manifest() {
    check(&[
        Op::BeginBuild { service: 0, versions: Vec::new() },
        Op::CompleteBuild { build: 0, unfinished: true },
        Op::BeginBuild { service: 0, versions: Vec::new() },
        Op::CompleteBuild { build: 0, unfinished: true },
        Op::Deploy { environment: 0, build: 0 },
        Op::Deploy { environment: 0, build: 1 },
        Op::Rollback { environment: 0 },
        Op::Join,
        Op::Join,
        Op::Rollback { environment: 0 },
        Op::DeleteBuild { build: 0 },
        Op::Join,
        Op::TakeOffTheNet { environment: 0 },
        Op::Rollback { environment: 0 },
    ]);
}
