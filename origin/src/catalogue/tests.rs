//! The catalogue against a folder of its own.

mod derivations;
mod marks;
mod migrations;
mod model;
mod names;

use super::*;
use crate::blobs::StoredBlob;
use crate::sid::{AccountSid, BuildSid, DeploymentSid, EdgeId, EnvironmentSid, ServiceSid};
use skerry_proto::hash::Hash;
use skerry_proto::pointer::{AccessRules, ServingRules, StaleRule};
use skerry_proto::visibility::Visibility;
use std::os::unix::fs::PermissionsExt;

impl Catalogue {
    /// As an older program left it.
    pub(crate) async fn forget_midstates(&self) {
        let updated =
            sqlx::query("UPDATE auth_tokens SET midstates = NULL").execute(&self.shared.writer).await;
        assert_ne!(updated.expect("updates").rows_affected(), 0);
    }
}

struct Opened {
    folder: tempfile::TempDir,
    catalogue: Catalogue,
    rows: AccountRows,
}

async fn opened() -> Opened {
    let folder = tempfile::tempdir().expect("temp");
    let catalogue = Catalogue::open(folder.path()).await.expect("opens");
    let rows = account("a.example");
    let version = catalogue.add_account(&rows, |_| b"pointer".to_vec()).await.expect("adds");
    assert_eq!(version, Some(Version { epoch: 1, revision: 1 }));
    Opened { folder, catalogue, rows }
}

fn account(domain: &str) -> AccountRows {
    AccountRows {
        account: AccountSid::random().expect("random"),
        friendly_name: "test".into(),
        token_hash: [1; 32],
        token_midstates: token_midstates("12345"),
        service: ServiceSid::random().expect("random"),
        environment: EnvironmentSid::random().expect("random"),
        unique_name: "default".into(),
        domain: domain.into(),
        created_at: 100,
    }
}

fn blob(content: &[u8]) -> StoredBlob {
    StoredBlob { id: BlobId::of(content), sha256: [7; 32] }
}

/// A manifest of these bytes, with a page.
fn documents(manifest: &[u8]) -> BuildDocuments {
    let pages = vec![blob(b"page")];
    BuildDocuments { manifest: blob(manifest), pages, derived: Vec::new(), unfinished: None }
}

/// A build, and its deployment.
struct Made {
    build: NewBuild,
    documents: BuildDocuments,
    deployment: NewDeployment,
}

impl Opened {
    async fn version(&self, path: &str, content: &[u8], visibility: Visibility) -> AssetVersion {
        let new = NewVersion {
            service: self.rows.service.clone(),
            path: path.parse().expect("valid"),
            visibility,
            content_type: "text/plain".into(),
            blob: blob(content),
            created_at: 100,
        };
        let (_, sid) = self.catalogue.add_version(&self.actor(), &new).await.expect("adds");
        let mut found =
            self.catalogue.versions(&self.rows.service, &[sid.to_string()]).await.expect("answers");
        found.pop().expect("there")
    }

    async fn deploy(&self, replaces: Option<&BuildSid>, versions: &[&AssetVersion], at: i64) -> Made {
        let made = self.made(replaces, versions, at);
        let outcome = self.deploy_made(&made, |_, _| b"pointer".to_vec()).await;
        assert!(matches!(outcome, DeployOutcome::Live(_)));
        made
    }

    async fn deploy_made(
        &self,
        made: &Made,
        pointer: impl FnOnce(Version, &Standing) -> Vec<u8> + Send,
    ) -> DeployOutcome {
        let new = Some((&made.build, &made.documents));
        self.catalogue.deploy(&self.actor(), &made.deployment, new, pointer).await.expect("answers")
    }

    fn actor(&self) -> Actor {
        let account = self.rows.account.clone();
        Actor { account, credential: "auth_token_1".into(), address: "127.0.0.1".into() }
    }

    fn made(&self, replaces: Option<&BuildSid>, versions: &[&AssetVersion], at: i64) -> Made {
        let build = NewBuild {
            build: BuildSid::random().expect("random"),
            service: self.rows.service.clone(),
            versions: versions.iter().map(|version| version.number).collect(),
            functions: Vec::new(),
            dependencies: "[]".into(),
            runtime: "node22".into(),
            created_at: at,
        };
        let documents = documents(b"manifest");
        let deployment = NewDeployment {
            account: self.rows.account.clone(),
            environment: self.rows.environment.clone(),
            domain: self.rows.domain.clone(),
            deployment: DeploymentSid::random().expect("random"),
            replaces: replaces.cloned(),
            build: Some(build.build.clone()),
            history: None,
            pages: Vec::new(),
            older_than: None,
            created_at: at,
        };
        Made { build, documents, deployment }
    }

