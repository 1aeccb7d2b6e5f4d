//! `…/Assets/{ZH}/Versions` and `…/Functions/{ZH}/Versions`, and the content of a function, which its owner may read.

use super::Api;
use super::call::Call;
use super::contents::{Assets, Functions, OfKind, noun};
use super::date::Date;
use super::page::Listing;
use super::refusal::Refusal;
use super::upload;
use crate::catalogue::{Content, ContentVersion, Kind, ServiceDetails};
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use serde::Serialize;
use serde_json::{Value, json};

pub(super) fn routes() -> Router<Api> {
    let content = "/Services/{service}/Functions/{content}/Versions/{version}/Content";
    of_kind::<Assets>().merge(of_kind::<Functions>()).route(content, get(fetch_content))
}

fn of_kind<K: OfKind>() -> Router<Api> {
    let versions = format!("/Services/{{service}}/{}s/{{content}}/Versions", noun(K::KIND));
    Router::new()
        // The bytes of an upload end at the limits of assets.
        .route(&versions, get(list::<K>).post(create::<K>).layer(DefaultBodyLimit::disable()))
        .route(&format!("{versions}/{{version}}"), get(fetch::<K>))
}

/// A version of an asset or a function, as clients read it.
#[derive(Serialize)]
pub(super) struct Version {
    sid: String,
    account_sid: String,
    service_sid: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    asset_sid: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    function_sid: Option<String>,
    path: String,
    visibility: String,
    date_created: Date,
    url: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    links: Option<Value>,
}

/// Shows a version, alone or in a build.
pub(super) fn show(call: &Call, kind: Kind, service: &ServiceDetails, row: ContentVersion) -> Version {
    let (service, parent) = (&service.sid, &row.parent_sid);
    let url = call.url(format_args!("/Services/{service}/{}s/{parent}/Versions/{}", noun(kind), row.sid));
    let parent = Some(parent.to_string());
    let (asset_sid, function_sid, links) = match kind {
        Kind::Asset => (parent, None, None),
        Kind::Function => {
            (None, parent, Some(json!({ "function_version_content": format!("{url}/Content") })))
        }
    };
    Version {
        url,
        asset_sid,
        function_sid,
        links,
        account_sid: call.account().to_string(),
        service_sid: service.to_string(),
        path: row.path,
        visibility: row.visibility,
        date_created: Date(row.created_at),
        sid: row.sid.into(),
    }
}

async fn parent<K: OfKind>(
    api: &Api,
    call: &Call,
    service: &str,
    content: &str,
) -> Result<(ServiceDetails, Content), Refusal> {
    let service = api.service(call, service).await?;
    let content = api.content(K::KIND, &service, content).await?;
    Ok((service, content))
}

async fn list<K: OfKind>(
    State(api): State<Api>,
    call: Call,
    Path((service, content)): Path<(String, String)>,
    listing: Listing,
) -> Result<Json<Value>, Refusal> {
    let (service, content) = parent::<K>(&api, &call, &service, &content).await?;
    let page = api.catalogue.list_content_versions(K::KIND, &content.sid, &listing.wanted()).await?;
    let key = match K::KIND {
        Kind::Asset => "asset_versions",
        Kind::Function => "function_versions",
    };
    Ok(listing.answer(&call, key, page, |row| show(&call, K::KIND, &service, row)))
}

async fn create<K: OfKind>(
    State(api): State<Api>,
    call: Call,
    Path((service, content)): Path<(String, String)>,
    form: upload::Parts,
) -> Result<(StatusCode, Json<Version>), Refusal> {
    // Nothing of the body is read before this is known.
    let (service, content) = parent::<K>(&api, &call, &service, &content).await?;
    let row = upload::receive(&api, &call, K::KIND, content.sid, form).await?;
    Ok((StatusCode::CREATED, Json(show(&call, K::KIND, &service, row))))
}

async fn fetch<K: OfKind>(
    State(api): State<Api>,
    call: Call,
    Path((service, content, version)): Path<(String, String, String)>,
) -> Result<Json<Version>, Refusal> {
    let (service, content) = parent::<K>(&api, &call, &service, &content).await?;
    let found = api.catalogue.content_version(K::KIND, &content.sid, &version).await?;
    let (row, _) = found.ok_or_else(|| Refusal::unknown("Version"))?;
    Ok(Json(show(&call, K::KIND, &service, row)))
}

async fn fetch_content(
    State(api): State<Api>,
    call: Call,
    Path((service, content, version)): Path<(String, String, String)>,
) -> Result<Json<Value>, Refusal> {
    let (service, content) = parent::<Functions>(&api, &call, &service, &content).await?;
    let found = api.catalogue.content_version(Kind::Function, &content.sid, &version).await?;
    let (row, blob) = found.ok_or_else(|| Refusal::unknown("Version"))?;
    let blob = api.blobs.open_blob(blob).await?;
    let slices = blob.slices(0, usize::try_from(blob.id().slice_count()).unwrap_or(usize::MAX)).await?;
    Ok(Json(json!({
        "sid": row.sid.as_str(),
        "account_sid": call.account().as_str(),
        "service_sid": service.sid.as_str(),
        "function_sid": content.sid.as_str(),
        "content": String::from_utf8_lossy(&slices.concat()),
        "url": format!("{}/Content", show(&call, Kind::Function, &service, row.clone()).url),
    })))
}
