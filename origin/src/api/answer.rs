//! Answers that are not just JSON with status 200, as types: so the OpenAPI document knows them, too.

use super::describe::{Answers, Operation};
use axum::Json;
use axum::body::Body;
use axum::http::StatusCode;
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use schemars::{JsonSchema, SchemaGenerator};
use serde::Serialize;
use serde_json::json;

/// Something was made.
pub(super) struct Created<T>(pub(super) T);

impl<T: Serialize> IntoResponse for Created<T> {
    fn into_response(self) -> Response {
        (StatusCode::CREATED, Json(self.0)).into_response()
    }
}

impl<T: JsonSchema> Answers for Created<T> {
    fn describe(operation: &mut Operation, schemas: &mut SchemaGenerator) {
        <Json<T> as Answers>::describe(operation, schemas);
        operation.status = 201;
    }
}

/// Something was deleted.
pub(super) struct Deleted;

impl IntoResponse for Deleted {
    fn into_response(self) -> Response {
        StatusCode::NO_CONTENT.into_response()
    }
}

impl Answers for Deleted {
    fn describe(operation: &mut Operation, _: &mut SchemaGenerator) {
        operation.status = 204;
    }
}

/// A tar archive, as it is read.
pub(super) struct Archive {
    pub(super) size: u64,
    pub(super) body: Body,
}

const TAR: &str = "application/x-tar";

impl IntoResponse for Archive {
    fn into_response(self) -> Response {
        let headers = [(CONTENT_TYPE, TAR.to_owned()), (CONTENT_LENGTH, self.size.to_string())];
        (headers, self.body).into_response()
    }
}

impl Answers for Archive {
    fn describe(operation: &mut Operation, _: &mut SchemaGenerator) {
        operation.status = 200;
        // Raw bytes (OpenAPI 3.1 §4.7.14.3): no schema says more.
        operation.answer = Some((TAR, json!({})));
    }
}
