//! `/AuditLog`: who did what to what, when and from where. One's own account's entries; an operator reads all.

use super::Api;
use super::call::Call;
use super::date::{self, Date};
use super::describe::{Operation, Takes};
use super::page::{Entry as Listable, Listed, Listing};
use super::refusal::Refusal;
use super::routes::Routes;
use crate::catalogue::{AuditEntry, AuditFilter};
use axum::extract::{FromRequestParts, State};
use axum::http::request::Parts;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;

pub(super) fn routes() -> Routes {
    Routes::new().get("/AuditLog", list, "Who did what to what, when and from where")
}

/// Something that was done.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "AuditEntry")]
struct Entry {
    /// Newer ones are greater.
    number: i64,
    /// The account that acted, or whose things an operator changed.
    account_sid: String,
    /// What it was recognised by: `auth_token_1`, `auth_token_2`, the SID of an API key, `origin` for the origin itself, or `operator`
    /// for an operator who acted on this account's things.
    credential: String,
    address: String,
    /// `create`, `update` or `delete`.
    action: String,
    subject_sid: String,
    /// What was chosen or set, where the action alone does not tell.
    detail: Option<String>,
    date_created: Date,
}

impl Listable for Entry {
    const KEY: &'static str = "entries";
}

/// What narrows the list, as it was given.
#[derive(Debug, Default)]
struct Narrowed {
    account: Option<String>,
    given: Vec<(&'static str, String)>,
    filter: AuditFilter,
}

impl Takes for Narrowed {
    fn describe(operation: &mut Operation) {
        let text = json!({ "type": "string" });
        operation.query("Action", "Only entries of this action", &text);
        operation.query("SubjectSid", "Only entries of what was done to this", &text);
        operation.query("Credential", "Only entries of what was done with this credential", &text);
        let date = json!({ "anyOf": [{ "type": "string", "format": "date" }, { "type": "string", "format": "date-time" }] });
        operation.query("StartDate", "Only entries from then on; 2026-01-31 or 2026-01-31T12:00:00Z", &date);
        operation.query("EndDate", "Only entries before then; 2026-01-31 or 2026-01-31T12:00:00Z", &date);
        operation.query("AccountSid", "Only entries of this account; an operator may name any", &text);
    }
}

impl<S: Sync> FromRequestParts<S> for Narrowed {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refusal> {
        let mut narrowed = Self::default();
        for (name, value) in form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes()) {
            narrowed.take(&name, value.into_owned())?;
        }
        Ok(narrowed)
    }
}

impl Narrowed {
    /// Takes a parameter of the query, if it is one that narrows.
    fn take(&mut self, name: &str, value: String) -> Result<(), Refusal> {
        const NAMES: [&str; 6] = ["Action", "SubjectSid", "Credential", "StartDate", "EndDate", "AccountSid"];
        let Some(name) = NAMES.into_iter().find(|known| *known == name) else { return Ok(()) };
        let date = |value: &str| {
            let accepts = "a date such as 2026-01-31 or 2026-01-31T12:00:00Z";
            date::parse(value).ok_or_else(|| Refusal::parameter(name, accepts)).map(Some)
        };
        match name {
            "Action" => self.filter.action = Some(value.clone()),
            "SubjectSid" => self.filter.subject = Some(value.clone()),
            "Credential" => self.filter.credential = Some(value.clone()),
            "StartDate" => self.filter.from = date(&value)?,
            "EndDate" => self.filter.until = date(&value)?,
            _ => self.account = Some(value.clone()),
        }
        self.given.push((name, value));
        Ok(())
    }

    /// What the account that calls may read of it.
    async fn allowed(
        mut self,
        api: &Api,
        call: &Call,
    ) -> Result<(AuditFilter, Vec<(&'static str, String)>), Refusal> {
        self.filter.account = match self.account {
            None if call.is_operator => None,
            None => Some(call.account().clone()),
            Some(sid) if sid == call.account().as_str() => Some(sid.into()),
            Some(sid) if call.is_operator && api.catalogue.account_details(&sid).await?.is_some() => {
                Some(sid.into())
            }
            Some(_) => return Err(Refusal::unknown("Account")),
        };
        Ok((self.filter, self.given))
    }
}

fn show(entry: AuditEntry) -> Entry {
    Entry {
        number: entry.number,
        account_sid: entry.account_sid.into(),
        credential: entry.credential,
        address: entry.address,
        action: entry.action,
        subject_sid: entry.subject_sid,
        detail: entry.detail,
        date_created: Date(entry.created_at),
    }
}

async fn list(
    State(api): State<Api>,
    call: Call,
    listing: Listing,
    narrowed: Narrowed,
) -> Result<Listed<Entry>, Refusal> {
    let (filter, given) = narrowed.allowed(&api, &call).await?;
    let listing = listing.narrowed(given);
    let page = api.catalogue.list_audit_log(&filter, &listing.wanted()).await?;
    Ok(listing.answer(&call, page, show))
}
