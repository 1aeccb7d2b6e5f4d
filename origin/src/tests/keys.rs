//! What accounts prove themselves and sign with, and what edges learn of it.

use super::*;
use crate::catalogue::Catalogue;
use crate::sid::AccountSid;
use skerry_proto::hmac::{Algorithm, Midstates};
use skerry_proto::signed_url::key::{Algorithm as UrlAlgorithm, SigningKey};
use skerry_proto::wire::keys_client::KeysClient;
use skerry_proto::wire::{
    AddUrlKeyRequest, CreateSignatureKeyRequest, CreateTokenRequest, DescribeRequest, ListKeysRequest,
    ListKeysResponse, RevokeKeyRequest, SignatureAlgorithm, UrlKey,
};
use tonic::Code;

impl Served {
    async fn keys(&self) -> KeysClient<Channel> {
        KeysClient::new(self.channel(None).await)
    }

    async fn key_list(&self) -> ListKeysResponse {
        let listed = self.keys().await.list_keys(as_account(&self.account, ListKeysRequest {})).await;
        listed.expect("lists").into_inner()
    }

    async fn logs_in(&self, token: &str) -> Result<(), Status> {
        let request = with_credentials(&self.account.account_sid, token, DescribeRequest {});
        self.publish().await.describe(request).await.map(drop)
    }

    async fn revoke(&self, id: &str) -> Result<u64, Status> {
        let request = as_account(&self.account, RevokeKeyRequest { id: id.into() });
        let revoked = self.keys().await.revoke_key(request).await?.into_inner();
        Ok(revoked.revision.expect("a revision").revision)
    }

    async fn put_protected(&self, path: &str) -> CommitResponse {
        let version = self.upload_as(path, &sample(9), Visibility::Protected).await.expect("uploads");
        self.commit(&[&version.version_sid], &[]).await.expect("commits")
    }
}

fn secrets(key_id: Option<&str>, secret: &str, algorithms: &[Algorithm]) -> Vec<Secret> {
    algorithms
        .iter()
        .map(|algorithm| Secret {
            key_id: key_id.map(str::to_owned),
            midstates: Midstates::of(*algorithm, secret.as_bytes()),
        })
        .collect()
}

fn url_key() -> UrlKey {
    let pem = SigningKey::generate(UrlAlgorithm::Es256).expect("randomness");
    SigningKey::from_pem(pem.as_bytes()).expect("own key").public().into()
}

#[tokio::test]
async fn a_second_token_works_beside_the_first_until_one_of_them_is_revoked() {
    let served = Served::start().await;
    let first = served.account.auth_token.clone();
    assert_eq!(stable_code(&served.revoke("1").await.expect_err("the only one")), "only_token");

    let create = || as_account(&served.account, CreateTokenRequest {});
    let made = served.keys().await.create_token(create()).await.expect("makes").into_inner();
    assert_eq!(made.slot, 2);
    served.logs_in(&first).await.expect("the first works");
    served.logs_in(&made.auth_token).await.expect("the second works");
    let status = served.keys().await.create_token(create()).await.expect_err("two are enough");
    assert_eq!(stable_code(&status), "two_tokens");
    let slots: Vec<_> = served.key_list().await.tokens.iter().map(|token| token.slot).collect();
    assert_eq!(slots, [1, 2]);

    served.revoke("1").await.expect("revokes");
    assert_eq!(served.logs_in(&first).await.expect_err("revoked").code(), Code::Unauthenticated);
    served.logs_in(&made.auth_token).await.expect("the second still works");
    served.stop().await;
}

