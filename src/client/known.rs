//! What need not be sent: bytes that the account has at the origin already.
//!
//! Files are hashed before anything is sent. Their hashes go along with the uploads, too, so that the origin keeps no other bytes than
//! those that were looked at here.

use super::publish::fill;
use super::{Client, Content, PlannedFile};
use crate::failure::Failure;
use skerry_proto::slices::{BlobId, SLICE_SIZE, SliceHasher};
use skerry_proto::wire;
use std::fs::File;
use std::io;

/// Assets of one question at most; the origin takes no more.
const ASSETS_MAX: usize = 1000;

/// Hashes all files, in their order.
///
/// # Errors
/// What cannot be read, or has another size than when it was planned.
pub(super) async fn hash_all(files: &[PlannedFile]) -> Result<Vec<BlobId>, Failure> {
    let files: Vec<_> = files.iter().map(|file| (file.content.clone(), file.size)).collect();
    let hashing = tokio::task::spawn_blocking(move || {
        files.iter().map(|(content, size)| hash(content, *size)).collect()
    });
    hashing.await.map_err(|_| Failure::new("hashing the files ended unexpectedly"))?
}

fn hash(content: &Content, size: u64) -> Result<BlobId, Failure> {
    match content {
        Content::Bytes(bytes) => Ok(BlobId::of(bytes)),
        Content::File(path) => {
            let hashed = File::open(path).and_then(|file| hash_file(file, size));
            hashed.map_err(|error| Failure::new(format!("cannot read {}: {error}", path.display())))
        }
    }
}

fn hash_file(mut file: File, size: u64) -> io::Result<BlobId> {
    let (mut hasher, mut buffer) = (SliceHasher::new(), vec![0; SLICE_SIZE]);
    let mut read = 0;
    loop {
        let len = fill(&mut file, &mut buffer)?;
        read += len as u64;
        if read > size || (len < buffer.len() && read < size) {
            return Err(io::Error::other("it changed while it was being looked at; put it again"));
        }
        hasher.update(buffer.get(..len).unwrap_or_default());
        if len < buffer.len() {
            return Ok(hasher.finish().id);
        }
    }
}

/// Makes versions of what the account has at the origin already: the SID of each, or `None` for what has to be sent.
///
/// # Errors
/// The origin's refusal.
pub(super) async fn reuse(
    client: &Client,
    files: &[PlannedFile],
    blobs: &[BlobId],
) -> Result<Vec<Option<String>>, Failure> {
    let assets: Vec<_> = files.iter().zip(blobs).map(|(file, blob)| asset(file, *blob)).collect();
    let mut reused = Vec::with_capacity(assets.len());
    for assets in assets.chunks(ASSETS_MAX) {
        let request = wire::ReuseRequest { target: Some(client.target()), assets: assets.to_vec() };
        let answer = client.publishing().reuse(client.signed(request)).await;
        let answer = answer.map_err(|status| client.refused(&status))?.into_inner().assets;
        let versions = answer.into_iter().map(|asset| asset.version_sid);
        let answers = versions.map(|version| Some(version).filter(|version| !version.is_empty()));
        // An answer that is too short speaks of no more than it does.
        reused.extend(answers.chain(std::iter::repeat(None)).take(assets.len()));
    }
    Ok(reused)
}

fn asset(file: &PlannedFile, blob: BlobId) -> wire::KnownAsset {
    wire::KnownAsset {
        path: file.path.as_str().to_owned(),
        visibility: wire::Visibility::from(file.visibility).into(),
        content_type: file.content_type.clone(),
        blob: Some(blob.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn a_file_has_the_hash_of_its_bytes_unless_it_changed() {
        let folder = tempfile::tempdir().expect("temp");
        for size in [0, 1, SLICE_SIZE - 1, SLICE_SIZE, 3 * SLICE_SIZE + 5] {
            let bytes: Vec<u8> = (0..size).map(|i| (i % 251) as u8).collect();
            let path = folder.path().join(size.to_string());
            File::create(&path).and_then(|mut file| file.write_all(&bytes)).expect("writes");
            let hashed =
                |size| hash(&Content::File(path.clone()), size).map_err(|failure| failure.to_string());
            assert_eq!(hashed(size as u64), Ok(BlobId::of(&bytes)));
            for other in
                [size as u64 + 1, (size as u64).wrapping_sub(1)].into_iter().filter(|size| *size < 1 << 40)
            {
                assert!(hashed(other).expect_err("changed").contains("put it again"), "{size} {other}");
            }
        }
    }
}
