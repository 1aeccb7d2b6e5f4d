//! The form of an upload (`multipart/form-data`): `Path`, `Visibility` and `Content` in any order.
//!
//! `Content` goes to the blob store as it arrives, before the others are known where it comes first. What is served as its media type
//! is what its part says. Digests may be declared of it, in `Blake3` or in fields of RFC 9530; other bytes are not kept. A request that is refused is read to its end within bounds: many clients look at an answer only then.

mod declared;
mod whole;

use super::Api;
use super::call::Call;
use super::describe::{Operation, Takes};
use super::refusal::Refusal;
use crate::blobs::Declared;
use crate::catalogue::{Content, ContentVersion, Kind, ServiceDetails};
use crate::publish::{Part, Said};
use axum::extract::multipart::{Field, Multipart, MultipartError};
use axum::extract::{FromRequest, Request};
use axum::http::StatusCode;
use bytes::Bytes;
use declared::OfRequest;
use serde_json::json;
use skerry_proto::hash::Hash;
use skerry_proto::path::AssetPath;
use skerry_proto::visibility::Visibility;
use std::convert::Infallible;
use std::time::Duration;

/// Bytes of a text: the longest path has 255 characters of at most 4 bytes.
const TEXT_SIZE_MAX: usize = 2048;

/// Parts of a form at most; three are needed.
const PARTS_MAX: usize = 16;

/// What is read of a refused request at most, and for how long.
const DRAIN_SIZE_MAX: usize = 256 << 20;
const DRAIN_TIME_MAX: Duration = Duration::from_secs(60);

/// The form, of which nothing is read yet; `None` where the request has another body. What is wrong is said only when it is known that
/// the account has what the request is about.
pub(super) struct Parts {
    form: Option<Multipart>,
    digests: Result<OfRequest, Refusal>,
}

impl FromRequest<Api> for Parts {
    type Rejection = Infallible;

    async fn from_request(request: Request, api: &Api) -> Result<Self, Infallible> {
        let (request, digests) = OfRequest::take(request);
        Ok(Self { form: Multipart::from_request(request, api).await.ok(), digests })
    }
}

impl Takes for Parts {
    fn describe(operation: &mut Operation) {
        let schema = json!({
            "type": "object",
            "properties": {
                "Path": { "type": "string", "description": "Where it is served; a slash at its beginning may be missing" },
                "Visibility": { "type": "string", "enum": ["public", "protected", "private"] },
                "Content": { "type": "string", "format": "binary", "description": "The bytes; what its part says is the media type" },
                "Blake3": { "type": "string", "pattern": "^[0-9a-fA-F]{64}$", "description": "BLAKE3 hash of Content; other bytes are not kept" },
            },
            "required": ["Path", "Visibility", "Content"],
        });
        operation.body = Some(("multipart/form-data", schema));
    }
}

/// What came of the form.
#[derive(Default)]
struct Received {
    path: Option<String>,
    visibility: Option<Visibility>,
    content: Option<(Part, String)>,
    declared: Declared,
}

/// Receives a version. When this returns, it is durable.
///
/// # Errors
/// 400 for what is missing or invalid, 413 at the first byte over the limit, 503 where the upload waited for its turn too long.
pub(super) async fn receive(
    api: &Api,
    call: &Call,
    kind: Kind,
    service: &ServiceDetails,
    parent: Content,
    form: Parts,
) -> Result<ContentVersion, Refusal> {
    let digests = form.digests?;
    let Some(mut form) = form.form else {
        let message = "send Path, Visibility and Content as multipart/form-data";
        return Err(Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, message));
    };
    let received = match read(api, service, &mut form).await {
        Ok(received) => received,
        Err(refusal) => {
            api.tasks.spawn(drain(form));
            return Err(refusal);
        }
    };
    // What is left of the request is of no part.
    drop(form);
    let mut declared = received.declared;
    declared.sha256.extend(digests.of_file().await);
    let missing = |name: &str| Refusal::new(StatusCode::BAD_REQUEST, format!("{name} is missing"));
    let path = received.path.ok_or_else(|| missing("Path"))?;
    let said = Said {
        kind,
        parent: parent.sid,
        path: asset_path(&path)?,
        visibility: received.visibility.ok_or_else(|| missing("Visibility"))?,
        content_type: String::new(),
        declared,
    };
    let (content, content_type) = received.content.ok_or_else(|| missing("Content"))?;
    Ok(content.finish(call.actor.clone(), Said { content_type, ..said }).await?)
}