#[tokio::test]
async fn edges_get_midstates_only_of_accounts_that_show_protected_assets() {
    let served = Served::start().await;
    let edge = served.enrol().await;
    served.put("/public", &sample(1)).await;
    let mut watching = served.watch(&edge, served.hello(0, 0)).await.expect("watches");
    watching.snapshot().await;
    assert!(watching.secrets.is_empty());

    served.put_protected("/protected").await;
    watching.change().await;
    let both = secrets(None, &served.account.auth_token, &Algorithm::ALL);
    assert_eq!(watching.secrets, BTreeMap::from([(served.account.account_sid.clone(), both.clone())]));

    // Whoever comes later gets them first, also without a snapshot of pointers.
    let commit = served.put("/other", &sample(2)).await;
    let mut later = served.watch(&edge, served.hello(commit.epoch, commit.revision)).await.expect("watches");
    later.say(watch_request::Kind::Ping(wire::Ping { number: 1, ..Default::default() })).await;
    later.next().await;
    assert_eq!(later.secrets[&served.account.account_sid], both);

    served.commit(&[], &["/protected"]).await.expect("commits");
    later.change().await;
    assert_eq!(later.secrets[&served.account.account_sid], [], "and forgets them");
    served.stop().await;
}

#[tokio::test]
async fn edges_learn_of_tokens_and_signature_keys_ahead_of_the_revision() {
    let served = Served::start().await;
    let edge = served.enrol().await;
    served.put_protected("/protected").await;
    let mut watching = served.watch(&edge, served.hello(0, 0)).await.expect("watches");
    watching.snapshot().await;
    let account = served.account.account_sid.clone();
    let first = secrets(None, &served.account.auth_token, &Algorithm::ALL);

    let request = as_account(
        &served.account,
        CreateSignatureKeyRequest { algorithm: SignatureAlgorithm::HmacSha256.into() },
    );
    let made = served.keys().await.create_signature_key(request).await.expect("makes").into_inner();
    assert_eq!(watching.change().await.revision, made.revision.expect("a revision").revision);
    let key = secrets(Some(&made.id), &made.secret, &[Algorithm::Sha256]);
    assert_eq!(watching.secrets[&account], [first.clone(), key].concat());

    let revision = served.revoke(&made.id).await.expect("revokes");
    assert_eq!(watching.change().await.revision, revision);
    assert_eq!(watching.secrets[&account], first);
    assert_eq!(stable_code(&served.revoke(&made.id).await.expect_err("gone")), "not_found");
    served.stop().await;
}

#[tokio::test]
async fn the_token_of_an_older_origin_signs_once_it_was_shown() {
    let served = Served::start().await;
    let edge = served.enrol().await;
    served.put_protected("/protected").await;
    let served = served
        .restart(async |data| {
            let catalogue = Catalogue::open(data).await.expect("opens");
            catalogue.forget_midstates().await;
            catalogue.close().await;
        })
        .await;
    let mut watching = served.watch(&edge, served.hello(0, 0)).await.expect("watches");
    watching.snapshot().await;
    assert!(watching.secrets.is_empty());
    served.logs_in(&served.account.auth_token).await.expect("logs in");
    watching.change().await;
    let expected = secrets(None, &served.account.auth_token, &Algorithm::ALL);
    assert_eq!(watching.secrets[&served.account.account_sid], expected);
    served.stop().await;
}

#[tokio::test]
async fn keys_for_signed_urls_are_in_every_pointer_of_their_account() {
    let served = Served::start().await;
    let edge = served.enrol().await;
    let mut watching = served.watch(&edge, served.hello(0, 0)).await.expect("watches");
    watching.snapshot().await;

    let key = url_key();
    let add = |key: &UrlKey| as_account(&served.account, AddUrlKeyRequest { key: Some(key.clone()) });
    let added = served.keys().await.add_url_key(add(&key)).await.expect("adds").into_inner();
    let again = served.keys().await.add_url_key(add(&key)).await.expect_err("is there");
    assert_eq!(stable_code(&again), "key_exists");

    let change = watching.change().await;
    assert_eq!(change.revision, added.revision.expect("a revision").revision);
    let pointer = served.pointer(change.pointer.as_ref());
    assert_eq!(pointer.domain, served.account.domain);
    let ids = |pointer: &Pointer| pointer.url_keys.iter().map(|key| key.id().to_owned()).collect::<Vec<_>>();
    assert_eq!(ids(&pointer), std::slice::from_ref(&added.id));

    let commit = served.put("/a", &sample(1)).await;
    let change = watching.change().await;
    assert_eq!(change.revision, commit.revision);
    let kept = ids(&served.pointer(change.pointer.as_ref()));
    assert_eq!(kept, std::slice::from_ref(&added.id), "a deployment keeps them");

    served.revoke(&added.id).await.expect("revokes");
    let pointer = served.pointer(watching.change().await.pointer.as_ref());
    assert!(pointer.url_keys.is_empty() && pointer.manifest.is_some(), "all else stays");
    served.stop().await;
}

