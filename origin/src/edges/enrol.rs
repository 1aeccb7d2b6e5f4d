//! How a machine becomes an edge: a join token, used once, against a certificate that names its id.

use super::{Edge, Edges, Standing};
use crate::catalogue::{CatalogueError, EdgeRow, JoinOutcome};
use crate::publish::unix_seconds;
use crate::secret::{NoRandomness, random, secret_hash};
use crate::sid::EdgeId;
use rustls::pki_types::CertificateDer;
use skerry_proto::authority::AuthorityError;
use skerry_proto::join::{JoinToken, SECRET_LEN};
use skerry_proto::renewal::{self, RenewalError};
use std::time::{Duration, SystemTime};

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
    /// The proof that is to renew a certificate does not count.
    #[error(transparent)]
    Proof(#[from] RenewalError),
    /// The catalogue.
    #[error(transparent)]
    Catalogue(#[from] CatalogueError),
    /// No secrets can be made.
    #[error(transparent)]
    NoRandomness(#[from] NoRandomness),
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
    /// [`EnrolError::Catalogue`], [`EnrolError::NoRandomness`].
    pub(crate) async fn create_join_token(&self, valid: Duration) -> Result<(JoinToken, i64), EnrolError> {
        let secret = random::<SECRET_LEN>()?;
        let now = SystemTime::now();
        let expires_at = unix_seconds(now + valid.min(VALID_MAX));
        self.shared.catalogue.add_join_token(secret_hash(&secret), unix_seconds(now), expires_at).await?;
        let token = JoinToken {
            secret,
            authority: self.shared.keys.authority.0.certificate().clone(),
            keys: self.shared.keys.signer().set.clone(),
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
        let (at, end) = (unix_seconds(now), self.certificate_end(now));
        good(self.shared.catalogue.enrol(hash, &id, &name, at, end).await?)?;
        let (id_text, edge) = Edge::new(EdgeRow::new(id.to_string(), name, at, end));
        self.lock().insert(id_text, edge);
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
        let end = self.certificate_end(now);
        self.shared.catalogue.renew(id, end).await?;
        if let Some(edge) = self.lock().get_mut(id) {
            edge.certificate_end = end;
        }
        Ok(certificate)
    }

    /// The id of the edge that proves, with the key of a certificate which may have expired, that it asks for a new one, and whether it
    /// may call.
    ///
    /// # Errors
    /// [`EnrolError::Proof`].
    pub(crate) fn prover(
        &self,
        certificate: &[u8],
        request: &[u8],
        proof: &[u8],
    ) -> Result<(String, Standing), EnrolError> {
        let authority = self.shared.keys.authority.0.certificate();
        let grace = self.shared.rules.renewal_time_max;
        let id = renewal::check(authority, certificate, request, proof, SystemTime::now(), grace)?;
        let standing = self.standing(&id);
        Ok((id, standing))
    }

    fn certificate_end(&self, now: SystemTime) -> i64 {
        unix_seconds(now + self.shared.rules.certificate_life)
    }

    fn certify(
        &self,
        request: &[u8],
        id: &str,
        now: SystemTime,
    ) -> Result<CertificateDer<'static>, EnrolError> {
        let authority = &self.shared.keys.authority.0;
        authority
            .issue_edge(request, id, now, self.shared.rules.certificate_life)
            .map_err(EnrolError::Request)
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
