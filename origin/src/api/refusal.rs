//! What is not answered as asked: `{code, message, more_info, status}`, with Twilio's codes. The one place where errors become HTTP.

use crate::blobs::BlobError;
use crate::catalogue::CatalogueError;
use crate::cause;
use crate::credentials::{AuthError, CredentialError};
use crate::publish::{Fault, PublishError};
use axum::Json;
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use schemars::JsonSchema;
use serde::Serialize;

/// Seconds after which a client may try again when too much is going on.
const RETRY_SECONDS: HeaderValue = HeaderValue::from_static("5");

/// An answer that says what is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) status: StatusCode,
    message: String,
}

/// What is wrong.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Error")]
pub(super) struct Body {
    /// Twilio's code of the status.
    code: u32,
    /// What is wrong, and what to do.
    message: String,
    more_info: String,
    status: u16,
}

impl Refusal {
    /// An answer of a status.
    pub(crate) fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self { status, message: message.into() }
    }

    /// There is no such thing, or it is another account's.
    pub(crate) fn unknown(noun: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, format!("The requested {noun} was not found"))
    }

    /// A parameter breaks its rule.
    pub(crate) fn parameter(name: &str, accepts: &str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, format!("{name} is missing or invalid; it is {accepts}"))
    }

    fn internal(error: &(dyn std::error::Error + 'static)) -> Self {
        tracing::error!(error = cause::chain(error), "a call of the API failed");
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "the origin failed; its log says why")
    }
}

/// Twilio's code of a status. 20001, 20003, 20004 and 20404 are established; of the others it is only known that clients print them.
fn code(status: StatusCode) -> u32 {
    match status {
        StatusCode::BAD_REQUEST => 20001,
        StatusCode::UNAUTHORIZED => 20003,
        StatusCode::METHOD_NOT_ALLOWED => 20004,
        other => 20_000 + u32::from(other.as_u16()),
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let code = code(self.status);
        let body = Body {
            code,
            message: self.message,
            more_info: format!("https://www.twilio.com/docs/errors/{code}"),
            status: self.status.as_u16(),
        };
        let mut response = (self.status, Json(body)).into_response();
        let headers = response.headers_mut();
        match self.status {
            // RFC 9110 §11.6.1
            StatusCode::UNAUTHORIZED => {
                let challenge = HeaderValue::from_static("Basic realm=\"Twilio API\", charset=\"UTF-8\"");
                headers.insert(WWW_AUTHENTICATE, challenge);
            }
            // RFC 6585 §4, RFC 9110 §15.6.4
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
                headers.insert(RETRY_AFTER, RETRY_SECONDS);
            }
            _ => {}
        }
        response
    }
}

/// An error of the framework, such as for a method that a resource does not have, in the form of all others.
pub(super) fn in_our_form(response: Response) -> Response {
    let status = response.status();
    let is_ours = response.headers().get(CONTENT_TYPE).is_some_and(|value| value == "application/json");
    if is_ours || !(status.is_client_error() || status.is_server_error()) {
        return response;
    }
    let message = status.canonical_reason().unwrap_or("The request was refused");
    let (parts, _) = response.into_parts();
    let mut ours = Refusal::new(status, message).into_response();
    if let Some(allow) = parts.headers.get(axum::http::header::ALLOW) {
        ours.headers_mut().insert(axum::http::header::ALLOW, allow.clone());
    }
    ours
}

impl From<PublishError> for Refusal {
    fn from(error: PublishError) -> Self {
        let message = error.to_string();
        match error {
            PublishError::NotFound { .. } | PublishError::NoDomain { .. } => {
                Self::new(StatusCode::NOT_FOUND, message)
            }
            PublishError::Refused(faults) => Self::new(status_of(&faults), message),
            PublishError::Ambiguous { .. }
            | PublishError::Invalid { .. }
            | PublishError::Unknown { .. }
            | PublishError::NotCompleted { .. }
            | PublishError::NothingBefore
            | PublishError::NoEnvironment { .. }
            | PublishError::InvalidDomain { .. }
            | PublishError::TooManyDomains { .. }
            | PublishError::TooManyPurges { .. }
            | PublishError::NothingToCommit
            | PublishError::Document(_) => Self::new(StatusCode::BAD_REQUEST, message),
            PublishError::Taken(_)
            | PublishError::IsLive
            | PublishError::Superseded
            | PublishError::NotProven { .. }
            | PublishError::Held { .. } => Self::new(StatusCode::CONFLICT, message),
            PublishError::Dns(error) => {
                tracing::warn!(error = cause::chain(&error), "the proof of a domain cannot be looked for");
                Self::new(StatusCode::SERVICE_UNAVAILABLE, message)
            }
            PublishError::Busy | PublishError::Stopping => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, message)
            }
            PublishError::Blob(error) => error.into(),
            PublishError::Catalogue(error) => error.into(),
            PublishError::Coding(error) => Self::internal(&error),
            PublishError::Keys(error) => Self::internal(&error),
            PublishError::NoRandomness(error) => Self::internal(&error),
        }
    }
}

