//! `skerry verify`: whether what an edge sends for a URL is, byte for byte, what its origin signed.
//!
//! The origin gives the account that owns the asset the documents that its edges follow. The chain is checked here: a signature by a
//! trusted key, over the pointer that names the manifest, which names the blob, which commits to each slice. The edge's word counts for
//! nothing, and, where the keys are known from elsewhere, neither does the origin's.

use crate::client::{Client, OriginOptions, Progress, trusted_certificate};
use crate::environment::Environment;
use crate::failure::Failure;
use crate::fetch::{self, Protocol, Target, Trust};
use crate::output;
use bytes::BytesMut;
use percent_encoding::percent_decode_str;
use serde_json::json;
use skerry_edge::control::{Identity, key_chain};
use skerry_proto::hash::Hash;
use skerry_proto::proof::Proved;
use skerry_proto::signature::KeySet;
use skerry_proto::slices::{BlobId, SLICE_SIZE, SliceHasher, SliceList};
use skerry_proto::wire;
use std::path::PathBuf;

/// What to verify.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  skerry verify https://assets.example.com/hello.mp3
  skerry verify --json https://127.0.0.1:8443/hello.mp3
  skerry verify https://assets.example.com/hello.mp3 --edge-data /var/lib/skerry-edge

Every slice is checked against what the origin signed. Whose signature counts: that of --key, else of the keys that the edge on
--edge-data got when it enrolled, else of those that the origin itself names over its TLS.

Fails (code 1) when a byte differs, when the signature does not lead to it, or when the edge does not answer with 200.")]
pub(crate) struct Options {
    /// URL of an asset of the account
    #[arg(value_name = "URL")]
    url: String,
    /// Believe only this authority about the edge, PEM; else the system's, and that of SKERRY_CA or of the skerry dev on --data
    #[arg(long, value_name = "FILE")]
    cacert: Option<PathBuf>,
    /// Only what this key signed counts: an Ed25519 public key, 64 hexadecimal digits, as --json prints it
    #[arg(long, value_name = "HEX", value_parser = signing_key)]
    key: Option<Key>,
    /// Only what the keys count for that the edge with this data folder goes by
    #[arg(long, value_name = "DIR", conflicts_with = "key")]
    edge_data: Option<PathBuf>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    origin: OriginOptions,
}

/// An Ed25519 public key.
type Key = [u8; 32];

/// What came from the edge.
struct Fetched {
    blob: BlobId,
    cache_status: String,
    /// The first slice that is not the one that was signed.
    wrong_slice: Option<u64>,
}

/// What the origin signed for the URL.
struct Signed {
    list: SliceList,
    domain: String,
    /// Whose signature it is, and from where that is known.
    keys: Vec<Key>,
    keys_from: &'static str,
}

/// Runs the command.
pub(crate) async fn run(options: Options, environment: &Environment) -> Result<(), Failure> {
    let target = Target::parse(&options.url)?;
    let client = Client::connect(&options.origin, environment).await?;
    let mut signed = signed(&options, &client, &target).await?;
    let mut fetched = fetch(&options, &target, &signed.list, environment).await?;
    if fetched.blob != signed.list.blob() {
        // A deployment may have come between the two answers; then the newer build counts, and all is looked at again.
        let newer = self::signed(&options, &client, &target).await?;
        if newer.list.blob() != signed.list.blob() {
            signed = newer;
            fetched = fetch(&options, &target, &signed.list, environment).await?;
        }
    }
    let named = signed.list.blob();
    let is_right = fetched.blob == named && fetched.wrong_slice.is_none();
    if options.json {
        output::json(&json!({
            "url": options.url,
            "verified": is_right,
            "size": fetched.blob.size,
            "hash": fetched.blob.hash.to_string(),
            "origin_size": named.size,
            "origin_hash": named.hash.to_string(),
            "slices": named.slice_count(),
            "wrong_slice": fetched.wrong_slice,
            "domain": signed.domain,
            "keys": signed.keys.iter().map(|key| Hash::from(*key).to_string()).collect::<Vec<_>>(),
            "keys_from": signed.keys_from,
            "cache_status": fetched.cache_status,
        }))?;
    }
    if !is_right {
        let from =
            fetched.wrong_slice.map_or_else(String::new, |slice| format!(", wrong from slice {slice} on"));
        return Err(Failure::new(format!(
            "{target}: the edge sent {} bytes with hash {}, the origin signed {} bytes with hash {}{from}",
            fetched.blob.size, fetched.blob.hash, named.size, named.hash
        )));
    }
    if !options.json {
        let (BlobId { hash, size }, slices) = (named, named.slice_count());
        output::line(format_args!(
            "verified: all {size} bytes of {target}, in {slices} slices, are those of {hash}, as signed for {}",
            signed.domain
        ))?;
    }
    Ok(())
}

