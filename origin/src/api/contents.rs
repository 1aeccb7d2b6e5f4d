//! `/Services/{ZS}/Assets` and `/Services/{ZS}/Functions`: two kinds of one shape.

use super::Api;
use super::call::Call;
use super::date::Date;
use super::form::Form;
use super::page::Listing;
use super::refusal::Refusal;
use crate::catalogue::{Content as Row, Kind, ServiceDetails};
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use serde::Serialize;
use serde_json::{Value, json};

pub(super) fn routes() -> Router<Api> {
    of_kind::<Assets>().merge(of_kind::<Functions>())
}

/// A kind that routes are made for.
pub(super) trait OfKind: 'static {
    const KIND: Kind;
}

/// Routes of assets.
pub(super) struct Assets;

/// Routes of functions.
pub(super) struct Functions;

impl OfKind for Assets {
    const KIND: Kind = Kind::Asset;
}

impl OfKind for Functions {
    const KIND: Kind = Kind::Function;
}

/// What one of a kind is called.
pub(super) fn noun(kind: Kind) -> &'static str {
    match kind {
        Kind::Asset => "Asset",
        Kind::Function => "Function",
    }
}

fn of_kind<K: OfKind>() -> Router<Api> {
    let contents = format!("/Services/{{service}}/{}s", noun(K::KIND));
    Router::new()
        .route(&contents, get(list::<K>).post(create::<K>))
        .route(&format!("{contents}/{{content}}"), get(fetch::<K>).post(update::<K>).delete(delete::<K>))
}

/// An asset or a function, as clients read it.
#[derive(Serialize)]
struct Content {
    sid: String,
    account_sid: String,
    service_sid: String,
    friendly_name: String,
    date_created: Date,
    date_updated: Date,
    url: String,
    links: Value,
}

fn show(call: &Call, kind: Kind, service: &ServiceDetails, row: Row) -> Content {
    let url = call.url(format_args!("/Services/{}/{}s/{}", service.sid, noun(kind), row.sid));
    let versions = format!("{url}/Versions");
    Content {
        url,
        links: match kind {
            Kind::Asset => json!({ "asset_versions": versions }),
            Kind::Function => json!({ "function_versions": versions }),
        },
        account_sid: call.account().to_string(),
        service_sid: service.sid.to_string(),
        friendly_name: row.friendly_name,
        date_created: Date(row.created_at),
        date_updated: Date(row.updated_at),
        sid: row.sid.into(),
    }
}

async fn list<K: OfKind>(
    State(api): State<Api>,
    call: Call,
    Path(service): Path<String>,
    listing: Listing,
) -> Result<Json<Value>, Refusal> {
    let service = api.service(&call, &service).await?;
    let page = api.catalogue.list_contents(K::KIND, &service.sid, &listing.wanted()).await?;
    let key = match K::KIND {
        Kind::Asset => "assets",
        Kind::Function => "functions",
    };
    Ok(listing.answer(&call, key, page, |row| show(&call, K::KIND, &service, row)))
}

async fn create<K: OfKind>(
    State(api): State<Api>,
    call: Call,
    Path(service): Path<String>,
    form: Form,
) -> Result<(StatusCode, Json<Content>), Refusal> {
    let service = api.service(&call, &service).await?;
    let name = form.required("FriendlyName")?;
    let row = api.publisher.create_content(&call.actor, K::KIND, &service.sid, name).await?;
    Ok((StatusCode::CREATED, Json(show(&call, K::KIND, &service, row))))
}

async fn fetch<K: OfKind>(
    State(api): State<Api>,
    call: Call,
    Path((service, content)): Path<(String, String)>,
) -> Result<Json<Content>, Refusal> {
    let service = api.service(&call, &service).await?;
    let row = api.content(K::KIND, &service, &content).await?;
    Ok(Json(show(&call, K::KIND, &service, row)))
}

async fn update<K: OfKind>(
    State(api): State<Api>,
    call: Call,
    Path((service, content)): Path<(String, String)>,
    form: Form,
) -> Result<Json<Content>, Refusal> {
    let service = api.service(&call, &service).await?;
    let row = api.content(K::KIND, &service, &content).await?;
    let name = form.required("FriendlyName")?;
    let row = api.publisher.rename_content(&call.actor, K::KIND, &row, name).await?;
    Ok(Json(show(&call, K::KIND, &service, row)))
}

async fn delete<K: OfKind>(
    State(api): State<Api>,
    call: Call,
    Path((service, content)): Path<(String, String)>,
) -> Result<StatusCode, Refusal> {
    let service = api.service(&call, &service).await?;
    let row = api.content(K::KIND, &service, &content).await?;
    api.publisher.delete_content(&call.actor, K::KIND, &row).await?;
    Ok(StatusCode::NO_CONTENT)
}
