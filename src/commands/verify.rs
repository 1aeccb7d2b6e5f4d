//! `skerry verify`: whether what an edge sends for a URL is, byte for byte, what its origin says.
//!
//! The origin is asked by the account that owns the asset, over its own TLS, for the hash that the live build names: the root of the
//! tree that every slice of the asset is verified against. The edge's word counts for nothing.

use crate::client::{Client, OriginOptions, Progress, trusted_certificate};
use crate::environment::Environment;
use crate::failure::Failure;
use crate::fetch::{self, Protocol, Target, Trust};
use crate::output;
use percent_encoding::percent_decode_str;
use serde_json::json;
use skerry_proto::hash::Hash;
use skerry_proto::slices::{BlobId, SliceHasher};
use skerry_proto::wire;
use std::path::PathBuf;

/// What to verify.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  skerry verify https://assets.example.com/hello.mp3
  skerry verify --json https://127.0.0.1:8443/hello.mp3

Fails (code 1) when a byte differs, or when the edge does not answer with 200.")]
pub(crate) struct Options {
    /// URL of an asset of the account
    #[arg(value_name = "URL")]
    url: String,
    /// Believe only this authority about the edge, PEM; else the system's, and that of SKERRY_CA or of the skerry dev on --data
    #[arg(long, value_name = "FILE")]
    cacert: Option<PathBuf>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    origin: OriginOptions,
}

/// What came from the edge.
struct Fetched {
    blob: BlobId,
    cache_status: String,
}

/// Runs the command.
pub(crate) async fn run(options: Options, environment: &Environment) -> Result<(), Failure> {
    let target = Target::parse(&options.url)?;
    let client = Client::connect(&options.origin, environment).await?;
    let before = named_by_origin(&client, &target).await?;
    let fetched = fetch(&options, &target, before.size, environment).await?;
    // A deployment may have come between the two answers; then the newer build counts.
    let named = if fetched.blob == before { before } else { named_by_origin(&client, &target).await? };
    let is_right = fetched.blob == named;
    if options.json {
        output::json(&json!({
            "url": options.url,
            "verified": is_right,
            "size": fetched.blob.size,
            "hash": fetched.blob.hash.to_string(),
            "origin_size": named.size,
            "origin_hash": named.hash.to_string(),
            "cache_status": fetched.cache_status,
        }))?;
    }
    if !is_right {
        return Err(Failure::new(format!(
            "{target}: the edge sent {} bytes with hash {}, the origin names {} bytes with hash {}",
            fetched.blob.size, fetched.blob.hash, named.size, named.hash
        )));
    }
    if !options.json {
        let BlobId { hash, size } = named;
        output::line(format_args!("verified: all {size} bytes of {target} are those of {hash}"))?;
    }
    Ok(())
}

/// Fetches the whole of it and hashes it on the way.
async fn fetch(
    options: &Options,
    target: &Target,
    size: u64,
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
    let progress = Progress::new(size, environment);
    let mut hasher = SliceHasher::new();
    while let Some(bytes) = response.chunk().await? {
        progress.add(bytes.len() as u64);
        hasher.update(&bytes);
    }
    progress.finish();
    Ok(Fetched { blob: hasher.finish().id, cache_status })
}

/// What the live build of the URL's environment names at its path.
async fn named_by_origin(client: &Client, target: &Target) -> Result<BlobId, Failure> {
    let listed = client.list(environment_of(client, target.host()).await?).await?;
    let path = target.path_and_query().split('?').next().unwrap_or_default();
    // The index, unless the build declares another.
    let path = if path == "/" { "/index.html" } else { path };
    let decoded = percent_decode_str(path).decode_utf8_lossy();
    let find = |path: &str| listed.assets.iter().find(|asset| asset.path == path);
    let asset = find(path).or_else(|| find(&decoded));
    let asset =
        asset.ok_or_else(|| Failure::new(format!("{target}: the live build names nothing at {path}")))?;
    let blob = asset.blob.as_ref();
    let named =
        blob.and_then(|blob| Some(BlobId { hash: Hash::try_from(&blob.hash[..]).ok()?, size: blob.size }));
    named.ok_or_else(|| Failure::new(format!("{target}: the origin's answer makes no sense")))
}

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
