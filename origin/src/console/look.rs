//! What somebody should know of uploaded files before they are published. The rules are in `skerry_proto::inspect`.

use super::Console;
use super::assets::Place;
use super::body::Said;
use crate::api::{Call, Refusal};
use crate::blobs::BlobReader;
use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use serde_json::{Value, json};
use skerry_proto::inspect::{self, Content, Finding, Kind, Unreadable};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Versions that are uploaded, and not live yet.
#[derive(Deserialize)]
pub(super) struct Look {
    #[serde(flatten)]
    place: Place,
    /// One that comes twice is looked at once.
    versions: BTreeSet<String>,
    /// As if they had this one.
    visibility: Option<String>,
}

impl Content for BlobReader {
    fn size(&self) -> u64 {
        self.id().size
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> Result<(), Unreadable> {
        self.bytes_at(offset, into).map_err(|_| Unreadable)
    }
}

/// Looks at each, and at names beside those that are live.
pub(super) async fn look(
    State(console): State<Console>,
    call: Call,
    Said(said): Said<Look>,
) -> Result<Json<Value>, Refusal> {
    let (_, live) = console.api.publisher.list(call.account(), &said.place.into()).await?;
    let mut names: HashMap<String, Vec<String>> = HashMap::new();
    for path in live.iter().map(|version| version.path.as_str()) {
        names.entry(inspect::plain(path)).or_default().push(path.to_owned());
    }
    let mut files = Vec::new();
    for sid in said.versions {
        let version = console.api.catalogue.own_version(call.account(), &sid).await?;
        let mut version = version.ok_or_else(|| Refusal::unknown("asset version"))?;
        if let Some(visibility) = &said.visibility {
            version.visibility.clone_from(visibility);
        }
        names.entry(inspect::plain(&version.path)).or_default().push(version.path.clone());
        files.push((sid, version));
    }
    let mut warnings = BTreeMap::new();
    for (sid, version) in files {
        if version.visibility == "private" {
            continue;
        }
        let reader = console.api.blobs.open_blob(version.blob.id).await?;
        let (path, content_type) = (version.path.clone(), version.content_type);
        let looked =
            tokio::task::spawn_blocking(move || inspect::inspect(&path, &content_type, &reader)).await;
        let mut found = looked.unwrap_or_default();
        let others = names.get(&inspect::plain(&version.path)).into_iter().flatten();
        if let Some(other) = others.into_iter().find(|other| inspect::confusable(&version.path, other)) {
            found.push(Finding { kind: Kind::Name, detail: format!("beside {other}") });
        }
        found.retain(|finding| version.visibility == "public" || !finding.kind.only_public());
        if !found.is_empty() {
            let shown = found.iter().map(|finding| {
                json!({ "kind": finding.kind.as_str(), "detail": finding.detail, "message": finding.to_string() })
            });
            let shown: Vec<Value> = shown.collect();
            warnings.insert(sid, json!({ "path": version.path, "findings": shown }));
        }
    }
    Ok(Json(json!({ "warnings": warnings })))
}
