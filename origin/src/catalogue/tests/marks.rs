//! How long lists and deployments take in a large catalogue. The figures are printed with `--nocapture`.
//!
//! Each is the fastest of several runs, so that a busy machine does not fail what is quick in itself.

use super::*;
use crate::sid::AssetSid;
use std::future::Future;

/// What a page may take on a machine that has nothing else to do.
const PAGE_MAX: Duration = Duration::from_millis(20);

/// What a deployment of 10,000 assets may take there.
const DEPLOYMENT_MAX: Duration = Duration::from_millis(50);

/// How much longer either may take where other tests run beside. What reads a whole table takes longer than that.
const BUSY: u32 = 5;

const RUNS: usize = 7;

/// A service with 100,000 assets, one of them with 100,000 further versions; 20,000 builds, deployments and environments, 2,000
/// services; and two builds of 10,000 assets.
const LARGE: &str = "
    CREATE TEMP TABLE numbers AS
        WITH RECURSIVE n (value) AS (SELECT 1 UNION ALL SELECT value + 1 FROM n WHERE value < 100000) SELECT value FROM n;
    INSERT INTO blobs (hash, size, sha256, created_at)
        SELECT unhex(printf('%064x', value)), 10, zeroblob(32), 100 FROM numbers;
    INSERT INTO assets (sid, service_sid, friendly_name, created_at, updated_at)
        SELECT printf('ZH%032x', value), (SELECT sid FROM services LIMIT 1), 'asset ' || value, 100, 100 FROM numbers;
    INSERT INTO asset_versions (sid, asset_sid, path, visibility, blob_hash, content_type, size, created_at)
        SELECT printf('ZN%032x', value), printf('ZH%032x', value), '/' || value, 'public', unhex(printf('%064x', value)),
               'image/png', 10, 100 FROM numbers;
    INSERT INTO asset_versions (sid, asset_sid, path, visibility, blob_hash, content_type, size, created_at)
        SELECT printf('ZN%032x', value + 100000), printf('ZH%032x', 1), '/' || value, 'public', unhex(printf('%064x', value)),
               'image/png', 10, 100 FROM numbers;
    INSERT INTO builds (sid, service_sid, status, manifest_hash, created_at, updated_at)
        SELECT printf('ZB%032x', value), (SELECT sid FROM services LIMIT 1), 'completed', unhex(printf('%064x', 1)), 100, 100
        FROM numbers WHERE value <= 20000;
    INSERT INTO build_versions SELECT printf('ZB%032x', 1), value FROM numbers WHERE value <= 10000;
    INSERT INTO build_versions SELECT printf('ZB%032x', 2), value FROM numbers WHERE value BETWEEN 2 AND 10001;
    INSERT INTO deployments (sid, environment_sid, number, build_sid, history_hash, epoch, revision, created_at)
        SELECT printf('ZD%032x', value), (SELECT sid FROM environments LIMIT 1), value, printf('ZB%032x', value), NULL, 1, 1, 100
        FROM numbers WHERE value <= 20000;
    UPDATE environments SET deployment_number = 20000;
    INSERT INTO environments (sid, service_sid, unique_name, domain_name, created_at, updated_at, domain_suffix)
        SELECT printf('ZE%032x', value), (SELECT sid FROM services LIMIT 1), 'e' || value, 'e' || value, 100, 100, 'e' || value
        FROM numbers WHERE value <= 20000;
    INSERT INTO services (sid, account_sid, unique_name, created_at, friendly_name, domain_base)
        SELECT printf('ZS%032x', value), (SELECT sid FROM accounts LIMIT 1), 's' || value, 100, '', 's' || value
        FROM numbers WHERE value <= 2000;
";

async fn large() -> Opened {
    let opened = opened().await;
    let mut connection = opened.catalogue.shared.writer.acquire().await.expect("a connection");
    sqlx::raw_sql(LARGE).execute(&mut *connection).await.expect("fills");
    drop(connection);
    opened
}

/// The fastest of several runs.
async fn fastest<F: Future<Output = usize>>(what: &str, bound: Duration, run: impl Fn() -> F) {
    let mut times = Vec::new();
    for _ in 0..RUNS {
        let begun = Instant::now();
        assert_ne!(run().await, 0, "{what} gives something");
        times.push(begun.elapsed());
    }
    times.sort();
    println!("{what:<40} {:>8.2?} (median {:.2?})", times[0], times[RUNS / 2]);
    assert!(times[0] < bound * BUSY, "{what} took {:?}", times[0]);
}

