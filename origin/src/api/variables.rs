//! `/Services/{ZS}/Environments/{ZE}/Variables`

use super::Api;
use super::answer::{Created, Deleted};
use super::call::Call;
use super::date::Date;
use super::form::{Field, Fields, Form, Shape};
use super::of::{InEnvironment, Named, Names, Of};
use super::page::{Entry, Listed, Listing};
use super::refusal::Refusal;
use super::routes::Routes;
use crate::catalogue::Variable as Row;
use axum::Json;
use axum::extract::State;
use schemars::JsonSchema;
use serde::Serialize;

pub(super) fn routes() -> Routes {
    let variables = "/Services/{service}/Environments/{environment}/Variables";
    let variable = &format!("{variables}/{{variable}}");
    Routes::new()
        .get(variables, list, "The variables of an environment, for functions that run elsewhere")
        .post(variables, create, "Makes a variable")
        .get(variable, fetch, "A variable")
        .post(variable, update, "Changes a variable")
        .delete(variable, delete, "Deletes a variable")
}

/// A variable.
#[derive(Serialize, JsonSchema)]
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

impl Entry for Variable {
    const KEY: &'static str = "variables";
}

const KEY: Field = Field::required("Key", Shape::Text(1, 128), "Unique in the environment");
const VALUE: Field = Field::required("Value", Shape::Text(0, 450), "What it stands for");

struct New;

impl Fields for New {
    const FIELDS: &'static [Field] = &[KEY, VALUE];
}

struct Change;

impl Fields for Change {
    const FIELDS: &'static [Field] =
        &[Field { is_required: false, ..KEY }, Field { is_required: false, ..VALUE }];
}

/// A variable, with its environment.
struct InVariable {
    place: InEnvironment,
    row: Row,
}

impl Named for InVariable {
    async fn find(api: &Api, call: &Call, names: &Names) -> Result<Self, Refusal> {
        let place = InEnvironment::find(api, call, names).await?;
        let row = api.catalogue.variable(&place.environment.sid, names.of("variable")).await?;
        Ok(Self { row: row.ok_or_else(|| Refusal::unknown("Variable"))?, place })
    }
}

fn show(call: &Call, place: &InEnvironment, row: Row) -> Variable {
    Variable {
        url: format!("{}/Variables/{}", place.url(call), row.sid),
        account_sid: call.account().to_string(),
        service_sid: place.service.sid.to_string(),
        environment_sid: place.environment.sid.to_string(),
        key: row.key,
        value: row.value,
        date_created: Date(row.created_at),
        date_updated: Date(row.updated_at),
        sid: row.sid.into(),
    }
}

async fn list(
    State(api): State<Api>,
    call: Call,
    Of(place): Of<InEnvironment>,
    listing: Listing,
) -> Result<Listed<Variable>, Refusal> {
    let page = api.catalogue.list_variables(&place.environment.sid, &listing.wanted()).await?;
    Ok(listing.answer(&call, page, |row| show(&call, &place, row)))
}

async fn create(
    State(api): State<Api>,
    call: Call,
    Of(place): Of<InEnvironment>,
    form: Form<New>,
) -> Result<Created<Variable>, Refusal> {
    let (key, value) = (form.required(KEY)?, form.required(VALUE)?);
    let row = api.publisher.create_variable(&call.actor, &place.environment.sid, key, value).await?;
    Ok(Created(show(&call, &place, row)))
}

async fn fetch(call: Call, Of(found): Of<InVariable>) -> Result<Json<Variable>, Refusal> {
    Ok(Json(show(&call, &found.place, found.row)))
}

async fn update(
    State(api): State<Api>,
    call: Call,
    Of(found): Of<InVariable>,
    form: Form<Change>,
) -> Result<Json<Variable>, Refusal> {
    let (key, value) = (form.optional(KEY), form.optional(VALUE));
    let row = api.publisher.update_variable(&call.actor, &found.row, key, value).await?;
    Ok(Json(show(&call, &found.place, row)))
}

async fn delete(State(api): State<Api>, call: Call, Of(found): Of<InVariable>) -> Result<Deleted, Refusal> {
    api.publisher.delete_variable(&call.actor, &found.row).await?;
    Ok(Deleted)
}
