//! What receipts say of edges that show a revision, that cannot show anything older, and of all others.

use super::*;
use skerry_proto::wire::{
    Ack, EdgeState, Goodbye, StaleRule, UpdateEnvironmentRequest, WaitLiveRequest, WaitLiveResponse,
    stale_rule,
};
use std::time::Instant;
use watch_request::Kind as Say;

const LEASE: Duration = Duration::from_millis(400);

/// A cluster of short leases whose first environment refuses `seconds` past them.
async fn strict(seconds: u64) -> Served {
    let served = Served::start_with(EdgeRules { lease: LEASE, ..EdgeRules::default() }).await;
    set_rules(&served, stale_rule::Rule::SecondsMax(seconds)).await;
    served
}

async fn set_rules(served: &Served, rule: stale_rule::Rule) {
    let rule = Some(StaleRule { rule: Some(rule) });
    let request = UpdateEnvironmentRequest {
        public_stale: rule,
        protected_stale: rule,
        ..UpdateEnvironmentRequest::default()
    };
    let mut client = served.publish().await;
    client.update_environment(as_account(&served.account, request)).await.expect("updates");
}

/// All receipts, in the order in which they came.
async fn receipts(served: &Served, commit: &CommitResponse, seconds: u32) -> Vec<WaitLiveResponse> {
    let request =
        WaitLiveRequest { epoch: commit.epoch, revision: commit.revision, timeout_seconds: seconds };
    let mut client = served.publish().await;
    let mut stream =
        client.wait_live(as_account(&served.account, request)).await.expect("waits").into_inner();
    let mut receipts = Vec::new();
    while let Some(receipt) = stream.message().await.expect("no error") {
        receipts.push(receipt);
    }
    receipts
}

async fn states(served: &Served, commit: &CommitResponse, seconds: u32) -> Vec<EdgeState> {
    receipts(served, commit, seconds).await.iter().map(WaitLiveResponse::state).collect()
}

/// Follows everything so far.
async fn follow(served: &Served, edge: &Enrolled) -> Watching {
    let mut watching = served.watch(edge, served.hello(0, 0)).await.expect("watches");
    let snapshot = watching.snapshot().await;
    watching.say(Say::Ack(Ack { epoch: snapshot.epoch, revision: snapshot.revision })).await;
    watching.renew_lease(1).await;
    watching
}

#[tokio::test]
async fn an_edge_that_is_gone_refuses_from_the_end_of_its_lease_on() {
    let served = strict(0).await;
    let edge = served.enrol().await;
    let mut watching = follow(&served, &edge).await;
    watching.renew_lease(2).await;
    let renewed = Instant::now();
    drop(watching);
    let commit = served.put("/a", &sample(1)).await;
    let receipts = receipts(&served, &commit, 30).await;
    assert_eq!(receipts.len(), 1);
    assert_eq!(receipts[0].state(), EdgeState::Refusing);
    assert!(renewed.elapsed() >= LEASE - Duration::from_millis(20), "not before the lease is over");
    assert!(Duration::from_millis(receipts[0].after_milliseconds) <= LEASE + LEASE / 100);
    assert_eq!((receipts[0].live_count, receipts[0].edge_count), (0, 1));
    served.stop().await;
}

#[tokio::test]
async fn an_edge_whose_rule_goes_on_past_the_lease_may_serve_older_until_that_ends() {
    let served = strict(1).await;
    let edge = served.enrol().await;
    drop(follow(&served, &edge).await);
    let begun = Instant::now();
    let commit = served.put("/a", &sample(1)).await;
    assert_eq!(states(&served, &commit, 1).await, [EdgeState::MayServeOlder]);
    assert_eq!(states(&served, &commit, 30).await, [EdgeState::Refusing]);
    assert!(begun.elapsed() >= Duration::from_secs(1));
    served.stop().await;
}

#[tokio::test]
async fn without_an_end_of_the_rule_an_edge_that_is_gone_may_serve_older_for_ever() {
    let served = Served::start_with(EdgeRules { lease: LEASE, ..EdgeRules::default() }).await;
    let edge = served.enrol().await;
    drop(follow(&served, &edge).await);
    let commit = served.put("/a", &sample(1)).await;
    assert_eq!(states(&served, &commit, 1).await, [EdgeState::MayServeOlder]);
    assert_eq!(states(&served, &commit, 1).await, [EdgeState::MayServeOlder], "however long it is gone");
    served.stop().await;
}

