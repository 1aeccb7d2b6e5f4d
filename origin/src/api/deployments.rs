//! `/Services/{ZS}/Environments/{ZE}/Deployments`

use super::Api;
use super::call::Call;
use super::date::Date;
use super::form::Form;
use super::page::Listing;
use super::refusal::Refusal;
use crate::catalogue::{DeploymentDetails, EnvironmentDetails, ServiceDetails};
use crate::publish::{Target, Wanted};
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use serde::Serialize;
use serde_json::Value;

pub(super) fn routes() -> Router<Api> {
    let deployments = "/Services/{service}/Environments/{environment}/Deployments";
    Router::new()
        .route(deployments, get(list).post(create))
        .route(&format!("{deployments}/{{deployment}}"), get(fetch))
}

/// A deployment, as clients read it.
#[derive(Serialize)]
struct Deployment {
    sid: String,
    account_sid: String,
    service_sid: String,
    environment_sid: String,
    /// `null` where it took the environment off the net.
    build_sid: Option<String>,
    date_created: Date,
    date_updated: Date,
    url: String,
}

fn show(
    call: &Call,
    service: &ServiceDetails,
    environment: &EnvironmentDetails,
    deployment: DeploymentDetails,
) -> Deployment {
    let (service, environment) = (&service.sid, &environment.sid);
    Deployment {
        url: call.url(format_args!(
            "/Services/{service}/Environments/{environment}/Deployments/{}",
            deployment.sid
        )),
        account_sid: call.account().to_string(),
        service_sid: service.to_string(),
        environment_sid: environment.to_string(),
        build_sid: deployment.build_sid,
        date_created: Date(deployment.created_at),
        date_updated: Date(deployment.created_at),
        sid: deployment.sid.into(),
    }
}

async fn list(
    State(api): State<Api>,
    call: Call,
    Path((service, environment)): Path<(String, String)>,
    listing: Listing,
) -> Result<Json<Value>, Refusal> {
    let service = api.service(&call, &service).await?;
    let environment = api.environment(&service, &environment).await?;
    let page = api.catalogue.list_deployments(&environment.sid, &listing.wanted()).await?;
    Ok(listing.answer(&call, "deployments", page, |row| show(&call, &service, &environment, row)))
}

async fn create(
    State(api): State<Api>,
    call: Call,
    Path((service, environment)): Path<(String, String)>,
    form: Form,
) -> Result<(StatusCode, Json<Deployment>), Refusal> {
    let service = api.service(&call, &service).await?;
    let environment = api.environment(&service, &environment).await?;
    let wanted = match form.optional("BuildSid").filter(|sid| !sid.is_empty()) {
        Some(build) => Wanted::Build(build.to_owned()),
        None => Wanted::Nothing,
    };
    let target = Target { service: service.sid.to_string(), environment: environment.sid.to_string() };
    let deployed = api.publisher.deploy(&call.actor, &target, wanted).await?;
    let deployment = fetched(&api, &environment, deployed.deployment.as_str()).await?;
    Ok((StatusCode::CREATED, Json(show(&call, &service, &environment, deployment))))
}

async fn fetch(
    State(api): State<Api>,
    call: Call,
    Path((service, environment, deployment)): Path<(String, String, String)>,
) -> Result<Json<Deployment>, Refusal> {
    let service = api.service(&call, &service).await?;
    let environment = api.environment(&service, &environment).await?;
    let deployment = fetched(&api, &environment, &deployment).await?;
    Ok(Json(show(&call, &service, &environment, deployment)))
}

async fn fetched(
    api: &Api,
    environment: &EnvironmentDetails,
    sid: &str,
) -> Result<DeploymentDetails, Refusal> {
    let found = api.catalogue.deployment(&environment.sid, sid).await?;
    found.ok_or_else(|| Refusal::unknown("Deployment"))
}
