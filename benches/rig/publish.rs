//! Publishing: many small assets by one `skerry put` up to an edge that shows them, deployments of a large service, and pages of its
//! lists.
//!
//! Everything is `skerry dev`, with its limit on paths raised: origin and edge in one process, over gRPC and TLS as always.

use crate::assets::Random;
use crate::options::{Common, Publish};
use crate::report::PublishReport;
use crate::rest::Rest;
use crate::servers::{self, DevLine, Skerry};
use anyhow::Context;
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

/// Pages of each list that are read.
const PAGES: u64 = 20;

/// Measures everything on one process.
pub(crate) async fn measure(common: &Common, options: &Publish) -> anyhow::Result<PublishReport> {
    let skerry = Skerry::of(common)?;
    let folder = tempfile::tempdir_in(&common.folder)?;
    let limit = "origin.limits.served_count_max=1000000";
    let dev = skerry.dev(&folder.path().join("data"), folder.path(), &[limit]).await?;
    let line = &dev.line;

    let small = folder.path().join("small");
    write_assets(&small, 0, options.assets)?;
    let (put, _) = put(&skerry, line, &small, "/small")?;

    let large = folder.path().join("large");
    write_assets(&large, 1, options.large)?;
    let (put_large, first) = put_build(&skerry, line, &large, "/large")?;
    let more = folder.path().join("more");
    write_assets(&more, 2, 1)?;
    let (put_one, second) = put_build(&skerry, line, &more, "/more")?;

    let mut rest = Rest::open(&line.api, &line.account_sid, &line.auth_token).await?;
    let service = format!("/v1/Services/{}", line.service_sid);
    let deployments = format!("{service}/Environments/{}/Deployments", line.environment_sid);
    let mut deploy = Vec::new();
    for number in 0..options.deployments {
        let build = if number % 2 == 0 { &first } else { &second };
        deploy.push(rest.post(&deployments, format!("BuildSid={build}")).await?.1);
    }
    let mut pages = Vec::new();
    for list in ["Assets", "Builds"] {
        let mut path = Some(format!("{service}/{list}?PageSize=100"));
        for _ in 0..PAGES {
            let Some(url) = path else { break };
            let (page, took) = rest.get(relative(&url)).await?;
            pages.push(took);
            path = page["meta"]["next_page_url"].as_str().map(str::to_owned);
        }
    }
    // The last page, by its number.
    let last = u64::from(options.large) / 100;
    pages.push(rest.get(&format!("{service}/Assets?PageSize=100&Page={last}")).await?.1);
    dev.process.stop().await?;
    Ok(PublishReport { assets: options.assets, put, large: options.large, put_large, put_one, deploy, pages })
}

/// Assets of 1 to 8 KiB, a third of them text.
fn write_assets(folder: &Path, seed: u64, count: u32) -> anyhow::Result<()> {
    fs::create_dir_all(folder)?;
    let mut random = Random::new(seed.wrapping_mul(0x1_0000_0001) + 1);
    for number in 0..count {
        let block = random.block();
        let size = 1024 + usize::from(block[0]) * 28;
        let name = folder.join(format!("{number}.{}", if number % 3 == 0 { "css" } else { "png" }));
        match number % 3 {
            0 => {
                // Half of what random hexadecimal digits are is redundancy.
                let text: String = block.iter().map(|byte| format!("{byte:02x}")).collect();
                fs::write(name, &text.as_bytes()[..size])?;
            }
            _ => fs::write(name, &block[..size])?,
        }
    }
    Ok(())
}

/// Publishes a folder, and waits until the edge shows it: how long that took, and the answer.
fn put(skerry: &Skerry, line: &DevLine, folder: &Path, path: &str) -> anyhow::Result<(Duration, Value)> {
    let command = skerry.put(line, folder, path);
    let began = Instant::now();
    let answer = servers::run(command)?;
    Ok((began.elapsed(), serde_json::from_str(&answer).context("`skerry put --json` prints JSON")?))
}

/// The same, and the build that it made.
fn put_build(
    skerry: &Skerry,
    line: &DevLine,
    folder: &Path,
    path: &str,
) -> anyhow::Result<(Duration, String)> {
    let (took, answer) = put(skerry, line, folder, path)?;
    Ok((took, answer["build_sid"].as_str().context("`skerry put --json` names the build")?.to_owned()))
}

/// A URL of the API without its host.
fn relative(url: &str) -> &str {
    url.find("/v1/").map_or(url, |at| &url[at..])
}
