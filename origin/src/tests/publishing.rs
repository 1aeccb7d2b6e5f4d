//! What publishers may call, and what becomes of it.

use super::*;
use skerry_proto::wire::{
    CheckRequest, DescribeRequest, DownloadRequest, ListRequest, PlannedAsset, Target, download_response,
};
use tonic::Code;

async fn listed(served: &Served) -> Vec<String> {
    let request = as_account(&served.account, ListRequest { target: None });
    let list = served.publish().await.list(request).await.expect("lists").into_inner();
    list.assets.into_iter().map(|asset| asset.path).collect()
}

fn head(path: &str, visibility: i32, size: u64) -> UploadHead {
    UploadHead { path: path.into(), visibility, size, ..UploadHead::default() }
}

fn files_under(folder: &Path) -> usize {
    std::fs::read_dir(folder).expect("there").fold(0, |count, entry| {
        let path = entry.expect("entry").path();
        count + if path.is_dir() { files_under(&path) } else { 1 }
    })
}

#[tokio::test]
async fn a_wrong_token_says_what_to_do_and_not_whether_the_account_exists() {
    let served = Served::start().await;
    let mut client = served.publish().await;
    let mut messages = Vec::new();
    for (sid, token) in [
        (served.account.account_sid.as_str(), "wrong"),
        ("AC00000000000000000000000000000000", "wrong"),
        (served.account.account_sid.as_str(), served.other.auth_token.as_str()),
    ] {
        let status =
            client.describe(with_credentials(sid, token, DescribeRequest {})).await.expect_err("refused");
        assert_eq!(status.code(), Code::Unauthenticated);
        messages.push(status.message().to_owned());
    }
    messages.dedup();
    assert_eq!(messages.len(), 1);
    assert_eq!(client.describe(DescribeRequest {}).await.expect_err("refused").code(), Code::Unauthenticated);
    served.stop().await;
}

#[tokio::test]
async fn an_account_sees_itself_and_nothing_of_another() {
    let served = Served::start().await;
    let mut client = served.publish().await;
    let described = client.describe(as_account(&served.account, DescribeRequest {})).await;
    let described = described.expect("describes").into_inner();
    assert_eq!(described.account_sid, served.account.account_sid);
    let environment = &described.services[0].environments[0];
    assert_eq!(environment.public_url, format!("https://{}:8443", served.account.domain));
    let (name, rest) = environment.domain.split_once('.').expect("a domain");
    assert_eq!((name.len(), &name[..8], rest), ("default-1234".len(), "default-", "localhost"));

    let target = Target { service: served.other.service_sid.clone(), environment: String::new() };
    let request = as_account(&served.account, ListRequest { target: Some(target) });
    assert_eq!(client.list(request).await.expect_err("foreign").code(), Code::NotFound);
    served.stop().await;
}

#[tokio::test]
async fn what_was_put_is_listed_downloaded_and_removed() {
    let served = Served::start().await;
    let bytes = sample(SLICE_SIZE + 1);
    served.put("/a.bin", &bytes).await;
    served.put("/b.bin", &sample(0)).await;
    assert_eq!(listed(&served).await, ["/a.bin", "/b.bin"]);

    let request = DownloadRequest { target: None, path: "/a.bin".into() };
    let mut answer = served
        .publish()
        .await
        .download(as_account(&served.account, request))
        .await
        .expect("there")
        .into_inner();
    let mut read = Vec::new();
    while let Some(message) = answer.message().await.expect("no error") {
        match message.kind.expect("known") {
            download_response::Kind::Asset(asset) => assert_eq!(asset.path, "/a.bin"),
            download_response::Kind::Data(data) => read.extend_from_slice(&data),
        }
    }
    assert_eq!(read, bytes);

    served.commit(&[], &["/a.bin"]).await.expect("removes");
    assert_eq!(listed(&served).await, ["/b.bin"]);
    let status = served.commit(&[], &["/a.bin"]).await.expect_err("gone already");
    assert_eq!((status.code(), stable_code(&status)), (Code::NotFound, "not_found"));
    served.stop().await;
}

#[tokio::test]
async fn sixteen_commits_at_once_are_all_live() {
    let served = Served::start().await;
    let mut versions = Vec::new();
    for number in 0..16 {
        let bytes = sample(100 + number);
        let version = served.upload_as(&format!("/{}", number % 3), &bytes, Visibility::Public).await;
        versions.push(version.expect("uploads").version_sid);
    }
    let sids: Vec<_> = versions.iter().map(|sid| [sid.as_str()]).collect();
    let commits = sids.iter().map(|sid| served.commit(sid, &[]));
    let commits = futures_util::future::join_all(commits).await;
    let mut revisions: Vec<_> = commits.into_iter().map(|commit| commit.expect("commits").revision).collect();
    revisions.sort_unstable();
    revisions.dedup();
    assert_eq!(revisions.len(), 16, "each is a revision of its own");
    assert_eq!(listed(&served).await, ["/0", "/1", "/2"]);
    served.stop().await;
}

