//! The properties of a watch stream that etcd's robustness tests check, under faults: streams that are cut after any message, and an
//! origin that ends in between.
//!
//! One run publishes and follows at once. Each property is a test of its own over what the run recorded.

use super::*;
use std::collections::BTreeSet;

/// What came on one stream.
struct Stream {
    /// The revision that the edge said it shows; 0: nothing.
    from: u64,
    messages: Vec<Seen>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Seen {
    Change {
        revision: u64,
        /// What the signed pointer says.
        pointer: u64,
    },
    Snapshot {
        revision: u64,
        newest_pointer: u64,
    },
    Heartbeat {
        revision: u64,
        /// What had been committed, as its publisher knew, when the ping was sent.
        committed: u64,
    },
}

/// All streams of an edge, and all revisions that were committed.
struct Run {
    streams: Vec<Stream>,
    committed: BTreeSet<u64>,
}

/// A small generator (Marsaglia's xorshift): the same seed cuts at the same places.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

/// Publishes, and follows with cuts; the origin ends and begins again in between. Ends when the edge has seen everything.
async fn run(seed: u64) -> Run {
    let mut random = Random(seed | 1);
    let mut served = Served::start().await;
    let edge = served.enrol().await;
    let mut run = Run { streams: Vec::new(), committed: BTreeSet::new() };
    let mut position = 0;
    for round in 0..4 {
        let (mut newest, tx) = (0, tokio::sync::watch::Sender::new(0));
        let publishing = async {
            for number in 0..6 {
                let commit = served.put(["/a", "/b"][number % 2], &sample(round * 100 + number + 1)).await;
                run.committed.insert(commit.revision);
                newest = commit.revision;
                tx.send_replace(newest);
            }
        };
        let rx = tx.subscribe();
        let following = async {
            let mut streams = Vec::new();
            for _ in 0..2 + random.below(4) {
                streams.push(stream(&served, &edge, &mut position, random.below(6), &rx).await);
            }
            streams
        };
        let ((), streams) = tokio::join!(publishing, following);
        run.streams.extend(streams);
        // What is left is seen in the next round, of the next origin; in the last one to the end.
        served = served.restart(async |_| {}).await;
        if round == 3 {
            while position < newest {
                let last = stream(&served, &edge, &mut position, random.below(6), &rx).await;
                run.streams.push(last);
            }
        }
    }
    served.stop().await;
    run
}

/// One stream from `position` on, which is cut after some messages.
async fn stream(
    served: &Served,
    edge: &Enrolled,
    position: &mut u64,
    messages: u64,
    committed: &tokio::sync::watch::Receiver<u64>,
) -> Stream {
    let mut record = Stream { from: *position, messages: Vec::new() };
    let mut watching = served.watch(edge, served.hello(1, *position)).await.expect("watches");
    let asked = *committed.borrow();
    watching.say(watch_request::Kind::Ping(Ping { number: 1, ..Ping::default() })).await;
    for _ in 0..=messages {
        let seen = match watching.next().await {
            watch_response::Kind::Change(change) => {
                *position = change.revision;
                let pointer = served.pointer(change.pointer.as_ref()).version.revision;
                Seen::Change { revision: change.revision, pointer }
            }
            watch_response::Kind::Snapshot(part) => {
                assert!(part.last, "a small one has one part");
                *position = part.revision;
                let newest = part.pointers.iter().map(|one| served.pointer(Some(one)).version.revision).max();
                Seen::Snapshot { revision: part.revision, newest_pointer: newest.unwrap_or(0) }
            }
            watch_response::Kind::Heartbeat(beat) => {
                let is_last = beat.revision >= asked;
                record.messages.push(Seen::Heartbeat { revision: beat.revision, committed: asked });
                assert!(is_last, "what was committed before a ping is sent before its answer");
                break;
            }
            other => panic!("unexpected: {other:?}"),
        };
        record.messages.push(seen);
    }
    record
}

fn seeds() -> impl Iterator<Item = u64> {
    let count = if std::env::var_os("SKERRY_TEST_FULL").is_some() { 40 } else { 2 };
    (1..=count).map(|seed: u64| seed.wrapping_mul(0x9E37_79B9_7F4A_7C15))
}

/// The revisions of the changes of a stream.
fn changes(stream: &Stream) -> Vec<u64> {
    let revision = |seen: &Seen| match seen {
        Seen::Change { revision, .. } => Some(*revision),
        _ => None,
    };
    stream.messages.iter().filter_map(revision).collect()
}

#[tokio::test]
async fn ordered_changes_come_in_the_order_of_their_revisions() {
    for seed in seeds() {
        for stream in run(seed).await.streams {
            let changes = changes(&stream);
            assert!(changes.is_sorted_by(|one, next| one < next), "seed {seed}: {changes:?}");
        }
    }
}

#[tokio::test]
async fn unique_no_change_comes_twice_however_often_the_stream_is_cut() {
    for seed in seeds() {
        let mut seen = BTreeSet::new();
        for stream in run(seed).await.streams {
            for revision in changes(&stream) {
                assert!(seen.insert(revision), "seed {seed}: {revision} came twice");
            }
        }
    }
}

/// All that changes together is in one pointer, of one revision; a snapshot is of one revision, too.
#[tokio::test]
async fn atomic_a_revision_is_told_whole() {
    for seed in seeds() {
        for seen in run(seed).await.streams.iter().flat_map(|stream| &stream.messages) {
            match seen {
                Seen::Change { revision, pointer } => assert_eq!(revision, pointer, "seed {seed}"),
                Seen::Snapshot { revision, newest_pointer } => {
                    assert!(newest_pointer <= revision, "seed {seed}")
                }
                Seen::Heartbeat { .. } => {}
            }
        }
    }
}

#[tokio::test]
async fn reliable_no_change_is_left_out() {
    for seed in seeds() {
        let run = run(seed).await;
        let snapshot = run.streams.iter().flat_map(|stream| &stream.messages).find_map(|seen| match seen {
            Seen::Snapshot { revision, .. } => Some(*revision),
            _ => None,
        });
        let begun = snapshot.expect("the first stream begins with a snapshot");
        let seen: BTreeSet<u64> = run.streams.iter().flat_map(changes).collect();
        let missed: Vec<_> =
            run.committed.iter().filter(|one| **one > begun && !seen.contains(one)).collect();
        assert!(missed.is_empty(), "seed {seed}: {missed:?} after {begun}");
    }
}

/// From the revision that the edge names, and with no snapshot, also of an origin that began anew.
#[tokio::test]
async fn resumable_a_stream_goes_on_where_the_one_before_was_cut() {
    for seed in seeds() {
        for stream in run(seed).await.streams {
            if stream.from == 0 {
                continue;
            }
            let is_snapshot = |seen: &Seen| matches!(seen, Seen::Snapshot { .. });
            assert!(!stream.messages.iter().any(is_snapshot), "seed {seed}: from {}", stream.from);
            if let Some(first) = changes(&stream).first() {
                assert_eq!(*first, stream.from + 1, "seed {seed}");
            }
        }
    }
}

/// A heartbeat is a bookmark: everything up to its revision came before it, and everything that was committed when its ping was sent.
#[tokio::test]
async fn bookmarkable_a_heartbeat_names_the_revision_up_to_which_everything_came() {
    let mut bookmarks = 0;
    for seed in seeds() {
        for stream in run(seed).await.streams {
            let mut reached = stream.from;
            for seen in &stream.messages {
                match seen {
                    Seen::Change { revision, .. } | Seen::Snapshot { revision, .. } => reached = *revision,
                    Seen::Heartbeat { revision, committed } => {
                        assert_eq!(*revision, reached, "seed {seed}");
                        assert!(committed <= revision, "seed {seed}");
                        bookmarks += 1;
                    }
                }
            }
        }
    }
    assert!(bookmarks > 0, "some streams live long enough for one");
}
