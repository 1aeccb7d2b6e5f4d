//! Catalogues that older programs left, brought up to date.

use super::*;
use sqlx::SqliteConnection;
use sqlx::migrate::Migrator;

/// A catalogue as the program with migrations up to `version` left it, with what `rows` adds.
async fn left_by(version: i64, rows: &'static str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("temp");
    let file = folder.path().join("catalogue.sqlite");
    let options = SqliteConnectOptions::new().filename(file).create_if_missing(true);
    let mut connection = SqliteConnection::connect_with(&options).await.expect("connects");
    let mut old: Migrator = sqlx::migrate!("./migrations");
    old.migrations.to_mut().retain(|migration| migration.version <= version);
    old.run(&mut connection).await.expect("migrates");
    sqlx::raw_sql(rows).execute(&mut connection).await.expect("adds");
    connection.close().await.expect("closes");
    folder
}

/// An account with a service, an environment, and an asset of each visibility that is live there. The bytes of `X'…'` are repeated to
/// make hashes; a trigger notes which builds show something protected.
const PUBLISHED: &str = "
    INSERT INTO cluster VALUES (1, zeroblob(16), 1, 7);
    INSERT INTO accounts VALUES ('AC1', 'one', 1, 100), ('AC2', 'two', 0, 100);
    INSERT INTO services VALUES ('ZS1', 'AC1', 'default', 100), ('ZS2', 'AC2', 'default', 100);
    INSERT INTO environments (sid, service_sid, unique_name, domain_name, created_at) VALUES
        ('ZE1', 'ZS1', 'default', 'one.example', 100), ('ZE2', 'ZS2', 'default', 'two.example', 100);
    INSERT INTO blobs SELECT unhex(printf('%064d', value)), 10 + value, zeroblob(32), 100
        FROM json_each('[1,2,3,4,5,6]');
    INSERT INTO assets VALUES ('ZH1', 'ZS1', '/open', 100), ('ZH2', 'ZS1', '/closed', 100), ('ZH3', 'ZS2', '/open', 100);
    INSERT INTO asset_versions (sid, asset_sid, path, visibility, blob_hash, content_type, size, created_at) VALUES
        ('ZN1', 'ZH1', '/open', 'public', unhex(printf('%064d', 1)), 'text/plain', 11, 100),
        ('ZN2', 'ZH2', '/closed', 'protected', unhex(printf('%064d', 2)), 'text/plain', 12, 100),
        ('ZN3', 'ZH3', '/open', 'public', unhex(printf('%064d', 1)), 'text/plain', 11, 100);
    INSERT INTO builds (sid, service_sid, manifest_hash, created_at) VALUES
        ('ZB1', 'ZS1', unhex(printf('%064d', 3)), 100), ('ZB2', 'ZS2', unhex(printf('%064d', 4)), 100),
        ('ZB0', 'ZS1', unhex(printf('%064d', 4)), 90);
    INSERT INTO build_versions VALUES ('ZB1', 1), ('ZB1', 2), ('ZB2', 3), ('ZB0', 1);
    INSERT INTO deployments VALUES ('ZD1', 'ZE1', 1, 'ZB1', NULL, 1, 3, 110), ('ZD2', 'ZE2', 1, 'ZB2', NULL, 1, 4, 110);
    UPDATE environments SET live_build_sid = 'ZB1', deployment_number = 1 WHERE sid = 'ZE1';
    UPDATE environments SET live_build_sid = 'ZB2', deployment_number = 1 WHERE sid = 'ZE2';
    INSERT INTO derived_blobs VALUES
        (unhex(printf('%064d', 1)), 'br', unhex(printf('%064d', 5))), (unhex(printf('%064d', 2)), 'gzip', NULL);
    INSERT INTO named_blobs VALUES ('AC1', unhex(printf('%064d', 1))), ('AC1', unhex(printf('%064d', 2)));
    INSERT INTO auth_tokens VALUES ('AC1', 1, zeroblob(32), 100, zeroblob(104)), ('AC2', 1, zeroblob(32), 100, zeroblob(104));
";

async fn opened_after(version: i64) -> (tempfile::TempDir, Catalogue) {
    let folder = left_by(version, PUBLISHED).await;
    let catalogue = Catalogue::open(folder.path()).await.expect("migrates and opens");
    (folder, catalogue)
}

