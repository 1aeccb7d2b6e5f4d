//! Environments made by hand, for tests.

use super::environment::Environment;
use skerry_proto::history;
use skerry_proto::manifest::{Entry, Representation};
use skerry_proto::pointer::{Pointer, Version};
use skerry_proto::rules::SiteRules;
use skerry_proto::slices::BlobId;
use skerry_proto::visibility::Visibility;

/// What an environment is made of: nothing yet but its pointer.
pub(crate) struct Sketch {
    pub(crate) pointer: Pointer,
    pub(crate) entries: Vec<Entry>,
    pub(crate) rules: SiteRules,
    pub(crate) history: Vec<history::Entry>,
}

impl Sketch {
    pub(crate) fn new(domain: &str) -> Self {
        let pointer = Pointer {
            cluster_id: [1; 16],
            version: Version { epoch: 1, revision: 1 },
            domain: domain.to_owned(),
            account_sid: "AC0123".to_owned(),
            environment_sid: "ZE0123".to_owned(),
            ..Pointer::default()
        };
        Self { pointer, entries: Vec::new(), rules: SiteRules::default(), history: Vec::new() }
    }

    pub(crate) fn environment(self) -> Environment {
        Environment::of_entries(&self.pointer, self.entries, self.rules, self.history)
    }
}

/// A public text of these bytes, of a day in 2023.
pub(crate) fn entry(path: &str, bytes: &[u8]) -> Entry {
    Entry {
        path: path.parse().expect("a valid path"),
        visibility: Visibility::Public,
        content_type: "text/plain".to_owned(),
        modified: 1_700_000_000,
        representations: vec![representation("", BlobId::of(bytes))],
        cache_control: None,
        fields: Vec::new(),
    }
}

/// A coded form, with a digest of zeros.
pub(crate) fn representation(encoding: &str, blob: BlobId) -> Representation {
    Representation { encoding: encoding.to_owned(), blob, sha256: [0; 32] }
}
