//! Manifests: which representations each path of a build shows.
//!
//! Only public and protected assets are in a manifest. What is private cannot be asked for, because no edge ever learns its hash.
//! The root also carries what the build declares for the whole site.

use crate::document::{self, DOCUMENT_SIZE_MAX, DocumentError};
use crate::hash::Hash;
use crate::paging::{self, Documents, Paged};
use crate::path::AssetPath;
use crate::rules::{HeaderField, SiteRules, is_field_value};
use crate::slices::BlobId;
use crate::visibility::Visibility;
use crate::wire;
use bytes::Bytes;

/// What one path shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Where it stands.
    pub path: AssetPath,
    /// Public or protected.
    pub visibility: Visibility,
    /// Media type, as it goes into `Content-Type`; visible ASCII and spaces only.
    pub content_type: String,
    /// When this version was made, Unix seconds.
    pub modified: i64,
    /// Coded forms; the first is identity.
    pub representations: Vec<Representation>,
    /// `Cache-Control` of a public asset, where the default is not meant.
    pub cache_control: Option<String>,
    /// Declared with the build.
    pub fields: Vec<HeaderField>,
}

/// What the root of a manifest says.
#[derive(Debug, Clone)]
pub struct Root {
    /// The entries, or where they are.
    pub entries: paging::Root<Entry>,
    /// What the build declares for the whole site.
    pub rules: SiteRules,
}

/// Header fields that one entry may declare at most.
pub const ENTRY_FIELDS_MAX: usize = 32;

/// Content codings that a representation may have; the empty one is identity.
pub const ENCODINGS: [&str; 4] = ["", "br", "zstd", "gzip"];

/// One coded form of an asset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Representation {
    /// Content coding (RFC 9110 §8.4.1), empty for identity.
    pub encoding: String,
    /// Its bytes.
    pub blob: BlobId,
    /// SHA-256 of its bytes, for `Repr-Digest` (RFC 9530).
    pub sha256: [u8; 32],
}

/// The key by which entries are put into pages.
pub fn key(path: &str) -> Hash {
    Hash::of(path.as_bytes())
}

/// Writes the manifest of a build. The same entries give the same bytes, whatever their order.
///
/// # Errors
/// [`DocumentError::Rule`] for a private entry, [`DocumentError::TooLarge`] for one that no edge would read.
pub fn write(entries: &[Entry], rules: &SiteRules) -> Result<Documents, DocumentError> {
    let entries = entries.iter().map(to_wire).collect::<Result<_, _>>()?;
    let mut documents = paging::build::<wire::Manifest>(entries)?;
    if *rules != SiteRules::default() {
        let mut root: wire::Manifest = document::decode(&documents.root)?;
        root.rules = Some(rules.into());
        documents.root = document::encode(&root);
        if documents.root.len() > DOCUMENT_SIZE_MAX {
            return Err(DocumentError::TooLarge { size: documents.root.len() });
        }
    }
    Ok(documents)
}

/// Reads the root of a manifest whose bytes were found right.
///
/// # Errors
/// Any [`DocumentError`].
pub fn read_root(bytes: &[u8]) -> Result<Root, DocumentError> {
    let entries = match paging::read_root::<wire::Manifest>(bytes)? {
        paging::Root::Single(entries) => paging::Root::Single(from_wire(entries)?),
        paging::Root::Pages { bits, pages } => paging::Root::Pages { bits, pages },
    };
    let rules = document::decode::<wire::Manifest>(bytes)?.rules;
    Ok(Root { entries, rules: rules.map(SiteRules::try_from).transpose()?.unwrap_or_default() })
}

/// Reads one page of a manifest whose bytes were found right.
///
/// # Errors
/// Any [`DocumentError`].
pub fn read_page(bytes: &[u8], bits: u32, number: usize) -> Result<Vec<Entry>, DocumentError> {
    from_wire(paging::read_page::<wire::Manifest>(bytes, bits, number)?)
}

/// Whether a media type may go into a header as it is: `field-content` of RFC 9110 §5.5 without `obs-text`, and not empty.
pub fn is_content_type(text: &str) -> bool {
    let visible = |byte: u8| matches!(byte, 0x21..=0x7e);
    !text.is_empty()
        && text.len() <= CONTENT_TYPE_LEN_MAX
        && text.bytes().all(|byte| visible(byte) || byte == b' ')
        && text.bytes().next().is_some_and(visible)
        && text.bytes().last().is_some_and(visible)
}

/// Bytes in a media type at most.
pub const CONTENT_TYPE_LEN_MAX: usize = 255;

impl Paged for wire::Manifest {
    type Entry = wire::ManifestEntry;

    fn assemble(page_bits: u32, pages: Vec<wire::BlobRef>, entries: Vec<Self::Entry>) -> Self {
        Self { page_bits, pages, entries, rules: None }
    }

