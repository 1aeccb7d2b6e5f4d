//! Errors as they travel: a gRPC code, a message that says what to do, and a stable code in the metadata `skerry-code`.
//!
//! Clients never see a path of the origin's disk or a chain of sources: what only the operator can mend is logged here, once.

use crate::blobs::BlobError;
use crate::catalogue::CatalogueError;
use crate::cause;
use crate::credentials::CredentialError;
use crate::edges::{EnrolError, ExpelError};
use crate::publish::{Fault, PublishError};
use skerry_proto::renewal::RenewalError;
use std::error::Error;
use tonic::metadata::{MetadataMap, MetadataValue};
use tonic::{Code, Status};

/// The metadata key of the stable code.
const CODE_KEY: &str = "skerry-code";

/// Bytes of a message as it travels: percent-encoded in a header, and many clients take no more than 16 KB of headers.
const MESSAGE_SIZE_MAX: usize = 6000;

/// A status with a stable code.
pub(super) fn refusal(code: Code, stable: &'static str, message: &str) -> Status {
    let mut metadata = MetadataMap::new();
    metadata.insert(CODE_KEY, MetadataValue::from_static(stable));
    let mut size = 0;
    let fits = |c: &char| {
        size += if matches!(c, ' '..='~') && *c != '%' { 1 } else { 3 * c.len_utf8() };
        size <= MESSAGE_SIZE_MAX
    };
    let message: String = message.chars().take_while(fits).collect();
    Status::with_metadata(code, message, metadata)
}

/// The answer to a publishing operation that did not succeed.
pub(super) fn of_publish(error: PublishError) -> Status {
    let message = error.to_string();
    match error {
        PublishError::NotFound { .. } => refusal(Code::NotFound, "not_found", &message),
        PublishError::Ambiguous { .. } => refusal(Code::InvalidArgument, "ambiguous", &message),
        PublishError::Refused(faults) => of_faults(&faults, &message),
        PublishError::Invalid { .. } => refusal(Code::InvalidArgument, "invalid", &message),
        PublishError::Unknown { .. } => refusal(Code::NotFound, "not_found", &message),
        PublishError::NotCompleted { .. } => refusal(Code::FailedPrecondition, "not_completed", &message),
        PublishError::NothingBefore => refusal(Code::FailedPrecondition, "nothing_before", &message),
        PublishError::Taken(_) => refusal(Code::AlreadyExists, "taken", &message),
        PublishError::NoDomain { .. } => refusal(Code::NotFound, "not_found", &message),
        PublishError::NoEnvironment { .. } => refusal(Code::FailedPrecondition, "no_environment", &message),
        PublishError::InvalidDomain { .. } => refusal(Code::InvalidArgument, "invalid_domain", &message),
        PublishError::TooManyDomains { .. } => refusal(Code::ResourceExhausted, "too_many_domains", &message),
        PublishError::NotProven { .. } => refusal(Code::FailedPrecondition, "not_proven", &message),
        PublishError::Held { .. } => refusal(Code::AlreadyExists, "domain_held", &message),
        PublishError::Dns(error) => {
            tracing::warn!(error = cause::chain(&error), "the proof of a domain cannot be looked for");
            refusal(Code::Unavailable, "dns", &message)
        }
        PublishError::IsLive => refusal(Code::FailedPrecondition, "live", &message),
        PublishError::NothingToCommit => refusal(Code::InvalidArgument, "nothing_to_commit", &message),
        PublishError::TooManyPurges { .. } => refusal(Code::ResourceExhausted, "too_many_purges", &message),
        PublishError::Superseded => refusal(Code::Aborted, "superseded", &message),
        PublishError::Busy => refusal(Code::Unavailable, "busy", &message),
        PublishError::Stopping => refusal(Code::Unavailable, "stopping", &message),
        PublishError::Document(_) => refusal(Code::ResourceExhausted, "too_many", &message),
        PublishError::Blob(error) => of_blob(error),
        PublishError::Catalogue(error) => of_catalogue(error),
        PublishError::Coding(error) => internal(&error),
        PublishError::Keys(error) => internal(&error),
        PublishError::NoRandomness(error) => internal(&error),
    }
}

fn of_faults(faults: &[Fault], message: &str) -> Status {
    let Some(first) = faults.first() else { return refusal(Code::InvalidArgument, "refused", message) };
    let code = match first {
        Fault::TooLarge { .. } | Fault::TooMany { .. } | Fault::SiteFileTooLarge { .. } => {
            Code::ResourceExhausted
        }
        Fault::MissingTarget { .. } | Fault::Purged { .. } => Code::FailedPrecondition,
        Fault::InvalidPath { .. }
        | Fault::InvalidVisibility { .. }
        | Fault::InvalidContentType { .. }
        | Fault::DuplicatePath { .. }
        | Fault::MisplacedSiteFile { .. }
        | Fault::InvalidSiteFile { .. }
        | Fault::StaleTooLong { .. } => Code::InvalidArgument,
    };
    refusal(code, first.code(), message)
}

