//! What an account has revoked: blobs that no edge may show, pass on or fill, though a manifest or a history names them.

use crate::document::{self, DocumentError};
use crate::manifest::blob_from_wire;
use crate::slices::BlobId;
use crate::wire;
use bytes::Bytes;

/// Blobs in the document at most: half a megabyte, which every edge of the account's environments holds.
pub const PURGED_MAX: usize = 10_000;

/// Writes the document. The same blobs give the same bytes, whatever their order.
pub fn write(mut blobs: Vec<BlobId>) -> Bytes {
    blobs.sort_by_key(|blob| blob.hash);
    blobs.dedup();
    document::encode(&wire::Purged { blobs: blobs.into_iter().map(Into::into).collect() })
}

/// Reads a document whose bytes were found right.
///
/// # Errors
/// Any [`DocumentError`].
pub fn read(bytes: &[u8]) -> Result<Vec<BlobId>, DocumentError> {
    let document: wire::Purged = document::decode(bytes)?;
    if document.blobs.len() > PURGED_MAX {
        return Err(DocumentError::Rule("an account has revoked at most ten thousand blobs"));
    }
    document.blobs.iter().map(|blob| blob_from_wire(Some(blob))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_revoked_reads_back_in_order_and_once() {
        let (a, b) = (BlobId::of(b"a"), BlobId::of(b"b"));
        let mut expected = vec![a, b];
        expected.sort_by_key(|blob| blob.hash);
        assert_eq!(read(&write(vec![b, a, b])), Ok(expected));
        assert_eq!(write(vec![a, b]), write(vec![b, a]));
        assert_eq!(read(&write(Vec::new())), Ok(Vec::new()));
    }

    #[test]
    fn too_many_are_refused() {
        let many = (0..=PURGED_MAX as u64).map(|number| BlobId { size: number, ..BlobId::of(b"a") });
        let document = document::encode(&wire::Purged { blobs: many.map(Into::into).collect() });
        assert!(matches!(read(&document), Err(DocumentError::Rule(_))));
    }
}