    fn disassemble(self) -> (u32, Vec<wire::BlobRef>, Vec<Self::Entry>) {
        (self.page_bits, self.pages, self.entries)
    }

    fn key(entry: &Self::Entry) -> Result<Hash, DocumentError> {
        Ok(key(&entry.path))
    }
}

fn to_wire(entry: &Entry) -> Result<wire::ManifestEntry, DocumentError> {
    if !entry.visibility.is_served() {
        return Err(DocumentError::Rule("a private asset is in no manifest"));
    }
    Ok(wire::ManifestEntry {
        path: entry.path.to_string(),
        visibility: wire::Visibility::from(entry.visibility).into(),
        content_type: entry.content_type.clone(),
        modified: entry.modified,
        representations: entry.representations.iter().map(Into::into).collect(),
        cache_control: entry.cache_control.clone().unwrap_or_default(),
        fields: entry.fields.iter().map(Into::into).collect(),
    })
}

impl From<&Representation> for wire::Representation {
    fn from(representation: &Representation) -> Self {
        Self {
            encoding: representation.encoding.clone(),
            blob: Some(representation.blob.into()),
            sha256: Bytes::copy_from_slice(&representation.sha256),
        }
    }
}

fn from_wire(entries: Vec<wire::ManifestEntry>) -> Result<Vec<Entry>, DocumentError> {
    entries.into_iter().map(entry_from_wire).collect()
}

fn entry_from_wire(entry: wire::ManifestEntry) -> Result<Entry, DocumentError> {
    let visibility = Visibility::try_from(entry.visibility)
        .ok()
        .filter(|visibility| visibility.is_served())
        .ok_or(DocumentError::Rule("an entry is public or protected"))?;
    let path = entry.path.parse().map_err(|_| DocumentError::Rule("an entry has a valid path"))?;
    if !is_content_type(&entry.content_type) {
        return Err(DocumentError::Rule("an entry has a media type fit for a header"));
    }
    let representations =
        entry.representations.into_iter().map(representation_from_wire).collect::<Result<Vec<_>, _>>()?;
    if !representations.first().is_some_and(|first| first.encoding.is_empty()) {
        return Err(DocumentError::Rule("an entry's first representation is identity"));
    }
    for (number, representation) in representations.iter().enumerate() {
        let encodings = representations[..number].iter().map(|earlier| earlier.encoding.as_str());
        if !ENCODINGS.contains(&representation.encoding.as_str())
            || encodings.into_iter().any(|earlier| earlier == representation.encoding)
        {
            return Err(DocumentError::Rule("representations have known codings, each once"));
        }
    }
    if !entry.cache_control.is_empty() && !is_field_value(&entry.cache_control) {
        return Err(DocumentError::Rule("a cache-control is fit for a header"));
    }
    if entry.fields.len() > ENTRY_FIELDS_MAX {
        return Err(DocumentError::Rule("an entry declares few header fields"));
    }
    Ok(Entry {
        path,
        visibility,
        content_type: entry.content_type,
        modified: entry.modified,
        representations,
        cache_control: Some(entry.cache_control).filter(|text| !text.is_empty()),
        fields: entry.fields.into_iter().map(HeaderField::try_from).collect::<Result<_, _>>()?,
    })
}

fn representation_from_wire(representation: wire::Representation) -> Result<Representation, DocumentError> {
    let blob = blob_from_wire(representation.blob.as_ref())?;
    let sha256 = sha256_from_wire(&representation.sha256)?;
    Ok(Representation { encoding: representation.encoding, blob, sha256 })
}

pub(crate) fn blob_from_wire(blob: Option<&wire::BlobRef>) -> Result<BlobId, DocumentError> {
    blob.and_then(|blob| BlobId::try_from(blob).ok())
        .ok_or(DocumentError::Rule("a blob is named by hash and size"))
}

