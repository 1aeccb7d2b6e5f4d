//! Whom the origin trusts, and for how long: certificates that end, edges that are expelled, tokens that two machines show at once.

use super::*;
use skerry_proto::authority::not_after;
use skerry_proto::renewal;
use skerry_proto::wire::{
    ExpelEdgeRequest, ExpelEdgeResponse, Figures, ListEdgesRequest, RenewRequest, RenewResponse,
    WaitLiveRequest,
};
use std::time::SystemTime;
use tonic::Code;
use watch_request::Kind as Say;

async fn expel(served: &Served, account: &NewAccount, edge: &str) -> Result<ExpelEdgeResponse, Status> {
    let request = as_account(account, ExpelEdgeRequest { edge: edge.to_owned() });
    Ok(served.operator().await.expel_edge(request).await?.into_inner())
}

async fn listed(served: &Served, expelled: bool) -> Vec<wire::Edge> {
    let request = as_account(&served.account, ListEdgesRequest { expelled });
    served.operator().await.list_edges(request).await.expect("lists").into_inner().edges
}

/// Asks for a new certificate with a proof in the request, over a connection that shows none.
async fn renew_by_proof(served: &Served, certificate: &[u8], key: &[u8]) -> Result<RenewResponse, Status> {
    let (request, _) = certificate_request().expect("randomness");
    let request = RenewRequest {
        proof: renewal::prove(key, &request).expect("signs"),
        certificate_request: request.into(),
        certificate: Bytes::copy_from_slice(certificate),
    };
    Ok(EnrolClient::new(served.channel(None).await).renew(request).await?.into_inner())
}

#[tokio::test]
async fn an_expelled_edge_is_cut_off_and_refused_at_once() {
    let served = Served::start().await;
    let edge = served.enrol().await;
    let bytes = sample(10);
    let commit = served.put("/a", &bytes).await;
    let mut watching =
        served.watch(&edge, served.hello(commit.epoch, commit.revision)).await.expect("watches");
    watching.renew_lease(1).await;
    served.fill(&edge, BlobId::of(&bytes)).await.expect("while it is in");
    let stranger = expel(&served, &served.other, &edge.id).await.expect_err("no operator");
    assert_eq!(stable_code(&stranger), "not_operator");
    // A connection that is up already, too.
    let mut client = EnrolClient::new(served.channel(Some(&edge)).await);

    let expelled = expel(&served, &served.account, "edge-1").await.expect("by its name");
    assert_eq!((expelled.edge_id.as_str(), expelled.was_expelled), (edge.id.as_str(), false));
    assert!((1..=10_100).contains(&expelled.lease_milliseconds), "{expelled:?}");
    let status = watching.answers.message().await.expect_err("cut");
    assert_eq!((status.code(), stable_code(&status)), (Code::PermissionDenied, "expelled"));
    let status = served.fill(&edge, BlobId::of(&bytes)).await.expect_err("refused");
    assert_eq!((status.code(), stable_code(&status)), (Code::PermissionDenied, "expelled"));
    let status = served.watch(&edge, served.hello(0, 0)).await.err().expect("refused");
    assert_eq!(stable_code(&status), "expelled");
    let request = RenewRequest {
        certificate_request: certificate_request().expect("request").0.into(),
        ..RenewRequest::default()
    };
    assert_eq!(stable_code(&client.renew(request).await.expect_err("refused")), "expelled");
    let status = renew_by_proof(&served, &edge.certificate, &edge.key).await.expect_err("refused");
    assert_eq!(stable_code(&status), "expelled");

    let again = expel(&served, &served.account, &edge.id).await.expect("once more");
    assert!(again.was_expelled);
    assert!(listed(&served, false).await.is_empty());
    assert!(listed(&served, true).await.iter().all(|edge| edge.expelled));
    let served = served.restart(async |_| {}).await;
    let status = served.fill(&edge, BlobId::of(&bytes)).await.expect_err("refused for ever");
    assert_eq!(stable_code(&status), "expelled");
    served.stop().await;
}

/// More of it is left than fits on the way to an edge that reads slowly.
#[tokio::test]
async fn a_fill_that_is_under_way_ends_with_the_expulsion() {
    let served = Served::start().await;
    let edge = served.enrol().await;
    let bytes = sample(14 * SLICE_SIZE);
    served.put("/a", &bytes).await;
    let blob = BlobId::of(&bytes);
    let request = FillRequest {
        account_sid: served.account.account_sid.clone(),
        hash: Bytes::copy_from_slice(blob.hash.as_bytes()),
        slice_count: blob.slice_count(),
        ..FillRequest::default()
    };
    // RFC 9113 §6.9.2: the window that a connection begins with.
    let slow = served.endpoint(Some(&edge)).initial_stream_window_size(65_535);
    let mut client = FillClient::new(slow.connect().await.expect("connects"));
    let mut answer = client.fill(request).await.expect("while it is in").into_inner();
    answer.message().await.expect("no error").expect("the head");
    expel(&served, &served.account, &edge.id).await.expect("expels");
    let mut slices = 0;
    let status = loop {
        match answer.message().await {
            Ok(Some(_)) => slices += 1,
            Ok(None) => panic!("all {slices} slices came"),
            Err(status) => break status,
        }
    };
    assert_eq!(stable_code(&status), "expelled");
    assert!(slices < blob.slice_count(), "{slices}");
    served.stop().await;
}

