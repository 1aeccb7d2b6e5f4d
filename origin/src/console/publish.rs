//! Changes of what is live: checked before any byte is sent, made in one step, with what somebody was warned of in the audit log.

use super::Console;
use super::assets::Place;
use super::body::Said;
use crate::api::{Call, Refusal};
use crate::publish::{Changes, Deployed, Planned, Target, unix_seconds};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};
use skerry_proto::visibility::Visibility;
use std::collections::HashSet;
use std::time::SystemTime;

/// Characters of a note in the audit log at most.
const NOTE_CHARS_MAX: usize = 500;

/// Files that somebody chose.
#[derive(Deserialize)]
pub(super) struct Check {
    #[serde(flatten)]
    place: Place,
    assets: Vec<CheckedFile>,
}

#[derive(Deserialize)]
struct CheckedFile {
    path: String,
    visibility: String,
    size: u64,
}

/// Whether all of them could be published: refused as a whole, with every reason, before anything is sent.
pub(super) async fn check(
    State(console): State<Console>,
    call: Call,
    Said(said): Said<Check>,
) -> Result<Json<Value>, Refusal> {
    let planned: Vec<Planned> = said
        .assets
        .into_iter()
        .map(|file| Planned { visibility: file.visibility.parse().ok(), path: file.path, size: file.size })
        .collect();
    let now_public = console.api.publisher.check(call.account(), &said.place.into(), &planned).await?;
    Ok(Json(json!({ "now_public": now_public })))
}

/// What is to change.
#[derive(Deserialize)]
pub(super) struct Publish {
    #[serde(flatten)]
    place: Place,
    /// Uploaded versions that come, or come back.
    #[serde(default)]
    versions: Vec<String>,
    /// Paths that go.
    #[serde(default)]
    removed: Vec<String>,
    /// What somebody was warned of, and chose to publish.
    #[serde(default)]
    accepted: Vec<Accepted>,
}

#[derive(Deserialize)]
struct Accepted {
    version_sid: String,
    warnings: Vec<String>,
}

/// Makes a build of what is live with these changes, and deploys it.
pub(super) async fn publish(
    State(console): State<Console>,
    call: Call,
    Said(said): Said<Publish>,
) -> Result<Json<Value>, Refusal> {
    // Only of what is published by this call: anything else would be a note about nothing.
    let coming: HashSet<&String> = said.versions.iter().collect();
    let accepted = said.accepted.into_iter().filter(|accepted| coming.contains(&accepted.version_sid));
    let accepted = accepted.filter_map(|accepted| accepted.note(IN_SPITE)).collect();
    note(&console, &call, accepted).await?;
    let target: Target = said.place.into();
    let changes = Changes { versions: said.versions, removed_paths: said.removed };
    let deployed = commit(&console, &call, &target, changes).await?;
    Ok(Json(show(&console, deployed)))
}

/// What somebody was warned of, and chose not to publish.
#[derive(Deserialize)]
pub(super) struct Decline {
    declined: Vec<Accepted>,
}

/// Notes that choice.
pub(super) async fn decline(
    State(console): State<Console>,
    call: Call,
    Said(said): Said<Decline>,
) -> Result<StatusCode, Refusal> {
    let mut notes = Vec::new();
    for declined in said.declined {
        // Somebody else's version is none to take notes of.
        let own = console.api.catalogue.own_version(call.account(), &declined.version_sid).await?;
        notes.extend(own.and_then(|_| declined.note("kept back after warnings")));
    }
    note(&console, &call, notes).await?;
    Ok(StatusCode::NO_CONTENT)
}

const IN_SPITE: &str = "to be published in spite of warnings";

impl Accepted {
    /// A version, and what the audit log says of it; nothing where there was no warning.
    fn note(self, choice: &str) -> Option<(String, String)> {
        let note =
            || format!("{choice}: {}", self.warnings.join("; ")).chars().take(NOTE_CHARS_MAX).collect();
        (!self.warnings.is_empty()).then(|| (self.version_sid.clone(), note()))
    }
}

/// Notes choices before anything comes of them, so that nothing is live whose note was lost.
async fn note(console: &Console, call: &Call, notes: Vec<(String, String)>) -> Result<(), Refusal> {
    if notes.is_empty() {
        return Ok(());
    }
    let now = unix_seconds(SystemTime::now());
    Ok(console.api.catalogue.note_warnings(&call.actor, &notes, now).await?)
}

/// Another visibility for a path that is live.
#[derive(Deserialize)]
pub(super) struct Revisibility {
    #[serde(flatten)]
    place: Place,
    paths: Vec<String>,
    visibility: String,
    /// What somebody was warned of, and chose to show all the same.
    #[serde(default)]
    warnings: Vec<String>,
}

/// Makes versions of the same bytes with another visibility, and publishes them.
pub(super) async fn visibility(
    State(console): State<Console>,
    call: Call,
    Said(said): Said<Revisibility>,
) -> Result<Json<Value>, Refusal> {
    let visibility = said.visibility.parse::<Visibility>().map_err(|_| {
        Refusal::new(StatusCode::BAD_REQUEST, "visibility is one of public, protected and private")
    })?;
    let target: Target = said.place.into();
    let versions = console.api.publisher.revise(&call.actor, &target, &said.paths, visibility).await?;
    let warned = |version_sid: &String| {
        Accepted { version_sid: version_sid.clone(), warnings: said.warnings.clone() }.note(IN_SPITE)
    };
    note(&console, &call, versions.iter().filter_map(warned).collect()).await?;
    let changes = Changes { versions, removed_paths: Vec::new() };
    let deployed = commit(&console, &call, &target, changes).await?;
    Ok(Json(show(&console, deployed)))
}

async fn commit(
    console: &Console,
    call: &Call,
    target: &Target,
    changes: Changes,
) -> Result<Deployed, Refusal> {
    let committed = console.api.publisher.commit(&call.actor, target, changes).await;
    match &committed {
        Ok(_) => console.api.metrics.commits_live.increment(1),
        Err(_) => console.api.metrics.commits_refused.increment(1),
    }
    Ok(committed?)
}

pub(super) fn show(console: &Console, deployed: Deployed) -> Value {
    json!({
        "build_sid": deployed.build.map(String::from),
        "deployment_sid": deployed.deployment.as_str(),
        "environment_sid": deployed.environment.as_str(),
        "epoch": deployed.version.epoch,
        "revision": deployed.version.revision,
        "public_url": console.api.publisher.naming().public_url(&deployed.domain),
    })
}
