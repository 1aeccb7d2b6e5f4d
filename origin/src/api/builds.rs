//! `/Services/{ZS}/Builds`

use super::Api;
use super::answer::{Created, Deleted};
use super::call::Call;
use super::date::Date;
use super::form::{Field, Fields, Form, Shape};
use super::of::{InBuild, Of};
use super::page::{Entry, Listed, Listing};
use super::refusal::Refusal;
use super::routes::Routes;
use super::versions::{self, Version};
use crate::catalogue::{BuildDetails, Kind, Page, ServiceDetails};
use crate::publish::Chosen;
use axum::Json;
use axum::extract::State;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

pub(super) fn routes() -> Routes {
    let builds = "/Services/{service}/Builds";
    let build = &format!("{builds}/{{build}}");
    Routes::new()
        .get(builds, list, "The builds of a service")
        .post(builds, create, "Begins a build of versions")
        .get(build, fetch, "A build")
        .delete(build, delete, "Deletes a build that no environment shows")
        .get(&format!("{build}/Status"), fetch_status, "How far a build is")
}

/// A build.
#[derive(Serialize, JsonSchema)]
struct Build {
    sid: String,
    account_sid: String,
    service_sid: String,
    /// `building`, `completed` or `failed`.
    status: &'static str,
    /// Why it failed; Twilio has no such field.
    #[serde(skip_serializing_if = "Option::is_none")]
    failure: Option<String>,
    asset_versions: Vec<Version>,
    function_versions: Vec<Version>,
    /// Packages with name and version, as they were given.
    dependencies: Vec<Value>,
    runtime: String,
    date_created: Date,
    date_updated: Date,
    url: String,
    links: Links,
}

impl Entry for Build {
    const KEY: &'static str = "builds";
}

#[derive(Serialize, JsonSchema)]
#[schemars(inline)]
struct Links {
    build_status: String,
    /// Twilio has no such resource.
    bundle: String,
}

/// How far a build is.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "BuildStatus")]
struct Status {
    sid: String,
    account_sid: String,
    service_sid: String,
    /// `building`, `completed` or `failed`.
    status: &'static str,
    /// Why it failed; Twilio has no such field.
    #[serde(skip_serializing_if = "Option::is_none")]
    failure: Option<String>,
    url: String,
}

const ASSET_VERSIONS: Field = Field::optional("AssetVersions", Shape::Texts, "SIDs of asset versions");
const FUNCTION_VERSIONS: Field =
    Field::optional("FunctionVersions", Shape::Texts, "SIDs of function versions");
const DEPENDENCIES: Field =
    Field::optional("Dependencies", Shape::Text(0, 65_538), "A JSON list of packages with name and version");
const RUNTIME: Field = Field::optional("Runtime", Shape::Text(0, 64), "Of its functions, such as node22");

struct New;

impl Fields for New {
    const FIELDS: &'static [Field] = &[ASSET_VERSIONS, FUNCTION_VERSIONS, DEPENDENCIES, RUNTIME];
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
        dependencies: serde_json::from_str(&build.dependencies).unwrap_or_default(),
        runtime: build.runtime,
        date_created: Date(build.created_at),
        date_updated: Date(build.updated_at),
        sid: build.sid.into(),
    })
}

async fn list(
    State(api): State<Api>,
    call: Call,
    Of(service): Of<ServiceDetails>,
    listing: Listing,
) -> Result<Listed<Build>, Refusal> {
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
    Ok(listing.answer(&call, Page { items: builds, next }, |build| build))
}

async fn create(
    State(api): State<Api>,
    call: Call,
    Of(service): Of<ServiceDetails>,
    form: Form<New>,
) -> Result<Created<Build>, Refusal> {
    let chosen = Chosen {
        assets: form.all(ASSET_VERSIONS),
        functions: form.all(FUNCTION_VERSIONS),
        dependencies: form.optional(DEPENDENCIES).map(str::to_owned),
        runtime: form.optional(RUNTIME).map(str::to_owned),
    };
    let build = api.publisher.create_build(&call.actor, &service.sid, chosen).await?;
    Ok(Created(show(&api, &call, &service, build).await?))
}

async fn fetch(State(api): State<Api>, call: Call, Of(place): Of<InBuild>) -> Result<Json<Build>, Refusal> {
    Ok(Json(show(&api, &call, &place.service, place.build).await?))
}

async fn fetch_status(call: Call, Of(place): Of<InBuild>) -> Result<Json<Status>, Refusal> {
    let InBuild { service, build } = place;
    Ok(Json(Status {
        url: call.url(format_args!("/Services/{}/Builds/{}/Status", service.sid, build.sid)),
        account_sid: call.account().to_string(),
        service_sid: service.sid.into(),
        status: build.status.as_str(),
        failure: build.failure,
        sid: build.sid.into(),
    }))
}

async fn delete(State(api): State<Api>, call: Call, Of(place): Of<InBuild>) -> Result<Deleted, Refusal> {
    api.publisher.delete_build(&call.actor, &place.build).await?;
    Ok(Deleted)
}
