//! Lists, page by page: `PageSize`, `Page` and `PageToken` in, `meta` with absolute URLs out.
//!
//! The token of a page says before which entry it begins, so nothing is missed or shown twice though entries are added meanwhile.
//! Without a token, `Page` counts from the newest entry.

use super::call::Call;
use super::describe::{Answers, Operation, Takes};
use super::refusal::Refusal;
use crate::catalogue::{Page, PageWanted};
use axum::Json;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use schemars::{JsonSchema, SchemaGenerator};
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::json;

/// Entries of a page where nothing else is asked for, and at most.
const SIZE_DEFAULT: u32 = 50;
const SIZE_MAX: u32 = 100;

/// Which page of which list is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Listing {
    /// Path of the list, without a query.
    path: String,
    size: u32,
    number: u64,
    token: Option<i64>,
    /// Parameters that narrow the list, for the URLs of other pages.
    narrowed: Vec<(&'static str, String)>,
}

/// What a list has, under the name that clients look for.
pub(super) trait Entry: Serialize + JsonSchema {
    /// The name.
    const KEY: &'static str;
}

/// A page of a list, as `{"<key>": […], "meta": {…}}`.
pub(super) struct Listed<T> {
    entries: Vec<T>,
    meta: Meta,
}

impl<T: Entry> Serialize for Listed<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut page = serializer.serialize_map(Some(2))?;
        page.serialize_entry(T::KEY, &self.entries)?;
        page.serialize_entry("meta", &self.meta)?;
        page.end()
    }
}

/// Where a page is in its list.
#[derive(Debug, serde::Serialize, JsonSchema)]
struct Meta {
    /// Name of the member that has the entries.
    key: &'static str,
    page: u64,
    page_size: u32,
    url: String,
    first_page_url: String,
    previous_page_url: Option<String>,
    /// `null` on the last page.
    next_page_url: Option<String>,
}

impl<T: Entry> IntoResponse for Listed<T> {
    fn into_response(self) -> Response {
        Json(self).into_response()
    }
}

impl<T: Entry> Answers for Listed<T> {
    fn describe(operation: &mut Operation, schemas: &mut SchemaGenerator) {
        let (entry, meta) = (schemas.subschema_for::<T>(), schemas.subschema_for::<Meta>());
        let schema = json!({
            "type": "object",
            "properties": { T::KEY: { "type": "array", "items": entry }, "meta": meta },
            "required": [T::KEY, "meta"],
        });
        operation.status = 200;
        operation.answer = Some(("application/json", schema));
    }
}

impl Takes for Listing {
    fn describe(operation: &mut Operation) {
        let size = json!({ "type": "integer", "minimum": 1, "maximum": u32::MAX, "default": SIZE_DEFAULT });
        operation.query("PageSize", "Entries of a page; more than 100 are 100", &size);
        let number = json!({ "type": "integer", "minimum": 0, "maximum": u32::MAX });
        operation.query("Page", "Which page, counted from the newest entry", &number);
        let token = json!({ "type": "string", "pattern": "^PA[0-9]{1,18}$" });
        operation.query("PageToken", "As in the URL of another page", &token);
    }
}

impl<S: Sync> FromRequestParts<S> for Listing {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refusal> {
        // What is before the path of a resource was taken off when it was routed.
        Self::parse(&format!("/v1{}", parts.uri.path()), parts.uri.query().unwrap_or_default())
    }
}

