//! The REST API as Twilio's clients know it: one file a resource, and what all of them need.
//!
//! - `listen`: connections, with TLS or without
//! - `gate`: who calls, by which name, and whether a browser was made to call
//! - `call`, `form`, `page`, `date`, `refusal`: what a request and its answer are made of
//! - `services`, `environments`, `domains`, `variables`, `deployments`, `builds`, `bundle`, `contents`, `versions`, `upload`: the resources
//!
//! The account's own things only: whatever belongs to another account is answered as if it did not exist. axum and hyper are named
//! here and below only.

mod builds;
mod bundle;
mod call;
mod contents;
mod date;
mod deployments;
mod domains;
mod environments;
mod form;
mod gate;
mod listen;
mod page;
mod refusal;
mod services;
mod upload;
mod variables;
mod versions;

pub(crate) use gate::Hosts;
pub use listen::ApiError;
pub(crate) use listen::{acceptor, serve};

use crate::blobs::BlobStore;
use crate::catalogue::{BuildDetails, Catalogue, Content, EnvironmentDetails, Kind, ServiceDetails};
use crate::credentials::Credentials;
use crate::metrics::Metrics;
use crate::publish::Publisher;
use axum::routing::get;
use axum::{Router, middleware};
use call::Call;
use refusal::Refusal;
use std::sync::Arc;
use tokio_util::task::TaskTracker;

/// Everything that calls are answered from. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct Api {
    pub(crate) publisher: Publisher,
    pub(crate) credentials: Credentials,
    pub(crate) catalogue: Catalogue,
    pub(crate) blobs: BlobStore,
    pub(crate) metrics: Arc<Metrics>,
    /// Connections, and what is left of requests that were refused.
    pub(crate) tasks: TaskTracker,
    pub(crate) hosts: Arc<Hosts>,
}

/// All routes.
fn router(api: Api) -> Router {
    let resources = Router::new()
        .merge(services::routes())
        .merge(environments::routes())
        .merge(domains::routes())
        .merge(variables::routes())
        .merge(deployments::routes())
        .merge(builds::routes())
        .merge(bundle::routes())
        .merge(contents::routes())
        .merge(versions::routes())
        .fallback(|| async { Refusal::unknown("resource") })
        .layer(middleware::from_fn_with_state(api.clone(), gate::authenticate));
    Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .nest("/v1", resources)
        .layer(middleware::from_fn_with_state(api.clone(), gate::admit))
        .with_state(api)
}

impl Api {
    /// The service of a request's path, by SID or unique name.
    async fn service(&self, call: &Call, name: &str) -> Result<ServiceDetails, Refusal> {
        self.catalogue.service(call.account(), name).await?.ok_or_else(|| Refusal::unknown("Service"))
    }

    /// The environment of a request's path.
    async fn environment(&self, service: &ServiceDetails, sid: &str) -> Result<EnvironmentDetails, Refusal> {
        let found = self.catalogue.environment(&service.sid, sid).await?;
        found.ok_or_else(|| Refusal::unknown("Environment"))
    }

    /// The build of a request's path.
    async fn build(&self, service: &ServiceDetails, sid: &str) -> Result<BuildDetails, Refusal> {
        self.catalogue.build(&service.sid, sid).await?.ok_or_else(|| Refusal::unknown("Build"))
    }

    /// The asset or function of a request's path.
    async fn content(&self, kind: Kind, service: &ServiceDetails, sid: &str) -> Result<Content, Refusal> {
        let found = self.catalogue.content(kind, &service.sid, sid).await?;
        found.ok_or_else(|| Refusal::unknown(contents::noun(kind)))
    }
}
