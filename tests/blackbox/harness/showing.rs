//! Everything that an environment can show, as a test wants it: what a manifest, a history and a pointer can say.

use super::fake_origin::{FakeOrigin, Lie};
use super::origin::Edge;
use aws_lc_rs::digest::{SHA256, digest};
use bytes::Bytes;
use skerry_proto::history;
use skerry_proto::manifest::{Entry, Representation};
use skerry_proto::pointer::{AccessRules, ServingRules};
use skerry_proto::rules::{HeaderField, Redirect, RedirectStatus, SiteRules};
use skerry_proto::slices::BlobId;
use skerry_proto::visibility::Visibility;

/// When every asset was modified, unless a test says otherwise: Sun, 09 Sep 2001 01:46:40 GMT.
const MODIFIED: i64 = 1_000_000_000;

/// What an environment shows.
#[derive(Default)]
pub(crate) struct Showing {
    pub(crate) entries: Vec<Entry>,
    pub(crate) rules: SiteRules,
    pub(crate) history: Vec<history::Entry>,
    pub(crate) access: AccessRules,
    pub(crate) serving: ServingRules,
    pub(crate) modified_floor: i64,
    /// Bytes of all that is named, and how fills of them are answered.
    pub(super) contents: Vec<(Bytes, Lie)>,
}

impl Showing {
    /// An origin that says so of a domain, and an edge that shows it.
    #[track_caller]
    pub(crate) fn at(&self, domain: &str) -> (FakeOrigin, Edge) {
        let origin = FakeOrigin::start();
        origin.show_all(domain, self);
        let edge = Edge::of_fake(&origin);
        (origin, edge)
    }

    /// Adds a public asset; what it returns can be changed.
    pub(crate) fn asset(&mut self, path: &str, content_type: &str, content: &Bytes) -> &mut Entry {
        self.asset_with(path, content_type, content, Lie::Honest)
    }

    /// The same, with a lie about its bytes.
    pub(crate) fn asset_with(
        &mut self,
        path: &str,
        content_type: &str,
        content: &Bytes,
        lie: Lie,
    ) -> &mut Entry {
        self.contents.push((content.clone(), lie));
        self.entries.push(Entry {
            path: path.parse().expect("a path"),
            visibility: Visibility::Public,
            content_type: content_type.into(),
            modified: MODIFIED,
            representations: vec![representation("", content)],
            cache_control: None,
            fields: Vec::new(),
        });
        self.entries.last_mut().expect("just added")
    }

    /// Adds a coded form to the asset that was added last. The edge takes a coding on trust, so any bytes will do.
    pub(crate) fn coded(&mut self, encoding: &str, content: &Bytes) {
        self.contents.push((content.clone(), Lie::Honest));
        let entry = self.entries.last_mut().expect("an asset before its forms");
        entry.representations.push(representation(encoding, content));
    }

    /// Adds bytes that an earlier build showed.
    pub(crate) fn past(&mut self, content_type: &str, encoding: &str, content: &Bytes) {
        self.contents.push((content.clone(), Lie::Honest));
        self.history.push(history::Entry {
            blob: BlobId::of(content),
            content_type: content_type.into(),
            encoding: encoding.into(),
            sha256: sha256(content),
        });
    }

    /// Keeps bytes that a test names itself.
    pub(crate) fn contents_of(&mut self, content: &Bytes) {
        self.contents.push((content.clone(), Lie::Honest));
    }

    /// Adds a redirect after those that are there.
    pub(crate) fn redirect(&mut self, from: &str, to: &str, code: u32) {
        let status = RedirectStatus::from_code(code).expect("a code of redirects");
        self.rules.redirects.push(Redirect { from: from.into(), to: to.into(), status });
    }
}

/// A header field that a build declares.
pub(crate) fn declared(name: &str, value: &str) -> HeaderField {
    HeaderField::new(name, value).expect("the publisher's to set")
}

/// The SHA-256 of some bytes.
pub(crate) fn sha256(content: &[u8]) -> [u8; 32] {
    digest(&SHA256, content).as_ref().try_into().expect("32 bytes")
}

fn representation(encoding: &str, content: &Bytes) -> Representation {
    Representation { encoding: encoding.into(), blob: BlobId::of(content), sha256: sha256(content) }
}
