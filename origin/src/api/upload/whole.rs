//! The SHA-256 of a whole request body, made while somebody else reads it.
//!
//! A task passes the pieces on, and hashes them in batches on threads that may compute. It reads to the end of the body also when its
//! reader is content before: a form ends before its last bytes.

use aws_lc_rs::digest::{Context, SHA256};
use axum::body::Body;
use bytes::Bytes;
use futures_util::StreamExt;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_stream::wrappers::ReceiverStream;

/// Pieces between the task and the reader.
const PIECES_AHEAD: usize = 8;

/// Bytes that are gathered before they go to a thread.
const BATCH_SIZE: usize = 1 << 20;

/// Bytes after what the reader wanted at most, and time for each piece of them.
const REST_SIZE_MAX: usize = 64 << 10;
const PIECE_TIME_MAX: Duration = Duration::from_secs(60);

/// The digest to come.
pub(super) struct WholeDigest(JoinHandle<Option<[u8; 32]>>);

impl WholeDigest {
    /// The digest; `None` for a body that did not come whole. To be asked for when the reader of the body is gone.
    pub(super) async fn digest(self) -> Option<[u8; 32]> {
        self.0.await.ok().flatten()
    }
}

/// A body that brings what the given one does, and its digest. The task ends with the body, or with the connection.
pub(super) fn watched(body: Body) -> (Body, WholeDigest) {
    let (tx, rx) = mpsc::channel(PIECES_AHEAD);
    let task = tokio::spawn(follow(body, tx));
    (Body::from_stream(ReceiverStream::new(rx)), WholeDigest(task))
}

async fn follow(body: Body, tx: mpsc::Sender<Result<Bytes, axum::Error>>) -> Option<[u8; 32]> {
    let mut pieces = body.into_data_stream();
    let mut hasher = Context::new(&SHA256);
    let (mut batch, mut batch_size, mut rest_size) = (Vec::new(), 0, 0);
    while let Some(piece) = tokio::time::timeout(PIECE_TIME_MAX, pieces.next()).await.ok()? {
        let piece = match piece {
            Ok(piece) => piece,
            Err(error) => {
                // Whoever reads says so.
                let _ = tx.send(Err(error)).await;
                return None;
            }
        };
        batch_size += piece.len();
        batch.push(piece.clone());
        if tx.send(Ok(piece)).await.is_err() {
            rest_size += batch.last().map_or(0, Bytes::len);
            if rest_size > REST_SIZE_MAX {
                return None;
            }
        }
        if batch_size >= BATCH_SIZE {
            hasher = update(hasher, std::mem::take(&mut batch)).await?;
            batch_size = 0;
        }
    }
    let hasher = update(hasher, batch).await?;
    let mut digest = [0; 32];
    // A SHA-256 has 32 bytes.
    digest.copy_from_slice(hasher.finish().as_ref());
    Some(digest)
}

async fn update(mut hasher: Context, batch: Vec<Bytes>) -> Option<Context> {
    let work = tokio::task::spawn_blocking(move || {
        batch.iter().for_each(|piece| hasher.update(piece));
        hasher
    });
    work.await.ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sha256(bytes: &[u8]) -> [u8; 32] {
        let digest = aws_lc_rs::digest::digest(&SHA256, bytes);
        digest.as_ref().try_into().expect("32 bytes")
    }

    #[tokio::test]
    async fn what_passes_is_hashed_to_its_end_also_where_nobody_reads_on() {
        let content: Vec<u8> = (0..3_000_000_u32).map(|i| (i % 251) as u8).collect();
        let pieces: Vec<Bytes> = content.chunks(10_000).map(Bytes::copy_from_slice).collect();
        let body = || {
            Body::from_stream(futures_util::stream::iter(
                pieces.clone().into_iter().map(Ok::<_, axum::Error>),
            ))
        };
        let (passed, whole) = watched(body());
        assert!(axum::body::to_bytes(passed, usize::MAX).await.expect("whole") == content);
        assert_eq!(whole.digest().await, Some(sha256(&content)));

        let few = Body::from(content[..60_000].to_vec());
        let (unread, whole) = watched(few);
        drop(unread);
        assert_eq!(whole.digest().await, Some(sha256(&content[..60_000])));
        let (unread, whole) = watched(body());
        drop(unread);
        assert_eq!(whole.digest().await, None, "more than a form has after its end");
    }
}