    async fn past(&self, number_min: i64, made_min: i64, removed: &[i64]) -> Vec<String> {
        let past = self
            .catalogue
            .past_versions(&self.rows.account, &self.rows.environment, number_min, made_min, removed)
            .await
            .expect("answers");
        let mut paths: Vec<_> = past.into_iter().map(|version| version.path).collect();
        paths.sort();
        paths
    }

    async fn may_fill(&self, content: &[u8]) -> bool {
        let account = self.rows.account.as_str();
        self.catalogue.named_blob(account, Hash::of(content)).await.expect("answers").is_some()
    }
}

#[tokio::test]
async fn a_catalogue_is_its_owners_alone_and_keeps_its_cluster() {
    let opened = opened().await;
    let id = opened.catalogue.cluster_id();
    opened.catalogue.close().await;
    let mode = std::fs::metadata(opened.folder.path().join("catalogue.sqlite")).expect("there").permissions();
    assert_eq!(mode.mode() & 0o777, 0o600);
    let again = Catalogue::open(opened.folder.path()).await.expect("opens again");
    assert_eq!((again.cluster_id(), again.version().revision), (id, 1));
    assert!(again.has_accounts().await.expect("answers"));
}

#[tokio::test]
async fn the_first_account_is_the_operators_and_a_domain_is_taken_once() {
    let opened = opened().await;
    let first =
        opened.catalogue.account(opened.rows.account.as_str()).await.expect("answers").expect("there");
    assert!(first.is_operator);
    assert_eq!(first.tokens.iter().map(|token| token.hash).collect::<Vec<_>>(), [[1; 32]]);
    let taken = account("a.example");
    assert_eq!(opened.catalogue.add_account(&taken, |_| Vec::new()).await.expect("answers"), None);
    assert!(opened.catalogue.account(taken.account.as_str()).await.expect("answers").is_none());
    let second = account("b.example");
    opened.catalogue.add_account(&second, |_| Vec::new()).await.expect("adds").expect("free");
    let second = opened.catalogue.account(second.account.as_str()).await.expect("answers").expect("there");
    assert!(!second.is_operator);
}

#[tokio::test]
async fn a_deployment_wakes_watchers_with_its_revision_and_its_event_is_there() {
    let opened = opened().await;
    let version = opened.version("/a", b"a", Visibility::Public).await;
    let mut committed = opened.catalogue.committed();
    committed.mark_unchanged();
    opened.deploy(None, &[&version], 100).await;
    committed.changed().await.expect("woken");
    assert_eq!(committed.borrow().revision, 2);
    let events = opened.catalogue.events_after(1, 10).await.expect("answers");
    assert_eq!(events, [(2, b"pointer".to_vec())]);
    let (version, pointers) = opened.catalogue.snapshot().await.expect("answers");
    assert_eq!((version.revision, pointers.len()), (2, 1), "one domain, its newest pointer");
    assert!(opened.catalogue.committed_at(version).is_some());
}

#[tokio::test]
async fn a_deployment_over_another_one_changes_nothing() {
    let opened = opened().await;
    let version = opened.version("/a", b"a", Visibility::Public).await;
    let first = opened.deploy(None, &[&version], 100).await;
    let late = opened.made(None, &[], 100);
    let outcome = opened.deploy_made(&late, |_, _| Vec::new()).await;
    assert_eq!(outcome, DeployOutcome::Superseded);
    let services = opened.catalogue.services(&opened.rows.account).await.expect("answers");
    let environment = &services[0].environments[0];
    assert_eq!(environment.live_build.as_ref(), Some(&first.build.build));
    assert_eq!(environment.deployment_number, 1);
    assert_eq!(opened.catalogue.version().revision, 2);
    assert_eq!(opened.catalogue.events_after(0, 10).await.expect("answers").len(), 2);
}

