//! The catalogue against a folder of its own.

use super::*;
use crate::blobs::StoredBlob;
use crate::sid::{AccountSid, BuildSid, DeploymentSid, EdgeId, EnvironmentSid, ServiceSid};
use skerry_proto::hash::Hash;
use skerry_proto::visibility::Visibility;
use std::os::unix::fs::PermissionsExt;

struct Opened {
    folder: tempfile::TempDir,
    catalogue: Catalogue,
    rows: AccountRows,
}

async fn opened() -> Opened {
    let folder = tempfile::tempdir().expect("temp");
    let catalogue = Catalogue::open(folder.path()).await.expect("opens");
    let rows = account("a.example");
    let version = catalogue.add_account(&rows, |_, _| b"pointer".to_vec()).await.expect("adds");
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
        let (_, sid) = self.catalogue.add_version(&new).await.expect("adds");
        let mut found =
            self.catalogue.versions(&self.rows.service, &[sid.to_string()]).await.expect("answers");
        found.pop().expect("there")
    }

    async fn deploy(
        &self,
        replaces: Option<&BuildSid>,
        versions: &[&AssetVersion],
        at: i64,
    ) -> NewDeployment {
        let new = self.deployment(replaces, versions, at);
        let outcome = self.catalogue.deploy(&new, |_, _| b"pointer".to_vec()).await.expect("deploys");
        assert!(matches!(outcome, DeployOutcome::Live(_)));
        new
    }

    fn deployment(&self, replaces: Option<&BuildSid>, versions: &[&AssetVersion], at: i64) -> NewDeployment {
        NewDeployment {
            account: self.rows.account.clone(),
            service: self.rows.service.clone(),
            environment: self.rows.environment.clone(),
            domain: self.rows.domain.clone(),
            build: BuildSid::random().expect("random"),
            deployment: DeploymentSid::random().expect("random"),
            replaces: replaces.cloned(),
            versions: versions.iter().map(|version| version.number).collect(),
            manifest: blob(b"manifest"),
            history: None,
            pages: vec![blob(b"page")],
            created_at: at,
        }
    }

    async fn past(&self, number_min: i64, made_min: i64) -> Vec<String> {
        let past = self
            .catalogue
            .past_versions(&self.rows.environment, number_min, made_min)
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
    assert_eq!(opened.catalogue.add_account(&taken, |_, _| Vec::new()).await.expect("answers"), None);
    assert!(opened.catalogue.account(taken.account.as_str()).await.expect("answers").is_none());
    let second = account("b.example");
    opened.catalogue.add_account(&second, |_, _| Vec::new()).await.expect("adds").expect("free");
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
    let late = opened.deployment(None, &[], 100);
    let outcome = opened.catalogue.deploy(&late, |_, _| Vec::new()).await.expect("answers");
    assert_eq!(outcome, DeployOutcome::Superseded);
    let services = opened.catalogue.services(&opened.rows.account).await.expect("answers");
    let environment = &services[0].environments[0];
    assert_eq!(environment.live_build.as_ref(), Some(&first.build));
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
    let first = opened.deploy(None, &[&gone, &kept, &hidden], 1000).await;
    assert_eq!(opened.past(1, 0).await, ["/gone", "/kept"], "what is private never was public");
    let second = opened.deploy(Some(&first.build), &[&kept], 2000).await;
    opened.deploy(Some(&second.build), &[&kept], 3000).await;
    assert_eq!(opened.past(1, 9999).await, ["/gone", "/kept"], "among the last deployments");
    assert_eq!(opened.past(2, 9999).await, ["/kept"], "neither");
    assert_eq!(opened.past(3, 1000).await, ["/gone", "/kept"], "young enough");
    assert_eq!(opened.past(3, 1001).await, ["/kept"]);
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
        if let Err(error) = opened.catalogue.add_account(&rows, |_, _| vec![0; 4096]).await {
            break error;
        }
    };
    assert!(matches!(error, CatalogueError::NoSpace), "{error:?}");
    let rows = account("later.example");
    opened.catalogue.add_account(&rows, |_, _| vec![0; 4096]).await.expect("adds").expect("free");
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
