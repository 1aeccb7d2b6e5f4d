//! What a memory hit costs in the slice cache.

use crate::harness::{Bench, Unit};
use crate::slices::sample;
use anyhow::Context;
use skerry_edge::cache::{AccountKey, Asks, SliceCache, SliceKey};
use skerry_edge::config::CacheConfig;
use skerry_edge::metrics::Metrics;
use skerry_proto::slices::{BlobId, SliceList};
use std::hint::black_box;
use std::sync::Arc;

pub(crate) fn run(bench: &mut Bench) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let metrics = Arc::new(Metrics::new("bench")?);
    let config = CacheConfig::default();
    let cache = SliceCache::start(folder.path(), config, runtime.handle(), metrics);

    let bytes = sample(1 << 10);
    let blob = BlobId::of(&bytes);
    let slice = SliceList::trivial(blob).context("one slice needs no list")?.check(0, bytes)?;
    let key = SliceKey { account: AccountKey::of("AC0123"), hash: blob.hash, slice: 0 };
    cache.insert(key, &slice, Asks::Once);
    bench.run("cache get, memory hit", Unit::Once, || cache.in_memory(black_box(&key)).is_some());
    let absent = SliceKey { slice: 1, ..key };
    bench.run("cache get, not in memory", Unit::Once, || cache.in_memory(black_box(&absent)).is_none());

    runtime.block_on(cache.close());
    Ok(())
}
