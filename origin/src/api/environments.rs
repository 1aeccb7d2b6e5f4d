//! `/Services/{ZS}/Environments`, and their logs: no function runs here, so there are none.

use super::Api;
use super::call::Call;
use super::date::Date;
use super::form::Form;
use super::page::Listing;
use super::refusal::Refusal;
use crate::catalogue::{EnvironmentDetails, Page, ServiceDetails};
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use serde::Serialize;
use serde_json::Value;

pub(super) fn routes() -> Router<Api> {
    let environment = "/Services/{service}/Environments/{environment}";
    Router::new()
        .route("/Services/{service}/Environments", get(list).post(create))
        .route(environment, get(fetch).delete(delete))
        .route(&format!("{environment}/Logs"), get(list_logs))
        .route(&format!("{environment}/Logs/{{log}}"), get(fetch_log))
}

/// An environment, as clients read it.
#[derive(Serialize)]
struct Environment {
    sid: String,
    account_sid: String,
    service_sid: String,
    /// `null` before the first deployment.
    build_sid: Option<String>,
    unique_name: String,
    /// `null` for production.
    domain_suffix: Option<String>,
    domain_name: String,
    date_created: Date,
    date_updated: Date,
    url: String,
    links: Links,
}

#[derive(Serialize)]
struct Links {
    variables: String,
    deployments: String,
    logs: String,
    domains: String,
}

fn show(api: &Api, call: &Call, service: &ServiceDetails, environment: EnvironmentDetails) -> Environment {
    let url = call.url(format_args!("/Services/{}/Environments/{}", service.sid, environment.sid));
    Environment {
        links: Links {
            variables: format!("{url}/Variables"),
            deployments: format!("{url}/Deployments"),
            logs: format!("{url}/Logs"),
            domains: format!("{url}/Domains"),
        },
        url,
        account_sid: call.account().to_string(),
        service_sid: service.sid.to_string(),
        build_sid: environment.live_build_sid,
        unique_name: environment.unique_name,
        domain_suffix: environment.domain_suffix,
        // Clients print it as the host of links.
        domain_name: api.publisher.naming().public_name(&environment.domain_name),
        date_created: Date(environment.created_at),
        date_updated: Date(environment.updated_at),
        sid: environment.sid.into(),
    }
}

async fn list(
    State(api): State<Api>,
    call: Call,
    Path(service): Path<String>,
    listing: Listing,
) -> Result<Json<Value>, Refusal> {
    let service = api.service(&call, &service).await?;
    let page = api.catalogue.list_environments(&service.sid, &listing.wanted()).await?;
    Ok(listing.answer(&call, "environments", page, |row| show(&api, &call, &service, row)))
}

async fn create(
    State(api): State<Api>,
    call: Call,
    Path(service): Path<String>,
    form: Form,
) -> Result<(StatusCode, Json<Environment>), Refusal> {
    let service = api.service(&call, &service).await?;
    let unique_name = form.required("UniqueName")?;
    let suffix = form.optional("DomainSuffix").filter(|suffix| !suffix.is_empty());
    let environment = api.publisher.create_environment(&call.actor, &service, unique_name, suffix).await?;
    Ok((StatusCode::CREATED, Json(show(&api, &call, &service, environment))))
}

async fn fetch(
    State(api): State<Api>,
    call: Call,
    Path((service, environment)): Path<(String, String)>,
) -> Result<Json<Environment>, Refusal> {
    let service = api.service(&call, &service).await?;
    let environment = api.environment(&service, &environment).await?;
    Ok(Json(show(&api, &call, &service, environment)))
}

async fn delete(
    State(api): State<Api>,
    call: Call,
    Path((service, environment)): Path<(String, String)>,
) -> Result<StatusCode, Refusal> {
    let service = api.service(&call, &service).await?;
    let environment = api.environment(&service, &environment).await?;
    api.publisher.delete_environment(&call.actor, environment).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn list_logs(
    State(api): State<Api>,
    call: Call,
    Path((service, environment)): Path<(String, String)>,
    listing: Listing,
) -> Result<Json<Value>, Refusal> {
    let service = api.service(&call, &service).await?;
    api.environment(&service, &environment).await?;
    let page: Page<Value> = Page { items: Vec::new(), next: None };
    Ok(listing.answer(&call, "logs", page, |log| log))
}

async fn fetch_log(
    State(api): State<Api>,
    call: Call,
    Path((service, environment, _)): Path<(String, String, String)>,
) -> Result<StatusCode, Refusal> {
    let service = api.service(&call, &service).await?;
    api.environment(&service, &environment).await?;
    Err(Refusal::unknown("Log"))
}
