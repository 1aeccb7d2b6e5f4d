//! The console: the page at `/`, and what it calls.
//!
//! - `files`: the page itself, embedded in the program
//! - `gate`: whether a call comes from a page that signed in, and who that is; `link`: sign-in links that work once
//! - `session`: signing in and out
//! - `assets`, `upload`, `publish`: what is live, and how it changes; `look`: what somebody should know before
//! - `preview`: bytes for their owner; `deployments`: what was live when, and which edges show it
//! - `body`: JSON in, within bounds
//!
//! What the REST API can do is the REST API's: its resources are nested at `/console/v1`, behind the console's own gate. Only what it
//! has no word for is here, and calls the same operations.

mod assets;
mod body;
mod deployments;
mod files;
mod gate;
mod link;
mod look;
mod preview;
mod publish;
mod session;
mod upload;

pub(crate) use link::Links;

use crate::api::{self, Api, Refusal};
use crate::config::ConsoleConfig;
use crate::edges::Edges;
use axum::extract::DefaultBodyLimit;
use axum::routing::{get, post, put};
use axum::{Router, middleware};
use std::sync::Arc;

/// Everything that the console answers from. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct Console {
    pub(crate) api: Api,
    pub(crate) edges: Edges,
    pub(crate) links: Arc<Links>,
    pub(crate) config: ConsoleConfig,
}

/// Its routes, on the listener of the API.
pub(crate) fn router(console: Console) -> Router {
    let resources = api::for_console(console.api.clone());
    let calls = Router::new()
        .route("/session", get(session::show).delete(session::end))
        .route("/services", get(assets::services))
        .route("/assets", get(assets::list))
        .route("/history", get(assets::history))
        .route("/check", post(publish::check))
        .route("/versions", put(upload::receive))
        .route("/look", post(look::look))
        .route("/publish", post(publish::publish))
        .route("/decline", post(publish::decline))
        .route("/visibility", post(publish::visibility))
        .route("/deploy", post(deployments::deploy))
        .route("/deployments", get(deployments::list))
        .route("/live", get(deployments::live))
        .route("/edges", get(deployments::edges))
        .fallback(|| async { Refusal::unknown("resource") })
        .with_state(console.clone())
        .nest("/v1", resources)
        .layer(middleware::from_fn_with_state(console.clone(), gate::page))
        .layer(DefaultBodyLimit::disable());
    let previews = Router::new()
        .route("/{version}", get(preview::show))
        .layer(middleware::from_fn_with_state(console.clone(), gate::preview))
        .with_state(console.clone());
    let signing_in = Router::new()
        .route("/console/sign-in", post(session::begin))
        .layer(middleware::from_fn(gate::sign_in))
        .with_state(console);
    files::router().merge(signing_in).nest("/console/preview", previews).nest("/console", calls)
}
