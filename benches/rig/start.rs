//! Cold start: from spawning `skerry dev` to its line on standard output, which it prints when everything answers.

use crate::options::{Common, Start};
use crate::report::StartReport;
use crate::servers::Skerry;

/// Starts on a new folder once, then on the same folder again and again.
pub(crate) async fn measure(common: &Common, options: &Start) -> anyhow::Result<StartReport> {
    let skerry = Skerry::of(common)?;
    let folder = tempfile::tempdir_in(&common.folder)?;
    let data = folder.path().join("data");

    let first = skerry.dev(&data, folder.path(), &[]).await?;
    let new_folder = first.ready_after;
    first.process.stop().await?;

    let mut existing_folder = Vec::new();
    for _ in 0..options.starts {
        let dev = skerry.dev(&data, folder.path(), &[]).await?;
        existing_folder.push(dev.ready_after);
        dev.process.stop().await?;
    }
    Ok(StartReport { new_folder, existing_folder })
}
