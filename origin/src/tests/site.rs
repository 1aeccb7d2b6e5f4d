//! What edges are told of a site: representations, what a build declares, settings of the environment, and its history.

use super::*;
use crate::coding::Coding;
use skerry_proto::manifest::{self, Entry};
use skerry_proto::paging::Root;
use skerry_proto::pointer::{AccessRules, ServingRules, StaleRule};
use skerry_proto::rules::RedirectStatus;
use skerry_proto::wire::{
    CheckRequest, DescribeRequest, ListRequest, PlannedAsset, StaleRule as WireRule, Target,
    UpdateEnvironmentRequest, UpdateEnvironmentResponse, stale_rule::Rule,
};
use std::collections::HashSet;
use std::io::Read;
use tonic::Code;

/// An edge that follows the first account's environment.
struct Follower {
    served: Served,
    edge: Enrolled,
    watching: Watching,
}

impl Follower {
    async fn start() -> Self {
        let served = Served::start().await;
        let edge = served.enrol().await;
        let mut watching = served.watch(&edge, served.hello(0, 0)).await.expect("watches");
        watching.snapshot().await;
        Self { served, edge, watching }
    }

    /// The pointer of the next change.
    async fn pointer(&mut self) -> Pointer {
        let change = self.watching.change().await;
        self.served.pointer(change.pointer.as_ref())
    }

    /// What the next change shows.
    async fn shown(&mut self) -> (Pointer, manifest::Root) {
        let pointer = self.pointer().await;
        let bytes = self.served.fill(&self.edge, pointer.manifest.expect("a manifest")).await.expect("fills");
        (pointer, manifest::read_root(&bytes).expect("reads"))
    }

    /// Publishes one file, and says what the manifest says of it.
    async fn put(&mut self, path: &str, bytes: &Bytes) -> Entry {
        self.served.put(path, bytes).await;
        let (_, root) = self.shown().await;
        entry(&root, path).expect("in the manifest")
    }

    async fn commit(&mut self, versions: &[&str], removed: &[&str]) -> (Pointer, manifest::Root) {
        self.served.commit(versions, removed).await.expect("commits");
        self.shown().await
    }

    async fn version(&self, path: &str, bytes: &Bytes, visibility: Visibility) -> String {
        self.served.upload_as(path, bytes, visibility).await.expect("uploads").version_sid
    }

    /// Hash and coding of everything that a history names.
    async fn history(&self, pointer: &Pointer) -> HashSet<(Hash, String)> {
        let Some(history) = pointer.history else { return HashSet::new() };
        let bytes = self.served.fill(&self.edge, history).await.expect("fills");
        let Root::Single(entries) = skerry_proto::history::read_root(&bytes).expect("reads") else {
            panic!("one page")
        };
        entries.into_iter().map(|entry| (entry.blob.hash, entry.encoding)).collect()
    }

    async fn set(&self, request: UpdateEnvironmentRequest) -> Result<UpdateEnvironmentResponse, Status> {
        let request = as_account(&self.served.account, request);
        Ok(self.served.publish().await.update_environment(request).await?.into_inner())
    }
}

fn entries(root: &manifest::Root) -> &[Entry] {
    let Root::Single(entries) = &root.entries else { panic!("one page") };
    entries
}

fn entry(root: &manifest::Root, path: &str) -> Option<Entry> {
    entries(root).iter().find(|entry| entry.path.as_str() == path).cloned()
}

fn encodings(entry: &Entry) -> Vec<&str> {
    entry.representations.iter().map(|one| one.encoding.as_str()).collect()
}

/// Hash and coding of every representation.
fn hashes(entry: &Entry) -> HashSet<(Hash, String)> {
    entry.representations.iter().map(|one| (one.blob.hash, one.encoding.clone())).collect()
}

/// Text that becomes much smaller; no two numbers give the same.
fn text(number: usize) -> Bytes {
    (0..200).map(|line| format!("line {line} of text {number}\n")).collect::<String>().into()
}