#[tokio::test]
async fn whom_to_expel_is_said_without_doubt_or_nobody_is() {
    let served = Served::start().await;
    let (one, two) = (served.enrol().await, served.enrol_with(&served.join[1]).await.expect("enrols"));
    for unknown in ["edge-7", "", "ED00"] {
        let status = expel(&served, &served.account, unknown).await.expect_err("unknown");
        assert_eq!((status.code(), stable_code(&status)), (Code::NotFound, "not_found"), "{unknown:?}");
    }
    let status = expel(&served, &served.account, "edge-1").await.expect_err("both are called that");
    assert_eq!(stable_code(&status), "ambiguous");
    assert!(status.message().contains(&one.id) && status.message().contains(&two.id), "{status:?}");
    assert_eq!(listed(&served, false).await.len(), 2);
    expel(&served, &served.account, &one.id).await.expect("by its id");
    expel(&served, &served.account, "edge-1").await.expect("the only one of that name that is in");
    assert!(listed(&served, false).await.is_empty());
    served.stop().await;
}

#[tokio::test]
async fn receipts_wait_for_an_expelled_edge_until_its_lease_is_over() {
    let lease = Duration::from_millis(400);
    let served = Served::start_with(EdgeRules { lease, ..EdgeRules::default() }).await;
    let edge = served.enrol().await;
    let mut watching = served.watch(&edge, served.hello(0, 0)).await.expect("watches");
    watching.renew_lease(1).await;
    let commit = served.put("/a", &sample(1)).await;
    watching.renew_lease(2).await;
    expel(&served, &served.account, &edge.id).await.expect("expels");
    let wait = async |milliseconds: u32| {
        let request =
            WaitLiveRequest { epoch: commit.epoch, revision: commit.revision, timeout_seconds: milliseconds };
        let mut client = served.publish().await;
        let waiting = client.wait_live(as_account(&served.account, request)).await;
        waiting.expect("waits").into_inner().message().await.expect("no error")
    };
    let begun = std::time::Instant::now();
    // Public files are served on past a lease here: an edge that was not expelled would be waited for in vain.
    assert_eq!(wait(30).await, None, "nobody is left to wait for");
    assert!(begun.elapsed() >= lease / 2, "it may have served older until then");
    served.stop().await;
}

#[tokio::test]
async fn the_machine_of_an_expelled_edge_comes_back_as_another_edge() {
    let served = Served::start().await;
    let old = served.enrol().await;
    expel(&served, &served.account, &old.id).await.expect("expels");
    let new = served.enrol_with(&served.join[1]).await.expect("with a new token");
    assert_ne!(old.id, new.id);
    served.watch(&new, served.hello(0, 0)).await.expect("watches").snapshot().await;
    let status = served.watch(&old, served.hello(0, 0)).await.err().expect("the old one stays out");
    assert_eq!(stable_code(&status), "expelled");
    served.stop().await;
}

#[tokio::test]
async fn of_two_machines_that_show_one_token_at_once_one_becomes_an_edge() {
    let served = Served::start().await;
    for _ in 0..4 {
        let request = as_account(&served.account, wire::CreateJoinTokenRequest::default());
        let made = served.operator().await.create_join_token(request).await.expect("makes").into_inner();
        let token: skerry_proto::join::JoinToken = made.token.parse().expect("a token");
        let before = listed(&served, true).await.len();
        let (one, two) = tokio::join!(served.enrol_with(&token.secret), served.enrol_with(&token.secret));
        let refused = match (one, two) {
            (Ok(_), Err(refused)) | (Err(refused), Ok(_)) => refused,
            other => panic!("one of two: {:?}", (other.0.is_ok(), other.1.is_ok())),
        };
        assert_eq!(stable_code(&refused), "join_token_used");
        assert_eq!(listed(&served, true).await.len(), before + 1);
    }
    served.stop().await;
}

#[tokio::test]
async fn a_join_token_that_has_expired_makes_no_edge() {
    let served = Served::start().await;
    let request = wire::CreateJoinTokenRequest { valid_seconds: 1 };
    let made = served.operator().await.create_join_token(as_account(&served.account, request)).await;
    let made = made.expect("makes").into_inner();
    let token: skerry_proto::join::JoinToken = made.token.parse().expect("a token");
    let left = Duration::from_secs(made.expires_at as u64)
        .saturating_sub(SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("after 1970"));
    tokio::time::sleep(left).await;
    let refused = served.enrol_with(&token.secret).await.err().expect("refused");
    assert_eq!(stable_code(&refused), "join_token_expired");
    served.stop().await;
}

