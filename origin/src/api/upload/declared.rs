//! Digests of RFC 9530 in the header of a request, or of the part `Content`.
//!
//! Of a part, both fields are of the part's bytes: a part has no coding. Of the request, `Content-Digest` and `Repr-Digest` are by the
//! letter of the whole form; what people mean, and what clients know before they build a form, is the file. A digest of either proves
//! that the file came whole, so either counts.

use super::super::refusal::Refusal;
use super::whole::{WholeDigest, watched};
use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, StatusCode};
use skerry_proto::digest;

/// Where digests are declared.
const FIELDS: [&str; 2] = ["content-digest", "repr-digest"];

/// What a request's header declares.
pub(super) struct OfRequest {
    digests: Vec<[u8; 32]>,
    whole: Option<WholeDigest>,
}

impl OfRequest {
    /// Takes the digests of a request, whose body is followed then on its way to who reads it.
    ///
    /// # Errors
    /// 400 for a field that is not well formed.
    pub(super) fn take(request: Request) -> (Request, Result<Self, Refusal>) {
        match sha256(request.headers()) {
            Err(refusal) => (request, Err(refusal)),
            Ok(digests) if digests.is_empty() => (request, Ok(Self { digests, whole: None })),
            Ok(digests) => {
                let (parts, body) = request.into_parts();
                let (body, whole) = watched(body);
                (Request::from_parts(parts, Body::new(body)), Ok(Self { digests, whole: Some(whole) }))
            }
        }
    }

    /// Those that are not of the whole form, once that was read: the file has to have them.
    pub(super) async fn of_file(self) -> Vec<[u8; 32]> {
        let Some(whole) = self.whole else { return Vec::new() };
        let whole = whole.digest().await;
        self.digests.into_iter().filter(|digest| whole.as_ref() != Some(digest)).collect()
    }
}

/// SHA-256 digests that fields declare.
///
/// # Errors
/// 400 for a field that is not well formed.
pub(super) fn sha256(headers: &HeaderMap) -> Result<Vec<[u8; 32]>, Refusal> {
    let mut digests = Vec::new();
    for name in FIELDS {
        // RFC 9110 §5.3: the lines of a list are one list.
        let lines: Vec<&[u8]> = headers.get_all(name).iter().map(|value| value.as_bytes()).collect();
        if lines.is_empty() {
            continue;
        }
        let digest = digest::sha256(&lines.join(&b", "[..]));
        let digest =
            digest.map_err(|error| Refusal::new(StatusCode::BAD_REQUEST, format!("{name}: {error}")))?;
        digests.extend(digest);
    }
    Ok(digests)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_one_field_are_one_list_and_each_field_counts() {
        let mut headers = HeaderMap::new();
        let digest = |byte: u8| format!("sha-256=:{}:", base64_of([byte; 32]));
        headers.append("repr-digest", "sha-512=:AAAA:".parse().expect("a value"));
        headers.append("repr-digest", digest(1).parse().expect("a value"));
        headers.append("content-digest", digest(2).parse().expect("a value"));
        assert_eq!(sha256(&headers).expect("well formed"), [[2; 32], [1; 32]]);
        headers.append("content-digest", "sha-256".parse().expect("a value"));
        let refusal = sha256(&headers).expect_err("malformed");
        assert_eq!(refusal.status, StatusCode::BAD_REQUEST);
    }

    fn base64_of(bytes: [u8; 32]) -> String {
        use base64::Engine;
        base64::engine::general_purpose::STANDARD.encode(bytes)
    }
}
