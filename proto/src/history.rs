//! Histories: the hashes that content-addressed URLs of an environment may show, beside those of the live build.

use crate::document::DocumentError;
use crate::hash::Hash;
use crate::manifest::{blob_from_wire, is_content_type, sha256_from_wire};
use crate::paging::{self, Documents, Paged, Root};
use crate::slices::BlobId;
use crate::wire;
use bytes::Bytes;

/// One public hash and how it was served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The bytes.
    pub blob: BlobId,
    /// Media type, as it goes into `Content-Type`.
    pub content_type: String,
    /// Content coding (RFC 9110 §8.4.1), empty for identity.
    pub encoding: String,
    /// SHA-256 of the bytes.
    pub sha256: [u8; 32],
}

/// Writes a history. The same entries give the same bytes, whatever their order.
///
/// # Errors
/// [`DocumentError::TooLarge`] for one that no edge would read.
pub fn write(entries: &[Entry]) -> Result<Documents, DocumentError> {
    let entries = entries
        .iter()
        .map(|entry| wire::HistoryEntry {
            blob: Some(entry.blob.into()),
            content_type: entry.content_type.clone(),
            encoding: entry.encoding.clone(),
            sha256: Bytes::copy_from_slice(&entry.sha256),
        })
        .collect();
    paging::build::<wire::History>(entries)
}

/// Reads the root of a history whose bytes were found right.
///
/// # Errors
/// Any [`DocumentError`].
pub fn read_root(bytes: &[u8]) -> Result<Root<Entry>, DocumentError> {
    Ok(match paging::read_root::<wire::History>(bytes)? {
        Root::Single(entries) => Root::Single(from_wire(entries)?),
        Root::Pages { bits, pages } => Root::Pages { bits, pages },
    })
}

/// Reads one page of a history whose bytes were found right.
///
/// # Errors
/// Any [`DocumentError`].
pub fn read_page(bytes: &[u8], bits: u32, number: usize) -> Result<Vec<Entry>, DocumentError> {
    from_wire(paging::read_page::<wire::History>(bytes, bits, number)?)
}

impl Paged for wire::History {
    type Entry = wire::HistoryEntry;

    fn assemble(page_bits: u32, pages: Vec<wire::BlobRef>, entries: Vec<Self::Entry>) -> Self {
        Self { page_bits, pages, entries }
    }

    fn disassemble(self) -> (u32, Vec<wire::BlobRef>, Vec<Self::Entry>) {
        (self.page_bits, self.pages, self.entries)
    }

    fn key(entry: &Self::Entry) -> Result<Hash, DocumentError> {
        Ok(blob_from_wire(entry.blob.as_ref())?.hash)
    }
}

fn from_wire(entries: Vec<wire::HistoryEntry>) -> Result<Vec<Entry>, DocumentError> {
    entries
        .into_iter()
        .map(|entry| {
            if !is_content_type(&entry.content_type) {
                return Err(DocumentError::Rule("an entry has a media type fit for a header"));
            }
            Ok(Entry {
                blob: blob_from_wire(entry.blob.as_ref())?,
                content_type: entry.content_type,
                encoding: entry.encoding,
                sha256: sha256_from_wire(&entry.sha256)?,
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn histories_of_every_size_read_back() {
        for count in [0_usize, 1, 2000] {
            let entries: Vec<Entry> = (0..count)
                .map(|number| Entry {
                    blob: BlobId::of(&number.to_le_bytes()),
                    content_type: "image/png".into(),
                    encoding: String::new(),
                    sha256: [1; 32],
                })
                .collect();
            let documents = write(&entries).expect("writes");
            let found = match read_root(&documents.root).expect("own root") {
                Root::Single(entries) => entries.len(),
                Root::Pages { bits, .. } => (documents.pages.iter().enumerate())
                    .map(|(number, page)| read_page(page, bits, number).expect("own page").len())
                    .sum(),
            };
            assert_eq!(found, count);
        }
    }
}
