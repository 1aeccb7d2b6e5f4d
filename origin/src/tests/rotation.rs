//! The signing key is rotated: what edges are told of it, in which order, and what counts then.

use super::*;
use skerry_proto::key_chain::KeyChain;
use skerry_proto::wire::{RotateKeysRequest, RotateKeysResponse};

async fn rotate(served: &Served, account: &NewAccount) -> Result<RotateKeysResponse, Status> {
    let request = as_account(account, RotateKeysRequest {});
    Ok(served.operator().await.rotate_keys(request).await?.into_inner())
}

/// An edge that verifies what it is told: a pointer counts only if the newest set that came before it signed it.
struct Verifying {
    watching: Watching,
    chain: KeyChain,
    /// Revisions, in the order in which they came.
    revisions: Vec<u64>,
}

impl Verifying {
    async fn begin(served: &Served, edge: &Enrolled, hello: wire::Hello) -> Self {
        let watching = served.watch(edge, hello).await.expect("watches");
        Self { watching, chain: KeyChain::new(served.keys.clone()), revisions: Vec::new() }
    }

    /// Goes on until everything up to `revision` was told.
    async fn until(&mut self, revision: u64) {
        while self.revisions.last().is_none_or(|last| *last < revision) {
            match self.watching.next().await {
                watch_response::Kind::KeySet(signed) => {
                    assert_eq!(self.chain.extend(&signed), Ok(true), "the next link");
                }
                watch_response::Kind::Change(change) => {
                    let signed = change.pointer.expect("there");
                    let pointer = Pointer::open(&signed, self.chain.current()).expect("by the newest set");
                    assert_eq!(pointer.version.revision, change.revision);
                    self.revisions.push(change.revision);
                }
                watch_response::Kind::Snapshot(part) => {
                    for signed in &part.pointers {
                        Pointer::open(signed, self.chain.current()).expect("by the newest set");
                    }
                    self.revisions.push(part.revision);
                }
                other => panic!("a change was expected, not {other:?}"),
            }
        }
    }
}

#[tokio::test]
async fn after_a_rotation_every_pointer_is_signed_by_the_new_key_and_the_old_one_is_gone() {
    let served = Served::start().await;
    let edge = served.enrol().await;
    let before = served.put("/a", &sample(1)).await;
    let mut live = Verifying::begin(&served, &edge, served.hello(before.epoch, before.revision)).await;
    let stranger = rotate(&served, &served.other).await.expect_err("no operator");
    assert_eq!(stable_code(&stranger), "not_operator");
    let rotated = rotate(&served, &served.account).await.expect("rotates");
    assert_eq!((rotated.number, rotated.epoch), (2, before.epoch));
    // The domains of both accounts.
    assert_eq!(rotated.revision, before.revision + 2);
    live.until(rotated.revision).await;
    assert_eq!(live.chain.current().keys[0][..], rotated.public_key[..]);
    let after = served.put("/b", &sample(2)).await;
    live.until(after.revision).await;
    let expected: Vec<u64> = (before.revision + 1..=after.revision).collect();
    assert_eq!(live.revisions, expected);
    let files = std::fs::read_dir(config(served.folder.path()).data.join("keys")).expect("there");
    let names: Vec<_> =
        files.map(|file| file.expect("entry").file_name().into_string().expect("UTF-8")).collect();
    assert!(
        names.contains(&"signing-key-2.pem".into()) && !names.contains(&"signing-key.pem".into()),
        "{names:?}"
    );
    let served = served.restart(async |_| {}).await;
    let mut again = Verifying::begin(&served, &edge, served.hello(0, 0)).await;
    again.until(after.revision).await;
    assert_eq!(again.chain.current(), live.chain.current());
    let third = served.put("/c", &sample(3)).await;
    again.until(third.revision).await;
    served.stop().await;
}

#[tokio::test]
async fn an_edge_that_was_away_for_several_rotations_is_told_each_set_where_it_counts() {
    let served = Served::start().await;
    let edge = served.enrol().await;
    let first = served.put("/a", &sample(1)).await;
    let mut last = 0;
    for round in 0..3 {
        served.put("/b", &sample(2 + round)).await;
        last = rotate(&served, &served.account).await.expect("rotates").revision;
    }
    let mut away = Verifying::begin(&served, &edge, served.hello(first.epoch, first.revision)).await;
    away.until(last).await;
    let expected: Vec<u64> = (first.revision + 1..=last).collect();
    assert_eq!(away.revisions, expected, "every change, in order, once");
    assert_eq!(away.chain.current().number, 4);
    // A snapshot is by the newest keys alone.
    let mut anew = Verifying::begin(&served, &edge, served.hello(0, 0)).await;
    anew.until(last).await;
    assert_eq!(anew.chain.current(), away.chain.current());
    served.stop().await;
}

/// As after a crash in the middle: its keys are newer than what it shows, and would refuse what is between.
#[tokio::test]
async fn an_edge_whose_keys_are_ahead_of_what_it_shows_gets_a_snapshot() {
    let served = Served::start().await;
    let edge = served.enrol().await;
    let first = served.put("/a", &sample(1)).await;
    served.put("/a", &sample(2)).await;
    rotate(&served, &served.account).await.expect("rotates");
    let hello = wire::Hello { key_set: 2, ..served.hello(first.epoch, first.revision) };
    let mut watching = served.watch(&edge, hello).await.expect("watches");
    watching.snapshot().await;
    served.stop().await;
}

#[tokio::test]
async fn an_edge_that_joins_with_a_token_from_before_a_rotation_is_told_the_rest() {
    let served = Served::start().await;
    let last = rotate(&served, &served.account).await.expect("rotates").revision;
    let edge = served.enrol().await;
    let mut joined = Verifying::begin(&served, &edge, served.hello(0, 0)).await;
    joined.until(last).await;
    assert_eq!(joined.chain.current().number, 2);
    served.stop().await;
}

#[tokio::test]
async fn rotations_and_publications_at_once_leave_no_pointer_that_the_key_of_its_time_did_not_sign() {
    let served = Served::start().await;
    let edge = served.enrol().await;
    let first = served.put("/a", &sample(1)).await;
    let rotations = async {
        for _ in 0..4 {
            rotate(&served, &served.account).await.expect("rotates");
        }
    };
    let others = async {
        for _ in 0..2 {
            rotate(&served, &served.account).await.expect("one after the other");
        }
    };
    let publications = async {
        for round in 0..12 {
            served.put("/b", &sample(2 + round)).await;
        }
    };
    tokio::join!(rotations, others, publications);
    let last = served.put("/c", &sample(1)).await.revision;
    let mut away = Verifying::begin(&served, &edge, served.hello(first.epoch, first.revision)).await;
    away.until(last).await;
    assert_eq!(away.chain.current().number, 7);
    served.stop().await;
}
