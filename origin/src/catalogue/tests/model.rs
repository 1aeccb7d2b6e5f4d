//! The catalogue beside a model of a few vectors: random operations of two accounts, after which every list, what each environment
//! shows, and what each domain's newest pointer says are the same in both.
//!
//! A sequence that fails is shrunk and printed as a list of operations; it becomes a test of its own below. Twenty-four sequences by
//! default, a thousand with `SKERRY_TEST_FULL=1`.

mod builds;
mod compare;
mod names;

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
