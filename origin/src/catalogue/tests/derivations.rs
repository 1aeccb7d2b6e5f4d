//! Coded forms of blobs, and the rounds in which they join builds.

use super::*;
use crate::coding::Coding;

impl Opened {
    async fn derive(&self, derivations: &[Derivation]) {
        let added = self.catalogue.add_derivations(&self.rows.account, derivations, 100).await;
        added.expect("adds");
    }

    /// Deploys a build of one version that coded forms are to join.
    async fn deploy_unfinished(&self, replaces: Option<&BuildSid>, version: &AssetVersion) -> BuildSid {
        let mut made = self.made(replaces, &[version], 100);
        made.documents = BuildDocuments {
            unfinished: Some(Duration::from_millis(1500)),
            ..documents(format!("manifest of {}", made.build.build).as_bytes())
        };
        let outcome = self.deploy_made(&made, |_, _| b"pointer".to_vec()).await;
        assert!(matches!(outcome, DeployOutcome::Live(_)));
        made.build.build
    }

    async fn begin(&self) -> Option<DerivationRound> {
        self.catalogue.begin_derivation_round().await.expect("answers")
    }

    /// Ends a round with a manifest: the version, and which domains got a pointer to which manifest.
    async fn end(
        &self,
        round: &DerivationRound,
        documents: &BuildDocuments,
    ) -> (Option<u64>, Vec<(String, Option<BlobId>)>) {
        let told = Mutex::default();
        let pointer = |showing: &Showing, _: Version, standing: &Standing| {
            let mut told: std::sync::MutexGuard<'_, Vec<_>> = told.lock().expect("not poisoned");
            told.push((showing.domain.clone(), standing.manifest));
            b"pointer".to_vec()
        };
        let ended = self.catalogue.end_derivation_round(round, documents, 200, pointer).await.expect("ends");
        (ended.map(|version| version.revision), told.into_inner().expect("not poisoned"))
    }

    async fn manifest(&self, build: &BuildSid) -> Option<BlobId> {
        self.catalogue.build_manifest(&self.rows.service, build.as_str()).await.expect("answers")
    }
}

/// What came of coding `content`: other bytes, or nothing worth keeping.
fn derivation(content: &[u8], coding: Coding, coded: Option<&[u8]>) -> Derivation {
    Derivation { source: Hash::of(content), coding, blob: coded.map(blob) }
}

#[tokio::test]
async fn derived_blobs_come_with_every_version_of_their_source() {
    let opened = opened().await;
    let first = opened.version("/a", b"a", Visibility::Public).await;
    assert_eq!(first.derived, []);
    let derivations = [
        derivation(b"a", Coding::Gzip, Some(b"gzip of a")),
        derivation(b"a", Coding::Brotli, Some(b"br of a")),
        derivation(b"a", Coding::Zstd, None),
    ];
    for _ in 0..2 {
        opened.derive(&derivations).await;
    }
    let build = opened.deploy(None, &[&first], 100).await.build.build;
    let expected = [
        Derived { coding: Coding::Brotli, blob: blob(b"br of a") },
        Derived { coding: Coding::Gzip, blob: blob(b"gzip of a") },
    ];
    let in_build = opened.catalogue.build_versions(&build).await.expect("answers");
    assert_eq!((in_build.len(), &in_build[0].derived[..]), (1, &expected[..]));
    assert_eq!(opened.version("/b", b"a", Visibility::Public).await.derived, expected);
    assert_eq!(in_build[0].tried, [Coding::Brotli, Coding::Gzip, Coding::Zstd], "also what was not worth it");
}

#[tokio::test]
async fn what_was_coded_for_one_account_is_not_there_for_another() {
    let opened = opened().await;
    let stranger = account("b.example");
    opened.catalogue.add_account(&stranger, |_| Vec::new()).await.expect("adds").expect("free");
    opened.version("/a", b"a", Visibility::Public).await;
    opened.derive(&[derivation(b"a", Coding::Gzip, Some(b"gzip of a"))]).await;
    let stranger = Opened { rows: stranger, ..opened };
    let version = stranger.version("/a", b"a", Visibility::Public).await;
    assert_eq!((version.derived, version.tried), (Vec::new(), Vec::new()));
}