#[tokio::test]
async fn every_page_of_every_list_is_quick_in_a_large_catalogue() {
    let opened = large().await;
    let Opened { catalogue, rows, .. } = &opened;
    let asset = AssetSid::from(format!("ZH{:032x}", 1));
    let first = PageWanted { size: 100, before: None, skip: 0 };
    let middle = PageWanted { before: Some(1000), ..first };
    let far = PageWanted { skip: 1500, ..first };
    let farthest = PageWanted { skip: 19_000, ..first };
    for (name, wanted) in [("first", first), ("by token", middle), ("by number", far)] {
        let wanted = &wanted;
        fastest(&format!("services, {name}"), PAGE_MAX, || async {
            catalogue.list_services(&rows.account, wanted).await.expect("lists").items.len()
        })
        .await;
    }
    for (name, wanted) in [("first", first), ("by token", middle), ("by number", farthest)] {
        let wanted = &wanted;
        fastest(&format!("assets, {name}"), PAGE_MAX, || async {
            catalogue.list_contents(Kind::Asset, &rows.service, wanted).await.expect("lists").items.len()
        })
        .await;
        fastest(&format!("builds, {name}"), PAGE_MAX, || async {
            catalogue.list_builds(&rows.service, wanted).await.expect("lists").items.len()
        })
        .await;
        fastest(&format!("deployments, {name}"), PAGE_MAX, || async {
            catalogue.list_deployments(&rows.environment, wanted).await.expect("lists").items.len()
        })
        .await;
        fastest(&format!("environments, {name}"), PAGE_MAX, || async {
            catalogue.list_environments(&rows.service, wanted).await.expect("lists").items.len()
        })
        .await;
    }
    let middle = PageWanted { before: Some(150_000), ..first };
    let farthest = PageWanted { skip: 99_900, ..first };
    for (name, wanted) in [("first", first), ("by token", middle), ("by number, the last", farthest)] {
        let wanted = &wanted;
        fastest(&format!("versions, {name}"), PAGE_MAX, || async {
            let listed = catalogue.list_content_versions(Kind::Asset, &asset, wanted).await;
            listed.expect("lists").items.len()
        })
        .await;
        fastest(&format!("assets of 100,000, {name}"), PAGE_MAX, || async {
            catalogue.list_contents(Kind::Asset, &rows.service, wanted).await.expect("lists").items.len()
        })
        .await;
    }
}

#[tokio::test]
async fn a_deployment_of_ten_thousand_assets_is_quick_in_the_catalogue() {
    let opened = large().await;
    let builds = [1, 2].map(|number| BuildSid::from(format!("ZB{number:032x}")));
    let mut times = Vec::new();
    let mut live: Option<BuildSid> = None;
    for number in 0..RUNS * 2 {
        let build = &builds[number % 2];
        let Opened { catalogue, rows, .. } = &opened;
        let begun = Instant::now();
        let difference = catalogue.difference(live.as_ref(), Some(build)).await.expect("answers");
        let compared = begun.elapsed();
        let removed = &difference.removed;
        let past = catalogue.past_versions(&rows.account, &rows.environment, 19_990, i64::MAX, removed).await;
        let past = past.expect("answers");
        let beside = catalogue.build_versions_like(&rows.account, build, &past).await.expect("answers").len();
        let past_read = begun.elapsed();
        let deployment = NewDeployment {
            deployment: DeploymentSid::random().expect("random"),
            build: Some(build.clone()),
            ..opened.made(live.as_ref(), &[], 500).deployment
        };
        let outcome = opened.catalogue.deploy(&opened.actor(), &deployment, None, |_, _| Vec::new()).await;
        assert!(matches!(outcome.expect("answers"), DeployOutcome::Live(_)));
        live = Some(build.clone());
        // The first ones write what the others find.
        if number >= 2 {
            times.push(begun.elapsed());
            println!(
                "compared after {compared:.1?}, {} past and {beside} beside them after {past_read:.1?}, deployed after {:.1?}",
                past.len(),
                begun.elapsed()
            );
        }
    }
    times.sort();
    println!("deployment of 10,000 assets {:.2?} (median {:.2?})", times[0], times[times.len() / 2]);
    assert!(times[0] < DEPLOYMENT_MAX * BUSY, "{:?}", times[0]);
}
