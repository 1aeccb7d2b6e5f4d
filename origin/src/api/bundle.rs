//! `/Services/{ZS}/Builds/{ZB}/Bundle`: the private assets of a build as one signed tar, for their owner. Twilio has no such resource.

use super::Api;
use super::answer::Archive;
use super::call::Call;
use super::of::{InBuild, Of};
use super::refusal::Refusal;
use super::routes::Routes;
use crate::publish::{BundleOf, PublishError};
use axum::body::Body;
use axum::extract::State;
use futures_util::stream;

pub(super) fn routes() -> Routes {
    let bundle = "/Services/{service}/Builds/{build}/Bundle";
    Routes::new().get(bundle, fetch, "The private assets of a build, as one signed tar")
}

/// Streams the archive, a slice at a time. One that cannot be read to its end ends the connection before its promised length.
async fn fetch(State(api): State<Api>, call: Call, Of(place): Of<InBuild>) -> Result<Archive, Refusal> {
    let bundle = api.publisher.bundle(call.account(), BundleOf::Build(place.build.sid)).await?;
    let size = bundle.size();
    let slices = stream::try_unfold(bundle, async |mut bundle| {
        let next = bundle.next().await.inspect_err(|error| {
            tracing::error!(build = bundle.build_sid(), %error, "a bundle cannot be read to its end");
        })?;
        Ok::<_, PublishError>(next.map(|slice| (slice, bundle)))
    });
    Ok(Archive { size, body: Body::from_stream(slices) })
}