/// Fetches the whole of it, and checks slice by slice on the way.
async fn fetch(
    options: &Options,
    target: &Target,
    list: &SliceList,
    environment: &Environment,
) -> Result<Fetched, Failure> {
    let trust = match &options.cacert {
        Some(file) => Trust::only(file)?,
        None => Trust::system_and(trusted_certificate(None, &options.origin.data, environment).as_deref())?,
    };
    let mut response = fetch::get(target, Protocol::Any, &trust).await?;
    let head = &response.head;
    if head.status != http::StatusCode::OK {
        return Err(Failure::new(format!("{target} answers {}", head.status)));
    }
    let cache_status = head.headers.get("cache-status").and_then(|value| value.to_str().ok());
    let cache_status = cache_status.unwrap_or_default().to_owned();
    let progress = Progress::new(list.blob().size, environment);
    let mut hasher = SliceHasher::new();
    let (mut held, mut index, mut wrong_slice) = (BytesMut::new(), 0, None);
    let mut check = |slice: BytesMut| {
        if list.check(index, slice.freeze()).is_err() {
            wrong_slice.get_or_insert(index);
        }
        index += 1;
    };
    while let Some(bytes) = response.chunk().await? {
        progress.add(bytes.len() as u64);
        hasher.update(&bytes);
        held.extend_from_slice(&bytes);
        while held.len() >= SLICE_SIZE {
            check(held.split_to(SLICE_SIZE));
        }
    }
    progress.finish();
    if !held.is_empty() {
        check(held);
    }
    Ok(Fetched { blob: hasher.finish().id, cache_status, wrong_slice })
}

/// What the origin signed for the URL: its path as it was written, else decoded, and the index of a folder.
async fn signed(options: &Options, client: &Client, target: &Target) -> Result<Signed, Failure> {
    let place = environment_of(client, target.host()).await?;
    let written = target.path_and_query().split('?').next().unwrap_or_default();
    let decoded = percent_decode_str(written).decode_utf8_lossy();
    let mut paths = vec![written.to_owned()];
    if decoded != written {
        paths.push(decoded.into_owned());
    }
    let mut number = 0;
    while let Some(path) = paths.get(number).cloned() {
        let (proved, keys, keys_from) = prove(options, client, &place, &path).await?;
        if let Some(list) = proved.shown {
            return Ok(Signed { list, domain: proved.domain, keys, keys_from });
        }
        if number == 0 && path.ends_with('/') {
            let index = proved.rules.index.as_deref();
            // "/" shows an index also where a build declares none.
            let index = index.or_else(|| (path == "/").then_some("index.html"));
            paths.extend(index.map(|index| format!("{path}{index}")));
        }
        number += 1;
    }
    Err(Failure::new(format!("{target}: the live build names nothing at {written}")))
}

/// Asks for a proof, and follows it.
async fn prove(
    options: &Options,
    client: &Client,
    place: &wire::Target,
    path: &str,
) -> Result<(Proved, Vec<Key>, &'static str), Failure> {
    let request = wire::ProveRequest { target: Some(place.clone()), path: path.to_owned() };
    let asked =
        client.publishing().max_decoding_message_size(PROOF_SIZE_MAX).prove(client.signed(request)).await;
    let proof = asked.map_err(|status| client.refused(&status))?.into_inner();
    let (keys, keys_from) = trusted_keys(options, &proof.key_set)?;
    let proved = Proved::check(proof, &keys, path).map_err(|error| {
        Failure::new(format!("what the origin says it signed does not verify: {error}"))
            .hint(format_args!("the keys that count are from {keys_from}"))
    })?;
    Ok((proved, keys.keys, keys_from))
}

/// Whose signatures count, and from where that is known.
fn trusted_keys(options: &Options, named: &[u8]) -> Result<(KeySet, &'static str), Failure> {
    // Whoever speaks as the origin is the origin, by the certificate of its authority: so these are its keys.
    let named = KeySet::decode(named)
        .map_err(|error| Failure::new(format!("the origin's signing keys cannot be read: {error}")))?;
    if let Some(key) = options.key {
        return Ok((KeySet { keys: vec![key], ..named }, "--key"));
    }
    let Some(folder) = &options.edge_data else { return Ok((named, "the origin")) };
    let of_folder = |error: &dyn std::fmt::Display| Failure::new(format!("{}: {error}", folder.display()));
    match Identity::load(folder) {
        Ok(Some(identity)) => {
            let chain = key_chain(folder, &identity).map_err(|error| of_folder(&error))?;
            Ok((chain.current().clone(), "--edge-data"))
        }
        Ok(None) => Err(Failure::usage(format!("{}: no edge has enrolled there", folder.display()))),
        Err(error) => Err(of_folder(&error)),
    }
}

/// A key as it is written.
fn signing_key(text: &str) -> Result<Key, String> {
    let key: Hash =
        text.parse().map_err(|_| "a public key has 64 hexadecimal digits, in lower case".to_owned())?;
    Ok(*key.as_bytes())
}

/// A root, a page, and the slice list of the largest blob.
const PROOF_SIZE_MAX: usize = 64 << 20;

/// The environment with the URL's host, where the account has one; else the one that the options name.
async fn environment_of(client: &Client, host: &str) -> Result<wire::Target, Failure> {
    let described = client.publishing().describe(client.signed(wire::DescribeRequest {})).await;
    let described = described.map_err(|status| client.refused(&status))?.into_inner();
    for service in described.services {
        if let Some(environment) = service.environments.into_iter().find(|found| found.domain == host) {
            return Ok(wire::Target { service: service.sid, environment: environment.sid });
        }
    }
    Ok(client.target())
}
