//! Who an edge is: its id, its certificate and key, and whom it trusts. Kept in files of mode 0600.

use super::channel::{OriginChannel, anonymous};
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use skerry_folder::{Readers, write};
use skerry_proto::authority::{self, AuthorityError};
use skerry_proto::document::{self, DocumentError};
use skerry_proto::join::JoinToken;
use skerry_proto::renewal::{self, RenewalError};
use skerry_proto::signature::KeySet;
use skerry_proto::wire;
use std::io;
use std::path::Path;
use std::time::{Duration, SystemTime};
use tokio::time::timeout;
use tonic::transport::Channel;

const FILE: &str = "identity";

/// Time for a call that renews a certificate.
const RENEWAL_TIME_MAX: Duration = Duration::from_secs(30);

/// Who an edge is, and whom it trusts.
#[derive(Debug)]
pub struct Identity {
    /// Given by the origin.
    pub edge_id: String,
    /// Of role edge, signed by the cluster's authority.
    pub certificate: CertificateDer<'static>,
    /// Key of the certificate.
    pub key: PrivatePkcs8KeyDer<'static>,
    /// The cluster's authority.
    pub authority: CertificateDer<'static>,
    /// The keys that may sign, as they were when it joined: the first link of the chain.
    pub keys: KeySet,
}

/// Why an edge has no identity.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// It has none yet, and nothing to get one with.
    #[error(
        "this edge is not enrolled yet and has no join token; make one with `skerry join-token` and set origin.join_token"
    )]
    NoJoinToken,
    /// The file cannot be read or written.
    #[error("the identity file {path}: {source}")]
    File {
        /// Where it is.
        path: String,
        /// Why.
        source: io::Error,
    },
    /// The file is there but is no identity.
    #[error("the identity file cannot be used: {0}")]
    Document(#[from] DocumentError),
    /// No key could be made, or a certificate cannot be used.
    #[error(transparent)]
    Authority(#[from] AuthorityError),
    /// The key of the certificate cannot prove it.
    #[error(transparent)]
    Proof(#[from] RenewalError),
    /// The origin cannot be reached, by this URL or at the moment.
    #[error("the origin cannot be reached: {0}")]
    Transport(#[from] tonic::transport::Error),
    /// The origin does not answer.
    #[error("the origin cannot be reached: {0}")]
    Unreachable(String),
    /// The origin refuses.
    #[error("the origin refuses: {}", .0.message())]
    Refused(Box<tonic::Status>),
    /// The origin's answer makes no sense.
    #[error("the origin's answer is of another cluster than the join token")]
    OtherCluster,
}

impl IdentityError {
    /// Whether trying again later can help.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Refused(status) => {
                matches!(status.code(), tonic::Code::Unavailable | tonic::Code::DeadlineExceeded)
            }
            Self::Transport(_) | Self::Unreachable(_) => true,
            Self::NoJoinToken
            | Self::File { .. }
            | Self::Document(_)
            | Self::Authority(_)
            | Self::Proof(_)
            | Self::OtherCluster => false,
        }
    }
}

impl Identity {
    /// Reads the identity of an edge that has enrolled; `None` where there is none.
    ///
    /// # Errors
    /// [`IdentityError::File`] and [`IdentityError::Document`].
    pub fn load(folder: &Path) -> Result<Option<Self>, IdentityError> {
        let path = folder.join(FILE);
        let bytes = match std::fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(IdentityError::File { path: path.display().to_string(), source }),
        };
        let stored: wire::EdgeIdentity = document::decode(&bytes)?;
        Ok(Some(Self {
            edge_id: stored.edge_id,
            certificate: CertificateDer::from(stored.certificate.to_vec()),
            key: PrivatePkcs8KeyDer::from(stored.private_key.to_vec()),
            authority: CertificateDer::from(stored.authority.to_vec()),
            keys: KeySet::decode(&stored.key_set)?,
        }))
    }

    fn save(&self, folder: &Path) -> Result<(), IdentityError> {
        let bytes = document::encode(&wire::EdgeIdentity {
            edge_id: self.edge_id.clone(),
            certificate: self.certificate.to_vec().into(),
            private_key: self.key.secret_pkcs8_der().to_vec().into(),
            authority: self.authority.to_vec().into(),
            key_set: self.keys.encode(),
        });
        let path = folder.join(FILE);
        write(&path, &bytes, Readers::Owner)
            .map_err(|source| IdentityError::File { path: path.display().to_string(), source })
    }

    /// How long it is until two thirds of the certificate's life are over; nothing when they are.
    pub fn renewal_is_in(&self, now: SystemTime) -> Duration {
        let Some((start, end)) = authority::validity(&self.certificate) else { return Duration::ZERO };
        let Ok(life) = end.duration_since(start) else { return Duration::ZERO };
        // A clock before its start is wrong, and so would be any wait.
        let Ok(age) = now.duration_since(start) else { return Duration::ZERO };
        (life / 3 * 2).saturating_sub(age)
    }

    /// Seconds until the certificate ends; negative when it has.
    pub fn remaining_seconds(&self, now: SystemTime) -> f64 {
        let Some(end) = authority::not_after(&self.certificate) else { return f64::NEG_INFINITY };
        match end.duration_since(now) {
            Ok(left) => left.as_secs_f64(),
            Err(past) => -past.duration().as_secs_f64(),
        }
    }

    /// Whether the certificate has expired.
    pub fn is_over(&self, now: SystemTime) -> bool {
        authority::not_after(&self.certificate).is_none_or(|end| end <= now)
    }
}

