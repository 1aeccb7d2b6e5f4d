//! What edges may call, and what they are told.

use super::*;
use skerry_proto::authority::edge_id;
use skerry_proto::manifest;
use skerry_proto::paging::Root;
use skerry_proto::wire::{
    Ack, CreateJoinTokenRequest, EdgeState, Goodbye, ListEdgesRequest, Ping, RenewRequest, WaitLiveRequest,
    WaitLiveResponse,
};
use tonic::Code;
use watch_request::Kind as Say;

async fn wait_live(served: &Served, commit: &CommitResponse, seconds: u32) -> Streaming<WaitLiveResponse> {
    let request =
        WaitLiveRequest { epoch: commit.epoch, revision: commit.revision, timeout_seconds: seconds };
    let request = as_account(&served.account, request);
    served.publish().await.wait_live(request).await.expect("waits").into_inner()
}

#[tokio::test]
async fn a_file_goes_from_the_upload_to_the_edge_verified() {
    let served = Served::start().await;
    let edge = served.enrol().await;
    let mut watching = served.watch(&edge, served.hello(0, 0)).await.expect("watches");
    let snapshot = watching.snapshot().await;
    assert!(snapshot.last);
    assert_eq!(snapshot.pointers.len(), 2, "the domains of both accounts are known at once");
    assert!(snapshot.pointers.iter().all(|signed| served.pointer(Some(signed)).manifest.is_none()));

    let bytes = sample(3 * SLICE_SIZE + 5);
    let commit = served.put("/hello.mp3", &bytes).await;
    let change = watching.change().await;
    assert_eq!(change.revision, commit.revision);
    let pointer = served.pointer(change.pointer.as_ref());
    assert_eq!(
        (pointer.domain.as_str(), pointer.version.revision),
        (&*served.account.domain, commit.revision)
    );

    let manifest = served.fill(&edge, pointer.manifest.expect("a manifest")).await.expect("fills");
    let Root::Single(entries) = manifest::read_root(&manifest).expect("reads").entries else {
        panic!("one page")
    };
    let entry = entries.first().expect("one entry");
    assert_eq!((entry.path.as_str(), entry.content_type.as_str()), ("/hello.mp3", "audio/mpeg"));
    let blob = entry.representations.first().expect("identity").blob;
    assert_eq!(served.fill(&edge, blob).await.expect("fills"), bytes);
    served.stop().await;
}

#[tokio::test]
async fn an_edge_that_was_away_gets_what_it_missed_in_order() {
    let served = Served::start().await;
    let edge = served.enrol().await;
    let first = served.put("/a", &sample(1)).await;
    let second = served.put("/b", &sample(2)).await;
    let third = served.put("/a", &sample(3)).await;
    let hello = served.hello(first.epoch, first.revision);
    let mut watching = served.watch(&edge, hello).await.expect("watches");
    assert_eq!(watching.change().await.revision, second.revision);
    assert_eq!(watching.change().await.revision, third.revision);
    let fourth = served.put("/c", &sample(4)).await;
    assert_eq!(watching.change().await.revision, fourth.revision);
    let history = served.pointer(Some(&newest(&served, &edge).await)).history;
    assert!(history.is_some(), "the bytes that /a had first stay reachable by their hash");
    served.stop().await;
}

async fn newest(served: &Served, edge: &Enrolled) -> wire::SignedPointer {
    let mut watching = served.watch(edge, served.hello(0, 0)).await.expect("watches");
    let snapshot = watching.snapshot().await;
    let of_account =
        |signed: &wire::SignedPointer| served.pointer(Some(signed)).domain == served.account.domain;
    snapshot.pointers.into_iter().find(of_account).expect("there")
}

#[tokio::test]
async fn an_edge_of_another_cluster_epoch_or_of_the_future_gets_a_snapshot() {
    let served = Served::start().await;
    let edge = served.enrol().await;
    let commit = served.put("/a", &sample(1)).await;
    let mut foreign = served.hello(commit.epoch, commit.revision);
    foreign.cluster_id = Bytes::from_static(&[9; 16]);
    for hello in [
        foreign,
        served.hello(commit.epoch + 1, commit.revision),
        served.hello(commit.epoch, commit.revision + 1),
    ] {
        let mut watching = served.watch(&edge, hello).await.expect("watches");
        assert_eq!(watching.snapshot().await.revision, commit.revision);
    }
    served.stop().await;
}

#[tokio::test]
async fn a_heartbeat_echoes_the_ping_after_everything_that_was_committed_before_it() {
    let served = Served::start().await;
    let edge = served.enrol().await;
    let mut watching = served.watch(&edge, served.hello(0, 0)).await.expect("watches");
    watching.snapshot().await;
    let commit = served.put("/a", &sample(1)).await;
    watching.say(Say::Ping(Ping { number: 7, ..Default::default() })).await;
    assert_eq!(watching.change().await.revision, commit.revision);
    match watching.next().await {
        watch_response::Kind::Heartbeat(beat) => {
            assert_eq!((beat.ping, beat.epoch, beat.revision), (7, commit.epoch, commit.revision));
        }
        other => panic!("a heartbeat was expected, not {other:?}"),
    }
    served.stop().await;
}

