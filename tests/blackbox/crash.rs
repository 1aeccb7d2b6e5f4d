//! `kill -9` at random moments of uploads: nothing that was acknowledged is lost, nothing half-written is visible or left.
//!
//! Five kills of each process by default, a hundred with `SKERRY_TEST_FULL=1`.

use crate::harness::{
    Dev, Origin, Protocol, Publisher, Random, block_on, bytes, files_below, full, hash, let_pass, spawn,
};
use bytes::Bytes;
use skerry_proto::hash::Hash;
use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Clients that upload at the same time.
const UPLOADERS: u64 = 4;

/// Paths that each of them writes; all together stay below what one build may hold.
const PATHS: u64 = 16;

/// A kill comes at most so long after the first upload of a round began. Long enough for several uploads.
const MOMENT_MAX_MS: u64 = 400;

fn kills() -> u64 {
    if full() { 100 } else { 5 }
}

/// Something with an origin in it that can be killed.
trait Killed {
    fn publisher(&self) -> Publisher;
    fn kill_and_start_again(&mut self);
    fn blobs(&self) -> PathBuf;
    /// What a client gets for a path, where the whole way can be walked.
    fn shown(&self, path: &str) -> Option<Bytes>;
}

impl Killed for Dev {
    fn publisher(&self) -> Publisher {
        Self::publisher(self)
    }
    fn kill_and_start_again(&mut self) {
        self.kill_9();
        self.start_again();
    }
    fn blobs(&self) -> PathBuf {
        self.data().join("origin/blobs")
    }
    fn shown(&self, path: &str) -> Option<Bytes> {
        Some(self.site().get(Protocol::Http2, path).body)
    }
}

impl Killed for Origin {
    fn publisher(&self) -> Publisher {
        Self::publisher(self)
    }
    fn kill_and_start_again(&mut self) {
        self.kill_9();
        self.start_again();
    }
    fn blobs(&self) -> PathBuf {
        self.data().join("blobs")
    }
    fn shown(&self, _path: &str) -> Option<Bytes> {
        None
    }
}

#[test]
fn killed_origin_keeps_all_that_it_acknowledged() {
    survives(&mut Origin::start());
}

#[test]
fn killed_dev_keeps_all_that_it_acknowledged() {
    survives(&mut Dev::start());
}

/// What uploads to one path came to, as hashes.
#[derive(Debug, Clone, Default)]
struct History {
    /// The newest that was acknowledged.
    acknowledged: Option<String>,
    /// What was sent after it, and may have been committed without an answer.
    sent: Option<String>,
}

/// What uploads came to, by path.
type Histories = Arc<Mutex<BTreeMap<String, History>>>;

fn survives(server: &mut impl Killed) {
    let mut random = Random::printed("the kills");
    let histories = Histories::default();
    let acknowledged = Arc::new(AtomicU64::new(0));
    let mut whole = HashSet::new();
    for round in 0..kills() {
        let uploads: Vec<_> = (0..UPLOADERS)
            .map(|uploader| {
                let (histories, acknowledged) = (Arc::clone(&histories), Arc::clone(&acknowledged));
                spawn(upload(server.publisher(), uploader, random.next(), histories, acknowledged))
            })
            .collect();
        let_pass(Duration::from_millis(random.below(MOMENT_MAX_MS)));
        server.kill_and_start_again();
        for upload in uploads {
            block_on(upload).expect("an uploader ends with its connection");
        }
        check(server, &mut histories.lock().expect("no uploader panicked"), round);
        whole_files_only(&server.blobs(), &mut whole, round);
        assert!(
            files_below(&server.blobs().join("tmp")).is_empty(),
            "round {round}: temporary files are left"
        );
    }
    let count = acknowledged.load(Ordering::Relaxed);
    println!("{} kills, {count} uploads acknowledged, none lost", kills());
    assert!(count > 0, "no upload was ever acknowledged; the kills came too early to prove anything");
}

/// Publishes one file after the other, of any size up to three slices and a half, until the server is gone. Paths are replaced
/// again and again, so that an old version cannot pass for a new one.
async fn upload(
    publisher: Publisher,
    uploader: u64,
    seed: u64,
    histories: Histories,
    acknowledged: Arc<AtomicU64>,
) {
    let mut random = Random::new(seed);
    for count in 0_u64.. {
        let content = content(&mut random);
        let (path, name) = (format!("/{uploader}/{}.bin", count % PATHS), hash(&content));
        let change = |change: &dyn Fn(&mut History)| {
            change(histories.lock().expect("no check panicked").entry(path.clone()).or_default());
        };
        change(&|history| history.sent = Some(name.clone()));
        if publisher.publish(&path, content).await.is_err() {
            return;
        }
        change(&|history| *history = History { acknowledged: Some(name.clone()), sent: None });
        acknowledged.fetch_add(1, Ordering::Relaxed);
    }
}

fn content(random: &mut Random) -> Bytes {
    let size = match random.below(3) {
        0 => random.below(100),
        1 => random.below(262_144),
        _ => random.below(900_000),
    };
    bytes(random.next(), size as usize)
}

fn check(server: &impl Killed, histories: &mut BTreeMap<String, History>, round: u64) {
    let assets = block_on(server.publisher().list()).expect("the origin answers after a kill");
    let mut listed = BTreeMap::new();
    for asset in assets {
        let hash =
            asset.blob.and_then(|blob| Hash::try_from(&blob.hash[..]).ok()).expect("a blob").to_string();
        listed.insert(asset.path, hash);
    }
    for (path, history) in histories {
        let found = listed.get(path).cloned();
        let right = found == history.acknowledged || (found.is_some() && found == history.sent);
        assert!(right, "round {round}: {path} is {found:?}, but {history:?}");
        if let (Some(found), Some(shown)) = (&found, server.shown(path)) {
            assert_eq!(hash(&shown), *found, "round {round}: {path} shows other bytes");
        }
        *history = History { acknowledged: found, sent: None };
    }
}

/// Every blob file holds what its name says. Files never change, so each is read once.
fn whole_files_only(blobs: &Path, whole: &mut HashSet<PathBuf>, round: u64) {
    for path in files_below(blobs) {
        let name = path.file_name().and_then(|name| name.to_str()).expect("UTF-8");
        if name.len() == 64 && !whole.contains(&path) {
            let content = std::fs::read(&path).expect("reads");
            assert_eq!(hash(&content), name, "round {round}: a blob that is not whole");
            whole.insert(path);
        }
    }
}
