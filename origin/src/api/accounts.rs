//! `/Accounts`: one's own, and all of them for an operator. Twilio has the resource elsewhere, and without API keys alone.

use super::Api;
use super::call::Call;
use super::date::Date;
use super::form::{Field, Fields, Form, Shape};
use super::of::{Named, Names, Of};
use super::page::{Entry, Listed, Listing};
use super::refusal::Refusal;
use super::routes::Routes;
use crate::catalogue::{AccountChange, AccountDetails};
use axum::Json;
use axum::extract::State;
use schemars::JsonSchema;
use serde::Serialize;

pub(super) fn routes() -> Routes {
    let account = "/Accounts/{account}";
    Routes::new()
        .get("/Accounts", list, "The account that calls; all accounts for an operator")
        .get(account, fetch, "An account")
        .post(account, update, "Changes an account")
}

/// An account.
#[derive(Serialize, JsonSchema)]
struct Account {
    sid: String,
    friendly_name: String,
    is_operator: bool,
    /// Whether its auth tokens let nobody in, but only its API keys do. Tokens sign requests all the same.
    keys_only: bool,
    date_created: Date,
    url: String,
    /// Of the account that calls.
    #[serde(skip_serializing_if = "Option::is_none")]
    links: Option<Links>,
}

impl Entry for Account {
    const KEY: &'static str = "accounts";
}

#[derive(Serialize, JsonSchema)]
#[schemars(inline)]
struct Links {
    keys: String,
    auth_tokens: String,
    usage: String,
    audit_log: String,
}

const FRIENDLY_NAME: Field = Field::optional("FriendlyName", Shape::Text(0, 255), "What people call it");
const KEYS_ONLY: Field =
    Field::optional("KeysOnly", Shape::Flag, "Whether only API keys let somebody in; needs one first");

struct Change;

impl Fields for Change {
    const FIELDS: &'static [Field] = &[FRIENDLY_NAME, KEYS_ONLY];
}

impl Named for AccountDetails {
    async fn find(api: &Api, call: &Call, names: &Names) -> Result<Self, Refusal> {
        let sid = names.of("account");
        let is_visible = call.is_operator || call.account().as_str() == sid;
        let found = if is_visible { api.catalogue.account_details(sid).await? } else { None };
        found.ok_or_else(|| Refusal::unknown("Account"))
    }
}

fn show(call: &Call, account: AccountDetails) -> Account {
    let link = |name: &str| call.url(format_args!("/{name}"));
    let links = (account.sid == *call.account()).then(|| Links {
        keys: link("Keys"),
        auth_tokens: link("AuthTokens"),
        usage: link("Usage"),
        audit_log: link("AuditLog"),
    });
    Account {
        url: call.url(format_args!("/Accounts/{}", account.sid)),
        links,
        friendly_name: account.friendly_name,
        is_operator: account.is_operator,
        keys_only: account.keys_only,
        date_created: Date(account.created_at),
        sid: account.sid.into(),
    }
}

async fn list(State(api): State<Api>, call: Call, listing: Listing) -> Result<Listed<Account>, Refusal> {
    let only = if call.is_operator { None } else { Some(call.account()) };
    let page = api.catalogue.list_accounts(only, &listing.wanted()).await?;
    Ok(listing.answer(&call, page, |account| show(&call, account)))
}

async fn fetch(call: Call, Of(account): Of<AccountDetails>) -> Result<Json<Account>, Refusal> {
    Ok(Json(show(&call, account)))
}

async fn update(
    State(api): State<Api>,
    call: Call,
    Of(account): Of<AccountDetails>,
    form: Form<Change>,
) -> Result<Json<Account>, Refusal> {
    let change = AccountChange {
        friendly_name: form.optional(FRIENDLY_NAME).map(str::to_owned),
        keys_only: form.flag(KEYS_ONLY)?,
    };
    let account = api.credentials.update_account(&call.actor, &account.sid, change).await?;
    Ok(Json(show(&call, account)))
}
