//! `/Services/{ZS}/Environments/{ZE}/Deployments`

use super::Api;
use super::call::Call;
use super::date::Date;
use super::page::Listing;
use super::refusal::Refusal;
use crate::catalogue::{DeploymentDetails, EnvironmentDetails, ServiceDetails};
use axum::extract::{Path, State};
use axum::routing::get;
use axum::{Json, Router};
use serde::Serialize;
use serde_json::Value;

pub(super) fn routes() -> Router<Api> {
    let deployments = "/Services/{service}/Environments/{environment}/Deployments";
    Router::new().route(deployments, get(list)).route(&format!("{deployments}/{{deployment}}"), get(fetch))
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

async fn fetch(
    State(api): State<Api>,
    call: Call,
    Path((service, environment, deployment)): Path<(String, String, String)>,
) -> Result<Json<Deployment>, Refusal> {
    let service = api.service(&call, &service).await?;
    let environment = api.environment(&service, &environment).await?;
    let found = api.catalogue.deployment(&environment.sid, &deployment).await?;
    let deployment = found.ok_or_else(|| Refusal::unknown("Deployment"))?;
    Ok(Json(show(&call, &service, &environment, deployment)))
}