pub(crate) fn sha256_from_wire(bytes: &[u8]) -> Result<[u8; 32], DocumentError> {
    bytes.try_into().map_err(|_| DocumentError::Rule("a SHA-256 has 32 bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::paging::{Root, SINGLE_MAX};
    use crate::rules::{Redirect, RedirectStatus};

    fn entry(path: &str) -> Entry {
        Entry {
            path: path.parse().expect("valid"),
            visibility: Visibility::Public,
            content_type: "audio/mpeg".into(),
            modified: 1_700_000_000,
            representations: vec![Representation {
                encoding: String::new(),
                blob: BlobId::of(path.as_bytes()),
                sha256: [7; 32],
            }],
            cache_control: None,
            fields: Vec::new(),
        }
    }

    fn write(entries: &[Entry]) -> Result<Documents, DocumentError> {
        super::write(entries, &SiteRules::default())
    }

    fn entries(count: usize) -> Vec<Entry> {
        (0..count).map(|number| entry(&format!("/file-{number}.mp3"))).collect()
    }

    fn read_all(documents: &Documents) -> Vec<Entry> {
        let mut all = match read_root(&documents.root).expect("own root").entries {
            Root::Single(entries) => entries,
            Root::Pages { bits, pages } => documents
                .pages
                .iter()
                .zip(pages)
                .enumerate()
                .flat_map(|(number, (page, id))| {
                    assert_eq!(BlobId::of(page), id);
                    read_page(page, bits, number).expect("own page")
                })
                .collect(),
        };
        all.sort_by(|a, b| a.path.cmp(&b.path));
        all
    }

    #[test]
    fn manifests_of_every_size_read_back() {
        for count in [0, 1, SINGLE_MAX, SINGLE_MAX + 1, 5000] {
            let mut all = entries(count);
            let documents = write(&all).expect("writes");
            assert_eq!(documents.pages.is_empty(), count <= SINGLE_MAX);
            all.sort_by(|a, b| a.path.cmp(&b.path));
            assert_eq!(read_all(&documents), all);
        }
    }

    #[test]
    fn what_a_build_declares_reads_back_with_and_without_pages() {
        let rules = SiteRules {
            redirects: vec![Redirect {
                from: "/old/*".into(),
                to: "/new/:splat".into(),
                status: RedirectStatus::PermanentRedirect,
            }],
            index: Some("index.html".into()),
            not_found: Some("/404.html".parse().expect("valid")),
        };
        for count in [1, 3000] {
            let mut all = entries(count);
            all[0].cache_control = Some("max-age=60".into());
            all[0].fields = vec![HeaderField::new("X-Frame-Options", "DENY").expect("allowed")];
            all.sort_by(|a, b| a.path.cmp(&b.path));
            let documents = super::write(&all, &rules).expect("writes");
            assert_eq!(read_root(&documents.root).expect("own root").rules, rules);
            assert_eq!(read_all(&documents), all);
        }
    }

    #[test]
    fn the_order_of_entries_does_not_matter() {
        let mut all = entries(50);
        let first = write(&all).expect("writes");
        all.reverse();
        assert_eq!(write(&all).expect("writes").root, first.root);
    }

    #[test]
    fn one_changed_path_moves_the_root_and_one_page() {
        let mut all = entries(5000);
        let before = write(&all).expect("writes");
        all[17].modified += 1;
        let after = write(&all).expect("writes");
        assert_ne!(before.root, after.root);
        let moved = before.pages.iter().zip(&after.pages).filter(|(a, b)| a != b).count();
        assert_eq!(moved, 1);
    }

    #[test]
    fn a_private_asset_is_in_no_manifest() {
        let private = Entry { visibility: Visibility::Private, ..entry("/a") };
        assert!(matches!(write(&[private]), Err(DocumentError::Rule(_))));
    }

    #[test]
    fn entries_that_break_a_rule_are_refused() {
        let good = to_wire(&entry("/a")).expect("valid");
        let breaks: [fn(&mut wire::ManifestEntry); 11] = [
            |entry| entry.path = "a".into(),
            |entry| entry.visibility = wire::Visibility::Private.into(),
            |entry| entry.visibility = 77,
            |entry| entry.content_type = "text/html\r\nx: y".into(),
            |entry| entry.representations.clear(),
            |entry| entry.representations[0].encoding = "br".into(),
            |entry| entry.representations[0].blob = None,
            |entry| entry.representations.push(entry.representations[0].clone()),
            |entry| {
                let compress =
                    wire::Representation { encoding: "compress".into(), ..entry.representations[0].clone() };
                entry.representations.push(compress);
            },
            |entry| entry.cache_control = "no-store\r\nx: y".into(),
            |entry| entry.fields.push(wire::HeaderField { name: "set-cookie".into(), value: "a=b".into() }),
        ];
        for (number, change) in breaks.iter().enumerate() {
            let mut entry = good.clone();
            change(&mut entry);
            let root = document_of(vec![entry]);
            assert!(matches!(read_root(&root), Err(DocumentError::Rule(_))), "case {number}");
        }
    }

    #[test]
    fn an_entry_in_the_wrong_page_is_refused() {
        let documents = write(&entries(3000)).expect("writes");
        let Root::Pages { bits, .. } = read_root(&documents.root).expect("own root").entries else {
            panic!("3000 entries need pages")
        };
        assert!(matches!(read_page(&documents.pages[1], bits, 0), Err(DocumentError::Rule(_))));
    }

    fn document_of(entries: Vec<wire::ManifestEntry>) -> Bytes {
        crate::document::encode(&wire::Manifest { page_bits: 0, pages: Vec::new(), entries, rules: None })
    }
}