fn decoded(encoding: &str, bytes: Vec<u8>) -> Vec<u8> {
    let mut decoded = Vec::new();
    let read = match encoding {
        "br" => brotli::Decompressor::new(&bytes[..], 4096).read_to_end(&mut decoded),
        "zstd" => zstd::Decoder::new(&bytes[..]).expect("a decoder").read_to_end(&mut decoded),
        "gzip" => flate2::read::GzDecoder::new(&bytes[..]).read_to_end(&mut decoded),
        _ => return bytes,
    };
    read.expect("decodes");
    decoded
}

#[tokio::test]
async fn text_has_coded_representations_that_an_edge_can_fill_and_that_decode_to_the_upload() {
    let mut follower = Follower::start().await;
    let bytes = text(1);
    let entry = follower.put("/a.txt", &bytes).await;
    assert_eq!(encodings(&entry), ["", "br", "gzip", "zstd"]);
    assert_eq!(entry.representations[0].blob, BlobId::of(&bytes), "identity is what was uploaded");
    for one in &entry.representations {
        let filled = follower.served.fill(&follower.edge, one.blob).await.expect("fills");
        let sha256 = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &filled);
        assert_eq!(sha256.as_ref(), one.sha256, "{}", one.encoding);
        assert_eq!(decoded(&one.encoding, filled), bytes, "{}", one.encoding);
    }
    follower.served.stop().await;
}

#[tokio::test]
async fn media_noise_and_little_texts_have_identity_alone() {
    let mut follower = Follower::start().await;
    let noise: Bytes = (0..500_u32).flat_map(|i| *blake3::hash(&i.to_le_bytes()).as_bytes()).collect();
    for (path, bytes) in [("/a.mp3", text(1)), ("/a.css", noise), ("/a.css", Bytes::from_static(b"a{}"))] {
        assert_eq!(encodings(&follower.put(path, &bytes).await), [""], "{path}");
    }
    follower.served.stop().await;
}

#[tokio::test]
async fn the_same_bytes_are_coded_once_and_only_text_shows_it() {
    let mut follower = Follower::start().await;
    let first = follower.put("/a.txt", &text(1)).await;
    let blobs = config(follower.served.folder.path()).data.join("blobs");
    let second = follower.put("/b.txt", &text(1)).await;
    assert_eq!(hashes(&first), hashes(&second));
    let third = follower.put("/c.mp3", &text(1)).await;
    assert_eq!(encodings(&third), [""], "served as media");
    let coded = first.representations.iter().filter(|one| !one.encoding.is_empty());
    for one in coded {
        let name = one.blob.hash.to_string();
        assert!(blobs.join(&name[..2]).join(&name[2..4]).join(&name).is_file(), "{}", one.encoding);
    }
    follower.served.stop().await;
}

#[tokio::test]
async fn nothing_is_derived_from_what_is_private() {
    let follower = Follower::start().await;
    let version = follower.version("/a.txt", &text(1), Visibility::Private).await;
    follower.served.commit(&[&version], &[]).await.expect("commits");
    let coded =
        Coding::Gzip.encode(&text(1), &crate::Compression::default()).expect("codes").expect("smaller");
    let status = follower.served.fill(&follower.edge, BlobId::of(&coded)).await.expect_err("not there");
    assert_eq!(status.code(), Code::NotFound);
    let request = as_account(&follower.served.account, ListRequest { target: None });
    let listed = follower.served.publish().await.list(request).await.expect("lists").into_inner();
    assert!(listed.assets[0].representations.is_empty());
    follower.served.stop().await;
}