#[tokio::test]
async fn what_is_no_key_is_refused() {
    let served = Served::start().await;
    let keys = [
        None,
        Some(UrlKey::default()),
        Some(UrlKey { public_key: Bytes::from_static(&[4; 65]), ..url_key() }),
    ];
    for key in keys {
        let request = as_account(&served.account, AddUrlKeyRequest { key });
        let status = served.keys().await.add_url_key(request).await.expect_err("no key");
        assert_eq!(stable_code(&status), "invalid_key");
    }
    let request = as_account(&served.account, CreateSignatureKeyRequest { algorithm: 9 });
    let status = served.keys().await.create_signature_key(request).await.expect_err("no algorithm");
    assert_eq!(stable_code(&status), "invalid_algorithm");
    served.stop().await;
}

#[tokio::test]
async fn every_change_of_a_key_is_in_the_audit_log() {
    let served = Served::start().await;
    served
        .keys()
        .await
        .create_token(as_account(&served.account, CreateTokenRequest {}))
        .await
        .expect("makes");
    served.revoke("2").await.expect("revokes");
    let request = AddUrlKeyRequest { key: Some(url_key()) };
    let added = served.keys().await.add_url_key(as_account(&served.account, request)).await.expect("adds");
    let id = added.into_inner().id;
    served.revoke(&id).await.expect("revokes");

    let account = AccountSid::from(served.account.account_sid.clone());
    let read = async |data: &Path| {
        let catalogue = Catalogue::open(data).await.expect("opens");
        let audited = catalogue.audited(&account).await.expect("answers");
        let told = audited.iter().rev().take(4).rev().map(|(action, subject)| (&action[..], &subject[..]));
        let expected =
            [("create", "auth_token_2"), ("delete", "auth_token_2"), ("create", &id), ("delete", &id)];
        assert_eq!(told.collect::<Vec<_>>(), expected);
        catalogue.close().await;
    };
    served.restart(read).await.stop().await;
}

#[tokio::test]
async fn a_key_of_another_account_is_not_found() {
    let served = Served::start().await;
    let request = as_account(&served.other, AddUrlKeyRequest { key: Some(url_key()) });
    let added = served.keys().await.add_url_key(request).await.expect("adds").into_inner();
    assert_eq!(stable_code(&served.revoke(&added.id).await.expect_err("foreign")), "not_found");
    assert!(served.key_list().await.url_keys.is_empty());
    served.stop().await;
}

#[tokio::test]
async fn who_shows_wrong_tokens_has_to_wait() {
    let served = Served::start().await;
    for _ in 0..AuthLimits::default().failure_count_max {
        assert_eq!(served.logs_in("wrong").await.expect_err("wrong").code(), Code::Unauthenticated);
    }
    let status = served.logs_in("wrong").await.expect_err("too many");
    assert_eq!((status.code(), stable_code(&status)), (Code::ResourceExhausted, "too_many_attempts"));
    let request = as_account(&served.other, DescribeRequest {});
    served.publish().await.describe(request).await.expect("another account goes on");
    served.stop().await;
}

#[tokio::test]
async fn the_catalogue_keeps_no_token() {
    let served = Served::start().await;
    let token = served.account.auth_token.clone();
    let data = config(served.folder.path()).data;
    let folder = served.folder.path().to_owned();
    let served = served.restart(async |_| {}).await;
    let bytes = std::fs::read(data.join("catalogue.sqlite")).expect("reads");
    assert!(!bytes.windows(token.len()).any(|window| window == token.as_bytes()), "in {}", folder.display());
    served.stop().await;
}
