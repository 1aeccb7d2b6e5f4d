//! `/Services`

use super::Api;
use super::call::Call;
use super::date::Date;
use super::form::Form;
use super::page::Listing;
use super::refusal::Refusal;
use crate::catalogue::{ServiceChange, ServiceDetails};
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use serde::Serialize;
use serde_json::Value;

pub(super) fn routes() -> Router<Api> {
    Router::new()
        .route("/Services", get(list).post(create))
        .route("/Services/{service}", get(fetch).post(update).delete(delete))
}

/// A service, as clients read it.
#[derive(Serialize)]
struct Service {
    sid: String,
    account_sid: String,
    unique_name: String,
    friendly_name: String,
    include_credentials: bool,
    ui_editable: bool,
    domain_base: String,
    date_created: Date,
    date_updated: Date,
    url: String,
    links: Links,
}

#[derive(Serialize)]
struct Links {
    environments: String,
    functions: String,
    assets: String,
    builds: String,
}

fn show(call: &Call, service: ServiceDetails) -> Service {
    let sid = &service.sid;
    let link = |name: &str| call.url(format_args!("/Services/{sid}/{name}"));
    let links = Links {
        environments: link("Environments"),
        functions: link("Functions"),
        assets: link("Assets"),
        builds: link("Builds"),
    };
    Service {
        url: call.url(format_args!("/Services/{sid}")),
        links,
        account_sid: call.account().to_string(),
        unique_name: service.unique_name,
        friendly_name: service.friendly_name,
        include_credentials: service.include_credentials,
        ui_editable: service.ui_editable,
        domain_base: service.domain_base,
        date_created: Date(service.created_at),
        date_updated: Date(service.updated_at),
        sid: service.sid.into(),
    }
}

async fn list(State(api): State<Api>, call: Call, listing: Listing) -> Result<Json<Value>, Refusal> {
    let page = api.catalogue.list_services(call.account(), &listing.wanted()).await?;
    Ok(listing.answer(&call, "services", page, |service| show(&call, service)))
}

async fn create(
    State(api): State<Api>,
    call: Call,
    form: Form,
) -> Result<(StatusCode, Json<Service>), Refusal> {
    let unique_name = form.required("UniqueName")?;
    form.required("FriendlyName")?;
    let service = api.publisher.create_service(&call.actor, unique_name, change(&form)?).await?;
    Ok((StatusCode::CREATED, Json(show(&call, service))))
}

async fn fetch(
    State(api): State<Api>,
    call: Call,
    Path(service): Path<String>,
) -> Result<Json<Service>, Refusal> {
    let service = api.service(&call, &service).await?;
    Ok(Json(show(&call, service)))
}

async fn update(
    State(api): State<Api>,
    call: Call,
    Path(service): Path<String>,
    form: Form,
) -> Result<Json<Service>, Refusal> {
    let service = api.service(&call, &service).await?;
    let service = api.publisher.update_service(&call.actor, &service.sid, change(&form)?).await?;
    Ok(Json(show(&call, service)))
}

async fn delete(
    State(api): State<Api>,
    call: Call,
    Path(service): Path<String>,
) -> Result<StatusCode, Refusal> {
    let service = api.service(&call, &service).await?;
    api.publisher.delete_service(&call.actor, &service.sid).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn change(form: &Form) -> Result<ServiceChange, Refusal> {
    Ok(ServiceChange {
        // Twilio's services keep theirs.
        unique_name: None,
        friendly_name: form.optional("FriendlyName").map(str::to_owned),
        include_credentials: form.flag("IncludeCredentials")?,
        ui_editable: form.flag("UiEditable")?,
    })
}
