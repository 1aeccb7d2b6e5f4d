//! Routes, each with what the OpenAPI document says of it: one call makes both, so that neither is without the other.

use super::Api;
use super::describe::{Described, Operation};
use axum::Router;
use axum::handler::Handler;
use axum::routing::{MethodRouter, delete, get, post};
use schemars::SchemaGenerator;

/// What says what a handler takes and answers.
type Describe = fn(&mut Operation, &mut SchemaGenerator);

/// A route as the document has it.
pub(super) struct Route {
    /// In lower case.
    pub(super) method: &'static str,
    /// With the names of its parts in braces.
    pub(super) path: String,
    /// What it does, in a few words.
    pub(super) summary: String,
    pub(super) describe: Describe,
}

/// Routes of a resource, or of all of them.
#[derive(Default)]
pub(super) struct Routes {
    router: Router<Api>,
    routes: Vec<Route>,
}

impl Routes {
    /// None yet.
    pub(super) fn new() -> Self {
        Self::default()
    }

    /// Reads.
    pub(super) fn get<H, T, D>(self, path: &str, handler: H, summary: &str) -> Self
    where
        H: Handler<T, Api> + Described<D>,
        T: 'static,
    {
        self.add("get", path, summary, H::describe, get(handler))
    }

    /// Makes, or changes.
    pub(super) fn post<H, T, D>(self, path: &str, handler: H, summary: &str) -> Self
    where
        H: Handler<T, Api> + Described<D>,
        T: 'static,
    {
        self.add("post", path, summary, H::describe, post(handler))
    }

    /// Deletes.
    pub(super) fn delete<H, T, D>(self, path: &str, handler: H, summary: &str) -> Self
    where
        H: Handler<T, Api> + Described<D>,
        T: 'static,
    {
        self.add("delete", path, summary, H::describe, delete(handler))
    }

    fn add(
        mut self,
        method: &'static str,
        path: &str,
        summary: &str,
        describe: Describe,
        handler: MethodRouter<Api>,
    ) -> Self {
        self.routes.push(Route { method, path: path.to_owned(), summary: summary.to_owned(), describe });
        self.router = self.router.route(path, handler);
        self
    }

    /// These and others.
    pub(super) fn merge(mut self, others: Self) -> Self {
        self.routes.extend(others.routes);
        self.router = self.router.merge(others.router);
        self
    }

    /// The router, and what the document is made of.
    pub(super) fn into_parts(self) -> (Router<Api>, Vec<Route>) {
        (self.router, self.routes)
    }
}
