//! `/Services/{ZS}/Environments/{ZE}/Domains`: domains that accounts bring along, and the proofs of them.

use super::Api;
use super::answer::{Created, Deleted};
use super::call::Call;
use super::date::Date;
use super::form::{Field, Fields, Form, Nothing, Shape};
use super::of::{InEnvironment, Named, Names, Of};
use super::page::{Entry, Listed, Listing};
use super::refusal::Refusal;
use super::routes::Routes;
use crate::catalogue::DomainDetails;
use axum::Json;
use axum::extract::State;
use schemars::JsonSchema;
use serde::Serialize;
use skerry_proto::domain::{record_name, record_value};

pub(super) fn routes() -> Routes {
    let domains = "/Services/{service}/Environments/{environment}/Domains";
    let domain = &format!("{domains}/{{domain}}");
    Routes::new()
        .get(domains, list, "The domains of its own that an environment has, or claims")
        .post(domains, create, "Claims a domain; the answer says which record in DNS proves it")
        .get(domain, fetch, "A domain")
        .delete(domain, delete, "Gives a domain up")
        .post(&format!("{domain}/Verify"), verify, "Looks for the proof of a domain, which is live then")
}

/// A domain.
#[derive(Serialize, JsonSchema)]
struct Domain {
    sid: String,
    account_sid: String,
    service_sid: String,
    environment_sid: String,
    /// In ASCII and lower case, without a port.
    domain_name: String,
    /// With the port where it is not that of HTTPS.
    public_url: String,
    /// `pending` until it is proven, then `live`.
    status: &'static str,
    record: Record,
    date_created: Date,
    date_updated: Date,
    /// `null` while it is pending.
    date_verified: Option<Date>,
    url: String,
    links: Links,
}

impl Entry for Domain {
    const KEY: &'static str = "domains";
}

/// The record in DNS that proves a domain.
#[derive(Serialize, JsonSchema)]
#[schemars(inline)]
struct Record {
    name: String,
    r#type: &'static str,
    value: String,
}

#[derive(Serialize, JsonSchema)]
#[schemars(inline)]
struct Links {
    verify: String,
}

const DOMAIN_NAME: Field =
    Field::required("DomainName", Shape::Text(1, 253), "A host name of one's own, such as music.example.com");

struct New;

impl Fields for New {
    const FIELDS: &'static [Field] = &[DOMAIN_NAME];
}

/// A domain, with its environment.
struct InDomain {
    place: InEnvironment,
    domain: DomainDetails,
}

impl Named for InDomain {
    async fn find(api: &Api, call: &Call, names: &Names) -> Result<Self, Refusal> {
        let place = InEnvironment::find(api, call, names).await?;
        let domain = api.publisher.domain(&place.environment.sid, names.of("domain")).await?;
        Ok(Self { place, domain })
    }
}

fn show(api: &Api, call: &Call, place: &InEnvironment, domain: DomainDetails) -> Domain {
    let url = format!("{}/Domains/{}", place.url(call), domain.sid);
    Domain {
        links: Links { verify: format!("{url}/Verify") },
        url,
        account_sid: call.account().to_string(),
        service_sid: place.service.sid.to_string(),
        environment_sid: place.environment.sid.to_string(),
        public_url: api.publisher.naming().public_url(&domain.domain_name),
        status: if domain.verified_at.is_some() { "live" } else { "pending" },
        record: Record {
            name: record_name(&domain.domain_name),
            r#type: "TXT",
            value: record_value(call.account().as_str()),
        },
        date_created: Date(domain.created_at),
        date_updated: Date(domain.updated_at),
        date_verified: domain.verified_at.map(Date),
        domain_name: domain.domain_name,
        sid: domain.sid.into(),
    }
}

async fn list(
    State(api): State<Api>,
    call: Call,
    Of(place): Of<InEnvironment>,
    listing: Listing,
) -> Result<Listed<Domain>, Refusal> {
    let page = api.catalogue.list_domains(&place.environment.sid, &listing.wanted()).await?;
    Ok(listing.answer(&call, page, |row| show(&api, &call, &place, row)))
}

async fn create(
    State(api): State<Api>,
    call: Call,
    Of(place): Of<InEnvironment>,
    form: Form<New>,
) -> Result<Created<Domain>, Refusal> {
    let name = form.required(DOMAIN_NAME)?;
    let domain = api.publisher.add_domain(&call.actor, &place.environment.sid, name).await?;
    Ok(Created(show(&api, &call, &place, domain)))
}

async fn fetch(State(api): State<Api>, call: Call, Of(found): Of<InDomain>) -> Result<Json<Domain>, Refusal> {
    Ok(Json(show(&api, &call, &found.place, found.domain)))
}

async fn verify(
    State(api): State<Api>,
    call: Call,
    Of(found): Of<InDomain>,
    _: Form<Nothing>,
) -> Result<Json<Domain>, Refusal> {
    let (domain, _) = api.publisher.verify_domain(&call.actor, found.domain).await?;
    Ok(Json(show(&api, &call, &found.place, domain)))
}

async fn delete(State(api): State<Api>, call: Call, Of(found): Of<InDomain>) -> Result<Deleted, Refusal> {
    api.publisher.remove_domain(&call.actor, found.domain).await?;
    Ok(Deleted)
}
