//! What an account has: services, the assets that are live, and what was ever at a path.

use super::Console;
use crate::api::{Call, Refusal};
use crate::catalogue::{AssetVersion, EnvironmentRow};
use crate::config::Limits;
use crate::publish::Target;
use axum::Json;
use axum::extract::{Query, State};
use serde::Deserialize;
use serde_json::{Value, json};

/// Versions of a path that are listed.
const VERSIONS_MAX: u32 = 200;

/// A service and an environment, by SID or unique name; empty where the account has only one.
#[derive(Debug, Clone, Default, Deserialize)]
pub(super) struct Place {
    #[serde(default)]
    pub(super) service: String,
    #[serde(default)]
    pub(super) environment: String,
}

impl From<Place> for Target {
    fn from(place: Place) -> Self {
        Self { service: place.service, environment: place.environment }
    }
}

/// A path in a service.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct PathOf {
    #[serde(default)]
    service: String,
    #[serde(default)]
    environment: String,
    path: String,
}

/// Every service with its environments and limits.
pub(super) async fn services(State(console): State<Console>, call: Call) -> Result<Json<Value>, Refusal> {
    let publisher = &console.api.publisher;
    let mut services = Vec::new();
    for service in publisher.services(call.account()).await? {
        let limits = publisher.limits(&service.sid).await?.limits;
        let environments: Vec<_> =
            service.environments.iter().map(|row| environment(&console, row)).collect();
        services.push(json!({
            "sid": service.sid.as_str(),
            "unique_name": service.unique_name,
            "environments": environments,
            "limits": shown_limits(&limits),
        }));
    }
    Ok(Json(json!({ "services": services })))
}

/// The assets of an environment's live build, ascending by path.
pub(super) async fn list(
    State(console): State<Console>,
    call: Call,
    Query(place): Query<Place>,
) -> Result<Json<Value>, Refusal> {
    let publisher = &console.api.publisher;
    let (row, versions) = publisher.list(call.account(), &place.clone().into()).await?;
    let limits =
        publisher.limits(&publisher.own_service(call.account(), &place.service).await?).await?.limits;
    let assets: Vec<_> = versions.iter().map(asset).collect();
    Ok(Json(json!({
        "assets": assets,
        "environment": environment(&console, &row),
        "limits": shown_limits(&limits),
    })))
}

/// What was ever uploaded for a path, newest first.
pub(super) async fn history(
    State(console): State<Console>,
    call: Call,
    Query(of): Query<PathOf>,
) -> Result<Json<Value>, Refusal> {
    let target = Target { service: of.service, environment: of.environment };
    let place = console.api.publisher.place(call.account(), &target).await?;
    let rows = console.api.catalogue.path_versions(&place.service, &of.path, VERSIONS_MAX).await?;
    let versions: Vec<_> = rows
        .into_iter()
        .map(|row| {
            json!({
                "version_sid": row.sid,
                "visibility": row.visibility,
                "content_type": row.content_type,
                "size": row.size,
                "created_at": row.created_at,
            })
        })
        .collect();
    Ok(Json(json!({ "versions": versions })))
}

fn asset(version: &AssetVersion) -> Value {
    json!({
        "path": version.path.as_str(),
        "url_path": version.path.to_url_path(),
        "visibility": version.visibility.as_str(),
        "content_type": version.content_type,
        "size": version.blob.id.size,
        "hash": version.blob.id.hash.to_string(),
        "version_sid": version.sid.as_str(),
        "created_at": version.created_at,
    })
}

pub(super) fn environment(console: &Console, row: &EnvironmentRow) -> Value {
    json!({
        "sid": row.sid.as_str(),
        "unique_name": row.unique_name,
        "domain": row.domain,
        "public_url": console.api.publisher.naming().public_url(&row.domain),
        "build_sid": row.live_build.as_ref().map(|build| build.as_str()),
    })
}

fn shown_limits(limits: &Limits) -> Value {
    json!({
        "served_size_max": limits.served_size_max,
        "served_count_max": limits.served_count_max,
        "private_size_max": limits.private_size_max,
        "private_count_max": limits.private_count_max,
    })
}
