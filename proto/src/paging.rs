//! How a document with many entries is cut into pages.
//!
//! Up to [`SINGLE_MAX`] entries stand in one document. A larger one is a root that names pages; an entry stands in the page whose
//! number is the first bits of its key. A deployment that changes one entry of a large manifest so moves a root and one page, and
//! whoever holds the other pages already need not fetch them.

use crate::document::{self, DocumentError};
use crate::hash::Hash;
use crate::slices::BlobId;
use crate::wire;
use bytes::Bytes;
use prost::Message;

/// Entries in a document without pages at most.
pub const SINGLE_MAX: usize = 1024;

/// Entries in a page on average at most: keys are hashes, so pages stay far from the size limit of a document.
const PAGE_MEAN_MAX: usize = 512;

/// Bits of a page number at most: 65,536 pages, a root of 3 MB.
const PAGE_BITS_MAX: u32 = 16;

/// A kind of document that is cut into pages.
pub trait Paged: Message + Default {
    /// One entry.
    type Entry: Clone;

    /// Puts a document together.
    fn assemble(page_bits: u32, pages: Vec<wire::BlobRef>, entries: Vec<Self::Entry>) -> Self;

    /// Takes a document apart: bits, pages, entries.
    fn disassemble(self) -> (u32, Vec<wire::BlobRef>, Vec<Self::Entry>);

    /// What decides the page of an entry, and the order in it.
    fn key(entry: &Self::Entry) -> Result<Hash, DocumentError>;
}

/// The documents that hold a set of entries.
#[derive(Debug, Clone)]
pub struct Documents {
    /// The document that the pointer names.
    pub root: Bytes,
    /// The pages that the root names, in its order; none where the root holds all entries.
    pub pages: Vec<Bytes>,
}

/// What a root says.
#[derive(Debug, Clone)]
pub enum Root<E> {
    /// All entries.
    Single(Vec<E>),
    /// Where the entries are.
    Pages {
        /// Bits of a page number; the number of pages is two to this power.
        bits: u32,
        /// The page documents, by number.
        pages: Vec<BlobId>,
    },
}

/// Number of the page in which an entry with this key stands.
pub fn page_number(key: &Hash, bits: u32) -> usize {
    let [first, second, ..] = *key.as_bytes();
    let word = u32::from(u16::from_be_bytes([first, second]));
    (word >> (16 - bits.min(PAGE_BITS_MAX))) as usize
}

/// Cuts entries into documents. The same entries, in any order, give the same bytes.
///
/// # Errors
/// [`DocumentError::Rule`] when an entry has no key, [`DocumentError::TooLarge`] when a document would not be read back.
pub fn build<D: Paged>(entries: Vec<D::Entry>) -> Result<Documents, DocumentError> {
    let mut keyed = entries
        .into_iter()
        .map(|entry| Ok((D::key(&entry)?, entry)))
        .collect::<Result<Vec<_>, DocumentError>>()?;
    keyed.sort_by_key(|(key, _)| *key);

    let bits = page_bits(keyed.len());
    if bits == 0 {
        let entries = keyed.into_iter().map(|(_, entry)| entry).collect();
        let root = sized(document::encode(&D::assemble(0, Vec::new(), entries)))?;
        return Ok(Documents { root, pages: Vec::new() });
    }

    let mut parts = vec![Vec::new(); 1 << bits];
    for (key, entry) in keyed {
        parts[page_number(&key, bits)].push(entry);
    }
    let pages = parts
        .into_iter()
        .map(|part| sized(document::encode(&D::assemble(bits, Vec::new(), part))))
        .collect::<Result<Vec<_>, _>>()?;
    let names = pages.iter().map(|page| BlobId::of(page).into()).collect();
    let root = sized(document::encode(&D::assemble(bits, names, Vec::new())))?;
    Ok(Documents { root, pages })
}

/// Reads a root whose bytes were found right.
///
/// # Errors
/// Those of [`document::decode`], and [`DocumentError::Rule`] when it names pages that cannot be.
pub fn read_root<D: Paged>(bytes: &[u8]) -> Result<Root<D::Entry>, DocumentError> {
    let (bits, pages, entries) = document::decode::<D>(bytes)?.disassemble();
    if bits == 0 && pages.is_empty() {
        return Ok(Root::Single(entries));
    }
    if bits == 0 || bits > PAGE_BITS_MAX || pages.len() != 1 << bits || !entries.is_empty() {
        return Err(DocumentError::Rule("a root has two to the power of its bits pages and no entries"));
    }
    let pages = pages
        .iter()
        .map(BlobId::try_from)
        .collect::<Result<_, _>>()
        .map_err(|_| DocumentError::Rule("a page is named by hash and size"))?;
    Ok(Root::Pages { bits, pages })
}

/// Reads page `number` of a root with `bits`, whose bytes were found right.
///
/// # Errors
/// Those of [`document::decode`], and [`DocumentError::Rule`] when an entry stands in the wrong page.
pub fn read_page<D: Paged>(bytes: &[u8], bits: u32, number: usize) -> Result<Vec<D::Entry>, DocumentError> {
    let (found, pages, entries) = document::decode::<D>(bytes)?.disassemble();
    if found != bits || !pages.is_empty() {
        return Err(DocumentError::Rule("a page has the bits of its root and no pages"));
    }
    for entry in &entries {
        if page_number(&D::key(entry)?, bits) != number {
            return Err(DocumentError::Rule("an entry stands in the page of its key"));
        }
    }
    Ok(entries)
}

fn page_bits(count: usize) -> u32 {
    if count <= SINGLE_MAX {
        return 0;
    }
    count.div_ceil(PAGE_MEAN_MAX).next_power_of_two().trailing_zeros().min(PAGE_BITS_MAX)
}

fn sized(bytes: Bytes) -> Result<Bytes, DocumentError> {
    match bytes.len() {
        size if size > document::DOCUMENT_SIZE_MAX => Err(DocumentError::TooLarge { size }),
        _ => Ok(bytes),
    }
}
