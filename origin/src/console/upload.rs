//! One file, as the body of a request: stored and durable when it is answered, and visible to nobody before it is published.

use super::Console;
use crate::api::{Call, Refusal};
use crate::blobs::Declared;
use crate::publish::{Target, UploadHead};
use axum::Json;
use axum::body::Body;
use axum::extract::{Query, State};
use axum::http::header::CONTENT_LENGTH;
use axum::http::{HeaderMap, StatusCode};
use futures_util::StreamExt;
use serde::Deserialize;
use serde_json::{Value, json};

/// What the file is to be.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Head {
    #[serde(default)]
    service: String,
    #[serde(default)]
    environment: String,
    path: String,
    visibility: String,
    /// Empty: by extension, else by content.
    #[serde(default)]
    content_type: String,
}

/// Receives it. Ends at the first byte over the limit, or when nothing comes for a while.
pub(super) async fn receive(
    State(console): State<Console>,
    call: Call,
    Query(head): Query<Head>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<Value>, Refusal> {
    // Browsers say how long a file is; a file of unknown length could not be refused before it is sent.
    let size = headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
    let size = size.ok_or_else(|| Refusal::new(StatusCode::LENGTH_REQUIRED, "say the length of the file"))?;
    let head = UploadHead {
        target: Target { service: head.service, environment: head.environment },
        path: head.path,
        visibility: head.visibility.parse().ok(),
        content_type: head.content_type,
        size,
        declared: Declared::default(),
    };
    let mut upload = console.api.publisher.begin_upload(&call.actor, head).await?;
    let mut pieces = body.into_data_stream();
    loop {
        let piece = tokio::time::timeout(console.config.upload_pause_max, pieces.next()).await;
        match piece {
            Ok(None) => break,
            Ok(Some(Ok(piece))) => upload.push(piece).await?,
            Ok(Some(Err(_))) => {
                return Err(Refusal::new(
                    StatusCode::BAD_REQUEST,
                    "the file did not arrive whole; try again",
                ));
            }
            Err(_) => {
                return Err(Refusal::new(
                    StatusCode::REQUEST_TIMEOUT,
                    "the upload stopped for too long; try again",
                ));
            }
        }
    }
    let uploaded = upload.finish().await?;
    Ok(Json(json!({
        "version_sid": uploaded.version.as_str(),
        "hash": uploaded.blob.hash.to_string(),
        "size": uploaded.blob.size,
    })))
}
