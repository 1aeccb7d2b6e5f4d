//! What the origin's refusals, and its absence, mean to people.

use super::Place;
use crate::failure::{Failure, chain};
use tonic::{Code, Status};

/// Metadata in which the origin says a stable code.
const CODE: &str = "skerry-code";

/// Turns a refusal into a message: what was wrong, where, and what to do.
pub(crate) fn explain(place: &Place, status: &Status) -> Failure {
    let code = status.metadata().get(CODE).and_then(|code| code.to_str().ok()).unwrap_or_default();
    let message = status.message();
    match (code, status.code()) {
        // The number that the REST API and browsers give the same refusal (RFC 9110 §15.5.14).
        ("too_large", _) => Failure::new(format!("{message} (413 Content Too Large)")),
        (_, Code::Unauthenticated) => Failure::new(format!(
            "the origin {} refuses account {} with this auth token: {message}",
            place.grpc, place.credentials.account_sid
        ))
        .hint(format_args!("the credentials are from {}", place.credentials_from)),
        (_, Code::PermissionDenied) => Failure::new(format!(
            "account {} may not do this at {}: {message}",
            place.credentials.account_sid, place.grpc
        )),
        (_, Code::Unavailable) if code.is_empty() => {
            Failure::new(format!("the connection to the origin {} was lost: {}", place.grpc, cause(status)))
                .hint("is it still running?")
        }
        (_, Code::Unimplemented) => Failure::new(format!(
            "the origin {} does not know this call; is it older than this program?",
            place.grpc
        )),
        (_, Code::Internal | Code::Unknown | Code::DataLoss) => {
            Failure::new(format!("the origin {} failed: {}", place.grpc, cause(status)))
                .hint("its log says why")
        }
        (_, Code::DeadlineExceeded | Code::Cancelled) => {
            Failure::new(format!("the origin {} did not answer in time: {message}", place.grpc))
        }
        _ => Failure::new(message.to_owned()),
    }
}

/// An origin that cannot be reached at all.
pub(super) fn no_connection(place: &Place, error: &tonic::transport::Error) -> Failure {
    let why = chain(error);
    let failure = Failure::new(format!("cannot connect to the origin {}: {why}", place.grpc));
    let lower = why.to_lowercase();
    if lower.contains("certificate") || lower.contains("unknownissuer") {
        return failure.hint("the certificate given with --ca or SKERRY_CA is not of this origin's authority, or the name in the URL is not one of its names (grpc.names)");
    }
    failure.hint("is it running, and is this its gRPC address?")
}

fn cause(status: &Status) -> String {
    if status.message().is_empty() { chain(status) } else { status.message().to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::Credentials;

    fn place() -> Place {
        let text = r#"{"account_sid":"AC1","auth_token":"hunter2"}"#;
        Place {
            grpc: "https://127.0.0.1:8081".into(),
            ca_pem: String::new(),
            credentials: serde_json::from_str::<Credentials>(text).expect("JSON"),
            credentials_from: "skerry-data/credentials.json".into(),
            service: String::new(),
            environment: String::new(),
            dev_site: None,
        }
    }

    #[test]
    fn a_wrong_token_names_account_origin_and_source_but_not_the_token() {
        let text = explain(&place(), &Status::unauthenticated("wrong account or token")).to_string();
        for word in ["AC1", "https://127.0.0.1:8081", "skerry-data/credentials.json"] {
            assert!(text.contains(word), "{text}");
        }
        assert!(!text.contains("hunter2"));
    }

    #[test]
    fn what_is_too_large_is_a_413() {
        let mut status = Status::invalid_argument("\"/a\" has 11 bytes, at most 10");
        status.metadata_mut().insert(CODE, tonic::metadata::MetadataValue::from_static("too_large"));
        assert_eq!(
            explain(&place(), &status).to_string(),
            "\"/a\" has 11 bytes, at most 10 (413 Content Too Large)"
        );
    }
}
