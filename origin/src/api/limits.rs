//! `/Services/{ZS}/Limits`: what a service may hold, which its owner reads and an operator sets.

use super::Api;
use super::call::Call;
use super::form::{Field, Fields, Form, Shape};
use super::of::{Named, Names, Of};
use super::refusal::Refusal;
use super::routes::Routes;
use crate::catalogue::ServiceDetails;
use crate::publish::{LimitChange, LimitsChange, LimitsOfService};
use crate::sid::{AccountSid, ServiceSid};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use schemars::JsonSchema;
use serde::Serialize;

pub(super) fn routes() -> Routes {
    let limits = "/Services/{service}/Limits";
    Routes::new().get(limits, fetch, "What a service may hold").post(
        limits,
        update,
        "Sets what a service may hold; for operators",
    )
}

/// What a service may hold.
#[derive(Serialize, JsonSchema)]
struct Limits {
    account_sid: String,
    service_sid: String,
    /// Bytes of a public or protected asset.
    served_size_max: u64,
    /// Public and protected paths in one build.
    served_count_max: u64,
    /// Bytes of a private asset.
    private_size_max: u64,
    /// Private paths in one build.
    private_count_max: u64,
    /// Which of them were set for this service; the others are the origin's defaults.
    overridden: Vec<&'static str>,
    url: String,
}

const SERVED_SIZE_MAX: Field = Field::optional(
    "ServedSizeMax",
    Shape::Number,
    "Bytes of a public or protected asset; nothing for the default",
);
const SERVED_COUNT_MAX: Field = Field::optional(
    "ServedCountMax",
    Shape::Number,
    "Public and protected paths in one build; nothing for the default",
);
const PRIVATE_SIZE_MAX: Field =
    Field::optional("PrivateSizeMax", Shape::Number, "Bytes of a private asset; nothing for the default");
const PRIVATE_COUNT_MAX: Field =
    Field::optional("PrivateCountMax", Shape::Number, "Private paths in one build; nothing for the default");

struct Change;

impl Fields for Change {
    const FIELDS: &'static [Field] =
        &[SERVED_SIZE_MAX, SERVED_COUNT_MAX, PRIVATE_SIZE_MAX, PRIVATE_COUNT_MAX];
}

/// A service with its owner: one's own by SID or unique name, any by SID for an operator.
struct OwnedService {
    owner: AccountSid,
    service: ServiceSid,
}

impl Named for OwnedService {
    async fn find(api: &Api, call: &Call, names: &Names) -> Result<Self, Refusal> {
        if call.is_operator {
            let sid = names.of("service");
            if let Some(owner) = api.catalogue.service_owner(sid).await? {
                return Ok(Self { owner, service: sid.to_owned().into() });
            }
        }
        let service = ServiceDetails::find(api, call, names).await?.sid;
        Ok(Self { owner: call.account().clone(), service })
    }
}

impl OwnedService {
    fn show(self, call: &Call, LimitsOfService { limits, set }: LimitsOfService) -> Limits {
        let overridden = set.named().into_iter().filter(|(_, value)| value.is_some()).map(|(name, _)| name);
        Limits {
            url: call.url(format_args!("/Services/{}/Limits", self.service)),
            account_sid: self.owner.into(),
            service_sid: self.service.into(),
            served_size_max: limits.served_size_max,
            served_count_max: limits.served_count_max,
            private_size_max: limits.private_size_max,
            private_count_max: limits.private_count_max,
            overridden: overridden.collect(),
        }
    }
}

async fn fetch(
    State(api): State<Api>,
    call: Call,
    Of(place): Of<OwnedService>,
) -> Result<Json<Limits>, Refusal> {
    let limits = api.publisher.limits(&place.service).await?;
    Ok(Json(place.show(&call, limits)))
}

async fn update(
    State(api): State<Api>,
    call: Call,
    Of(place): Of<OwnedService>,
    form: Form<Change>,
) -> Result<Json<Limits>, Refusal> {
    if !call.is_operator {
        let message = "only an operator account sets limits; ask whoever runs this origin";
        return Err(Refusal::new(StatusCode::FORBIDDEN, message));
    }
    let change = LimitsChange {
        served_size_max: limit(&form, SERVED_SIZE_MAX)?,
        served_count_max: limit(&form, SERVED_COUNT_MAX)?,
        private_size_max: limit(&form, PRIVATE_SIZE_MAX)?,
        private_count_max: limit(&form, PRIVATE_COUNT_MAX)?,
    };
    let limits = api.publisher.set_limits(&call.actor, &place.owner, &place.service, change).await?;
    Ok(Json(place.show(&call, limits)))
}

fn limit(form: &Form<Change>, field: Field) -> Result<LimitChange, Refusal> {
    match form.optional(field) {
        None => Ok(LimitChange::Keep),
        Some("") => Ok(LimitChange::Default),
        Some(text) => {
            let accepts = "a whole number, or nothing for the origin's default";
            text.parse().map(LimitChange::To).map_err(|_| Refusal::parameter(field.name, accepts))
        }
    }
}
