//! `/Services/{ZS}/Builds/{ZB}/Bundle`: the private assets of a build as one signed tar, for their owner. Twilio has no such resource.

use super::Api;
use super::call::Call;
use super::refusal::Refusal;
use crate::publish::{BundleOf, PublishError};
use axum::Router;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use futures_util::stream;

pub(super) fn routes() -> Router<Api> {
    Router::new().route("/Services/{service}/Builds/{build}/Bundle", get(fetch))
}

/// Streams the archive, a slice at a time. One that cannot be read to its end ends the connection before its promised length.
async fn fetch(
    State(api): State<Api>,
    call: Call,
    Path((service, build)): Path<(String, String)>,
) -> Result<Response, Refusal> {
    let service = api.service(&call, &service).await?;
    let build = api.build(&service, &build).await?;
    let bundle = api.publisher.bundle(call.account(), BundleOf::Build(build.sid)).await?;
    let headers =
        [(CONTENT_TYPE, "application/x-tar".to_owned()), (CONTENT_LENGTH, bundle.size().to_string())];
    let slices = stream::try_unfold(bundle, async |mut bundle| {
        let next = bundle.next().await.inspect_err(|error| {
            tracing::error!(build = bundle.build_sid(), %error, "a bundle cannot be read to its end");
        })?;
        Ok::<_, PublishError>(next.map(|slice| (slice, bundle)))
    });
    Ok((headers, Body::from_stream(slices)).into_response())
}
