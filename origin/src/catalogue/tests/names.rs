//! Domains, and which bytes an account has: what only the catalogue can promise.

use super::*;

fn none(_: &[u8], _: Version, _: Vec<String>) -> Option<Vec<u8>> {
    None
}

/// A pointer that says which domains it was made for.
fn named(_: &[u8], version: Version, aliases: Vec<String>) -> Option<Vec<u8>> {
    Some(format!("{} {}", version.revision, aliases.join(",")).into_bytes())
}

async fn claimed(catalogue: &Catalogue, rows: &AccountRows, name: &str) -> DomainDetails {
    let actor = Actor::origin(rows.account.clone());
    match catalogue.add_domain(&actor, &rows.environment, name, 2, 200).await.expect("answers") {
        ClaimOutcome::Claimed(domain) => domain,
        ClaimOutcome::TooMany => panic!("room for one more"),
    }
}

async fn pointers_after(catalogue: &Catalogue, revision: u64) -> Vec<String> {
    let events = catalogue.events_after(revision, 10).await.expect("answers");
    events.into_iter().map(|(_, pointer)| String::from_utf8(pointer).expect("text")).collect()
}

#[tokio::test]
async fn a_domain_moves_in_one_transaction_with_a_pointer_for_each_side() {
    let Opened { catalogue, rows: first, folder: _folder } = opened().await;
    let second = account("b.example");
    catalogue.add_account(&second, |_| b"pointer".to_vec()).await.expect("adds");
    let (ours, theirs) =
        (claimed(&catalogue, &first, "music.test").await, claimed(&catalogue, &second, "music.test").await);
    assert_eq!(catalogue.domain_holder("music.test").await.expect("answers"), None);
    let actor = |rows: &AccountRows| Actor::origin(rows.account.clone());
    let given = catalogue.give_domain(&actor(&first), &ours, None, 300, &named).await.expect("answers");
    let (given, version) = given.expect("nobody had it");
    assert_eq!((given.verified_at, version.revision), (Some(300), 3));
    assert_eq!(pointers_after(&catalogue, 2).await, ["3 music.test"]);

    // Who believes that nobody has it, changes nothing.
    let late = catalogue.give_domain(&actor(&second), &theirs, None, 400, &named).await.expect("answers");
    assert_eq!(late, None);
    let holder = catalogue.domain_holder("music.test").await.expect("answers");
    let moved = catalogue.give_domain(&actor(&second), &theirs, holder.as_ref(), 400, &named).await;
    let (_, version) = moved.expect("answers").expect("taken over");
    assert_eq!(version.revision, 5);
    assert_eq!(pointers_after(&catalogue, 3).await, ["4 music.test", "5 "], "the new side first");
    let lost = catalogue.domain(&first.environment, "music.test").await.expect("answers").expect("claimed");
    assert_eq!(lost.verified_at, None);
    assert_eq!(
        catalogue.audited(&first.account).await.expect("answers").last().expect("one").1,
        ours.sid.as_str()
    );

    let removed = catalogue.remove_domain(&actor(&first), &lost, 500, &named).await.expect("answers");
    assert_eq!(removed, Some(None), "a claim is nothing that edges know of");
    let removed = catalogue.remove_domain(&actor(&second), &theirs, 500, &named).await.expect("answers");
    assert_eq!(removed.flatten().map(|version| version.revision), Some(6));
    assert_eq!(pointers_after(&catalogue, 5).await, ["6 "]);
}

#[tokio::test]
async fn a_pointer_that_cannot_be_read_again_changes_nothing() {
    let Opened { catalogue, rows, folder: _folder } = opened().await;
    let domain = claimed(&catalogue, &rows, "music.test").await;
    let actor = Actor::origin(rows.account.clone());
    catalogue.give_domain(&actor, &domain, None, 300, &none).await.expect_err("damaged");
    assert_eq!(catalogue.domain_holder("music.test").await.expect("answers"), None);
    assert_eq!(catalogue.snapshot().await.expect("answers").0.revision, 1);
}