#[tokio::test]
async fn a_version_named_twice_is_found_twice_each_with_its_derived_blobs() {
    let opened = opened().await;
    let derivations = [
        derivation(b"a", Coding::Gzip, Some(b"gzip of a")),
        derivation(b"a", Coding::Brotli, Some(b"br of a")),
    ];
    let sid = opened.version("/a", b"a", Visibility::Public).await.sid.to_string();
    opened.derive(&derivations).await;
    let found = opened.catalogue.versions(&opened.rows.service, &[sid.clone(), sid]).await.expect("answers");
    assert_eq!(found.iter().map(|version| version.derived.len()).collect::<Vec<_>>(), [2, 2]);
}

#[tokio::test]
async fn fills_and_histories_name_the_derived_blobs_that_a_manifest_named_and_no_others() {
    let opened = opened().await;
    let version = opened.version("/a", b"a", Visibility::Public).await;
    let derivations = [
        derivation(b"a", Coding::Brotli, Some(b"br of a")),
        derivation(b"a", Coding::Gzip, Some(b"gzip of a")),
    ];
    opened.derive(&derivations).await;
    let mut made = opened.made(None, &[&version], 100);
    made.documents.derived = vec![Hash::of(b"br of a")];
    opened.deploy_made(&made, |_, _| b"pointer".to_vec()).await;
    assert!(opened.may_fill(b"br of a").await);
    assert!(!opened.may_fill(b"gzip of a").await);
    let (account, environment) = (&opened.rows.account, &opened.rows.environment);
    let past =
        opened.catalogue.past_versions(account, environment, 1, 0, &[version.number]).await.expect("answers");
    let derived: Vec<_> = past.iter().flat_map(|version| &version.derived).collect();
    assert_eq!((past.len(), derived), (1, vec![&Derived { coding: Coding::Brotli, blob: blob(b"br of a") }]));
}

#[tokio::test]
async fn a_round_succeeds_the_manifest_and_tells_every_environment_that_shows_the_build() {
    let opened = opened().await;
    let version = opened.version("/a", b"a", Visibility::Public).await;
    let build = opened.deploy_unfinished(None, &version).await;
    let round = opened.begin().await.expect("there is one");
    assert_eq!((&round.build, &round.account), (&build, &opened.rows.account));
    assert_eq!((round.cpu_time, round.failed_attempts), (Duration::from_millis(1500), 0));
    opened.derive(&[derivation(b"a", Coding::Gzip, Some(b"gzip of a"))]).await;
    assert!(!opened.may_fill(b"gzip of a").await);
    let next = BuildDocuments { derived: vec![Hash::of(b"gzip of a")], ..documents(b"next") };
    let told = vec![("a.example".to_owned(), Some(BlobId::of(b"next")))];
    assert_eq!(opened.end(&round, &next).await, (Some(3), told));
    assert_eq!(opened.manifest(&build).await, Some(BlobId::of(b"next")));
    assert!(opened.may_fill(b"next").await && opened.may_fill(b"gzip of a").await);
    assert!(opened.begin().await.is_none(), "it is done");
}

#[tokio::test]
async fn a_round_that_changed_nothing_tells_nobody() {
    let opened = opened().await;
    let version = opened.version("/a", b"a", Visibility::Public).await;
    let build = opened.deploy_unfinished(None, &version).await;
    let round = opened.begin().await.expect("there is one");
    let same = documents(format!("manifest of {build}").as_bytes());
    assert_eq!(opened.end(&round, &same).await, (None, Vec::new()));
    assert_eq!(opened.catalogue.derivation_count().await.expect("answers"), 0);
}