#[tokio::test]
async fn fills_name_served_blobs_and_documents_and_nothing_private() {
    let opened = opened().await;
    let public = opened.version("/a", b"a", Visibility::Public).await;
    let private = opened.version("/b", b"b", Visibility::Private).await;
    opened.version("/c", b"c", Visibility::Public).await;
    opened.deploy(None, &[&public, &private], 100).await;
    for (content, expected) in
        [(&b"a"[..], true), (b"manifest", true), (b"page", true), (b"b", false), (b"c", false)]
    {
        assert_eq!(opened.may_fill(content).await, expected, "{content:?}");
    }
}

#[tokio::test]
async fn a_version_is_past_until_its_last_deployment_is_neither_recent_nor_young() {
    let opened = opened().await;
    let gone = opened.version("/gone", b"1", Visibility::Public).await;
    let kept = opened.version("/kept", b"2", Visibility::Public).await;
    let hidden = opened.version("/hidden", b"3", Visibility::Private).await;
    let nothing: [&str; 0] = [];
    let first = opened.deploy(None, &[&gone, &kept, &hidden], 1000).await;
    assert_eq!(opened.past(1, 0, &[]).await, nothing, "all are live");
    let removed = [gone.number, hidden.number];
    assert_eq!(opened.past(1, 0, &removed).await, ["/gone"], "what is private never was public");
    let second = opened.deploy(Some(&first.build.build), &[&kept], 2000).await;
    opened.deploy(Some(&second.build.build), &[&kept], 3000).await;
    assert_eq!(opened.past(1, 9999, &[]).await, ["/gone"], "among the last deployments");
    assert_eq!(opened.past(2, 9999, &[]).await, nothing, "neither");
    assert_eq!(opened.past(2, 9999, &[kept.number]).await, ["/kept"], "it is about to be past");
    assert_eq!(opened.past(3, 1000, &[]).await, ["/gone"], "young enough");
    assert_eq!(opened.past(3, 1001, &[]).await, nothing);
}

#[tokio::test]
async fn a_difference_is_of_versions_and_a_path_that_has_another_version_is_not_removed() {
    let opened = opened().await;
    let old = opened.version("/a", b"1", Visibility::Public).await;
    let new = opened.version("/a", b"2", Visibility::Public).await;
    let other = opened.version("/b", b"3", Visibility::Public).await;
    let first = opened.deploy(None, &[&old, &other], 100).await.build.build;
    let second = opened.deploy(Some(&first), &[&new, &other], 100).await.build.build;
    let third = opened.deploy(Some(&second), &[&new], 100).await.build.build;
    let difference = async |live: Option<&BuildSid>, next: Option<&BuildSid>| {
        let difference = opened.catalogue.difference(live, next).await.expect("answers");
        (difference.removed, difference.removes_paths)
    };
    assert_eq!(difference(Some(&first), Some(&second)).await, (vec![old.number], false));
    assert_eq!(difference(Some(&second), Some(&third)).await, (vec![other.number], true));
    assert_eq!(difference(Some(&first), Some(&first)).await, (Vec::new(), false));
    assert_eq!(difference(Some(&third), None).await, (vec![new.number], true));
    assert_eq!(difference(None, Some(&third)).await, (Vec::new(), false));
}

impl Opened {
    /// Deploys one version over the build before, and says which floor its pointer has.
    async fn floor_after(&self, replaces: &mut Option<BuildSid>, version: &AssetVersion, at: i64) -> i64 {
        let made = self.made(replaces.as_ref(), &[version], at);
        let mut floor = 0;
        let pointer = |_: Version, standing: &Standing| {
            floor = standing.modified_floor;
            b"pointer".to_vec()
        };
        self.deploy_made(&made, pointer).await;
        *replaces = Some(made.build.build);
        floor
    }
}