/// Becomes an edge: uses up the join token, and keeps the identity in `folder`.
///
/// # Errors
/// Any [`IdentityError`].
pub async fn enrol(
    folder: &Path,
    url: &str,
    token: &JoinToken,
    name: &str,
) -> Result<Identity, IdentityError> {
    let (request, key) = authority::certificate_request()?;
    let mut client = wire::enrol_client::EnrolClient::new(anonymous(url, &token.authority)?);
    let request = wire::EnrolRequest {
        token_secret: token.secret.to_vec().into(),
        certificate_request: request.into(),
        name: name.to_owned(),
    };
    let answer = client.enrol(request).await.map_err(refused)?.into_inner();
    if answer.cluster_id != token.keys.cluster_id[..] {
        return Err(IdentityError::OtherCluster);
    }
    let identity = Identity {
        edge_id: answer.edge_id,
        certificate: CertificateDer::from(answer.certificate.to_vec()),
        key,
        authority: token.authority.clone(),
        keys: token.keys.clone(),
    };
    identity.save(folder)?;
    Ok(identity)
}

/// Gets a new certificate for a new key, and keeps it. The old one is shown in the handshake; where it has expired, or the origin does
/// not take it there, its key proves the edge in the request.
///
/// # Errors
/// Any [`IdentityError`]; the old identity stays as it is.
pub async fn renew(
    folder: &Path,
    channel: &OriginChannel,
    old: &Identity,
) -> Result<Identity, IdentityError> {
    let (request, key) = authority::certificate_request()?;
    let plain = wire::RenewRequest { certificate_request: request.into(), ..wire::RenewRequest::default() };
    let shown = match old.is_over(SystemTime::now()) {
        true => None,
        false => Some(call_renew(channel.current(), plain.clone()).await),
    };
    let answer = match shown {
        Some(Ok(answer)) => answer,
        Some(Err(error)) if !may_be_the_certificate(&error) => return Err(error),
        Some(Err(_)) | None => {
            let proof = renewal::prove(old.key.secret_pkcs8_der(), &plain.certificate_request)?;
            let certificate = old.certificate.to_vec().into();
            let proven = wire::RenewRequest { certificate, proof, ..plain };
            call_renew(channel.anonymous(&old.authority)?, proven).await?
        }
    };
    let identity = Identity {
        edge_id: old.edge_id.clone(),
        certificate: CertificateDer::from(answer.certificate.to_vec()),
        key,
        authority: old.authority.clone(),
        keys: old.keys.clone(),
    };
    identity.save(folder)?;
    Ok(identity)
}

async fn call_renew(
    channel: Channel,
    request: wire::RenewRequest,
) -> Result<wire::RenewResponse, IdentityError> {
    let mut client = wire::enrol_client::EnrolClient::new(channel);
    let answer = timeout(RENEWAL_TIME_MAX, client.renew(request)).await;
    let silent = |_| IdentityError::Unreachable("no answer in time".to_owned());
    Ok(answer.map_err(silent)?.map_err(refused)?.into_inner())
}

/// Whether an origin whose clock is ahead may have refused an expired certificate: in the handshake, where it says no more, or later.
fn may_be_the_certificate(error: &IdentityError) -> bool {
    match error {
        IdentityError::Refused(status) => status.code() == tonic::Code::Unauthenticated,
        IdentityError::Transport(_) | IdentityError::Unreachable(_) => true,
        IdentityError::NoJoinToken
        | IdentityError::File { .. }
        | IdentityError::Document(_)
        | IdentityError::Authority(_)
        | IdentityError::Proof(_)
        | IdentityError::OtherCluster => false,
    }
}

/// A status that the origin sent, or one that tonic made because nothing came from there.
fn refused(status: tonic::Status) -> IdentityError {
    let is_silent = matches!(status.code(), tonic::Code::Unavailable | tonic::Code::DeadlineExceeded)
        && !status.metadata().contains_key("skerry-code");
    if !is_silent {
        return IdentityError::Refused(Box::new(status));
    }
    // The last cause is what people can act on, such as a refused connection.
    let mut cause: &dyn std::error::Error = &status;
    while let Some(next) = cause.source() {
        cause = next;
    }
    let is_status = std::ptr::addr_eq(cause, &status);
    IdentityError::Unreachable(if is_status { status.message().to_owned() } else { cause.to_string() })
}
