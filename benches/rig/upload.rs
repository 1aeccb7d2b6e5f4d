//! Uploads: `skerry put` of 100 MB beside writing and fsyncing the same bytes, in turn, on one file system.
//!
//! Every round has bytes of its own, since equal bytes are stored once. The file to upload is in the page cache in both cases.

use crate::assets::{Random, Size};
use crate::options::{Common, Upload};
use crate::report::UploadReport;
use crate::servers::{self, Skerry};
use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::time::{Duration, Instant};

/// The largest asset that the default limits take.
const SIZE: u64 = Size::Mib100.bytes();

/// How much a plain program writes at once.
const WRITE_SIZE: usize = 1 << 20;

/// Measures uploads and plain writes, one after the other.
pub(crate) async fn measure(common: &Common, options: &Upload) -> anyhow::Result<UploadReport> {
    let skerry = Skerry::of(common)?;
    let folder = tempfile::tempdir_in(&common.folder)?;
    let dev = skerry.dev(&folder.path().join("data"), folder.path(), &[]).await?;
    let mut report = UploadReport { size: SIZE, put: Vec::new(), plain_write: Vec::new() };
    for round in 0..options.uploads {
        let bytes = random_bytes(u64::from(round));
        let source = folder.path().join("upload.bin");
        // Its own fsync, so that the disk is not still busy with it when the clock runs.
        write_and_sync(&source, &bytes)?;

        report.plain_write.push(write_and_sync(&folder.path().join("plain.bin"), &bytes)?);

        // Whether an edge shows it is another question; the upload is acknowledged when it is durable and published.
        let command = skerry.put_without_wait(&dev.line, &source, "/upload.bin");
        let began = Instant::now();
        servers::run(command)?;
        report.put.push(began.elapsed());
    }
    dev.process.stop().await?;
    Ok(report)
}

fn random_bytes(seed: u64) -> Vec<u8> {
    let mut random = Random::new(seed.wrapping_mul(SIZE));
    let mut bytes = Vec::with_capacity(SIZE as usize);
    while bytes.len() < SIZE as usize {
        bytes.extend_from_slice(&random.block());
    }
    bytes.truncate(SIZE as usize);
    bytes
}

/// Writes a new file and makes it durable.
fn write_and_sync(path: &Path, bytes: &[u8]) -> io::Result<Duration> {
    // A file that is overwritten needs no new blocks; each is to be new, as an upload is.
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let began = Instant::now();
    let mut file = File::create(path)?;
    bytes.chunks(WRITE_SIZE).try_for_each(|part| file.write_all(part))?;
    file.sync_all()?;
    Ok(began.elapsed())
}