#[tokio::test]
async fn the_floor_of_dates_rises_when_a_path_shows_an_older_version_than_it_ever_did() {
    let opened = opened().await;
    // All three are of second 100.
    let old = opened.version("/a", b"1", Visibility::Public).await;
    let new = opened.version("/a", b"2", Visibility::Public).await;
    let elsewhere = opened.version("/b", b"3", Visibility::Public).await;
    let mut live = None;
    assert_eq!(opened.floor_after(&mut live, &old, 100).await, 0);
    assert_eq!(opened.floor_after(&mut live, &new, 200).await, 0, "a newer version");
    assert_eq!(opened.floor_after(&mut live, &old, 300).await, 300, "an older one");
    assert_eq!(opened.floor_after(&mut live, &old, 400).await, 300, "the same one stays");
    assert_eq!(opened.floor_after(&mut live, &elsewhere, 500).await, 300, "a path of its own");
    assert_eq!(opened.floor_after(&mut live, &old, 600).await, 600, "older than what the path once showed");
    assert_eq!(opened.floor_after(&mut live, &new, 700).await, 600, "as new as it ever was");
    // The clock stands still, or was set back: the dates go on.
    assert_eq!(opened.floor_after(&mut live, &old, 50).await, 601);
}

#[tokio::test]
async fn the_floor_passes_a_date_that_was_sent_even_within_one_second() {
    let opened = opened().await;
    let old = opened.version("/a", b"1", Visibility::Public).await;
    let new = opened.version("/a", b"2", Visibility::Public).await;
    let mut live = None;
    opened.floor_after(&mut live, &new, 100).await;
    assert_eq!(opened.floor_after(&mut live, &old, 100).await, 101);
}

#[tokio::test]
async fn the_floor_rises_for_other_reasons_than_versions_when_told_so() {
    let opened = opened().await;
    let version = opened.version("/a", b"1", Visibility::Public).await;
    let mut made = opened.made(None, &[&version], 200);
    made.deployment.older_than = Some(100);
    let mut floor = 0;
    let pointer = |_: Version, standing: &Standing| {
        floor = standing.modified_floor;
        b"pointer".to_vec()
    };
    opened.deploy_made(&made, pointer).await;
    assert_eq!(floor, 200);
}

#[tokio::test]
async fn settings_are_kept_and_the_pointer_goes_on_naming_what_is_shown() {
    let opened = opened().await;
    let settings = async || {
        let services = opened.catalogue.services(&opened.rows.account).await.expect("answers");
        services[0].environments[0].settings
    };
    assert_eq!(settings().await, Settings::default(), "the columns begin with the defaults");
    let changed = Settings {
        serving: ServingRules { post_as_get: true, untrusted_uploads: true },
        access: AccessRules {
            public_stale: StaleRule::AtMost(Duration::from_secs(60)),
            protected_stale: StaleRule::Unbounded,
        },
    };
    let update = async || {
        let mut told = Standing::default();
        let (environment, domain) = (&opened.rows.environment, &opened.rows.domain);
        let pointer = |_: Version, standing: &Standing| {
            told = standing.clone();
            b"pointer".to_vec()
        };
        let actor = opened.actor();
        let updated =
            opened.catalogue.update_environment(&actor, 100, environment, domain, changed, pointer).await;
        (updated.expect("updates").revision, told)
    };
    let nothing = Standing { settings: changed, ..Standing::default() };
    assert_eq!(update().await, (2, nothing.clone()), "before the first deployment");
    assert_eq!(settings().await, changed);

    let mut made = opened.made(None, &[], 200);
    made.deployment.history = Some(blob(b"history"));
    let pointer = |_: Version, standing: &Standing| {
        assert_eq!(standing.settings, changed, "every pointer from then on");
        b"pointer".to_vec()
    };
    opened.deploy_made(&made, pointer).await;
    let (manifest, history) = (Some(BlobId::of(b"manifest")), Some(BlobId::of(b"history")));
    assert_eq!(update().await, (4, Standing { manifest, history, ..nothing }));
}

#[tokio::test]
async fn versions_of_another_service_are_not_found() {
    let opened = opened().await;
    let version = opened.version("/a", b"a", Visibility::Public).await;
    let other = ServiceSid::random().expect("random");
    let found = opened.catalogue.versions(&other, &[version.sid.to_string()]).await.expect("answers");
    assert!(found.is_empty());
}

#[tokio::test]
async fn a_join_token_is_used_once_and_in_time() {
    let opened = opened().await;
    let catalogue = &opened.catalogue;
    catalogue.add_join_token([1; 32], 100, 200).await.expect("adds");
    let edge = || EdgeId::random().expect("random");
    let outcome =
        |hash, now| async move { catalogue.enrol(hash, &edge(), "e", now, 900).await.expect("answers") };
    assert_eq!(catalogue.join_token([1; 32], 150).await.expect("answers"), JoinOutcome::Good);
    assert_eq!(outcome([2; 32], 150).await, JoinOutcome::Unknown);
    assert_eq!(outcome([1; 32], 200).await, JoinOutcome::Expired);
    assert_eq!(outcome([1; 32], 199).await, JoinOutcome::Good);
    assert_eq!(outcome([1; 32], 199).await, JoinOutcome::Used);
    assert_eq!(catalogue.edges().await.expect("answers").len(), 1);
}