#[tokio::test]
async fn representations_outlive_a_restart_and_are_made_no_second_time() {
    let mut follower = Follower::start().await;
    let before = follower.put("/a.txt", &text(1)).await;
    let Follower { served, edge, .. } = follower;
    let served = served.restart(async |_| {}).await;
    let mut watching = served.watch(&edge, served.hello(0, 0)).await.expect("watches");
    watching.snapshot().await;
    let mut follower = Follower { served, edge, watching };
    follower.put("/b.mp3", &text(2)).await;
    let again = follower.put("/c.txt", &text(1)).await;
    assert_eq!(hashes(&again), hashes(&before));
    follower.served.stop().await;
}

#[tokio::test]
async fn the_history_keeps_all_hashes_of_a_replaced_version_and_loses_all_with_its_path() {
    for (visibility, name) in [(Some(Visibility::Private), "private"), (None, "removed")] {
        let mut follower = Follower::start().await;
        let first = follower.put("/a.txt", &text(1)).await;
        let second = follower.version("/a.txt", &text(2), Visibility::Public).await;
        let (pointer, root) = follower.commit(&[&second], &[]).await;
        assert_eq!(follower.history(&pointer).await, hashes(&first), "identity and coded forms");
        for (hash, _) in hashes(&first) {
            let one = first.representations.iter().find(|one| one.blob.hash == hash).expect("its own");
            follower.served.fill(&follower.edge, one.blob).await.expect("still to be filled");
        }
        let second = entry(&root, "/a.txt").expect("live");
        assert_eq!(second.representations.len(), 4);

        let (pointer, _) = match visibility {
            Some(visibility) => {
                let third = follower.version("/a.txt", &text(3), visibility).await;
                follower.commit(&[&third], &[]).await
            }
            None => follower.commit(&[], &["/a.txt"]).await,
        };
        assert_eq!(follower.history(&pointer).await, HashSet::new(), "{name}");
        follower.served.stop().await;
    }
}

#[tokio::test]
async fn an_older_version_raises_the_floor_of_dates_in_the_same_revision() {
    let mut follower = Follower::start().await;
    let first = follower.version("/a.txt", &text(1), Visibility::Public).await;
    let second = follower.version("/a.txt", &text(2), Visibility::Public).await;
    assert_eq!(follower.commit(&[&first], &[]).await.0.modified_floor, 0);
    let (_, root) = follower.commit(&[&second], &[]).await;
    let newest = entry(&root, "/a.txt").expect("live").modified;
    let (pointer, _) = follower.commit(&[&first], &[]).await;
    assert!(pointer.modified_floor > newest, "no date that was sent for the newer version is sent again");
    let floor = pointer.modified_floor;
    let (pointer, _) = follower.commit(&[&second], &[]).await;
    assert_eq!(pointer.modified_floor, floor, "it stays where nothing goes back");
    follower.served.stop().await;
}

const SITE_FILE: &str = "\
index = \"index.html\"
not_found = \"/404.html\"
[[headers]]
path = \"/*\"
x-frame-options = \"DENY\"
[[headers]]
path = \"/assets/*\"
cache-control = \"max-age=60\"
[[redirects]]
from = \"/old/*\"
to = \"/new/:splat\"
";

#[tokio::test]
async fn what_a_site_file_declares_is_in_the_manifest_and_the_file_is_not() {
    let mut follower = Follower::start().await;
    let site_file = follower
        .version("/_skerry.toml", &Bytes::from_static(SITE_FILE.as_bytes()), Visibility::Public)
        .await;
    let page = follower.version("/404.html", &text(1), Visibility::Public).await;
    let style = follower.version("/assets/a.css", &text(2), Visibility::Public).await;
    let (_, root) = follower.commit(&[&site_file, &page, &style], &[]).await;
    let paths: Vec<_> = entries(&root).iter().map(|entry| entry.path.as_str()).collect();
    assert_eq!(paths.len(), 2, "{paths:?}");
    assert_eq!(root.rules.index.as_deref(), Some("index.html"));
    assert_eq!(root.rules.not_found.as_ref().map(|path| path.as_str()), Some("/404.html"));
    assert_eq!(root.rules.redirects[0].status, RedirectStatus::PermanentRedirect);
    let style = entry(&root, "/assets/a.css").expect("there");
    assert_eq!(style.cache_control.as_deref(), Some("max-age=60"));
    assert_eq!((style.fields[0].name(), style.fields[0].value()), ("x-frame-options", "DENY"));
    assert_eq!(entry(&root, "/404.html").expect("there").cache_control, None);
    let status = follower.served.fill(&follower.edge, BlobId::of(SITE_FILE.as_bytes())).await;
    assert_eq!(status.expect_err("nobody's to fetch").code(), Code::NotFound);
    follower.served.stop().await;
}

