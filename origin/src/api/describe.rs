//! What handlers take and answer, read from their types for the OpenAPI document: nothing is said of them that they are not.

use super::Api;
use super::call::Call;
use super::refusal::Refusal;
use axum::Json;
use axum::extract::State;
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Value, json};

/// What the document says of one route.
#[derive(Debug, Default)]
pub(super) struct Operation {
    /// Of the query; those of the path are in the path.
    pub(super) parameters: Vec<Value>,
    /// Media type and schema of the body, where it takes one.
    pub(super) body: Option<(&'static str, Value)>,
    /// Status, media type and schema of the answer to what is not refused.
    pub(super) status: u16,
    pub(super) answer: Option<(&'static str, Value)>,
}

impl Operation {
    /// Takes a parameter of the query, which may be missing.
    pub(super) fn query(&mut self, name: &str, description: &str, schema: &Value) {
        self.parameters.push(json!({
            "name": name, "in": "query", "required": false, "description": description, "schema": schema,
        }));
    }
}

/// What a handler takes of a request.
pub(super) trait Takes {
    /// Says it. Most of what handlers take is not the client's to choose, or is in the path.
    fn describe(_: &mut Operation) {}
}

impl Takes for State<Api> {}
impl Takes for Call {}

/// What a handler answers where it does not refuse.
pub(super) trait Answers {
    /// Says it.
    fn describe(operation: &mut Operation, schemas: &mut SchemaGenerator);
}

impl<T: JsonSchema> Answers for Json<T> {
    fn describe(operation: &mut Operation, schemas: &mut SchemaGenerator) {
        operation.status = 200;
        operation.answer = Some(("application/json", schemas.subschema_for::<T>().to_value()));
    }
}

/// A handler that says what it takes and answers. `D` is what it takes.
pub(super) trait Described<D> {
    /// Says it.
    fn describe(operation: &mut Operation, schemas: &mut SchemaGenerator);
}

macro_rules! described {
    ($($input:ident)*) => {
        impl<H, F, R, $($input,)*> Described<($($input,)*)> for H
        where
            H: Fn($($input),*) -> F,
            F: Future<Output = Result<R, Refusal>>,
            R: Answers,
            $($input: Takes,)*
        {
            fn describe(operation: &mut Operation, schemas: &mut SchemaGenerator) {
                $($input::describe(operation);)*
                R::describe(operation, schemas);
            }
        }
    };
}

described!(A);
described!(A B);
described!(A B C);
described!(A B C D);
described!(A B C D E);
