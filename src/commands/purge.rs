//! `skerry purge`: bytes that no edge shows any more, at whatever path or hash, until the purge is lifted.

use crate::client::{self, Client, LiveEdge, OriginOptions};
use crate::environment::Environment;
use crate::failure::Failure;
use crate::output::{self, plain};
use bytes::Bytes;
use serde_json::{Value, json};
use skerry_proto::hash::Hash;
use skerry_proto::path::AssetPath;
use skerry_proto::pointer::Version;
use skerry_proto::wire;

/// Bytes, by where they stand or by what they are.
#[derive(Debug, clap::Args)]
pub(super) struct Named {
    /// Paths of the live build, such as /hello.mp3
    #[arg(value_name = "PATH")]
    paths: Vec<String>,
    /// Bytes by their BLAKE3 hash, which is what `ETag` and `skerry ls --json` say; may be given more than once
    #[arg(long, value_name = "HASH")]
    hash: Vec<Hash>,
}

impl Named {
    pub(super) fn is_empty(&self) -> bool {
        self.paths.is_empty() && self.hash.is_empty()
    }

    /// Refuses what is no path, all of it at once.
    pub(super) fn check(&self) -> Result<(), Failure> {
        let invalid: Vec<String> = (self.paths.iter())
            .filter_map(|path| Some((path, path.parse::<AssetPath>().err()?)))
            .map(|(path, error)| format!("{path:?} is no path of an asset: {error}"))
            .collect();
        if invalid.is_empty() { Ok(()) } else { Err(Failure::usage(invalid.join("\n"))) }
    }

    /// Paths and hashes, as they travel.
    pub(super) fn into_request(self) -> (Vec<String>, Vec<Bytes>) {
        (self.paths, hashes(&self.hash))
    }
}

fn hashes(hashes: &[Hash]) -> Vec<Bytes> {
    hashes.iter().map(|hash| Bytes::copy_from_slice(hash.as_bytes())).collect()
}

/// What to purge.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  skerry purge /leaked.pdf --wait
  skerry purge --hash 0123…cdef
  skerry purge --list
  skerry purge --lift 0123…cdef --wait

A purge is of bytes, not of a path: wherever the account shows them they answer 410, in this build and in older ones, and their coded
forms with them. Another account's equal bytes are not touched. With --wait, no edge that was told shows them when it returns.")]
pub(crate) struct Options {
    #[command(flatten)]
    named: Named,
    /// Show purged bytes again; may be given more than once
    #[arg(long, value_name = "HASH", conflicts_with_all = ["paths", "hash"])]
    lift: Vec<Hash>,
    /// List what is purged, and how far each edge is
    #[arg(long, conflicts_with_all = ["paths", "hash", "lift", "wait"])]
    list: bool,
    /// Return when every edge acts by it
    #[arg(long)]
    wait: bool,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    origin: OriginOptions,
}

/// Runs the command.
pub(crate) async fn run(options: Options, environment: &Environment) -> Result<(), Failure> {
    if !options.list && options.named.is_empty() && options.lift.is_empty() {
        return Err(Failure::usage("name a path, --hash, --lift or --list".to_owned()));
    }
    options.named.check()?;
    let client = Client::connect(&options.origin, environment).await?;
    if options.list {
        return list(&client, options.json).await;
    }
    client.announce();
    let hashes =
        |hashes: &[Hash]| hashes.iter().map(|hash| Bytes::copy_from_slice(hash.as_bytes())).collect();
    let changed = match options.lift.is_empty() {
        true => {
            let (paths, hashes) = options.named.into_request();
            let request = wire::PurgeRequest { target: Some(client.target()), paths, hashes };
            client.purging().purge(client.signed(request)).await
        }
        false => {
            let request = wire::LiftRequest { hashes: hashes(&options.lift) };
            client.purging().lift(client.signed(request)).await
        }
    };
    let changed = changed.map_err(|status| client.refused(&status))?.into_inner();
    let is_purge = options.lift.is_empty();
    if !options.json {
        let word = if is_purge { "purged" } else { "lifted" };
        for purge in &changed.purges {
            output::line(format_args!("{word} {}", hash(purge)))?;
        }
    }
    let version = Version { epoch: changed.epoch, revision: changed.revision };
    let edges = if options.wait { client::wait_live(&client, version).await } else { Ok(Vec::new()) };
    if options.json {
        let edges = edges.as_deref().unwrap_or_default();
        output::json(&json!({
            "epoch": changed.epoch,
            "revision": changed.revision,
            "purged": changed.purges.iter().filter(|_| is_purge).map(hash).collect::<Vec<_>>(),
            "lifted": changed.purges.iter().filter(|_| !is_purge).map(hash).collect::<Vec<_>>(),
            "edges": edges.iter().map(LiveEdge::json).collect::<Vec<_>>(),
        }))?;
    }
    client::all_live(&edges?)
}

async fn list(client: &Client, as_json: bool) -> Result<(), Failure> {
    let listed = client.purging().list_purges(client.signed(wire::ListPurgesRequest {})).await;
    let purges = listed.map_err(|status| client.refused(&status))?.into_inner().purges;
    if as_json {
        return output::json(&json!({ "purges": purges.iter().map(shown).collect::<Vec<_>>() }));
    }
    for purge in &purges {
        let count =
            |is_so: fn(&wire::PurgedAtEdge) -> bool| purge.edges.iter().filter(|edge| is_so(edge)).count();
        output::line(format_args!(
            "{}  unreachable on {} and overwritten on {} of {}",
            hash(purge),
            count(|edge| edge.unreachable),
            count(|edge| edge.overwritten),
            match purge.edges.len() {
                1 => "1 edge".to_owned(),
                edges => format!("{edges} edges"),
            },
        ))?;
        for edge in purge.edges.iter().filter(|edge| !edge.unreachable) {
            output::line(format_args!("  {} may still show it", plain(&edge.name)))?;
        }
    }
    output::note(format_args!("{} purged", purges.len()));
    Ok(())
}

fn shown(purge: &wire::Purge) -> Value {
    json!({
        "hash": hash(purge),
        "size": purge.blob.as_ref().map_or(0, |blob| blob.size),
        "purged_at": purge.purged_at,
        "epoch": purge.epoch,
        "revision": purge.revision,
        "edges": purge.edges.iter().map(|edge| json!({
            "name": edge.name,
            "unreachable": edge.unreachable,
            "overwritten": edge.overwritten,
        })).collect::<Vec<_>>(),
    })
}

fn hash(purge: &wire::Purge) -> String {
    let hash = purge.blob.as_ref().and_then(|blob| Hash::try_from(&blob.hash[..]).ok());
    hash.map_or_else(String::new, |hash| hash.to_string())
}