/// Before 0004 a build had no status, and is made anew with all that refers to it.
#[tokio::test]
async fn an_old_build_with_protected_assets_still_gives_edges_the_secrets_of_its_account_and_of_no_other() {
    let (_folder, catalogue) = opened_after(3).await;
    let secrets = catalogue.signature_secrets(None).await.expect("answers");
    assert_eq!(secrets.keys().collect::<Vec<_>>(), ["AC1"]);
    // The trigger was made anew, too.
    let service = ServiceSid::from("ZS2".to_owned());
    let actor = Actor::origin("AC2".to_owned().into());
    let path = "/closed".parse().expect("valid");
    let (visibility, content_type) = (Visibility::Protected, "text/plain".to_owned());
    let new = NewVersion {
        service: service.clone(),
        path,
        visibility,
        content_type,
        blob: blob(b"new"),
        created_at: 200,
    };
    let (_, sid) = catalogue.add_version(&actor, &new).await.expect("adds");
    let version = catalogue.versions(&service, &[sid.to_string()]).await.expect("answers").remove(0);
    let build = NewBuild {
        build: BuildSid::random().expect("random"),
        service,
        versions: vec![version.number],
        functions: Vec::new(),
        dependencies: "[]".into(),
        runtime: String::new(),
        created_at: 200,
    };
    let deployment = NewDeployment {
        account: actor.account.clone(),
        environment: "ZE2".to_owned().into(),
        domain: "two.example".into(),
        deployment: DeploymentSid::random().expect("random"),
        replaces: Some("ZB2".to_owned().into()),
        build: Some(build.build.clone()),
        history: None,
        pages: Vec::new(),
        older_than: None,
        created_at: 200,
    };
    let made = Some((&build, &documents(b"manifest")));
    catalogue.deploy(&actor, &deployment, made, |_, _| b"pointer".to_vec()).await.expect("deploys");
    let secrets = catalogue.signature_secrets(None).await.expect("answers");
    assert_eq!(secrets.keys().collect::<Vec<_>>(), ["AC1", "AC2"]);
}

#[tokio::test]
async fn an_old_build_is_completed_and_shows_what_it_showed() {
    let (_folder, catalogue) = opened_after(3).await;
    let service = ServiceSid::from("ZS1".to_owned());
    let build = catalogue.build(&service, "ZB1").await.expect("answers").expect("there");
    assert_eq!((build.status.as_str(), build.created_at, build.updated_at), ("completed", 100, 100));
    let manifest = catalogue.build_manifest(&service, "ZB1").await.expect("answers").expect("there");
    assert_eq!(manifest.size, 13);
    let versions = catalogue.build_versions(&build.sid).await.expect("answers");
    let paths: Vec<_> = versions.iter().map(|version| version.path.as_str()).collect();
    assert_eq!(paths, ["/closed", "/open"]);
    let wanted = PageWanted { size: 10, before: None, skip: 0 };
    let listed = catalogue.list_builds(&service, &wanted).await.expect("lists");
    let listed: Vec<_> = listed.items.iter().map(|build| build.sid.as_str()).collect();
    assert_eq!(listed, ["ZB0", "ZB1"], "in the order in which they were made, newest first");
    let services = catalogue.services(&"AC1".to_owned().into()).await.expect("answers");
    let environment = &services[0].environments[0];
    assert_eq!(environment.live_build.as_ref().map(BuildSid::as_str), Some("ZB1"));
    assert_eq!(catalogue.version(), Version { epoch: 1, revision: 7 });
}

/// Before 0030 a form was of whoever had the bytes.
#[tokio::test]
async fn coded_forms_stay_with_the_accounts_that_showed_the_bytes() {
    let (_folder, catalogue) = opened_after(3).await;
    let versions = catalogue.build_versions(&"ZB1".to_owned().into()).await.expect("answers");
    let tried: Vec<_> = versions.iter().map(|version| (version.tried.len(), version.derived.len())).collect();
    assert_eq!(tried, [(1, 0), (1, 1)], "one was not worth it");
    let stranger = catalogue.versions(&"ZS2".to_owned().into(), &["ZN3".to_owned()]).await.expect("answers");
    assert!(stranger[0].tried.is_empty(), "it was named in no document of this account");
    assert_eq!(catalogue.derivation_count().await.expect("answers"), 0);
}

#[tokio::test]
async fn what_is_missing_in_an_old_catalogue_is_damage_and_not_repaired_in_silence() {
    // As a tool leaves it that does not enforce references.
    let rows = "PRAGMA foreign_keys = OFF; INSERT INTO services VALUES ('ZS9', 'AC9', 'orphan', 100);";
    let folder = left_by(3, rows).await;
    let error = Catalogue::open(folder.path()).await.expect_err("no such account");
    assert!(matches!(error, CatalogueError::Damaged(_)), "{error:?}");
}