#[tokio::test]
async fn a_site_file_stays_for_later_publications_until_it_is_removed() {
    let mut follower = Follower::start().await;
    let text_of = "[[headers]]\npath = \"/*\"\nx-a = \"1\"\n";
    let site_file =
        follower.version("/_skerry.toml", &Bytes::from_static(text_of.as_bytes()), Visibility::Private).await;
    follower.commit(&[&site_file], &[]).await;
    assert_eq!(follower.put("/a.txt", &text(1)).await.fields.len(), 1);
    let request = as_account(&follower.served.account, ListRequest { target: None });
    let listed = follower.served.publish().await.list(request).await.expect("lists").into_inner();
    assert_eq!(listed.assets[0].path, "/_skerry.toml");
    let (_, root) = follower.commit(&[], &["/_skerry.toml"]).await;
    assert_eq!(entry(&root, "/a.txt").expect("stays").fields, []);
    follower.served.stop().await;
}

#[tokio::test]
async fn a_site_file_that_cannot_be_used_is_refused_when_it_is_uploaded() {
    let served = Served::start().await;
    let large = "#".repeat((64 << 10) + 1);
    let table = [
        ("/_skerry.toml", "indx = 1", "invalid_site_file", "line 1: indx: unknown key"),
        (
            "/_skerry.toml",
            "[[headers]]\npath=\"/\"\nset-cookie=\"a\"",
            "invalid_site_file",
            "line 3: set-cookie",
        ),
        ("/_skerry.toml", &large, "too_large", "65537 bytes"),
        ("/docs/_skerry.toml", "", "misplaced_site_file", "publish it there"),
    ];
    for (path, content, code, part) in table {
        let bytes = Bytes::copy_from_slice(content.as_bytes());
        let status = served.upload(path, &bytes).await.expect_err("refused");
        assert_eq!(stable_code(&status), code, "{status}");
        assert!(status.message().contains(part), "{part:?} in {status}");
        let planned = PlannedAsset {
            path: path.into(),
            visibility: Visibility::Public.into(),
            size: bytes.len() as u64,
        };
        let check = CheckRequest { target: None, assets: vec![planned] };
        let checked = served.publish().await.check(as_account(&served.account, check)).await;
        assert_eq!(
            checked.is_err(),
            code != "invalid_site_file",
            "what is known before any byte is sent: {path}"
        );
    }
    served.stop().await;
}

#[tokio::test]
async fn a_target_that_is_no_public_asset_of_the_build_is_refused_and_what_is_live_stays() {
    let mut follower = Follower::start().await;
    let text_of = "not_found = \"/404.html\"\n";
    let site_file =
        follower.version("/_skerry.toml", &Bytes::from_static(text_of.as_bytes()), Visibility::Private).await;
    let status = follower.served.commit(&[&site_file], &[]).await.expect_err("refused");
    assert_eq!((status.code(), stable_code(&status)), (Code::FailedPrecondition, "missing_target"));
    assert!(status.message().contains("not_found in /_skerry.toml names \"/404.html\""), "{status}");
    let page = follower.version("/404.html", &text(1), Visibility::Public).await;
    follower.commit(&[&site_file, &page], &[]).await;
    let status = follower.served.commit(&[], &["/404.html"]).await.expect_err("still named");
    assert_eq!(stable_code(&status), "missing_target");
    follower.commit(&[], &["/404.html", "/_skerry.toml"]).await;
    follower.served.stop().await;
}

