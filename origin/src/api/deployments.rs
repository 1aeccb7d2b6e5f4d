//! `/Services/{ZS}/Environments/{ZE}/Deployments`

use super::Api;
use super::answer::Created;
use super::call::Call;
use super::date::Date;
use super::form::{Field, Fields, Form, Shape};
use super::of::{InEnvironment, Named, Names, Of};
use super::page::{Entry, Listed, Listing};
use super::refusal::Refusal;
use super::routes::Routes;
use crate::catalogue::{DeploymentDetails, EnvironmentDetails};
use crate::publish::{Target, Wanted};
use axum::Json;
use axum::extract::State;
use schemars::JsonSchema;
use serde::Serialize;
use skerry_proto::pointer::Version;

pub(super) fn routes() -> Routes {
    let deployments = "/Services/{service}/Environments/{environment}/Deployments";
    Routes::new()
        .get(deployments, list, "The deployments of an environment")
        .post(deployments, create, "Points an environment at a build; an older one is a rollback")
        .get(&format!("{deployments}/{{deployment}}"), fetch, "A deployment")
}

/// A deployment.
#[derive(Serialize, JsonSchema)]
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

impl Entry for Deployment {
    const KEY: &'static str = "deployments";
}

const BUILD_SID: Field = Field::optional(
    "BuildSid",
    Shape::Text(0, 34),
    "A completed build of the service; without it the environment is taken off the net",
);

struct New;

impl Fields for New {
    const FIELDS: &'static [Field] = &[BUILD_SID];
}

/// A deployment, with its environment.
pub(super) struct InDeployment {
    place: InEnvironment,
    deployment: DeploymentDetails,
}

impl InDeployment {
    /// SID of the deployment.
    pub(super) fn sid(&self) -> String {
        self.deployment.sid.to_string()
    }

    /// URL of the deployment.
    pub(super) fn url(&self, call: &Call) -> String {
        format!("{}/Deployments/{}", self.place.url(call), self.deployment.sid)
    }

    /// When edges were told of it.
    pub(super) fn version(&self) -> Result<Version, Refusal> {
        Ok(self.deployment.version()?)
    }
}

impl Named for InDeployment {
    async fn find(api: &Api, call: &Call, names: &Names) -> Result<Self, Refusal> {
        let place = InEnvironment::find(api, call, names).await?;
        let deployment = deployment(api, &place.environment, names.of("deployment")).await?;
        Ok(Self { place, deployment })
    }
}

async fn deployment(
    api: &Api,
    environment: &EnvironmentDetails,
    sid: &str,
) -> Result<DeploymentDetails, Refusal> {
    let found = api.catalogue.deployment(&environment.sid, sid).await?;
    found.ok_or_else(|| Refusal::unknown("Deployment"))
}

fn show(call: &Call, place: &InEnvironment, deployment: DeploymentDetails) -> Deployment {
    Deployment {
        url: format!("{}/Deployments/{}", place.url(call), deployment.sid),
        account_sid: call.account().to_string(),
        service_sid: place.service.sid.to_string(),
        environment_sid: place.environment.sid.to_string(),
        build_sid: deployment.build_sid,
        date_created: Date(deployment.created_at),
        date_updated: Date(deployment.created_at),
        sid: deployment.sid.into(),
    }
}

async fn list(
    State(api): State<Api>,
    call: Call,
    Of(place): Of<InEnvironment>,
    listing: Listing,
) -> Result<Listed<Deployment>, Refusal> {
    let page = api.catalogue.list_deployments(&place.environment.sid, &listing.wanted()).await?;
    Ok(listing.answer(&call, page, |row| show(&call, &place, row)))
}

async fn create(
    State(api): State<Api>,
    call: Call,
    Of(place): Of<InEnvironment>,
    form: Form<New>,
) -> Result<Created<Deployment>, Refusal> {
    let wanted = match form.optional(BUILD_SID).filter(|sid| !sid.is_empty()) {
        Some(build) => Wanted::Build(build.to_owned()),
        None => Wanted::Nothing,
    };
    let target =
        Target { service: place.service.sid.to_string(), environment: place.environment.sid.to_string() };
    let deployed = api.publisher.deploy(&call.actor, &target, wanted).await?;
    let deployment = deployment(&api, &place.environment, deployed.deployment.as_str()).await?;
    Ok(Created(show(&call, &place, deployment)))
}

async fn fetch(call: Call, Of(found): Of<InDeployment>) -> Result<Json<Deployment>, Refusal> {
    Ok(Json(show(&call, &found.place, found.deployment)))
}
