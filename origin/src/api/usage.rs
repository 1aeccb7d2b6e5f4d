//! `/Usage` and `/Services/{ZS}/Usage`: how much there is, beside what may be.

use super::Api;
use super::call::Call;
use super::of::Of;
use super::refusal::Refusal;
use super::routes::Routes;
use crate::catalogue::{EnvironmentUsage, ServiceDetails};
use axum::Json;
use axum::extract::State;
use schemars::JsonSchema;
use serde::Serialize;

pub(super) fn routes() -> Routes {
    Routes::new().get("/Usage", of_account, "How much the account has").get(
        "/Services/{service}/Usage",
        of_service,
        "How much a service has, and what it may hold",
    )
}

/// How much an account has.
#[derive(Serialize, JsonSchema)]
struct AccountUsage {
    account_sid: String,
    services: u64,
    api_keys: u64,
    /// Bytes of distinct contents of all versions; also of deleted assets, whose versions are kept.
    stored_bytes: u64,
    asset_versions: u64,
    function_versions: u64,
    url: String,
}

/// How much a service has, and what it may hold.
#[derive(Serialize, JsonSchema)]
struct ServiceUsage {
    account_sid: String,
    service_sid: String,
    /// Bytes of distinct contents of all versions; also of deleted assets, whose versions are kept.
    stored_bytes: u64,
    asset_versions: u64,
    function_versions: u64,
    served_count_max: u64,
    private_count_max: u64,
    served_size_max: u64,
    private_size_max: u64,
    /// Ascending by unique name.
    environments: Vec<Shown>,
    url: String,
}

/// Paths of the build that an environment shows.
#[derive(Serialize, JsonSchema)]
#[schemars(inline)]
struct Shown {
    environment_sid: String,
    unique_name: String,
    /// `null` where it shows none.
    build_sid: Option<String>,
    /// Public and protected ones.
    served_count: u64,
    private_count: u64,
}

impl From<EnvironmentUsage> for Shown {
    fn from(usage: EnvironmentUsage) -> Self {
        Self {
            environment_sid: usage.sid.into(),
            unique_name: usage.unique_name,
            build_sid: usage.build_sid,
            served_count: usage.served_count,
            private_count: usage.private_count,
        }
    }
}

async fn of_account(State(api): State<Api>, call: Call) -> Result<Json<AccountUsage>, Refusal> {
    let usage = api.catalogue.account_usage(call.account()).await?;
    Ok(Json(AccountUsage {
        account_sid: call.account().to_string(),
        services: usage.services,
        api_keys: usage.api_keys,
        stored_bytes: usage.stored.bytes,
        asset_versions: usage.stored.asset_versions,
        function_versions: usage.stored.function_versions,
        url: call.url(format_args!("/Usage")),
    }))
}

async fn of_service(
    State(api): State<Api>,
    call: Call,
    Of(service): Of<ServiceDetails>,
) -> Result<Json<ServiceUsage>, Refusal> {
    let limits = api.publisher.limits(&service.sid).await?.limits;
    let usage = api.catalogue.service_usage(&service.sid).await?;
    Ok(Json(ServiceUsage {
        account_sid: call.account().to_string(),
        url: call.url(format_args!("/Services/{}/Usage", service.sid)),
        service_sid: service.sid.into(),
        stored_bytes: usage.stored.bytes,
        asset_versions: usage.stored.asset_versions,
        function_versions: usage.stored.function_versions,
        served_count_max: limits.served_count_max,
        private_count_max: limits.private_count_max,
        served_size_max: limits.served_size_max,
        private_size_max: limits.private_size_max,
        environments: usage.environments.into_iter().map(Into::into).collect(),
    }))
}
