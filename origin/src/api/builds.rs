//! `/Services/{ZS}/Builds`

use super::Api;
use super::call::Call;
use super::date::Date;
use super::form::Form;
use super::page::Listing;
use super::refusal::Refusal;
use super::versions::{self, Version};
use crate::catalogue::{BuildDetails, Kind, Page, ServiceDetails};
use crate::publish::Chosen;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use serde::Serialize;
use serde_json::{Value, json};

pub(super) fn routes() -> Router<Api> {
    Router::new()
        .route("/Services/{service}/Builds", get(list).post(create))
        .route("/Services/{service}/Builds/{build}", get(fetch).delete(delete))
        .route("/Services/{service}/Builds/{build}/Status", get(fetch_status))
}

/// A build, as clients read it.
#[derive(Serialize)]
struct Build {
    sid: String,
    account_sid: String,
    service_sid: String,
    status: &'static str,
    /// Why it failed; Twilio has no such field.
    #[serde(skip_serializing_if = "Option::is_none")]
    failure: Option<String>,
    asset_versions: Vec<Version>,
    function_versions: Vec<Version>,
    dependencies: Value,
    runtime: String,
    date_created: Date,
    date_updated: Date,
    url: String,
    links: Links,
}

#[derive(Serialize)]
struct Links {
    build_status: String,
    /// Twilio has no such resource.
    bundle: String,
}

/// How far a build is, as clients read it.
#[derive(Serialize)]
struct Status {
    sid: String,
    account_sid: String,
    service_sid: String,
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    failure: Option<String>,
    url: String,
}

/// Versions in a page of builds, after which it ends, whatever size was asked for: each build comes with all that it is made of.
const PAGE_VERSIONS: usize = 1000;

async fn show(
    api: &Api,
    call: &Call,
    service: &ServiceDetails,
    build: BuildDetails,
) -> Result<Build, Refusal> {
    let contents = async |kind| {
        let rows = api.catalogue.build_contents(kind, build.sid.as_str()).await?;
        Ok::<_, Refusal>(rows.into_iter().map(|row| versions::show(call, kind, service, row)).collect())
    };
    let url = call.url(format_args!("/Services/{}/Builds/{}", service.sid, build.sid));
    Ok(Build {
        asset_versions: contents(Kind::Asset).await?,
        function_versions: contents(Kind::Function).await?,
        links: Links { build_status: format!("{url}/Status"), bundle: format!("{url}/Bundle") },
        url,
        account_sid: call.account().to_string(),
        service_sid: service.sid.to_string(),
        status: build.status.as_str(),
        failure: build.failure,
        dependencies: serde_json::from_str(&build.dependencies).unwrap_or_else(|_| json!([])),
        runtime: build.runtime,
        date_created: Date(build.created_at),
        date_updated: Date(build.updated_at),
        sid: build.sid.into(),
    })
}

async fn list(
    State(api): State<Api>,
    call: Call,
    Path(service): Path<String>,
    listing: Listing,
) -> Result<Json<Value>, Refusal> {
    let service = api.service(&call, &service).await?;
    let Page { items, mut next } = api.catalogue.list_builds(&service.sid, &listing.wanted()).await?;
    let (mut builds, mut version_count) = (Vec::new(), 0);
    for build in items {
        if version_count >= PAGE_VERSIONS {
            next = api.catalogue.build_number(&build.sid).await?.map(|number| number + 1);
            break;
        }
        let build = show(&api, &call, &service, build).await?;
        version_count += build.asset_versions.len() + build.function_versions.len();
        builds.push(build);
    }
    Ok(listing.answer(&call, "builds", Page { items: builds, next }, |build| build))
}

async fn create(
    State(api): State<Api>,
    call: Call,
    Path(service): Path<String>,
    form: Form,
) -> Result<(StatusCode, Json<Build>), Refusal> {
    let service = api.service(&call, &service).await?;
    let chosen = Chosen {
        assets: form.all("AssetVersions"),
        functions: form.all("FunctionVersions"),
        dependencies: form.optional("Dependencies").map(str::to_owned),
        runtime: form.optional("Runtime").map(str::to_owned),
    };
    let build = api.publisher.create_build(&call.actor, &service.sid, chosen).await?;
    Ok((StatusCode::CREATED, Json(show(&api, &call, &service, build).await?)))
}

async fn fetch(
    State(api): State<Api>,
    call: Call,
    Path((service, build)): Path<(String, String)>,
) -> Result<Json<Build>, Refusal> {
    let service = api.service(&call, &service).await?;
    let build = api.build(&service, &build).await?;
    Ok(Json(show(&api, &call, &service, build).await?))
}

async fn fetch_status(
    State(api): State<Api>,
    call: Call,
    Path((service, build)): Path<(String, String)>,
) -> Result<Json<Status>, Refusal> {
    let service = api.service(&call, &service).await?;
    let build = api.build(&service, &build).await?;
    Ok(Json(Status {
        url: call.url(format_args!("/Services/{}/Builds/{}/Status", service.sid, build.sid)),
        account_sid: call.account().to_string(),
        service_sid: service.sid.into(),
        status: build.status.as_str(),
        failure: build.failure,
        sid: build.sid.into(),
    }))
}

async fn delete(
    State(api): State<Api>,
    call: Call,
    Path((service, build)): Path<(String, String)>,
) -> Result<StatusCode, Refusal> {
    let service = api.service(&call, &service).await?;
    let build = api.build(&service, &build).await?;
    api.publisher.delete_build(&call.actor, &build).await?;
    Ok(StatusCode::NO_CONTENT)
}