async fn read(api: &Api, service: &ServiceDetails, form: &mut Multipart) -> Result<Received, Refusal> {
    let mut received = Received::default();
    let pause_max = api.bounds.upload_pause_max;
    for _ in 0..PARTS_MAX {
        let Some(mut field) = in_time(pause_max, form.next_field()).await? else { return Ok(received) };
        match field.name().unwrap_or_default() {
            "Path" => received.path = Some(text(&mut field, "Path", pause_max).await?),
            "Visibility" => {
                let given = text(&mut field, "Visibility", pause_max).await?;
                let visibility = given
                    .to_ascii_lowercase()
                    .parse()
                    .map_err(|_| Refusal::parameter("Visibility", "one of public, protected and private"))?;
                received.visibility = Some(visibility);
            }
            "Content" => {
                if received.content.is_some() {
                    return Err(Refusal::new(StatusCode::BAD_REQUEST, "Content came more than once"));
                }
                let content_type = field.content_type().unwrap_or_default().to_owned();
                received.declared.sha256.extend(declared::sha256(field.headers())?);
                let mut content = api.publisher.receive(&service.sid, received.visibility).await?;
                while let Some(piece) = piece(&mut field, pause_max).await? {
                    content.push(piece).await?;
                }
                received.content = Some((content, content_type));
            }
            "Blake3" => {
                let hash: Option<Hash> =
                    text(&mut field, "Blake3", pause_max).await?.to_ascii_lowercase().parse().ok();
                let accepts = "the 64 hexadecimal digits of the BLAKE3 hash of Content";
                received.declared.blake3 = Some(hash.ok_or_else(|| Refusal::parameter("Blake3", accepts))?);
            }
            // What nobody asked for counts against nothing but the number of parts and their size.
            _ => drop(text(&mut field, "a further part", pause_max).await?),
        }
    }
    Err(Refusal::new(StatusCode::BAD_REQUEST, format!("the form has more than {PARTS_MAX} parts")))
}

/// The path of an asset as Twilio takes it: a slash at its beginning may be missing, and nothing is decoded.
fn asset_path(given: &str) -> Result<AssetPath, Refusal> {
    let path = if given.starts_with('/') { given.to_owned() } else { format!("/{given}") };
    path.parse().map_err(|error| Refusal::new(StatusCode::BAD_REQUEST, format!("Path {given:?}: {error}")))
}

async fn text(field: &mut Field<'_>, name: &str, pause_max: Duration) -> Result<String, Refusal> {
    let mut text = Vec::new();
    while let Some(piece) = piece(field, pause_max).await? {
        if text.len() + piece.len() > TEXT_SIZE_MAX {
            let message = format!("{name} has more than {TEXT_SIZE_MAX} bytes");
            return Err(Refusal::new(StatusCode::BAD_REQUEST, message));
        }
        text.extend_from_slice(&piece);
    }
    String::from_utf8(text).map_err(|_| Refusal::parameter(name, "UTF-8 text"))
}

async fn piece(field: &mut Field<'_>, pause_max: Duration) -> Result<Option<Bytes>, Refusal> {
    in_time(pause_max, field.chunk()).await
}

async fn in_time<T>(
    pause_max: Duration,
    reading: impl Future<Output = Result<T, MultipartError>>,
) -> Result<T, Refusal> {
    match tokio::time::timeout(pause_max, reading).await {
        Ok(Ok(read)) => Ok(read),
        Ok(Err(_)) => {
            Err(Refusal::new(StatusCode::BAD_REQUEST, "the form did not arrive whole, or is not well formed"))
        }
        Err(_) => Err(Refusal::new(StatusCode::REQUEST_TIMEOUT, "the upload stopped for too long")),
    }
}

/// Reads the rest of a request that was refused.
async fn drain(mut form: Multipart) {
    let rest = async {
        let mut size = 0;
        while let Ok(Some(mut field)) = form.next_field().await {
            while let Ok(Some(piece)) = field.chunk().await {
                size += piece.len();
                if size > DRAIN_SIZE_MAX {
                    return;
                }
            }
        }
    };
    // Past the time it is the client's fault that it does not see the answer.
    let _ = tokio::time::timeout(DRAIN_TIME_MAX, rest).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_gets_its_slash_and_keeps_what_looks_encoded() {
        for (given, expected) in [
            ("/a.txt", "/a.txt"),
            ("a.txt", "/a.txt"),
            ("with%20space%20%C3%A9.mp3", "/with%20space%20%C3%A9.mp3"),
            ("/\u{fc}n\u{ef}~100%.txt", "/\u{fc}n\u{ef}~100%.txt"),
        ] {
            assert_eq!(asset_path(given).expect("valid").as_str(), expected);
        }
        for wrong in ["", "/", "a/../b", ".skerry/x"] {
            assert!(asset_path(wrong).is_err(), "{wrong}");
        }
    }
}
