//! How a machine becomes an edge: a join token, used once, against a certificate that names its id.

use super::{Edge, Edges};
use crate::catalogue::{CatalogueError, JoinOutcome};
use crate::keys::KeysError;
use crate::publish::unix_seconds;
use crate::secret::{NoRandomness, random, secret_hash};
use crate::sid::EdgeId;
use rustls::pki_types::CertificateDer;
use skerry_proto::authority::AuthorityError;
use skerry_proto::join::{JoinToken, SECRET_LEN};
use std::time::{Duration, SystemTime};

/// How long an edge's certificate lasts.
const CERTIFICATE_LIFETIME: Duration = Duration::from_secs(90 * 86_400);

/// How long a join token can be valid: a year.
const VALID_MAX: Duration = Duration::from_secs(365 * 86_400);

/// Characters of an edge's name that are kept.
const NAME_CHARS_MAX: usize = 128;

/// Why a machine did not become an edge.
#[derive(Debug, thiserror::Error)]
pub(crate) enum EnrolError {
    /// The join token was not made here.
    #[error("the join token is not known to this origin; make a new one with `skerry join-token`")]
    UnknownToken,
    /// The join token was used before.
    #[error("the join token was used already, it works once; make a new one with `skerry join-token`")]
    UsedToken,
    /// The time of the join token is over.
    #[error("the join token has expired; make a new one with `skerry join-token`")]
    ExpiredToken,
    /// The request is not what an edge sends.
    #[error("the certificate request cannot be used")]
    Request(#[source] AuthorityError),
    /// The catalogue.
    #[error(transparent)]
    Catalogue(#[from] CatalogueError),
    /// No secrets can be made.
    #[error(transparent)]
    NoRandomness(#[from] NoRandomness),
    /// The signing key is not what it should be.
    #[error(transparent)]
    Keys(#[from] KeysError),
}

/// A new edge.
#[derive(Debug, Clone)]
pub(crate) struct Enrolled {
    pub(crate) id: EdgeId,
    pub(crate) certificate: CertificateDer<'static>,
    pub(crate) cluster_id: [u8; 16],
}

impl Edges {
    /// Makes a join token, to be used once within `valid`, and says when it expires (Unix seconds).
    ///
    /// # Errors
    /// [`EnrolError::Catalogue`], [`EnrolError::NoRandomness`], [`EnrolError::Keys`].
    pub(crate) async fn create_join_token(&self, valid: Duration) -> Result<(JoinToken, i64), EnrolError> {
        let secret = random::<SECRET_LEN>()?;
        let now = SystemTime::now();
        let expires_at = unix_seconds(now + valid.min(VALID_MAX));
        self.shared.catalogue.add_join_token(secret_hash(&secret), unix_seconds(now), expires_at).await?;
        let token = JoinToken {
            secret,
            authority: self.shared.keys.authority.0.certificate().clone(),
            keys: self.shared.keys.key_set(self.shared.catalogue.cluster_id())?,
        };
        Ok((token, expires_at))
    }

    /// Makes an edge of a machine that has a good join token, which is used up by this and only by this.
    ///
    /// # Errors
    /// Any [`EnrolError`].
    pub(crate) async fn enrol(
        &self,
        secret: &[u8],
        request: &[u8],
        name: &str,
    ) -> Result<Enrolled, EnrolError> {
        let now = SystemTime::now();
        let hash = secret_hash(secret);
        // Before any work for somebody who may be nobody.
        good(self.shared.catalogue.join_token(hash, unix_seconds(now)).await?)?;
        let id = EdgeId::random()?;
        let certificate = self.certify(request, id.as_str(), now)?;
        let name: String = name.chars().filter(|c| !c.is_control()).take(NAME_CHARS_MAX).collect();
        let (at, end) = (unix_seconds(now), unix_seconds(now + CERTIFICATE_LIFETIME));
        good(self.shared.catalogue.enrol(hash, &id, &name, at, end).await?)?;
        self.lock().insert(id.to_string(), Edge { name, enrolled_at: at, ..Edge::default() });
        self.shared.changed.send_replace(());
        Ok(Enrolled { id, certificate, cluster_id: self.shared.catalogue.cluster_id() })
    }

    /// Makes a new certificate for an edge that has a good one.
    ///
    /// # Errors
    /// [`EnrolError::Request`], [`EnrolError::Catalogue`].
    pub(crate) async fn renew(
        &self,
        id: &str,
        request: &[u8],
    ) -> Result<CertificateDer<'static>, EnrolError> {
        let now = SystemTime::now();
        let certificate = self.certify(request, id, now)?;
        self.shared.catalogue.renew(id, unix_seconds(now + CERTIFICATE_LIFETIME)).await?;
        Ok(certificate)
    }

    fn certify(
        &self,
        request: &[u8],
        id: &str,
        now: SystemTime,
    ) -> Result<CertificateDer<'static>, EnrolError> {
        let authority = &self.shared.keys.authority.0;
        authority.issue_edge(request, id, now, CERTIFICATE_LIFETIME).map_err(EnrolError::Request)
    }
}

fn good(outcome: JoinOutcome) -> Result<(), EnrolError> {
    match outcome {
        JoinOutcome::Good => Ok(()),
        JoinOutcome::Unknown => Err(EnrolError::UnknownToken),
        JoinOutcome::Used => Err(EnrolError::UsedToken),
        JoinOutcome::Expired => Err(EnrolError::ExpiredToken),
    }
}