impl Listing {
    fn parse(path: &str, query: &str) -> Result<Self, Refusal> {
        let mut listing =
            Self { path: path.to_owned(), size: SIZE_DEFAULT, number: 0, token: None, narrowed: Vec::new() };
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            match name.as_ref() {
                "PageSize" => {
                    let size = value.parse::<u32>().ok().filter(|size| *size > 0);
                    listing.size = size
                        .ok_or_else(|| Refusal::parameter("PageSize", "a whole number, at least 1"))?
                        .min(SIZE_MAX);
                }
                "Page" => {
                    listing.number = value
                        .parse::<u32>()
                        .map(u64::from)
                        .map_err(|_| Refusal::parameter("Page", "a whole number"))?;
                }
                "PageToken" => {
                    let token = value.strip_prefix("PA").and_then(|number| number.parse().ok());
                    let accepts = "what the URL of another page has";
                    listing.token = Some(token.ok_or_else(|| Refusal::parameter("PageToken", accepts))?);
                }
                // Other parameters narrow lists that have no entries here.
                _ => {}
            }
        }
        Ok(listing)
    }

    /// The same of a list that parameters narrow.
    pub(super) fn narrowed(mut self, by: Vec<(&'static str, String)>) -> Self {
        self.narrowed = by;
        self
    }

    /// What to read for it.
    pub(super) fn wanted(&self) -> PageWanted {
        let skip = if self.token.is_some() { 0 } else { self.number * u64::from(self.size) };
        PageWanted { size: self.size, before: self.token, skip }
    }

    /// The answer with the entries of a page.
    pub(super) fn answer<T, S: Entry>(
        &self,
        call: &Call,
        page: Page<T>,
        show: impl FnMut(T) -> S,
    ) -> Listed<S> {
        let url = |number: u64, token: Option<i64>| {
            let token = token.map(|token| format!("&PageToken=PA{token}")).unwrap_or_default();
            let mut narrowed = String::new();
            for (name, value) in &self.narrowed {
                narrowed.push('&');
                narrowed.push_str(name);
                narrowed.push('=');
                narrowed.extend(form_urlencoded::byte_serialize(value.as_bytes()));
            }
            format!("{}{}?PageSize={}&Page={number}{token}{narrowed}", call.base.0, self.path, self.size)
        };
        let entries: Vec<S> = page.items.into_iter().map(show).collect();
        let meta = Meta {
            key: S::KEY,
            page: self.number,
            page_size: self.size,
            url: url(self.number, self.token),
            first_page_url: url(0, None),
            previous_page_url: self.number.checked_sub(1).map(|number| url(number, None)),
            next_page_url: page.next.map(|before| url(self.number + 1, Some(before))),
        };
        Listed { entries, meta }
    }
}

#[cfg(test)]
mod tests {
    use super::super::call::Base;
    use super::*;
    use crate::catalogue::Actor;
    use serde_json::Value;

    #[derive(Debug, serde::Serialize, JsonSchema)]
    struct Shown(u8);

    impl Entry for Shown {
        const KEY: &'static str = "services";
    }

    fn call() -> Call {
        let actor = Actor {
            account: "AC0".to_owned().into(),
            credential: "auth_token_1".into(),
            address: String::new(),
        };
        Call { actor, is_operator: false, base: Base("http://localhost:8080".into()) }
    }

    #[test]
    fn pages_lead_on_until_the_last_one_whose_next_is_null() {
        let first = Listing::parse("/v1/Services", "PageSize=2").expect("parses");
        assert_eq!(first.wanted(), PageWanted { size: 2, before: None, skip: 0 });
        let answer = json!(first.answer(&call(), Page { items: vec![9, 8], next: Some(8) }, Shown));
        assert_eq!(answer["services"], json!([9, 8]));
        let next = answer["meta"]["next_page_url"].as_str().expect("there is one");
        assert_eq!(next, "http://localhost:8080/v1/Services?PageSize=2&Page=1&PageToken=PA8");
        assert_eq!(answer["meta"]["previous_page_url"], Value::Null);

        let second = Listing::parse("/v1/Services", "PageSize=2&Page=1&PageToken=PA8").expect("parses");
        assert_eq!(second.wanted(), PageWanted { size: 2, before: Some(8), skip: 0 });
        let second = second.narrowed(vec![("SubjectSid", "a&b".into())]);
        let answer = json!(second.answer(&call(), Page { items: vec![7], next: None }, Shown));
        assert_eq!(answer["meta"]["next_page_url"], Value::Null);
        let previous = "http://localhost:8080/v1/Services?PageSize=2&Page=0&SubjectSid=a%26b";
        assert_eq!(answer["meta"]["previous_page_url"], previous);
    }

    #[test]
    fn a_page_without_a_token_counts_from_the_newest_entry() {
        let listing = Listing::parse("/v1/Services", "Page=3&PageSize=1000").expect("parses");
        assert_eq!(listing.wanted(), PageWanted { size: 100, before: None, skip: 300 });
    }

    #[test]
    fn what_is_no_number_is_refused() {
        for query in ["PageSize=0", "PageSize=x", "PageSize=-1", "Page=x", "PageToken=8", "PageToken=PAx"] {
            assert!(Listing::parse("/v1/Services", query).is_err(), "{query}");
        }
    }
}
