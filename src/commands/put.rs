//! `skerry put`: files and folders become one build, which goes live.

use crate::client::{
    self, Client, LiveEdge, NamingRule, OriginOptions, Plan, PlannedFile, Progress, Published,
    PublishedAsset, Sending, WarmEdge, WarmOption, Warning,
};
use crate::environment::Environment;
use crate::failure::Failure;
use crate::output::{self, plain};
use clap::builder::{OsStringValueParser, TypedValueParser};
use serde_json::{Value, json};
use skerry_proto::visibility::Visibility;
use std::path::PathBuf;

/// What to publish, and how.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  skerry put hello.mp3
  skerry put site/ --wait
  skerry put hello.mp3 --path /sounds/hi.mp3 --visibility private

All files of one put go live together, or none does. Bytes that the account has at the origin already are not sent
again; --resend mends a blob that was damaged there. In folders, dot files are skipped (and listed) unless --hidden. A file
name with .private. or .protected. in it, such as keys.private.json, sets that visibility and loses the mark: /keys.json.")]
pub(crate) struct Options {
    /// Files and folders
    // Not the parser of paths, which takes an empty name for a missing one.
    #[arg(required = true, value_name = "FILE|DIR", value_parser = OsStringValueParser::new().map(PathBuf::from))]
    files: Vec<PathBuf>,
    /// Path to publish a file at, or a folder under [default: / and the name]
    #[arg(long, value_name = "PATH")]
    path: Option<String>,
    /// Who may have it, where the file name does not say [default: public]
    #[arg(long, value_enum)]
    visibility: Option<VisibilityOption>,
    /// Media type of all files [default: by extension, else by content]
    #[arg(long, value_name = "TYPE")]
    content_type: Option<String>,
    /// Take dot files in folders along
    #[arg(long)]
    hidden: bool,
    /// Let what is private become public
    #[arg(long)]
    yes: bool,
    /// Send every byte, also of files that the origin has already
    #[arg(long)]
    resend: bool,
    #[command(flatten)]
    warm: WarmOption,
    /// Return when every edge shows it
    #[arg(long)]
    wait: bool,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    origin: OriginOptions,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum VisibilityOption {
    /// Anyone with the URL
    Public,
    /// Signed requests only
    Protected,
    /// Never served; bundled for functions
    Private,
}

impl From<VisibilityOption> for Visibility {
    fn from(option: VisibilityOption) -> Self {
        match option {
            VisibilityOption::Public => Self::Public,
            VisibilityOption::Protected => Self::Protected,
            VisibilityOption::Private => Self::Private,
        }
    }
}

/// Runs the command.
pub(crate) async fn run(options: Options, environment: &Environment) -> Result<(), Failure> {
    let plan = planned(&options).await?;
    for skipped in &plan.skipped {
        output::note(format_args!("skipped {} (--hidden takes it along)", plain(&skipped.to_string_lossy())));
    }
    if plan.files.is_empty() {
        return Err(
            Failure::new("nothing to publish: only dot files were found").hint("--hidden takes them along")
        );
    }
    let client = Client::connect(&options.origin, environment).await?;
    client.announce();
    let now_public = client::check(&client, &plan.files).await?;
    if !now_public.is_empty() && !options.yes {
        let message = format!(
            "nothing was sent: these are private now and would become public:\n  {}",
            now_public.iter().map(|path| plain(path)).collect::<Vec<_>>().join("\n  ")
        );
        return Err(Failure::new(message).hint("if that is meant, say --yes"));
    }
    let warnings = warned(&client, &plan.files).await?;
    let progress = Progress::new(plan.files.iter().map(|file| file.size).sum(), environment);
    let sending = if options.resend { Sending::Everything } else { Sending::Missing };
    let published = client::publish(&client, plan.files, sending, &progress, options.warm).await;
    progress.finish();
    let published = published?;
    note_reused(&published);
    if !options.json {
        print(&client, &published)?;
    }
    let edges = if options.wait {
        client::wait_live(&client, client::version(&published.commit)).await
    } else {
        Ok(Vec::new())
    };
    if options.json {
        output::json(&as_json(&published, edges.as_deref().unwrap_or_default(), &warnings))?;
    }
    client::all_live(&edges?)
}

/// Says what somebody should know of the files before they are published. They are published all the same: whoever scripts this cannot
/// be asked.
async fn warned(client: &Client, files: &[PlannedFile]) -> Result<Vec<Warning>, Failure> {
    let listed = client.list(client.target()).await?;
    let live: Vec<String> = listed.assets.into_iter().map(|asset| asset.path).collect();
    let files = files.to_vec();
    let looked = tokio::task::spawn_blocking(move || client::look(&files, &live)).await;
    let warnings = looked.map_err(|_| Failure::new("looking into the files ended unexpectedly"))?;
    for Warning { path, finding } in &warnings {
        output::note(format_args!("warning: {}: {}", plain(path), plain(&finding.to_string())));
    }
    Ok(warnings)
}

async fn planned(options: &Options) -> Result<Plan, Failure> {
    let rule = NamingRule {
        path: options.path.clone(),
        visibility: options.visibility.map(Visibility::from),
        content_type: options.content_type.clone(),
        hidden: options.hidden,
    };
    let inputs = options.files.clone();
    let planned = tokio::task::spawn_blocking(move || client::plan(&inputs, &rule)).await;
    planned.map_err(|_| Failure::new("looking at the files ended unexpectedly"))?.map_err(Failure::new)
}

/// Says what was not sent, so that nobody wonders why it was quick.
fn note_reused(published: &Published) {
    let reused: Vec<u64> =
        published.assets.iter().filter(|asset| !asset.is_sent).map(|asset| asset.size).collect();
    if !reused.is_empty() {
        output::note(format_args!(
            "{} of {} files were at the origin already; {} bytes were not sent",
            reused.len(),
            published.assets.len(),
            reused.iter().sum::<u64>()
        ));
    }
}

fn print(client: &Client, published: &Published) -> Result<(), Failure> {
    // A name under localhost is not resolved everywhere; the address of a development server works as it is, but shows one
    // environment only.
    let site = client.place().dev_site.as_ref().filter(|site| site.domain == published.commit.domain);
    for asset in &published.assets {
        let Some(url) = published.url(asset) else {
            output::line(format_args!("{} (private: no URL)", plain(asset.file.path.as_str())))?;
            continue;
        };
        output::line(url)?;
        if let Some(site) = site {
            output::line(format_args!("{}{}", site.https, asset.file.path.to_url_path()))?;
        }
    }
    Ok(())
}

fn as_json(published: &Published, edges: &[LiveEdge], warnings: &[Warning]) -> Value {
    let asset = |asset: &PublishedAsset| {
        json!({
            "path": asset.file.path.as_str(),
            "visibility": asset.file.visibility.as_str(),
            "url": published.url(asset),
            "hash": asset.hash.to_string(),
            "size": asset.size,
            "version_sid": asset.version_sid,
            "sent": asset.is_sent,
        })
    };
    json!({
        "build_sid": published.commit.build_sid,
        "deployment_sid": published.commit.deployment_sid,
        "environment_sid": published.commit.environment_sid,
        "epoch": published.commit.epoch,
        "revision": published.commit.revision,
        "domain_name": published.commit.domain,
        "assets": published.assets.iter().map(asset).collect::<Vec<_>>(),
        "warm": published.warm.iter().map(WarmEdge::json).collect::<Vec<_>>(),
        "edges": edges.iter().map(LiveEdge::json).collect::<Vec<_>>(),
        "warnings": warnings.iter().map(Warning::json).collect::<Vec<_>>(),
    })
}