/// The answer when an account was not recognised, or its keys were not changed.
pub(super) fn of_credentials(error: CredentialError) -> Status {
    let message = error.to_string();
    match error {
        CredentialError::NoFreeSlot => refusal(Code::FailedPrecondition, "two_tokens", &message),
        CredentialError::OnlyToken => refusal(Code::FailedPrecondition, "only_token", &message),
        CredentialError::NoSecondary => refusal(Code::FailedPrecondition, "one_token", &message),
        CredentialError::OnlyKey => refusal(Code::FailedPrecondition, "only_key", &message),
        CredentialError::NoKey => refusal(Code::FailedPrecondition, "no_key", &message),
        CredentialError::InvalidName => refusal(Code::InvalidArgument, "invalid", &message),
        CredentialError::Exists => refusal(Code::AlreadyExists, "key_exists", &message),
        CredentialError::TooMany { .. } => refusal(Code::ResourceExhausted, "too_many_keys", &message),
        CredentialError::NotFound { .. } => refusal(Code::NotFound, "not_found", &message),
        CredentialError::Stopping => refusal(Code::Unavailable, "stopping", &message),
        CredentialError::Catalogue(error) => of_catalogue(error),
        CredentialError::NoRandomness(error) => internal(&error),
    }
}

/// The answer when the blob store did not succeed.
pub(super) fn of_blob(error: BlobError) -> Status {
    let message = error.to_string();
    match error {
        BlobError::NoSpace => {
            tracing::error!("no space left on the origin's disk; uploads are refused until there is");
            refusal(Code::ResourceExhausted, "no_space", &message)
        }
        BlobError::TooLong { .. } | BlobError::TooShort { .. } => {
            refusal(Code::InvalidArgument, "size_mismatch", &message)
        }
        BlobError::OtherDigest { .. } => refusal(Code::InvalidArgument, "digest_mismatch", &message),
        BlobError::Damaged { hash, what } => {
            tracing::error!(%hash, what, "a blob is damaged");
            refusal(
                Code::DataLoss,
                "damaged",
                "the blob is damaged at the origin; upload it again, such as with: skerry put --resend",
            )
        }
        BlobError::Io(error) => internal(&error),
    }
}

/// The answer when the catalogue did not succeed.
pub(super) fn of_catalogue(error: CatalogueError) -> Status {
    match error {
        CatalogueError::NoSpace => of_blob(BlobError::NoSpace),
        CatalogueError::Busy => refusal(Code::Unavailable, "busy", &error.to_string()),
        CatalogueError::Newer
        | CatalogueError::Sql(_)
        | CatalogueError::Migrate(_)
        | CatalogueError::Create(_)
        | CatalogueError::Damaged(_)
        | CatalogueError::NoRandomness(_) => internal(&error),
    }
}

/// The answer to a machine that did not become an edge.
pub(super) fn of_enrol(error: EnrolError) -> Status {
    let message = error.to_string();
    match error {
        EnrolError::UnknownToken => refusal(Code::PermissionDenied, "join_token_unknown", &message),
        EnrolError::UsedToken => refusal(Code::PermissionDenied, "join_token_used", &message),
        EnrolError::ExpiredToken => refusal(Code::PermissionDenied, "join_token_expired", &message),
        EnrolError::Proof(RenewalError::TooLate) => {
            refusal(Code::PermissionDenied, "certificate_too_old", &message)
        }
        EnrolError::Proof(_) => refusal(Code::Unauthenticated, "proof_refused", &message),
        EnrolError::Request(_) => refusal(Code::InvalidArgument, "invalid_request", &message),
        EnrolError::Catalogue(error) => of_catalogue(error),
        EnrolError::NoRandomness(error) => internal(&error),
    }
}

/// The answer to an operator whose edge was not expelled.
pub(super) fn of_expel(error: ExpelError) -> Status {
    let message = error.to_string();
    match error {
        ExpelError::Unknown(_) => refusal(Code::NotFound, "not_found", &message),
        ExpelError::Ambiguous { .. } => refusal(Code::InvalidArgument, "ambiguous", &message),
        ExpelError::Catalogue(error) => of_catalogue(error),
    }
}

fn internal(error: &(dyn Error + 'static)) -> Status {
    tracing::error!(error = cause::chain(error), "a call failed");
    refusal(Code::Internal, "internal", "the origin failed; its log says why")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_get_a_stable_code_and_no_path_of_the_disk() {
        let error = BlobError::Io(std::io::Error::other("/secret/place"));
        let status = of_publish(PublishError::Blob(error));
        assert_eq!(status.code(), Code::Internal);
        assert!(!status.message().contains("secret"));
        assert_eq!(status.metadata().get(CODE_KEY).expect("code"), "internal");
    }

    #[test]
    fn a_message_is_cut_before_it_outgrows_a_header() {
        for (character, len) in [("x", MESSAGE_SIZE_MAX), ("%", MESSAGE_SIZE_MAX / 3)] {
            let status = refusal(Code::NotFound, "not_found", &character.repeat(1 << 20));
            assert_eq!(status.message().len(), len);
        }
    }
}
