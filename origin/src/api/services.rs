//! `/Services`

use super::Api;
use super::answer::{Created, Deleted};
use super::call::Call;
use super::date::Date;
use super::form::{Field, Fields, Form, Shape};
use super::of::Of;
use super::page::{Entry, Listed, Listing};
use super::refusal::Refusal;
use super::routes::Routes;
use crate::catalogue::{ServiceChange, ServiceDetails};
use axum::Json;
use axum::extract::State;
use schemars::JsonSchema;
use serde::Serialize;

pub(super) fn routes() -> Routes {
    let service = "/Services/{service}";
    Routes::new()
        .get("/Services", list, "The services of the account")
        .post("/Services", create, "Makes a service without environments")
        .get(service, fetch, "A service")
        .post(service, update, "Changes a service")
        .delete(
            service,
            delete,
            "Deletes a service with all that it has; edges answer its names with 421 from then on",
        )
}

/// A service.
#[derive(Serialize, JsonSchema)]
struct Service {
    sid: String,
    account_sid: String,
    unique_name: String,
    friendly_name: String,
    include_credentials: bool,
    ui_editable: bool,
    /// First label of its environments' domains, before a suffix.
    domain_base: String,
    date_created: Date,
    date_updated: Date,
    url: String,
    links: Links,
}

impl Entry for Service {
    const KEY: &'static str = "services";
}

#[derive(Serialize, JsonSchema)]
#[schemars(inline)]
struct Links {
    environments: String,
    functions: String,
    assets: String,
    builds: String,
    /// Twilio has no such resources.
    limits: String,
    usage: String,
}

const UNIQUE_NAME: Field = Field::required(
    "UniqueName",
    Shape::Text(1, 50),
    "1 to 50 letters, digits, hyphens, dots and underscores, and no SID",
);
const FRIENDLY_NAME: Field = Field::required("FriendlyName", Shape::Text(1, 255), "What people call it");
const NEW_FRIENDLY_NAME: Field = Field { is_required: false, ..FRIENDLY_NAME };
const INCLUDE_CREDENTIALS: Field = Field::optional("IncludeCredentials", Shape::Flag, "Kept for functions");
const UI_EDITABLE: Field = Field::optional("UiEditable", Shape::Flag, "Kept for other clients");

struct New;

impl Fields for New {
    const FIELDS: &'static [Field] = &[UNIQUE_NAME, FRIENDLY_NAME, INCLUDE_CREDENTIALS, UI_EDITABLE];
}

struct Change;

impl Fields for Change {
    const FIELDS: &'static [Field] = &[NEW_FRIENDLY_NAME, INCLUDE_CREDENTIALS, UI_EDITABLE];
}

fn show(call: &Call, service: ServiceDetails) -> Service {
    let url = call.url(format_args!("/Services/{}", service.sid));
    let link = |name: &str| format!("{url}/{name}");
    Service {
        links: Links {
            environments: link("Environments"),
            functions: link("Functions"),
            assets: link("Assets"),
            builds: link("Builds"),
            limits: link("Limits"),
            usage: link("Usage"),
        },
        url,
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

async fn list(State(api): State<Api>, call: Call, listing: Listing) -> Result<Listed<Service>, Refusal> {
    let page = api.catalogue.list_services(call.account(), &listing.wanted()).await?;
    Ok(listing.answer(&call, page, |service| show(&call, service)))
}

async fn create(State(api): State<Api>, call: Call, form: Form<New>) -> Result<Created<Service>, Refusal> {
    let unique_name = form.required(UNIQUE_NAME)?;
    form.required(FRIENDLY_NAME)?;
    let service = api.publisher.create_service(&call.actor, unique_name, change(&form)?).await?;
    Ok(Created(show(&call, service)))
}

async fn fetch(call: Call, Of(service): Of<ServiceDetails>) -> Result<Json<Service>, Refusal> {
    Ok(Json(show(&call, service)))
}

async fn update(
    State(api): State<Api>,
    call: Call,
    Of(service): Of<ServiceDetails>,
    form: Form<Change>,
) -> Result<Json<Service>, Refusal> {
    let service = api.publisher.update_service(&call.actor, &service.sid, change(&form)?).await?;
    Ok(Json(show(&call, service)))
}

async fn delete(
    State(api): State<Api>,
    call: Call,
    Of(service): Of<ServiceDetails>,
) -> Result<Deleted, Refusal> {
    api.publisher.delete_service(&call.actor, &service.sid).await?;
    Ok(Deleted)
}

fn change<F>(form: &Form<F>) -> Result<ServiceChange, Refusal> {
    Ok(ServiceChange {
        // Twilio's services keep theirs.
        unique_name: None,
        friendly_name: form.optional(FRIENDLY_NAME).map(str::to_owned),
        include_credentials: form.flag(INCLUDE_CREDENTIALS)?,
        ui_editable: form.flag(UI_EDITABLE)?,
    })
}
