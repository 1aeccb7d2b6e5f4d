//! `/Services/{ZS}/Environments`, and their logs: no function runs here, so there are none.

use super::Api;
use super::answer::{Created, Deleted};
use super::call::Call;
use super::date::Date;
use super::form::{Field, Fields, Form, Shape};
use super::of::{InEnvironment, Of};
use super::page::{Entry, Listed, Listing};
use super::refusal::Refusal;
use super::routes::Routes;
use crate::catalogue::{EnvironmentDetails, Page, ServiceDetails};
use axum::Json;
use axum::extract::State;
use schemars::JsonSchema;
use serde::Serialize;

pub(super) fn routes() -> Routes {
    let environments = "/Services/{service}/Environments";
    let environment = &format!("{environments}/{{environment}}");
    let logs = &format!("{environment}/Logs");
    Routes::new()
        .get(environments, list, "The environments of a service")
        .post(environments, create, "Makes an environment, with a domain")
        .get(environment, fetch, "An environment")
        .delete(environment, delete, "Deletes an environment; its domain shows nothing from then on")
        .get(logs, list_logs, "Nothing: no function runs here")
        .get(&format!("{logs}/{{log}}"), fetch_log, "Nothing: no function runs here")
}

/// An environment.
#[derive(Serialize, JsonSchema)]
struct Environment {
    sid: String,
    account_sid: String,
    service_sid: String,
    /// `null` before the first deployment.
    build_sid: Option<String>,
    unique_name: String,
    /// `null` for production.
    domain_suffix: Option<String>,
    /// With the port of the edges where it is not that of HTTPS.
    domain_name: String,
    date_created: Date,
    date_updated: Date,
    url: String,
    links: Links,
}

impl Entry for Environment {
    const KEY: &'static str = "environments";
}

#[derive(Serialize, JsonSchema)]
#[schemars(inline)]
struct Links {
    variables: String,
    deployments: String,
    logs: String,
    domains: String,
}

/// What a function logged: there is none.
#[derive(Serialize, JsonSchema)]
struct Log {}

impl Entry for Log {
    const KEY: &'static str = "logs";
}

const UNIQUE_NAME: Field = Field::required("UniqueName", Shape::Text(1, 100), "Unique in the service");
const DOMAIN_SUFFIX: Field = Field::optional(
    "DomainSuffix",
    Shape::Text(0, 16),
    "Last part of the domain's first label; nothing for production",
);

struct New;

impl Fields for New {
    const FIELDS: &'static [Field] = &[UNIQUE_NAME, DOMAIN_SUFFIX];
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
    Of(service): Of<ServiceDetails>,
    listing: Listing,
) -> Result<Listed<Environment>, Refusal> {
    let page = api.catalogue.list_environments(&service.sid, &listing.wanted()).await?;
    Ok(listing.answer(&call, page, |row| show(&api, &call, &service, row)))
}

async fn create(
    State(api): State<Api>,
    call: Call,
    Of(service): Of<ServiceDetails>,
    form: Form<New>,
) -> Result<Created<Environment>, Refusal> {
    let unique_name = form.required(UNIQUE_NAME)?;
    let suffix = form.optional(DOMAIN_SUFFIX).filter(|suffix| !suffix.is_empty());
    let environment = api.publisher.create_environment(&call.actor, &service, unique_name, suffix).await?;
    Ok(Created(show(&api, &call, &service, environment)))
}

async fn fetch(
    State(api): State<Api>,
    call: Call,
    Of(place): Of<InEnvironment>,
) -> Result<Json<Environment>, Refusal> {
    Ok(Json(show(&api, &call, &place.service, place.environment)))
}

async fn delete(
    State(api): State<Api>,
    call: Call,
    Of(place): Of<InEnvironment>,
) -> Result<Deleted, Refusal> {
    api.publisher.delete_environment(&call.actor, place.environment).await?;
    Ok(Deleted)
}

async fn list_logs(call: Call, Of(_): Of<InEnvironment>, listing: Listing) -> Result<Listed<Log>, Refusal> {
    Ok(listing.answer(&call, Page { items: Vec::new(), next: None }, |log: Log| log))
}

async fn fetch_log(Of(_): Of<InEnvironment>) -> Result<Json<Log>, Refusal> {
    Err(Refusal::unknown("Log"))
}