#[tokio::test]
async fn a_given_domain_is_in_every_pointer_and_nobody_elses_name() {
    let opened = opened().await;
    let Opened { catalogue, rows, .. } = &opened;
    let domain = claimed(catalogue, rows, "music.test").await;
    claimed(catalogue, rows, "pending.test").await;
    let third = catalogue.add_domain(&opened.actor(), &rows.environment, "third.test", 2, 200).await;
    assert_eq!(third.expect("answers"), ClaimOutcome::TooMany);
    catalogue
        .give_domain(&opened.actor(), &domain, None, 300, &named)
        .await
        .expect("answers")
        .expect("given");
    let version = opened.version("/a", b"a", Visibility::Public).await;
    let made = opened.made(None, &[&version], 400);
    let aliases = std::sync::Mutex::new(Vec::new());
    let pointer = |_, standing: &Standing| {
        aliases.lock().expect("no panic").clone_from(&standing.aliases);
        b"pointer".to_vec()
    };
    opened.deploy_made(&made, pointer).await;
    assert_eq!(*aliases.lock().expect("no panic"), ["music.test"]);

    // A base domain that was changed may give out what somebody brought along before.
    let taken = catalogue.add_account(&account("music.test"), |_| b"pointer".to_vec()).await;
    assert_eq!(taken.expect("answers"), None);
    let holder = catalogue.domain_holder("a.example").await.expect("answers");
    assert_eq!(holder, Some(Holder::GivenOut));
}

#[tokio::test]
async fn an_account_has_the_bytes_that_its_versions_name_and_no_others() {
    let opened = opened().await;
    let Opened { catalogue, rows, .. } = &opened;
    let other = account("b.example");
    catalogue.add_account(&other, |_| b"pointer".to_vec()).await.expect("adds");
    let hashes = [blob(b"a").id.hash, blob(b"b").id.hash];
    let has = async |rows: &AccountRows| {
        let blobs = catalogue.account_blobs(&rows.account, &hashes).await.expect("answers");
        hashes.map(|hash| blobs.contains_key(&hash))
    };
    opened.version("/a", b"a", Visibility::Public).await;
    opened.version("/copy", b"a", Visibility::Private).await;
    assert_eq!((has(rows).await, has(&other).await), ([true, false], [false, false]));

    let known = |rows: &AccountRows, content: &[u8]| NewVersion {
        service: rows.service.clone(),
        path: "/known".parse().expect("valid"),
        visibility: Visibility::Public,
        content_type: "text/plain".into(),
        blob: blob(content),
        created_at: 100,
    };
    let added = catalogue.add_known_versions(&opened.actor(), &[known(rows, b"b"), known(rows, b"a")]).await;
    assert_eq!(added.expect("answers").iter().map(Option::is_some).collect::<Vec<_>>(), [false, true]);
    let stranger = Actor::origin(other.account.clone());
    let added = catalogue.add_known_versions(&stranger, &[known(&other, b"a")]).await.expect("answers");
    assert_eq!(added, [None], "what the origin has is not what the account has");

    let pointer = |_: &EnvironmentSid, _: &str, _| b"pointer".to_vec();
    catalogue.delete_service(&opened.actor(), &rows.service, 500, pointer).await.expect("deletes");
    assert_eq!(has(rows).await, [false, false]);
    let left: i64 = sqlx::query_scalar("SELECT count(*) FROM account_blobs")
        .fetch_one(&catalogue.shared.reader)
        .await
        .expect("answers");
    assert_eq!(left, 0);
}

/// The time of an answer must not depend on what others have: their rows are not on the way to it.
#[tokio::test]
async fn whether_an_account_has_bytes_is_looked_up_by_its_own_key_first() {
    let opened = opened().await;
    let plan: Vec<(i64, i64, i64, String)> =
        sqlx::query_as(sqlx::AssertSqlSafe(format!("EXPLAIN QUERY PLAN {}", assets::ACCOUNT_BLOBS)))
            .bind("AC0")
            .bind("[]")
            .fetch_all(&opened.catalogue.shared.reader)
            .await
            .expect("explains");
    let steps: Vec<_> = plan.iter().map(|(.., step)| step.as_str()).collect();
    let own = "SEARCH account_blobs USING PRIMARY KEY (account_sid=? AND blob_hash=?)";
    assert_eq!(steps.get(1), Some(&own), "{steps:?}");
    assert!(steps[2].starts_with("SEARCH blobs"), "{steps:?}");
}