#[tokio::test]
async fn a_commit_over_the_count_is_refused_as_a_whole_and_what_is_live_stays() {
    let served = Served::start().await;
    served.put("/a", &sample(1)).await;
    let mut versions = Vec::new();
    for path in ["/b", "/c", "/d"] {
        versions.push(served.upload(path, &sample(2)).await.expect("uploads").version_sid);
    }
    let versions: Vec<_> = versions.iter().map(String::as_str).collect();
    let status = served.commit(&versions, &[]).await.expect_err("four of three");
    assert_eq!((status.code(), stable_code(&status)), (Code::ResourceExhausted, "too_many"));
    assert!(status.message().contains("3 new") && status.message().contains("2 of 3 are free"), "{status}");
    assert_eq!(listed(&served).await, ["/a"]);
    served.commit(&versions[..2], &[]).await.expect("three of three");
    served.stop().await;
}

#[tokio::test]
async fn a_check_finds_all_faults_and_names_what_would_become_public() {
    let served = Served::start().await;
    let version = served.upload_as("/p", &sample(1), Visibility::Private).await.expect("uploads");
    served.commit(&[&version.version_sid], &[]).await.expect("commits");
    let plan =
        |path: &str, size| PlannedAsset { path: path.into(), visibility: Visibility::Public.into(), size };
    let check = |assets| as_account(&served.account, CheckRequest { target: None, assets });
    let mut client = served.publish().await;
    let good = client.check(check(vec![plan("/p", 1)])).await.expect("good").into_inner();
    assert_eq!(good.now_public, ["/p"]);
    let status = client.check(check(vec![plan("/x", 1 << 40), plan("/../y", 1)])).await.expect_err("bad");
    assert_eq!(stable_code(&status), "too_large");
    assert!(status.message().contains("limits.served_size_max"), "{status}");
    assert!(status.message().contains("\"/../y\""), "{status}");
    served.stop().await;
}

#[tokio::test]
async fn bad_uploads_are_refused_with_a_code_and_leave_nothing_behind() {
    let served = Served::start().await;
    let blobs = config(served.folder.path()).data.join("blobs");
    let before = files_under(&blobs);
    let public = Visibility::Public.into();
    let long = format!("/{}", "x".repeat(255));
    let table = [
        (head("/large", public, (4 << 20) + 1), "too_large", Code::ResourceExhausted),
        (head("/unknown", 77, 5), "invalid_visibility", Code::InvalidArgument),
        (head("/", public, 5), "invalid_path", Code::InvalidArgument),
        (head("/../a", public, 5), "invalid_path", Code::InvalidArgument),
        (head("/a\0b", public, 5), "invalid_path", Code::InvalidArgument),
        (head("/.skerry/a", public, 5), "invalid_path", Code::InvalidArgument),
        (head(&long, public, 5), "invalid_path", Code::InvalidArgument),
        (head("/fewer", public, 4), "size_mismatch", Code::InvalidArgument),
        (head("/more", public, 6), "size_mismatch", Code::InvalidArgument),
        (
            UploadHead { content_type: "text/x\r\ny".into(), ..head("/type", public, 5) },
            "invalid_content_type",
            Code::InvalidArgument,
        ),
    ];
    for (head, code, grpc) in table {
        let path = head.path.clone();
        let status = served.upload_raw(head, sample(5)).await.expect_err("refused");
        assert_eq!((stable_code(&status), status.code()), (code, grpc), "{path}: {status}");
    }
    assert_eq!(files_under(&blobs), before);
    served.stop().await;
}

#[tokio::test]
async fn the_same_bytes_under_two_paths_are_stored_once() {
    let served = Served::start().await;
    let bytes = sample(2 * SLICE_SIZE);
    let blobs = config(served.folder.path()).data.join("blobs");
    let first = served.upload("/a", &bytes).await.expect("uploads");
    let files = files_under(&blobs);
    let second = served.upload("/b", &bytes).await.expect("uploads");
    assert_eq!((hash_of(&second), files_under(&blobs)), (hash_of(&first), files));
    assert_ne!(second.version_sid, first.version_sid);
    served.stop().await;
}

#[tokio::test]
async fn what_is_live_outlives_a_restart() {
    let served = Served::start().await;
    let bytes = sample(SLICE_SIZE + 9);
    let commit = served.put("/a", &bytes).await;
    let edge = served.enrol().await;
    let served = served.restart(async |_| {}).await;
    assert_eq!(listed(&served).await, ["/a"]);
    assert_eq!(served.fill(&edge, BlobId::of(&bytes)).await.expect("fills"), bytes);
    let next = served.put("/b", &sample(1)).await;
    assert_eq!((next.epoch, next.revision), (commit.epoch, commit.revision + 1));
    served.stop().await;
}
