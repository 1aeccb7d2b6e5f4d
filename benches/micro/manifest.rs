//! What finding the page of a path costs, and what a deployment costs an edge: reading manifests.

use crate::harness::{Bench, Unit};
use skerry_proto::manifest::{self, Entry, Representation};
use skerry_proto::paging::page_number;
use skerry_proto::path::AssetPath;
use skerry_proto::rules::SiteRules;
use skerry_proto::slices::BlobId;
use skerry_proto::visibility::Visibility;
use std::hint::black_box;

/// Paths of the largest build that the default limits take.
const PATHS: usize = 500;

pub(crate) fn run(bench: &mut Bench) -> anyhow::Result<()> {
    let path = black_box("/assets/app/main-1234567890.js");
    bench.run("path check", Unit::Once, || black_box(path).parse::<AssetPath>().is_ok());
    bench.run("path to page of a large manifest", Unit::Once, || {
        page_number(&manifest::key(black_box(path)), 8)
    });

    let entries =
        (0..PATHS).map(|number| entry(&format!("/file-{number}.mp3"))).collect::<anyhow::Result<Vec<_>>>()?;
    let documents = manifest::write(&entries, &SiteRules::default())?;
    bench.run("manifest read, 500 paths", Unit::Once, || {
        manifest::read_root(black_box(&documents.root)).is_ok()
    });
    bench.run("manifest write, 500 paths", Unit::Once, || {
        manifest::write(black_box(&entries), &SiteRules::default()).is_ok()
    });
    Ok(())
}

fn entry(path: &str) -> anyhow::Result<Entry> {
    Ok(Entry {
        path: path.parse()?,
        visibility: Visibility::Public,
        content_type: "audio/mpeg".into(),
        modified: 1_700_000_000,
        representations: vec![Representation {
            encoding: String::new(),
            blob: BlobId::of(path.as_bytes()),
            sha256: [7; 32],
        }],
        cache_control: None,
        fields: Vec::new(),
    })
}