#[tokio::test]
async fn waiting_ends_when_every_edge_shows_the_revision() {
    let served = Served::start().await;
    let edge = served.enrol().await;
    let mut watching = served.watch(&edge, served.hello(0, 0)).await.expect("watches");
    watching.snapshot().await;
    let commit = served.put("/a", &sample(1)).await;
    let mut waiting = wait_live(&served, &commit, 60).await;
    watching.change().await;
    watching.say(Say::Ack(Ack { epoch: commit.epoch, revision: commit.revision })).await;
    let live = waiting.message().await.expect("no error").expect("one edge");
    assert_eq!((live.edge_id.as_str(), live.name.as_str()), (edge.id.as_str(), "edge-1"));
    assert_eq!((live.state(), live.live_count, live.edge_count), (EdgeState::Live, 1, 1));
    assert!(waiting.message().await.expect("no error").is_none());
    let listed =
        served.operator().await.list_edges(as_account(&served.account, ListEdgesRequest::default())).await;
    let listed = listed.expect("lists").into_inner();
    assert_eq!(listed.edges.len(), 1);
    assert!(listed.edges[0].connected);
    assert_eq!(listed.edges[0].acked_revision, commit.revision);
    served.stop().await;
}

#[tokio::test]
async fn an_edge_that_does_not_answer_may_serve_older_and_one_that_left_is_not_waited_for() {
    let served = Served::start().await;
    let edge = served.enrol().await;
    let mut watching = served.watch(&edge, served.hello(0, 0)).await.expect("watches");
    watching.snapshot().await;
    let commit = served.put("/a", &sample(1)).await;
    let mut waiting = wait_live(&served, &commit, 1).await;
    let late = waiting.message().await.expect("no error").expect("one edge");
    assert_eq!((late.state(), late.live_count, late.edge_count), (EdgeState::MayServeOlder, 0, 1));
    watching.change().await;
    watching.say(Say::Goodbye(Goodbye {})).await;
    assert!(watching.answers.message().await.expect("a clean end").is_none());
    let mut waiting = wait_live(&served, &commit, 60).await;
    assert!(waiting.message().await.expect("no error").is_none());
    // It is remembered over a restart.
    let served = served.restart(async |_| {}).await;
    assert!(wait_live(&served, &commit, 60).await.message().await.expect("no error").is_none());
    served.stop().await;
}

#[tokio::test]
async fn an_acknowledgement_of_what_was_not_sent_ends_the_stream() {
    let served = Served::start().await;
    let edge = served.enrol().await;
    let mut watching = served.watch(&edge, served.hello(0, 0)).await.expect("watches");
    watching.snapshot().await;
    watching.say(Say::Ack(Ack { epoch: 1, revision: 99 })).await;
    let status = watching.answers.message().await.expect_err("refused");
    assert_eq!(stable_code(&status), "ack_ahead");
    served.stop().await;
}

#[tokio::test]
async fn a_second_stream_of_an_edge_takes_the_place_of_the_first() {
    let served = Served::start().await;
    let edge = served.enrol().await;
    let mut first = served.watch(&edge, served.hello(0, 0)).await.expect("watches");
    first.snapshot().await;
    let mut second = served.watch(&edge, served.hello(0, 0)).await.expect("watches");
    second.snapshot().await;
    let status = first.answers.message().await.expect_err("replaced");
    assert_eq!(stable_code(&status), "replaced");
    let commit = served.put("/a", &sample(1)).await;
    assert_eq!(second.change().await.revision, commit.revision);
    served.stop().await;
}

#[tokio::test]
async fn watch_fill_and_renew_need_the_certificate_of_an_edge() {
    let served = Served::start().await;
    let mut fill = FillClient::new(served.channel(None).await);
    let status = fill.fill(FillRequest::default()).await.expect_err("refused");
    assert_eq!((status.code(), stable_code(&status)), (Code::Unauthenticated, "no_certificate"));
    let mut watch = WatchClient::new(served.channel(None).await);
    let status = watch.watch(tokio_stream::pending()).await.expect_err("refused");
    assert_eq!(stable_code(&status), "no_certificate");
    let mut enrol = EnrolClient::new(served.channel(None).await);
    let request = RenewRequest {
        certificate_request: certificate_request().expect("request").0.into(),
        ..RenewRequest::default()
    };
    assert_eq!(stable_code(&enrol.renew(request).await.expect_err("refused")), "no_certificate");
    served.stop().await;
}

#[tokio::test]
async fn a_certificate_is_renewed_for_the_same_edge() {
    let served = Served::start().await;
    let edge = served.enrol().await;
    let mut client = EnrolClient::new(served.channel(Some(&edge)).await);
    let request = RenewRequest {
        certificate_request: certificate_request().expect("request").0.into(),
        ..RenewRequest::default()
    };
    let renewed = client.renew(request).await.expect("renews").into_inner();
    assert_eq!(edge_id(&renewed.certificate), Some(edge.id.clone()));
    let status = client
        .renew(RenewRequest { certificate_request: Bytes::from_static(b"no"), ..RenewRequest::default() })
        .await;
    assert_eq!(status.expect_err("refused").code(), Code::InvalidArgument);
    served.stop().await;
}

