//! JSON in the body of a request, within a bound of bytes and of time.

use crate::api::Refusal;
use axum::body::to_bytes;
use axum::extract::{FromRequest, Request};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use serde::de::DeserializeOwned;
use std::time::Duration;

/// Bytes of what somebody says who is signed in at most: 10,000 of the longest paths fit.
const SIZE_MAX: usize = 16 << 20;

/// Bytes of what a stranger says at most: who they are.
pub(super) const OF_STRANGER: usize = 4 << 10;

/// Time for all of it to arrive.
const TIME_MAX: Duration = Duration::from_secs(30);

/// What the body says.
pub(super) struct Said<T, const MAX: usize = SIZE_MAX>(pub(super) T);

impl<T: DeserializeOwned, S: Sync, const MAX: usize> FromRequest<S> for Said<T, MAX> {
    type Rejection = Refusal;

    async fn from_request(request: Request, _: &S) -> Result<Self, Refusal> {
        // No form of another page can be of this type (Fetch §2.2.2), whatever else lets it in.
        if request.headers().get(CONTENT_TYPE).is_none_or(|given| given != "application/json") {
            return Err(Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "send application/json"));
        }
        let read = tokio::time::timeout(TIME_MAX, to_bytes(request.into_body(), MAX)).await;
        let read = read.map_err(|_| Refusal::new(StatusCode::REQUEST_TIMEOUT, "the body took too long"))?;
        let bytes = read.map_err(|_| {
            let message = format!("the body has more than {MAX} bytes, or did not arrive whole");
            Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, message)
        })?;
        serde_json::from_slice(&bytes).map(Self).map_err(|error| {
            Refusal::new(StatusCode::BAD_REQUEST, format!("the body is not what this call takes: {error}"))
        })
    }
}