#[tokio::test]
async fn a_changed_rewrite_raises_the_floor_of_dates() {
    let mut follower = Follower::start().await;
    let newest = follower.put("/a.txt", &text(1)).await.modified;
    let text_of = "[[redirects]]\nfrom = \"/*\"\nto = \"/a.txt\"\nstatus = 200\n";
    let site_file =
        follower.version("/_skerry.toml", &Bytes::from_static(text_of.as_bytes()), Visibility::Private).await;
    let (pointer, _) = follower.commit(&[&site_file], &[]).await;
    assert!(pointer.modified_floor > newest);
    follower.served.stop().await;
}

#[tokio::test]
async fn settings_are_told_by_a_new_pointer_to_what_is_shown_and_stay() {
    let mut follower = Follower::start().await;
    follower.served.put("/a.txt", &text(1)).await;
    follower.served.put("/a.txt", &text(2)).await;
    follower.pointer().await;
    let before = follower.pointer().await;
    assert_eq!((before.serving, before.access), (ServingRules::default(), AccessRules::default()));
    let seconds = |seconds| Some(WireRule { rule: Some(Rule::SecondsMax(seconds)) });
    let set = UpdateEnvironmentRequest {
        post_as_get: Some(true),
        public_stale: seconds(60),
        ..UpdateEnvironmentRequest::default()
    };
    let updated = follower.set(set).await.expect("sets");
    let after = follower.pointer().await;
    assert_eq!(updated.revision, before.version.revision + 1);
    let expected = Pointer {
        version: after.version,
        serving: ServingRules { post_as_get: true, untrusted_uploads: false },
        access: AccessRules {
            public_stale: StaleRule::AtMost(Duration::from_secs(60)),
            ..AccessRules::default()
        },
        issued_at: after.issued_at,
        ..before
    };
    assert_eq!(after, expected, "manifest and history are the same");
    assert!(after.history.is_some());

    let set =
        UpdateEnvironmentRequest { untrusted_uploads: Some(true), ..UpdateEnvironmentRequest::default() };
    follower.set(set).await.expect("sets");
    let both = ServingRules { post_as_get: true, untrusted_uploads: true };
    assert_eq!(follower.pointer().await.serving, both, "what is not named stays");
    follower.served.put("/b.txt", &text(3)).await;
    assert_eq!(follower.pointer().await.serving, both, "carried by every pointer from then on");

    let request = as_account(&follower.served.account, DescribeRequest {});
    let described = follower.served.publish().await.describe(request).await.expect("describes").into_inner();
    let environment = &described.services[0].environments[0];
    assert_eq!(environment.serving, Some(both.into()));
    assert_eq!(environment.access, Some(after.access.into()));
    follower.served.stop().await;
}

#[tokio::test]
async fn settings_of_another_account_or_beyond_a_bound_are_refused() {
    let follower = Follower::start().await;
    let target = Target { service: follower.served.other.service_sid.clone(), environment: String::new() };
    let request = UpdateEnvironmentRequest {
        target: Some(target),
        post_as_get: Some(true),
        ..UpdateEnvironmentRequest::default()
    };
    assert_eq!(follower.set(request).await.expect_err("foreign").code(), Code::NotFound);
    let rules = [Some(Rule::SecondsMax(u64::MAX)), Some(Rule::Unbounded(false)), None];
    for rule in rules {
        let request = UpdateEnvironmentRequest {
            protected_stale: Some(WireRule { rule }),
            ..UpdateEnvironmentRequest::default()
        };
        let status = follower.set(request).await.expect_err("refused");
        assert_eq!((status.code(), stable_code(&status)), (Code::InvalidArgument, "invalid_setting"));
    }
    follower.served.stop().await;
}
