//! What an edge holds in memory for each entry of its disk cache, and for each path of a manifest: bytes that the allocator was asked
//! for.

use crate::allocations::{bytes_held, count_bytes};
use crate::harness::Bench;
use anyhow::Context;
use bytes::Bytes;
use skerry_edge::cache::{AccountKey, Asks, SliceCache, SliceKey};
use skerry_edge::config::{AdmissionPolicy, CacheConfig};
use skerry_edge::control::Environment;
use skerry_edge::metrics::Metrics;
use skerry_proto::manifest::{Entry, Representation};
use skerry_proto::pointer::{Pointer, Version};
use skerry_proto::rules::SiteRules;
use skerry_proto::slices::{BlobId, SliceList};
use skerry_proto::visibility::Visibility;
use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::{Handle, Runtime};

const INDEX: &str = "disk index, bytes held for each entry";
const DOCUMENTS: &str = "manifest, bytes held for each path";

/// Entries on disk. foyer's index has 64 tables, which double when they are 7/8 full: one count is just below that, one just above.
const ENTRIES: [u64; 3] = [25_000, 50_000, 62_000];

/// Paths of a manifest.
const PATHS: usize = 500;

pub(crate) fn run(bench: &Bench) -> anyhow::Result<()> {
    if bench.measures(INDEX) {
        count_bytes();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        let without = index(&runtime, 0)?;
        for entries in ENTRIES {
            let each = (index(&runtime, entries)? - without) as f64 / entries as f64;
            bench.say(INDEX, &format!("{each:.1} with {entries} entries"));
        }
    }
    if bench.measures(DOCUMENTS) {
        count_bytes();
        let before = bytes_held();
        let environment = black_box(environment()?);
        let (held, said) = (bytes_held() - before, environment.footprint());
        let each = |bytes: f64| bytes / PATHS as f64;
        bench.say(
            DOCUMENTS,
            &format!("{:.0}, an edge counts {:.0}, with {PATHS} paths", each(held as f64), each(said as f64)),
        );
    }
    Ok(())
}

/// Bytes that a cache holds once it has opened a disk tier with so many entries.
fn index(runtime: &Runtime, entries: u64) -> anyhow::Result<i64> {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    let key = |number: u64| SliceKey {
        account: AccountKey::of("AC0123"),
        hash: BlobId::of(&number.to_le_bytes()).hash,
        slice: 0,
    };
    let slice_of = |number: u64| {
        let bytes = Bytes::copy_from_slice(&number.to_le_bytes());
        let list = SliceList::trivial(BlobId::of(&bytes)).context("one slice needs no list")?;
        anyhow::Ok(list.check(0, bytes)?)
    };
    let filling = cache(folder.path(), runtime.handle())?;
    // Opened before, so that everything is on disk when it is closed.
    runtime.block_on(filling.find(&key(0), BlobId::of(&0_u64.to_le_bytes())));
    for number in 0..entries {
        filling.insert(key(number), &slice_of(number)?, Asks::Often);
    }
    runtime.block_on(filling.close());
    drop(filling);

    let before = bytes_held_at_rest();
    let cache = cache(folder.path(), runtime.handle())?;
    let found = runtime.block_on(cache.find(&key(0), BlobId::of(&0_u64.to_le_bytes())));
    anyhow::ensure!(found.is_some() == (entries > 0), "what was written is not there");
    let held = bytes_held_at_rest() - before;
    let missing = (0..entries).filter(|&number| !cache.may_hold(&key(number))).count();
    anyhow::ensure!(missing == 0, "{missing} of {entries} entries are not on disk");
    runtime.block_on(cache.close());
    Ok(held)
}

/// Once other threads have given back what they still had in hand.
fn bytes_held_at_rest() -> i64 {
    let mut before = bytes_held();
    for _ in 0..100 {
        std::thread::park_timeout(Duration::from_millis(200));
        let now = bytes_held();
        if now == before {
            break;
        }
        before = now;
    }
    before
}

fn cache(folder: &Path, runtime: &Handle) -> anyhow::Result<SliceCache> {
    let config = CacheConfig {
        disk_size: 1 << 30,
        memory_size: 64 << 20,
        admission: AdmissionPolicy::All,
        ..CacheConfig::default()
    };
    Ok(SliceCache::start(folder, config, runtime, Arc::new(Metrics::new("bench")?)))
}

/// A site of ordinary assets.
fn environment() -> anyhow::Result<Environment> {
    let entry = |number: usize| {
        Ok(Entry {
            path: format!("/assets/images/picture-{number}.png").parse()?,
            visibility: Visibility::Public,
            content_type: "image/png".to_owned(),
            modified: 1_700_000_000,
            representations: vec![Representation {
                encoding: String::new(),
                blob: BlobId::of(&number.to_le_bytes()),
                sha256: [7; 32],
            }],
            cache_control: None,
            fields: Vec::new(),
        })
    };
    let entries = (0..PATHS).map(entry).collect::<anyhow::Result<_>>()?;
    let pointer = Pointer {
        version: Version { epoch: 1, revision: 1 },
        domain: "bench.test".to_owned(),
        account_sid: "AC0123".to_owned(),
        environment_sid: "ZE0123".to_owned(),
        ..Pointer::default()
    };
    Ok(Environment::of_entries(&pointer, entries, SiteRules::default(), Vec::new()))
}
