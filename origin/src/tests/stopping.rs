//! How an origin stops, and what it refuses to start on.

use super::*;
use skerry_folder::FolderError;

#[tokio::test]
async fn a_second_origin_on_the_folder_is_told_so_and_the_first_goes_on() {
    let served = Served::start().await;
    let error = Origin::open(config(served.folder.path())).await.expect_err("locked");
    assert!(matches!(error, OriginError::Folder(FolderError::Locked(_))));
    served.put("/a", &sample(1)).await;
    served.stop().await;
}

#[tokio::test]
async fn keys_that_are_gone_are_not_made_anew() {
    let served = Served::start().await;
    served.stop.cancel();
    served.serving.await.expect("joins").expect("stops");
    std::fs::remove_dir_all(config(served.folder.path()).data.join("keys")).expect("removes");
    let error = Origin::open(config(served.folder.path())).await.expect_err("no keys");
    assert!(matches!(error, OriginError::KeysMissing));
}

#[tokio::test]
async fn a_watch_stream_ends_when_the_origin_stops() {
    let served = Served::start().await;
    let edge = served.enrol().await;
    let mut watching = served.watch(&edge, served.hello(0, 0)).await.expect("watches");
    watching.snapshot().await;
    served.stop.cancel();
    assert!(watching.answers.message().await.expect("a clean end").is_none());
    served.stop().await;
}

#[tokio::test]
async fn an_upload_under_way_finishes_when_the_origin_stops() {
    let served = Served::start().await;
    let (tx, rx) = mpsc::channel(4);
    let head = UploadHead {
        target: None,
        path: "/slow".into(),
        visibility: Visibility::Public.into(),
        content_type: String::new(),
        size: 2,
        ..UploadHead::default()
    };
    let send = async |kind| tx.send(UploadRequest { kind: Some(kind) }).await.expect("taken");
    send(upload_request::Kind::Head(head)).await;
    send(upload_request::Kind::Data(Bytes::from_static(b"a"))).await;
    let mut client = served.publish().await;
    let request = as_account(&served.account, ReceiverStream::new(rx));
    let uploading = tokio::spawn(async move { client.upload(request).await });
    // It has begun when its temporary file is there.
    let temporary = config(served.folder.path()).data.join("blobs/tmp");
    while std::fs::read_dir(&temporary).expect("there").count() == 0 {
        tokio::task::yield_now().await;
    }
    served.stop.cancel();
    send(upload_request::Kind::Data(Bytes::from_static(b"b"))).await;
    drop(tx);
    uploading.await.expect("joins").expect("uploads");
    served.stop().await;
}

#[tokio::test]
async fn an_upload_whose_client_goes_away_leaves_nothing_behind() {
    let served = Served::start().await;
    let (tx, rx) = mpsc::channel(4);
    let head = UploadHead {
        target: None,
        path: "/gone".into(),
        visibility: Visibility::Public.into(),
        content_type: String::new(),
        size: 2,
        ..UploadHead::default()
    };
    tx.send(UploadRequest { kind: Some(upload_request::Kind::Head(head)) }).await.expect("taken");
    let mut client = served.publish().await;
    let request = as_account(&served.account, ReceiverStream::new(rx));
    let uploading = tokio::spawn(async move { client.upload(request).await });
    let temporary = config(served.folder.path()).data.join("blobs/tmp");
    let files = || std::fs::read_dir(&temporary).expect("there").count();
    while files() == 0 {
        tokio::task::yield_now().await;
    }
    uploading.abort();
    while files() > 0 {
        tokio::task::yield_now().await;
    }
    drop(tx);
    served.stop().await;
}
