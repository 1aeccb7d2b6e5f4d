//! `skerry ls`: what is live.

use crate::client::{Client, OriginOptions};
use crate::environment::Environment;
use crate::failure::Failure;
use crate::output::{self, plain};
use serde_json::{Value, json};
use skerry_proto::hash::Hash;
use skerry_proto::visibility::Visibility;
use skerry_proto::wire;

/// What to list.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  skerry ls
  skerry ls --json | jq -r '.assets[].path'")]
pub(crate) struct Options {
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    origin: OriginOptions,
}

/// Runs the command.
pub(crate) async fn run(options: Options, environment: &Environment) -> Result<(), Failure> {
    let client = Client::connect(&options.origin, environment).await?;
    let listed = client.list(client.target()).await?;
    if options.json {
        return output::json(&json!({
            "build_sid": listed.build_sid,
            "public_url": listed.public_url,
            "assets": listed.assets.iter().map(as_json).collect::<Vec<_>>(),
        }));
    }
    if listed.assets.is_empty() {
        output::note("nothing is live; publish something with: skerry put FILE");
        return Ok(());
    }
    let paths: Vec<_> = listed.assets.iter().map(|asset| plain(&asset.path)).collect();
    let path_len = paths.iter().map(|path| path.chars().count()).max().unwrap_or(0).min(60);
    for (asset, path) in listed.assets.iter().zip(&paths) {
        let size = asset.blob.as_ref().map_or(0, |blob| blob.size);
        let (visibility, content_type) = (visibility(asset), plain(&asset.content_type));
        output::line(format_args!("{path:path_len$}  {visibility:9}  {size:>11}  {content_type}"))?;
    }
    output::note(format_args!("live at {}", listed.public_url));
    Ok(())
}

fn visibility(asset: &wire::Asset) -> &'static str {
    Visibility::try_from(asset.visibility).map_or("unknown", Visibility::as_str)
}

fn representation(representation: &wire::Representation) -> Value {
    let hash = representation.blob.as_ref().and_then(|blob| Hash::try_from(&blob.hash[..]).ok());
    json!({
        "encoding": if representation.encoding.is_empty() { "identity" } else { &representation.encoding },
        "hash": hash.map(|hash| hash.to_string()),
        "size": representation.blob.as_ref().map(|blob| blob.size),
    })
}

fn as_json(asset: &wire::Asset) -> Value {
    let hash = asset.blob.as_ref().and_then(|blob| Hash::try_from(&blob.hash[..]).ok());
    json!({
        "asset_sid": asset.asset_sid,
        "version_sid": asset.version_sid,
        "path": asset.path,
        "visibility": visibility(asset),
        "content_type": asset.content_type,
        "hash": hash.map(|hash| hash.to_string()),
        "size": asset.blob.as_ref().map(|blob| blob.size),
        "created_at": asset.created_at,
        "representations": asset.representations.iter().map(representation).collect::<Vec<_>>(),
    })
}