/// Sizes are known only as bytes arrive; everything else that is wrong was in what the client said.
fn status_of(faults: &[Fault]) -> StatusCode {
    match faults.first() {
        Some(Fault::TooLarge { .. }) => StatusCode::PAYLOAD_TOO_LARGE,
        _ => StatusCode::BAD_REQUEST,
    }
}

impl From<AuthError> for Refusal {
    fn from(error: AuthError) -> Self {
        let message = error.to_string();
        match error {
            AuthError::Wrong => Self::new(StatusCode::UNAUTHORIZED, "Authenticate"),
            AuthError::KeysOnly => Self::new(StatusCode::UNAUTHORIZED, message),
            AuthError::TooMany => Self::new(StatusCode::TOO_MANY_REQUESTS, message),
            AuthError::Failed(error) => error.into(),
        }
    }
}

impl From<CredentialError> for Refusal {
    fn from(error: CredentialError) -> Self {
        let message = error.to_string();
        match error {
            CredentialError::NotFound { .. } => Self::new(StatusCode::NOT_FOUND, message),
            CredentialError::InvalidName => Self::new(StatusCode::BAD_REQUEST, message),
            CredentialError::NoFreeSlot
            | CredentialError::OnlyToken
            | CredentialError::NoSecondary
            | CredentialError::OnlyKey
            | CredentialError::NoKey
            | CredentialError::Exists
            | CredentialError::TooMany { .. } => Self::new(StatusCode::CONFLICT, message),
            CredentialError::Stopping => Self::new(StatusCode::SERVICE_UNAVAILABLE, message),
            CredentialError::Catalogue(error) => error.into(),
            CredentialError::NoRandomness(error) => Self::internal(&error),
        }
    }
}

impl From<BlobError> for Refusal {
    fn from(error: BlobError) -> Self {
        match error {
            BlobError::NoSpace => {
                tracing::error!("no space left on the origin's disk; uploads are refused until there is");
                Self::new(StatusCode::INSUFFICIENT_STORAGE, error.to_string())
            }
            BlobError::TooLong { .. } | BlobError::TooShort { .. } | BlobError::OtherDigest { .. } => {
                Self::new(StatusCode::BAD_REQUEST, error.to_string())
            }
            BlobError::Damaged { hash, what } => {
                tracing::error!(%hash, what, "a blob is damaged");
                let message = "the content is damaged at the origin; upload it again";
                Self::new(StatusCode::INTERNAL_SERVER_ERROR, message)
            }
            BlobError::Io(error) => Self::internal(&error),
        }
    }
}

impl From<CatalogueError> for Refusal {
    fn from(error: CatalogueError) -> Self {
        match error {
            CatalogueError::NoSpace => BlobError::NoSpace.into(),
            CatalogueError::Busy => Self::new(StatusCode::SERVICE_UNAVAILABLE, error.to_string()),
            CatalogueError::Newer
            | CatalogueError::Sql(_)
            | CatalogueError::Migrate(_)
            | CatalogueError::Create(_)
            | CatalogueError::Damaged(_)
            | CatalogueError::NoRandomness(_) => Self::internal(&error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_those_that_clients_print() {
        let table = [
            (400, 20001),
            (401, 20003),
            (404, 20404),
            (405, 20004),
            (409, 20409),
            (413, 20413),
            (503, 20503),
        ];
        for (status, expected) in table {
            assert_eq!(code(StatusCode::from_u16(status).expect("a status")), expected, "{status}");
        }
    }

    #[test]
    fn clients_get_no_path_of_the_disk() {
        let refusal = Refusal::from(BlobError::Io(std::io::Error::other("/secret/place")));
        assert!(!refusal.message.contains("secret"), "{refusal:?}");
    }
}