/// The certificate lasts two seconds: what is up with it ends with it, and its key alone gets a new one.
#[tokio::test]
async fn an_expired_certificate_opens_nothing_and_is_renewed_by_proof_of_its_key() {
    let rules = EdgeRules { certificate_life: Duration::from_secs(2), ..EdgeRules::default() };
    let served = Served::start_with(rules).await;
    let edge = served.enrol().await;
    let bytes = sample(10);
    served.put("/a", &bytes).await;
    let mut watching = served.watch(&edge, served.hello(0, 0)).await.expect("watches");
    watching.snapshot().await;
    let mut client = EnrolClient::new(served.channel(Some(&edge)).await);
    let status = watching.answers.message().await.expect_err("ends with the certificate");
    assert_eq!(stable_code(&status), "certificate_expired");
    assert!(not_after(&edge.certificate).expect("an end") <= SystemTime::now());
    let request = RenewRequest {
        certificate_request: certificate_request().expect("request").0.into(),
        ..RenewRequest::default()
    };
    let status = client.renew(request).await.expect_err("over a connection from before its end");
    assert_eq!((status.code(), stable_code(&status)), (Code::Unauthenticated, "certificate_expired"));

    let (_, stranger) = certificate_request().expect("randomness");
    let forged = renew_by_proof(&served, &edge.certificate, stranger.secret_pkcs8_der()).await;
    assert_eq!(stable_code(&forged.expect_err("refused")), "proof_refused");
    let renewed = renew_by_proof(&served, &edge.certificate, &edge.key).await.expect("renews");
    assert_eq!(skerry_proto::authority::edge_id(&renewed.certificate), Some(edge.id.clone()));
    assert!(not_after(&renewed.certificate).expect("an end") > SystemTime::now());
    served.stop().await;
}

#[tokio::test]
async fn a_certificate_that_expired_too_long_ago_is_renewed_no_more() {
    let rules = EdgeRules {
        certificate_life: Duration::from_secs(1),
        renewal_time_max: Duration::ZERO,
        ..EdgeRules::default()
    };
    let served = Served::start_with(rules).await;
    let edge = served.enrol().await;
    let end = not_after(&edge.certificate).expect("an end");
    let left = end.duration_since(SystemTime::now()).unwrap_or_default() + Duration::from_millis(5);
    tokio::time::sleep(left).await;
    let status = renew_by_proof(&served, &edge.certificate, &edge.key).await.expect_err("refused");
    assert_eq!((status.code(), stable_code(&status)), (Code::PermissionDenied, "certificate_too_old"));
    served.stop().await;
}

#[tokio::test]
async fn figures_of_an_edge_are_shown_and_those_that_cannot_be_true_are_not() {
    let served = Served::start().await;
    let edge = served.enrol().await;
    let mut watching = served.watch(&edge, served.hello(0, 0)).await.expect("watches");
    watching.snapshot().await;
    let good = Figures { requests: 10, hits: 7, misses: 1, memory_bytes: 5, ..Figures::default() };
    for (number, figures) in [good, Figures { requests: 0, ..good }].into_iter().enumerate() {
        watching
            .say(Say::Ping(Ping { number: number as u64 + 1, figures: Some(figures), ..Ping::default() }))
            .await;
    }
    watching.renew_lease(3).await;
    let edges = listed(&served, false).await;
    assert_eq!(edges[0].figures, Some(good));
    assert!(edges[0].certificate_end > edges[0].enrolled_at);
    served.stop().await;
}

/// Its certificates are those of one edge, whatever it says.
#[tokio::test]
async fn an_edge_speaks_for_itself_alone() {
    let served = Served::start().await;
    let (one, two) = (served.enrol().await, served.enrol_with(&served.join[1]).await.expect("enrols"));
    let commit = served.put("/a", &sample(1)).await;
    let mut watching =
        served.watch(&one, served.hello(commit.epoch, commit.revision)).await.expect("watches");
    watching.renew_lease(1).await;
    let edges = listed(&served, false).await;
    let revision = |id: &str| edges.iter().find(|edge| edge.edge_id == id).expect("there").acked_revision;
    assert_eq!((revision(&one.id), revision(&two.id)), (commit.revision, 0));
    let mixed = Enrolled { certificate: two.certificate.clone(), ..one.clone() };
    let status = renew_by_proof(&served, &mixed.certificate, &mixed.key).await.expect_err("another's");
    assert_eq!(stable_code(&status), "proof_refused");
    served.stop().await;
}
