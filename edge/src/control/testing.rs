//! Environments made by hand, for tests.

use super::environment::{Environment, Pages, page};
use skerry_proto::manifest::{Entry, Representation};
use skerry_proto::pointer::{AccessRules, Pointer, ServingRules, Version};
use skerry_proto::slices::BlobId;
use skerry_proto::visibility::Visibility;
use std::sync::Arc;

/// An environment with public assets: path, content type, bytes.
pub(crate) fn environment(domain: &str, access: AccessRules, assets: &[(&str, &str, BlobId)]) -> Environment {
    let pointer = Pointer {
        cluster_id: [1; 16],
        version: Version { epoch: 1, revision: 1 },
        domain: domain.to_owned(),
        account_sid: "AC0123".to_owned(),
        environment_sid: "ZE0123".to_owned(),
        manifest: None,
        history: None,
        access,
        serving: ServingRules::default(),
        modified_floor: 0,
        issued_at: 0,
        url_keys: Vec::new(),
    };
    let entries = assets.iter().map(|(path, content_type, blob)| Entry {
        path: path.parse().expect("a valid path"),
        visibility: Visibility::Public,
        content_type: (*content_type).to_owned(),
        modified: 1_700_000_000,
        representations: vec![Representation { encoding: String::new(), blob: *blob, sha256: [0; 32] }],
        cache_control: None,
        fields: Vec::new(),
    });
    let pages = Pages { bits: 0, pages: vec![(BlobId::of(b""), Arc::new(page(entries.collect())))] };
    Environment::new(&pointer, pages)
}
