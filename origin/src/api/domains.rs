//! `/Services/{ZS}/Environments/{ZE}/Domains`: domains that accounts bring along, and the proofs of them.

use super::Api;
use super::call::Call;
use super::date::Date;
use super::form::Form;
use super::page::Listing;
use super::refusal::Refusal;
use crate::catalogue::{DomainDetails, EnvironmentDetails, ServiceDetails};
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Serialize;
use serde_json::Value;
use skerry_proto::domain::{record_name, record_value};

pub(super) fn routes() -> Router<Api> {
    let domains = "/Services/{service}/Environments/{environment}/Domains";
    Router::new()
        .route(domains, get(list).post(create))
        .route(&format!("{domains}/{{domain}}"), get(fetch).delete(delete))
        .route(&format!("{domains}/{{domain}}/Verify"), post(verify))
}

/// A domain, as clients read it.
#[derive(Serialize)]
struct Domain {
    sid: String,
    account_sid: String,
    service_sid: String,
    environment_sid: String,
    /// In ASCII and lower case, without a port.
    domain_name: String,
    /// With the port where it is not that of HTTPS.
    public_url: String,
    /// `pending` until it is proven, then `live`.
    status: &'static str,
    record: Record,
    date_created: Date,
    date_updated: Date,
    /// `null` while it is pending.
    date_verified: Option<Date>,
    url: String,
    links: Links,
}

/// The record in DNS that proves a domain.
#[derive(Serialize)]
struct Record {
    name: String,
    r#type: &'static str,
    value: String,
}

#[derive(Serialize)]
struct Links {
    verify: String,
}

fn show(
    api: &Api,
    call: &Call,
    service: &ServiceDetails,
    environment: &EnvironmentDetails,
    domain: DomainDetails,
) -> Domain {
    let place =
        format_args!("/Services/{}/Environments/{}/Domains/{}", service.sid, environment.sid, domain.sid);
    let url = call.url(place);
    Domain {
        links: Links { verify: format!("{url}/Verify") },
        url,
        account_sid: call.account().to_string(),
        service_sid: service.sid.to_string(),
        environment_sid: environment.sid.to_string(),
        public_url: api.publisher.naming().public_url(&domain.domain_name),
        status: if domain.verified_at.is_some() { "live" } else { "pending" },
        record: Record {
            name: record_name(&domain.domain_name),
            r#type: "TXT",
            value: record_value(call.account().as_str()),
        },
        date_created: Date(domain.created_at),
        date_updated: Date(domain.updated_at),
        date_verified: domain.verified_at.map(Date),
        domain_name: domain.domain_name,
        sid: domain.sid.into(),
    }
}

/// Service, environment and domain of a request's path.
async fn found(
    api: &Api,
    call: &Call,
    (service, environment, domain): (String, String, String),
) -> Result<(ServiceDetails, EnvironmentDetails, DomainDetails), Refusal> {
    let service = api.service(call, &service).await?;
    let environment = api.environment(&service, &environment).await?;
    let domain = api.publisher.domain(&environment.sid, &domain).await?;
    Ok((service, environment, domain))
}

async fn list(
    State(api): State<Api>,
    call: Call,
    Path((service, environment)): Path<(String, String)>,
    listing: Listing,
) -> Result<Json<Value>, Refusal> {
    let service = api.service(&call, &service).await?;
    let environment = api.environment(&service, &environment).await?;
    let page = api.catalogue.list_domains(&environment.sid, &listing.wanted()).await?;
    Ok(listing.answer(&call, "domains", page, |row| show(&api, &call, &service, &environment, row)))
}

async fn create(
    State(api): State<Api>,
    call: Call,
    Path((service, environment)): Path<(String, String)>,
    form: Form,
) -> Result<(StatusCode, Json<Domain>), Refusal> {
    let service = api.service(&call, &service).await?;
    let environment = api.environment(&service, &environment).await?;
    let name = form.required("DomainName")?;
    let domain = api.publisher.add_domain(&call.actor, &environment.sid, name).await?;
    Ok((StatusCode::CREATED, Json(show(&api, &call, &service, &environment, domain))))
}

async fn fetch(
    State(api): State<Api>,
    call: Call,
    Path(path): Path<(String, String, String)>,
) -> Result<Json<Domain>, Refusal> {
    let (service, environment, domain) = found(&api, &call, path).await?;
    Ok(Json(show(&api, &call, &service, &environment, domain)))
}

async fn verify(
    State(api): State<Api>,
    call: Call,
    Path(path): Path<(String, String, String)>,
) -> Result<Json<Domain>, Refusal> {
    let (service, environment, domain) = found(&api, &call, path).await?;
    let (domain, _) = api.publisher.verify_domain(&call.actor, domain).await?;
    Ok(Json(show(&api, &call, &service, &environment, domain)))
}

async fn delete(
    State(api): State<Api>,
    call: Call,
    Path(path): Path<(String, String, String)>,
) -> Result<StatusCode, Refusal> {
    let (_, _, domain) = found(&api, &call, path).await?;
    api.publisher.remove_domain(&call.actor, domain).await?;
    Ok(StatusCode::NO_CONTENT)
}