#[tokio::test]
async fn the_catalogue_goes_on_after_the_disk_was_full() {
    let opened = opened().await;
    // Makes the connection that writes believe that the disk ends here.
    sqlx::query("PRAGMA max_page_count = 1").execute(&opened.catalogue.shared.writer).await.expect("sets");
    let error = loop {
        let mut rows = account("x.example");
        rows.domain = format!("{}.example", rows.account.as_str().to_lowercase());
        if let Err(error) = opened.catalogue.add_account(&rows, |_| vec![0; 4096]).await {
            break error;
        }
    };
    assert!(matches!(error, CatalogueError::NoSpace), "{error:?}");
    let rows = account("later.example");
    opened.catalogue.add_account(&rows, |_| vec![0; 4096]).await.expect("adds").expect("free");
}

#[tokio::test]
async fn a_catalogue_of_a_newer_program_is_refused() {
    let opened = opened().await;
    sqlx::query(
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
         VALUES (9999, 'newer', true, x'00', 0)",
    )
    .execute(&opened.catalogue.shared.writer)
    .await
    .expect("inserts");
    opened.catalogue.close().await;
    let error = Catalogue::open(opened.folder.path()).await.expect_err("newer");
    assert!(matches!(error, CatalogueError::Newer));
}

fn everything() -> PageWanted {
    PageWanted { size: 100, before: None, skip: 0 }
}

#[tokio::test]
async fn every_change_is_in_the_audit_log_and_what_changes_nothing_is_not() {
    let opened = opened().await;
    let (actor, service) = (opened.actor(), opened.rows.service.clone());
    let before = opened.catalogue.audited(&actor.account).await.expect("answers").len();
    assert_eq!(before, 3, "the account, its service and its environment");
    let content = opened.catalogue.add_content(&actor, Kind::Asset, &service, "a", 100).await.expect("adds");
    let same = opened.catalogue.add_content(&actor, Kind::Asset, &service, "a", 100).await.expect("answers");
    assert_eq!(same, content);
    let environment = &opened.rows.environment;
    let variable = async || opened.catalogue.add_variable(&actor, environment, "k", "v", 100).await;
    let added = variable().await.expect("adds").expect("a new key");
    assert_eq!(variable().await.expect("answers"), None, "the key is taken");
    assert!(opened.catalogue.delete_variable(&actor, &added.sid, 100).await.expect("deletes"));
    assert!(!opened.catalogue.delete_variable(&actor, &added.sid, 100).await.expect("answers"));
    let made = opened.deploy(None, &[], 100).await;
    let audited = opened.catalogue.audited(&actor.account).await.expect("answers");
    let expected = [
        ("create", content.sid.as_str()),
        ("create", added.sid.as_str()),
        ("delete", added.sid.as_str()),
        ("create", made.build.build.as_str()),
        ("create", made.deployment.deployment.as_str()),
    ];
    let audited: Vec<_> =
        audited.iter().skip(before).map(|(action, sid)| (action.as_str(), sid.as_str())).collect();
    assert_eq!(audited, expected);
}

#[tokio::test]
async fn the_audit_log_is_only_added_to() {
    let opened = opened().await;
    for statement in ["DELETE FROM audit_log", "UPDATE audit_log SET action = 'x'"] {
        let mut transaction = opened.catalogue.write().await.expect("begins");
        assert!(sqlx::query(statement).execute(&mut *transaction).await.is_err(), "{statement}");
    }
}