#[tokio::test]
async fn a_join_token_works_once() {
    let served = Served::start().await;
    let first = served.enrol().await;
    let status = served.enrol_with(&served.join[0]).await.err().expect("used");
    assert_eq!((status.code(), stable_code(&status)), (Code::PermissionDenied, "join_token_used"));
    let second = served.enrol_with(&served.join[1]).await.expect("another token");
    assert_ne!(first.id, second.id);
    let status = served.enrol_with(&[0; 32]).await.err().expect("unknown");
    assert_eq!(stable_code(&status), "join_token_unknown");
    served.stop().await;
}

#[tokio::test]
async fn a_request_that_cannot_be_signed_leaves_the_join_token_usable() {
    let served = Served::start().await;
    let mut client = EnrolClient::new(served.channel(None).await);
    let request = EnrolRequest {
        token_secret: Bytes::copy_from_slice(&served.join[0]),
        certificate_request: Bytes::from_static(b"nothing"),
        name: String::new(),
    };
    assert_eq!(client.enrol(request).await.expect_err("refused").code(), Code::InvalidArgument);
    served.enrol().await;
    served.stop().await;
}

#[tokio::test]
async fn a_fill_names_only_what_a_manifest_of_the_account_names() {
    let served = Served::start().await;
    let edge = served.enrol().await;
    let (public, private) = (sample(10), sample(20));
    served.put("/public", &public).await;
    let version = served.upload_as("/private", &private, Visibility::Private).await.expect("uploads");
    served.commit(&[&version.version_sid], &[]).await.expect("commits");
    let loose = served.upload("/loose", &sample(30)).await.expect("uploads, and does not commit");

    served.fill(&edge, BlobId::of(&public)).await.expect("public");
    let private = served.fill(&edge, BlobId::of(&private)).await.expect_err("private");
    assert_eq!(private.code(), Code::NotFound);
    let loose = BlobId { hash: hash_of(&loose), size: 30 };
    assert_eq!(served.fill(&edge, loose).await.expect_err("in no build").code(), Code::NotFound);

    let mut client = FillClient::new(served.channel(Some(&edge)).await);
    let mut request = FillRequest {
        account_sid: served.other.account_sid.clone(),
        hash: Bytes::copy_from_slice(BlobId::of(&public).hash.as_bytes()),
        ..FillRequest::default()
    };
    let status = client.fill(request.clone()).await.expect_err("of another account");
    assert_eq!(status.code(), Code::NotFound);
    request.account_sid.clone_from(&served.account.account_sid);
    let wrong = [
        FillRequest { hops: 4, ..request.clone() },
        FillRequest { first_slice: 1, slice_count: 1, ..request.clone() },
        FillRequest { hash: Bytes::from_static(b"short"), ..request },
    ];
    for request in wrong {
        assert_eq!(client.fill(request).await.expect_err("refused").code(), Code::InvalidArgument);
    }
    served.stop().await;
}

#[tokio::test]
async fn only_the_operator_sees_edges_and_makes_join_tokens() {
    let served = Served::start().await;
    let mut operator = served.operator().await;
    let made =
        operator.create_join_token(as_account(&served.account, CreateJoinTokenRequest::default())).await;
    let token: skerry_proto::join::JoinToken =
        made.expect("makes").into_inner().token.parse().expect("a token");
    served.enrol_with(&token.secret).await.expect("enrols");
    let status = operator
        .create_join_token(as_account(&served.other, CreateJoinTokenRequest::default()))
        .await
        .expect_err("refused");
    assert_eq!((status.code(), stable_code(&status)), (Code::PermissionDenied, "not_operator"));
    served.stop().await;
}

#[tokio::test]
async fn an_edge_that_comes_back_with_the_revision_counts_as_showing_it() {
    let served = Served::start().await;
    let edge = served.enrol().await;
    let commit = served.put("/a", &sample(1)).await;
    let hello = served.hello(commit.epoch, commit.revision);
    let mut watching = served.watch(&edge, hello).await.expect("watches");
    // A heartbeat says that the hello was taken.
    watching.say(Say::Ping(Ping { number: 1, ..Default::default() })).await;
    assert!(matches!(watching.next().await, watch_response::Kind::Heartbeat(_)));
    let mut waiting = wait_live(&served, &commit, 60).await;
    assert_eq!(waiting.message().await.expect("no error").expect("one edge").state(), EdgeState::Live);
    drop(watching);
    // One that lost its disk does not.
    let mut watching = served.watch(&edge, served.hello(0, 0)).await.expect("watches");
    watching.snapshot().await;
    let mut waiting = wait_live(&served, &commit, 1).await;
    assert_eq!(
        waiting.message().await.expect("no error").expect("one edge").state(),
        EdgeState::MayServeOlder
    );
    served.stop().await;
}