#[tokio::test]
async fn a_build_that_is_shown_no_more_is_succeeded_without_a_pointer_and_a_rollback_shows_the_new_manifest()
{
    let opened = opened().await;
    let version = opened.version("/a", b"a", Visibility::Public).await;
    let build = opened.deploy_unfinished(None, &version).await;
    let round = opened.begin().await.expect("there is one");
    let other = opened.deploy(Some(&build), &[], 150).await.build.build;
    assert_eq!(opened.end(&round, &documents(b"next")).await, (None, Vec::new()));
    // A rollback that was prepared before: it names no manifest, and gets the one that the build has by then.
    let mut back = opened.made(Some(&other), &[&version], 160);
    back.deployment.build = Some(build);
    let mut shown = None;
    let pointer = |_: Version, standing: &Standing| {
        shown = standing.manifest;
        b"pointer".to_vec()
    };
    opened.catalogue.deploy(&opened.actor(), &back.deployment, None, pointer).await.expect("answers");
    assert_eq!(shown, Some(BlobId::of(b"next")));
}

#[tokio::test]
async fn builds_take_turns_what_is_shown_first_and_then_the_newest() {
    let opened = opened().await;
    let version = opened.version("/a", b"a", Visibility::Public).await;
    let old = opened.deploy_unfinished(None, &version).await;
    let newer = opened.deploy_unfinished(Some(&old), &version).await;
    let made = opened.made(Some(&newer), &[], 170);
    let mut back = made.deployment.clone();
    back.build = Some(old.clone());
    opened.catalogue.deploy(&opened.actor(), &back, None, |_, _| Vec::new()).await.expect("answers");
    let mut order = Vec::new();
    for _ in 0..4 {
        order.push(opened.begin().await.expect("unfinished").build);
    }
    assert_eq!(order, [old.clone(), newer.clone(), old, newer.clone()]);
    let newest = opened.deploy_unfinished(order.first(), &version).await;
    assert_eq!(opened.begin().await.expect("unfinished").build, newest, "one that had no turn yet");
}

#[tokio::test]
async fn rounds_that_do_not_end_are_counted_until_one_does() {
    let opened = opened().await;
    let version = opened.version("/a", b"a", Visibility::Public).await;
    let build = opened.deploy_unfinished(None, &version).await;
    let mut attempts = Vec::new();
    for _ in 0..3 {
        attempts.push(opened.begin().await.expect("unfinished").failed_attempts);
    }
    assert_eq!(attempts, [0, 1, 2]);
    let round = opened.begin().await.expect("unfinished");
    let more = BuildDocuments { unfinished: Some(Duration::from_secs(9)), ..documents(b"next") };
    opened.end(&round, &more).await;
    let round = opened.begin().await.expect("unfinished");
    assert_eq!((round.failed_attempts, round.cpu_time), (0, Duration::from_secs(9)));
    opened.catalogue.give_up_derivation(&build).await.expect("gives up");
    assert!(opened.begin().await.is_none());
}

#[tokio::test]
async fn what_was_deleted_meanwhile_is_left_alone() {
    let opened = opened().await;
    let version = opened.version("/a", b"a", Visibility::Public).await;
    let build = opened.deploy_unfinished(None, &version).await;
    let round = opened.begin().await.expect("unfinished");
    opened.deploy(Some(&build), &[], 150).await;
    assert!(opened.catalogue.delete_build(&opened.actor(), &build, 160).await.expect("answers"));
    assert_eq!(opened.end(&round, &documents(b"next")).await, (None, Vec::new()));
    assert!(!opened.may_fill(b"next").await, "nothing of a build that is gone is noted");
    assert!(opened.begin().await.is_none());
}

#[tokio::test]
async fn a_service_goes_with_the_builds_that_coded_forms_were_to_join() {
    let opened = opened().await;
    let version = opened.version("/a", b"a", Visibility::Public).await;
    opened.deploy_unfinished(None, &version).await;
    let round = opened.begin().await.expect("unfinished");
    let (actor, service) = (opened.actor(), &opened.rows.service);
    let deleted = opened.catalogue.delete_service(&actor, service, 150, |_, _, _| Vec::new()).await;
    assert!(deleted.expect("answers"));
    assert_eq!(opened.end(&round, &documents(b"next")).await, (None, Vec::new()));
    assert!(opened.begin().await.is_none());
}
