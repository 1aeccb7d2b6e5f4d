//! The REST API as Twilio's clients know it: one file a resource, and what all of them need.
//!
//! - `listen`: connections, with TLS or without
//! - `gate`: who calls, by which name, and whether a browser was made to call
//! - `call`, `of`, `form`, `page`, `date`, `answer`, `refusal`: what a request and its answer are made of
//! - `routes`, `describe`, `document`: routes, and the OpenAPI document that is made of them
//! - `services`, `environments`, `variables`, `deployments`, `builds`, `bundle`, `contents`, `versions`, `upload`: Twilio's resources
//! - `domains`, `accounts`, `keys`, `tokens`, `limits`, `usage`, `audit`: what else an account has
//!
//! The account's own things only: whatever belongs to another account is answered as if it did not exist. axum and hyper are named
//! here and below only.

mod accounts;
mod answer;
mod audit;
mod builds;
mod bundle;
mod call;
mod contents;
mod date;
mod deployments;
mod describe;
mod document;
mod domains;
mod environments;
mod form;
mod gate;
mod keys;
mod limits;
mod listen;
mod of;
mod page;
mod receipts;
mod refusal;
mod routes;
mod services;
mod tokens;
mod upload;
mod usage;
mod variables;
mod versions;

pub(crate) use crate::blobs::BlobStore;
use crate::catalogue::Catalogue;
use crate::config::ApiConfig;
use crate::credentials::Credentials;
use crate::edges::Receipts;
use crate::metrics::Metrics;
use crate::publish::Publisher;
use axum::extract::DefaultBodyLimit;
use axum::http::header::CONTENT_TYPE;
use axum::routing::get;
use axum::{Router, middleware};
pub(crate) use call::{Base, Call, IsOperator};
pub(crate) use gate::Hosts;
pub use listen::ApiError;
pub(crate) use listen::{Connected, acceptor, serve};
pub(crate) use refusal::Refusal;
use routes::Routes;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::task::TaskTracker;

/// Everything that calls are answered from. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct Api {
    pub(crate) publisher: Publisher,
    pub(crate) credentials: Credentials,
    pub(crate) catalogue: Catalogue,
    pub(crate) blobs: BlobStore,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) receipts: Receipts,
    /// Connections, and what is left of requests that were refused.
    pub(crate) tasks: TaskTracker,
    pub(crate) hosts: Arc<Hosts>,
    pub(crate) bounds: Bounds,
}

/// How much a request may bring, and how slowly.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    form_size_max: usize,
    form_time_max: Duration,
    upload_pause_max: Duration,
}

impl Bounds {
    /// Those of a configuration.
    pub(crate) const fn of(config: &ApiConfig) -> Self {
        Self {
            form_size_max: config.form_size_max,
            form_time_max: config.form_time_max,
            upload_pause_max: config.upload_pause_max,
        }
    }
}

/// All routes below `/v1`.
fn routes() -> Routes {
    Routes::new()
        .merge(services::routes())
        .merge(environments::routes())
        .merge(domains::routes())
        .merge(variables::routes())
        .merge(deployments::routes())
        .merge(receipts::routes())
        .merge(builds::routes())
        .merge(bundle::routes())
        .merge(contents::routes())
        .merge(versions::routes())
        .merge(limits::routes())
        .merge(usage::routes())
        .merge(accounts::routes())
        .merge(keys::routes())
        .merge(tokens::routes())
        .merge(audit::routes())
}

/// The resources below `/v1`, for whoever found out who calls, and what they are described by.
fn resources() -> (Router<Api>, Vec<routes::Route>) {
    let (resources, described) = routes().into_parts();
    let resources = resources
        .fallback(|| async { Refusal::unknown("resource") })
        // Forms end at `api.form_size_max`, the bytes of an upload at the limits of assets.
        .layer(DefaultBodyLimit::disable());
    (resources, described)
}

/// The same resources for the console, which finds out by itself who calls.
pub(crate) fn for_console(api: Api) -> Router {
    resources().0.with_state(api)
}

/// The API and the document of it, which anybody may read: it says what the program's source says. Beside it, on the same listener, the
/// console.
fn router(api: Api, console: Router) -> Router {
    let (resources, described) = resources();
    let document = document::document(&described).to_string();
    let document = get(move || {
        let document = document.clone();
        async move { ([(CONTENT_TYPE, "application/json")], document) }
    });
    let resources = resources.layer(middleware::from_fn_with_state(api.clone(), gate::authenticate));
    Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .nest("/v1", Router::new().route("/openapi.json", document).merge(resources))
        .with_state(api.clone())
        .merge(console)
        .layer(middleware::from_fn_with_state(api.clone(), gate::admit))
}
