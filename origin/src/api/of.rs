//! What the path of a request names, found before the request's body is looked at: what is not there, or another account's, is 404.

use super::Api;
use super::call::Call;
use super::describe::Takes;
use super::refusal::Refusal;
use crate::catalogue::{BuildDetails, EnvironmentDetails, ServiceDetails};
use axum::extract::{FromRequestParts, RawPathParams};
use axum::http::request::Parts;

/// The names in the path of a request, decoded.
pub(super) struct Names(Vec<(String, String)>);

impl Names {
    /// What stands in place of a name; nothing where the route has no such name.
    pub(super) fn of(&self, name: &str) -> &str {
        self.0.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
    }
}

/// Something that paths name.
pub(super) trait Named: Sized {
    /// Finds it among what the account that calls has.
    fn find(api: &Api, call: &Call, names: &Names) -> impl Future<Output = Result<Self, Refusal>> + Send;
}

/// What the path names.
pub(super) struct Of<T>(pub(super) T);

impl<T> Takes for Of<T> {}

impl<T: Named> FromRequestParts<Api> for Of<T> {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Refusal> {
        let call = Call::from_request_parts(parts, api).await?;
        let names = RawPathParams::from_request_parts(parts, api).await;
        // A name that is no UTF-8 is nobody's.
        let names = names.map_err(|_| Refusal::unknown("resource"))?;
        let names = names.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        Ok(Self(T::find(api, &call, &Names(names)).await?))
    }
}

impl Named for ServiceDetails {
    async fn find(api: &Api, call: &Call, names: &Names) -> Result<Self, Refusal> {
        let service = api.catalogue.service(call.account(), names.of("service")).await?;
        service.ok_or_else(|| Refusal::unknown("Service"))
    }
}

/// An environment, with its service.
pub(super) struct InEnvironment {
    pub(super) service: ServiceDetails,
    pub(super) environment: EnvironmentDetails,
}

impl Named for InEnvironment {
    async fn find(api: &Api, call: &Call, names: &Names) -> Result<Self, Refusal> {
        let service = ServiceDetails::find(api, call, names).await?;
        let environment = api.catalogue.environment(&service.sid, names.of("environment")).await?;
        let environment = environment.ok_or_else(|| Refusal::unknown("Environment"))?;
        Ok(Self { service, environment })
    }
}

impl InEnvironment {
    /// The absolute URL of the environment.
    pub(super) fn url(&self, call: &Call) -> String {
        let Self { service, environment } = self;
        call.url(format_args!("/Services/{}/Environments/{}", service.sid, environment.sid))
    }
}

/// A build, with its service.
pub(super) struct InBuild {
    pub(super) service: ServiceDetails,
    pub(super) build: BuildDetails,
}

impl Named for InBuild {
    async fn find(api: &Api, call: &Call, names: &Names) -> Result<Self, Refusal> {
        let service = ServiceDetails::find(api, call, names).await?;
        let build = api.catalogue.build(&service.sid, names.of("build")).await?;
        let build = build.ok_or_else(|| Refusal::unknown("Build"))?;
        Ok(Self { service, build })
    }
}
