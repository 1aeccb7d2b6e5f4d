//! Documents with many entries, in memory as they are stored: by page, so that a deployment that changes one page shares the others.

use super::asset::{Asset, Form};
use super::footprint::{Footprint, table, text};
use foldhash::{HashMap, HashMapExt};
use skerry_proto::hash::Hash;
use skerry_proto::manifest::Entry;
use skerry_proto::slices::BlobId;
use skerry_proto::visibility::Visibility;
use skerry_proto::{history, paging};
use std::sync::Arc;

/// The pages of one document.
#[derive(Debug)]
pub(super) struct Pages<P> {
    /// Bits of a page number; 0: one page.
    bits: u32,
    /// Each page with the document it was read from, so that the next pointer need not read it again.
    pages: Vec<(BlobId, Arc<P>)>,
}

impl<P> Default for Pages<P> {
    fn default() -> Self {
        Self { bits: 0, pages: Vec::new() }
    }
}

impl<P> Pages<P> {
    /// So many pages as the bits say, in their order.
    pub(super) fn new(bits: u32, pages: Vec<(BlobId, Arc<P>)>) -> Self {
        Self { bits, pages }
    }

    /// Where an entry with this key stands, if it is there.
    pub(super) fn page(&self, key: impl FnOnce() -> Hash) -> Option<&P> {
        let number = match self.bits {
            0 => 0,
            bits => paging::page_number(&key(), bits),
        };
        self.at(number)
    }

    /// The page of a number, if a document with these bits had it from the same blob.
    pub(super) fn same(&self, bits: u32, number: usize, blob: BlobId) -> Option<&Arc<P>> {
        let (held, page) = self.pages.get(number)?;
        (self.bits == bits && *held == blob).then_some(page)
    }

    fn at(&self, number: usize) -> Option<&P> {
        self.pages.get(number).map(|(_, page)| &**page)
    }
}

/// A page of a manifest.
#[derive(Debug)]
pub(super) struct ManifestPage {
    pub(super) by_path: HashMap<Box<str>, Arc<Asset>>,
    by_hash: HashMap<Hash, Form>,
    footprint: u64,
}

impl ManifestPage {
    /// Of entries that were verified and checked.
    pub(super) fn new(entries: Vec<Entry>) -> Self {
        let by_path = HashMap::with_capacity(entries.len());
        let mut page = Self { by_path, by_hash: HashMap::new(), footprint: 0 };
        for entry in entries {
            let asset = Arc::new(Asset::of_entry(&entry));
            for (position, representation) in asset.representations.iter().enumerate() {
                let hash = representation.blob.hash;
                let is_public = |form: &Form| form.asset().visibility == Visibility::Public;
                // One public path makes the bytes public.
                if !page.by_hash.get(&hash).is_some_and(is_public) {
                    page.by_hash.extend(Form::new(Arc::clone(&asset), position).map(|form| (hash, form)));
                }
            }
            page.footprint += asset.footprint() + text(entry.path.as_str());
            page.by_path.insert(entry.path.as_str().into(), asset);
        }
        page.footprint += table::<Box<str>, Arc<Asset>>(page.by_path.capacity());
        page.footprint += table::<Hash, Form>(page.by_hash.capacity());
        page
    }
}

/// A page of a history.
#[derive(Debug)]
pub(super) struct HistoryPage {
    by_hash: HashMap<Hash, Form>,
    footprint: u64,
}

impl HistoryPage {
    /// Of entries that were verified and checked.
    pub(super) fn new(entries: Vec<history::Entry>) -> Self {
        let form =
            |entry: history::Entry| Some((entry.blob.hash, Form::new(Arc::new(Asset::of_past(&entry)?), 0)?));
        let by_hash: HashMap<Hash, Form> = entries.into_iter().filter_map(form).collect();
        let footprint = by_hash.values().map(|form| form.asset().footprint()).sum::<u64>()
            + table::<Hash, Form>(by_hash.capacity());
        Self { by_hash, footprint }
    }
}

impl Footprint for ManifestPage {
    fn footprint(&self) -> u64 {
        self.footprint
    }
}

impl Footprint for HistoryPage {
    fn footprint(&self) -> u64 {
        self.footprint
    }
}

impl<P: Footprint> Footprint for Pages<P> {
    fn footprint(&self) -> u64 {
        self.pages.iter().map(|(_, page)| page.footprint()).sum()
    }
}

