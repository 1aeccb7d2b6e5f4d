//! `/Services/{ZS}/Environments/{ZE}/Variables`

use super::Api;
use super::call::Call;
use super::date::Date;
use super::form::Form;
use super::page::Listing;
use super::refusal::Refusal;
use crate::catalogue::{EnvironmentDetails, ServiceDetails, Variable as Row};
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use serde::Serialize;
use serde_json::Value;

pub(super) fn routes() -> Router<Api> {
    let variables = "/Services/{service}/Environments/{environment}/Variables";
    Router::new()
        .route(variables, get(list).post(create))
        .route(&format!("{variables}/{{variable}}"), get(fetch).post(update).delete(delete))
}

/// A variable, as clients read it.
#[derive(Serialize)]
struct Variable {
    sid: String,
    account_sid: String,
    service_sid: String,
    environment_sid: String,
    key: String,
    value: String,
    date_created: Date,
    date_updated: Date,
    url: String,
}

/// Of which environment.
struct Place {
    service: ServiceDetails,
    environment: EnvironmentDetails,
}

impl Place {
    async fn find(api: &Api, call: &Call, service: &str, environment: &str) -> Result<Self, Refusal> {
        let service = api.service(call, service).await?;
        let environment = api.environment(&service, environment).await?;
        Ok(Self { service, environment })
    }

    async fn variable(&self, api: &Api, sid: &str) -> Result<Row, Refusal> {
        let found = api.catalogue.variable(&self.environment.sid, sid).await?;
        found.ok_or_else(|| Refusal::unknown("Variable"))
    }

    fn show(&self, call: &Call, row: Row) -> Variable {
        let (service, environment) = (&self.service.sid, &self.environment.sid);
        Variable {
            url: call
                .url(format_args!("/Services/{service}/Environments/{environment}/Variables/{}", row.sid)),
            account_sid: call.account().to_string(),
            service_sid: service.to_string(),
            environment_sid: environment.to_string(),
            key: row.key,
            value: row.value,
            date_created: Date(row.created_at),
            date_updated: Date(row.updated_at),
            sid: row.sid.into(),
        }
    }
}

async fn list(
    State(api): State<Api>,
    call: Call,
    Path((service, environment)): Path<(String, String)>,
    listing: Listing,
) -> Result<Json<Value>, Refusal> {
    let place = Place::find(&api, &call, &service, &environment).await?;
    let page = api.catalogue.list_variables(&place.environment.sid, &listing.wanted()).await?;
    Ok(listing.answer(&call, "variables", page, |row| place.show(&call, row)))
}

async fn create(
    State(api): State<Api>,
    call: Call,
    Path((service, environment)): Path<(String, String)>,
    form: Form,
) -> Result<(StatusCode, Json<Variable>), Refusal> {
    let place = Place::find(&api, &call, &service, &environment).await?;
    let (key, value) = (form.required("Key")?, form.required("Value")?);
    let row = api.publisher.create_variable(&call.actor, &place.environment.sid, key, value).await?;
    Ok((StatusCode::CREATED, Json(place.show(&call, row))))
}

async fn fetch(
    State(api): State<Api>,
    call: Call,
    Path((service, environment, variable)): Path<(String, String, String)>,
) -> Result<Json<Variable>, Refusal> {
    let place = Place::find(&api, &call, &service, &environment).await?;
    let row = place.variable(&api, &variable).await?;
    Ok(Json(place.show(&call, row)))
}

async fn update(
    State(api): State<Api>,
    call: Call,
    Path((service, environment, variable)): Path<(String, String, String)>,
    form: Form,
) -> Result<Json<Variable>, Refusal> {
    let place = Place::find(&api, &call, &service, &environment).await?;
    let row = place.variable(&api, &variable).await?;
    let (key, value) = (form.optional("Key"), form.optional("Value"));
    let row = api.publisher.update_variable(&call.actor, &row, key, value).await?;
    Ok(Json(place.show(&call, row)))
}

async fn delete(
    State(api): State<Api>,
    call: Call,
    Path((service, environment, variable)): Path<(String, String, String)>,
) -> Result<StatusCode, Refusal> {
    let place = Place::find(&api, &call, &service, &environment).await?;
    let row = place.variable(&api, &variable).await?;
    api.publisher.delete_variable(&call.actor, &row).await?;
    Ok(StatusCode::NO_CONTENT)
}