#[tokio::test]
async fn a_deleted_asset_gives_its_name_free_and_its_versions_stay_in_builds_only() {
    let opened = opened().await;
    let (actor, service) = (opened.actor(), opened.rows.service.clone());
    let version = opened.version("/a", b"a", Visibility::Public).await;
    let build = opened.deploy(None, &[&version], 100).await.build.build;
    assert!(
        opened.catalogue.delete_content(&actor, Kind::Asset, &version.asset, 100).await.expect("deletes")
    );
    let sid = [version.sid.to_string()];
    assert!(opened.catalogue.versions(&service, &sid).await.expect("answers").is_empty());
    assert_eq!(opened.catalogue.build_versions(&build).await.expect("answers").len(), 1);
    let listed = opened.catalogue.list_contents(Kind::Asset, &service, &everything()).await.expect("answers");
    assert_eq!(listed.items, []);
    let again = opened.catalogue.add_content(&actor, Kind::Asset, &service, "/a", 100).await.expect("adds");
    assert_ne!(again.sid, version.asset);
}

#[tokio::test]
async fn a_begun_build_is_unfinished_until_it_is_completed_or_failed() {
    let opened = opened().await;
    let actor = opened.actor();
    let version = opened.version("/a", b"a", Visibility::Public).await;
    let unfinished = async || {
        let builds = opened.catalogue.unfinished_builds().await.expect("answers");
        builds.into_iter().map(|unfinished| unfinished.build).collect::<Vec<_>>()
    };
    let (first, second) = (opened.made(None, &[&version], 100), opened.made(None, &[&version], 100));
    for made in [&first, &second] {
        opened.catalogue.begin_build(&actor, &made.build).await.expect("begins");
    }
    let (completed, failed) = (&first.build.build, &second.build.build);
    assert_eq!(unfinished().await, [completed.clone(), failed.clone()]);
    assert!(!opened.may_fill(b"a").await, "no manifest names it yet");
    let account = &actor.account;
    opened.catalogue.complete_build(account, completed, &first.documents, 200).await.expect("completes");
    opened.catalogue.fail_build(failed, "why", 200).await.expect("fails");
    assert_eq!(unfinished().await, []);
    assert!(opened.may_fill(b"a").await);
    // What has ended stays as it ended.
    opened.catalogue.complete_build(account, failed, &second.documents, 300).await.expect("answers");
    opened.catalogue.fail_build(completed, "why", 300).await.expect("answers");
    let service = &opened.rows.service;
    for (build, manifest) in [(completed, Some(BlobId::of(b"manifest"))), (failed, None)] {
        let found = opened.catalogue.build_manifest(service, build.as_str()).await.expect("answers");
        assert_eq!(found, manifest);
    }
    let details = opened.catalogue.build(service, failed.as_str()).await.expect("answers").expect("there");
    assert_eq!((details.status.as_str(), details.failure.as_deref()), ("failed", Some("why")));
}

#[tokio::test]
async fn a_build_that_is_live_is_not_deleted() {
    let opened = opened().await;
    let actor = opened.actor();
    let first = opened.deploy(None, &[], 100).await.build.build;
    assert!(!opened.catalogue.delete_build(&actor, &first, 100).await.expect("answers"));
    let second = opened.deploy(Some(&first), &[], 100).await.build.build;
    let environment = &opened.rows.environment;
    let previous = async || opened.catalogue.previous_build(environment).await.expect("answers");
    assert_eq!(previous().await.as_deref(), Some(first.as_str()));
    assert!(opened.catalogue.delete_build(&actor, &first, 100).await.expect("deletes"));
    assert_eq!(previous().await, None);
    let listed = opened.catalogue.list_builds(&opened.rows.service, &everything()).await.expect("answers");
    assert_eq!(listed.items.iter().map(|build| &build.sid).collect::<Vec<_>>(), [&second]);
}

#[tokio::test]
async fn a_deleted_service_takes_all_that_it_has_along_and_its_domains_show_nothing() {
    let opened = opened().await;
    let actor = opened.actor();
    let version = opened.version("/a", b"a", Visibility::Public).await;
    opened.deploy(None, &[&version], 100).await;
    let pointer = |_: &EnvironmentSid, domain: &str, _| format!("gone {domain}").into_bytes();
    let service = &opened.rows.service;
    assert!(opened.catalogue.delete_service(&actor, service, 100, pointer).await.expect("deletes"));
    assert!(!opened.catalogue.delete_service(&actor, service, 100, pointer).await.expect("answers"));
    let (version, pointers) = opened.catalogue.snapshot().await.expect("answers");
    assert_eq!((version.revision, pointers), (3, vec![b"gone a.example".to_vec()]));
    assert!(opened.catalogue.services(&actor.account).await.expect("answers").is_empty());
}
