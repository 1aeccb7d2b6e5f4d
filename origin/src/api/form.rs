//! The body of a request as a form (`application/x-www-form-urlencoded`), within a bound of bytes and of time.
//!
//! Each form names its fields, which are what the OpenAPI document says of it.

use super::Api;
use super::describe::{Operation, Takes};
use super::refusal::Refusal;
use axum::body::{Body, to_bytes};
use axum::extract::{FromRequest, Request};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use serde_json::{Map, Value, json};
use std::marker::PhantomData;

const MEDIA_TYPE: &str = "application/x-www-form-urlencoded";

/// What a field of a form may hold.
#[derive(Debug, Clone, Copy)]
pub(super) enum Shape {
    /// Characters, from and to how many.
    Text(u32, u32),
    /// `true` or `false`.
    Flag,
    /// Several texts, each under the same name.
    Texts,
    /// A whole number, or nothing.
    Number,
}

/// A field of a form.
#[derive(Debug, Clone, Copy)]
pub(super) struct Field {
    pub(super) name: &'static str,
    pub(super) is_required: bool,
    pub(super) shape: Shape,
    pub(super) doc: &'static str,
}

impl Field {
    /// One that must be there.
    pub(super) const fn required(name: &'static str, shape: Shape, doc: &'static str) -> Self {
        Self { name, is_required: true, shape, doc }
    }

    /// One that may be missing.
    pub(super) const fn optional(name: &'static str, shape: Shape, doc: &'static str) -> Self {
        Self { name, is_required: false, shape, doc }
    }

    fn schema(&self) -> Value {
        let mut schema = match self.shape {
            Shape::Text(min, max) => json!({ "type": "string", "minLength": min, "maxLength": max }),
            Shape::Flag => json!({ "type": "string", "enum": ["true", "false"] }),
            Shape::Texts => json!({ "type": "array", "items": { "type": "string" } }),
            Shape::Number => json!({ "type": "string", "pattern": "^[0-9]*$" }),
        };
        schema["description"] = self.doc.into();
        schema
    }
}

/// The fields of a form.
pub(super) trait Fields {
    /// All of them; further ones in a request are ignored.
    const FIELDS: &'static [Field];
}

/// The form of a request that says nothing.
pub(super) struct Nothing;

impl Fields for Nothing {
    const FIELDS: &'static [Field] = &[];
}

/// Names and values, in the order that they came in.
#[derive(Debug)]
pub(super) struct Form<F>(Vec<(String, String)>, PhantomData<F>);

impl<F: Fields> Takes for Form<F> {
    fn describe(operation: &mut Operation) {
        let properties: Map<String, Value> =
            F::FIELDS.iter().map(|field| (field.name.to_owned(), field.schema())).collect();
        let required: Vec<&str> =
            F::FIELDS.iter().filter(|field| field.is_required).map(|field| field.name).collect();
        let mut schema = json!({ "type": "object", "properties": properties });
        if !required.is_empty() {
            schema["required"] = required.into();
        }
        operation.body = Some((MEDIA_TYPE, schema));
    }
}

impl<F> FromRequest<Api> for Form<F> {
    type Rejection = Refusal;

    async fn from_request(request: Request, api: &Api) -> Result<Self, Refusal> {
        let media_type = request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let is_form = media_type.is_some_and(is_form);
        let body = read(api, request.into_body()).await?;
        // Whoever has nothing to say need not say in which form.
        if !is_form && !body.is_empty() {
            let message = "send the parameters as application/x-www-form-urlencoded";
            return Err(Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, message));
        }
        Ok(Self(form_urlencoded::parse(&body).into_owned().collect(), PhantomData))
    }
}

async fn read(api: &Api, body: Body) -> Result<bytes::Bytes, Refusal> {
    let size_max = api.bounds.form_size_max;
    let read = tokio::time::timeout(api.bounds.form_time_max, to_bytes(body, size_max)).await;
    let read = read.map_err(|_| Refusal::new(StatusCode::REQUEST_TIMEOUT, "the body took too long"))?;
    read.map_err(|_| {
        api.metrics.api_form_refusals.increment(1);
        let message = format!("the parameters have more than {size_max} bytes, or did not arrive whole");
        Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, message)
    })
}

fn is_form(media_type: &str) -> bool {
    let essence = media_type.split(';').next().unwrap_or_default().trim();
    essence.eq_ignore_ascii_case(MEDIA_TYPE)
}

impl<F> Form<F> {
    /// The value of a field: the last one, where it came more than once.
    pub(super) fn optional(&self, field: Field) -> Option<&str> {
        self.0.iter().rev().find(|(given, _)| given == field.name).map(|(_, value)| value.as_str())
    }

    /// The value of a field that must be there.
    pub(super) fn required(&self, field: Field) -> Result<&str, Refusal> {
        let missing = || Refusal::new(StatusCode::BAD_REQUEST, format!("{} is missing", field.name));
        self.optional(field).ok_or_else(missing)
    }

    /// All values of a field.
    pub(super) fn all(&self, field: Field) -> Vec<String> {
        self.0.iter().filter(|(given, _)| given == field.name).map(|(_, value)| value.clone()).collect()
    }

    /// `true` or `false`; `None` where it is not there.
    pub(super) fn flag(&self, field: Field) -> Result<Option<bool>, Refusal> {
        self.optional(field)
            .map(|value| match value {
                _ if value.eq_ignore_ascii_case("true") => Ok(true),
                _ if value.eq_ignore_ascii_case("false") => Ok(false),
                _ => Err(Refusal::parameter(field.name, "true or false")),
            })
            .transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(text: &str) -> Form<Nothing> {
        Form(form_urlencoded::parse(text.as_bytes()).into_owned().collect(), PhantomData)
    }

    #[test]
    fn lists_are_repeated_names_and_flags_are_words() {
        let form = form("AssetVersions=ZN1&AssetVersions=ZN2&UiEditable=True&FriendlyName=a+b%26&Bad=1");
        let field = |name| Field::optional(name, Shape::Texts, "");
        assert_eq!(form.all(field("AssetVersions")), ["ZN1", "ZN2"]);
        assert_eq!(form.flag(field("UiEditable")), Ok(Some(true)));
        assert_eq!(form.flag(field("IncludeCredentials")), Ok(None));
        assert!(form.flag(field("Bad")).is_err());
        assert_eq!(form.required(field("FriendlyName")), Ok("a b&"));
        assert!(form.required(field("UniqueName")).is_err());
    }
}