/// It goes by the pointer that it holds, not by the one that it was not told of.
#[tokio::test]
async fn a_stricter_rule_counts_only_for_edges_that_know_of_it() {
    let served = strict(0).await;
    set_rules(&served, stale_rule::Rule::Unbounded(true)).await;
    let edge = served.enrol().await;
    let mut watching = follow(&served, &edge).await;
    drop(watching);
    set_rules(&served, stale_rule::Rule::SecondsMax(0)).await;
    let commit = served.put("/a", &sample(1)).await;
    assert_eq!(states(&served, &commit, 1).await, [EdgeState::MayServeOlder]);
    watching = follow(&served, &edge).await;
    drop(watching);
    let commit = served.put("/a", &sample(2)).await;
    assert_eq!(states(&served, &commit, 30).await, [EdgeState::Refusing]);
    served.stop().await;
}

#[tokio::test]
async fn an_edge_that_answers_pings_and_takes_nothing_may_serve_older() {
    let served = strict(0).await;
    let edge = served.enrol().await;
    let mut watching = follow(&served, &edge).await;
    let commit = served.put("/a", &sample(1)).await;
    let waiting = states(&served, &commit, 1);
    let pinging = async {
        for number in 2.. {
            watching.renew_lease(number).await;
            tokio::time::sleep(LEASE / 4).await;
        }
    };
    tokio::select! {
        states = waiting => assert_eq!(states, [EdgeState::MayServeOlder]),
        () = pinging => {}
    }
    served.stop().await;
}

/// Nobody knows whether the origin that ended answered a ping a moment before.
#[tokio::test]
async fn after_a_restart_every_lease_counts_as_just_renewed() {
    let served = strict(0).await;
    let edge = served.enrol().await;
    drop(follow(&served, &edge).await);
    let commit = served.put("/a", &sample(1)).await;
    assert_eq!(states(&served, &commit, 30).await, [EdgeState::Refusing]);
    let served = served.restart(async |_| {}).await;
    let restarted = Instant::now();
    assert_eq!(states(&served, &commit, 30).await, [EdgeState::Refusing]);
    // Half of it: what came before this line belongs to the lease, too.
    assert!(restarted.elapsed() >= LEASE / 2, "not before a lease has passed since the start");
    served.stop().await;
}

#[tokio::test]
async fn an_edge_that_was_never_there_is_waited_for_and_one_that_said_goodbye_is_not() {
    let served = Served::start_with(EdgeRules { lease: LEASE, ..EdgeRules::default() }).await;
    let (never, leaves) = (served.enrol().await, served.enrol_with(&served.join[1]).await.expect("enrols"));
    let commit = served.put("/a", &sample(1)).await;
    assert_eq!(states(&served, &commit, 1).await, [EdgeState::MayServeOlder; 2]);
    let mut watching = follow(&served, &leaves).await;
    watching.say(Say::Goodbye(Goodbye {})).await;
    while let Ok(Some(_)) = watching.answers.message().await {}
    let left = receipts(&served, &commit, 1).await;
    assert_eq!(left.len(), 1);
    assert_eq!((left[0].edge_id.as_str(), left[0].state()), (never.id.as_str(), EdgeState::MayServeOlder));
    served.stop().await;
}

#[tokio::test]
async fn an_edge_that_takes_its_lease_to_be_longer_than_the_origin_does_is_refused() {
    let served = strict(0).await;
    let edge = served.enrol().await;
    let hello = wire::Hello { lease_milliseconds: 401, ..served.hello(0, 0) };
    let mut watching = served.watch(&edge, hello).await.expect("is listened to");
    let status = watching.answers.message().await.expect_err("refused");
    assert_eq!(stable_code(&status), "lease_too_long");
    assert!(status.message().contains("lease_seconds"), "{}", status.message());
    let hello = wire::Hello { lease_milliseconds: 400, ..served.hello(0, 0) };
    served.watch(&edge, hello).await.expect("watches").snapshot().await;
    served.stop().await;
}
