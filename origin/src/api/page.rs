//! Lists, page by page: `PageSize`, `Page` and `PageToken` in, `meta` with absolute URLs out.
//!
//! The token of a page says before which entry it begins, so nothing is missed or shown twice though entries are added meanwhile.
//! Without a token, `Page` counts from the newest entry.

use super::call::Call;
use super::refusal::Refusal;
use crate::catalogue::{Page, PageWanted};
use axum::Json;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use serde::Serialize;
use serde_json::{Value, json};

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
        let mut listing = Self { path: path.to_owned(), size: SIZE_DEFAULT, number: 0, token: None };
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

    /// What to read for it.
    pub(super) fn wanted(&self) -> PageWanted {
        let skip = if self.token.is_some() { 0 } else { self.number * u64::from(self.size) };
        PageWanted { size: self.size, before: self.token, skip }
    }

    /// The answer with the entries of a page, under the name that clients look for.
    pub(super) fn answer<T, S: Serialize>(
        &self,
        call: &Call,
        key: &str,
        page: Page<T>,
        show: impl FnMut(T) -> S,
    ) -> Json<Value> {
        let url = |number: u64, token: Option<i64>| {
            let token = token.map(|token| format!("&PageToken=PA{token}")).unwrap_or_default();
            format!("{}{}?PageSize={}&Page={number}{token}", call.base.0, self.path, self.size)
        };
        let entries: Vec<S> = page.items.into_iter().map(show).collect();
        let meta = json!({
            "key": key,
            "page": self.number,
            "page_size": self.size,
            "url": url(self.number, self.token),
            "first_page_url": url(0, None),
            "previous_page_url": self.number.checked_sub(1).map(|number| url(number, None)),
            "next_page_url": page.next.map(|before| url(self.number + 1, Some(before))),
        });
        Json(json!({ key: entries, "meta": meta }))
    }
}

#[cfg(test)]
mod tests {
    use super::super::call::Base;
    use super::*;
    use crate::catalogue::Actor;

    fn call() -> Call {
        let actor = Actor {
            account: "AC0".to_owned().into(),
            credential: "auth_token_1".into(),
            address: String::new(),
        };
        Call { actor, base: Base("http://localhost:8080".into()) }
    }

    #[test]
    fn pages_lead_on_until_the_last_one_whose_next_is_null() {
        let first = Listing::parse("/v1/Services", "PageSize=2").expect("parses");
        assert_eq!(first.wanted(), PageWanted { size: 2, before: None, skip: 0 });
        let Json(answer) =
            first.answer(&call(), "services", Page { items: vec![9, 8], next: Some(8) }, |n| n);
        assert_eq!(answer["services"], json!([9, 8]));
        let next = answer["meta"]["next_page_url"].as_str().expect("there is one");
        assert_eq!(next, "http://localhost:8080/v1/Services?PageSize=2&Page=1&PageToken=PA8");
        assert_eq!(answer["meta"]["previous_page_url"], Value::Null);

        let second = Listing::parse("/v1/Services", "PageSize=2&Page=1&PageToken=PA8").expect("parses");
        assert_eq!(second.wanted(), PageWanted { size: 2, before: Some(8), skip: 0 });
        let Json(answer) = second.answer(&call(), "services", Page { items: vec![7], next: None }, |n| n);
        assert_eq!(answer["meta"]["next_page_url"], Value::Null);
        let previous = "http://localhost:8080/v1/Services?PageSize=2&Page=0";
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
