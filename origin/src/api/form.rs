//! The body of a request as a form (`application/x-www-form-urlencoded`), within a bound of bytes and of time.

use super::refusal::Refusal;
use axum::body::{Body, to_bytes};
use axum::extract::{FromRequest, Request};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use std::time::Duration;

/// Bytes of a form at most: a build of 20,000 versions has 1 MiB of SIDs.
const FORM_SIZE_MAX: usize = 2 << 20;

/// Time for a form to arrive.
const FORM_TIME_MAX: Duration = Duration::from_secs(30);

/// Names and values, in the order that they came in.
#[derive(Debug, Clone, Default)]
pub(super) struct Form(Vec<(String, String)>);

impl<S: Sync> FromRequest<S> for Form {
    type Rejection = Refusal;

    async fn from_request(request: Request, _: &S) -> Result<Self, Refusal> {
        let media_type = request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let is_form = media_type.is_some_and(is_form);
        let body = read(request.into_body()).await?;
        // Whoever has nothing to say need not say in which form.
        if !is_form && !body.is_empty() {
            let message = "send the parameters as application/x-www-form-urlencoded";
            return Err(Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, message));
        }
        Ok(Self(form_urlencoded::parse(&body).into_owned().collect()))
    }
}

async fn read(body: Body) -> Result<bytes::Bytes, Refusal> {
    let read = tokio::time::timeout(FORM_TIME_MAX, to_bytes(body, FORM_SIZE_MAX)).await;
    let read = read.map_err(|_| Refusal::new(StatusCode::REQUEST_TIMEOUT, "the body took too long"))?;
    read.map_err(|_| {
        let message = format!("the parameters have more than {FORM_SIZE_MAX} bytes, or did not arrive whole");
        Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, message)
    })
}

fn is_form(media_type: &str) -> bool {
    let essence = media_type.split(';').next().unwrap_or_default().trim();
    essence.eq_ignore_ascii_case("application/x-www-form-urlencoded")
}

impl Form {
    /// The value of a parameter: the last one, where it came more than once.
    pub(super) fn optional(&self, name: &str) -> Option<&str> {
        self.0.iter().rev().find(|(given, _)| given == name).map(|(_, value)| value.as_str())
    }

    /// The value of a parameter that must be there.
    pub(super) fn required(&self, name: &str) -> Result<&str, Refusal> {
        self.optional(name).ok_or_else(|| Refusal::new(StatusCode::BAD_REQUEST, format!("{name} is missing")))
    }

    /// All values of a parameter.
    pub(super) fn all(&self, name: &str) -> Vec<String> {
        self.0.iter().filter(|(given, _)| given == name).map(|(_, value)| value.clone()).collect()
    }

    /// `true` or `false`; `None` where it is not there.
    pub(super) fn flag(&self, name: &str) -> Result<Option<bool>, Refusal> {
        self.optional(name)
            .map(|value| match value {
                _ if value.eq_ignore_ascii_case("true") => Ok(true),
                _ if value.eq_ignore_ascii_case("false") => Ok(false),
                _ => Err(Refusal::parameter(name, "true or false")),
            })
            .transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(text: &str) -> Form {
        Form(form_urlencoded::parse(text.as_bytes()).into_owned().collect())
    }

    #[test]
    fn lists_are_repeated_names_and_flags_are_words() {
        let form = form("AssetVersions=ZN1&AssetVersions=ZN2&UiEditable=True&FriendlyName=a+b%26&Bad=1");
        assert_eq!(form.all("AssetVersions"), ["ZN1", "ZN2"]);
        assert_eq!(form.flag("UiEditable"), Ok(Some(true)));
        assert_eq!(form.flag("IncludeCredentials"), Ok(None));
        assert!(form.flag("Bad").is_err());
        assert_eq!(form.required("FriendlyName"), Ok("a b&"));
        assert!(form.required("UniqueName").is_err());
    }
}