impl Footprint for HashIndex {
    fn footprint(&self) -> u64 {
        size_of_val(&*self.pages) as u64
    }
}

impl Pages<HistoryPage> {
    pub(super) fn find(&self, hash: &Hash) -> Option<&Form> {
        self.page(|| *hash)?.by_hash.get(hash)
    }
}

/// Which pages of a manifest show a hash: pages are cut by path, so a hash may be in any of them.
///
/// Sixteen bytes for each representation, sorted by the first eight of the hash. Made anew for each deployment, which costs some 0.1
/// µs for each representation, so that pages themselves stay shared.
#[derive(Debug, Default)]
pub(super) struct HashIndex {
    pages: Vec<(u64, u32)>,
}

impl HashIndex {
    pub(super) fn new(manifest: &Pages<ManifestPage>) -> Self {
        // A single page is asked itself.
        if manifest.bits == 0 {
            return Self::default();
        }
        let mut pages: Vec<(u64, u32)> = (0_u32..)
            .zip(&manifest.pages)
            .flat_map(|(number, (_, page))| page.by_hash.keys().map(move |hash| (prefix(hash), number)))
            .collect();
        pages.sort_unstable();
        Self { pages }
    }

    /// How a manifest shows a hash, in the pages for which this index was made; in public, if any path does.
    pub(super) fn find<'a>(&self, manifest: &'a Pages<ManifestPage>, hash: &Hash) -> Option<&'a Form> {
        if manifest.bits == 0 {
            return manifest.at(0)?.by_hash.get(hash);
        }
        let prefix = prefix(hash);
        let from = self.pages.partition_point(|(held, _)| *held < prefix);
        let candidates = self.pages.get(from..)?.iter().take_while(|(held, _)| *held == prefix);
        candidates
            .filter_map(|(_, number)| manifest.at(*number as usize)?.by_hash.get(hash))
            .reduce(|one, other| if one.asset().visibility == Visibility::Public { one } else { other })
    }
}

fn prefix(hash: &Hash) -> u64 {
    let [a, b, c, d, e, f, g, h, ..] = *hash.as_bytes();
    u64::from_be_bytes([a, b, c, d, e, f, g, h])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::testing::entry;
    use skerry_proto::manifest;

    fn paged(entries: Vec<Entry>, bits: u32) -> Pages<ManifestPage> {
        let mut parts = vec![Vec::new(); 1 << bits];
        for entry in entries {
            parts[paging::page_number(&manifest::key(entry.path.as_str()), bits.max(1)) % (1 << bits)]
                .push(entry);
        }
        let page = |part| (BlobId::of(b""), Arc::new(ManifestPage::new(part)));
        Pages::new(bits, parts.into_iter().map(page).collect())
    }

    #[test]
    fn a_hash_is_found_in_whatever_page_it_stands() {
        for bits in [0, 1, 4] {
            let all: Vec<Entry> = (0..200).map(|number| entry(&format!("/{number}"), b"same")).collect();
            let mut all = all;
            for (number, one) in all.iter_mut().enumerate() {
                one.representations[0].blob = BlobId::of(&number.to_le_bytes());
            }
            let pages = paged(all, bits);
            let index = HashIndex::new(&pages);
            for number in 0..200_usize {
                let hash = BlobId::of(&number.to_le_bytes()).hash;
                let form = index.find(&pages, &hash).expect("shown");
                assert_eq!(form.representation().blob.hash, hash, "{bits} bits");
            }
            assert!(index.find(&pages, &Hash::of(b"nothing")).is_none());
        }
    }

    #[test]
    fn one_public_path_makes_bytes_public_in_one_page_and_over_several() {
        for bits in [0, 3] {
            let mut all: Vec<Entry> = (0..20).map(|number| entry(&format!("/{number}"), b"same")).collect();
            for one in &mut all {
                one.visibility = Visibility::Protected;
            }
            let pages = paged(all.clone(), bits);
            let hash = BlobId::of(b"same").hash;
            let form = HashIndex::new(&pages).find(&pages, &hash).cloned().expect("shown");
            assert_eq!(form.asset().visibility, Visibility::Protected);
            for public in 0..20 {
                let mut all = all.clone();
                all[public].visibility = Visibility::Public;
                let pages = paged(all, bits);
                let form = HashIndex::new(&pages).find(&pages, &hash).cloned().expect("shown");
                assert_eq!(form.asset().visibility, Visibility::Public, "{public} of {bits} bits");
            }
        }
    }
}
