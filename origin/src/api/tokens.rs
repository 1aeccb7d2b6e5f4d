//! `/AuthTokens`: the primary one, and the secondary one that takes its place when everybody who needs it has it.
//!
//! Until then both are valid: no call and no signed request fails because of a rotation.

use super::Api;
use super::answer::{Created, Deleted};
use super::call::Call;
use super::date::Date;
use super::form::{Form, Nothing};
use super::page::{Entry, Listed, Listing};
use super::refusal::Refusal;
use super::routes::Routes;
use crate::catalogue::Page;
use crate::credentials::CredentialError;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use schemars::JsonSchema;
use serde::Serialize;

pub(super) fn routes() -> Routes {
    let secondary = "/AuthTokens/Secondary";
    Routes::new()
        .get("/AuthTokens", list, "The auth tokens of the account, which nobody can read again")
        .post(secondary, create, "Makes a second auth token; it is in this answer alone")
        .delete(secondary, delete, "Revokes the second auth token")
        .post(
            "/AuthTokens/Promote",
            promote,
            "The second auth token takes the first one's place, which is revoked",
        )
}

/// An auth token.
#[derive(Serialize, JsonSchema)]
struct AuthToken {
    account_sid: String,
    /// `primary` is the one that was made first, `secondary` the other one.
    role: &'static str,
    /// As the audit log names it.
    slot: u8,
    date_created: Date,
    url: String,
}

impl Entry for AuthToken {
    const KEY: &'static str = "auth_tokens";
}

/// An auth token as it is told once.
#[derive(Serialize, JsonSchema)]
struct NewAuthToken {
    #[serde(flatten)]
    token: AuthToken,
    /// Not to be had again.
    secondary_auth_token: String,
}

/// All tokens, the primary one first.
async fn held(api: &Api, call: &Call) -> Result<Vec<AuthToken>, Refusal> {
    let rows = api.credentials.list(call.account()).await?.tokens;
    let shown = rows.into_iter().zip(["primary", "secondary"]).map(|(row, role)| AuthToken {
        account_sid: call.account().to_string(),
        role,
        slot: row.slot,
        date_created: Date(row.created_at),
        url: call.url(format_args!("/AuthTokens")),
    });
    Ok(shown.collect())
}

async fn list(State(api): State<Api>, call: Call, listing: Listing) -> Result<Listed<AuthToken>, Refusal> {
    let mut tokens = held(&api, &call).await?;
    // The newest first, as in all lists.
    tokens.reverse();
    let wanted = listing.wanted();
    let skip = usize::try_from(wanted.skip).unwrap_or(usize::MAX);
    let items = tokens.into_iter().skip(skip).take(wanted.size as usize).collect();
    Ok(listing.answer(&call, Page { items, next: None }, |token| token))
}

async fn create(
    State(api): State<Api>,
    call: Call,
    _: Form<Nothing>,
) -> Result<Created<NewAuthToken>, Refusal> {
    let made = api.credentials.create_token(&call.actor).await?;
    tracing::info!(account = call.account().as_str(), slot = made.id, "an auth token was made");
    let token = held(&api, &call).await?.into_iter().find(|token| token.slot.to_string() == made.id);
    // Somebody else may have revoked it in between.
    let token = token.ok_or_else(|| Refusal::unknown("AuthToken"))?;
    Ok(Created(NewAuthToken { token, secondary_auth_token: made.secret }))
}

async fn delete(State(api): State<Api>, call: Call) -> Result<Deleted, Refusal> {
    match api.credentials.revoke_second_token(&call.actor).await {
        Ok(_) => {
            tracing::info!(account = call.account().as_str(), "the second auth token was revoked");
            Ok(Deleted)
        }
        Err(error @ CredentialError::NoSecondary) => {
            Err(Refusal::new(StatusCode::NOT_FOUND, error.to_string()))
        }
        Err(error) => Err(error.into()),
    }
}

async fn promote(State(api): State<Api>, call: Call, _: Form<Nothing>) -> Result<Json<AuthToken>, Refusal> {
    api.credentials.promote_token(&call.actor).await?;
    tracing::info!(account = call.account().as_str(), "the second auth token took the first one's place");
    let token = held(&api, &call).await?.into_iter().next();
    token.map(Json).ok_or_else(|| Refusal::unknown("AuthToken"))
}
