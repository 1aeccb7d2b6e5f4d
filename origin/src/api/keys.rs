//! `/Keys`: API keys, which stand for their account in place of an auth token.

use super::Api;
use super::answer::{Created, Deleted};
use super::call::Call;
use super::date::Date;
use super::form::{Field, Fields, Form, Shape};
use super::of::{Named, Names, Of};
use super::page::{Entry, Listed, Listing};
use super::refusal::Refusal;
use super::routes::Routes;
use crate::catalogue::ApiKey;
use axum::Json;
use axum::extract::State;
use schemars::JsonSchema;
use serde::Serialize;

pub(super) fn routes() -> Routes {
    let key = "/Keys/{key}";
    Routes::new()
        .get("/Keys", list, "The API keys of the account that are not revoked")
        .post("/Keys", create, "Makes an API key; its secret is in this answer alone")
        .get(key, fetch, "An API key")
        .post(key, update, "Names an API key anew")
        .delete(key, delete, "Revokes an API key, at once")
}

/// An API key.
#[derive(Serialize, JsonSchema)]
struct Key {
    sid: String,
    account_sid: String,
    friendly_name: String,
    date_created: Date,
    date_updated: Date,
    url: String,
}

impl Entry for Key {
    const KEY: &'static str = "keys";
}

/// An API key as it is told once.
#[derive(Serialize, JsonSchema)]
struct NewKey {
    #[serde(flatten)]
    key: Key,
    /// Not to be had again.
    secret: String,
}

const FRIENDLY_NAME: Field = Field::optional("FriendlyName", Shape::Text(0, 255), "What people call it");

struct Name;

impl Fields for Name {
    const FIELDS: &'static [Field] = &[FRIENDLY_NAME];
}

impl Named for ApiKey {
    async fn find(api: &Api, call: &Call, names: &Names) -> Result<Self, Refusal> {
        let found = api.catalogue.api_key(call.account(), names.of("key")).await?;
        found.ok_or_else(|| Refusal::unknown("Key"))
    }
}

fn show(call: &Call, key: ApiKey) -> Key {
    Key {
        url: call.url(format_args!("/Keys/{}", key.sid)),
        account_sid: call.account().to_string(),
        friendly_name: key.friendly_name,
        date_created: Date(key.created_at),
        date_updated: Date(key.updated_at),
        sid: key.sid.into(),
    }
}

async fn list(State(api): State<Api>, call: Call, listing: Listing) -> Result<Listed<Key>, Refusal> {
    let page = api.credentials.api_keys(call.account(), &listing.wanted()).await?;
    Ok(listing.answer(&call, page, |key| show(&call, key)))
}

async fn create(State(api): State<Api>, call: Call, form: Form<Name>) -> Result<Created<NewKey>, Refusal> {
    let name = form.optional(FRIENDLY_NAME).unwrap_or_default();
    let (key, secret) = api.credentials.create_api_key(&call.actor, name).await?;
    tracing::info!(account = call.account().as_str(), key = key.sid.as_str(), "an API key was made");
    Ok(Created(NewKey { key: show(&call, key), secret }))
}

async fn fetch(call: Call, Of(key): Of<ApiKey>) -> Result<Json<Key>, Refusal> {
    Ok(Json(show(&call, key)))
}

async fn update(
    State(api): State<Api>,
    call: Call,
    Of(key): Of<ApiKey>,
    form: Form<Name>,
) -> Result<Json<Key>, Refusal> {
    let Some(name) = form.optional(FRIENDLY_NAME) else { return Ok(Json(show(&call, key))) };
    let key = api.credentials.rename_api_key(&call.actor, key.sid.as_str(), name).await?;
    Ok(Json(show(&call, key)))
}

async fn delete(State(api): State<Api>, call: Call, Of(key): Of<ApiKey>) -> Result<Deleted, Refusal> {
    api.credentials.revoke_api_key(&call.actor, key.sid.as_str()).await?;
    tracing::info!(account = call.account().as_str(), key = key.sid.as_str(), "an API key was revoked");
    Ok(Deleted)
}
